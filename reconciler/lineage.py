"""Repository and two commits -> how one stands to the other. A shallow clone is deepened from its remote."""

import re
from collections.abc import Sequence
from pathlib import Path

from reconciler.errors import SourceError
from reconciler.repository import Git, opened
from reconciler.terms import Kinship, Relation

_DEEPER = ("", "--deepen=500", "--unshallow")
"""What is fetched before each look; a whole history only where the nearest commits don't tell."""


def kinship(repo: Path, commit: str, last: str) -> Kinship:
    """How a commit stands to the one that was applied last. Raises: SourceError where git can't read the repository."""
    if commit == last:
        return Kinship(Relation.FOLLOWS)
    if not re.fullmatch("[0-9a-f]{40,64}", last):
        return Kinship(Relation.ABSENT)
    git = opened(repo)
    for depth in _DEEPER:
        trouble = _fetched(git, "", depth) if depth else ""
        known = _known(git, last)
        if known and _is_ancestor(git, last, commit):
            return Kinship(Relation.FOLLOWS)
        if known and _is_ancestor(git, commit, last):
            return Kinship(Relation.PRECEDES)
        if git.ask("rev-parse", "--is-shallow-repository") != "true":
            return _apart(git, commit, last) if known else _elsewhere(git, commit, last)
        if trouble:
            break
    return Kinship(Relation.UNKNOWN, trouble)


def _apart(git: Git, commit: str, last: str) -> Kinship:
    return Kinship(Relation.DIVERGES if git.says_yes("merge-base", commit, last) else Relation.UNRELATED)


def _elsewhere(git: Git, commit: str, last: str) -> Kinship:
    """Of a whole history without the last commit: no ancestor of ours. The remote may have it, and say what it is."""
    trouble = _fetched(git, last)
    if trouble or not _known(git, last):
        return Kinship(Relation.ABSENT, trouble)
    return Kinship(Relation.PRECEDES) if _is_ancestor(git, commit, last) else _apart(git, commit, last)


def _known(git: Git, commit: str) -> bool:
    return git.says_yes("rev-parse", "--verify", "--quiet", "--end-of-options", f"{commit}^{{commit}}")


def _is_ancestor(git: Git, older: str, newer: str) -> bool:
    return git.says_yes("merge-base", "--is-ancestor", older, newer)


def _fetched(git: Git, commit: str, *how: str) -> str:
    """Fetch the remote's branches, or one commit; why it can't be had, or ``""``."""
    remotes = git.ask("remote").split()
    if not remotes:
        return "it has no remote"
    remote = "origin" if "origin" in remotes else remotes[0]
    try:
        git.ask(*_QUIETLY, "fetch", "--quiet", "--no-tags", *how, remote, *filter(None, [commit]))
    except SourceError as error:
        return str(error)
    return ""


_QUIETLY: Sequence[str] = ("-c", "gc.auto=0", "-c", "maintenance.auto=false")
"""No process is left behind that works on the repository."""
