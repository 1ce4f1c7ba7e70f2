"""What a job asks for: flags over the project's defaults over what jobq assumes, checked and exact."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from cli.submission import amount
from reconciler.errors import UsageError
from reconciler.model import JobOptions

ASSUMED = JobOptions(cpu="1", memory="2Gi", gpus=0, ttl="7d")
"""Where neither flag nor project speaks: a job without requests would run outside all quota."""
LARGEST_WORD = 2**17 - 1
"""Bytes that Linux passes in one argument, or one variable with its name."""

_VARIABLE = re.compile(r"[-._a-zA-Z][-._a-zA-Z0-9]*")
_CLAIM = re.compile(r"[a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Mount:
    """A claim at a path."""

    claim: str
    path: str
    read_only: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A job to be: amounts as the API server spells them, times in seconds, every byte as the user typed it."""

    command: Sequence[str]
    image: str
    cpu: str
    memory: str
    gpus: int
    flavor: str
    """The ResourceFlavor on whose nodes it must run; ``""``: Kueue chooses."""
    env: Mapping[str, str]
    priority: str
    seconds: int | None
    ttl_seconds: int
    workdir: str
    mounts: Sequence[Mount]
    pull_secrets: Sequence[str]


@dataclass(frozen=True, slots=True)
class _Said:
    """Options from strong to weak, each with how errors call it."""

    layers: Sequence[tuple[JobOptions, str]]

    def first(self, word: str) -> tuple[Any, str]:
        """The strongest value, and where it is said; None where nobody speaks."""
        for options, origin in self.layers:
            value = getattr(options, word)
            if value is not None:
                return value, origin.format(word=word)
        return None, word


def resolve(flags: JobOptions, project: JobOptions, command: Sequence[str], priorities: Sequence[str]) -> Request:
    """Everything that a job needs, from what is said. Raises: UsageError naming the flag, or the project's default."""
    said = _Said([(flags, "--{word}"), (project, "the project's default {word}"), (ASSUMED, "jobq's own {word}")])
    image, _ = said.first("image")
    if not image:
        raise UsageError("which image?", hint="say --image, or have `defaults.image` set in the project's file")
    time, time_origin = said.first("time")
    workdir, workdir_origin = said.first("workdir")
    return Request(
        command=_words(command),
        image=image,
        cpu=amount.cpu(*said.first("cpu")),
        memory=amount.memory(*said.first("memory")),
        gpus=said.first("gpus")[0],
        flavor=said.first("flavor")[0] or "",
        env=_variables({**project.env, **flags.env}),
        priority=_priority(*said.first("priority"), priorities),
        seconds=None if time is None else amount.time_limit(time, time_origin),
        ttl_seconds=amount.time_to_live(*said.first("ttl")),
        workdir=_absolute(workdir, workdir_origin) if workdir else "",
        mounts=_mounts([*project.volumes, *flags.volumes]),
        pull_secrets=tuple(project.image_pull_secrets),
    )


def check(flags: JobOptions, command: Sequence[str]) -> None:
    """Refuse what no project could make right, before anybody is asked. Raises: UsageError."""
    resolve(replace(flags, image=flags.image or "any"), JobOptions(), command, ())


def from_defaults(defaults: Mapping[str, Any]) -> JobOptions:
    """A catalogue entry's defaults, under the project file's words, as options."""
    renamed = {"imagePullSecrets": "image_pull_secrets"}
    known = JobOptions.__dataclass_fields__
    found = {renamed.get(word, word): value for word, value in defaults.items()}
    return JobOptions(**{word: value for word, value in found.items() if word in known})


def variables(pairs: Iterable[str]) -> Mapping[str, str]:
    """``KEY=VALUE`` words as a map; the last of one key counts. Raises: UsageError."""
    found = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise UsageError(f"--env: {pair!r} has no '='", hint=f"write --env {pair}=VALUE")
        found[key] = value
    return found


def volume(text: str) -> Mount:
    """``PVC:/path[:ro]``. Raises: UsageError."""
    claim, _, rest = text.partition(":")
    path, _, mode = rest.partition(":")
    if not (_CLAIM.fullmatch(claim) and path) or mode not in {"", "ro", "rw"}:
        raise UsageError(f"--volume: {text!r} is no claim and path", hint="write PVC:/path, or PVC:/path:ro")
    return Mount(claim, _absolute(path, "--volume"), mode == "ro")


def _words(command: Sequence[str]) -> Sequence[str]:
    for number, word in enumerate(command, 1):
        _transportable(word, f"word {number} of the command")
    return tuple(command)


def _variables(env: Mapping[str, str]) -> Mapping[str, str]:
    for key, value in env.items():
        if not _VARIABLE.fullmatch(key):
            raise UsageError(
                f"--env: {key!r} is no variable's name", hint="names are letters, digits, '_', '-' and '.'"
            )
        _transportable(f"{key}={value}", f"variable {key}")
    return dict(env)


def _transportable(text: str, what: str) -> None:
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise UsageError(f"{what} isn't UTF-8, which is all that Kubernetes carries") from None
    if size > LARGEST_WORD:
        raise UsageError(
            f"{what} has {size} bytes, and Linux passes at most {LARGEST_WORD}", hint="put it into a file on a volume"
        )


def _priority(name: str | None, origin: str, allowed: Sequence[str]) -> str:
    """The project's first class where nobody names one: a job without class could be given one that isn't allowed."""
    if not allowed:
        return name or ""
    if name and name not in allowed:
        raise UsageError(f"{origin}: {name!r} isn't allowed in this project", hint=f"there are: {', '.join(allowed)}")
    return name or allowed[0]


def _absolute(path: str, origin: str) -> str:
    if not path.startswith("/"):
        raise UsageError(f"{origin}: {path!r} is no path from the root", hint=f"write /{path}")
    return path


def _mounts(texts: Sequence[str]) -> Sequence[Mount]:
    """One at each path: a flag's takes the place of the project's."""
    return tuple({mount.path: mount for mount in map(volume, texts)}.values())
