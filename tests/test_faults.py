"""Everything that can go wrong between jobq and an API server, on a real one: what a run makes of it, and the next one.

Whatever the fault, access is never wider than before or after, the next run converges, what isn't jobq's stays as it
is, and what is jobq's stays the same objects.
"""

import itertools
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest

from cli.exits import Exit
from cli.operator.shown import exit_code
from reconciler import kube
from reconciler.comparing.ownership import project_of
from reconciler.errors import ClusterError
from reconciler.kinds import BY_KIND, LOCAL_QUEUE, PROJECT_KINDS
from reconciler.kube import KubeCluster, connect
from reconciler.patience import FENCE
from reconciler.planned import Report
from reconciler.terms import Terms
from tests import proxy as spoilt
from tests.controlplane.another import another_server
from tests.controlplane.plane import Plane
from tests.proxy import Asked, Exchange, Fault, Match, Proxy, proxied
from tests.repository import Repository
from tests.safety import Scene, check_end, check_on_the_way, everything, finish, first_scene, next_scene
from tests.world import SUCCESSES, World, clear, eventually, forget, remove_namespace

if TYPE_CHECKING:
    import subprocess

pytestmark = pytest.mark.xdist_group("faults")
MANY = 1000


class Hurried(threading.Event):
    """A stop signal that nobody gives, for a run that doesn't really wait; how long it meant to."""

    def __init__(self) -> None:
        super().__init__()
        self.pauses: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        """At once."""
        self.pauses.append(timeout or 0)
        return super().wait(0.01)


@dataclass
class Theatre:
    """A world behind a proxy, and the step that comes next."""

    world: World
    proxy: Proxy
    cluster: KubeCluster
    scene: Scene

    def run(self, stop: threading.Event | None = None) -> Report:
        """Take the step through the proxy. Raises: ClusterError."""
        return self.world.reconcile(
            cluster=self.cluster, terms=Terms(approved=self.scene.digest), stop=stop or Hurried()
        )

    def code(self, stop: threading.Event | None = None) -> Exit:
        """The exit code of that."""
        try:
            return exit_code(self.run(stop))
        except ClusterError:
            return Exit.ERROR

    def check(self) -> None:
        """What the faulty run left is safe; once the fault is over, one more run makes everything as declared."""
        check_on_the_way(self.scene, everything(self.world))
        self.proxy.heal()
        finish(self.world)
        check_end(self.scene, everything(self.world))


@pytest.fixture(scope="module")
def staged(api_plane: Plane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Theatre]:
    """The theatre, for all tests of this file: each leaves everything as declared."""
    folder = tmp_path_factory.mktemp("faults")
    clear(api_plane)
    forget(api_plane)
    kubeconfig = api_plane.service_account_kubeconfig("jobq-system", "jobq-reconciler")
    world = World(api_plane, Repository.new(folder / "repository"), kubeconfig)
    with proxied(kubeconfig, api_plane.directory / "pki", folder / "proxy") as proxy:
        cluster = connect(kubeconfig=str(proxy.kubeconfig))
        yield Theatre(world, proxy, cluster, first_scene(world))
        cluster.close()


@pytest.fixture
def theatre(staged: Theatre) -> Iterator[Theatre]:
    """The theatre before its next step; after a test that failed, it is tidied up as well as can be."""
    yield staged
    staged.proxy.heal()
    finish(staged.world)
    staged.scene = next_scene(staged.world, staged.scene)


# ------------------------------------------------------------------------------------------------ answers


def each_once() -> Match:
    """Every write, the first time it is sent."""
    seen: set[tuple[str, str, bytes]] = set()

    def first(asked: Asked) -> bool:
        key = (asked.method, asked.path, asked.content)
        fresh = spoilt.write(asked) and key not in seen
        seen.add(key)
        return fresh

    return first


def one_object(asked: Asked) -> bool:
    """The write of one object of one project."""
    return spoilt.write(asked) and asked.path.endswith("/namespaces/alters/resourcequotas/jobq")


@dataclass(frozen=True, slots=True)
class Trouble:
    """A fault, what it befalls and how often, and the exit code of a run that meets it."""

    name: str
    match: Callable[[], Match]
    fault: Fault
    code: Exit = Exit.DONE
    times: int = MANY


def just(match: Match) -> Callable[[], Match]:
    return lambda: match


QUEUES = spoilt.to("/localqueues$", "GET")
FIELD = (
    "failed to create typed patch object (alters/jobq; /v1, Kind=ResourceQuota): .spec.x: field not declared in schema"
)

