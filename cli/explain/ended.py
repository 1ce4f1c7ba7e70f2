"""The job that has ended, by itself or by its limits."""

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from cli import parts
from cli.explain import containers, indexes, words
from cli.explain.answer import Answer, Code
from cli.explain.evidence import Evidence
from cli.explain.status import Status, condition, end_of
from cli.parts import Json

_DISK, _MEMORY, _PIDS = "ephemeral-storage", "memory", "pids"
_OUT_OF = {_DISK: "disk", _MEMORY: "memory", _PIDS: "processes"}
_LOW = re.compile(r"low on resource: ([\w-]+)")
_USED = re.compile(r"was using (\S+), request is (\S+),")
OUSTED = {
    "DeletionByTaintManager": "its node was lost or drained",
    "EvictionByEvictionAPI": "its node was drained",
    "PreemptionByScheduler": "the scheduler gave its node to a more important pod",
    "TerminationByKubelet": "its node ended the pod",
    "DeletionByPodGC": "its node is gone",
}
"""Why something else than the job ends a pod -> how that is said."""
_AGAIN = "Submit it again; --retries makes up for lost nodes."
_LOST = "ContainerStatusUnknown"
_DEADLINE = "DeadlineExceeded"
_UNSTARTED = {"StartError", "ContainerCannotRun"}
_REJECTED = "Pod was rejected"
_DISK_OF_ITS_OWN = re.compile(r"ephemeral local storage|local ephemeral storage|EmptyDir volume")


def ended(evidence: Evidence) -> Answer | None:
    """How it ended; None for a job that hasn't."""
    job, workload = evidence.job, evidence.workload
    finished = condition(workload, "Finished")
    if parts.holds(job, "Complete") or parts.holds(job, "SuccessCriteriaMet") or parts.holds(job, "Completed"):
        return _succeeded(evidence)
    if parts.holds(job, "Failed") or parts.holds(job, "FailureTarget"):
        failed = parts.condition(job, "Failed") or parts.condition(job, "FailureTarget")
        return _failed(evidence, failed)
    end = end_of(finished) if finished else None
    if end is Status.SUCCEEDED:
        return _succeeded(evidence)
    return _failed(evidence, finished) if finished and end is Status.FAILED else None


def _succeeded(evidence: Evidence) -> Answer:
    begun = [one for one in (parts.instant(evidence.job, "status", "startTime"), *_times(evidence, "startedAt")) if one]
    end = [one for one in _times(evidence, "finishedAt") if one]
    done = max(end, default=None) or parts.instant(evidence.job, "status", "completionTime")
    done = done or parts.instant(parts.condition(evidence.workload, "Finished"), "lastTransitionTime")
    took = f" after {words.span(done - min(begun))}" if done and begun and done >= min(begun) else ""
    total = parts.number(evidence.job, "spec", "completions") or 1
    counted = f" ({parts.number(evidence.job, 'status', 'succeeded') or total} of {total})" if total > 1 else ""
    return Answer(
        Code.SUCCEEDED,
        f"Succeeded{took}{counted}.",
        f"`{evidence.command('logs', evidence.name)}` shows what it printed.",
    )


def _failed(evidence: Evidence, condition: Json) -> Answer:
    failed = [pod for pod in evidence.pods if parts.text(pod, "status", "phase") == "Failed"] or list(evidence.pods)
    newest = sorted(failed, key=lambda pod: parts.text(pod, "metadata", "creationTimestamp"), reverse=True)
    if parts.text(condition, "reason") == _DEADLINE:
        return _deadline(evidence, parts.number(evidence.job, "spec", "activeDeadlineSeconds"))
    decisive = newest if parts.text(evidence.job, "spec", "completionMode") == "Indexed" else newest[:1]
    which = _indexes(evidence)
    for look in (_memory, _unstarted, _ousted, _pod_deadline):
        if found := next(filter(None, (look(evidence, pod) for pod in decisive)), None):
            return replace(found, sentence=found.sentence.replace(": ", f": {which}", 1))
    ends = list(dict.fromkeys(end for pod in newest for end in _ends(pod)))
    codes = list(dict.fromkeys(code for code, _ in ends))
    message = words.plain(parts.text(condition, "message"))
    told = [f"{words.exit_code(code)}{f' in its {beside}' if beside else ''}" for code, beside in ends]
    how = words.listed(told) or message or "nobody says why"
    about = f"exit code {words.listed([str(code) for code in codes])}" if codes else "" if which else "its pod failed"
    if not evidence.pods:
        gone = "can't be seen" if "pods" in evidence.unread else "are gone, and their logs with them"
        how += f"; its pods {gone}"
        action = f"`{evidence.command('delete', evidence.name)}`, and submit it again."
    elif ends and all(beside for _, beside in ends):
        action = words.mend(ends[0][1])
    else:
        action = f"`{evidence.command('logs', evidence.name, *_first(evidence, failed))}` shows why."
    tries = parts.number(evidence.job, "status", "failed") or 0
    after = f" after {tries} attempts" if tries > 1 and not which else ""
    return Answer(Code.FAILED, f"Failed{after}: {which}{how}.", action, about)


def _deadline(evidence: Evidence, seconds: int | None) -> Answer:
    when = parts.instant(parts.condition(evidence.job, "Failed"), "lastTransitionTime")
    return Answer(
        Code.TIME_LIMIT,
        f"Stopped{words.at(when, evidence)}: it ran longer than its time limit{words.limit(seconds)}.",
        "Submit it again with a larger --time.",
    )


