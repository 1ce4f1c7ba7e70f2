"""Which job a word means: a name, a unique beginning of one of mine, or ``@latest``."""

import difflib
import re
from collections.abc import Sequence

from cli.selection import Current
from reconciler.cluster import Body
from reconciler.errors import NotFound, UsageError
from reconciler.model import SUBMITTED_BY

LATEST = "@latest"
_NAME = re.compile(r"[a-z0-9]([-.a-z0-9]*[a-z0-9])?")


def refuse_empty(word: str) -> None:
    """It would be the beginning of every name. Raises: UsageError."""
    if not word:
        raise UsageError("the job's name is empty", hint="`jobq list` shows the jobs there are")


def may_be_name(word: str) -> bool:
    """Whether a job can be called so, and be asked for by its address."""
    return bool(_NAME.fullmatch(word))


def choose(jobs: Sequence[Body], word: str, current: Current, *, everyone: bool = False) -> Body:
    """The job among ``jobs``: any by its whole name, the caller's by a beginning; with ``everyone`` anybody's.

    Raises: NotFound, UsageError.
    """
    caller = current.caller.name
    mine = [job for job in jobs if everyone or job["metadata"].get("annotations", {}).get(SUBMITTED_BY) == caller]
    if word == LATEST:
        return _latest(mine, current)
    named = [job for job in jobs if job["metadata"]["name"] == word]
    found = named or [job for job in mine if job["metadata"]["name"].startswith(word)]
    if len(found) > 1:
        names = sorted(job["metadata"]["name"] for job in found)
        raise UsageError(f"{word!r} could be {', '.join(names)}", hint="write a longer beginning")
    if not found:
        raise NotFound(f"there is no job {word!r} in {current.entry.name}", hint=_near(word, jobs, current))
    return found[0]


def _latest(mine: Sequence[Body], current: Current) -> Body:
    if not mine:
        hint = f"`jobq submit` makes one, `{current.command('list')}` shows everybody's"
        raise NotFound(f"you have no jobs in {current.entry.name}", hint=hint)
    return max(mine, key=lambda job: (job["metadata"]["creationTimestamp"], job["metadata"]["name"]))


def _near(word: str, jobs: Sequence[Body], current: Current) -> str:
    names = [job["metadata"]["name"] for job in jobs]
    others = [name for name in names if name.startswith(word)] or difflib.get_close_matches(word, names, n=1)
    return f"did you mean {others[0]}?" if others else f"`{current.command('list')}` shows the jobs there are"
