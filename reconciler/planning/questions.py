"""Comparison -> Questions: what the lists leave open, of what this plan touches and nothing else."""

from collections.abc import Iterator

from reconciler.compare import Comparison
from reconciler.model import Body, Manifest, ObjectRef, Observation, Questions
from reconciler.planning.access import leavers
from reconciler.planning.limits import JOBS, hard
from reconciler.planning.moves import moves


def questions_of(comparison: Comparison, seen: Observation) -> Questions:
    """A dry-run for each suspect; Workloads where a queue is held, opened or moved. In sync: nothing at all.

    Where somebody leaves, who submitted the jobs; where a limit on them is new, how many there are.
    """
    left = set(_left(comparison, seen))
    return Questions(
        dry_runs=comparison.suspects,
        workloads=sorted({*_queues_touched(comparison), *left}),
        jobs=sorted({*_first_limits(comparison, seen), *left}),
        claims=sorted(_restored(comparison)),
        kueue=moves(comparison),
    )


def _queues_touched(comparison: Comparison) -> Iterator[str]:
    """The namespaces whose LocalQueue stops, goes on, goes, or moves to another ClusterQueue."""
    for suspect in comparison.differing:
        if suspect.manifest.ref.kind == "LocalQueue":
            wanted, live = suspect.manifest.body["spec"], suspect.live["spec"]
            if any(wanted.get(key) != live.get(key) for key in ("clusterQueue", "stopPolicy")):
                yield suspect.manifest.ref.namespace
    for body in comparison.surplus:
        if body["kind"] == "LocalQueue":
            yield body["metadata"]["namespace"]


def _restored(comparison: Comparison) -> Iterator[str]:
    """The namespaces of archived projects that come back."""
    for suspect in comparison.suspects:
        wanted, live = suspect.manifest.body.get("data", {}), suspect.live.get("data", {})
        if suspect.manifest.ref.kind == "ConfigMap" and live.get("state") == "archived" != wanted.get("state"):
            yield wanted["namespace"]


def _first_limits(comparison: Comparison, seen: Observation) -> Iterator[str]:
    """The namespaces that are there and get their first limit on jobs: nobody counts them yet."""
    for manifest in (*comparison.missing, *(suspect.manifest for suspect in comparison.suspects)):
        if manifest.ref.kind == "ResourceQuota" and JOBS in manifest.body["spec"]["hard"]:
            live = seen.live.get(manifest.ref)
            there = ObjectRef("", "Namespace", "", manifest.ref.namespace) in seen.live
            if there and (live is None or JOBS not in hard(live)):
                yield manifest.ref.namespace


def _left(comparison: Comparison, seen: Observation) -> Iterator[str]:
    """The namespaces in which a person who has access shall have none."""
    changed = {suspect.manifest.ref.namespace for suspect in comparison.differing if _is_binding(suspect.manifest)}
    changed |= {body["metadata"]["namespace"] for body in comparison.surplus if body["kind"] == "RoleBinding"}
    if not changed:
        return
    wanted: dict[str, list[Body]] = {namespace: [] for namespace in changed}
    for manifest in comparison.wanted:
        if _is_binding(manifest) and manifest.ref.namespace in wanted:
            wanted[manifest.ref.namespace].append(manifest.body)
    yield from leavers(wanted, seen.live)


def _is_binding(manifest: Manifest) -> bool:
    return manifest.ref.kind == "RoleBinding"
