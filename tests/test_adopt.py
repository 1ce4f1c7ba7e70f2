"""Namespaces that exist become projects, by an admin's own rights: what is shown, what is refused, what stays."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from reconciler.cluster import Body
from reconciler.kinds import DEPLOYMENT, JOB, LOCAL_QUEUE, NAMESPACE, POD, RESOURCE_QUOTA, ROLE_BINDING, STATEFUL_SET
from reconciler.model import MANAGED_BY, PROJECT_LABEL
from reconciler.planned import Report
from tests.controlplane.plane import Plane
from tests.repository import Repository, project
from tests.run import Run
from tests.stage import force_away
from tests.world import World, eventually, forget

pytestmark = pytest.mark.xdist_group("life")
KIM = [{"user": "kim@example.org", "role": "researcher"}]
ANY = "guard.disrupted = 100\n"
LEE = "lee@example.org"


def admin(world: World, *words: str) -> Run:
    return world.jobq(*words, kubeconfig=world.plane.kubeconfig)


def refusals(report: Report) -> dict[str, str]:
    return {refusal.project: f"{refusal.text}; {refusal.way_out}" for refusal in report.plan.refusals}


# ------------------------------------------------------------------------------------------------ in use


@pytest.fixture
def lab(whole_plane: Plane, repository: Repository) -> Iterator[World]:
    """A control plane with a namespace that somebody uses without jobq; it goes again, whatever happens."""
    kubeconfig = whole_plane.service_account_kubeconfig("jobq-system", "jobq-reconciler")
    world = World(whole_plane, repository, kubeconfig)
    forget(whole_plane)
    world.kubectl("create", "namespace", "lab")
    yield world
    force_away(world.admin, "lab")


def pods(**more: object) -> Body:
    container = {
        "name": "main",
        "image": "example.org/sleep:1",
        "command": ["sleep", "600"],
        "resources": {"requests": {"cpu": "10m"}},
    }
    return {"nodeSelector": {"jobq.io/node": "real"}, "containers": [container], **more}


def job(name: str, labels: Mapping[str, str] | None = None, **more: object) -> Body:
    template = {"spec": pods(restartPolicy="Never", **more)}
    spec = {"suspend": bool(labels), "template": template}
    return {"metadata": {"name": name, "namespace": "lab", "labels": dict(labels or {})}, "spec": spec}


def served(kind: str, name: str) -> Body:
    labels = {"app": name}
    spec: dict[str, Any] = {
        "replicas": 1,
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": pods(terminationGracePeriodSeconds=0)},
    }
    if kind == "StatefulSet":
        spec["serviceName"] = name
    return {"metadata": {"name": name, "namespace": "lab"}, "spec": spec}


def binding(name: str, role: str) -> Body:
    api = "rbac.authorization.k8s.io"
    return {
        "metadata": {"name": name, "namespace": "lab"},
        "roleRef": {"apiGroup": api, "kind": "ClusterRole", "name": role},
        "subjects": [{"apiGroup": api, "kind": "User", "name": LEE}],
    }


def furnish(world: World) -> None:
    """What an adopted namespace may hold: served pods, jobs inside and outside the quota, others' access and quota."""
    quota = {"metadata": {"name": "extra", "namespace": "lab"}, "spec": {"hard": {"requests.cpu": "10"}}}
    queue = {"metadata": {"name": "main", "namespace": "lab"}, "spec": {"clusterQueue": "gpu-shared"}}
    for resource, body in [
        (ROLE_BINDING, binding("lee-edits", "edit")),
        (ROLE_BINDING, binding("lee-sees", "view")),
        (RESOURCE_QUOTA, quota),
        (LOCAL_QUEUE, queue),
        (DEPLOYMENT, served("Deployment", "web")),
        (STATEFUL_SET, served("StatefulSet", "db")),
        (JOB, job("wild")),
    ]:
        world.admin.create(resource, {"apiVersion": resource.api_version, "kind": resource.kind, **body})
    labels = ("kueue.x-k8s.io/managed-namespace=true", "jobq.io/cluster-queue=gpu-shared")
    world.kubectl("label", "namespace", "lab", *labels)
    world.admin.create(
        JOB, {"apiVersion": "batch/v1", "kind": "Job", **job("queued", {"kueue.x-k8s.io/queue-name": "main"})}
    )


