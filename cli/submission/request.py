"""What a job asks for: flags over the script's metadata over the project's defaults over what jobq assumes."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from cli.submission import amount, array, mounts, variables
from cli.submission.array import Array
from cli.submission.layout import MOST_PODS
from cli.submission.mounts import Storage
from cli.submission.script import Work
from reconciler import labels
from reconciler.errors import UsageError
from reconciler.model import JobOptions

ASSUMED = JobOptions(cpu="1", memory="2Gi", gpus=0, gpu_resource="nvidia.com/gpu", ttl="7d", retries=0)
"""Where neither flag nor project speaks: a job without requests would run outside all quota."""
MOST_RETRIES = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Said:
    """Options from strong to weak, each with how errors call it; and the variables of env files."""

    layers: Sequence[tuple[JobOptions, str]]
    files: Mapping[str, str] = field(default_factory=dict)
    """Variables that flags override, and that override all others; their values are never shown."""
    typed: Mapping[str, str] = field(default_factory=dict)
    """Words whose flag isn't called as they are -> that flag."""

    @classmethod
    def of(
        cls,
        flags: JobOptions,
        script: JobOptions,
        project: JobOptions,
        files: Mapping[str, str],
        typed: Mapping[str, str] | None = None,
    ) -> "Said":
        """The layers of a submission."""
        return cls(
            (
                (flags, "--{flag}"),
                (script, "{word} in [tool.jobq]"),
                (project, "the project's default {word}"),
                (ASSUMED, "jobq's own {word}"),
            ),
            files,
            typed or {},
        )

    def first(self, word: str) -> tuple[Any, str]:
        """The strongest value, and where it is said; None where nobody speaks. Raises: UsageError where it is empty."""
        for options, origin in self.layers:
            value = getattr(options, word)
            if value is None:
                continue
            own = self.typed.get(word) if options is self.layers[0][0] else None
            named = own or origin.format(word=word, flag=word.replace("_", "-"))
            if value == "":
                raise UsageError(f"{named} is empty", hint="leave it out, or say something: is a variable not set?")
            return value, named
        return None, word

    def items(self, word: str) -> Sequence[tuple[str, str]]:
        """All items of a list and where each is said, weak ones first."""
        return [
            (item, origin.format(word=word, flag=word.removesuffix("s")))
            for options, origin in reversed(self.layers)
            for item in getattr(options, word)
        ]

    def merged(self, word: str) -> dict[str, str]:
        """A map of all layers, in which stronger keys count."""
        return {key: value for options, _ in reversed(self.layers) for key, value in getattr(options, word).items()}

    def env(self) -> tuple[Mapping[str, str], frozenset[str]]:
        """The variables, and which of them have their value from a file."""
        flags = self.layers[0][0].env
        return {**self.merged("env"), **self.files, **flags}, frozenset(self.files) - frozenset(flags)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A job to be: amounts as the API server spells them, times in seconds, every byte as the user typed it."""

    work: Work
    image: str
    cpu: str
    memory: str
    gpus: int
    gpu_resource: str
    flavor: str
    """The ResourceFlavor on whose nodes it must run; ``""``: Kueue chooses."""
    flavor_origin: str
    env: Mapping[str, str]
    hidden: frozenset[str]
    """Variables whose values are never shown."""
    priority: str
    seconds: int | None
    ttl_seconds: int
    workdir: str
    storage: Storage
    pull_secrets: Sequence[str]
    array: Array | None
    nodes: int
    """How many pods run together; 0: the job has no nodes to tell apart."""
    retries: int
    labels: Mapping[str, str]
    held: bool


def resolve(said: Said, work: Work, priorities: Sequence[str], *, held: bool = False) -> Request:
    """Everything that a job needs, from what is said. Raises: UsageError naming the flag, or the project's default."""
    image, image_origin = said.first("image")
    if not image:
        raise UsageError("which image?", hint="say --image, or have `defaults.image` set in the project's file")
    if re.search(r"\s", image):
        raise UsageError(f"{image_origin}: {image!r} is no image: it has blanks")
    time, time_origin = said.first("time")
    workdir, workdir_origin = said.first("workdir")
    flavor, flavor_origin = said.first("flavor")
    env, hidden = said.env()
    words = _words(work.command)
    variables.together(words, variables.checked(env))
    tasks, nodes = _spread(said)
    return Request(
        work=work,
        image=image,
        cpu=amount.cpu(*said.first("cpu")),
        memory=amount.memory(*said.first("memory")),
        gpus=said.first("gpus")[0],
        gpu_resource=_resource(*said.first("gpu_resource")),
        flavor=flavor or "",
        flavor_origin=flavor_origin,
        env=env,
        hidden=hidden,
        priority=priority_of(*said.first("priority"), priorities),
        seconds=None if time is None else amount.time_limit(time, time_origin),
        ttl_seconds=amount.time_to_live(*said.first("ttl")),
        workdir=mounts.absolute(workdir, workdir_origin) if workdir else "",
        storage=_storage(said, work),
        pull_secrets=tuple(dict.fromkeys(name for name, _ in said.items("image_pull_secrets"))),
        array=tasks,
        nodes=nodes,
        retries=_bounded(*said.first("retries"), MOST_RETRIES),
        labels=_labels(said.merged("labels")),
        held=held,
    )


