"""Completion: in a real bash, offline, in silence, whatever stands in files and on the line."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from cli import settings
from reconciler.errors import UsageError
from tests.controlplane.plane import ROOT, Plane
from tests.stage import raise_project

SERVER = "https://lab.example.org:6443"
BASH = """
set -e
eval "$(_JOBQ_COMPLETE=source_bash jobq)"
COMP_WORDS=("$@")
COMP_CWORD=$(($# - 1))
_jobq_completion jobq
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with a kubeconfig, remembered names, and a ``jobq`` on the PATH."""
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "jobq"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m cli.main "$@"\n')
    program.chmod(0o755)
    said = {
        "clusters": [{"name": "lab", "cluster": {"server": SERVER}}],
        "users": [{"name": "kim", "user": {"token": "t"}}],
        "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": "kim"}}],
        "current-context": "lab",
    }
    (tmp_path / "config").write_text(json.dumps(said))
    names = {
        SERVER: {"projects": ["speech", "vision", "vista"], "jobs": {"vision": ["train-abcde", "tune-fghij"]}},
        "https://other.example.org": {"projects": ["visitors"]},
    }
    (tmp_path / "cache" / "jobq").mkdir(parents=True)
    (tmp_path / "cache" / "jobq" / "names.json").write_text(json.dumps(names))
    return tmp_path


def environment(home: Path) -> dict[str, str]:
    return {
        "PATH": f"{home / 'bin'}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "HOME": str(home),
        "XDG_CACHE_HOME": str(home / "cache"),
        "KUBECONFIG": str(home / "config"),
    }


def completed(home: Path, *words: str, **environ: str) -> Sequence[str]:
    """What bash offers for the last of these words."""
    command = ["bash", "-c", BASH, "bash", *words]
    done = subprocess.run(
        command, env={**environment(home), **environ}, cwd=home, capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    return done.stdout.split()


def test_in_bash(home: Path) -> None:
    """Commands, groups' commands, options, their values, and names of this cluster that were seen before."""
    assert completed(home, "jobq", "sub") == ["submit"]
    assert completed(home, "jobq", "projects", "s") == ["select"]
    assert completed(home, "jobq", "list", "--al") == ["--all-projects"]
    assert completed(home, "jobq", "list", "-p", "vis") == ["vision", "vista"]
    assert completed(home, "jobq", "project", "select", "") == ["speech", "vision", "vista"]
    assert completed(home, "jobq", "logs", "-p", "vision", "t") == ["train-abcde", "tune-fghij"]
    assert completed(home, "jobq", "stop", "-p", "vision", "tr") == ["train-abcde"]
    assert completed(home, "jobq", "logs", "", JOBQ_PROJECT="vision") == ["@latest", "train-abcde", "tune-fghij"]


ODD = [
    ["jobq", "no-such", ""],
    ["jobq", "list", "--no-such", ""],
    ["jobq", "list", "-p", "'un closed", ""],
    ["jobq", "submit", "--", "python", "tr"],
    ["jobq", "submit", "-g", "x", "--", ""],
    ["jobq", "logs", "-p", "Nonsense!", "t"],
    ["jobq", "project", "select", "--context", "nowhere", ""],
]


@pytest.mark.parametrize("words", ODD)
def test_silence(home: Path, words: list[str]) -> None:
    """A line that can't be right yet, in every shell's way of asking: nothing is said."""
    environ = {**environment(home), "COMP_WORDS": "\n".join(words), "COMP_CWORD": str(len(words) - 1)}
    environ["_TYPER_COMPLETE_ARGS"] = " ".join(words)
    shell = ("bash", "zsh", "fish")[len(words) % 3]
    command = [sys.executable, "-m", "cli.main"]
    done = subprocess.run(
        command,
        env={**environ, "_JOBQ_COMPLETE": f"complete_{shell}", "_TYPER_COMPLETE_FISH_ACTION": "get-args"},
        cwd=home,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""


@pytest.mark.parametrize("broken", ["names.json", "config", ".jobq-project"])
def test_broken_files_are_none(home: Path, broken: str) -> None:
    """What can't be read offers nothing, and says nothing."""
    path = home / broken if broken != "names.json" else home / "cache" / "jobq" / broken
    path.write_text('{"a": [')
    offered = completed(home, "jobq", "list", "-p", "vis")
    assert offered == (["vision", "vista"] if broken == ".jobq-project" else [])
    assert completed(home, "jobq", "logs", "") == ["@latest"]


def test_other_shells(home: Path) -> None:
    """Each gets a script of its own language, and answers that it can read."""
    for shell, sign in (("zsh", "#compdef jobq"), ("fish", "complete --command jobq")):
        command = [sys.executable, "-m", "cli.main"]
        script = subprocess.run(
            command, env={**environment(home), "_JOBQ_COMPLETE": f"source_{shell}"}, capture_output=True, check=True
        )
        assert sign in script.stdout.decode()
        environ = {
            **environment(home),
            "_JOBQ_COMPLETE": f"complete_{shell}",
            "_TYPER_COMPLETE_ARGS": "jobq list -p vis",
            "_TYPER_COMPLETE_FISH_ACTION": "get-args",
        }
        found = subprocess.run(command, env=environ, cwd=home, capture_output=True, text=True, check=True)
        assert "vision" in found.stdout
        assert found.stderr == ""


def test_zsh(home: Path) -> None:
    """What is installed answers the TAB that loads it too; an apostrophe in a help text stays one."""
    command = [sys.executable, "-m", "cli.main"]
    named = {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    subprocess.run([*command, "--install-completion", "zsh"], env=environment(home) | named, check=True)
    installed = (home / ".zfunc" / "_jobq").read_text()
    assert installed.endswith('if [[ $zsh_eval_context[-1] == loadautofunc ]]; then _jobq_completion "$@"; fi')
    asked = {"_JOBQ_COMPLETE": "complete_zsh", "_TYPER_COMPLETE_ARGS": "jobq submit --file"}
    found = subprocess.run(command, env=environment(home) | asked, capture_output=True, text=True, check=True)
    assert r""""--file":"A Job'\''s manifest""" in found.stdout


def test_listing_writes_the_names(plane: Plane, home: Path) -> None:
    """What is listed is what is offered later, with the server gone."""
    stage = raise_project(plane, home)
    environ = {"XDG_CACHE_HOME": str(home / "cache")}
    assert stage.jobq("project", "list", **environ).code == 0
    kubeconfig = str(stage.kubeconfig())
    assert completed(home, "jobq", "list", "-p", stage.project[:8], KUBECONFIG=kubeconfig) == [stage.project]
    assert completed(home, "jobq", "list", "-p", "vis") == ["vision", "vista"]
    made = stage.jobq("submit", "-i", "example.org/x:1", "--hold", "-o", "name", "--", "true").out.strip()
    assert stage.jobq("list", **environ).code == 0
    assert completed(home, "jobq", "why", "-p", stage.project, "", KUBECONFIG=kubeconfig) == ["@latest", made]


def test_cache_that_cannot_be_written_is_none(plane: Plane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody's listing fails for a full disk."""
    stage = raise_project(plane, tmp_path)
    (tmp_path / "file").touch()
    run = stage.jobq("project", "list", XDG_CACHE_HOME=str(tmp_path / "file"))
    assert (run.code, run.err) == (0, "")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "file"))
    with pytest.raises(UsageError, match="can't be"):
        settings.write_user_choice(SERVER, stage.project)
