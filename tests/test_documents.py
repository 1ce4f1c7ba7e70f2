"""How YAML and TOML are read: one documented meaning, or a problem with its place; and that writing is undone by it."""

import time
from collections.abc import Mapping
from datetime import date
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from reconciler.documents.document import MAX_BYTES, MAX_PROBLEMS, Document, bounded
from reconciler.documents.toml import read as read_toml
from reconciler.documents.writing import dump
from reconciler.documents.yaml import read, read_template
from tests.naughty import ALL_VISIBLE

DAY = date(2027, 3, 31)


def told(document: Document) -> list[str]:
    """Each problem as ``line:column reason (hint)``."""
    return [
        f"{p.origin.line}:{p.origin.column} {p.reason}{f' ({p.hint})' if p.hint else ''}" for p in document.problems
    ]


def of(text: str | bytes) -> Document:
    return read(text if isinstance(text, bytes) else text.encode(), "a.yaml")


# ------------------------------------------------------------------------------------------------ words without quotes


MEANINGS: Mapping[str, Any] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **{word: word for word in ("yes", "no", "on", "off", "y", "n", "Yes", "NO", "On", "OFF", "nUlL", "tRue")},
    "12": 12,
    "+12": 12,
    "-12": -12,
    "0": 0,
    "-0": 0,
    "9007199254740992": 2**53,
    "-9007199254740992": -(2**53),
    "1.5": 1.5,
    ".5": 0.5,
    "12.0": 12.0,
    "-1.5": -1.5,
    "+.5": 0.5,
    "1.": 1.0,
    "0.1": 0.1,
    "1.10": 1.1,
    "2027-03-31": DAY,
    **{text: text for text in ("12:30", "1:30:00", "1-00:00:00", "=", "2027-3-1", "1.2.3", "8Gi", "1d12h", "0x")},
    **{text: text for text in (".", "..", "-a", "+a", "a#b", "a:b", "::1", "\u0661\u0662", "\u3000", "e\u0301")},
}
REFUSED: Mapping[str, str] = {
    "012": '012 is read differently by different readers (write 12 or "012")',
    "-007": '-007 is read differently by different readers (write -7 or "-007")',
    "00": '00 is read differently by different readers (write 0 or "00")',
    "01.5": '01.5 is read differently by different readers (write 1.5 or "01.5")',
    "0o14": "0o14 is a number to some readers and text to others",
    "0o9": "0o9 is a number to some readers and text to others",
    "0x1F": "0x1F is a number to some readers and text to others",
    "0b101": "0b101 is a number to some readers and text to others",
    "1_000": "1_000 is a number to some readers and text to others",
    "685_230.15": "685_230.15 is a number to some readers and text to others",
    "1e3": "1e3 is a number to some readers and text to others",
    "1.5E-3": "1.5E-3 is a number to some readers and text to others",
    ".inf": '.inf is no number that can be kept (write ".inf" for text)',
    "-.INF": '-.INF is no number that can be kept (write "-.INF" for text)',
    ".nan": '.nan is no number that can be kept (write ".nan" for text)',
    "2027-02-30": "there is no day 2027-02-30",
    "0000-01-01": "there is no day 0000-01-01",
    "2027-03-31T10:00:00": '2027-03-31T10:00:00 has a time of day (write 2027-03-31, or "2027-03-31T10:00:00"',
    "2027-03-31 10:00:00": "2027-03-31 10:00:00 has a time of day",
    "9007199254740993": "the number 9007199254740993 is above 2^53",
    "9" * 300: "the number 99999999999999999999... (300 characters) is above 2^53",
    "0.1234567890123456789": "the number 0.1234567890123456789 can't be kept exactly",
    "0." + "3" * 300: "the number 0.333333333333333333... (302 characters) can't be kept exactly",
}


@pytest.mark.parametrize("word", MEANINGS)
def test_a_word_has_one_meaning(word: str) -> None:
    """A word without quotes is read as the table says, its type included, and is kept as it was written."""
    document = of(f"a: {word}\n")
    assert told(document) == []
    assert document.value == {"a": MEANINGS[word]}
    assert type(document.value["a"]) is type(MEANINGS[word])
    assert document.plain["a",] == word


@pytest.mark.parametrize("word", REFUSED)
def test_a_word_without_one_meaning(word: str) -> None:
    """A word that readers of YAML read differently is one problem, at its place, with the right spelling."""
    [problem] = told(of(f"b: 1\na: {word}\n"))
    assert problem.startswith(f"2:4 {REFUSED[word]}")


