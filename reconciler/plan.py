"""Comparison and the server's answers -> Plan: what will be written, why, and what follows from it for people."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import IntEnum
from typing import Any

from reconciler.compare import Comparison, made_for, own_entry, owned, project_of, takers
from reconciler.effects import effects_of, in_order
from reconciler.ending import way_out_of, why_ending
from reconciler.errors import ClusterError, Forbidden
from reconciler.findings import findings
from reconciler.kinds import APPLY_ORDER
from reconciler.model import (
    MANAGED_BY,
    PROJECT_LABEL,
    SYSTEM_NAMESPACE,
    Action,
    Answers,
    Body,
    Change,
    Declaration,
    Effect,
    EffectKind,
    FieldChange,
    Manifest,
    ObjectRef,
    Observation,
    Plan,
    Refusal,
    Suspect,
    Weight,
)
from reconciler.moves import held_moves, merged, without_moves

DryRuns = Mapping[ObjectRef, Body | ClusterError]
ALLOW_PRIVILEGED = "jobq.io/allow-privileged"
"""What an admin puts on a namespace that may have Pod Security at privileged."""
_BOOKKEEPING = ("managedFields", "resourceVersion", "generation", "uid", "creationTimestamp")


def make_plan(
    declaration: Declaration,
    comparison: Comparison,
    answers: Answers,
    seen: Observation,
    holds: Iterable[Effect] = (),
) -> Plan:
    """The plan, in its total order. What can't be planned is a refusal of its project. ``holds`` in words are told."""
    held = held_moves(comparison, seen, answers.kueue)
    comparison, unasked = without_moves(comparison, held)
    dry_runs = _excused(comparison.suspects, {**answers.dry_runs, **unasked})
    apart = (*_foreign(comparison), *_ending(comparison, declaration), *_stranded(declaration, comparison, seen))
    refusals = sorted((*apart, *_refused(comparison.suspects, dry_runs), *held.values()))
    left_out = {refusal.project for refusal in refusals if not refusal.only}
    updates = [change for suspect in comparison.suspects if (change := _update(suspect, dry_runs)) is not None]
    changes = [
        *map(_create, comparison.missing),
        *updates,
        *map(_replace, comparison.replaced),
        *map(_delete, comparison.surplus),
    ]
    ranks = _ranks(comparison)
    kept = (change for change in changes if change.project not in left_out)
    ordered = sorted(kept, key=lambda change: _order(change, ranks))
    effects = in_order(
        (*effects_of(declaration, ordered, seen, answers), *findings(declaration, comparison, seen), *holds)
    )
    disrupted = sorted({effect.project for effect in effects if effect.weight is Weight.DISRUPTIVE})
    return Plan(
        commit=declaration.commit,
        cluster=declaration.settings.cluster,
        changes=tuple(ordered),
        effects=effects,
        refusals=tuple(refusals),
        unchanged=len(comparison.equal) + len(comparison.suspects) - len(updates),
        projects=len(declaration.projects),
        digest=_digest([change.action, str(change.ref), change.uid, change.body] for change in ordered),
        live=_live(seen),
        disrupted=disrupted,
        restored=sorted({effect.project for effect in effects if effect.kind is EffectKind.RESTORED}),
        disruption=_disruption(effects, ordered, disrupted),
        unlisted=sorted(seen.unlisted),
    )


def offline_plan(declaration: Declaration, manifests: Sequence[Manifest]) -> Plan:
    """What a cluster without any project would get: the plan when nobody can be asked."""
    return make_plan(declaration, Comparison(missing=manifests), Answers(), Observation({}, {}, {}))


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


def _ranks(comparison: Comparison) -> Mapping[ObjectRef, _Rank]:
    """The objects that come before their kind's turn."""
    repaired = {suspect.manifest.ref: _Rank.REPAIR for suspect in comparison.suspects if _lost_label(suspect)}
    there = [*comparison.suspects, *comparison.replaced]
    taken = {suspect.manifest.ref: _Rank.REVOKE for suspect in there if _takes_access(suspect)}
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
    ordinary = _Rank.GRANT if change.ref.kind == "RoleBinding" else _Rank.PROVIDE
    place = APPLY_ORDER[change.ref.group, change.ref.kind]
    return (change.project, ranks.get(change.ref, ordinary), change.action is Action.DELETE, place, change.ref)


# ------------------------------------------------------------------------------------------------ changes


def _create(manifest: Manifest) -> Change:
    because = f"declared in {manifest.origin}"
    return Change(manifest.ref, Action.CREATE, manifest.project, because, manifest.body, origin=manifest.origin)


def _update(suspect: Suspect, dry_runs: DryRuns) -> Change | None:
    """None where the server says that an apply would change nothing, and nothing of ours was lost."""
    manifest, live = suspect.manifest, suspect.live
    answer = dry_runs.get(manifest.ref)
    if answer is None or isinstance(answer, ClusterError):
        return None
    fields = _field_changes(_bare(live), _bare(answer))
    before, after = own_entry(live), own_entry(answer)
    if not fields and before is not None and after is not None and before["fieldsV1"] == after["fieldsV1"]:
        return None
    return Change(
        manifest.ref,
        Action.UPDATE,
        manifest.project,
        _why(suspect, fields),
        manifest.body,
        live["metadata"]["uid"],
        fields,
        manifest.origin,
    )


def _why(suspect: Suspect, fields: Sequence[FieldChange]) -> str:
    origin = suspect.manifest.origin
    if not origin.line:
        return f"{origin.path} is gone"
    taken = takers(suspect.manifest, suspect.live)
    if taken:
        return f"takes back what {' and '.join(taken)} changed"
    return f"declared in {origin}" if fields else "takes ownership back: nothing else differs"