def check(flags: JobOptions, files: Mapping[str, str], work: Work) -> None:
    """Refuse what no project could make right, before anybody is asked. Raises: UsageError."""
    somehow = replace(flags, image="any") if flags.image is None else flags
    resolve(Said.of(somehow, work.options, JobOptions(), files), work, ())


def from_defaults(defaults: Mapping[str, Any]) -> JobOptions:
    """A catalogue entry's defaults, under the project file's words, as options."""
    renamed = {"imagePullSecrets": "image_pull_secrets"}
    known = JobOptions.__dataclass_fields__
    found = {renamed.get(word, word): value for word, value in defaults.items()}
    return JobOptions(**{word: value for word, value in found.items() if word in known})


def labels_from(pairs: Iterable[str]) -> Mapping[str, str]:
    """``KEY=VALUE`` words as a map. Raises: UsageError."""
    found = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise UsageError(f"--label: {pair!r} has no '='", hint=f"write --label {pair}=VALUE")
        found[key] = value
    return found


def _words(command: Sequence[str]) -> Sequence[str]:
    for number, word in enumerate(command, 1):
        variables.transportable(word, f"word {number} of the command")
    return command


def _spread(said: Said) -> tuple[Array | None, int]:
    """Tasks or nodes; a stronger word for the one silences a weaker for the other."""
    for options, origin in said.layers:
        if options.array is not None and options.nodes is not None:
            raise UsageError(
                "an array of jobs on several nodes is no single job", hint="submit one for each number, with --nodes"
            )
        if options.array is not None:
            return array.read(options.array, origin.format(word="array", flag="array")), 0
        if options.nodes is not None:
            return None, _bounded(options.nodes, origin.format(word="nodes", flag="nodes"), MOST_PODS)
    return None, 0


def _bounded(number: int, origin: str, most: int) -> int:
    if number > most:
        raise UsageError(f"{origin}: {number} is more than {most}, the most that Kubernetes takes")
    return number


def _resource(name: str, origin: str) -> str:
    if not re.fullmatch(labels.KEY, name) or "/" not in name:
        raise UsageError(f"{origin}: {name!r} is no name of a resource", hint="write it whole: nvidia.com/gpu")
    return name


def priority_of(name: str | None, origin: str, allowed: Sequence[str]) -> str:
    """The project's first class where nobody names one: a job without class could be given one that isn't allowed."""
    if not allowed:
        return name or ""
    if name and name not in allowed:
        raise UsageError(f"{origin}: {name!r} isn't allowed in this project", hint=f"there are: {', '.join(allowed)}")
    return name or allowed[0]


def _storage(said: Said, work: Work) -> Storage:
    shm, shm_origin = said.first("shm")
    memory, _ = said.first("memory")
    if shm is not None:
        amount.no_more_than(shm, memory, shm_origin)
    found = Storage(
        mounts=mounts.at_paths([mounts.volume(*item) for item in said.items("volumes")]),
        secrets=tuple(dict.fromkeys(mounts.secret(*item) for item in said.items("secrets"))),
        shm=amount.memory(shm, shm_origin) if shm is not None else "",
        shipped=mounts.keys_of(work.files),
    )
    mounts.refuse_doubles(found)
    return found


def _labels(found: Mapping[str, str]) -> Mapping[str, str]:
    for key, value in found.items():
        if labels.is_taken(key):
            raise UsageError(f"--label: {key} belongs to jobq or Kubernetes", hint="choose a name without a domain")
        if not re.fullmatch(labels.KEY, key):
            raise UsageError(f"--label: {key!r} is no label's name", hint="letters, digits, '-', '_', '.'; at most 63")
        if not re.fullmatch(labels.VALUE, value):
            raise UsageError(
                f"--label: {value!r} is no label's value", hint="letters, digits, '-', '_', '.'; at most 63"
            )
    return dict(found)
