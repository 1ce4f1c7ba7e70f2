"""``jobq``: which command lives where, what exit codes mean, and the one place where errors end.

Commands are named by strings and imported when called: ``jobq --help`` loads none of them.
"""

import errno
import gc
import importlib
import os
import sys
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption
from typer.main import get_command_from_info
from typer.models import CommandInfo

from cli import completing, console
from cli.connection import act_as
from cli.exits import Exit
from reconciler.errors import JobqError, PlanRefused, UsageError


@dataclass(frozen=True, slots=True)
class Entry:
    """Where a command lives. ``home`` is a module whose function has the command's name, or empty for a group."""

    summary: str
    home: str = ""
    group: "Table | None" = None


_COMPLETING = "_JOBQ_COMPLETE"
"""The variable by which a shell asks for completions."""
_OBJECTS = 200_000
"""New ones before cycles are looked for: a command keeps what it reads, tens of thousands that are in none."""
Panels = Mapping[str, Mapping[str, Entry]]


@dataclass(frozen=True, slots=True)
class Table:
    """The commands of a group, by the panels in which help shows them. ``aliases`` lead to names.

    ``elsewhere`` says what other tools call a command, separated by blanks: whoever types that is told ours.
    """

    panels: Panels
    aliases: Mapping[str, str]
    elsewhere: Mapping[str, str]

    @property
    def entries(self) -> Mapping[str, Entry]:
        """All commands by name."""
        return {name: entry for panel in self.panels.values() for name, entry in panel.items()}

    def find(self, word: str) -> tuple[str, Entry | None]:
        """The name that a word stands for, and its entry."""
        name = self.aliases.get(word, word)
        return name, self.entries.get(name)

    def meant(self, word: str) -> str:
        """The command that an unknown word may have meant, or ``""``."""
        import difflib  # noqa: PLC0415 - 10 ms that only a mistake needs

        known = {theirs: name for name, words in self.elsewhere.items() for theirs in words.split()}
        near = difflib.get_close_matches(word, [*self.entries, *self.aliases], n=1)
        return known.get(word) or next(iter(near), "")


PROJECT = Table(
    {
        "Commands": {
            "list": Entry("the projects of this cluster, and your role in them", "cli.project.listing"),
            "select": Entry("choose the project that commands act on", "cli.project.select"),
            "current": Entry("which project commands act on, and why", "cli.project.current"),
        },
        "For administrators": {
            "adopt": Entry("make a project of a namespace that exists already", "cli.project.adopt"),
            "purge": Entry("delete an archived project for good, with all it holds", "cli.project.purge"),
        },
    },
    {},
    {"list": "ls get", "select": "use set switch", "current": "show status which"},
)
COMMANDS = Table(
    {
        "For researchers": {
            "submit": Entry("run a command or a script as a job, when the queue has room", "cli.job.submit"),
            "list": Entry("jobs and how they fare", "cli.job.listing"),
            "status": Entry("all that is known of one job", "cli.job.status"),
            "why": Entry("why a job waits, failed or was stopped, and what helps", "cli.job.why"),
            "logs": Entry("what a job has printed", "cli.job.logs"),
            "shell": Entry("a shell, or a command, where a job runs", "cli.job.shell"),
            "forward": Entry("reach a running job's ports from here", "cli.job.forward"),
            "wait": Entry("wait until jobs have ended", "cli.job.wait"),
            "stop": Entry("end jobs, and keep them to be resumed", "cli.job.stop"),
            "resume": Entry("let held and stopped jobs go on", "cli.job.resume"),
            "delete": Entry("delete jobs, with pods and logs", "cli.job.delete"),
            "bump": Entry("give jobs another priority class", "cli.job.bump"),
            "queue": Entry("how full the queue is, and who waits", "cli.job.queue"),
            "project": Entry("list the projects, select one", group=PROJECT),
        },
        "For administrators": {
            "validate": Entry("check the project files of a work tree", "cli.operator.validate"),
            "render": Entry("show the objects that projects become", "cli.operator.render"),
            "plan": Entry("show what reconcile would change", "cli.operator.plan"),
            "approve": Entry("approve what a plan disrupts", "cli.operator.approve"),
            "reconcile": Entry("make the cluster what the commit says", "cli.operator.reconcile"),
            "drift": Entry("show what somebody changed on the cluster by hand", "cli.operator.drift"),
            "bootstrap": Entry("install what the cluster needs once", "cli.operator.bootstrap"),
            "doctor": Entry("check cluster and repository, and say what helps", "cli.operator.doctor"),
        },
    },
    {"projects": "project"},
    {
        "submit": "run create launch sbatch srun salloc qsub",
        "list": "ls ps get jobs squeue qstat sacct",
        "status": "show describe info inspect",
        "why": "explain events",
        "logs": "tail attach",
        "shell": "exec ssh bash",
        "forward": "port-forward tunnel",
        "stop": "cancel kill scancel qdel suspend hold",
        "resume": "release start restart requeue unsuspend",
        "delete": "rm remove",
        "bump": "priority",
        "queue": "sinfo quota",
        "plan": "diff",
        "reconcile": "apply sync",
        "bootstrap": "init install",
    },
)


