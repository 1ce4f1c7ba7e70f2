"""``jobq submit``."""

import secrets
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

import typer

from cli import clock, console, options, selection
from cli.catalogue import role_in, whom_to_ask
from cli.connection import connect
from cli.job.following import Shown
from cli.job.following import follow as follow_job
from cli.main import Command
from cli.selection import Current
from cli.submission import amount, manifest, naming
from cli.submission.request import Request, check, from_defaults, resolve, variables
from reconciler.cluster import Body, Cluster
from reconciler.errors import ClusterError, Forbidden, JobqError, NotFound, Unreachable, UsageError
from reconciler.kinds import JOB, PRIORITY_CLASS, RESOURCE_FLAVOR, SELF_SUBJECT_ACCESS_REVIEW
from reconciler.model import JobOptions, Role

EXAMPLES = """
  jobq submit -- python train.py --lr 1e-3
  jobq submit -p vision -i ghcr.io/example/train:1 -g 2 -t 4h -F -- python -m exp.train
  jobq submit --dry-run -o yaml -- ./prepare.sh | less
"""
DASHES = "--"
_AFTER = "\0"
"""Put behind the first ``--``, which the parser drops: no argument of a process can hold it."""


class Parser(Command):
    """Keeps apart what stands after ``--``, word for word, and gives a bare ``--dry-run`` its meaning."""

    allow_interspersed_args = False

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 - Typer's own type is private
        """As Typer does; ``command`` begins with ``--`` where the user wrote it."""
        place = args.index(DASHES) if DASHES in args else len(args)
        before = ["--dry-run=client" if word == "--dry-run" else word for word in args[:place]]
        after = [DASHES, _AFTER, *args[place + 1 :]] if place < len(args) else []
        rest = super().parse_args(ctx, [*before, *after])
        _refuse_swallowed(ctx.params)
        ctx.params["command"] = _marked(list(ctx.params.get("command") or ()))
        return rest


def submit(
    command: options.Command = None,
    *,
    project: options.ProjectName = "",
    name: options.Name = "",
    image: options.Image = None,
    cpu: options.Cpu = None,
    memory: options.Memory = None,
    gpus: options.Gpus = None,
    env: options.Env = None,
    volume: options.Volume = None,
    workdir: options.Workdir = None,
    priority: options.Priority = None,
    time: options.Time = None,
    ttl: options.Ttl = None,
    wait: options.Wait = False,
    follow: options.FollowSubmitted = False,
    dry_run: options.DryRun = None,
    output: options.SubmitOutput = "text",
    kubeconfig: options.Kubeconfig = "",
    context: options.Context = "",
) -> None:
    """Run COMMAND as a job of the project, as soon as its queue has room.

    What the options don't say, the project's defaults do; without either, a job has one core, 2Gi and no time limit.
    With --wait or --follow the exit code is the job's fate: 0 succeeded, 100 failed or timed out, 103 stopped or
    deleted.
    """
    words = _words(command or [])
    flags = JobOptions(
        image=image,
        cpu=cpu,
        memory=memory,
        gpus=None if gpus is None else amount.gpus(gpus, "--gpus"),
        env=variables(env or ()),
        volumes=volume or (),
        workdir=workdir,
        priority=priority,
        time=time,
        ttl=ttl,
    )
    base = naming.base_name(name, words)
    check(flags, words)
    cluster = connect(kubeconfig=kubeconfig, context=context)
    current, classes = selection.together(lambda: _ready(cluster, project), lambda: _priority_classes(cluster))
    request = resolve(flags, from_defaults(current.entry.defaults), words, current.entry.priorities)
    _check_priority(request.priority, classes)
    body = _manifest(request, current, base, _place(cluster, request.flavor))
    if dry_run:
        _show(_checked(cluster, body) if dry_run == "server" else body, output)
        return
    made = _send(cluster, body, current)
    _tell(made, current, output, to_data=not follow)
    if wait or follow:
        raise typer.Exit(_follow(cluster, made, Shown() if follow else None))


def _refuse_swallowed(given: Mapping[str, Any]) -> None:
    """``--name -- python`` would name the job ``--``, and have no command after it."""
    for option, value in given.items():
        if option != "command" and (value == DASHES or (isinstance(value, list) and DASHES in value)):
            raise UsageError(f"--{option.replace('_', '-')} has no value: '--' came at once")


def _marked(words: Sequence[str]) -> list[str]:
    """``--`` in front, where it stood there; further on it belongs to the command."""
    if words[:1] == [_AFTER]:
        return [DASHES, *words[1:]]
    return [word for word in words if word != _AFTER]


def _words(command: Sequence[str]) -> Sequence[str]:
    """The command, which stands after ``--``. Raises: UsageError with the right form."""
    if not command:
        raise UsageError("there is no command to run", hint="jobq submit [OPTIONS] -- python train.py")
    if command[0] != DASHES:
        raise UsageError(
            f"{command[0]!r} stands where options do",
            hint=f"what runs goes after --: jobq submit [OPTIONS] -- {shlex.join(command)}",
        )
    if not command[1:]:
        raise UsageError("nothing stands after --", hint="jobq submit [OPTIONS] -- python train.py")
    return command[1:]


