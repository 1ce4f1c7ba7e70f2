"""The text of a file, made safe to parse, and the places in it."""

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from reconciler.documents import characters
from reconciler.documents.document import MAX_BYTES, Document, failed
from reconciler.model import Origin, Problem


@dataclass(frozen=True, slots=True)
class Source:
    """A text with nothing in it that a parser could stumble over, and what had to be replaced for that."""

    text: str
    path: str
    template: bool
    problems: Sequence[Problem]

    @property
    def pattern(self) -> re.Pattern[str]:
        """What may not hide in it."""
        return characters.HIDDEN_IN_TEMPLATE if self.template else characters.HIDDEN_ANYWHERE

    @classmethod
    def of(cls, text: str, path: str, *, template: bool = False) -> "Source":
        """Line ends made equal; hidden characters noted and made visible, so that the rest can be judged too."""
        text = text.removeprefix("\ufeff").replace("\r\n", "\n")
        alone = text.find("\r")
        text = text.replace("\r", "\n") if alone >= 0 else text
        pattern = characters.HIDDEN_IN_TEMPLATE if template else characters.HIDDEN_ANYWHERE
        starts = line_starts(text)
        problems = [
            Problem(place(starts, path, offset), *_unseen(character))
            for offset, character in characters.hidden(pattern, text)
        ]
        if alone >= 0:
            reason = f"{characters.visible(chr(13))} without a line feed after it"
            problems.append(Problem(place(starts, path, alone), reason, "save the file with LF or CRLF line ends"))
        if problems:
            text = pattern.sub(_stand_in, text)
        return cls(text, path, template, tuple(problems))


def _stand_in(found: re.Match[str]) -> str:
    if not found["hidden"]:
        return found[0]
    return " " if characters.SPACES.match(found[0]) else "\ufffd"


def _unseen(character: str) -> tuple[str, str]:
    hint = "use an ordinary space" if characters.SPACES.match(character) else "delete it"
    return f"{characters.visible(character)} can't be seen here", hint


def line_starts(text: str) -> list[int]:
    """The offset of each line."""
    return [0, *(found.end() for found in re.finditer("\n", text))]


def place(starts: Sequence[int], path: str, offset: int) -> Origin:
    """Where an offset stands, by the starts of lines."""
    line = bisect_right(starts, offset)
    return Origin(path, line, offset - starts[line - 1] + 1)


def decode(data: bytes, path: str) -> Source | Document:
    """The text of a declared file, or a document that says why there is none."""
    if len(data) > MAX_BYTES:
        reason = f"{len(data):,} bytes; a declared file has at most {MAX_BYTES:,}"
        return failed([Problem(Origin(path), reason)], path)
    try:
        return Source.of(data.decode(), path)
    except UnicodeDecodeError as error:
        reason = f"byte 0x{data[error.start]:02x} at offset {error.start} isn't UTF-8"
        before = data[: error.start].decode().removeprefix("\ufeff").replace("\r\n", "\n")
        utf16 = data.startswith((b"\xff\xfe", b"\xfe\xff"))
        hint = "save the file as UTF-8" + " (it looks like UTF-16)" * utf16
        return failed([Problem(place(line_starts(before), path, len(before)), reason, hint)], path)
