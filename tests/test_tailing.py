"""Reading a log to its end through ends and errors of connections, with answers that are told beforehand."""

import threading
from collections.abc import Iterator
from typing import Any, cast

import pytest

from cli.job import live, tailing
from cli.job.tailing import Shown, Tail
from reconciler.cluster import Body, Cluster
from reconciler.errors import ClusterError, Forbidden, NotFound, Rejected, Unreachable

CUT = Unreachable("the connection broke")
GONE = NotFound("no such pod", code=404)
ONE, TWO, THREE = (b"2027-01-15T08:00:0%d.5Z %s\n" % (number, text) for number, text in enumerate([b"a", b"b", b"c"]))
Reading = list[bytes | ClusterError]


def pod(state: str, *, restarts: int = 0) -> Body:
    status = {"name": "main", "state": {state: {}}, "restartCount": restarts}
    return {
        "metadata": {"name": "p", "namespace": "x", "uid": "u"},
        "spec": {"containers": [{"name": "main"}]},
        "status": {"containerStatuses": [status]},
    }


RUNNING, OVER = pod("running"), pod("terminated")


class Told:
    """A cluster whose logs and pods are told beforehand; the last pod stays."""

    def __init__(self, readings: list[Reading], pods: list[Body | ClusterError]) -> None:
        self.readings, self.pods = readings, pods
        self.asked: list[tuple[bool, str, int | None]] = []

    def log(self, *_: object, follow: bool, since_time: str, tail: int | None, **__: Any) -> Iterator[bytes]:  # noqa: ANN401 - options
        """The next reading."""
        self.asked.append((follow, since_time, tail))
        for piece in self.readings.pop(0):
            if isinstance(piece, ClusterError):
                raise piece
            yield piece

    def get(self, *_: object, **__: object) -> Body:
        """The next state of the pod."""
        found = self.pods.pop(0) if self.pods[1:] else self.pods[0]
        if isinstance(found, ClusterError):
            raise found
        return found


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tailing, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(tailing, "LONGEST_PAUSE", 0.02)


def followed(told: Told, shown: Shown | None = None, *, once: bool = False) -> tuple[bytes, Tail]:
    """What was shown, and the reader at its end."""
    out: list[bytes] = []
    tail = Tail(cast("Cluster", told), RUNNING, shown or Shown(), out.append, threading.Event(), once=once)
    tail.follow()
    assert not told.readings
    return b"".join(out), tail


def test_end_is_read_once_more() -> None:
    """A stream that ends properly may have been ended by a proxy: the rest is asked for once the container is over."""
    told = Told([[b"", ONE], [b"", ONE, TWO], [b"", TWO, THREE]], [RUNNING, OVER])
    out, tail = followed(told, Shown(tail=5))
    assert (out, tail.complete, tail.doubt) == (b"a\nb\nc\n", True, "")
    times = ["", "2027-01-15T08:00:00Z", "2027-01-15T08:00:01Z"]
    assert told.asked == [(True, times[0], 5), (True, times[1], None), (False, times[2], None)]


def test_pod_that_is_gone_after_its_end() -> None:
    """Where the log had ended properly before, nothing is missing: neither found by the pod nor by its log."""
    assert followed(Told([[b"", ONE]], [GONE]))[1].complete
    assert followed(Told([[b"", ONE], [GONE]], [OVER]))[1].complete


def test_pod_that_is_gone_after_a_cut() -> None:
    out, tail = followed(Told([[b"", ONE, CUT], [GONE]], [RUNNING]))
    assert (out, tail.complete) == (b"a\n", False)
    assert tail.doubt == "its pod is gone, and the end of its log with it"


def test_lines_that_the_node_has_dropped() -> None:
    out, tail = followed(Told([[b"", ONE, CUT], [b"", THREE], [b"", THREE]], [OVER]))
    assert (out, tail.complete) == (b"a\nc\n", True)
    assert "lines may be missing" in tail.doubt


def test_another_run_has_another_log() -> None:
    told = Told([[b"", TWO], [b"", ONE], [b"", ONE]], [pod("running", restarts=1), pod("terminated", restarts=1)])
    out, tail = followed(told)
    assert (out, tail.doubt) == (b"b\na\n", "")


def test_refusal_ends_it() -> None:
    with pytest.raises(Forbidden):
        followed(Told([[Forbidden("no access", code=403)]], [RUNNING]))


def test_busy_server_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """For a while; each connection that comes about begins it anew, also one without a line."""
    busy = Rejected("spoilt", code=500)
    told = Told([[busy], [b"", CUT], [busy], [b"", ONE], [b"", ONE]], [OVER])
    assert followed(told)[0] == b"a\n"
    monkeypatch.setattr(live, "PATIENCE_SECONDS", 0.05)
    with pytest.raises(Unreachable):
        followed(Told([[CUT]] * 1000, [RUNNING]))


def test_what_is_there_now() -> None:
    """It is read once to its end, however often the connection breaks on the way."""
    told = Told([[b"", ONE, TWO[:-2], CUT], [CUT], [b"", TWO, THREE]], [RUNNING])
    out, tail = followed(told, Shown(tail=5), once=True)
    assert (out, tail.complete, tail.doubt) == (b"a\nb\nc\n", True, "")
    times = ["", "2027-01-15T08:00:01Z", "2027-01-15T08:00:01Z"]
    assert told.asked == [(False, times[0], 5), (False, times[1], None), (False, times[2], None)]


def test_what_is_there_now_but_never_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each connection breaks within the same second of the log: it is given up, not asked for without end."""
    monkeypatch.setattr(live, "PATIENCE_SECONDS", 0.05)
    with pytest.raises(Unreachable):
        followed(Told([[b"", ONE, CUT]] * 1000, [RUNNING]), once=True)


@pytest.mark.parametrize("error", [CUT, Rejected("previous terminated container not found", code=400)])
def test_what_cannot_be_read_at_first(error: ClusterError) -> None:
    """Nobody waits for a log that isn't there now."""
    with pytest.raises(type(error)):
        followed(Told([[error]], [RUNNING]), once=True)


def test_pod_that_goes_while_it_is_read() -> None:
    out, tail = followed(Told([[b"", ONE, CUT], [GONE]], [RUNNING]), once=True)
    assert (out, tail.complete) == (b"a\n", False)
