"""Two YAML readers agree on every text that is accepted, and a scan of TOML on where everything stands."""

import json
import time
from collections.abc import Iterator
from datetime import date
from io import StringIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from reconciler.documents import yaml
from reconciler.documents.document import Document, Path
from reconciler.documents.source import Source
from reconciler.documents.toml import read as read_toml
from reconciler.documents.writing import dump
from reconciler.documents.yaml import read, read_template
from tests import test_documents
from tests.naughty import ALL_VISIBLE
from tests.repository import project

LONG = 5000
"""Characters: what the slower parser needs minutes for."""
_Leaf = str | int | float | bool | date

# ------------------------------------------------------------------------------------------------ YAML


def pure(text: str) -> Iterator[Any]:
    """The events of the other parser, which is written in Python and shares no code with libyaml."""
    return iter(YAML(typ="safe", pure=True).parse(text))


def both(text: str) -> tuple[Document, Document]:
    """What a text is to each parser."""
    source = Source.of(text, "f.yaml")
    return yaml._read_all(source)[0], yaml._read_all(source, pure(source.text))[0]


def inputs() -> Iterator[str]:
    """Every text that the tests of reading use, and odd strings in every place of a file."""
    yield from (f"a: {word}\nb: c\n" for word in (*test_documents.MEANINGS, *test_documents.REFUSED))
    faults = [text for text, _ in test_documents.FAULTS.values() if len(text) < LONG]
    yield from (text if isinstance(text, str) else text.decode(errors="replace") for text in faults)
    yield project("vision", tags=["a"], members=[{"group": "oidc:x", "role": "viewer"}])
    for odd in ALL_VISIBLE:
        quoted = json.dumps(odd, ensure_ascii=False)
        block = odd.replace("\n", "\n  ")
        yield f"a: {quoted}\nb: |\n  {block}\nc: >-\n  {block}\n"
        yield from (odd, f"a: {odd}\n", f"a: '{odd}'\n", f"- {odd}\n- {{x: {odd}}}\n", f"{odd}: x\n")


def comparable(document: Document) -> tuple[object, ...]:
    """All but the place of what isn't there: after its colon to one parser, at the next word to the other."""
    absent = {path for path, word in document.plain.items() if word == ""}
    places = {path: place for path, place in document.places.items() if path not in absent}
    return repr(document.value), places, document.keys, document.plain, document.refused


def test_two_readers_agree() -> None:
    """What both parsers accept is the same to both; where one alone refuses, it is a known gap of one of them."""
    gaps = ("tab", "unexpected ':'", "while parsing a flow", "text can't start with")
    compared = 0
    for text in inputs():
        ours, theirs = both(text)
        if not ours.problems and not theirs.problems:
            assert comparable(ours) == comparable(theirs), text
            compared += 1
        elif not (ours.problems and theirs.problems):
            reasons = [problem.reason for problem in (*ours.problems, *theirs.problems)]
            assert any(gap in reason for reason in reasons for gap in gaps), (text, reasons)
    assert compared > 1000


def test_old_readers_read_what_is_written() -> None:
    """What is written reads the same by YAML 1.1, which knows more words that aren't text."""
    old = YAML(typ="safe", pure=True)
    old.version = "1.1"
    for odd in ALL_VISIBLE:
        assert list(old.load_all(StringIO(dump([{"a": odd, "b": [odd]}])))) == [{"a": odd, "b": [odd]}]


def test_blocks() -> None:
    """Text of several lines is written as people would, wherever a block can hold it exactly."""
    assert dump([{"a": "x: 1\ny: 2\n", "b": ["no"]}, {}]) == ('---\na: |\n  x: 1\n  y: 2\nb:\n- "no"\n--- {}\n')
    for text in ("a\n---\nb", " a\nb", "a \n b\n\n", "\n", "\na", "a\tb\n", "a\n\tb"):
        assert [document.value for document in read_template(dump([text, {"a": text}]), "f")] == [text, {"a": text}]


