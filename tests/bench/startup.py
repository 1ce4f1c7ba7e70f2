"""How long people wait for help and for completion: beside Python itself, and kubectl where there is one.

``python -m tests.bench.startup``: the shortest of its runs in milliseconds; on an idle machine 150 are the limit.
"""

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RUN = [sys.executable, "-c", "from cli.main import main; main()"]
COMPLETED = {"_JOBQ_COMPLETE": "complete_bash"}


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.startup", description=__doc__)
    parser.add_argument("--runs", type=int, default=20)
    runs = parser.parse_args().runs
    rows: list[tuple[str, Sequence[str], Mapping[str, str]]] = [
        ("python -c pass", [sys.executable, "-c", "pass"], {}),
        ("jobq --help", [*RUN, "--help"], {}),
        ("jobq list --help", [*RUN, "list", "--help"], {}),
        ("jobq submit --help", [*RUN, "submit", "--help"], {}),
        ("jobq su<TAB>", RUN, {**COMPLETED, "COMP_WORDS": "jobq su", "COMP_CWORD": "1"}),
        ("jobq list --<TAB>", RUN, {**COMPLETED, "COMP_WORDS": "jobq list --", "COMP_CWORD": "2"}),
        ("jobq list -p <TAB>", RUN, {**COMPLETED, "COMP_WORDS": "jobq list -p ", "COMP_CWORD": "3"}),
    ]
    if kubectl := shutil.which("kubectl"):
        rows.append(("kubectl --help", [kubectl, "--help"], {}))
    for name, command, environ in rows:
        print(f"{name:20} {shortest(command, environ, runs) * 1000:5.0f} ms")


def shortest(command: Sequence[str], environ: Mapping[str, str], runs: int) -> float:
    """Seconds of the quickest of so many runs."""
    taken = []
    for _ in range(runs):
        start = time.perf_counter()
        subprocess.run(command, env={**os.environ, "PYTHONPATH": str(ROOT), **environ}, capture_output=True, check=True)
        taken.append(time.perf_counter() - start)
    return min(taken)


if __name__ == "__main__":
    main()
