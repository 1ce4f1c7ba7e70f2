"""Reading pods' logs to their ends, side by side, whatever happens to the connections."""

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

import typer

from cli import clock, console
from cli.job import live, pods
from cli.job.lines import Lines
from cli.job.resumed import Resumed
from reconciler.cluster import Body, Cluster
from reconciler.errors import ClusterError, NotFound, Unreachable
from reconciler.kinds import POD

FIRST_PAUSE, LONGEST_PAUSE = 0.2, 5.0
AT_ONCE = 64
"""Logs that are read side by side; those of more pods wait for an end."""
SILENT_SECONDS = 0.5
"""A line that isn't ended is shown as it is after that."""
_TICK_SECONDS = 0.05
_TRIED_SECONDS = 0.5
"""A connection that lasted so long was a good one."""
_NOT_YET = 400
"""The container is about to run, or to run again."""


@dataclass(frozen=True, slots=True)
class Shown:
    """Which part of a log is shown."""

    tail: int | None = None
    since_seconds: int | None = None
    timestamps: bool = False


class Outlet:
    """Where logs go: stdout, byte for byte where one pod is shown, else line by line with each pod's prefix."""

    def __init__(self, *, prefixed: bool) -> None:
        self._lines = Lines() if prefixed else None
        self._lock = threading.Lock()
        self._latest: dict[str, float] = {}
        self._over = threading.Event()
        if prefixed:
            threading.Thread(target=self._show_the_silent, daemon=True).start()

    def write(self, prefix: str, data: bytes) -> None:
        """Show what has come of a pod. Raises: typer.Exit where nobody reads any more."""
        with self._lock:
            if self._lines:
                data = self._lines.feed(prefix, data)
                self._latest[prefix] = clock.elapsed()
            if data:
                console.out_bytes(data)

    def end(self, prefix: str) -> None:
        """No more will come of that pod."""
        with self._lock:
            if self._lines:
                self._latest.pop(prefix, None)
                console.out_bytes(self._lines.flush(prefix))

    def close(self) -> None:
        """Nothing more will be shown."""
        self._over.set()

    def _show_the_silent(self) -> None:
        while not self._over.wait(SILENT_SECONDS / 2):
            silent = [one for one, at in tuple(self._latest.items()) if clock.elapsed() - at > SILENT_SECONDS]
            with suppress(typer.Exit):  # nobody reads any more: the next piece ends the command
                for prefix in silent:
                    self.end(prefix)


@dataclass(slots=True)
class Tail:
    """One pod's log, read to its end: that of its container, or with ``once`` that of what is there now."""

    cluster: Cluster
    pod: Body
    shown: Shown
    write: Callable[[bytes], None]
    stop: threading.Event
    once: bool = False
    previous: bool = False
    """Whether it is that of the container's run before."""
    doubt: str = ""
    """Why lines may be missing; empty where all have come."""
    complete: bool = True
    """Whether it was followed to its end."""
    _log: Resumed = field(default_factory=Resumed)
    _over: bool = False
    _runs: int = 0
    _began: float = field(default_factory=clock.elapsed)
    _failing: float | None = None

    def follow(self) -> None:
        """Read until the end, and all before it has come; cuts are mended in silence.

        Raises: ClusterError where the server refuses, or is away too long, or with ``once`` at first.
        """
        self._log.timestamps = self.shown.timestamps
        self._runs = pods.restarts(self.pod)
        pause, clean = FIRST_PAUSE, False
        while not self.stop.is_set():
            was_over, began = self._over, clock.elapsed()  # known to be over before: then this reading is the last
            try:
                self._read()
                clean = True
                if self.once or was_over or not self._look():
                    break
            except NotFound:
                if not clean:
                    self.doubt, self.complete = "its pod is gone, and the end of its log with it", False
                break
            except ClusterError as error:
                clean = False
                self._endure(error)
            lasted = clock.elapsed() - began > _TRIED_SECONDS
            pause = FIRST_PAUSE if lasted else min(pause * 2, LONGEST_PAUSE)
            if not self._over:
                self.stop.wait(pause)
        if self._log.gap and not self.doubt:
            self.doubt = "lines may be missing after a cut: the node keeps only so much of a log"

    def _read(self) -> None:
        """Read as long as the server gives."""
        self._log.begin()
        since, meta = self._log.since, self.pod["metadata"]
        first = not since
        waited = int(clock.elapsed() - self._began)
        seconds = None if self.shown.since_seconds is None or not first else self.shown.since_seconds + waited
        for piece in self.cluster.log(
            meta["name"],
            namespace=meta["namespace"],
            container=pods.container(self.pod),
            follow=not (self.once or self._over),
            tail=self.shown.tail if first else None,
            since_seconds=seconds,
            since_time=since,
            timestamps=True,
            previous=self.previous,
        ):
            data = self._log.feed(piece)
            if data or not self.once:  # what is there now must come nearer to its end
                self._failing = None
            if data:
                self.write(data)
            if self.stop.is_set():
                return
        if rest := self._log.end():
            self.write(rest)

    def _look(self) -> bool:
        """Learn whether the container has ended; False where the pod is gone, which ended its log properly."""
        meta = self.pod["metadata"]
        try:
            found = self.cluster.get(POD, meta["name"], namespace=meta["namespace"])
        except NotFound:
            return False
        if found["metadata"]["uid"] != meta["uid"]:
            return False
        if pods.restarts(found) != self._runs:  # another run in the same pod has another log
            self._log, self._runs = Resumed(self.shown.timestamps), pods.restarts(found)
        self._over = "terminated" in pods.status(found).get("state", {})
        return True

    def _endure(self, error: ClusterError) -> None:
        """Raises: the error where it doesn't pass, or has lasted too long."""
        now = clock.elapsed()
        self._failing = now if self._failing is None else self._failing
        passes = isinstance(error, Unreachable) or error.may_pass or error.code == _NOT_YET
        begun = bool(self._log.since) or not self.once
        if not (passes and begun) or now - self._failing > live.PATIENCE_SECONDS:
            raise error


