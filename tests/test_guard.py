"""What is refused before the first write, on real git and a real API server: each with its way out."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from cli.exits import Exit, weightiest
from cli.operator.shown import exit_code
from reconciler.cluster import Body, Resource
from reconciler.cycle import VERSION
from reconciler.errors import PlanRefused
from reconciler.kinds import CONFIG_MAP
from reconciler.kube import KubeCluster
from reconciler.kubeconfig import find_access
from reconciler.model import ObjectRef
from reconciler.notes import Approval, approval_note
from reconciler.planned import Action, Change, Outcome, Plan, Refusal, Report, Result, Verdict
from reconciler.report import summary
from reconciler.terms import Terms
from tests.controlplane.plane import ROOT
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
    assert "a cluster has one repository" in run.out
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
    advanced.repository.declare(project("vision", members=[KIM], displayName="Vision"))
    for commit, said in (("main", "main, the commit that was applied last, isn't here"), ("", "doesn't say which")):
        note(advanced, "jobq.state", commit=commit)
        run = advanced.jobq("reconcile")
        assert (run.code, said in run.out) == (Exit.REFUSED, True)
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


# ------------------------------------------------------------------------------------------------ approval


@pytest.fixture
def disrupting(world: World) -> World:
    """Three projects applied; the commit now at HEAD takes everybody's access in all of them."""
    names = ["vision", "speech", "art"]
    world.repository.declare(*(project(name, members=[KIM]) for name in names))
    world.reconcile()
    world.repository.declare(*(project(name, members=[LEE]) for name in names))
    world.kubectl("delete", "cm", "-n", "jobq-system", "jobq.approval", "--ignore-not-found")
    return world


def approve(world: World, digest: str, kubeconfig: Path | None = None) -> tuple[int, str]:
    command = [sys.executable, "-m", "cli.main", "approve", digest]
    where = ["--kubeconfig", str(kubeconfig or world.plane.kubeconfig)]
    done = subprocess.run([*command, *where], check=False, capture_output=True, text=True, env=scrubbed(), cwd=ROOT)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout + done.stderr


def test_approve(disrupting: World) -> None:
    """What an admin approves goes through by whoever starts it; a plan that has changed since does not."""
    digest = disrupting.plan().plan.disruption
    code, said = approve(disrupting, digest)
    assert (code, f"{digest} (by " in said) == (0, True)
    [noted] = data(disrupting, "jobq.approval").items()
    assert noted[0] == digest
    assert json.loads(noted[1])["by"] in said
    disrupting.repository.declare(project("vision"), project("speech"), project("art", members=[KIM]))
    other = disrupting.jobq("reconcile")
    assert (other.code, f"approved is another plan: {digest} (by " in other.out) == (Exit.REFUSED, True)
    code, _ = approve(disrupting, "0123456789abcdef")
    assert data(disrupting, "jobq.approval").keys() == {digest, "0123456789abcdef"}
    disrupting.repository.declare(*(project(name, members=[LEE]) for name in ("vision", "speech", "art")))
    assert disrupting.jobq("reconcile").code == 0


def test_reconciler_approves_nothing(disrupting: World) -> None:
    """The reconciler's own identity can't approve what it wants to do; nor can somebody who is no admin."""
    digest = disrupting.plan().plan.disruption
    for kubeconfig in (disrupting.kubeconfig, disrupting.plane.member_kubeconfig("kim@example.org")):
        code, said = approve(disrupting, digest, kubeconfig)
        assert (code, "can't" in said) == (1, True)
    assert disrupting.jobq("reconcile").code == Exit.REFUSED


def test_what_is_no_approval(disrupting: World) -> None:
    """An approval that is too old approves nothing, and the next one clears it away; so little does a strange entry."""
    digest = disrupting.plan().plan.disruption
    old = Approval(datetime(2026, 12, 24, 12, tzinfo=UTC), "kim@example.org", digest)
    written = disrupting.admin.apply(CONFIG_MAP, approval_note([old], None))
    assert disrupting.plan().verdict.refused
    recent = replace(old, at=datetime(2027, 1, 8, tzinfo=UTC))
    written = disrupting.admin.apply(CONFIG_MAP, approval_note([recent], written))
    assert not disrupting.plan().verdict.refused
    disrupting.admin.apply(CONFIG_MAP, approval_note([old], written))
    assert approve(disrupting, "0123456789abcdef")[0] == 0
    assert data(disrupting, "jobq.approval").keys() == {"0123456789abcdef"}
    for said in (json.dumps({"by": "kim@example.org", "at": "2027-01-14"}), "yes", "[]", json.dumps({"by": "x"})):
        note(disrupting, "jobq.approval", **{digest: said})
        assert disrupting.plan().verdict.refused, said


def test_approve_no_digest(world: World) -> None:
    """What isn't a digest is a usage error before anything is asked."""
    since = world.plane.mark()
    code, said = approve(world, "yes")
    assert (code, "'yes' is no digest of a plan" in said) == (Exit.USAGE, True)
    assert world.asked(since) == []


