"""Names of jobs: valid whatever they are made from, short enough for the names that Kubernetes makes from them."""

import posixpath
import re
from collections.abc import Sequence
from itertools import pairwise

from reconciler.errors import UsageError

LONGEST = 52
"""What a job's name may have, so that its pods' names, with an index, are host names."""
SUFFIX = 5
"""Random characters after the beginning and a hyphen."""
ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
"""Without vowels and look-alikes, as Kubernetes has it."""

_BASE = LONGEST - SUFFIX - 1
_VALID = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_SCRIPT = re.compile(r"[^-=].*\.(py|sh|bash|jl|R|r|pl|rb|js|lua)")


def base_name(given: str | None, command: Sequence[str], origin: str = "--name") -> str:
    """The beginning of a job's name: as given, or (None) from the command. Raises: UsageError with the rule."""
    if given is None:
        return _derived(command)
    if not given:
        raise UsageError(f"{origin} is empty", hint="leave it out: the name is made from what runs")
    if not _VALID.fullmatch(given):
        raise UsageError(f"{origin}: {given!r} has more than a-z, 0-9 and - inside", hint=f"write {cleaned(given)}")
    if len(given) > _BASE:
        raise UsageError(
            f"{origin}: {given!r} has {len(given)} characters, and {_BASE} fit",
            hint=f"{SUFFIX} random ones are added: write {cleaned(given)}",
        )
    return given


def cleaned(text: str) -> str:
    """The nearest valid beginning of a name; ``job`` where nothing is left."""
    return re.sub("[^a-z0-9]+", "-", text.lower()).strip("-")[:_BASE].strip("-") or "job"


def _derived(command: Sequence[str]) -> str:
    """``python -m exp.train`` -> exp-train, ``torchrun --n 2 Train_It.py`` -> train-it, ``sh -c ...`` -> sh."""
    for previous, word in pairwise(command):
        if previous == "-c":
            break
        if previous == "-m":
            return cleaned(word)
        if _SCRIPT.fullmatch(word):
            return cleaned(_stem(word))
    return cleaned(_stem(command[0]))


def _stem(path: str) -> str:
    return posixpath.splitext(posixpath.basename(path.rstrip("/")))[0]
