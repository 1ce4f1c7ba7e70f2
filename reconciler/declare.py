"""Snapshot -> Declaration: settings and projects, strictly read, and every problem at once.

``forms`` says what a file may hold; ``_explain`` says in words what is wrong with what it does hold.
"""

import difflib
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from reconciler import documents
from reconciler.amounts import quantity
from reconciler.errors import DeclarationInvalid
from reconciler.forms import LimitsFile, MemberFile, ProjectFile, SettingsFile, SpecFile, shown
from reconciler.model import (
    Declaration,
    File,
    JobOptions,
    Limits,
    Member,
    Origin,
    Problem,
    Project,
    Role,
    Settings,
    Snapshot,
    SubjectKind,
    WhenInactive,
)

_Model = TypeVar("_Model", bound=BaseModel)
API_VERSION = "jobq.io/v1alpha1"
FOLDER = "projects.d/"
SETTINGS_FILE = "jobq.toml"
RESERVED_NAMES = ("default", "jobq-system", "kueue-system")
RESERVED_PREFIXES = ("kube-", "openshift-", "istio-", "gke-")
_COMPANIONS = ("README.md", "schema.json")


def declare(snapshot: Snapshot) -> Declaration:
    """Everything that the files declare. Raises: DeclarationInvalid, with all problems of all files, by place."""
    problems = list(snapshot.oddities)
    settings = _settings(snapshot.files, problems)
    projects: dict[str, Project] = {}
    for path, file in sorted(snapshot.files.items()):
        if path == FOLDER.removesuffix("/"):
            problems.append(Problem(Origin(path), "a file lies where the folder of the projects belongs"))
        if path.startswith(FOLDER) and path.removeprefix(FOLDER) not in _COMPANIONS:
            project = _project(path, file, settings, problems)
            if project is not None:
                projects[project.name] = project
    problems += _spellings(projects.values())
    if any(not problem.warning for problem in problems):
        raise DeclarationInvalid(_bounded(problems))
    return Declaration(snapshot.commit, settings, projects, tuple(sorted(problems)))


def _bounded(problems: Iterable[Problem]) -> list[Problem]:
    """In order of place, of each file no more than people can read."""
    by_path: dict[str, list[Problem]] = {}
    for problem in problems:
        by_path.setdefault(problem.origin.path, []).append(problem)
    return sorted(problem for found in by_path.values() for problem in documents.bounded(found))


# ------------------------------------------------------------------------------------------------ settings


def _settings(files: Mapping[str, File], problems: list[Problem]) -> Settings:
    if SETTINGS_FILE not in files:
        problems.append(Problem(Origin(SETTINGS_FILE), "there is no jobq.toml", 'write one with: cluster = "NAME"'))
        return Settings(cluster="")
    document = documents.read_toml(files[SETTINGS_FILE].data, SETTINGS_FILE)
    problems += document.problems
    read = None if document.problems else _validated(SettingsFile, document, problems)
    if read is None:
        return Settings(cluster="")
    if read.queue == "default":
        reason = "a LocalQueue named default would take in every job of the namespace, notebooks included"
        problems.append(Problem(document.place(("queue",)), reason, 'write queue = "main"'))
    return Settings(
        cluster=read.cluster,
        queue=read.queue,
        reserved=tuple(read.reserved),
        reconciler=read.reconciler,
        managed_namespace_label=_label_pair(read.managed_namespace_label),
        catalogue_readers=tuple(read.catalogue_readers),
        network_from=tuple(_known_networks(read, document, problems)),
        open_network=tuple(read.open_network),
        networks={name: dict(labels) for name, labels in read.networks.items()},
        expected_bindings=tuple(read.expected_bindings),
        disrupted_limit=read.guard.disrupted,
        job_kinds=tuple((kind.group, kind.resource) for kind in read.kinds),
    )


def _known_networks(read: SettingsFile, document: documents.Document, problems: list[Problem]) -> Sequence[str]:
    for name in read.network_from:
        if name not in read.networks:
            near = nearest(name, read.networks)
            hint = (
                f"did you mean {near}?" if near else f"add a table [networks] with {name} = {{...labels of namespaces}}"
            )
            problems.append(Problem(document.place(("networkFrom",)), f"there is no network {name}", hint))
    return read.network_from


def _label_pair(text: str) -> tuple[str, str] | None:
    key, _, value = text.partition("=")
    return (key, value) if key else None


# ------------------------------------------------------------------------------------------------ projects


