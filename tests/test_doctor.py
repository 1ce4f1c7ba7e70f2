"""What `jobq doctor` finds: judged from facts, and found on a real API server and a real control plane."""

import copy
import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from reconciler.administration.diagnosis import APPLYING, PLANNING, Diagnosis, Level, holds
from reconciler.administration.doctor import diagnose
from reconciler.administration.examine import examine_repository
from reconciler.administration.facts import ClusterFacts, Facts, RepositoryFacts, Unknown
from reconciler.cluster import Body, Resource
from reconciler.kinds import (
    ADMISSION_POLICY,
    CLUSTER_QUEUE,
    CLUSTER_ROLE,
    CONFIG_MAP,
    DEPLOYMENT,
    POD_PRIORITY_CLASS,
    PRIORITY_CLASS,
)
from tests.controlplane.plane import Extent, Plane, start
from tests.laws import declared
from tests.repository import Repository, project
from tests.run import Run
from tests.test_operator import jobq
from tests.test_purge import API_SERVICE
from tests.world import TODAY, World, eventually, install

CRD = Resource("apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", namespaced=False)
OK, WARNING, PROBLEM = Level.OK, Level.WARNING, Level.PROBLEM

# ------------------------------------------------------------------------------------------------ judgement

LABELS = {
    "jobq.io/cluster-queue": "gpu-shared",
    "kueue.x-k8s.io/managed-namespace": "true",
    "kubernetes.io/metadata.name": "vision",
}
MANAGED = {"matchLabels": {"kueue.x-k8s.io/managed-namespace": "true"}}
ROLE: Body = {
    "apiVersion": CLUSTER_ROLE.api_version,
    "kind": "ClusterRole",
    "metadata": {"name": "jobq-planner"},
    "rules": [{"verbs": ["list"]}],
}
UNSEEN = Unknown("you may not look")


def queue(**spec: object) -> Body:
    selector = {"matchLabels": {"jobq.io/cluster-queue": "gpu-shared"}}
    return {"metadata": {"name": "gpu-shared"}, "spec": {"namespaceSelector": selector, **spec}}


DECLARATION = declared({"vision": {"priorities": ["normal"]}})
REPOSITORY = RepositoryFacts("/srv/projects", given=True, declaration=DECLARATION, namespaces={"vision": LABELS})
HEALTHY = ClusterFacts(
    address="https://127.0.0.1:6443",
    context="lab",
    user="admin",
    kubernetes="v1.36.3",
    kueue_versions=["v1beta2", "v1beta1"],
    kueue_plurals=["localqueues", "clusterqueues"],
    kueue=(0, 19, 2),
    configuration={"managedJobsNamespaceSelector": MANAGED},
    visibility=["localqueues/pendingworkloads"],
    notes={"jobq.cluster": {"data": {"name": DECLARATION.settings.cluster, "roles": "99", "policies": "99"}}},
    namespaces=[],
    queues=[queue()],
    priorities=[{"metadata": {"name": "normal"}}],
    pod_priorities=[],
    installed=[(ROLE, ROLE)],
    fenced=True,
    rights=dict.fromkeys((*PLANNING, *APPLYING), True),
)


def found(repository: RepositoryFacts = REPOSITORY, cluster: ClusterFacts | Unknown = HEALTHY) -> list[Diagnosis]:
    return [one for one in diagnose(Facts(repository, cluster)) if one.level is not OK]


def test_healthy() -> None:
    """Where all is well every check says so."""
    every = diagnose(Facts(REPOSITORY, HEALTHY))
    assert {one.level for one in every} == {OK}
    checks = {one.check for one in every}
    assert checks >= {"repository", "cluster", "name", "kubernetes", "roles", "policies", "installation", "fences"}
    assert checks >= {"rights", "kueue-api", "kueue", "visibility", "managed-namespaces", "cluster-queues"}
    assert checks >= {"fair-sharing", "priorities"}


