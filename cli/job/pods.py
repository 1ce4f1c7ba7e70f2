"""Which pod of a job is meant, and what to say where it has none that runs."""

from collections.abc import Sequence

from cli.explain import waiting
from cli.explain.jobs import JOB_UID
from cli.explain.status import ENDED, status_of
from reconciler.cluster import Body, Cluster
from reconciler.errors import JobqError, NotFound
from reconciler.kinds import POD, WORKLOAD

JOB_POD = "batch.kubernetes.io/controller-uid"
_INDEX = "batch.kubernetes.io/job-completion-index"


def of_job(cluster: Cluster, job: Body) -> Sequence[Body]:
    """The job's pods, oldest first. Raises: ClusterError."""
    meta = job["metadata"]
    return in_order(cluster.list(POD, namespace=meta["namespace"], labels=f"{JOB_POD}={meta['uid']}").items)


def in_order(pods: Sequence[Body]) -> Sequence[Body]:
    """Oldest first."""
    return sorted(pods, key=lambda pod: (pod["metadata"]["creationTimestamp"], pod["metadata"]["name"]))


def index(pod: Body) -> int | None:
    """The index of an Indexed Job's pod."""
    said = pod["metadata"].get("annotations", {}).get(_INDEX)
    return None if said is None else int(said)


def container(pod: Body) -> str:
    """The container that is the job's own."""
    return str(pod["spec"]["containers"][0]["name"])


def narrowed(pods: Sequence[Body], job: Body, wanted: int | None, name: str) -> Sequence[Body]:
    """Those of that index and that name. Raises: NotFound where the job has pods, but none of those."""
    found = [
        pod
        for pod in pods
        if (wanted is None or index(pod) == wanted) and (not name or pod["metadata"]["name"] == name)
    ]
    if pods and not found:
        what = f"named {name!r}" if name else f"of index {wanted}"
        there = sorted({str(index(pod)) for pod in pods} if not name else {pod["metadata"]["name"] for pod in pods})
        raise NotFound(f"{job['metadata']['name']} has no pod {what}", hint=f"there are: {', '.join(there)}")
    return found


def running(cluster: Cluster, job: Body, wanted: int | None, name: str) -> tuple[Body, int]:
    """The first pod that runs, and how many do. Raises: JobqError, saying how the job fares where none does."""
    pods = of_job(cluster, job)
    found = [pod for pod in narrowed(pods, job, wanted, name) if is_running(pod)]
    if not found:
        raise not_running(cluster, job, pods)
    return min(found, key=lambda pod: (index(pod) or 0, pod["metadata"]["name"])), len(found)


def is_running(pod: Body) -> bool:
    """Whether its container runs, and isn't about to end."""
    states = pod.get("status", {}).get("containerStatuses", ())
    return "deletionTimestamp" not in pod["metadata"] and any(one.get("state", {}).get("running") for one in states)


def not_running(cluster: Cluster, job: Body, pods: Sequence[Body]) -> JobqError:
    """Why there is nothing to reach."""
    name = job["metadata"]["name"]
    workload = workload_of(cluster, job)
    status = status_of(job, workload)
    if status in ENDED:
        return JobqError(f"{name} doesn't run any more: it is {status}", hint=f"`jobq logs {name}` shows its output")
    why = waiting.reason(workload, pods)
    return JobqError(
        f"{name} doesn't run: it is {status}{f' ({why})' if why else ''}", hint=f"`jobq why {name}` says more"
    )


def workload_of(cluster: Cluster, job: Body) -> Body | None:
    """The job's Workload. Raises: ClusterError."""
    meta = job["metadata"]
    found = cluster.list(WORKLOAD, namespace=meta["namespace"], labels=f"{JOB_UID}={meta['uid']}").items
    return found[0] if found else None
