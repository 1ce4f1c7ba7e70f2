"""The runner's side of one container: start its first process, take its output, signal it, learn its exit code.

Everything here runs in the main thread: a child with a parent-death signal dies with the *thread* that forked it.
"""

import asyncio
import contextlib
import errno
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

CHILD = Path(__file__).with_name("container.py")
READ_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Mount:
    """A directory or file of the machine and where the container sees it; no source is memory."""

    source: str | None
    target: str
    read_only: bool


@dataclass(frozen=True, slots=True)
class ContainerSpec:
    """What container.py builds and executes."""

    root: str
    hostname: str
    uid: int
    gid: int
    mounts: list[Mount]
    hide: list[str]
    command: list[str]
    env: dict[str, str]
    workdir: str


class StartFailure(Exception):
    """The command didn't start: a kubelet's reason, a message, and the errno of a failed system call."""

    def __init__(self, reason: str, message: str, number: int = 0) -> None:
        super().__init__(message)
        self.reason = reason
        self.number = number


class Process:
    """A started container; pid is its first process, seen from outside."""

    def __init__(self, parent: "subprocess.Popen[bytes]", pid: int, drained: list[asyncio.Event]) -> None:
        self.pid = pid
        self._handle: int | None = None
        if pid:
            with contextlib.suppress(ProcessLookupError):  # it may be over already
                self._handle = os.pidfd_open(pid)
        self._ended = asyncio.ensure_future(self._wait(parent, drained))

    @classmethod
    async def start(cls, spec: ContainerSpec, output: Callable[[str, bytes], None]) -> "Process":
        """Run a command; output gets the stream's name and what was written to it.

        Raises: StartFailure.
        """
        report, status = os.pipe()
        streams = {"stdout": os.pipe(), "stderr": os.pipe()}
        parent = spawn(spec, status, streams["stdout"][1], streams["stderr"][1])
        for descriptor in (status, streams["stdout"][1], streams["stderr"][1]):
            os.close(descriptor)
        drained = [take(read, partial(output, name)) for name, (read, _) in streams.items()]
        pid, failure = await read_report(report)
        process = cls(parent, pid, drained)
        if failure:
            await process.wait()
            raise failure
        return process

    async def wait(self) -> int:
        """The exit code (128+n for signal n), once the container and its output have ended."""
        return await asyncio.shield(self._ended)

    def signal(self, number: int) -> None:
        """Signal the first process; nothing happens if it has ended."""
        if self._handle is not None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._handle, number)

    async def _wait(self, parent: "subprocess.Popen[bytes]", drained: list[asyncio.Event]) -> int:
        await ended(parent.pid)
        code = parent.wait()
        self.signal(signal.SIGKILL)  # were the parent killed alone, its child would be dying already
        for event in drained:
            await event.wait()
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None
        return code if code >= 0 else 128 - code


def spawn(spec: ContainerSpec, status: int, stdout: int, stderr: int) -> "subprocess.Popen[bytes]":
    """Start container.py; its specification goes through memory, unseen in the process list."""
    memory = os.memfd_create("container")
    try:
        with open(memory, "wb", closefd=False) as file:
            file.write(json.dumps(asdict(spec) | {"parent": os.getpid()}).encode())
        os.lseek(memory, 0, os.SEEK_SET)
        return subprocess.Popen(
            [sys.executable, "-IS", str(CHILD), str(memory), str(status)],
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            pass_fds=(memory, status),
            start_new_session=True,
            cwd="/",
        )
    finally:
        os.close(memory)


def take(descriptor: int, use: Callable[[bytes], None]) -> asyncio.Event:
    """Hand on what arrives on a pipe or terminal; the event is set at its end, when it is closed."""
    loop, end = asyncio.get_running_loop(), asyncio.Event()
    os.set_blocking(descriptor, False)

    def read() -> None:
        try:
            data = os.read(descriptor, READ_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno != errno.EIO:  # a terminal that nobody has open any more
                raise
            data = b""
        if data:
            use(data)
            return
        loop.remove_reader(descriptor)
        os.close(descriptor)
        end.set()

    loop.add_reader(descriptor, read)
    return end


async def read_report(descriptor: int) -> tuple[int, StartFailure | None]:
    """The first process's pid (0 if there is none) and why the command doesn't run, if so."""
    received = bytearray()
    await take(descriptor, received.extend).wait()
    pid, failure = 0, None
    for line in received.splitlines():
        entry = json.loads(line)
        if "pid" in entry:
            pid = entry["pid"]
        else:
            failure = StartFailure(entry["reason"], entry["message"], entry.get("errno") or 0)
    if not pid and not failure:
        failure = StartFailure("StartError", "the container's first process ended before it began")
    return pid, failure


async def ended(pid: int) -> None:
    """Wait for the end of a child; it stays to be reaped."""
    loop, end = asyncio.get_running_loop(), asyncio.Event()
    handle = os.pidfd_open(pid)
    loop.add_reader(handle, end.set)
    try:
        await end.wait()
    finally:
        loop.remove_reader(handle)
        os.close(handle)
