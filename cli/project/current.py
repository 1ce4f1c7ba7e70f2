"""``jobq project current``."""

from cli import console, options, selection, settings
from reconciler.errors import ClusterError
from reconciler.kubeconfig import find_server

EXAMPLES = """
  jobq project current
  kubectl -n "$(jobq project current)" get pods     stdout is the bare name
"""


def current(
    *, project: options.ProjectName = "", kubeconfig: options.Kubeconfig = "", context: options.Context = ""
) -> None:
    """Print the project that commands act on; where that comes from, and what it overrides, goes to stderr."""
    choices = selection.said(project, _server(kubeconfig, context))
    if choices:
        console.out(choices[0].name)
        console.talk(f"from {choices[0].origin}")
        for other in choices[1:]:
            console.talk(f"overrides {other.name!r} from {other.origin}")
        return
    found = _only(kubeconfig, context)
    console.out(found.entry.name)
    console.talk(f"it is {found.origin}")


def _server(kubeconfig: str, context: str) -> str:
    """``""`` where none is configured: a flag or a file may still say a project."""
    try:
        return find_server(kubeconfig=kubeconfig, context=context)
    except ClusterError:
        if kubeconfig or context:
            raise
        return ""


def _only(kubeconfig: str, context: str) -> selection.Current:
    from cli.connection import connect  # noqa: PLC0415 - only now a cluster is needed

    try:
        return selection.only(connect(kubeconfig=kubeconfig, context=context))
    except ClusterError as error:
        raise settings.no_project(f", and {error}") from error
