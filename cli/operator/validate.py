"""``jobq validate``: whether the files are right, as they lie there."""

from pathlib import Path

from cli import clock, console, options
from cli.operator.declared import read_tree
from reconciler import source
from reconciler.bootstrap import bootstrap
from reconciler.declare import declare
from reconciler.errors import DeclarationInvalid
from reconciler.render import render
from reconciler.report import problems_data

EXAMPLES = """
  jobq validate
  jobq validate ../projects -o json
"""


def validate(path: options.TreePath = Path(), *, output: options.TableOutput = "text") -> None:
    """Check jobq.toml, projects.d/ and templates/ of a work tree: all problems at once, each with its place."""
    if output == "json":
        console.out_json({"problems": _problems(path)})
        return
    tree = read_tree(path)
    render(tree.declaration, tree.templates, clock.today())
    bootstrap(tree.declaration.settings, source.templates(tree.snapshot, "bootstrap"))
    count = len(tree.declaration.projects)
    console.out(f"{count} project{'s' * (count != 1)}, no problems")


def _problems(path: Path) -> list[dict[str, object]]:
    try:
        return problems_data(declare(source.read_work_tree(path)).warnings)
    except DeclarationInvalid as invalid:
        console.out_json({"problems": problems_data(invalid.problems)})
        raise
