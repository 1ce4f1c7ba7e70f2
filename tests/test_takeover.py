"""A cluster that works without jobq becomes its own: fifty namespaces with their queues, and no job file is touched."""

import pytest

from reconciler.administration.adopt import adopt, find_adoptee
from reconciler.cluster import Body
from reconciler.declare import declare
from reconciler.errors import Forbidden
from reconciler.kinds import JOB, LOCAL_QUEUE, NAMESPACE, ROLE_BINDING
from reconciler.kube import connect
from reconciler.planned import Action
from reconciler.render import render
from reconciler.source import read_commit, templates
from tests.repository import project
from tests.world import TODAY, World

MANY = 50
PATTERNS = 'namespace = "lab-{project}"\nqueue = "{namespace}-user-queue"\n'
NAMES = [f"g{number:02}" for number in range(MANY)]
KIM = [{"user": "kim@example.org", "role": "researcher"}]


def queue(namespace: str) -> Body:
    meta = {"name": f"{namespace}-user-queue", "namespace": namespace, "labels": {"team": namespace}}
    kind = {"apiVersion": LOCAL_QUEUE.api_version, "kind": LOCAL_QUEUE.kind}
    return {**kind, "metadata": meta, "spec": {"clusterQueue": "gpu-shared"}}


def job(namespace: str, name: str = "old") -> Body:
    container = {"name": "main", "image": "example.org/x:1", "resources": {"requests": {"cpu": "1m"}}}
    labels = {"kueue.x-k8s.io/queue-name": f"{namespace}-user-queue"}
    template = {"spec": {"restartPolicy": "Never", "containers": [container]}}
    meta = {"name": name, "namespace": namespace, "labels": labels}
    return {"metadata": meta, "spec": {"suspend": True, "template": template}}


@pytest.fixture
def inhabited(world: World) -> World:
    """Fifty namespaces with a queue and a job each, made by somebody who has never heard of jobq."""
    for name in NAMES:
        namespace = f"lab-{name}"
        world.admin.create(NAMESPACE, {"metadata": {"name": namespace}})
        world.admin.create(LOCAL_QUEUE, queue(namespace))
        world.admin.create(JOB, job(namespace))
    world.repository.declare(*(project(name, members=KIM) for name in NAMES), settings=PATTERNS)
    return world


def identities(world: World) -> dict[str, object]:
    """What each queue and each job is, and that it is the same one."""
    found = [("queue", body) for body in world.admin.list(LOCAL_QUEUE).items]
    found += [("job", body) for body in world.admin.list(JOB).items]
    return {
        f"{kind} {body['metadata']['namespace']}/{body['metadata']['name']}": (
            body["metadata"]["uid"],
            body["spec"]["clusterQueue"] if kind == "queue" else body["metadata"]["resourceVersion"],
        )
        for kind, body in found
    }


def take_over(world: World) -> None:
    """What `jobq project adopt` does, for all of them."""
    snapshot = read_commit(world.repository.root)
    declaration = declare(snapshot)
    manifests = render(declaration, templates(snapshot, "project"), TODAY)
    for name, declared in declaration.projects.items():
        mine = [manifest for manifest in manifests if manifest.project == name]
        adopt(world.admin, find_adoptee(world.admin, declaration, mine, declared, []))


def test_fifty_namespaces_with_queues_of_their_own(inhabited: World) -> None:
    """All are refused until an admin labels them; then all are taken over as they are, and are in sync."""
    world = inhabited
    before = identities(world)
    assert world.plan().verdict.skipped == set(NAMES)
    take_over(world)
    report = world.reconcile()
    assert not report.verdict.refusals
    assert not [outcome.error for outcome in report.outcomes if outcome.error]
    queues = [change for change in report.plan.changes if change.ref.kind == "LocalQueue"]
    assert {(change.action, change.because.partition(" made")[0][:10]) for change in queues} == {
        (Action.UPDATE, "takes over")
    }
    assert identities(world) == before
    labels = world.admin.get(LOCAL_QUEUE, "lab-g07-user-queue", namespace="lab-g07")["metadata"]["labels"]
    assert (labels["team"], labels["jobq.io/project"]) == ("lab-g07", "g07")
    assert (world.jobq("plan", "--exit-code").code, world.writes(world.plane.mark())) == (0, [])
    kim = connect(kubeconfig=str(world.plane.member_kubeconfig("kim@example.org")))
    kim.create(JOB, job("lab-g07", "new"))
    with pytest.raises(Forbidden, match="must be lab-g07-user-queue"):
        kim.create(JOB, job("lab-g07", "wrong") | {"metadata": {"name": "wrong", "namespace": "lab-g07"}})