TROUBLES = [
    # every write of the run
    Trouble("connection lost before it is sent", each_once, spoilt.drop),
    Trouble("answer lost after it is done", each_once, spoilt.lose_answer),
    Trouble("answer cut in half", each_once, spoilt.truncate),
    Trouble("sent twice", each_once, spoilt.repeat),
    Trouble("409", each_once, spoilt.refuse(409)),
    Trouble("429", each_once, spoilt.refuse(429, retry_after=7)),
    Trouble("500", each_once, spoilt.refuse(500, "etcdserver: leader changed")),
    Trouble("503", each_once, spoilt.refuse(503)),
    Trouble("504", each_once, spoilt.refuse(504)),
    Trouble("policy that hasn't seen a label yet", each_once, spoilt.refuse(403, f"the reconciler {FENCE} x=y")),
    # one object of one project
    Trouble("422", just(one_object), spoilt.refuse(422), Exit.PARTLY),
    Trouble("403", just(one_object), spoilt.refuse(403), Exit.PARTLY),
    Trouble("unknown field", just(one_object), spoilt.refuse(500, FIELD, reason=""), Exit.PARTLY),
    Trouble("500 for ever", just(one_object), spoilt.refuse(500), Exit.PARTLY),
    Trouble("409 for ever", just(one_object), spoilt.refuse(409), Exit.PARTLY),
    # questions
    Trouble("dry-run refused", just(spoilt.dry_run), spoilt.refuse(422), Exit.REFUSED, times=1),
    Trouble("dry-run lost", just(spoilt.dry_run), spoilt.drop, times=1),
    Trouble("dry-run lost for ever", just(spoilt.dry_run), spoilt.drop, Exit.REFUSED),
    Trouble("dry-run 503", just(spoilt.dry_run), spoilt.refuse(503, retry_after=0), times=1),
    Trouble("dry-run 500", just(spoilt.dry_run), spoilt.refuse(500), times=1),
    # lists
    Trouble("list lost", just(spoilt.every), spoilt.drop, times=3),
    Trouble("list 429", just(spoilt.every), spoilt.refuse(429, retry_after=0), times=1),
    Trouble("list 503", just(QUEUES), spoilt.refuse(503, retry_after=0), times=1),
    Trouble("list 500", just(QUEUES), spoilt.refuse(500), times=1),
    Trouble("list 410 on continue", just(spoilt.later_page), spoilt.refuse(410), times=2),
]


@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda trouble: trouble.name)
def test_trouble(theatre: Theatre, trouble: Trouble, monkeypatch: pytest.MonkeyPatch) -> None:
    """What can be tried again is, and the run succeeds; what can't stops its project alone; the next run converges."""
    monkeypatch.setattr(kube, "PAGE", 4)
    theatre.proxy.spoil(trouble.match(), trouble.fault, times=trouble.times)
    stop = Hurried()
    assert theatre.code(stop) == trouble.code
    if "429" in trouble.name and trouble.times == MANY:
        assert set(stop.pauses) == {7.0}
    theatre.check()


UNREADABLE = {"truncated": spoilt.truncate, "forbidden": spoilt.refuse(403), "expired": spoilt.refuse(410)}
LISTED = [kind.resource.plural for kind in PROJECT_KINDS if not kind.system]


def list_of(plural: str) -> Match:
    """The LIST of one kind, all its pages and all its tries."""
    return spoilt.to(f"/{plural}$", "GET")


@pytest.mark.parametrize(("kind", "fault"), list(zip(LISTED, itertools.cycle(UNREADABLE), strict=False)))
def test_unreadable(theatre: Theatre, kind: str, fault: str) -> None:
    """A kind that can't be listed whole: nothing of it is deleted; without Namespaces, nothing is done."""
    theatre.proxy.spoil(list_of(kind), UNREADABLE[fault], times=MANY)
    since = theatre.world.plane.mark()
    code = theatre.code()
    deleted = [one for one in theatre.world.writes(since) if one.verb == "delete" and one.resource == kind]
    assert deleted == []
    if kind == "namespaces":
        assert code == Exit.ERROR
        assert [one for one in theatre.world.writes(since) if "dryRun" not in one.uri] == []
    else:
        assert code == Exit.PARTLY
    theatre.check()


