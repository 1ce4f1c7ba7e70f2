"""``jobq render``: what projects become, without a cluster."""

from pathlib import Path

from cli import clock, console, options
from cli.operator.declared import read_commit, read_tree
from reconciler import render as stage
from reconciler.declaring.problems import nearest
from reconciler.documents.writing import dump
from reconciler.errors import UsageError

EXAMPLES = """
  jobq render vision
  jobq render --ref main -o json
"""


def render(
    project: options.RenderedProject = "",
    *,
    repo: options.Repo = Path(),
    ref: options.Ref = "",
    output: options.ManifestOutput = "yaml",
) -> None:
    """Show the objects that projects become: of the work tree, or of a commit with --ref."""
    tree = read_commit(repo, ref) if ref else read_tree(repo)
    known = tree.declaration.projects
    if project and project not in known:
        near = nearest(project, known)
        raise UsageError(f"no project {project} is declared", hint=f"did you mean {near}?" if near else "")
    manifests = stage.render(tree.declaration, tree.templates, clock.today())
    bodies = [manifest.body for manifest in manifests if project in {"", manifest.project}]
    if output == "json":
        console.out_json(bodies)
    else:
        console.out(dump(bodies).rstrip("\n"))
