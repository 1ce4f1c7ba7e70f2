"""``jobq bootstrap``: what an admin installs once."""

from pathlib import Path

from cli import console, options
from cli.connection import connect
from cli.operator.declared import read_commit
from reconciler import bootstrap as stage
from reconciler import source
from reconciler.documents import dump
from reconciler.model import Body

EXAMPLES = """
  jobq bootstrap
  jobq bootstrap --apply
"""


def bootstrap(
    *,
    apply: options.Apply = False,
    repo: options.Repo = Path(),
    ref: options.Ref = "HEAD",
    kubeconfig: options.Kubeconfig = "",
    context: options.Context = "",
) -> None:
    """Show (or with --apply install) what the cluster needs once: jobq-system, the roles, its name. For admins."""
    commit = read_commit(repo, ref)
    bodies = stage.bootstrap(commit.declaration.settings, source.templates(commit.snapshot, "bootstrap"))
    if not apply:
        console.out(dump(bodies).rstrip("\n"))
        return
    stage.install(connect(kubeconfig=kubeconfig, context=context), bodies, _told)
    console.out(f"this cluster is {commit.declaration.settings.cluster}: {len(bodies)} objects applied")


def _told(body: Body) -> None:
    metadata = body["metadata"]
    place = f"{metadata['namespace']}/" if "namespace" in metadata else ""
    console.talk(f"applied {body['kind']} {place}{metadata['name']}")
