"""The operator's commands, end to end: what stdout, stderr and exit codes say."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from cli.operator.digests import digest_of
from reconciler.documents.yaml import read_template
from reconciler.errors import UsageError
from tests.controlplane.plane import ROOT
from tests.repository import Repository, project, scrubbed
from tests.run import Run
from tests.world import World

BROKEN = project("vision").replace("gpu-shared", "GPU")


def jobq(*words: str, **variables: str) -> Run:
    """Run a command that needs no cluster."""
    command = [sys.executable, "-m", "cli.main", *words]
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=scrubbed() | variables, cwd=ROOT)
    assert "Traceback" not in done.stdout + done.stderr
    return Run(done.returncode, done.stdout, done.stderr)


def on(repository: Repository, *words: str) -> Run:
    return jobq(*words, "--repo", str(repository.root))


# ------------------------------------------------------------------------------------------------ without a cluster


def test_the_repository_itself() -> None:
    """The projects that come with jobq have no problems."""
    assert jobq("validate").code == 0


def test_validate(repository: Repository) -> None:
    """What lies in the work tree is checked, committed or not; a problem is a line on stderr and exit 1."""
    repository.declare(project("vision"))
    good = jobq("validate", str(repository.root))
    assert (good.code, good.out, good.err) == (0, "1 project, no problems\n", "")
    repository.write({"projects.d/vision.yaml": BROKEN})
    bad = jobq("validate", str(repository.root))
    assert (bad.code, bad.out) == (1, "")
    place, error, hint = bad.err.splitlines()
    assert place.startswith("projects.d/vision.yaml:6:17: spec.clusterQueue: 'GPU' is no name")
    assert (error, hint) == ("error: 1 problem in the declared files", "hint: nothing was changed")
    found = jobq("validate", str(repository.root), "-o", "json")
    assert found.code == 1
    assert [(p["path"], p["line"], p["severity"]) for p in found.json["problems"]] == [
        ("projects.d/vision.yaml", 6, "error")
    ]


def test_validate_renders(repository: Repository) -> None:
    """A template of the work tree that breaks the fence is found before anything is planned."""
    repository.declare(project("vision"))
    repository.write({"templates/project/more.yaml.j2": "apiVersion: v1\nkind: Secret\nmetadata: {name: x}\n"})
    run = jobq("validate", str(repository.root))
    assert run.code == 1
    assert "templates/project/more.yaml.j2" in run.err
    assert "Secret is no kind a project may have" in run.err
    repository.write({"templates/bootstrap/more.yaml.j2": "apiVersion: v1\nkind: Secret\nmetadata: {name: x}\n"})
    found = jobq("validate", str(repository.root), "-o", "json")
    assert found.code == 1
    places = {(problem["path"], problem["severity"]) for problem in found.json["problems"]}
    assert places == {("templates/project/more.yaml.j2", "error"), ("templates/bootstrap", "error")}


def test_warnings_are_no_problems(repository: Repository) -> None:
    """A warning is told and costs nothing."""
    members = [{"user": "kim", "role": "viewer"}, {"user": "Kim", "role": "viewer"}]
    repository.declare(project("vision", members=members))
    run = jobq("validate", str(repository.root))
    assert run.code == 0
    assert "warning: Kim is a member already" in run.err


def test_render(repository: Repository) -> None:
    """Rendering prints what a kubectl could apply: of one project or all, as YAML or JSON, of the tree or a commit."""
    repository.declare(project("vision"), project("speech"))
    everything = on(repository, "render")
    assert everything.code == 0
    bodies = [document.value for document in read_template(everything.out, "stdout")]
    assert bodies == on(repository, "render", "-o", "json").json
    names = {body["metadata"]["labels"]["jobq.io/project"] for body in bodies}
    assert names == {"vision", "speech"}
    one = on(repository, "render", "vision", "-o", "json").json
    assert one == [body for body in bodies if body["metadata"]["labels"]["jobq.io/project"] == "vision"]
    repository.write({"projects.d/new.yaml": project("new")})
    assert "name: new" in on(repository, "render").out
    assert "name: new" not in on(repository, "render", "--ref", "HEAD").out


def test_render_of_nobody(repository: Repository) -> None:
    """A name that nobody has is a usage error, with the nearest that somebody has."""
    repository.declare(project("vision"))
    run = on(repository, "render", "visoin")
    assert run.code == 2
    assert run.err == "error: no project visoin is declared\nhint: did you mean vision?\n"


def test_plan_offline(repository: Repository) -> None:
    """Without a cluster a plan shows what an empty one would get, in three forms."""
    repository.declare(project("vision"))
    text = on(repository, "plan", "--offline")
    assert text.code == 0
    assert "vision: created" in text.out
    assert on(repository, "plan", "--offline", "-o", "markdown").out.startswith("**1 project on demo: ")
    changes = on(repository, "plan", "--offline", "-o", "json").json["changes"]
    assert {change["action"] for change in changes} == {"create"}
    assert on(repository, "plan", "--offline", "--exit-code").code == 3


@pytest.mark.parametrize(
    "words", ["yes", "3f9a2c71d04be85", "3f9a2c71d04be8567", "3F9A2C71D04BE856", "3f9a2c71d04be856\n"]
)
def test_no_digest(words: str) -> None:
    """What can't be a plan's digest is no approval that went stale, but a slip of whoever typed it."""
    with pytest.raises(UsageError, match="is no digest of a plan"):
        digest_of(words)


def test_approved_no_digest(repository: Repository) -> None:
    """It is refused before anything is read or asked, with the form that is meant."""
    for more in ([], ["--watch"]):
        run = on(repository, "reconcile", "--approved", "yes", *more)
        hint = "hint: 16 of the characters 0-9 and a-f, as a refused plan shows them: jobq plan\n"
        assert (run.code, run.err) == (2, f"error: 'yes' is no digest of a plan\n{hint}")


def test_uncommitted_is_told(repository: Repository) -> None:
    """What lies uncommitted is no part of a run over a commit, and is named."""
    repository.declare(project("vision"))
    repository.write({"projects.d/new.yaml": project("new")})
    run = on(repository, "plan", "--offline")
    assert "not committed, so no part of this run: projects.d/new.yaml" in run.err
    assert "project new" not in run.out
    assert "new: created" in on(repository, "plan", "--offline", "--work-tree").out
    assert on(repository, "plan", "--offline", "--work-tree", "--ref", "main").code == 2


def test_from_a_hook(repository: Repository, tmp_path: Path) -> None:
    """Called from a hook of another repository, the one that is named is read."""
    repository.declare(project("vision"))
    other = Repository.new(tmp_path / "other")
    other.declare(project("other"))
    gits = {"GIT_DIR": str(other.root / ".git"), "GIT_INDEX_FILE": str(other.root / ".git" / "index")}
    run = jobq("plan", "--offline", "--repo", str(repository.root), **gits)
    assert "vision: created" in run.out
    assert "other" not in run.out


@pytest.mark.parametrize("command", ["plan", "render", "reconcile", "bootstrap"])
def test_no_repository(tmp_path: Path, command: str) -> None:
    """A folder that is no repository: one error, one hint, exit 1."""
    run = jobq(command, "--repo", str(tmp_path))
    assert run.code == 1
    assert [line.split(": ")[0] for line in run.err.splitlines()] == ["error", "hint"]
    assert "not a git repository" in run.err


def test_bootstrap_shows(repository: Repository) -> None:
    """Without --apply what would be installed is printed, the note of the cluster's name last."""
    repository.declare(project("vision"))
    run = on(repository, "bootstrap")
    assert run.code == 0
    bodies = [document.value for document in read_template(run.out, "stdout")]
    assert bodies[0]["metadata"]["name"] == "jobq-system"
    assert bodies[-1]["data"]["name"] == "demo"
    for body in bodies:
        rules = body.get("rules", [])
        assert not [rule for rule in rules if "*" in [*rule["verbs"], *rule["resources"], *rule["apiGroups"]]]


