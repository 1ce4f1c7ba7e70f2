"""``jobq status``."""

from concurrent.futures import ThreadPoolExecutor

from cli import clock, console, options, selection
from cli.catalogue import Entry
from cli.connection import connect
from cli.console import Column
from cli.explain.details import Details, details_json, lines, pod_cells
from cli.explain.jobs import AnyJob
from cli.explain.overview import WAITING, overview
from cli.job import targets
from cli.job.choosing import Wanted
from cli.job.pods import in_order, of_any
from cli.job.positions import read_positions
from cli.job.targets import Words
from reconciler.cluster import Cluster

EXAMPLES = """
  jobq status train-x7k2p
  jobq status @latest -o json | jq .array
"""


def status(
    job: options.JobName,
    *,
    project: options.ProjectName = "",
    everyone: options.Everyone = False,
    output: options.TableOutput = "text",
    kubeconfig: options.Kubeconfig = "",
    context: options.Context = "",
) -> None:
    """Show all that is known of one job: what it asks for and runs, its place, attempts, evictions and pods.

    `jobq why` tells why it is as it is, and what to do.
    """
    cluster = connect(kubeconfig=kubeconfig, context=context)
    current = selection.current(cluster, project)
    found = targets.find(cluster, current, Words([job], all=False, wanted=Wanted(), everyone=everyone))
    if found.missing:
        raise found.missing[0]
    details = _read(cluster, current.entry, found.jobs[0])
    if output == "json":
        console.out_json(details_json(details))
        return
    told = lines(details)
    console.out(details.row.name)
    for what, text in told:
        console.out(f"  {what:<11}  {console.plain(text)}")
    if details.pods:
        columns = (Column("POD"), Column("STATE"), Column("NODE"), Column("AGE", right=True))
        console.out("")
        console.table(columns, [pod_cells(pod, details.now) for pod in details.pods])


def _read(cluster: Cluster, entry: Entry, job: AnyJob) -> Details:
    """Its pods, and its place if it waits, side by side."""
    with ThreadPoolExecutor(1) as pool:
        waits = job.workload is not None and job.status in WAITING
        places = pool.submit(read_positions, cluster, entry.namespace, entry.queue) if waits else None
        pods = of_any(cluster, job)
        name = job.workload["metadata"]["name"] if job.workload else ""
        position = places.result().of.get(name) if places else None
    now = clock.now()
    return Details(job, overview(job, position, now), in_order(pods), now)
