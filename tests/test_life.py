"""The life of a project on a real API server: access that comes and goes, pause, move, archive, restore."""

from datetime import date, timedelta

import pytest

from reconciler.cluster import Body
from reconciler.kinds import SELF_SUBJECT_ACCESS_REVIEW
from reconciler.kube import connect
from reconciler.model import Action, ObjectRef, Report, Weight
from tests.repository import project
from tests.world import SUCCESSES, TODAY, World, eventually

KIM, LEE = "kim@example.org", "lee@example.org"
QUEUE = ObjectRef("kueue.x-k8s.io", "LocalQueue", "vision", "main")
ENTRY = ObjectRef("", "ConfigMap", "jobq-system", "vision")
BINDINGS = [
    ObjectRef("rbac.authorization.k8s.io", "RoleBinding", "vision", f"jobq:{role}")
    for role in ("viewer", "researcher", "maintainer")
]


def member(user: str, role: str = "researcher", **more: str) -> dict[str, str]:
    return {"user": user, "role": role, **more}


def of(report: Report) -> list[tuple[Action, str]]:
    return [(change.action, str(change.ref)) for change in report.plan.changes]


def effects(report: Report) -> list[str]:
    return [effect.text for effect in report.plan.effects]


def reconciled(world: World, today: date = TODAY) -> Report:
    """A pass, approved if that is asked for, all of which succeeds, and after which nothing is left to do."""
    report = world.reconcile(today)
    if report.verdict.refused:
        report = world.reconcile(today, approved=report.plan.disruption)
    assert report.applied
    assert [outcome.error for outcome in report.outcomes if outcome.result not in SUCCESSES] == []
    assert of(world.plan(today)) == []
    return report


def may(world: World, user: str, verb: str, resource: str, group: str = "batch") -> bool:
    """Whether the API server lets that person do it in vision; it is asked as that person."""
    cluster = connect(kubeconfig=str(world.plane.member_kubeconfig(user)))
    attributes = {"namespace": "vision", "verb": verb, "group": group, "resource": resource}
    kind = SELF_SUBJECT_ACCESS_REVIEW
    review: Body = {"apiVersion": kind.api_version, "kind": kind.kind, "spec": {"resourceAttributes": attributes}}
    allowed = cluster.create(kind, review)["status"]["allowed"]
    cluster.close()
    return bool(allowed)


# ------------------------------------------------------------------------------------------------ members


def test_members_come_and_go(world: World) -> None:
    """A member taken out of the file loses access for real, one put in gains it, and both are told."""
    world.repository.declare(project("vision", members=[member(KIM)]))
    reconciled(world)
    assert eventually(lambda: may(world, KIM, "create", "jobs"))
    assert not may(world, LEE, "list", "jobs")
    world.repository.declare(project("vision", members=[member(LEE)]))
    told = effects(reconciled(world))
    assert told == [f"{KIM} loses researcher in vision", f"{LEE} gains researcher in vision"]
    assert eventually(lambda: may(world, LEE, "create", "jobs"))
    assert eventually(lambda: not may(world, KIM, "list", "jobs"))


ROLES = {
    "viewer": (["list"], ["create", "delete"]),
    "researcher": (["list", "create", "delete"], []),
    "maintainer": (["list", "create", "delete"], []),
}


@pytest.mark.parametrize("role", ROLES)
def test_roles(world: World, role: str) -> None:
    """What each role may do with jobs; none may see Secrets, or give access to others."""
    yes, no = ROLES[role]
    world.repository.declare(project("vision", members=[member(KIM, role)]))
    reconciled(world)
    assert eventually(lambda: may(world, KIM, "get", "jobs"))
    assert [verb for verb in (*yes, *no) if may(world, KIM, verb, "jobs")] == yes
    assert not any(may(world, KIM, verb, "secrets", "") for verb in ("get", "list", "watch"))
    assert not may(world, KIM, "create", "rolebindings", "rbac.authorization.k8s.io")
    assert may(world, KIM, "delete", "pods", "") == (role == "maintainer")


def test_group(world: World) -> None:
    """A group's people have its role, under the very name that the file says."""
    world.repository.declare(project("vision", members=[{"group": "oidc:vision", "role": "viewer"}]))
    reconciled(world)
    cluster = connect(kubeconfig=str(world.plane.member_kubeconfig("ada", ["oidc:vision"])))
    attributes = {"namespace": "vision", "verb": "list", "group": "batch", "resource": "jobs"}
    kind = SELF_SUBJECT_ACCESS_REVIEW
    review: Body = {"apiVersion": kind.api_version, "kind": kind.kind, "spec": {"resourceAttributes": attributes}}
    assert eventually(lambda: bool(cluster.create(kind, review)["status"]["allowed"]))
    cluster.close()