# ------------------------------------------------------------------------------------------------ with a cluster


def test_plan_and_reconcile(world: World) -> None:
    """A plan writes nothing and says 3 where changes pend, if asked; a reconcile says what was done, in JSON too."""
    world.repository.declare(project("vision", members=[{"user": "kim@example.org", "role": "viewer"}]))
    since = world.plane.mark()
    planned = world.jobq("plan", "--exit-code", "-o", "json")
    assert planned.code == 3
    assert world.writes(since) == []
    assert world.jobq("plan").code == 0
    done = world.jobq("reconcile", "-o", "json")
    assert done.code == 0
    assert done.json["digest"] == planned.json["digest"]
    assert done.json["commit"] == world.repository.git("rev-parse", "HEAD")
    assert {change["result"] for change in done.json["changes"]} == {"created"}
    assert world.jobq("plan", "--exit-code").code == 0
    assert json.loads(world.jobq("plan", "-o", "json").out)["changes"] == []


def test_planner_alone(world: World) -> None:
    """An identity that may only read can plan a first run; it can't write."""
    world.repository.declare(project("vision"))
    role = ["--clusterrole=jobq-planner", "--user=reader@example.org"]
    world.kubectl("create", "clusterrolebinding", "test-reader", *role)
    world.kubectl("create", "rolebinding", "test-reader", "-n", "jobq-system", "--role=jobq-planner", role[1])
    try:
        reader = world.plane.member_kubeconfig("reader@example.org")
        planned = world.jobq("plan", kubeconfig=reader)
        assert (planned.code, "vision: created" in planned.out) == (0, True)
        refused = world.jobq("reconcile", kubeconfig=reader)
        assert refused.code == 1
        assert 'cannot get resource "leases"' in refused.err
    finally:
        world.kubectl("delete", "clusterrolebinding", "test-reader")
        world.kubectl("delete", "rolebinding", "-n", "jobq-system", "test-reader")
