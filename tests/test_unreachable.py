"""Nobody answers: every command ends soon, with one sentence that names server and context, and no secret."""

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from reconciler.errors import Unreachable
from reconciler.kinds import CONFIG_MAP
from reconciler.kube import connect
from tests.controlplane.plane import ROOT

TOKEN = "s3cret"
SECONDS = 90
"""For eight programs at once on a busy machine; each gives up on its own after 15."""


@pytest.fixture
def swallowing() -> Iterator[int]:
    """A port whose queue is full: packets to it are dropped."""
    with ExitStack() as stack, socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        for _ in range(3):
            waiting = stack.enter_context(socket.socket())
            waiting.settimeout(0)
            waiting.connect_ex(listening.getsockname())
        yield listening.getsockname()[1]


def kubeconfig(folder: Path, port: int) -> Path:
    said = {
        "clusters": [{"name": "c", "cluster": {"server": f"https://127.0.0.1:{port}"}}],
        "users": [{"name": "u", "user": {"token": TOKEN}}],
        "contexts": [{"name": "lab", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "lab",
    }
    path = folder / f"{port}.config"
    path.write_text(json.dumps(said))
    return path


COMMANDS = [
    ["list"],
    ["submit", "-i", "x", "--", "true"],
    ["why", "x-abcde"],
    ["logs", "-f", "x"],
    ["shell", "x"],
    ["forward", "x", "80"],
    ["project", "list"],
    ["list", "--debug"],
]


def test_every_command_ends(tmp_path: Path, swallowing: int) -> None:
    """One that asks, writes, follows or opens a stream: exit 1, what, where, and whether the network is up."""
    environ = {
        "PYTHONPATH": str(ROOT),
        "HOME": str(tmp_path),
        "KUBECONFIG": str(kubeconfig(tmp_path, swallowing)),
        "JOBQ_PROJECT": "vision",
    }
    running = [
        subprocess.Popen(
            [sys.executable, "-m", "cli.main", *words],
            cwd=tmp_path,
            env=environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for words in COMMANDS
    ]
    end = time.monotonic() + SECONDS
    for words, process in zip(COMMANDS, running, strict=True):
        out, err = process.communicate(timeout=end - time.monotonic())
        *trace, error, hint = err.splitlines()
        assert (process.returncode, out) == (1, ""), words
        assert error.endswith(f"no connection within 5 s (https://127.0.0.1:{swallowing}, context lab)"), err
        assert hint.startswith("hint: is the network (a VPN?) up"), err
        assert bool(trace) == ("--debug" in words), err
        assert TOKEN not in err


def test_silent_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes the connection and says nothing: a read may be tried again, a write may have been done."""
    monkeypatch.setattr("reconciler.kube.ANSWER_SECONDS", 0.2)
    monkeypatch.setattr("reconciler.kube.CONNECT_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        cluster = connect(kubeconfig=str(kubeconfig(tmp_path, silent.getsockname()[1])))
        with pytest.raises(Unreachable, match=r"no answer within 0\.2 s") as read:
            cluster.list(CONFIG_MAP, namespace="x")
        with pytest.raises(Unreachable, match="can't delete") as written:
            cluster.delete(CONFIG_MAP, "a", namespace="x")
        with pytest.raises(Unreachable, match=r"no answer|connection"):
            cluster.port_forward("pod", 80, namespace="x")
    assert "network" in read.value.hint
    assert "may have been done" in written.value.hint
