"""``jobq project list``."""

from collections.abc import Mapping, Sequence

from cli import clock, console, options
from cli.catalogue import Caller, Entry, read_catalogue, role_in, who_am_i
from cli.connection import connect
from cli.console import Column
from cli.selection import together
from reconciler.model import Role

EXAMPLES = """
  jobq projects list --mine
  jobq project list --tag eu-grant -o json
"""
COLUMNS = (Column("PROJECT"), Column("NAME"), Column("QUEUE"), Column("STATE"), Column("ROLE"), Column("TAGS"))

Row = tuple[Entry, Role | None]


def list_command(
    *,
    mine: options.Mine = False,
    tag: options.Tag = None,
    output: options.TableOutput = "text",
    kubeconfig: options.Kubeconfig = "",
    context: options.Context = "",
) -> None:
    """List the projects of this cluster, with your role in each."""
    cluster = connect(kubeconfig=kubeconfig, context=context)
    entries, caller = together(lambda: read_catalogue(cluster), lambda: who_am_i(cluster))
    rows = [(entry, role_in(entry, caller, clock.today())) for entry in entries]
    shown = [row for row in rows if _wanted(row, mine=mine, tags=frozenset(tag or ()))]
    if output == "json":
        console.out_json({"projects": [_json(entry, role) for entry, role in shown]})
    elif shown:
        console.table(COLUMNS, [_cells(entry, role) for entry, role in shown])
    else:
        console.talk(_why_none(caller, rows))


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


def _why_none(caller: Caller, rows: Sequence[Row]) -> str:
    if not rows:
        return "there are no projects on this cluster yet"
    return f"none of the {len(rows)} projects fits; the server takes you for {caller.name!r}"
