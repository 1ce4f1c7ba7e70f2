"""A project's life on a real control plane: paused, archived, restored, moved, expired; and the guard on all of it."""

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from reconciler.errors import ClusterError
from reconciler.kinds import CONFIG_MAP, JOB, LOCAL_QUEUE, POD, POD_PRIORITY_CLASS, PRIORITY_CLASS, WORKLOAD
from reconciler.kube import connect
from reconciler.planned import EffectKind, Report, Weight
from reconciler.terms import Terms
from tests.repository import project
from tests.stage import Stage
from tests.world import SUCCESSES, TODAY, World, eventually

pytestmark = pytest.mark.xdist_group("life")
MEMBERS = [{"user": "kim@example.org", "role": "researcher"}, {"group": "oidc:vision", "role": "viewer"}]
VISION = project("vision", members=MEMBERS)
SPEECH = project("speech", members=[{"group": "oidc:speech", "role": "researcher"}])


def job(name: str, namespace: str, cpu: str, seconds: int) -> dict[str, Any]:
    container = {
        "name": "main",
        "image": "example.org/sleep:1",
        "command": ["sleep", str(seconds)],
        "resources": {"requests": {"cpu": cpu}},
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": namespace, "labels": {"kueue.x-k8s.io/queue-name": "main"}},
        "spec": {"suspend": True, "template": {"spec": {"restartPolicy": "Never", "containers": [container]}}},
    }


def running(world: World, namespace: str) -> set[str]:
    """The jobs with a pod at work that nobody has asked to end."""
    pods = [pod for pod in world.admin.list(POD, namespace=namespace).items if pod["status"].get("phase") == "Running"]
    return {pod["metadata"]["labels"]["job-name"] for pod in pods if "deletionTimestamp" not in pod["metadata"]}


def stop_policy(world: World, namespace: str) -> str:
    return str(world.admin.get(LOCAL_QUEUE, "main", namespace=namespace)["spec"]["stopPolicy"])


def admitted(world: World, namespace: str) -> list[str]:
    """The ClusterQueue of each Workload that is there; "" for one that waits."""
    found = world.admin.list(WORKLOAD, namespace=namespace).items
    return [one.get("status", {}).get("admission", {}).get("clusterQueue", "") for one in found]


def queues(world: World, namespace: str) -> set[str]:
    return {body["metadata"]["name"] for body in world.admin.list(LOCAL_QUEUE, namespace=namespace).items}


def texts(report: Report, weight: Weight) -> list[str]:
    return [str(effect) for effect in report.plan.effects if effect.weight is weight]


def may(world: World, user: str, verb: str, namespace: str) -> bool:
    said = world.kubectl("auth", "can-i", verb, "jobs", "--namespace", namespace, f"--as={user}", fails=True)
    return said.startswith("yes")


def catalogue(world: World, name: str) -> dict[str, str]:
    return dict(world.admin.get(CONFIG_MAP, name, namespace="jobq-system")["data"])


def test_queue_move(living: World) -> None:
    """A project that moves to another ClusterQueue keeps its running job; its waiting one goes to the new queue."""
    living.repository.declare(project("move", members=MEMBERS))
    living.reconcile()
    living.admin.create(JOB, job("runs", "move", "7", 60))
    assert eventually(lambda: running(living, "move") == {"runs"})
    living.admin.create(JOB, job("waits", "move", "10", 60))
    [pod] = living.admin.list(POD, namespace="move").items
    living.repository.declare(project("move", members=MEMBERS, clusterQueue="fake-shared"))
    report = living.reconcile()
    assert report.plan.disrupted == ["move"]
    assert [change.action for change in report.plan.changes if change.ref.kind == "LocalQueue"] == ["replace"]

    def admitted() -> dict[str, str]:
        found = living.admin.list(WORKLOAD, namespace="move").items
        return {
            item["metadata"]["ownerReferences"][0]["name"]: item["status"]["admission"]["clusterQueue"]
            for item in found
            if "admission" in item.get("status", {})
        }

    assert eventually(lambda: admitted() == {"runs": "gpu-shared", "waits": "fake-shared"}), admitted()
    pods = {item["metadata"]["uid"] for item in living.admin.list(POD, namespace="move").items}
    assert pod["metadata"]["uid"] in pods
    assert not living.plan().plan.changes


