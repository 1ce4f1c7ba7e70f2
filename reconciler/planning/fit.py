"""Whether what a cluster's admins have set up fits the projects: their queues, and what jobs get that name no class."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from reconciler.model import Body, Project
from reconciler.selectors import selects

DEFAULT_CLASS = "default"
"""The WorkloadPriorityClass that Kueue's gate WorkloadPriorityClassDefaulting gives to jobs without one."""


class Fault(StrEnum):
    """What is wrong with a ClusterQueue for projects that name it."""

    ABSENT = "absent"
    STOPPED = "stopped"
    UNSELECTED = "unselected"
    """Its namespaceSelector doesn't match their namespaces."""


@dataclass(frozen=True, slots=True)
class Misfit:
    """A ClusterQueue that doesn't do what these projects need of it."""

    queue: str
    fault: Fault
    projects: Sequence[str]


def misfits(
    queues: Mapping[str, Body], wanted: Mapping[str, str], labels: Mapping[str, Mapping[str, str]]
) -> Iterator[Misfit]:
    """Queue by queue. ``wanted``: project -> ClusterQueue; ``labels``: project -> those of its Namespace, as known."""
    users: dict[str, list[str]] = {}
    for project, queue in wanted.items():
        users.setdefault(queue, []).append(project)
    for queue, projects in users.items():
        if queue not in queues:
            yield Misfit(queue, Fault.ABSENT, projects)
            continue
        spec = queues[queue]["spec"]
        if spec.get("stopPolicy", "None") != "None":
            yield Misfit(queue, Fault.STOPPED, projects)
        selector = spec.get("namespaceSelector")
        if missed := [name for name in projects if name in labels and not selects(selector, labels[name])]:
            yield Misfit(queue, Fault.UNSELECTED, missed)


@dataclass(frozen=True, slots=True)
class ShutOut:
    """A class that the cluster gives to jobs that name none, and the projects whose lists don't allow it."""

    kind: str
    """``WorkloadPriorityClass``: such jobs are refused; ``PriorityClass``: they stay suspended."""
    name: str
    projects: Sequence[str]


def shut_out(projects: Iterable[Project], classes: Iterable[Body], pod_classes: Iterable[Body]) -> Iterator[ShutOut]:
    """Those classes; a project without a list allows them all."""
    lists = {project.name: project.priorities for project in projects if project.priorities is not None}
    lacking = sorted(name for name, allowed in lists.items() if DEFAULT_CLASS not in allowed)
    if lacking and any(body["metadata"]["name"] == DEFAULT_CLASS for body in classes):
        yield ShutOut("WorkloadPriorityClass", DEFAULT_CLASS, lacking)
    for body in pod_classes:
        if lists and body.get("globalDefault"):
            yield ShutOut("PriorityClass", body["metadata"]["name"], sorted(lists))
