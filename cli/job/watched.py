"""``jobq list --watch``: the list as it changes. On a terminal it is drawn anew; elsewhere each change is a line."""

from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from cli import clock, console
from cli.catalogue import Entry
from cli.explain.jobs import AnyJob, joined, owners_of_other_kinds
from cli.explain.overview import WAITING, Overview, as_json, overviews
from cli.explain.standing import Position
from cli.job import live
from cli.job.choosing import Wanted
from cli.job.live import Source, View
from cli.job.positions import Positions, read_positions
from cli.job.reading import read_others
from cli.job.rows import Form, without_empty
from reconciler.cluster import Body, Cluster
from reconciler.kinds import JOB, WORKLOAD

POSITIONS_SECONDS = 5.0
"""Positions can't be watched: after a change they are asked for again, no more often than this."""
GONE = "deleted"


@dataclass(slots=True)
class _Places:
    """Positions, asked for beside the watch."""

    cluster: Cluster
    entry: Entry
    pool: ThreadPoolExecutor
    known: Positions = field(default_factory=lambda: Positions({}))
    asked: Future[Positions] | None = None
    at: float = 0.0
    stale: bool = True

    def now(self, *, waiting: bool) -> Mapping[tuple[str, str], Position]:
        """What is known; asks anew where something has changed since."""
        if self.asked and self.asked.done():
            self.known, self.asked = self.asked.result(), None
        due = not self.at or clock.elapsed() - self.at >= POSITIONS_SECONDS
        if waiting and self.stale and due and self.asked is None:
            self.asked = self.pool.submit(read_positions, self.cluster, self.entry.namespace, self.entry.queue)
            self.at, self.stale = clock.elapsed(), False
        return {(self.entry.namespace, name): place for name, place in self.known.of.items()}


@dataclass(slots=True)
class _Others:
    """Metadata of jobs of other kinds: read once for each that is new."""

    cluster: Cluster
    namespace: str
    seen: set[str] = field(default_factory=set)
    bodies: Sequence[Body] = ()

    def of(self, workloads: Sequence[Body]) -> Sequence[Body]:
        owners = owners_of_other_kinds(workloads)
        if not owners <= self.seen:
            self.bodies = read_others(self.cluster, self.namespace, workloads)
            self.seen |= owners
        return self.bodies


def watch_jobs(cluster: Cluster, entry: Entry, wanted: Wanted, output: str) -> None:
    """Show them until somebody ends it. Raises: ClusterError where the server is away too long."""
    drawn = output in {"text", "wide"} and console.draws()
    shown: _Drawn | _Lines = _Drawn(Form(output == "wide"), entry) if drawn else _Lines(Form(output == "wide"), output)
    others = _Others(cluster, entry.namespace)
    changes, jobs = -1, list[AnyJob]()
    with ThreadPoolExecutor(1) as pool:
        places = _Places(cluster, entry, pool)
        for view in live.watch(cluster, entry.namespace, _SOURCES, keeps=lambda _: False):
            if view.changes != changes:
                changes, places.stale = view.changes, True
                jobs = _jobs(view, others)
            now = clock.now()
            chosen = wanted.of(jobs, now)
            where = places.now(waiting=any(job.status in WAITING for job in chosen[:1000]))
            shown.show(chosen, where)


_SOURCES = (Source(JOB), Source(WORKLOAD))


def _jobs(view: View, others: _Others) -> list[AnyJob]:
    workloads = view.all(WORKLOAD)
    return list(joined(view.all(JOB), workloads, others.of(workloads), clock.now()))


@dataclass(slots=True)
class _Drawn:
    """The newest that fit on the screen, drawn over the last ones."""

    form: Form
    entry: Entry
    screen: console.Screen = field(default_factory=console.Screen)

    def show(self, jobs: Sequence[AnyJob], places: Mapping[tuple[str, str], Position]) -> None:
        now = clock.now()
        room = max(console.height() - 3, 1)
        rows = overviews(jobs[:room], places, now)
        beyond = f"and {len(jobs) - room} older ones" if len(jobs) > room else ""
        footer = beyond if jobs else f"no jobs in {self.entry.name}"
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
            lost = [[*self.form.cells(row, now)[:1], GONE, *self.form.cells(row, now)[2:]] for row in gone]
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
