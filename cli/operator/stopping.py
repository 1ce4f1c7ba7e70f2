"""Ctrl-C and SIGTERM: the first asks for an end, the second is one."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from cli import console


@contextmanager
def stopped_by_signals(stop: Callable[[], None]) -> Iterator[None]:
    """Call ``stop`` at the first signal: what is in flight may end. A second signal ends the process."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def stopping(_number: int, _frame: object) -> None:
        stop()
        for each in before:
            signal.signal(each, signal.SIG_DFL)
        console.talk("stopping: what is in flight is finished first")

    for number in before:
        signal.signal(number, stopping)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
