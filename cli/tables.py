"""Tables as lines of text: how wide each column is, and what is cut where there is too little room."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import typer

_GAP = "  "
_LEAST = 2
"""Cells of a column that must give even of its title."""
_CUT = "\N{HORIZONTAL ELLIPSIS}"
_COLOURS: Mapping[str, str] = {
    "Running": "green",
    "Succeeded": "green",
    "Failed": "red",
    "Stuck": "red",
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
    """One column of a table; numbers stand right. Cells to be copied are kept ``whole`` where that can be."""

    title: str
    right: bool = False
    whole: bool = False


def wanted(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> list[int]:
    """The width of each column, in cells of the terminal, where nothing is cut."""
    lines = [[column.title for column in columns], *rows]
    return [max(map(_wide, cells)) for cells in zip(*lines, strict=True)]


def fitted(columns: Sequence[Column], widths: Sequence[int], room: int) -> list[int]:
    """Widths that fit, where that can be: the widest column gives first; titles give only where nothing else can."""
    room -= len(_GAP) * (len(columns) - 1)
    titles = [len(column.title) for column in columns]
    kept = [width if column.whole else title for column, width, title in zip(columns, widths, titles, strict=True)]
    for least in (kept, titles):
        sizes = _narrowed(widths, least, room)
        if sum(sizes) <= room:
            return sizes
    return _narrowed(sizes, [_LEAST] * len(columns), room)


def _narrowed(widths: Sequence[int], least: Sequence[int], room: int) -> list[int]:
    sizes = list(widths)
    while sum(sizes) > room:
        giving = [place for place, size in enumerate(sizes) if size > least[place]]
        if not giving:
            break
        sizes[max(giving, key=sizes.__getitem__)] -= 1
    return sizes


def header(columns: Sequence[Column], widths: Sequence[int], *, coloured: bool) -> str:
    """The line of titles."""
    cells = []
    for column, size in zip(columns, widths, strict=True):
        title = _shortened(column.title, size)
        cells.append(_placed(title, typer.style(title, bold=True) if coloured else title, size, column))
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
    text = _shortened(cell, size)
    return _placed(text, typer.style(text, fg=_COLOURS[cell]) if coloured and cell in _COLOURS else text, size, column)


def _shortened(text: str, size: int) -> str:
    if _wide(text) <= size:
        return text
    from rich.cells import set_cell_size  # noqa: PLC0415 - what no table is for

    return set_cell_size(text, size - 1) + _CUT


def _placed(text: str, coloured: str, size: int, column: Column) -> str:
    blank = " " * (size - _wide(text))
    return blank + coloured if column.right else coloured + blank


def _wide(text: str) -> int:
    """Cells of the terminal that it takes; most texts are plain, and there may be a hundred thousand."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len  # noqa: PLC0415 - 50 ms that only other scripts need

    return cell_len(text)
