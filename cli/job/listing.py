"""``jobq list``."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from cli import clock, console, options, selection
from cli.catalogue import Caller, read_catalogue, role_in, who_am_i
from cli.connection import connect
from cli.console import Column
from cli.explain.overview import Overview, age, as_json, cores, overviews, size
from reconciler.cluster import Body, Cluster
from reconciler.errors import Forbidden
from reconciler.kinds import JOB, WORKLOAD

EXAMPLES = """
  jobq list
  jobq list --mine -A
  jobq list -o json | jq -r '.jobs[] | select(.status == "Failed") | .name'
"""
COLUMNS = (
    Column("NAME"),
    Column("STATUS"),
    Column("PRIORITY"),
    Column("CPU", right=True),
    Column("MEMORY", right=True),
    Column("GPUS", right=True),
    Column("BY"),
    Column("AGE", right=True),
    Column("RUNTIME", right=True),
)


@dataclass(frozen=True, slots=True)
class _Found:
    jobs: Sequence[Body]
    workloads: Sequence[Body]


def list_command(
    *,
    project: options.ProjectName = "",
    all_projects: options.AllProjects = False,
    mine: options.Mine = False,
    output: options.ListOutput = "text",
    kubeconfig: options.Kubeconfig = "",
    context: options.Context = "",
) -> None:
    """List jobs and how they fare, newest first."""
    cluster = connect(kubeconfig=kubeconfig, context=context)
    if all_projects:
        caller = who_am_i(cluster)
        found = _everywhere(cluster, caller)
    else:
        current = selection.current(cluster, project)
        caller = current.caller
        found = _in(cluster, current.entry.namespace)
    rows = [row for row in overviews(found.jobs, found.workloads) if row.by == caller.name or not mine]
    _show(rows, output, wide=all_projects)
    if not rows and output == "text":
        console.talk(f"no jobs{' of yours' if mine else ''}{'' if all_projects else f' in {current.entry.name}'}")


def _show(rows: Sequence[Overview], output: str, *, wide: bool) -> None:
    now = clock.now()
    if output == "json":
        console.out_json({"jobs": [as_json(row, now) for row in rows]})
    elif output == "name":
        for row in rows:
            console.out(row.name)
    elif rows:
        first = [Column("PROJECT")] if wide else []
        console.table([*first, *COLUMNS], [[row.namespace] * wide + _cells(row) for row in rows])


def _cells(row: Overview) -> list[str]:
    now = clock.now()
    return [
        row.name,
        row.status,
        row.priority,
        cores(row.cpu),
        size(row.memory),
        f"{row.gpus:f}" if row.gpus else "",
        row.by,
        age(now - row.created),
        age(row.runtime(now)),
    ]


def _in(cluster: Cluster, namespace: str) -> _Found:
    """Jobs and Workloads of a namespace; ``""``: of all that there are."""
    jobs, workloads = selection.together(
        lambda: cluster.list(JOB, namespace=namespace), lambda: cluster.list(WORKLOAD, namespace=namespace)
    )
    return _Found(jobs.items, workloads.items)


def _everywhere(cluster: Cluster, caller: Caller) -> _Found:
    """What the caller may read: all at once for an administrator, else project by project."""
    entries = read_catalogue(cluster)
    known = {entry.namespace for entry in entries}
    try:
        found = _in(cluster, "")
        return _Found([job for job in found.jobs if job["metadata"]["namespace"] in known], found.workloads)
    except Forbidden:
        mine = [entry.namespace for entry in entries if role_in(entry, caller, clock.today())]
    with ThreadPoolExecutor(8) as pool:
        parts = list(pool.map(lambda namespace: _in(cluster, namespace), mine))
    return _Found(
        [job for part in parts for job in part.jobs], [workload for part in parts for workload in part.workloads]
    )
