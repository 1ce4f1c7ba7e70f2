"""Snapshot -> Declaration: settings and projects, strictly read, and every problem at once.

The pydantic models say what a file may hold; ``_explain`` says in words what is wrong with what it does hold.
Order of fields is the order in which people write them; ``schema()`` is generated from the same models.
"""

import difflib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from reconciler import documents
from reconciler.amounts import AmountError, cores, duration, size
from reconciler.errors import DeclarationInvalid
from reconciler.model import (
    Declaration,
    File,
    JobOptions,
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

API_VERSION = "jobq.io/v1alpha1"
FOLDER = "projects.d/"
SETTINGS_FILE = "jobq.toml"
RESERVED_NAMES = ("default", "jobq-system", "kueue-system")
RESERVED_PREFIXES = ("kube-", "openshift-", "istio-", "gke-")
_COMPANIONS = ("README.md", "schema.json")

_Model = TypeVar("_Model", bound=BaseModel)
_LABEL = r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
_DNS_NAME = rf"{_LABEL}(\.{_LABEL})*"


def _checked(rule: Callable[[str], object]) -> AfterValidator:
    def check(value: str) -> str:
        rule(value)
        return value

    return AfterValidator(check)


def _matching(pattern: str, what: str, *, longest: int = 253) -> AfterValidator:
    def check(value: str) -> None:
        if len(value) > longest or not re.fullmatch(pattern, value):
            raise ValueError(f"{_shown(value)} is no {what}")

    return _checked(check)


def _above_zero(text: str) -> None:
    if duration(text) == 0:
        raise AmountError("0 leaves no time at all; write at least 1s")


def _no_outer_blank(text: str) -> None:
    if text != text.strip():
        raise ValueError(f"{_shown(text)} has a blank at its {'start' if text[0].isspace() else 'end'}")


def _subject(text: str) -> None:
    _no_outer_blank(text)
    if text.startswith("system:"):
        raise ValueError(f"{_shown(text)} belongs to Kubernetes itself; members are people and their groups")
    if any(character.isspace() for character in text):
        raise ValueError(f"{_shown(text)} has a blank inside")


def _date(value: object) -> object:
    if isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\d", value):
        return date.fromisoformat(value)
    if isinstance(value, datetime) or not isinstance(value, date):
        raise ValueError(  # noqa: TRY004 - pydantic collects ValueErrors
            f"{_shown(value)} is no date; write year-month-day, such as 2027-03-31"
        )
    return value


Label = Annotated[str, _matching(_LABEL, "name: lower-case letters, digits and '-', at most 63", longest=63)]
DnsName = Annotated[str, _matching(_DNS_NAME, "name: lower-case letters, digits, '-' and '.'")]
Text = Annotated[str, Field(max_length=4096)]
Line = Annotated[str, Field(max_length=256), _matching(r"[^\n]*", "single line", longest=256)]
Tag = Annotated[str, _matching(r"[^\s,]+", "tag: no blanks or commas, at most 63 characters", longest=63)]
SubjectName = Annotated[str, Field(min_length=1, max_length=256), _checked(_subject)]
Cores = Annotated[str, _checked(cores)]
Size = Annotated[str, _checked(size)]
Duration = Annotated[str, _checked(_above_zero)]
Ttl = Annotated[str, _checked(duration)]
Day = Annotated[date, BeforeValidator(_date)]
Image = Annotated[str, _matching(r"[^\s]+", "image: it has blanks")]
Workdir = Annotated[str, _matching(r"/[^\n]*", "absolute path", longest=4096)]
EnvName = Annotated[str, _matching(r"[A-Za-z_][A-Za-z0-9_]*", "variable name: letters, digits and '_'")]
Volume = Annotated[str, _matching(rf"{_LABEL}:/[^:\n]*(:ro)?", "volume; write PVC:/path or PVC:/path:ro", longest=4096)]
Count = Annotated[int, Field(ge=0, le=2**31 - 1)]


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, alias_generator=to_camel)