class Tails:
    """The logs of a job's pods: those of one index one after the other, those of several side by side."""

    def __init__(self, cluster: Cluster, shown: Shown, outlet: Outlet, prefixes: Callable[[Body], str]) -> None:
        self._cluster, self._shown, self._outlet, self._prefixes = cluster, shown, outlet, prefixes
        self._waiting: dict[str, list[Tail]] = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._places = threading.BoundedSemaphore(AT_ONCE)
        self._error: BaseException | None = None
        self.seen: set[str] = set()
        self.complete = True

    @property
    def busy(self) -> bool:
        """Whether any is still read."""
        with self._lock:
            return bool(self._waiting)

    def check(self) -> None:
        """Raises: what has ended a reading."""
        if self._error:
            raise self._error

    def add(self, pod: Body, *, whole: bool) -> None:
        """Read that pod's log too, once; ``whole`` is all of it, whatever was wished for the others."""
        uid = pod["metadata"]["uid"]
        if uid in self.seen:
            return
        self.seen.add(uid)
        lane = self._prefixes(pod)
        shown = Shown(timestamps=self._shown.timestamps) if whole else self._shown
        tail = Tail(self._cluster, pod, shown, lambda data: self._outlet.write(lane, data), self._stop)
        with self._lock:
            there = self._waiting.setdefault(lane, [])
            there.append(tail)
            if len(self._waiting) == AT_ONCE + 1 and there == [tail]:
                console.talk(f"the logs of {AT_ONCE} pods are followed at once; --index shows one alone")
            if there == [tail]:
                threading.Thread(target=self._read, args=(lane,), daemon=True).start()

    def finish(self, until: float | None) -> None:
        """Wait until all logs have come, or ``until``. Raises: what has ended a reading."""
        while self.busy and (until is None or clock.elapsed() < until):
            self.check()
            self._stop.wait(_TICK_SECONDS)
        self.check()

    def end(self) -> None:
        """Read no more."""
        self._stop.set()
        self._outlet.close()

    def _read(self, lane: str) -> None:
        """Follow the pods of a lane, until none is left."""
        try:
            with self._places:
                self._follow(lane)
        except BaseException as error:  # noqa: BLE001 - a thread's error must be seen
            self._error = error
            with self._lock:
                self._waiting.pop(lane, None)

    def _follow(self, lane: str) -> None:
        while tail := self._next(lane):
            tail.follow()
            self._outlet.end(lane)
            self.complete = self.complete and tail.complete
            if tail.doubt:
                console.talk(f"{tail.pod['metadata']['name']}: {tail.doubt}")
            with self._lock:
                self._waiting[lane].pop(0)

    def _next(self, lane: str) -> Tail | None:
        with self._lock:
            if not self._waiting[lane]:
                del self._waiting[lane]
                return None
            return self._waiting[lane][0]
