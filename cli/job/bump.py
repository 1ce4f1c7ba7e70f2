"""``jobq bump``."""

from collections.abc import Sequence

from cli import options, selection
from cli.connection import connect
from cli.explain.status import ENDED, Status
from cli.job import choosing, deeds, targets
from cli.job.choosing import Wanted
from cli.job.targets import Words
from cli.selection import Current
from cli.submission.request import priority_of
from reconciler.cluster import Cluster
from reconciler.errors import Forbidden, NotFound, UsageError
from reconciler.kinds import PRIORITY_CLASS

EXAMPLES = """
  jobq bump train-x7k2p --priority high
  jobq bump --all --status queued --priority low
"""
_LIVE = frozenset(Status) - ENDED | {Status.STOPPED}


def bump(
    job: options.SomeJobs = None,
    *,
    priority: options.NewPriority,
    project: options.ProjectName = "",
    all_jobs: options.AllJobs = False,
    status: options.Statuses = None,
    everyone: options.Everyone = False,
    yes: options.Yes = False,
    kubeconfig: options.Kubeconfig = "",
    context: options.Context = "",
) -> None:
    """Give jobs another priority class: what waits changes its place, what runs may be preempted if it is lower.

    A running job that never had a class can't get one.
    """
    statuses = choosing.statuses(status) or (_LIVE if all_jobs else frozenset())
    words = Words(job or (), all_jobs, Wanted(statuses=statuses), everyone)
    cluster = connect(kubeconfig=kubeconfig, context=context)
    current, classes = selection.together(lambda: selection.current(cluster, project), lambda: _classes(cluster))
    _check(priority, current, classes)
    found = targets.find(cluster, current, words)
    if found.jobs and all_jobs:
        command = targets.again(f"bump --priority {priority}", current, words, found)
        targets.must_be_meant_for(
            found.jobs, f"give {priority} to", yes=yes, left="nothing was changed", command=command
        )
    targets.to_each(found, lambda one: deeds.bump(cluster, current, one, priority))
    targets.say_if_none(found)


def _classes(cluster: Cluster) -> Sequence[str] | None:
    """The names of Kueue's classes; None where they can't be read, and so can't be judged."""
    try:
        return sorted(body["metadata"]["name"] for body in cluster.list(PRIORITY_CLASS).items)
    except (Forbidden, NotFound):
        return None


def _check(priority: str, current: Current, classes: Sequence[str] | None) -> None:
    """Kueue says nowhere that a class is missing. Raises: UsageError."""
    priority_of(priority, "--priority", current.entry.priorities)
    if classes is not None and priority not in classes:
        known = [name for name in classes if name in (current.entry.priorities or classes)]
        raise UsageError(f"there is no priority class {priority!r}", hint=f"there are: {', '.join(known) or 'none'}")