def running(world: World) -> dict[str, str]:
    """Uid -> name of every pod at work that nobody has asked to end."""
    found = [pod for pod in world.admin.list(POD, namespace="lab").items if pod["status"].get("phase") == "Running"]
    return {
        pod["metadata"]["uid"]: pod["metadata"]["name"] for pod in found if "deletionTimestamp" not in pod["metadata"]
    }


def test_in_use(lab: World) -> None:
    """Shown first, then labelled: nothing that runs is stopped, its owner can change and delete it, all is in sync."""
    furnish(lab)
    assert eventually(lambda: len(running(lab)) == 4), running(lab)
    before = running(lab)
    lab.repository.declare(project("lab", members=KIM, podSecurity="restricted"), settings=ANY)
    foreign = refusals(lab.plan())["lab"]
    assert "exists and is not jobq's" in foreign
    assert "jobq project adopt lab" in foreign
    asked = admin(lab, "project", "adopt", "lab")
    assert asked.code == 2
    assert "nothing was changed" in asked.err
    for said in (
        "Jobs without a queue run on outside the quota: wild; new ones need the label kueue.x-k8s.io/queue-name: main",
        "runs on outside the quota: Deployment web, StatefulSet db",
        "LocalQueue main (ClusterQueue gpu-shared) becomes the project's, with 1 admitted and 0 waiting",
        "ResourceQuota extra limits requests.cpu beside Kueue: it stays",
        f"RoleBinding lee-edits gives edit to {LEE}: it stays",
        f"RoleBinding lee-sees gives view to {LEE}: it stays",
        'the server warns: existing pods in namespace "lab" violate the new PodSecurity enforce level',
    ):
        assert said in asked.out, asked.out
    assert MANAGED_BY not in lab.admin.get(NAMESPACE, "lab")["metadata"]["labels"]
    lab.repository.declare(project("lab", members=KIM), settings=ANY)
    queue = lab.admin.get(LOCAL_QUEUE, "main", namespace="lab")["metadata"]["uid"]
    assert admin(lab, "project", "adopt", "lab", "--yes").code == 0
    first = lab.reconcile()
    assert (first.applied, first.verdict.refusals) == (True, ())
    assert not lab.plan().plan.changes
    texts = [str(effect) for report in (first, lab.plan()) for effect in report.plan.effects]
    for reported in ("RoleBinding lee-edits", "ResourceQuota extra"):
        assert len([text for text in texts if reported in text]) == 2, texts
    assert lab.admin.get(LOCAL_QUEUE, "main", namespace="lab")["metadata"]["uid"] == queue
    assert running(lab) == before
    lee = f"--as={LEE}"
    lab.kubectl("-n", "lab", "annotate", "deployment/web", "statefulset/db", "job/wild", "job/queued", "seen=yes", lee)
    lab.kubectl("-n", "lab", "scale", "deployment/web", "statefulset/db", "--replicas=0", lee)
    lab.kubectl("-n", "lab", "delete", "job/wild", "job/queued", "deployment/web", "statefulset/db", lee)
    refused = lab.kubectl("-n", "lab", "create", "job", "more", "--image=example.org/a:1", lee, fails=True)
    assert "kueue.x-k8s.io/queue-name must be main" in refused
    assert "already" in admin(lab, "project", "adopt", "lab").out


# ------------------------------------------------------------------------------------------------ refused


