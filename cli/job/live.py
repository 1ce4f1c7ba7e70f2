"""Objects as they change: lists, then watches, in one thread a kind; cuts and old versions are mended in silence."""

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from cli import clock
from reconciler.cluster import Body, Cluster, Resource
from reconciler.errors import ClusterError, Expired, Rejected, Unauthorized, Unreachable

PATIENCE_SECONDS = 60
"""How long the server may be away before waiting is given up."""
FIRST_PAUSE = 1.0
LONGEST_PAUSE = 8.0
TICK_SECONDS = 1.0
_BUSY = frozenset({429, 500, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class Source:
    """What to watch of one kind."""

    resource: Resource
    labels: str = ""
    fields: str = ""
    namespace: str = ""
    """Where that isn't the one that all are watched in."""


@dataclass(slots=True)
class View:
    """What is there now, by kind and uid; ``gone`` has the last state of what was deleted while we watched.

    Of those in ``unseen`` the deletion itself wasn't seen: what they became before it can't be known from here.
    """

    there: dict[Resource, dict[str, Body]] = field(default_factory=dict)
    gone: dict[str, Body] = field(default_factory=dict)
    unseen: set[str] = field(default_factory=set)
    keeps: Callable[[Body], bool] = lambda _: True
    """Which of the deleted are remembered: a long watch of many must not grow."""
    changes: int = 0
    """Counts what came in."""
    known: dict[Source, set[str]] = field(default_factory=dict)
    """The uids of what is there, by the source that has told of it."""

    def all(self, resource: Resource) -> Sequence[Body]:
        """The objects of a kind."""
        return list(self.there.get(resource, {}).values())

    def replace(self, source: Source, items: Sequence[Body]) -> None:
        """A new list: what was there of that source, and isn't in it any more, was deleted meanwhile."""
        new = {item["metadata"]["uid"]: item for item in items}
        there = self.there.setdefault(source.resource, {})
        for uid in self.known.get(source, set()) - new.keys():
            body = there.pop(uid, None)
            if body and self.keeps(body):
                self.gone[uid] = body
                self.unseen.add(uid)
        there |= new
        self.known[source] = set(new)
        self.changes += 1

    def change(self, source: Source, kind: str, body: Body) -> None:
        """One watch event."""
        uid = body["metadata"]["uid"]
        self.changes += 1
        if kind != "DELETED":
            self.there[source.resource][uid] = body
            self.known[source].add(uid)
            return
        self.there[source.resource].pop(uid, None)
        self.known[source].discard(uid)
        if self.keeps(body):
            self.gone[uid] = body


@dataclass(frozen=True, slots=True)
class _News:
    source: Source
    items: Sequence[Body] | None = None
    kind: str = ""
    body: Body = field(default_factory=dict)
    error: Exception | None = None


def watch(
    cluster: Cluster,
    namespace: str,
    sources: Sequence[Source],
    *,
    until: float | None = None,
    keeps: Callable[[Body], bool] = lambda _: True,
) -> Iterator[View]:
    """The view after changes, first when all lists are there; ends at ``until`` (by `clock.elapsed`).

    Yields at least once a second, so that whoever waits can look at the time. ``keeps`` says which of the deleted
    are remembered. Raises: ClusterError.
    """
    news: queue.SimpleQueue[_News] = queue.SimpleQueue()
    stop = threading.Event()
    for source in sources:
        threading.Thread(target=_report, args=(cluster, namespace, source, news, stop), daemon=True).start()
    view = View(keeps=keeps)
    try:
        while until is None or clock.elapsed() < until:
            _take(news, view, until)
            if len(view.known) == len(sources):
                yield view
    finally:
        stop.set()


def _take(news: "queue.SimpleQueue[_News]", view: View, until: float | None) -> None:
    left = TICK_SECONDS if until is None else max(min(TICK_SECONDS, until - clock.elapsed()), 0)
    try:
        new = news.get(timeout=left)
        while True:  # all that has come: many changes at once are one view
            _put(new, view)
            new = news.get_nowait()
    except queue.Empty:
        return


def _put(new: _News, view: View) -> None:
    if new.error:
        raise new.error
    if new.items is not None:
        view.replace(new.source, new.items)
    else:
        view.change(new.source, new.kind, new.body)


def _report(
    cluster: Cluster, namespace: str, source: Source, news: "queue.SimpleQueue[_News]", stop: threading.Event
) -> None:
    version, pause, well, known = "", FIRST_PAUSE, clock.elapsed(), False
    while not stop.is_set():
        try:
            if not version:
                version, known = _list(cluster, namespace, source, news), True
            started = clock.elapsed()
            version = _follow(cluster, namespace, source, news, version)
            well = clock.elapsed()
            if well - started >= TICK_SECONDS:
                pause = FIRST_PAUSE
            else:  # cut as soon as it began: don't ask in a tight loop
                stop.wait(pause)
                pause = min(pause * 2, LONGEST_PAUSE)
        except Expired:
            version = ""
            stop.wait(FIRST_PAUSE)
        except ClusterError as error:
            if not _passes(error, known=known) or clock.elapsed() - well > PATIENCE_SECONDS:
                news.put(_News(source, error=error))
                return
            stop.wait(pause)
            pause = min(pause * 2, LONGEST_PAUSE)
        except Exception as error:  # noqa: BLE001 - a thread's error must be seen
            news.put(_News(source, error=error))
            return


def _list(cluster: Cluster, namespace: str, source: Source, news: "queue.SimpleQueue[_News]") -> str:
    listing = cluster.list(
        source.resource, namespace=source.namespace or namespace, labels=source.labels, fields=source.fields
    )
    news.put(_News(source, items=listing.items))
    return listing.resource_version


def _follow(cluster: Cluster, namespace: str, source: Source, news: "queue.SimpleQueue[_News]", version: str) -> str:
    """Hand on events until the watch ends; the version from which the next one goes on."""
    events = cluster.watch(
        source.resource,
        namespace=source.namespace or namespace,
        labels=source.labels,
        fields=source.fields,
        resource_version=version,
    )
    for event in events:
        version = event.object["metadata"]["resourceVersion"]
        if event.type != "BOOKMARK":
            news.put(_News(source, kind=event.type, body=event.object))
    return version


def _passes(error: ClusterError, *, known: bool) -> bool:
    """Whether it may be otherwise in a moment: a server that knew us once knows us again, with a new token."""
    if isinstance(error, Unauthorized):
        return known
    return isinstance(error, Unreachable) or (isinstance(error, Rejected) and error.code in _BUSY)
