"""``jobq list``."""

from collections.abc import Sequence

from cli import clock, console, known, options, selection
from cli.catalogue import who_am_i
from cli.connection import connect
from cli.explain.overview import Overview, as_json, overviews
from cli.job import choosing, rows, watched
from cli.job.choosing import Wanted
from cli.job.reach import Reach, everywhere
from cli.job.reading import read_everywhere, read_jobs
from reconciler.errors import UsageError

EXAMPLES = """
  jobq list
  jobq list -w --mine
  jobq list --mine -A --since 1d --status failed,timedout
  jobq list -o json | jq -r '.jobs[] | select(.status == "Failed") | .name'
"""


def list_command(
    *,
    project: options.ProjectName = "",
    all_projects: options.AllProjects = False,
    mine: options.Mine = False,
    status: options.Statuses = None,
    since: options.Since = None,
    limit: options.Limit = None,
    watch: options.Follows = False,
    output: options.JobsOutput = "text",
    kubeconfig: options.Kubeconfig = "",
    context: options.Context = "",
) -> None:
    """List jobs and how they fare, newest first.

    POS is a job's place among those that wait in the project: no promise, since a smaller one may fit before it.
    With --watch a terminal shows the list as it is now; elsewhere each change is a line (with -o json a JSON object).
    """
    wanted = Wanted("", choosing.statuses(status), choosing.since(since), limit)
    if watch and output == "name":
        raise UsageError("--watch doesn't go with -o name")
    cluster = connect(kubeconfig=kubeconfig, context=context)
    if all_projects:
        caller = who_am_i(cluster)
        reach = everywhere(cluster, caller, "watch" if watch else "list")
        name, where, since_when = caller.name, "", ""
    else:
        current = selection.current(cluster, project)
        reach = Reach([current.entry])
        name, where = current.caller.name, current.entry.name
        since_when = f" (archived since {current.entry.archived_on})" if current.entry.archived_on else ""
    wanted = Wanted(name if mine else "", wanted.statuses, wanted.since, wanted.limit)
    if watch:
        watched.watch_jobs(cluster, reach, wanted, output, where)
        return
    now = clock.now()
    positions = output != "name"
    found = (
        read_everywhere(cluster, reach, positions=positions)
        if all_projects
        else read_jobs(cluster, current.entry, positions=positions)
    )
    shown = overviews(wanted.of(found.jobs, now), found.positions.of, now)
    if where and not (mine or wanted.narrow):
        known.remember_jobs(cluster.address, where, (row.name for row in shown))
    _show(shown, output, everywhere=all_projects)
    if not shown and output in {"text", "wide"}:
        console.talk(f"no jobs{_of(wanted)}{where and f' in {where}{since_when}'}")


def _of(wanted: Wanted) -> str:
    return f"{' of yours' if wanted.by else ''}{' like that' if wanted.narrow else ''}"


def _show(shown: Sequence[Overview], output: str, *, everywhere: bool) -> None:
    now = clock.now()
    if output == "json":
        console.out_json({"jobs": [as_json(row, now) for row in shown]})
    elif output == "name":
        for row in shown:
            console.out(row.name)
    elif shown:
        form = rows.Form(wide=output == "wide", everywhere=everywhere)
        columns, cells = form.columns, [form.cells(row, now) for row in shown]
        console.table(*(rows.without_empty(columns, cells) if console.draws() else (columns, cells)))