class MemberFile(_Strict):
    """One person or group with a role."""

    user: SubjectName | None = None
    group: SubjectName | None = None
    role: Literal["viewer", "researcher", "maintainer"]
    expires: Day | None = Field(None, description="access through that day, UTC")

    @model_validator(mode="after")
    def _one_subject(self) -> "MemberFile":
        if (self.user is None) == (self.group is None):
            raise ValueError("a member has exactly one of user and group")
        return self


class DefaultsFile(_Strict):
    """What `jobq submit` uses where flags are silent."""

    image: Image | None = None
    cpu: Cores | None = None
    memory: Size | None = None
    gpus: Count | None = None
    flavor: DnsName | None = Field(None, description="a ResourceFlavor of the ClusterQueue")
    priority: DnsName | None = Field(None, description="a WorkloadPriorityClass")
    time: Duration | None = None
    ttl: Ttl | None = None
    workdir: Workdir | None = None
    env: dict[EnvName, str] = Field({}, description="values are text: quote numbers")
    volumes: list[Volume] = Field([], description="PVC:/path[:ro]")
    imagePullSecrets: list[DnsName] = []  # noqa: N815 - the file's own word


class SpecFile(_Strict):
    """What a project is."""

    cluster_queue: DnsName = Field(description="the ClusterQueue whose quota this project uses")
    display_name: Line = ""
    description: Text = ""
    tags: list[Tag] = []
    active: bool = Field(default=True, description="false pauses the project")
    when_inactive: Literal["hold", "drain"] = Field(
        "hold", description="hold: running jobs finish; drain: they are evicted"
    )
    members: list[MemberFile] = []
    defaults: DefaultsFile = DefaultsFile()


class MetadataFile(_Strict):
    """The project's identity."""

    name: Label = Field(description="the file's name without .yaml; never changes")


class ProjectFile(_Strict):
    """A project on a shared cluster."""

    api_version: Literal["jobq.io/v1alpha1"]
    kind: Literal["Project"]
    metadata: MetadataFile
    spec: SpecFile


class SettingsFile(_Strict):
    """jobq.toml."""

    cluster: Label
    queue: Label = "main"
    reserved: list[Label] = []
    reconciler: Annotated[str, Field(min_length=1)] = "system:serviceaccount:jobq-system:jobq-reconciler"
    managed_namespace_label: str = "kueue.x-k8s.io/managed-namespace=true"
    catalogue_readers: list[str] = ["system:authenticated"]


def declare(snapshot: Snapshot) -> Declaration:
    """Everything that the files declare. Raises: DeclarationInvalid, with all problems of all files, by place."""
    problems = list(snapshot.oddities)
    settings = _settings(snapshot.files, problems)
    projects: dict[str, Project] = {}
    for path, file in sorted(snapshot.files.items()):
        if path.startswith(FOLDER) and path.removeprefix(FOLDER) not in _COMPANIONS:
            project = _project(path, file, settings, problems)
            if project is not None:
                projects[project.name] = project
    problems += _spellings(projects.values())
    if any(not problem.warning for problem in problems):
        raise DeclarationInvalid(sorted(problems))
    return Declaration(snapshot.commit, settings, projects, tuple(sorted(problems)))


def schema() -> dict[str, Any]:
    """The JSON schema of a project file, as `projects.d/schema.json` holds it."""
    return ProjectFile.model_json_schema(by_alias=True)


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
        managed_namespace_label=_label_pair(read.managed_namespace_label, document, problems),
        catalogue_readers=tuple(read.catalogue_readers),
    )


def _label_pair(text: str, document: documents.Document, problems: list[Problem]) -> tuple[str, str] | None:
    if not text:
        return None
    key, equals, value = text.partition("=")
    if not (equals and re.fullmatch(r"([a-z0-9.-]+/)?[A-Za-z0-9]([\w.-]*[A-Za-z0-9])?", key)):
        place = document.place(("managedNamespaceLabel",))
        problems.append(Problem(place, f"{_shown(text)} is no label; write key=value"))
    return key, value


