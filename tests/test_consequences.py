"""Consequences on real control planes: what is asked for them, and that they tell what is there."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from reconciler.administration import bootstrap
from reconciler.cluster import Body
from reconciler.errors import NotFound
from reconciler.kinds import (
    JOB,
    JOB_METADATA,
    KUEUE_NAMESPACE,
    LIMIT_RANGE,
    LOCAL_QUEUE,
    NAMESPACE,
    POD_PRIORITY_CLASS,
    PRIORITY_CLASS,
    RESOURCE_QUOTA,
    ROLE,
    ROLE_BINDING,
    WORKLOAD,
)
from reconciler.planned import EffectKind, Report
from reconciler.planning.moves import ONLY_MOVE
from tests.repository import project
from tests.test_life import job, running
from tests.test_observe import Blind
from tests.world import PAGES, World, eventually, listed

_LIFE = pytest.mark.xdist_group("life")
"""Tests that share one whole control plane: a worker starts it once."""
KIM = {"user": "kim@example.org", "role": "researcher"}
LEE = {"user": "lee@example.org", "role": "viewer"}
LABELS = {"app.kubernetes.io/managed-by": "jobq", "jobq.io/project": "vision"}


def told(report: Report, *kinds: EffectKind) -> list[str]:
    return [str(effect) for effect in report.plan.effects if effect.kind in kinds]


def changed(report: Report) -> dict[str, str]:
    return {str(change.ref): str(change.action) for change in report.plan.changes}


# ------------------------------------------------------------------------------------------------ questions


def test_only_what_a_plan_touches_is_asked(world: World) -> None:
    """Workloads are listed where a queue stops, jobs' metadata where somebody leaves; elsewhere nothing is asked."""
    world.repository.declare(project("vision", members=[KIM]), project("speech", members=[LEE]), project("art"))
    world.reconcile()
    since = world.plane.mark()
    world.plan()
    assert listed(world.asked(since)) == PAGES
    world.repository.declare(project("vision", members=[KIM], active=False), project("speech"), project("art"))
    since = world.plane.mark()
    world.plan()
    asked = {(request.resource, request.namespace) for request in world.asked(since) if request.namespace}
    assert asked == {
        ("configmaps", "jobq-system"),
        ("namespaces", "vision"),
        ("namespaces", "speech"),
        ("localqueues", "vision"),
        ("workloads", "vision"),
        ("workloads", "speech"),
        ("jobs", "speech"),
    }
    assert [request.verb for request in world.writes(since)] == ["patch"] * 5  # dry-runs
    assert all("dryRun=All" in request.uri for request in world.writes(since))


def test_metadata_alone(world: World) -> None:
    """Of jobs nothing is read but their metadata: what they run is nobody's business here."""
    world.admin.create(NAMESPACE, {"metadata": {"name": "meta"}})
    world.admin.create(JOB, job("secretive", "meta", "1", 1))
    [found] = world.cluster.list(JOB_METADATA, namespace="meta").items
    assert (found["metadata"]["name"], set(found) - {"metadata", "apiVersion", "kind"}) == ("secretive", set())


# ------------------------------------------------------------------------------------------------ running jobs


@_LIFE
def test_counts(living: World) -> None:
    """A pause tells how many jobs run and wait; its digest stays the same while they come and go."""
    living.repository.declare(project("counts", members=[KIM]))
    living.reconcile()
    living.admin.create(JOB, job("runs", "counts", "100m", 60))
    living.admin.create(JOB, job("waits", "counts", "100", 60))
    assert eventually(lambda: running(living, "counts") == {"runs"})
    assert eventually(lambda: len(living.admin.list(WORKLOAD, namespace="counts").items) == 2)
    living.repository.declare(project("counts", members=[KIM], active=False))
    first = living.plan()
    assert told(first, EffectKind.PAUSED) == ["counts: paused: running jobs finish, none starts (1 running, 1 waiting)"]
    living.admin.create(JOB, job("another", "counts", "100", 60))
    assert eventually(lambda: len(living.admin.list(WORKLOAD, namespace="counts").items) == 3)
    second = living.plan()
    assert told(second, EffectKind.PAUSED)[0].endswith("(1 running, 2 waiting)")
    assert first.plan.disruption == second.plan.disruption != ""


