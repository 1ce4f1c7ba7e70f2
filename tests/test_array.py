"""Arrays in Slurm's forms: which numbers there are, and that each pod finds its own."""

import os
import subprocess
from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.submission import array
from cli.submission.array import Array
from reconciler.errors import UsageError


def numbers(read: Array) -> list[int]:
    return list(chain.from_iterable(read.runs))


FORMS = [
    ("0-15", list(range(16)), 16),
    ("10", [10], 1),
    ("1", [1], 1),
    ("0-0", [0], 1),
    ("1-10:3,20", [1, 4, 7, 10, 20], 5),
    ("0-9%2", list(range(10)), 2),
    ("0-9%1", list(range(10)), 1),
    ("0-3%0", [0, 1, 2, 3], 4),
    ("0-3%99", [0, 1, 2, 3], 4),
    ("5,3,3-4", [3, 4, 5], 3),
    ("[1-3]%2", [1, 2, 3], 2),
    ("7-9:5", [7], 1),
]


@pytest.mark.parametrize(("text", "wanted", "at_once"), FORMS)
def test_forms(text: str, wanted: list[int], at_once: int) -> None:
    read = array.read(text, "--array")
    assert (numbers(read), read.at_once) == (wanted, at_once)
    assert [array.number(read.said, index) for index in range(read.count)] == wanted
    said = "" if read.counts_from_zero else read.said
    assert array.read(array.written(said, read.count), "--array").runs == read.runs


REFUSED = [
    ("", "'' in '' is no number or range", "0-15"),
    ("a", "'a' in 'a'", "0-15"),
    ("1-", "'1-'", "0-15"),
    ("-1", "'-1'", "0-15"),
    ("9-1", "'9-1' runs backwards", "1-9"),
    ("0-9:0", "step of 0", "0-9"),
    ("0-9%", "after % how many", "0-15"),
    ("0-9%x", "after % how many", "0-15"),
    ("1,,2", "'' in '1,,2'", "0-15"),
    ("²", "'²'", "0-15"),
    ("0-100000", "more than 100000 tasks", "several"),
    ("9999999999", "above 2147483647", ""),
    ("0-999999999999", "999999999999 is above", ""),
    (",".join(str(number * number) for number in range(20_000)), "too irregular", "several"),
]


@pytest.mark.parametrize(("text", "message", "hint"), REFUSED)
def test_refusals(text: str, message: str, hint: str) -> None:
    with pytest.raises(UsageError, match="--array") as caught:
        array.read(text, "--array")
    assert message in str(caught.value)
    assert hint in caught.value.hint


@given(st.sets(st.integers(0, 300), min_size=1))
def test_runs_are_the_numbers(wanted: set[int]) -> None:
    """Whatever the set, its runs are the numbers in ascending order, each once."""
    assert numbers(array.read(",".join(map(str, wanted)), "--array")) == sorted(wanted)


@pytest.mark.parametrize("text", ["3,7,20-30:5", "1-10:3,20", "100-103"])
def test_prologue_finds_each_number(text: str) -> None:
    """The shell turns every completion index into its number, and leaves the user's own variables alone."""
    read = array.read(text, "--array")
    shape = array.layout(read, retries=0, seconds=None)
    found = []
    for index in range(read.count):
        environ = {"PATH": os.environ["PATH"], **shape.variables, "JOB_COMPLETION_INDEX": str(index), "first": "mine"}
        say = 'echo "$JOBQ_ARRAY_INDEX $SLURM_ARRAY_TASK_ID $first $0 $1"'
        command = [*shape.prologue, "sh", "-c", say, "a  b", "$x"]
        found.append(subprocess.run(command, env=environ, capture_output=True, text=True, check=True).stdout)
    assert found == [f"{number} {number} mine a  b $x\n" for number in numbers(read)]


def test_layout() -> None:
    """Each task has its own limit and its own retries; Kueue is told of a part only where two may run at once."""
    shape = array.layout(array.read("0-9%2", "--array"), retries=1, seconds=60)
    assert shape.spec == {
        "parallelism": 2,
        "completions": 10,
        "completionMode": "Indexed",
        "backoffLimitPerIndex": 1,
    }
    assert (shape.pod, shape.seconds) == ({"activeDeadlineSeconds": 60}, None)
    assert shape.annotations == {"kueue.x-k8s.io/job-min-parallelism": "1"}
    assert (shape.prologue, shape.index_variables) == ((), ("JOBQ_ARRAY_INDEX", "SLURM_ARRAY_TASK_ID"))
    for alone in ("0-9%1", "1", "0-0"):
        assert array.layout(array.read(alone, "--array"), retries=0, seconds=None).annotations == {}
