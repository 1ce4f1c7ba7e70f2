"""Container logs as a kubelet keeps them: files of CRI lines ``<time> <stream> <F|P> <text>``, written and read back.

Times have nine digits and streams six letters, so the text of every line begins at the same column.
"""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from tests.controlplane.runner import instants

warnings = logging.getLogger("runner")
STREAMS = ("stdout", "stderr")
TAG_AT = len("2026-01-01T00:00:00.000000000Z stdout ")
TIME_LENGTH = len("2026-01-01T00:00:00.000000000Z")
TEXT_AT = TAG_AT + len("F ")
LONGEST_LINE_BYTES = 16 * 1024  # containerd's; longer lines are cut into parts tagged P
BLOCK_BYTES = 64 * 1024
UNFINISHED_S = 0.2  # CRI-O hands on at once what has no end yet, containerd never; readers should see it


# Writing -----------------------------------------------------------------------------------------------------------


class Framer:
    """Turns the output of one stream into CRI lines; an unfinished line waits for its end, or becomes a part."""

    def __init__(self, stream: str) -> None:
        self._stream = stream
        self._rest = b""
        self._is_open = False

    def feed(self, data: bytes, first_ns: int) -> tuple[bytes, int]:
        """The lines completed by data, and how many; the first gets the given time, each next one nanosecond more."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        self._is_open = self._is_open and not lines
        pieces = [piece for line in lines for piece in cut(line, last=b"F")]
        if len(self._rest) >= LONGEST_LINE_BYTES:
            *parts, rest = cut(self._rest, last=b"P")
            pieces += parts
            self._rest = rest[1]
        return self._stamp(pieces, first_ns), len(pieces)

    @property
    def waits(self) -> bool:
        """Whether something waits for the end of its line."""
        return bool(self._rest)

    def part(self, now_ns: int) -> tuple[bytes, int]:
        """What waits, as a part of its line, and how many CRI lines that is."""
        pieces, self._rest = [(b"P", self._rest)] if self._rest else [], b""
        self._is_open = self._is_open or bool(pieces)
        return self._stamp(pieces, now_ns), len(pieces)

    def finish(self, now_ns: int) -> bytes:
        """The end of the line that never got its own, if any."""
        pieces = cut(self._rest, last=b"F") if self._rest or self._is_open else []
        self._rest, self._is_open = b"", False
        return self._stamp(pieces, now_ns)

    def _stamp(self, pieces: list[tuple[bytes, bytes]], first_ns: int) -> bytes:
        if not pieces:
            return b""
        stream = self._stream.encode()
        if first_ns % instants.SECOND_NS + len(pieces) < instants.SECOND_NS:  # formats the seconds once
            second = instants.to_nanos(first_ns)[: -len("000000000Z")].encode()
            first = first_ns % instants.SECOND_NS
            numbered = enumerate(pieces, first)
            return b"".join([b"%s%09dZ %s %s %s\n" % (second, ns, stream, tag, text) for ns, (tag, text) in numbered])
        stamps = [instants.to_nanos(first_ns + index).encode() for index in range(len(pieces))]
        both = zip(stamps, pieces, strict=True)
        return b"".join([b"%s %s %s %s\n" % (stamp, stream, tag, text) for stamp, (tag, text) in both])


def cut(line: bytes, *, last: bytes) -> list[tuple[bytes, bytes]]:
    """Pieces of at most the longest length with their tags; the last one is tagged as told."""
    if len(line) <= LONGEST_LINE_BYTES:
        return [(last, line)]
    pieces = [line[start : start + LONGEST_LINE_BYTES] for start in range(0, len(line), LONGEST_LINE_BYTES)]
    return [*((b"P", piece) for piece in pieces[:-1]), (last, pieces[-1])]


class ContainerLog:
    """The log file of one run of a container; times in it never repeat or go back."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("ab", buffering=0)
        self._framers = {stream: Framer(stream) for stream in STREAMS}
        self._next_ns = 0
        self._lossy = False
        self._timer: asyncio.TimerHandle | None = None
        self._news = asyncio.Event()
        self.ended = False

    def write(self, stream: str, data: bytes) -> None:
        """Append what the container wrote."""
        first_ns = max(instants.now_ns(), self._next_ns)
        text, lines = self._framers[stream].feed(data, first_ns)
        self._next_ns = first_ns + lines
        self._append(text)
        if self._framers[stream].waits and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(UNFINISHED_S, self._hand_on)

    def _hand_on(self) -> None:
        """Let readers have lines that don't end: a progress bar may write none that does."""
        self._timer = None
        for framer in self._framers.values():
            now_ns = max(instants.now_ns(), self._next_ns)
            text, lines = framer.part(now_ns)
            self._next_ns = now_ns + lines
            self._append(text)

    def end(self) -> None:
        """No more output will come; readers that follow end."""
        if self._timer:
            self._timer.cancel()
        for framer in self._framers.values():
            self._append(framer.finish(max(instants.now_ns(), self._next_ns)))
        self._file.close()
        self.ended = True
        self._news.set()

    async def more(self) -> None:
        """Wait for the next write or the end."""
        await self._news.wait()

    def _append(self, text: bytes) -> None:
        if text:
            try:
                self._file.write(text)
            except OSError as error:  # a full disk: the container goes on, its lines are lost
                if not self._lossy:
                    warnings.warning("%s: lines are lost: %s", self._file.name, error)
                self._lossy = True
            self._news.set()
            self._news = asyncio.Event()