def test_speed() -> None:
    """A thousand project files are read in seconds, and ten thousand objects written."""
    data = project("vision", tags=["a"] * 9, members=[{"group": "oidc:x", "role": "viewer"}] * 9).encode()
    value = read(data, "f.yaml").value
    began = time.process_time()
    for _ in range(1000):
        read(data, "f.yaml")
    dump([value] * 10_000)
    assert time.process_time() - began < 15


# ------------------------------------------------------------------------------------------------ TOML


def written(value: object) -> str:
    """One value as TOML writes it inside a line."""
    match value:
        case dict():
            return "{" + ", ".join(f"{json.dumps(key)} = {written(inner)}" for key, inner in value.items()) + "}"
        case list():
            return "[ # items\n" + "".join(f" {written(item)},\n" for item in value) + "]"
        case str():
            return json.dumps(value)
        case date():
            return value.isoformat()
        case _:
            return str(value).lower()


LEAVES = (
    st.booleans() | st.integers(-99, 99) | st.dates() | st.sampled_from(["", "a", "[x]\nb = 1", "'", '"', "#", "}"])
)
KEYS = st.sampled_from(["a", "b-c", "1", "a b", "x.y", "#", '"', "[t]", "\u00fc"])
VALUES: st.SearchStrategy[Any] = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=9
)


def paths(value: object, path: Path = ()) -> Iterator[Path]:
    """Of a value and of all within it."""
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, item in inner:
        yield from paths(item, (*path, step))


@given(st.dictionaries(KEYS, VALUES, max_size=3), st.lists(st.dictionaries(KEYS, VALUES, max_size=2), max_size=2))
def test_toml_places(pairs: dict[str, Any], tables: list[dict[str, Any]]) -> None:
    """Every key, value and item of a TOML file has a place, and there stands what it is the place of."""
    lines = [f"{json.dumps(key)} = {written(value)}" for key, value in pairs.items()]
    for table in tables:
        lines += [
            "[[several.tables]] # [no]",
            *(f"  {json.dumps(key)}={written(value)}" for key, value in table.items()),
        ]
        lines += ["[several . tables.'within']", "x = 1"]
    text = "\n".join(lines)
    document = read_toml(text.encode(), "f.toml")
    assert not document.problems
    assert set(document.places) == set(paths(document.value))
    assert set(document.keys) == {path for path in paths(document.value) if path and isinstance(path[-1], str)}
    rows = text.split("\n")
    for path, place in document.keys.items():
        spelled = json.dumps(path[-1])[1:-1]
        assert rows[place.line - 1][place.column - 1 :].lstrip("\"'").startswith(spelled)
    for path in paths(pairs):
        if path and isinstance(leaf := at(pairs, path), _Leaf):
            place = document.places[path]
            assert rows[place.line - 1][place.column - 1 :].startswith(written(leaf))


def at(value: Any, path: Path) -> object:  # noqa: ANN401 - any plain value
    """What stands at a path."""
    for step in path:
        value = value[step]
    return value


@pytest.mark.parametrize(
    ("text", "place", "reason"),
    [
        ("a = inf", "1:5", "the number inf can't be kept exactly"),
        ("b = 1\na = [1, nan]", "2:9", "the number nan can't be kept exactly"),
        ("a = {b = 2027-03-31T10:00:00}", "1:10", "2027-03-31T10:00:00 has a time of day"),
        ("[a]\nb = 10:00:00", "2:5", "10:00:00 has a time of day"),
        ("a = " + "[" * 120 + "]" * 120, "0:0", "nested more than 100 deep"),
        ("a = " + "[" * 9000 + "]" * 9000, "0:0", "nested more than 100 deep"),
    ],
)
def test_toml_is_as_strict(text: str, place: str, reason: str) -> None:
    """What YAML refuses as ambiguous or endless is refused in TOML as well."""
    [problem] = read_toml(text.encode(), "f.toml").problems
    assert (f"{problem.origin.line}:{problem.origin.column}", problem.reason) == (place, reason)
