"""A plan of a thousand projects on a page: equal effects and equal changes as one, and the totals."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from reconciler.model import SOURCE_ANNOTATION
from reconciler.planned import Change, Effect, EffectKind, Plan, Weight, sentence
from reconciler.wording import counted, shortened

MOST_ALIKE = 3
"""Equal changes or effects beyond this many are folded into one line."""
MOST_SIMILAR = 10
"""So many changes of the same fields are told one by one where each writes values of its own."""
MOST_PEOPLE = 10
"""People are named one by one up to this many; beyond, some of them for all."""


@dataclass(frozen=True, slots=True)
class Totals:
    """Whom a plan concerns, each counted once: people and groups by name, limits and projects."""

    lose: int
    gain: int
    limits_below_use: int
    disrupted: int


def totals_of(plan: Plan) -> Totals:
    """Counted over all effects; an expiry is no loss by this plan."""
    lose = {who for effect in plan.effects if effect.kind is EffectKind.LOST for who in effect.people}
    gain = {who for effect in plan.effects if effect.kind is EffectKind.GAINED for who in effect.people}
    below = sum(effect.kind is EffectKind.LIMIT_BELOW_USE for effect in plan.effects)
    return Totals(len(lose), len(gain), below, len(plan.disrupted))


def totals_text(plan: Plan) -> str:
    """The totals in words; ``""`` where nobody is concerned."""
    totals = totals_of(plan)
    said = [
        f"{_people(totals.lose, 'lose')} a right" if totals.lose else "",
        f"{_people(totals.gain, 'gain')} a right" if totals.gain else "",
        f"{counted(totals.limits_below_use, 'limit')} below use" if totals.limits_below_use else "",
        f"{counted(totals.disrupted, 'project')} disrupted: {shortened(plan.disrupted, 3)}" if totals.disrupted else "",
    ]
    return "; ".join(part for part in said if part)


def _people(count: int, verb: str) -> str:
    return f"1 person or group {verb}s" if count == 1 else f"{count:,} people or groups {verb}"


class Line(NamedTuple):
    """One effect in words, or many as one; then the way out is that of the first."""

    weight: Weight
    text: str
    way_out: str = ""


def fold_effects(effects: Iterable[Effect]) -> list[Line]:
    """Each effect in words with its weight; equal ones of many projects, or of many people, are one line."""
    return [line for alike in _grouped(effects) for line in _lines(alike)]


def _grouped(effects: Iterable[Effect], *, people: bool = False) -> list[list[Effect]]:
    """Those that differ in nothing but the project (and the people), by first appearance."""
    groups: dict[tuple[object, ...], list[Effect]] = {}
    for effect in effects:
        whom = tuple(effect.people) if people else ()
        groups.setdefault((effect.weight, effect.kind, effect.text, whom), []).append(effect)
    return list(groups.values())


def _lines(alike: Sequence[Effect]) -> list[Line]:
    """What the same people meet in many projects is one line, and so is what meets too many people to name them."""
    of_some = _grouped(alike, people=True)
    folded = [group for group in of_some if len(group) > MOST_ALIKE]
    rest = [effect for group in of_some if len(group) <= MOST_ALIKE for effect in group]
    if len(rest) > MOST_PEOPLE:
        folded, rest = [*folded, rest], []
    return [*map(_as_one, folded), *(Line(effect.weight, str(effect), effect.way_out) for effect in rest)]


def _as_one(group: Sequence[Effect]) -> Line:
    first = group[0]
    projects = list(dict.fromkeys(effect.project for effect in group if effect.project))
    people = list(dict.fromkeys(who for effect in group for who in effect.people))
    counts: dict[str, int] = {}
    for effect in group:
        for what, number in effect.counts.items():
            counts[what] = counts.get(what, 0) + number
    way_out = first.way_out and f"for example {first.way_out}" if len(projects) > 1 else first.way_out
    return Line(first.weight, sentence(first.kind, first.text, projects, people, counts), way_out)


@dataclass(frozen=True, slots=True)
class Alike:
    """Changes that are told as one: the first of them, how many, and whether they write the same values."""

    example: Change
    number: int
    same: bool = True


def fold_changes(changes: Sequence[Change]) -> list[Alike]:
    """Changes of one kind that do the same for the same reason, whatever file asks for it, by first appearance.

    Many that differ in values alone are one as well.
    """
    equal = _like(changes, _fields)
    folded = [Alike(group[0], len(group)) for group in equal if len(group) > MOST_ALIKE]
    rest = [change for group in equal if len(group) <= MOST_ALIKE for change in group]
    similar = _like(rest, _paths)
    folded += [Alike(group[0], len(group), same=False) for group in similar if len(group) > MOST_SIMILAR]
    single = {id(change) for group in similar if len(group) <= MOST_SIMILAR for change in group}
    return [*folded, *(Alike(change, 1) for change in changes if id(change) in single)]


def _like(changes: Iterable[Change], seen: Callable[[Change], object]) -> list[list[Change]]:
    groups: dict[tuple[object, ...], list[Change]] = {}
    for change in changes:
        name = "" if change.ref.name == change.project else change.ref.name
        groups.setdefault((change.action, change.ref.kind, name, _reason(change), seen(change)), []).append(change)
    return list(groups.values())


def _reason(change: Change) -> str:
    """Why, without the file that says so: it is another one for each project."""
    return change.because.partition(change.origin.path)[0] if change.origin else change.because


def _fields(change: Change) -> tuple[tuple[str, str, str], ...]:
    """What changes, without the note of which file it comes from."""
    fields = (field for field in change.fields if SOURCE_ANNOTATION not in field.path)
    return tuple((field.path, repr(field.before), repr(field.after)) for field in fields)


def _paths(change: Change) -> tuple[str, ...]:
    return tuple(field.path for field in change.fields)
