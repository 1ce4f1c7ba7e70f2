"""``jobq wait``."""

from collections import Counter
from collections.abc import Mapping, Sequence

import typer

from cli import clock, console, options, selection
from cli.connection import connect
from cli.explain.jobs import AnyJob
from cli.job import fate, targets
from cli.job.choosing import Wanted
from cli.job.fate import Fate
from cli.job.targets import Words
from cli.selection import Current
from cli.submission import amount
from reconciler.cluster import Cluster
from reconciler.wording import shortened

EXAMPLES = """
  jobq wait train-x7k2p && jobq submit -- python evaluate.py
  jobq wait --timeout 2h @latest
"""


def wait(
    job: options.JobNames,
    *,
    project: options.ProjectName = "",
    timeout: options.Timeout = None,
    kubeconfig: options.Kubeconfig = "",
    context: options.Context = "",
) -> None:
    """Wait until jobs have ended, and say how. The exit code is the highest of theirs.

    0 succeeded; 100 failed, or timed out by its limit; 101 not ended within --timeout; 102 not found; 103 stopped or
    deleted; 1 where it went while the connection was cut and nothing tells how it ended. Begin it before the end: of
    a job that is gone already nothing is known.
    """
    seconds = None if timeout is None else amount.time_limit(timeout, "--timeout")
    until = None if seconds is None else clock.elapsed() + seconds
    cluster = connect(kubeconfig=kubeconfig, context=context)
    current = selection.current(cluster, project)
    found = targets.find(cluster, current, Words(job, all=False, wanted=Wanted(), everyone=False))
    for error in found.missing:
        console.complain(error)
    codes = [fate.UNKNOWN for _ in found.missing]
    if found.jobs:
        fates = _waited(cluster, current, found.jobs, until)
        for name, end in fates.items():
            console.talk(f"{name}: {end}{'' if end.ended else ' still'}")
        failed = [name for name, end in fates.items() if end.code == fate.FAILED and not end.deleted]
        if failed:
            console.talk(f"`{current.command('why', failed[0])}` says why" + (" of the first" if failed[1:] else ""))
        codes += [end.code for end in fates.values()]
    raise typer.Exit(max(codes))


def _waited(cluster: Cluster, current: Current, jobs: Sequence[AnyJob], until: float | None) -> Mapping[str, Fate]:
    try:
        return fate.wait_for(cluster, current.entry.namespace, jobs, until=until, tell=_show_progress)
    except KeyboardInterrupt:
        names = [job.name for job in jobs]
        console.progress("")
        console.talk(f"{shortened(names, 3)}: nothing was stopped; `{current.command('wait', *names)}` waits again")
        raise
    finally:
        console.progress("")


def _show_progress(fates: Mapping[str, Fate]) -> None:
    counts = Counter(str(one) for one in fates.values())
    words = ", ".join(f"{count} {status}" for status, count in counts.items())
    console.progress(f"waiting for {next(iter(fates)) if len(fates) == 1 else f'{len(fates)} jobs'}: {words}")