def _project(path: str, file: File, settings: Settings, problems: list[Problem]) -> Project | None:
    stem = path.removeprefix(FOLDER)
    if not stem.endswith(".yaml") or "/" in stem:
        bare = re.fullmatch(r"(?:.*/)?([^/.]+)[.]ya?ml", stem, re.IGNORECASE)
        hint = f"rename it to {FOLDER}{bare[1]}.yaml, or move it" if bare else "move it"
        reason = "only <project>.yaml, README.md and schema.json may lie here"
        problems.append(Problem(Origin(path), reason, f"{hint} out of {FOLDER}"))
        return None
    document = documents.read(file.data, path)
    problems += document.problems
    if document.value is None or () in document.refused:
        return None
    read = _validated(ProjectFile, document, problems)
    if read is None:
        return None
    name = read.metadata.name
    place = document.place(("metadata", "name"))
    if name != stem.removesuffix(".yaml"):
        hint = f"rename the file to {FOLDER}{name}.yaml, or write name: {stem.removesuffix('.yaml')}"
        problems.append(Problem(place, f"the name {shown(name)} is not the file's", hint))
    if name in (*RESERVED_NAMES, *settings.reserved) or name.startswith(RESERVED_PREFIXES):
        problems.append(Problem(place, f"the name {shown(name)} is reserved", "choose another name"))
    members = tuple(_member(entry, document.place(("spec", "members", i))) for i, entry in enumerate(read.spec.members))
    problems += _doubles(members)
    problems += _settled(read.spec, name, settings, document)
    return _resolved(read.spec, name, members, settings, f"{path}@{file.blob}", document.places)


def _resolved(
    spec: SpecFile,
    name: str,
    members: tuple[Member, ...],
    settings: Settings,
    source: str,
    places: Mapping[documents.Path, Origin],
) -> Project:
    defaults = spec.defaults.model_dump(by_alias=False)
    pull_secrets = tuple(defaults.pop("imagePullSecrets"))
    return Project(
        name=name,
        namespace=name,
        queue=settings.queue,
        cluster_queue=spec.cluster_queue,
        display_name=spec.display_name,
        description=spec.description,
        tags=tuple(spec.tags),
        active=spec.active,
        when_inactive=WhenInactive(spec.when_inactive),
        members=members,
        defaults=JobOptions(**defaults, image_pull_secrets=pull_secrets),
        priorities=None if spec.priorities is None else tuple(spec.priorities),
        limits=_limits(spec.limits),
        open_network=spec.network == "open",
        pod_security=spec.pod_security,
        source=source,
        places={".".join(map(str, path)): origin for path, origin in places.items()},
    )


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


def _settled(spec: SpecFile, name: str, settings: Settings, document: documents.Document) -> Iterable[Problem]:
    """What each field may say is known; here is what they may not say together, or by the settings."""
    if spec.network == "open" and name not in settings.open_network:
        hint = f'an admin adds it to jobq.toml: openNetwork = ["{name}"]'
        yield Problem(document.place(("spec", "network")), f"{name} may not have an open network", hint)
    wanted = spec.defaults.priority
    if spec.priorities is not None and wanted is not None and wanted not in spec.priorities:
        reason = f"spec.defaults.priority is {wanted}, which spec.priorities doesn't allow"
        yield Problem(
            document.place(("spec", "defaults", "priority")), reason, f"allowed: {', '.join(spec.priorities)}"
        )
    container = spec.limits.container
    for word, (small, small_name), (large, large_name) in container.pairs():
        if small and large and quantity(small) > quantity(large):
            place = document.place(("spec", "limits", "container", small_name, word))
            yield Problem(place, f"{small_name}.{word} is {small}, more than {large_name}.{word} ({large})")


def _member(entry: MemberFile, origin: Origin) -> Member:
    kind = SubjectKind.USER if entry.user is not None else SubjectKind.GROUP
    return Member(kind, entry.user or entry.group or "", Role(entry.role), entry.expires, origin)


def _doubles(members: Sequence[Member]) -> Iterable[Problem]:
    """One subject twice in one project: a problem as written, a warning where only case or accents' encoding differ."""
    exactly: dict[tuple[SubjectKind, str], Member] = {}
    nearly: dict[tuple[SubjectKind, str], Member] = {}
    for member in members:
        alike = nearly.setdefault((member.kind, unicodedata.normalize("NFKC", member.name).casefold()), member)
        before = exactly.setdefault((member.kind, member.name), member)
        before = alike if before is member else before
        if before is member:
            continue
        same = before.name == member.name
        reason = f"{member.name} is a member already, at {before.origin}" + ("" if same else f", as {before.name}")
        hint = (
            "keep one of the two" if same else "to Kubernetes these are two people: keep the spelling your login uses"
        )
        yield Problem(member.origin, reason, hint, warning=not same)


def _spellings(projects: Iterable[Project]) -> Iterable[Problem]:
    """Warns of a subject prefix (``oidc:``) that one member alone has while all others share another."""
    members = [member for project in projects for member in project.members]
    prefixed = [(member.name.rpartition(":")[0], member) for member in members]
    counts: dict[tuple[SubjectKind, str], int] = {}
    for prefix, member in prefixed:
        counts[member.kind, prefix] = counts.get((member.kind, prefix), 0) + 1
    for prefix, member in prefixed:
        others = {p: n for (kind, p), n in counts.items() if kind == member.kind and p != prefix}
        if counts[member.kind, prefix] == 1 and len(others) == 1 and max(others.values()) > 2:  # noqa: PLR2004
            usual = next(iter(others))
            reason = f"no other {member.kind.lower()} is written {prefix + ':…' if prefix else 'without a prefix'}"
            yield Problem(member.origin, f"{member.name}: {reason}", f"the others begin with {usual}:", warning=True)


