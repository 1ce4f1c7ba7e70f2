"""Positions in a queue, from answers that are told beforehand."""

from collections.abc import Sequence
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

import pytest

from cli import clock, connection
from cli.explain.standing import Position
from cli.job import positions
from cli.job.positions import local, read_positions, shared
from reconciler.cluster import Body, Cluster
from reconciler.errors import NotFound, Unreachable


def pending(name: str, here: int, overall: int, namespace: str = "vision") -> Body:
    meta = {"name": name, "namespace": namespace}
    return {"metadata": meta, "positionInLocalQueue": here, "positionInClusterQueue": overall}


class Visible:
    """A server that pages through these items, as Kueue does."""

    def __init__(self, items: Sequence[Body]) -> None:
        self.items = items
        self.asked: list[str] = []

    def read(self, path: str, *, seconds: float) -> Body:
        """One page."""
        assert 0 < seconds <= positions.SECONDS
        self.asked.append(path)
        query = {key: int(values[0]) for key, values in parse_qs(urlsplit(path).query).items()}
        return {"items": self.items[query["offset"] :][: query["limit"]] or None}


def positions_of(server: Any) -> positions.Positions:  # noqa: ANN401 - what answers like a cluster
    return read_positions(cast("Cluster", server), local("vision", "main"))


def test_counts_from_one() -> None:
    found = positions_of(Visible([pending("a", 0, 4), pending("b", 1, 9)]))
    assert found.of == {("vision", "a"): Position(1, 5), ("vision", "b"): Position(2, 10)}
    assert not found.problem


def test_others_are_neither_shown_nor_counted() -> None:
    """An answer that holds another namespace's Workloads: what it says of the own order still holds."""
    items = [pending("theirs", 0, 0, "speech"), pending("b", 3, 3), pending("a", 1, 1), pending("x", 2, 2, "speech")]
    assert positions_of(Visible(items)).of == {("vision", "a"): Position(1, 2), ("vision", "b"): Position(2, 4)}


def test_every_page_is_read() -> None:
    """The last of more than two pages has its position, in three requests."""
    count = 2 * positions.PAGE + 100
    server = Visible([pending(f"w{number}", number, number) for number in range(count)])
    assert positions_of(server).of["vision", f"w{count - 1}"] == Position(count, count)
    assert len(server.asked) == 3


def test_unknown_is_said() -> None:
    class Held:
        def read(self, path: str, *, seconds: float) -> Body:
            raise NotFound(f"{path} isn't there, looked {seconds} s", code=404)

    found = positions_of(Held())
    assert (found.of, "isn't there, looked" in found.problem) == ({}, True)


def test_pages_end_with_their_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two seconds for all pages together, not for each; what was read stays."""
    now = [0.0]
    monkeypatch.setattr(clock, "elapsed", lambda: now[0])

    class Slow(Visible):
        def read(self, path: str, *, seconds: float) -> Body:
            if now[0] >= 1.5:
                raise Unreachable(f"no answer within {seconds:g} s")
            now[0] += 1.5
            return super().read(path, seconds=seconds)

    found = positions_of(Slow([pending(f"w{number}", number, number) for number in range(2 * positions.PAGE)]))
    assert (len(found.of), "0.5 s" in found.problem) == (positions.PAGE, True)


def test_whole_cluster_queue() -> None:
    """Places are counted in each LocalQueue; of what is no project nothing is told."""
    items = [
        pending("a", 0, 0) | {"localQueueName": "main"},
        pending("b", 0, 1, "speech") | {"localQueueName": "main"},
        pending("c", 0, 2) | {"localQueueName": "side"},
        pending("x", 0, 3, "kitchen") | {"localQueueName": "main"},
        pending("d", 1, 4) | {"localQueueName": "main"},
    ]
    found = read_positions(cast("Cluster", Visible(items)), shared("gpus", {"vision", "speech"}))
    assert found.of == {
        ("vision", "a"): Position(1, 1),
        ("speech", "b"): Position(1, 2),
        ("vision", "c"): Position(1, 3),
        ("vision", "d"): Position(2, 5),
    }


def test_many_queues_share_their_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """With Kueue hung, forty queues take no longer than one."""
    now = [0.0]
    monkeypatch.setattr(clock, "elapsed", lambda: now[0])
    asked: list[str] = []

    class Hung:
        def read(self, path: str, *, seconds: float) -> Body:
            asked.append(path)
            now[0] += seconds
            raise Unreachable("no answer")

    found = read_positions(cast("Cluster", Hung()), *(local(f"p{number}", "main") for number in range(40)))
    assert (len(found.of), bool(found.problem)) == (0, True)
    assert len(asked) <= connection.AT_ONCE
