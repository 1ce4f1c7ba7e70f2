"""Which commit the caller works at: recorded with a job, so that its result can be traced. Never the remotes."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

SECONDS = 2
"""How long git may take to answer: a job doesn't wait for it."""
COMMIT = "jobq.io/git-commit"
DIRTY = "jobq.io/git-dirty"


def provenance(folder: Path) -> Mapping[str, str]:
    """Annotations: the commit, and whether tracked files differ from it. Empty where git says nothing in time."""
    commit = _ask(folder, "rev-parse", "--verify", "HEAD")
    if not commit:
        return {}
    changes = _ask(folder, "status", "--porcelain", "--untracked-files=no")
    return {COMMIT: commit} | ({} if changes is None else {DIRTY: "true" if changes else "false"})


def _ask(folder: Path, *words: str) -> str | None:
    """Git's answer; None for no answer."""
    environ = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *words],
            env={**environ, "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode(errors="replace").strip() if done.returncode == 0 else None
