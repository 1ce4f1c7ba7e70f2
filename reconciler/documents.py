"""YAML and TOML text to plain values with positions, and back. Everything wrong with a text is told at once.

Declared YAML is a strict part of YAML 1.2, chosen so that a text has one meaning whoever reads it; where the
readers of the field (YAML 1.1, 1.2, JSON) differ, the text is a problem that names the right spelling:

================================  ==================================================================
written without quotes            read as
================================  ==================================================================
nothing, ``~``, ``null``          null
``true``, ``True``, ``TRUE``      true; likewise false
``yes no on off y n``             text (YAML 1.1 reads a boolean; a field that wants one refuses it)
``12``, ``+12``, ``-12``          integer, up to 2^53, above which JSON readers round
``1.5``, ``.5``, ``12.0``         decimal fraction, where a double holds exactly these digits
``2027-03-31``                    date; in templates a problem, as JSON has none
``012``, ``0o14``, ``0x1F``       problem: 12, 10 or text, depending on the reader
``1_000``, ``1e3``                problem: a number or text, depending on the reader
``.inf``, ``.nan``                problem: not in JSON
``2027-02-30``                    problem: no such day
``2027-03-31T10:00:00``           problem: a date, a time or text, depending on the reader
``12:30``, ``1-00:00:00``, ``=``  text (YAML 1.1 reads 12:30 as 750); a colon inside brackets needs quotes
anything else, all in quotes      text
================================  ==================================================================

Keys are text; anchors, aliases, tags, directives, merge keys, duplicate keys and (in declared files) a second document
are problems. A byte order mark at the start and CRLF line ends are accepted and mean nothing; a carriage return alone,
a tab that indents, control and invisible characters are problems, also inside comments and behind escapes. What only
shapes visible text (joiners, variation selectors, flags, the ideographic space) is accepted in values, not in keys.

One reader: libyaml's events, which carry anchors and tags, don't recurse, and stop at ``MAX_DEPTH``.
"""

import re
import tomllib
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time
from decimal import Decimal
from io import StringIO
from itertools import islice
from typing import Any, NoReturn, TypeAlias

from ruamel.yaml.cyaml import CEmitter, CParser  # type: ignore[attr-defined] # from the extra oldlibyaml
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentEndEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
    StreamStartEvent,
)

from reconciler.model import Origin, Problem

Plain: TypeAlias = "dict[str, Plain] | list[Plain] | str | int | float | bool | date | None"
_Event: TypeAlias = Any
"""One of ruamel's parser events; the library gives them no types."""
Path = tuple[str | int, ...]
"""Keys and list indices from the document's root, which is ``()``."""

MAX_BYTES = 256 * 1024
MAX_DEPTH = 100
"""Collections inside collections; far above any file meant for people, far below Python's recursion limit."""
MAX_PROBLEMS = 50
"""Of one file; a text that isn't YAML at all shall not fill the screen."""
MAX_INTEGER = 2**53
MAX_DIGITS = 40


@dataclass(frozen=True, slots=True)
class Document:
    """One document: its value, and where each part of it is said.

    ``value`` is made of dict, list, str, int, float, bool, None and date; None where the text couldn't be parsed.
    """

    value: Any
    places: Mapping[Path, Origin]
    """Of every value; of a block collection it is the first key or dash."""
    keys: Mapping[Path, Origin] = field(default_factory=dict)
    """Of the key that names the value, for the values of mappings."""
    plain: Mapping[Path, str] = field(default_factory=dict)
    """Scalars written without quotes, as written: what ``1.10`` was before it became 1.1."""
    refused: frozenset[Path] = frozenset()
    """Values that ``problems`` speak of already: judging them further would only repeat it. ``()``: all."""
    problems: Sequence[Problem] = ()

    def place(self, path: Path = ()) -> Origin:
        """Where a value is said, or the nearest value around it."""
        while path and path not in self.places:
            path = path[:-1]
        return self.places[path]


def read(data: bytes, path: str) -> Document:
    """A declared YAML file: one mapping, at most ``MAX_BYTES``. ``path`` is what positions are printed with."""
    source = _decode(data, path)
    if isinstance(source, Document):
        return source
    documents = _read_yaml(source)
    root = replace(documents[0], problems=sorted(documents[0].problems))
    if root.refused == {()} or isinstance(root.value, dict):
        return root
    found = "the file is empty" if root.value is None else f"a mapping is expected here, found {_kind(root.value)}"
    return _failed([*root.problems, Problem(root.places[()], found, "write `key: value` lines")], path)