def test_not_bootstrapped() -> None:
    """Where the cluster has no note yet, what the reconciler may not do says nothing of the policies."""
    found = diagnose(Facts(REPOSITORY, replace(HEALTHY, notes={}, fenced=UNSEEN)))
    assert "fences" not in {one.check for one in found}


def noted(**data: str) -> dict[str, object]:
    note = {"name": DECLARATION.settings.cluster, "roles": "99", "policies": "99", **data}
    return {"notes": {"jobq.cluster": {"data": note}}}


WEIGHTED = queue(fairSharing={"weight": "2"})
CLUSTERS: dict[str, tuple[dict[str, Any], str, Level, str]] = {
    "old server": ({"kubernetes": "v1.29.4"}, "kubernetes", PROBLEM, "version v1.29.4"),
    "another cluster": (noted(name="west"), "name", PROBLEM, "this is west, but jobq.toml is for"),
    "no note": ({"notes": {}}, "name", PROBLEM, "doesn't say which one it is"),
    "notes unseen": ({"notes": UNSEEN}, "name", WARNING, "not known, you may not look"),
    "old roles": (noted(roles="0"), "roles", PROBLEM, "the project roles are version 0"),
    "old policies": (noted(policies="0"), "policies", WARNING, "the policies are version 0"),
    "no policies": (noted(policies="none"), "policies", WARNING, "not installed"),
    "changed": ({"installed": [(ROLE, {**ROLE, "rules": []})]}, "installation", PROBLEM, "ClusterRole jobq-planner"),
    "missing": ({"installed": [(ROLE, Unknown("", absent=True))]}, "installation", PROBLEM, "missing"),
    "unseen": ({"installed": [(ROLE, UNSEEN)]}, "installation", WARNING, "1 of the 1 objects"),
    "toothless": ({"fenced": False}, "fences", PROBLEM, "refuse nothing"),
    "fences unseen": ({"fenced": UNSEEN}, "fences", WARNING, "whether the policies act"),
    "lacking rights": ({"rights": {}}, "rights", WARNING, "you may not plan: list Namespace"),
    "no Kueue": (
        {"kueue_plurals": Unknown("", absent=True), "kueue_versions": Unknown("", absent=True)},
        "kueue-api",
        PROBLEM,
        "LocalQueue v1beta2 is not served here; found: no LocalQueue at all",
    ),
    "old API": (
        {"kueue_plurals": Unknown("", absent=True), "kueue_versions": ["v1beta1"]},
        "kueue-api",
        PROBLEM,
        "LocalQueue v1beta2 is not served here; found: v1beta1",
    ),
    "served in part": ({"kueue_plurals": ["clusterqueues"]}, "kueue-api", PROBLEM, "is not served here"),
    "old Kueue": ({"kueue": (0, 18, 3)}, "kueue", PROBLEM, "version 0.18.3"),
    "Kueue unseen": ({"kueue": None}, "kueue", WARNING, "can't be read"),
    "not managed": (
        {"configuration": {"managedJobsNamespaceSelector": {"matchLabels": {"team": "ml"}}}},
        "managed-namespaces",
        PROBLEM,
        "managedJobsNamespaceSelector (team=ml) doesn't match the namespace of vision",
    ),
    "settings unseen": ({"configuration": None}, "managed-namespaces", WARNING, "can't be read"),
    "no queue": ({"queues": []}, "cluster-queues", PROBLEM, "there is no ClusterQueue gpu-shared, which vision"),
    "stopped": ({"queues": [queue(stopPolicy="Hold")]}, "cluster-queues", WARNING, "is stopped (Hold)"),
    "unselected": (
        {"queues": [queue(namespaceSelector={"matchLabels": {"team": "ml"}})]},
        "cluster-queues",
        PROBLEM,
        "(team=ml) doesn't select vision",
    ),
    "queues unseen": ({"queues": UNSEEN}, "cluster-queues", WARNING, "ClusterQueues: not known"),
    "visibility down": ({"visibility": Unknown("503")}, "visibility", PROBLEM, "doesn't answer: 503"),
    "no visibility": ({"visibility": Unknown("", absent=True)}, "visibility", WARNING, "isn't registered"),
    "weights": ({"queues": [WEIGHTED]}, "fair-sharing", WARNING, "it is off, yet gpu-shared have weights"),
    "no class": ({"priorities": []}, "priorities", PROBLEM, "no such WorkloadPriorityClass: normal"),
    "default class": (
        {"priorities": [{"metadata": {"name": name}} for name in ("normal", "default")]},
        "priorities",
        WARNING,
        "there is a WorkloadPriorityClass default, which vision don't allow",
    ),
    "global default": (
        {"pod_priorities": [{"metadata": {"name": "usual"}, "globalDefault": True}]},
        "priorities",
        WARNING,
        "PriorityClass usual is the cluster's globalDefault",
    ),
}