def test_another_pattern_for_projects_that_live(world: World) -> None:
    """A namespace is never renamed and never made twice: the project is left alone until the pattern is back."""
    world.repository.declare(project("vision", members=KIM), settings=PATTERNS)
    world.reconcile()
    world.repository.declare(project("vision"), project("speech"), settings='namespace = "team-{project}"\n')
    report = world.reconcile()
    [refusal] = report.verdict.refusals
    assert refusal.text.startswith("project vision has the namespace lab-vision, and jobq.toml names it team-vision")
    assert {change.project for change in report.plan.changes} == {"speech"}
    names = world.kubectl("get", "namespaces", "-o", "name")
    assert ("namespace/lab-vision" in names, "namespace/team-vision" in names) == (True, False)
    assert "jobq:researcher" in world.kubectl("get", "rolebindings", "-n", "lab-vision", "-o", "name")
    world.repository.declare(project("vision", members=KIM), settings=PATTERNS)
    assert "speech" in {change.project for change in world.plan().plan.changes}
    assert not [change for change in world.plan().plan.changes if change.project == "vision"]


def test_archived_under_another_pattern(world: World) -> None:
    """An archive keeps to the namespace that the project has, whatever the pattern says by then."""
    world.repository.declare(project("vision", members=KIM), project("speech"), settings=PATTERNS)
    world.reconcile()
    world.repository.declare(project("speech"), settings=PATTERNS)
    assert not world.reconcile().verdict.refusals
    held = world.admin.get(LOCAL_QUEUE, "lab-vision-user-queue", namespace="lab-vision")
    assert held["spec"]["stopPolicy"] == "Hold"
    assert "jobq:" not in world.kubectl("get", "rolebindings", "-n", "lab-vision", "-o", "name")
    assert not world.plan().plan.changes


def test_a_binding_without_label_in_another_namespace(world: World) -> None:
    """A binding under our name goes with its project's own changes, be its namespace called what it may."""
    world.repository.declare(project("vision", members=KIM), settings=PATTERNS)
    world.reconcile()
    copy = world.admin.get(ROLE_BINDING, "jobq:researcher", namespace="lab-vision")
    meta = {"name": "jobq:viewer", "namespace": "lab-vision"}
    role = {**copy["roleRef"], "name": "jobq-project-viewer"}
    world.admin.create(ROLE_BINDING, {"metadata": meta, "roleRef": role, "subjects": copy["subjects"]})
    [change] = world.plan().plan.changes
    assert (change.project, change.action, str(change.ref)) == (
        "vision",
        Action.DELETE,
        "RoleBinding lab-vision/jobq:viewer",
    )
    assert world.jobq("reconcile").code == 0


def test_a_copied_namespace(world: World) -> None:
    """A namespace that only carries a project's labels keeps another from being made beside it."""
    world.kubectl("create", "namespace", "copy")
    world.kubectl("label", "namespace", "copy", "app.kubernetes.io/managed-by=jobq", "jobq.io/project=vision")
    world.repository.declare(project("vision"), project("speech"))
    [refusal] = world.reconcile().verdict.refusals
    assert refusal.way_out == "if copy is not the project's: kubectl label namespace copy jobq.io/project-"
    world.kubectl("label", "namespace", "copy", "jobq.io/project-")
    assert not world.reconcile().verdict.refusals
    world.kubectl("label", "namespace", "copy", "jobq.io/project=vision")
    assert not world.plan().verdict.refusals