# ------------------------------------------------------------------------------------------------ projects


def _project(path: str, file: File, settings: Settings, problems: list[Problem]) -> Project | None:
    stem = path.removeprefix(FOLDER)
    if not stem.endswith(".yaml") or "/" in stem:
        hint = (
            f"rename it to {FOLDER}{re.sub(r'[.]ya?ml$', '', stem.rpartition('/')[2])}.yaml, or move it out of {FOLDER}"
        )
        problems.append(Problem(Origin(path), "only <project>.yaml, README.md and schema.json may lie here", hint))
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
        problems.append(Problem(place, f"the name {_shown(name)} is not the file's", hint))
    if name in (*RESERVED_NAMES, *settings.reserved) or name.startswith(RESERVED_PREFIXES):
        problems.append(Problem(place, f"the name {_shown(name)} is reserved", "choose another name"))
    members = tuple(_member(entry, document.place(("spec", "members", i))) for i, entry in enumerate(read.spec.members))
    problems += _doubles(members)
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
        source=source,
        places={".".join(map(str, path)): origin for path, origin in places.items()},
    )


def _member(entry: MemberFile, origin: Origin) -> Member:
    kind = SubjectKind.USER if entry.user is not None else SubjectKind.GROUP
    return Member(kind, entry.user or entry.group or "", Role(entry.role), entry.expires, origin)


def _doubles(members: Sequence[Member]) -> Iterable[Problem]:
    """One subject twice in one project: a problem as written, a warning where only the case differs."""
    first: dict[tuple[SubjectKind, str], Member] = {}
    for member in members:
        before = first.setdefault((member.kind, member.name.casefold()), member)
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
        misspelt = {path for error in untold if (path := _meant(error, model))}
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
    field = ".".join(map(str, path)) or "the file"
    kind, found, context = error["type"], error.get("input"), error.get("ctx", {})
    place = document.place(path)
    if kind == "extra_forbidden":
        near = nearest(str(path[-1]), _fields(model, path[:-1]))
        place = document.keys.get(path, document.place(path))
        return Problem(
            place, f"unknown field {field}", f"did you mean {near}?" if near else "see projects.d/schema.json"
        )
    if kind == "missing":
        return Problem(document.place(path[:-1]), f"{field} is missing")
    if kind == "literal_error":
        near = nearest(str(found), re.findall(r"'([^']*)'", context["expected"]))
        hint = f"did you mean {near}?" if near else ""
        return Problem(place, f"{field} is {_shown(found)}; allowed: {context['expected'].replace(chr(39), '')}", hint)
    if kind in {"value_error", "assertion_error"}:
        return Problem(place, f"{field}: {context['error']}")
    return Problem(place, *_type_words(kind, field, found, error["msg"]))


def _type_words(kind: str, field: str, found: object, message: str) -> tuple[str, str]:
    shown = _shown(found)
    if kind == "string_type" and isinstance(found, bool | int | float | date):
        return (
            f"{field} is {shown}, which YAML reads as no text",
            f'write it in quotes: "{str(found).lower() if isinstance(found, bool) else found}"',
        )
    if kind == "bool_type":
        return f"{field} is {shown}; allowed: true, false", "write true or false, without quotes"
    if kind == "int_type":
        return f"{field} is {shown}, not a whole number", "write digits alone, without quotes"
    wanted = {"list_type": "a list", "dict_type": "a map", "model_type": "a map", "string_type": "text"}.get(kind)
    if wanted:
        return f"{field} is {shown}, not {wanted}", f"write [{found}]" if kind == "list_type" and isinstance(
            found, str
        ) else ""
    return f"{field} is {shown}: {message[0].lower()}{message[1:]}", ""


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


def _shown(value: object) -> str:
    """A value as people can read it: short, and with invisible characters made visible."""
    text = repr(value) if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value)
    return text if len(text) <= 80 else f"{text[:77]}..."  # noqa: PLR2004
