"""One request, and again where trying again can help: with what pauses, how often, and how long at most.

All that jobq sends may be sent twice without harm: a read, a dry-run, an apply of the same object, a delete of one uid,
the creation of what must not be there yet. So an answer that got lost needs no other care than the next answer.
"""

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from reconciler.errors import ClusterError, Conflict, Forbidden, Unreachable

READ_SECONDS = 10.0
WRITE_SECONDS = 60.0
FENCE = "may write only in namespaces labelled"
"""What the policy jobq-reconciler-namespaced says; it sees a Namespace's label a moment after that was written."""
_TRIES = 4
T = TypeVar("T")


def patiently(request: Callable[[], T], seconds: float, stop: threading.Event | None = None) -> T:
    """Its answer. No new try begins after ``seconds``, nor once ``stop`` is set. Raises: ClusterError, the last one."""
    until = time.monotonic() + seconds
    stop = stop or threading.Event()
    for attempt in range(1, _TRIES):
        try:
            return request()
        except ClusterError as error:
            pause = _pause(error, attempt)
            if pause is None or time.monotonic() + pause > until or stop.wait(pause):
                raise
    return request()


def _pause(error: ClusterError, attempt: int) -> float | None:
    """Seconds until it may work; None where it never will."""
    if any(cause.get("reason") == "NamespaceTerminating" for cause in error.causes):
        return 2.0 * attempt
    if isinstance(error, Conflict):
        return 0.2 * attempt  # somebody else wrote at the same moment
    if error.retry_after is not None:
        return error.retry_after
    if error.may_pass or isinstance(error, Unreachable) or (isinstance(error, Forbidden) and FENCE in str(error)):
        return 0.3 * attempt
    return None
