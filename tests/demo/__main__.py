"""``python -m tests.demo NAME``: tell one demo; the exit code is 0 when every step ended as it should."""

import importlib
import sys
import tempfile
import time
from pathlib import Path

from tests.controlplane.plane import start
from tests.demo.story import Story, Surprise, say


def main(name: str) -> int:
    """The exit code: 0 when every step ended as it should."""
    began = time.monotonic()
    try:
        with tempfile.TemporaryDirectory(prefix="jobq-demo-") as folder, start() as plane:
            importlib.import_module(f"tests.demo.{name}").tell(Story(plane, Path(folder)))
    except Surprise as surprise:
        sys.stderr.write(f"\nerror: {surprise}" + "\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("\ninterrupted: the control plane is stopped" + "\n")
        return 130
    say(f"\nThe control plane is stopped; all of it took {time.monotonic() - began:.0f} s.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