class Command(TyperCommand):
    """A command; every one takes ``--debug`` and ``--no-color``, and those with a cluster ``--as``."""

    def __init__(self, name: str | None, **settings: Any) -> None:  # noqa: ANN401 - handed through to Typer
        super().__init__(name, **settings)
        self.params += _common_options([str(param.name) for param in self.params])


class Group(TyperGroup):
    """Commands out of a table of strings: loaded when called, never for help or completion."""

    table: Table

    @classmethod
    def of(cls, table: Table) -> type["Group"]:
        """The class of one table's groups, as Typer wants it."""
        return type("Group", (cls,), {"table": table})

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ANN401, ARG002 - Typer's own context type is private
        """The names, in the order of help."""
        return list(self.table.entries)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ANN401, ARG002 - as above
        """Load the command. Raises: UsageError, with the nearest name, where there is none."""
        name, entry = self.table.find(cmd_name)
        if entry is None:
            return None
        return _group(name, entry) if entry.group else load(name, entry)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:  # noqa: ANN401 - as above
        """As Typer does, but an unknown name gets a hint."""
        if self.table.find(args[0])[1] is None and not args[0].startswith("-") and not ctx.resilient_parsing:
            meant = self.table.meant(args[0])
            hint = f"did you mean `{ctx.command_path} {meant}`?" if meant else f"`{ctx.command_path} --help` lists them"
            raise UsageError(f"there is no command {args[0]!r}", hint=hint)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401, ARG002 - as above
        """One section of help for each panel."""
        for title, entries in self.table.panels.items():
            with formatter.section(title):
                formatter.write_dl([(name, entry.summary) for name, entry in entries.items()])

    def shell_complete(self, ctx: Any, incomplete: str) -> Any:  # noqa: ANN401 - as above
        """Names and options, without loading a command."""
        from typer._click.shell_completion import CompletionItem  # noqa: PLC0415 - only here

        names = [
            CompletionItem(name, help=entry.summary)
            for name, entry in self.table.entries.items()
            if name.startswith(incomplete)
        ]
        return [*names, *TyperCommand.shell_complete(self, ctx, incomplete)]


def load(name: str, entry: Entry) -> TyperCommand:
    """Import a command. Its module may have ``EXAMPLES`` for the help, and a ``Parser`` of its own."""
    module = importlib.import_module(entry.home)
    info = CommandInfo(
        name=name,
        cls=getattr(module, "Parser", Command),
        callback=getattr(module, name, None) or getattr(module, f"{name}_command"),
        short_help=entry.summary,
        epilog=_examples(getattr(module, "EXAMPLES", "")),
    )
    command = get_command_from_info(info, pretty_exceptions_short=False, rich_markup_mode=None)
    assert isinstance(command, TyperCommand)  # noqa: S101 - Typer builds what `cls` says
    return command


def main(args: Sequence[str] | None = None) -> NoReturn:
    """Run the command line, and end the process with its exit code."""
    console.prepare()
    gc.set_threshold(_OBJECTS)
    try:
        code = _run(args)
    except typer.Exit as error:  # nobody reads the complaint any more
        code = error.exit_code
    raise SystemExit(code)


def _run(args: Sequence[str] | None) -> int:
    """Every error ends here, as one sentence and a hint, and as an exit code."""
    try:
        code = _app()(args=args, prog_name="jobq", standalone_mode=False)
        console.flush()
    except typer.Exit as error:
        code = error.exit_code
    except typer.Abort:
        console.talk("")  # the question's line ends
        code = Exit.INTERRUPTED
    except KeyboardInterrupt:
        code = Exit.INTERRUPTED
    except typer.TyperException as error:
        code = _misused(error)
    except Exception as error:  # noqa: BLE001 - the boundary
        code = Exit.ERROR if _COMPLETING in os.environ else _failed(error)  # nobody types TAB to read this
    return code if isinstance(code, int) else 0