def read_template(text: str, path: str) -> list[Document]:
    """Rendered template text: any number of documents, empty ones left out, as strict as a declared file.

    Private use characters (U+E000 to U+F8FF), of which placeholders are made, are accepted; dates are not.
    """
    documents = _read_yaml(_Source.of(text, path, template=True))
    return [document for document in documents if document.value is not None or document.problems]


class _Refused(Exception):
    """A word without quotes that has no single meaning."""

    def __init__(self, reason: str, hint: str) -> None:
        super().__init__(reason)
        self.problem = reason, hint


# --- characters

_SELECTORS = "\u180b-\u180d\u180f\ufe00-\ufe0f\U000e0100-\U000e01ef"
_SHAPING = f"\u200c\u200d\u180e\u3000{_SELECTORS}"
"""Invisible alone, but ordinary parts of text: joiners (Persian, Indic scripts, emoji), selectors, the wide space."""
_PRIVATE = "\ue000-\uf8ff"
_HIDDEN = (
    "\x00-\x08\x0b-\x1f\x7f-\x9f"  # controls
    "\xa0\u2000-\u200a\u202f\u205f"  # spaces that look like one
    "\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff0-\ufffb"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e00ff\U000e01f0-\U000e0fff"
    "\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff\U0001fffe\U0001ffff\U000f0000-\U0010ffff"
)
_FLAG = "\U0001f3f4[\U000e0020-\U000e007e]{1,8}\U000e007f"
_HIDDEN_IN_TEMPLATE = re.compile(f"{_FLAG}|(?P<hidden>[{_HIDDEN}])")
_HIDDEN_ANYWHERE = re.compile(f"{_FLAG}|(?P<hidden>[{_HIDDEN}{_PRIVATE}])")
_HIDDEN_IN_KEYS = re.compile(f"(?P<hidden>[{_SHAPING}\U000e0020-\U000e007f])")
_SPACES = re.compile("[\x85\xa0\u2000-\u200a\u2028\u2029\u202f\u205f]")

_NAMES = {
    0x00: "NULL",
    0x08: "BACKSPACE",
    0x09: "TAB",
    0x0C: "FORM FEED",
    0x0D: "CARRIAGE RETURN",
    0x1B: "ESCAPE",
    0x7F: "DELETE",
    0x85: "NEXT LINE",
}


def _visible(character: str) -> str:
    """``U+200B ZERO WIDTH SPACE``."""
    code = ord(character)
    kinds = {"Cc": "control character", "Co": "private use", "Cs": "lone surrogate", "Cn": "not a character"}
    kind = kinds.get(unicodedata.category(character), "")
    return f"U+{code:04X} {_NAMES.get(code) or unicodedata.name(character, kind)}"


def unseen(text: str) -> str:
    """The first character that can't be seen in a name, in words, or ``""``: in other text it may shape what can."""
    found = _HIDDEN_IN_KEYS.search(text)
    return _visible(found[0]) if found else ""


def _hidden(pattern: re.Pattern[str], text: str) -> list[tuple[int, str]]:
    """Offset and character of everything hidden in a text."""
    if text.isascii() and text.isprintable():
        return []
    return [(found.start(), found["hidden"]) for found in pattern.finditer(text) if found["hidden"]]


# --- text and places


@dataclass(frozen=True, slots=True)
class _Source:
    """A text with nothing in it that a parser could stumble over, and what had to be replaced for that."""

    text: str
    path: str
    template: bool
    problems: Sequence[Problem]

    @property
    def pattern(self) -> re.Pattern[str]:
        """What may not hide in it."""
        return _HIDDEN_IN_TEMPLATE if self.template else _HIDDEN_ANYWHERE

    @classmethod
    def of(cls, text: str, path: str, *, template: bool = False) -> "_Source":
        """Line ends made equal; hidden characters noted and made visible, so that the rest can be judged too."""
        text = text.removeprefix("\ufeff").replace("\r\n", "\n")
        alone = text.find("\r")
        text = text.replace("\r", "\n") if alone >= 0 else text
        pattern = _HIDDEN_IN_TEMPLATE if template else _HIDDEN_ANYWHERE
        starts = _line_starts(text)
        problems = [
            Problem(_place(starts, path, offset), *_unseen(character)) for offset, character in _hidden(pattern, text)
        ]
        if alone >= 0:
            reason = f"{_visible(chr(13))} without a line feed after it"
            problems.append(Problem(_place(starts, path, alone), reason, "save the file with LF or CRLF line ends"))
        if problems:
            text = pattern.sub(_stand_in, text)
        return cls(text, path, template, tuple(problems))


