"""Moves between ClusterQueues that have to wait: everything else of the project goes on, as if it stayed."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from reconciler.compare import Comparison
from reconciler.comparing.ownership import field_at, project_of
from reconciler.kinds import Path
from reconciler.model import Body, Manifest, ObjectRef, Observation, Suspect
from reconciler.planned import Refusal
from reconciler.planning.staying import with_staying
from reconciler.versions import Version, kueue_needed, kueue_suffices, shown_version

ONLY_MOVE = "the move to another queue"
_SAID_AT: Mapping[str, Path] = {
    "LocalQueue": ("spec", "clusterQueue"),
    "ConfigMap": ("data", "clusterQueue"),
    "Namespace": ("metadata", "labels", "jobq.io/cluster-queue"),
}
"""Kind -> where its object says which ClusterQueue the project uses."""


def moves(comparison: Comparison) -> bool:
    """Whether a LocalQueue is to be deleted: for a move, or because its name has changed."""
    replaced = (suspect.manifest.ref.kind for suspect in comparison.replaced)
    return "LocalQueue" in replaced or any(body["kind"] == "LocalQueue" for body in comparison.surplus)


def held_moves(comparison: Comparison, seen: Observation, kueue: Version | None) -> dict[str, Refusal]:
    """Project -> why its LocalQueue can't be deleted now. Where Kueue's version isn't known, nothing is held."""
    known = {body["metadata"]["name"] for body in seen.queues.get("ClusterQueue", ())}
    found = {}
    for project, target in _deleted_queues(comparison):
        if target and "ClusterQueue" in seen.queues and target not in known:
            text = f"there is no ClusterQueue {target}: the project stays where it is"
            found[project] = Refusal(text, "name one that is there: kubectl get clusterqueues", project, ONLY_MOVE)
        elif kueue is not None and not kueue_suffices(kueue):
            text = f"the deletion of a LocalQueue can hang the scheduler of Kueue {shown_version(kueue)}"
            found[project] = Refusal(text, f"update Kueue to {kueue_needed()}", project, ONLY_MOVE)
    return found


def _deleted_queues(comparison: Comparison) -> Iterator[tuple[str, str]]:
    """The projects, each with the ClusterQueue it is to move to; ``""`` where the LocalQueue only goes."""
    for body in comparison.surplus:
        if body["kind"] == "LocalQueue":
            yield project_of(body), ""
    for suspect in comparison.replaced:
        if suspect.manifest.ref.kind == "LocalQueue":
            yield suspect.manifest.project, suspect.manifest.body["spec"]["clusterQueue"]


def without_moves(comparison: Comparison, held: Mapping[str, Refusal]) -> tuple[Comparison, dict[ObjectRef, Body]]:
    """The comparison as if these projects stayed, and what takes the server's place for what it wasn't asked about."""
    if not held:
        return comparison, {}
    surplus = [b for b in comparison.surplus if b["kind"] != "LocalQueue" or project_of(b) not in held]
    stay = [replace(one, manifest=_staying(one)) for one in comparison.differing if _moves_by(one, held)]
    return with_staying(replace(comparison, surplus=surplus), stay)


def _moves_by(suspect: Suspect, held: Mapping[str, Refusal]) -> bool:
    path = _SAID_AT.get(suspect.manifest.ref.kind)
    differs = path is not None and field_at(suspect.manifest.body, path) != field_at(suspect.live, path)
    return suspect.manifest.project in held and differs


def _staying(suspect: Suspect) -> Manifest:
    path = _SAID_AT[suspect.manifest.ref.kind]
    return replace(suspect.manifest, body=_with(suspect.manifest.body, path, field_at(suspect.live, path)))


def _with(body: Body, path: Path, value: object) -> Body:
    first, rest = path[0], path[1:]
    return {**body, first: _with(body.get(first, {}), rest, value) if rest else value}
