"""Break-glass: an annotation on a project's Namespace by which an admin stops jobq there for some days."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from reconciler.compare import Comparison
from reconciler.comparing.homes import project_namespaces
from reconciler.comparing.takers import Taker
from reconciler.model import Body, ObjectRef
from reconciler.planned import Effect, EffectKind, Weight
from reconciler.planning.access import subjects, who_is

HOLD_UNTIL = "jobq.io/hold-until"
"""The last day of the hold, in UTC."""
HOLD_REASON = "jobq.io/hold-reason"
FAR_DAYS = 90
"""A hold that lasts longer is surely not meant for a repair."""


@dataclass(frozen=True, slots=True)
class Hold:
    """One annotated Namespace. ``until`` is None where the annotation names no day: that holds for good."""

    project: str
    namespace: str
    said: str
    until: date | None
    reason: str
    by: str
    """The client that wrote the annotation, and when."""

    def holds(self, today: date) -> bool:
        """Whether the project is left alone today."""
        return self.until is None or today <= self.until


def holds_of(live: Mapping[ObjectRef, Body]) -> tuple[Hold, ...]:
    """All holds, past ones too, by project."""
    homes = project_namespaces(live)
    namespaces = (live[ObjectRef("", "Namespace", "", namespace)] for namespace in sorted(homes, key=homes.__getitem__))
    return tuple(_hold(body, homes[body["metadata"]["name"]]) for body in namespaces if HOLD_UNTIL in _notes(body))


def hold_effects(holds: Sequence[Hold], comparison: Comparison, today: date) -> Iterator[Effect]:
    """Each hold in words, and who keeps access by it that git has withdrawn. ``comparison`` has the held projects."""
    for hold in holds:
        if not hold.holds(today):
            text = f"{HOLD_UNTIL} {hold.said} is past, and ignored"
            way_out = f"kubectl annotate namespace {hold.namespace} {HOLD_UNTIL}-"
            yield Effect(EffectKind.HELD, hold.project, text, way_out=way_out)
            continue
        counts = {"differing from git": count} if (count := _differing(hold, comparison)) else {}
        yield Effect(EffectKind.HELD, hold.project, _told(hold, today), Weight.WARNING, counts=counts)
        for role, kept in sorted(_withdrawn(hold, comparison).items()):
            text = f"keeps {role} while the project is held, though git has withdrawn it"
            yield Effect(EffectKind.KEPT, hold.project, text, Weight.WARNING, [who_is(who) for who in sorted(kept)])


def _told(hold: Hold, today: date) -> str:
    reason = f", {hold.reason}" if hold.reason else ""
    if hold.until is None:
        end = f"for good, since {HOLD_UNTIL} names no day (as {today.isoformat()} does): {hold.said!r}"
    else:
        far = f", more than {FAR_DAYS} days ahead" if (hold.until - today).days > FAR_DAYS else ""
        end = f"through {hold.until.isoformat()}{far}"
    return f"held {end} (by {hold.by}{reason}): nothing of it is changed"


def _hold(namespace: Body, project: str) -> Hold:
    notes, name = _notes(namespace), namespace["metadata"]["name"]
    said = notes[HOLD_UNTIL]
    return Hold(project, name, said, _day(said), notes.get(HOLD_REASON, ""), _author(namespace))


def _notes(namespace: Body) -> Mapping[str, str]:
    return namespace["metadata"].get("annotations") or {}


def _day(said: str) -> date | None:
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", said.strip()):
        return None
    try:
        return date.fromisoformat(said.strip())
    except ValueError:
        return None


def _author(namespace: Body) -> str:
    """Which client owns the annotation, and since when: never a person, managedFields know none."""
    for entry in namespace["metadata"].get("managedFields", ()):
        metadata = entry.get("fieldsV1", {}).get("f:metadata", {})
        if f"f:{HOLD_UNTIL}" in metadata.get("f:annotations", {}):
            return str(Taker(entry.get("manager", "?"), entry.get("time", "")))
    return "an unknown client"


def _differing(hold: Hold, comparison: Comparison) -> int:
    return sum(suspect.manifest.project == hold.project for suspect in comparison.differing) + sum(
        manifest.project == hold.project for manifest in comparison.missing
    )


def _withdrawn(hold: Hold, comparison: Comparison) -> dict[str, set[tuple[str, str]]]:
    """Role -> those who have it and should not, by the bindings of the held project."""
    kept: dict[str, set[tuple[str, str]]] = {}
    pairs = [(suspect.live, suspect.manifest.body) for suspect in comparison.differing]
    pairs += [(body, {}) for body in comparison.surplus]
    for live, wanted in pairs:
        ref = ObjectRef.of(live)
        if (
            ref.kind == "RoleBinding"
            and ref.namespace == hold.namespace
            and (rest := subjects(live) - subjects(wanted))
        ):
            kept[ref.name.removeprefix("jobq:")] = rest
    return kept
