"""A scene in which everything happens to some project, and what must hold of it whatever goes wrong on the way."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from reconciler.archive import archived
from reconciler.cluster import Body
from reconciler.compare import compare
from reconciler.comparing.ownership import is_equal, project_of
from reconciler.kinds import PROJECT_KINDS
from reconciler.model import MANAGED_BY, MANAGER, Manifest, ObjectRef
from reconciler.planned import Report
from reconciler.terms import Terms
from tests.repository import project
from tests.world import SUCCESSES, TODAY, World, purge

KIM = {"user": "kim@example.org", "role": "viewer"}
KIM_RAISED = {"user": "kim@example.org", "role": "researcher"}
LEE = {"user": "lee@example.org", "role": "maintainer"}
GROUP = {"group": "oidc:vision", "role": "researcher"}
GROUP_LOWERED = {"group": "oidc:vision", "role": "viewer"}
RANKS = {f"jobq-project-{role}": rank for rank, role in enumerate(("viewer", "researcher", "maintainer"), 1)}
STRANGERS = (
    ("create", "namespace", "elsewhere"),
    ("create", "configmap", "-n", "alters", "notes", "--from-literal=a=b"),
    ("create", "rolebinding", "-n", "leaves", "guests", "--clusterrole=view", "--user=eve@example.org"),
    ("create", "quota", "-n", "moves", "theirs", "--hard=secrets=5"),
    ("create", "serviceaccount", "-n", "pauses", "builder"),
    ("create", "configmap", "-n", "elsewhere", "theirs", "--from-literal=a=b"),
)
"""Objects of nobody's in the projects' namespaces and beside them, as kubectl makes them."""

Live = Mapping[ObjectRef, Body]
Roles = Mapping[tuple[str, str], int]
"""Namespace and name -> the highest role there, as a rank."""


def projects(step: int) -> list[str]:
    """One of two states, and a project that no step before had: from one to the next, everything happens to something.

    A project is created, one changed in its members, roles, limits and text, one paused or resumed, one moved to
    another queue, one archived and one restored.
    """
    even = step % 2 == 0
    here = [
        project("alters", members=[KIM, GROUP, LEE], limits={"jobs": 5}, displayName="Before")
        if even
        else project("alters", members=[KIM_RAISED, GROUP_LOWERED], limits={"storage": "1Ti"}, displayName="After"),
        project("moves", members=[KIM], clusterQueue="gpu-shared" if even else "fake-shared"),
        project("pauses", members=[GROUP], active=even),
        project("leaves" if even else "returns", members=[KIM, GROUP]),
    ]
    return [*here, project(f"new-{step}", members=[GROUP])]


@dataclass(frozen=True, slots=True)
class Scene:
    """A step that is declared and not yet taken."""

    step: int
    before: Live
    """Everything there is, whoever it belongs to."""
    manifests: Sequence[Manifest]
    digest: str
    """What approves it."""


def first_scene(world: World) -> Scene:
    """The first step, with strangers beside our objects."""
    for step in (1, 0):
        world.repository.declare(*projects(step))
        finish(world)
        purge(world, f"new-{step}")
    for words in STRANGERS:
        world.kubectl(*words)
    return _scene(world, 1)


def next_scene(world: World, scene: Scene) -> Scene:
    """The step after one that was taken; the project that was new in that one is purged."""
    purge(world, f"new-{scene.step}")
    return _scene(world, scene.step + 1)


def _scene(world: World, step: int) -> Scene:
    world.repository.declare(*projects(step))
    return Scene(step, everything(world), world.manifests(), world.plan().plan.disruption)


def everything(world: World) -> Live:
    """All objects of the kinds that projects consist of, whoever they belong to."""
    found = {}
    for kind in PROJECT_KINDS:
        for item in world.admin.list(kind.resource).items:
            body = {"apiVersion": kind.resource.api_version, "kind": kind.resource.kind, **item}
            found[ObjectRef.of(body)] = body
    return found


def finish(world: World) -> Report:
    """Run again as an admin would, with approval where it is asked for; all of it must succeed."""
    report = world.reconcile()
    if report.verdict.refused:
        report = world.reconcile(terms=Terms(approved=report.plan.disruption))
    assert report.applied, report.verdict
    assert {outcome.result for outcome in report.outcomes} <= SUCCESSES, report.outcomes
    return report


# ------------------------------------------------------------------------------------------------ what must hold


def check_on_the_way(scene: Scene, live: Live) -> None:
    """Nobody has more than before or after; losses came before all else, a project's first access after all else."""
    had, has, shall = roles(scene.before), roles(live), roles(_bodies(scene.manifests))
    assert {key for key, rank in has.items() if rank > max(had.get(key, 0), shall.get(key, 0))} == set()
    for name in {name for (name, who), rank in has.items() if rank > shall.get((name, who), 0)}:
        assert _contents(live, name) == _contents(scene.before, name)
    for name in {name for name, _ in has} - {name for name, _ in had}:
        mine = [one for one in scene.manifests if one.project == name and one.ref.kind != "RoleBinding"]
        assert all(one.ref in live and is_equal(one, live[one.ref]) for one in mine)
    assert strangers(scene.before).items() <= strangers(live).items()


def check_end(scene: Scene, live: Live) -> None:
    """Everything is as declared, what was there is the same objects still, and strangers are untouched."""
    assert in_sync(scene.manifests, live)
    assert roles(live) == roles(_bodies(scene.manifests))
    assert _uids(scene.before).items() <= _uids(live).items()
    assert strangers(scene.before).items() <= strangers(live).items()


def in_sync(manifests: Sequence[Manifest], live: Live) -> bool:
    """Whether everything declared is provably there, and nothing of ours beside it but what rests."""
    names = {manifest.project for manifest in manifests}
    found = compare((*manifests, *archived(live, names, TODAY)), live)
    return not (found.suspects or found.replaced or found.missing or found.surplus)


def roles(live: Live) -> Roles:
    """Who may do what in projects."""
    found: dict[tuple[str, str], int] = {}
    for ref, body in live.items():
        if ref.kind == "RoleBinding" and body["roleRef"]["name"] in RANKS:
            for subject in body.get("subjects") or ():
                key = (ref.namespace, subject["name"])
                found[key] = max(found.get(key, 0), RANKS[body["roleRef"]["name"]])
    return found


def strangers(live: Live) -> dict[ObjectRef, str]:
    """What isn't jobq's, with its resourceVersions."""
    return {
        ref: body["metadata"]["resourceVersion"]
        for ref, body in live.items()
        if body["metadata"].get("labels", {}).get(MANAGED_BY) != MANAGER
    }


def _bodies(manifests: Sequence[Manifest]) -> Live:
    return {manifest.ref: manifest.body for manifest in manifests}


def _contents(live: Live, name: str) -> dict[ObjectRef, object]:
    """A project's objects but its bindings, by what they say."""
    mine = {ref: body for ref, body in live.items() if project_of(body) == name and ref.kind != "RoleBinding"}
    return {ref: (body.get("spec"), body.get("data"), body["metadata"]["labels"]) for ref, body in mine.items()}


def _uids(live: Live) -> dict[ObjectRef, str]:
    """Which objects these are; but bindings, which come and go, and queues, which a move replaces."""
    kept = {ref: body for ref, body in live.items() if ref.kind not in {"RoleBinding", "LocalQueue"}}
    return {ref: body["metadata"]["uid"] for ref, body in kept.items() if project_of(body)}
