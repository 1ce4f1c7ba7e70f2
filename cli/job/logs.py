"""``jobq logs``."""

from collections.abc import Sequence

from cli import console, options, selection
from cli.connection import connect
from cli.explain import waiting
from cli.explain.jobs import JOB_UID
from cli.explain.status import ENDED, status_of
from cli.job import following
from cli.job.following import Shown
from cli.job.pick import pick
from reconciler.cluster import Body, Cluster
from reconciler.errors import JobqError
from reconciler.kinds import POD, WORKLOAD

EXAMPLES = """
  jobq logs train-x7k2p
  jobq logs -f @latest
  jobq logs --tail 20 --timestamps train
"""


def logs(
    job: options.JobName,
    *,
    project: options.ProjectName = "",
    follow: options.Follow = False,
    tail: options.Tail = None,
    timestamps: options.Timestamps = False,
    kubeconfig: options.Kubeconfig = "",
    context: options.Context = "",
) -> None:
    """Show what a job has printed. Its words are on stdout byte for byte; ours are on stderr."""
    cluster = connect(kubeconfig=kubeconfig, context=context)
    current = selection.current(cluster, project)
    found = pick(cluster, current.entry.namespace, job, current.caller.name)
    if follow:
        following.follow(cluster, found, shown=Shown(tail, timestamps))
        return
    pod = _newest(cluster, found)
    for piece in cluster.log(
        pod["metadata"]["name"], namespace=current.entry.namespace, tail=tail, timestamps=timestamps
    ):
        console.out_bytes(piece)


def _newest(cluster: Cluster, job: Body) -> Body:
    """The pod whose log is shown. Raises: JobqError, saying how the job fares, where none has one."""
    source = following.pods_of(job)
    pods = cluster.list(POD, namespace=job["metadata"]["namespace"], labels=source.labels).items
    started = [pod for pod in following.in_order(pods) if waiting.has_started(pod)]
    if not started:
        raise _nothing(cluster, job, pods)
    if started[1:]:
        console.talk(f"the last of {len(started)} attempts")
    return started[-1]


def _nothing(cluster: Cluster, job: Body, pods: Sequence[Body]) -> JobqError:
    meta = job["metadata"]
    workloads = cluster.list(WORKLOAD, namespace=meta["namespace"], labels=f"{JOB_UID}={meta['uid']}").items
    workload = workloads[0] if workloads else None
    status = status_of(job, workload)
    why = waiting.reason(workload, pods)
    if status in ENDED:
        return JobqError(f"{meta['name']} is {status}: its pods are gone, and their logs with them")
    return JobqError(
        f"{meta['name']} has printed nothing yet: it is {status}{f' ({why})' if why else ''}",
        hint=f"`jobq logs -f {meta['name']}` waits until it does",
    )
