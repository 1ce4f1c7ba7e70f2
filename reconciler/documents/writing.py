"""Plain values to YAML text."""

import re
from collections.abc import Iterable, Iterator
from decimal import Decimal
from io import StringIO
from typing import Any, TypeAlias

from ruamel.yaml.cyaml import CEmitter  # type: ignore[attr-defined] # from the extra oldlibyaml
from ruamel.yaml.events import (
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

_Event: TypeAlias = Any
"""One of ruamel's events; the library gives them no types."""
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