def _ready(cluster: Cluster, flag: str) -> Current:
    """The project, once it is clear that jobs can be made there. Raises: UsageError, Forbidden."""
    current = selection.current(cluster, flag)
    entry = current.entry
    if entry.state == "archived":
        raise JobqError(f"project {entry.name!r} is archived since {entry.archived_on}", hint="choose another project")
    if entry.state != "active":
        raise JobqError(f"project {entry.name!r} is {entry.state}: it takes no jobs", hint=whom_to_ask(entry))
    role = role_in(entry, current.caller, clock.today())
    if role in {None, Role.VIEWER} and not _may_create(cluster, entry.namespace):
        place = "are a viewer of" if role else "don't belong to"
        raise Forbidden(f"you ({current.caller.name}) {place} project {entry.name!r}", hint=whom_to_ask(entry))
    return current


def _may_create(cluster: Cluster, namespace: str) -> bool:
    """Somebody who is no member may still have the right: the server knows."""
    attributes = {"namespace": namespace, "verb": "create", "group": JOB.group, "resource": JOB.plural}
    kind = SELF_SUBJECT_ACCESS_REVIEW
    review = {"apiVersion": kind.api_version, "kind": kind.kind, "spec": {"resourceAttributes": attributes}}
    return bool(cluster.create(kind, review)["status"]["allowed"])


def _place(cluster: Cluster, flavor: str) -> Body:
    """Where pods of that flavor run; nothing where none is named. Raises: JobqError where there is no such flavor."""
    if not flavor:
        return {}
    try:
        return manifest.placement(cluster.get(RESOURCE_FLAVOR, flavor))
    except NotFound as error:
        raise JobqError(f"the project's default flavor {flavor!r} doesn't exist", hint="ask the admins") from error


def _manifest(request: Request, current: Current, base: str, place: Body) -> Body:
    suffix = "".join(secrets.choice(naming.ALPHABET) for _ in range(naming.SUFFIX))
    entry = current.entry
    return manifest.job(
        request,
        name=f"{base}-{suffix}",
        namespace=entry.namespace,
        queue=entry.queue,
        submitted_by=current.caller.name,
        place=place,
        restricted=entry.pod_security == "restricted",
    )


def _priority_classes(cluster: Cluster) -> Sequence[str] | None:
    """The names of Kueue's priority classes; None where they can't be read, and so can't be judged."""
    try:
        return sorted(body["metadata"]["name"] for body in cluster.list(PRIORITY_CLASS).items)
    except (Forbidden, NotFound):
        return None


def _check_priority(name: str, known: Sequence[str] | None) -> None:
    """Kueue makes no Workload for a class that isn't there, and says so nowhere. Raises: UsageError."""
    if name and known is not None and name not in known:
        raise UsageError(f"there is no priority class {name!r}", hint=f"there are: {', '.join(known) or 'none'}")


def _checked(cluster: Cluster, body: Body) -> Body:
    """The manifest as the server would keep it."""
    answer = cluster.create(JOB, body, dry_run=True)
    answer["metadata"].pop("managedFields", None)
    return answer


def _send(cluster: Cluster, body: Body, current: Current) -> Body:
    """The one POST. Raises: ClusterError, saying what is known of the job."""
    name = body["metadata"]["name"]
    try:
        return cluster.create(JOB, body)
    except Unreachable as error:
        error.hint = f"whether {name} was made is unknown: `jobq list -p {current.entry.name}` shows it"
        raise
    except ClusterError as error:
        if "failed calling webhook" in str(error):
            error.hint = "Kueue doesn't answer: nothing was made, try again in a moment"
        raise


def _show(body: Body, output: str) -> None:
    if output == "name":
        console.out(body["metadata"]["name"])
    elif output == "json":
        console.out_json({"objects": [body], "notices": []})
    else:
        console.out_yaml(body)


def _tell(body: Body, current: Current, output: str, *, to_data: bool) -> None:
    """One line: the name, and what to do next. While a log follows, stdout is the log's."""
    if output != "text":
        _show(body, output)
        return
    name, entry = body["metadata"]["name"], current.entry
    project = f" -p {entry.name}" if current.origin == "--project" else ""
    line = f"{name} waits in {entry.name} ({entry.cluster_queue}); `jobq logs -f{project} {name}` shows it at work"
    (console.out if to_data else console.talk)(line)


def _follow(cluster: Cluster, made: Body, shown: Shown | None) -> int:
    name = made["metadata"]["name"]
    try:
        return follow_job(cluster, made, shown=shown).code
    except KeyboardInterrupt:
        console.talk(f"{name} goes on; `jobq logs -f {name}` follows it again")
        raise
