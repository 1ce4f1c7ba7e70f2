"""What can't be read is unknown, never absent."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.exits import Exit
from cli.operator.shown import exit_code
from reconciler.cluster import Listing, Resource
from reconciler.errors import Forbidden
from reconciler.kinds import CLUSTER_QUEUE, CONFIG_MAP, NAMESPACE, PROJECT_KINDS
from reconciler.kube import KubeCluster
from reconciler.kubeconfig import find_access
from reconciler.report import as_text
from tests.controlplane.plane import Extent, Plane, start
from tests.repository import Repository, project
from tests.world import SUCCESSES, World, install

VISION = project("vision")
FULL = {
    "storage": [{"name": "data", "size": "1Gi", "access": "ReadWriteOnce"}],
    "limits": {"jobs": 5, "container": {"max": {"cpu": "2"}}},
    "members": [{"user": "kim", "role": "viewer"}],
}
"""A project with an object of every kind."""
GENEROUS = "guard.disrupted = 3\n"


@pytest.fixture(scope="module")
def plane_without_kueue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plane]:
    """An API server, bootstrapped, from which Kueue has been removed."""
    with start(Extent.API) as own:
        install(own, tmp_path_factory.mktemp("bootstrap"))
        with own.api() as api:
            api.call("DELETE", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/localqueues.kueue.x-k8s.io")
        yield own


def test_kueue_is_not_there(plane_without_kueue: Plane, repository: Repository) -> None:
    """Without LocalQueue v1beta2 one sentence says so, nothing is written, and an offline plan still works."""
    kubeconfig = plane_without_kueue.service_account_kubeconfig("jobq-system", "jobq-reconciler")
    world = World(plane_without_kueue, repository, kubeconfig)
    repository.declare(VISION)
    before = world.plane.mark()
    run = world.jobq("reconcile")
    assert run.code == 1
    found = "found: no LocalQueue at all"
    assert run.err.startswith(
        f"error: LocalQueue v1beta2 is not served by {world.plane.server}; {found}\nhint: install Kueue"
    )
    assert world.writes(before) == []
    offline = world.jobq("plan", "--offline")
    assert (offline.code, "vision: created" in offline.out) == (0, True)


class Blind(KubeCluster):
    """A cluster that shows anything but one kind."""

    def __init__(self, kubeconfig: Path, hidden: Resource) -> None:
        super().__init__(find_access(kubeconfig=str(kubeconfig)))
        self._hidden = hidden

    def list(self, resource: Resource, *, namespace: str = "", labels: str = "", fields: str = "") -> Listing:
        """As always, or refused."""
        if resource is self._hidden:
            raise Forbidden(f"no {resource} for you", code=403)
        return super().list(resource, namespace=namespace, labels=labels, fields=fields)


NEEDED = [NAMESPACE, CONFIG_MAP]
"""Without these nobody knows what is a project."""
KINDS = [kind.resource for kind in PROJECT_KINDS]


@pytest.mark.parametrize("hidden", NEEDED, ids=str)
def test_what_says_which_projects_there_are(world: World, hidden: Resource) -> None:
    """Where Namespaces or the catalogue can't be read, the whole run is refused before any write."""
    world.repository.declare(VISION)
    before = world.plane.mark()
    with pytest.raises(Forbidden, match="for you"):
        world.reconcile(cluster=Blind(world.kubeconfig, hidden))
    assert world.writes(before) == []


@pytest.mark.parametrize("hidden", [kind for kind in KINDS if kind not in NEEDED], ids=str)
def test_kind_that_cant_be_read(world: World, hidden: Resource) -> None:
    """Of a kind that is hidden nothing live is changed or deleted, no project is archived; all else goes on: exit 5."""
    world.repository.declare(project("vision", **FULL), project("speech", **FULL), settings=GENEROUS)
    world.reconcile()
    world.repository.declare(project("vision", clusterQueue="fake-shared"), project("art", **FULL), settings=GENEROUS)
    before = world.live()
    report = world.reconcile(cluster=Blind(world.kubeconfig, hidden))
    assert report.applied
    assert exit_code(report) == Exit.PARTLY
    assert {outcome.result for outcome in report.outcomes} <= SUCCESSES
    changed = {change.ref for change in report.plan.changes}
    assert {ref for ref in changed if ref.namespace == "vision"}
    assert not [ref for ref in changed if ref.kind == hidden.kind and ref in before]
    assert not [ref for ref in changed if "speech" in {ref.namespace, ref.name}]
    assert hidden.kind in {ref.kind for ref in world.live() if ref.namespace == "art"}
    assert f"no {hidden.kind} of a live project" in as_text(report)
    assert world.reconcile().plan.changes
    assert not world.plan().plan.changes


def test_queues_that_cant_be_read(world: World) -> None:
    """Where ClusterQueues are hidden, the plan says that they are not checked, and goes on."""
    world.repository.declare(VISION)
    report = world.reconcile(cluster=Blind(world.kubeconfig, CLUSTER_QUEUE))
    assert "ClusterQueues are not checked: no clusterqueues.kueue.x-k8s.io for you" in [
        effect.text for effect in report.plan.effects
    ]
    assert report.applied
    assert not world.reconcile(cluster=Blind(world.kubeconfig, CLUSTER_QUEUE)).plan.changes
