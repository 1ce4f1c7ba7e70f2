"""Into running jobs: shells and forwarded ports, as a member with a client certificate, on a node that really runs."""

import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cli.job import forward
from cli.job.forward import Route
from reconciler.cluster import Channels
from reconciler.errors import UsageError
from reconciler.kinds import JOB, POD
from reconciler.kube import connect
from reconciler.reaching import channels
from tests.controlplane.plane import Plane
from tests.run import PATIENCE_SECONDS
from tests.stage import Stage, raise_project, raise_queue, real_node
from tests.terminal import Terminal
from tests.waypoints import LAB, QUOTED, http_proxy, socks_proxy

DEFAULTS = json.dumps({"image": "example.org/train:1", "cpu": "100m", "memory": "128Mi"})
ECHO = """
import socket, sys, threading
def serve(one):
    while data := one.recv(65536): one.sendall(data)
    one.close()
v = socket.create_server(('127.0.0.1', int(sys.argv[1])))
print('port', v.getsockname()[1], flush=True)
while True: threading.Thread(target=serve, args=(v.accept()[0],)).start()
"""


@pytest.fixture(scope="module")
def real(plane: Plane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A project whose jobs run on a node of this module's own."""
    home = tmp_path_factory.mktemp("home")
    with real_node(plane, tmp_path_factory.mktemp("node")) as node:
        yield raise_project(plane, home, queue=raise_queue(plane, node), defaults=DEFAULTS)


def started(stage: Stage, *words: str) -> str:
    """The name of a job that has printed its first line."""
    run = stage.jobq("submit", "-o", "name", "--", *words)
    assert run.code == 0, run.err
    name = run.out.strip()
    until(lambda: stage.jobq("logs", name).out)
    return name


def until(found: Callable[[], object], patience: float = PATIENCE_SECONDS) -> str:
    """What it returns, once it is something."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        if value := found():
            return str(value)
        time.sleep(0.1)
    raise AssertionError("nothing came")


@pytest.fixture(scope="module")
def sleeper(real: Stage) -> str:
    """A job that runs as long as the tests do."""
    return started(real, "sh", "-c", "echo up; echo mine > /tmp/mark; exec sleep 600")


def test_shell_on_a_terminal(real: Stage, sleeper: str) -> None:
    """Keys go through, Ctrl-C too; the size is ours; the exit code is the shell's; the terminal is left as it was."""
    terminal = real.terminal("shell", sleeper)
    terminal.see("[#$] ")
    terminal.type("stty size; cat /tmp/mark\r")
    terminal.see("30 100\r\nmine")
    terminal.resize(40, 120)
    terminal.type("stty size\r")
    until(lambda: _sees(terminal, "40 120"))
    terminal.type("echo $TERM; tty; sleep 100\r")
    terminal.see("xterm\r\n/dev/pts/")
    time.sleep(0.5)
    terminal.type("\x03")
    terminal.type("echo still $((1 + 1))\r")
    terminal.see("still 2")
    terminal.type("exit 7\r")
    assert terminal.end() == 7
    assert terminal.restored


def _sees(terminal: Terminal, pattern: str) -> bool:
    """Resizing travels beside the keys: asked again until it has arrived."""
    if select.select([terminal.leader], [], [], 0.3)[0]:
        terminal.shown += os.read(terminal.leader, 4096).decode()
    if pattern in terminal.shown:
        return True
    terminal.type("stty size\r")
    return False


def test_command_without_a_terminal(real: Stage, sleeper: str) -> None:
    """Bytes go through as they are, streams apart, both ways at once; the exit code is the command's."""
    data = os.urandom(3 << 20)
    command = [sys.executable, "-m", "cli.main", "shell", sleeper, "--", "sh", "-c", "cat; echo problem >&2; exit 3"]
    done = subprocess.run(command, env=real.environment(), input=data, capture_output=True, check=False)
    assert (done.returncode, done.stderr, done.stdout == data) == (3, b"problem\n", True)
    assert real.jobq("shell", sleeper, "--", "sh", "-c", "cat /tmp/mark").out == "mine\n"
    unknown = real.jobq("shell", sleeper, "--", "no-such-program")
    assert unknown.code == 127


def test_shell_where_nothing_runs(real: Stage) -> None:
    """A job that waits, or has ended, has no shell, which is said with the reason."""
    held = real.jobq("submit", "-o", "name", "--hold", "--", "true").out.strip()
    run = real.jobq("shell", held, "--", "true")
    assert (run.code, run.out) == (1, "")
    assert f"{held} doesn't run. Held: submitted with --hold" in run.err
    assert f"`jobq why {held}`" in run.err
    assert "doesn't run. Held: submitted with --hold" in real.jobq("forward", held, "8888").err
    real.admin.delete(JOB, held, namespace=real.project)
    over = real.jobq("submit", "-o", "name", "--wait", "--", "true").out.strip()
    assert real.jobq("shell", "").code == 2
    run = real.jobq("shell", over)
    assert (run.code, f"{over} doesn't run any more: it is Succeeded" in run.err) == (1, True)


def queued_pod(stage: Stage, name: str, command: str, *, group: str = "") -> None:
    """A pod by itself, or one of a group of two, in the project's queue."""
    labels, annotations = {"kueue.x-k8s.io/queue-name": "main"}, {}
    if group:
        labels["kueue.x-k8s.io/pod-group-name"] = group
        annotations["kueue.x-k8s.io/pod-group-total-count"] = "2"
    requests = {"requests": {"cpu": "100m", "memory": "64Mi"}}
    container = {"name": "main", "image": "example.org/x:1", "command": ["sh", "-c", command], "resources": requests}
    spec = {"containers": [container], "restartPolicy": "Never", "serviceAccountName": "jobq-runner"}
    meta = {"name": name, "namespace": stage.project, "labels": labels, "annotations": annotations}
    stage.admin.create(POD, {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec})


def test_pods_without_a_job(real: Stage) -> None:
    """A pod in the queue, and a group of them, have logs, shells and ports as Jobs do, and ends."""
    alone, pair = (f"{name}-{uuid.uuid4().hex[:4]}" for name in ("alone", "pair"))
    queued_pod(real, alone, "echo up; echo mine > /tmp/mark; exec sleep 600")
    queued_pod(real, f"{pair}-a", "echo first", group=pair)
    queued_pod(real, f"{pair}-b", "sleep 1; echo second", group=pair)
    run = real.jobq("logs", "-f", pair)
    assert (run.code, sorted(run.out.splitlines())) == (0, ["[a] first", "[b] second"]), run.err
    assert f"{pair}: Succeeded" in run.err
    assert real.jobq("logs", "--pod", f"{pair}-b", pair).out == "second\n"
    assert "its pods have no index" in real.jobq("logs", "--index", "0", pair).err
    assert f"{pair} doesn't run any more: it is Succeeded" in real.jobq("shell", pair).err
    until(lambda: real.jobq("logs", alone).out == "up\n")
    assert real.jobq("shell", alone, "--", "sh", "-c", "cat /tmp/mark").out == "mine\n"
    with forwarding(real, alone, ":80") as (_, local):
        assert local
    real.admin.delete(POD, alone, namespace=real.project)


def test_viewer_has_no_shell(real: Stage, sleeper: str) -> None:
    run = real.jobq("shell", sleeper, "--", "true", user="nobody@example.org")
    assert (run.code, "error: " in run.err) == (1, True)


# ------------------------------------------------------------------------------------------------ ports


@pytest.mark.parametrize(
    ("word", "meant"),
    [("8888", Route(8888, 8888)), ("9000:8888", Route(9000, 8888)), (":8888", Route(0, 8888)), ("0:80", Route(0, 80))],
)
def test_routes(word: str, meant: Route) -> None:
    assert forward.route(word) == meant


@pytest.mark.parametrize("word", ["", "x", "8888:", "0", "70000", "1:2:3", "-1", "8888:http", "²"])
def test_wrong_routes(word: str) -> None:
    with pytest.raises(UsageError, match="is no port"):
        forward.route(word)


@contextmanager
def forwarding(stage: Stage, *words: str, **environ: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """The command, and the port here that it has announced."""
    process = stage.start("forward", *words, **environ)
    try:
        assert process.stdout
        line = process.stdout.readline()
        match = re.fullmatch(r"127\.0\.0\.1:(\d+) -> \S+:\d+, in a browser http://localhost:\1\n", line)
        assert match, (line, process.stderr and process.stderr.read())
        yield process, int(match[1])
    finally:
        process.kill()
        process.communicate()


def exchange(port: int, data: bytes, host: str = "127.0.0.1") -> bytes:
    """What comes back for so many bytes."""
    with socket.create_connection((host, port), timeout=PATIENCE_SECONDS) as one:
        sender = threading.Thread(target=one.sendall, args=(data,))
        sender.start()
        back = bytearray()
        while len(back) < len(data) and (piece := one.recv(65536)):
            back += piece
        sender.join()
        return bytes(back)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as one:
        return int(one.getsockname()[1])


def test_forward(real: Stage, sleeper: str) -> None:
    """A refused connection is told once and the tunnel stays; two at once; much both ways; Ctrl-C ends it quietly."""
    remote = free_port()
    with forwarding(real, sleeper, f":{remote}") as (process, local):
        assert exchange(local, b"x") == b""
        assert exchange(local, b"x") == b""
        server = real.start("shell", sleeper, "--", "python3", "-c", ECHO, str(remote))
        assert server.stdout
        assert server.stdout.readline() == f"port {remote}\n"
        with socket.create_connection(("127.0.0.1", local), timeout=PATIENCE_SECONDS) as idle:
            large = os.urandom(5 << 20)
            assert exchange(local, large) == large
            idle.sendall(b"late")
            assert idle.recv(10) == b"late"
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=PATIENCE_SECONDS)
        server.kill()
        server.communicate()
    assert process.returncode == 130
    assert err == f"nothing listens on port {remote} of {real.pod(sleeper)} yet: connection refused; the tunnel stays\n"


def test_port_taken(real: Stage, sleeper: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mine:
        port = mine.getsockname()[1]
        run = real.jobq("forward", sleeper, f"{port}:80")
    assert (run.code, run.out) == (1, "")
    assert f"can't listen on port {port} of this machine: address already in use" in run.err
    assert f"hint: take another one here: `jobq forward {sleeper} :80`" in run.err


def test_pod_ends_while_forwarded(real: Stage) -> None:
    """The tunnel ends with the pod, and says so."""
    name = started(real, "sh", "-c", "echo up; exec sleep 600")
    pod = real.pod(name)
    with forwarding(real, name, ":80") as (process, _):
        time.sleep(1)
        real.admin.delete(POD, pod, namespace=real.project)
        _, err = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 1
    assert err.startswith(f"error: pod {pod} ")
    real.admin.delete(JOB, name, namespace=real.project)


def test_silent_tunnel_is_kept(real: Stage, sleeper: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A silent connection shows now and then that it is wanted, and is used on afterwards."""
    monkeypatch.setattr(channels, "_PING_SECONDS", 0.1)
    cluster = connect(kubeconfig=str(real.kubeconfig()))
    one = cluster.exec(real.pod(sleeper), ["cat"], namespace=real.project, stdin=True, tty=False)
    end = time.monotonic() + 0.6
    pings = 0
    while time.monotonic() < end:
        one.wait([], 0.05)
        pings += one.unsent > 0
        assert list(one.receive()) == []
    one.send(0, b"after")
    assert until(lambda: _received(one)) == "b'after'"
    one.close()
    cluster.close()
    assert pings > 2


@pytest.mark.parametrize(("scheme", "server"), [("http", ""), ("https", ""), ("socks5", ""), ("http", LAB)])
def test_everything_by_a_proxy(real: Stage, sleeper: str, tmp_path: Path, scheme: str, server: str) -> None:
    """Lists, a followed log, a command and a forwarded port take the proxy alike, with its password.

    It is the kubeconfig's; or the environment's, for a server of another machine.
    """
    keys = real.plane.directory / "pki" if scheme == "https" else None
    with socks_proxy(locked=True) if scheme == "socks5" else http_proxy(locked=True, keys=keys) as proxy:
        said = json.loads(real.kubeconfig().read_text())
        cluster, url = said["clusters"][0]["cluster"], f"{scheme}://{QUOTED}@127.0.0.1:{proxy.port}"
        by = {"KUBECONFIG": str(tmp_path / "config")}
        if server:
            by |= {"HTTPS_PROXY": url, "NO_PROXY": "127.0.0.0/8,.svc"}
            cluster["server"] = cluster["server"].replace("127.0.0.1", server)
            cluster["tls-server-name"] = "localhost"
        else:
            cluster["proxy-url"] = url
        (tmp_path / "config").write_text(json.dumps(said))
        assert sleeper in real.jobq("list", "-o", "name", **by).out
        following = real.start("logs", "-f", sleeper, **by)
        assert following.stdout
        assert following.stdout.readline() == "up\n"
        following.send_signal(signal.SIGINT)
        following.communicate(timeout=PATIENCE_SECONDS)
        assert real.jobq("shell", sleeper, "--", "sh", "-c", "cat /tmp/mark", **by).out == "mine\n"
        data, command = os.urandom(3 << 20), [sys.executable, "-m", "cli.main", "shell", sleeper, "--", "cat"]
        environ = real.environment() | by
        assert subprocess.run(command, env=environ, input=data, capture_output=True, check=True).stdout == data
        with socket.create_server(("127.0.0.1", 0)) as there:
            answering = threading.Thread(target=_answer, args=(there,))
            answering.start()
            with forwarding(real, sleeper, f":{there.getsockname()[1]}", **by) as (_, local):
                assert exchange(local, b"hello") == b"found"
            answering.join()
    assert len(proxy.targets) > 4


def _answer(listening: socket.socket) -> None:
    one, _ = listening.accept()
    with one:
        one.sendall(b"found")


def _received(one: Channels) -> bytes:
    one.wait([], 0.2)
    return b"".join(data for _, data in one.receive())
