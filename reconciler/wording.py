"""Names and numbers in a sentence."""

from collections.abc import Sequence


def shortened(names: Sequence[str], most: int = 5) -> str:
    """The first few names, and how many more: ``a, b, c and 7 more``."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def counted(number: int, noun: str) -> str:
    """``1 Job``, ``3 Jobs``, ``2 NetworkPolicies``."""
    plural = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{number} {noun if number == 1 else plural}"