def test_unreadable_catalogue(theatre: Theatre) -> None:
    """Without the catalogue nothing is done at all."""
    theatre.proxy.spoil(list_of("configmaps"), spoilt.truncate, times=MANY)
    assert theatre.code() == Exit.ERROR
    assert everything(theatre.world) == theatre.scene.before
    theatre.check()


def test_truncated_later_page(theatre: Theatre, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of a later page is no page: what it would have shown isn't missing."""
    monkeypatch.setattr(kube, "PAGE", 2)
    queues = list_of("localqueues")
    theatre.proxy.spoil(lambda asked: asked.continues and queues(asked), spoilt.truncate, times=MANY)
    assert theatre.code() == Exit.PARTLY
    theatre.check()


@pytest.mark.parametrize("done", [False, True], ids=["not done", "done"])
def test_timeout(theatre: Theatre, monkeypatch: pytest.MonkeyPatch, *, done: bool) -> None:
    """A write without an answer in time is sent again, whether it was done or not."""
    monkeypatch.setattr(kube, "ANSWER_SECONDS", 0.3)
    over = threading.Event()
    theatre.proxy.spoil(each_once(), spoilt.silence(over, done=done), times=5)
    try:
        assert theatre.code() == Exit.DONE
    finally:
        over.set()
    theatre.check()


# ------------------------------------------------------------------------------------------------ other people


def meanwhile(act: Callable[[], object]) -> Fault:
    """Something else happens just before a request arrives."""

    def acted(exchange: Exchange) -> None:
        act()
        spoilt.forward(exchange)

    return acted


def test_meddled_with(theatre: Theatre) -> None:
    """People edit, relabel and delete what a run is about to write: this run or the next makes it as declared."""
    world, step = theatre.world, theatre.scene.step

    def meddle() -> None:
        for words in (
            ["delete", "localqueue", "-n", "pauses", "main"],
            ["delete", "rolebinding", "-n", "moves", "jobq:viewer"],
            ["label", "configmap", "-n", "jobq-system", "alters", "app.kubernetes.io/managed-by-"],
            ["annotate", "namespace", "moves", "jobq.io/queue=other", "--overwrite"],
            ["label", "namespace", "pauses", "jobq.io/cluster-queue-"],
            ["create", "rolebinding", "-n", "moves", "jobq:maintainer", "--clusterrole=view", "--user=eve@example.org"],
            ["patch", "quota", "-n", "alters", "jobq", "-p", '{"spec":{"hard":{"count/jobs.batch":"99"}}}'],
        ):
            world.kubectl(*words)

    theatre.proxy.spoil(spoilt.write, meanwhile(meddle))
    assert theatre.code() in {Exit.DONE, Exit.PARTLY}
    assert step == theatre.scene.step
    theatre.proxy.heal()
    finish(world)
    check_end(theatre.scene, everything(world))


def test_taken_meanwhile(theatre: Theatre) -> None:
    """A namespace of a new project's name that somebody makes meanwhile isn't touched, until it is gone again."""
    name = f"new-{theatre.scene.step}"
    theatre.proxy.spoil(spoilt.write, meanwhile(lambda: theatre.world.kubectl("create", "namespace", name)))
    assert theatre.code() == Exit.PARTLY
    taken = [body for ref, body in everything(theatre.world).items() if name in {ref.name, ref.namespace}]
    assert [body["metadata"].get("labels", {}) for body in taken] == [{"kubernetes.io/metadata.name": name}]
    remove_namespace(theatre.world.plane, name)
    theatre.check()


def test_terminating(theatre: Theatre) -> None:
    """A namespace that is deleted while it is filled fails its project alone; while it goes it is left alone."""
    world, name = theatre.world, f"new-{theatre.scene.step}"
    deleting = meanwhile(lambda: world.kubectl("delete", "namespace", name, "--wait=false"))
    theatre.proxy.spoil(spoilt.to(f"/namespaces/{name}/"), deleting)
    stop = Hurried()
    report = theatre.run(stop)
    assert exit_code(report) == Exit.PARTLY
    assert {one.change.project for one in report.outcomes if one.result not in SUCCESSES} == {name}
    assert 2.0 in stop.pauses
    assert exit_code(world.reconcile()) == Exit.REFUSED
    remove_namespace(world.plane, name)
    theatre.check()


def test_ownership_cleared(theatre: Theatre) -> None:
    """ManagedFields stripped from every object: all of it is taken back, and what is to be archived still is."""
    clearing = [{"op": "replace", "path": "/metadata/managedFields", "value": [{}]}]
    with theatre.world.plane.api() as api:
        for ref, body in theatre.scene.before.items():
            if project_of(body) and ref.kind != "ConfigMap":
                resource = BY_KIND[ref.group, ref.kind].resource
                path = kube._path(resource, ref.namespace, ref.name)
                api.call("PATCH", path, clearing, {"Content-Type": "application/json-patch+json"})  # type: ignore[arg-type] # a JSON patch is a list
    theatre.code()
    theatre.check()


def test_failing_webhook(theatre: Theatre) -> None:
    """A webhook on queues that doesn't answer fails what it guards, and nothing else."""
    rule = {"apiGroups": [LOCAL_QUEUE.group], "apiVersions": ["*"], "resources": ["localqueues"], "operations": ["*"]}
    hook = {
        "name": "down.example.org",
        "clientConfig": {"url": "https://127.0.0.1:1/"},
        "rules": [rule],
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        "timeoutSeconds": 1,
    }
    kind = {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration"}
    world = theatre.world
    world.kubectl("create", "-f", "-", given={**kind, "metadata": {"name": "down"}, "webhooks": [hook]})
    annotate = ["annotate", "localqueue", "-n", "pauses", "main", "x=y", "--dry-run=server"]
    try:
        assert eventually(lambda: "failed calling webhook" in world.kubectl(*annotate, fails=True))
        theatre.scene = replace(theatre.scene, digest=world.plan().plan.disruption)
        assert theatre.code() == Exit.PARTLY
    finally:
        world.kubectl("delete", "validatingwebhookconfiguration", "down")
    assert eventually(lambda: "failed calling webhook" not in world.kubectl(*annotate, fails=True))
    theatre.check()


# ------------------------------------------------------------------------------------------------ processes


@pytest.mark.parametrize("number", [3, 9, 20])
def test_process_killed(theatre: Theatre, number: int) -> None:
    """Kill -9 while a write is under way."""
    process = theatre.world.start("reconcile", "--approved", theatre.scene.digest, kubeconfig=theatre.proxy.kubeconfig)
    writes = itertools.count(1)
    theatre.proxy.spoil(lambda asked: asked.writes and next(writes) == number, meanwhile(process.kill))
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    theatre.check()


def test_two_at_once(theatre: Theatre) -> None:
    """Two processes with the same commit, begun together: neither hinders the other for long."""
    words = ("reconcile", "--approved", theatre.scene.digest)
    processes = [theatre.world.start(*words) for _ in range(2)]
    ended(processes)
    theatre.check()


def test_two_commits_at_once(theatre: Theatre) -> None:
    """Two processes with a commit and the one after it: the run after them makes the later one true."""
    words = ("reconcile", "--approved", theatre.scene.digest)
    first = theatre.world.start(*words, kubeconfig=theatre.proxy.kubeconfig)
    assert eventually(lambda: bool(theatre.proxy.asked))
    theatre.world.repository.commit({"projects.d/README.md": "a later commit\n"})
    ended([first, theatre.world.start(*words)])
    theatre.check()


def ended(processes: Sequence["subprocess.Popen[str]"]) -> None:
    """All are over, and each said in words how."""
    for process in processes:
        out, err = process.communicate(timeout=60)
        assert "Traceback" not in out + err
        assert process.returncode in {Exit.DONE, Exit.REFUSED, Exit.PARTLY}, err


def test_server_restarted(theatre: Theatre) -> None:
    """An API server that is killed in the middle of a run and comes up again: the run ends, the next one goes on."""
    with another_server(theatre.world.plane) as server:
        upstream, theatre.proxy.upstream = theatre.proxy.upstream, server.address
        theatre.cluster.close()
        theatre.proxy.cut_all()
        writes = itertools.count(1)
        theatre.proxy.spoil(lambda asked: asked.writes and next(writes) == 5, meanwhile(server.kill))
        code = theatre.code(threading.Event())
        server.start()
        assert code in {Exit.DONE, Exit.PARTLY}
        check_on_the_way(theatre.scene, everything(theatre.world))
        theatre.proxy.heal()
        report = theatre.run()
        if report.verdict.refused:  # a part of what was approved is done
            report = theatre.world.reconcile(cluster=theatre.cluster, terms=Terms(approved=report.plan.disruption))
        assert exit_code(report) == Exit.DONE
        check_end(theatre.scene, everything(theatre.world))
        theatre.proxy.upstream = upstream
    theatre.proxy.cut_all()
