"""A cluster kept up to date by watches, through everything that ends a watch: a real API server behind a proxy."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from reconciler.errors import ClusterError, Unauthorized
from reconciler.kinds import CONFIG_MAP, NAMESPACE
from reconciler.kube import KubeCluster
from reconciler.watching.mirror import Ears, Mirror, Pauses
from tests import proxy as faults
from tests.controlplane.api import Document
from tests.proxy import Fault, Proxy
from tests.world import World, eventually

PLACE = "jobq-system"
GONE = 410


def note(name: str, **data: str) -> Document:
    labels = {"app.kubernetes.io/managed-by": "jobq", "jobq.io/project": name}
    metadata = {"name": name, "namespace": PLACE, "labels": labels}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


@dataclass
class Reflection:
    """A mirror of jobq-system's ConfigMaps, and what it has said."""

    mirror: Mirror
    changed: list[str]
    cuts: list[ClusterError | None]

    def data(self) -> dict[str, dict[str, str]]:
        """The data of each by name, as the mirror has it."""
        found = self.mirror.list(CONFIG_MAP, namespace=PLACE).items
        return {body["metadata"]["name"]: body.get("data", {}) for body in found}


@contextmanager
def mirrored(cluster: KubeCluster) -> Iterator[Reflection]:
    changed: list[str] = []
    cuts: list[ClusterError | None] = []
    mirror = Mirror(cluster, [CONFIG_MAP], Ears(changed.append, cuts.append))
    try:
        yield Reflection(mirror, changed, cuts)
    finally:
        mirror.close()


def test_kept_up_to_date(world: World, through: KubeCluster, proxy: Proxy) -> None:
    """After one LIST and one watch nothing is asked; what comes, changes and goes is there, and told."""
    with mirrored(through) as seen:
        assert "jobq.cluster" in seen.data()
        world.admin.apply(CONFIG_MAP, note("a", x="1"))
        assert eventually(lambda: seen.data().get("a") == {"x": "1"})
        world.admin.apply(CONFIG_MAP, note("a", x="2"))
        assert eventually(lambda: seen.data()["a"] == {"x": "2"})
        world.admin.delete(CONFIG_MAP, "a", namespace=PLACE)
        assert eventually(lambda: "a" not in seen.data())
        name = f"ConfigMap {PLACE}/a"
        assert eventually(lambda: seen.changed == [f"{name} came", f"{name} changed", f"{name} went"])
        assert eventually(lambda: len(proxy.asked) == 2)
        assert [asked.watches for asked in proxy.asked] == [False, True]
        assert len(seen.mirror.list(NAMESPACE).items) > 1  # a kind that isn't kept is asked for each time
        assert len(proxy.asked) == 3
    assert seen.cuts == []


ENDS: dict[str, tuple[Fault, bool]] = {
    "cut": (faults.cut(0), False),
    "cut in the middle of a line": (faults.cut_in_line(), False),
    "an ERROR event 410": (faults.end_watch_with(GONE), True),
    "410 on connect": (faults.refuse(GONE), True),
    "401 on connect": (faults.refuse(401), True),
    "no connection": (faults.drop, False),
}


@pytest.mark.parametrize("end", ENDS)
def test_watches_that_end(world: World, through: KubeCluster, proxy: Proxy, end: str) -> None:
    """However watches end, three in a row: no change is missed, nothing is taken for deleted, the tries are few."""
    fault, lists_again = ENDS[end]
    before = set(threading.enumerate())
    proxy.spoil(faults.watch, fault, times=3)
    with mirrored(through) as seen:
        held = seen.data()
        number = 0
        while len(seen.cuts) < 3:
            number += 1
            world.admin.apply(CONFIG_MAP, note("a", x=str(number)))
            assert eventually(lambda: seen.data().get("a") == {"x": str(number)})  # noqa: B023 - within the turn
            assert seen.data().keys() == held.keys() | {"a"}
        world.admin.apply(CONFIG_MAP, note("b"))
        assert eventually(lambda: "b" in seen.data())
        wanted = [4, 4 if lists_again else 1]
        assert eventually(lambda: [sum(one.watches is kind for one in proxy.asked) for kind in (True, False)] == wanted)
        assert all("went" not in text for text in seen.changed)
    assert set(threading.enumerate()) <= before | {one for one in threading.enumerate() if "Thread-" in one.name}


def test_refused_lists(through: KubeCluster, proxy: Proxy) -> None:
    """Where the new LIST is refused too, whoever looks is told; nothing looks empty."""
    with mirrored(through) as seen:
        held = seen.data()
        assert eventually(lambda: any(asked.watches for asked in proxy.asked))  # else it takes the faults itself
        proxy.spoil(lambda asked: not asked.watches, faults.refuse(401), times=1)
        proxy.spoil(faults.watch, faults.end_watch_with(GONE), times=1)
        proxy.cut_all()
        assert eventually(lambda: any("listed again" in text for text in seen.changed))
        with pytest.raises(Unauthorized):
            seen.data()
        assert seen.data() == held


def test_pauses_grow() -> None:
    """A server that is away is asked ever less often, never at one beat, and at once again after a success."""
    pauses = Pauses(0.1, 10.0)
    waits = [pauses.next() for _ in range(1000)]
    assert 0.05 <= waits[0] <= 0.1
    assert all(5.0 <= wait <= 10.0 for wait in waits[10:])
    assert len(set(waits)) > 900
    pauses.reset()
    assert pauses.next() <= 0.1