def _stand_in(found: re.Match[str]) -> str:
    if not found["hidden"]:
        return found[0]
    return " " if _SPACES.match(found[0]) else "\ufffd"


def _unseen(character: str) -> tuple[str, str]:
    hint = "use an ordinary space" if _SPACES.match(character) else "delete it"
    return f"{_visible(character)} can't be seen here", hint


def _line_starts(text: str) -> list[int]:
    return [0, *(found.end() for found in re.finditer("\n", text))]


def _place(starts: Sequence[int], path: str, offset: int) -> Origin:
    line = bisect_right(starts, offset)
    return Origin(path, line, offset - starts[line - 1] + 1)


def _decode(data: bytes, path: str) -> _Source | Document:
    """The text of a declared file, or a document that says why there is none."""
    if len(data) > MAX_BYTES:
        reason = f"{len(data):,} bytes; a declared file has at most {MAX_BYTES:,}"
        return _failed([Problem(Origin(path), reason)], path)
    try:
        return _Source.of(data.decode(), path)
    except UnicodeDecodeError as error:
        reason = f"byte 0x{data[error.start]:02x} at offset {error.start} isn't UTF-8"
        before = data[: error.start].decode().removeprefix("\ufeff").replace("\r\n", "\n")
        utf16 = data.startswith((b"\xff\xfe", b"\xfe\xff"))
        hint = "save the file as UTF-8" + " (it looks like UTF-16)" * utf16
        return _failed([Problem(_place(_line_starts(before), path, len(before)), reason, hint)], path)


def _failed(problems: Iterable[Problem], path: str) -> Document:
    return Document(None, {(): Origin(path, 1, 1)}, refused=frozenset([()]), problems=sorted(problems))


def bounded(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Problems of one file in order of place; those beyond ``MAX_PROBLEMS`` are only counted."""
    ordered = sorted(problems)
    rest = len(ordered) - MAX_PROBLEMS
    if rest <= 0:
        return tuple(ordered)
    return (*ordered[:MAX_PROBLEMS], Problem(Origin(ordered[0].origin.path), f"{rest:,} more problems in this file"))


# --- words without quotes

_WORDS: Mapping[str, Plain] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}


def _word(text: str) -> Plain:
    """What a scalar without quotes means. Raises: _Refused."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] in "0123456789+-.":
        for pattern, meaning in _NUMBERS:
            if pattern.fullmatch(text):
                return meaning(text)
    return text


def _integer(text: str) -> int:
    if len(text) > MAX_DIGITS or abs(int(text)) > MAX_INTEGER:
        raise _Refused(
            f"the number {_short(text)} is above 2^53", f"JSON readers round it; write {_quoted(text)} for text"
        )
    return int(text)


def _fraction(text: str) -> float:
    exact = len(text) <= MAX_DIGITS and Decimal(text) == Decimal(repr(float(text))) and abs(float(text)) <= MAX_INTEGER
    if not exact:
        raise _Refused(f"the number {_short(text)} can't be kept exactly", f"write {_quoted(text)} for text")
    return float(text)


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise _Refused(f"there is no day {text}", "") from None


def _leading_zero(text: str) -> NoReturn:
    stripped = re.sub(r"(?<![0-9.])0+(?=[0-9])", "", text)
    raise _Refused(f"{_short(text)} is read differently by different readers", f"write {stripped} or {_quoted(text)}")


def _ambiguous(text: str) -> NoReturn:
    raise _Refused(
        f"{_short(text)} is a number to some readers and text to others",
        f"write a decimal number with digits only, or {_quoted(text)} for text",
    )


def _endless(text: str) -> NoReturn:
    raise _Refused(f"{text} is no number that can be kept", f"write {_quoted(text)} for text")


def _moment(text: str) -> NoReturn:
    raise _Refused(f"{text} has a time of day", f"write {text[:10]}, or {_quoted(text)} for text")


def _short(text: str) -> str:
    text = text if text.isprintable() else ascii(text)
    return text if len(text) <= MAX_DIGITS else f"{text[:20]}... ({len(text)} characters)"


def _quoted(text: str) -> str:
    return f'"{text}"' if len(text) <= MAX_DIGITS else "it in quotes"


_NUMBERS = [
    (re.compile(pattern), meaning)
    for pattern, meaning in (
        (r"[-+]?(?:0|[1-9][0-9]*)", _integer),
        (r"[-+]?(?:(?:0|[1-9][0-9]*)\.[0-9]*|\.[0-9]+)", _fraction),
        (r"[0-9]{4}-[0-9]{2}-[0-9]{2}", _date),
        (r"[-+]?0[0-9]+(?:\.[0-9]*)?", _leading_zero),
        (r"[-+]?0[bBoOxX][0-9a-fA-F_]+", _ambiguous),
        (r"[-+]?[0-9][0-9_]*(?:\.[0-9_]*)?", _ambiguous),
        (r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)[eE][-+]?[0-9]+", _ambiguous),
        (r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)", _endless),
        (r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt]|[ \t]+)[0-9]{1,2}:[0-9]{2}:[0-9]{2}.*", _moment),
    )
]


