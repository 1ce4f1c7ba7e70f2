"""Which pod of a job is meant, and what to say where it has none that runs."""

from collections.abc import Sequence
from dataclasses import replace

from cli import clock, parts
from cli.explain import indexes, words
from cli.explain.jobs import JOB_UID, AnyJob
from cli.explain.status import ENDED, Status, status_of
from cli.explain.why import explain
from cli.job import belonging
from cli.job.belonging import in_order
from cli.selection import Current
from reconciler.cluster import Body, Cluster
from reconciler.errors import JobqError, NotFound
from reconciler.kinds import JOB, WORKLOAD


def container(pod: Body) -> str:
    """The container that is the job's own."""
    return str(pod["spec"]["containers"][0]["name"])


def is_parallel(job: AnyJob) -> bool:
    """Whether several pods of it may run at once, or stand for different tasks."""
    if job.resource != JOB:
        return sum(int(one.get("count", 1)) for one in parts.items(job.workload, "spec", "podSets")) > 1
    spec = job.body["spec"]
    indexed = spec.get("completionMode") == "Indexed"
    return int(spec.get("parallelism", 1)) > 1 or (indexed and int(spec.get("completions", 1)) > 1)


def prefix(pod: Body, job: AnyJob) -> str:
    """What stands before a pod's lines, the same for all attempts at one task; empty where there is but one."""
    if not is_parallel(job):
        return ""
    if job.resource != JOB:
        return f"[{belonging.place(pod, job)}] "
    number = indexes.of_pod(pod)
    return f"[{pod['metadata']['name'].rpartition('-')[2] if number is None else number}] "


def earlier(pods: Sequence[Body], job: AnyJob) -> Sequence[Body]:
    """Those that a later pod was made for again."""
    latest = {prefix(pod, job): pod for pod in in_order(pods)}
    return [pod for pod in pods if pod is not latest[prefix(pod, job)]]


def matching(pods: Sequence[Body], wanted: int | None, name: str) -> Sequence[Body]:
    """Those of that index and that name, where one is wanted."""
    return [
        pod
        for pod in pods
        if (wanted is None or indexes.of_pod(pod) == wanted) and (not name or pod["metadata"]["name"] == name)
    ]


def status(pod: Body) -> Body:
    """What is known of its container."""
    name = container(pod)
    found = pod.get("status", {}).get("containerStatuses", ())
    return next((one for one in found if one["name"] == name), {})


def restarts(pod: Body) -> int:
    """How often its container was run again."""
    return int(status(pod).get("restartCount", 0))


def narrowed(pods: Sequence[Body], job: AnyJob, wanted: int | None, name: str) -> Sequence[Body]:
    """The same. Raises: NotFound where the job has pods, but none of those."""
    found = matching(pods, wanted, name)
    if pods and not found:
        what = f"named {name!r}" if name else f"of index {wanted}"
        numbers = {number for pod in pods if (number := indexes.of_pod(pod)) is not None}
        there = ", ".join(sorted(pod["metadata"]["name"] for pod in pods)) if name else indexes.told(numbers)
        hint = f"there are: {there}" if there else "its pods have no index"
        raise NotFound(f"{job.name} has no pod {what}", hint=hint)
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


def running(cluster: Cluster, current: Current, job: AnyJob, wanted: int | None, name: str) -> tuple[Body, int]:
    """The first pod that runs, and how many do. Raises: JobqError, saying how the job fares where none does."""
    pods = belonging.pods_of(cluster, job)
    found = [pod for pod in narrowed(pods, job, wanted, name) if is_running(pod)]
    if not found:
        raise not_running(cluster, current, job, pods)
    first = min(found, key=lambda pod: (not belonging.leads(pod), indexes.of_pod(pod) or 0, pod["metadata"]["name"]))
    return first, len(found)


def is_running(pod: Body) -> bool:
    """Whether its container runs, and isn't about to end."""
    states = pod.get("status", {}).get("containerStatuses", ())
    return "deletionTimestamp" not in pod["metadata"] and any(one.get("state", {}).get("running") for one in states)


def not_running(cluster: Cluster, current: Current, job: AnyJob, pods: Sequence[Body]) -> JobqError:
    """Why there is nothing to reach."""
    name, workload = job.name, workload_of(cluster, job)
    status = status_of(job.body, workload)
    if status is Status.STOPPED:
        again = current.command("resume", name)
        return JobqError(f"{name} is {status}", hint=f"`{again}` starts it again from the beginning")
    if status in ENDED:
        logs = current.command("logs", name)
        return JobqError(f"{name} doesn't run any more: it is {status}", hint=f"`{logs}` shows its output")
    why = current.command("why", name)
    return JobqError(f"{name} doesn't run. {state(job, workload, pods)}", hint=f"`{why}` says more")


def state(job: AnyJob, workload: Body | None, pods: Sequence[Body]) -> str:
    """The sentence about a job, by what was read of it, without its full stop."""
    return words.plain(explain(replace(job, workload=workload).evidence(clock.now(), pods)).sentence)


def workload_of(cluster: Cluster, job: AnyJob) -> Body | None:
    """The job's Workload, asked for where it isn't known. Raises: ClusterError."""
    if job.workload:
        return job.workload
    found = cluster.list(WORKLOAD, namespace=job.namespace, labels=f"{JOB_UID}={job.uid}").items
    return found[0] if found else None
