"""Programs on a terminal of their own, with keys typed."""

import os
import pty
import select
import subprocess
from collections.abc import Mapping, Sequence
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