@_LIFE
def test_jobs_of_who_leaves(living: World) -> None:
    """The running jobs of a member who is removed are named, by the annotation that the server wrote; no other job."""
    living.repository.declare(project("leaves", members=[KIM, LEE]))
    living.reconcile()
    for name, by in (("runs", "kim@example.org"), ("waits", "kim@example.org"), ("theirs", "lee@example.org")):
        body = job(name, "leaves", "100" if name == "waits" else "100m", 60)
        body["metadata"]["annotations"] = {"jobq.io/submitted-by": by}
        living.admin.create(JOB, body)
    assert eventually(lambda: running(living, "leaves") == {"runs", "theirs"})
    living.repository.declare(project("leaves", members=[LEE]))
    report = living.plan()
    assert told(report, EffectKind.LOST, EffectKind.JOBS_GO_ON) == [
        "kim@example.org in leaves: researcher -> no access",
        "kim@example.org in leaves: running jobs go on: runs",
    ]
    assert report.plan.disrupted == ["leaves"]


@_LIFE
def test_limit_below_use(living: World) -> None:
    """A limit below what the quota's controller counts is told with both numbers, and needs approval like a loss."""
    names = ["below-a", "below-b"]
    living.repository.declare(*(project(name, members=[KIM], limits={"jobs": 500}) for name in names))
    living.reconcile()
    for name in names:
        for number in range(2):
            living.admin.create(JOB, job(f"j{number}", name, "100", 60))

    def counted() -> bool:
        quotas = [living.admin.get(RESOURCE_QUOTA, "jobq", namespace=name) for name in names]
        return all(quota.get("status", {}).get("used", {}).get("count/jobs.batch") == "2" for quota in quotas)

    assert eventually(counted)
    living.repository.declare(*(project(name, members=[KIM], limits={"jobs": 1}) for name in names))
    report = living.reconcile()
    assert report.verdict.refused
    assert report.plan.disrupted == names
    assert told(report, EffectKind.LIMIT_BELOW_USE)[0].startswith(
        "below-a: limit on jobs 500 -> 1, less than is in use"
    )
    assert told(report, EffectKind.LIMIT_BELOW_USE)[0].endswith("(2 jobs in use)")
    living.repository.declare(*(project(name, members=[KIM], limits={"jobs": 2}) for name in names))
    assert not living.reconcile().plan.disrupted


# ------------------------------------------------------------------------------------------------ moves


@pytest.fixture
def kueue(world: World) -> Iterator[Any]:
    """What sets the version that the cluster's Kueue is deployed in."""

    def deploy(version: str) -> None:
        labels = {"app.kubernetes.io/name": "kueue"}
        pod = {"containers": [{"name": "manager", "image": f"example.org/kueue/kueue:{version}"}]}
        body = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "kueue-controller-manager", "namespace": KUEUE_NAMESPACE, "labels": labels},
            "spec": {
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": pod},
            },
        }
        world.kubectl("apply", "-f", "-", given=body)

    yield deploy
    world.kubectl("delete", "deployment", "-n", KUEUE_NAMESPACE, "--all")


def move(cluster_queue: str, **more: object) -> list[str]:
    return [
        project("vision", members=[LEE], clusterQueue=cluster_queue, **more),
        project("speech", displayName="Speech"),
    ]


@pytest.mark.parametrize("version", ["v0.16.9", "v0.17.7", "v0.18.3"])
def test_move_waits_for_kueue(world: World, kueue: Any, version: str) -> None:  # noqa: ANN401 - a deed
    """Where deleting a LocalQueue can hang Kueue, that one move waits, with its reason; all else goes on."""
    world.repository.declare(project("vision", members=[KIM]), project("speech"))
    world.reconcile()
    kueue(version)
    world.repository.declare(*move("fake-shared", description="x"))
    report = world.reconcile()
    [refusal] = report.verdict.refusals
    assert (refusal.project, refusal.only) == ("vision", ONLY_MOVE)
    assert f"Kueue {version[1:]}" in refusal.text
    assert "0.17.8, 0.18.4, or 0.19.0" in refusal.way_out
    queue = world.admin.get(LOCAL_QUEUE, "main", namespace="vision")
    assert queue["spec"]["clusterQueue"] == "gpu-shared"
    labels = world.admin.get(NAMESPACE, "vision")["metadata"]["labels"]
    assert labels["jobq.io/cluster-queue"] == "gpu-shared"
    entries = {ref.name: body["data"] for ref, body in world.live().items() if ref.kind == "ConfigMap"}
    assert (entries["vision"]["clusterQueue"], entries["vision"]["description"]) == ("gpu-shared", "x")
    assert entries["speech"]["displayName"] == "Speech"
    bindings = {ref.name for ref in world.live() if ref.kind == "RoleBinding" and ref.namespace == "vision"}
    assert bindings == {"jobq:viewer"}
    assert changed(world.plan()) == {}
    assert world.jobq("plan").code == 4


