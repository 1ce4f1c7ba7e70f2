"""The one place where the date is read, and the command line's seconds: everything else is given them."""

import time
from datetime import UTC, date, datetime


def now() -> datetime:
    """This moment, in UTC."""
    return datetime.now(UTC)  # noqa: TID251 - here it is read


def today() -> date:
    """This day in UTC, as expiries count days."""
    return now().date()


def elapsed() -> float:
    """Seconds that only ever grow, for waiting."""
    return time.monotonic()
