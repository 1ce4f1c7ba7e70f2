"""``jobq delete``."""

from cli import options, selection
from cli.connection import connect
from cli.job import choosing, deeds, targets
from cli.job.choosing import Wanted
from cli.job.targets import Words

EXAMPLES = """
  jobq delete train-x7k2p
  jobq delete --all --status succeeded,failed
  jobq delete train-x7k2p sweep-9mq4t --yes
"""


def delete(
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
    """Delete jobs, with their pods and logs. It asks; without a terminal it takes whole names and --yes only."""
    words = Words(job or (), all_jobs, Wanted(statuses=choosing.statuses(status)), everyone)
    cluster = connect(kubeconfig=kubeconfig, context=context)
    current = selection.current(cluster, project)
    found = targets.find(cluster, current, words)
    command = targets.again("delete", current, words, found)
    targets.only_whole(words, found, command)
    if found.jobs:
        targets.must_be_meant_for(
            found.jobs, "delete", yes=yes, after=", with all logs", left="nothing was deleted", command=command
        )
    targets.to_each(found, lambda one: deeds.delete(cluster, one))
    targets.say_if_none(found)