@pytest.mark.parametrize("version", ["v0.17.8", "v0.18.4", "v0.19.0", "v0.20.1", "latest", ""])
def test_move_goes_on(world: World, kueue: Any, version: str) -> None:  # noqa: ANN401 - a deed
    """A Kueue that is new enough moves it; one whose version can't be told too, and that is said."""
    world.repository.declare(project("vision", members=[LEE]), project("speech"))
    world.reconcile()
    if version:
        kueue(version)
    world.repository.declare(*move("fake-shared"))
    report = world.reconcile()
    assert not report.verdict.refusals
    assert bool(told(report, EffectKind.UNCHECKED_MOVE)) == (version in {"latest", ""})
    assert changed(report)["LocalQueue vision/main"] == "replace"
    assert changed(world.plan()) == {}


def test_no_cluster_queue(world: World) -> None:
    """A new project without its ClusterQueue isn't made, a move to none waits; access ends all the same. Exit 4."""
    world.repository.declare(project("vision", members=[KIM, LEE]))
    world.reconcile()
    world.repository.declare(
        project("vision", members=[LEE], clusterQueue="nowhere"),
        project("art", clusterQueue="nowhere"),
        project("speech"),
    )
    report = world.reconcile()
    assert {refusal.project: refusal.only for refusal in report.verdict.refusals} == {"vision": ONLY_MOVE, "art": ""}
    assert not any(ref.namespace == "art" or ref.name == "art" for ref in world.live())
    assert told(report, EffectKind.LOST) == ["kim@example.org in vision: researcher -> no access"]
    assert "RoleBinding vision/jobq:researcher" not in {str(ref) for ref in world.live()}
    assert any(ref.namespace == "speech" for ref in world.live())
    assert world.jobq("plan").code == 4


# ------------------------------------------------------------------------------------------------ what is odd


def test_foreign_quota_and_defaults(world: World) -> None:
    """Somebody else's compute quota, and classes that the cluster gives unasked, are told with name each time."""
    world.repository.declare(project("vision", priorities=["normal", "low"]), project("speech"))
    world.reconcile()
    quota = {"metadata": {"name": "extra", "namespace": "vision"}, "spec": {"hard": {"requests.cpu": "4", "pods": "9"}}}
    world.admin.create(RESOURCE_QUOTA, quota)
    counting = {"metadata": {"name": "counts", "namespace": "speech"}, "spec": {"hard": {"count/secrets": "4"}}}
    world.admin.create(RESOURCE_QUOTA, counting)
    everyday = {"metadata": {"name": "everyday"}, "value": 1, "globalDefault": True}
    world.admin.create(POD_PRIORITY_CLASS, everyday)
    default = {"apiVersion": PRIORITY_CLASS.api_version, "kind": PRIORITY_CLASS.kind, "value": 1}
    world.admin.create(PRIORITY_CLASS, default | {"metadata": {"name": "default"}})
    try:
        for report in (world.reconcile(), world.plan()):
            assert changed(report) == {}
            [foreign] = told(report, EffectKind.FOREIGN_QUOTA)
            assert foreign.startswith("vision: ResourceQuota extra, which isn't jobq's, limits pods, requests.cpu")
            defaults = told(report, EffectKind.DEFAULT_PRIORITY)
            assert [text.split(":")[0] for text in defaults] == ["vision", "vision"]
            assert "WorkloadPriorityClass default" in defaults[0]
            assert "PriorityClass everyday" in defaults[1]
            [way_out] = [effect.way_out for effect in report.plan.effects if effect.kind is EffectKind.FOREIGN_QUOTA]
            assert way_out.endswith(": kubectl delete resourcequota -n vision extra")
    finally:
        world.admin.delete(POD_PRIORITY_CLASS, "everyday")
        world.admin.delete(PRIORITY_CLASS, "default")