@pytest.mark.parametrize("name", CLUSTERS)
def test_cluster(name: str) -> None:
    """One thing wrong is told as that, with why it matters and what helps."""
    facts, check, level, text = CLUSTERS[name]
    findings = [one for one in found(cluster=replace(HEALTHY, **facts)) if one.check == check]
    assert findings, found(cluster=replace(HEALTHY, **facts))
    first = findings[0]
    assert (first.level, text in first.text) == (level, True), first
    assert first.why
    assert first.fix


def test_without_policies() -> None:
    """A cluster that has policies of its own lacks ours, and none of it is a problem."""
    body = {"apiVersion": ADMISSION_POLICY.api_version, "kind": ADMISSION_POLICY.kind, "metadata": {"name": "x"}}
    absent = (body, Unknown("", absent=True))
    facts: dict[str, Any] = {**noted(policies="none"), "installed": [(ROLE, ROLE), absent], "fenced": False}
    assert [(one.check, one.level) for one in found(cluster=replace(HEALTHY, **facts))] == [("policies", WARNING)]


@pytest.mark.parametrize(("server", "told"), [("v1.35.1", []), ("v1.36.0", ["not there: MutatingAdmissionPolicy x"])])
def test_what_may_lack(server: str, told: list[str]) -> None:
    """What an older server can't have isn't missed; what jobq can do without is no problem."""
    body = {"apiVersion": ADMISSION_POLICY.api_version, "kind": "MutatingAdmissionPolicy", "metadata": {"name": "x"}}
    facts: dict[str, Any] = {"kubernetes": server, "installed": [(ROLE, ROLE), (body, Unknown("", absent=True))]}
    findings = found(cluster=replace(HEALTHY, **facts))
    assert [(one.text, one.level) for one in findings] == [(text, WARNING) for text in told]


def test_weights_that_mean_something() -> None:
    """With fair sharing on, weights are no finding."""
    settings = {"managedJobsNamespaceSelector": MANAGED, "fairSharing": {}}
    assert not found(cluster=replace(HEALTHY, queues=[WEIGHTED], configuration=settings))


def test_nobody_is_there() -> None:
    """Without a cluster the repository is judged alone; without either nothing fails."""
    alone = found(cluster=Unknown("no cluster is configured", absent=True))
    assert [(one.check, one.level) for one in alone] == [("cluster", WARNING)]
    down = found(cluster=Unknown("connection refused"))
    assert [(one.check, one.level) for one in down] == [("cluster", PROBLEM)]
    here = RepositoryFacts("/srv/nothing", given=False, declaration=Unknown("not a git repository", absent=True))
    bare = found(here, Unknown("no cluster is configured", absent=True))
    assert [(one.check, one.level) for one in bare] == [("repository", WARNING), ("cluster", WARNING)]
    named = found(replace(here, given=True), HEALTHY)
    assert [(one.check, one.level) for one in named] == [("repository", PROBLEM)]


@pytest.mark.parametrize(
    ("live", "same"),
    [
        ({"a": {"b": 1, "filled": 2}, "rules": [1]}, True),
        ({"a": {"b": 2}, "rules": [1]}, False),
        ({"a": {"b": 1}, "rules": [1, 2]}, False),
        ({"a": {}, "rules": [1]}, False),
    ],
)
def test_unchanged(live: object, *, same: bool) -> None:
    """What the server fills in is no change; one more rule is."""
    assert holds(live, {"a": {"b": 1}, "rules": [1]}) is same


