"""Names that were seen lately, for completion: it asks nobody, says nothing, and may be wrong.

Per server's URL: the names of projects, and the names of jobs by project. Listing them writes them.
"""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from typer import Context

from cli import settings
from reconciler.errors import JobqError

_MOST = 2000
"""How many names of a sort are kept: the first ones."""
_PROJECTS, _JOBS = "projects", "jobs"


def remember_projects(server: str, names: Iterable[str]) -> None:
    """Keep the names of all projects there are on that server."""
    _remember(server, _PROJECTS, list(names)[:_MOST])


def remember_jobs(server: str, project: str, names: Iterable[str]) -> None:
    """Keep the names of a project's jobs."""
    _remember(server, _JOBS, {**_known(server, _JOBS, dict), project: list(names)[:_MOST]})


def complete_project(ctx: Context, incomplete: str) -> Sequence[str]:
    """Projects that begin so."""
    return _beginning(_known(_server(ctx), _PROJECTS, list), incomplete)


def complete_job(ctx: Context, incomplete: str) -> Sequence[str]:
    """Jobs of the project that the command line means so far, and that begin so."""
    server = _server(ctx)
    jobs = _known(server, _JOBS, dict)
    return _beginning(["@latest", *jobs.get(_project(ctx, server), [])], incomplete)


def _remember(server: str, sort: str, names: object) -> None:
    """A cache that can't be written is none."""
    kept = _read()
    own = {**kept.get(server, {}), sort: names}
    if kept.get(server) != own:
        with suppress(OSError):
            settings.replace_file(settings.names_file(), json.dumps({**kept, server: own}))


def _read() -> dict[str, dict[str, Any]]:
    try:
        found = json.loads(settings.names_file().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _known(server: str, sort: str, kind: type) -> Any:  # noqa: ANN401 - of that kind
    own = _read().get(server, {})
    names = own.get(sort) if isinstance(own, dict) else None
    return names if isinstance(names, kind) else kind()


def _server(ctx: Context) -> str:
    from reconciler.kubeconfig import find_server  # noqa: PLC0415 - only when somebody types TAB

    try:
        return find_server(kubeconfig=ctx.params.get("kubeconfig") or "", context=ctx.params.get("context") or "")
    except JobqError:
        return ""


def _project(ctx: Context, server: str) -> str:
    """``""`` where none is said."""
    said: Mapping[str, Any] = ctx.params
    try:
        choices = settings.choices(said.get("project") or "", environ=os.environ, folder=Path.cwd(), server=server)
    except (JobqError, OSError):
        return ""
    return choices[0].name if choices else ""


def _beginning(names: Iterable[Any], incomplete: str) -> Sequence[str]:
    return [name for name in names if isinstance(name, str) and name.startswith(incomplete)]
