"""What only the cluster changed, and what two commits make of each other without any cluster."""

import json
from pathlib import Path
from typing import Any

import pytest

from cli.exits import Exit
from cli.operator.plan import plan
from reconciler.errors import UsageError
from reconciler.kinds import CONFIG_MAP
from tests.repository import Repository, project
from tests.test_operator import on
from tests.world import World

KIM = {"user": "kim@example.org", "role": "viewer"}
LEE = {"user": "lee@example.org", "role": "researcher", "expires": "2020-01-01"}


@pytest.fixture
def applied(world: World) -> World:
    """Two projects as declared, one of them with access and a quota."""
    world.repository.declare(project("vision", members=[KIM], limits={"jobs": 5}), project("speech"))
    assert world.jobq("reconcile").code == 0
    return world


def drift(world: World) -> dict[str, str]:
    """Object -> why, of all that drifted."""
    run = world.jobq("drift", "--exit-code", "-o", "json")
    assert run.code in {Exit.DONE, Exit.PENDING}
    found = {f"{c['kind']} {c['namespace'] or c['name']}": c["because"] for c in run.json["changes"]}
    assert (run.code == Exit.PENDING) == bool(found)
    return found


def test_no_drift(applied: World) -> None:
    """What git declares since, an expiry that has come and another's fields are no drift."""
    assert drift(applied) == {}
    applied.repository.declare(
        project("vision", members=[LEE], limits={"jobs": 9}, displayName="Vision", clusterQueue="fake-shared"),
        project("art"),
    )
    applied.kubectl("label", "namespace", "vision", "example.org/theirs=yes")
    assert applied.jobq("plan", "--exit-code").code == Exit.REFUSED  # so there is much to do
    assert drift(applied) == {}


def test_drift(applied: World) -> None:
    """What was edited, removed, or made in our name is drift, with the client and the time where there is a trace."""
    applied.kubectl("patch", "quota", "-n", "vision", "jobq", "-p", '{"spec": {"hard": {"count/jobs.batch": "99"}}}')
    applied.kubectl("delete", "localqueue", "-n", "vision", "main")
    applied.kubectl("label", "namespace", "speech", "jobq.io/cluster-queue-")
    applied.kubectl("create", "rolebinding", "-n", "speech", "jobq:maintainer", "--clusterrole=view", "--user=eve")
    applied.repository.declare(project("vision", members=[LEE], displayName="Vision"), project("speech"))
    found = drift(applied)
    assert found.keys() == {"ResourceQuota vision", "LocalQueue vision", "Namespace speech", "RoleBinding speech"}
    assert "kubectl-patch" in found["ResourceQuota vision"]
    assert "deleted by someone" in found["LocalQueue vision"]
    assert applied.jobq("drift").code == 0


def test_drift_of_what_was_never_applied(applied: World) -> None:
    """A project that a run left out was never applied: that it isn't there is no drift."""
    applied.repository.declare(
        project("vision", displayName="Vision"), project("speech", displayName="Speech"), project("art")
    )
    assert applied.jobq("reconcile", "--only", "speech").code == 0
    assert drift(applied) == {}


def test_drift_before_anything(world: World, tmp_path: Path) -> None:
    """Where nothing was applied, or by another repository, there is nothing to compare with: exit 1, and why."""
    world.repository.declare(project("vision"))
    run = world.jobq("drift")
    assert (run.code, run.err.splitlines()[0]) == (1, "error: nothing is noted as applied to this cluster yet")
    world.reconcile()
    other = World(world.plane, Repository.new(tmp_path / "other"), world.kubeconfig)
    other.repository.declare(project("vision"), project("art"))
    run = other.jobq("drift")
    assert run.code == 1
    assert "the commit that was applied last, can't be read" in run.err


def test_drift_after_an_upgrade(applied: World) -> None:
    """Where another version of jobq has applied, it is said that its templates may differ."""
    state = applied.admin.get(CONFIG_MAP, "jobq.state", namespace="jobq-system")["data"]
    patch = json.dumps({"data": {**state, "version": "0.0.1"}})
    applied.kubectl("patch", "cm", "-n", "jobq-system", "jobq.state", "-p", patch)
    assert "note: jobq 0.0.1 has applied this" in applied.jobq("drift").out


# ------------------------------------------------------------------------------------------------ two commits


@pytest.fixture
def proposed(repository: Repository) -> Repository:
    """A branch main, and one beside it that takes kim's access, moves, archives and creates a project."""
    repository.declare(project("vision", members=[KIM]), project("speech"), project("music", members=[KIM]))
    repository.git("checkout", "--quiet", "-b", "proposal")
    repository.declare(project("vision", clusterQueue="fake-shared"), project("speech"), project("art"))
    return repository


BETWEEN = ["plan", "--from", "main", "--to", "proposal", "--offline"]


def test_two_commits(proposed: Repository) -> None:
    """What a proposal would do is told without a cluster, as for a live one; what stays is no change."""
    run = on(proposed, *BETWEEN, "-o", "json")
    assert run.code == 0
    kinds = {(effect["kind"], effect["project"]) for effect in run.json["effects"]}
    assert {("lost", "vision"), ("moved", "vision"), ("archived", "music"), ("created", "art")} <= kinds
    assert not [effect for effect in run.json["effects"] if effect["kind"] == "unfenced"]
    assert "speech" not in {change["project"] for change in run.json["changes"]}
    assert on(proposed, *BETWEEN, "--exit-code").code == Exit.PENDING
    only = on(proposed, *BETWEEN, "--only", "art", "-o", "json").json
    assert {change["project"] for change in only["changes"]} == {"art"}
    same = on(proposed, "plan", "--from", "main", "--to", "main", "--offline")
    assert same.out == "3 projects on demo: in sync, " + same.out.split("in sync, ")[1]


def test_proposed_templates(proposed: Repository) -> None:
    """Templates of a proposal are not run, however they burn: the earlier ones are used, and a person is called."""
    burning = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ 'x'.center(10**9) }}}\n"
    proposed.commit({"templates/project/burning.yaml.j2": burning})
    run = on(proposed, *BETWEEN)
    assert run.code == 0
    assert "note: templates changed, which a person must look at: templates/project/burning.yaml.j2" in run.out
    assert on(proposed, "plan", "--offline").code == 1


def test_proposal_that_is_none(proposed: Repository) -> None:
    """A proposal without any project is refused; one for another cluster is noted; problems are told with places."""
    proposed.declare(project("vision"), cluster="elsewhere")
    assert "note: jobq.toml names another cluster: demo before, elsewhere now" in on(proposed, *BETWEEN).out
    proposed.declare()
    assert on(proposed, *BETWEEN).code == Exit.REFUSED
    proposed.declare(project("vision").replace("gpu-shared", "GPU"))
    broken = on(proposed, *BETWEEN)
    assert (broken.code, "projects.d/vision.yaml:6:17" in broken.err) == (Exit.ERROR, True)


@pytest.mark.parametrize(
    "options",
    [
        {"before": "main"},
        {"after": "main", "offline": True},
        {"before": "main", "offline": True, "work_tree": True},
        {"before": "main", "offline": True, "ref": "main"},
        {"offline": True, "only": "nobody"},
    ],
)
def test_two_commits_misused(proposed: Repository, options: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    """Options that don't go together, and names that nobody has, are usage errors."""
    with pytest.raises(UsageError):
        plan(repo=proposed.root, **options)
    assert capsys.readouterr().out == ""
