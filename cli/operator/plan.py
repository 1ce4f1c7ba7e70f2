"""``jobq plan``: what a reconcile would do now."""

from pathlib import Path

import typer

from cli import clock, options
from cli.connection import connect
from cli.operator import imagine
from cli.operator.declared import named, read_commit, read_tree
from cli.operator.shown import exit_code, show
from reconciler.cycle import Run, plan_pass
from reconciler.errors import UsageError
from reconciler.terms import Terms

EXAMPLES = """
  jobq plan
  jobq plan --work-tree
  jobq plan --only vision,speech
  jobq plan --offline -o markdown
  jobq plan --from origin/main --to HEAD --offline -o markdown
"""


def plan(
    *,
    repo: options.Repo = Path(),
    ref: options.Ref = "HEAD",
    work_tree: options.WorkTree = False,
    only: options.Only = "",
    offline: options.Offline = False,
    before: options.From = "",
    after: options.To = "",
    rewind: options.Rewind = False,
    allow_older: options.AllowOlder = False,
    exit_code_wanted: options.ExitCode = False,
    output: options.ReportOutput = "text",
    kubeconfig: options.Kubeconfig = "",
    context: options.Context = "",
) -> None:
    """Show what reconcile would change, and what that means for people. Writes nothing."""
    terms = Terms(rewind=rewind, allow_older=allow_older, only=named(only))
    if before or after:
        _must_fit(before, ref, offline=offline, work_tree=work_tree)
        report = imagine.between(repo, before, after or "HEAD", terms.only)
    else:
        if work_tree and ref != "HEAD":
            raise UsageError(
                "--work-tree and --ref name different files: give one of them", hint="jobq plan --work-tree"
            )
        tree = read_tree(repo) if work_tree else read_commit(repo, ref)
        if offline:
            report = imagine.alone(tree, terms.only)
        else:
            cluster = connect(kubeconfig=kubeconfig, context=context)
            report = plan_pass(cluster, Run(tree.declaration, tree.templates, clock.today(), terms, tree.lineage))
    show(report, output)
    raise typer.Exit(exit_code(report, pending=exit_code_wanted))


def _must_fit(before: str, ref: str, *, offline: bool, work_tree: bool) -> None:
    """Raises: UsageError where --from and --to are given with what they don't go with."""
    hint = "jobq plan --from main --to HEAD --offline"
    if not offline:
        raise UsageError("--from and --to compare two commits without a cluster: they need --offline", hint=hint)
    if not before:
        raise UsageError("--to needs --from: the commit before", hint=hint)
    if work_tree or ref != "HEAD":
        raise UsageError("--from and --to name the commits: neither --ref nor --work-tree goes with them", hint=hint)
