"""What a plan does to people's access: who loses, gains, or changes a role in which project."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby

from reconciler.comparing.ownership import owns
from reconciler.model import SYSTEM_NAMESPACE, Body, Declaration, ObjectRef, Project, Role
from reconciler.planned import Change, Effect, EffectKind, Weight, created_projects

Subject = tuple[str, str]
"""What RBAC calls kind and name, with the namespace of a ServiceAccount: ``("Group", "oidc:vision")``."""
Bindings = Mapping[ObjectRef, Body]
NO_ACCESS = "no access"
_RANKS = {NO_ACCESS: -1, **{role.value: rank for rank, role in enumerate(Role)}}
_STRANGE = len(_RANKS)
"""The rank of a role that isn't a project's: above all of them."""


def access_effects(
    declaration: Declaration, changes: Sequence[Change], live: Mapping[ObjectRef, Body]
) -> Iterator[Effect]:
    """Who has which role before and after, project by project. A role that changes is one effect."""
    created = created_projects(changes)
    mine = [change for change in changes if change.ref.kind == "RoleBinding"]
    before = _by_namespace(live)
    for name, group in groupby(mine, key=lambda change: change.project):
        bound = list(group)
        project = declaration.projects.get(name)
        had = before.get(bound[0].ref.namespace, {})
        told = _last_told(live.get(ObjectRef("", "ConfigMap", SYSTEM_NAMESPACE, name), {}))
        for who, was, becomes, refs in _differences(had, bound):
            kind, text, weight = _meaning(who, was, becomes, project, told, had, new=name in created)
            yield Effect(kind, name, text, weight, [who_is(who)], refs=refs)


def who_is(subject: Subject) -> str:
    """A subject as people read it; a user is their name alone."""
    match subject:
        case "User", name:
            return name
        case "Group", name:
            return f"group {name}"
        case kind, name:
            return f"{kind} {name}"


def subjects(binding: Body) -> set[Subject]:
    """Whom a RoleBinding gives its role."""
    return {
        (one["kind"], f"{one['namespace']}/{one['name']}" if one.get("namespace") else one["name"])
        for one in binding.get("subjects") or ()
    }


def leavers(wanted: Mapping[str, Iterable[Body]], live: Mapping[ObjectRef, Body]) -> Iterator[str]:
    """The namespaces in which a person who has access now shall have none; ``wanted`` has the bindings of each."""
    before = _by_namespace(live)
    for namespace, bindings in wanted.items():
        stay = {who for binding in bindings for who in subjects(binding)}
        had = {who for binding in before.get(namespace, {}).values() for who in subjects(binding)}
        if any(kind == "User" for kind, _ in had - stay):
            yield namespace


def _by_namespace(live: Mapping[ObjectRef, Body]) -> dict[str, dict[ObjectRef, Body]]:
    """The bindings that give project roles."""
    found: dict[str, dict[ObjectRef, Body]] = {}
    for ref, body in live.items():
        if ref.kind == "RoleBinding" and ref.name.startswith("jobq:"):
            found.setdefault(ref.namespace, {})[ref] = body
    return found


def _differences(had: Bindings, changes: Iterable[Change]) -> Iterator[tuple[Subject, str, str, tuple[ObjectRef, ...]]]:
    """Each subject with another role than before: who, the role before and after, and the bindings that do it."""
    changed = {change.ref: change.body for change in changes}
    before, after = _roles(had), _roles({**had, **changed})
    for who in sorted(before.keys() | after.keys()):
        was, becomes = before.get(who, NO_ACCESS), after.get(who, NO_ACCESS)
        if was != becomes:
            both = ((ref, subjects(had.get(ref, {})) | subjects(body)) for ref, body in changed.items())
            yield who, was, becomes, tuple(sorted(ref for ref, people in both if who in people))


def _roles(bindings: Bindings) -> dict[Subject, str]:
    """Each subject's highest role."""
    held = [
        (_rank(role), role, who)
        for body in bindings.values()
        if body
        for role in [body["roleRef"]["name"].removeprefix("jobq-project-")]
        for who in subjects(body)
    ]
    return {who: role for _, role, who in sorted(held)}


