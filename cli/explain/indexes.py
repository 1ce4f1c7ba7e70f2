"""How far an array has come, and how many of a job's pods may run at once. Pure."""

from cli import parts
from cli.parts import Json


def progress(job: Json) -> str:
    """``3 of 16 done, 1 failed`` for an array that has begun; else ``""``."""
    total, done, failed = counts(job)
    begun = done or failed or parts.text(job, "status", "startTime")
    if not begun or parts.text(job, "spec", "completionMode") != "Indexed":
        return ""
    return f"{done} of {total} done" + (f", {failed} failed" if failed else "")


def counts(job: Json) -> tuple[int, int, int]:
    """How many indexes there are, how many are done, how many failed."""
    status = parts.mapping(job, "status")
    total = parts.number(job, "spec", "completions") or 0
    return total, _size(parts.text(status, "completedIndexes")), _size(parts.text(status, "failedIndexes"))


def reduced(workload: Json | None) -> tuple[int, int] | None:
    """How many pods may run at once, and how many were asked for, where Kueue admitted fewer: it never raises that."""
    asked = {parts.text(one, "name"): parts.number(one, "count") for one in parts.items(workload, "spec", "podSets")}
    for one in parts.items(workload, "status", "admission", "podSetAssignments"):
        count, wanted = parts.number(one, "count"), asked.get(parts.text(one, "name"))
        if count is not None and wanted is not None and count < wanted:
            return count, wanted
    return None


def _size(ranges: str) -> int:
    """How many numbers ``0-3,7`` has."""
    total = 0
    for part in filter(None, ranges.split(",")):
        first, _, last = part.partition("-")
        if first.isdecimal():
            total += (int(last) - int(first) if last.isdecimal() else 0) + 1
    return total
