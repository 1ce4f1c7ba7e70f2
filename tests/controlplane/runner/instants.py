"""Instants as text; inside they are nanoseconds since 1970, so that nothing is rounded."""

import re
import time
from datetime import datetime

SECOND_NS = 1_000_000_000
RFC3339 = re.compile(r"(\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?([Zz]|[+-]\d\d:\d\d)")


def now_ns() -> int:
    """The machine's clock."""
    return time.time_ns()


def to_seconds(ns: int) -> str:
    """metav1.Time."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(ns // SECOND_NS))


def to_micros(ns: int) -> str:
    """metav1.MicroTime."""
    return f"{to_seconds(ns)[:-1]}.{ns % SECOND_NS // 1000:06d}Z"


def to_nanos(ns: int) -> str:
    """RFC 3339 with nine digits: texts of this form sort as the instants do."""
    return f"{to_seconds(ns)[:-1]}.{ns % SECOND_NS:09d}Z"


def parse(text: str) -> int:
    """An RFC 3339 instant.

    Raises: ValueError if it is none.
    """
    match = RFC3339.fullmatch(text)
    if not match:
        raise ValueError(f"not an RFC 3339 time: {text!r}")
    whole, fraction, zone = match.groups()
    seconds = int(datetime.fromisoformat(whole.upper() + zone.upper().replace("Z", "+00:00")).timestamp())
    return seconds * SECOND_NS + int((fraction or "0").ljust(9, "0"))
