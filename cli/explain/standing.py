"""Jobs' places in their queues. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from cli import parts
from cli.parts import Json


@dataclass(frozen=True, slots=True)
class Position:
    """Where a Workload stands, from 1: in its project, and among all who share the ClusterQueue (None: unknown)."""

    here: int
    overall: int | None


def counted(items: Iterable[Json]) -> Mapping[tuple[str, str], Position]:
    """Namespace and name of each waiting Workload -> its place, counted anew in each LocalQueue.

    Some releases of Kueue mix in Workloads of other namespaces, and count them.
    """
    before: Counter[tuple[str, str]] = Counter()
    found = {}
    for item in sorted(items, key=lambda item: parts.number(item, "positionInLocalQueue") or 0):
        namespace, overall = parts.text(item, "metadata", "namespace"), parts.number(item, "positionInClusterQueue")
        queue = namespace, parts.text(item, "localQueueName")
        before[queue] += 1
        found[namespace, parts.name(item)] = Position(before[queue], None if overall is None else overall + 1)
    return found