# ------------------------------------------------------------------------------------------------ repositories


def doctor(repo: Path, *words: str, **variables: str) -> Run:
    return jobq("doctor", "--repo", str(repo), *words, **({"KUBECONFIG": "/nonexistent"} | variables))


def looked_at(repo: Path) -> Diagnosis:
    """The first that is said of a repository that somebody has named, in this process; and that it is no good."""
    facts = examine_repository(repo, "HEAD", TODAY, given=True)
    first = next(one for one in diagnose(Facts(facts, Unknown("not asked"))) if one.level is not OK)
    assert first.check == "repository"
    return first


def test_repository(repository: Repository, tmp_path: Path) -> None:
    """What git or the files say no to, doctor says too: exit 1, and nothing is taken for no projects."""
    assert looked_at(tmp_path).level is PROBLEM
    assert "has no commit yet" in looked_at(repository.root).text
    repository.declare(project("vision"))
    good = doctor(repository.root)
    assert (good.code, "declares 1 project for demo" in good.out) == (0, True)
    repository.write({"projects.d/new.yaml": project("new")})
    assert "not committed: projects.d/new.yaml" in looked_at(repository.root).text
    repository.commit({"projects.d/vision.yaml": project("vision").replace("vision", "wision")})
    bad = doctor(repository.root, "-o", "json")
    assert (bad.code, bad.json["problems"]) == (1, 1)
    assert "1 problem in the declared files" in bad.json["findings"][0]["text"]
    assert "projects.d/vision.yaml" in bad.err
    repository.git("symbolic-ref", "HEAD", "refs/heads/gone")
    gone = looked_at(repository.root)
    assert (gone.level, "names the branch gone" in gone.text) == (PROBLEM, True)
    assert "symbolic-ref HEAD refs/heads/main" in gone.fix


def test_templates_that_lag(repository: Repository) -> None:
    """A template of the repository that leaves out what the packaged one writes is named with those fields."""
    body = "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: {{ project.namespace }}\n"
    repository.declare(project("vision"))
    repository.commit({"templates/project/namespace.yaml.j2": body})
    run = doctor(repository.root)
    assert run.code == 0
    assert "templates/project/namespace.yaml.j2 leaves out Namespace metadata.annotations.jobq.io/queue" in run.out


# ------------------------------------------------------------------------------------------------ clusters


def examined(world: World, *words: str, kubeconfig: Path | None = None) -> tuple[Run, dict[str, list[dict[str, str]]]]:
    """A run as an administrator, and its findings that aren't ok, by check."""
    run = world.jobq("doctor", "-o", "json", *words, kubeconfig=kubeconfig or world.plane.kubeconfig)
    findings: dict[str, list[dict[str, str]]] = {}
    for one in run.json["findings"]:
        if one["level"] != "ok":
            findings.setdefault(one["check"], []).append(one)
    return run, findings


@contextmanager
def standing(world: World, *bodies: tuple[Resource, Body]) -> Iterator[None]:
    """Objects that are there for a while."""
    with ExitStack() as stack:
        for resource, body in bodies:
            world.admin.create(resource, {"apiVersion": resource.api_version, "kind": resource.kind, **body})
            metadata = body["metadata"]
            stack.callback(world.admin.delete, resource, metadata["name"], namespace=metadata.get("namespace", ""))
        yield


def kueue(image: str) -> Body:
    labels = {"app.kubernetes.io/name": "kueue"}
    pod = {"containers": [{"name": "manager", "image": image}]}
    return {
        "metadata": {"name": "kueue-controller-manager", "namespace": "kueue-system", "labels": labels},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }


