"""The digest that an admin takes from a refused plan, as it is typed or pasted."""

import re

from reconciler.errors import UsageError

_FORM = re.compile("[0-9a-f]{16}")


def digest_of(words: str) -> str:
    """The words, where they have a digest's form. Raises: UsageError: what can be no digest is a slip, not stale."""
    if not _FORM.fullmatch(words):
        hint = "16 of the characters 0-9 and a-f, as a refused plan shows them: jobq plan"
        raise UsageError(f"{words!r} is no digest of a plan", hint=hint)
    return words
