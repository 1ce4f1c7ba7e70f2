"""The containers of a pod, those that prepare it included."""

import re
from collections.abc import Sequence

from cli import parts
from cli.fit import words as amounts
from cli.parts import Json

CRASHING = "CrashLoopBackOff"
NO_COMMAND = re.compile(r'exec: "([^"]+)": (?:executable file not found|stat [^:]*: no such file)')
"""How a runtime says that an image doesn't have the command."""


def statuses(pod: Json) -> Sequence[Json]:
    """How each fares, in the order in which they start."""
    return [*parts.items(pod, "status", "initContainerStatuses"), *parts.items(pod, "status", "containerStatuses")]


def waiting(pod: Json) -> Sequence[tuple[Json, str]]:
    """The states of those that wait with a reason, and their images."""
    found = [(parts.mapping(one, "state", "waiting"), parts.text(one, "image")) for one in statuses(pod)]
    images = [parts.text(one, "image") for one in parts.items(pod, "spec", "containers")]
    return [(state, image or next(iter(images), "the image")) for state, image in found if state]


def crashing(pod: Json) -> Sequence[Json]:
    """The statuses of those that have ended and wait to be started again."""
    return [one for one in statuses(pod) if parts.text(one, "state", "waiting", "reason") == CRASHING]


def preparing(pod: Json) -> str:
    """The name of the init container that is at work, where one is; sidecars are none."""
    sidecars = {
        parts.text(one, "name")
        for one in parts.items(pod, "spec", "initContainers")
        if parts.text(one, "restartPolicy") == "Always"
    }
    names = [
        parts.text(one, "name")
        for one in parts.items(pod, "status", "initContainerStatuses")
        if parts.mapping(one, "state", "running")
    ]
    return next((name for name in names if name not in sidecars), "")


def beside(pod: Json, status: Json) -> str:
    """``init container fetch``, ``container metrics``: one that isn't the job's own; ``""`` for that."""
    name = parts.text(status, "name")
    if name in {parts.text(one, "name") for one in parts.items(pod, "status", "initContainerStatuses")}:
        return f"init container {name}"
    own = next((parts.text(one, "name") for one in parts.items(pod, "spec", "containers")), name)
    return "" if name == own else f"container {name}"


def exit_code(status: Json) -> int | None:
    """With what it ended, now or the last time."""
    code = parts.number(status, "state", "terminated", "exitCode")
    return parts.number(status, "lastState", "terminated", "exitCode") if code is None else code


def out_of_memory(status: Json) -> bool:
    """Whether it was killed for that, now or the last time."""
    return "OOMKilled" in {parts.text(status, key, "terminated", "reason") for key in ("state", "lastState")}


def memory_of(pod: Json, template: Json, status: Json) -> str:
    """``its 4Gi of memory``: the limit of that container, of the pod or of the template that it was made from."""
    specs = (parts.mapping(pod, "spec"), template)
    told = [one for spec in specs for kind in ("initContainers", "containers") for one in parts.items(spec, kind)]
    same = [one for one in told if parts.text(one, "name") == parts.text(status, "name")]
    limits = [parts.pairs(one, "resources", "limits").get("memory", "") for one in same]
    limit = next((amounts.size(parts.quantity(one)) for one in limits if one), "")
    return f"its {limit} of memory" if limit else "the memory it was given"


def has_started(pod: Json) -> bool:
    """Whether its own containers have, or had, a process whose output can be read."""
    return any(state.get("running") or state.get("terminated") for state in _states(pod))


def end_of(pod: Json) -> str:
    """How its own container ended: ``exit code 3``, ``OOMKilled, exit code 137``; ``""`` for success or no end."""
    for state in _states(pod):
        ended = parts.mapping(state, "terminated")
        if ended.get("exitCode"):
            named = "" if ended.get("reason", "Error") == "Error" else f"{ended['reason']}, "
            return f"{named}exit code {ended['exitCode']}"
    return ""


def held_up(pod: Json) -> str:
    """What keeps it from starting: ``ImagePullBackOff: ...``, the scheduler's words; ``""`` where nobody says."""
    for state in _states(pod):
        told = parts.mapping(state, "waiting")
        if told and told.get("reason") != "ContainerCreating":
            return ": ".join(filter(None, (parts.text(told, "reason"), parts.text(told, "message"))))
    scheduled = parts.condition(pod, "PodScheduled")
    return "" if parts.holds(pod, "PodScheduled") else parts.text(scheduled, "message")


def _states(pod: Json) -> Sequence[Json]:
    return [parts.mapping(one, "state") for one in parts.items(pod, "status", "containerStatuses")]
