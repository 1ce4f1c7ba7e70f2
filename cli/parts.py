"""Reads out of JSON that anybody may have written: what is missing, or of another type, is simply not there. Pure."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from reconciler import amounts

Json = Mapping[str, Any]
_LARGEST_EXPONENT = 40
_LISTS, _PLAIN = (list, tuple), (str, int, float)


def mapping(value: object, *path: str) -> Json:
    """The object at that path; empty where there is none."""
    found = _at(value, path)
    return found if isinstance(found, dict) else {}


def items(value: object, *path: str) -> Sequence[Json]:
    """The objects of the list at that path."""
    found = _at(value, path)
    return [one for one in found if isinstance(one, dict)] if isinstance(found, _LISTS) else []


def texts(value: object, *path: str) -> Sequence[str]:
    """The strings of the list at that path."""
    found = _at(value, path)
    return [one for one in found if isinstance(one, str)] if isinstance(found, _LISTS) else []


def pairs(value: object, *path: str) -> Mapping[str, str]:
    """The object of strings at that path: labels, annotations, quantities (numbers as text)."""
    return {str(key): str(one) for key, one in mapping(value, *path).items() if isinstance(one, _PLAIN)}


def text(value: object, *path: str) -> str:
    """The string at that path, or ``""``."""
    found = _at(value, path)
    return found if isinstance(found, str) else ""


def number(value: object, *path: str) -> int | None:
    """The whole number at that path."""
    found = _at(value, path)
    return found if isinstance(found, int) and not isinstance(found, bool) else None


def flag(value: object, *path: str) -> bool | None:
    """The truth value at that path."""
    found = _at(value, path)
    return found if isinstance(found, bool) else None


def instant(value: object, *path: str) -> datetime | None:
    """The RFC 3339 time at that path, in UTC."""
    try:
        found = datetime.fromisoformat(text(value, *path))
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def quantity(written: object) -> Decimal:
    """A quantity of Kubernetes as an exact number, exponents included; 0 for what is none."""
    text_ = str(written)
    try:
        return amounts.quantity(text_)
    except amounts.AmountError:
        return _with_exponent(text_)


def condition(body: object, kind: str) -> Json:
    """The condition of that type, true or not; empty where there is none."""
    status = body.get("status") if isinstance(body, dict) else None
    found = status.get("conditions") if isinstance(status, dict) else None
    for one in found if isinstance(found, _LISTS) else ():
        if isinstance(one, dict) and one.get("type") == kind:
            return one
    return {}


def holds(body: object, kind: str) -> bool:
    """Whether that condition is true."""
    return condition(body, kind).get("status") == "True"


def name(body: object) -> str:
    """``metadata.name``."""
    return text(body, "metadata", "name")


def _at(value: object, path: Sequence[str]) -> object:
    for key in path:
        if not isinstance(value, dict):
            return None
        value = value.get(key)
    return value


def _with_exponent(written: str) -> Decimal:
    try:
        value = Decimal(written)
    except InvalidOperation:
        return Decimal(0)
    return value if value.is_finite() and abs(value.adjusted()) < _LARGEST_EXPONENT else Decimal(0)
