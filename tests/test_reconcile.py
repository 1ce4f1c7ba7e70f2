"""Reconciling on a real control plane: what is asked, what is written, and what is left alone."""

import json
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cli.exits import Exit
from cli.operator.shown import exit_code
from reconciler import kube
from reconciler.apply import apply
from reconciler.cluster import Listing, Resource
from reconciler.comparing.ownership import is_equal, project_of
from reconciler.errors import Rejected
from reconciler.kinds import NAMESPACE, PROJECT_KINDS
from reconciler.kubeconfig import find_access
from reconciler.planned import Action, Report, Result
from reconciler.reaching.access import Access
from tests.controlplane import pki
from tests.repository import project
from tests.world import PAGES, World, changed, clear, eventually, install, listed

if TYPE_CHECKING:
    import subprocess

MANY = 50
STATE = 1
"""The note of a commit that changes something."""
LOOK = Counter({"get /apis/coordination.k8s.io/v1/namespaces/jobq-system/leases/jobq-run": 1})
"""What a run asks beside the lists where it has nothing to write: whose turn it is."""


def many(**spec: object) -> list[str]:
    return [
        project(f"p{number:02}", members=[{"group": f"g{number}", "role": "viewer"}], **spec) for number in range(MANY)
    ]


def size(world: World) -> int:
    """How many objects HEAD renders to."""
    return len(world.manifests())


# ------------------------------------------------------------------------------------------------ requests and writes


def test_two_projects(world: World) -> None:
    """A bootstrapped cluster takes two projects; again, nothing is written, and only each kind's page is asked for."""
    world.repository.declare(
        project("vision", members=[{"user": "kim@example.org", "role": "maintainer"}]), project("speech")
    )
    assert world.jobq("bootstrap", "--apply", kubeconfig=world.plane.kubeconfig).code == 0
    first = world.jobq("reconcile")
    assert (first.code, first.err) == (0, "")
    assert first.out.endswith(f"2 projects on demo: {size(world)} created, 0 unchanged\n")
    before, since = world.versions(), world.plane.mark()
    second = world.jobq("reconcile")
    assert (second.code, second.out, second.err) == (0, f"2 projects on demo: in sync, {size(world)} unchanged\n", "")
    assert listed(world.asked(since)) == PAGES + LOOK
    assert world.versions() == before


def test_rendered_is_what_is_read_back(world: World) -> None:
    """Every rendered object is live afterwards, equal by ownership, and owned leaf by leaf as it was rendered."""
    world.repository.declare(project("vision", members=[{"group": "oidc:vision", "role": "viewer"}]))
    world.reconcile()
    live = world.live()
    for manifest in world.manifests():
        assert is_equal(manifest, live[manifest.ref])
        assert contains(live[manifest.ref], manifest.body)


def contains(live: object, wanted: object) -> bool:
    """Whether a live value holds all of a rendered one, as it was rendered."""
    if isinstance(wanted, dict):
        return isinstance(live, dict) and all(contains(live.get(key), value) for key, value in wanted.items())
    return live == wanted


def test_applying_twice_writes_nothing_new(world: World) -> None:
    """A second apply of every rendered object changes no resourceVersion."""
    world.repository.declare(project("vision", members=[{"group": "oidc:vision", "role": "viewer"}]))
    world.reconcile()
    before = world.versions()
    for manifest in world.manifests():
        resource = next(kind.resource for kind in PROJECT_KINDS if kind.resource.kind == manifest.ref.kind)
        assert world.cluster.apply(resource, manifest.body)["metadata"]["resourceVersion"] == before[manifest.ref]


def test_bootstrapping_twice_writes_nothing_new(world: World) -> None:
    """A second bootstrap changes no resourceVersion; without --apply it asks no cluster at all."""
    world.repository.declare()

    def versions() -> str:
        kinds = "ns,cm,sa,clusterroles,clusterrolebindings,roles,rolebindings"
        listing = world.kubectl("get", kinds, "-A", "-l", "app.kubernetes.io/part-of=jobq", "-o", "json")
        return str([item["metadata"]["resourceVersion"] for item in json.loads(listing)["items"]])

    before, since = versions(), world.plane.mark()
    assert world.jobq("bootstrap", kubeconfig=world.plane.kubeconfig).code == 0
    assert world.asked(since) == []
    assert world.jobq("bootstrap", "--apply", kubeconfig=world.plane.kubeconfig).code == 0
    assert versions() == before


