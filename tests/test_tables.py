"""Tables: what a terminal of any width shows of them."""

import pytest

from cli import tables
from cli.tables import Column
from tests.golden import same_as_kept

COLUMNS = (Column("NAME", whole=True), Column("STATUS"), Column("REASON"), Column("CPU", right=True))
ROWS = (
    ("train-large-model-abcde", "Running", "", "4"),
    ("tune-fghij", "Queued", "needs 4 nvidia.com/gpu in a100, 2 are free; 3rd in your project", "500m"),
    ("\u8bad\u7ec3-klmno", "Failed", "exit code 3", "16"),
)


def shown(room: int, *, coloured: bool = False) -> list[str]:
    widths = tables.fitted(COLUMNS, tables.wanted(COLUMNS, ROWS), room)
    header = tables.header(COLUMNS, widths, coloured=coloured)
    return [header, *tables.cut_lines(COLUMNS, ROWS, widths, coloured=coloured)]


@pytest.mark.parametrize("room", [120, 72, 50, 40, 24])
def test_whole_tables(room: int) -> None:
    """The widest column gives first, names where nothing else is left; short words are the last to be cut."""
    same_as_kept(f"tables/{room}.txt", "\n".join(shown(room)) + "\n")


@pytest.mark.parametrize("room", range(14, 120))
def test_no_line_is_wider_than_the_terminal(room: int) -> None:
    """Also with characters that take two cells."""
    assert all(sum(2 if "\u2e80" <= sign <= "\uffdc" else 1 for sign in line) <= room for line in shown(room))


def test_colour_says_nothing_alone() -> None:
    """Without its colours, a table is the one that is shown without colour."""
    coloured = shown(60, coloured=True)
    assert "\x1b[31mFailed\x1b[0m" in coloured[3]
    bare = [line.replace("\x1b[0m", "") for line in coloured]
    assert [_without(line) for line in bare] == shown(60)


def _without(line: str) -> str:
    return "".join(part.partition("m")[2] if number else part for number, part in enumerate(line.split("\x1b[")))


def test_rows_below_keep_their_columns() -> None:
    """What comes later is whole, and stands where it can below the same titles."""
    widths = tables.wanted(COLUMNS, ROWS)
    assert tables.lines(COLUMNS, [("x" * 40, "Held", "", "1")], widths)[0].split() == ["x" * 40, "Held", "1"]
