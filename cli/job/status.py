"""``jobq status``."""

from cli import console, options, selection
from cli.connection import connect
from cli.console import Column
from cli.explain.details import Details, details_json, lines, pod_cells
from cli.explain.jobs import AnyJob
from cli.explain.overview import overview
from cli.explain.reading import evidence_of
from cli.explain.why import explain
from cli.job import gathering, targets
from cli.selection import Current
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
    """Show all that is known of one job: why it is as it is, what it asks for and runs, its place, attempts and pods.

    `jobq why` looks further around it, and tells what to do. With -o json: what `list` has of it, and more; `why` has
    code, sentence and action.
    """
    cluster = connect(kubeconfig=kubeconfig, context=context)
    current = selection.current(cluster, project)
    show(_read(cluster, current, targets.one(cluster, current, job, everyone=everyone)), output)


def show(details: Details, output: str) -> None:
    """As text or as JSON."""
    if output == "json":
        console.out_json(details_json(details))
        return
    told = lines(details)
    console.out(details.row.name)
    for what, text in told:
        console.out(f"  {what:<11}  {console.plain(text)}")
    if details.pods:
        columns = (Column("POD", whole=True), Column("STATE"), Column("NODE"), Column("AGE", right=True))
        console.out("")
        console.table(columns, [pod_cells(pod, details.now) for pod in details.pods])


def _read(cluster: Cluster, current: Current, job: AnyJob) -> Details:
    evidence = evidence_of(gathering.glance(cluster, current.entry, job), current.option)
    answer = explain(evidence)
    again = " && ".join(current.command(deed, job.name) for deed in ("stop", "resume"))
    return Details(job, overview(job, evidence, answer), answer, evidence, again)