def test_taken_over_and_renamed(living: World) -> None:
    """A queue that is taken over keeps its jobs; under another name the former one stays until its jobs have ended."""
    living.kubectl("create", "namespace", "old")
    managed = ("kueue.x-k8s.io/managed-namespace=true", "jobq.io/cluster-queue=gpu-shared")
    living.kubectl("label", "namespace", "old", *managed)
    queue = {"metadata": {"name": "old-user-queue", "namespace": "old"}, "spec": {"clusterQueue": "gpu-shared"}}
    kind = {"apiVersion": LOCAL_QUEUE.api_version, "kind": LOCAL_QUEUE.kind}
    living.admin.create(LOCAL_QUEUE, {**kind, **queue})
    for name, cpu in (("runs", "7"), ("waits", "10")):
        made = job(name, "old", cpu, 60)
        made["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] = "old-user-queue"
        living.admin.create(JOB, made)
    assert eventually(lambda: running(living, "old") == {"runs"})
    before = {item["metadata"]["uid"] for item in living.admin.list(WORKLOAD, namespace="old").items}
    living.repository.declare(project("old", members=MEMBERS), settings='queue = "{namespace}-user-queue"\n')
    adopted = living.jobq("project", "adopt", "old", "--yes", kubeconfig=living.plane.kubeconfig)
    assert adopted.code == 0, adopted.err
    report = living.reconcile()
    assert not report.verdict.refusals
    assert not report.plan.disrupted
    assert {item["metadata"]["uid"] for item in living.admin.list(WORKLOAD, namespace="old").items} == before
    assert running(living, "old") == {"runs"}
    living.repository.declare(project("old", members=MEMBERS, clusterQueue="gpu-shared"))
    report = living.reconcile()
    [told] = [effect for effect in report.plan.effects if effect.kind is EffectKind.QUEUE_RENAMED]
    assert (report.plan.disrupted, told.counts) == ([], {"running": 1, "waiting": 1})
    assert queues(living, "old") == {"main", "old-user-queue"}
    assert not living.plan().plan.changes
    kim = f"--kubeconfig={living.plane.member_kubeconfig('kim@example.org')}"
    living.kubectl("delete", "job", "-n", "old", "runs", kim)
    assert eventually(lambda: admitted(living, "old") == ["gpu-shared"])
    living.kubectl("delete", "job", "-n", "old", "waits", kim)
    assert eventually(lambda: not living.admin.list(WORKLOAD, namespace="old").items)
    assert [str(change.ref) for change in living.reconcile().plan.changes] == ["LocalQueue old/old-user-queue"]
    assert queues(living, "old") == {"main"}


@pytest.mark.parametrize(("when", "policy", "goes_on"), [("hold", "Hold", True), ("drain", "HoldAndDrain", False)])
def test_pause(living: World, when: str, policy: str, *, goes_on: bool) -> None:
    """A pause holds the queue and keeps access; running jobs finish, or with drain are evicted and can be resumed."""
    name = f"pause-{when}"
    living.repository.declare(project(name, members=MEMBERS, whenInactive=when))
    living.reconcile()
    living.admin.create(JOB, job("runs", name, "100m", 60))
    assert eventually(lambda: running(living, name) == {"runs"})
    living.repository.declare(project(name, members=MEMBERS, whenInactive=when, active=False))
    report = living.reconcile()
    assert report.plan.disrupted == [name]
    assert (stop_policy(living, name), catalogue(living, name)["state"]) == (policy, "paused")
    assert may(living, "kim@example.org", "delete", name)
    living.admin.create(JOB, job("waits", name, "100m", 60))
    assert eventually(lambda: running(living, name) == ({"runs"} if goes_on else set()))
    living.repository.declare(project(name, members=MEMBERS, whenInactive=when))
    assert not living.reconcile().plan.disrupted
    assert eventually(lambda: running(living, name) == {"runs", "waits"})


def test_kueue_hangs(living: World) -> None:
    """While Kueue doesn't answer, projects are made, paused and resumed all the same; afterwards their jobs run."""
    with living.plane.paused("kueue"):
        for active in (True, False, True):
            living.repository.declare(project("hangs", members=MEMBERS, active=active))
            assert all(outcome.result in SUCCESSES for outcome in living.reconcile().outcomes)
            assert not living.plan().plan.changes
    living.admin.create(JOB, job("runs", "hangs", "100m", 60))
    assert eventually(lambda: running(living, "hangs") == {"runs"})


def test_archive_and_restore(world: World) -> None:
    """Without its file a project is held, closed and kept; its file brings it back, by approval of just that plan."""
    world.repository.declare(VISION, SPEECH)
    world.reconcile()
    world.repository.declare(SPEECH)
    archive = world.reconcile()
    assert "vision: archived" in texts(archive, Weight.DISRUPTIVE)[0]
    entry = catalogue(world, "vision")
    assert (entry["state"], entry["archivedOn"], stop_policy(world, "vision")) == ("archived", "2027-01-15", "Hold")
    assert not may(world, "kim@example.org", "get", "vision")
    assert not world.plan(date(2027, 2, 1)).plan.changes
    world.repository.declare(VISION, SPEECH)
    before = world.plane.mark()
    refused = world.reconcile()
    assert refused.verdict.refused
    assert refused.plan.restored == ["vision"]
    assert world.reconcile(terms=Terms(approved="0123456789abcdef")).verdict.refused
    assert not [request for request in world.writes(before) if "dryRun" not in request.uri]
    assert world.reconcile(terms=Terms(approved=refused.plan.disruption)).applied
    assert may(world, "kim@example.org", "create", "vision")
    assert "archivedOn" not in catalogue(world, "vision")


def test_expiry(world: World) -> None:
    """Access ends the day after ``expires``, by itself, and that never counts against the guard's limit."""
    names = [f"course-{number}" for number in range(4)]
    member = {"user": "kim@example.org", "role": "researcher", "expires": "2027-01-15"}
    stays = {"user": "lee@example.org", "role": "viewer"}
    world.repository.declare(*(project(name, members=[member, stays]) for name in names))
    world.reconcile(TODAY)
    assert may(world, "kim@example.org", "create", names[0])
    report = world.reconcile(date(2027, 1, 16))
    assert report.applied
    assert report.plan.disrupted == []
    assert "it expired after 2027-01-15" in texts(report, Weight.INFO)[0]
    assert not any(may(world, "kim@example.org", "create", name) for name in names)


def test_many_disrupted(world: World) -> None:
    """More disrupted projects than the limit refuse the whole run, with numbers and way out; nothing is written."""
    names = [f"lab-{number}" for number in range(5)]
    world.repository.declare(*(project(name, members=MEMBERS) for name in names))
    world.reconcile()
    world.repository.declare(*(project(name, members=MEMBERS[:1]) for name in names))
    versions = world.versions()
    run = world.jobq("reconcile")
    assert run.code == 4
    assert "5 of 5 live projects would be disrupted; 1 may be (lab-0, lab-1" in run.out, run.out
    assert "jobq approve " in run.out
    assert world.versions() == versions
    world.repository.declare(*(project(name, members=MEMBERS[:1]) for name in names), settings="guard.disrupted = 5\n")
    assert world.jobq("reconcile").code == 0


def test_stale_approval(world: World) -> None:
    """All files but one removed is refused; the approval of a plan that has changed since is stale."""
    world.repository.declare(VISION, SPEECH, project("art"), project("music"))
    world.reconcile()
    world.repository.declare(VISION)
    digest = world.plan().plan.disruption
    assert world.jobq("reconcile").code == 4
    world.repository.declare(SPEECH)
    stale = world.jobq("reconcile", "--approved", digest)
    assert (stale.code, f"--approved {digest} fits nothing in this plan: it is stale" in stale.out) == (4, True)
    world.repository.declare(VISION)
    assert world.jobq("reconcile", "--approved", digest).code == 0


def test_other_spelling_keeps_access(world: World) -> None:
    """Who is removed in one spelling and stays in another is told to keep access."""
    kim, twin = ({"user": name, "role": "viewer"} for name in ("kim@example.org", "Kim@example.org"))
    world.repository.declare(project("vision", members=[kim, twin]))
    world.reconcile()
    world.repository.declare(project("vision", members=[twin]))
    lost = "kim@example.org in vision: viewer -> no access, and keeps access as Kim@example.org"
    assert lost in [str(effect) for effect in world.plan().plan.effects]


def test_classes_that_the_cluster_gives(living: World, tmp_path: Path) -> None:
    """Kueue's default class is refused where the project's list lacks it; Kubernetes' keeps a job waiting, with why."""
    living.repository.declare(project("picky", members=MEMBERS, priorities=["normal", "low"]))
    living.reconcile()
    stage = Stage(living.plane, "picky", tmp_path)
    kim = connect(kubeconfig=str(stage.kubeconfig()))
    submit = ("submit", "-o", "name", "-i", "example.org/x:1", "--wait", "--", "true")

    def refusal() -> str:
        try:
            kim.create(JOB, job("plain", "picky", "1", 60), dry_run=True)
        except ClusterError as error:
            return str(error)
        return ""

    body = {"apiVersion": PRIORITY_CLASS.api_version, "kind": PRIORITY_CLASS.kind, "value": 1}
    living.admin.create(PRIORITY_CLASS, body | {"metadata": {"name": "default"}})
    try:
        told = "priority class default is not allowed in this project; allowed: normal, low"
        assert eventually(lambda: told in refusal()), refusal()
        assert stage.jobq(*submit).code == 0
    finally:
        living.admin.delete(PRIORITY_CLASS, "default")
    assert eventually(lambda: not refusal())
    body = {"metadata": {"name": "everyday"}, "value": 1, "globalDefault": True}
    living.admin.create(POD_PRIORITY_CLASS, body)
    try:
        kim.create(JOB, job("plain", "picky", "1", 60))
        assert eventually(lambda: stage.jobq("why", "plain", "-o", "json").json["code"] == "PriorityClassNotAllowed")
        why = stage.jobq("why", "plain").out
        assert "the cluster's default, everyday, is not allowed in picky; allowed: normal, low" in why
        assert living.admin.get(JOB, "plain", namespace="picky")["spec"]["suspend"] is True
        assert stage.jobq(*submit).code == 0
        assert "jobq bump plain --priority normal" in why
        assert stage.jobq("bump", "plain", "--priority", "normal").code == 0
        assert eventually(lambda: running(living, "picky") == {"plain"})
    finally:
        living.admin.delete(POD_PRIORITY_CLASS, "everyday")
    kim.close()