def test_what_is_wrong(world: World) -> None:
    """Kueue's version and settings, queues and classes are found as they are, with exit 1 for what is a problem."""
    world.repository.declare(project("vision", clusterQueue="narrow", priorities=["rare"]))
    settings = "managedJobsNamespaceSelector:\n  matchLabels: {team: ml}\n"
    note = {"metadata": {"name": "kueue-manager-config", "namespace": "kueue-system"}}
    selector = {"matchLabels": {"team": "ml"}}
    with standing(
        world,
        (DEPLOYMENT, kueue("registry.example.org/kueue:v0.16.9")),
        (CONFIG_MAP, {**note, "data": {"controller_manager_config.yaml": settings}}),
        (CLUSTER_QUEUE, {"metadata": {"name": "narrow"}, "spec": {"namespaceSelector": selector}}),
        (PRIORITY_CLASS, {"metadata": {"name": "default"}, "value": 1}),
        (POD_PRIORITY_CLASS, {"metadata": {"name": "usual"}, "value": 1, "globalDefault": True}),
    ):
        run, findings = examined(world)
    assert run.code == 1
    assert "version 0.16.9" in findings["kueue"][0]["text"]
    assert "0.17.8, 0.18.4, or 0.19.0 and later" in findings["kueue"][0]["fix"]
    assert "doesn't match the namespace of vision" in findings["managed-namespaces"][0]["text"]
    assert "(team=ml) doesn't select vision" in findings["cluster-queues"][0]["text"]
    texts = [one["text"] for one in findings["priorities"]]
    assert any("no such WorkloadPriorityClass: rare" in text for text in texts), texts
    assert any("WorkloadPriorityClass default" in text for text in texts), texts
    assert any("PriorityClass usual" in text for text in texts), texts


def test_installation(world: World, tmp_path: Path) -> None:
    """A role that somebody widened and a policy that somebody deleted are problems, until bootstrap mends them."""
    world.repository.declare(project("vision"))
    _, before = examined(world)
    assert not {"installation", "fences", "roles", "name"} & before.keys(), before
    role = copy.deepcopy(world.admin.get(CLUSTER_ROLE, "jobq-project-viewer"))
    widened = [*role["rules"], {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}]
    try:
        world.admin.apply(CLUSTER_ROLE, {**bare(role), "rules": widened})
        world.admin.delete(ADMISSION_POLICY, "jobq-workloads")
        run, findings = examined(world)
    finally:
        install(world.plane, tmp_path / "again")
    assert run.code == 1
    texts = [one["text"] for one in findings["installation"]]
    assert texts == [
        "missing: ValidatingAdmissionPolicy jobq-workloads",
        "not as bootstrap installs it: ClusterRole jobq-project-viewer",
    ]
    assert {one["fix"].rpartition(": ")[2] for one in findings["installation"]} == {"jobq bootstrap --apply"}
    assert "installation" not in examined(world)[1]


def bare(body: Body) -> Body:
    return {"apiVersion": body["apiVersion"], "kind": body["kind"], "metadata": {"name": body["metadata"]["name"]}}


def test_wrong_cluster(world: World) -> None:
    """Another cluster than the repository's is a problem, and so is one that bootstrap hasn't seen."""
    world.repository.declare(project("vision"), cluster="west")
    run, findings = examined(world)
    assert (run.code, findings["name"][0]["text"]) == (1, "this is demo, but jobq.toml is for west")


def test_researcher(world: World) -> None:
    """Who may see little is told what can't be seen, and nothing of that is a problem."""
    world.repository.declare(project("vision", clusterQueue="wide"))
    spec = {"namespaceSelector": {"matchLabels": {"jobq.io/cluster-queue": "wide"}}}
    with standing(world, (CLUSTER_QUEUE, {"metadata": {"name": "wide"}, "spec": spec})):
        kim = world.plane.member_kubeconfig("kim@example.org")
        run, findings = examined(world, kubeconfig=kim)
    assert {one["level"] for several in findings.values() for one in several} == {"warning"}, findings
    assert run.code == 0
    assert findings.keys() >= {"installation", "fences", "rights", "kueue"}
    assert findings["installation"][0]["fix"] == "ask as an administrator: jobq doctor --context NAME"
    assert "you may not plan" in findings["rights"][0]["text"]


