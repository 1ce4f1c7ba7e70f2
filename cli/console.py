"""The only writer of stdout and stderr. stdout is data, stderr is talk; colour is for people who watch."""

import json
import os
import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any, TextIO

import typer

from cli import tables
from cli.tables import Column as Column  # noqa: PLC0414 - commands have it from here
from reconciler.errors import JobqError

PIPE_CLOSED = 141
"""What a shell reports for a program that SIGPIPE ended."""

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_state = {"colour": True, "debug": False}
_said: set[str] = set()


def prepare(*, colour: bool | None = None, debug: bool | None = None) -> None:
    """Take over what the command line says of colour and tracebacks; None leaves it."""
    _state.update({key: value for key, value in (("colour", colour), ("debug", debug)) if value is not None})
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:  # started without it: what is written there goes nowhere
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115 - as long as the process
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def out(text: str) -> None:
    """A line of data."""
    _write(sys.stdout, f"{text}\n")


def out_bytes(data: bytes) -> None:
    """Data as it is, at once: a log."""
    _write_bytes(sys.stdout, data)


def talk_bytes(data: bytes) -> None:
    """What a program writes to its own stderr, as it is, at once."""
    _write_bytes(sys.stderr, data)


def out_json(value: object) -> None:
    """Data for programs: two spaces of indent, never coloured."""
    out(json.dumps(value, indent=2, ensure_ascii=False))


def out_json_line(value: object) -> None:
    """A line of data for programs, one of many."""
    out(json.dumps(value, ensure_ascii=False, separators=(",", ":")))


def out_yaml(*documents: Mapping[str, Any]) -> None:
    """Data for people and for kubectl."""
    from reconciler.documents.writing import dump  # noqa: PLC0415 - the reader's start-up time

    _write(sys.stdout, dump(documents))


def talk(text: str) -> None:
    """A line for the person at the terminal."""
    _write(sys.stderr, f"{text}\n")


def warn(text: str) -> None:
    """A warning, once however often it comes."""
    if text not in _said:
        _said.add(text)
        talk(f"{_styled('warning:', 'yellow', sys.stderr)} {plain(text)}")


def complain(error: BaseException) -> None:
    """``error:`` what, where, why; then ``hint:`` what to do."""
    talk(f"{_styled('error:', 'red', sys.stderr)} {plain(str(error))}")
    if isinstance(error, JobqError) and error.hint:
        talk(f"{_styled('hint:', 'cyan', sys.stderr)} {plain(error.hint)}")


