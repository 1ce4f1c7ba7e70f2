"""``jobq validate``: whether the files are right, as they lie there."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from cli import clock, console, options
from reconciler import source
from reconciler.administration.bootstrap import bootstrap
from reconciler.declare import declare
from reconciler.errors import DeclarationInvalid, RenderError
from reconciler.model import Declaration, Problem, Snapshot
from reconciler.render import render
from reconciler.report import problems_data, problems_text
from reconciler.wording import counted

EXAMPLES = """
  jobq validate
  jobq validate ../projects -o json
"""


def validate(path: options.TreePath = Path(), *, output: options.TableOutput = "text") -> None:
    """Check jobq.toml, projects.d/ and templates/ of a work tree: all problems at once, each with its place."""
    count, problems = _checked(source.read_work_tree(path))
    if output == "json":
        console.out_json({"problems": problems_data(problems)})
    elif problems:
        console.talk(problems_text(problems))
    wrong = [problem for problem in problems if not problem.warning]
    if wrong:
        raise DeclarationInvalid(wrong)
    if output == "text":
        console.out(f"{counted(count, 'project')}, no problems")


def _checked(snapshot: Snapshot) -> tuple[int, list[Problem]]:
    """How many projects there are, and everything that is to be said of the tree."""
    try:
        declaration = declare(snapshot)
    except DeclarationInvalid as invalid:
        return 0, list(invalid.problems)
    return len(declaration.projects), [*declaration.warnings, *_rendered(declaration, snapshot)]


def _rendered(declaration: Declaration, snapshot: Snapshot) -> Iterator[Problem]:
    """What is wrong with the templates: the first problem of each folder."""
    folders: dict[str, Callable[..., object]] = {
        "project": partial(render, declaration, today=clock.today()),
        "bootstrap": partial(bootstrap, declaration.settings),
    }
    for folder, rendering in folders.items():
        try:
            rendering(templates=source.templates(snapshot, folder))
        except RenderError as error:
            yield Problem(error.origin, error.reason, error.hint)
