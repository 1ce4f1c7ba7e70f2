"""How jobs end, as exit codes, and waiting for it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from cli.explain.jobs import JOB_UID
from cli.explain.status import ENDED, Status, status_of
from cli.job import live
from cli.job.live import Source, View
from reconciler.cluster import Body, Cluster
from reconciler.kinds import JOB, WORKLOAD

SUCCEEDED, FAILED, UNFINISHED, UNKNOWN, STOPPED = 0, 100, 101, 102, 103

_CODES: Mapping[Status, int] = {
    Status.SUCCEEDED: SUCCEEDED,
    Status.FAILED: FAILED,
    Status.TIMED_OUT: FAILED,
    Status.STOPPED: STOPPED,
}


@dataclass(frozen=True, slots=True)
class Fate:
    """Where a job stands: its status as last seen, and whether it was deleted."""

    status: Status
    deleted: bool = False

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen by itself."""
        return self.deleted or self.status in ENDED

    @property
    def code(self) -> int:
        """The exit code. What had ended before it was deleted keeps its end."""
        return _CODES.get(self.status, STOPPED if self.deleted else UNFINISHED)

    def __str__(self) -> str:
        return "deleted" if self.deleted and self.status not in ENDED else self.status


def fate_of(view: View, job: Body) -> Fate:
    """Where the job stands in a view; one that the first list lacked was deleted before."""
    uid = job["metadata"]["uid"]
    there = view.there[JOB].get(uid)
    return Fate(status_of(there or view.gone.get(uid, job), workload_of(view, uid)), deleted=there is None)


def workload_of(view: View, uid: str) -> Body | None:
    """The Workload of a job, the last one where it is gone."""
    known = [*view.gone.values(), *view.all(WORKLOAD)]
    return next((one for one in reversed(known) if one["metadata"].get("labels", {}).get(JOB_UID) == uid), None)


def sources(jobs: Sequence[Body]) -> Sequence[Source]:
    """What to watch for these jobs: one alone is picked by the server."""
    if len(jobs) > 1:
        return [Source(JOB), Source(WORKLOAD)]
    meta = jobs[0]["metadata"]
    return [Source(JOB, fields=f"metadata.name={meta['name']}"), Source(WORKLOAD, labels=f"{JOB_UID}={meta['uid']}")]


def wait_for(
    cluster: Cluster,
    namespace: str,
    jobs: Sequence[Body],
    *,
    until: float | None,
    tell: Callable[[Mapping[str, Fate]], None],
) -> Mapping[str, Fate]:
    """Name -> fate, once all have ended or ``until`` (by `clock.elapsed`) has come. Raises: ClusterError.

    ``tell`` is given them now and then meanwhile.
    """
    fates = {job["metadata"]["name"]: Fate(status_of(job, None)) for job in jobs}
    for view in live.watch(cluster, namespace, sources(jobs), until=until):
        fates = {job["metadata"]["name"]: fate_of(view, job) for job in jobs}
        if all(fate.ended for fate in fates.values()):
            break
        tell(fates)
    return fates
