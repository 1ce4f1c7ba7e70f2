"""``jobq wait``."""

from collections import Counter
from collections.abc import Mapping, Sequence

import typer

from cli import clock, console, options, selection
from cli.connection import connect
from cli.job import fate
from cli.job.fate import Fate
from cli.job.pick import choose
from cli.selection import Current
from cli.submission import amount
from reconciler.cluster import Body, Cluster
from reconciler.errors import NotFound
from reconciler.kinds import JOB
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
    deleted.
    """
    seconds = None if timeout is None else amount.time_limit(timeout, "--timeout")
    until = None if seconds is None else clock.elapsed() + seconds
    cluster = connect(kubeconfig=kubeconfig, context=context)
    current = selection.current(cluster, project)
    jobs, missing = _find(cluster, current, job)
    codes = [fate.UNKNOWN] * missing
    if jobs:
        fates = _waited(cluster, current, jobs, until)
        for name, end in fates.items():
            console.talk(f"{name}: {end}{'' if end.ended else ' still'}")
        codes += [end.code for end in fates.values()]
    raise typer.Exit(max(codes))


def _waited(cluster: Cluster, current: Current, jobs: Sequence[Body], until: float | None) -> Mapping[str, Fate]:
    try:
        return fate.wait_for(cluster, current.entry.namespace, jobs, until=until, tell=_show_progress)
    except KeyboardInterrupt:
        names = [job["metadata"]["name"] for job in jobs]
        console.progress("")
        console.talk(f"{shortened(names, 3)}: nothing was stopped; `jobq wait {' '.join(names)}` waits again")
        raise
    finally:
        console.progress("")


def _show_progress(fates: Mapping[str, Fate]) -> None:
    counts = Counter(str(one) for one in fates.values())
    words = ", ".join(f"{count} {status}" for status, count in counts.items())
    console.progress(f"waiting for {next(iter(fates)) if len(fates) == 1 else f'{len(fates)} jobs'}: {words}")


def _find(cluster: Cluster, current: Current, words: Sequence[str]) -> tuple[Sequence[Body], int]:
    """The jobs, each once, and how many words mean none."""
    there = cluster.list(JOB, namespace=current.entry.namespace).items
    found, missing = {}, 0
    for word in words:
        try:
            body = choose(there, word, current.caller.name, current.entry.name)
            found[body["metadata"]["uid"]] = body
        except NotFound as error:
            console.complain(error)
            missing += 1
    return list(found.values()), missing
