"""What must be known of the cluster before a job is sent: the project, the caller's place in it, its queue's world."""

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from cli import selection
from cli.catalogue import may, whom_to_ask
from cli.job.checkout import provenance
from cli.selection import Current
from reconciler.cluster import Body, Cluster, Resource
from reconciler.errors import Forbidden, JobqError, NotFound, UsageError
from reconciler.kinds import (
    CLAIM,
    CLUSTER_QUEUE,
    COHORT,
    JOB,
    LIMIT_RANGE,
    PRIORITY_CLASS,
    RESOURCE_FLAVOR,
)
from reconciler.model import Role

_OWN = (LIMIT_RANGE, CLAIM)
"""What is read of the project's namespace."""
Bodies = Sequence[Body] | None
"""All objects of a kind; None where they can't be read, and so nothing can be judged by them."""


@dataclass(frozen=True, slots=True)
class Ground:
    """The project and all that its queue's answer hangs on, read at once."""

    current: Current
    priority_classes: Bodies
    cluster_queues: Bodies
    cohorts: Bodies
    flavors: Bodies
    limit_ranges: Bodies
    claims: Bodies
    provenance: Mapping[str, str]

    @property
    def cluster_queue(self) -> Body | None:
        """The project's, where it can be read and exists."""
        return _named(self.cluster_queues, self.current.entry.cluster_queue)

    def flavor(self, name: str, origin: str) -> Body:
        """A ResourceFlavor of the project's queue; empty for no name. Raises: UsageError with those there are."""
        if not name:
            return {}
        queue = self.cluster_queue
        offered = None if queue is None else flavors_of(queue)
        if offered is not None and name not in offered:
            raise UsageError(
                f"{origin}: {name!r} is no flavor of the queue {self.current.entry.cluster_queue}",
                hint=f"there are: {', '.join(offered) or 'none'}",
            )
        found = _named(self.flavors, name)
        if found is None:
            raise JobqError(f"the flavor {name!r} doesn't exist, or may not be read", hint="ask the admins")
        return found

    def missing(self, claims: Iterable[str]) -> Sequence[str]:
        """Those of these claims that aren't there; none where that can't be told."""
        return [] if self.claims is None else [name for name in claims if _named(self.claims, name) is None]

    def check_priority(self, name: str) -> None:
        """Kueue makes no Workload for a class that isn't there, and says so nowhere. Raises: UsageError."""
        if name and self.priority_classes is not None and _named(self.priority_classes, name) is None:
            known = sorted(body["metadata"]["name"] for body in self.priority_classes)
            raise UsageError(f"there is no priority class {name!r}", hint=f"there are: {', '.join(known) or 'none'}")


def survey(cluster: Cluster, project: str, folder: Path) -> Ground:
    """Everything, in one round trip where the namespace is called as the project is, else in two.

    Raises: UsageError, Forbidden and other ClusterErrors.
    """
    with ThreadPoolExecutor(7) as pool:

        def ask(kinds: Iterable[Resource], namespace: str = "") -> Sequence[Future[Bodies]]:
            return [pool.submit(_readable, cluster, kind, namespace) for kind in kinds]

        shared = ask((PRIORITY_CLASS, CLUSTER_QUEUE, COHORT, RESOURCE_FLAVOR))
        origin = pool.submit(provenance, folder)
        likely = [choice.name for choice in selection.said(project, cluster.address)[:1]]
        own = {namespace: ask(_OWN, namespace) for namespace in likely}
        current = _ready(cluster, project)
        namespace = current.entry.namespace
        every = [*shared, *(own.get(namespace) or ask(_OWN, namespace))]
        classes, queues, cohorts, flavors, limits, claims = (one.result() for one in every)
        return Ground(current, classes, queues, cohorts, flavors, limits, claims, origin.result())


def flavors_of(cluster_queue: Body) -> Sequence[str]:
    """The names of a ClusterQueue's flavors, in Kueue's order."""
    groups = cluster_queue["spec"].get("resourceGroups", ())
    return list(dict.fromkeys(flavor["name"] for group in groups for flavor in group["flavors"]))


def _ready(cluster: Cluster, flag: str) -> Current:
    """The project, once it is clear that jobs can be made there. Raises: UsageError, Forbidden."""
    current = selection.resolved(cluster, flag)
    entry = current.entry
    if entry.state == "archived":
        raise JobqError(f"project {entry.name!r} is archived since {entry.archived_on}", hint="choose another project")
    if entry.state != "active":
        raise JobqError(f"project {entry.name!r} is {entry.state}: it takes no jobs", hint=whom_to_ask(entry))
    role = current.role
    if role in {None, Role.VIEWER} and not may(cluster, "create", JOB, entry.namespace):  # no member, and yet allowed
        viewer = f"you ({current.caller.name}) are a viewer of project {entry.name!r}"
        raise Forbidden(viewer if role else current.foreign, hint=whom_to_ask(entry))
    selection.warn_stranger(current)
    return current


def _readable(cluster: Cluster, resource: Resource, namespace: str = "") -> Bodies:
    try:
        return cluster.list(resource, namespace=namespace).items
    except (Forbidden, NotFound):
        return None


def _named(bodies: Bodies, name: str) -> Body | None:
    return next((body for body in bodies or () if body["metadata"]["name"] == name), None)
