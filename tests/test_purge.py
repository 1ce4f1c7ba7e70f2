"""The end of a project, by an admin's own rights: what is refused, what is shown, and what keeps a namespace."""

import signal
import sys
from collections.abc import Iterator

import pytest

from reconciler.cluster import Body, Resource
from reconciler.errors import NotFound
from reconciler.kinds import CLAIM, CONFIG_MAP, JOB, NAMESPACE, WORKLOAD
from tests.controlplane.plane import ROOT, Plane
from tests.repository import Repository, project, scrubbed
from tests.run import Run
from tests.stage import force_away
from tests.terminal import on_terminal
from tests.test_life import job, running
from tests.world import World, eventually, forget, remove_namespace

pytestmark = pytest.mark.xdist_group("life")
KIM = [{"user": "kim@example.org", "role": "researcher"}]
ANY = "guard.disrupted = 100\n"
API_SERVICE = Resource("apiregistration.k8s.io", "v1", "apiservices", "APIService", namespaced=False)
KEPT, FREED = '{"metadata":{"finalizers":["example.org/kept"]}}', '{"metadata":{"finalizers":null}}'
NOWHERE = "v1alpha1.nowhere.example.org"


def admin(world: World, *words: str) -> Run:
    return world.jobq("project", "purge", *words, kubeconfig=world.plane.kubeconfig)


def is_there(world: World, resource: Resource, name: str, namespace: str = "") -> bool:
    try:
        world.admin.get(resource, name, namespace=namespace)
    except NotFound:
        return False
    return True


def archive(world: World, name: str, beside: str = "stays") -> None:
    """Declare the project, then no more."""
    world.repository.declare(project(name, members=KIM), project(beside), settings=ANY)
    assert not world.reconcile().verdict.refusals
    world.repository.declare(project(beside), settings=ANY)
    assert not world.reconcile().verdict.refusals


@pytest.fixture
def living(whole_plane: Plane, repository: Repository) -> Iterator[World]:
    """A control plane on which namespaces really go; what a test makes goes again, whatever happens."""
    kubeconfig = whole_plane.service_account_kubeconfig("jobq-system", "jobq-reconciler")
    world = World(whole_plane, repository, kubeconfig)
    forget(whole_plane)
    yield world
    for name in ("ends", "stays", "stuck", "waits"):
        force_away(world.admin, name)


def test_to_the_end(living: World) -> None:
    """Declared, active or busy it is refused, with the way out; at rest it is shown, asked for, and gone for good."""
    living.repository.declare(project("ends", members=KIM), project("stays"), settings=ANY)
    living.reconcile()
    declared = admin(living, "ends", "--yes")
    assert (declared.code, "projects.d/ends.yaml is there" in declared.err) == (4, True), declared.err
    living.admin.create(JOB, brief(job("busy", "ends", "10m", 600)))
    claim = {
        "metadata": {"name": "data", "namespace": "ends"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "3Gi"}}},
    }
    living.admin.create(CLAIM, {"apiVersion": "v1", "kind": "PersistentVolumeClaim", **claim})
    assert eventually(lambda: running(living, "ends") == {"busy"})
    living.repository.declare(project("stays"), settings=ANY)
    active = admin(living, "ends", "--yes")
    assert (active.code, "is active, not archived" in active.err) == (4, True), active.err
    living.reconcile()
    busy = admin(living, "ends", "--yes")
    assert (busy.code, "1 admitted in ends: Job.batch/busy" in busy.err) == (4, True), busy.err
    assert "kubectl -n ends delete Job.batch/busy" in busy.err
    living.kubectl("-n", "ends", "delete", "Job.batch/busy")
    living.admin.create(JOB, brief(job("waits", "ends", "10m", 600)))
    assert eventually(lambda: not any("admission" in one.get("status", {}) for one in workloads(living, "ends")))
    shown = admin(living, "ends")
    assert shown.code == 2
    assert "nothing was deleted" in shown.err
    assert "1 Job, 0 of them finished: waits" in shown.out
    assert "1 PersistentVolumeClaim with 3 GiB and the data in them: data 3Gi" in shown.out
    assert is_there(living, NAMESPACE, "ends")
    done = admin(living, "ends", "--yes")
    assert (done.code, "project ends is purged" in done.out) == (0, True), done.err
    assert not is_there(living, NAMESPACE, "ends")
    assert not is_there(living, CONFIG_MAP, "ends", "jobq-system")
    assert not living.plan().plan.changes
    assert admin(living, "ends", "--yes").code == 2
    living.repository.declare(project("ends"), project("stays"), settings=ANY)
    again = living.reconcile()
    assert (again.applied, again.plan.restored) == (True, [])
    living.repository.declare(project("stays"), settings=ANY)
    living.reconcile()