def test_fifty_projects(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """First one PATCH an object, one for the commit; in sync, one LIST a page and kind: no dry-run, no write."""
    world.repository.declare(*many())
    since = world.plane.mark()
    first = world.jobq("reconcile")
    assert first.out.endswith(f"{MANY} projects on demo: {size(world)} created, 0 unchanged\n")
    asked = [request.verb for request in world.asked(since) if request.resource != "leases"]
    assert Counter(asked) == {"list": PAGES.total(), "patch": size(world) + STATE}
    since = world.plane.mark()
    assert world.jobq("reconcile").out == f"{MANY} projects on demo: in sync, {size(world)} unchanged\n"
    assert listed(world.asked(since)) == PAGES + LOOK
    monkeypatch.setattr(kube, "PAGE", 20)
    since = world.plane.mark()
    assert changed(world.reconcile()) == []
    asked_pages = listed(world.asked(since))
    count = Counter(ref.kind for ref in world.live())
    pages = {kind: -(-count[kind] // 20) for kind in ("Namespace", "ServiceAccount", "LocalQueue", "RoleBinding")}
    assert {kind: asked_pages[f"{kind.lower()}s"] for kind in pages} == pages
    assert min(pages.values()) == 3
    assert asked_pages.keys() == PAGES.keys()


def test_one_changed_project_of_many(world: World) -> None:
    """What one project's change costs: a question and a write for each of its differing objects, none for others'."""
    texts = many()
    world.repository.declare(*texts)
    world.reconcile()
    texts[7] = project("p07", displayName="Seven", members=[{"group": "g7", "role": "viewer"}])
    world.repository.declare(*texts)
    since = world.plane.mark()
    report = world.reconcile()
    differing = [(Action.UPDATE, "Namespace p07"), (Action.UPDATE, "ConfigMap jobq-system/p07")]  # source, displayName
    assert changed(report) == differing
    assert Counter(request.verb for request in world.asked(since)) == {"list": PAGES.total(), "patch": 4 + STATE}


# ------------------------------------------------------------------------------------------------ ended in the middle


def namespaces(world: World) -> int:
    return sum(item["metadata"]["name"].startswith("p") for item in world.admin.list(NAMESPACE).items)


def in_the_middle(world: World) -> "subprocess.Popen[str]":
    """A first reconcile of many projects that has begun to write."""
    world.repository.declare(*many())
    process = world.start("reconcile")
    assert eventually(lambda: namespaces(world) >= 5)
    return process


def test_killed(world: World) -> None:
    """After kill -9 in the middle of a first apply, running again converges, and a third run is in sync."""
    process = in_the_middle(world)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    done = len(world.live().keys() & {manifest.ref for manifest in world.manifests()})
    assert 0 < done < size(world)
    second = world.jobq("reconcile")
    assert second.code == 0
    assert f"{size(world) - done} created, {done} unchanged" in second.out
    assert world.jobq("reconcile").out == f"{MANY} projects on demo: in sync, {size(world)} unchanged\n"
    assert sum(project_of(body) != "" for body in world.live().values()) == size(world)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopped(world: World, number: signal.Signals) -> None:
    """A signal lets what is in flight end: exit 130, said what was done and what wasn't; running again converges."""
    process = in_the_middle(world)
    process.send_signal(number)
    out, err = process.communicate(timeout=90)
    assert process.returncode == Exit.INTERRUPTED
    assert "stopping: what is in flight is finished first" in err
    assert "Traceback" not in out + err
    done = len(world.live().keys() & {manifest.ref for manifest in world.manifests()})
    assert f"{MANY} projects on demo: {done} created, {size(world) - done} skipped, 0 unchanged" in out
    assert "run again to go on" in out
    assert f"{size(world) - done} created, {done} unchanged" in world.jobq("reconcile").out
    assert changed(world.plan()) == []


# ------------------------------------------------------------------------------------------------ not ours


def test_foreign_namespace(world: World) -> None:
    """A namespace of a project's name that isn't ours isn't touched, not even by a label; the others go on: exit 4."""
    world.kubectl("create", "namespace", "taken")
    before = world.kubectl("get", "namespace", "taken", "-o", "json")
    world.repository.declare(project("taken"), project("vision"))
    since = world.plane.mark()
    planned = world.jobq("plan")
    assert planned.code == Exit.REFUSED
    assert "refused: a namespace taken exists and is not jobq's" in planned.out
    assert world.writes(since) == []
    done = world.jobq("reconcile")
    assert done.code == Exit.REFUSED
    assert f"{size(world) // 2} created" in done.out
    assert world.kubectl("get", "namespace", "taken", "-o", "json") == before
    assert {ref.namespace for ref in world.live() if ref.kind == "LocalQueue"} == {"vision"}
    assert "taken" not in {ref.name for ref in world.live() if ref.kind == "ConfigMap"}


def test_namespace_that_appears_meanwhile(world: World) -> None:
    """A namespace that comes into being between plan and apply isn't taken over; its project is left, others go on."""
    world.repository.declare(project("taken"), project("vision"))
    report = world.plan()
    world.kubectl("create", "namespace", "taken")
    before = world.kubectl("get", "namespace", "taken", "-o", "json")
    outcomes = apply(world.cluster, report.plan.changes, threading.Event())
    results = {(outcome.change.project, outcome.change.ref.kind): outcome for outcome in outcomes}
    assert results["taken", "Namespace"].result is Result.FAILED
    assert "came into being meanwhile" in results["taken", "Namespace"].error
    assert results["taken", "LocalQueue"].result is Result.SKIPPED
    assert {outcome.result for outcome in outcomes if outcome.change.project == "vision"} == {Result.CREATED}
    assert exit_code(Report(report.plan, report.verdict, outcomes, applied=True)) == Exit.PARTLY
    assert world.kubectl("get", "namespace", "taken", "-o", "json") == before
    assert world.jobq("reconcile").code == Exit.REFUSED


def test_namespace_that_is_another_by_now(world: World) -> None:
    """A project's namespace that somebody deletes and makes anew between plan and apply isn't taken over."""
    world.repository.declare(project("vision"))
    world.reconcile()
    world.repository.declare(project("vision", displayName="Vision"))
    changes = world.plan().plan.changes
    clear(world.plane)
    world.kubectl("create", "namespace", "vision")
    before = world.kubectl("get", "namespace", "vision", "-o", "json")
    outcomes = apply(world.cluster, changes, threading.Event())
    assert (outcomes[0].change.action, outcomes[0].result) == (Action.UPDATE, Result.FAILED)
    assert "is not jobq's" in outcomes[0].error
    assert world.kubectl("get", "namespace", "vision", "-o", "json") == before


def test_object_that_is_gone_or_new_meanwhile(world: World) -> None:
    """What was to be changed and is gone by now, or another, becomes what was planned; nothing beyond is owned."""
    world.repository.declare(project("vision"))
    world.reconcile()
    world.repository.declare(project("vision", displayName="Vision"))
    changes = world.plan().plan.changes
    assert {change.ref.kind for change in changes} == {"Namespace", "ConfigMap"}
    world.kubectl("delete", "configmap", "-n", "jobq-system", "vision")
    outcomes = apply(world.cluster, changes, threading.Event())
    assert {outcome.result for outcome in outcomes} == {Result.CONFIGURED}
    world.kubectl("delete", "configmap", "-n", "jobq-system", "vision")
    world.kubectl("create", "configmap", "-n", "jobq-system", "vision")
    outcomes = apply(world.cluster, changes, threading.Event())
    assert {outcome.result for outcome in outcomes} == {Result.CONFIGURED}, outcomes
    assert changed(world.plan()) == []


def test_lost_answer_of_a_create(world: World) -> None:
    """A Namespace that an earlier try of the same run made, whose answer was lost, is ours and no stranger's."""
    world.repository.declare(project("vision"))
    changes = world.plan().plan.changes
    apply(world.cluster, changes[:1], threading.Event())
    outcomes = apply(world.cluster, changes, threading.Event())
    assert {outcome.result for outcome in outcomes} == {Result.CREATED}
    assert changed(world.plan()) == []


def test_object_that_is_another_by_now(world: World) -> None:
    """A delete is of exactly the object that was planned: one made again under its name meanwhile stays."""
    world.repository.declare(project("vision", members=[{"user": "kim", "role": "viewer"}]))
    world.reconcile()
    world.repository.declare(project("vision"))
    changes = world.plan().plan.changes
    binding = json.loads(world.kubectl("get", "rolebinding", "-n", "vision", "jobq:viewer", "-o", "json"))
    binding["metadata"] = {"name": "jobq:viewer", "namespace": "vision"}
    world.kubectl("replace", "--force", "-f", "-", given=binding)
    outcome = apply(world.cluster, changes, threading.Event())[0]
    assert (outcome.change.action, outcome.result) == (Action.DELETE, Result.FAILED)
    assert "another object by now" in outcome.error
    assert "jobq:viewer" in world.kubectl("get", "rolebinding", "-n", "vision", "-o", "name")
    world.reconcile()
    assert changed(world.plan()) == []
    assert world.kubectl("get", "rolebinding", "-n", "vision", "-o", "name") == ""


# ------------------------------------------------------------------------------------------------ refused at the door


@pytest.fixture
def nameless(world: World, tmp_path: Path) -> Iterator[World]:
    """A cluster that doesn't say which one it is; afterwards it does again."""
    world.kubectl("delete", "configmap", "-n", "jobq-system", "jobq.cluster")
    yield world
    install(world.plane, tmp_path / "again")


def only_the_notes(world: World, since: int) -> bool:
    """Whether nothing was asked but which cluster this is, and whose turn."""
    return listed(world.asked(since)) - LOOK == {"configmaps": 1}


@pytest.mark.parametrize("command", ["plan", "reconcile"])
def test_wrong_cluster(world: World, command: str) -> None:
    """A cluster of another name is refused before anything else is asked: exit 4, with both names."""
    world.repository.declare(project("vision"), cluster="elsewhere")
    since = world.plane.mark()
    run = world.jobq(command)
    assert run.code == Exit.REFUSED
    assert run.err.splitlines() == [
        "error: this is cluster demo, but jobq.toml is for elsewhere",
        "hint: choose the right one with --context or KUBECONFIG",
    ]
    assert only_the_notes(world, since)


def test_bootstrap_of_the_wrong_cluster(world: World) -> None:
    """A cluster that has a name isn't given another by a wrong context: exit 4, no write, and how to rename it."""
    world.repository.declare(project("vision"), cluster="elsewhere")
    since = world.plane.mark()
    run = world.jobq("bootstrap", "--apply", kubeconfig=world.plane.kubeconfig)
    assert run.code == Exit.REFUSED
    assert "this is cluster demo, but jobq.toml is for elsewhere" in run.err
    assert "kubectl delete configmap -n jobq-system jobq.cluster" in run.err
    assert world.writes(since) == []


def test_cluster_without_a_name(nameless: World) -> None:
    """A cluster that was never bootstrapped is refused before anything else is asked: exit 4, with the command."""
    nameless.repository.declare(project("vision"))
    since = nameless.plane.mark()
    run = nameless.jobq("reconcile")
    assert run.code == Exit.REFUSED
    assert "jobq.cluster is missing" in run.err
    assert "jobq bootstrap --apply" in run.err
    assert only_the_notes(nameless, since)


def test_old_roles(nameless: World) -> None:
    """Roles older than this jobq needs are refused: exit 4, with the command that renews them."""
    nameless.kubectl("create", "cm", "-n", "jobq-system", "jobq.cluster", "--from-literal=name=demo")
    nameless.repository.declare(project("vision"))
    run = nameless.jobq("reconcile")
    assert run.code == Exit.REFUSED
    assert "the project roles here are version 0" in run.err
    patch = '{"data": {"roles": "new"}}'
    nameless.kubectl("patch", "cm", "-n", "jobq-system", "jobq.cluster", "-p", patch)
    assert "the project roles here are version new" in nameless.jobq("plan").err


def test_no_project_file(world: World) -> None:
    """No project file at all is an accident, never the wish to archive everybody: exit 4, no write."""
    world.repository.declare(project("vision"))
    world.reconcile()
    world.repository.declare()
    since = world.plane.mark()
    run = world.jobq("reconcile")
    assert run.code == Exit.REFUSED
    assert "no project file at all" in run.err
    assert only_the_notes(world, since)


MISTAKES = """\
apiVersion: jobq.io/v1alpha1
kind: Project
metadata:
  name: vision
spec:
  clusterQeue: gpu-shared
  active: no
  members:
    - {user: kim@example.org, role: owner}
    - {role: viewer}
  defaults:
    memory: 500m
"""


@pytest.mark.parametrize("command", ["plan", "reconcile"])
def test_five_mistakes(world: World, command: str) -> None:
    """A file with five mistakes: all told in one run, each with its place, and nothing asked or written: exit 1."""
    world.repository.commit({"jobq.toml": 'cluster = "demo"\n', "projects.d/vision.yaml": MISTAKES})
    world.repository.write({"projects.d/speech.yaml": project("speech")})
    world.repository.commit()
    since = world.plane.mark()
    run = world.jobq(command)
    assert run.code == 1
    places = [line.split(": ")[0].removeprefix("projects.d/vision.yaml:") for line in run.err.splitlines()[:-2]]
    assert places == ["6:3", "7:11", "9:37", "10:7", "12:13"]
    assert run.err.splitlines()[-2:] == ["error: 5 problems in the declared files", "hint: nothing was changed"]
    assert world.asked(since) == []


# ------------------------------------------------------------------------------------------------ nobody to talk to


def kubeconfig_for(world: World, path: Path, server: str) -> Path:
    said = json.loads(world.plane.kubeconfig.read_bytes())
    said["clusters"][0]["cluster"]["server"] = server
    path.write_text(json.dumps(said), encoding="utf-8")
    return path


def complaint(world: World, kubeconfig: Path) -> str:
    """What `jobq reconcile` says on stderr: one error and one hint, exit 1, soon, and nothing written."""
    world.repository.declare(project("vision"))
    began = time.monotonic()
    run = world.jobq("reconcile", kubeconfig=kubeconfig)
    assert time.monotonic() - began < 40  # it gives up; a busy machine may take its time
    assert (run.code, run.out) == (1, "")
    error, hint = run.err.splitlines()
    assert (error.split(": ")[0], hint.split(": ")[0]) == ("error", "hint")
    return run.err


def test_nobody_listens(world: World, tmp_path: Path) -> None:
    """A server that isn't there is said once, with its address and the context."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    address = f"https://127.0.0.1:{port}"
    said = complaint(world, kubeconfig_for(world, tmp_path / "away", address))
    assert address in said
    assert "connection refused" in said
    assert "lab" in said


def test_stranger(world: World) -> None:
    """Somebody who may not read the cluster is told which rule is missing, and nothing is written."""
    since = world.plane.mark()
    said = complaint(world, world.plane.member_kubeconfig("eve@example.org"))
    assert 'User "eve@example.org" cannot list resource "namespaces"' in said
    assert world.writes(since) == []


def test_expired_certificate(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An expired client certificate is told with its date, not as a missing right."""
    monkeypatch.setattr(pki, "LIFETIME", timedelta(minutes=4))  # certificates begin five minutes back
    authority = pki.Authority(pki.Pair.read(world.plane.directory / "pki", "ca"))
    pair = authority.client("kim@example.org")
    ca = (world.plane.directory / "pki" / "ca.crt").read_bytes()
    path = tmp_path / "expired"
    path.write_bytes(pki.kubeconfig(world.plane.server, ca, "kim@example.org", pair))
    said = complaint(world, path)
    assert "the server doesn't know who asks (user 'kim@example.org' of the kubeconfig, certificate valid until" in said
    assert f"{datetime.now(UTC):%Y-}"[:3] in said  # noqa: TID251 - certificates are dated by the machine's clock


class Busy(kube.KubeCluster):
    """A server that says of each kind first that it is busy."""

    def __init__(self, access: Access) -> None:
        super().__init__(access)
        self.turned_away: set[str] = set()

    def list(self, resource: Resource, *, namespace: str = "", labels: str = "", fields: str = "") -> Listing:
        """Refused once for every kind."""
        if str(resource) not in self.turned_away:
            self.turned_away.add(str(resource))
            raise Rejected("storage is (re)initializing", code=429, retry_after=0.01)
        return super().list(resource, namespace=namespace, labels=labels, fields=fields)


def test_busy_server(world: World) -> None:
    """A server that has just started, or is busy, is asked again; a plan doesn't fail for it."""
    world.repository.declare(project("vision"))
    busy = Busy(find_access(kubeconfig=str(world.kubeconfig)))
    assert len(changed(world.plan(cluster=busy))) == size(world)
    assert len(busy.turned_away) == len(PAGES)
