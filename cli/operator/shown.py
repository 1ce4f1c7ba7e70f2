"""How a run is shown, and the exit code it earns."""

from cli import console
from reconciler.model import Report, Result
from reconciler.report import as_json, as_markdown, as_text

PENDING, REFUSED, PARTLY, INTERRUPTED = 3, 4, 5, 130


def show(report: Report, output: str) -> None:
    """The report on stdout, in the form that was asked for."""
    match output:
        case "json":
            console.out_json(as_json(report))
        case "markdown":
            console.out(as_markdown(report))
        case _:
            console.out(as_text(report))


def exit_code(report: Report) -> int:
    """130 interrupted, over 5 partly failed, over 4 refused in whole or part, over 0."""
    if report.interrupted:
        return INTERRUPTED
    if any(outcome.result in {Result.FAILED, Result.SKIPPED} for outcome in report.outcomes):
        return PARTLY
    return REFUSED if report.verdict.refusals else 0
