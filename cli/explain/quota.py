"""The job that waits for quota: judged from the ClusterQueue's numbers, and only then from Kueue's message."""

from collections.abc import Sequence
from decimal import Decimal

from cli import parts
from cli.explain import misconfigured, preemption, shortage, words
from cli.explain.answer import Answer, Code
from cli.explain.evidence import Evidence
from cli.explain.messages import Said
from cli.fit import judge
from cli.fit import words as amounts
from cli.fit.judge import Choice, Queue

_ZERO = Decimal(0)
_PASSED_OVER = "Bypassed scheduling evaluation"
_FOR_PODS = {"Waiting", "WaitingForPodsReady"}


def waiting(evidence: Evidence) -> Answer | None:
    """What stands between the job and its quota."""
    if evidence.reserved:
        return None
    said, queue = evidence.said, evidence.capacity
    hopeless_said = None if _is_known(queue) else _never_said(said)
    return hopeless_said or _preempting(evidence, said) or _short(evidence, queue, said)


def hopeless(evidence: Evidence) -> Answer | None:
    """What the queue, as it is, can never give; also to a job that it had admitted before."""
    if evidence.reserved or not evidence.cluster_queue:
        return None
    queue = evidence.capacity
    return misconfigured.impossible(evidence, queue) or _never(evidence, queue)


def shortfall(evidence: Evidence) -> str:
    """``needs 4 nvidia.com/gpu, 0 of 4 are free; 1st in your project``, for a job that waits again; or nothing."""
    said, queue = evidence.said, evidence.capacity
    choices = _lacking(judge.now(queue, evidence.pod_sets))
    text = shortage.needs(queue, choices) if choices else _needs_said(evidence, queue, said)
    return f"{text}{words.place(evidence.place)}" if text else words.place(evidence.place).removeprefix("; ")


def _lacking(choices: Sequence[Choice]) -> Sequence[Choice]:
    return [choice for choice in choices if choice.taken is None and choice.suiting]


def _never(evidence: Evidence, queue: Queue) -> Answer | None:
    found = judge.never(queue, evidence.pod_sets)
    if found is None:
        return None
    resource, pods = found.resource, found.pods
    most = amounts.amount(resource, found.most + found.others)
    asked = f"{amounts.named(resource, found.asked + found.others)}{shortage.for_whom(pods, resource)}"
    many = pods.count > 1 and resource != judge.PODS
    asks = f"{pods.count} pods at once ask for {asked}" if many else f"asks for {asked}"
    asks = f"its pods together ask for {asked}" if found.others else asks
    which = f" in {found.flavor}" if len(queue.groups) > 1 or any(len(one.flavors) > 1 for one in queue.groups) else ""
    sentence = f"Can never start: {asks}, this project's queue has at most {most}{which}."
    return Answer(Code.NEVER_FITS, sentence, f"Delete it and {shortage.smaller(evidence, found)}.")


def _never_said(said: Said) -> Answer | None:
    """The same from Kueue's message, where the queue can't be read."""
    if said.above and not said.lacking:
        resource, flavor, asked, most = said.above[0]
        sentence = f"Can never start: asks for {asked} {resource} in {flavor}, this project's queue has at most {most}."
        plain = amounts.plainly(resource, parts.quantity(most))
        return Answer(Code.NEVER_FITS, sentence, f"Delete it and submit with at most {plain}.")
    if said.unavailable:
        names = words.listed(list(dict.fromkeys(said.unavailable)))
        sentence = f"Can never start: this project's queue has no {names} at all."
        return Answer(
            Code.RESOURCE_NOT_IN_QUEUE, sentence, f"Delete it and submit without {names}.", f"no {names} in its queue"
        )
    if said.refusing and not said.lacking and not said.above:
        flavors = "; ".join(f"{name} {why}" for name, why in said.refusing.items())
        sentence = f"Can never start: no flavor of the queue takes it: {flavors}."
        action = "Delete it and submit with other node selectors or tolerations, or ask the admins."
        return Answer(Code.NO_MATCHING_FLAVOR, sentence, action)
    return None


def _preempting(evidence: Evidence, said: Said) -> Answer | None:
    if not said.making_room and evidence.waiting_reason != "WaitingForPreemptedWorkloads":
        return None
    jobs = f"{said.preempting} job{'s' if said.preempting > 1 else ''}" if said.preempting else "other jobs"
    still = "are" if said.preempting != 1 else "is"
    whose = preemption.of_whom(evidence)
    sentence = f"Starting soon: it takes the place of {jobs}{whose}, which {still} still stopping."
    return Answer(Code.WAITING_FOR_PREEMPTED, sentence, "Wait.")


