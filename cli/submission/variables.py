"""A job's variables, and words that can travel at all."""

import json
import re
from collections.abc import Iterable, Mapping

from reconciler.errors import UsageError

LARGEST_WORD = 2**17 - 1
"""Bytes that Linux passes in one argument, or one variable with its name."""
LARGEST_TOTAL = 2**20
"""Bytes of command and variables together as a Workload has them, which may have 1.5 MiB: without it no job starts."""
_AROUND_VARIABLE = 100
"""Bytes that each variable takes beside its name and value."""

_VARIABLE = re.compile(r"[-._a-zA-Z][-._a-zA-Z0-9]*")


def from_pairs(pairs: Iterable[str]) -> Mapping[str, str]:
    """``KEY=VALUE`` words as a map; the last of one key counts. Raises: UsageError."""
    found = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise UsageError(f"--env: {pair!r} has no '='", hint=f"write --env {pair}=VALUE")
        found[key] = value
    return found


def checked(env: Mapping[str, str]) -> Mapping[str, str]:
    """The variables. Raises: UsageError for a name that is none, or a value that can't travel."""
    for key, value in env.items():
        if not _VARIABLE.fullmatch(key):
            raise UsageError(
                f"--env: {key!r} is no variable's name", hint="names are letters, digits, '_', '-' and '.'"
            )
        transportable(f"{key}={value}", f"variable {key}")
    return dict(env)


def transportable(text: str, what: str) -> int:
    """Its bytes. Raises: UsageError where it isn't text, or too much for Linux."""
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise UsageError(f"{what} isn't UTF-8, which is all that Kubernetes carries") from None
    if size > LARGEST_WORD:
        raise UsageError(
            f"{what} has {size} bytes, and Linux passes at most {LARGEST_WORD}", hint="put it into a file on a volume"
        )
    return size


def together(words: Iterable[str], env: Mapping[str, str]) -> None:
    """Raises: UsageError where a Job couldn't hold all of it."""
    size = sum(map(_written, (*words, *env, *env.values()))) + _AROUND_VARIABLE * len(env)
    if size > LARGEST_TOTAL:
        raise UsageError(
            f"command and variables have {size} bytes together as Kubernetes writes them, and a job carries "
            f"{LARGEST_TOTAL}",
            hint="put them into a file on a volume; quotes, line ends and dollars count twice, <, > and & six times",
        )


def _written(text: str) -> int:
    """Its bytes in the Workload, which is kept as JSON of Go's."""
    inner = json.dumps(text, ensure_ascii=False)[1:-1]
    return len(inner.encode()) + text.count("$") + 5 * sum(map(text.count, "<>&"))
