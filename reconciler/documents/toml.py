"""TOML text to a document, as strict as a YAML one."""

import re
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, time
from typing import Any

from reconciler.documents import characters, words
from reconciler.documents.document import MAX_DEPTH, MAX_INTEGER, Document, Halt, Path, failed
from reconciler.documents.source import Source, decode, line_starts, place
from reconciler.model import Origin, Problem

_STRING = r"""\"{3}(?:\\.|[^\\])*?\"{3,5}|'{3}.*?'{3,5}|\"(?:\\.|[^\"\\\n])*\"|'[^'\n]*'"""
_KEY = re.compile(rf"[A-Za-z0-9_-]+|{_STRING}", re.DOTALL)
_SCALAR = re.compile(rf"{_STRING}|[^\]}},#\n]+", re.DOTALL)
_BLANK = re.compile(r"(?:[ \t\n]|#[^\n]*)*")
_ERROR = re.compile(r"(?P<reason>.*) \(at (?:line (?P<line>\d+), column (?P<column>\d+)|end of document)\)")


def read(data: bytes, path: str) -> Document:
    """A TOML file, as strict as a YAML one, with the places of all keys, values and items."""
    source = decode(data, path)
    if isinstance(source, Document):
        return source
    if source.problems:
        return failed(source.problems, path)
    try:
        value = _value(source)
    except Halt as halt:
        return failed([halt.problem], path)
    scan = _Scan(source)
    scan.document()
    document = Document(value, scan.places, scan.keys)
    unfit = [(at, found) for at, inner in _leaves(value) if (found := _unfit(inner))]
    problems = [Problem(document.place(at), *found) for at, found in unfit]
    return replace(document, refused=frozenset(at for at, _ in unfit), problems=sorted(problems))


def _value(source: Source) -> dict[str, Any]:
    """Raises: Halt."""
    deep = Problem(Origin(source.path), f"nested more than {MAX_DEPTH} deep")
    try:
        value = tomllib.loads(source.text)
    except tomllib.TOMLDecodeError as error:
        raise Halt(_problem(str(error), source)) from error
    except RecursionError as error:
        raise Halt(deep) from error
    except ValueError as error:  # Python's own limit of digits (https://docs.python.org/3/library/stdtypes.html)
        problem = Problem(Origin(source.path), f"a number that can't be kept: {error}", "write it in quotes")
        raise Halt(problem) from error
    if any(len(at) > MAX_DEPTH for at, _ in _leaves(value)):
        raise Halt(deep)
    return value


def _leaves(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:  # noqa: ANN401 - what tomllib gives
    """Every key and every scalar or empty collection, with its path."""
    waiting = [(path, value)]
    while waiting:
        path, value = waiting.pop()
        if isinstance(value, dict) and value:
            waiting += [((*path, key), inner) for key, inner in value.items()]
            yield from (((*path, key), key) for key in value)
        elif isinstance(value, list) and value:
            waiting += [((*path, index), inner) for index, inner in enumerate(value)]
        else:
            yield path, value


def _unfit(value: object) -> tuple[str, str] | None:
    """Why a scalar of a TOML file can't be kept: the rules are those of YAML."""
    if isinstance(value, str):
        hidden = next((character for _, character in characters.hidden(characters.HIDDEN_ANYWHERE, value)), "")
        return (f"{characters.visible(hidden)} is hidden behind an escape", "delete it") if hidden else None
    if isinstance(value, int) and abs(value) > MAX_INTEGER:
        return f"the number {words.short(str(value))} is above 2^53", "JSON readers round it"
    if isinstance(value, float) and not abs(value) <= MAX_INTEGER:
        return f"the number {value} can't be kept exactly", "write it in quotes for text"
    if isinstance(value, datetime | time):
        return f"{value.isoformat()} has a time of day", "write a date, or it in quotes for text"
    return None


def _problem(message: str, source: Source) -> Problem:
    found = _ERROR.fullmatch(message)
    if found is None:
        return Problem(Origin(source.path, 1, 1), f"not TOML: {message}")
    lines = source.text.count("\n") + 1
    place = Origin(source.path, int(found["line"] or lines), int(found["column"] or 1))
    return Problem(place, f"not TOML: {found['reason'][0].lower()}{found['reason'][1:]}")


class _Scan:
    """Where keys and values stand, which tomllib doesn't say, in a text that it has accepted."""

    def __init__(self, source: Source) -> None:
        self.text = source.text
        self.path = source.path
        self.starts = line_starts(source.text)
        self.at = 0
        self.places: dict[Path, Origin] = {(): Origin(source.path, 1, 1)}
        self.keys: dict[Path, Origin] = {}
        self.lengths: dict[Path, int] = {}
        """Of the arrays of tables so far."""

    def document(self) -> None:
        """Fills ``places`` and ``keys``."""
        table: Path = ()
        while self._next():
            if self._next() == "[":
                table = self._header()
            else:
                self._pair(table)

    def _next(self) -> str:
        """The next character that is neither blank nor comment; empty at the end."""
        self.at = _BLANK.match(self.text, self.at).end()  # type: ignore[union-attr] # it matches nothing, too
        return self.text[self.at : self.at + 1]

    def _header(self) -> Path:
        """A line ``[a.b]`` or ``[[a.b]]``: the table that the pairs below it belong to."""
        brackets = 2 if self.text.startswith("[[", self.at) else 1
        self.at += brackets
        path, origin = self._say(())
        if brackets == 2:  # noqa: PLR2004 - an array of tables
            self.lengths[path] = self.lengths.get(path, 0) + 1
            self.places[self._last(path)] = origin
        self.at += brackets
        return self._last(path)

    def _pair(self, path: Path) -> None:
        inner, _ = self._say(path)
        self.at += 1  # the equals sign
        self._value(inner)

    def _say(self, path: Path) -> tuple[Path, Origin]:
        """Notes every part of a dotted key; gives the whole path, and where its last part stands."""
        while True:
            self._next()
            found = _KEY.match(self.text, self.at)
            assert found  # noqa: S101 - it is TOML
            origin = place(self.starts, self.path, self.at)
            path = (*self._last(path), *tomllib.loads(f"{found[0]}=0"))
            self.keys.setdefault(path, origin)
            self.places.setdefault(path, origin)
            self.at = found.end()
            if self._next() != ".":
                return path, origin
            self.at += 1

    def _last(self, path: Path) -> Path:
        """Of an array of tables its last table, of anything else itself."""
        return (*path, self.lengths[path] - 1) if path in self.lengths else path

    def _value(self, path: Path) -> None:
        start = self._next()
        self.places[path] = place(self.starts, self.path, self.at)
        if start in "[{":
            self.at += 1
            self._items(path, "]" if start == "[" else "}")
            return
        found = _SCALAR.match(self.text, self.at)
        assert found  # noqa: S101 - it is TOML
        self.at = found.end()

    def _items(self, path: Path, end: str) -> None:
        """What an array or an inline table holds."""
        index = 0
        while (character := self._next()) != end:
            if character == ",":
                self.at += 1
                index += 1
            elif end == "]":
                self._value((*path, index))
            else:
                self._pair(path)
        self.at += 1
