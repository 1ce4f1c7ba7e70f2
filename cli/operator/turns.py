"""Single runs take turns: while one writes, another waits, and plans upon what that has written."""

import socket
import uuid
from types import TracebackType
from typing import Self

from cli import clock, console
from reconciler.cluster import Cluster, find
from reconciler.errors import ClusterError, Forbidden, JobqError
from reconciler.kinds import LEASE
from reconciler.model import SYSTEM_NAMESPACE
from reconciler.watching.lease import RUN, Halt, Leadership, transitions

PATIENCE_SECONDS = 600.0
"""How long a run waits for its turn."""
_LOOK_SECONDS = 0.1


class Turn:
    """A run's turn, by a Lease that is asked for at the first write and given back at the end.

    Without it a run of an older commit that is slow could write what a newer one has looked at already, such as access
    that it withdraws.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._before = _free_since(cluster)
        self._had = False
        self._trouble: ClusterError | None = None
        self._me = f"{socket.gethostname()}_{uuid.uuid4().hex[:8]}"
        self._lease = Leadership(cluster, self._me, clock.now, lambda: None, self._troubled, name=RUN)
        self.stop = Halt(lambda: not self._is_lost())
        """Set by who wants the run to end; also while the turn is lost."""

    def alone(self) -> bool:
        """Whether it is this run's turn, and nobody else's has been since it began or last asked. Waits for it.

        Raises: JobqError where it doesn't come.
        """
        if not self._had:
            self._lease.start()
            self._wait()
        unseen = self._lease.terms - 1 != self._before
        self._before = self._lease.terms - 1
        return self._had and not unseen

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._is_lost():
            console.warn(f"another run took over: {self._lease.holder or 'the API server could not be asked'}")
        self._lease.close()

    def _wait(self) -> None:
        until, told = clock.elapsed() + PATIENCE_SECONDS, ""
        while not self._lease.held:
            if self.stop.wait(_LOOK_SECONDS):
                return
            is_late, trouble = clock.elapsed() > until, self._trouble
            if trouble is not None and (is_late or isinstance(trouble, Forbidden)):
                raise trouble
            if is_late:
                raise JobqError(f"another run has been writing for long: {told}", hint="run again once it has ended")
            if (holder := self._lease.holder) not in {"", self._me, told}:
                told = holder
                console.talk(f"waits for the run that writes now: {told}")
        self._had = True

    def _is_lost(self) -> bool:
        return self._had and not self._lease.held

    def _troubled(self, error: ClusterError) -> None:
        self._trouble = error


def _free_since(cluster: Cluster) -> int | None:
    """After how many holders the Lease is free; None where it isn't, or can't be read, which a plan says better."""
    try:
        lease = find(cluster, LEASE, RUN, SYSTEM_NAMESPACE) or {}
    except ClusterError:
        return None
    return None if lease.get("spec", {}).get("holderIdentity") else transitions(lease)
