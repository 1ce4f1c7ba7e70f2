"""What can go wrong, as a tree. A message says where and what; a hint says what to do next.

JobqError
├── UsageError            the command line asks for something that doesn't exist (exit 2)
├── SourceError           git, or the folder, can't be read
├── DeclarationInvalid    the files have problems; carries all of them
├── RenderError           a template breaks a rule
├── PlanRefused           the guard said no; carries its reasons
└── ClusterError          the API server said no, or nothing
    ├── Unreachable       no answer in time: the outcome of a write is unknown
    ├── Unauthorized      it doesn't know who asks
    ├── Forbidden         it knows, and refuses
    ├── NotFound
    ├── Conflict          a precondition or the ownership of a field is stale
    ├── Expired           a continue token or a resourceVersion is too old (410)
    └── Rejected          any other answer that isn't success
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from reconciler.wording import counted

if TYPE_CHECKING:
    from reconciler.model import Origin, Problem
    from reconciler.planned import Verdict


_PASSING = frozenset({429, 500, 502, 503, 504})


class JobqError(Exception):
    """An error for people: ``str(error)`` is one sentence, ``hint`` the way out or ``""``."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class UsageError(JobqError):
    """The words given can't be meant: exit 2."""


class SourceError(JobqError):
    """The repository or the folder can't be read; never to be taken for "no projects"."""


class DeclarationInvalid(JobqError):
    """The declared files have problems: all of them at once, in ``problems``."""

    def __init__(self, problems: "Sequence[Problem]") -> None:
        count = len(problems)
        super().__init__(f"{counted(count, 'problem')} in the declared files", hint="nothing was changed")
        self.problems = tuple(problems)


class RenderError(JobqError):
    """A template breaks a rule; ``origin`` is the place in the template, ``reason`` the message without it."""

    def __init__(self, message: str, *, origin: "Origin", hint: str = "") -> None:
        super().__init__(f"{origin}: {message}", hint=hint)
        self.origin = origin
        self.reason = message


class PlanRefused(JobqError):
    """The guard refuses the whole plan: exit 4, nothing was written."""

    def __init__(self, verdict: "Verdict") -> None:
        super().__init__("; ".join(refusal.text for refusal in verdict.refusals), hint=verdict.refusals[0].way_out)
        self.verdict = verdict


class ClusterError(JobqError):
    """An answer of the API server that isn't success, or none.

    ``code`` is the HTTP status (0 without answer), ``reason`` and ``causes`` are those of the metav1.Status.
    """

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        code: int = 0,
        reason: str = "",
        causes: Sequence[Mapping[str, str]] = (),
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.code = code
        self.reason = reason
        self.causes = tuple(causes)
        self.retry_after = retry_after

    @property
    def may_pass(self) -> bool:
        """Whether the server may answer otherwise in a moment: it is busy, has just started, or lost its leader.

        It says 500 for a manifest with an unknown field too, which stays.
        """
        return self.code in _PASSING and "failed to create typed patch object" not in str(self)


class Unreachable(ClusterError):
    """No answer in time. A write may have happened: read again before writing again."""


class Unauthorized(ClusterError):
    """401, or a client certificate that the server doesn't take."""


class Forbidden(ClusterError):
    """403: RBAC, an admission policy, a quota, or a namespace that is going away."""


class NotFound(ClusterError):
    """404 of an object, or of a kind that the server doesn't serve."""


class Conflict(ClusterError):
    """409: a stale precondition, a field that another manager owns, or an object that exists already."""


class Expired(ClusterError):
    """410: list again."""


class Rejected(ClusterError):
    """Any other answer: 400, 422, 429, 5xx."""
