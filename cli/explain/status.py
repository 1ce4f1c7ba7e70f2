"""One word for how a job fares, the same in every command.

What Kueue says comes before what the Job says: a suspended Job doesn't know why. Reasons and conditions are those of
https://kueue.sigs.k8s.io/docs/concepts/workload/ and https://kubernetes.io/docs/concepts/workloads/controllers/job/.
"""

from datetime import datetime, timedelta
from enum import StrEnum

from cli import parts
from cli.parts import Json

GATE = "kueue.x-k8s.io/admission-gated-by"
GRACE = timedelta(seconds=30)
"""How long Kueue and the Job controller may take to act on what was decided."""
_TIME_LIMIT = "MaximumExecutionTimeExceeded"


class Status(StrEnum):
    """The vocabulary."""

    QUEUED = "Queued"
    HELD = "Held"
    STARTING = "Starting"
    STUCK = "Stuck"
    """Kueue lets it run, and yet nothing happens: somebody has to look."""
    RUNNING = "Running"
    STOPPING = "Stopping"
    STOPPED = "Stopped"
    TIMED_OUT = "TimedOut"
    EVICTED = "Evicted"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"


ENDED = frozenset({Status.SUCCEEDED, Status.FAILED, Status.TIMED_OUT, Status.STOPPED})
"""Nothing more happens by itself."""


def status_of(job: Json, workload: Json | None, now: datetime | None = None) -> Status:
    """The word for a job and its Workload; None where Kueue has made none, or not yet.

    Of another kind than Job, ``job`` may be its metadata alone: the Workload tells all.
    Only with ``now`` can it be told that something takes too long.
    """
    if "spec" not in job or parts.text(job, "kind") not in {"", "Job"}:
        return _of_other_kind(job, workload)
    fate = _fate(job) or _of_finished(workload)
    if fate:
        return fate
    if parts.text(job, "metadata", "deletionTimestamp"):
        return Status.STOPPING
    if workload is None:
        return Status.QUEUED if _suspended(job) else _of_pods(job)
    return _of_workload(job, workload, now)


def condition(body: Json, kind: str) -> Json | None:
    """The condition of that type, where it is true."""
    return parts.condition(body, kind) if parts.holds(body, kind) else None


def _fate(job: Json) -> Status | None:
    """The end, known as soon as the Job controller has decided on it."""
    if condition(job, "Complete") or condition(job, "SuccessCriteriaMet"):
        return Status.SUCCEEDED
    failed = condition(job, "Failed") or condition(job, "FailureTarget")
    if failed:
        return Status.TIMED_OUT if failed.get("reason") == "DeadlineExceeded" else Status.FAILED
    return None


def _of_finished(workload: Json | None) -> Status | None:
    """The end as Kueue knows it, which may be before the Job says it, or without."""
    finished = condition(workload, "Finished") if workload else None
    return end_of(finished) if finished else None


def end_of(finished: Json) -> Status:
    """What a Workload's condition ``Finished`` tells; older releases of Kueue told failure in words alone.

    Of a job that was deleted nobody knows how it would have ended: it is Stopping.
    """
    reason, message = parts.text(finished, "reason"), parts.text(finished, "message")
    if reason == "OwnerNotFound":
        return Status.STOPPING
    success = reason in {"Succeeded", "JobFinished"} and "fail" not in message.lower()
    return Status.SUCCEEDED if success else Status.FAILED


def _of_other_kind(job: Json, workload: Json | None) -> Status:
    """What Kueue says of it, and of its pods where it looks after them (``PodsReady``)."""
    finished = _of_finished(workload)
    if finished:
        return finished
    if parts.text(job, "metadata", "deletionTimestamp"):
        return Status.STOPPING
    if workload is None:
        return Status.QUEUED
    watched = parts.condition(workload, "PodsReady")
    running = not watched or parts.holds(workload, "PodsReady")
    stand_in = {"metadata": parts.mapping(job, "metadata"), "spec": {}, "status": {"ready": 1 if running else 0}}
    return _of_workload(stand_in, workload)


def _of_workload(job: Json, workload: Json, now: datetime | None = None) -> Status:
    reason = parts.text(condition(workload, "Evicted"), "reason")
    if parts.flag(workload, "spec", "active") is False:
        return _of_inactive(job, reason)
    if parts.text(job, "metadata", "annotations", GATE) and not parts.holds(workload, "QuotaReserved"):
        return Status.HELD
    if condition(workload, "Evicted") and not reason.startswith("Deactivated"):  # resumed: it waits as if it were new
        return Status.EVICTED
    if parts.holds(workload, "Admitted"):
        elsewhere = parts.text(workload, "status", "clusterName")  # by MultiKueue: here it stays suspended
        return _of_suspended(workload, now) if _suspended(job) and not elsewhere else _of_pods(job)
    return Status.QUEUED


def _of_suspended(workload: Json, now: datetime | None) -> Status:
    """Admitted, and not let go: for a moment that is how a job starts."""
    admitted = parts.instant(parts.condition(workload, "Admitted"), "lastTransitionTime")
    return Status.STUCK if now and admitted and now - admitted >= GRACE else Status.STARTING


def _of_inactive(job: Json, reason: str) -> Status:
    pods = parts.mapping(job, "status")
    if not reason or pods.get("active") or pods.get("terminating"):
        return Status.STOPPING
    return Status.TIMED_OUT if reason.endswith(_TIME_LIMIT) else Status.STOPPED


def _of_pods(job: Json) -> Status:
    """Running from the first ready pod on; a pod that has ended was running, and the next may be on its way."""
    status = parts.mapping(job, "status")
    ended = parts.mapping(status, "uncountedTerminatedPods")
    if any(status.get(count) for count in ("ready", "succeeded", "failed")) or any(ended.values()):
        return Status.RUNNING
    return Status.STARTING


def _suspended(job: Json) -> bool:
    return parts.flag(job, "spec", "suspend") is True
