"""Reconciling as long as nobody ends it: a pass after each new commit, after each drift, and at an interval.

A pass is the same as any other (``cycle``), over a mirror of the cluster: looking costs no request. Everything that
wakes the loop comes through one inbox, from whatever thread; passes and words come from the loop's own thread alone.
"""

import queue
import random
import socket
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from reconciler import source
from reconciler.cluster import Cluster
from reconciler.errors import ClusterError, Forbidden, JobqError
from reconciler.observe import KEPT
from reconciler.planned import Outcome
from reconciler.watching.lease import Halt, Leadership
from reconciler.watching.lookout import Ears, Lookout, Places, Repository
from reconciler.watching.mirror import Ears as MirrorEars
from reconciler.watching.mirror import Mirror, Pauses
from reconciler.watching.passes import Clock, Noted, Order, Passed, State, Told, result_of
from reconciler.watching.standing import Attempt, Standing

SETTLE_SECONDS = 0.1
"""So long must nothing more come in before a pass begins, for a second at most."""
_MOST_SETTLING = 1.0
_TICK_SECONDS = 15.0
"""The longest sleep: a new day, and a clock that was set, are noticed after it."""
_RETRY = (1.0, 60.0)
_MOST_REASONS = 20
_QUIET_ABOUT_CUTS_SECONDS = 60.0


