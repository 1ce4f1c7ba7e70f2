"""The job that runs: as asked, in part, with fewer at a time, again, or outside any quota."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from cli import parts
from cli.explain import containers, indexes, pods, words
from cli.explain.answer import Answer, Code
from cli.explain.ended import OUSTED
from cli.explain.evidence import Evidence
from cli.explain.held import STOPPED
from cli.explain.partly import partly
from cli.explain.status import Status, status_of
from cli.fit import words as amounts
from cli.fit.cohort import rooms
from cli.parts import Json

_LONGEST_PAUSE = 600
_SMALL = {"cpu", "memory", "pods", "ephemeral-storage"}


def running(evidence: Evidence) -> Answer | None:
    """What a running job does, and what may yet happen to it."""
    return _retrying(evidence) or partly(evidence) or _reduced(evidence) or _fully(evidence)


def outside(evidence: Evidence, why: str) -> Answer:
    """A job that runs although Kueue has no part in it; trouble with its pods comes first."""
    living = evidence.living
    found = None if any(map(pods.runs, living)) else pods.trouble(evidence, living)
    if found:
        return Answer(found.code, found.sentence.replace("Has its quota, but its", "Its"), found.action)
    word = Status.RUNNING if any(map(pods.runs, living)) else status_of(evidence.job, None)
    sentence = f"{word} outside the queue: {why}, so nothing limits or protects it."
    return Answer(Code.UNMANAGED, sentence, "Submit with `jobq submit`, which sets the queue.")


def _fully(evidence: Evidence) -> Answer | None:
    working = [pod for pod in evidence.living if pods.runs(pod)]
    count = (
        len(working) or parts.number(evidence.job, "status", "ready") or parts.number(evidence.job, "status", "active")
    )
    if not count and evidence.kind == "Job":
        return _between(evidence)
    if not _asks(evidence):
        sentence = (
            "Running, but it asks for no cpu, memory or GPU: it is outside the quota and may be slowed or killed first."
        )
        return Answer(Code.NO_REQUESTS, sentence, "Submit with --cpu and --memory.")
    what = _what(evidence, count or 0)
    sentence = f"Running{words.since(started(evidence), evidence)}{f' ({what})' if what else ''}"
    action = f"`{evidence.command('logs -f', evidence.name)}` shows what it prints."
    if borrowed := _borrowed(evidence):
        sentence += f", {borrowed} of them borrowed: their owner may take them back at any time"
        action = "Save checkpoints."
    if again := history(evidence):
        sentence += again
        action = "Nothing to do."
    done, (total, _, failed) = parts.number(evidence.job, "status", "succeeded"), indexes.counts(evidence.job)
    some = f"; {done or 0} of {total} are done{f', {failed} failed' if failed else ''}"
    sentence += f"{some}." if (done or failed) and total > 1 else "."
    if parts.text(evidence.local_queue, "spec", "stopPolicy") in STOPPED:
        sentence += " The project is paused: this job may finish, nothing new starts."
        action = "Nothing to do."
    if parts.text(evidence.cluster_queue, "spec", "stopPolicy") == "Hold":
        sentence += f" The cluster's queue {evidence.cluster_queue_name} is stopped: this job may finish."
    if disturbed := next(filter(None, (_disturbed(evidence, pod) for pod in working)), ""):
        sentence += disturbed
        action = "Wait; --retries makes up for lost nodes."
    return Answer(Code.RUNNING, sentence, action)


def _disturbed(evidence: Evidence, pod: Json) -> str:
    """What happens to a pod whose containers run, as far as anybody knows."""
    target = parts.condition(pod, "DisruptionTarget") if parts.holds(pod, "DisruptionTarget") else {}
    if why := OUSTED.get(parts.text(target, "reason")):
        return f" Its pod {parts.name(pod)} is being stopped: {why}."
    unready = parts.condition(pod, "Ready").get("status") == "False"
    if unready and evidence.said_of_pod(pod, "NodeNotReady"):
        return f" The node {parts.text(pod, 'spec', 'nodeName')} doesn't answer: what its pod there does isn't known."
    return ""


def _between(evidence: Evidence) -> Answer | None:
    """All pods have ended, and the Job controller hasn't said what that means."""
    if not evidence.pods and "pods" not in evidence.unread:
        return None
    sentence = "Its pods have ended: the job is about to be finished, or to make new ones."
    return Answer(Code.RUNNING, sentence, "Ask again in a moment.")


def history(evidence: Evidence) -> str:
    """``; second start: it was stopped once ...``, where it was."""
    evictions = parts.items(evidence.workload, "status", "schedulingStats", "evictions")
    total = sum(parts.number(one, "count") or 0 for one in evictions)
    if not total:
        return ""
    preempted = parts.condition(evidence.workload, "Preempted")
    when = parts.instant(parts.condition(evidence.workload, "Requeued"), "lastTransitionTime")
    reasons = {parts.text(one, "reason") for one in evictions}
    why = ""
    if reasons == {"Preempted"}:
        in_queue = "prioritization" in parts.text(preempted, "message") or not preempted
        why = " for a job with higher priority" if in_queue else " for another queue of its cohort"
    elif len(reasons) == 1:
        reason = reasons.pop()
        why = words.stopped_by(reason)
    start = "second" if total == 1 else words.ordinal(total + 1)
    last = words.at(when, evidence)
    return f"; {start} start: it was stopped {words.times(total)}{f', last{last}' if total > 1 and last else last}{why}"


