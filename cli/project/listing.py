"""``jobq project list``."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from cli import clock, console, options
from cli.catalogue import Entry, parse_catalogue, read_catalogue, role_in, who_am_i
from cli.connection import connect
from cli.console import Column
from cli.selection import together
from reconciler.errors import ClusterError
from reconciler.kinds import CONFIG_MAP
from reconciler.kubeconfig import NO_CLUSTER
from reconciler.model import SYSTEM_NAMESPACE, Role

EXAMPLES = """
  jobq projects list --mine
  jobq project list --tag eu-grant -o json
"""
COLUMNS = (
    Column("PROJECT", whole=True),
    Column("NAME"),
    Column("QUEUE"),
    Column("STATE"),
    Column("ROLE"),
    Column("TAGS"),
)
_FOLDER = "projects.d"

Row = tuple[Entry, Role | None]


def list_command(
    *,
    mine: options.Mine = False,
    tag: options.Tag = None,
    output: options.TableOutput = "text",
    kubeconfig: options.Kubeconfig = "",
    context: options.Context = "",
) -> None:
    """List the projects of this cluster, with your role in each.

    Where no cluster is configured, in a checkout of the projects repository: those that it declares.
    """
    try:
        cluster = connect(kubeconfig=kubeconfig, context=context)
    except ClusterError as error:
        rows, whose = _declared(error), ""
    else:
        entries, caller = together(lambda: read_catalogue(cluster), lambda: who_am_i(cluster))
        rows, whose = [(entry, role_in(entry, caller, clock.today())) for entry in entries], caller.name
    shown = [row for row in rows if _wanted(row, mine=mine, tags=frozenset(tag or ()))]
    if output == "json":
        console.out_json({"projects": [_json(entry, role) for entry, role in shown]})
    elif shown:
        console.table(COLUMNS, [_cells(entry, role) for entry, role in shown])
    else:
        console.talk(_why_none(whose, rows))


def _declared(error: ClusterError) -> Sequence[Row]:
    """The projects of the checkout around us, without anybody's role. Raises: ``error`` where something else is up."""
    from cli.operator.declared import read_tree  # noqa: PLC0415 - few list projects this way
    from reconciler.render import render  # noqa: PLC0415 - only without a cluster

    here = Path.cwd()
    if NO_CLUSTER not in str(error) or not any((folder / _FOLDER).is_dir() for folder in (here, *here.parents)):
        raise error
    tree = read_tree(here)
    console.talk(f"{NO_CLUSTER}: these projects are declared here, in {_FOLDER}/")
    manifests = render(tree.declaration, tree.templates, clock.today())
    bodies = [one.body for one in manifests if (one.ref.kind, one.ref.namespace) == (CONFIG_MAP.kind, SYSTEM_NAMESPACE)]
    return [(entry, None) for entry in parse_catalogue(bodies, console.warn)]


def _wanted(row: Row, *, mine: bool, tags: frozenset[str]) -> bool:
    entry, role = row
    return (role is not None or not mine) and tags <= set(entry.tags)


def _cells(entry: Entry, role: Role | None) -> Sequence[str]:
    return (entry.name, entry.display_name, entry.cluster_queue, entry.state, role or "", ",".join(entry.tags))


def _json(entry: Entry, role: Role | None) -> Mapping[str, object]:
    return {
        "project": entry.name,
        "displayName": entry.display_name,
        "description": entry.description,
        "namespace": entry.namespace,
        "queue": entry.queue,
        "clusterQueue": entry.cluster_queue,
        "state": entry.state,
        "role": role,
        "tags": list(entry.tags),
    }


def _why_none(whose: str, rows: Sequence[Row]) -> str:
    if not rows:
        return "there are no projects on this cluster yet" if whose else "there are no projects yet"
    return f"none of the {len(rows)} projects fits" + (f"; the server takes you for {whose!r}" if whose else "")
