"""Following logs on a node that really runs pods, through a proxy that cuts."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from reconciler.kinds import JOB
from tests import proxy as faults
from tests.controlplane.plane import Plane
from tests.proxy import Proxy, proxied
from tests.run import PATIENCE_SECONDS, Run
from tests.stage import Stage, raise_project, raise_queue, real_node

DEFAULTS = json.dumps({"image": "example.org/train:1", "cpu": "100m", "memory": "128Mi"})
T = TypeVar("T")
LOG = r"/log$"
COUNT = "import time\nfor n in range(30):\n print('line', n, 'x' * 40, flush=True)\n time.sleep(0.1)"


@pytest.fixture(scope="module")
def real(plane: Plane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A project whose jobs run on a node of this module's own."""
    home = tmp_path_factory.mktemp("home")
    with real_node(plane, tmp_path_factory.mktemp("node")) as node:
        yield raise_project(plane, home, queue=raise_queue(plane, node), defaults=DEFAULTS)


@pytest.fixture
def between(real: Stage, tmp_path: Path) -> Iterator[Proxy]:
    """A proxy before the API server, as the member."""
    with proxied(real.kubeconfig(), real.plane.directory / "pki", tmp_path / "proxy") as made:
        yield made


def until(found: Callable[[], T]) -> T:
    """What it returns, once it is something."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not (value := found()):
        assert time.monotonic() < end
        time.sleep(0.1)
    return value


def submitted(stage: Stage, *words: str) -> str:
    run = stage.jobq("submit", "-o", "name", *words)
    assert run.code == 0, run.err
    return run.out.strip()


def test_followed_log_survives_cuts(real: Stage, between: Proxy) -> None:
    """Silence that is cut, cuts within a line and at once, and an answer 500: each line once, in order.

    So it is where it is read afterwards.
    """
    name = submitted(real, "--", "python3", "-c", COUNT)
    between.spoil(faults.to(LOG), faults.cut_in_line(4))
    between.spoil(faults.to(LOG), faults.refuse(500))
    between.spoil(faults.to(LOG), faults.cut(0))
    between.spoil(faults.to(LOG), faults.cut(700))
    between.spoil(faults.to(LOG), faults.cut_in_line(20))
    run = real.jobq("logs", "-f", name, KUBECONFIG=str(between.kubeconfig))
    printed = "".join(f"line {number} {'x' * 40}\n" for number in range(30))
    assert run.out == printed
    assert (run.code, "missing" in run.err) == (0, False)
    assert f"{name}: Succeeded" in run.err
    assert sum(bool(re.search(LOG, one.path)) for one in between.asked) >= 6
    between.heal()
    for fault in (faults.cut(1000), faults.cut(0), faults.refuse(500), faults.cut_in_line(3)):
        between.spoil(faults.to(LOG), fault)
    run = real.jobq("logs", name, KUBECONFIG=str(between.kubeconfig))
    assert (run.code, run.out, run.err) == (0, printed, "")
    assert sum(bool(re.search(LOG, one.path)) for one in between.asked) == 5
    between.spoil(faults.to(LOG), faults.refuse(500))
    assert real.jobq("logs", name, KUBECONFIG=str(between.kubeconfig)).code == 1


def test_cut_silence_is_asked_again(real: Stage, between: Proxy) -> None:
    """A proxy that cuts what is silent for a while, again and again, costs nothing."""
    name = submitted(real, "--", "sh", "-c", "echo one; sleep 1.5; printf tw; sleep 1.5; echo o")
    between.spoil(faults.to(LOG), cut_when_silent(0.4), times=100)
    run = real.jobq("logs", "-f", name, KUBECONFIG=str(between.kubeconfig))
    assert (run.code, run.out) == (0, "one\ntwo\n")


def cut_when_silent(seconds: float) -> faults.Fault:
    """A stream breaks after so long a silence."""

    def broken(exchange: faults.Exchange) -> None:
        answer = exchange.send()
        there = exchange.handler.server_connection
        assert there is not None
        there.sock.settimeout(seconds)
        exchange.begin(answer)
        try:
            for piece in exchange.pieces(answer):
                exchange.piece(piece)
        except TimeoutError:
            exchange.hang_up()
        else:
            exchange.piece(b"")

    return broken


def test_end_that_cannot_be_read(real: Stage, between: Proxy) -> None:
    """Where the pod is gone before its log was read again, that is said, and the exit code is 1."""
    name = submitted(real, "--", "sh", "-c", "trap exit TERM; echo up; sleep 600 & wait")
    pod = until(lambda: real.pods(name))[0]
    between.spoil(faults.to(LOG), cut_when_silent(0.5))
    between.spoil(faults.to(LOG), faults.refuse(500), times=50)
    process = real.start("logs", "-f", name, KUBECONFIG=str(between.kubeconfig))
    assert process.stdout
    assert process.stdout.readline() == "up\n"
    until(lambda: sum(bool(re.search(LOG, one.path)) for one in between.asked) > 1)  # it was cut
    real.admin.delete(JOB, name, namespace=real.project)
    until(lambda: pod not in real.pods(name))
    between.heal()
    _, err = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 1
    assert "its pod is gone, and the end of its log with it" in err


def test_progress_bar(real: Stage) -> None:
    """What has no line end is shown as it comes: to a terminal, and byte for byte to a pipe."""
    script = r"n=100; while true; do printf '\r%s%%' $n; n=$((n+1)); sleep 0.6; done"
    name = submitted(real, "--", "sh", "-c", script)
    process = real.start("logs", "-f", name)
    assert process.stdout
    pieces = [process.stdout.buffer.read1(2**16) for _ in range(3)]  # type: ignore[attr-defined] # a pipe has it
    shown = b"".join(pieces)
    assert all(pieces)
    assert shown == b"".join(b"\r%d%%" % number for number in range(100, 100 + len(shown) // 5))
    process.kill()
    process.communicate()
    terminal = real.terminal("logs", "-f", name)
    terminal.see("\r100%\r101%\r102%")
    terminal.type("\x03")
    terminal.see(f"{name} goes on; `jobq logs -f {name}` follows it again")
    assert terminal.end() == 130
    real.admin.delete(JOB, name, namespace=real.project)


def test_line_of_fifty_megabytes(real: Stage) -> None:
    """A line of any length goes through in pieces, in bounded memory, with and without a prefix."""
    script = "import sys\nfor _ in range(800): sys.stdout.write('x' * 65536)\nprint()"
    name = submitted(real, "-m", "1Gi", "--", "python3", "-c", script)
    measure = (
        "import pathlib, re, runpy, sys\nsys.argv = ['jobq', 'logs', '-f', %r]\n"
        "try: runpy.run_module('cli.main', run_name='__main__')\n"
        "finally:\n status = pathlib.Path('/proc/self/status').read_text()\n"
        " print(re.search(r'VmHWM:\\s+(\\d+)', status)[1], file=sys.stderr)"
    )
    # VmHWM: of this process alone; ru_maxrss begins with what the process had that started it
    command, count, last = [sys.executable, "-c", measure % name], 0, b""
    with subprocess.Popen(command, env=real.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stderr
        while piece := process.stdout.read(2**16):
            count, last = count + len(piece), piece[-1:]
        err = process.stderr.read().decode()
    assert (count, last) == (800 * 65536 + 1, b"\n")
    assert int(err.split()[-1]) < 150 * 1024, err


def test_arrays(real: Stage) -> None:
    """Each line has its task's number in front; --index shows one alone; status and why tell of it by its number."""
    script = (
        r"printf '\r10%%'; sleep 1; printf '\r20%%'; echo; echo end of $JOBQ_ARRAY_INDEX; [ $JOBQ_ARRAY_INDEX = 3 ]"
    )
    name = submitted(real, "--array", "3,5", "--", "sh", "-c", script)
    run = real.jobq("logs", "-f", name)
    assert run.code == 0
    assert sorted(run.out.splitlines()) == sorted(f"[{n}] {t}" for n in (3, 5) for t in ("10%", "20%", f"end of {n}"))
    assert real.jobq("logs", "--tail", "1", name).out == "[3] end of 3\n[5] end of 5\n"
    assert real.jobq("logs", "--tail", "1", "--index", "5", name).out == "end of 5\n"
    assert real.jobq("logs", "-f", "--index", "5", name).out == "\n10%\n20%\nend of 5\n"  # read as text: \r is \n
    wrong = real.jobq("logs", "--index", "1", name)
    assert (wrong.code, "has no pod of index 1" in wrong.err, "there are: 3,5" in wrong.err) == (1, True, True)
    assert "1 failed (5)" in real.jobq("status", name).out
    assert "1 of 2 indexes failed (5)" in real.jobq("why", name[:-2]).out