def _kind(value: Plain) -> str:
    names = {
        dict: "a mapping",
        list: "a list",
        str: "text",
        bool: "true or false",
        type(None): "nothing",
        date: "a date",
    }
    return names.get(type(value), "a number")


# --- YAML

_ASIDE = -1
"""Stands in the path of what is read for its problems only."""
_TAB_INDENT = re.compile(r"^( *)\t[ \t]*(?=\S)", re.MULTILINE)
_SYNTAX_HINTS = {
    "mapping values are not allowed": 'text that holds ": " needs quotes',
    "could not find expected ':'": "is a colon missing, or the indentation uneven?",
    "alphabetic or numeric character": "text that starts with & or * needs quotes",
    "unexpected end of stream": "is a closing quote missing?",
    "expected ',' or": "is a comma or a closing bracket missing?",
    "unexpected ':'": "a colon wants a space after it; text with a colon needs quotes inside brackets",
    "block end": "is the indentation uneven?",
    "Unicode character escape": "write the character itself",
    "unknown escape": "a backslash inside double quotes is written twice; single quotes keep it",
    "tab character": "indent with spaces",
}


class _Halt(Exception):
    """The rest can't be read; carries the problem."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self.problem = problem


def _events(text: str) -> Iterator[Any]:
    """Parser events of libyaml."""
    parser = CParser(text)
    while (event := parser.get_event()) is not None:
        yield event


def _read_yaml(source: _Source, events: Iterator[Any] | None = None) -> list[Document]:
    """At least one document; the only one has failed where the text can't be parsed."""
    reading = _Reading(source, _events(source.text) if events is None else events)
    documents = reading.documents
    try:
        reading.read()
    except (_Halt, YAMLError) as error:
        known = [problem for document in documents for problem in document.problems] + reading.problems
        last = error.problem if isinstance(error, _Halt) else _syntax_problem(error, source)
        told = not isinstance(error, _Halt) and any(
            problem.origin.line == last.origin.line and problem.origin <= last.origin for problem in source.problems
        )
        return [_failed([*known, *([] if told else [last])], source.path)]
    if documents and reading.problems:  # noted behind the last one: a second document
        documents[-1] = replace(documents[-1], problems=[*documents[-1].problems, *reading.problems])
    return documents or [Document(None, {(): Origin(source.path, 1, 1)}, problems=source.problems)]


def _syntax_problem(error: YAMLError, source: _Source) -> Problem:
    if not isinstance(error, MarkedYAMLError) or error.problem_mark is None:
        return Problem(Origin(source.path), f"not YAML: {error}")
    mark = error.problem_mark
    lines = source.text.split("\n")
    if mark.line >= len(lines):  # libyaml ends a text without a last line end by one of its own
        origin, here = Origin(source.path, len(lines), len(lines[-1]) + 1), ""
    else:
        origin, here = Origin(source.path, mark.line + 1, mark.column + 1), lines[mark.line][mark.column :][:1]
    if "cannot start any token" in error.problem:
        return Problem(origin, *_bad_start(here))
    context = f" at {_visible(here)}" if _HIDDEN_IN_KEYS.match(here) else ""
    context += f", {error.context}" if error.context else ""
    if error.context_mark and error.context_mark.line != mark.line:
        context += f" that begins in line {error.context_mark.line + 1}"
    hint = next((hint for part, hint in _SYNTAX_HINTS.items() if part in error.problem), "")
    return Problem(origin, f"not YAML: {error.problem}{context}", hint)