def test_unknown(world: World) -> None:
    """A project that nobody declares, and a namespace that isn't there, are usage errors with the next step."""
    world.repository.declare(project("vision"))
    nobody = admin(world, "project", "adopt", "visoin", "--yes")
    assert (nobody.code, nobody.err) == (2, "error: no project visoin is declared\nhint: did you mean vision?\n")
    absent = admin(world, "project", "adopt", "vision", "--yes")
    assert (absent.code, "jobq reconcile" in absent.err) == (2, True)


def test_reserved(world: World) -> None:
    """A system's namespace can't even be declared."""
    world.repository.declare(project("kube-public"))
    assert admin(world, "project", "adopt", "kube-public", "--yes").code == 1
    assert MANAGED_BY not in world.kubectl("get", "namespace", "kube-public", "-o", "yaml")


@pytest.mark.parametrize(
    ("verb", "claim"),
    [("label", f"{PROJECT_LABEL}=speech"), ("annotate", "jobq.io/source=projects.d/speech.yaml@00ff")],
)
def test_of_another(world: World, verb: str, claim: str) -> None:
    """What another project's label or file claims isn't adopted."""
    world.repository.declare(project("vision"))
    world.kubectl("create", "namespace", "vision")
    world.kubectl(verb, "namespace", "vision", claim)
    refused = admin(world, "project", "adopt", "vision", "--yes")
    assert (refused.code, "belongs to project speech" in refused.err) == (4, True), refused.err
    assert MANAGED_BY not in world.admin.get(NAMESPACE, "vision")["metadata"]["labels"]


def test_second_home(world: World) -> None:
    """A project has one namespace."""
    world.repository.declare(project("vision"))
    for name in ("vision", "vision-old"):
        world.kubectl("create", "namespace", name)
    world.kubectl("label", "namespace", "vision-old", f"{PROJECT_LABEL}=vision")
    refused = admin(world, "project", "adopt", "vision", "--yes")
    assert (refused.code, "has a namespace already: vision-old" in refused.err) == (4, True), refused.err


def test_ending(world: World) -> None:
    """A namespace that is being deleted becomes nobody's; its project waits, the others go on."""
    world.repository.declare(project("vision"), project("speech"))
    world.kubectl("create", "namespace", "vision")
    world.kubectl("delete", "namespace", "vision", "--wait=false")
    refused = admin(world, "project", "adopt", "vision", "--yes")
    assert (refused.code, "namespace vision is being deleted" in refused.err) == (4, True), refused.err
    done = world.jobq("reconcile")
    assert done.code == 4
    assert "namespace vision is being deleted; project vision waits until it is gone" in done.out
    assert {ref.namespace for ref in world.live() if ref.kind == "LocalQueue"} == {"speech"}


def test_other_queue(world: World) -> None:
    """A LocalQueue of the project's name that draws from elsewhere can't be taken over; the refusal says how it can."""
    world.kubectl("create", "namespace", "vision")
    queue = {"metadata": {"name": "main", "namespace": "vision"}, "spec": {"clusterQueue": "old"}}
    world.admin.create(LOCAL_QUEUE, {"apiVersion": LOCAL_QUEUE.api_version, "kind": "LocalQueue", **queue})
    world.repository.declare(project("vision"))
    refused = admin(world, "project", "adopt", "vision", "--yes")
    assert (refused.code, "declare clusterQueue: old" in refused.err) == (4, True), refused.err
    world.repository.declare(project("vision", clusterQueue="old"))
    assert admin(world, "project", "adopt", "vision", "--yes").code == 0
    world.reconcile()
    assert not world.plan().plan.changes


