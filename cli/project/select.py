"""``jobq project select``."""

from collections.abc import Sequence
from pathlib import Path

from cli import clock, console, options, selection, settings
from cli.catalogue import Caller, Entry, read_catalogue, role_in, unknown_project, who_am_i, whom_to_ask
from cli.connection import connect
from cli.selection import together
from reconciler.errors import UsageError

EXAMPLES = """
  jobq project select vision          for you, on this cluster
  jobq project select vision --here   for this directory: writes .jobq-project
"""


def select(
    name: options.SelectedProject = "",
    *,
    here: options.Here = False,
    kubeconfig: options.Kubeconfig = "",
    context: options.Context = "",
) -> None:
    """Choose the project that commands act on. Without NAME, pick one of yours from a menu."""
    cluster = connect(kubeconfig=kubeconfig, context=context)
    entries, caller = together(lambda: read_catalogue(cluster), lambda: who_am_i(cluster))
    mine = [entry for entry in entries if role_in(entry, caller, clock.today())]
    chosen = _checked(name, entries, mine, caller) if name else _asked(mine, caller)
    if any((entry.name, entry.state) == (chosen, "paused") for entry in mine):
        console.warn(f"project {chosen!r} is paused: jobs wait there until it is active again")
    path = (
        settings.write_directory_choice(Path.cwd(), chosen)
        if here
        else settings.write_user_choice(cluster.address, chosen)
    )
    console.talk(f"{chosen} is selected{' here' if here else ''}: {path}")
    _tell_override(chosen, cluster.address)


def _checked(name: str, entries: Sequence[Entry], mine: Sequence[Entry], caller: Caller) -> str:
    found = next((entry for entry in entries if entry.name == name), None)
    if found is None:
        raise unknown_project(name, mine or entries)
    if found not in mine:
        raise UsageError(
            f"you ({caller.name}) don't belong to project {name!r}",
            hint=whom_to_ask(found),
        )
    if found.state == "archived":
        raise UsageError(
            f"project {name!r} is archived since {found.archived_on}: nothing runs there any more",
            hint=f"its jobs can still be listed: `jobq list -p {name}`",
        )
    return name


def _asked(mine: Sequence[Entry], caller: Caller) -> str:
    offered = [entry for entry in mine if entry.state != "archived"]
    names = [entry.name for entry in offered]
    if not offered:
        raise UsageError(f"you ({caller.name}) belong to no project of this cluster", hint="ask a project's maintainer")
    if not console.asks():
        raise UsageError("which project?", hint=f"`jobq project select NAME`; yours are {', '.join(names)}")
    return console.choose("project", names, [_told(entry) for entry in offered])


def _told(entry: Entry) -> str:
    return f"{entry.display_name} (paused)".strip() if entry.state == "paused" else entry.display_name


def _tell_override(chosen: str, server: str) -> None:
    """What was written may not be what counts here."""
    strongest = selection.said("", server)[0]
    if strongest.name != chosen:
        console.warn(f"{strongest.origin} still says {strongest.name!r}, which comes first here")
