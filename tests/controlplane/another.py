"""Another API server beside a control plane's own, on the same store: one that a test may kill and start again."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from tests.controlplane.api import Api
from tests.controlplane.plane import Extent, Plane
from tests.controlplane.ports import LOOPBACK

START_SECONDS: Final = 60.0
STEP_SECONDS: Final = 0.05


@dataclass
class AnotherServer:
    """It runs between `start` and `kill`."""

    plane: Plane
    port: int
    _process: "subprocess.Popen[bytes] | None" = field(default=None, repr=False)

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"https://{LOOPBACK}:{self.port}"

    def start(self) -> None:
        """Start it with the command line of the control plane's own; return when it is ready.

        Raises:
            TimeoutError: it isn't in a minute.
        """
        folder = self.plane.directory
        own = Path(f"/proc/{self.plane.pids['kube-apiserver']}/cmdline").read_bytes().split(b"\0")[:-1]
        other = [
            f"--secure-port={self.port}",
            f"--audit-log-path={folder}/another-audit.log",
            f"--cert-dir={folder}/another",
        ]
        with (self.plane.logs / "another-kube-apiserver.log").open("ab") as log:
            command = [*(word.decode() for word in own), *other]  # the last of one name counts
            self._process = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + START_SECONDS
        while not self._ready():
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.address} isn't ready; see {self.plane.logs}")
            time.sleep(STEP_SECONDS)

    def kill(self) -> None:
        """End it at once."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _ready(self) -> bool:
        keys = self.plane.directory / "pki"
        api = Api(self.address, keys / "ca.crt", keys / "admin.crt", keys / "admin.key")
        try:
            return api.succeeds("/readyz")
        except OSError:
            return False
        finally:
            api.close()


@contextmanager
def another_server(plane: Plane) -> Iterator[AnotherServer]:
    """One that runs, until the block ends; beside a control plane of `Extent.API`, whose next port is free."""
    if plane.extent is not Extent.API:
        raise ValueError("only beside an API server alone: the ports of the other components are taken")
    server = AnotherServer(plane, (urlsplit(plane.server).port or 0) + 1)
    try:
        server.start()
        yield server
    finally:
        server.kill()
