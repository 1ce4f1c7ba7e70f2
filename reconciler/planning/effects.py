"""What a plan's changes mean for people and projects: what starts, stops and moves, and who may do what."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from reconciler.model import Answers, Body, Declaration, ObjectRef, Observation
from reconciler.planned import Action, Change, Effect, EffectKind, FieldChange, Weight, created_projects
from reconciler.planning.access import access_effects
from reconciler.planning.limits import limit_effects
from reconciler.planning.workloads import counted_volumes, counted_workloads, jobs_that_go_on
from reconciler.versions import kueue_needed
from reconciler.wording import shortened

_ORDER = {kind: place for place, kind in enumerate(EffectKind)}
_WEIGHTS = {weight: place for place, weight in enumerate(reversed(Weight))}


def effects_of(
    declaration: Declaration, changes: Sequence[Change], seen: Observation, answers: Answers
) -> Iterator[Effect]:
    """All consequences of these changes."""
    access = list(access_effects(declaration, changes, seen.live))
    yield from access
    yield from _lives(changes, answers, access)
    yield from _renames(changes, seen.live)
    yield from jobs_that_go_on(access, answers)
    yield from limit_effects(changes, seen.live, answers)
    yield from _unchecked_moves(changes, answers)
    for change in changes:
        for field in change.left:
            text = f"{change.ref}: no file wants {field} any more, but it stays"
            yield Effect(EffectKind.LEFT_OVER, change.project, text, Weight.WARNING, refs=[change.ref])
    for kind, reasons in answers.unanswered.items():
        where, reason = shortened(sorted(reasons)), next(iter(reasons.values()))
        yield Effect(EffectKind.UNREADABLE, "", f"{kind}s of {where} are not counted: {reason}", Weight.WARNING)


def in_order(effects: Iterable[Effect]) -> tuple[Effect, ...]:
    """The weightiest first, then by project, then as the kinds are listed."""
    return tuple(
        sorted(effects, key=lambda one: (_WEIGHTS[one.weight], one.project, _ORDER[one.kind], one.text, one.people))
    )


# ------------------------------------------------------------------------------------------------ life


def _lives(changes: Iterable[Change], answers: Answers, access: Iterable[Effect]) -> Iterator[Effect]:
    """Projects that come, rest, go on, or move to another ClusterQueue."""
    states = {change.project: field for change in changes if (field := _field(change, "data.state")) is not None}
    created = created_projects(changes)
    for change in changes:
        state = states.get(change.project)
        match change.ref.kind, change.action:
            case "Namespace", Action.CREATE:
                yield Effect(EffectKind.CREATED, change.project, "created", refs=[change.ref])
            case "ConfigMap", Action.UPDATE if state is not None and change.project not in created:
                heirs = [who for one in access if one.project == change.project for who in one.people]
                yield from _states(change, state, answers, heirs)
            case "LocalQueue", Action.REPLACE:
                yield _moved(change, answers)
            case "LocalQueue", Action.UPDATE if not (state and "archived" in (state.before, state.after)):
                yield from _stopped(change, state, answers)
            case _:
                pass


def _states(change: Change, state: FieldChange | None, answers: Answers, heirs: Sequence[str]) -> Iterator[Effect]:
    """A project that goes to rest for good, or comes back."""
    namespace = change.body["data"]["namespace"]
    counts = counted_workloads(answers.workloads.get(namespace, ()))
    if state is not None and state.after == "archived":
        text = "archived: its queue is held and all access ends; data and jobs stay"
        yield Effect(EffectKind.ARCHIVED, change.project, text, Weight.DISRUPTIVE, (), counts, [change.ref])
    elif state is not None and state.before == "archived":
        since = _field(change, "data.archivedOn")
        text = f"restored, archived since {since.before if since else '?'}: all that it holds comes back"
        held = counts | counted_volumes(answers.claims.get(namespace, ()))
        yield Effect(EffectKind.RESTORED, change.project, text, Weight.DISRUPTIVE, heirs, held, [change.ref])


def _renames(changes: Iterable[Change], live: Mapping[ObjectRef, Body]) -> Iterator[Effect]:
    """A project that comes with the members and the ClusterQueue of one that goes: surely a file was renamed."""
    entries = [change for change in changes if change.ref.kind == "ConfigMap" and change.body]
    gone = {
        _likeness(change.project, live[change.ref].get("data", {})): change.project
        for change in entries
        if (field := _field(change, "data.state")) is not None and field.after == "archived"
    }
    for change in entries:
        likeness = _likeness(change.project, change.body["data"]) if change.action is Action.CREATE else ()
        if likeness and (old := gone.get(likeness)):
            text = (
                f"looks like {old} under a new name, but a name can't change: it starts empty, and {old} is archived"
                f" with its jobs and data (to keep it, call the file {old}.yaml again)"
            )
            yield Effect(EffectKind.RENAMED, change.project, text, Weight.WARNING, refs=[change.ref])


def _likeness(name: str, data: Mapping[str, str]) -> tuple[str, ...]:
    """What a new name leaves as it is; empty where a project has nobody to know it by."""
    members = data.get("members", "[]")
    if members in {"", "[]"}:
        return ()
    said = members.replace(f":{data.get('namespace', name)}:", ":")  # the robot's user name has it
    return (said, *(data.get(key, "") for key in ("clusterQueue", "displayName", "description")))


def _stopped(change: Change, state: FieldChange | None, answers: Answers) -> Iterator[Effect]:
    """A queue that is held or opened. Where the project's state stays the same, somebody had done the opposite."""
    policy = _field(change, "spec.stopPolicy")
    if policy is None:
        return
    counts = counted_workloads(answers.workloads.get(change.ref.namespace, ()))
    undone = state is None and (policy.taken_from != "" or "None" in (policy.before, policy.after))
    who, weight = policy.taken_from or "somebody", Weight.WARNING if undone else Weight.DISRUPTIVE
    match policy.after:
        case "HoldAndDrain":
            kind, text, deed = EffectKind.DRAINED, "paused: its running jobs are evicted, and none starts", "opened"
        case "Hold":
            kind, text, deed = EffectKind.PAUSED, "paused: running jobs finish, none starts", "opened"
        case _:
            kind, text, deed = EffectKind.RESUMED, "resumed: its jobs are admitted again", "held"
            weight = Weight.INFO
    if undone:
        text = f"{text}; its queue had been {deed} by {who}"
    yield Effect(kind, change.project, text, weight, (), counts, [change.ref])


def _moved(change: Change, answers: Answers) -> Effect:
    target = change.body["spec"]["clusterQueue"]
    field = _field(change, "spec.clusterQueue")
    source = field.before if field else "?"
    text = f"moves from ClusterQueue {source} to {target}: running jobs stay charged to {source}, waiting ones move"
    counts = counted_workloads(answers.workloads.get(change.ref.namespace, ()))
    return Effect(EffectKind.MOVED, change.project, text, Weight.DISRUPTIVE, (), counts, [change.ref])


def _field(change: Change, path: str) -> FieldChange | None:
    return next((field for field in change.fields if field.path == path), None)


def _unchecked_moves(changes: Iterable[Change], answers: Answers) -> Iterator[Effect]:
    for change in changes:
        goes = change.action in {Action.REPLACE, Action.DELETE}
        if change.ref.kind == "LocalQueue" and goes and answers.kueue is None:
            text = (
                f"Kueue's version can't be read: before {kueue_needed()} deleting a LocalQueue can hang its scheduler"
            )
            yield Effect(EffectKind.UNCHECKED_MOVE, change.project, text, Weight.WARNING, refs=[change.ref])
