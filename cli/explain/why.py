"""From evidence to an answer: families of situations, each asked in the order in which they hide one another."""

from collections.abc import Callable, Mapping, Sequence

from cli import parts
from cli.explain import ended, evicted, held, misconfigured, preemption, quota, reserved, unknown, words
from cli.explain.answer import Answer, Code
from cli.explain.contradictory import contradictory
from cli.explain.evidence import Evidence
from cli.explain.pods import pods
from cli.explain.refused import refused
from cli.explain.running import running
from cli.explain.status import Status, condition, end_of

Family = Callable[[Evidence], Answer | None]


def explain(evidence: Evidence) -> Answer:
    """Why the job is as it is, and what to do about it. What jobq doesn't know is told as the cluster says it."""
    for family in _FAMILIES:
        if answer := family(evidence):
            return answer
    return _unknown(evidence)


def _absent(evidence: Evidence) -> Answer | None:
    if evidence.job or evidence.workload:
        return None
    return Answer(
        Code.UNKNOWN,
        "There is no such job, and nothing that says why.",
        f"`{evidence.command('list')}` shows the jobs there are.",
    )


def _deleted(evidence: Evidence) -> Answer | None:
    when = parts.instant(evidence.job, "metadata", "deletionTimestamp")
    finished = condition(evidence.workload, "Finished")
    if finished and end_of(finished) is Status.STOPPING:
        sentence = f"Stopped: it was deleted{words.at(parts.instant(finished, 'lastTransitionTime'), evidence)}."
        return Answer(Code.STOPPED, sentence, "Submit it again if that was not meant.")
    if when is None:
        return None
    sentence = f"Stopped: it is being deleted{words.since(when, evidence)}; it goes when its pods have ended."
    return Answer(Code.STOPPED, sentence, "Wait; submit it again if it was not meant.")


def _at_work(evidence: Evidence) -> Answer | None:
    """The admitted job, unless it was evicted just now: then it is told as what it becomes."""
    if not evidence.admitted or evidence.eviction:
        return None
    return pods(evidence) or running(evidence)


def _stopped(evidence: Evidence) -> Answer | None:
    """The job that Kueue has stopped, with what it lacks to start again."""
    told = _STOPPED.get(parts.text(evidence.eviction, "reason"))
    return told(evidence, quota.shortfall(evidence)) if told else None


def _unknown(evidence: Evidence) -> Answer:
    told = [one for body in (evidence.workload, evidence.job) for one in parts.items(body, "status", "conditions")]
    conditions = [
        "{}={} ({}): {}".format(*(parts.text(one, key) for key in ("type", "status", "reason", "message")))
        for one in told
    ]
    said = words.plain("; ".join(conditions)) or "the cluster says nothing about it"
    action = f"Ask the admins, with what `{evidence.command('why', evidence.name, '--save FILE')}` writes."
    return Answer(Code.UNKNOWN, f"jobq does not know this situation. The cluster says: {said}.", action)


_STOPPED: Mapping[str, Callable[[Evidence, str], Answer]] = {
    "PodsReadyTimeout": evicted.not_ready,
    "Preempted": preemption.preempted,
}
_FAMILIES: Sequence[Family] = (
    refused,
    _absent,
    ended.ended,
    _deleted,
    unknown.unknown,
    held.deactivated,
    contradictory,
    reserved.reserved,
    _at_work,
    held.held,
    held.project_paused,
    held.queue_stopped,
    misconfigured.misconfigured,
    quota.hopeless,
    _stopped,
    reserved.retried,
    evicted.ending,
    quota.waiting,
)
