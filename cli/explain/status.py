"""One word for how a job fares, the same in every command.

What Kueue says comes before what the Job says: a suspended Job doesn't know why. Reasons and conditions are those of
https://kueue.sigs.k8s.io/docs/concepts/workload/ and https://kubernetes.io/docs/concepts/workloads/controllers/job/.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from reconciler.cluster import Body

GATE = "kueue.x-k8s.io/admission-gated-by"
_TIME_LIMIT = "MaximumExecutionTimeExceeded"


class Status(StrEnum):
    """The vocabulary."""

    QUEUED = "Queued"
    HELD = "Held"
    STARTING = "Starting"
    RUNNING = "Running"
    STOPPING = "Stopping"
    STOPPED = "Stopped"
    TIMED_OUT = "TimedOut"
    EVICTED = "Evicted"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"


ENDED = frozenset({Status.SUCCEEDED, Status.FAILED, Status.TIMED_OUT, Status.STOPPED})
"""Nothing more happens by itself."""


def status_of(job: Body, workload: Body | None) -> Status:
    """The word for a job and its Workload; None where Kueue has made none, or not yet.

    Of another kind than Job, ``job`` is its metadata alone: then the Workload tells all.
    """
    if "spec" not in job:
        return _of_other_kind(job, workload)
    fate = _fate(job)
    if fate:
        return fate
    if "deletionTimestamp" in job["metadata"]:
        return Status.STOPPING
    if workload is None:
        return Status.QUEUED if job["spec"].get("suspend") else _of_pods(job)
    return _of_workload(job, workload)


def condition(body: Body, kind: str) -> Mapping[str, Any] | None:
    """The condition of that type, where it is true."""
    for found in body.get("status", {}).get("conditions", ()):
        if found["type"] == kind and found["status"] == "True":
            return found  # type: ignore[no-any-return] # plain JSON
    return None


def _fate(job: Body) -> Status | None:
    """The end, known as soon as the Job controller has decided on it."""
    if condition(job, "Complete") or condition(job, "SuccessCriteriaMet"):
        return Status.SUCCEEDED
    failed = condition(job, "Failed") or condition(job, "FailureTarget")
    if failed:
        return Status.TIMED_OUT if failed.get("reason") == "DeadlineExceeded" else Status.FAILED
    return None


def _of_other_kind(job: Body, workload: Body | None) -> Status:
    """What Kueue says of it, and of its pods where it looks after them (``PodsReady``)."""
    finished = condition(workload, "Finished") if workload else None
    if finished:
        return Status.SUCCEEDED if finished.get("reason") == "Succeeded" else Status.FAILED
    if "deletionTimestamp" in job["metadata"]:
        return Status.STOPPING
    if workload is None:
        return Status.QUEUED
    ready = any(one["type"] == "PodsReady" for one in workload.get("status", {}).get("conditions", ()))
    running = condition(workload, "PodsReady") or not ready
    stand_in = {"metadata": job["metadata"], "spec": {}, "status": {"ready": 1 if running else 0}}
    return _of_workload(stand_in, workload)


def _of_workload(job: Body, workload: Body) -> Status:
    evicted = condition(workload, "Evicted")
    reason = evicted.get("reason", "") if evicted else ""
    if workload["spec"].get("active") is False:
        return _of_inactive(job, reason)
    if evicted and not reason.startswith("Deactivated"):  # resumed: it waits as if it were new
        return Status.EVICTED
    if condition(workload, "Admitted"):
        return Status.STARTING if job["spec"].get("suspend") else _of_pods(job)
    return Status.HELD if job["metadata"].get("annotations", {}).get(GATE) else Status.QUEUED


def _of_inactive(job: Body, reason: str) -> Status:
    pods = job.get("status", {})
    if not reason or pods.get("active") or pods.get("terminating"):
        return Status.STOPPING
    return Status.TIMED_OUT if reason.endswith(_TIME_LIMIT) else Status.STOPPED


def _of_pods(job: Body) -> Status:
    """Running from the first ready pod on; a pod that has ended was running, and the next may be on its way."""
    status = job.get("status", {})
    ended = status.get("uncountedTerminatedPods") or {}
    if any(status.get(count) for count in ("ready", "succeeded", "failed")) or any(ended.values()):
        return Status.RUNNING
    return Status.STARTING
