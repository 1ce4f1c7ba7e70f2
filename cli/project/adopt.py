"""``jobq project adopt``: a namespace that exists becomes a project's."""

from collections.abc import Mapping
from pathlib import Path

from cli import clock, console, options
from cli.connection import connect
from cli.meant import must_be_meant
from cli.operator.declared import read_commit
from reconciler.administration import adopt as stage
from reconciler.administration.adoption import Adoptee
from reconciler.administration.remarks import remarks
from reconciler.comparing.holdings import name_of
from reconciler.declaring.problems import nearest
from reconciler.errors import UsageError
from reconciler.model import Project
from reconciler.render import render

EXAMPLES = """
  jobq project adopt lab
  jobq project adopt lab --yes && jobq reconcile
"""


def adopt(
    name: options.DeclaredProject,
    *,
    yes: options.Yes = False,
    repo: options.Repo = Path(),
    ref: options.Ref = "HEAD",
    kubeconfig: options.Kubeconfig = "",
    context: options.Context = "",
) -> None:
    """Make a project of a namespace that exists already: show what changes for what lives there, then label it.

    Also the way back for a project's namespace that has lost its labels. It needs the right to patch namespaces.
    Nothing is stopped or evicted; the next reconcile brings queue, access and limits.
    """
    commit = read_commit(repo, ref)
    project = _declared(name, commit.declaration.projects)
    manifests = [
        manifest for manifest in render(commit.declaration, commit.templates, clock.today()) if manifest.project == name
    ]
    warnings: list[str] = []
    cluster = connect(kubeconfig=kubeconfig, context=context, on_warning=warnings.append)
    adoptee = stage.find_adoptee(cluster, commit.declaration, manifests, project, warnings)
    if adoptee.done:
        console.out(f"namespace {project.namespace} is labelled as project {name} already; next: jobq reconcile")
        return
    _show(adoptee)
    question = f"make {project.namespace} project {name}?"
    must_be_meant(question, yes=yes, left="nothing was changed", command=f"jobq project adopt {name}")
    stage.adopt(cluster, adoptee)
    console.out(f"namespace {project.namespace} is project {name} now; next: jobq reconcile")


def _declared(name: str, projects: Mapping[str, Project]) -> Project:
    if name in projects:
        return projects[name]
    near = nearest(name, projects)
    hint = (
        f"did you mean {near}?"
        if near
        else f"write and commit projects.d/{name}.yaml first: what it says is what will be"
    )
    raise UsageError(f"no project {name} is declared", hint=hint)


def _show(adoptee: Adoptee) -> None:
    where, project = name_of(adoptee.namespace), adoptee.project.name
    begins = "was project {} and becomes it again" if adoptee.was_ours else "becomes project {}"
    console.out(f"namespace {where} {begins.format(project)}; nothing that runs is stopped")
    for key, value in adoptee.labels.items():
        console.out(f"  label {key}={value}")
    for remark in remarks(adoptee):
        console.out(f"  {console.plain(remark)}")
