"""Which project a command acts on, and who said so: flag, environment, directory, user, in this order.

The user's own choice is kept per cluster, by its server's URL: a project selected on one says nothing on another.
"""

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from platformdirs import user_cache_path, user_config_path

from reconciler.errors import UsageError

VARIABLE = "JOBQ_PROJECT"
DIRECTORY_FILE = ".jobq-project"
_USER_FILE = "projects.json"
_NAMES_FILE = "names.json"
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class Choice:
    """A project's name, and where it comes from in words."""

    name: str
    origin: str


def choices(flag: str, *, environ: Mapping[str, str], folder: Path, server: str) -> Sequence[Choice]:
    """All that is said, strongest first. ``server`` is ``""`` where no cluster is configured. Raises: UsageError."""
    said = [
        (flag, "--project"),
        (environ.get(VARIABLE, ""), VARIABLE),
        *_from_directories(folder),
        (read_user_choices().get(server, ""), f"`jobq project select` for {server}"),
    ]
    return [Choice(checked(name, origin), origin) for name, origin in said if name]


def checked(name: str, origin: str) -> str:
    """The name, if a project can have it. Raises: UsageError that names ``origin``."""
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} (from {origin}) is no project's name",
            hint="names are made of a-z, 0-9 and -, at most 63 characters",
        )
    return name


def no_project(but: str = "", *, yours: Sequence[str] = ()) -> UsageError:
    """The error for a command that needs a project where none is said; ``but`` goes on after it."""
    known = f"yours are {', '.join(yours)}" if yours else "`jobq project list` lists them"
    return UsageError(
        f"no project is selected{but}",
        hint=f"say -p NAME, set {VARIABLE}, or choose one with `jobq project select` ({known})",
    )


def user_file() -> Path:
    """Where the user's choices stand."""
    return user_config_path("jobq") / _USER_FILE


def names_file() -> Path:
    """Where names stand that completion offers; it may be deleted at any time."""
    return user_cache_path("jobq") / _NAMES_FILE


def read_user_choices() -> Mapping[str, str]:
    """Server URL -> project. Raises: UsageError where the file isn't what `write_user_choice` wrote."""
    path = user_file()
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} can't be read: {error}", hint="`jobq project select NAME` needs it gone") from error
    if not isinstance(found, dict) or not all(isinstance(name, str) for name in found.values()):
        raise UsageError(f"{path} isn't a map from server to project", hint="remove it, and select a project anew")
    return found


def write_user_choice(server: str, name: str) -> Path:
    """Keep the choice for that server; the file is replaced in one step."""
    path = user_file()
    kept = {**read_user_choices(), server: name}
    try:
        replace_file(path, json.dumps(kept, indent=2) + "\n")
    except OSError as error:
        raise UsageError(
            f"{path} can't be written: {error.strerror}", hint="`--here` writes this directory's"
        ) from error
    return path


def replace_file(path: Path, text: str) -> None:
    """Write the file in one step: whoever reads it sees the old or the new one. Raises: OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    scratch.write_text(text, encoding="utf-8")
    scratch.replace(path)


def write_directory_choice(folder: Path, name: str) -> Path:
    """Keep the choice for ``folder`` and all below."""
    path = folder / DIRECTORY_FILE
    try:
        path.write_text(f"{name}\n", encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"{path} can't be written: {error.strerror}", hint="without --here it is kept for you"
        ) from error
    return path


def _from_directories(folder: Path) -> Sequence[tuple[str, str]]:
    """The nearest file upwards; the ones above it are not looked at."""
    for place in (folder, *folder.parents):
        path = place / DIRECTORY_FILE
        if path.is_file():
            return [(_line(path), str(path))]
    return []


def _line(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} can't be read: {error}") from error
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    if len(lines) != 1:
        raise UsageError(f"{path} has {len(lines)} lines where one project's name is wanted")
    return lines[0]