@pytest.mark.parametrize("word", [word for word in (*MEANINGS, *REFUSED) if word.strip()])
@pytest.mark.parametrize("quote", ['"', "'"])
def test_quotes_make_text(word: str, quote: str) -> None:
    """Anything in quotes is text, and nothing but text."""
    document = of(f"a: {quote}{word}{quote}\n")
    assert (document.value, told(document), document.plain) == ({"a": word}, [], {})


@pytest.mark.parametrize("word", ["2027-03-31", "012", "1e3", ".inf", "9" * 300])
def test_templates_are_as_strict(word: str) -> None:
    """What has no one meaning in a declared file has none in a template; a date has none there."""
    [document] = read_template(f"a: {word}\n", "t.yaml.j2")
    assert len(document.problems) == 1
    assert str(document.problems[0].origin) == "t.yaml.j2:1:4"


def test_templates_hold_many_documents() -> None:
    """A template makes any number of documents; empty ones are none; private characters are placeholders there."""
    found = read_template("---\na: 1\n---\n---\n# nothing\n---\nb: \ue0000\ue002\n", "t")
    assert [document.value for document in found] == [{"a": 1}, {"b": "\ue0000\ue002"}]
    assert not [problem for document in found for problem in document.problems]


# ------------------------------------------------------------------------------------------------ what isn't accepted


