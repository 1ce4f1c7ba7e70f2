"""YAML text to documents: a strict part of YAML 1.2. Everything wrong with a text is told at once.

What a scalar without quotes means is told in ``words``. Keys are text; anchors, aliases, tags, directives, merge keys,
duplicate keys and (in declared files) a second document are problems. A byte order mark at the start and CRLF line ends
are accepted and mean nothing; a carriage return alone, a tab that indents, control and invisible characters are
problems, also inside comments and behind escapes. What only shapes visible text (joiners, variation selectors, flags,
the ideographic space) is accepted in values, not in keys.

One reader: libyaml's events, which carry anchors and tags, don't recurse, and stop at ``MAX_DEPTH``.
"""

import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from itertools import islice
from typing import Any, TypeAlias

from ruamel.yaml.cyaml import CParser  # type: ignore[attr-defined] # from the extra oldlibyaml
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
)

from reconciler.documents import characters, words
from reconciler.documents.document import MAX_DEPTH, MAX_PROBLEMS, Document, Halt, Path, Plain, failed
from reconciler.documents.source import Source, decode
from reconciler.model import Origin, Problem

_Event: TypeAlias = Any
"""One of ruamel's parser events; the library gives them no types."""
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


def read(data: bytes, path: str) -> Document:
    """A declared YAML file: one mapping, at most ``MAX_BYTES``. ``path`` is what positions are printed with."""
    source = decode(data, path)
    if isinstance(source, Document):
        return source
    documents = _read_all(source)
    root = replace(documents[0], problems=sorted(documents[0].problems))
    if root.refused == {()} or isinstance(root.value, dict):
        return root
    found = "the file is empty" if root.value is None else f"a mapping is expected here, found {words.kind(root.value)}"
    return failed([*root.problems, Problem(root.places[()], found, "write `key: value` lines")], path)


def read_template(text: str, path: str) -> list[Document]:
    """Rendered template text: any number of documents, empty ones left out, as strict as a declared file.

    Private use characters (U+E000 to U+F8FF), of which placeholders are made, are accepted; dates are not.
    """
    documents = _read_all(Source.of(text, path, template=True))
    return [document for document in documents if document.value is not None or document.problems]


def _events(text: str) -> Iterator[Any]:
    """Parser events of libyaml."""
    parser = CParser(text)
    while (event := parser.get_event()) is not None:
        yield event


def _read_all(source: Source, events: Iterator[Any] | None = None) -> list[Document]:
    """At least one document; the only one has failed where the text can't be parsed."""
    reading = _Reading(source, _events(source.text) if events is None else events)
    documents = reading.documents
    try:
        reading.read()
    except (Halt, YAMLError) as error:
        known = [problem for document in documents for problem in document.problems] + reading.problems
        last = error.problem if isinstance(error, Halt) else _syntax_problem(error, source)
        told = not isinstance(error, Halt) and any(
            problem.origin.line == last.origin.line and problem.origin <= last.origin for problem in source.problems
        )
        return [failed([*known, *([] if told else [last])], source.path)]
    if documents and reading.problems:  # noted behind the last one: a second document
        documents[-1] = replace(documents[-1], problems=[*documents[-1].problems, *reading.problems])
    return documents or [Document(None, {(): Origin(source.path, 1, 1)}, problems=source.problems)]


def _syntax_problem(error: YAMLError, source: Source) -> Problem:
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
    context = f" at {characters.visible(here)}" if characters.HIDDEN_IN_KEYS.match(here) else ""
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

    def __init__(self, source: Source, events: Iterator[Any]) -> None:
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
        """Raises: Halt, YAMLError."""
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
            raise Halt(Problem(self._origin(event), f"nested more than {MAX_DEPTH} deep"))
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
        self._refuse_hidden(event, characters.HIDDEN_IN_KEYS, " can't be seen in a key")
        if event.style == '"':
            self._refuse_hidden(event, self.source.pattern, " is hidden behind an escape")
        text: str = event.value
        if not event.style and not self._is_text(text):
            self._note(
                event, f"a key must be text; {words.short(text) or 'nothing'} is read as something else", _as_text(text)
            )
            return None
        if not event.style and text == "<<":
            self._note(event, "merge keys (<<) aren't understood", "write the keys out")
            return None
        return text

    def _is_text(self, word: str) -> bool:
        try:
            return isinstance(words.word(word), str)
        except words.Refused:
            return False

    def _said_before(self, event: _Event, path: Path) -> bool:
        first = self.keys.get(path)
        if first:
            self._note(
                event, f"the key {words.short(event.value)} is said twice; first in line {first.line}", "keep one"
            )
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
            return self._allowed(words.word(text), text)
        except words.Refused as refused:
            self._note(event, *refused.problem)
            self.refused.add(path)
            return text

    def _allowed(self, value: Plain, word: str) -> Plain:
        if self.source.template and isinstance(value, date):
            raise words.Refused(f"{word} is a date to some readers and text to others", f"write {words.quoted(word)}")
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
        found = sorted({character for _, character in characters.hidden(pattern, event.value)})
        for character in found:
            self._note(event, characters.visible(character) + reason, "delete it")
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
    return f"write {words.quoted(word)}"