# ------------------------------------------------------------------------------------------------ words for problems


def _validated(model: type[_Model], document: documents.Document, problems: list[Problem]) -> _Model | None:
    try:
        return model.model_validate(document.value, by_alias=True, by_name=False)
    except ValidationError as invalid:
        errors = [dict(error) for error in invalid.errors(include_url=False)]
        untold = [error for error in errors if not _told(error, document)]
        misspelt = {path for error in errors if (path := _meant(error, model))}
        problems += [_explain(error, model, document) for error in untold if error["loc"] not in misspelt]
        return None


def _meant(error: Mapping[str, Any], model: type[BaseModel]) -> tuple[str | int, ...]:
    """The field that an unknown one was surely meant to be: no need to call that one missing too."""
    path = error["loc"]
    near = nearest(str(path[-1]), _fields(model, path[:-1])) if error["type"] == "extra_forbidden" else ""
    return (*path[:-1], near) if near else ()


def _told(error: Mapping[str, Any], document: documents.Document) -> bool:
    """Whether reading the file has already complained about this value, or one around it."""
    path = error["loc"]
    return any(tuple(path[:length]) in document.refused for length in range(len(path) + 1))


def _explain(error: dict[str, Any], model: type[BaseModel], document: documents.Document) -> Problem:
    path = tuple(step for step in error["loc"] if step != "[key]")
    field = ".".join(map(_step, path)) or "the file"
    kind, found, context = error["type"], error.get("input"), error.get("ctx", {})
    place = document.place(path)
    if kind == "extra_forbidden":
        allowed = _fields(model, path[:-1])
        near = nearest(str(path[-1]), allowed)
        place = document.keys.get(path, document.place(path))
        return Problem(
            place, f"unknown field {field}", f"did you mean {near}?" if near else f"allowed: {', '.join(allowed)}"
        )
    if kind == "missing":
        return Problem(document.place(path[:-1]), f"{field} is missing")
    if kind == "literal_error":
        near = nearest(str(found), re.findall(r"'([^']*)'", context["expected"]))
        hint = f"did you mean {near}?" if near else ""
        return Problem(place, f"{field} is {shown(found)}; allowed: {context['expected'].replace(chr(39), '')}", hint)
    if kind in {"value_error", "assertion_error"}:
        return Problem(place, f"{field}: {context['error']}")
    return Problem(place, *_type_words(kind, field, found, error["msg"]))


def _step(step: str | int) -> str:
    """A key or an index as it can stand in a dotted path."""
    text = str(step)
    return text if re.fullmatch(r"[\w./-]{1,60}", text) else shown(text)


def _type_words(kind: str, field: str, found: object, message: str) -> tuple[str, str]:
    there = shown(found)
    if kind == "string_type" and isinstance(found, bool | int | float | date):
        return (
            f"{field} is {there}, not text",
            f'write it in quotes: "{str(found).lower() if isinstance(found, bool) else found}"',
        )
    if kind == "bool_type":
        return f"{field} is {there}; allowed: true, false", "write true or false, without quotes"
    if kind == "int_type":
        return f"{field} is {there}, not a whole number", "write digits alone, without quotes"
    wanted = {"list_type": "a list", "dict_type": "a map", "model_type": "a map", "string_type": "text"}.get(kind)
    if wanted:
        return f"{field} is {there}, not {wanted}", f"write [{found}]" if kind == "list_type" and isinstance(
            found, str
        ) else ""
    return f"{field} is {there}: {message[0].lower()}{message[1:]}", ""


def _fields(model: type[BaseModel], path: Sequence[str | int]) -> list[str]:
    """The words allowed at that path of a model."""
    for step in path:
        if isinstance(step, int):
            continue
        field = next((f for name, f in model.model_fields.items() if step in {f.alias, name}), None)
        inner = (
            [t for t in (field.annotation, *getattr(field.annotation, "__args__", ())) if isinstance(t, type)]
            if field
            else []
        )
        nested = [t for t in inner if issubclass(t, BaseModel)]
        if not nested:
            return []
        model = nested[0]
    return [field.alias or name for name, field in model.model_fields.items()]


def nearest(word: str, words: Iterable[str]) -> str:
    """The word that was surely meant, or ``""``."""
    lower = {candidate.lower(): candidate for candidate in words}
    return next((lower[match] for match in difflib.get_close_matches(word.lower(), lower, n=1, cutoff=0.6)), "")
