"""``jobq plan``: what a reconcile would do now."""

from pathlib import Path

import typer

from cli import clock, options
from cli.connection import connect
from cli.operator.declared import named, read_commit, read_tree
from cli.operator.shown import exit_code, show
from reconciler.cycle import plan_pass
from reconciler.model import Report, Verdict
from reconciler.plan import offline_plan
from reconciler.render import render
from reconciler.terms import Terms

EXAMPLES = """
  jobq plan
  jobq plan --work-tree
  jobq plan --offline -o markdown
"""


def plan(
    *,
    repo: options.Repo = Path(),
    ref: options.Ref = "HEAD",
    work_tree: options.WorkTree = False,
    only: options.Only = "",
    offline: options.Offline = False,
    rewind: options.Rewind = False,
    allow_older: options.AllowOlder = False,
    exit_code_wanted: options.ExitCode = False,
    output: options.ReportOutput = "text",
    kubeconfig: options.Kubeconfig = "",
    context: options.Context = "",
) -> None:
    """Show what reconcile would change, and what that means for people. Writes nothing."""
    tree = read_tree(repo) if work_tree else read_commit(repo, ref)
    if offline:
        report = Report(
            offline_plan(tree.declaration, render(tree.declaration, tree.templates, clock.today())), Verdict()
        )
    else:
        cluster = connect(kubeconfig=kubeconfig, context=context)
        terms = Terms(rewind=rewind, allow_older=allow_older, only=named(only))
        report = plan_pass(cluster, tree.declaration, tree.templates, clock.today(), terms, tree.lineage)
    show(report, output)
    raise typer.Exit(exit_code(report, pending=exit_code_wanted))
