"""Tables as lines of text: how wide each column is, and what is cut where there is too little room."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import typer

_GAP = "  "
_CUT = "\N{HORIZONTAL ELLIPSIS}"
_COLOURS: Mapping[str, str] = {
    "Running": "green",
    "Succeeded": "green",
    "Failed": "red",
    "TimedOut": "red",
    "Evicted": "yellow",
    "Stopped": "yellow",
    "Held": "yellow",
    "archived": "bright_black",
    "paused": "yellow",
}
"""What a cell of exactly this word is shown in; the word alone says the same."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table; numbers stand right."""

    title: str
    right: bool = False


def wanted(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> list[int]:
    """The width of each column, in cells of the terminal, where nothing is cut."""
    from rich.cells import cell_len  # noqa: PLC0415 - what no table is for

    lines = [[column.title for column in columns], *rows]
    return [max(map(cell_len, cells)) for cells in zip(*lines, strict=True)]


def fitted(columns: Sequence[Column], widths: Sequence[int], room: int) -> list[int]:
    """Widths that fit, where that can be: the widest column gives first, and none below its title."""
    sizes = list(widths)
    room -= len(_GAP) * (len(columns) - 1)
    while sum(sizes) > room:
        giving = [place for place, column in enumerate(columns) if sizes[place] > len(column.title)]
        if not giving:
            break
        sizes[max(giving, key=sizes.__getitem__)] -= 1
    return sizes


def header(columns: Sequence[Column], widths: Sequence[int], *, coloured: bool) -> str:
    """The line of titles."""
    cells = [
        _placed(column.title, typer.style(column.title, bold=True) if coloured else column.title, size, column)
        for column, size in zip(columns, widths, strict=True)
    ]
    return _GAP.join(cells).rstrip()


def lines(columns: Sequence[Column], rows: Sequence[Sequence[str]], widths: Sequence[int]) -> Sequence[str]:
    """A line for each row, every cell whole; one that is too wide moves what follows it."""
    return [
        _GAP.join(
            _placed(cell, cell, size, column) for cell, size, column in zip(row, widths, columns, strict=True)
        ).rstrip()
        for row in rows
    ]


def cut_lines(
    columns: Sequence[Column], rows: Sequence[Sequence[str]], widths: Sequence[int], *, coloured: bool
) -> Sequence[str]:
    """A line for each row, no cell wider than its column."""
    return [
        _GAP.join(
            _cut(cell, size, column, coloured=coloured) for cell, size, column in zip(row, widths, columns, strict=True)
        ).rstrip()
        for row in rows
    ]


def _cut(cell: str, size: int, column: Column, *, coloured: bool) -> str:
    from rich.cells import cell_len, set_cell_size  # noqa: PLC0415 - what no table is for

    text = cell if cell_len(cell) <= size else set_cell_size(cell, size - 1) + _CUT
    return _placed(text, typer.style(text, fg=_COLOURS[cell]) if coloured and cell in _COLOURS else text, size, column)


def _placed(text: str, coloured: str, size: int, column: Column) -> str:
    from rich.cells import cell_len  # noqa: PLC0415 - what no table is for

    blank = " " * (size - cell_len(text))
    return blank + coloured if column.right else coloured + blank
