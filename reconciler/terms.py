"""What a run is told and knows beside the commit: what its starter allows, and what was applied here before."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What whoever starts a run allows it, and asks of it."""

    approved: str = ""
    """The digest of a disruption that somebody has looked at."""
    rewind: bool = False
    """A commit that doesn't follow the last applied one may be applied."""
    allow_older: bool = False
    """An older jobq than the last may write."""
    only: frozenset[str] = frozenset()
    """The projects that this run is about; empty: all."""


@dataclass(frozen=True, slots=True)
class State:
    """What was applied last: a commit, and by which version of jobq."""

    commit: str
    version: str


class Relation(StrEnum):
    """How a commit stands to the one that was applied last."""

    FOLLOWS = "follows"
    """It is the same, or a descendant."""
    PRECEDES = "precedes"
    DIVERGES = "diverges"
    """They have a common ancestor, and neither is the other's."""
    UNRELATED = "unrelated"
    ABSENT = "absent"
    """The last applied one isn't in this repository, and no part of its history is missing."""
    UNKNOWN = "unknown"
    """The repository lacks a part of its history."""


@dataclass(frozen=True, slots=True)
class Kinship:
    """How a commit stands to another; ``trouble`` says what kept git from finding out."""

    relation: Relation
    trouble: str = ""


Lineage = Callable[[str], Kinship]
"""A commit's lineage: given the commit that was applied last, how this one stands to it."""


def nobody_knows(_last: str) -> Kinship:
    """The lineage of a commit of which nobody can tell: refused wherever it matters."""
    return Kinship(Relation.UNKNOWN)