def test_attempts(real: Stage) -> None:
    """Of a job that was tried again the last attempt is shown; the others by --previous and --all."""
    name = submitted(real, "--retries", "1", "--", "sh", "-c", "echo from $HOSTNAME; exit 1")
    followed = real.jobq("logs", "-f", name)
    lines = followed.out.splitlines()
    assert (followed.code, len(lines)) == (0, 2)
    run = real.jobq("logs", name)
    assert run.out == lines[1] + "\n"
    assert "1 earlier attempt not shown; --all shows all" in run.err
    assert real.jobq("logs", "--all", name).out == followed.out
    assert real.jobq("logs", "--previous", name).out == lines[0] + "\n"
    refused = real.jobq("logs", "--previous", "-f", name)
    assert (refused.code, "--previous" in refused.err) == (2, True)


def test_attempts_whose_logs_are_gone(real: Stage) -> None:
    """A job that was stopped and resumed has lost what it printed before, which is said."""
    name = submitted(real, "--", "sh", "-c", "trap exit TERM; echo up; sleep 600 & wait")
    until(lambda: real.jobq("logs", name).out)
    assert real.jobq("stop", "-y", name).code == 0
    until(lambda: not real.pods(name))
    assert real.jobq("resume", name).code == 0
    run = until(lambda: (found := real.jobq("logs", name)).out and found)
    assert isinstance(run, Run)
    assert run.err == f"{name}: an earlier attempt is gone, with all it printed: evicted or stopped\n"
    real.admin.delete(JOB, name, namespace=real.project)


def test_since(real: Stage) -> None:
    name = submitted(real, "--", "sh", "-c", "echo old; sleep 3; echo new; sleep 600")
    process = real.start("logs", "-f", name)
    assert process.stdout
    assert [process.stdout.readline() for _ in range(2)] == ["old\n", "new\n"]
    process.kill()
    process.communicate()
    assert real.jobq("logs", "--since", "2s", name).out.strip() in {"new", ""}
    assert real.jobq("logs", "--since", "10m", name) == Run(0, "old\nnew\n", "")
    assert real.jobq("logs", "--since", "soon", name).code == 2
    real.admin.delete(JOB, name, namespace=real.project)
