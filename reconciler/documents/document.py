"""One document of YAML or TOML, as plain values with their places; how much of one is read."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from reconciler.model import Origin, Problem

if TYPE_CHECKING:
    from datetime import date

Plain: TypeAlias = "dict[str, Plain] | list[Plain] | str | int | float | bool | date | None"
Path = tuple[str | int, ...]
"""Keys and list indices from the document's root, which is ``()``."""

MAX_BYTES = 256 * 1024
MAX_DEPTH = 100
"""Collections inside collections; far above any file meant for people, far below Python's recursion limit."""
MAX_PROBLEMS = 50
"""Of one file; a text that isn't YAML at all shall not fill the screen."""
MAX_INTEGER = 2**53


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


def failed(problems: Iterable[Problem], path: str) -> Document:
    """A text of which nothing can be used."""
    return Document(None, {(): Origin(path, 1, 1)}, refused=frozenset([()]), problems=sorted(problems))


def bounded(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Problems of one file in order of place; those beyond ``MAX_PROBLEMS`` are only counted."""
    ordered = sorted(problems)
    rest = len(ordered) - MAX_PROBLEMS
    if rest <= 0:
        return tuple(ordered)
    return (*ordered[:MAX_PROBLEMS], Problem(Origin(ordered[0].origin.path), f"{rest:,} more problems in this file"))


class Halt(Exception):
    """The rest can't be read; carries the problem."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self.problem = problem
