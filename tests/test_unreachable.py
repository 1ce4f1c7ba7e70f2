"""Nobody answers: every command ends soon, with one sentence that names server and context, and no secret."""

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from reconciler.errors import Unreachable
from reconciler.kinds import CONFIG_MAP, SELF_SUBJECT_REVIEW
from reconciler.kube import ANSWER_SECONDS, CONNECT_SECONDS, connect
from tests.controlplane.plane import ROOT, Plane
from tests.proxy import proxied, silence, to
from tests.run import PATIENCE_SECONDS
from tests.stage import raise_project

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
        with pytest.raises(Unreachable) as asked:
            cluster.create(SELF_SUBJECT_REVIEW, {})
        with pytest.raises(Unreachable) as tried:
            cluster.create(CONFIG_MAP, {}, namespace="x", dry_run=True)
    assert all("network" in one.value.hint for one in (read, asked, tried)), "by them nothing is done"
    assert "may have been done" in written.value.hint


def test_posts_that_hang(plane: Plane, tmp_path: Path) -> None:
    """Lists are answered, and a POST isn't, be it who asks or a new job: one silence, then what is known is said."""
    stage = raise_project(plane, tmp_path, defaults='{"image": "example.org/x:1"}')
    words = [["list"], ["why", "x"], ["submit", "--", "true"], ["submit", "--name", "lost", "--", "true"]]
    posts, jobs, over = to("", "POST"), to("/jobs$", "POST"), threading.Event()
    with ExitStack() as stack:
        proxies = [
            stack.enter_context(proxied(stage.kubeconfig(), plane.directory / "pki", tmp_path / str(number)))
            for number in range(len(words))
        ]
        stack.callback(over.set)
        for proxy in proxies:
            proxy.spoil(jobs if proxy is proxies[-1] else posts, silence(over, done=True), times=100)
        running = [
            stage.start(*asked, KUBECONFIG=str(proxy.kubeconfig)) for asked, proxy in zip(words, proxies, strict=True)
        ]
        said = [process.communicate(timeout=PATIENCE_SECONDS) for process in running]
        hung = [sum(posts(one) for one in proxy.asked) for proxy in proxies]
    assert [process.returncode for process in running] == [1] * 4, said
    assert CONNECT_SECONDS + ANSWER_SECONDS < 25
    assert hung == [1, 1, 1, 2], "nothing is tried again: who asks, and at last the job"
    for (out, err), proxy in zip(said, proxies, strict=True):
        error, hint = err.splitlines()
        assert (out, error.endswith(f"no answer within 15 s ({proxy.address}, context lab)")) == ("", True), err
        assert hint.startswith("hint: whether lost-" if proxy is proxies[-1] else "hint: is the network (a VPN?) up")
    (made,) = stage.jobq("list", "-o", "name").out.split()
    assert f"whether {made} was made is unknown: `jobq list -p {stage.project}` shows it" in said[-1][1]
