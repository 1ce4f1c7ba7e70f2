"""Following one job: its log as it is written, and what it waits for, until it ends."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from cli import clock, console
from cli.explain.containers import has_started
from cli.explain.jobs import AnyJob
from cli.explain.why import explain
from cli.job import belonging, live, pods
from cli.job.fate import Fate, fate_of, last_of, settled, sources, workload_of
from cli.job.live import View
from cli.job.tailing import Outlet, Shown, Tails
from reconciler.cluster import Body, Cluster
from reconciler.kinds import POD
from reconciler.wording import counted

WORTH_TELLING_SECONDS = 0.5
"""What a job only passes through isn't said."""


@dataclass(frozen=True, slots=True)
class Wish:
    """Whose logs are shown, and which part."""

    shown: Shown = field(default_factory=Shown)
    index: int | None = None
    pod: str = ""
    all: bool = False
    """Earlier attempts too."""


@dataclass(frozen=True, slots=True)
class Followed:
    """How the job stands, and whether its logs were followed to their ends."""

    fate: Fate
    complete: bool

    @property
    def code(self) -> int:
        """The exit code: the job's fate."""
        return self.fate.code


@dataclass(slots=True)
class _Follower:
    cluster: Cluster
    job: AnyJob
    wish: Wish | None
    told: tuple[str, ...] = ()
    next: tuple[tuple[str, ...], float] = ((), 0.0)
    tails: Tails | None = None
    begun: bool = False

    def __post_init__(self) -> None:
        if self.wish:
            alone = not pods.is_parallel(self.job) or self.wish.index is not None or bool(self.wish.pod)
            outlet = Outlet(prefixed=not alone)
            self.tails = Tails(self.cluster, self.wish.shown, outlet, lambda pod: pods.prefix(pod, self.job))

    def show(self, found: Sequence[Body]) -> None:
        """Begin with the logs of pods that have begun."""
        if not (self.tails and self.wish):
            return
        self.tails.check()
        begun = [pod for pod in belonging.in_order(found) if has_started(pod)]
        there = pods.matching(begun, self.wish.index, self.wish.pod)
        first, self.begun = not self.begun, True
        if first and not self.wish.all:
            earlier = pods.earlier(there, self.job)
            self.tails.seen |= {pod["metadata"]["uid"] for pod in earlier}
            if earlier:
                console.talk(f"{counted(len(earlier), 'earlier attempt')} not shown; --all shows all")
        for pod in there:
            self.tails.add(pod, whole=not first)

    def tell_gone(self, workload: Body | None) -> None:
        """Say, before anything is shown, that the logs of earlier attempts can't be had any more."""
        text = pods.tell_gone(workload)
        if self.tails and text and not self.begun:
            console.talk(f"{self.job.name}: {text}")

    def tell(self, fate: Fate, view: View, found: Sequence[Body]) -> None:
        """Say why it is as it is, whenever that becomes another matter, and how it ended."""
        job = AnyJob(self.job.resource, last_of(view, self.job), workload_of(view, self.job))
        answer = explain(job.evidence(clock.now(), found))
        matter = (str(fate), answer.code, answer.short)
        if matter != self.next[0]:
            self.next = (matter, clock.elapsed())
        lasted = clock.elapsed() - self.next[1] >= WORTH_TELLING_SECONDS
        shows = self.tails is not None and bool(self.tails.seen)
        if matter != self.told and (fate.ended or (lasted and not shows)):
            console.talk(console.plain(f"{self.job.name}: {answer.sentence if str(fate) == job.status else fate}"))
            self.told = matter

    def finish(self, found: Sequence[Body], until: float | None) -> None:
        """Show the last pods too, and wait until all logs have come. Raises: NotFound where none was meant."""
        self.show(found)
        if self.tails and self.wish:
            if not self.tails.seen:
                pods.narrowed(found, self.job, self.wish.index, self.wish.pod)
            self.tails.finish(until)

    def end(self) -> None:
        """Read no more."""
        if self.tails:
            self.tails.end()


def follow(cluster: Cluster, job: AnyJob, *, wish: Wish | None, until: float | None = None) -> Followed:
    """Tell, and show the logs (not where ``wish`` is None), until the job ends or ``until``. Raises: ClusterError."""
    follower = _Follower(cluster, job, wish)
    fate = Fate(job.status)
    watched = [*sources([job]), *belonging.sources(cluster, job)]
    try:
        for view in live.watch(cluster, job.namespace, watched, until=until):
            fate = fate_of(view, job)
            if fate.ended:
                fate = settled(cluster, job.body, fate)
                last = belonging.pods_of(cluster, job)  # a short job's end may be known before its pod is
                follower.finish(last, until)
                follower.tell(fate, view, last)
                break
            follower.tell_gone(workload_of(view, job))
            follower.show(view.all(POD))
            follower.tell(fate, view, view.all(POD))
    finally:
        follower.end()
    return Followed(fate, follower.tails is None or follower.tails.complete)
