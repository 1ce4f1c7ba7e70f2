"""How jobs end, as exit codes, and waiting for it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from cli.exits import Exit
from cli.explain.jobs import JOB_UID, AnyJob
from cli.explain.status import ENDED, Status, status_of
from cli.job import live
from cli.job.live import Source, View
from reconciler.cluster import Body, Cluster
from reconciler.kinds import EVENT, JOB, WORKLOAD

SUCCEEDED, FAILED, UNFINISHED, UNKNOWN, STOPPED = 0, 100, 101, 102, 103

_CODES: Mapping[Status, int] = {
    Status.SUCCEEDED: SUCCEEDED,
    Status.FAILED: FAILED,
    Status.TIMED_OUT: FAILED,
    Status.STOPPED: STOPPED,
}


_TOLD_BY_EVENTS: Mapping[str, Status] = {
    "Completed": Status.SUCCEEDED,
    "SuccessCriteriaMet": Status.SUCCEEDED,
    "BackoffLimitExceeded": Status.FAILED,
    "FailedIndexes": Status.FAILED,
    "MaxFailedIndexesExceeded": Status.FAILED,
    "PodFailurePolicy": Status.FAILED,
    "DeadlineExceeded": Status.TIMED_OUT,
}
"""Reasons of a Job's events -> how it ended. Events outlive their Job by an hour."""


@dataclass(frozen=True, slots=True)
class Fate:
    """Where a job stands: its status as last seen, whether it was deleted, and whether that was only found out later.

    What became of a job between the last look and such a deletion, the job itself doesn't tell any more.
    """

    status: Status
    deleted: bool = False
    unseen: bool = False

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen by itself."""
        return self.deleted or self.status in ENDED

    @property
    def known(self) -> bool:
        """Whether it is certain how it ended."""
        return self.status in ENDED or not self.unseen

    @property
    def code(self) -> int:
        """The exit code. What had ended before it was deleted keeps its end."""
        if not self.known:
            return Exit.ERROR
        return _CODES.get(self.status, STOPPED if self.deleted else UNFINISHED)

    def __str__(self) -> str:
        if not self.known:
            return f"gone; it was {self.status} when last seen, and how it ended can't be known"
        return "deleted" if self.deleted and self.status not in ENDED else self.status


def fate_of(view: View, job: AnyJob) -> Fate:
    """Where a job stands in a view; a Job that the first list lacked was deleted before.

    Of another kind than Job, the Workload tells all; when that goes, so has the job.
    """
    last = workload_of(view, job)
    if job.resource == JOB:
        deleted = job.uid not in view.there[JOB]
        unseen = deleted and (job.uid not in view.gone or job.uid in view.unseen)
        return Fate(status_of(last_of(view, job), last), deleted, unseen)
    deleted = last is None or last["metadata"]["uid"] not in view.there[WORKLOAD]
    return Fate(status_of(job.body, last or job.workload or {}), deleted, deleted and _workload_uid(job) in view.unseen)


def last_of(view: View, job: AnyJob) -> Body:
    """A Job as it was last seen; of another kind what is known of it."""
    if job.resource != JOB:
        return job.body
    return view.there[JOB].get(job.uid) or view.gone.get(job.uid, job.body)


def settled(cluster: Cluster, job: Body, fate: Fate) -> Fate:
    """The same, or how the Job ended where only its events still tell. Raises: ClusterError."""
    if fate.known:
        return fate
    meta = job["metadata"]
    events = cluster.list(EVENT, namespace=meta["namespace"], fields=f"involvedObject.uid={meta['uid']}").items
    ends = [_TOLD_BY_EVENTS[one["reason"]] for one in events if one.get("reason") in _TOLD_BY_EVENTS]
    return replace(fate, status=ends[-1]) if ends else fate


def workload_of(view: View, job: AnyJob) -> Body | None:
    """The Workload of a job, the last one where it is gone."""
    known = [*view.gone.values(), *view.all(WORKLOAD)]
    return next((one for one in reversed(known) if _is_of(one, _uids(job))), None)


def sources(jobs: Sequence[AnyJob]) -> Sequence[Source]:
    """What to watch for these jobs: one alone is picked by the server."""
    if len(jobs) > 1:
        return [Source(JOB), Source(WORKLOAD)]
    [job] = jobs
    if job.resource == JOB:
        labelled = Source(WORKLOAD, labels=f"{JOB_UID}={job.uid}")
        return [Source(JOB, fields=f"metadata.name={job.name}"), labelled]
    return [Source(WORKLOAD, fields=f"metadata.name={job.workload['metadata']['name']}" if job.workload else "")]


def wait_for(
    cluster: Cluster,
    namespace: str,
    jobs: Sequence[AnyJob],
    *,
    until: float | None,
    tell: Callable[[Mapping[str, Fate]], None],
) -> Mapping[str, Fate]:
    """Name -> fate, once all have ended or ``until`` (by `clock.elapsed`) has come. Raises: ClusterError.

    ``tell`` is given them now and then meanwhile.
    """
    fates = {job.name: Fate(job.status) for job in jobs}
    uids = {uid for job in jobs for uid in _uids(job)}
    for view in live.watch(cluster, namespace, sources(jobs), until=until, keeps=lambda body: _is_of(body, uids)):
        fates = {job.name: fate_of(view, job) for job in jobs}
        if all(fate.ended for fate in fates.values()):
            return {job.name: settled(cluster, job.body, fates[job.name]) for job in jobs}
        tell(fates)
    return fates


def _workload_uid(job: AnyJob) -> str:
    return str(job.workload["metadata"]["uid"]) if job.workload else ""


def _uids(job: AnyJob) -> set[str]:
    return {job.uid, _workload_uid(job)}


def _is_of(body: Body, uids: set[str]) -> bool:
    meta = body["metadata"]
    return bool({meta["uid"], meta.get("labels", {}).get(JOB_UID)} & uids)
