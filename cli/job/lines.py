"""The output of several pods in one stream, each line with its pod in front. Pure."""

import re
from dataclasses import dataclass, field

LONGEST = 2**16
"""Bytes of a line that are held until it ends; a longer one is broken."""
_END = re.compile(rb"\r\n|\n|\r")


@dataclass(slots=True)
class Lines:
    """Whole lines by pod. A carriage return ends a line too: each state of a progress bar is one."""

    _held: dict[str, bytes] = field(default_factory=dict)

    def feed(self, prefix: str, data: bytes) -> bytes:
        """The lines that ``data`` completes."""
        text = self._held.pop(prefix, b"") + data
        late = text.endswith(b"\r")  # a newline may follow it
        whole, at = [], 0
        for end in _END.finditer(text, 0, len(text) - late):
            if end.start() > at or end[0] != b"\r":
                whole.append(text[at : end.start()])
            at = end.end()
        while len(text) - at > LONGEST:
            whole.append(text[at : at + LONGEST])
            at += LONGEST
        self._held[prefix] = text[at:]
        return b"".join(_line(prefix, line) for line in whole)

    def flush(self, prefix: str) -> bytes:
        """What waits for its end, as a line of its own."""
        rest = self._held.pop(prefix, b"").rstrip(b"\r")
        return _line(prefix, rest) if rest else b""


def _line(prefix: str, text: bytes) -> bytes:
    return prefix.encode() + text + b"\n"