def test_expiry(world: World) -> None:
    """Access lasts through the day of its expiry; the day after it is gone, without a change of the file."""
    world.repository.declare(project("vision", members=[member(KIM, expires=TODAY.isoformat()), member(LEE)]))
    reconciled(world)
    assert eventually(lambda: may(world, KIM, "list", "jobs"))
    report = reconciled(world, TODAY + timedelta(days=1))
    assert of(report) == [
        (Action.UPDATE, "ConfigMap jobq-system/vision"),
        (Action.UPDATE, "RoleBinding vision/jobq:researcher"),
    ]
    assert effects(report) == [f"{KIM} loses researcher in vision: it expired after {TODAY}"]
    assert report.plan.effects[0].weight is Weight.INFO
    assert eventually(lambda: not may(world, KIM, "list", "jobs"))
    assert may(world, LEE, "list", "jobs")


def test_last_member_expires(world: World) -> None:
    """A role whose last member has expired has no binding any more."""
    world.repository.declare(project("vision", members=[member(KIM, expires=TODAY.isoformat())]))
    reconciled(world)
    report = reconciled(world, TODAY + timedelta(days=1))
    assert of(report)[0] == (Action.DELETE, "RoleBinding vision/jobq:researcher")
    assert not world.live().keys() & set(BINDINGS)


# ------------------------------------------------------------------------------------------------ pause and move


@pytest.mark.parametrize(("when", "policy"), [("hold", "Hold"), ("drain", "HoldAndDrain")])
def test_pause(world: World, when: str, policy: str) -> None:
    """A pause is two changed fields: the queue's stop policy and the catalogue's state; access stays."""
    world.repository.declare(project("vision", members=[member(KIM)]))
    reconciled(world)
    world.repository.declare(project("vision", members=[member(KIM)], active=False, whenInactive=when))
    report = reconciled(world)
    live = world.live()
    assert live[QUEUE]["spec"]["stopPolicy"] == policy
    assert live[ENTRY]["data"]["state"] == "paused"
    assert [text for text in effects(report) if text.startswith("pauses project vision: ")] != []
    assert may(world, KIM, "list", "jobs")
    world.repository.declare(project("vision", members=[member(KIM)]))
    assert "resumes project vision: its jobs are admitted again" in effects(reconciled(world))
    assert world.live()[QUEUE]["spec"]["stopPolicy"] == "None"


def test_move(world: World) -> None:
    """Another ClusterQueue is one replace of the LocalQueue, planned as such; the rest is updated in place."""
    world.repository.declare(project("vision"))
    reconciled(world)
    before = world.live()[QUEUE]["metadata"]["uid"]
    world.repository.declare(project("vision", clusterQueue="fake-shared"))
    report = reconciled(world)
    replaced = [change for change in report.plan.changes if change.action is Action.REPLACE]
    assert [str(change.ref) for change in replaced] == ["LocalQueue vision/main"]
    assert replaced[0].because == "spec.clusterQueue can't be changed in place"
    assert {change.action for change in report.plan.changes} == {Action.REPLACE, Action.UPDATE}
    live = world.live()[QUEUE]
    assert live["spec"]["clusterQueue"] == "fake-shared"
    assert live["metadata"]["uid"] != before


def test_queue_that_is_not_there(world: World) -> None:
    """A ClusterQueue that isn't there is warned of, and the project made nevertheless."""
    world.repository.declare(project("vision", clusterQueue="gpu-sahred"))
    told = effects(reconciled(world))
    assert "vision: there is no ClusterQueue gpu-sahred; its jobs will wait until there is" in told


# ------------------------------------------------------------------------------------------------ archive and restore


