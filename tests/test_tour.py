"""The README's five minutes, run as they stand there."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.controlplane.plane import ROOT, Plane
from tests.repository import scrubbed
from tests.run import PATIENCE_SECONDS
from tests.world import World

pytestmark = pytest.mark.xdist_group("life")


def tour() -> str:
    """The commands of the README's tour."""
    section = (ROOT / "README.md").read_text(encoding="utf-8").partition("### Five minutes\n")[2]
    [block] = re.findall(r"```sh\n(.*?)```", section.partition("\n### ")[0], re.DOTALL)
    return str(block)


def test_tour(living: World, whole_plane: Plane, tmp_path: Path) -> None:
    """Every command of the tour works as a member of the sample project, in a shell that ends at the first failure."""
    for folder, name in (("projects.d", "vision.yaml"), (".", "jobq.toml")):
        living.repository.write({f"{folder}/{name}": (ROOT / folder / name).read_bytes()})
    living.repository.commit()
    assert living.jobq("reconcile").code == 0
    (tmp_path / "bin").mkdir()
    shim = tmp_path / "bin" / "jobq"
    shim.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m cli.main "$@"\n', encoding="utf-8")
    shim.chmod(0o755)
    kubeconfig = whole_plane.member_kubeconfig("ann@example.org", ["oidc:vision"])
    environment = scrubbed()
    environment |= {
        "HOME": str(tmp_path),
        "KUBECONFIG": str(kubeconfig),
        "PATH": f"{shim.parent}:{environment['PATH']}",
    }
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", tour()],
        cwd=tmp_path,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=2 * PATIENCE_SECONDS,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for told in ("hello from the cluster", "training ['--lr', '1e-3']", "task 4", "Held", "is stopped", "is deleted"):
        assert told in done.stdout + done.stderr, told
