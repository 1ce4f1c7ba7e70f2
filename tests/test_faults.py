"""Everything that can go wrong between jobq and an API server, on a real one: what a run makes of it, and the next one.

Whatever the fault, access is never wider than before or after, the next run converges, what isn't jobq's stays as it
is, and what is jobq's stays the same objects.
"""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from cli.exits import Exit
from cli.operator.shown import exit_code
from reconciler import kube
from reconciler.errors import ClusterError
from reconciler.kube import KubeCluster, connect
from reconciler.model import Report
from reconciler.terms import Terms
from tests import proxy as spoilt
from tests.controlplane.plane import Plane
from tests.proxy import Asked, Fault, Match, Proxy, proxied
from tests.repository import Repository
from tests.safety import Scene, check_end, check_on_the_way, everything, finish, first_scene, next_scene
from tests.world import World, clear, forget

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
    # one object of one project
    Trouble("422", just(one_object), spoilt.refuse(422), Exit.PARTLY),
    Trouble("403", just(one_object), spoilt.refuse(403), Exit.PARTLY),
    Trouble("unknown field", just(one_object), spoilt.refuse(500, FIELD, reason=""), Exit.PARTLY),
    Trouble("500 for ever", just(one_object), spoilt.refuse(500), Exit.PARTLY),
    Trouble("409 for ever", just(one_object), spoilt.refuse(409), Exit.PARTLY),
    # questions
    Trouble("dry-run refused", just(spoilt.dry_run), spoilt.refuse(422), Exit.REFUSED, times=1),
    Trouble("dry-run lost", just(spoilt.dry_run), spoilt.drop, times=1),
    Trouble("dry-run 503", just(spoilt.dry_run), spoilt.refuse(503, retry_after=0), times=1),
    Trouble("dry-run 500", just(spoilt.dry_run), spoilt.refuse(500), times=1),
    # lists
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
