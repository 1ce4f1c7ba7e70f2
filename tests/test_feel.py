"""How it feels: what is shown on a terminal alone, how an interrupted command ends, and streams that are closed."""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.controlplane.plane import ROOT, Plane
from tests.run import PATIENCE_SECONDS
from tests.stage import Stage, raise_project
from tests.terminal import on_terminal
from tests.test_cli import stranger
from tests.world import eventually

PERSON = stranger()
JOBQ = f"{sys.executable} -m cli.main"


@pytest.mark.parametrize(
    ("shell", "code", "err"),
    [
        ("--version >&-", 0, ""),
        ("--help >&- <&-", 0, ""),
        ("subit 2>&-", 2, ""),
        ("--version >/dev/full", 1, "error: can't write to stdout: No space left on device\n"),
        ("--help >/dev/full", 1, "error: can't write to stdout: No space left on device\n"),
        ("subit 2>/dev/full", 141, ""),
        ("--version >/dev/full 2>&-", 1, ""),
    ],
)
def test_streams_that_take_nothing(tmp_path: Path, shell: str, code: int, err: str) -> None:
    """Closed, or full: no traceback, and an exit code that says so."""
    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    command = ["sh", "-c", f"{JOBQ} {shell}"]
    done = subprocess.run(command, env=environ, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (code, err)


@pytest.fixture(scope="module")
def stage(plane: Plane, tmp_path_factory: pytest.TempPathFactory) -> Stage:
    """A project of one person."""
    defaults = '{"image": "example.org/x:1", "cpu": "1"}'
    members = [{"user": PERSON, "role": "researcher"}]
    return raise_project(plane, tmp_path_factory.mktemp("home"), members=members, defaults=defaults)


@pytest.fixture(scope="module")
def held(stage: Stage) -> str:
    """A job that waits until somebody lets it go."""
    run = stage.jobq("submit", "--hold", "-o", "name", "--", "true", user=PERSON)
    assert run.code == 0, run.err
    return run.out.strip()


@pytest.mark.parametrize("words", [["wait"], ["logs", "-f"]])
def test_interrupted_waiting_leaves_the_job(stage: Stage, held: str, words: Sequence[str]) -> None:
    """Exit 130, no traceback; what was waited for goes on, and how to come back is said."""
    start = stage.plane.mark()
    process = stage.start(*words, held, user=PERSON)

    def waits() -> bool:
        return any(one.resource == "workloads" for one in stage.plane.requests(start, user=PERSON))

    assert eventually(waits)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert f"`jobq {' '.join(words)} {held}` waits again" in err or f"`jobq {' '.join(words)} {held}` follows" in err
    assert held in stage.jobq("list", "-o", "name", user=PERSON).out


def test_progress_is_for_terminals(stage: Stage, held: str) -> None:
    """A line that is replaced, and taken away at the end; a pipe, or a dumb terminal, gets none of it."""
    words = [sys.executable, "-m", "cli.main", "wait", "--timeout", "2s", held]
    text, code = on_terminal(words, "", cwd=stage.home, environ=stage.environment(PERSON))
    assert code == 101
    assert f"\r\x1b[2Kwaiting for {held}: 1 Held" in text
    assert f"\r\x1b[2K{held}: Held still" in text
    piped = stage.jobq("wait", "--timeout", "1s", held, user=PERSON)
    assert (piped.out, piped.err) == ("", f"{held}: Held still\n")