def test_other_names(world: World) -> None:
    """By the settings' patterns a project's namespace and queue have names of their own: those are adopted."""
    queue = {"metadata": {"name": "team-vision-user-queue", "namespace": "team-vision"}}
    world.kubectl("create", "namespace", "team-vision")
    body = {
        "apiVersion": LOCAL_QUEUE.api_version,
        "kind": "LocalQueue",
        **queue,
        "spec": {"clusterQueue": "gpu-shared"},
    }
    uid = world.admin.create(LOCAL_QUEUE, body)["metadata"]["uid"]
    patterns = 'namespace = "team-{project}"\nqueue = "{namespace}-user-queue"\n'
    world.repository.declare(project("vision"), settings=patterns)
    done = admin(world, "project", "adopt", "vision", "--yes")
    assert done.code == 0
    assert "LocalQueue team-vision-user-queue (ClusterQueue gpu-shared) becomes the project's" in done.out
    assert "namespace team-vision is project vision now" in done.out
    world.reconcile()
    assert not world.plan().plan.changes
    live = world.admin.get(LOCAL_QUEUE, "team-vision-user-queue", namespace="team-vision")
    assert live["metadata"]["uid"] == uid


def test_wrong_cluster(world: World) -> None:
    """Another cluster's namespace isn't adopted."""
    world.repository.declare(project("vision"), cluster="other")
    world.kubectl("create", "namespace", "vision")
    refused = admin(world, "project", "adopt", "vision", "--yes")
    assert (refused.code, "this is cluster demo" in refused.err) == (4, True), refused.err


# ------------------------------------------------------------------------------------------------ labels lost


def test_managed_by_lost(world: World) -> None:
    """Only managed-by gone: put back before anything else, and access that git has withdrawn is withdrawn."""
    world.repository.declare(project("vision", members=KIM))
    world.reconcile()
    world.kubectl("label", "namespace", "vision", f"{MANAGED_BY}-")
    world.repository.declare(project("vision"), settings=ANY)
    done = world.reconcile()
    assert {outcome.error for outcome in done.outcomes} == {""}
    assert not [ref for ref in world.live() if ref.kind == "RoleBinding" and ref.namespace == "vision"]
    assert not world.plan().plan.changes


@pytest.mark.parametrize(
    ("gone", "entry"),
    [([PROJECT_LABEL], True), ([PROJECT_LABEL, MANAGED_BY], False)],
    ids=["known by our entry", "known by our annotation"],
)
def test_project_label_lost(world: World, gone: list[str], *, entry: bool) -> None:
    """It was ours, is said to have been, and is left alone; others go on; adopted again, all is in sync."""
    world.repository.declare(project("vision", members=KIM), project("speech"))
    world.reconcile()
    world.kubectl("label", "namespace", "vision", *(f"{label}-" for label in gone))
    if not entry:
        world.kubectl("patch", "namespace", "vision", "-p", '{"metadata":{"managedFields":[{}]}}')
    world.repository.declare(project("vision"), project("speech", members=KIM), settings=ANY)
    since = world.plane.mark()
    done = world.reconcile()
    assert "was project vision's" in refusals(done)["vision"]
    assert "jobq project adopt vision" in refusals(done)["vision"]
    assert {outcome.change.project for outcome in done.outcomes} == {"speech"}
    assert not [request for request in world.writes(since) if "/vision" in request.uri and "dryRun" not in request.uri]
    shown = admin(world, "project", "adopt", "vision", "--yes")
    assert (shown.code, "was project vision and becomes it again" in shown.out) == (0, True), shown.out + shown.err
    world.reconcile()
    assert not world.plan().plan.changes
    assert not [ref for ref in world.live() if ref.kind == "RoleBinding" and ref.namespace == "vision"]


def test_archived_label_lost(world: World) -> None:
    """An archived project whose namespace lost its labels keeps its entry, and every plan says so."""
    world.repository.declare(project("vision"), project("speech"))
    world.reconcile()
    world.repository.declare(project("speech"))
    world.reconcile()
    world.kubectl("label", "namespace", "vision", f"{PROJECT_LABEL}-")
    report = world.reconcile()
    assert not [change for change in report.plan.changes if change.ref.kind == "ConfigMap"]
    assert any("namespace vision has lost jobq's labels" in str(effect) for effect in report.plan.effects)
