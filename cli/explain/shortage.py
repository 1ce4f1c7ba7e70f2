"""What is short, how much of it is free, and the largest request that would start now or ever, in words."""

from collections.abc import Mapping, Sequence
from decimal import Decimal

from cli.explain import indexes, words
from cli.explain.evidence import Evidence
from cli.fit import requests
from cli.fit import words as amounts
from cli.fit.cohort import Room
from cli.fit.judge import PODS, Choice, Never, Queue, Try
from cli.fit.requests import PodSet
from reconciler.kinds import JOB

_ZERO = Decimal(0)


def needs(queue: Queue, choices: Sequence[Choice]) -> str:
    """``needs 4 nvidia.com/gpu in a100, 2 of 4 are free``: only what is short, in each flavor that could be."""
    names = ["", *(choice.pods.name for choice in choices)]
    return ", and ".join(
        f"{_who(choice) if not before or before != choice.pods.name else ''}{_needed(queue, choice)}"
        for before, choice in zip(names, choices, strict=False)
    )


def _who(choice: Choice) -> str:
    if _is_sum(choice):
        return "its pods together need "
    return f"its pods {choice.pods.name} need " if choice.pods.name not in {"", "main"} else "needs "


def _is_sum(choice: Choice) -> bool:
    """Whether what is asked for is that of earlier pod sets too."""
    own = choice.pods.all()
    return any(amount != own.get(resource) for one in choice.suiting for resource, amount in one.asked.items())


def _needed(queue: Queue, choice: Choice) -> str:
    tries = choice.suiting
    short = lacking(queue, tries)
    pods = choice.pods
    asked = words.listed([amounts.named(resource, _most_asked(tries, resource)) for resource in short])
    whose = next(filter(None, (for_whom(pods, resource) for resource in short)), "")
    each = ""
    if pods.count > 1 and short != [PODS] and not _is_sum(choice):
        ones = words.listed([f"{amounts.amount(one, pods.one.get(one, _ZERO))} each" for one in short[:1]])
        each = f" ({pods.count} at a time, {ones})"
    if len(tries) == 1:
        one = tries[0]
        told = "; ".join(
            _free(queue.rooms[one.flavor, resource], resource, named=bool(short[1:])) for resource in short
        )
        cohort = any(queue.rooms[one.flavor, resource].shared for resource in short)
        return f"{asked} in {one.flavor}{whose}{each}{';' if cohort else ','} {told}{_enough(queue, one, short)}"
    frees = [f"{_free_there(queue, one, named=bool(short[1:]))} free in {one.flavor}" for one in tries]
    return f"{asked}{whose}{each}; {', '.join(frees)}"


def for_whom(pods: PodSet, resource: str) -> str:
    """`` for its init container fetch``, where that asks for more than all that runs later; or nothing."""
    name = requests.init_container(pods.pod, resource)
    return f" for its init container {name}" if name else ""


def lacking(queue: Queue, tries: Sequence[Try]) -> Sequence[str]:
    """The resources that are short, in any of these flavors: devices first."""
    found = {resource for one in tries for resource in one.beyond(queue, lambda room: room.free)}
    return sorted(found, key=lambda resource: ("/" not in resource, resource))


