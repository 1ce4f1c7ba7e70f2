"""Every option and argument once, as an Annotated type: the same word means the same thing in every command."""

from pathlib import Path
from typing import Annotated, Literal

import typer
from typer import Argument, Option

from cli.explain.status import Status
from cli.known import complete_job, complete_project
from reconciler.errors import UsageError

_OUTPUT = Option("--output", "-o", help="Form of the answer.", show_default=False)

# which cluster
Kubeconfig = Annotated[
    str,
    Option("--kubeconfig", metavar="FILE", help="Kubeconfig file (else KUBECONFIG, ~/.kube/config, the pod's own)."),
]
Context = Annotated[str, Option("--context", metavar="NAME", help="Context of the kubeconfig (else its current one).")]

# which project, whose jobs


def _not_empty(ctx: typer.Context, param: typer.CallbackParam, value: str) -> str:
    """A script's variable that isn't set must not mean the selected project. Raises: UsageError."""
    source = ctx.get_parameter_source(param.name or "")
    if not value and source is not None and source.name == "COMMANDLINE" and not ctx.resilient_parsing:
        raise UsageError("--project is empty", hint="say a name, or leave it out to mean the selected project")
    return value


ProjectName = Annotated[
    str,
    Option(
        "--project",
        "-p",
        metavar="NAME",
        help="Project to act on (else the selected one).",
        callback=_not_empty,
        autocompletion=complete_project,
    ),
]
AllProjects = Annotated[bool, Option("--all-projects", "-A", help="Every project you may read.")]
Mine = Annotated[bool, Option("--mine", help="Only mine.")]
Tag = Annotated[list[str] | None, Option("--tag", metavar="TAG", help="Only with this tag; may be given again.")]
Here = Annotated[bool, Option("--here", help="For this directory and those below: writes .jobq-project.")]
SelectedProject = Annotated[
    str, Argument(metavar="[NAME]", help="The project (asked for on a terminal).", autocompletion=complete_project)
]
JobName = Annotated[
    str,
    Argument(metavar="JOB", help="A job's name, a unique beginning of it, or @latest.", autocompletion=complete_job),
]
JobNames = Annotated[
    list[str],
    Argument(metavar="JOB...", help="Names, unique beginnings of them, or @latest.", autocompletion=complete_job),
]
JobNameOrNone = Annotated[
    str,
    Argument(metavar="[JOB]", help="A job's name, a unique beginning of it, or @latest.", autocompletion=complete_job),
]
SavedEvidence = Annotated[
    str,
    Option("--evidence", metavar="FILE", help="Explain what --save wrote, without a cluster (-: from stdin)."),
]
SaveEvidence = Annotated[
    str, Option("--save", metavar="FILE", help="Also write down what the answer is based on, for whoever helps you.")
]

SomeJobs = Annotated[
    list[str] | None,
    Argument(metavar="[JOB]...", help="Names, unique beginnings of mine, or @latest.", autocompletion=complete_job),
]
AllJobs = Annotated[bool, Option("--all", help="All my jobs, or with --status those.")]
NewPriority = Annotated[str, Option("--priority", metavar="CLASS", help="The queue's priority class to give them.")]
Everyone = Annotated[bool, Option("--everyone", help="Other people's jobs too: beginnings of names, and --all.")]
Statuses = Annotated[
    list[str] | None,
    Option("--status", metavar="STATUS,...", help=f"Only with this status: {', '.join(Status)}.", show_default=False),
]
Since = Annotated[str | None, Option("--since", metavar="DURATION", help="Only those submitted since: 2h, 7d.")]
Limit = Annotated[int | None, Option("--limit", metavar="N", min=1, help="Only the newest ones, so many.")]
Waiting = Annotated[int, Option("--limit", metavar="N", min=0, help="Show so many of the jobs that wait.")]
Follows = Annotated[bool, Option("--watch", "-w", help="Go on: show changes as they come, until Ctrl-C.")]
Yes = Annotated[bool, Option("--yes", "-y", help="Do it without asking.")]
DeclaredProject = Annotated[str, Argument(metavar="NAME", help="A project that projects.d/ declares.")]
ArchivedProject = Annotated[str, Argument(metavar="NAME", help="An archived project.", autocompletion=complete_project)]

