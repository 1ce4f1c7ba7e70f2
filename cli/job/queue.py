"""``jobq queue``."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime

from cli import clock, console, options, selection
from cli.catalogue import Entry
from cli.connection import connect
from cli.console import Column
from cli.explain.jobs import joined
from cli.explain.overview import WAITING, Overview, age, as_json, overviews
from cli.explain.status import Status
from cli.explain.usage import Share, queue_state, shares
from cli.fit.words import cores
from cli.job.positions import local, read_positions
from cli.job.reading import Found, read_others
from cli.job.rows import amount_of
from cli.job.shapes import JOBS, WORKLOADS
from reconciler.cluster import Body, Cluster
from reconciler.errors import Forbidden, NotFound
from reconciler.kinds import CLUSTER_QUEUE, LOCAL_QUEUE

EXAMPLES = """
  jobq queue
  jobq queue --limit 100
  jobq queue -o json | jq .waiting
"""
_SHOWN = 20
_BAR = 20
_COLUMNS = (
    Column("POS", right=True),
    Column("OVERALL", right=True),
    Column("NAME", whole=True),
    Column("PRIORITY"),
    Column("CPU", right=True),
    Column("GPUS", right=True),
    Column("BY"),
    Column("WAITS", right=True),
    Column("REASON"),
)


@dataclass(frozen=True, slots=True)
class Seen:
    """A project's jobs, its Workloads, and its queues where they can be read."""

    entry: Entry
    found: Found
    workloads: Sequence[Body]
    local_queue: Body | None
    cluster_queue: Body | None


def queue(
    *,
    project: options.ProjectName = "",
    limit: options.Waiting = _SHOWN,
    output: options.TableOutput = "text",
    kubeconfig: options.Kubeconfig = "",
    context: options.Context = "",
) -> None:
    """Show how full the project's ClusterQueue is, by whom, and which jobs of the project wait, in their order.

    In a bar, # is used by this project, = by others, . is free; what is above the queue's own quota is borrowed.
    """
    cluster = connect(kubeconfig=kubeconfig, context=context)
    show(_read(cluster, selection.current(cluster, project).entry), clock.now(), limit, output)


def show(seen: Seen, now: datetime, limit: int, output: str) -> None:
    """As text, in which so many wait at most, or as JSON."""
    entry, found = seen.entry, seen.found
    rows = overviews(found.jobs, found.positions.of, now)
    waiting = sorted((row for row in rows if row.status in WAITING), key=_place)
    used = shares(seen.cluster_queue, seen.workloads, entry.cluster_queue)
    state = queue_state(seen.local_queue, seen.cluster_queue)
    if output == "json":
        console.out_json(
            {
                "project": entry.name,
                "clusterQueue": entry.cluster_queue,
                "state": state,
                "usage": [share.as_json() for share in used],
                "waiting": len(waiting),
                "counts": {status: sum(row.status is status for row in rows) for status in Status},
                "pending": [as_json(row, now) for row in waiting],
                "positionsUnknown": found.positions.problem,
            }
        )
        return
    _tell(entry, rows, state)
    _draw(used)
    _table(waiting[:limit], now)
    _foot(waiting, limit, found)


def _read(cluster: Cluster, entry: Entry) -> Seen:
    """All of it side by side. Raises: ClusterError."""
    with ThreadPoolExecutor(4) as pool:
        jobs = pool.submit(cluster.list, JOBS, namespace=entry.namespace)
        places = pool.submit(read_positions, cluster, local(entry.namespace, entry.queue))
        ours = pool.submit(_readable, lambda: cluster.get(LOCAL_QUEUE, entry.queue, namespace=entry.namespace))
        theirs = pool.submit(_readable, lambda: cluster.get(CLUSTER_QUEUE, entry.cluster_queue))
        workloads = cluster.list(WORKLOADS, namespace=entry.namespace).items
        others = read_others(cluster, entry.namespace, workloads)
        found = Found(joined(jobs.result().items, workloads, others, clock.now()), places.result())
        return Seen(entry, found, workloads, ours.result(), theirs.result())


def _readable(get: Callable[[], Body]) -> Body | None:
    try:
        return get()
    except (Forbidden, NotFound):
        return None


def _place(row: Overview) -> tuple[int, object]:
    """Whose place isn't known comes last, the oldest first."""
    return (row.position.here, 0) if row.position else (2**31, row.created.timestamp())


def _tell(entry: Entry, rows: Sequence[Overview], state: str) -> None:
    counts = {status: sum(row.status is status for row in rows) for status in Status}
    words = ", ".join(f"{count} {status}" for status, count in counts.items() if count)
    console.out(f"{entry.name} in ClusterQueue {entry.cluster_queue}{f': {state}' if state else ''}")
    console.out(f"jobs: {words or 'none'}")


def _draw(used: Sequence[Share]) -> None:
    if not used:
        console.talk("the ClusterQueue can't be read: how full it is isn't known")
        return
    console.table(
        (
            Column("FLAVOR"),
            Column("RESOURCE"),
            Column("USED"),
            Column("OURS", right=True),
            Column("OTHERS", right=True),
            Column("QUOTA", right=True),
            Column("BORROWED", right=True),
        ),
        [
            [
                share.flavor,
                share.resource,
                f"[{share.bar(_BAR)}]",
                *(amount_of(share.resource, value) for value in (share.ours, share.others, share.nominal)),
                amount_of(share.resource, share.borrowed) if share.borrowed else "",
            ]
            for share in used
        ],
    )


def _table(waiting: Sequence[Overview], now: datetime) -> None:
    if waiting:
        console.out("")
        console.table(_COLUMNS, [_cells(row, now) for row in waiting])


def _cells(row: Overview, now: datetime) -> list[str]:
    place = row.position
    return [
        str(place.here) if place else "",
        str(place.overall) if place and place.overall is not None else "",
        row.name,
        row.priority,
        cores(row.cpu),
        f"{row.gpus:f}" if row.gpus else "",
        row.by,
        age(now - row.created),
        row.reason,
    ]


def _foot(waiting: Sequence[Overview], limit: int, found: Found) -> None:
    if len(waiting) > limit:
        console.talk(f"and {len(waiting) - limit} more of {len(waiting)} that wait: --limit {len(waiting)} shows them")
    if waiting and found.positions.problem:
        which = "some of their" if any(row.position for row in waiting) else "their"
        console.talk(f"{which} places in the queue aren't known: it is held, or Kueue doesn't answer")
