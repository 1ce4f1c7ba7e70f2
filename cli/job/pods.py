"""Which pod of a job is meant, and what to say where it has none that runs."""

from collections.abc import Mapping, Sequence

from cli import clock
from cli.explain import indexes, words
from cli.explain.jobs import JOB_UID, AnyJob
from cli.explain.status import ENDED, Status, status_of
from cli.explain.why import explain
from reconciler.cluster import Body, Cluster
from reconciler.errors import JobqError, NotFound
from reconciler.kinds import JOB, POD, WORKLOAD

JOB_POD = "batch.kubernetes.io/controller-uid"
_LABELS: Mapping[str, str] = {
    "Job": JOB_POD,
    "JobSet": "jobset.sigs.k8s.io/jobset-uid",
    "RayJob": "ray.io/originated-from-cr-name",
    "TrainJob": "jobset.sigs.k8s.io/jobset-name",
    "PyTorchJob": "training.kubeflow.org/job-name",
    "MPIJob": "training.kubeflow.org/job-name",
    "Pod": "kueue.x-k8s.io/pod-group-name",
}
"""How pods name what they belong to, by its kind."""
_BY_UID = {JOB_POD, "jobset.sigs.k8s.io/jobset-uid"}
"""Those that name it by its uid; the others by its name."""
_INDEX = "batch.kubernetes.io/job-completion-index"


def of_job(cluster: Cluster, job: Body) -> Sequence[Body]:
    """The job's pods, oldest first. Raises: ClusterError."""
    meta = job["metadata"]
    return in_order(cluster.list(POD, namespace=meta["namespace"], labels=f"{JOB_POD}={meta['uid']}").items)


def of_any(cluster: Cluster, job: AnyJob) -> Sequence[Body]:
    """The pods of a job of any kind; none of a kind whose pods can't be found. Raises: ClusterError."""
    label = _LABELS.get(job.resource.kind)
    if label is None:
        return ()
    value = job.uid if label in _BY_UID else job.name
    return cluster.list(POD, namespace=job.namespace, labels=f"{label}={value}").items


def in_order(pods: Sequence[Body]) -> Sequence[Body]:
    """Oldest first."""
    return sorted(pods, key=lambda pod: (pod["metadata"]["creationTimestamp"], pod["metadata"]["name"]))


def index(pod: Body) -> int | None:
    """The index of an Indexed Job's pod: in an array its task's number."""
    said = pod["metadata"].get("annotations", {}).get(_INDEX)
    return None if said is None else indexes.number(pod.get("spec") or {}, int(said))


def container(pod: Body) -> str:
    """The container that is the job's own."""
    return str(pod["spec"]["containers"][0]["name"])


def is_parallel(job: Body) -> bool:
    """Whether several pods of it may run at once, or stand for different tasks."""
    spec = job["spec"]
    indexed = spec.get("completionMode") == "Indexed"
    return int(spec.get("parallelism", 1)) > 1 or (indexed and int(spec.get("completions", 1)) > 1)


def prefix(pod: Body, job: Body) -> str:
    """What stands before a pod's lines, the same for all attempts at one task; empty where there is but one."""
    if not is_parallel(job):
        return ""
    number = index(pod)
    return f"[{pod['metadata']['name'].rpartition('-')[2] if number is None else number}] "


def earlier(pods: Sequence[Body], job: Body) -> Sequence[Body]:
    """Those that a later pod was made for again."""
    latest = {prefix(pod, job): pod for pod in in_order(pods)}
    return [pod for pod in pods if pod is not latest[prefix(pod, job)]]


def matching(pods: Sequence[Body], wanted: int | None, name: str) -> Sequence[Body]:
    """Those of that index and that name, where one is wanted."""
    return [
        pod
        for pod in pods
        if (wanted is None or index(pod) == wanted) and (not name or pod["metadata"]["name"] == name)
    ]


def status(pod: Body) -> Body:
    """What is known of its container."""
    name = container(pod)
    found = pod.get("status", {}).get("containerStatuses", ())
    return next((one for one in found if one["name"] == name), {})


def restarts(pod: Body) -> int:
    """How often its container was run again."""
    return int(status(pod).get("restartCount", 0))


def narrowed(pods: Sequence[Body], job: Body, wanted: int | None, name: str) -> Sequence[Body]:
    """The same. Raises: NotFound where the job has pods, but none of those."""
    found = matching(pods, wanted, name)
    if pods and not found:
        what = f"named {name!r}" if name else f"of index {wanted}"
        there = [pod["metadata"]["name"] for pod in pods] if name else [indexes.told({index(pod) or 0 for pod in pods})]
        hint = f"there are: {', '.join(sorted(there))}" if is_parallel(job) or name else "it is no array"
        raise NotFound(f"{job['metadata']['name']} has no pod {what}", hint=hint)
    return found


def gone_attempts(workload: Body | None) -> int:
    """How often its pods were taken away, and their logs with them: evicted, preempted, stopped."""
    found = ((workload or {}).get("status", {}).get("schedulingStats") or {}).get("evictions") or ()
    return sum(int(one.get("count", 0)) for one in found)


def tell_gone(workload: Body | None) -> str:
    """The sentence about them; empty where there are none."""
    count = gone_attempts(workload)
    if count == 1:
        return "an earlier attempt is gone, with all it printed: evicted or stopped"
    return f"{count} earlier attempts are gone, with all they printed: evicted or stopped" if count else ""


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
    if status is Status.STOPPED:
        return JobqError(f"{name} is {status}", hint=f"`jobq resume {name}` starts it again from the beginning")
    if status in ENDED:
        return JobqError(f"{name} doesn't run any more: it is {status}", hint=f"`jobq logs {name}` shows its output")
    return JobqError(f"{name} doesn't run. {state(job, workload, pods)}", hint=f"`jobq why {name}` says more")


def state(job: Body, workload: Body | None, pods: Sequence[Body]) -> str:
    """The sentence about a Job, by what was read of it, without its full stop."""
    return words.plain(explain(AnyJob(JOB, job, workload).evidence(clock.now(), pods)).sentence)


def workload_of(cluster: Cluster, job: Body) -> Body | None:
    """The job's Workload. Raises: ClusterError."""
    meta = job["metadata"]
    found = cluster.list(WORKLOAD, namespace=meta["namespace"], labels=f"{JOB_UID}={meta['uid']}").items
    return found[0] if found else None
