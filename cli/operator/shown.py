"""How a run is shown, and the exit code it earns."""

from collections.abc import Iterator

from cli import console
from cli.exits import Exit, weightiest
from reconciler.planned import Report
from reconciler.report import as_json, as_markdown, as_text


def show(report: Report, output: str) -> None:
    """The report on stdout, in the form that was asked for."""
    match output:
        case "json":
            console.out_json(as_json(report))
        case "markdown":
            console.out(as_markdown(report))
        case _:
            console.out(as_text(report))


def exit_code(report: Report, *, pending: bool = False) -> Exit:
    """The code that a run earns; ``pending``: whether somebody asked to be told of changes that are to be made."""
    return weightiest(_earned(report, pending=pending))


def _earned(report: Report, *, pending: bool) -> Iterator[Exit]:
    if report.interrupted:
        yield Exit.INTERRUPTED
    if report.incomplete:
        yield Exit.PARTLY
    if report.verdict.refusals:
        yield Exit.REFUSED
    if pending and report.plan.changes and not report.applied:
        yield Exit.PENDING
