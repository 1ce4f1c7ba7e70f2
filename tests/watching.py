"""A watch in a thread of the test's own, with everything that it says."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

from reconciler.cluster import Cluster
from reconciler.terms import Terms
from reconciler.watching.fights import Fights
from reconciler.watching.lease import Tenure
from reconciler.watching.lookout import Rhythm
from reconciler.watching.passes import Noted, Order, Passed
from reconciler.watching.watch import Watch
from tests.world import TODAY, World, eventually

NEVER = 3600.0


@dataclass
class Calendar:
    """A clock whose day a test sets; the moment is the true one."""

    day: date = TODAY

    def today(self) -> date:
        """The day."""
        return self.day

    def now(self) -> datetime:
        """The moment."""
        return datetime.now(UTC)  # noqa: TID251 - a Lease wants it


@dataclass
class Watched:
    """A watch that runs."""

    watch: Watch
    calendar: Calendar
    said: list[Passed | Noted] = field(default_factory=list)
    ended: list[BaseException | None] = field(default_factory=list)

    @property
    def passes(self) -> list[Passed]:
        """All so far."""
        return [event for event in self.said if isinstance(event, Passed)]

    @property
    def notes(self) -> list[str]:
        """All lines so far."""
        return [event.text for event in self.said if isinstance(event, Noted)]

    @property
    def last(self) -> Passed | None:
        """The last pass."""
        return next(iter(self.passes[-1:]), None)

    def settles(self, commit: str = "") -> bool:
        """Whether a pass comes to be in sync, at that commit if one is named."""
        return eventually(
            lambda: self.last is not None and self.last.result == "in sync" and commit in {"", self.last.commit}
        )

    def rests(self) -> bool:
        """Whether it comes to be in sync, and no pass follows for a second."""

        def quiet() -> bool:
            count = len(self.passes)
            time.sleep(1.0)
            return self.last is not None and self.last.result == "in sync" and len(self.passes) == count

        return eventually(quiet)

    def run(self) -> None:
        """Until it is stopped; how it ended is kept."""
        try:
            self.watch.run()
            self.ended.append(None)
        except BaseException as error:  # noqa: BLE001 - the test asks for it
            self.ended.append(error)


def order(world: World, **changes: object) -> Order:
    """An order for a test: events alone make it look, passes come without delay, and fights are quick."""
    usual = {
        "terms": Terms(),
        "rhythm": Rhythm(NEVER, NEVER),
        "full": NEVER,
        "tenure": Tenure(valid=15, renew=1.0, retry=0.1),
        "fights": Fights,
    }
    return Order(world.repository.root, **{**usual, **changes})  # type: ignore[arg-type] # words of many types


@contextmanager
def watched(world: World, cluster: Cluster | None = None, **changes: object) -> Iterator[Watched]:
    """A watch over the world's repository; at the end it must stop without an error."""
    calendar = Calendar()
    found: list[Passed | Noted] = []
    watch = Watch(cluster or world.cluster, order(world, **changes), calendar, found.append)
    running = Watched(watch, calendar, found)
    thread = threading.Thread(target=running.run)
    thread.start()
    try:
        yield running
    finally:
        watch.stop()
        thread.join()
    assert running.ended == [None]
