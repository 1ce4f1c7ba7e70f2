"""What exit codes say, and which of several a command ends with. 100 to 103 belong to ``wait``: a job's fate."""

from collections.abc import Iterable
from enum import IntEnum


class Exit(IntEnum):
    """The exit codes of all commands but ``wait``."""

    DONE = 0
    ERROR = 1
    USAGE = 2
    PENDING = 3
    """Changes are to be made, and somebody asked to be told by ``--exit-code``."""
    REFUSED = 4
    """In whole or in part."""
    PARTLY = 5
    """Something could not be written, or not be read."""
    INTERRUPTED = 130


_WEIGHTIEST_FIRST = (Exit.INTERRUPTED, Exit.USAGE, Exit.ERROR, Exit.PARTLY, Exit.REFUSED, Exit.PENDING, Exit.DONE)


def weightiest(codes: Iterable[Exit]) -> Exit:
    """The one that a command ends with where several hold; DONE where none does."""
    return min(codes, key=_WEIGHTIEST_FIRST.index, default=Exit.DONE)
