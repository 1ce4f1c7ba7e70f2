"""Help: quick, whole, and its examples are commands that exist."""

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest

from cli import main
from cli.explain.status import Status
from cli.main import COMMANDS, Entry, Table
from tests.controlplane.plane import ROOT
from tests.test_cli import entries, jobq

ALL = dict(entries(COMMANDS))
RESEARCHERS = [
    path
    for path in ALL
    if path.split()[0] in COMMANDS.panels["For researchers"] and path not in {"project adopt", "project purge"}
]
HEAVY = {"kubernetes", "urllib3", "websocket", "git", "deepdiff", "rich", "watchfiles", "prometheus_client", "asyncio"}
READERS = {"pydantic", "ruamel", "jinja2"}
"""What reads and fills in the project files: an administrator's commands are made of it."""
SHOWN = """
import contextlib, io, json, sys
from cli.main import main
paths, loaded, shown = json.loads(sys.argv[1]), {}, {}
for path in paths:
    before = set(sys.modules)
    with contextlib.redirect_stdout(io.StringIO()) as out:
        try: main([*path.split(), "--help"])
        except SystemExit as end: assert not end.code, (path, end.code)
    shown[path] = out.getvalue()
    loaded[path] = sorted({name.partition(".")[0] for name in set(sys.modules) - before})
print(json.dumps([shown, loaded]))
"""


def helped(paths: Sequence[str]) -> tuple[Mapping[str, str], Mapping[str, Sequence[str]]]:
    """The help of each command, and what had to be imported for it that no earlier one did."""
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "HOME": "/nonexistent", "COLUMNS": "80"}
    command = [sys.executable, "-c", SHOWN, json.dumps(paths)]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    shown, loaded = json.loads(done.stdout)
    return shown, loaded


def test_help_of_a_researchers_commands_imports_nothing_heavy() -> None:
    """Nor what reads project files: who looks up an option waits for Python alone."""
    shown, loaded = helped(["", "project", *RESEARCHERS])
    assert len(shown) > 8
    assert {path: found for path, names in loaded.items() if (found := (HEAVY | READERS) & set(names))} == {}


def test_help_of_every_command() -> None:
    """It fits eighty columns and says its options once; no client and no watcher is loaded for it."""
    shown, loaded = helped(list(ALL))
    assert {path: found for path, names in loaded.items() if (found := HEAVY & set(names))} == {}
    for path, text in shown.items():
        about, _, rest = text.partition("\nExamples:" if "\nExamples:" in text else "\n  Examples:")
        assert max(map(len, about.splitlines())) <= 80, path
        assert rest.strip(), path
        flags = [word for line in about.partition("\nOptions:")[2].splitlines() if (word := _flag(line))]
        assert len(flags) == len(set(flags)), path


def test_help_names_the_statuses() -> None:
    shown, _ = helped(["list"])
    assert f"{', '.join(Status)}." in " ".join(shown["list"].split())


def _flag(line: str) -> str:
    match = re.match(r"  (?:-\w, )?(--[\w-]+)", line)
    return match[1] if match else ""


def examples(entry: Entry) -> Iterator[list[str]]:
    """The words of each ``jobq`` in a command's examples, without what the shell does around them."""
    text = sys.modules[entry.home].EXAMPLES if entry.home in sys.modules else ""
    for line in text.strip().splitlines():
        for words in re.findall(r"jobq ((?:'[^']*'|\"[^\"]*\"|[^|&;()'\"])*)", line):
            yield shlex.split(re.split(r" {3,}", words)[0])


@pytest.mark.parametrize("path", list(ALL))
def test_examples_are_commands(path: str) -> None:
    """Each names a command that there is, and options that it has."""
    main.load(path.rsplit(maxsplit=1)[-1], ALL[path])
    found = list(examples(ALL[path]))
    assert found
    for words in found:
        command, rest = resolved(words)
        known = {flag for param in command.params for flag in (*param.opts, *param.secondary_opts)}
        given = {word.partition("=")[0] for word in _before_dashes(rest) if re.match(r"--?[a-zA-Z]", word)}
        assert given <= known | {"--help"}, words


def resolved(words: Sequence[str]) -> tuple[Any, Sequence[str]]:
    """The command that an example calls, and what it is given."""
    table: Table = COMMANDS
    for number, word in enumerate(words):
        name, entry = table.find(word)
        assert entry, words
        if entry.group is None:
            return main.load(name, entry), words[number + 1 :]
        table = entry.group
    raise AssertionError(words)


def _before_dashes(words: Sequence[str]) -> Sequence[str]:
    """What is jobq's own: behind ``--``, and behind a script, stands what others read."""
    ends = [number for number, word in enumerate(words) if word == "--" or word.endswith((".py", ".sh"))]
    return words[: min(ends, default=len(words))]


def test_group_without_a_command_shows_its_help() -> None:
    """As for somebody who has just found it; it is no success."""
    for words in ([], ["project"]):
        run = jobq(*words)
        assert (run.code, "Usage: jobq" in run.out + run.err) == (2, True)
