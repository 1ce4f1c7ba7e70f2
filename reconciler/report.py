"""A run in words for people (text), for programs (json) and for a pull request (markdown)."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from reconciler.model import Problem
from reconciler.planned import Action, Change, Effect, EffectKind, Outcome, Plan, Report, Result, Verdict, Weight
from reconciler.planning.folding import fold_changes, fold_effects, totals_of, totals_text
from reconciler.wording import counted

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
_LONGEST = 300
"""Characters of a value that are shown; JSON has all of them."""


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
    lines = [*_total_lines(plan), *_effect_lines(plan), *_refusal_lines(report.verdict), *_change_lines(plan.changes)]
    lines += _outcome_lines(report) if report.applied else []
    return "\n".join([*lines, summary(report)])


def summary(report: Report) -> str:
    """The last line: the totals of what was done, or would be."""
    plan = report.plan
    where = f"{counted(plan.projects, 'project')} on {plan.cluster}"
    refused = len(report.verdict.skipped)
    held = sum(refusal.only != "" for refusal in report.verdict.refusals)
    parts = [*_totals(report), f"{plan.unchanged} unchanged"]
    on_hold = _on_hold(plan)
    counts = ((refused, "refused"), (held, "held back"), (on_hold, "on hold"))
    parts += [f"{number} {word}" for number, word in counts if number]
    whole = "refused, so nothing is written: " if report.verdict.refused else ""
    return f"{where}: {whole}{', '.join(parts)}"


def _totals(report: Report) -> list[str]:
    if report.applied:
        done = Counter(outcome.result for outcome in report.outcomes)
        totals = [f"{done[result]} {result}" for result in Result if done[result]]
    else:
        planned = Counter(change.action for change in report.plan.changes)
        totals = [f"{planned[action]} {_VERBS[action]}" for action in Action if planned[action]]
    return totals or ([] if report.verdict.refusals or _on_hold(report.plan) else ["in sync"])


def _on_hold(plan: Plan) -> int:
    return sum((effect.kind, effect.weight) == (EffectKind.HELD, Weight.WARNING) for effect in plan.effects)


def _total_lines(plan: Plan) -> Iterator[str]:
    if text := totals_text(plan):
        yield _line(text)
        yield ""


def _line(text: str) -> str:
    """A text as one line that no terminal obeys."""
    return "".join(character if character.isprintable() else " " for character in text)


def _effect_lines(plan: Plan) -> Iterator[str]:
    marks = {Weight.DISRUPTIVE: "!", Weight.WARNING: "warning:", Weight.INFO: " "}
    for weight, text, way_out in fold_effects(plan.effects):
        yield _line(f"{marks[weight]} {text}")
        yield from _way_out(way_out)
    if plan.effects:
        yield ""


def _refusal_lines(verdict: Verdict) -> Iterator[str]:
    for refusal in verdict.refusals:
        place = f"{refusal.project}: " if refusal.only else ""
        yield _line(f"refused: {place}{refusal.text}")
        yield from _way_out(refusal.way_out)
    for notice in verdict.notices:
        yield f"note: {notice}"
    if verdict.refusals or verdict.notices:
        yield ""


def _way_out(text: str) -> Iterator[str]:
    if text:
        yield _line(f"  way out: {text}")


def _change_lines(changes: Sequence[Change]) -> Iterator[str]:
    """Object by object; changes that are alike in many projects are folded into one line."""
    for alike in fold_changes(changes):
        first = alike.example
        own = "" if alike.same else ", each with values of its own"
        many = f"{alike.number:,} x {first.ref.kind}{own}, for example " if alike.number > 1 else ""
        yield _line(f"{_SIGNS[first.action]} {many}{first.ref}: {first.because}")
        yield from _field_lines(first)
    if changes:
        yield ""


def _field_lines(change: Change) -> Iterator[str]:
    for field in change.fields:
        yield _line(f"    {field.path}: {_shown(field.before)} -> {_shown(field.after)}")


def _shown(value: object) -> str:
    text = "(absent)" if value is None else json.dumps(value, ensure_ascii=False, sort_keys=True)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}... ({len(text):,} characters)"


def _outcome_lines(report: Report) -> Iterator[str]:
    for outcome in report.outcomes:
        if outcome.error:
            yield _line(f"{outcome.result} {outcome.change.ref}: {outcome.error}")
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
        "totals": _totals_data(plan),
        "effects": [_effect_data(effect) for effect in plan.effects],
        "refusals": [
            {"text": refusal.text, "wayOut": refusal.way_out, "project": refusal.project, "only": refusal.only}
            for refusal in report.verdict.refusals
        ],
        "notices": list(report.verdict.notices),
        "unlisted": list(plan.unlisted),
        "changes": [_change_data(change, outcomes.get(change.ref)) for change in plan.changes],
        "applied": report.applied,
        "interrupted": report.interrupted,
    }


def _totals_data(plan: Plan) -> dict[str, int]:
    totals = totals_of(plan)
    return {
        "lose": totals.lose,
        "gain": totals.gain,
        "limitsBelowUse": totals.limits_below_use,
        "disrupted": totals.disrupted,
    }


def _effect_data(effect: Effect) -> dict[str, Any]:
    return {
        "kind": str(effect.kind),
        "text": str(effect),
        "project": effect.project,
        "weight": str(effect.weight),
        "people": list(effect.people),
        "counts": dict(effect.counts),
        "objects": [str(ref) for ref in effect.refs],
        "wayOut": effect.way_out,
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
        "fields": [
            {"path": field.path, "before": field.before, "after": field.after, "takenFrom": field.taken_from}
            for field in change.fields
        ],
        "left": list(change.left),
    }
    return data if outcome is None else data | {"result": str(outcome.result), "error": outcome.error}


# ------------------------------------------------------------------------------------------------ markdown


def as_markdown(report: Report) -> str:
    """For a comment on a pull request: totals first, never longer than GitHub takes.

    All that comes from files and cluster stands in indented code, where nothing is markup, link or mention.
    """
    plan = report.plan
    head = f"**{_escaped(summary(report))}**"
    meaning = [*_total_lines(plan), *_effect_lines(plan), *_refusal_lines(report.verdict)]
    meaning += _outcome_lines(report) if report.applied else []
    changes = list(_change_lines(plan.changes))
    title = f"<details><summary>{len(plan.changes):,} object{'s' * (len(plan.changes) != 1)}</summary>"
    room = MARKDOWN_LIMIT - len(head) - len(title) - 200
    first, cut = _code(meaning, room)
    second, cut_too = _code(changes, room - len(first))
    sections = [head, first, f"{title}\n\n{second}\n\n</details>" if second else ""]
    if cut or cut_too:
        sections.append(f"(cut: {cut + cut_too:,} more lines; `jobq plan` shows them)")
    return "\n\n".join(section for section in sections if section)


def _code(lines: Sequence[str], room: int) -> tuple[str, int]:
    """Lines as indented code, as many as there is room for, and how many are left out."""
    said: list[str] = []
    for place, line in enumerate(lines):
        text = f"    {line}\n" if line else "\n"
        room -= len(text)
        if room < 0:
            return "".join(said).rstrip("\n"), len(lines) - place
        said.append(text)
    return "".join(said).rstrip("\n"), 0


def _escaped(text: str) -> str:
    return "".join(f"\\{character}" if character in r"\`*_{}[]<>()#+!|@" else character for character in text)
