"""What one value of a project file or of jobq.toml may be: names, amounts, days; in words where it is wrong."""

import re
from collections.abc import Callable
from datetime import date, datetime
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from reconciler import labels
from reconciler.amounts import AmountError, cores, duration, size
from reconciler.documents import characters


def _checked(rule: Callable[[str], object]) -> AfterValidator:
    def check(value: str) -> str:
        rule(value)
        return value

    return AfterValidator(check)


def _matching(pattern: str, what: str, *, longest: int = 253) -> AfterValidator:
    def check(value: str) -> None:
        if len(value) > longest or not re.fullmatch(pattern, value):
            raise ValueError(f"{shown(value)} is no {what}")

    return _checked(check)


def _amount(rule: Callable[[str], object]) -> BeforeValidator:
    """A bare number is told first what is wrong with it in quotes too."""

    def check(value: object) -> object:
        if isinstance(value, int | float) and not isinstance(value, bool):
            rule(str(value))
        return value

    return BeforeValidator(check)


def _spelt(value: object) -> object:
    """A number as the text that means the same: without a unit it can only be cores."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _above_zero(text: str) -> None:
    if duration(text) == 0:
        raise AmountError("0 leaves no time at all; write at least 1s")


def _no_outer_blank(text: str) -> None:
    if text != text.strip():
        raise ValueError(f"{shown(text)} has a blank at its {'start' if text[0].isspace() else 'end'}")


def _subject(text: str) -> None:
    _no_outer_blank(text)
    if text.startswith("system:"):
        raise ValueError(f"{shown(text)} belongs to Kubernetes itself; members are people and their groups")
    if any(character.isspace() for character in text):
        raise ValueError(f"{shown(text)} has a blank inside")
    if unseen := characters.unseen(text):
        raise ValueError(f"{shown(text)} has {unseen} in it, which nobody can see in a name")


def _share(value: object) -> object:
    if isinstance(value, int) and not isinstance(value, bool):
        if value < 0:
            raise ValueError(f"{value} is below zero")
        return value
    if not isinstance(value, str) or not re.fullmatch(r"[0-9]{1,2}%|100%", value):
        raise ValueError(f"{shown(value)} is neither a number nor a share such as 10%")
    return value


def _label_pair(text: str) -> None:
    """``key=value``, or nothing."""
    if text and not re.fullmatch(rf"({labels.DNS_NAME}/)?{labels.WORD}=({labels.WORD})?", text):
        raise ValueError(f"{shown(text)} is no label; write key=value")


def _pattern(*words: str) -> AfterValidator:
    """A name with these words in braces; the rest as names are written."""

    def check(text: str) -> None:
        plain = text
        for word in words:
            plain = plain.replace(word, "x")
        if not re.fullmatch(labels.NAME, plain):
            raise ValueError(f"{shown(text)} is no name: lower-case letters, digits, '-', and {' or '.join(words)}")

    return _checked(check)


def _project_once(text: str) -> None:
    """Whatever else stands around it: two projects can't get one namespace then."""
    if text.count("{project}") != 1:
        raise ValueError(f"{shown(text)} must have {{project}} in it once, such as team-{{project}}")


def _expression(text: str) -> None:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"{shown(text)} is no regular expression: {error}") from None


def _free_key(text: str) -> None:
    if labels.is_taken(text):
        raise ValueError(f"{shown(text)} belongs to jobq or Kubernetes; project files can't set it")


def _date(value: object) -> object:
    if isinstance(value, str) and re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
        try:
            return date.fromisoformat(value)
        except ValueError:
            raise ValueError(f"there is no day {value}") from None
    if isinstance(value, datetime) or not isinstance(value, date):
        raise ValueError(  # noqa: TRY004 - pydantic collects ValueErrors
            f"{shown(value)} is no date; write year-month-day, such as 2027-03-31"
        )
    return value


Label = Annotated[str, _matching(labels.NAME, "name: lower-case letters, digits and '-', at most 63", longest=63)]
QueueName = Annotated[
    str, _matching(labels.DNS_NAME, "name of at most 63 characters, as it becomes a label", longest=63)
]
DnsName = Annotated[str, _matching(labels.DNS_NAME, "name: lower-case letters, digits, '-' and '.'")]
Text = Annotated[str, Field(max_length=4096)]
Line = Annotated[str, Field(max_length=256), _matching(r"[^\n]*", "single line", longest=256)]
Tag = Annotated[str, _matching(r"[^\s,]+", "tag: no blanks or commas, at most 63 characters", longest=63)]
SubjectName = Annotated[str, Field(min_length=1, max_length=256), _checked(_subject)]
UserName = Annotated[str, _matching(r"[A-Za-z0-9:._@/-]+", "user name of Kubernetes")]
Cores = Annotated[str, BeforeValidator(_spelt, json_schema_input_type=str | int | float), _checked(cores)]
Size = Annotated[str, _amount(size), _checked(size)]
Duration = Annotated[str, _amount(_above_zero), _checked(_above_zero)]
Ttl = Annotated[str, _amount(duration), _checked(duration)]
Day = Annotated[date, BeforeValidator(_date)]
Image = Annotated[str, _matching(r"[^\s]+", "image: it has blanks")]
Workdir = Annotated[str, _matching(r"/[^\n]*", "absolute path", longest=4096)]
EnvName = Annotated[str, _matching(r"[A-Za-z_][A-Za-z0-9_]*", "variable name: letters, digits and '_'")]
Volume = Annotated[
    str, _matching(rf"{labels.NAME}:/[^:\n]*(:ro)?", "volume; write PVC:/path or PVC:/path:ro", longest=4096)
]
LabelKey = Annotated[str, _matching(rf"({labels.DNS_NAME}/)?{labels.WORD}", "label's key", longest=317)]
LabelValue = Annotated[
    str, _matching(rf"({labels.WORD})?", "label's value: letters, digits, '-', '_', '.'", longest=63)
]
FreeKey = Annotated[LabelKey, _checked(_free_key)]
NamespacePattern = Annotated[str, _checked(_project_once), _pattern("{project}")]
QueuePattern = Annotated[str, _pattern("{project}", "{namespace}")]
Expression = Annotated[str, _checked(_expression)]
Share = Annotated[str | int, BeforeValidator(_share)]
LabelPair = Annotated[str, _checked(_label_pair)]
QualifiedName = Annotated[
    str, _matching(rf"{labels.DNS_NAME}/{labels.WORD}", "name of a resource, such as nvidia.com/gpu")
]
Count = Annotated[int, Field(ge=0, le=2**31 - 1)]


def shown(value: object) -> str:
    """A value as people can read it: short, and with invisible characters made visible."""
    match value:
        case None:
            text = "null"
        case bool():
            text = str(value).lower()
        case str():
            text = repr(value)
        case _:
            text = str(value)
    return text if len(text) <= 80 else f"{text[:77]}..."  # noqa: PLR2004 - what fits a line
