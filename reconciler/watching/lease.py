"""A Lease of coordination.k8s.io: of several reconcilers of one cluster, one acts."""

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from reconciler.cluster import Body, Cluster
from reconciler.errors import ClusterError, Conflict, NotFound
from reconciler.kinds import LEASE
from reconciler.model import SYSTEM_NAMESPACE

WATCH = "jobq-reconciler"
"""Of the watches: held as long as one runs."""
RUN = "jobq-run"
"""Of single runs: held while one writes."""


@dataclass(frozen=True, slots=True)
class Tenure:
    """Seconds. A holder that can't renew for two thirds of ``valid`` stops acting; others wait for all of it."""

    valid: int = 15
    renew: float = 5.0
    retry: float = 2.0


_USUAL = Tenure()


def transitions(lease: Body) -> int:
    """How often a Lease has changed hands; -1 for one that isn't there."""
    return int(lease.get("spec", {}).get("leaseTransitions", -1))


class Halt(threading.Event):
    """Set for a pass that is to end: because somebody says so, or because this one may no longer act."""

    def __init__(self, may_act: Callable[[], bool]) -> None:
        super().__init__()
        self._may_act = may_act

    def is_set(self) -> bool:
        """Whether it is to end now."""
        return super().is_set() or not self._may_act()


class Leadership:
    """Holds the Lease, or waits for it, in a thread of its own.

    Whether another holder is gone is judged by how long its Lease stood unchanged here: clocks needn't agree.
    ``told`` is called when ``held`` or ``holder`` has changed, ``troubled`` with each error.
    """

    def __init__(
        self,
        cluster: Cluster,
        identity: str,
        now: Callable[[], datetime],
        told: Callable[[], None],
        troubled: Callable[[ClusterError], None] = lambda _: None,
        tenure: Tenure = _USUAL,
        name: str = WATCH,
    ) -> None:
        self._cluster = cluster
        self._identity = identity
        self._now = now
        self._told = told
        self._troubled = troubled
        self._tenure = tenure
        self._name = name
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lease", daemon=True)
        self._seen = ("", 0.0)
        self._held: Body | None = None
        self._renewed = 0.0
        self.holder = ""
        """Who held it when it was last looked at; ``""`` for nobody."""

    @property
    def held(self) -> bool:
        """Whether this one may act now."""
        return self._held is not None and time.monotonic() < self._renewed + self._tenure.valid * 2 / 3

    @property
    def terms(self) -> int:
        """How many holders the Lease had before this one."""
        return transitions(self._held or {})

    def start(self) -> None:
        """Begin to ask for it."""
        self._thread.start()

    def close(self) -> None:
        """Stop, and let the next one take over at once. Waits for the thread."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._turn()
            except ClusterError as error:
                self._troubled(error)
            if self._held is not None and not self.held:
                self._lose()
            pause = self._tenure.retry if self._held is None else self._tenure.renew
            self._stop.wait(pause * random.uniform(0.8, 1.0))  # noqa: S311 - spreads load, keeps no secret
        self._release()

    def _turn(self) -> None:
        asked = time.monotonic()
        if self._held is not None:
            try:
                self._write(self._held, self._identity, asked)
            except Conflict:
                self._lose()  # somebody else has written it: look who
        if self._held is None:
            self._try(asked)

    def _try(self, asked: float) -> None:
        try:
            live = self._cluster.get(LEASE, self._name, namespace=SYSTEM_NAMESPACE)
        except NotFound:
            live = {"metadata": {"resourceVersion": "1"}}  # create only: an answer of 409 if it came meanwhile
        spec, version = live.get("spec", {}), live["metadata"]["resourceVersion"]
        before, self.holder = self.holder, spec.get("holderIdentity", "")
        if self._seen[0] != version:
            self._seen = (version, asked)
        if self.holder in {"", self._identity} or asked > self._seen[1] + spec.get("leaseDurationSeconds", 0):
            try:
                self._write(live, self._identity, asked)
            except Conflict:
                return  # another was quicker
        if self.holder != before:
            self._told()

    def _write(self, live: Body, holder: str, asked: float) -> None:
        """Raises: Conflict where it has changed since it was read."""
        before, now = live.get("spec", {}), self._now().strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        is_new = before.get("holderIdentity") != self._identity
        spec: dict[str, Any] = {
            "holderIdentity": holder,
            "leaseDurationSeconds": self._tenure.valid if holder else 1,
            "acquireTime": now if is_new else before["acquireTime"],
            "renewTime": now,
            "leaseTransitions": transitions(live) + is_new,
        }
        metadata = {
            "name": self._name,
            "namespace": SYSTEM_NAMESPACE,
            "resourceVersion": live["metadata"]["resourceVersion"],
        }
        body = {"apiVersion": LEASE.api_version, "kind": LEASE.kind, "metadata": metadata, "spec": spec}
        self._held = self._cluster.apply(LEASE, body)
        self._renewed, self.holder = asked, holder

    def _lose(self) -> None:
        self._held = None
        self._told()

    def _release(self) -> None:
        if self._held is None:
            return
        try:
            self._write(self._held, "", time.monotonic())
        except ClusterError as error:
            self._troubled(error)  # it ends by itself soon
        self._held = None