FAULTS: Mapping[str, tuple[str | bytes, list[str]]] = {
    "an anchor": ("a: &x 1\n", ["1:4 &x is an anchor (delete it; text that starts with & needs quotes)"]),
    "an alias": ("a: &x 1\nb: *x\n", ["1:4 &x is an anchor", "2:4 *x is an alias"]),
    "an alias to nothing": ("b: *x\n", ["1:4 *x is an alias"]),
    "an anchored key": ("&x a: 1\n", ["1:1 &x is an anchor"]),
    "a tag": ("a: !!str 1\n", ["1:4 tag:yaml.org,2002:str is a tag (delete it; text that starts with"]),
    "a tag of one's own": ("a: !x {b: 1}\n", ["1:4 !x is a tag"]),
    "a bare tag": ("a: ! b\n", ["1:4 ! is a tag"]),
    "a binary": ("a: !!binary aGk=\n", ["1:4 tag:yaml.org,2002:binary is a tag"]),
    "a Python object": ("a: !!python/object/apply:os.system [id]\n", ["1:4 tag:yaml.org,2002:python/object/apply:os"]),
    "a version": ("%YAML 1.1\n---\na: 1\n", ["1:1 a directive (%) stands before this document (delete it)"]),
    "a tag's prefix": ("%TAG ! tag:x,2000:\n---\na: 1\n", ["1:1 a directive (%) stands before this document"]),
    "two documents": ("a: 1\n---\nb: 1\n", ["2:1 a second document starts here (one file holds one document)"]),
    "an empty second": ("a: 1\n---\n", ["2:1 a second document starts here"]),
    "text behind the end": ("a: 1\n...\nb: 1\n", ["3:1 not YAML: did not find expected <document start>"]),
    "a merge": ("<<: {a: 1}\n", ["1:1 merge keys (<<) aren't understood (write the keys out)"]),
    "a key twice": ("a: 1\nb: 2\na: 3\n", ["3:1 the key a is said twice; first in line 1 (keep one)"]),
    "a key twice inside": ("a: {b: 1, b: 2}\n", ["1:11 the key b is said twice; first in line 1"]),
    "a key twice in two spellings": ("a: 1\n'a': 2\n", ["2:1 the key a is said twice"]),
    "a number for a key": ("1: a\n", ['1:1 a key must be text; 1 is read as something else (write "1")']),
    "a number and true": ("1: a\ntrue: b\n", ["1:1 a key must be text; 1", "2:1 a key must be text; true"]),
    "nothing for a key": ("? \n: a\n", ["1:2 a key must be text; nothing is read as something else"]),
    "a date for a key": ("2027-03-31: a\n", ["1:1 a key must be text; 2027-03-31"]),
    "no number for a key": ("012: a\n", ["1:1 a key must be text; 012"]),
    "a list for a key": ("? [a]\n: 1\n", ["1:3 a key must be text"]),
    "a map for a key": ("? {a: 1}\n: 1\n", ["1:3 a key must be text"]),
    "an alias for a key": (
        "a: &x 1\n*x : 2\n",
        ["1:4 &x is an anchor", "2:1 *x is an alias", "2:1 a key must be text"],
    ),
    "nothing at all": ("", ["1:1 the file is empty (write `key: value` lines)"]),
    "a mark alone": ("\ufeff", ["1:1 the file is empty"]),
    "a comment alone": ("# a\n", ["1:1 the file is empty"]),
    "null": ("null\n", ["1:1 the file is empty"]),
    "a list": ("- a\n", ["1:1 a mapping is expected here, found a list"]),
    "text": ("a\n", ["1:1 a mapping is expected here, found text"]),
    "a number": ("5\n", ["1:1 a mapping is expected here, found a number"]),
    "a byte too many": (b"#" * (MAX_BYTES + 1), ["0:0 262,145 bytes; a declared file has at most 262,144"]),
    "5 MB": (b"a: 1\n" * 1_048_576, ["0:0 5,242,880 bytes; a declared file has at most 262,144"]),
    "Latin 1": (b"a: 1\nb: \xe9\n", ["2:4 byte 0xe9 at offset 8 isn't UTF-8 (save the file as UTF-8)"]),
    "UTF-16": ("\ufeffa: 1".encode("utf-16-le"), ["1:1 byte 0xff at offset 0 isn't UTF-8 (save the file as UTF-8 (it"]),
    "a surrogate's bytes": (b"a: \xed\xa0\x80\n", ["1:4 byte 0xed at offset 3 isn't UTF-8"]),
    "overlong": (b"a: \xc0\xaf\n", ["1:4 byte 0xc0 at offset 3 isn't UTF-8"]),
    "an escaped surrogate": (r'a: "\ud800"', ["1:7 not YAML: found invalid Unicode character escape code"]),
    "NUL": ("a: b\0\n", ["1:5 U+0000 NULL can't be seen here (delete it)"]),
    "an escaped NUL": (r'a: "\0"', ["1:4 U+0000 NULL is hidden behind an escape (delete it)"]),
    "an escaped return": (r'a: "\r"', ["1:4 U+000D CARRIAGE RETURN is hidden behind an escape"]),
    "in an escaped key": (r'"a\u200b": 1', ["1:1 U+200B ZERO WIDTH SPACE is hidden behind an escape"]),
    "returns alone": ("a: 1\rb: 2\r", ["1:5 U+000D CARRIAGE RETURN without a line feed after it (save the file with"]),
    "brackets": ("[" * 10_000, ["1:101 nested more than 100 deep"]),
    "braces": ("{a: " * 10_000, ["1:401 nested more than 100 deep"]),
    "dashes": ("- " * 10_000, ["1:201 nested more than 100 deep"]),
    "an open bracket": ("a: [1\n", ["2:1 not YAML: did not find expected ',' or ']'"]),
    "an open quote": ('a: "b\n', ["2:1 not YAML: found unexpected end of stream"]),
    "a colon too many": ("a: b: c\n", ["1:5 not YAML: mapping values are not allowed"]),
    "a reserved sign": ("a: @b\n", ["1:4 text can't start with @ here (put it in quotes)"]),
    "an unknown escape": (r'a: "\q"', ["1:5 not YAML: found unknown escape character"]),
    "a tab that indents": ("a:\n\tb: 1\n", ["2:1 a tab indents here (indent with spaces)"]),
    "a tab behind blanks": ("a:\n  \tb: 1\n", ["2:3 a tab indents here"]),
    "a tab in a block": ("a: |\n\tb\n", ["2:1 not YAML: found a tab character where an indentation space"]),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_has_its_place(name: str) -> None:
    """What a declared file may not hold is told once, at its line and column."""
    text, expected = FAULTS[name]
    found = told(of(text))
    assert len(found) == len(expected), found
    assert all(one.startswith(start) for one, start in zip(found, expected, strict=True)), found


UNSEEN = "\x01\x08\x1b\x7f\x85\xa0\xad\u061c\u200b\u200e\u2028\u2029\u202e\u2066\u3164\ufeff\ue000\U000e0001"


@pytest.mark.parametrize("character", UNSEEN)
@pytest.mark.parametrize(
    ("before", "column"), [("b: x", 5), ("b: 'x", 6), ("b: 1 # ", 8), ("b", 2), ("", 1), ("# ", 3), ('b: "', 5)]
)
def test_hidden_characters(character: str, before: str, column: int) -> None:
    """A character that nobody can see is a problem at its place: in values, keys, comments and as indent."""
    closing = {"b": ": 1", "": "b: 1", "b: 'x": "'", 'b: "': '"'}.get(before, "")
    document = of(f"a: 1\n{before}{character}{closing}\n")
    [problem] = document.problems
    assert (problem.origin.line, problem.origin.column) == (2, column)
    assert problem.reason.startswith(f"U+{ord(character):04X} ")


@pytest.mark.parametrize("character", "\u200c\u200d\ufe0f\u3000\U000e0100")
def test_what_shapes_text(character: str) -> None:
    """What only shapes visible text may stand in a value, not in a key."""
    assert of(f"a: x{character}y\n").value == {"a": f"x{character}y"}
    [problem] = told(of(f"x{character}y: a\n"))
    assert problem.startswith(f"1:1 U+{ord(character):04X}")


@pytest.mark.parametrize(
    "text", ["\ufeffa: 1\nb: |\n  x\n", "a: 1\r\nb: |\r\n  x\r\n", "a: 1\nb: |\n  x\n...\n", "---\na: 1\nb: |\n  x\n"]
)
def test_means_nothing(text: str) -> None:
    """A byte order mark, CRLF and the marks of one document change nothing."""
    assert (of(text).value, told(of(text))) == ({"a": 1, "b": "x\n"}, [])


def test_tabs_that_mean_nothing() -> None:
    """A tab inside text or before a comment is no indentation."""
    assert of("a: b\tc\nd: e\t# f\n").value == {"a": "b\tc", "d": "e"}


def test_all_faults_at_once() -> None:
    """Faults don't hide one another, and come in order of place."""
    found = of("a: &x 1\na: 012\nb: !t y\n1: z\nc: \u200b\nd: .inf\n")
    assert [str(problem.origin) for problem in found.problems] == [
        "a.yaml:1:4",
        "a.yaml:2:1",
        "a.yaml:2:4",
        "a.yaml:3:4",
        "a.yaml:4:1",
        "a.yaml:5:4",
        "a.yaml:6:4",
    ]


def test_no_more_than_people_read() -> None:
    """Of a file with endless faults the first ones are told, and the rest is counted."""
    found = bounded(of("a: 1\n" + "# \u200b\n" * 1_000).problems)
    assert len(found) == MAX_PROBLEMS + 1
    assert (str(found[-2].origin), found[-1].reason) == ("a.yaml:51:3", "950 more problems in this file")
    assert bounded(found[:MAX_PROBLEMS]) == found[:MAX_PROBLEMS]


BOMBS = {
    "billion laughs": "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 99)),
    "an alias to itself": "a: &a [*a]\n",
    "brackets": "[" * 200_000,
    "braces": "{a: " * 60_000,
    "questions": "? " * 100_000,
    "dashes": "- " * 100_000,
    "quotes": "'" * 250_000,
    "digits": "a: " + "9" * 200_000,
    "underscores": "a: " + "1_" * 100_000,
    "anchors": "a: &a\n" * 20_000,
    "tags": "!a " * 80_000,
    "hidden": "\u200b" * 80_000,
    "tabs": " \ta\n" * 60_000,
    "keys": "a: " * 80_000,
    "directives": "%A\n" * 80_000,
    "documents": "---\n" * 60_000,
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs(name: str) -> None:
    """No text within the allowed size takes long, and none that means nothing passes."""
    start = time.process_time()
    assert of(BOMBS[name]).problems
    assert time.process_time() - start < 1


# ------------------------------------------------------------------------------------------------ places


def test_places() -> None:
    """Every value and every key is known by its line and column; what isn't there is where it would belong."""
    document = of("a: 1\nb:\n  - c: x\n  - {d: y}\n")
    assert str(document.place(("b", 0, "c"))) == "a.yaml:3:8"
    assert str(document.place(("b", 1, "d"))) == "a.yaml:4:9"
    assert str(document.keys["b", 1, "d"]) == "a.yaml:4:6"
    assert document.place(("b", 7)) == document.place(("b",))
    assert str(document.place(("missing", "too"))) == "a.yaml:1:1"


# ------------------------------------------------------------------------------------------------ TOML


TOML: Mapping[str, tuple[str, list[str]]] = {
    "no value": ("a =", ["1:1 not TOML: invalid value"]),
    "a key twice": ("a = 1\na = 2\n", ["2:6 not TOML: cannot overwrite a value"]),
    "leading zero": ("a = 012\n", ["1:6 not TOML: expected newline"]),
    "above 2^53": ("b = 1\na = 9007199254740993\n", ["2:5 the number 9007199254740993 is above 2^53"]),
    "5,000 digits": ("a = " + "9" * 5_000, ["0:0 a number that can't be kept"]),
    "deep": ("a = " + "[" * 20_000, ["0:0 nested more than 100 deep"]),
    "hidden": ("a = 'x\u200by'\n", ["1:7 U+200B ZERO WIDTH SPACE can't be seen here (delete it)"]),
    "hidden in a comment": ("a = 1 # \u202e\n", ["1:9 U+202E RIGHT-TO-LEFT OVERRIDE can't be seen here"]),
    "hidden by an escape": ('a = "\\u200b"\n', ["1:5 U+200B ZERO WIDTH SPACE is hidden behind an escape"]),
    "a surrogate": ('a = "\\ud800"\n', ["1:12 not TOML: escaped character is not a Unicode scalar value"]),
    "returns alone": ("a = 1\rb = 2\r", ["1:6 U+000D CARRIAGE RETURN without a line feed after it"]),
    "not UTF-8": ("a = '\udcff'\n", ["1:6 byte 0xff at offset 5 isn't UTF-8"]),
}


@pytest.mark.parametrize("name", TOML)
def test_toml_is_as_strict(name: str) -> None:
    """What a TOML file may not hold is a problem at its place, by the same rules."""
    text, expected = TOML[name]
    found = told(read_toml(text.encode("utf-8", "surrogateescape"), "a.toml"))
    assert len(found) == len(expected), found
    assert all(one.startswith(start) for one, start in zip(found, expected, strict=True)), found


def test_toml_places() -> None:
    """Keys and tables are found where they are said, also behind text that looks like keys."""
    text = 'a = 1\nb = """\nc = 5\n"""  # d = 6\n[t.u]\nc = 2\n[[k]]\nx = 1\n[[k]]\nx = 2\n"q.r" = 3\n'
    document = read_toml(("\ufeff" + text).replace("\n", "\r\n").encode(), "a.toml")
    assert told(document) == []
    assert str(document.place(("t", "u", "c"))) == "a.toml:6:5"
    assert str(document.place(("k", 1, "x"))) == "a.toml:10:5"
    assert str(document.keys["k", 1, "q.r"]) == "a.toml:11:1"
    assert ("c",) not in document.places


# ------------------------------------------------------------------------------------------------ writing


def _kept(text: str) -> bool:
    """Whether a declared file may hold this text: it is what reading says of it behind quotes."""
    return not of('a: "' + "".join(f"\\U{ord(character):08X}" for character in text) + '"').problems


TEXTS = st.text(st.characters(codec="utf-8"), max_size=60).filter(_kept)
KEYS = st.from_regex(r"[A-Za-z0-9_./=~ <>:#&*!|{}\[\]'\"-]{0,20}", fullmatch=True)
NUMBERS = st.integers(-(2**53), 2**53) | st.decimals(-1000, 1000, places=7).map(float)
LEAVES = st.none() | st.booleans() | NUMBERS | st.dates() | TEXTS | st.sampled_from([*MEANINGS, *REFUSED])
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=12
)


@given(st.dictionaries(KEYS, VALUES, max_size=5))
def test_what_is_written_is_read(value: dict[str, Any]) -> None:
    """To write plain values and read them again is identity: types, order of keys, and every character."""
    document = of(dump([value]))
    assert told(document) == []
    assert document.value == value
    assert repr(document.value) == repr(value)


@given(st.binary(max_size=200) | st.text("a1:-?,[]{}&*!|>'\"%@` #\n\t~\\xu0", max_size=60).map(str.encode))
@example(b">\n\0")
def test_nothing_breaks_the_reader(data: bytes) -> None:
    """Any bytes whatever are a mapping or a problem whose place lies in the file; so for TOML."""
    for document in (read(data, "a"), read_toml(data, "a")):
        lines = data.count(b"\n") + data.count(b"\r") + 1
        assert isinstance(document.value, dict) or document.problems
        assert all(1 <= problem.origin.line <= lines for problem in document.problems)


def test_odd_texts_are_written_as_text() -> None:
    """However odd a text looks, it is written so that it reads back as itself: as a value, in a list, and as a key."""
    values = [{"a": text, "b": [text, {"c": text}]} for text in ALL_VISIBLE]
    found = read_template(dump(values), "written.yaml")
    assert [document.value for document in found] == values
    for text in ALL_VISIBLE:
        key = of(dump([{text: "x"}]))
        assert key.value == {text: "x"}