def _bad_start(character: str) -> tuple[str, str]:
    if character == "\t":
        return "a tab indents here", "indent with spaces"
    return f"text can't start with {character} here", "put it in quotes"


class _Reading:
    """One pass over the events: values, their places, and what is wrong with them, together."""

    def __init__(self, source: _Source, events: Iterator[Any]) -> None:
        self.source = source
        self.events = events
        self.documents: list[Document] = []
        """What was read."""
        self.problems: list[Problem] = list(source.problems)
        """What is wrong and belongs to none of them yet."""
        self.hidden = sorted((problem.origin.line, problem.origin.column) for problem in source.problems)
        self.tabs = _tab_indents(source.text)
        self.depth = 0

    def read(self) -> None:
        """Raises: _Halt, YAMLError."""
        starts = (event for event in self.events if isinstance(event, DocumentStartEvent))
        for count, start in enumerate(starts):
            if count and not self.source.template:
                self._note(start, "a second document starts here", "one file holds one document")
                return
            if start.version or start.tags:
                self._note(start, "a directive (%) stands before this document", "delete it")
            self.documents.append(self._document())

    def _document(self) -> Document:
        self.places: dict[Path, Origin] = {}
        self.keys: dict[Path, Origin] = {}
        self.plain: dict[Path, str] = {}
        self.refused: set[Path] = set()
        value = self._node(next(self.events), ())
        problems, self.problems = self.problems, []
        return Document(value, self.places, self.keys, self.plain, frozenset(self.refused), problems)

    def _node(self, event: _Event, path: Path) -> Plain:
        self.places[path] = self._origin(event)
        self._refuse_shared(event, path)
        if isinstance(event, ScalarEvent):
            return self._scalar(event, path)
        if isinstance(event, AliasEvent):
            return None
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise _Halt(Problem(self._origin(event), f"nested more than {MAX_DEPTH} deep"))
        value = self._mapping(path) if isinstance(event, MappingStartEvent) else self._sequence(path)
        self.depth -= 1
        return value

    def _sequence(self, path: Path) -> list[Plain]:
        return [self._node(event, (*path, index)) for index, event in enumerate(self._until(SequenceEndEvent))]

    def _mapping(self, path: Path) -> dict[str, Plain]:
        result: dict[str, Plain] = {}
        for event in self._until(MappingEndEvent):
            known = len(self.problems)
            key = self._key(event, path)
            if key is None or self._said_before(event, (*path, key)):
                self._node(next(self.events), (*path, _ASIDE))
                continue
            if len(self.problems) > known or self._holds_hidden(event):
                self.refused.add((*path, key))
            self.keys[*path, key] = self._origin(event)
            result[key] = self._node(next(self.events), (*path, key))
        return result

    def _until(self, end: type) -> Iterator[Any]:
        while not isinstance(event := next(self.events), end):
            yield event

    def _key(self, event: _Event, path: Path) -> str | None:
        """None, and a problem noted, where the key isn't text."""
        if not isinstance(event, ScalarEvent):
            self._note(event, "a key must be text", "")
            self._node(event, (*path, _ASIDE))
            return None
        self._refuse_shared(event, (*path, _ASIDE))
        self._refuse_hidden(event, _HIDDEN_IN_KEYS, " can't be seen in a key")
        if event.style == '"':
            self._refuse_hidden(event, self.source.pattern, " is hidden behind an escape")
        text: str = event.value
        if not event.style and not self._is_text(text):
            self._note(
                event, f"a key must be text; {_short(text) or 'nothing'} is read as something else", _as_text(text)
            )
            return None
        if not event.style and text == "<<":
            self._note(event, "merge keys (<<) aren't understood", "write the keys out")
            return None
        return text

    def _is_text(self, word: str) -> bool:
        try:
            return isinstance(_word(word), str)
        except _Refused:
            return False

    def _said_before(self, event: _Event, path: Path) -> bool:
        first = self.keys.get(path)
        if first:
            self._note(event, f"the key {_short(event.value)} is said twice; first in line {first.line}", "keep one")
        return first is not None

    def _scalar(self, event: _Event, path: Path) -> Plain:
        text: str = event.value
        if self.hidden and self._holds_hidden(event):
            self.refused.add(path)
        if event.style == '"' and self._refuse_hidden(event, self.source.pattern, " is hidden behind an escape"):
            self.refused.add(path)
        if event.style or event.tag:
            return text
        self.plain[path] = text
        try:
            return self._allowed(_word(text), text)
        except _Refused as refused:
            self._note(event, *refused.problem)
            self.refused.add(path)
            return text

    def _allowed(self, value: Plain, word: str) -> Plain:
        if self.source.template and isinstance(value, date):
            raise _Refused(f"{word} is a date to some readers and text to others", f"write {_quoted(word)}")
        return value

    def _refuse_shared(self, event: _Event, path: Path) -> None:
        """Anchors, aliases and tags; a tab before the node."""
        mark = event.start_mark
        if self.tabs and (tab := self.tabs.get((mark.line, mark.column))):
            self.problems.append(Problem(Origin(self.source.path, mark.line + 1, tab), *_bad_start("\t")))
        if isinstance(event, AliasEvent):
            self._note(
                event, f"*{event.anchor} is an alias", "write the value out; text that starts with * needs quotes"
            )
            self.refused.add(path)
        elif event.anchor:
            self._note(event, f"&{event.anchor} is an anchor", "delete it; text that starts with & needs quotes")
        if getattr(event, "tag", None):
            self._note(event, f"{event.tag} is a tag", "delete it; text that starts with ! needs quotes")
            self.refused.add(path)

    def _refuse_hidden(self, event: _Event, pattern: re.Pattern[str], reason: str) -> bool:
        found = sorted({character for _, character in _hidden(pattern, event.value)})
        for character in found:
            self._note(event, _visible(character) + reason, "delete it")
        return bool(found)

    def _holds_hidden(self, event: _Event) -> bool:
        start, end = ((mark.line + 1, mark.column + 1) for mark in (event.start_mark, event.end_mark))
        return bisect_left(self.hidden, start) < bisect_left(self.hidden, end)

    def _origin(self, event: _Event) -> Origin:
        mark = event.start_mark
        return Origin(self.source.path, mark.line + 1, mark.column + 1)

    def _note(self, event: _Event, reason: str, hint: str) -> None:
        self.problems.append(Problem(self._origin(event), reason, hint))