def _show_version(on: bool) -> None:  # noqa: FBT001 - Typer hands it so
    if on:
        from importlib.metadata import version  # noqa: PLC0415 - 20 ms

        console.out(f"jobq {version('jobq')}")
        raise typer.Exit


def _app() -> typer.Typer:
    completing.mend()
    app = typer.Typer(
        cls=Group.of(COMMANDS),
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        add_completion=True,
        no_args_is_help=True,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_root)
    return app


def _root(
    *,
    _version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_show_version, help="Show the version.")
    ] = False,
) -> None:
    """Jobs on a shared cluster: projects are declared in git, and Kueue shares the machines among them."""


def _group(name: str, entry: Entry) -> Group:
    assert entry.group  # noqa: S101 - asked before
    return Group.of(entry.group)(name=name, help=entry.summary, no_args_is_help=True, rich_markup_mode=None)


def _common_options(own: Iterable[str]) -> list[Any]:
    """What every command takes; and whom to act as, where ``own``, the names of its own options, name a cluster."""
    options = [
        _taken(["--no-color"], "No colour (also NO_COLOR).", lambda _: console.prepare(colour=False), is_flag=True),
        _taken(["--debug"], "Show tracebacks of errors.", lambda _: console.prepare(debug=True), is_flag=True),
    ]
    if "context" not in own:
        return options
    return [
        _taken(["--as"], "Act as somebody else, where you may.", lambda user: act_as(user=user), metavar="USER"),
        _taken(
            ["--as-group"],
            "With --as: act as a member of this group; may be given again.",
            lambda groups: act_as(groups=groups),
            metavar="GROUP",
            multiple=True,
        ),
        *options,
    ]


def _taken(names: list[str], text: str, take: Callable[[Any], None], **settings: Any) -> TyperOption:  # noqa: ANN401 - handed through to Typer
    """An option that is no parameter of the command: it is taken as soon as it is read."""

    def callback(_ctx: object, _param: object, value: Any) -> None:  # noqa: ANN401 - Typer calls it so
        if value:
            take(value)

    return TyperOption(
        param_decls=names,
        is_eager=True,
        expose_value=False,
        callback=callback,
        help=text,
        show_default=False,
        **settings,
    )


def _examples(text: str) -> str | None:
    text = text.strip("\n")
    return f"\b\nExamples:\n{text}" if text else None


def _misused(error: typer.TyperException) -> int:
    """The parser's own complaints; a group without a command shows its help."""
    command = getattr(getattr(error, "ctx", None), "command_path", "jobq")
    if type(error).__name__ == "NoArgsIsHelpError":
        console.talk(error.format_message())
    else:
        near = _near_option(error)
        text = f"no such option: {getattr(error, 'option_name', '')}" if near else error.format_message()
        hint = f"did you mean {near}?" if near else f"`{command} --help` shows its options"
        console.complain(UsageError(text[:1].lower() + text[1:].rstrip("."), hint=hint))
    return int(error.exit_code)


def _near_option(error: typer.TyperException) -> str:
    """The nearest of the options that the parser thinks possible; it would name them all."""
    possible = getattr(error, "possibilities", None)
    if not possible:
        return ""
    import difflib  # noqa: PLC0415 - 10 ms that only a mistake needs

    return next(iter(difflib.get_close_matches(getattr(error, "option_name", ""), possible, n=1)), "")


def _failed(error: Exception) -> int:
    if isinstance(error, OSError) and error.errno in {errno.EPIPE, errno.ENOSPC}:  # help, which Typer writes itself
        error = console.lost(sys.stdout, error)
    if isinstance(error, typer.Exit):
        return error.exit_code
    if console.debugging():
        console.talk("".join(traceback.format_exception(error)).rstrip())
    if not isinstance(error, JobqError):
        text = f"this is a mistake in jobq: {type(error).__name__}: {error}"
        error = JobqError(text, hint="please report it, with what --debug shows")
    console.complain(error)
    match error:
        case UsageError():
            return Exit.USAGE
        case PlanRefused():
            return Exit.REFUSED
        case _:
            return Exit.ERROR


if __name__ == "__main__":
    main()
