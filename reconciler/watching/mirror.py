"""A cluster whose listings are kept up to date by watches: looking again costs no request."""

import random
import threading
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field

from reconciler.cluster import Body, Cluster, Event, Listing, Resource
from reconciler.errors import ClusterError, Unreachable

FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 10.0
STEADY_SECONDS = 5.0
"""A watch that held so long has worked: the pause after it is the first one again."""

_Key = tuple[Resource, str, str, str]


@dataclass(frozen=True, slots=True)
class Ears:
    """Who is told what, from whatever thread. ``changed`` gets the object's name, ``cut`` why a watch ended."""

    changed: Callable[[str], None]
    cut: Callable[[ClusterError | None], None] = lambda _: None


class Mirror:
    """``reconciler.cluster.Cluster``: a kind that is ``kept`` is listed once and then watched; all else is asked.

    After a cut, a watch goes on from the last version seen. After a refusal (410: too old) the kind is listed again
    by whoever asks for it next: what was known is forgotten, never taken for deleted.
    """

    def __init__(self, cluster: Cluster, kept: Collection[Resource], ears: Ears) -> None:
        self._cluster = cluster
        self._kept = frozenset(kept)
        self._ears = ears
        self._stop = threading.Event()
        self._views: dict[_Key, _View] = {}
        self._lock = threading.Lock()
        self.address = cluster.address
        self.context = cluster.context
        self.get = cluster.get
        self.read = cluster.read
        self.watch = cluster.watch
        self.apply = cluster.apply
        self.claim = cluster.claim
        self.create = cluster.create
        self.patch = cluster.patch
        self.delete = cluster.delete
        self.log = cluster.log
        self.cut = cluster.cut

    def list(self, resource: Resource, *, namespace: str = "", labels: str = "", fields: str = "") -> Listing:
        """What is known of a kept kind; the first time, and after a refusal, one LIST. Raises: ClusterError."""
        if resource not in self._kept:
            return self._cluster.list(resource, namespace=namespace, labels=labels, fields=fields)
        key = (resource, namespace, labels, fields)
        with self._lock:
            view = self._views.setdefault(key, _View(self._cluster, key, self._ears, self._stop))
        return view.listing()

    def close(self) -> None:
        """End all watches, and wait for their threads."""
        self._stop.set()
        threads = [thread for view in tuple(self._views.values()) for thread in view.threads]
        while any(thread.is_alive() for thread in threads):
            self._cluster.cut()  # again: one may just have been opened
            for thread in threads:
                thread.join(0.05)


class Pauses:
    """How long to wait before the next try: longer each time, never the same twice, short again after success."""

    def __init__(self, first: float = FIRST_PAUSE_SECONDS, longest: float = LONGEST_PAUSE_SECONDS) -> None:
        self._first = self._next = first
        self._longest = longest

    def next(self) -> float:
        """Seconds."""
        pause, self._next = self._next, min(self._next * 2, self._longest)
        return pause * random.uniform(0.5, 1.0)  # noqa: S311 - spreads load, keeps no secret

    def reset(self) -> None:
        """It worked."""
        self._next = self._first


@dataclass
class _View:
    """One LIST and the watch that keeps it true."""

    cluster: Cluster
    key: _Key
    ears: Ears
    stop: threading.Event
    objects: dict[tuple[str, str], Body] | None = None
    version: str = ""
    threads: list[threading.Thread] = field(default_factory=list)
    pauses: Pauses = field(default_factory=Pauses)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def listing(self) -> Listing:
        with self.lock:
            if self.objects is None:
                self._begin()
            return Listing(tuple((self.objects or {}).values()), self.version)

    def _begin(self) -> None:
        resource, namespace, labels, fields = self.key
        found = self.cluster.list(resource, namespace=namespace, labels=labels, fields=fields)
        self.objects = {_identity(body): body for body in found.items}
        self.version = found.resource_version
        self.threads = [thread for thread in self.threads if thread.is_alive()]
        thread = threading.Thread(target=self._follow, name=f"watch-{resource}", daemon=True)
        self.threads.append(thread)
        thread.start()

    def _follow(self) -> None:
        """Until the end, or until the server refuses to go on from where we are."""
        while not self.stop.is_set():
            began = time.monotonic()
            ended: ClusterError | None = None
            try:
                for event in self._events():
                    self._take(event)
            except ClusterError as error:
                ended = error
            if self.stop.is_set():
                return
            if time.monotonic() - began > STEADY_SECONDS:
                self.pauses.reset()
            self.ears.cut(ended)
            if ended is not None and not isinstance(ended, Unreachable):
                self._forget(ended)
                return
            self.stop.wait(self.pauses.next())

    def _events(self) -> Iterator[Event]:
        resource, namespace, labels, fields = self.key
        return self.cluster.watch(
            resource, namespace=namespace, labels=labels, fields=fields, resource_version=self.version
        )

    def _forget(self, refusal: ClusterError) -> None:
        self.stop.wait(self.pauses.next())
        with self.lock:
            self.objects = None
        self.ears.changed(f"{self.key[0]} must be listed again ({refusal.reason or type(refusal).__name__})")

    def _take(self, event: Event) -> None:
        body = event.object
        with self.lock:
            assert self.objects is not None  # noqa: S101 - only this thread forgets
            self.version = body["metadata"]["resourceVersion"]
            if event.type == "BOOKMARK":
                return
            key = _identity(body)
            before = self.objects.pop(key, None)
            if event.type != "DELETED":
                self.objects[key] = body
        if event.type == "DELETED" or before is None or _substance(before) != _substance(body):
            self.ears.changed(_said(self.key[0], key, event.type))


def _identity(body: Body) -> tuple[str, str]:
    metadata = body["metadata"]
    return metadata.get("namespace", ""), metadata["name"]


def _said(resource: Resource, key: tuple[str, str], event: str) -> str:
    verb = {"ADDED": "came", "DELETED": "went"}.get(event, "changed")
    return f"{resource.kind} {'/'.join(filter(None, key))} {verb}"


def _substance(body: Body) -> Body:
    """Without what changes while nobody changes anything: status, and who wrote it when."""
    metadata = {key: value for key, value in body["metadata"].items() if key not in {"resourceVersion", "generation"}}
    entries = metadata.get("managedFields", ())
    metadata["managedFields"] = [entry for entry in entries if not entry.get("subresource")]
    return {key: value for key, value in body.items() if key not in {"status", "apiVersion", "kind"}} | {
        "metadata": metadata
    }
