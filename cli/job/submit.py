"""``jobq submit``."""

from pathlib import Path

import typer

from cli import clock, console, options
from cli.connection import connect
from cli.explain.jobs import AnyJob
from cli.explain.status import GATE
from cli.job.following import Wish
from cli.job.following import follow as follow_job
from cli.job.ground import survey
from cli.job.prepared import Notices, env_files, from_manifest, from_words
from cli.job.sending import Objects, checked, send
from cli.job.typed import Parser
from cli.selection import Current
from cli.submission import amount, manifest, variables
from cli.submission.request import labels_from
from reconciler.cluster import Body, Cluster
from reconciler.errors import UsageError
from reconciler.kinds import JOB
from reconciler.model import JobOptions
from reconciler.wording import shortened

__all__ = ["EXAMPLES", "Parser", "submit"]

EXAMPLES = """
  jobq submit -- python train.py --lr 1e-3               a command in the project's image
  jobq submit -g 2 -t 4h -F train.py --lr 1e-3           a script of this machine; follow its log
  jobq submit -p vision -i ghcr.io/example/train:1 -- python -m exp.train
  jobq submit --array 0-15%4 -- python sweep.py          16 tasks, 4 at once: JOBQ_ARRAY_INDEX
  jobq submit --nodes 2 -g 8 --shm 64Gi -m 512Gi run.sh  2 pods together: MASTER_ADDR, RANK, WORLD_SIZE
  jobq submit --dry-run -o yaml -- ./prepare.sh | less   what would be sent
  jobq submit -f job.yaml                                a Job's manifest
"""


def submit(
    ctx: typer.Context,
    command: options.Command = None,
    *,
    project: options.ProjectName = "",
    file: options.JobFile = "",
    name: options.Name = None,
    image: options.Image = None,
    cpu: options.Cpu = None,
    memory: options.Memory = None,
    gpus: options.Gpus = None,
    flavor: options.Flavor = None,
    gpu_resource: options.GpuResource = None,
    shm: options.Shm = None,
    env: options.Env = None,
    env_file: options.EnvFile = None,
    secret: options.SecretName = None,
    volume: options.Volume = None,
    workdir: options.Workdir = None,
    label: options.Label = None,
    priority: options.Priority = None,
    time: options.Time = None,
    array: options.Array = None,
    nodes: options.Nodes = None,
    retries: options.Retries = None,
    ttl: options.Ttl = None,
    hold: options.Hold = False,
    force: options.Force = False,
    wait: options.Wait = False,
    follow: options.FollowSubmitted = False,
    timeout: options.Timeout = None,
    dry_run: options.DryRun = None,
    output: options.SubmitOutput = "text",
    kubeconfig: options.Kubeconfig = "",
    context: options.Context = "",
) -> None:
    """Run a command or a script as a job of the project, as soon as its queue has room.

    What follows -- is a command in the image. A file of this machine is shipped to the job, and run by its #! line, or
    as .py and .sh; what follows it belongs to it. It can have options of its own, as inline script metadata in
    [tool.jobq], and dependencies.

    Flags come before the script's options, these before the project's defaults; without any, a job has one core, 2Gi
    and no time limit. With --wait or --follow the exit code is the job's fate: 0 succeeded, 100 failed or timed out,
    101 not ended within --timeout, 103 stopped or deleted.
    """
    gpu_flavor, count = (None, None) if gpus is None else amount.gpus(gpus, "--gpus")
    flags = JobOptions(
        name=name,
        image=image,
        cpu=cpu,
        memory=memory,
        gpus=count,
        flavor=_one_flavor(flavor, gpu_flavor),
        gpu_resource=gpu_resource,
        shm=shm,
        env=variables.from_pairs(env or ()),
        secrets=secret or (),
        volumes=volume or (),
        workdir=workdir,
        labels=labels_from(label or ()),
        priority=priority,
        time=time,
        array=array,
        nodes=nodes,
        retries=retries,
        ttl=ttl,
    )
    seconds = _patience(timeout, waits=wait or follow)
    files = env_files(env_file or ())
    typed = {"flavor": "--gpus"} if gpu_flavor and not flavor else {}
    own = {option for param in ctx.command.params for option in param.opts}
    words = command or ()
    work = from_manifest(file, words, flags, files) if file else from_words(words, flags, files, typed=typed, own=own)
    notices = Notices()
    cluster = connect(kubeconfig=kubeconfig, context=context, on_warning=notices.warn)
    ground = survey(cluster, project, Path.cwd())
    make = work.maker(ground, notices, held=hold, force=force)
    if dry_run:
        objects = make()
        _show(checked(cluster, objects) if dry_run == "server" else objects, work.hidden, notices, output)
        return
    made = send(cluster, make, ground.current.entry.name)
    if output == "text":
        _tell(made, ground.current, follows=follow, waits=wait)
    else:
        _show(made, work.hidden, notices, output)
    if wait or follow:
        until = None if seconds is None else clock.elapsed() + seconds
        raise typer.Exit(_follow(cluster, made.job, Wish() if follow else None, until, ground.current))


def _one_flavor(flavor: str | None, of_gpus: str | None) -> str | None:
    if flavor and of_gpus and flavor != of_gpus:
        raise UsageError(f"--gpus says flavor {of_gpus}, and --flavor {flavor}", hint="say one of them")
    return of_gpus or flavor


def _patience(timeout: str | None, *, waits: bool) -> int | None:
    """Seconds to wait for the end; None: as long as it takes."""
    if timeout is None:
        return None
    if not waits:
        raise UsageError("--timeout says how long to wait, and nothing waits", hint="say --wait or --follow too")
    return amount.time_limit(timeout, "--timeout")


def _show(objects: Objects, hidden: frozenset[str], notices: Notices, output: str) -> None:
    if output == "name":
        console.out(objects.job["metadata"]["name"])
        return
    bodies = [manifest.shown(objects.job, hidden), *objects.bodies[1:]]
    if hidden:
        notices.tell("--env-file", f"the values of {shortened(sorted(hidden))} are hidden")
    if output == "json":
        console.out_json({"objects": bodies, "notices": notices.told})
    else:
        console.out_yaml(*bodies)


def _tell(made: Objects, current: Current, *, follows: bool, waits: bool) -> None:
    """One line: the name, and what to do next. While a log follows, stdout is the log's."""
    name, entry = made.job["metadata"]["name"], current.entry
    if GATE in made.job["metadata"].get("annotations", {}):
        line = f"{name} is held in {entry.name}; `{current.command('resume', name)}` lets it go"
    else:
        line = f"{name} is submitted to {entry.name} ({entry.cluster_queue})"
        if not (follows or waits):
            line += f"; `{current.command('logs -f', name)}` waits for its start and shows its log"
    (console.talk if follows else console.out)(line)


def _follow(cluster: Cluster, made: Body, wish: Wish | None, until: float | None, current: Current) -> int:
    name = made["metadata"]["name"]
    try:
        return follow_job(cluster, AnyJob(JOB, made, None), wish=wish, until=until).code
    except KeyboardInterrupt:
        follow, end = (f"`{current.command(deed, name)}`" for deed in ("logs -f", "delete"))
        console.talk(f"{name} goes on; {follow} follows it again, {end} ends it")
        raise