def test_archive(world: World) -> None:
    """A removed file archives: queue held, bindings gone, entry archived with its date; namespace and the rest stay."""
    world.repository.declare(project("vision", displayName="Vision", members=[member(KIM)]), project("speech"))
    reconciled(world)
    before = world.live()
    world.repository.declare(project("speech"))
    report = world.reconcile()
    assert of(report) == [
        (Action.DELETE, "RoleBinding vision/jobq:researcher"),
        (Action.UPDATE, "ConfigMap jobq-system/vision"),
        (Action.UPDATE, "LocalQueue vision/main"),
    ]
    assert effects(report) == [
        "archives project vision: its queue is held and all access ends; data and jobs stay",
        f"{KIM} loses researcher in vision",
    ]
    live = world.live()
    assert live[QUEUE]["spec"]["stopPolicy"] == "Hold"
    assert live[ENTRY]["data"] | {"state": "archived", "archivedOn": TODAY.isoformat()} == live[ENTRY]["data"]
    assert live[ENTRY]["data"]["displayName"] == "Vision"
    assert before.keys() - live.keys() == set(BINDINGS) & before.keys()
    assert {ref for ref in live if live[ref] != before[ref]} == {QUEUE, ENTRY}
    assert eventually(lambda: not may(world, KIM, "list", "jobs"))


def test_archived_is_at_rest(world: World) -> None:
    """An archived project is planned as nothing, on later days too: the date is the day it was archived."""
    world.repository.declare(project("vision", members=[member(KIM)]), project("speech"))
    reconciled(world)
    world.repository.declare(project("speech"))
    reconciled(world)
    before = world.versions()
    assert of(reconciled(world, TODAY + timedelta(days=30))) == []
    assert world.versions() == before


def test_archived_stays_drained(world: World) -> None:
    """A project that drains when it is archived goes on draining: the stricter stop policy stays."""
    world.repository.declare(project("vision", active=False, whenInactive="drain"), project("speech"))
    reconciled(world)
    world.repository.declare(project("speech"))
    reconciled(world)
    assert world.live()[QUEUE]["spec"]["stopPolicy"] == "HoldAndDrain"


def test_archived_lets_nobody_in(world: World) -> None:
    """Access given by hand under our names in an archived project is taken away again."""
    world.repository.declare(project("vision", members=[member(KIM)]), project("speech"))
    reconciled(world)
    world.repository.declare(project("speech"))
    reconciled(world)
    role = "--clusterrole=jobq-project-viewer"
    world.kubectl("create", "rolebinding", "-n", "vision", "jobq:viewer", role, f"--user={LEE}")
    assert of(reconciled(world)) == [(Action.DELETE, "RoleBinding vision/jobq:viewer")]


def test_restore(world: World) -> None:
    """The file back restores the project, with its access; nothing of it happens without approval."""
    files = [project("vision", members=[member(KIM)]), project("speech")]
    world.repository.declare(*files)
    reconciled(world)
    world.repository.declare(files[1])
    reconciled(world)
    world.repository.declare(*files)
    before = world.versions()
    report = world.reconcile()
    assert report.verdict.refused
    assert not report.applied
    assert world.versions() == before
    assert "restores project vision: its members see all that it held" in effects(report)
    refused = world.jobq("reconcile")
    assert refused.code == 4
    stale = world.jobq("reconcile", "--approved", "0" * 16)
    assert (stale.code, world.versions()) == (4, before)
    done = world.jobq("reconcile", "--approved", report.plan.disruption)
    assert done.code == 0
    assert world.live()[ENTRY]["data"]["state"] == "active"
    assert "archivedOn" not in world.live()[ENTRY]["data"]
    assert eventually(lambda: may(world, KIM, "create", "jobs"))
    assert of(world.plan()) == []


def test_mass_removal(world: World) -> None:
    """More disrupted projects than the limit: all is refused, with the numbers, until that very plan is approved."""
    files = [project(f"p{number}", members=[member(KIM)]) for number in range(6)]
    world.repository.declare(*files)
    reconciled(world)
    world.repository.declare(*files[:3])
    before = world.versions()
    report = world.reconcile()
    assert report.verdict.refused
    assert "3 of 6 live projects would be disrupted; 1 may be (p3, p4, p5)" in report.verdict.refusals[0].text
    assert world.versions() == before
    world.repository.declare(*files[:2])  # the approval is of another plan by now
    again = world.reconcile(approved=report.plan.disruption)
    assert again.verdict.refused
    assert world.versions() == before
    world.repository.declare(*files[:3])
    assert world.reconcile(approved=report.plan.disruption).applied
    assert of(world.plan()) == []


def test_adding_to_a_refusal_allows_nothing(world: World) -> None:
    """A run that is refused stays refused with one more removal in it."""
    files = [project(f"p{number}") for number in range(6)]
    world.repository.declare(*files)
    reconciled(world)
    for left in range(4, 0, -1):
        world.repository.declare(*files[:left])
        assert world.plan().verdict.refused
