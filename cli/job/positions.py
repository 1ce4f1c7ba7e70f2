"""Where jobs stand in their queue, by Kueue's visibility API: quick or not at all, and only one's own projects'.

https://kueue.sigs.k8s.io/docs/tasks/manage/monitor_pending_workloads/pending_workloads_on_demand/
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from urllib.parse import quote

from cli import clock, parts
from cli.connection import AT_ONCE
from cli.explain.standing import Position, counted
from reconciler.cluster import Body, Cluster
from reconciler.errors import ClusterError

PAGE = 20_000
"""Of each page Kueue sorts all that waits: few large ones are quicker. Its limit is 100,000."""
SECONDS = 2.0
"""With Kueue hung, the API server waits for it much longer."""
_API = "/apis/visibility.kueue.x-k8s.io/v1beta2"


@dataclass(frozen=True, slots=True)
class Queue:
    """Where Kueue shows what waits, and of which namespaces that is wanted."""

    path: str
    namespaces: Collection[str]


@dataclass(frozen=True, slots=True)
class Positions:
    """Namespace and name of a Workload -> position; ``problem`` says why there are none, or not all."""

    of: Mapping[tuple[str, str], Position]
    problem: str = ""


def local(namespace: str, queue: str) -> Queue:
    """A LocalQueue, which its project's members may ask."""
    return Queue(f"{_API}/namespaces/{quote(namespace, safe='')}/localqueues/{quote(queue, safe='')}", {namespace})


def shared(cluster_queue: str, namespaces: Collection[str]) -> Queue:
    """A ClusterQueue, which administrators may ask: all its LocalQueues at once."""
    return Queue(f"{_API}/clusterqueues/{quote(cluster_queue, safe='')}", namespaces)


def read_positions(cluster: Cluster, *queues: Queue, seconds: float = SECONDS) -> Positions:
    """The positions in queues, side by side, in ``seconds`` together. No promise: Kueue may pass one over.

    Some versions of Kueue answer with Workloads of other namespaces, and count them: those are left out here.
    """
    until = clock.elapsed() + seconds
    with ThreadPoolExecutor(min(max(len(queues), 1), AT_ONCE)) as pool:
        answers = list(pool.map(lambda queue: _read(cluster, queue, until), queues))
    items = [item for found, _ in answers for item in found]
    return Positions(counted(items), next((problem for _, problem in answers if problem), ""))


def pages(cluster: Cluster, queue: Queue, until: float) -> Iterator[list[Body]]:
    """The waiting jobs as Kueue lists them, until that time by `clock.elapsed`. Raises: ClusterError."""
    offset, count = 0, PAGE
    while count == PAGE and clock.elapsed() < until:
        left = until - clock.elapsed()
        path = f"{queue.path}/pendingworkloads?limit={PAGE}&offset={offset}"
        page = cluster.read(path, seconds=left).get("items") or []
        count = len(page)
        offset += count
        yield page


def _read(cluster: Cluster, queue: Queue, until: float) -> tuple[Sequence[Body], str]:
    found: list[Body] = []
    if clock.elapsed() >= until:
        return found, "Kueue didn't answer in time"
    try:
        for page in pages(cluster, queue, until):
            found += [item for item in page if parts.text(item, "metadata", "namespace") in queue.namespaces]
    except ClusterError as error:  # a held queue has none; without the visibility API there are none at all
        return found, str(error)
    return found, ""
