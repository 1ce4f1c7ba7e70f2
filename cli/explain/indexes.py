"""How far an array has come, its tasks' numbers, and how many of a job's pods may run at once. Pure."""

from collections.abc import Iterable, Iterator

from cli import parts
from cli.parts import Json
from cli.submission import array

_INDEX = "batch.kubernetes.io/job-completion-index"
"""Of a pod: an annotation, and in evidence, which has few of these, the label."""


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


def number(pod_spec: Json, index: int) -> int:
    """What the task at this index finds in ``JOBQ_ARRAY_INDEX``."""
    runs = _runs(pod_spec)
    return array.number(runs, index) if runs else index


def of_pod(pod: Json) -> int | None:
    """The index of an Indexed Job's pod: in an array its task's number."""
    meta = parts.mapping(pod, "metadata")
    said = parts.pairs(meta, "annotations").get(_INDEX) or parts.pairs(meta, "labels").get(_INDEX, "")
    return number(parts.mapping(pod, "spec"), int(said)) if said.isdecimal() else None


def numbers(job: Json, ranges: str) -> set[int]:
    """Indexes as Kubernetes tells them, ``0,2-4``, as the numbers of an array's tasks."""
    runs = _runs(parts.mapping(job, "spec", "template", "spec"))
    return {array.number(runs, index) if runs else index for part in _ranges(ranges) for index in part}


def named(job: Json, ranges: str) -> str:
    """The same in words."""
    return told(numbers(job, ranges))


def option(job: Json, at_once: int) -> str:
    """``--array 1-6%2``: the same array with that many at a time; ``""`` for a Job that is none."""
    spec = parts.mapping(job, "spec")
    total = parts.number(spec, "completions")
    if parts.text(spec, "completionMode") != "Indexed" or not total:
        return ""
    runs = _runs(parts.mapping(spec, "template", "spec"))
    return f"--array {array.written(runs, total)}%{at_once}"


def told(numbers: Iterable[int]) -> str:
    """``1,3-5``."""
    spans: list[list[int]] = []
    for one in sorted(numbers):
        if spans and one == spans[-1][1] + 1:
            spans[-1][1] = one
        else:
            spans.append([one, one])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in spans)


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
    return sum(map(len, _ranges(ranges)))


def _ranges(text: str) -> Iterator[range]:
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        if first.isdecimal():
            yield range(int(first), int(last if last.isdecimal() else first) + 1)


def _runs(pod_spec: Json) -> str:
    """The array's numbers, where they don't count up from 0, as its first container is told them."""
    container = next(iter(parts.items(pod_spec, "containers")), {})
    said = (one for one in parts.items(container, "env") if parts.text(one, "name") == array.RUNS_VARIABLE)
    return parts.text(next(said, {}), "value")
