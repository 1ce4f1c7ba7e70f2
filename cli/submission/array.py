"""Arrays in Slurm's forms: a set of numbers, and how many of them run at once.

``0-15``, ``1-10:3,20``, ``0-9%2``; ``10`` is the one task 10. The i-th pod of one Indexed Job is the i-th number in
ascending order: https://slurm.schedmd.com/sbatch.html#OPT_array.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cli.submission.layout import MOST_PODS, Layout
from cli.submission.variables import LARGEST_WORD
from reconciler.errors import UsageError

MIN_PARALLELISM = "kueue.x-k8s.io/job-min-parallelism"
INDEX_VARIABLES = ("JOBQ_ARRAY_INDEX", "SLURM_ARRAY_TASK_ID")
RUNS_VARIABLE = "JOBQ_ARRAY_RUNS"
LARGEST = 2**31 - 1
"""The largest number of a task."""

_PART = re.compile(r"(?P<first>[0-9]{1,18})(?:-(?P<last>[0-9]{1,18})(?::(?P<step>[0-9]{1,10}))?)?", re.ASCII)
_RUN = re.compile(r"\b([0-9]{1,10}):([0-9]{1,6}):([0-9]{1,10})\b", re.ASCII)
_HINT = "write numbers and ranges, and how many may run at once: 0-15, 1-10:3,20, 0-99%8"
_PROLOGUE = f"""\
JOBQ_ARRAY_INDEX=$(
  at=$JOB_COMPLETION_INDEX
  for run in ${RUNS_VARIABLE}; do
    first=${{run%%:*}} rest=${{run#*:}}
    if [ "$at" -lt "${{rest%%:*}}" ]; then
      echo $((first + at * ${{rest#*:}}))
      break
    fi
    at=$((at - ${{rest%%:*}}))
  done
)
export JOBQ_ARRAY_INDEX SLURM_ARRAY_TASK_ID="$JOBQ_ARRAY_INDEX"
exec "$@"
"""
"""Finds the task's number; all but the two variables stays in a subshell, so that none of the user's is touched."""


@dataclass(frozen=True, slots=True)
class Array:
    """The tasks' numbers, ascending, as runs of equal steps; ``at_once`` is between 1 and their count."""

    runs: Sequence[range]
    at_once: int

    @property
    def count(self) -> int:
        """How many tasks."""
        return sum(map(len, self.runs))

    @property
    def said(self) -> str:
        """The runs as the prologue reads them: ``first:count:step``."""
        return " ".join(f"{run.start}:{len(run)}:{run.step}" for run in self.runs)

    @property
    def counts_from_zero(self) -> bool:
        """Whether each number is the pod's own index."""
        return list(self.runs) == [range(self.count)]


def read(text: str, origin: str) -> Array:
    """An array from ``SET[%P]``; ``%0`` is no limit. Raises: UsageError naming ``origin``."""
    body, percent, most = text.strip().removeprefix("[").removesuffix("]").partition("%")
    most = most.removesuffix("]")
    if percent and not re.fullmatch(r"[0-9]{1,10}", most, re.ASCII):
        raise UsageError(f"{origin}: {text!r} doesn't say after % how many may run at once", hint=_HINT)
    parts = [_part(part, text, origin) for part in body.removesuffix("]").split(",")]
    if sum(map(len, parts)) > MOST_PODS:
        raise UsageError(
            f"{origin}: {text!r} has more than {MOST_PODS} tasks, the most of one job", hint="make several"
        )
    numbers = sorted({number for part in parts for number in part})
    array = Array(tuple(_runs(numbers)), min(int(most or 0) or len(numbers), len(numbers)))
    if len(array.said) > LARGEST_WORD - len(RUNS_VARIABLE) - 1:
        raise UsageError(f"{origin}: the numbers are too irregular for one job to carry", hint="make several")
    return array


def number(said: str, index: int) -> int:
    """The number of the task at a pod's index, by the runs of `Array.said`; the index itself where there are none."""
    at = index
    for run in _RUN.finditer(said):
        first, count, step = map(int, run.groups())
        if at < count:
            return first + at * step
        at -= count
    return index


def written(said: str, count: int) -> str:
    """The set of numbers as `read` takes it, by the runs of `Array.said`; counted from 0 where there are none."""
    runs = [tuple(map(int, run.groups())) for run in _RUN.finditer(said)] or [(0, count, 1)]
    return ",".join(
        str(first) if many == 1 else f"{first}-{first + (many - 1) * step}{f':{step}' if step > 1 else ''}"
        for first, many, step in runs
    )


def layout(array: Array, *, retries: int, seconds: int | None) -> Layout:
    """One pod a task: a task that fails ends no other, and the time limit is each task's own.

    Kueue admits a part of them, where not all fit, only if it is told so; with one at a time it refuses to be told.
    """
    spec = {
        "parallelism": array.at_once,
        "completions": array.count,
        "completionMode": "Indexed",
        "backoffLimitPerIndex": retries,
    }
    by_index = array.counts_from_zero
    return Layout(
        spec=spec,
        pod={} if seconds is None else {"activeDeadlineSeconds": seconds},
        annotations={MIN_PARALLELISM: "1"} if array.at_once > 1 else {},
        variables={} if by_index else {RUNS_VARIABLE: array.said},
        index_variables=INDEX_VARIABLES if by_index else (),
        prologue=() if by_index else ("/bin/sh", "-c", _PROLOGUE, "sh"),
    )


def _part(part: str, text: str, origin: str) -> range:
    found = _PART.fullmatch(part.strip())
    if found is None:
        raise UsageError(f"{origin}: {part!r} in {text!r} is no number or range", hint=_HINT)
    first, last, step = int(found["first"]), int(found["last"] or found["first"]), int(found["step"] or 1)
    if last < first:
        raise UsageError(f"{origin}: {part!r} runs backwards", hint=f"write {last}-{first}")
    if not step:
        raise UsageError(f"{origin}: {part!r} has a step of 0", hint=f"write {first}-{last}")
    if last > LARGEST:
        raise UsageError(f"{origin}: {last} is above {LARGEST}, the largest number of a task")
    return range(first, last + 1, step)


def _runs(numbers: Sequence[int]) -> Iterator[range]:
    """Ascending numbers as few ranges."""
    start = 0
    while start < len(numbers):
        end = min(start + 1, len(numbers) - 1)
        step = numbers[end] - numbers[start] or 1
        while end + 1 < len(numbers) and numbers[end + 1] - numbers[end] == step:
            end += 1
        yield range(numbers[start], numbers[end] + 1, step)
        start = end + 1
