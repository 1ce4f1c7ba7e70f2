"""A container's log as one text, over any number of connections that break anywhere. Pure.

The server is asked for times, so each line begins with one. After a cut it is asked again from the second of the last
time seen, and what was passed on before is left out: whole lines are counted, the broken one by its bytes.
"""

import re
from dataclasses import dataclass

_STAMP = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?(Z|[+-]\d\d:\d\d)")
_LONGEST_STAMP = 36
_ALL = 2**63


@dataclass(slots=True)
class Resumed:
    """Feed it what each connection brings; ``timestamps`` is whether times are passed on too.

    It holds no more than a time: a line of any length goes through in pieces.
    """

    timestamps: bool = False
    gap: bool = False
    """Whether the last line passed on was not found again: what came after it may be missing."""
    _stamp: bytes = b""
    _same: int = 0
    _passed: int = 0
    _ended: bool = True
    _head: bytes | None = b""
    _sought: int = 0
    _found: int = 0
    _skip: int = 0

    @property
    def since(self) -> str:
        """The second from which to ask again; empty where nothing has come yet."""
        match = _STAMP.fullmatch(self._stamp)
        return (match[1] + match[3]).decode() if match else ""

    def begin(self) -> None:
        """A new connection: it begins at a line, of which some may be known."""
        self._head, self._skip, self._found = b"", 0, 0
        self._sought = self._same

    def feed(self, data: bytes) -> bytes:
        """What is new of a piece that has arrived."""
        out, at = bytearray(), 0
        while at < len(data):
            take = self._take_text if self._head is None else self._take_head
            at = take(data, at, out)
        return bytes(out)

    def end(self) -> bytes:
        """What was held back where the connection ended in what might have been a time."""
        rest = self._head or b""
        self._head = b""
        return b"" if self._sought else rest

    def _take_head(self, data: bytes, at: int, out: bytearray) -> int:
        """Read on in a line's time; the place behind it."""
        head = self._head or b""
        blank = data.find(b" ", at, at + _LONGEST_STAMP - len(head))
        line_end = data.find(b"\n", at, at + _LONGEST_STAMP - len(head))
        if blank < 0 and line_end < 0 and len(head) + len(data) - at < _LONGEST_STAMP:
            self._head = head + data[at:]
            return len(data)
        self._head = None
        stamp = head + data[at:blank] if blank >= 0 else b""
        if blank >= 0 and _STAMP.fullmatch(stamp):
            self._begin_line(stamp, out)
            return blank + 1
        self._skip = _ALL if self._sought else 0  # a text without a time: the rest of a line that began before
        self._write(head, out)
        return at

    def _begin_line(self, stamp: bytes, out: bytearray) -> None:
        self._skip = 0
        if self._sought and not self._is_known(stamp):
            self.gap = True
            self._sought = 0
            if not self._ended:
                out += b"\n"
        if self._sought:
            self._skip = self._known_bytes(stamp)
            return
        self._same = self._same + 1 if stamp == self._stamp else 1
        self._stamp, self._passed, self._ended = stamp, 0, False
        if self.timestamps:
            out += stamp + b" "

    def _is_known(self, stamp: bytes) -> bool:
        """Whether the line is the last one of before, or can come before it."""
        return _instant(stamp) <= _instant(self._stamp)

    def _known_bytes(self, stamp: bytes) -> int:
        """How much of this line was passed on before; the last one known ends the search."""
        if stamp != self._stamp:
            return _ALL
        self._found += 1
        if self._found < self._sought:
            return _ALL
        self._sought = 0
        return self._passed

    def _take_text(self, data: bytes, at: int, out: bytearray) -> int:
        """Read on in a line's text; the place behind it."""
        line_end = data.find(b"\n", at)
        stop = len(data) if line_end < 0 else line_end + 1
        self._write(data[at:stop], out)
        if line_end >= 0:
            self._head = b""
        return stop

    def _write(self, text: bytes, out: bytearray) -> None:
        known = min(self._skip, len(text))
        self._skip -= known
        if new := text[known:]:
            out += new
            self._passed += len(new)
            self._ended = new.endswith(b"\n")


def _instant(stamp: bytes) -> tuple[bytes, bytes]:
    """What orders the times of one node, which writes them all in one zone."""
    match = _STAMP.fullmatch(stamp)
    assert match  # noqa: S101 - only times are kept
    return match[1], (match[2] or b".").ljust(10, b"0")
