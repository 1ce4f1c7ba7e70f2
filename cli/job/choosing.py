"""Which of the jobs a list is about."""

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cli.explain.jobs import AnyJob
from cli.explain.status import Status
from cli.submission import amount
from reconciler.errors import UsageError


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the options say: nobody and no status stand for all; ``limit`` is for the newest ones."""

    by: str = ""
    statuses: frozenset[Status] = frozenset()
    since: timedelta | None = None
    limit: int | None = None

    @property
    def narrow(self) -> bool:
        """Whether more than the submitter decides."""
        return bool(self.statuses) or self.since is not None

    def of(self, jobs: Sequence[AnyJob], now: datetime) -> Sequence[AnyJob]:
        """Those among the jobs, in their order."""
        tests: list[Callable[[AnyJob], bool]] = []
        if self.by:
            tests.append(lambda job: job.by == self.by)
        if self.since is not None:
            earliest = now - self.since
            tests.append(lambda job: job.created >= earliest)
        if self.statuses:
            tests.append(lambda job: job.status_at(now) in self.statuses)
        return [job for job in jobs if all(test(job) for test in tests)][: self.limit]


def statuses(words: Sequence[str] | None) -> frozenset[Status]:
    """The status words of ``--status``, in any case, several with commas. Raises: UsageError with the nearest."""
    known = {status.lower(): status for status in Status}
    found = set()
    for word in (part.strip() for text in words or () for part in text.split(",")):
        if word.lower() not in known:
            near = difflib.get_close_matches(word.lower(), known, n=1)
            hint = f"did you mean {known[near[0]]}?" if near else f"they are: {', '.join(Status)}"
            raise UsageError(f"--status: there is no status {word!r}", hint=hint)
        found.add(known[word.lower()])
    return frozenset(found)


def since(text: str | None) -> timedelta | None:
    """The span of ``--since``. Raises: UsageError."""
    return None if text is None else timedelta(seconds=amount.time_to_live(text, "--since"))