def _tab_indents(text: str) -> dict[tuple[int, int], int]:
    """Line and column (from 0) of what a tab indents -> the tab's column (from 1)."""
    if "\t" not in text:
        return {}
    return {
        (text.count("\n", 0, found.start()), found.end() - found.start()): len(found[1]) + 1
        for found in islice(_TAB_INDENT.finditer(text), MAX_PROBLEMS)
    }


def _as_text(word: str) -> str:
    return f"write {_quoted(word)}"


# --- writing


_BARE = re.compile(r"(?!(?:y|n|yes|no|on|off|true|false|null)$)[A-Za-z][A-Za-z0-9_./@-]*", re.IGNORECASE)
"""Text that every reader of YAML, old and new, takes for the same text without quotes."""


def dump(values: Iterable[Any]) -> str:
    """Block style YAML, one document a value, keys in their order; text that some reader could misread is quoted."""
    stream = StringIO()
    writer = CEmitter(stream, width=1_000_000, allow_unicode=True)
    for event in _stream(values):
        writer.emit(event)
    return stream.getvalue()


def _stream(values: Iterable[Any]) -> Iterator[_Event]:
    yield StreamStartEvent()
    for value in values:
        yield DocumentStartEvent(explicit=True)
        yield from _written(value)
        yield DocumentEndEvent(explicit=False)
    yield StreamEndEvent()


def _written(value: Any) -> Iterator[_Event]:  # noqa: ANN401 - any plain value
    match value:
        case dict():
            yield MappingStartEvent(None, None, implicit=True, flow_style=False)
            for key, inner in value.items():
                yield _written_scalar(key)
                yield from _written(inner)
            yield MappingEndEvent()
        case list() | tuple():
            yield SequenceStartEvent(None, None, implicit=True, flow_style=False)
            for item in value:
                yield from _written(item)
            yield SequenceEndEvent()
        case _:
            yield _written_scalar(value)


def _written_scalar(value: object) -> _Event:
    match value:
        case None | bool():
            return _scalar("null" if value is None else str(value).lower(), "")
        case float():
            digits = format(Decimal(repr(value)), "f")  # 1e-07 is text to YAML 1.1
            return _scalar(digits if "." in digits else f"{digits}.0", "")
        case str() if not _BARE.fullmatch(value):
            return _scalar(value, "|" if "\n" in value else '"')  # libyaml quotes what can't stand in a block
        case _:
            return _scalar(str(value), "")


