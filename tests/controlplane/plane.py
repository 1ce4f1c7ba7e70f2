"""A control plane to use from Python: `with start() as plane: ...`."""

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.controlplane import audit, build, pki
from tests.controlplane.api import Api, Refused
from tests.controlplane.supervisor import DESCRIPTION, LOCK, SUPERVISOR_LOG, Extent

ROOT: Final = Path(__file__).parents[2]
START_SECONDS: Final = 120.0
STOP_SECONDS: Final = 30.0
STEP_SECONDS: Final = 0.02
SETTLE_SECONDS: Final = 10.0


class PlaneFailed(Exception):
    """The control plane could not be started, or ended by itself; the message is its supervisor's."""


@dataclass(frozen=True, slots=True)
class Plane:
    """A running control plane; everything that its folder says about it."""

    directory: Path
    server: str
    extent: Extent
    supervisor: int
    pids: Mapping[str, int]
    programs: Mapping[str, Path]

    @classmethod
    def at(cls, directory: Path) -> "Plane":
        """The control plane that runs in `directory`.

        Raises:
            PlaneFailed: none is ready there.
        """
        try:
            said = json.loads((directory / DESCRIPTION).read_bytes())
        except FileNotFoundError:
            raise PlaneFailed(f"no control plane is ready in {directory}") from None
        programs = {name: Path(path) for name, path in said["programs"].items()}
        return cls(directory, said["server"], Extent(said["extent"]), said["supervisor"], said["pids"], programs)

    @property
    def kubeconfig(self) -> Path:
        """The administrator's."""
        return self.directory / "admin.kubeconfig"

    @property
    def audit_log(self) -> Path:
        """See the module `audit`."""
        return self.directory / "audit.log"

    @property
    def logs(self) -> Path:
        """The folder of the components' logs."""
        return self.directory / "logs"

    @property
    def kubectl(self) -> Path:
        """A kubectl of the server's version."""
        return self.programs["kubernetes"] / "kubectl"

    def member_kubeconfig(self, user: str, groups: Sequence[str] = (), namespace: str = "default") -> Path:
        """A kubeconfig of `user` in `groups`, by a client certificate; made anew at each call."""
        authority = pki.Authority(pki.Pair.read(self.directory / "pki", "ca"))
        pair = authority.client(user, groups)
        return self._kubeconfig(user, pair, namespace, [user, *groups, namespace])

    def service_account_kubeconfig(self, namespace: str, name: str, seconds: int = 3600) -> Path:
        """A kubeconfig of an existing service account, by a token that is valid for `seconds` (600 at least).

        Raises:
            Refused: there is no such service account.
        """
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token"
        body = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"expirationSeconds": seconds},
        }
        with self.api() as api:
            token: str = api.call("POST", path, body)["status"]["token"]
        return self._kubeconfig(f"system:serviceaccount:{namespace}:{name}", token, namespace, [namespace, name])

    @contextmanager
    def api(self) -> Iterator[Api]:
        """A connection as administrator."""
        keys = self.directory / "pki"
        api = Api(self.server, keys / "ca.crt", keys / "admin.crt", keys / "admin.key")
        try:
            yield api
        finally:
            api.close()

    def mark(self) -> int:
        """A place in the audit log behind every request that was answered before: the `since` of `requests`.

        Raises:
            TimeoutError: the API server doesn't write its audit log.
        """
        sign = f"/version?mark={uuid.uuid4().hex}"
        start = audit.end(self.audit_log)
        with self.api() as api:
            api.call("GET", sign)
        deadline = time.monotonic() + SETTLE_SECONDS
        while time.monotonic() < deadline:
            if any(request.uri == sign for request in audit.requests(self.audit_log, start)):
                return audit.end(self.audit_log)
            time.sleep(STEP_SECONDS)
        raise TimeoutError(f"{self.audit_log} does not show a request made {SETTLE_SECONDS:.0f} s ago")

    def requests(
        self, since: int = 0, *, user: str | None = None, user_agent: str | None = None
    ) -> list[audit.Request]:
        """All requests answered since a `mark`, by one user or user agent: see `audit.requests`."""
        self.mark()
        found = audit.requests(self.audit_log, since, user=user, user_agent=user_agent)
        return [request for request in found if not request.uri.startswith("/version?mark=")]

    @contextmanager
    def paused(self, component: str) -> Iterator[None]:
        """An outage of one component: it stops answering, and goes on at the end of the block."""
        os.kill(self.pids[component], signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.pids[component], signal.SIGCONT)

    def _kubeconfig(self, user: str, credentials: pki.Pair | str, namespace: str, parts: Sequence[str]) -> Path:
        folder = self.directory / "kubeconfigs"
        folder.mkdir(exist_ok=True)
        readable = re.sub(r"[^A-Za-z0-9.@-]+", "-", user)
        digest = hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:8]
        path = folder / f"{readable}-{digest}.kubeconfig"
        authority = (self.directory / "pki" / "ca.crt").read_bytes()
        pki.write_private(path, pki.kubeconfig(self.server, authority, user, credentials, namespace))
        return path


@contextmanager
def start(extent: Extent = Extent.FULL, *, lab: bool = True) -> Iterator[Plane]:
    """A control plane of one's own, in a temporary folder; it ends with the block, and with this process.

    Raises:
        build.BuildError: a program can't be built.
        PlaneFailed: it could not be started, or ended before the block did.
    """
    build.programs(extent.modules)
    directory = Path(tempfile.mkdtemp(prefix="jobq-"))
    supervisor = launch(directory, extent, ["--while-stdin"], lab=lab)
    try:
        yield await_ready(directory, supervisor)
        if supervisor.poll() is not None:
            raise PlaneFailed(_said(directory))
    finally:
        _end(supervisor)


def launch(directory: Path, extent: Extent, until: Sequence[str], *, lab: bool = True) -> subprocess.Popen[bytes]:
    """Start a supervisor in a session of its own; `until` are the options that say when it ends.

    It is stopped by SIGTERM, and removes `directory` at its end unless something failed. Its standard input is a pipe.
    """
    command = [sys.executable, "-m", "tests.controlplane", "up", "--dir", str(directory), "--temporary"]
    options = [*extent.options, *([] if lab else ["--no-lab"]), *until]
    (directory / LOCK).touch()
    with (directory / SUPERVISOR_LOG).open("wb") as log:
        return subprocess.Popen(
            [*command, *options],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def await_ready(directory: Path, supervisor: subprocess.Popen[bytes]) -> Plane:
    """The control plane, once it is ready.

    Raises:
        PlaneFailed: it ended before, with what its supervisor said.
    """
    deadline = time.monotonic() + START_SECONDS
    while not (directory / DESCRIPTION).exists():
        if supervisor.poll() is not None:
            raise PlaneFailed(_said(directory))
        if time.monotonic() > deadline:
            raise PlaneFailed(f"not ready within {START_SECONDS:.0f} s; see {directory}")
        time.sleep(STEP_SECONDS)
    return Plane.at(directory)


def _end(supervisor: subprocess.Popen[bytes]) -> None:
    supervisor.terminate()
    if supervisor.stdin:
        supervisor.stdin.close()
    try:
        supervisor.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        supervisor.kill()  # its components die with it
        supervisor.wait()


def _said(directory: Path) -> str:
    try:
        return (directory / SUPERVISOR_LOG).read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return f"the control plane in {directory} was stopped"


__all__ = ["Extent", "Plane", "PlaneFailed", "Refused", "await_ready", "launch", "start"]
