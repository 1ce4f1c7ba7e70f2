"""What is refused before the first write, on real git and a real API server: each with its way out."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from cli.exits import Exit
from reconciler.cluster import Body, Resource
from reconciler.cycle import VERSION
from reconciler.errors import PlanRefused
from reconciler.kinds import CONFIG_MAP
from reconciler.kube import KubeCluster
from reconciler.kubeconfig import find_access
from tests.repository import Repository, project, scrubbed
from tests.world import World

KIM = {"user": "kim@example.org", "role": "viewer"}
LEE = {"user": "lee@example.org", "role": "researcher"}


def data(world: World, note: str) -> dict[str, str]:
    found = world.admin.get(CONFIG_MAP, note, namespace="jobq-system")
    return dict(found.get("data") or {})


def may_run_jobs(world: World, user: str) -> bool:
    said = world.kubectl("auth", "can-i", "create", "jobs", "-n", "vision", f"--as={user}", fails=True)
    return said.startswith("yes")


def note(world: World, name: str, **values: str) -> None:
    """Change a note as its admin may."""
    world.kubectl("patch", "cm", "-n", "jobq-system", name, "-p", json.dumps({"data": values}))


def elsewhere(world: World, repository: Repository) -> World:
    """The same cluster, reconciled from another repository."""
    return World(world.plane, repository, world.kubeconfig)


def cloned(world: World, to: Path, *options: str) -> World:
    command = ["git", "clone", "--quiet", *options, world.repository.root.as_uri(), str(to)]
    subprocess.run(command, check=True, env=scrubbed(), capture_output=True)
    return elsewhere(world, Repository(to))


# ------------------------------------------------------------------------------------------------ the order of commits


@pytest.fixture
def advanced(world: World) -> World:
    """Two commits applied: the first, on branch old, with lee; the second without."""
    world.repository.declare(project("vision", members=[KIM, LEE]))
    world.repository.git("branch", "old")
    world.reconcile()
    world.repository.declare(project("vision", members=[KIM]))
    assert world.reconcile().applied
    return world


@pytest.mark.parametrize("options", [[], ["--depth", "1"]], ids=["whole", "shallow"])
def test_old_pipeline_runs_again(advanced: World, tmp_path: Path, options: list[str]) -> None:
    """An older commit is refused, from whatever clone, in plan and reconcile; whoever was removed gets nothing back."""
    old = cloned(advanced, tmp_path / "old", "--branch", "old", *options)
    before = advanced.versions()
    for command in ("plan", "reconcile"):
        run = old.jobq(command)
        assert run.code == Exit.REFUSED
        assert "is older than what was applied last" in run.out
        assert "--rewind" in run.out
        assert "lee@example.org" in run.out
    assert advanced.versions() == before
    assert not may_run_jobs(advanced, "lee@example.org")


def test_rewind(advanced: World) -> None:
    """With --rewind the step back is made, and noted: afterwards that commit is the last."""
    advanced.repository.git("checkout", "--quiet", "old")
    assert advanced.jobq("reconcile", "--rewind").code == 0
    assert may_run_jobs(advanced, "lee@example.org")
    assert data(advanced, "jobq.state") == {"commit": advanced.repository.git("rev-parse", "old"), "version": VERSION}
    assert advanced.jobq("reconcile").code == 0


def test_newest_commit_from_a_shallow_clone(advanced: World, tmp_path: Path) -> None:
    """A clone of the newest commit alone is deepened; where it can't be, the run is refused, saying how to clone."""
    advanced.repository.declare(project("vision", members=[KIM], displayName="Vision"))
    new = cloned(advanced, tmp_path / "new", "--depth", "1")
    away = cloned(advanced, tmp_path / "away", "--depth", "1")
    away.repository.git("remote", "remove", "origin")
    refused = away.jobq("reconcile")
    assert refused.code == Exit.REFUSED
    assert "this clone is shallow" in refused.out
    assert "git fetch --unshallow" in refused.out
    assert "fetch-depth: 0" in refused.out
    assert new.jobq("reconcile").code == 0


