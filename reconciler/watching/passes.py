"""What a watch is told, and what it tells: its order, each of its passes, its state at any time."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Protocol

from reconciler.errors import ClusterError, SourceError
from reconciler.model import Problem
from reconciler.planned import Report
from reconciler.terms import Terms
from reconciler.watching.fights import Fight, Fights
from reconciler.watching.lease import Tenure
from reconciler.watching.lookout import Rhythm
from reconciler.watching.standing import Attempt, HeldBack


class Clock(Protocol):
    """Where time comes from: UTC."""

    def today(self) -> date:
        """The day."""

    def now(self) -> datetime:
        """The moment."""


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be watched, and how. Seconds."""

    repo: Path
    ref: str = "HEAD"
    terms: Terms = field(default_factory=Terms)
    fetches: bool = False
    rhythm: Rhythm = field(default_factory=Rhythm)
    full: float = 600.0
    """The longest time between two passes."""
    tenure: Tenure = field(default_factory=Tenure)
    fights: Callable[[], Fights] = Fights


@dataclass(frozen=True, slots=True)
class Passed:
    """One pass. ``why`` are the reasons for it; ``report`` is None where nothing could be planned."""

    why: Sequence[str]
    result: str
    """``changed``, ``in sync``, ``refused``, ``failed`` or ``interrupted``."""
    commit: str
    """The one in force, ``""`` for none yet."""
    newest: str
    held_back: Sequence[HeldBack]
    """Newer commits that are not in force, and why."""
    warnings: Sequence[Problem]
    """What in the files of the commit in force surely isn't meant."""
    report: Report | None
    error: ClusterError | None
    fights: Sequence[Fight]
    seconds: float


@dataclass(frozen=True, slots=True)
class Noted:
    """A line for whoever reads along."""

    text: str


Told = Callable[[Passed | Noted], None]


@dataclass
class State:
    """What is known from outside, at any time. Times are seconds since 1970; 0: never."""

    commit: str = ""
    newest: str = ""
    leads: bool = False
    holder: str = ""
    looked: float = 0.0
    """The last successful look at the repository."""
    passed: float = 0.0
    """The end of the last pass that did all it had to."""
    alive: float = 0.0
    """When the loop last turned."""
    passes: Counter[str] = field(default_factory=Counter)
    changes: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    """Of all passes together."""
    last_seconds: float = 0.0
    refusals: int = 0
    fights: int = 0
    cuts: int = 0

    def count(self, passed: Passed) -> None:
        """Take over what a pass came to."""
        self.commit = passed.commit
        self.passes[passed.result] += 1
        self.seconds += passed.seconds
        self.last_seconds = passed.seconds
        self.fights = len(passed.fights)
        self.refusals = len(passed.held_back) + (len(passed.report.verdict.refusals) if passed.report else 0)
        self.changes.update(str(outcome.result) for outcome in (passed.report.outcomes if passed.report else ()))
        if passed.result in {"changed", "in sync"}:
            self.passed = time.time()


def result_of(attempt: Attempt) -> str:
    """The word for what a pass came to: see ``Passed``."""
    report = attempt.report
    if report is not None and report.interrupted:
        return "interrupted"
    if attempt.error is not None or any(isinstance(held.error, SourceError) for held in attempt.held_back):
        return "failed"
    if report is not None and report.incomplete:
        return "failed"
    if attempt.held_back or report is None or report.verdict.refusals:
        return "refused"
    return "changed" if report.outcomes else "in sync"
