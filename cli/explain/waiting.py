"""Why a job has no running pod yet, in the words of whoever holds it up. The first answer; it is no diagnosis."""

from collections.abc import Sequence

from cli.explain.status import condition
from reconciler.cluster import Body


def reason(workload: Body | None, pods: Sequence[Body]) -> str:
    """One sentence, or ``""`` where nobody says anything."""
    if workload is None and not pods:
        return "Kueue hasn't taken it up yet"
    if workload and not condition(workload, "Admitted"):
        return _message(workload, "QuotaReserved")
    return next(filter(None, map(_of_pod, pods)), "")


def has_started(pod: Body) -> bool:
    """Whether there is, or was, a process whose output can be read."""
    return any(state.get("running") or state.get("terminated") for state in _states(pod))


def end_of(pod: Body) -> str:
    """How a pod's container ended: ``exit code 3``, ``OOMKilled, exit code 137``; ``""`` for success or no end."""
    for state in _states(pod):
        ended = state.get("terminated")
        if ended and ended.get("exitCode"):
            named = "" if ended.get("reason", "Error") == "Error" else f"{ended['reason']}, "
            return f"{named}exit code {ended['exitCode']}"
    return ""


def _of_pod(pod: Body) -> str:
    for state in _states(pod):
        waiting = state.get("waiting")
        if waiting and waiting.get("reason") != "ContainerCreating":
            return ": ".join(filter(None, (waiting.get("reason"), waiting.get("message"))))
    return _message(pod, "PodScheduled")


def _states(pod: Body) -> Sequence[Body]:
    return [one.get("state", {}) for one in pod.get("status", {}).get("containerStatuses", ())]


def _message(body: Body, kind: str) -> str:
    """The message of a condition that isn't true."""
    found = (one for one in body.get("status", {}).get("conditions", ()) if one["type"] == kind)
    return next((one.get("message", "") for one in found if one["status"] != "True"), "")