def _replace(suspect: Suspect) -> Change:
    manifest, live = suspect.manifest, suspect.live
    fields = _field_changes(owned(live), manifest.body)
    because = f"{fields[0].path if fields else 'a field'} can't be changed in place"
    return Change(
        manifest.ref,
        Action.REPLACE,
        manifest.project,
        because,
        manifest.body,
        live["metadata"]["uid"],
        fields,
        manifest.origin,
    )


def _delete(live: Body) -> Change:
    ref = ObjectRef.of(live)
    project = project_of(live) or (ref.namespace if ref.namespace != SYSTEM_NAMESPACE else ref.name)
    return Change(ref, Action.DELETE, project, "no file declares it any more", {}, live["metadata"]["uid"])


# ------------------------------------------------------------------------------------------------ refusals


def _excused(suspects: Sequence[Suspect], dry_runs: DryRuns) -> DryRuns:
    """The answers, without refusals that only say that the namespace has lost our label: this plan puts it back first.

    In their place stands what we ask for, over what is live: not verified by the server.
    """
    unlabelled = {suspect.manifest.project for suspect in suspects if _lost_label(suspect)}
    excused = {
        suspect.manifest.ref: merged(suspect.live, suspect.manifest.body)
        for suspect in suspects
        if suspect.manifest.project in unlabelled and isinstance(dry_runs.get(suspect.manifest.ref), Forbidden)
    }
    return {**dry_runs, **excused}


def _lost_label(suspect: Suspect) -> bool:
    return suspect.live["kind"] == "Namespace" and MANAGED_BY not in suspect.live["metadata"].get("labels", {})


def _foreign(comparison: Comparison) -> Iterator[Refusal]:
    """Namespaces of a project's name that aren't its own; one that lost our label is an admin's to give back."""
    for project, namespace in comparison.foreign.items():
        name, owner = namespace["metadata"]["name"], project_of(namespace)
        way_out = f"choose another name; or an admin hands it over: jobq project adopt {project}"
        if owner:
            text, way_out = f"namespace {name} belongs to project {owner}", "choose another name"
        elif own_entry(namespace) is not None or made_for(namespace) == project:
            text = f"namespace {name} was project {project}'s, and somebody removed its label {PROJECT_LABEL}"
            way_out = f"an admin puts it back: jobq project adopt {project}"
        else:
            text = f"a namespace {name} exists and is not jobq's"
        yield Refusal(f"{text}: project {project} is left alone, and so is that namespace", way_out, project)


def _ending(comparison: Comparison, declaration: Declaration) -> Iterator[Refusal]:
    """Declared projects whose namespace is on its way out: they come anew once it is gone."""
    for project, namespace in comparison.ending.items():
        if project in declaration.projects:
            name = namespace["metadata"]["name"]
            text = (
                f"namespace {name} is being deleted; project {project} waits until it is gone: {why_ending(namespace)}"
            )
            yield Refusal(text, way_out_of(namespace), project)


def _stranded(declaration: Declaration, comparison: Comparison, seen: Observation) -> Iterator[Refusal]:
    """New projects whose ClusterQueue isn't there. One that lives goes on: access must end when git says so."""
    new = {manifest.project for manifest in comparison.missing if manifest.ref.kind == "Namespace"}
    known = {body["metadata"]["name"] for body in seen.queues.get("ClusterQueue", ())}
    for name in sorted(new & declaration.projects.keys()) if "ClusterQueue" in seen.queues else ():
        queue = declaration.projects[name].cluster_queue
        if queue not in known:
            text = f"there is no ClusterQueue {queue}: project {name} isn't created"
            yield Refusal(text, "name one that is there: kubectl get clusterqueues", name)


def _refused(suspects: Iterable[Suspect], dry_runs: DryRuns) -> Iterator[Refusal]:
    for suspect in suspects:
        answer = dry_runs.get(suspect.manifest.ref)
        if isinstance(answer, ClusterError):
            yield Refusal(f"{suspect.manifest.ref}: {answer}", _way_out(suspect, answer), suspect.manifest.project)


def _way_out(suspect: Suspect, answer: ClusterError) -> str:
    if ALLOW_PRIVILEGED in str(answer):
        name = suspect.manifest.ref.name
        return f"if an admin wants it: kubectl label namespace {name} {ALLOW_PRIVILEGED}=true"
    return answer.hint or "ask the cluster's admins; these are the server's words"


# ------------------------------------------------------------------------------------------------ fields, digests


def _bare(body: Body) -> Body:
    metadata = {key: value for key, value in body["metadata"].items() if key not in _BOOKKEEPING}
    return {key: value for key, value in body.items() if key != "status"} | {"metadata": metadata}


def _field_changes(before: Body, after: Body) -> tuple[FieldChange, ...]:
    """Field by field, as people read it; by path."""
    if before == after:
        return ()
    from deepdiff import DeepDiff  # noqa: PLC0415 - 140 ms that a run in sync doesn't need

    found = DeepDiff(before, after, view="tree", ignore_order=False, threshold_to_diff_deeper=0)
    levels = (level for group in found.values() for level in group)
    return tuple(sorted((_field_change(level) for level in levels), key=lambda change: change.path))


def _field_change(level: Any) -> FieldChange:  # noqa: ANN401 - deepdiff's own level
    steps = level.path(output_format="list")
    path = "".join(f"[{step}]" if isinstance(step, int) or "." in step else f".{step}" for step in steps)
    return FieldChange(path.removeprefix("."), _present(level.t1), _present(level.t2))


def _present(value: object) -> object:
    return None if type(value).__name__ == "NotPresent" else value


def _digest(said: Iterable[object]) -> str:
    return hashlib.sha256(json.dumps(list(said), sort_keys=True).encode()).hexdigest()[:16]