def test_selector_that_leaves_a_project_out(world: World) -> None:
    """A ClusterQueue whose namespaceSelector doesn't match what the namespace will be labelled is told before it is."""
    queue = world.kubectl("get", "clusterqueue", "gpu-shared", "-o", "json")
    spec = {"namespaceSelector": {"matchExpressions": [{"key": "team", "operator": "In", "values": ["blue"]}]}}
    replacing = [{"op": "replace", "path": "/spec/namespaceSelector", "value": spec["namespaceSelector"]}]
    world.kubectl("patch", "clusterqueue", "gpu-shared", "--type", "json", "--patch", json.dumps(replacing))
    try:
        world.repository.declare(project("vision"))
        [text] = told(world.plan(), EffectKind.UNSELECTED)
        assert text.endswith("its namespaceSelector wants team in (blue)")
        world.reconcile()
        world.kubectl("label", "namespace", "vision", "team=blue")
        assert told(world.plan(), EffectKind.UNSELECTED) == []
    finally:
        before = json.loads(queue)["spec"]["namespaceSelector"]
        back = [{"op": "replace", "path": "/spec/namespaceSelector", "value": before}]
        world.kubectl("patch", "clusterqueue", "gpu-shared", "--type", "json", "--patch", json.dumps(back))


def test_namespace_from_a_backup(world: World) -> None:
    """A namespace that came back under another name, our labels and even our entry in it, is a copy: never touched."""
    world.repository.declare(project("vision", members=[KIM]))
    world.reconcile()
    world.admin.create(NAMESPACE, restored(world.admin.get(NAMESPACE, "vision")))
    binding = world.admin.get(ROLE_BINDING, "jobq:researcher", namespace="vision")
    world.admin.create(ROLE_BINDING, restored(binding), namespace="vision-old")
    policy = {"metadata": {"name": "copied", "namespace": "vision-old", "labels": LABELS}, "spec": {"limits": []}}
    world.admin.create(LIMIT_RANGE, policy)
    helper = {**restored(binding), "metadata": {"name": "helper", "namespace": "vision", "labels": LABELS}}
    world.admin.create(ROLE_BINDING, helper, namespace="vision")
    world.kubectl("create", "configmap", "-n", "vision", "notes")
    world.kubectl("label", "configmap", "-n", "vision", "notes", *(f"{key}={value}" for key, value in LABELS.items()))
    before, since = world.versions(), world.plane.mark()
    world.repository.declare(project("vision", members=[LEE]))
    report = world.reconcile()
    assert not report.verdict.refusals
    assert {one.namespace for one in world.asked(since) if one.resource == "configmaps"} == {"jobq-system"}
    assert told(report, EffectKind.FOREIGN_ACCESS) == [
        "vision: foreign access, left alone: RoleBinding helper gives jobq-project-researcher to kim@example.org"
    ]
    assert told(report, EffectKind.COPY) == [
        "LimitRange vision-old/copied carries jobq's labels but is a copy: left alone",
        "Namespace vision-old carries jobq's labels but is a copy: left alone",
        "RoleBinding vision-old/jobq:researcher carries jobq's labels but is a copy: left alone",
    ]
    after = world.versions()
    assert {ref: version for ref, version in after.items() if "vision-old" in (ref.namespace, ref.name)} == {
        ref: version for ref, version in before.items() if "vision-old" in (ref.namespace, ref.name)
    }
    assert changed(world.plan()) == {}


def restored(body: Body) -> Body:
    """As a backup brings an object back: into vision-old, its managedFields kept."""
    metadata = {key: body["metadata"][key] for key in ("name", "labels", "annotations") if key in body["metadata"]}
    metadata["managedFields"] = body["metadata"]["managedFields"]
    if body["kind"] == "Namespace":
        return {"metadata": metadata | {"name": "vision-old"}}
    kept = {key: value for key, value in body.items() if key not in {"metadata", "status"}}
    return kept | {"metadata": metadata | {"namespace": "vision-old"}}


def test_left_over(world: World) -> None:
    """A field that no file wants any more and that somebody else owns too stays: told with who, when it is given up."""
    world.repository.declare(project("vision", priorities=["low"]))
    world.reconcile()
    metadata = {"name": "vision", "namespace": "jobq-system"}
    theirs = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"priorities": '["low"]'}}
    world.kubectl("apply", "--server-side", "--field-manager=mirror", "-f", "-", given=theirs)
    world.repository.declare(project("vision"))
    [text] = told(world.reconcile(), EffectKind.LEFT_OVER)
    assert text.startswith("vision: ConfigMap jobq-system/vision: no file wants data.priorities (owned by mirror")
    assert changed(world.plan()) == {}