def table(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> None:
    """Aligned columns. On a terminal they are cut to its width, the widest first; elsewhere every cell is whole."""
    if not _is_terminal(sys.stdout):
        more_rows(columns, rows, ())
        return
    for line in _cut_table(columns, rows):
        out(line)


def more_rows(columns: Sequence[Column], rows: Sequence[Sequence[str]], widths: Sequence[int]) -> Sequence[int]:
    """Rows with every cell whole, in these widths; without them after a line of titles, as wide as is needed.

    Gives the widths, for more rows below.
    """
    cells = _plain_rows(rows)
    if not widths:
        widths = tables.wanted(columns, cells)
        out(tables.header(columns, widths, coloured=False))
    for line in tables.lines(columns, cells, widths):
        out(line)
    return widths


@dataclass(slots=True)
class Screen:
    """A table on the terminal that the next one replaces."""

    _lines: int = 0

    def draw(self, columns: Sequence[Column], rows: Sequence[Sequence[str]], footer: str = "") -> None:
        """Draw it over the last one; what is longer than the screen can't be, so give fewer rows than that."""
        lines = [*(_cut_table(columns, rows) if rows else ()), *([plain(footer)[: width() - 1]] if footer else ())]
        up = f"\x1b[{self._lines}A" if self._lines else ""
        _write(sys.stdout, up + "".join(f"\x1b[2K{line}\n" for line in lines) + "\x1b[J")
        flush()
        self._lines = len(lines)


def _cut_table(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> Sequence[str]:
    """Lines no wider than the terminal."""
    cells, coloured = _plain_rows(rows), _coloured(sys.stdout)
    widths = tables.fitted(columns, tables.wanted(columns, cells), width())
    return [
        tables.header(columns, widths, coloured=coloured),
        *tables.cut_lines(columns, cells, widths, coloured=coloured),
    ]


def _plain_rows(rows: Sequence[Sequence[str]]) -> Sequence[Sequence[str]]:
    return [[plain(cell).replace("\n", " ").replace("\t", " ") for cell in row] for row in rows]


def choose(question: str, choices: Sequence[str], told: Sequence[str] = ()) -> str:
    """One of ``choices``, picked by number or name at the terminal. Asks again until one is; ``told`` explains each."""
    size = max(map(len, choices))
    for number, (choice, words) in enumerate(zip_longest(choices, told, fillvalue=""), 1):
        talk(f"{number:>3}  {plain(choice).ljust(size)}  {plain(words)}".rstrip())
    while True:
        answer = str(typer.prompt(question, err=True)).strip()
        if answer.isdigit() and 1 <= int(answer) <= len(choices):
            return choices[int(answer) - 1]
        if answer in choices:
            return answer
        talk("one of these numbers or names, or Ctrl-C")


def confirm(question: str) -> bool:
    """Whether the person at the terminal says yes; no is what Return means."""
    return bool(typer.confirm(question, default=False, err=True))


def progress(text: str) -> None:
    """One line that the next one replaces, on a terminal only; ``""`` takes it away."""
    if _is_terminal(sys.stderr):
        _write(sys.stderr, f"\r\x1b[2K{plain(text)[: width() - 1]}")
        sys.stderr.flush()


def asks() -> bool:
    """Whether somebody is there to be asked."""
    return _is_terminal(sys.stdin) and _is_terminal(sys.stderr)


def draws() -> bool:
    """Whether what is on stdout can be drawn over."""
    return _is_terminal(sys.stdout)


def debugging() -> bool:
    """Whether ``--debug`` was given."""
    return _state["debug"]


def width() -> int:
    """Columns of the terminal, or COLUMNS."""
    return shutil.get_terminal_size().columns


def height() -> int:
    """Lines of the terminal, or LINES."""
    return shutil.get_terminal_size().lines


def flush() -> None:
    """Write what is buffered while a closed pipe can still be told apart from an error."""
    try:
        sys.stdout.flush()
    except OSError as error:
        raise lost(sys.stdout, error) from error


def plain(text: str) -> str:
    """Text that can't steer the terminal, whoever wrote it."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)


def _write(stream: TextIO, text: str) -> None:
    try:
        stream.write(text)
    except OSError as error:
        raise lost(stream, error) from error


def _write_bytes(stream: TextIO, data: bytes) -> None:
    try:
        stream.buffer.write(data)
        stream.buffer.flush()
    except OSError as error:
        raise lost(stream, error) from error


def lost(stream: TextIO, error: OSError) -> typer.Exit | JobqError:
    """What ends a command that can't write: without a word where nobody reads any more. The rest goes nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    if isinstance(error, BrokenPipeError) or stream is sys.stderr:
        return typer.Exit(PIPE_CLOSED)
    return JobqError(f"can't write to stdout: {error.strerror}")


def _styled(text: str, colour: str, stream: TextIO) -> str:
    return typer.style(text, fg=colour, bold=True) if _coloured(stream) else text


def _coloured(stream: TextIO) -> bool:
    """https://no-color.org: any non-empty NO_COLOR."""
    return _state["colour"] and not os.environ.get("NO_COLOR") and _is_terminal(stream)


def _is_terminal(stream: TextIO) -> bool:
    return stream is not None and not stream.closed and stream.isatty() and os.environ.get("TERM") != "dumb"
