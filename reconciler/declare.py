"""Snapshot -> Declaration: settings and projects, strictly read, and every problem at once.

``forms`` says what a file may hold, ``problems`` in words what is wrong with what it does hold.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence

from reconciler import documents
from reconciler.amounts import quantity
from reconciler.errors import DeclarationInvalid
from reconciler.forms import LimitsFile, MemberFile, ProjectFile, SpecFile
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
from reconciler.problems import validated
from reconciler.scalars import shown
from reconciler.settings import read_settings

API_VERSION = "jobq.io/v1alpha1"
FOLDER = "projects.d/"
RESERVED_NAMES = ("default", "jobq-system", "kueue-system")
RESERVED_PREFIXES = ("kube-", "openshift-", "istio-", "gke-")
_COMPANIONS = ("README.md", "schema.json")


def declare(snapshot: Snapshot) -> Declaration:
    """Everything that the files declare. Raises: DeclarationInvalid, with all problems of all files, by place."""
    problems = list(snapshot.oddities)
    settings = read_settings(snapshot.files, problems)
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
    read = validated(ProjectFile, document, problems)
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
