"""``jobq bootstrap``: what an admin installs once."""

import time
from pathlib import Path

from cli import console, options
from cli.connection import connect
from cli.operator.declared import read_commit
from reconciler import source
from reconciler.administration import bootstrap as stage
from reconciler.documents.writing import dump
from reconciler.errors import JobqError
from reconciler.model import Body

EXAMPLES = """
  jobq bootstrap
  jobq bootstrap --apply
"""


def bootstrap(
    *,
    apply: options.Apply = False,
    no_policies: options.NoPolicies = False,
    repo: options.Repo = Path(),
    ref: options.Ref = "HEAD",
    kubeconfig: options.Kubeconfig = "",
    context: options.Context = "",
) -> None:
    """Show (or with --apply install) what the cluster needs once: jobq-system, roles, policies, its name."""
    commit = read_commit(repo, ref)
    settings = commit.declaration.settings
    bodies = stage.bootstrap(settings, source.templates(commit.snapshot, "bootstrap"), policies=not no_policies)
    if not apply:
        console.out(dump(bodies).rstrip("\n"))
        return
    cluster = connect(kubeconfig=kubeconfig, context=context)
    stage.check_cluster(cluster, settings)
    stage.install(cluster, bodies, _told)
    if not no_policies:
        reconciler = connect(kubeconfig=kubeconfig, context=context, impersonating=settings.reconciler)
        if not stage.await_policies(reconciler, time.sleep):
            raise JobqError(
                "the admission policies are installed, but refuse nothing", hint="jobq bootstrap --apply again"
            )
        console.talk("the admission policies act: a forbidden dry-run was refused")
    console.out(f"this cluster is {settings.cluster}: {len(bodies)} objects applied")


def _told(body: Body, result: str) -> None:
    metadata = body["metadata"]
    place = f"{metadata['namespace']}/" if "namespace" in metadata else ""
    console.talk(f"{result} {body['kind']} {place}{metadata['name']}")