def test_unreachable(repository: Repository, tmp_path: Path) -> None:
    """Nobody answers: one problem, and the repository is judged all the same."""
    repository.declare(project("vision"))
    kubeconfig = tmp_path / "nobody"
    cluster = "{name: c, cluster: {server: 'http://127.0.0.1:1'}}"
    kubeconfig.write_text(
        f"current-context: x\ncontexts: [{{name: x, context: {{cluster: c, user: u}}}}]\nclusters: [{cluster}]\n"
        "users: [{name: u, user: {token: t}}]\n"
    )
    run = doctor(repository.root, "--kubeconfig", str(kubeconfig))
    assert run.code == 1
    assert "ok       repository" in run.out
    assert "connection refused" in run.out
    assert "problem  cluster" in run.out


def test_older_and_without_kueue(repository: Repository, tmp_path: Path) -> None:
    """LocalQueue v1beta2 not served: one sentence that says what was found, here and in plan; nothing is written."""
    repository.declare(project("vision"))
    with start(Extent.API, lab=False) as own:
        install(own, tmp_path / "bootstrap")
        world = World(own, repository, own.kubeconfig)
        nowhere = {"name": "nowhere", "namespace": "default"}
        spec = {"group": "visibility.kueue.x-k8s.io", "version": "v1beta2", "service": nowhere}
        priorities = {"groupPriorityMinimum": 100, "versionPriority": 100, "insecureSkipTLSVerify": True}
        service = {"apiVersion": API_SERVICE.api_version, "kind": API_SERVICE.kind, "spec": spec | priorities}
        world.admin.create(API_SERVICE, {**service, "metadata": {"name": "v1beta2.visibility.kueue.x-k8s.io"}})
        crd = world.admin.get(CRD, "localqueues.kueue.x-k8s.io")
        versions = [version | {"served": version["name"] == "v1beta1"} for version in crd["spec"]["versions"]]
        older = json.dumps({"spec": {"versions": versions}})
        world.kubectl("patch", "crd", "localqueues.kueue.x-k8s.io", "--type=merge", "-p", older)
        told(world, "LocalQueue v1beta2 is not served here; found: v1beta1")
        assert eventually(lambda: levels(world, "visibility") == ["problem"]), examined(world)
        world.kubectl("delete", "crd", "localqueues.kueue.x-k8s.io", "--wait=false")
        told(world, "LocalQueue v1beta2 is not served here; found: no LocalQueue at all")
        assert world.jobq("plan", "--offline").code == 0


def levels(world: World, check: str) -> list[str]:
    return [one["level"] for one in examined(world)[1].get(check, [])]


def told(world: World, text: str) -> None:
    """Both say so, in the end: a server takes a moment to serve something no more."""
    assert eventually(lambda: text in [one["text"] for one in examined(world)[1].get("kueue-api", [])]), examined(world)
    since = world.plane.mark()
    plan = world.jobq("reconcile", kubeconfig=world.plane.kubeconfig)
    assert plan.code == 1
    assert text.rpartition("; ")[2] in plan.err
    assert "LocalQueue v1beta2 is not served" in plan.err
    assert not world.writes(since)


@pytest.mark.xdist_group("life")
def test_whole(whole_plane: Plane, repository: Repository) -> None:
    """A cluster with Kueue has no problem; what a plain process of Kueue can't tell is said."""
    world = World(whole_plane, repository, whole_plane.kubeconfig)
    repository.declare(project("vision"), project("speech", clusterQueue="fake-shared"))
    run, findings = examined(world)
    assert (run.code, run.json["problems"]) == (0, 0), run.out
    assert findings.keys() == {"kueue", "managed-namespaces"}
    text = world.jobq("doctor", kubeconfig=whole_plane.kubeconfig)
    assert "\n\n0 problems, 2 warnings, " in text.out, text.out
