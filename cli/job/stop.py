"""``jobq stop``."""

from cli import console, options, selection
from cli.connection import connect
from cli.explain.status import Status
from cli.job import choosing, deeds, targets
from cli.job.choosing import Wanted
from cli.job.targets import Words

EXAMPLES = """
  jobq stop train-x7k2p
  jobq stop --all --status queued,running
  jobq stop @latest --yes
"""
_RUNS = frozenset({Status.STARTING, Status.RUNNING})


def stop(
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
    """Stop jobs: their pods end, and the logs with them. The jobs stay listed, and `jobq resume` starts them again.

    On a terminal it asks; elsewhere it does it, --all only with --yes.
    """
    words = Words(job or (), all_jobs, Wanted(statuses=choosing.statuses(status)), everyone)
    cluster = connect(kubeconfig=kubeconfig, context=context)
    current = selection.current(cluster, project)
    found = targets.find(cluster, current, words)
    logs = f", and lose {'their' if len(found.jobs) > 1 else 'its'} logs"
    after = logs if any(one.status in _RUNS for one in found.jobs) else ""
    if found.jobs and (all_jobs or console.asks()):
        command = targets.again("stop", current, words, found)
        targets.must_be_meant_for(found.jobs, "stop", yes=yes, after=after, left="nothing was stopped", command=command)
    targets.to_each(found, lambda one: deeds.stop(cluster, current, one))
    targets.say_if_none(found)
