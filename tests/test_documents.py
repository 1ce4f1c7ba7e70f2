"""Reading YAML and TOML strictly, with places, and writing what every reader reads alike."""

import time
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.documents import MAX_PROBLEMS, Document, dump, read, read_template, read_toml
from reconciler.model import Origin
from tests.naughty import HIDDEN, TEXTS


def read_text(text: str) -> Document:
    return read(text.encode(), "f.yaml")


def problems(document: Document) -> list[str]:
    return [f"{p.origin.line}:{p.origin.column} {p.reason}" for p in document.problems]


WORDS: dict[str, object] = {
    "": None, "~": None, "null": None, "Null": None, "true": True, "True": True, "FALSE": False,
    "yes": "yes", "no": "no", "on": "on", "off": "off", "y": "y", "12": 12, "+12": 12, "-12": -12, "0": 0,
    "1.5": 1.5, ".5": 0.5, "12.0": 12.0, "2027-03-31": date(2027, 3, 31), "12:30": "12:30", "1-00:00:00": "1-00:00:00",
    "=": "=", "1.10.2": "1.10.2", "8Gi": "8Gi", "a b": "a b", '"12"': "12", "'no'": "no", "nULL": "nULL", "1h": "1h",
}  # fmt: skip


@pytest.mark.parametrize("word", WORDS)
def test_words(word: str) -> None:
    """What is written without quotes has the one meaning that the table gives it."""
    document = read_text(f"a: {word}\n")
    assert document.problems == ()
    assert document.value == {"a": WORDS[word]}
    assert type(document.value["a"]) is type(WORDS[word])


AMBIGUOUS = {
    "012": "012 is read differently by different readers",
    "-01.5": "-01.5 is read differently by different readers",
    "0o14": "0o14 is a number to some readers and text to others",
    "0x1F": "0x1F is a number to some readers and text to others",
    "1_000": "1_000 is a number to some readers and text to others",
    "1e3": "1e3 is a number to some readers and text to others",
    ".inf": ".inf is no number that can be kept",
    ".nan": ".nan is no number that can be kept",
    "2027-02-30": "there is no day 2027-02-30",
    "2027-03-31T10:00:00": "2027-03-31T10:00:00 has a time of day",
    "9007199254740993": "the number 9007199254740993 is above 2^53",
    "0.10000000000000000001": "the number 0.10000000000000000001 can't be kept exactly",
    "&a x": "&a is an anchor",
    "*a": "*a is an alias",
    "!x y": "!x is a tag",
    "!!str y": "tag:yaml.org,2002:str is a tag",
}


@pytest.mark.parametrize("word", AMBIGUOUS)
def test_ambiguous(word: str) -> None:
    """What readers of the field read differently is a problem, with its place and a right spelling."""
    document = read_text(f"a: {word}\nb: c\n")
    assert problems(document)[0].startswith(f"1:4 {AMBIGUOUS[word]}")
    assert len(document.problems) == 1
    assert document.value["b"] == "c"


