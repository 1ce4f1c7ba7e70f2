"""The jobs of projects, with their Workloads and places in the queue: few requests, side by side."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from cli import clock, parts, selection
from cli.catalogue import Caller, Entry, read_catalogue, role_in
from cli.explain.jobs import AnyJob, joined, other_kinds
from cli.explain.standing import Position
from cli.job.positions import Positions, read_positions
from cli.job.shapes import JOB_NAMES, JOBS, WORKLOAD_NAMES, WORKLOADS
from reconciler.cluster import Body, Cluster, Resource
from reconciler.errors import Forbidden, NotFound
from reconciler.kinds import JOB, WORKLOAD

_NOTHING = Positions({})


@dataclass(frozen=True, slots=True)
class Found:
    """Jobs, newest first, and where they stand, by the namespace and name of their Workloads."""

    jobs: Sequence[AnyJob]
    positions: Mapping[tuple[str, str], Position] = field(default_factory=dict)
    unknown: str = ""
    """Why positions, or some of them, aren't known."""


def read_jobs(cluster: Cluster, entry: Entry, *, positions: bool) -> Found:
    """A project's jobs: three LISTs side by side, and one more for each other kind of job. Raises: ClusterError."""
    with ThreadPoolExecutor(2) as pool:
        jobs = pool.submit(cluster.list, JOBS, namespace=entry.namespace)
        places = pool.submit(read_positions, cluster, entry.namespace, entry.queue) if positions else None
        workloads = cluster.list(WORKLOADS, namespace=entry.namespace).items
        others = read_others(cluster, entry.namespace, workloads)
        found = joined(jobs.result().items, workloads, others, clock.now())
        placed = places.result() if places else _NOTHING
    return Found(found, {(entry.namespace, name): one for name, one in placed.of.items()}, placed.problem)


def read_everywhere(cluster: Cluster, caller: Caller, *, positions: bool) -> Found:
    """The jobs of all projects that the caller may read: for an administrator those of all. Raises: ClusterError."""
    entries = read_catalogue(cluster)
    try:
        return _of_all(cluster, entries)
    except Forbidden:
        mine = [entry for entry in entries if role_in(entry, caller, clock.today())]
    with ThreadPoolExecutor(8) as pool:
        parts = list(pool.map(lambda entry: read_jobs(cluster, entry, positions=positions), mine))
    jobs = sorted((job for part in parts for job in part.jobs), key=lambda job: (job.created, job.name), reverse=True)
    places = {key: one for part in parts for key, one in part.positions.items()}
    return Found(jobs, places, next((part.unknown for part in parts if part.unknown), ""))


def read_names(cluster: Cluster, namespace: str) -> Sequence[AnyJob]:
    """The jobs, of each and of its Workload the metadata alone: enough to find one. Raises: ClusterError."""
    jobs, workloads = selection.together(
        lambda: cluster.list(JOB_NAMES, namespace=namespace).items,
        lambda: cluster.list(WORKLOAD_NAMES, namespace=namespace).items,
    )
    return joined(jobs, workloads, read_others(cluster, namespace, workloads))


def read_whole(cluster: Cluster, job: AnyJob) -> AnyJob:
    """The same with all that is known of it. Raises: NotFound where it has gone meanwhile, and other ClusterErrors."""
    where = job.namespace
    body = cluster.get(JOB, job.name, namespace=where) if job.resource == JOB else job.body
    workload = cluster.get(WORKLOAD, parts.name(job.workload), namespace=where) if job.workload else None
    return AnyJob(job.resource, body, workload, clock.now())


def read_others(cluster: Cluster, namespace: str, workloads: Sequence[Body]) -> Sequence[Body]:
    """Metadata of the jobs of other kinds that own these Workloads; what can't be read is left out."""
    found: list[Body] = []
    for kind in other_kinds(workloads):
        found += _metadata(cluster, kind, namespace)
    return found


def _metadata(cluster: Cluster, kind: Resource, namespace: str) -> Sequence[Body]:
    try:
        return cluster.list(kind, namespace=namespace).items
    except (Forbidden, NotFound):  # the Workload says what is needed most
        return []


def _of_all(cluster: Cluster, entries: Sequence[Entry]) -> Found:
    known = {entry.namespace for entry in entries}
    jobs, workloads = selection.together(lambda: cluster.list(JOBS), lambda: cluster.list(WORKLOADS))
    bodies = [one for one in jobs.items if one["metadata"]["namespace"] in known]
    theirs = [one for one in workloads.items if one["metadata"]["namespace"] in known]
    return Found(joined(bodies, theirs, read_others(cluster, "", theirs), clock.now()))
