"""What a plan means for people and projects, in words: who gains and loses access, what starts, stops and moves."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from reconciler.compare import Comparison
from reconciler.model import Action, Body, Change, Declaration, Effect, ObjectRef, Project, Weight

Subject = tuple[str, str]


def effects_of(
    declaration: Declaration, changes: Sequence[Change], comparison: Comparison, queues: Mapping[str, Sequence[Body]]
) -> Iterator[Effect]:
    """All effects, the weightiest first, then by project."""
    found = [
        *_lives(changes),
        *_access(changes, comparison),
        *_queues(declaration.projects.values(), queues),
        *_copies(comparison),
    ]
    order = list(Weight)
    yield from sorted(found, key=lambda effect: (-order.index(effect.weight), effect.project, effect.text))


def _lives(changes: Iterable[Change]) -> Iterator[Effect]:
    """Projects that come, rest, or move to another queue."""
    for change in changes:
        if change.ref.kind == "Namespace" and change.action is Action.CREATE:
            yield Effect(f"creates project {change.project}", change.project)
        if change.ref.kind == "ConfigMap":
            yield from _states(change)
        if change.ref.kind == "LocalQueue" and change.action is Action.REPLACE:
            target = change.body["spec"]["clusterQueue"]
            text = f"moves {change.project} to ClusterQueue {target}: waiting jobs queue there, running ones go on"
            yield Effect(text, change.project, Weight.DISRUPTIVE)


_STATES = {
    "archived": ("archives", "its queue is held and all access ends; data and jobs stay"),
    "paused": ("pauses", "no job of it starts"),
    "active": ("resumes", "its jobs are admitted again"),
}


def _states(change: Change) -> Iterator[Effect]:
    for field in change.fields:
        if field.path == "data.state":
            verb, meaning = _STATES[field.after]
            if field.before == "archived":
                verb, meaning = "restores", "its members see all that it held"
            weight = Weight.INFO if verb == "resumes" else Weight.DISRUPTIVE
            yield Effect(f"{verb} project {change.project}: {meaning}", change.project, weight)


def _access(changes: Iterable[Change], comparison: Comparison) -> Iterator[Effect]:
    """Who gains and who loses a role, by person and group."""
    live = {suspect.manifest.ref: suspect.live for suspect in (*comparison.suspects, *comparison.replaced)}
    live |= {ref: body for body in comparison.surplus if (ref := _ref(body)).kind == "RoleBinding"}
    for change in changes:
        if change.ref.kind != "RoleBinding":
            continue
        role = change.ref.name.removeprefix("jobq:")
        before, after = _subjects(live.get(change.ref, {})), _subjects(change.body)
        for kind, name in sorted(after - before):
            yield Effect(f"{_who(kind, name)} gains {role} in {change.project}", change.project)
        for kind, name in sorted(before - after):
            yield Effect(f"{_who(kind, name)} loses {role} in {change.project}", change.project, Weight.DISRUPTIVE)


def _ref(body: Body) -> ObjectRef:
    metadata = body["metadata"]
    return ObjectRef(
        body["apiVersion"].rpartition("/")[0], body["kind"], metadata.get("namespace", ""), metadata["name"]
    )


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


def _copies(comparison: Comparison) -> Iterator[Effect]:
    for body in comparison.copies:
        yield Effect(f"{_ref(body)} carries jobq's labels but is a copy: left alone", "", Weight.WARNING)
