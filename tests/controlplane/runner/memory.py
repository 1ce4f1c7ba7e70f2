"""How much memory a container's processes take, since no cgroup of our own can be had everywhere."""

import os
from collections.abc import Iterator
from pathlib import Path

PROC = Path("/proc")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def exceeds(pid: int, limit_bytes: int) -> bool:
    """Whether the process and its descendants take more; what they share is shared out among them.

    Adding up resident pages is quick and too high, so only what looks too much is looked at closely.
    """
    pids = list(family(pid))
    return sum(map(resident, pids)) > limit_bytes and sum(map(proportional, pids)) > limit_bytes


def family(pid: int) -> Iterator[int]:
    """The process and its descendants. Of a container's first process: all but what ``exec`` added."""
    yield pid
    for task in PROC.glob(f"{pid}/task/*/children"):
        for child in read(task).split():
            yield from family(int(child))


def resident(pid: int) -> int:
    """Bytes, pages shared with others included."""
    fields = read(PROC / f"{pid}/statm").split()
    return int(fields[1]) * PAGE_BYTES if fields else 0


def proportional(pid: int) -> int:
    """Bytes, each shared page divided by how many share it."""
    for line in read(PROC / f"{pid}/smaps_rollup").splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0


def read(path: Path) -> str:
    """A file of /proc; empty where the process is gone."""
    try:
        return path.read_text()
    except OSError:
        return ""
