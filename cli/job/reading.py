"""The jobs of projects, with their Workloads and places in the queue: few requests, side by side."""

from collections.abc import Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from cli import clock, parts
from cli.catalogue import Entry
from cli.connection import AT_ONCE
from cli.explain.jobs import AnyJob, joined, other_kinds
from cli.explain.overview import WAITING
from cli.job.positions import Positions, local, read_positions
from cli.job.reach import Reach
from cli.job.shapes import JOB_NAMES, JOBS, WORKLOAD_NAMES, WORKLOADS
from reconciler.cluster import Body, Cluster, Resource
from reconciler.errors import Forbidden, NotFound
from reconciler.kinds import JOB, WORKLOAD

_NOWHERE = Positions({})


@dataclass(frozen=True, slots=True)
class Found:
    """Jobs, newest first, and where they stand."""

    jobs: Sequence[AnyJob]
    positions: Positions = _NOWHERE


def read_jobs(cluster: Cluster, entry: Entry, *, positions: bool) -> Found:
    """A project's jobs: three LISTs side by side, and one more for each other kind of job. Raises: ClusterError."""
    with ThreadPoolExecutor(1) as pool:
        places = pool.submit(read_positions, cluster, local(entry.namespace, entry.queue)) if positions else None
        bodies = _read(cluster, entry.namespace)
        return Found(joined(*bodies, clock.now()), places.result() if places else _NOWHERE)


def read_everywhere(cluster: Cluster, reach: Reach, *, positions: bool) -> Found:
    """The jobs of all projects in reach, and then their places where any wait. Raises: ClusterError."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(lambda namespace: _read(cluster, namespace), reach.namespaces))
    jobs, workloads, others = (reach.own([body for answer in answers for body in answer[kind]]) for kind in range(3))
    found = joined(jobs, workloads, others, clock.now())
    queues = reach.queues(waiting_in(found)) if positions else ()
    return Found(found, read_positions(cluster, *queues))


def waiting_in(jobs: Iterable[AnyJob]) -> Collection[str]:
    """The namespaces in which any job has a place in a queue."""
    return {job.namespace for job in jobs if job.workload and job.status in WAITING}


def read_names(cluster: Cluster, namespace: str) -> Sequence[AnyJob]:
    """The jobs, of each and of its Workload the metadata alone: enough to find one. Raises: ClusterError."""
    return joined(*_read(cluster, namespace, JOB_NAMES, WORKLOAD_NAMES))


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


def _read(
    cluster: Cluster, namespace: str, of_jobs: Resource = JOBS, of_workloads: Resource = WORKLOADS
) -> tuple[Sequence[Body], Sequence[Body], Sequence[Body]]:
    """Jobs, Workloads, and metadata of jobs of other kinds."""
    with ThreadPoolExecutor(1) as pool:
        jobs = pool.submit(cluster.list, of_jobs, namespace=namespace)
        workloads = cluster.list(of_workloads, namespace=namespace).items
        return jobs.result().items, workloads, read_others(cluster, namespace, workloads)


def _metadata(cluster: Cluster, kind: Resource, namespace: str) -> Sequence[Body]:
    try:
        return cluster.list(kind, namespace=namespace).items
    except (Forbidden, NotFound):  # the Workload says what is needed most
        return []
