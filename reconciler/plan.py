"""Comparison and the server's answers -> Plan: what will be written, why, and what follows from it for people."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from enum import IntEnum

from reconciler.compare import Comparison
from reconciler.comparing.homes import project_namespaces
from reconciler.comparing.ownership import project_of
from reconciler.kinds import APPLY_ORDER, BY_KIND
from reconciler.model import Answers, Declaration, ObjectRef, Observation, Suspect
from reconciler.notes import state_of
from reconciler.planned import Action, Change, Effect, EffectKind, Plan, Weight
from reconciler.planning.changes import DryRuns, create_of, delete_of, replace_of, update_of
from reconciler.planning.effects import effects_of, in_order
from reconciler.planning.findings import findings, other_version
from reconciler.planning.moves import held_moves, without_moves
from reconciler.planning.refusals import excused, lost_label, refusals_of
from reconciler.planning.retiring import retiring_effects, with_retiring


def make_plan(
    declaration: Declaration,
    comparison: Comparison,
    answers: Answers,
    seen: Observation,
    holds: Iterable[Effect] = (),
    version: str = "",
) -> Plan:
    """The plan, in its total order. What can't be planned is a refusal of its project. ``holds`` in words are told.

    ``version`` is this jobq's, where it may differ from that of the last one.
    """
    renamed = tuple(retiring_effects(comparison, answers))
    comparison, retired = with_retiring(comparison, answers)
    held = held_moves(comparison, seen, answers.kueue)
    comparison, unasked = without_moves(comparison, held)
    dry_runs = excused(comparison.suspects, {**answers.dry_runs, **unasked, **retired})
    refusals = sorted((*refusals_of(declaration, comparison, dry_runs, seen), *held.values()))
    left_out = {refusal.project for refusal in refusals if not refusal.only}
    state = state_of(seen.notes)
    again = state is not None and state.commit == declaration.commit != "" and version in {"", state.version}
    changes = _changes(comparison, dry_runs, project_namespaces(seen.live), again=again)
    updated = sum(change.action is Action.UPDATE for change in changes)
    ranks = _ranks(comparison)
    kept = (change for change in changes if change.project not in left_out)
    ordered = sorted(kept, key=lambda change: _order(change, ranks))
    refused = {refusal.project for refusal in refusals}
    told = (
        *findings(declaration, comparison, seen, refused),
        *holds,
        *renamed,
        *other_version(state, declaration, ordered, version),
    )
    effects = in_order((*effects_of(declaration, ordered, seen, answers), *told))
    disrupted = sorted({effect.project for effect in effects if effect.weight is Weight.DISRUPTIVE})
    return Plan(
        commit=declaration.commit,
        cluster=declaration.settings.cluster,
        changes=tuple(ordered),
        effects=effects,
        refusals=tuple(refusals),
        unchanged=len(comparison.equal) + len(comparison.suspects) - updated,
        projects=len(declaration.projects),
        digest=_digest([change.action, str(change.ref), change.uid, change.body] for change in ordered),
        live=_live(seen),
        disrupted=disrupted,
        restored=sorted({effect.project for effect in effects if effect.kind is EffectKind.RESTORED}),
        disruption=_disruption(effects, ordered, disrupted),
        unlisted=sorted(seen.unlisted),
    )


def _changes(comparison: Comparison, dry_runs: DryRuns, homes: Mapping[str, str], *, again: bool) -> list[Change]:
    updates = (update_of(suspect, dry_runs, again=again) for suspect in comparison.suspects)
    return [
        *(create_of(manifest, homes, again=again) for manifest in comparison.missing),
        *(change for change in updates if change is not None),
        *map(replace_of, comparison.replaced),
        *(delete_of(body, homes) for body in comparison.surplus),
    ]


def _live(seen: Observation) -> int:
    """How many projects live: those of the catalogue that aren't archived."""
    entries = (body for ref, body in seen.live.items() if ref.kind == "ConfigMap" and project_of(body))
    return sum(body.get("data", {}).get("state") != "archived" for body in entries)


def _disruption(effects: Iterable[Effect], changes: Iterable[Change], disrupted: Sequence[str]) -> str:
    """Over what disrupts whom and the objects whose change does it; what else changes, and how often, is no matter."""
    if not disrupted:
        return ""
    losses = [effect for effect in effects if effect.weight is Weight.DISRUPTIVE]
    refs = {ref for effect in losses for ref in effect.refs}
    words = sorted([effect.kind, effect.project, effect.text, *effect.people] for effect in losses)
    objects = sorted([change.action, str(change.ref), change.uid] for change in changes if change.ref in refs)
    return _digest([words, objects])


class _Rank(IntEnum):
    """When a change is made within its project."""

    REPAIR = 0
    """A namespace that lost our label: without it the policies refuse everything inside, revocations too."""
    REVOKE = 1
    """Access that somebody loses: it must not depend on whether all the rest succeeds."""
    PROVIDE = 2
    GRANT = 3
    """New access: not before there is what it gives access to, within its limits."""
    STORE = 4
    """Storage last: what it lacks must keep nobody out."""


def _ranks(comparison: Comparison) -> Mapping[ObjectRef, _Rank]:
    """The objects that come before their kind's turn."""
    repaired = {suspect.manifest.ref: _Rank.REPAIR for suspect in comparison.suspects if lost_label(suspect)}
    taken = {suspect.manifest.ref: _Rank.REVOKE for suspect in comparison.differing if _takes_access(suspect)}
    gone = (ObjectRef.of(body) for body in comparison.surplus)
    return {**{ref: _Rank.REVOKE for ref in gone if ref.kind == "RoleBinding"}, **taken, **repaired}


def _takes_access(suspect: Suspect) -> bool:
    """Whether a binding gives less afterwards, to anybody."""
    live, wanted = suspect.live, suspect.manifest.body
    if live["kind"] != "RoleBinding":
        return False
    lost = [subject for subject in live.get("subjects") or () if subject not in wanted["subjects"]]
    return bool(lost) or live["roleRef"] != wanted["roleRef"]


def _order(change: Change, ranks: Mapping[ObjectRef, _Rank]) -> tuple[object, ...]:
    """By project; within one as ranked, then in the table's order; what is no longer wanted goes after what is."""
    kind = change.ref.group, change.ref.kind
    ordinary = _Rank.GRANT if change.ref.kind == "RoleBinding" else _Rank.PROVIDE
    ordinary = _Rank.STORE if BY_KIND[kind].kept else ordinary
    place = APPLY_ORDER[kind]
    return (change.project, ranks.get(change.ref, ordinary), change.action is Action.DELETE, place, change.ref)


def _digest(said: Iterable[object]) -> str:
    return hashlib.sha256(json.dumps(list(said), sort_keys=True).encode()).hexdigest()[:16]