def test_what_no_approval_helps(disrupting: World) -> None:
    """A wrong cluster, an empty folder, a commit out of order and a foreign namespace can't be approved away."""
    digest = disrupting.plan().plan.disruption
    assert approve(disrupting, digest)[0] == 0
    disrupting.repository.declare(cluster="demo")
    assert disrupting.jobq("reconcile", "--approved", digest).code == Exit.REFUSED
    disrupting.repository.declare(project("vision"), cluster="elsewhere")
    assert disrupting.jobq("reconcile", "--approved", digest).code == Exit.REFUSED
    disrupting.repository.git("checkout", "--quiet", "--orphan", "other")
    disrupting.repository.declare(*(project(name, members=[LEE]) for name in ("vision", "speech", "art")))
    run = disrupting.jobq("reconcile", "--approved", digest)
    assert (run.code, "another repository" in run.out) == (Exit.REFUSED, True)


# ------------------------------------------------------------------------------------------------ held projects


def annotate(world: World, **notes: str) -> None:
    said = [f"jobq.io/{name.replace('_', '-')}={value}" for name, value in notes.items()]
    world.kubectl("annotate", "namespace", "vision", "--overwrite", *said)


@pytest.fixture
def repaired(world: World) -> World:
    """A project whose access git changes while somebody repairs it by hand, and another one."""
    world.repository.declare(project("vision", members=[KIM, LEE]), project("speech"))
    world.reconcile()
    world.kubectl("label", "cm", "-n", "jobq-system", "vision", "by-hand=yes")
    world.kubectl("patch", "sa", "-n", "vision", "jobq-runner", "-p", '{"automountServiceAccountToken": true}')
    world.repository.declare(project("vision", members=[KIM]), project("speech", displayName="Speech"))
    return world


def effects(world: World, kind: str) -> list[str]:
    return [str(effect) for effect in world.plan().plan.effects if effect.kind == kind]


def test_held(repaired: World) -> None:
    """A held project is left as it is through that day, and reported: by what client, why, and who keeps access."""
    annotate(repaired, hold_until="2027-01-18", hold_reason="network repair")
    report = repaired.reconcile()
    assert {change.project for change in report.plan.changes} == {"speech"}
    [text] = effects(repaired, "held")
    assert "held through 2027-01-18 (by kubectl-annotate, 20" in text
    assert "network repair" in text
    assert "differing from git" in text
    assert effects(repaired, "kept") == [
        "lee@example.org in vision: keeps researcher while the project is held, though git has withdrawn it"
    ]
    assert may_run_jobs(repaired, "lee@example.org")
    assert exit_code(report) == Exit.DONE
    again = repaired.reconcile(date(2027, 1, 18))
    assert again.plan.changes == ()
    assert summary(again).endswith(" unchanged, 1 on hold")
    assert "in sync" not in summary(again)
    assert exit_code(repaired.plan(date(2027, 1, 18)), pending=True) == Exit.DONE
    [held] = [effect for effect in again.plan.effects if effect.kind == "held"]
    assert held.counts["differing from git"] > 0
    assert exit_code(repaired.plan(date(2027, 1, 19)), pending=True) == Exit.PENDING
    assert repaired.reconcile(date(2027, 1, 19)).plan.changes
    assert not may_run_jobs(repaired, "lee@example.org")
    [past] = [effect for effect in repaired.plan(date(2027, 1, 19)).plan.effects if effect.kind == "held"]
    assert "2027-01-18 is past, and ignored" in str(past)
    assert past.way_out == "kubectl annotate namespace vision jobq.io/hold-until-"


@pytest.mark.parametrize("said", ["tomorrow", "2027-02-30", "20270114", "", "2027-01-14T10:00:00Z"])
def test_malformed_hold(repaired: World, said: str) -> None:
    """What names no day holds, and is reported with how a day is written."""
    annotate(repaired, hold_until=said)
    assert {change.project for change in repaired.reconcile().plan.changes} == {"speech"}
    [text] = effects(repaired, "held")
    assert "held for good, since jobq.io/hold-until names no day (as 2027-01-15 does)" in text
    assert repr(said) in text


def test_hold_far_ahead(repaired: World) -> None:
    """A hold of years holds, and is reported as such."""
    annotate(repaired, hold_until="2037-01-15")
    assert "through 2037-01-15, more than 90 days ahead" in effects(repaired, "held")[0]


def test_held_and_no_longer_declared(repaired: World) -> None:
    """A held project whose file is gone isn't archived, not even by approval, and whoever has access keeps it."""
    annotate(repaired, hold_until="2027-01-18")
    repaired.repository.declare(project("speech"))
    report = repaired.reconcile(terms=Terms(approved=repaired.plan().plan.disruption))
    assert not [change for change in report.plan.changes if change.project == "vision"]
    assert sorted(effects(repaired, "kept")) == [
        "kim@example.org in vision: keeps viewer while the project is held, though git has withdrawn it",
        "lee@example.org in vision: keeps researcher while the project is held, though git has withdrawn it",
    ]
    assert repaired.reconcile(date(2027, 1, 19)).plan.disrupted == ["vision"]


