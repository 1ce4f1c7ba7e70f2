"""The cluster, read: first everything of the kinds in the table, later what the comparison couldn't settle."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from reconciler.cluster import Cluster, Resource
from reconciler.compare import Suspect
from reconciler.errors import ClusterError, NotFound, Unauthorized, Unreachable
from reconciler.kinds import (
    BY_KIND,
    CLUSTER_QUEUE,
    COHORT,
    CONFIG_MAP,
    LOCAL_QUEUE,
    NAMESPACE,
    PRIORITY_CLASS,
    PROJECT_KINDS,
    RESOURCE_FLAVOR,
    Kind,
)
from reconciler.model import MANAGED_BY, MANAGER, SYSTEM_NAMESPACE, Body, ObjectRef, Observation

_QUEUE_KINDS = (CLUSTER_QUEUE, COHORT, RESOURCE_FLAVOR, PRIORITY_CLASS)
_WORKERS = 8


def read_notes(cluster: Cluster) -> Mapping[str, Body]:
    """The ConfigMaps of jobq-system by name: the catalogue, and what is noted about the cluster. One LIST.

    Raises: ClusterError.
    """
    listing = cluster.list(CONFIG_MAP, namespace=SYSTEM_NAMESPACE)
    return {body["metadata"]["name"]: _typed(body, CONFIG_MAP) for body in listing.items}


def observe(cluster: Cluster, notes: Mapping[str, Body]) -> Observation:
    """Everything the plan needs, one paged LIST per kind. Names with a dot in jobq-system are no inventory.

    Raises: ClusterError where Namespaces can't be read, or LocalQueues aren't served.
    """
    kinds = [kind for kind in PROJECT_KINDS if not kind.system]
    with ThreadPoolExecutor(_WORKERS) as pool:
        mine = pool.map(lambda kind: _listed(cluster, kind), kinds)
        theirs = pool.map(lambda resource: _read(cluster, resource), _QUEUE_KINDS)
        answers, queues = list(mine), list(theirs)
    unreadable = {str(kind.resource): a for kind, a in zip(kinds, answers, strict=True) if isinstance(a, ClusterError)}
    _must_be_readable(unreadable, cluster)
    live = {_ref(body): body for answer in answers if not isinstance(answer, ClusterError) for body in answer}
    live |= {_ref(body): body for name, body in notes.items() if "." not in name}
    known = {
        r.kind: found for r, found in zip(_QUEUE_KINDS, queues, strict=True) if not isinstance(found, ClusterError)
    }
    return Observation(live, notes, known, unreadable)


def ask(cluster: Cluster, suspects: Sequence[Suspect]) -> Mapping[ObjectRef, Body | ClusterError]:
    """What the server would make of each suspect: one dry-run apply each."""
    with ThreadPoolExecutor(_WORKERS) as pool:
        answers = pool.map(lambda suspect: _asked(cluster, suspect), suspects)
        return dict(zip((suspect.manifest.ref for suspect in suspects), answers, strict=True))


def _asked(cluster: Cluster, suspect: Suspect) -> Body | ClusterError:
    ref = suspect.manifest.ref
    try:
        return cluster.apply(BY_KIND[ref.group, ref.kind].resource, suspect.manifest.body, dry_run=True)
    except ClusterError as error:
        return error


def _listed(cluster: Cluster, kind: Kind) -> Sequence[Body] | ClusterError:
    return _read(cluster, kind.resource, labels="" if kind.whole else f"{MANAGED_BY}={MANAGER}")


def _read(cluster: Cluster, resource: Resource, *, labels: str = "") -> Sequence[Body] | ClusterError:
    try:
        return [_typed(body, resource) for body in cluster.list(resource, labels=labels).items]
    except ClusterError as error:
        return error


def _must_be_readable(unreadable: Mapping[str, ClusterError], cluster: Cluster) -> None:
    """Without namespaces, without Kueue, or without an answer at all, nothing can be decided."""
    for kind, error in unreadable.items():
        if kind == str(LOCAL_QUEUE) and isinstance(error, NotFound):
            raise NotFound(
                f"LocalQueue {LOCAL_QUEUE.version} is not served by {cluster.address}",
                hint="install Kueue 0.17.8, 0.18.4 or 0.19 and later; `jobq plan --offline` works without",
                code=error.code,
            )
        if kind == str(NAMESPACE) or isinstance(error, Unreachable | Unauthorized):
            raise error


def _typed(body: Body, resource: Resource) -> Body:
    """An item of a LIST with the kind that the list says once for all of them."""
    return {"apiVersion": resource.api_version, "kind": resource.kind} | body


def _ref(body: Body) -> ObjectRef:
    metadata = body["metadata"]
    group = body["apiVersion"].rpartition("/")[0]
    return ObjectRef(group, body["kind"], metadata.get("namespace", ""), metadata["name"])
