"""What a repository declares, read for the operator's commands; all problems are shown at once."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cli import console
from reconciler import source
from reconciler.declare import declare
from reconciler.errors import DeclarationInvalid, UsageError
from reconciler.lineage import kinship
from reconciler.model import Declaration, Snapshot
from reconciler.report import problems_text
from reconciler.terms import Kinship
from reconciler.wording import shortened


@dataclass(frozen=True, slots=True)
class Declared:
    """A declaration, with the templates that belong to it: name -> (path, text)."""

    repo: Path
    snapshot: Snapshot
    declaration: Declaration

    def lineage(self, last: str) -> Kinship:
        """How this commit stands to the one that was applied last. Raises: SourceError."""
        return kinship(self.repo, self.declaration.commit, last)

    @property
    def templates(self) -> Mapping[str, tuple[str, str]]:
        """What a project is rendered from."""
        return source.templates(self.snapshot, "project")


def named(words: str) -> frozenset[str]:
    """The projects of ``vision,speech``. Raises: UsageError where words were given, but no name."""
    names = frozenset(filter(None, (word.strip() for word in words.split(","))))
    if words and not names:
        raise UsageError("--only names no project", hint="as in --only vision,speech")
    return names


def read_tree(repo: Path) -> Declared:
    """The files of a work tree. Raises: SourceError; DeclarationInvalid, its problems already shown."""
    return _declared(repo, source.read_work_tree(repo))


def read_commit(repo: Path, ref: str) -> Declared:
    """A commit; says what lies uncommitted beside it. Raises: as ``read_tree``."""
    found = _declared(repo, source.read_commit(repo, ref))
    changed = source.uncommitted(repo)
    if changed:
        console.warn(f"not committed, so no part of this run: {shortened(changed, 3)}")
    return found


def _declared(repo: Path, snapshot: Snapshot) -> Declared:
    try:
        declaration = declare(snapshot)
    except DeclarationInvalid as invalid:
        console.talk(problems_text(invalid.problems))
        raise
    if declaration.warnings:
        console.talk(problems_text(declaration.warnings))
    return Declared(repo, snapshot, declaration)