def way_out(evidence: Evidence, queue: Queue, choices: Sequence[Choice]) -> str:
    """What would start now, or else to wait."""
    place, choice = evidence.place, choices[0]
    look = (
        f"; `{evidence.command('queue')}` shows who is ahead"
        if place and max(place.here, place.overall or 0) > 1
        else ""
    )
    if queue.strict:
        return f"Wait: a job submitted anew, however small, goes to the end of the queue{look}."
    if choices[1:]:
        return f"Wait{look}."  # what is free of one isn't enough
    best = max(choice.suiting, key=lambda one: _share(queue, one))
    short = best.beyond(queue, lambda room: room.free)
    free = {resource: max(queue.rooms[best.flavor, resource].free or _ZERO, _ZERO) for resource in short}
    at_once = min(
        (int(value // choice.pods.one[key]) for key, value in free.items() if choice.pods.one.get(key)), default=0
    )
    where = f" to start in {best.flavor} now" if len(choice.suiting) > 1 else ""
    if choice.pods.count > 1 and at_once:
        return f"{_fewer(evidence, at_once, free)}{where or ' to start now'}, or wait{look}."
    sizes = {key: amounts.whole(key, value / max(choice.pods.count, 1)) for key, value in free.items()}
    if not all(sizes.values()):
        return f"Wait{look}."
    smaller_ = words.listed([amounts.plainly(key, sizes[key]) for key in sorted(sizes)])
    if look or where:
        return f"Wait, or ask for {smaller_}{where}{look}."
    most = "at most " if any("/" not in key for key in sizes) else ""
    return f"Ask for {most}{smaller_}{_a_pod(choice)} to start now, or wait."


def smaller(evidence: Evidence, never: Never) -> str:
    """``submit with at most 4 GPUs``, or with fewer pods at a time."""
    resource, pods = never.resource, never.pods
    if pods.count > 1 and never.at_once:
        if evidence.kind != JOB.kind or never.others:
            many = f"{never.at_once} pod{'s' if never.at_once > 1 else ''}"
            return f"submit with at most {many}{f' in {pods.name}' if never.others else ''}"
        fewer = indexes.option(evidence.job, never.at_once)
        return f"submit with at most {never.at_once} at a time{f' ({fewer})' if fewer else ''}"
    size = amounts.whole(resource, never.each)
    if not size and (alone := amounts.whole(resource, never.most)):
        return f"submit with one pod at a time, and at most {amounts.plainly(resource, alone)} in it"
    if not size:
        return f"submit without {amounts.plural(resource)}, or use a project whose queue has them"
    per = " per pod" if pods.count > 1 else ""
    return f"submit with at most {amounts.plainly(resource, size)}{per}"


def _fewer(evidence: Evidence, at_once: int, free: Mapping[str, Decimal]) -> str:
    """Only a Job can have its pods after one another."""
    if evidence.kind != JOB.kind:
        sizes = [amounts.plainly(key, amounts.whole(key, free[key])) for key in sorted(free)]
        return f"Make it fit into {words.listed(sizes)}"
    array = indexes.option(evidence.job, at_once)
    return f"Resubmit with {array}" if array else f"Ask for {at_once} pod{'s' if at_once > 1 else ''} at a time"


def _a_pod(choice: Choice) -> str:
    return " per pod" if choice.pods.count > 1 else ""


def _free(room: Room, resource: str, *, named: bool) -> str:
    """``2 of 4 are free``, or what is free of the own quota and what could be borrowed."""
    what = f" {resource}" if named else ""
    if room.shared:
        left, more = room.own or _ZERO, amounts.amount(resource, room.borrowable)
        return f"{amounts.amount(resource, left)}{what} of your own {_is(left)} free, {more} can be borrowed now"
    left = room.free or _ZERO
    free = max(left, _ZERO)
    return f"{amounts.amount(resource, free)} of {amounts.amount(resource, room.nominal)}{what} {_is(free)} free"


def _free_there(queue: Queue, one: Try, *, named: bool) -> str:
    """``1 of 4``, or ``1 of 4 nvidia.com/gpu and 2 of 16 cpu``: of what is short in one of several flavors."""
    told = []
    for resource in lacking(queue, [one]):
        room = queue.rooms[one.flavor, resource]
        most = room.nominal if room.most is None else room.most
        free = amounts.amount(resource, max(room.free or _ZERO, _ZERO))
        told.append(f"{free} of {amounts.amount(resource, most)}{f' {resource}' if named else ''}")
    return words.listed(told)


def _is(value: Decimal) -> str:
    return "is" if value == 1 else "are"


def _enough(queue: Queue, one: Try, short: Sequence[str]) -> str:
    """``(GPUs are free)``: what people look at first, where it isn't what is short."""
    devices = [resource for resource in one.asked if resource.endswith("/gpu") and resource not in short]
    there = [name for name in devices if (queue.rooms[one.flavor, name].free or _ZERO) >= one.asked[name]]
    return f" ({words.listed([amounts.plural(name) for name in there])} are free)" if there else ""


def _most_asked(tries: Sequence[Try], resource: str) -> Decimal:
    return max((one.asked.get(resource, _ZERO) for one in tries), default=_ZERO)


def _share(queue: Queue, one: Try) -> Decimal:
    """How much of what is asked for is free, at its scarcest."""
    rooms: Mapping[str, Room] = {resource: queue.rooms[one.flavor, resource] for resource in one.asked}
    shares = [(rooms[key].free or _ZERO) / amount for key, amount in one.asked.items() if amount]
    return min(shares, default=_ZERO)
