"""Programs on a terminal of their own, with keys typed."""

import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence
from fcntl import ioctl
from pathlib import Path

PATIENCE_SECONDS = 90


def on_terminal(command: Sequence[str], keys: str, *, cwd: Path, environ: Mapping[str, str]) -> tuple[str, int]:
    """What it shows once these keys are typed, and its exit code."""
    leader, follower = pty.openpty()
    environment = {**environ, "TERM": "xterm"}
    process = subprocess.Popen(command, cwd=cwd, env=environment, stdin=follower, stdout=follower, stderr=follower)
    os.close(follower)
    os.write(leader, keys.encode())
    shown = b""
    while select.select([leader], [], [], PATIENCE_SECONDS)[0]:
        try:
            shown += os.read(leader, 4096)
        except OSError:  # the other end is closed
            break
    os.close(leader)
    return shown.decode().replace("\r\n", "\n"), process.wait(PATIENCE_SECONDS)


class Terminal:
    """A program on a terminal of its own, which a test talks with."""

    def __init__(self, command: Sequence[str], *, cwd: Path, environ: Mapping[str, str]) -> None:
        self.leader, follower = pty.openpty()
        self.resize(30, 100)
        self.before = termios.tcgetattr(follower)
        self.follower = follower
        self.process = subprocess.Popen(
            ["setsid", "--ctty", "--wait", *command],
            cwd=cwd,
            env={**environ, "TERM": "xterm"},
            stdin=follower,
            stdout=follower,
            stderr=follower,
        )
        self.shown = ""

    def type(self, keys: str) -> None:
        """Press keys."""
        os.write(self.leader, keys.encode())

    def resize(self, lines: int, columns: int) -> None:
        """Give it another size, which the program is told."""
        ioctl(self.leader, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def see(self, pattern: str) -> None:
        """Wait until it has shown that, and forget what came before."""
        end = time.monotonic() + PATIENCE_SECONDS
        while not (match := re.search(pattern, self.shown)):
            if time.monotonic() > end:
                self.process.kill()
                self.end()
                raise AssertionError(self.shown)
            if select.select([self.leader], [], [], 0.5)[0]:
                self.shown += os.read(self.leader, 4096).decode()
        self.shown = self.shown[match.end() :]

    def end(self) -> int:
        """The program's exit code; ``restored`` is whether it leaves the terminal as it found it."""
        code = self.process.wait(PATIENCE_SECONDS)
        self.restored = termios.tcgetattr(self.follower) == self.before
        os.close(self.leader)
        os.close(self.follower)
        return code
