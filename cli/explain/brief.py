"""Why a job is where it is, in the few words that a table has room for. Pure; `jobq why` tells it in a sentence."""

import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from cli import parts
from cli.explain.jobs import AnyJob
from cli.explain.status import GATE, Status
from cli.submission.manifest import HOLD

GRACE = timedelta(seconds=15)
"""Kueue takes a moment to see a new job."""
_WAITING = (
    (r"maximum capacity", "never fits"),
    (r"insufficient (?:unused )?quota for (\S+) in", r"waits for \1"),
    (r"resource (\S+) unavailable", r"no \1 in its queue"),
    (r"Pending the preemption", "others make room"),
    (r"untolerated taint|doesn't match node affinity", "no flavor suits"),
    (r"LimitRange", "breaks the LimitRange"),
    (r"doesn't match ClusterQueue selector", "queue doesn't take this project"),
    (r"is inactive", "queue is stopped"),
    (r"((?:Local|Cluster)Queue \S+ doesn't exist)", r"\1"),
    (r"Bypassed scheduling", "waits for quota"),
)
"""What Kueue writes while a job waits -> a few words; the first that matches."""
_EVICTED: Mapping[str, str] = {
    "Preempted": "preempted",
    "PodsReadyTimeout": "pods weren't ready in time",
    "AdmissionCheck": "sent back by a check",
    "LocalQueueStopped": "project paused",
    "ClusterQueueStopped": "queue stopped",
    "NodeFailures": "a node failed",
    "DeactivatedDueToAdmissionCheck": "rejected by a check",
    "DeactivatedDueToRequeuingLimitExceeded": "its pods were never ready",
}
_FAILED: Mapping[str, str] = {
    "BackoffLimitExceeded": "its pod failed",
    "PodFailurePolicy": "its pod failed",
    "DeadlineExceeded": "its own deadline",
}


def brief(job: AnyJob, status: Status, now: datetime) -> str:
    """A few words, or none where the status says it all."""
    told: Mapping[Status, Callable[[], str]] = {
        Status.QUEUED: lambda: _queued(job, now),
        Status.HELD: lambda: _gates(job),
        Status.EVICTED: lambda: _evicted(job, status),
        Status.STOPPED: lambda: _evicted(job, status),
        Status.STUCK: lambda: "may run, but doesn't",
        Status.TIMED_OUT: lambda: _failed(job) or "time limit",
        Status.FAILED: lambda: _joined(_indexes(job), _failed(job)),
        Status.RUNNING: lambda: _joined(_indexes(job), at_once(job)),
    }
    return told[status]() if status in told else _indexes(job)


def at_once(job: AnyJob) -> str:
    """``1 of 4 at a time``, where Kueue admitted fewer than asked for: it never raises that. Else ``""``."""
    given = parts.items(job.workload, "status", "admission", "podSetAssignments")
    asked = {
        parts.text(one, "name"): parts.number(one, "count") for one in parts.items(job.workload, "spec", "podSets")
    }
    for one in given:
        count, wanted = parts.number(one, "count"), asked.get(parts.text(one, "name"))
        if count is not None and wanted is not None and count < wanted:
            return f"{count} of {wanted} at a time"
    return ""


def check_that_waits(job: AnyJob) -> str:
    """The name of the first admission check that hasn't agreed, or ``""``."""
    checks = parts.items(job.workload, "status", "admissionChecks")
    return next((parts.text(one, "name") for one in checks if parts.text(one, "state") != "Ready"), "")


def _gates(job: AnyJob) -> str:
    """Those of others: ours is what Held means."""
    gates = parts.pairs(job.body, "metadata", "annotations").get(GATE, "").split(",")
    return ", ".join(sorted({gate.strip() for gate in gates} - {HOLD, ""}))


def _queued(job: AnyJob, now: datetime) -> str:
    if job.workload is None:
        return "Kueue doesn't know it" if now - job.created > GRACE else ""
    if parts.holds(job.workload, "QuotaReserved"):
        check = check_that_waits(job)
        return f"check {check}" if check else ""
    again = parts.instant(job.workload, "status", "requeueState", "requeueAt")
    if again and again > now:
        return f"tried again in {int((again - now).total_seconds()) // 60 + 1}m"
    message = parts.text(parts.condition(job.workload, "QuotaReserved"), "message")
    for sign, words in _WAITING:
        if match := re.search(sign, message):
            return match.expand(words)
    return ""


def _evicted(job: AnyJob, status: Status) -> str:
    reason = parts.text(parts.condition(job.workload, "Evicted"), "reason")
    words = _EVICTED.get(reason, "")
    back = parts.holds(job.workload, "Admitted") and status is Status.EVICTED
    return _joined(words, "not put back" if back else "")


def _failed(job: AnyJob) -> str:
    if parts.text(job.body, "status", "failedIndexes"):
        return ""
    reason = parts.text(parts.condition(job.body, "Failed"), "reason")
    return _FAILED.get(reason, reason)


def _indexes(job: AnyJob) -> str:
    """``3 of 16 done, 1 failed`` for an array; else ``""``."""
    if parts.text(job.body, "spec", "completionMode") != "Indexed":
        return ""
    total, done, failed = index_counts(job)
    return f"{done} of {total} done" + (f", {failed} failed" if failed else "")


def index_counts(job: AnyJob) -> tuple[int, int, int]:
    """How many indexes there are, how many are done, how many failed."""
    status = parts.mapping(job.body, "status")
    total = parts.number(job.body, "spec", "completions") or 0
    return total, _size(parts.text(status, "completedIndexes")), _size(parts.text(status, "failedIndexes"))


def _size(ranges: str) -> int:
    """How many numbers ``0-3,7`` has."""
    total = 0
    for part in filter(None, ranges.split(",")):
        first, _, last = part.partition("-")
        total += int(last or first) - int(first) + 1
    return total


def _joined(*words: str) -> str:
    return ", ".join(filter(None, words))