def _rank(role: str) -> int:
    return _RANKS.get(role, _STRANGE)


def _meaning(
    who: Subject,
    was: str,
    becomes: str,
    project: Project | None,
    told: "Mapping[Subject, _Said]",
    had: Bindings,
    *,
    new: bool,
) -> tuple[EffectKind, str, Weight]:
    """What a change of role is. Only what git has changed is a loss, or a group's rise: never what git undoes."""
    text, said = f"{was} -> {becomes}", _said_before(who, was, told, had)
    if _rank(becomes) > _rank(was):
        raised = becomes == Role.MAINTAINER and who[0] == "Group" and _rank(said) < _rank(becomes) and not new
        text += _everywhere(who, becomes, project)
        return EffectKind.GAINED, text, Weight.DISRUPTIVE if raised else Weight.INFO
    if _rank(becomes) >= _rank(said):
        return EffectKind.WITHDRAWN, f"{text}, which git never gave", Weight.WARNING
    until = _expired(who, was, project, told)
    if until is not None:
        return EffectKind.EXPIRED, f"{text}: it expired after {until.isoformat()}", Weight.INFO
    return EffectKind.LOST, text + _still(who, project), Weight.DISRUPTIVE


@dataclass(frozen=True, slots=True)
class _Said:
    """What git last said of a member: the role, and its last day."""

    role: str
    until: date | None


def _said_before(who: Subject, was: str, told: Mapping[Subject, _Said], had: Bindings) -> str:
    """The role that git gave last: the live one, unless somebody has written into its binding since."""
    edited = any(who in subjects(body) and not _is_as_applied(body) for body in had.values())
    if who in told and (edited or was == NO_ACCESS):
        return told[who].role
    return NO_ACCESS if edited else was


def _is_as_applied(binding: Body) -> bool:
    return owns(binding, "f:subjects") and owns(binding, "f:roleRef")


def _expired(who: Subject, was: str, project: Project | None, told: Mapping[Subject, _Said]) -> date | None:
    """The last day of that role, where that was said before it came: a day set in the past is an edit like any other.

    What somebody still has then may be a role without end, such as one in every project.
    """
    members = project.members if project else ()
    days = {(str(m.kind), m.name): m.expires for m in members if m.expires and m.role == was}
    return days[who] if who in days and who in told and told[who].until == days[who] else None


def _everywhere(who: Subject, role: str, project: Project | None) -> str:
    """Says where a role comes from jobq.toml."""
    members = project.members if project else ()
    found = any((str(m.kind), m.name, m.role) == (*who, role) for m in members if m.everywhere)
    return ", as in every project by jobq.toml" if found else ""


def _last_told(entry: Body) -> dict[Subject, _Said]:
    """The members whom git named when the catalogue entry was last written."""
    try:
        members = json.loads(entry.get("data", {}).get("members", "[]"))
        said = [(_told_of(member), _Said(member["role"], _day(member.get("expires")))) for member in members]
    except (ValueError, KeyError, TypeError):  # somebody has written into it
        return {}
    return dict(sorted(said, key=lambda pair: _rank(pair[1].role)))


def _told_of(member: Mapping[str, str]) -> Subject:
    """A member of the catalogue as RBAC names it; the robot stands there by its user name."""
    if "user" not in member:
        return "Group", member["group"]
    if member["user"].startswith("system:serviceaccount:"):
        return "ServiceAccount", "/".join(member["user"].split(":")[2:])
    return "User", member["user"]


def _day(said: str | None) -> date | None:
    return None if said is None else date.fromisoformat(said)


def _still(who: Subject, project: Project | None) -> str:
    """Says where somebody who goes stays a member in another spelling: to Kubernetes that is somebody else."""
    name = who[1]
    members = project.members if project else ()
    others = sorted(m.name for m in members if m.name != name and m.name.casefold() == name.casefold())
    return f", and keeps access as {', '.join(others)}" if others else ""