def started(evidence: Evidence) -> datetime | None:
    """When the present attempt began."""
    job = parts.instant(evidence.job, "status", "startTime")
    first = [parts.instant(pod, "status", "startTime") for pod in evidence.pods]
    admitted = parts.instant(parts.condition(evidence.workload, "Admitted"), "lastTransitionTime")
    return job or min((one for one in first if one), default=None) or admitted


def attempts(evidence: Evidence) -> int:
    """How often a batch Job's pod may be started."""
    limit = parts.number(evidence.job, "spec", "backoffLimitPerIndex")
    return (parts.number(evidence.job, "spec", "backoffLimit") if limit is None else limit or 0) or 0


def _retrying(evidence: Evidence) -> Answer | None:
    """An attempt failed, none is at work, and another comes."""
    living = evidence.living
    crashed = [(pod, one) for pod in living for one in containers.crashing(pod)]
    failed = parts.number(evidence.job, "status", "failed") or 0
    if not crashed and (living or parts.number(evidence.job, "status", "active")):
        return None
    if not failed and not crashed:
        return None
    ended = [
        (pod, one)
        for pod in evidence.pods
        if parts.text(pod, "status", "phase") == "Failed"
        for one in containers.statuses(pod)
        if containers.exit_code(one)
    ]
    last = next(reversed(ended or crashed), None)
    how, action = _how(evidence, *last) if last else (" failed", _look(evidence))
    number = failed or max((parts.number(one, "restartCount") or 1 for _, one in crashed), default=1)
    tries = attempts(evidence) + 1
    pause = min(10 * 2 ** (number - 1), _LONGEST_PAUSE) if number < 20 else _LONGEST_PAUSE  # noqa: PLR2004 - 2**20
    of = f" of {tries}" if tries > 1 and not crashed else ""
    again = "within seconds" if pause <= 10 else f"within {words.span(timedelta(seconds=pause))}"  # noqa: PLR2004 - the first pause
    sentence = f"Retrying: attempt {number}{of}{how}; the next starts {again} ({pause} s back-off, then doubling)."
    return Answer(Code.RETRYING, sentence, action, f"attempt {number} failed")


def _how(evidence: Evidence, pod: Json, status: Json) -> tuple[str, str]:
    """With what an attempt ended, and what to do about it: trying again gives nobody more memory."""
    code, beside = containers.exit_code(status), containers.beside(pod, status)
    if containers.out_of_memory(status):
        much = containers.memory_of(pod, parts.mapping(evidence.job, "spec", "template", "spec"), status)
        in_it = f": its {beside}" if beside else ""
        action = f"Delete it and submit again with {words.more_memory(beside)}."
        return f"{in_it} was killed because it used more than {much}", action
    how = f" failed in its {beside}:" if beside else " ended with"
    return f"{how} {words.exit_code(code or 1)}", words.mend(beside) if beside else _look(evidence)


def _look(evidence: Evidence) -> str:
    return f"`{evidence.command('logs', evidence.name)}` shows the failed attempt."


def _reduced(evidence: Evidence) -> Answer | None:
    """Admitted with fewer pods than asked for: it stays so."""
    fewer = indexes.reduced(evidence.workload)
    if not fewer:
        return None
    count, wanted = fewer
    spec, status = parts.mapping(evidence.job, "spec"), parts.mapping(evidence.job, "status")
    done, total = parts.number(status, "succeeded") or 0, parts.number(spec, "completions")
    counted = f" {done} of {total} are done." if total else ""
    noun = "index" if parts.text(spec, "completionMode") == "Indexed" else "pod"
    many = "indexes" if noun == "index" else "pods"
    stop, resume = (evidence.command(deed, evidence.name) for deed in ("stop", "resume"))
    return Answer(
        Code.RUNNING_REDUCED,
        f"Running, {count} {noun if count == 1 else many} at a time instead of {wanted}: only that much was "
        f"free when it was admitted, and Kueue never raises it.{counted}",
        f"To ask for {wanted} at a time again: `{stop}`, then `{resume}` (running {many} start over).",
        f"{count} of {wanted} at a time",
    )


def _what(evidence: Evidence, count: int) -> str:
    """``1 pod, 2 GPUs in a100``."""
    assigned = parts.items(evidence.workload, "status", "admission", "podSetAssignments")
    count = count or sum(parts.number(one, "count") or 0 for one in assigned)
    told = [f"{count} pod{'s' if count != 1 else ''}"] if count else []
    for (flavor, resource), value in sorted(_given(assigned).items()):
        if resource not in _SMALL:
            told.append(f"{amounts.plainly(resource, parts.quantity(value))} in {flavor}")
    return ", ".join(told)


def _given(assigned: Sequence[Json]) -> dict[tuple[str, str], str]:
    given: dict[tuple[str, str], str] = {}
    for one in assigned:
        flavors = parts.pairs(one, "flavors")
        for resource, value in parts.pairs(one, "resourceUsage").items():
            key = (flavors.get(resource, "?"), resource)
            given[key] = f"{parts.quantity(given.get(key, '0')) + parts.quantity(value):f}"
    return given


def _borrowed(evidence: Evidence) -> str:
    """How much of what it runs on must be borrowed: what the whole queue has borrowed, at most what this job has."""
    given = _given(parts.items(evidence.workload, "status", "admission", "podSetAssignments"))
    found = rooms(evidence.cluster_queue, evidence.tree)
    for key, value in sorted(given.items()):
        borrowed = min(found[key].borrowed, parts.quantity(value)) if key in found else None
        if borrowed and key[1] not in _SMALL:
            return amounts.amount(key[1], borrowed)
    return ""


def _asks(evidence: Evidence) -> bool:
    return not evidence.pod_sets or any(value for one in evidence.pod_sets for value in one.one.values())
