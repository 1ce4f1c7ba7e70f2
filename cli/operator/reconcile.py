"""``jobq reconcile``: the cluster becomes what the commit says."""

from pathlib import Path

import typer

from cli import clock, options
from cli.connection import connect
from cli.operator.declared import named, read_commit
from cli.operator.digests import digest_of
from cli.operator.shown import exit_code, show
from cli.operator.stopping import stopped_by_signals
from cli.operator.turns import Turn
from reconciler.apply import WORKERS
from reconciler.cycle import Run, reconcile_pass
from reconciler.errors import UsageError
from reconciler.terms import Terms

EXAMPLES = """
  jobq reconcile
  jobq reconcile --only vision,speech
  jobq reconcile --approved 3f9a2c71d04be856
  jobq reconcile --repo /srv/projects --ref main -o json
  jobq reconcile --watch --repo /srv/projects --listen 127.0.0.1:9090
  jobq reconcile --watch --fetch 30s -o json
"""


def reconcile(
    *,
    repo: options.Repo = Path(),
    ref: options.Ref = "HEAD",
    only: options.Only = "",
    approved: options.Approved = "",
    rewind: options.Rewind = False,
    allow_older: options.AllowOlder = False,
    watch: options.Watch = False,
    fetch: options.Fetch = "",
    poll: options.Poll = "",
    every: options.Every = "",
    listen: options.Listen = "",
    output: options.ReportOutput = "text",
    kubeconfig: options.Kubeconfig = "",
    context: options.Context = "",
) -> None:
    """Make the cluster what the commit says. Running it again changes nothing; interrupted, it goes on."""
    terms = Terms(approved=approved and digest_of(approved), rewind=rewind, allow_older=allow_older, only=named(only))
    if watch:
        from cli.operator import watching  # noqa: PLC0415 - only who watches needs it

        order = watching.ordered(repo, ref, terms, fetch=fetch, poll=poll, every=every)
        cluster = connect(kubeconfig=kubeconfig, context=context, workers=WORKERS + watching.STREAMS)
        watching.watch(cluster, order, output=output, listen=listen)
        return
    if fetch or poll or every or listen:
        raise UsageError("--fetch, --poll, --every and --listen go with --watch", hint="jobq reconcile --watch")
    commit = read_commit(repo, ref)
    cluster = connect(kubeconfig=kubeconfig, context=context, workers=WORKERS + 1)
    with Turn(cluster) as turn, stopped_by_signals(turn.stop.set):
        run = Run(commit.declaration, commit.templates, clock.today(), terms, commit.lineage)
        report = reconcile_pass(cluster, run, turn.stop, alone=turn.alone)
    show(report, output)
    raise typer.Exit(exit_code(report))
