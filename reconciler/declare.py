"""Snapshot -> Declaration: settings and projects, strictly read, and every problem at once.

``forms`` says what a file may hold, ``rules`` what its fields may not say together, ``problems`` what is wrong.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from reconciler.declaring import rules
from reconciler.declaring.forms import ClaimFile, LimitsFile, NetworkFile, ProjectFile
from reconciler.declaring.members import doubles, member, needless, of_project, spellings
from reconciler.declaring.naming import name_problems, namespace_of, queue_of
from reconciler.declaring.problems import validated
from reconciler.declaring.scalars import shown
from reconciler.declaring.settings import read_settings
from reconciler.documents import yaml
from reconciler.documents.document import Document, bounded
from reconciler.errors import DeclarationInvalid
from reconciler.model import (
    Claim,
    Declaration,
    Egress,
    File,
    JobOptions,
    Limits,
    Member,
    Network,
    Origin,
    Problem,
    Project,
    Role,
    Settings,
    Snapshot,
    WhenInactive,
)

FOLDER = "projects.d/"
_COMPANIONS = ("README.md", "schema.json")
_NAMESPACE_NAME = "kubernetes.io/metadata.name"


@dataclass(frozen=True, slots=True)
class _Read:
    """One project file, as far as it can be understood alone."""

    form: ProjectFile
    document: Document
    members: Sequence[Member]
    """Its own."""
    source: str


def declare(snapshot: Snapshot) -> Declaration:
    """Everything that the files declare. Raises: DeclarationInvalid, with all problems of all files, by place."""
    problems = list(snapshot.oddities)
    settings = read_settings(snapshot.files, problems)
    read = list(_project_files(snapshot.files, problems))
    if settings is not None:
        names = _names(snapshot.files)
        for one in read:
            problems += _by_settings(one, settings, names)
    settings = settings or Settings(cluster="")
    projects = {project.name: project for project in (_resolved(one, settings) for one in read)}
    for project in projects.values():
        problems += needless(project.members)
    problems += spellings(projects.values())
    if any(not problem.warning for problem in problems):
        raise DeclarationInvalid(_bounded(problems))
    return Declaration(snapshot.commit, settings, projects, tuple(sorted(problems)))


def _bounded(problems: Iterable[Problem]) -> list[Problem]:
    """In order of place, of each file no more than people can read."""
    by_path: dict[str, list[Problem]] = {}
    for problem in problems:
        by_path.setdefault(problem.origin.path, []).append(problem)
    return sorted(problem for found in by_path.values() for problem in bounded(found))


# ------------------------------------------------------------------------------------------------ reading


def _project_files(files: Mapping[str, File], problems: list[Problem]) -> Iterator[_Read]:
    for path, file in sorted(files.items()):
        if path == FOLDER.removesuffix("/"):
            problems.append(Problem(Origin(path), "a file lies where the folder of the projects belongs"))
        if path.startswith(FOLDER) and path.removeprefix(FOLDER) not in _COMPANIONS:
            read = _read(path, file, problems)
            if read is not None:
                yield read


def _names(files: Mapping[str, File]) -> Collection[str]:
    """All projects that have a file, be it right or wrong: what is wrong with one is no problem of another."""
    return {path.removeprefix(FOLDER).removesuffix(".yaml") for path in files if path.startswith(FOLDER)}


def _read(path: str, file: File, problems: list[Problem]) -> _Read | None:
    stem = path.removeprefix(FOLDER)
    if not stem.endswith(".yaml") or "/" in stem:
        bare = re.fullmatch(r"(?:.*/)?([^/.]+)[.]ya?ml", stem, re.IGNORECASE)
        hint = f"rename it to {FOLDER}{bare[1]}.yaml, or move it" if bare else "move it"
        reason = "only <project>.yaml, README.md and schema.json may lie here"
        problems.append(Problem(Origin(path), reason, f"{hint} out of {FOLDER}"))
        return None
    document = yaml.read(file.data, path)
    problems += document.problems
    if document.value is None or () in document.refused:
        return None
    form = validated(ProjectFile, document, problems)
    if form is None:
        return None
    name = form.metadata.name
    if name != stem.removesuffix(".yaml"):
        hint = f"rename the file to {FOLDER}{name}.yaml, or write name: {stem.removesuffix('.yaml')}"
        place = document.place(("metadata", "name"))
        problems.append(Problem(place, f"the name {shown(name)} is not the file's", hint))
    own = [member(entry, document.place(("spec", "members", at))) for at, entry in enumerate(form.spec.members)]
    problems += doubles(own)
    problems += rules.together(form.spec, document)
    return _Read(form, document, own, f"{path}@{file.blob}")


def _by_settings(read: _Read, settings: Settings, names: Collection[str]) -> Iterator[Problem]:
    name = read.form.metadata.name
    yield from name_problems(name, settings, read.document.place(("metadata", "name")))
    yield from rules.by_settings(read.form.spec, name, settings, names, read.document)


# ------------------------------------------------------------------------------------------------ resolving


def _resolved(read: _Read, settings: Settings) -> Project:
    spec, name, document = read.form.spec, read.form.metadata.name, read.document
    defaults = spec.defaults.model_dump(by_alias=False)
    pull_secrets = tuple(defaults.pop("imagePullSecrets"))
    return Project(
        name=name,
        namespace=namespace_of(name, settings),
        queue=queue_of(name, settings),
        cluster_queue=spec.cluster_queue,
        display_name=spec.display_name,
        description=spec.description,
        tags=tuple(spec.tags),
        active=spec.active,
        when_inactive=WhenInactive(spec.when_inactive),
        members=of_project(read.members, settings.members, name),
        robot=None if spec.robot is None else Role(spec.robot),
        defaults=JobOptions(**defaults, image_pull_secrets=pull_secrets),
        priorities=None if spec.priorities is None else tuple(spec.priorities),
        limits=_limits(spec.limits),
        network=_network(spec.network, name, settings),
        storage=tuple(map(_claim, spec.storage)),
        labels=dict(spec.labels),
        annotations=dict(spec.annotations),
        pod_security=spec.pod_security,
        source=read.source,
        places={".".join(map(str, path)): origin for path, origin in document.places.items()},
    )


def _network(said: str | NetworkFile, project: str, settings: Settings) -> Network:
    """The networks of the settings come in everywhere but where everybody does; then those that the file names."""
    if said == "open":
        return Network(admitted=None)
    own = said if isinstance(said, NetworkFile) else NetworkFile()
    named = dict.fromkeys((*settings.network_from, *own.from_))
    found = (settings.networks.get(name, {_NAMESPACE_NAME: namespace_of(name, settings)}) for name in named)
    itself = {_NAMESPACE_NAME: namespace_of(project, settings)}
    return Network(admitted=tuple(labels for labels in found if labels != itself), egress=Egress(own.egress))


def _claim(said: ClaimFile) -> Claim:
    return Claim(name=said.name, size=said.size, storage_class=said.class_ or "", access=said.access)


def _limits(limits: LimitsFile) -> Limits:
    container = limits.container
    return Limits(
        jobs=limits.jobs,
        persistent_volume_claims=limits.persistent_volume_claims,
        storage=limits.storage,
        requests=container.requests.amounts(),
        limits=container.limits.amounts(),
        largest=container.max.amounts(),
    )
