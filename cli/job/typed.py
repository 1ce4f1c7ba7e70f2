"""What stands on a `submit` command line: where its options end, and which form of work follows."""

import difflib
import os
import re
import shlex
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from cli.main import Command
from cli.submission import script
from cli.submission.script import MOST_BYTES, Work
from reconciler.errors import UsageError
from reconciler.wording import shortened

DASHES = "--"
_AFTER = "\0"
"""Put behind the first ``--``, which the parser drops: no argument of a process can hold it."""
_FORM = "jobq submit [OPTIONS] -- python train.py"


class Parser(Command):
    """Keeps apart what stands after ``--``, word for word, and gives a bare ``--dry-run`` its meaning."""

    allow_interspersed_args = False

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 - Typer's own type is private
        """As Typer does; ``command`` begins with ``--`` where the user wrote it."""
        place = args.index(DASHES) if DASHES in args else len(args)
        after = [DASHES, _AFTER, *args[place + 1 :]] if place < len(args) else []
        rest = super().parse_args(ctx, [*self._options(ctx, args[:place], after), *after])
        _refuse_swallowed(ctx.params)
        ctx.params["command"] = _marked(list(ctx.params.get("command") or ()))
        return rest

    def _options(self, ctx: Any, before: list[str], after: list[str]) -> list[str]:  # noqa: ANN401 - as above
        """The words before ``--``; a script among them ends the options."""
        meant = ["--dry-run=client" if word == "--dry-run" else word for word in before]
        found, _, _ = self.make_parser(ctx).parse_args([*meant, *after])
        options = len(before) - _length_before(list(found.get("command") or ()))
        return meant[:options] + before[options:]


def work_of(words: Sequence[str], own: Collection[str]) -> Work:
    """A command after ``--``, or a local script and its arguments. Raises: UsageError with the right form.

    ``own`` are the options of `submit`: who writes one behind a script that doesn't know it may have meant it for jobq.
    """
    if not words:
        raise UsageError("there is no command to run", hint=_FORM)
    if words[0] == DASHES:
        if not words[1:]:
            raise UsageError("nothing stands after --", hint=_FORM)
        return script.command(words[1:])
    if not _is_file(words[0]):
        raise _no_script(words)
    data = read_file(words[0], MOST_BYTES)
    work = script.script(words[0].replace(os.sep, "/"), data, words[1:])
    spelt = {word: word.partition("=")[0] for word in words[1:]}
    theirs = [word for word, option in spelt.items() if option in own and not _reads(data, option)]
    goes = "goes" if len(theirs) == 1 else "go"
    told = f"{shortened(theirs)} {goes} to the script: jobq's own options stand before its name"
    return replace(work, notices=[*work.notices, told]) if theirs else work


def _reads(data: bytes, option: str) -> bool:
    """Whether a script names an option as it tells a parser of it, in quotes, or in a shell's ``case``."""
    return bool(re.search(rb"(?<![\w-])%s(?:[\"'/|)]|=\*)" % re.escape(option.encode()), data))


def _no_script(words: Sequence[str]) -> UsageError:
    """A mistyped script, or a command of the image without its ``--``."""
    path, form = Path(words[0]), f"jobq submit [OPTIONS] -- {shlex.join(words)}"
    if not path.suffix and path.name == words[0]:
        return UsageError(f"{words[0]!r} stands where options do", hint=f"what runs goes after --: {form}")
    near = difflib.get_close_matches(path.name, _files_in(path.parent), n=1)
    hint = f"what is in the image goes after --: {form}"
    if near:
        hint = f"did you mean {shlex.quote(str(path.with_name(near[0])))}? ({hint})"
    return UsageError(f"there is no file {words[0]!r} here", hint=hint)


def _files_in(folder: Path) -> Sequence[str]:
    try:
        return [one.name for one in folder.iterdir() if one.is_file()]
    except OSError:
        return []


def read_file(path: str, most: int) -> bytes:
    """A file's bytes; ``-`` is stdin. Raises: UsageError, also where it has more than ``most``."""
    try:
        data = sys.stdin.buffer.read(most + 1) if path == "-" else _read(Path(path), most)
    except OSError as error:
        raise UsageError(f"{path} can't be read: {error.strerror}") from error
    if len(data) > most:
        raise UsageError(f"{path} has more than {most} bytes, the most that can be read")
    return data


def _read(path: Path, most: int) -> bytes:
    with path.open("rb") as file:
        size = path.stat().st_size
        if size > most:
            raise UsageError(
                f"{path} has {size} bytes, and {most} can travel with a job",
                hint="put it into the image or on a volume, and name it there after --",
            )
        return file.read(most + 1)


def not_in_image(work: Work, *, provided: bool) -> Sequence[str]:
    """Words of the command that name files of this machine, which the image doesn't have."""
    if work.files or provided:
        return ()
    return [word for word in work.command if not Path(word).is_absolute() and _is_file(word)]


def _is_file(word: str) -> bool:
    try:
        return Path(word).is_file()
    except (OSError, ValueError):  # too long for a name, or none at all
        return False


def _length_before(words: Sequence[str]) -> int:
    """How many words stood before ``--``, which the parser drops where it comes first, and keeps behind a word."""
    before = words[: words.index(_AFTER)] if _AFTER in words else words
    return len(before[:-1] if before[-1:] == [DASHES] else before)


def _refuse_swallowed(given: Mapping[str, Any]) -> None:
    """``--name -- python`` would name the job ``--``, and have no command after it."""
    for option, value in given.items():
        if option != "command" and (value == DASHES or (isinstance(value, list) and DASHES in value)):
            raise UsageError(f"--{option.replace('_', '-')} has no value: '--' came at once")


def _marked(words: Sequence[str]) -> list[str]:
    """``--`` in front, where it stood there; further on it belongs to the command."""
    if words[:1] == [_AFTER]:
        return [DASHES, *words[1:]]
    return [word for word in words if word != _AFTER]
