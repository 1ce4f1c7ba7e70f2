"""``jobq project purge``: the end of an archived project."""

from pathlib import Path

from cli import clock, console, options
from cli.connection import connect
from cli.meant import must_be_meant
from cli.operator.declared import read_commit
from cli.submission import amount
from reconciler.administration import purge as stage
from reconciler.administration.purge import Doomed
from reconciler.cluster import Cluster
from reconciler.comparing.holdings import losses
from reconciler.errors import JobqError
from reconciler.model import Body
from reconciler.planning.ending import way_out_of, why_ending

EXAMPLES = """
  jobq project purge vision
  jobq project purge vision --yes --timeout 10m
"""
_SECONDS = 120


def purge(
    name: options.ArchivedProject,
    *,
    yes: options.Yes = False,
    timeout: options.Timeout = None,
    repo: options.Repo = Path(),
    ref: options.Ref = "HEAD",
    kubeconfig: options.Kubeconfig = "",
    context: options.Context = "",
) -> None:
    """Delete an archived project: its namespace with all it holds, then its catalogue entry. Nothing brings it back.

    It needs the right to delete namespaces, which the reconciler lacks. Waits 2 minutes unless --timeout says else.
    """
    seconds = _SECONDS if timeout is None else amount.time_limit(timeout, "--timeout")
    declaration = read_commit(repo, ref).declaration
    cluster = connect(kubeconfig=kubeconfig, context=context)
    doomed = stage.find_doomed(cluster, declaration, name, clock.today())
    _show(doomed)
    if doomed.namespace is not None and not doomed.ending:
        question = f"delete all of {name} for good?"
        must_be_meant(question, yes=yes, left="nothing was deleted", command=f"jobq project purge {name}")
    standing = _ended(cluster, doomed, seconds)
    if standing is not None:
        where = standing["metadata"]["name"]
        raise JobqError(
            f"namespace {where} is still there after {seconds} s: {why_ending(standing)}",
            hint=f"{way_out_of(standing)}; then jobq project purge {name} again: it goes on waiting",
        )
    console.out(f"project {name} is purged")


def _show(doomed: Doomed) -> None:
    """What is lost, on stdout: what the question is about."""
    if doomed.namespace is None:
        console.talk(f"the namespace of {doomed.project} is gone already; its catalogue entry goes now")
        return
    where = doomed.namespace["metadata"]["name"]
    if doomed.ending:
        console.talk(f"namespace {where} is being deleted already; waiting for its end")
        return
    lines = list(losses(doomed.contents))
    console.out(f"namespace {where} of project {doomed.project} goes for good{', with:' if lines else '; it is empty'}")
    for line in lines:
        console.out(f"  {console.plain(line)}")


def _ended(cluster: Cluster, doomed: Doomed, seconds: float) -> Body | None:
    def told(waited: float) -> None:
        console.progress(f"waiting for the end of project {doomed.project}: {waited:.0f} of {seconds:.0f} s")

    try:
        return stage.purge(cluster, doomed, seconds, told)
    except KeyboardInterrupt:
        console.progress("")
        console.talk(f"the deletion goes on; jobq project purge {doomed.project} waits for its end again")
        raise
    finally:
        console.progress("")
