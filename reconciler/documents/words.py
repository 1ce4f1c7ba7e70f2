"""What a YAML scalar without quotes means.

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
"""

import re
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import NoReturn

from reconciler.documents.document import MAX_INTEGER, Plain

MAX_DIGITS = 40


class Refused(Exception):
    """A word without quotes that has no single meaning."""

    def __init__(self, reason: str, hint: str) -> None:
        super().__init__(reason)
        self.problem = reason, hint


_WORDS: Mapping[str, Plain] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}


def word(text: str) -> Plain:
    """What a scalar without quotes means. Raises: Refused."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] in "0123456789+-.":
        for pattern, meaning in _NUMBERS:
            if pattern.fullmatch(text):
                return meaning(text)
    return text


def _integer(text: str) -> int:
    if len(text) > MAX_DIGITS or abs(int(text)) > MAX_INTEGER:
        raise Refused(
            f"the number {short(text)} is above 2^53", f"JSON readers round it; write {quoted(text)} for text"
        )
    return int(text)


def _fraction(text: str) -> float:
    exact = len(text) <= MAX_DIGITS and Decimal(text) == Decimal(repr(float(text))) and abs(float(text)) <= MAX_INTEGER
    if not exact:
        raise Refused(f"the number {short(text)} can't be kept exactly", f"write {quoted(text)} for text")
    return float(text)


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise Refused(f"there is no day {text}", "") from None


def _leading_zero(text: str) -> NoReturn:
    stripped = re.sub(r"(?<![0-9.])0+(?=[0-9])", "", text)
    raise Refused(f"{short(text)} is read differently by different readers", f"write {stripped} or {quoted(text)}")


def _ambiguous(text: str) -> NoReturn:
    raise Refused(
        f"{short(text)} is a number to some readers and text to others",
        f"write a decimal number with digits only, or {quoted(text)} for text",
    )


def _endless(text: str) -> NoReturn:
    raise Refused(f"{text} is no number that can be kept", f"write {quoted(text)} for text")


def _moment(text: str) -> NoReturn:
    raise Refused(f"{text} has a time of day", f"write {text[:10]}, or {quoted(text)} for text")


def short(text: str) -> str:
    """As it fits into a message."""
    text = text if text.isprintable() else ascii(text)
    return text if len(text) <= MAX_DIGITS else f"{text[:20]}... ({len(text)} characters)"


def quoted(text: str) -> str:
    """As it could be written to be text, for a hint."""
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


def kind(value: Plain) -> str:
    """What a value is, for a message."""
    names = {
        dict: "a mapping",
        list: "a list",
        str: "text",
        bool: "true or false",
        type(None): "nothing",
        date: "a date",
    }
    return names.get(type(value), "a number")
