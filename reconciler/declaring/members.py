"""Members as files say them, those of every project included -> Members, and what is surely not meant."""

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from reconciler.declaring.forms import MemberFile
from reconciler.model import Member, Origin, Problem, Project, Role, SubjectKind

_RANKS = list(Role)


def member(entry: MemberFile, origin: Origin, *, everywhere: bool = False) -> Member:
    """One entry of a list of members."""
    kind = SubjectKind.USER if entry.user is not None else SubjectKind.GROUP
    return Member(kind, entry.user or entry.group or "", Role(entry.role), entry.expires, origin, everywhere)


def of_project(own: Sequence[Member], everywhere: Sequence[Member], project: str) -> tuple[Member, ...]:
    """A project's own members, then those of every project under the names that they have in this one."""
    return (*own, *(replace(other, name=other.name.replace("{project}", project)) for other in everywhere))


def needless(members: Sequence[Member]) -> Iterator[Problem]:
    """Warns of own members who gain nothing by it: every project has them, for as long, with as much right."""
    common = {(other.kind, other.name): other for other in members if other.everywhere}
    for own in members:
        other = common.get((own.kind, own.name))
        if other is None or own.everywhere or _RANKS.index(other.role) < _RANKS.index(own.role):
            continue
        if other.expires is None or (own.expires is not None and own.expires <= other.expires):
            reason = f"{own.name} is {other.role} of every project already, by {other.origin}"
            yield Problem(own.origin, reason, "remove it here", warning=True)


def doubles(members: Sequence[Member]) -> Iterator[Problem]:
    """One subject twice in one list: a problem as written, a warning where only case or accents' encoding differ."""
    exactly: dict[tuple[SubjectKind, str], Member] = {}
    nearly: dict[tuple[SubjectKind, str], Member] = {}
    for one in members:
        alike = nearly.setdefault((one.kind, unicodedata.normalize("NFKC", one.name).casefold()), one)
        before = exactly.setdefault((one.kind, one.name), one)
        before = alike if before is one else before
        if before is one:
            continue
        same = before.name == one.name
        reason = f"{one.name} is a member already, at {before.origin}" + ("" if same else f", as {before.name}")
        hint = (
            "keep one of the two" if same else "to Kubernetes these are two people: keep the spelling your login uses"
        )
        yield Problem(one.origin, reason, hint, warning=not same)


def spellings(projects: Iterable[Project]) -> Iterator[Problem]:
    """Warns of a subject prefix (``oidc:``) that one member alone has while all others share another."""
    own = [member for project in projects for member in project.members if not member.everywhere]
    prefixed = [(member.name.rpartition(":")[0], member) for member in own]
    counts: dict[tuple[SubjectKind, str], int] = {}
    for prefix, one in prefixed:
        counts[one.kind, prefix] = counts.get((one.kind, prefix), 0) + 1
    for prefix, one in prefixed:
        others = {p: n for (kind, p), n in counts.items() if kind == one.kind and p != prefix}
        if counts[one.kind, prefix] == 1 and len(others) == 1 and max(others.values()) > 2:  # noqa: PLR2004 - a habit
            usual = next(iter(others))
            reason = f"no other {one.kind.lower()} is written {prefix + ':…' if prefix else 'without a prefix'}"
            yield Problem(one.origin, f"{one.name}: {reason}", f"the others begin with {usual}:", warning=True)
