"""``jobq reconcile``: the cluster becomes what the commit says."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer

from cli import clock, console, options
from cli.connection import connect
from cli.operator.declared import named, read_commit
from cli.operator.shown import exit_code, show
from reconciler.apply import WORKERS
from reconciler.cycle import reconcile_pass
from reconciler.terms import Terms

EXAMPLES = """
  jobq reconcile
  jobq reconcile --only vision,speech
  jobq reconcile --approved 3f9a2c71d04be856
  jobq reconcile --repo /srv/projects --ref main -o json
"""


def reconcile(
    *,
    repo: options.Repo = Path(),
    ref: options.Ref = "HEAD",
    only: options.Only = "",
    approved: options.Approved = "",
    rewind: options.Rewind = False,
    allow_older: options.AllowOlder = False,
    output: options.ReportOutput = "text",
    kubeconfig: options.Kubeconfig = "",
    context: options.Context = "",
) -> None:
    """Make the cluster what the commit says. Running it again changes nothing; interrupted, it goes on."""
    commit = read_commit(repo, ref)
    cluster = connect(kubeconfig=kubeconfig, context=context, workers=WORKERS)
    terms = Terms(approved=approved, rewind=rewind, allow_older=allow_older, only=named(only))
    with _stopped_by_signals() as stop:
        report = reconcile_pass(
            cluster, commit.declaration, commit.templates, clock.today(), stop, terms=terms, lineage=commit.lineage
        )
    show(report, output)
    raise typer.Exit(exit_code(report))


@contextmanager
def _stopped_by_signals() -> Iterator[threading.Event]:
    """An event that Ctrl-C and SIGTERM set: what is in flight may end. A second signal ends the process."""
    stop = threading.Event()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def stopping(number: int, _frame: object) -> None:
        stop.set()
        signal.signal(number, signal.SIG_DFL)
        console.talk("stopping: what is in flight is finished first")

    for number in before:
        signal.signal(number, stopping)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