# forms of answers
JobsOutput = Annotated[Literal["text", "wide", "json", "name"], _OUTPUT]
TableOutput = Annotated[Literal["text", "json"], _OUTPUT]
SubmitOutput = Annotated[Literal["text", "name", "json", "yaml"], _OUTPUT]
ReportOutput = Annotated[Literal["text", "json", "markdown"], _OUTPUT]
ManifestOutput = Annotated[Literal["yaml", "json"], _OUTPUT]

# a job: the words of a project's defaults and of script metadata
Name = Annotated[
    str | None, Option("--name", metavar="NAME", help="Beginning of the job's name (else from what runs).")
]
Image = Annotated[str | None, Option("--image", "-i", metavar="IMAGE", help="Container image.")]
Cpu = Annotated[str | None, Option("--cpu", "-c", metavar="CORES", help="CPU cores: 4, 500m.")]
Memory = Annotated[str | None, Option("--memory", "-m", metavar="SIZE", help="Memory, request and limit: 8Gi.")]
Gpus = Annotated[
    str | None, Option("--gpus", "-g", metavar="[FLAVOR:]N", help="GPUs, of a flavor of the queue: 2, a100:2.")
]
Flavor = Annotated[
    str | None, Option("--flavor", metavar="FLAVOR", help="Run on the nodes of this flavor of the queue.")
]
GpuResource = Annotated[
    str | None, Option("--gpu-resource", metavar="NAME", help="What GPUs are called here (else nvidia.com/gpu).")
]
Env = Annotated[
    list[str] | None, Option("--env", "-e", metavar="KEY=VALUE", help="Environment variable; may be given again.")
]
EnvFile = Annotated[
    list[str] | None,
    Option("--env-file", metavar="FILE", help="Lines KEY=VALUE, as a shell reads them; values are never shown."),
]
SecretName = Annotated[
    list[str] | None,
    Option(
        "--secret",
        metavar="NAME[:/PATH]",
        help="A Secret of the project as variables, or as files; may be given again.",
    ),
]
Label = Annotated[
    list[str] | None, Option("--label", metavar="KEY=VALUE", help="Label of job and pods; may be given again.")
]
Shm = Annotated[str | None, Option("--shm", metavar="SIZE", help="Shared memory (/dev/shm), a part of --memory: 8Gi.")]
Priority = Annotated[str | None, Option("--priority", metavar="CLASS", help="Priority class of the queue.")]
Time = Annotated[
    str | None,
    Option("--time", "-t", metavar="DURATION", help="Time limit, in an array of each task: 4h, 1d12h, 1-12:00:00."),
]
Ttl = Annotated[str | None, Option("--ttl", metavar="DURATION", help="How long the finished job stays listed: 7d.")]
Workdir = Annotated[str | None, Option("--workdir", metavar="PATH", help="Directory in which the command starts.")]
Volume = Annotated[
    list[str] | None,
    Option("--volume", metavar="PVC:/PATH[:ro]", help="A claim and where to mount it; may be given again."),
]
Array = Annotated[
    str | None,
    Option("--array", metavar="SET[%P]", help="A task for each number, P at once: 0-15, 1-10:3,20, 0-99%8."),
]
Nodes = Annotated[
    int | None, Option("--nodes", metavar="N", min=1, help="N pods together, all or none: MASTER_ADDR, RANK are set.")
]
Retries = Annotated[
    int | None, Option("--retries", metavar="N", min=0, help="How often a failed pod is tried again (else never).")
]
Hold = Annotated[bool, Option("--hold", help="Don't let it start before `jobq resume`.")]
Force = Annotated[bool, Option("--force", help="Send it even where it can never fit.")]
JobFile = Annotated[
    str, Option("--file", "-f", metavar="FILE", help="A Job's manifest; queue, namespace, priority are filled in.")
]
DryRun = Annotated[
    Literal["client", "server"] | None,
    Option("--dry-run", metavar="[=client|server]", help="Show what would be sent; server: and have it checked there."),
]
Command = Annotated[
    list[str] | None, Argument(metavar="-- COMMAND... | SCRIPT [ARGS...]", help="What runs: see the examples.")
]