BROKEN = {
    "two of a key": ("a: 1\nb: 2\na: 3\n", ["3:1 the key a is said twice; first in line 1"]),
    "keys that are no text": ("1: a\ntrue: b\nnull: c\n", ["1:1 a key must be text", "2:1 a key", "3:1 a key"]),
    "a list as a key": ("? [a]\n: b\n", ["1:3 a key must be text"]),
    "a merge": ("<<: {a: b}\n", ["1:1 merge keys (<<) aren't understood"]),
    "a second document": ("a: b\n---\nc: d\n", ["2:1 a second document starts here"]),
    "a directive": ("%YAML 1.1\n---\na: b\n", ["1:1 a directive (%) stands before this document"]),
    "a tab": ("a:\n\tb: c\n", ["2:1 a tab indents here"]),
    "a lone return": ("a: b\rc: d\n", ["1:5 U+000D CARRIAGE RETURN without a line feed after it"]),
    "no end": ('a: "b\n', ["2:1 not YAML: found unexpected end of stream"]),
    "an open bracket": ("a: [b\n", ["2:1 not YAML"]),
    "a colon": ("a: b: c\n", ["1:5 not YAML: mapping values are not allowed"]),
    "a sign": ("a: @b\n", ["1:4 text can't start with @ here"]),
    "a list": ("- a\n", ["1:1 a mapping is expected here, found a list"]),
    "a word": ("a\n", ["1:1 a mapping is expected here, found text"]),
    "nothing": ("# only this\n", ["1:1 the file is empty"]),
    "brackets": ("a: " + "[" * 50_000, ["1:103 nested more than 100 deep"]),
    "many maps": ("{a: " * 5000, ["1:401 nested more than 100 deep"]),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken(name: str) -> None:
    """What is wrong with a text is told at once, each with its place; nothing raises, and it takes no time."""
    text, expected = BROKEN[name]
    began = time.monotonic()
    found = problems(read_text(text))
    assert time.monotonic() - began < 2
    assert len(found) == len(expected)
    assert all(one.startswith(start) for one, start in zip(found, expected, strict=True))


@pytest.mark.parametrize("character", HIDDEN)
@pytest.mark.parametrize("where", ["value", "quoted", "comment", "key"])
def test_hidden(character: str, where: str) -> None:
    """A character that can't be seen is a problem wherever it stands, made visible, with line and column."""
    text = {
        "value": f"a: x{character}y\n",
        "quoted": f'a: "x{character}y"\n',
        "comment": f"a: b # x{character}y\n",
        "key": f"ab{character}y: b\n",
    }[where]
    column = text.index(character) + 1
    found = problems(read_text(f"z: 1\n{text}"))
    assert found[0].startswith(f"2:{column} U+{ord(character):04X} {HIDDEN[character]}")


@pytest.mark.parametrize("character", [c for c in HIDDEN if c != "\ue000"])
def test_hidden_behind_an_escape(character: str) -> None:
    """An escape brings no hidden character in."""
    found = problems(read_text(f'a: "x\\u{ord(character):04x}y"\n'))
    assert len(found) == 1
    assert "is hidden behind an escape" in found[0]


def test_ordinary_text() -> None:
    """What only shapes visible text is accepted in values: joiners, selectors, flags, the wide space."""
    text = "a: \u0646\u200c\u0647 \U0001f468\u200d\U0001f469 \u2764\ufe0f \u8a13\u3000\u7df4\n"
    assert problems(read_text(text)) == []
    assert problems(read_text("a\u200db: c\n")) != []


def test_the_same_text() -> None:
    """A byte order mark and Windows line ends mean nothing, and places count as without them."""
    plain, other = read_text("a: 1\nb:\n  c: 2\n"), read(b"\xef\xbb\xbfa: 1\r\nb:\r\n  c: 2\r\n", "f.yaml")
    assert (plain.value, plain.places, plain.keys) == (other.value, other.places, other.keys)


def test_places() -> None:
    """Every value and every key has its place; what has none is where the value around it is."""
    document = read_text("a:\n  - {b: 1, c: [2, 3]}\n  - x\nd: >\n  long\n")
    at = {path: (origin.line, origin.column) for path, origin in document.places.items()}
    assert at[()] == (1, 1)
    assert at["a",] == (2, 3)
    assert at["a", 0, "b"] == (2, 9)
    assert at["a", 0, "c", 1] == (2, 19)
    assert at["a", 1] == (3, 5)
    assert at["d",] == (4, 4)
    assert document.keys["a", 0, "c"] == Origin("f.yaml", 2, 12)
    assert document.place(("a", 0, "nowhere", 7)) == document.places["a", 0]


def test_bounds() -> None:
    """A file is bounded in size, and in how many problems are told of it."""
    assert problems(read(b"a: " + b"x" * 300_000, "f.yaml")) == [
        "0:0 300,003 bytes; a declared file has at most 262,144"
    ]
    many = problems(read_text("".join(f"{number}: x\n" for number in range(500))))
    assert len(many) <= 500
    assert MAX_PROBLEMS == 50


@pytest.mark.parametrize("text", TEXTS)
def test_dumped_text_stays_itself(text: str) -> None:
    """Whatever a text looks like, it is written so that it reads back as that text, as value, item and key."""
    values = [{"a": text, "b": [text, {"c": text}]}] + ([{text: "x"}] if "\u200d" not in text else [])
    assert [document.value for document in read_template(dump(values), "out")] == values


plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.sampled_from(TEXTS),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "no", "1", "x y"]), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(st.lists(st.dictionaries(st.sampled_from(["kind", "a-b", "12", ""]), plain, min_size=1), min_size=1, max_size=3))
def test_dumped_and_read(values: list[object]) -> None:
    """Dump, then read, is identity."""
    documents = read_template(dump(values), "out")
    assert [document.value for document in documents] == values
    assert not [problem for document in documents for problem in document.problems]


@given(
    st.text(max_size=60)
    | st.lists(st.sampled_from([*TEXTS, ": ", "\n", "  ", "- ", "[", "}", "a"]), max_size=12).map("".join)
)
def test_nothing_raises(text: str) -> None:
    """Whatever the bytes are: a mapping, or problems; every problem in the file, at a place that is there."""
    data = text.encode("utf-8", "surrogatepass")
    for document in (read(data, "f.yaml"), read_toml(data, "f.toml")):
        assert isinstance(document.value, dict) or document.problems
        lines = text.replace("\r\n", "\n").replace("\r", "\n").count("\n") + 2
        assert all(0 <= problem.origin.line <= lines for problem in document.problems)


# ------------------------------------------------------------------------------------------------ templates and TOML


def test_templates() -> None:
    """Rendered text may have any number of documents, empty ones left out, and placeholders, but no dates."""
    found = read_template("---\na: \ue0001\ue002\n---\n---\nb: c\n", "t")
    assert [document.value for document in found] == [{"a": "\ue0001\ue002"}, {"b": "c"}]
    assert "2027-01-01 is a date" in read_template("a: 2027-01-01\n", "t")[0].problems[0].reason


def test_toml() -> None:
    """jobq.toml has places too: of tables, keys and values."""
    text = b'cluster = "x"\n[guard]\ndisrupted = 3\n[[kinds]]\ngroup = "g"\n[labels."example.org/x"]\nrequired = true\n'
    document = read_toml(text, "f.toml")
    at = {path: (origin.line, origin.column) for path, origin in document.places.items()}
    assert at["cluster",] == (1, 11)
    assert at["guard", "disrupted"] == (3, 13)
    assert at["kinds", 0, "group"] == (5, 9)
    assert at["labels", "example.org/x", "required"] == (7, 12)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("a", "1:1"),
        ("a = 1\na = 2\n", "2:"),
        ("a = [1\n", "2:"),
        ("[a\n", "1:3"),
        ('a = "\u200b"\n', "1:6"),
        ("a = 012\n", "1:"),
    ],
)
def test_toml_problems(text: str, place: str) -> None:
    """What isn't TOML is a problem with its place."""
    found = problems(read_toml(text.encode(), "f.toml"))
    assert len(found) == 1
    assert found[0].startswith(place)
