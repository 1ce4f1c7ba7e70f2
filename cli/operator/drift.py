"""``jobq drift``: what only the cluster changed."""

from pathlib import Path

import typer

from cli import clock, options
from cli.connection import connect
from cli.operator.declared import read_commit
from cli.operator.shown import exit_code, show
from reconciler.cycle import drift_pass
from reconciler.errors import SourceError
from reconciler.model import Declaration
from reconciler.render import Templates

EXAMPLES = """
  jobq drift
  jobq drift --exit-code -o json
"""


def drift(
    *,
    repo: options.Repo = Path(),
    exit_code_wanted: options.ExitCode = False,
    output: options.ReportOutput = "text",
    kubeconfig: options.Kubeconfig = "",
    context: options.Context = "",
) -> None:
    """Show what somebody changed on the cluster since the last reconcile, by which client and when.

    The commit that was applied last is what it is compared with: what git has declared since is no drift, nor is an
    expiry that has come. Held projects are left out. Writes nothing.
    """

    def applied(commit: str) -> tuple[Declaration, Templates]:
        try:
            found = read_commit(repo, commit)
        except SourceError as error:
            text = f"{commit[:12] or '(none)'}, the commit that was applied last, can't be read: {error}"
            raise SourceError(
                text,
                hint="is this the cluster's repository? then: git fetch; in a shallow clone: git fetch --unshallow",
            ) from error
        return found.declaration, found.templates

    report = drift_pass(connect(kubeconfig=kubeconfig, context=context), applied, clock.today())
    show(report, output)
    raise typer.Exit(exit_code(report, pending=exit_code_wanted))