# one pod of a job
Index = Annotated[
    int | None, Option("--index", metavar="N", min=0, help="The pod of this index: an array's task, by its number.")
]
PodName = Annotated[str, Option("--pod", metavar="NAME", help="The pod of this name.")]
InPod = Annotated[list[str] | None, Argument(metavar="[-- COMMAND...]", help="What runs there (else a shell).")]
Ports = Annotated[
    list[str], Argument(metavar="[LOCAL:]PORT...", help="The pod's ports, and those here (else the same).")
]

# following and waiting
Wait = Annotated[bool, Option("--wait", help="Wait for the end; the exit code is the job's fate.")]
FollowSubmitted = Annotated[bool, Option("--follow", "-F", help="Show the log until the job ends; implies --wait.")]
Follow = Annotated[bool, Option("--follow", "-f", help="Wait for the job to start, then show the log until it ends.")]
Timeout = Annotated[str | None, Option("--timeout", metavar="DURATION", help="Wait no longer than this: 30m.")]
Tail = Annotated[int | None, Option("--tail", metavar="LINES", min=0, help="Only this many lines from the end.")]
PrintedSince = Annotated[
    str | None, Option("--since", metavar="DURATION", help="Only what was printed since then: 10m.")
]
AllAttempts = Annotated[bool, Option("--all", help="Earlier attempts too, where their pods are still there.")]
Previous = Annotated[bool, Option("--previous", help="The attempt before the last one.")]
Timestamps = Annotated[bool, Option("--timestamps", help="Each line's time in front of it.")]

# the projects repository
TreePath = Annotated[Path, Argument(metavar="[PATH]", help="Work tree of the projects repository.")]
Repo = Annotated[Path, Option("--repo", metavar="DIR", help="The projects repository.")]
Ref = Annotated[str, Option("--ref", metavar="REV", help="Commit, branch or tag to read.")]
ExitCode = Annotated[bool, Option("--exit-code", help="Exit 3 where changes are pending; a hold keeps its own back.")]
Approved = Annotated[str, Option("--approved", metavar="DIGEST", help="Approve what the plan of this digest disrupts.")]
Digest = Annotated[str, Argument(metavar="DIGEST", help="The digest that a refused plan shows.")]
Only = Annotated[str, Option("--only", metavar="PROJECT,...", help="Only these projects: all others stay as they are.")]
Rewind = Annotated[bool, Option("--rewind", help="A commit that doesn't follow the last applied one is meant.")]
AllowOlder = Annotated[bool, Option("--allow-older", help="This jobq may go on where a newer one has reconciled.")]
Watch = Annotated[bool, Option("--watch", help="Go on: reconcile after each commit, each drift, and at an interval.")]
Fetch = Annotated[
    str, Option("--fetch", metavar="DURATION", help="With --watch: fetch from the remotes that often (else never).")
]
Poll = Annotated[
    str, Option("--poll", metavar="DURATION", help="With --watch: look for a commit at least that often (else 10s).")
]
Every = Annotated[
    str, Option("--every", metavar="DURATION", help="With --watch: a pass at least that often (else 10m).")
]
Listen = Annotated[
    str, Option("--listen", metavar="HOST:PORT", help="With --watch: serve /healthz and /metrics there.")
]
Apply = Annotated[bool, Option("--apply", help="Write it to the cluster.")]
WorkTree = Annotated[bool, Option("--work-tree", help="The files as they lie there, committed or not.")]
Offline = Annotated[bool, Option("--offline", help="Ask no cluster: show what an empty one would get.")]
From = Annotated[str, Option("--from", metavar="REV", help="With --offline: plan over what this commit declares.")]
To = Annotated[str, Option("--to", metavar="REV", help="With --from: the commit that is planned (else HEAD).")]
RenderedProject = Annotated[str, Argument(metavar="[PROJECT]", help="Only this project's objects.")]
NoPolicies = Annotated[bool, Option("--no-policies", help="Without the admission policies: the cluster has its own.")]