def _short(evidence: Evidence, queue: Queue, said: Said) -> Answer | None:
    choices = _lacking(judge.now(queue, evidence.pod_sets))
    place = evidence.place
    behind = queue.strict and (place.overall > 1 if place and place.overall else not evidence.message)
    resumed = _resumed(evidence)
    if behind:
        return _behind(evidence, queue, choices)
    if choices:
        free = shortage.needs(queue, choices)
        help_ = preemption.no_help(evidence, queue, choices[0])
        sentence = f"Waiting for quota: {free}{resumed}{words.place(place)}.{f' {help_}' if help_ else ''}"
        scarce = list(dict.fromkeys(one for choice in choices for one in shortage.lacking(queue, choice.suiting)))
        action = shortage.way_out(evidence, queue, choices)
        return Answer(Code.WAITING_FOR_QUOTA, sentence, action, f"waits for {words.listed(scarce)}")
    needs = _needs_said(evidence, queue, said)
    if needs:
        short = words.listed(list(dict.fromkeys(resource for resource, _, _ in said.lacking)))
        sentence = f"Waiting for quota: {needs}{resumed}{words.place(place)}."
        return Answer(Code.WAITING_FOR_QUOTA, sentence, "Wait.", f"waits for {short}")
    if said.places:
        sentence = f"Waiting for nodes: the quota is there, but {said.places}{resumed}{words.place(place)}."
        action = "Wait, or ask for fewer or smaller pods."
        return Answer(Code.WAITING_FOR_QUOTA, sentence, action, "waits for nodes together")
    if evidence.waiting_reason in _FOR_PODS:
        sentence = (
            "Waiting for other jobs to start: Kueue admits one after another here, and the pods of a job that was "
            f"admitted before are not ready yet{resumed}{words.place(place)}."
        )
        action = f"Wait; `{evidence.command('queue')}` shows who is ahead."
        return Answer(Code.WAITING_FOR_QUOTA, sentence, action, "waits for others' pods")
    return _to_be_looked_at(evidence, queue, resumed)


def _behind(evidence: Evidence, queue: Queue, choices: Sequence[Choice]) -> Answer:
    """Where jobs start strictly in order, whatever would fit."""
    ahead = evidence.place.overall - 1 if evidence.place and evidence.place.overall else 0
    jobs = f"{ahead} job{'s are' if ahead > 1 else ' is'} ahead" if ahead else "others are ahead"
    own = f"; it {shortage.needs(queue, choices)}" if choices else "; what it asks for itself would be free"
    return Answer(
        Code.WAITING_BEHIND_HEAD,
        f"Waiting behind the head of the queue: {queue.name} starts jobs strictly in order (StrictFIFO), and {jobs}"
        f"{own}{words.place(evidence.place)}.",
        f"Wait: a smaller job would not start sooner; `{evidence.command('queue')}` shows who is ahead.",
    )


def _to_be_looked_at(evidence: Evidence, queue: Queue, resumed: str) -> Answer | None:
    """Nothing is short by the numbers: Kueue hasn't decided yet, or has its own reason, which is told as it is."""
    message = words.plain(evidence.message)
    if message.startswith(_PASSED_OVER):
        sentence = (
            f"Waiting: Kueue could not place a job just like it a moment ago{resumed}{words.place(evidence.place)}."
        )
        return Answer(Code.WAITING_FOR_QUOTA, sentence, f"Wait; `{evidence.command('queue')}` shows who is ahead.")
    if message and not queue.groups:
        sentence = f"Waiting for quota{resumed}: Kueue says: {message}{words.place(evidence.place)}."
        return Answer(Code.WAITING_FOR_QUOTA, sentence, "Wait; ask the admins if it stays so.")
    room = ": by the queue's numbers there is room" if _is_known(queue) else ""
    told = f" Kueue last said: {message}." if message else ""
    sentence = f"Waiting for Kueue to look at it{room}{resumed}{words.place(evidence.place)}.{told}"
    return Answer(Code.WAITING_FOR_QUOTA, sentence, f"Wait a moment; `{evidence.command('queue')}` shows who is ahead.")


def _is_known(queue: Queue) -> bool:
    """Whether the numbers tell all: the queue's own, and those of its cohort."""
    return bool(queue.groups) and all(None not in {room.free, room.most} for room in queue.rooms.values())


def _needs_said(evidence: Evidence, queue: Queue, said: Said) -> str:
    """What is lacking in Kueue's own words, with what can be read of the own quota."""
    texts = []
    for resource, flavor, more in dict.fromkeys(said.lacking):
        total = sum((pods.all().get(resource, _ZERO) for pods in evidence.pod_sets), _ZERO)
        asked = amounts.named(resource, total) if total else resource
        room = queue.rooms.get((flavor, resource))
        own = "" if room is None or room.own is None else f"{amounts.amount(resource, room.own)} of your own are free, "
        there = "can be borrowed" if room and room.shared else "is free"
        texts.append(f"{asked} in {flavor}; {own}{more} more than {there} now")
    return f"needs {' or '.join(texts)}" if texts else ""


def _resumed(evidence: Evidence) -> str:
    requeued = parts.condition(evidence.workload, "Requeued")
    if parts.text(requeued, "reason") != "Reactivated" or parts.text(requeued, "status") != "True":
        when = words.at(parts.instant(evidence.eviction, "lastTransitionTime"), evidence)
        reason = parts.text(evidence.eviction, "reason")
        return f" (stopped{when}{words.stopped_by(reason)})" if evidence.eviction else ""
    return f" (resumed{words.at(parts.instant(requeued, 'lastTransitionTime'), evidence)})"