def test_another_repository(advanced: World, tmp_path: Path) -> None:
    """A second projects repository for one cluster is refused, and called what it is."""
    other = elsewhere(advanced, Repository.new(tmp_path / "other"))
    other.repository.declare(project("vision", members=[LEE]), project("art"))
    run = other.jobq("reconcile")
    assert run.code == Exit.REFUSED
    assert "another repository" in run.out
    assert "a cluster has one projects repository" in run.out
    assert "art" not in {ref.name for ref in advanced.live()}


def test_history_rewritten(advanced: World) -> None:
    """A commit that takes the place of the applied one is refused until it is meant."""
    advanced.repository.git("reset", "--quiet", "--hard", "HEAD^")
    advanced.repository.declare(project("vision", members=[KIM], displayName="Vision"))
    run = advanced.jobq("reconcile")
    assert run.code == Exit.REFUSED
    assert "doesn't come after" in run.out
    assert advanced.jobq("reconcile", "--rewind").code == 0


def test_note_that_says_nothing(advanced: World) -> None:
    """A note without a commit, or with no commit's id, leaves nobody knowing: refused, and renewed by --rewind."""
    note(advanced, "jobq.state", commit="main")
    advanced.repository.declare(project("vision", members=[KIM], displayName="Vision"))
    assert advanced.jobq("reconcile").code == Exit.REFUSED
    assert advanced.jobq("reconcile", "--rewind").code == 0
    assert data(advanced, "jobq.state")["commit"] == advanced.repository.git("rev-parse", "HEAD")


def test_commit_that_changes_nothing(advanced: World) -> None:
    """A later commit without a change for the cluster writes nothing, not even the note; a work tree has no order."""
    state = data(advanced, "jobq.state")
    advanced.repository.commit({"README.md": "more\n"})
    since = advanced.plane.mark()
    assert advanced.jobq("reconcile").code == 0
    assert advanced.writes(since) == []
    assert data(advanced, "jobq.state") == state
    advanced.repository.git("checkout", "--quiet", "old")
    assert advanced.jobq("plan", "--work-tree").code == 0


def test_older_jobq(advanced: World) -> None:
    """Where a newer jobq has reconciled, this one is refused, unless the step back is meant, which is noted."""
    note(advanced, "jobq.state", version="99.0.1")
    for command in ("plan", "reconcile"):
        run = advanced.jobq(command)
        assert run.code == Exit.REFUSED
        assert f"jobq 99.0.1 has reconciled here; this is {VERSION}" in run.out
    assert advanced.jobq("reconcile", "--allow-older").code == 0
    assert advanced.jobq("reconcile").code == 0


class Overtaken(KubeCluster):
    """A cluster in which something happens just before the note of the applied commit is written."""

    def __init__(self, kubeconfig: Path, before: Callable[[Body], None]) -> None:
        super().__init__(find_access(kubeconfig=str(kubeconfig)))
        self._before = before

    def apply(self, resource: Resource, body: Body, *, dry_run: bool = False) -> Body:
        """As always, but later than something else."""
        if body["metadata"]["name"] == "jobq.state":
            self._before(body)
        return super().apply(resource, body, dry_run=dry_run)


def test_overtaken_by_another_commit(advanced: World) -> None:
    """Where another run notes another commit between plan and apply, nothing of this one is written."""
    advanced.repository.declare(project("vision", members=[KIM, LEE]))

    def other(_: Body) -> None:
        note(advanced, "jobq.state", commit="f" * 40)

    before = advanced.versions()
    with pytest.raises(PlanRefused, match="another run has applied commit ffff"):
        advanced.reconcile(cluster=Overtaken(advanced.kubeconfig, other))
    assert advanced.versions() == before


def test_overtaken_by_the_same_commit(advanced: World) -> None:
    """Two runs of one commit at once both go on."""
    advanced.repository.declare(project("vision", members=[KIM, LEE]))

    def same(body: Body) -> None:
        advanced.cluster.apply(CONFIG_MAP, body)

    assert advanced.reconcile(cluster=Overtaken(advanced.kubeconfig, same)).applied
    assert may_run_jobs(advanced, "lee@example.org")