def brief(body: Body) -> Body:
    """A job whose pods end at once when they are asked to."""
    body["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = 0
    return body


def workloads(world: World, namespace: str) -> list[Body]:
    return list(world.admin.list(WORKLOAD, namespace=namespace).items)


def test_api_that_is_down(living: World) -> None:
    """An aggregated API without server keeps every namespace: said in bounded time, waited for, nothing forced."""
    archive(living, "stuck", beside="waits")
    living.kubectl("-n", "stuck", "create", "configmap", "kept")
    living.kubectl("-n", "stuck", "patch", "configmap", "kept", "--type=merge", "-p", KEPT)
    service = {
        "group": "nowhere.example.org",
        "version": "v1alpha1",
        "groupPriorityMinimum": 100,
        "versionPriority": 100,
        "insecureSkipTLSVerify": True,
        "service": {"name": "nowhere", "namespace": "default"},
    }
    body = {"apiVersion": API_SERVICE.api_version, "kind": API_SERVICE.kind, "spec": service}
    living.admin.create(API_SERVICE, {**body, "metadata": {"name": NOWHERE}})
    try:
        said = ""

        def is_told() -> bool:
            nonlocal said
            run = admin(living, "stuck", "--yes", "--timeout", "3s")
            said = run.err
            assert run.code == 1
            return "nowhere.example.org" in said

        assert any(is_told() for _ in range(20)), said  # the server says so some seconds after the deletion began
        assert "NamespaceDeletionDiscoveryFailure" not in said
        assert "stale GroupVersion discovery" in said
        assert f"kubectl get apiservice {NOWHERE}" in said
        assert "example.org/kept" in said
        kept = living.admin.get(CONFIG_MAP, "kept", namespace="stuck")
        assert kept["metadata"]["finalizers"] == ["example.org/kept"]
        plan = living.plan()
        assert any("namespace stuck is being deleted" in str(effect) for effect in plan.plan.effects)
        assert not plan.plan.changes
        living.repository.declare(project("stuck"), project("waits", tags=["new"]), settings=ANY)
        waits = living.jobq("reconcile")
        assert waits.code == 4
        assert "project stuck waits until it is gone: the server of nowhere.example.org doesn't answer" in waits.out
        assert {change.project for change in living.plan().plan.changes} == set()
        assert "new" in living.admin.get(CONFIG_MAP, "waits", namespace="jobq-system")["data"]["tags"]
    finally:
        living.admin.delete(API_SERVICE, NOWHERE)
        living.kubectl("-n", "stuck", "patch", "configmap", "kept", "--type=merge", "-p", FREED, fails=True)
    living.repository.declare(project("waits", tags=["new"]), settings=ANY)
    ended = admin(living, "stuck", "--yes")
    assert (ended.code, "project stuck is purged" in ended.out) == (0, True), ended.err


# ------------------------------------------------------------------------------------------------ an API server alone


def test_namespace_gone(world: World) -> None:
    """An entry whose namespace is gone is removed by the next reconcile, or by purge."""
    for way in ("reconcile", "purge"):
        archive(world, "vision")
        remove_namespace(world.plane, "vision")
        assert not is_there(world, NAMESPACE, "vision")
        if way == "purge":
            assert admin(world, "vision", "--yes").code == 0
        else:
            assert [str(change.ref) for change in world.reconcile().plan.changes] == ["ConfigMap jobq-system/vision"]
        assert not is_there(world, CONFIG_MAP, "vision", "jobq-system")
        assert not world.plan().plan.changes


def test_refused(world: World) -> None:
    """Nobody's name, a note of jobq's own, another cluster, a namespace without our labels: nothing is deleted."""
    archive(world, "vision")
    assert admin(world, "nobody", "--yes").code == 2
    assert admin(world, "jobq.cluster", "--yes").code == 2
    world.repository.declare(project("stays"), cluster="other")
    other = admin(world, "vision", "--yes")
    assert (other.code, "this is cluster demo" in other.err) == (4, True), other.err
    world.repository.declare(project("stays"))
    world.kubectl("label", "namespace", "vision", "app.kubernetes.io/managed-by-")
    foreign = admin(world, "vision", "--yes")
    assert (foreign.code, "doesn't carry jobq's labels" in foreign.err) == (4, True), foreign.err
    assert "deletionTimestamp" not in world.admin.get(NAMESPACE, "vision")["metadata"]


def test_held(world: World) -> None:
    """Where somebody repairs by hand nothing is deleted."""
    archive(world, "vision")
    world.kubectl("annotate", "namespace", "vision", "jobq.io/hold-until=2999-01-01", "jobq.io/hold-reason=disk")
    held = admin(world, "vision", "--yes")
    assert (held.code, "namespace vision is held until 2999-01-01, disk" in held.err) == (4, True), held.err
    assert "kubectl annotate namespace vision jobq.io/hold-until-" in held.err


def test_no_is_no(world: World) -> None:
    """On a terminal it asks; anything but yes leaves all as it is."""
    archive(world, "vision")
    where = ["--repo", str(world.repository.root), "--kubeconfig", str(world.plane.kubeconfig)]
    command = [sys.executable, "-m", "cli.main", "project", "purge", "vision", "--timeout", "1s", *where]
    for keys, code, said in (("\n", 1, "nothing was deleted"), ("y\n", 1, "is still there after 1 s")):
        shown, ended = on_terminal(command, keys, cwd=ROOT, environ=scrubbed())
        assert (ended, said in shown) == (code, True), shown
        assert "delete all of vision for good?" in shown
        assert ("deletionTimestamp" in world.admin.get(NAMESPACE, "vision")["metadata"]) is (keys == "y\n")
    assert "waiting for the end of project vision" in shown


def test_without_an_entry(world: World) -> None:
    """Without its catalogue entry a project is found by its labels; while anybody has access it isn't archived."""
    world.repository.declare(project("vision", members=KIM), project("stays"))
    world.reconcile()
    world.kubectl("-n", "jobq-system", "delete", "configmap", "vision")
    world.repository.declare(project("stays"))
    opened = admin(world, "vision", "--yes")
    assert (opened.code, "gives access: jobq:researcher" in opened.err) == (4, True), opened.err
    world.kubectl("-n", "vision", "delete", "rolebinding", "jobq:researcher")
    assert admin(world, "vision", "--yes", "--timeout", "1s").code == 1
    assert "deletionTimestamp" in world.admin.get(NAMESPACE, "vision")["metadata"]


def test_without_the_right(world: World) -> None:
    """The reconciler itself can't purge: the deletion is an administrator's."""
    archive(world, "vision")
    refused = world.jobq("project", "purge", "vision", "--yes")
    assert refused.code in {1, 4}
    assert is_there(world, NAMESPACE, "vision")
    assert "deletionTimestamp" not in world.admin.get(NAMESPACE, "vision")["metadata"]


def test_interrupted(world: World) -> None:
    """Interrupted while it waits, it says that the deletion goes on; called again it goes on waiting."""
    archive(world, "vision")
    process = world.start("project", "purge", "vision", "--yes", kubeconfig=world.plane.kubeconfig)
    assert eventually(lambda: "deletionTimestamp" in world.admin.get(NAMESPACE, "vision")["metadata"])
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, "the deletion goes on" in err) == (130, True), err
    again = admin(world, "vision", "--yes", "--timeout", "1s")
    assert (again.code, "is being deleted already" in again.err) == (1, True), again.err