def _scalar(text: str, style: str) -> _Event:
    return ScalarEvent(None, None, (not style, bool(style)), text, style=style)


# --- TOML


_TOML_STRING = r"""\"{3}(?:\\.|[^\\])*?\"{3,5}|'{3}.*?'{3,5}|\"(?:\\.|[^\"\\\n])*\"|'[^'\n]*'"""
_TOML_KEY = re.compile(rf"[A-Za-z0-9_-]+|{_TOML_STRING}", re.DOTALL)
_TOML_SCALAR = re.compile(rf"{_TOML_STRING}|[^\]}},#\n]+", re.DOTALL)
_TOML_BLANK = re.compile(r"(?:[ \t\n]|#[^\n]*)*")
_TOML_ERROR = re.compile(r"(?P<reason>.*) \(at (?:line (?P<line>\d+), column (?P<column>\d+)|end of document)\)")


def read_toml(data: bytes, path: str) -> Document:
    """A TOML file, as strict as a YAML one, with the places of all keys, values and items."""
    source = _decode(data, path)
    if isinstance(source, Document):
        return source
    if source.problems:
        return _failed(source.problems, path)
    try:
        value = _toml_value(source)
    except _Halt as halt:
        return _failed([halt.problem], path)
    scan = _TomlScan(source)
    scan.document()
    document = Document(value, scan.places, scan.keys)
    unfit = [(at, found) for at, inner in _leaves(value) if (found := _unfit(inner))]
    problems = [Problem(document.place(at), *found) for at, found in unfit]
    return replace(document, refused=frozenset(at for at, _ in unfit), problems=sorted(problems))


def _toml_value(source: _Source) -> dict[str, Any]:
    """Raises: _Halt."""
    deep = Problem(Origin(source.path), f"nested more than {MAX_DEPTH} deep")
    try:
        value = tomllib.loads(source.text)
    except tomllib.TOMLDecodeError as error:
        raise _Halt(_toml_problem(str(error), source)) from error
    except RecursionError as error:
        raise _Halt(deep) from error
    except ValueError as error:  # Python's own limit of digits (https://docs.python.org/3/library/stdtypes.html)
        problem = Problem(Origin(source.path), f"a number that can't be kept: {error}", "write it in quotes")
        raise _Halt(problem) from error
    if any(len(at) > MAX_DEPTH for at, _ in _leaves(value)):
        raise _Halt(deep)
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
        hidden = next((character for _, character in _hidden(_HIDDEN_ANYWHERE, value)), "")
        return (f"{_visible(hidden)} is hidden behind an escape", "delete it") if hidden else None
    if isinstance(value, int) and abs(value) > MAX_INTEGER:
        return f"the number {_short(str(value))} is above 2^53", "JSON readers round it"
    if isinstance(value, float) and not abs(value) <= MAX_INTEGER:
        return f"the number {value} can't be kept exactly", "write it in quotes for text"
    if isinstance(value, datetime | time):
        return f"{value.isoformat()} has a time of day", "write a date, or it in quotes for text"
    return None


def _toml_problem(message: str, source: _Source) -> Problem:
    found = _TOML_ERROR.fullmatch(message)
    if found is None:
        return Problem(Origin(source.path, 1, 1), f"not TOML: {message}")
    lines = source.text.count("\n") + 1
    place = Origin(source.path, int(found["line"] or lines), int(found["column"] or 1))
    return Problem(place, f"not TOML: {found['reason'][0].lower()}{found['reason'][1:]}")


class _TomlScan:
    """Where keys and values stand, which tomllib doesn't say, in a text that it has accepted."""

    def __init__(self, source: _Source) -> None:
        self.text = source.text
        self.path = source.path
        self.starts = _line_starts(source.text)
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
        self.at = _TOML_BLANK.match(self.text, self.at).end()  # type: ignore[union-attr] # it matches nothing, too
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
            found = _TOML_KEY.match(self.text, self.at)
            assert found  # noqa: S101 - it is TOML
            origin = _place(self.starts, self.path, self.at)
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
        self.places[path] = _place(self.starts, self.path, self.at)
        if start in "[{":
            self.at += 1
            self._items(path, "]" if start == "[" else "}")
            return
        found = _TOML_SCALAR.match(self.text, self.at)
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
