"""Amounts of a job, each read strictly, with the flag or the default that said it named in the error."""

from collections.abc import Callable
from typing import TypeVar

from reconciler import amounts
from reconciler.amounts import AmountError
from reconciler.errors import UsageError

LONGEST = 2**31 - 1
"""Seconds that the API's int32 fields hold: 68 years."""
MOST_GPUS = 99_999
"""More than any cluster has."""

T = TypeVar("T")


def cpu(text: str, origin: str) -> str:
    """Cores as the API server spells them. Raises: UsageError."""
    _read(amounts.cores, text, origin)
    return amounts.canonical(text)


def memory(text: str, origin: str) -> str:
    """Bytes as the API server spells them. Raises: UsageError."""
    _read(amounts.size, text, origin)
    return amounts.canonical(text)


def no_more_than(text: str, most: str, origin: str) -> None:
    """Shared memory counts as the pod's memory. Raises: UsageError where it is more than all of that."""
    if _read(amounts.size, text, origin) > _read(amounts.size, most, "--memory"):
        raise UsageError(f"{origin}: {text} of shared memory are a part of the {most} of memory", hint="raise --memory")


def gpus(text: str, origin: str) -> tuple[str | None, int]:
    """``N`` or ``FLAVOR:N``: the flavor, where one is named, and whole GPUs, zero included. Raises: UsageError."""
    flavor, colon, number = text.rpartition(":")
    if colon and not flavor:
        raise UsageError(f"{origin}: {text!r} names no flavor before the colon", hint=f"write {number} or FLAVOR:N")
    return flavor or None, _read(_whole, number, origin)


def time_limit(text: str, origin: str) -> int:
    """Seconds above zero. Raises: UsageError."""
    seconds = _seconds(text, origin)
    if not seconds:
        raise UsageError(f"{origin}: a time limit of zero ends the job before it starts", hint="leave it out for none")
    return seconds


def time_to_live(text: str, origin: str) -> int:
    """Seconds, zero included. Raises: UsageError."""
    return _seconds(text, origin)


def _seconds(text: str, origin: str) -> int:
    seconds = _read(amounts.duration, text, origin)
    if seconds > LONGEST:
        raise UsageError(f"{origin}: {text!r} is longer than 68 years, the most that Kubernetes can count")
    return seconds


def _whole(text: str) -> int:
    if text.isascii() and text.isdigit():
        if len(text) <= len(str(MOST_GPUS)):
            return int(text)
        raise AmountError(f"{text!r} is more than {MOST_GPUS}; write 8")
    raise AmountError(f"{text!r} is no whole number of GPUs; write {_nearest(text)}")


def _nearest(text: str) -> str:
    """``-1`` may mean 1, and half a GPU is one that nobody else has."""
    digits = text.lstrip("-+").partition(".")[0]
    return str(max(int(digits), 1)) if digits.isascii() and digits.isdigit() and len(digits) < len("10000") else "1"


def _read(reading: Callable[[str], T], text: str, origin: str) -> T:
    try:
        return reading(text)
    except AmountError as error:
        found, _, way_out = str(error).partition("; ")
        raise UsageError(f"{origin}: {found}", hint=way_out) from error
