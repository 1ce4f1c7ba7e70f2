"""Which commit is in force: the newest one, or, while that can't be used, the last one that could."""

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path

from reconciler import source
from reconciler.cluster import Cluster
from reconciler.cycle import Restrain, Run, reconcile_pass
from reconciler.declare import declare
from reconciler.errors import (
    ClusterError,
    DeclarationInvalid,
    JobqError,
    PlanRefused,
    RenderError,
    SourceError,
    UsageError,
)
from reconciler.lineage import kinship
from reconciler.model import Declaration, Manifest, Problem
from reconciler.notes import state_of
from reconciler.observe import read_notes
from reconciler.planned import Outcome, Report
from reconciler.render import Templates, render
from reconciler.terms import Terms


@dataclass(frozen=True, slots=True)
class HeldBack:
    """A commit that isn't in force, and why: what git, the files, the templates, the guard or the options forbid."""

    commit: str
    error: JobqError


@dataclass(frozen=True, slots=True)
class Attempt:
    """What a pass came to. ``report`` is None where nothing could be planned; ``error`` is the cluster's."""

    report: Report | None
    held_back: Sequence[HeldBack] = ()
    error: ClusterError | None = None


@dataclass(frozen=True, slots=True)
class _Declared:
    commit: str
    declaration: Declaration
    templates: Templates


class Standing:
    """The memory of what is in force; one pass at a time."""

    def __init__(self, repo: Path) -> None:
        self._repo = repo
        self._in_force: _Declared | None = None
        self._newest: _Declared | HeldBack | None = None
        self._manifests: dict[tuple[str, date], Sequence[Manifest]] = {}

    @property
    def commit(self) -> str:
        """The one in force; ``""`` before any could be used."""
        return self._in_force.commit if self._in_force else ""

    @property
    def warnings(self) -> Sequence[Problem]:
        """Of the files of the commit in force."""
        return self._in_force.declaration.warnings if self._in_force else ()

    def attempt(
        self,
        cluster: Cluster,
        newest: str,
        today: date,
        stop: threading.Event,
        told: Callable[[Outcome], None],
        *,
        terms: Terms,
        restrain: Restrain,
    ) -> Attempt:
        """A pass over the newest commit; where that is refused as a whole, over the one in force.

        Nothing is in force at first: then it is the commit that was applied here last, by whomever.
        """
        held_back: list[HeldBack] = []
        for choice in self._choices(newest, cluster):
            if isinstance(choice, HeldBack):
                held_back.append(choice)
                continue
            try:
                lineage = partial(kinship, self._repo, choice.commit)
                run = Run(choice.declaration, choice.templates, today, terms, lineage, restrain, self._rendered)
                report = reconcile_pass(cluster, run, stop, told)
            except (PlanRefused, RenderError, SourceError, UsageError) as refusal:
                held_back.append(HeldBack(choice.commit, refusal))
                continue
            except ClusterError as error:
                return Attempt(None, held_back, error)
            if not report.verdict.refused:
                self._in_force = choice
                return Attempt(report, held_back)
            held_back.append(HeldBack(choice.commit, PlanRefused(report.verdict)))
        return Attempt(None, held_back)

    def _rendered(self, declaration: Declaration, templates: Templates, today: date) -> Sequence[Manifest]:
        """As ``render``, once for a commit and a day: for a thousand projects it takes half a second."""
        key = (declaration.commit, today)
        if key not in self._manifests:
            kept = {known: manifests for known, manifests in self._manifests.items() if known == (self.commit, today)}
            self._manifests = kept | {key: render(declaration, templates, today)}
        return self._manifests[key]

    def _choices(self, newest: str, cluster: Cluster) -> Iterator[_Declared | HeldBack]:
        if self._newest is None or self._newest.commit != newest or _may_pass(self._newest):
            self._newest = self._read(newest)
        yield self._newest
        before = self._in_force or self._last_applied(cluster)
        if before is not None and before.commit != newest:
            yield before

    def _last_applied(self, cluster: Cluster) -> _Declared | None:
        """None where the cluster can't say, or this repository doesn't have it: then nothing is in force."""
        try:
            state = state_of(read_notes(cluster))
        except ClusterError:
            return None
        found = None if state is None else self._read(state.commit)
        return found if isinstance(found, _Declared) else None

    def _read(self, commit: str) -> _Declared | HeldBack:
        try:
            snapshot = source.read_commit(self._repo, commit)
            return _Declared(commit, declare(snapshot), source.templates(snapshot, "project"))
        except (SourceError, DeclarationInvalid) as error:
            return HeldBack(commit, error)


def _may_pass(choice: _Declared | HeldBack) -> bool:
    """Whether reading the same commit again can end otherwise: git was at fault, not the commit."""
    return isinstance(choice, HeldBack) and isinstance(choice.error, SourceError)
