"""Following one job: its log as it is written, and what it waits for, until it ends."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from cli import clock, console
from cli.explain import waiting
from cli.explain.status import status_of
from cli.job import live
from cli.job.fate import Fate, fate_of, sources, workload_of
from cli.job.live import Source, View
from reconciler.cluster import Body, Cluster
from reconciler.errors import NotFound, Rejected
from reconciler.kinds import POD

WORTH_TELLING_SECONDS = 0.5
"""What a job only passes through isn't said."""
JOB_POD = "batch.kubernetes.io/controller-uid"


@dataclass(frozen=True, slots=True)
class Shown:
    """How much of a log is shown."""

    tail: int | None = None
    timestamps: bool = False


@dataclass(slots=True)
class _Follower:
    cluster: Cluster
    job: Body
    shown: Shown | None
    told: str = ""
    unread: str = ""
    next: tuple[str, float] = ("", 0.0)
    seen: set[str] = field(default_factory=set)

    @property
    def name(self) -> str:
        return str(self.job["metadata"]["name"])

    def show(self, pods: Sequence[Body]) -> None:
        """Print each pod's log to its end, once."""
        for pod in in_order(pods):
            uid = pod["metadata"]["uid"]
            if self.shown and uid not in self.seen and waiting.has_started(pod) and self._print(pod, self.shown):
                self.seen.add(uid)

    def tell(self, fate: Fate, view: View, pods: Sequence[Body]) -> None:
        """Say what it waits for, whenever that changes, and how it ended."""
        if fate.ended:
            why = next(filter(None, map(waiting.end_of, reversed(in_order(pods)))), "")
        else:
            why = waiting.reason(workload_of(view, self.job["metadata"]["uid"]), pods)
        text = f"{self.name}: {fate}{f': {why}' if why else ''}"
        if text != self.next[0]:
            self.next = (text, clock.elapsed())
        lasted = clock.elapsed() - self.next[1] >= WORTH_TELLING_SECONDS
        if text != self.told and (fate.ended or (lasted and not self.seen)):
            console.talk(console.plain(text))
            self.told = text

    def _print(self, pod: Body, shown: Shown) -> bool:
        meta = pod["metadata"]
        tail = None if self.seen else shown.tail
        try:
            for piece in self.cluster.log(
                meta["name"], namespace=meta["namespace"], follow=True, tail=tail, timestamps=shown.timestamps
            ):
                console.out_bytes(piece)
        except (NotFound, Rejected) as error:  # not yet readable, or already gone: the next look tells
            self.unread = str(error)
            return False
        self.unread = ""
        return True


def follow(cluster: Cluster, job: Body, *, shown: Shown | None, until: float | None = None) -> Fate:
    """Tell, and show the log (not where ``shown`` is None), until the job ends or ``until``. Raises: ClusterError."""
    follower = _Follower(cluster, job, shown)
    namespace = job["metadata"]["namespace"]
    fate = Fate(status_of(job, None))
    for view in live.watch(cluster, namespace, [*sources([job]), pods_of(job)], until=until):
        fate = fate_of(view, job)
        if fate.ended:
            pods = _last_pods(cluster, job)
            follower.show(pods)
            if follower.unread:
                console.talk(console.plain(follower.unread))
            follower.tell(fate, view, pods)
            break
        follower.show(view.all(POD))
        follower.tell(fate, view, view.all(POD))
    return fate


def pods_of(job: Body) -> Source:
    """The pods of a job, whatever their names."""
    return Source(POD, labels=f"{JOB_POD}={job['metadata']['uid']}")


def in_order(pods: Sequence[Body]) -> Sequence[Body]:
    """Oldest first."""
    return sorted(pods, key=lambda pod: (pod["metadata"]["creationTimestamp"], pod["metadata"]["name"]))


def _last_pods(cluster: Cluster, job: Body) -> Sequence[Body]:
    """A short job's end may be known before its pod is."""
    return cluster.list(POD, namespace=job["metadata"]["namespace"], labels=pods_of(job).labels).items
