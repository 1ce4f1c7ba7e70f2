"""Runs the control plane's programs as children that end with this process, however it ends."""

import ctypes
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Final

STEP_SECONDS: Final = 0.02
GRACE_SECONDS: Final = 3.0
TAIL_LINES: Final = 15
PR_SET_PDEATHSIG: Final = 1
LIBC: Final = ctypes.CDLL(None, use_errno=True)


class ComponentDied(Exception):
    """A component ended by itself, or could not be started."""


class NotReady(Exception):
    """Something did not become ready in its time."""


class StopRequested(Exception):
    """A signal, or the end of whoever uses the control plane, asks for the end."""


@dataclass(frozen=True, slots=True)
class Component:
    """A program to run: its log is named after it."""

    name: str
    command: tuple[str, ...]
    folder: Path


@dataclass(frozen=True, slots=True)
class _Child:
    component: Component
    process: subprocess.Popen[bytes]
    pidfd: int
    log: Path


@dataclass(slots=True)
class Processes:
    """The running components, in the order they were started. Use from the main thread only.

    A signal only sets `stopping` and wakes a wait, so none can come between a fork and its book-keeping.
    """

    logs: Path
    environment: dict[str, str]
    ended: Callable[[], bool]
    """Whether nobody needs the components any more."""
    stopping: str = ""
    _children: list[_Child] = field(default_factory=list)

    def start(self, component: Component) -> int:
        """Start `component` in a session of its own; its pid.

        It is killed when the *thread* that called this ends (PR_SET_PDEATHSIG), hence the main thread.

        Raises:
            ComponentDied: the program can't be executed.
        """
        self.check()
        parent = os.getpid()
        log = self.logs / f"{component.name}.log"

        def die_with_parent() -> None:
            LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != parent:
                os._exit(1)

        with log.open("ab") as output:
            try:
                process = subprocess.Popen(
                    component.command,
                    cwd=component.folder,
                    env=self.environment,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    preexec_fn=die_with_parent,  # noqa: PLW1509 - this process has one thread
                )
            except OSError as error:
                raise ComponentDied(f"{component.name} could not be started: {error}") from error
        self._children.append(_Child(component, process, os.pidfd_open(process.pid), log))
        return process.pid

    def check(self) -> None:
        """Return when all is well.

        Raises:
            StopRequested: after a signal, or when nobody needs the components any more.
            ComponentDied: one has ended; with its log's tail.
        """
        if self.stopping or self.ended():
            raise StopRequested(self.stopping)
        for child in self._children:
            if child.process.poll() is not None:
                raise ComponentDied(_obituary(child))

    def until(self, what: str, ready: Callable[[], bool], seconds: float = 30.0) -> None:
        """Wait until `ready()`; an OSError from it counts as not yet.

        Raises:
            NotReady: not within `seconds`.
            ComponentDied, StopRequested: as `check`.
        """
        deadline = time.monotonic() + seconds
        while True:
            self.check()
            if _quietly(ready):
                return
            if time.monotonic() > deadline:
                raise NotReady(f"{what} not within {seconds:.0f} s; logs are in {self.logs}")
            time.sleep(STEP_SECONDS)

    def wait(self, seconds: float) -> None:
        """Sleep until a component dies, a signal comes, or `seconds` are over; then as `check`."""
        readable, writable = os.pipe()
        os.set_blocking(writable, False)
        before = signal.set_wakeup_fd(writable, warn_on_full_buffer=False)
        try:
            if not self.stopping:
                select.select([readable, *(child.pidfd for child in self._children)], [], [], seconds)
        finally:
            signal.set_wakeup_fd(before)
            os.close(readable)
            os.close(writable)
        self.check()

    def stop(self) -> None:
        """End all components, last started first: SIGTERM, and SIGKILL for one that outlives its three seconds."""
        while self._children:
            child = self._children.pop()
            child.process.terminate()
            child.process.send_signal(signal.SIGCONT)  # one that was paused would not see the SIGTERM
            try:
                child.process.wait(GRACE_SECONDS)
            except subprocess.TimeoutExpired:
                child.process.kill()
                child.process.wait()
            os.close(child.pidfd)


@contextmanager
def supervised(logs: Path, environment: dict[str, str], ended: Callable[[], bool]) -> Iterator[Processes]:
    """Processes that are stopped at the end of the block; signals that ask for the end are taken up."""
    processes = Processes(logs, environment, ended)

    def note(number: int, _frame: FrameType | None) -> None:
        processes.stopping = processes.stopping or signal.Signals(number).name

    before = {number: signal.signal(number, note) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    try:
        yield processes
    finally:
        processes.stop()
        for number, handler in before.items():
            signal.signal(number, handler)


def _quietly(ready: Callable[[], bool]) -> bool:
    try:
        return ready()
    except OSError:
        return False


def _obituary(child: _Child) -> str:
    code = child.process.returncode
    ending = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
    lines = child.log.read_text(encoding="utf-8", errors="replace").splitlines()[-TAIL_LINES:]
    tail = "".join(f"  {line}\n" for line in lines)
    return f"{child.component.name} {ending}; the end of {child.log}:\n{tail}"