# ------------------------------------------------------------------------------------------------ some projects only


def test_only(world: World) -> None:
    """A run about some projects leaves all others as they are, missing, different or undeclared."""
    world.repository.declare(project("vision"), project("speech"), project("art"))
    world.jobq("reconcile", "--only", "vision, speech")
    assert {ref.namespace for ref in world.live() if ref.kind == "LocalQueue"} == {"vision", "speech"}
    world.repository.declare(project("vision", displayName="Vision"), project("art"))
    planned = world.jobq("plan", "--only", "vision", "-o", "json").json
    assert {change["project"] for change in planned["changes"]} == {"vision"}
    assert world.jobq("reconcile", "--only", "vision").code == 0
    assert data(world, "speech")["state"] == "active"
    assert world.jobq("reconcile", "--only", "speech").code == 0
    assert data(world, "speech")["state"] == "archived"


def test_only_of_nobody(world: World) -> None:
    """A name that is neither declared nor live is a usage error with the nearest; so is no name at all."""
    world.repository.declare(project("vision"))
    run = world.jobq("plan", "--only", "visoin")
    assert (run.code, run.err.splitlines()[1]) == (Exit.USAGE, "hint: did you mean vision?")
    assert world.jobq("reconcile", "--only", ",").code == Exit.USAGE


def test_only_and_the_whole(advanced: World, tmp_path: Path) -> None:
    """What is refused as a whole is refused for one project too: an empty folder, an older commit."""
    old = cloned(advanced, tmp_path / "old", "--branch", "old")
    assert old.jobq("reconcile", "--only", "vision").code == Exit.REFUSED
    advanced.repository.declare()
    assert advanced.jobq("reconcile", "--only", "vision").code == Exit.REFUSED


MOVED = {
    "renamed": {"projects/vision.yaml": project("vision")},
    "in a subfolder": {"projects.d/team/vision.yaml": project("vision")},
    "without settings": {"projects.d/vision.yaml": project("vision")},
}


@pytest.mark.parametrize("how", MOVED)
def test_declarations_are_gone(world: World, how: str) -> None:
    """A folder renamed, files moved into a subfolder, settings removed: no run writes, whatever it is about."""
    world.repository.declare(project("vision"), project("speech"))
    world.reconcile()
    digest = "0123456789abcdef"
    shutil.rmtree(world.repository.root / "projects.d")
    if how == "without settings":
        (world.repository.root / "jobq.toml").unlink()
    world.repository.commit(MOVED[how])
    before = world.versions()
    for words in (["plan"], ["reconcile"], ["reconcile", "--only", "vision"], ["reconcile", "--approved", digest]):
        assert world.jobq(*words).code == (Exit.REFUSED if how == "renamed" else Exit.ERROR)
    assert world.versions() == before


# ------------------------------------------------------------------------------------------------ exit codes

PLAN = Plan("c", "demo", (), (), (), 0, 1, "", 1, (), (), "")
CHANGE = Change(ObjectRef("", "Namespace", "", "vision"), Action.CREATE, "vision", "declared", {})
FAILED, DONE = Outcome(CHANGE, Result.FAILED, "no"), Outcome(CHANGE, Result.CREATED)
SKIPPED_PROJECT = Verdict((Refusal("taken", "choose another name", "vision"),))
REFUSED = Verdict((Refusal("too many", "approve"),))
EARNED = {
    "in sync": (Report(PLAN, Verdict()), Exit.DONE),
    "done": (Report(PLAN, Verdict(), (DONE,), applied=True), Exit.DONE),
    "pending": (Report(replace(PLAN, changes=(CHANGE,)), Verdict()), Exit.PENDING),
    "one project refused": (Report(PLAN, SKIPPED_PROJECT, (DONE,), applied=True), Exit.REFUSED),
    "refused": (Report(replace(PLAN, changes=(CHANGE,)), REFUSED), Exit.REFUSED),
    "one kind unread": (Report(replace(PLAN, unlisted=["Service"]), Verdict()), Exit.PARTLY),
    "partly failed and refused": (Report(PLAN, SKIPPED_PROJECT, (DONE, FAILED), applied=True), Exit.PARTLY),
    "interrupted": (Report(PLAN, SKIPPED_PROJECT, (DONE, FAILED), applied=True, interrupted=True), Exit.INTERRUPTED),
}


@pytest.mark.parametrize("what", EARNED)
def test_exit_codes(what: str) -> None:
    """What a run earns by --exit-code: the weightiest of all that holds."""
    report, code = EARNED[what]
    assert exit_code(report, pending=True) == code


def test_precedence() -> None:
    """Of several codes: an interruption, then an error, then partly, then refused, then pending."""
    ranked = [Exit.INTERRUPTED, Exit.ERROR, Exit.PARTLY, Exit.REFUSED, Exit.PENDING, Exit.DONE]
    for place, code in enumerate(ranked):
        assert weightiest(ranked[place:]) is code
        assert weightiest(reversed(ranked[place:])) is code
    assert weightiest([]) is Exit.DONE