def _memory(evidence: Evidence, pod: Json) -> Answer | None:
    for status in filter(containers.out_of_memory, containers.statuses(pod)):
        much = containers.memory_of(pod, parts.mapping(evidence.job, "spec", "template", "spec"), status)
        code = containers.exit_code(status)
        beside = containers.beside(pod, status)
        index = indexes.of_pod(pod) if indexes.counts(evidence.job)[2] != 1 else None
        who = [f"its {beside}" if beside else "", f"index {index}" if index is not None else ""]
        subject = f"{' of '.join(filter(None, who))} was " if any(who) else ""
        sentence = f"Failed: {subject}killed because it used more than {much}{f' (exit {code})' if code else ''}."
        return Answer(Code.OUT_OF_MEMORY, sentence, f"Submit again with {words.more_memory(beside)}.")
    return None


def _unstarted(_: Evidence, pod: Json) -> Answer | None:
    """A container whose command couldn't even be started: there are no logs."""
    for status in containers.statuses(pod):
        if parts.text(status, "state", "terminated", "reason") in _UNSTARTED:
            image = parts.text(status, "image") or "its image"
            missing = containers.NO_COMMAND.search(parts.text(status, "state", "terminated", "message"))
            which = f"its command {missing[1]}" if missing else "its command"
            sentence = f"Failed: {which} could not be started, {image} may not have it."
            return Answer(Code.FAILED, sentence, "Check the command and the image, and submit again.")
    return None


def _ousted(_: Evidence, pod: Json) -> Answer | None:
    """The node, or whoever looks after nodes, ended the pod."""
    status = parts.mapping(pod, "status")
    target = parts.condition(pod, "DisruptionTarget") if parts.holds(pod, "DisruptionTarget") else {}
    told = parts.text(status, "reason")
    message = parts.text(status, "message") or parts.text(target, "message")
    if told.startswith("OutOf") or message.startswith(_REJECTED) or told == "UnexpectedAdmissionError":
        why = words.plain(message.removeprefix(_REJECTED).removeprefix(": ")) or told
        sentence = f"Failed: its node refused the pod, though the scheduler had chosen it: {why}."
        action = "Submit it again; tell the admins if it happens often."
        return Answer(Code.POD_EVICTED, sentence, action, "its node refused the pod")
    lost = _LOST in {parts.text(one, "state", "terminated", "reason") for one in containers.statuses(pod)}
    if told not in {"Evicted", "NodeLost", "Terminated", "NodeShutdown"} and not target and not lost:
        return None
    if _DISK_OF_ITS_OWN.search(message):
        sentence = f"Failed: it wrote more to its node's disk than it may: {words.plain(message)}."
        action = "Submit it again; write less to the container's disk or to a volume."
        return Answer(Code.POD_EVICTED, sentence, action, "wrote too much to disk")
    if low := _LOW.search(message):
        what = _OUT_OF.get(low[1], low[1])
        action = {
            "disk": "Submit it again; write less to the container's disk or to a volume.",
            "memory": "Submit it again with more --memory, so that it may stay.",
        }.get(what, "Submit it again.")
        much = _USED.search(message)
        used = f", which used {much[1]} and had asked for {much[2] if much[2] != '0' else 'none'}" if much else ""
        return Answer(Code.POD_EVICTED, f"Failed: its node ran out of {what} and evicted the pod{used}.", action)
    reason = parts.text(target, "reason")
    shut = "its node was shut down" if "node shutdown" in message else ""
    unknown = "its node lost the container, and nobody knows how that ended" if lost else ""
    why = shut or OUSTED.get(reason) or words.plain(message) or unknown or reason or "its node ended the pod"
    return Answer(Code.POD_EVICTED, f"Failed: {why}.", _AGAIN)


def _pod_deadline(evidence: Evidence, pod: Json) -> Answer | None:
    """A task's own limit, where each pod has one."""
    if parts.text(pod, "status", "reason") != _DEADLINE:
        return None
    return _deadline(evidence, parts.number(pod, "spec", "activeDeadlineSeconds"))


def _indexes(evidence: Evidence) -> str:
    """``2 of 8 indexes failed (1,5): ``, for an array."""
    total, _, failed = indexes.counts(evidence.job)
    which = indexes.named(evidence.job, parts.text(evidence.job, "status", "failedIndexes"))
    return f"{failed} of {total} indexes failed ({which}): " if failed and total else ""


def _first(evidence: Evidence, failed: Sequence[Json]) -> Sequence[str]:
    """The option that names the first task that failed, of those whose pods are still there where that can be told."""
    lost = indexes.numbers(evidence.job, parts.text(evidence.job, "status", "failedIndexes"))
    there = {one for pod in failed if (one := indexes.of_pod(pod)) is not None}
    total = parts.number(evidence.job, "spec", "completions") or 1
    found = there & lost or there or lost
    return [f"--index {min(found)}"] if found and total > 1 else []


def _ends(pod: Json) -> Sequence[tuple[int, str]]:
    """With what its containers ended, but for success, and which each is."""
    every = containers.statuses(pod)
    found = [(parts.number(one, "state", "terminated", "exitCode"), containers.beside(pod, one)) for one in every]
    return [(code, beside) for code, beside in found if code]


def _times(evidence: Evidence, which: str) -> Sequence[datetime | None]:
    every = [one for pod in evidence.pods for one in containers.statuses(pod)]
    return [parts.instant(one, "state", "terminated", which) for one in every]
