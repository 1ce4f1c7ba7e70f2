"""Comparison -> Questions: what the lists leave open, of what this plan touches and nothing else."""

from collections.abc import Iterator

from reconciler.compare import Comparison
from reconciler.model import Questions


def questions_of(comparison: Comparison) -> Questions:
    """A dry-run for each suspect; Workloads where a queue is held, opened or moved. In sync: nothing at all."""
    return Questions(dry_runs=comparison.suspects, workloads=sorted(set(_queues_touched(comparison))))


def _queues_touched(comparison: Comparison) -> Iterator[str]:
    """The namespaces whose LocalQueue stops, goes on, or moves to another ClusterQueue."""
    for suspect in (*comparison.suspects, *comparison.replaced):
        if suspect.manifest.ref.kind == "LocalQueue":
            wanted, live = suspect.manifest.body["spec"], suspect.live["spec"]
            if any(wanted.get(key) != live.get(key) for key in ("clusterQueue", "stopPolicy")):
                yield suspect.manifest.ref.namespace
