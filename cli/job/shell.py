"""``jobq shell``."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from cli import console, options, selection
from cli.connection import connect
from cli.job import pods
from cli.job.targets import with_pods
from reconciler.cluster import END, SIZE, STDERR, STDIN, STDOUT, Body, Channels
from reconciler.errors import JobqError

EXAMPLES = """
  jobq shell train-x7k2p
  jobq shell --index 3 sweep -- nvidia-smi
  jobq shell train -- tar -cz results > results.tar.gz
"""
_SHELL = 'export TERM="$0"; if command -v bash >/dev/null; then exec bash; else exec sh; fi'
_PIECE = 2**16
_AHEAD = 2**20
"""So many bytes of our input may be under way before more is read."""
_TICK_SECONDS = 5.0


def shell(
    job: options.JobName,
    command: options.InPod = None,
    *,
    project: options.ProjectName = "",
    index: options.Index = None,
    pod: options.PodName = "",
    kubeconfig: options.Kubeconfig = "",
    context: options.Context = "",
) -> None:
    """Run a shell, or COMMAND, beside a running job, in its container.

    On a terminal it has a terminal there; otherwise stdin, stdout and stderr are handed on byte for byte.
    The exit code is the command's.
    """
    terminal = sys.stdin.isatty() and sys.stdout.isatty()
    cluster = connect(kubeconfig=kubeconfig, context=context)
    current = selection.current(cluster, project)
    found = with_pods(cluster, current, job, way="exec -it POD -- sh")
    where, many = pods.running(cluster, current, found, index, pod)
    if many > 1:
        console.talk(f"in {where['metadata']['name']}, the first of {many} pods; --index or --pod names another")
    channels = cluster.exec(
        where["metadata"]["name"],
        command or ["sh", "-c", _SHELL, os.environ.get("TERM", "xterm")],
        namespace=current.entry.namespace,
        container=pods.container(where),
        stdin=terminal or not sys.stdin.isatty(),
        tty=terminal,
    )
    try:
        end = _on_terminal(channels) if terminal else _converse(channels, None if sys.stdin.isatty() else _stdin())
    finally:
        channels.close()
    raise typer.Exit(_code(end))


def _stdin() -> int:
    return sys.stdin.fileno()


def _on_terminal(channels: Channels) -> Body:
    """Keys go there as they are typed; its size is ours, as long as it runs."""
    with _raw(_stdin()), _resizes() as resized:
        _tell_size(channels)
        return _converse(channels, _stdin(), resized)


def _converse(channels: Channels, source: int | None, resized: int = -1) -> Body:
    """Hand on all streams until the command has ended; how it did. Raises: JobqError where nobody says."""
    if source is None:
        channels.finish(STDIN)
    while True:
        wanted = [resized] if resized >= 0 else []
        if source is not None and channels.unsent < _AHEAD:
            wanted.append(source)
        ready = channels.wait(wanted, _TICK_SECONDS)
        for channel, data in channels.receive():
            if channel == END:
                return dict(json.loads(data))
            if channel in {STDOUT, STDERR}:
                (console.out_bytes if channel == STDOUT else console.talk_bytes)(data)
        if channels.closed:
            raise JobqError(
                "the connection ended before the command did", hint="it may go on; another `jobq shell` can look"
            )
        if resized in ready:
            os.read(resized, _PIECE)
            _tell_size(channels)
        if source is not None and source in ready:
            source = _hand_on(channels, source)


def _hand_on(channels: Channels, source: int) -> int | None:
    """A piece of our input; None at its end."""
    data = os.read(source, _PIECE)
    if data:
        channels.send(STDIN, data)
        return source
    channels.finish(STDIN)
    return None


def _tell_size(channels: Channels) -> None:
    columns, lines = os.get_terminal_size(sys.stdout.fileno())
    channels.send(SIZE, json.dumps({"Width": columns, "Height": lines}).encode())


def _code(end: Body) -> int:
    """The command's exit code. Raises: JobqError where it never ran."""
    if end.get("status") == "Success":
        return 0
    for cause in (end.get("details") or {}).get("causes") or ():
        if cause.get("reason") == "ExitCode":
            return int(cause["message"])
    raise JobqError(f"the command couldn't be run: {end.get('message', 'nobody says why')}")


@contextmanager
def _raw(terminal: int) -> Iterator[None]:
    """Every key goes through, Ctrl-C too; afterwards the terminal is as it was."""
    import termios  # noqa: PLC0415 - not on Windows
    import tty  # noqa: PLC0415 - as above

    before = termios.tcgetattr(terminal)
    tty.setraw(terminal, termios.TCSADRAIN)  # what is typed ahead stays
    try:
        yield
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)


@contextmanager
def _resizes() -> Iterator[int]:
    """A file descriptor that can be read whenever the terminal's size has changed."""
    import signal  # noqa: PLC0415 - SIGWINCH isn't on Windows

    news, note = os.pipe()
    before = signal.signal(signal.SIGWINCH, lambda *_: os.write(note, b"."))
    try:
        yield news
    finally:
        signal.signal(signal.SIGWINCH, before)
        os.close(note)
        os.close(news)
