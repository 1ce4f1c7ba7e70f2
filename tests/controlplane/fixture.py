"""The session's control plane for pytest: one for all workers of a run, started by whoever needs it first.

It belongs to no worker: its supervisor ends when the last worker has let go of the file `users`, however that ended.
With JOBQ_PLANE, the folder of a running control plane, that one is used.
"""

import fcntl
import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from tests.controlplane import build
from tests.controlplane.plane import Extent, Plane, PlaneFailed, await_ready, launch
from tests.controlplane.supervisor import DESCRIPTION, SUPERVISOR_LOG

GIVEN: Final = "JOBQ_PLANE"
LEAVE_SECONDS: Final = 10.0


_LEFT: list[subprocess.Popen[bytes]] = []
"""Supervisors that other workers still use: kept, since a forgotten Popen of a running process is a warning."""


@pytest.fixture(scope="session")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plane]:
    """A whole control plane with the lab. Shared: use namespaces and cluster queues of your own."""
    if GIVEN in os.environ:
        yield Plane.at(Path(os.environ[GIVEN]))
        return
    base = tmp_path_factory.getbasetemp()
    with shared((base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "controlplane") as found:
        yield found


@contextmanager
def shared(folder: Path, extent: Extent = Extent.FULL) -> Iterator[Plane]:
    """The control plane of all who name the same `folder`.

    Raises:
        PlaneFailed: it could not be started, or ended while it was used.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "users").open("a") as users:
        fcntl.flock(users, fcntl.LOCK_SH)
        found, supervisor = _found_or_started(folder, extent)
        yield found
        if not (found.directory / DESCRIPTION).exists():
            log = found.directory / SUPERVISOR_LOG
            raise PlaneFailed(log.read_text(encoding="utf-8") if log.exists() else f"{found.directory} is gone")
    if supervisor and "PYTEST_XDIST_WORKER" not in os.environ:
        supervisor.wait(LEAVE_SECONDS)
    elif supervisor:
        _LEFT.append(supervisor)


def _found_or_started(folder: Path, extent: Extent) -> tuple[Plane, subprocess.Popen[bytes] | None]:
    where = folder / "directory"
    with (folder / "starting").open("a") as starting:
        fcntl.flock(starting, fcntl.LOCK_EX)
        if where.exists():
            directory = Path(where.read_text(encoding="utf-8"))
            if (directory / DESCRIPTION).exists():
                return Plane.at(directory), None
        build.programs(extent.modules)
        directory = Path(tempfile.mkdtemp(prefix="jobq-"))
        supervisor = launch(directory, extent, ["--until-unused", str(folder / "users")])
        if supervisor.stdin:
            supervisor.stdin.close()  # the file `users` says when it ends
        found = await_ready(directory, supervisor)
        where.write_text(str(directory), encoding="utf-8")
        return found, supervisor
