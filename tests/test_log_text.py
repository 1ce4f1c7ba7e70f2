"""A log over broken connections, and the logs of several pods in one stream, as text alone."""

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.job.lines import LONGEST, Lines
from cli.job.resumed import Resumed

TEXTS = st.binary(max_size=12).map(lambda text: text.replace(b"\n", b"-"))


def stamped(seconds: int, fraction: int = 0) -> bytes:
    return b"2027-01-15T08:%02d:%02d.%09dZ" % (seconds // 60, seconds % 60, fraction)


def served(lines: list[tuple[bytes, bytes]], since: str) -> bytes:
    """What a server gives from that second on."""
    return b"".join(stamp + b" " + text + b"\n" for stamp, text in lines if stamp[:19].decode() >= since[:19])


@given(
    texts=st.lists(TEXTS, min_size=1, max_size=12),
    steps=st.lists(st.sampled_from([0, 1, 10**9]), min_size=12, max_size=12),
    cuts=st.lists(st.integers(0, 400), max_size=6),
    piece=st.integers(1, 50),
    timestamps=st.booleans(),
)
def test_every_line_once(
    texts: list[bytes], steps: list[int], cuts: list[int], piece: int, *, timestamps: bool
) -> None:
    """Wherever connections break, also in a line or in its time, also among lines of the very same time."""
    lines, now = [], 0
    for text, step in zip(texts, steps, strict=False):
        now += step
        lines.append((stamped(*divmod(now, 10**9)), text))
    log, out = Resumed(timestamps), b""
    for length in [*cuts, 10**6]:
        log.begin()
        answer = served(lines, log.since)[:length]
        for start in range(0, len(answer), piece):
            out += log.feed(answer[start : start + piece])
    assert out == b"".join((stamp + b" " if timestamps else b"") + text + b"\n" for stamp, text in lines)
    assert not log.gap


def test_lost_lines_are_noticed() -> None:
    """Where the last line isn't there any more, what follows is given, and that something may be missing."""
    log = Resumed()
    log.begin()
    assert log.feed(stamped(1) + b" one\n" + stamped(2) + b" tw") == b"one\ntw"
    log.begin()
    assert log.since == "2027-01-15T08:00:02Z"
    assert log.feed(stamped(5) + b" five\n") == b"\nfive\n"
    assert log.gap


def test_zones_and_texts_without_times() -> None:
    log = Resumed()
    log.begin()
    assert log.feed(b"2027-01-15T08:00:00.5+02:00 a\nunable to go on\n") + log.end() == b"a\nunable to go on\n"
    assert log.since == "2027-01-15T08:00:00+02:00"
    log = Resumed()
    log.begin()
    assert log.feed(b"short") + log.end() == b"short"


def test_long_lines_pass_through() -> None:
    """Nothing of a line is held back, however long it is."""
    log = Resumed()
    log.begin()
    assert log.feed(stamped(1) + b" ") == b""
    pieces = [random.randbytes(1000).replace(b"\n", b"-") for _ in range(50)]
    assert all(log.feed(piece) == piece for piece in pieces)
    log.begin()
    again = stamped(1) + b" " + b"".join(pieces) + b"end\n"
    assert b"".join(log.feed(again[a:b]) for a, b in pairwise([*range(0, len(again), 700), len(again)])) == b"end\n"


@pytest.mark.parametrize(
    ("pieces", "shown", "rest"),
    [
        ([b"a\nb\n"], b"> a\n> b\n", b""),
        ([b"a", b"b\nc"], b"> ab\n", b"> c\n"),
        ([b"\r10%\r20%", b"\r30%"], b"> 10%\n> 20%\n", b"> 30%\n"),
        ([b"a\r", b"\nb\r\n"], b"> a\n> b\n", b""),
        ([b"100%\r"], b"", b"> 100%\n"),
        ([b"\n\na\n"], b"> \n> \n> a\n", b""),
        ([b"x" * (LONGEST + 5)], b"> " + b"x" * LONGEST + b"\n", b"> xxxxx\n"),
    ],
)
def test_lines_of_a_pod(pieces: list[bytes], shown: bytes, rest: bytes) -> None:
    lines = Lines()
    assert b"".join(lines.feed("> ", piece) for piece in pieces) == shown
    assert lines.flush("> ") == rest
    assert lines.flush("> ") == b""


def test_lines_of_two_pods_stay_whole() -> None:
    lines = Lines()
    out = lines.feed("0 ", b"ab") + lines.feed("1 ", b"cd\ne") + lines.feed("0 ", b"c\n") + lines.flush("1 ")
    assert out == b"1 cd\n0 abc\n1 e\n"