class Watch:
    """The loop. ``run`` until ``stop``; both may be called once."""

    def __init__(self, cluster: Cluster, order: Order, clock: Clock, tell: Told) -> None:
        self._cluster = cluster
        self._order = order
        self._clock = clock
        self._tell = tell
        self._inbox: queue.SimpleQueue[str | Noted | BaseException | None] = queue.SimpleQueue()
        self._stop = threading.Event()
        self._halt: threading.Event = threading.Event()
        self._state = State()
        ref = order.ref
        if order.fetches and (upstream := source.upstream_of(order.repo, ref)):
            ref = upstream
            self._inbox.put(Noted(f"reads {upstream}, which is fetched every {order.rhythm.fetch:g} s"))
        self._lookout = Lookout(repository_of(order, ref), order.rhythm, self._repository_ears())
        identity = f"{socket.gethostname()}_{uuid.uuid4().hex[:8]}"
        self._leadership = Leadership(cluster, identity, clock.now, self._led, self._lease_trouble, order.tenure)
        self._standing = Standing(order.repo)
        self._fights = order.fights()
        self._mirror: Mirror | None = None
        self._pauses = Pauses(*_RETRY)
        self._due: dict[str, float] = {}
        self._day = clock.today()
        self._earliest = 0.0
        self._told_cut = 0.0
        self._told_trouble = ""
        self._place = ""

    def stop(self) -> None:
        """End: what is in flight is finished. From any thread, and from a signal's handler."""
        self._stop.set()
        self._halt.set()
        self._inbox.put(None)

    def state(self) -> State:
        """What is known now."""
        self._state.looked = self._lookout.looked
        self._state.newest = self._lookout.commit
        self._state.leads, self._state.holder = self._leadership.held, self._leadership.holder
        return self._state

    def run(self) -> None:
        """Watch. Raises: SourceError where the repository can't be read at the start; nothing else ends it."""
        self._lookout.start()
        before, threading.excepthook = threading.excepthook, self._broken
        try:
            self._leadership.start()
            while not self._stop.is_set():
                self._state.alive = time.time()
                self._turn(self._gathered())
        finally:
            threading.excepthook = before
            self._stand_by()
            self._lookout.close()
            self._leadership.close()
            self._tell_notes()

    # -------------------------------------------------------------------------------------------- what wakes it

    def _repository_ears(self) -> Ears:
        return Ears(
            commit=lambda commit: self._inbox.put(f"commit {commit[:12]}"),
            mode=self._note,
            trouble=self._repository_trouble,
        )

    def _repository_trouble(self, error: JobqError) -> None:
        hint = f" ({error.hint})" if error.hint else ""
        self._note(f"{error}{hint}; the last commit read stays in force")

    def _note(self, text: str) -> None:
        self._inbox.put(Noted(text))

    def _led(self) -> None:
        if not self._leadership.held:
            self._halt.set()
        self._told_trouble = ""
        self._inbox.put(None)

    def _lease_trouble(self, error: ClusterError) -> None:
        if str(error) != self._told_trouble:
            self._told_trouble = str(error)
            hint = "an admin runs: jobq bootstrap --apply" if isinstance(error, Forbidden) else "tried again"
            self._note(f"lease: {error} ({hint})")

    def _cut(self, error: ClusterError | None) -> None:
        self._state.cuts += 1
        now = time.monotonic()
        if error is not None and now - self._told_cut > _QUIET_ABOUT_CUTS_SECONDS:
            self._told_cut = now
            self._note(f"a watch ended, and is taken up again: {error}")

    def _broken(self, args: threading.ExceptHookArgs) -> None:
        """A thread of this process died by a mistake: ending is better than going on half blind."""
        self._inbox.put(args.exc_value)

    def _gathered(self) -> list[str]:
        """The reasons that have come in, once none came for a moment; empty after a while without any."""
        reasons: dict[str, None] = {}
        wait = max(0.0, min([_TICK_SECONDS, *(due - time.monotonic() for due in self._due.values())]))
        until = None
        with suppress(queue.Empty):
            while not self._stop.is_set() and (until is None or time.monotonic() < until):
                item = self._inbox.get(timeout=wait)
                if isinstance(item, BaseException):
                    raise item
                if isinstance(item, Noted):
                    self._tell(item)
                elif item is not None:
                    reasons[item] = None
                wait = max(SETTLE_SECONDS, self._earliest - time.monotonic())
                until = until or time.monotonic() + max(_MOST_SETTLING, wait)
        return list(reasons)

    def _tell_notes(self) -> None:
        with suppress(queue.Empty):
            while True:
                item = self._inbox.get_nowait()
                if isinstance(item, Noted):
                    self._tell(item)

    def _tell_place(self) -> None:
        """Whether this one acts, where that has changed."""
        before, holder = self._place, self._leadership.holder
        if self._leadership.held:
            self._place = "holds the lease: acts"
        elif before.startswith("holds"):
            self._place = "lost the lease: stands by"
        elif holder:
            self._place = f"stands by: {holder} holds the lease"
        if self._place != before:
            self._tell(Noted(self._place))

    # -------------------------------------------------------------------------------------------- what it does

    def _turn(self, reasons: list[str]) -> None:
        if self._stop.is_set():
            return
        self._tell_place()
        if not self._leadership.held:
            self._stand_by()
            return
        if self._mirror is None:
            self._mirror = Mirror(self._cluster, KEPT, MirrorEars(self._inbox.put, self._cut))
            reasons = ["the beginning"]
        reasons += self._timed()
        if reasons:
            more = len(reasons) - _MOST_REASONS
            self._pass(self._mirror, [*reasons[:_MOST_REASONS], *([f"{more} more"] if more > 0 else [])])

    def _timed(self) -> Iterator[str]:
        now = time.monotonic()
        for reason in [reason for reason, due in self._due.items() if due <= now]:
            del self._due[reason]
            yield reason
        if self._day != self._clock.today():
            yield "a new day"

    def _stand_by(self) -> None:
        if self._mirror is not None:
            self._mirror.close()
            self._mirror = None
        self._due.clear()

    def _pass(self, mirror: Mirror, why: Sequence[str]) -> None:
        self._day = self._clock.today()
        self._halt = Halt(lambda: self._leadership.held)
        if self._stop.is_set():  # asked once there is an event that may be set
            return
        began = time.monotonic()
        attempt = self._attempt(mirror)
        seconds = time.monotonic() - began
        fights = tuple(self._fights.found())
        passed = Passed(
            why=why,
            result=result_of(attempt),
            commit=self._standing.commit,
            newest=self._lookout.commit,
            held_back=attempt.held_back,
            warnings=self._standing.warnings,
            report=attempt.report,
            error=attempt.error,
            fights=fights,
            seconds=seconds,
        )
        self._state.count(passed)
        self._plan_next(passed.result, seconds)
        self._tell(passed)

    def _attempt(self, mirror: Mirror) -> Attempt:
        before = self._standing.commit
        self._fights.due = None  # of this pass, which may end before it comes to that
        attempt = self._standing.attempt(
            mirror,
            self._lookout.commit,
            self._day,
            self._halt,
            self._beat,
            terms=self._order.terms,
            restrain=lambda comparison: self._fights.restrain(comparison, time.monotonic()),
        )
        if self._standing.commit != before:
            self._fights.forget()  # what this pass wrote was declared, not taken back
        elif attempt.report is not None:
            self._fights.record(attempt.report.outcomes, time.monotonic())
        return attempt

    def _beat(self, _: Outcome) -> None:
        self._state.alive = time.time()

    def _plan_next(self, result: str, seconds: float) -> None:
        now = time.monotonic()
        self._earliest = now + min(seconds / 2, _MOST_SETTLING)
        self._due = {"the interval": now + self._order.full * random.uniform(0.9, 1.1)}  # noqa: S311 - spreads load
        if self._fights.due is not None:
            self._due["a fight"] = self._fights.due
        if result in {"failed", "interrupted"}:
            self._due["another try"] = now + self._pauses.next()
        else:
            self._pauses.reset()


def repository_of(order: Order, ref: str) -> Repository:
    """How an order's repository is asked for that revision."""
    return Repository(
        commit=lambda: source.commit_of(order.repo, ref),
        places=lambda: Places(source.git_folders(order.repo), links_to(order.repo)),
        fetch=(lambda: source.fetch(order.repo)) if order.fetches else None,
    )


def links_to(repo: Path) -> tuple[Path, ...]:
    """The folders of the symbolic links through which a path leads: swapping one swaps the repository."""
    path = repo.absolute()
    return tuple(place.parent.resolve() for place in (path, *path.parents) if place.is_symlink())
