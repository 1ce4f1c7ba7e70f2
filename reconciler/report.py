"""A run in words for people (text), for programs (json) and for a pull request (markdown)."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from reconciler.model import (
    SOURCE_ANNOTATION,
    Action,
    Change,
    Effect,
    Outcome,
    Plan,
    Problem,
    Report,
    Result,
    Verdict,
    Weight,
)

JSON_VERSION = 1
"""Of the shape that ``as_json`` gives; a field is never renamed or dropped within a version."""
MARKDOWN_LIMIT = 65_536
"""Characters that GitHub takes in a comment."""

_SIGNS = {Action.CREATE: "+", Action.UPDATE: "~", Action.REPLACE: "±", Action.DELETE: "-"}
_VERBS = {
    Action.CREATE: "to create",
    Action.UPDATE: "to change",
    Action.REPLACE: "to replace",
    Action.DELETE: "to delete",
}
_MOST_ALIKE = 3
"""Equal changes beyond this many are folded into one line."""


def problems_text(problems: Iterable[Problem]) -> str:
    """One problem a line: place, reason, and what to do, as compilers write them."""
    return "\n".join(_problem_line(problem) for problem in problems)


def _problem_line(problem: Problem) -> str:
    word = "warning: " if problem.warning else ""
    return f"{problem.origin}: {word}{problem.reason}" + (f" ({problem.hint})" if problem.hint else "")


def problems_data(problems: Iterable[Problem]) -> list[dict[str, Any]]:
    """The same for programs."""
    return [
        {
            "path": problem.origin.path,
            "line": problem.origin.line,
            "column": problem.origin.column,
            "reason": problem.reason,
            "hint": problem.hint,
            "severity": "warning" if problem.warning else "error",
        }
        for problem in problems
    ]


# ------------------------------------------------------------------------------------------------ text


def as_text(report: Report) -> str:
    """What it means first, then what is written, then the totals. Readable without colour; stable."""
    plan = report.plan
    lines = [*_effect_lines(plan), *_refusal_lines(report.verdict), *_change_lines(plan.changes)]
    lines += _outcome_lines(report) if report.applied else []
    return "\n".join([*lines, summary(report)])


def summary(report: Report) -> str:
    """The last line: the totals of what was done, or would be."""
    plan = report.plan
    where = f"{plan.projects} project{'s' * (plan.projects != 1)} on {plan.cluster}"
    refused = len(report.verdict.skipped)
    parts = [*_totals(report), f"{plan.unchanged} unchanged", *([f"{refused} refused"] if refused else [])]
    return f"{where}: {', '.join(parts)}"


def _totals(report: Report) -> list[str]:
    if report.applied:
        done = Counter(outcome.result for outcome in report.outcomes)
        totals = [f"{done[result]} {result}" for result in Result if done[result]]
    else:
        planned = Counter(change.action for change in report.plan.changes)
        totals = [f"{planned[action]} {_VERBS[action]}" for action in Action if planned[action]]
    return totals or ([] if report.verdict.refusals else ["in sync"])


def _effect_lines(plan: Plan) -> Iterator[str]:
    marks = {Weight.DISRUPTIVE: "!", Weight.WARNING: "warning:", Weight.INFO: " "}
    for effect in plan.effects:
        yield f"{marks[effect.weight]} {effect}"
    if plan.effects:
        yield ""


def _refusal_lines(verdict: Verdict) -> Iterator[str]:
    for refusal in verdict.refusals:
        yield f"refused: {refusal.text}"
        yield f"  way out: {refusal.way_out}"
    for notice in verdict.notices:
        yield f"note: {notice}"
    if verdict.refusals or verdict.notices:
        yield ""


def _change_lines(changes: Sequence[Change]) -> Iterator[str]:
    """Object by object; changes that are alike in many projects are folded into one line."""
    for alike in _folded(changes):
        first = alike[0]
        sign = _SIGNS[first.action]
        if len(alike) > _MOST_ALIKE:
            yield f"{sign} {len(alike)} x {first.ref.kind}, for example {first.ref}: {first.because}"
        else:
            for change in alike:
                yield f"{sign} {change.ref}: {change.because}"
        yield from _field_lines(first)
    if changes:
        yield ""


def _folded(changes: Sequence[Change]) -> list[list[Change]]:
    """Changes of one kind that do the same for the same reason, whatever file asks for it, by first appearance."""
    groups: dict[tuple[object, ...], list[Change]] = {}
    for change in changes:
        fields = tuple(
            (field.path, str(field.before), str(field.after))
            for field in change.fields
            if SOURCE_ANNOTATION not in field.path
        )
        place = change.origin.path if change.origin else ""
        because = (
            "" if change.action is Action.CREATE else change.because.partition(place)[0] if place else change.because
        )
        name = "" if change.ref.name == change.project else change.ref.name
        groups.setdefault((change.action, change.ref.kind, name, because, fields), []).append(change)
    kept = [group for group in groups.values() if len(group) > _MOST_ALIKE]
    folded = {id(change) for group in kept for change in group}
    singles = [[change] for change in changes if id(change) not in folded]
    return [*kept, *singles]


def _reason(change: Change) -> str:
    """Why, without the file that says so."""
    if change.action is Action.CREATE:
        return ""
    return change.because.partition(change.origin.path)[0] if change.origin else change.because


def _field_lines(change: Change) -> Iterator[str]:
    for field in change.fields:
        yield f"    {field.path}: {_shown(field.before)} -> {_shown(field.after)}"


def _shown(value: object) -> str:
    return "(absent)" if value is None else json.dumps(value, ensure_ascii=False, sort_keys=True)


def _outcome_lines(report: Report) -> Iterator[str]:
    for outcome in report.outcomes:
        if outcome.error:
            yield f"{outcome.result} {outcome.change.ref}: {outcome.error}"
    if report.interrupted:
        yield "interrupted: what was in flight was finished; run again to go on"


# ------------------------------------------------------------------------------------------------ json


def as_json(report: Report) -> dict[str, Any]:
    """The whole run as plain values; ``version`` says which shape."""
    plan = report.plan
    outcomes = {outcome.change.ref: outcome for outcome in report.outcomes}
    return {
        "version": JSON_VERSION,
        "cluster": plan.cluster,
        "commit": plan.commit,
        "digest": plan.digest,
        "live": plan.live,
        "disrupted": list(plan.disrupted),
        "restored": list(plan.restored),
        "disruption": plan.disruption,
        "projects": plan.projects,
        "unchanged": plan.unchanged,
        "effects": [_effect_data(effect) for effect in plan.effects],
        "refusals": [{"text": r.text, "wayOut": r.way_out, "project": r.project} for r in report.verdict.refusals],
        "notices": list(report.verdict.notices),
        "unlisted": list(plan.unlisted),
        "changes": [_change_data(change, outcomes.get(change.ref)) for change in plan.changes],
        "applied": report.applied,
        "interrupted": report.interrupted,
    }


def _effect_data(effect: Effect) -> dict[str, Any]:
    return {
        "kind": str(effect.kind),
        "text": str(effect),
        "project": effect.project,
        "weight": str(effect.weight),
        "people": list(effect.people),
        "counts": dict(effect.counts),
    }


def _change_data(change: Change, outcome: Outcome | None) -> dict[str, Any]:
    ref = change.ref
    data: dict[str, Any] = {
        "action": str(change.action),
        "group": ref.group,
        "kind": ref.kind,
        "namespace": ref.namespace,
        "name": ref.name,
        "project": change.project,
        "because": change.because,
        "origin": str(change.origin) if change.origin else "",
        "fields": [{"path": f.path, "before": f.before, "after": f.after} for f in change.fields],
    }
    return data if outcome is None else data | {"result": str(outcome.result), "error": outcome.error}


# ------------------------------------------------------------------------------------------------ markdown


def as_markdown(report: Report) -> str:
    """For a comment on a pull request: totals first, never longer than GitHub takes."""
    text = as_text(report)
    head = f"**{_escaped(summary(report))}**\n\n"
    body = "\n".join(f"    {line}" for line in text.splitlines()[:-1])  # indented code: nothing in it is markdown
    if len(head) + len(body) <= MARKDOWN_LIMIT:
        return head + body
    cut = body[: MARKDOWN_LIMIT - len(head) - 100].rpartition("\n")[0]
    return f"{head}{cut}\n\n(cut: {len(body) - len(cut)} more characters; run `jobq plan` to see them)"


def _escaped(text: str) -> str:
    return "".join(f"\\{character}" if character in r"\`*_{}[]<>()#+!|@" else character for character in text)