def test_spellings(world: World) -> None:
    """Somebody declared in two spellings is two to Kubernetes: a removal says which one keeps what."""
    kim, twin = {"user": "kim@example.org", "role": "viewer"}, {"user": "Kim@example.org", "role": "maintainer"}
    world.repository.declare(project("vision", members=[kim, twin]))
    assert "to Kubernetes these are two people" in world.jobq("plan").err
    world.reconcile()
    world.repository.declare(project("vision", members=[kim]))
    assert told(world.plan(), EffectKind.LOST) == [
        "Kim@example.org in vision: maintainer -> no access, and keeps access as kim@example.org"
    ]


def test_access_that_is_put_back(world: World) -> None:
    """A group that git made maintainer and that somebody put out comes back everywhere: no rise by an edit."""
    names = [f"back-{number}" for number in range(4)]
    group = {"group": "everyone", "role": "maintainer"}
    world.repository.declare(*(project(name, members=[group]) for name in names))
    world.reconcile()
    for name in names:
        world.kubectl("delete", "rolebinding", "-n", name, "jobq:maintainer")
    report = world.reconcile()
    assert (report.applied, report.plan.disrupted) == (True, [])
    assert told(report, EffectKind.GAINED)[0] == "group everyone in back-0: no access -> maintainer"
    world.repository.declare(*(project(name, members=[{**group, "role": "viewer"}]) for name in names))
    assert world.plan().plan.disrupted == names


def test_access_that_git_never_gave(world: World) -> None:
    """Who was let in by hand loses that access in every project, whatever the limit: no loss by an edit."""
    names = [f"spread-{number}" for number in range(4)]
    world.repository.declare(*(project(name, members=[KIM]) for name in names))
    world.reconcile()
    eve = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "eve@example.org"}
    added = json.dumps([{"op": "add", "path": "/subjects/-", "value": eve}])
    for name in names:
        world.kubectl("patch", "rolebinding", "-n", name, "jobq:researcher", "--type", "json", "--patch", added)
    report = world.reconcile()
    assert report.applied
    assert not report.plan.disrupted
    assert told(report, EffectKind.WITHDRAWN) == [
        f"eve@example.org in {name}: researcher -> no access, which git never gave" for name in names
    ]
    for name in names:
        binding = json.loads(world.kubectl("get", "rolebinding", "-n", name, "jobq:researcher", "-o", "json"))
        binding["metadata"] = {key: binding["metadata"][key] for key in ("name", "namespace", "labels")}
        binding["roleRef"]["name"] = "admin"
        world.kubectl("replace", "--force", "-f", "-", given=binding)
    report = world.reconcile()
    assert (report.applied, report.plan.disrupted) == (True, [])
    assert told(report, EffectKind.WITHDRAWN, EffectKind.LOST) == [
        f"kim@example.org in {name}: admin -> researcher, which git never gave" for name in names
    ]
    past = [{**KIM, "expires": "2027-01-01"}, LEE]
    world.repository.declare(*(project(name, members=past) for name in names))
    assert world.plan().plan.disrupted == names  # a day set in the past is an edit like any other


def test_kueue_elsewhere(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where Kueue's usual namespace isn't there, bootstrap goes on without reading its version, and says so."""
    monkeypatch.setattr(bootstrap, "KUEUE_NAMESPACE", "nowhere")
    body: Body = {
        "apiVersion": ROLE.api_version,
        "kind": "Role",
        "metadata": {"name": "jobq-planner", "namespace": "nowhere"},
        "rules": [],
    }
    said: list[str] = []
    bootstrap.install(world.admin, [body], lambda _, result: said.append(result))
    assert said == ["no such namespace for"]
    elsewhere: Body = {**body, "metadata": {"name": "jobq-planner", "namespace": "missing"}}
    with pytest.raises(NotFound):
        bootstrap.install(world.admin, [elsewhere], lambda *_: None)


def test_what_cant_be_counted(world: World) -> None:
    """A planner that may not list Workloads plans all the same, and says in one line what isn't counted."""
    names = ["blind-a", "blind-b"]
    world.repository.declare(*(project(name, members=[KIM]) for name in names))
    world.reconcile()
    world.repository.declare(*(project(name, members=[KIM], active=False) for name in names))
    report = world.plan(cluster=Blind(world.kubeconfig, WORKLOAD))
    assert told(report, EffectKind.PAUSED) == [f"{name}: paused: running jobs finish, none starts" for name in names]
    [unread] = told(report, EffectKind.UNREADABLE)
    assert unread.startswith("Workloads of blind-a, blind-b are not counted: ")
