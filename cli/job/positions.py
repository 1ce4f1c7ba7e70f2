"""Where jobs stand in their queue, by Kueue's visibility API: quick or not at all, and only one's own project's.

https://kueue.sigs.k8s.io/docs/tasks/manage/monitor_pending_workloads/pending_workloads_on_demand/
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import quote

from cli import clock
from cli.explain.standing import Position
from reconciler.cluster import Body, Cluster
from reconciler.errors import ClusterError

PAGE = 20_000
"""Of each page Kueue sorts all that waits: few large ones are quicker. Its limit is 100,000."""
SECONDS = 2.0
"""With Kueue hung, the API server waits for it much longer."""


@dataclass(frozen=True, slots=True)
class Positions:
    """Workload's name -> position; ``problem`` says why there are none, or not all."""

    of: Mapping[str, Position]
    problem: str = ""


def read_positions(cluster: Cluster, namespace: str, queue: str, seconds: float = SECONDS) -> Positions:
    """The positions in a LocalQueue, page by page, in ``seconds`` together. No promise: Kueue may pass one over.

    Some versions of Kueue answer with Workloads of other namespaces, and count them: those are left out here.
    """
    found: list[Body] = []
    problem = ""
    try:
        for page in pages(cluster, namespace, queue, clock.elapsed() + seconds):
            found += [item for item in page if item.get("metadata", {}).get("namespace") == namespace]
    except ClusterError as error:  # a held queue has none; without the visibility API there are none at all
        problem = str(error)
    found.sort(key=lambda item: int(item.get("positionInLocalQueue", 0)))
    return Positions({item["metadata"]["name"]: _position(at, item) for at, item in enumerate(found, 1)}, problem)


def pages(cluster: Cluster, namespace: str, queue: str, until: float) -> Iterator[list[Body]]:
    """The waiting jobs as Kueue lists them, until that time by `clock.elapsed`. Raises: ClusterError."""
    path = (
        f"/apis/visibility.kueue.x-k8s.io/v1beta2/namespaces/{quote(namespace, safe='')}"
        f"/localqueues/{quote(queue, safe='')}/pendingworkloads"
    )
    offset, count = 0, PAGE
    while count == PAGE and clock.elapsed() < until:
        left = until - clock.elapsed()
        page = cluster.read(f"{path}?limit={PAGE}&offset={offset}", seconds=left).get("items") or []
        count = len(page)
        offset += count
        yield page


def _position(here: int, item: Body) -> Position:
    overall = item.get("positionInClusterQueue")
    return Position(here, None if overall is None else int(overall) + 1)
