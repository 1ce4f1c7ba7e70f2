"""What a plan means for people and projects, in words: who gains and loses access, what starts, stops and moves."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import date
from fnmatch import fnmatchcase

from reconciler.compare import Comparison, is_ours, project_namespaces
from reconciler.guard import CLUSTER_NOTE, POLICIES_VERSION
from reconciler.model import (
    Action,
    Body,
    Change,
    Declaration,
    Effect,
    ObjectRef,
    Observation,
    Project,
    Settings,
    Weight,
)

Subject = tuple[str, str]


def effects_of(
    declaration: Declaration, changes: Sequence[Change], comparison: Comparison, seen: Observation
) -> Iterator[Effect]:
    """All effects, the weightiest first, then by project."""
    found = [
        *_lives(changes, {name for name, project in declaration.projects.items() if project.when_inactive == "drain"}),
        *_access(changes, comparison, declaration),
        *_queues(declaration.projects.values(), seen.queues),
        *_unreadable(seen),
        *_fences(seen.notes),
        *_foreign_access(seen.live, declaration.settings),
        *_copies(comparison),
    ]
    order = list(Weight)
    yield from sorted(found, key=lambda effect: (-order.index(effect.weight), effect.project, effect.text))


def _lives(changes: Iterable[Change], drained: Collection[str]) -> Iterator[Effect]:
    """Projects that come, rest, or move to another queue."""
    for change in changes:
        if change.ref.kind == "Namespace" and change.action is Action.CREATE:
            yield Effect(f"creates project {change.project}", change.project)
        if change.ref.kind == "ConfigMap":
            yield from _states(change, drained)
        if change.ref.kind == "LocalQueue" and change.action is Action.REPLACE:
            target = change.body["spec"]["clusterQueue"]
            text = f"moves {change.project} to ClusterQueue {target}: waiting jobs queue there, running ones go on"
            yield Effect(text, change.project, Weight.DISRUPTIVE)


_STATES = {
    "archived": ("archives", "its queue is held and all access ends; data and jobs stay"),
    "paused": ("pauses", "running jobs finish, none starts"),
    "active": ("resumes", "its jobs are admitted again"),
}


def _states(change: Change, drained: Collection[str]) -> Iterator[Effect]:
    for field in change.fields:
        if field.path == "data.state":
            verb, meaning = _STATES[field.after]
            restores = field.before == "archived"
            if restores:
                verb, meaning = "restores", "its members see all that it held"
            elif verb == "pauses" and change.project in drained:
                meaning = "its running jobs are evicted, and none starts"
            weight = Weight.INFO if verb == "resumes" else Weight.DISRUPTIVE
            yield Effect(f"{verb} project {change.project}: {meaning}", change.project, weight, restores)


def _access(changes: Iterable[Change], comparison: Comparison, declaration: Declaration) -> Iterator[Effect]:
    """Who gains and who loses a role, by person and group. An expiry that has come is a loss that was declared."""
    live = {suspect.manifest.ref: suspect.live for suspect in (*comparison.suspects, *comparison.replaced)}
    live |= {ref: body for body in comparison.surplus if (ref := ObjectRef.of(body)).kind == "RoleBinding"}
    for change in changes:
        if change.ref.kind != "RoleBinding":
            continue
        role = change.ref.name.removeprefix("jobq:")
        before, after = _subjects(live.get(change.ref, {})), _subjects(change.body)
        for kind, name in sorted(after - before):
            yield Effect(f"{_who(kind, name)} gains {role} in {change.project}", change.project)
        expired = _expiring(declaration.projects.get(change.project), role)
        for kind, name in sorted(before - after):
            text, until = f"{_who(kind, name)} loses {role} in {change.project}", expired.get((kind, name))
            text += _still(declaration.projects.get(change.project), name)
            if until is None:
                yield Effect(text, change.project, Weight.DISRUPTIVE)
            else:
                yield Effect(f"{text}: it expired after {until.isoformat()}", change.project)


def _still(project: Project | None, name: str) -> str:
    """Says where somebody who goes stays a member in another spelling: to Kubernetes that is somebody else."""
    members = project.members if project else ()
    others = sorted(m.name for m in members if m.name != name and m.name.casefold() == name.casefold())
    return f", and keeps access as {', '.join(others)}" if others else ""


def _expiring(project: Project | None, role: str) -> dict[Subject, date]:
    members = project.members if project else ()
    return {(m.kind, m.name): m.expires for m in members if m.role == role and m.expires is not None}


def _subjects(binding: Body) -> set[Subject]:
    return {(subject["kind"], subject["name"]) for subject in binding.get("subjects") or ()}


def _who(kind: str, name: str) -> str:
    return f"group {name}" if kind == "Group" else name


def _queues(projects: Iterable[Project], queues: Mapping[str, Sequence[Body]]) -> Iterator[Effect]:
    """ClusterQueues that projects name and that aren't there, or are stopped."""
    if "ClusterQueue" not in queues:
        return
    known = {body["metadata"]["name"]: body for body in queues["ClusterQueue"]}
    for project in projects:
        queue = known.get(project.cluster_queue)
        if queue is None:
            text = (
                f"{project.name}: there is no ClusterQueue {project.cluster_queue}; its jobs will wait until there is"
            )
            yield Effect(text, project.name, Weight.WARNING)
        elif queue["spec"].get("stopPolicy", "None") != "None":
            text = f"{project.name}: ClusterQueue {project.cluster_queue} is stopped; its jobs will wait"
            yield Effect(text, project.name, Weight.WARNING)


def _unreadable(seen: Observation) -> Iterator[Effect]:
    for kind, reason in seen.unreadable.items():
        yield Effect(f"{kind}s are not checked: {reason}", "", Weight.WARNING)


def _fences(notes: Mapping[str, Body]) -> Iterator[Effect]:
    """Says where the policies that fence members and reconciler aren't there, or are older than this jobq's."""
    version = notes.get(CLUSTER_NOTE, {}).get("data", {}).get("policies", "none")
    if version == "none":
        text = "no admission policies are installed: members can run jobs outside the queue (jobq bootstrap --apply)"
        yield Effect(text, "", Weight.WARNING)
    elif int(version) < POLICIES_VERSION:
        text = (
            f"the admission policies are version {version}, this jobq has {POLICIES_VERSION} (jobq bootstrap --apply)"
        )
        yield Effect(text, "", Weight.WARNING)


def _foreign_access(live: Mapping[ObjectRef, Body], settings: Settings) -> Iterator[Effect]:
    """RoleBindings in project namespaces that no project file speaks of, unless the settings expect them."""
    homes = project_namespaces(live)
    for ref, body in live.items():
        if ref.kind != "RoleBinding" or ref.namespace not in homes or is_ours(body, homes):
            continue
        if not any(fnmatchcase(ref.name, pattern) for pattern in settings.expected_bindings):
            names = ", ".join(_who(*subject) for subject in sorted(_subjects(body))) or "nobody"
            text = (
                f"foreign access in {ref.namespace}: {ref.name} gives {body['roleRef']['name']} to {names}; left alone"
            )
            yield Effect(text, homes[ref.namespace], Weight.WARNING)


def _copies(comparison: Comparison) -> Iterator[Effect]:
    for body in comparison.copies:
        yield Effect(f"{ObjectRef.of(body)} carries jobq's labels but is a copy: left alone", "", Weight.WARNING)
