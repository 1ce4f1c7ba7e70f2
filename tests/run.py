"""A command that was run to its end."""

import json
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

PATIENCE_SECONDS = 90


@dataclass(frozen=True, slots=True)
class Run:
    """What a finished command said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:  # noqa: ANN401 - JSON
        """Its stdout as a value."""
        return json.loads(self.out)


def finish(process: subprocess.Popen[str], words: Sequence[str]) -> Run:
    """Wait for its end, and print all it said: pytest shows that where a test fails. None ends in a traceback."""
    out, err = process.communicate(timeout=PATIENCE_SECONDS)
    run = Run(process.returncode, out, err)
    sys.stdout.write(f"$ jobq {shlex.join(words)}\n{run.out}{run.err}-> {run.code}\n")
    assert "Traceback" not in run.err
    return run
