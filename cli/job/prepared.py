"""From a command line to objects that can be sent: by words and flags, or by a manifest."""

import secrets
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from cli import console
from cli.job.ground import Ground
from cli.job.sending import Objects
from cli.job.typed import not_in_image, read_file, work_of
from cli.submission import envfile, fits, given, manifest, naming
from cli.submission.given import Given
from cli.submission.manifest import Place
from cli.submission.request import Said, check, from_defaults, resolve
from cli.submission.script import Work
from reconciler.cluster import Body
from reconciler.errors import UsageError
from reconciler.model import PRIORITY_LABEL, JobOptions

Make = Callable[[], Objects]
"""Makes the objects, under another name each time."""


@dataclass(slots=True)
class Notices:
    """What is told beside the result: on stderr at once, and again in JSON."""

    told: list[Mapping[str, str]] = field(default_factory=list)

    def tell(self, about: str, text: str) -> None:
        """Something that the user would want to know; ``about`` is an option or a file."""
        console.warn(f"{about}: {text}")
        self.told.append({"about": about, "text": text})

    def warn(self, text: str) -> None:
        """A warning of the server."""
        console.warn(text)
        self.told.append({"about": "server", "text": text})


@dataclass(frozen=True, slots=True)
class Words:
    """A command or a script, with options."""

    work: Work
    base: str
    flags: JobOptions
    files: Mapping[str, str]
    """Variables of env files."""
    typed: Mapping[str, str]
    """Flags by other names: ``--gpus`` says a flavor too."""

    @property
    def hidden(self) -> frozenset[str]:
        """Variables whose values are never shown."""
        return frozenset(self.files) - frozenset(self.flags.env)

    def maker(self, ground: Ground, notices: Notices, *, held: bool, force: bool) -> Make:
        """Judge it on that ground. Raises: UsageError and other JobqErrors, saying what is wrong with it there."""
        entry = ground.current.entry
        said = Said.of(self.flags, self.work.options, from_defaults(entry.defaults), self.files, self.typed)
        request = resolve(said, self.work, entry.priorities, held=held)
        ground.check_priority(request.priority)
        place = _place(ground, ground.flavor(request.flavor, request.flavor_origin))
        for claim in ground.missing(dict.fromkeys(mount.claim for mount in request.storage.mounts)):
            notices.tell(
                claim,
                f"there is no such claim in {entry.name}: the job would hold its quota, and start only once there is",
            )
        for text in self.work.notices:
            notices.tell(self.work.shown[0], text)
        for word in not_in_image(self.work, provided=request.storage.provides(request.workdir)):
            notices.tell(
                word, "it lies here, and not in the image: `jobq submit SCRIPT` ships a script, data belong on a volume"
            )

        def make() -> Objects:
            name = _suffixed(self.base)
            return Objects(manifest.job(request, name, place), manifest.config_map(request, name, place))

        if not force:
            _check_fit(make().job, ground)
        return make


@dataclass(frozen=True, slots=True)
class Manifest:
    """A Job's manifest, with the few options that count for one."""

    given: Given
    flags: JobOptions

    @property
    def hidden(self) -> frozenset[str]:
        """No variable comes from an env file."""
        return frozenset()

    def maker(self, ground: Ground, notices: Notices, *, held: bool, force: bool) -> Make:  # noqa: ARG002 - a manifest needs none
        """Judge it on that ground. Raises: UsageError and other JobqErrors, saying what is wrong with it there."""
        entry = ground.current.entry
        said = Said.of(self.flags, JobOptions(), from_defaults(entry.defaults), {})
        place = _place(ground, {})

        def make() -> Objects:
            return Objects(given.job(self.given, self._name(), place, said, entry.priorities, held=held))

        body = make().job
        ground.check_priority(body["metadata"]["labels"].get(PRIORITY_LABEL, ""))
        if not force:
            _check_fit(body, ground)
        return make

    def _name(self) -> str:
        """Its own whole name stays; a beginning gets its end."""
        if self.given.is_named and self.flags.name is None:
            return self.given.name
        return _suffixed(self.flags.name or naming.cleaned(self.given.name))


def from_words(
    words: Sequence[str], flags: JobOptions, files: Mapping[str, str], *, typed: Mapping[str, str], own: Collection[str]
) -> Words:
    """What stands after the options, which are ``own``. Raises: UsageError for what no project could make right."""
    work = work_of(words, own)
    name, origin = (flags.name, "--name") if flags.name is not None else (work.options.name, "name in [tool.jobq]")
    base = naming.base_name(name, work.shown, origin)
    check(flags, files, work)
    return Words(work, base, flags, files, typed)


def from_manifest(path: str, words: Sequence[str], flags: JobOptions, files: Mapping[str, str]) -> Manifest:
    """A file's Job. Raises: UsageError, also for options that stand in it."""
    if words:
        raise UsageError("-f says what runs, and so does a command", hint="say one of them")
    silent = JobOptions()
    extra = [word for word in JobOptions.__dataclass_fields__ if getattr(flags, word) != getattr(silent, word)]
    extra = [word for word in extra if word not in given.WORDS] + (["env-file"] if files else [])
    if extra:
        raise UsageError(f"--{extra[0].replace('_', '-')} changes nothing with -f", hint=f"write it in {path}")
    if flags.name is not None:
        naming.base_name(flags.name, (), "--name")
    return Manifest(given.read(read_file(path, given.MOST_BYTES), path), flags)


def env_files(paths: Sequence[str]) -> Mapping[str, str]:
    """The variables of all files; a later one counts. Raises: UsageError."""
    found: dict[str, str] = {}
    for path in paths:
        found |= envfile.read(read_file(path, envfile.MOST_BYTES), path)
    return found


def _place(ground: Ground, flavor: Body) -> Place:
    entry = ground.current.entry
    return Place(
        namespace=entry.namespace,
        queue=entry.queue,
        submitted_by=ground.current.caller.name,
        flavor=flavor,
        restricted=entry.pod_security == "restricted",
        provenance=ground.provenance,
    )


def _check_fit(job: Body, ground: Ground) -> None:
    fits.check_limits(job, ground.limit_ranges or ())
    queue = fits.queue_of(ground.cluster_queue, ground.flavors, ground.cluster_queues or (), ground.cohorts)
    if queue is not None:
        fits.check(job, queue)


def _suffixed(base: str) -> str:
    return f"{base}-{''.join(secrets.choice(naming.ALPHABET) for _ in range(naming.SUFFIX))}"