# Reading -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LogOptions:
    """v1.PodLogOptions; since is a time with nine digits, or empty."""

    follow: bool = False
    previous: bool = False
    timestamps: bool = False
    tail_lines: int | None = None
    limit_bytes: int | None = None
    since: bytes = b""


def parse_options(query: Mapping[str, str], now_ns: int) -> LogOptions:
    """What a request asks for.

    Raises: ValueError with a text for the caller.
    """
    return LogOptions(
        follow=parse_flag(query, "follow"),
        previous=parse_flag(query, "previous"),
        timestamps=parse_flag(query, "timestamps"),
        tail_lines=parse_count(query, "tailLines", least=0),
        limit_bytes=parse_count(query, "limitBytes", least=1),
        since=parse_since(query, now_ns),
    )


def parse_flag(query: Mapping[str, str], name: str) -> bool:
    """A boolean; absent is false."""
    return query.get(name, "").lower() in {"true", "1"}


def parse_count(query: Mapping[str, str], name: str, *, least: int) -> int | None:
    """A whole number, or None if it isn't given.

    Raises: ValueError if it is too small or no number.
    """
    if not query.get(name):
        return None
    number = int(query[name])
    if number < least:
        raise ValueError(f"{name} must be at least {least}: {number}")
    return number


def parse_since(query: Mapping[str, str], now_ns: int) -> bytes:
    """The earliest time wanted, or nothing.

    Raises: ValueError if it is no time.
    """
    seconds = parse_count(query, "sinceSeconds", least=1)
    if seconds is not None:
        return instants.to_nanos(now_ns - seconds * instants.SECOND_NS).encode()
    return instants.to_nanos(instants.parse(query["sinceTime"])).encode() if query.get("sinceTime") else b""


class Renderer:
    """The text of whole CRI lines, as a reader wants them; parts of one line are joined, and have the first's time."""

    def __init__(self, options: LogOptions) -> None:
        self._options = options
        self._begins = True

    def render(self, block: bytes) -> bytes:
        """The text of a block."""
        lines, since = block.split(b"\n")[:-1], self._options.since
        if not self._options.timestamps:
            return b"".join([text(line) for line in lines if not since or line[:TIME_LENGTH] >= since])
        return b"".join([self._stamped(line) for line in lines])

    def _stamped(self, line: bytes) -> bytes:
        """A line with its time, also where only a part of it is recent enough: a kubelet forgets it then."""
        begins, self._begins = self._begins, line[TAG_AT] != ord("P")
        if line[:TIME_LENGTH] < self._options.since:
            return b""
        return (line[:TIME_LENGTH] + b" " if begins else b"") + text(line)


def text(line: bytes) -> bytes:
    """A CRI line's text; a part (P) of a longer line has no line end."""
    return line[TEXT_AT:] if line[TAG_AT] == ord("P") else line[TEXT_AT:] + b"\n"


def tail_start(file: BinaryIO, lines: int) -> int:
    """The offset at which the last so many lines begin; reads blocks from the end."""
    end = file.seek(0, os.SEEK_END)
    wanted, position = lines + 1, end  # the file ends with a line end, which closes the last line
    while position > 0:
        start = max(0, position - BLOCK_BYTES)
        file.seek(start)
        block = file.read(position - start)
        found = block.count(b"\n")
        if found >= wanted:
            return start + nth_from_end(block, wanted) + 1
        wanted, position = wanted - found, start
    return 0


def nth_from_end(block: bytes, number: int) -> int:
    """The index of a block's number-th line end, counted from its end."""
    index = len(block)
    for _ in range(number):
        index = block.rindex(b"\n", 0, index)
    return index


async def read(path: Path, log: ContainerLog | None, options: LogOptions) -> AsyncIterator[bytes]:
    """The log's text piece by piece; with follow it goes on until the log, if it is still written, has ended."""
    left, renderer = options.limit_bytes, Renderer(options)
    async for block in whole_lines(path, log if options.follow else None, options.tail_lines):
        piece = renderer.render(block)
        if left is not None:
            piece = piece[:left]
            left -= len(piece)
        if piece:
            yield piece
        if left == 0:
            return


async def whole_lines(path: Path, log: ContainerLog | None, tail_lines: int | None) -> AsyncIterator[bytes]:
    """Blocks of whole CRI lines."""
    with path.open("rb") as file:
        file.seek(tail_start(file, tail_lines) if tail_lines is not None else 0)
        rest = b""
        while True:
            ended = log is None or log.ended  # asked before reading, or the last lines could be missed
            block = file.read(BLOCK_BYTES)
            if block:
                *lines, rest = (rest + block).rpartition(b"\n")
                yield b"".join(lines)
            elif log is None or ended:
                return
            else:
                await log.more()
