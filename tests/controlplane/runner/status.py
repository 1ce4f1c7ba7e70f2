"""What a pod's status says; pure.  States, reasons and messages are a kubelet's."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.controlplane.runner import instants
from tests.controlplane.runner.api import Resource

ADDRESS = "127.0.0.1"
LOST = "The container could not be located when the pod was terminated"
KILLED = 137
CONDITIONS = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady")


@dataclass(slots=True)
class ContainerRecord:
    """One container's state, as the status tells it; attempt counts its runs from 0."""

    name: str
    image: str
    state: Resource
    last_state: Resource = field(default_factory=dict)
    attempt: int = 0
    container_id: str = ""

    @property
    def exit_code(self) -> int | None:
        """The exit code of an ended container, None while it waits or runs."""
        return self.state["terminated"]["exitCode"] if "terminated" in self.state else None

    @property
    def is_running(self) -> bool:
        """Whether its command runs now."""
        return "running" in self.state

    def wait(self, reason: str, message: str = "") -> None:
        """It can't run yet; what ended before becomes the last state."""
        if "terminated" in self.state:
            self.last_state = self.state
        self.state = {"waiting": {"reason": reason} | ({"message": message} if message else {})}

    def run(self, started_ns: int, container_id: str) -> None:
        """Its command runs."""
        if "terminated" in self.state:
            self.last_state = self.state
        self.container_id = container_id
        self.state = {"running": {"startedAt": instants.to_seconds(started_ns)}}

    def end(self, exit_code: int, ended_ns: int, reason: str = "", message: str = "") -> None:
        """Its command has ended, or never began."""
        ended = instants.to_seconds(ended_ns)
        started = self.state.get("running", {}).get("startedAt", ended)
        self.state = {
            "terminated": {
                "exitCode": exit_code,
                "reason": reason or ("Error" if exit_code else "Completed"),
                "startedAt": started,
                "finishedAt": ended,
            }
            | ({"message": message} if message else {})
            | ({"containerID": self.container_id} if self.container_id else {})
        }

    def lose(self) -> None:
        """Nobody knows how it ended: the runner was away."""
        self.state = {"terminated": {"exitCode": KILLED, "reason": "ContainerStatusUnknown", "message": LOST}}
        if self.container_id:
            self.state["terminated"]["containerID"] = self.container_id

    def as_status(self) -> Resource:
        """v1.ContainerStatus."""
        return {
            "name": self.name,
            "image": self.image,
            "imageID": self.image if self.container_id else "",
            "ready": self.is_running,
            "started": self.is_running,
            "restartCount": self.attempt,
            "state": self.state,
            "lastState": self.last_state,
        } | ({"containerID": self.container_id} if self.container_id else {})


def restored(container: Resource, statuses: Iterable[Resource], reason: str) -> ContainerRecord:
    """A container's record: it waits for a reason, or is as an earlier runner left it; one that ran is lost."""
    record = ContainerRecord(container["name"], container.get("image", ""), {"waiting": {"reason": reason}})
    for known in statuses:
        if known["name"] == record.name:
            record.state = known.get("state") or record.state
            record.last_state = known.get("lastState") or {}
            record.attempt = known.get("restartCount", 0)
            record.container_id = known.get("containerID", "")
            if record.is_running:
                record.lose()
    return record


@dataclass(frozen=True, slots=True)
class PodState:
    """What a status is made from; reason and message only if the pod was ended for one."""

    phase: str
    started_ns: int
    init: Sequence[ContainerRecord]
    main: Sequence[ContainerRecord]
    has_volumes: bool
    reason: str = ""
    message: str = ""


def pod_status(pod: Resource, state: PodState, now_ns: int) -> Resource:
    """The patch of a pod's status; an empty text is null, or an old one would stay."""
    return {
        "phase": state.phase,
        "reason": state.reason or None,
        "message": state.message or None,
        "observedGeneration": pod["metadata"].get("generation"),
        "startTime": instants.to_seconds(state.started_ns),
        "hostIP": ADDRESS,
        "hostIPs": [{"ip": ADDRESS}],
        "podIP": ADDRESS,
        "podIPs": [{"ip": ADDRESS}],
        "conditions": conditions(pod, state, now_ns),
        "initContainerStatuses": [init_status(record) for record in state.init],
        "containerStatuses": [record.as_status() for record in state.main],
    }


def init_status(record: ContainerRecord) -> Resource:
    """The status of an init container, which is ready once it has succeeded."""
    return record.as_status() | {"ready": record.exit_code == 0}


def conditions(pod: Resource, state: PodState, now_ns: int) -> list[Resource]:
    """The four conditions a node owns; a transition time changes with the condition's status only."""
    before = {entry["type"]: entry for entry in (pod.get("status") or {}).get("conditions") or []}
    wanted = {
        "PodReadyToStartContainers": (state.has_volumes and not is_terminal(state.phase), "", ""),
        "Initialized": initialized(state),
        "Ready": readiness(state),
        "ContainersReady": readiness(state),
    }
    return [
        condition(kind, wanted[kind], before.get(kind), pod["metadata"].get("generation"), now_ns)
        for kind in CONDITIONS
    ]


def condition(
    kind: str, wanted: tuple[bool, str, str], before: Resource | None, generation: int | None, now_ns: int
) -> Resource:
    """One condition."""
    holds, reason, message = wanted
    status = "True" if holds else "False"
    unchanged = before is not None and before.get("status") == status
    since: Any = before.get("lastTransitionTime") if before is not None and unchanged else None
    return {
        "type": kind,
        "status": status,
        "reason": reason or None,
        "message": message or None,
        "observedGeneration": generation,
        "lastTransitionTime": since or instants.to_seconds(now_ns),
    }


def is_terminal(phase: str) -> bool:
    """Whether a pod of this phase is over."""
    return phase in {"Succeeded", "Failed"}


def initialized(state: PodState) -> tuple[bool, str, str]:
    """Whether all init containers have succeeded."""
    if state.phase == "Succeeded":
        return True, "PodCompleted", ""
    missing = [record.name for record in state.init if record.exit_code != 0]
    if missing and not any(record.container_id for record in state.main):
        return False, "ContainersNotInitialized", f"containers with incomplete status: [{' '.join(missing)}]"
    return True, "", ""


def readiness(state: PodState) -> tuple[bool, str, str]:
    """Whether every container runs; nothing is probed."""
    if is_terminal(state.phase):
        return False, "PodCompleted" if state.phase == "Succeeded" else "PodFailed", ""
    unready = [record.name for record in state.main if not record.is_running]
    if unready:
        return False, "ContainersNotReady", f"containers with unready status: [{' '.join(unready)}]"
    return True, "", ""


def phase_of(main: Sequence[ContainerRecord]) -> str:
    """The phase of a pod that goes on: Running from the first start of any container."""
    return "Running" if any(record.container_id for record in main) else "Pending"


def final_phase(records: Sequence[ContainerRecord]) -> str:
    """The phase of a pod whose containers have all ended."""
    return "Succeeded" if all(record.exit_code == 0 for record in records) else "Failed"
