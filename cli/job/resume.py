"""``jobq resume``."""

from cli import options, selection
from cli.connection import connect
from cli.explain.status import Status
from cli.job import choosing, deeds, targets
from cli.job.choosing import Wanted
from cli.job.targets import Words

EXAMPLES = """
  jobq resume train-x7k2p
  jobq resume --all --status held
"""
_RESUMABLE = frozenset({Status.STOPPED, Status.HELD})


def resume(
    job: options.SomeJobs = None,
    *,
    project: options.ProjectName = "",
    all_jobs: options.AllJobs = False,
    status: options.Statuses = None,
    everyone: options.Everyone = False,
    yes: options.Yes = False,
    kubeconfig: options.Kubeconfig = "",
    context: options.Context = "",
) -> None:
    """Let held jobs, and stopped ones, wait for their turn again. Who was stopped starts from the beginning.

    A job that was ended by its time limit can't be resumed: Kueue would stop it again at once.
    """
    statuses = choosing.statuses(status) or (_RESUMABLE if all_jobs else frozenset())
    words = Words(job or (), all_jobs, Wanted(statuses=statuses), everyone)
    cluster = connect(kubeconfig=kubeconfig, context=context)
    current = selection.current(cluster, project)
    found = targets.find(cluster, current, words)
    if found.jobs and all_jobs:
        command = targets.again("resume", current, words, found)
        targets.must_be_meant_for(found.jobs, "resume", yes=yes, left="nothing was resumed", command=command)
    targets.to_each(found, lambda one: deeds.resume(cluster, current, one))
    targets.say_if_none(found)
