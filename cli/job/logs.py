"""``jobq logs``."""

import threading
from collections.abc import Sequence

import typer

from cli import console, options, selection
from cli.connection import connect
from cli.exits import Exit
from cli.explain import indexes
from cli.explain.containers import has_started
from cli.explain.jobs import AnyJob
from cli.explain.status import ENDED, status_of
from cli.job import belonging, following, pods
from cli.job.following import Wish
from cli.job.lines import Lines
from cli.job.tailing import Shown, Tail
from cli.job.targets import with_pods
from cli.selection import Current
from cli.submission import amount
from reconciler.cluster import Body, Cluster
from reconciler.errors import JobqError, NotFound, UsageError
from reconciler.wording import counted

EXAMPLES = """
  jobq logs train-x7k2p
  jobq logs -f @latest
  jobq logs --tail 20 --timestamps train
  jobq logs -f --index 3 sweep
"""


def logs(
    job: options.JobName,
    *,
    project: options.ProjectName = "",
    follow: options.Follow = False,
    tail: options.Tail = None,
    since: options.PrintedSince = None,
    timestamps: options.Timestamps = False,
    previous: options.Previous = False,
    index: options.Index = None,
    pod: options.PodName = "",
    every: options.AllAttempts = False,
    kubeconfig: options.Kubeconfig = "",
    context: options.Context = "",
) -> None:
    """Show what a job has printed. Its words are on stdout, ours on stderr.

    One pod's output is shown byte for byte. With several, each line has its pod's index in front, and every state of
    a progress bar is a line. A cut connection is mended without losing or doubling a line; the exit code is 1 where
    that can't be.
    """
    if previous and (follow or every):
        raise UsageError("--previous shows an attempt that is over", hint="leave out --follow and --all")
    seconds = None if since is None else amount.time_limit(since, "--since")
    cluster = connect(kubeconfig=kubeconfig, context=context)
    current = selection.current(cluster, project)
    found = with_pods(cluster, current, job, way="logs POD")
    wish = Wish(Shown(tail, seconds, timestamps), index, pod, all=every)
    if follow:
        raise typer.Exit(_follow(cluster, current, found, wish))
    there, workload = selection.together(
        lambda: belonging.pods_of(cluster, found), lambda: pods.workload_of(cluster, found)
    )
    if gone := pods.tell_gone(workload):
        console.talk(f"{found.name}: {gone}")
    started = [one for one in there if has_started(one)]
    if not started:
        raise _nothing(current, found, workload, there)
    wanted = pods.narrowed(started, found, index, pod)
    show = _show_previous if previous else _show
    if not show(cluster, found, wanted, wish):
        raise typer.Exit(Exit.ERROR)


def _follow(cluster: Cluster, current: Current, job: AnyJob, wish: Wish) -> int:
    try:
        return Exit.DONE if following.follow(cluster, job, wish=wish).complete else Exit.ERROR
    except KeyboardInterrupt:
        console.talk(f"{job.name} goes on; `{current.command('logs -f', job.name)}` follows it again")
        raise


def _show(cluster: Cluster, job: AnyJob, wanted: Sequence[Body], wish: Wish) -> bool:
    """What has been printed so far, of one pod after the other; whether all of it has come."""
    earlier = pods.earlier(wanted, job)
    if earlier and not wish.all:
        console.talk(f"{counted(len(earlier), 'earlier attempt')} not shown; --all shows all")
        wanted = [pod for pod in wanted if pod not in earlier]
    ordered = sorted(wanted, key=lambda pod: (indexes.of_pod(pod) or 0, pod["metadata"]["creationTimestamp"]))
    whole = [_print(cluster, pod, wish.shown, pods.prefix(pod, job) if wanted[1:] else "") for pod in ordered]
    return all(whole)


def _show_previous(cluster: Cluster, job: AnyJob, wanted: Sequence[Body], wish: Wish) -> bool:
    """The run before the last one in the same pod, or else the pod before the last one. Raises: NotFound."""
    if len({pods.prefix(pod, job) for pod in wanted}) > 1:
        raise UsageError(f"{job.name} has several pods at once", hint="name one by --index or --pod")
    last = belonging.in_order(wanted)[-1]
    if pods.restarts(last):
        return _print(cluster, last, wish.shown, previous=True)
    before = pods.earlier(wanted, job)
    if not before:
        raise NotFound(
            f"{job.name} has no earlier attempt whose log is still there",
            hint="the log of an attempt that was evicted or stopped goes with its pod",
        )
    return _print(cluster, before[-1], wish.shown)


def _print(cluster: Cluster, pod: Body, shown: Shown, prefix: str = "", *, previous: bool = False) -> bool:
    """One pod's log; whether all of it has come. Raises: ClusterError."""
    lines = Lines()

    def write(data: bytes) -> None:
        console.out_bytes(lines.feed(prefix, data) if prefix else data)

    tail = Tail(cluster, pod, shown, write, threading.Event(), once=True, previous=previous)
    tail.follow()
    console.out_bytes(lines.flush(prefix))
    if tail.doubt:
        console.talk(f"{pod['metadata']['name']}: {tail.doubt}")
    return tail.complete


def _nothing(current: Current, job: AnyJob, workload: Body | None, there: Sequence[Body]) -> JobqError:
    """How the job fares that has no log."""
    name, status = job.name, status_of(job.body, workload)
    if status in ENDED:
        return JobqError(f"{name} is {status}: its pods are gone, and their logs with them")
    why, follow = (f"`{current.command(deed, name)}`" for deed in ("why", "logs -f"))
    return JobqError(
        f"{name} has printed nothing yet. {pods.state(job, workload, there)}",
        hint=f"{why} says what helps, {follow} waits until it does",
    )
