"""``jobq list --watch``: the list as it changes. On a terminal it is drawn anew; elsewhere each change is a line.

Two watches follow a project, or where the caller may all projects together.
"""

from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from cli import clock, console
from cli.explain.jobs import AnyJob, joined, owners_of_other_kinds
from cli.explain.overview import Overview, as_json, overviews
from cli.explain.standing import Position
from cli.job import live
from cli.job.choosing import Wanted
from cli.job.live import Source, View
from cli.job.positions import Positions, read_positions
from cli.job.reach import Reach
from cli.job.reading import read_others, waiting_in
from cli.job.rows import Form, without_empty
from reconciler.cluster import Body, Cluster
from reconciler.errors import UsageError
from reconciler.kinds import JOB, WORKLOAD

POSITIONS_SECONDS = 5.0
"""Positions can't be watched: after a change they are asked for again, no more often than this."""
CLOCK_SECONDS = 5.0
"""After that all rows are judged anew where nothing has changed but the time; a terminal's few are each second."""
GONE = "deleted"
MOST = 16
"""How many projects are followed one by one: twice as many watches."""


@dataclass(slots=True)
class _Places:
    """Positions, asked for beside the watch."""

    cluster: Cluster
    reach: Reach
    pool: ThreadPoolExecutor
    known: Positions = field(default_factory=lambda: Positions({}))
    asked: Future[Positions] | None = None
    at: float = 0.0
    stale: bool = True

    def now(self, waiting: Collection[str]) -> Mapping[tuple[str, str], Position]:
        """What is known; asks anew where something has changed since, in these namespaces."""
        if self.asked and self.asked.done():
            self.known, self.asked = self.asked.result(), None
        due = not self.at or clock.elapsed() - self.at >= POSITIONS_SECONDS
        if waiting and self.stale and due and self.asked is None:
            self.asked = self.pool.submit(read_positions, self.cluster, *self.reach.queues(waiting))
            self.at, self.stale = clock.elapsed(), False
        return self.known.of


@dataclass(slots=True)
class _Others:
    """Metadata of jobs of other kinds: read once for each that is new."""

    cluster: Cluster
    reach: Reach
    seen: set[str] = field(default_factory=set)
    bodies: Sequence[Body] = ()

    def of(self, workloads: Sequence[Body]) -> Sequence[Body]:
        owners = owners_of_other_kinds(workloads)
        if not owners <= self.seen:
            self.bodies = [body for namespace in self.reach.namespaces for body in self._in(namespace, workloads)]
            self.seen |= owners
        return self.bodies

    def _in(self, namespace: str, workloads: Sequence[Body]) -> Sequence[Body]:
        """``""``: in all of them. Only kinds that are there are asked for."""
        there = [one for one in workloads if namespace in {"", one["metadata"]["namespace"]}]
        return read_others(self.cluster, namespace, there)


def watch_jobs(cluster: Cluster, reach: Reach, wanted: Wanted, output: str, where: str) -> None:
    """Show them until somebody ends it; ``where`` is the only project's name.

    Raises: UsageError where that takes too many watches; ClusterError where the server is away too long.
    """
    if len(reach.namespaces) > MOST:
        raise UsageError(
            f"you belong to {len(reach.namespaces)} projects, and {MOST} can be followed at once",
            hint="name one by -p, or leave out --watch",
        )
    form = Form(wide=output == "wide", everywhere=not where)
    drawn = output in {"text", "wide"} and console.draws()
    shown: _Drawn | _Lines = _Drawn(form, f"no jobs{where and f' in {where}'}") if drawn else _Lines(form, output)
    others = _Others(cluster, reach)
    sources = [Source(kind, namespace=namespace) for namespace in reach.namespaces for kind in (JOB, WORKLOAD)]
    changes, jobs, shown_at = -1, list[AnyJob](), 0.0
    with ThreadPoolExecutor(1) as pool:
        places = _Places(cluster, reach, pool)
        for view in live.watch(cluster, "", sources, keeps=lambda _: False):
            fresh = view.changes != changes
            if fresh:
                changes, places.stale = view.changes, True
                jobs = _jobs(view, others, reach)
            if fresh or drawn or clock.elapsed() - shown_at >= CLOCK_SECONDS:
                chosen = wanted.of(jobs, clock.now())
                shown.show(chosen, places.now(waiting_in(chosen)))
                shown_at = clock.elapsed()


def _jobs(view: View, others: _Others, reach: Reach) -> list[AnyJob]:
    workloads = reach.own(view.all(WORKLOAD))
    return list(joined(reach.own(view.all(JOB)), workloads, others.of(workloads), clock.now()))


@dataclass(slots=True)
class _Drawn:
    """The newest that fit on the screen, drawn over the last ones."""

    form: Form
    nothing: str
    screen: console.Screen = field(default_factory=console.Screen)

    def show(self, jobs: Sequence[AnyJob], places: Mapping[tuple[str, str], Position]) -> None:
        now = clock.now()
        room = max(console.height() - 3, 1)
        rows = overviews(jobs[:room], places, now)
        beyond = f"and {len(jobs) - room} older ones" if len(jobs) > room else ""
        footer = beyond if jobs else self.nothing
        self.screen.draw(*without_empty(self.form.columns, [self.form.cells(row, now) for row in rows]), footer)


@dataclass(slots=True)
class _Lines:
    """All at first, then a line for each that has changed. A place in the queue is no change."""

    form: Form
    output: str
    last: dict[str, Overview] | None = None
    widths: Sequence[int] = ()

    def show(self, jobs: Sequence[AnyJob], places: Mapping[tuple[str, str], Position]) -> None:
        now = clock.now()
        rows = {row.uid: row for row in overviews(jobs, places, now)}
        before = self.last or {}
        changed = [row for uid, row in rows.items() if uid not in before or _differ(row, before[uid])]
        gone = [row for uid, row in before.items() if uid not in rows]
        if self.output == "json":
            for row in changed:
                console.out_json_line(as_json(row, now))
            for row in gone:
                console.out_json_line({**as_json(row, now), "deleted": True})
        else:
            cells = [self.form.cells(row, now) for row in reversed(changed)]
            lost = [self.form.cells(row, now, status=GONE) for row in gone]
            self.widths = console.more_rows(self.form.columns, [*cells, *lost], self.widths)
        self.last = rows
        console.flush()


def _differ(one: Overview, other: Overview) -> bool:
    return (one.status, one.reason, one.priority, one.cpu, one.started, one.ended) != (
        other.status,
        other.reason,
        other.priority,
        other.cpu,
        other.started,
        other.ended,
    )
