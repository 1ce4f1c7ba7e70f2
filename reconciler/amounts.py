"""Quantities and durations: one reading for project files, settings, flags and script metadata. Every number is exact.

Quantities are those of Kubernetes (https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/),
without exponents and signs. Durations are ``4h``, ``1d12h``, ``90m``, ``30s`` or clock times that can be read in one
way only: ``1:30:00``, ``1-12:00:00``, ``1-00``.
"""

import re
import string
from decimal import Decimal
from functools import lru_cache

LARGEST = 2**53
"""Above it JSON readers lose digits: no machine has that much of anything."""
LEAST_SIZE = 2**20
"""Below it a unit is missing: nobody means 8 bytes."""

_SUFFIXES = {"": Decimal(1), "m": Decimal("0.001")}
_SUFFIXES |= {letter: Decimal(1000) ** place for place, letter in enumerate("kMGTPE", 1)}
_SUFFIXES |= {f"{letter}i": Decimal(1024) ** place for place, letter in enumerate("KMGTPE", 1)}
_QUANTITY = re.compile(r"([0-9]{1,40}(?:\.[0-9]{1,40})?)([A-Za-z]*)")
_UNITS = {"d": 86400, "h": 3600, "m": 60, "s": 1}
_SPOKEN = re.compile(r"(?:[0-9]{1,9}[dhms])+")
_CLOCK = re.compile(r"(?:(?P<days>\d{1,6})-)?(?P<h>\d{1,4})(?::(?P<m>\d\d?))?(?::(?P<s>\d\d?))?", re.ASCII)


class AmountError(ValueError):
    """Says what is wrong with an amount, and how the nearest right one is written."""


@lru_cache(4096)  # thousands of jobs ask for the same few amounts
def quantity(text: str) -> Decimal:
    """A quantity as an exact number. Raises: AmountError."""
    match = _QUANTITY.fullmatch(text)
    if match is None:
        raise AmountError(f"{text!r} is no amount; write a positive number with a unit, such as 2, 500m, 8Gi")
    number, suffix = match.groups()
    if suffix not in _SUFFIXES:
        raise AmountError(f"{text!r} has no unit of Kubernetes{_nearest_unit(number, suffix)}")
    value = Decimal(number) * _SUFFIXES[suffix]
    if value > LARGEST:
        raise AmountError(f"{text!r} is more than 2^53; write what there is, such as 64 or 512Gi")
    return value


def cores(text: str) -> Decimal:
    """CPU cores, to the thousandth. Raises: AmountError."""
    value = quantity(text)
    if value <= 0:
        raise AmountError(f"{text!r} is no CPU at all; write at least 1m")
    if value * 1000 != int(value * 1000):
        raise AmountError(f"{text!r} is finer than a thousandth of a core; write {int(value * 1000) or 1}m")
    return value


def size(text: str) -> Decimal:
    """Whole bytes of memory or storage. Raises: AmountError."""
    value = quantity(text)
    if text.endswith("m"):
        raise AmountError(f"{text!r} is a thousandth of a byte; write {text[:-1]}Mi")
    if value <= 0 or value != int(value):
        raise AmountError(f"{text!r} is no whole number of bytes above zero; write 512Mi or 8Gi")
    if value < LEAST_SIZE:
        number = text.rstrip(string.ascii_letters)
        raise AmountError(f"{text!r} is {value:f} bytes; write {number}Gi or {number}Mi")
    return value


def canonical(text: str) -> str:
    """A quantity as the API server spells it: ``1.5Gi`` -> ``1536Mi``, ``1000m`` -> ``1``, ``0.5`` -> ``500m``."""
    value = quantity(text)
    binary = text.endswith("i")
    if value != int(value):
        return f"{int((value * 1000).to_integral_value('ROUND_CEILING'))}m"
    base, units = (
        (1024, ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"]) if binary else (1000, ["", "k", "M", "G", "T", "P", "E"])
    )
    number, place = int(value), 0
    while number and number % base == 0 and place + 1 < len(units):
        number, place = number // base, place + 1
    return f"{number}{units[place]}"


def duration(text: str) -> int:
    """Whole seconds, zero included. Raises: AmountError, with both readings where there are two."""
    if _SPOKEN.fullmatch(text):
        parts = re.findall(r"(\d+)([dhms])", text)
        if [unit for _, unit in parts] != sorted({unit for _, unit in parts}, key="dhms".index):
            raise AmountError(f"{text!r} has its units out of order or twice; write 1d12h30m")
        return sum(int(number) * _UNITS[unit] for number, unit in parts)
    if re.fullmatch(r"[0-9]{1,9}", text):
        raise AmountError(f"{text!r} could be minutes or seconds; write {text}m or {text}s")
    match = _CLOCK.fullmatch(text)
    if match is None:
        raise AmountError(f"{text!r} is no duration; write 4h, 1d12h, 90m or 1-12:00:00")
    return _clock(text, match)


def _clock(text: str, match: re.Match[str]) -> int:
    days, hours, minutes, seconds = (int(match[name] or 0) for name in ("days", "h", "m", "s"))
    if match["days"] is None and match["s"] is None:
        raise AmountError(f"{text!r} could be hours or minutes; write {hours}h{minutes}m or {hours}m{minutes}s")
    if minutes >= 60 or seconds >= 60 or (match["days"] is not None and hours >= 24):  # noqa: PLR2004 - a clock's own
        raise AmountError(f"{text!r} is no clock time; write days-hours:minutes:seconds, such as 1-12:00:00")
    return days * 86400 + hours * 3600 + minutes * 60 + seconds


def _nearest_unit(number: str, suffix: str) -> str:
    for unit in _SUFFIXES:
        if unit and unit.lower() in {suffix.lower(), suffix.lower().removesuffix("b")}:
            return f"; write {number}{unit}"
    return "; units are m, k, M, G, T, P, E, Ki, Mi, Gi, Ti, Pi, Ei"
