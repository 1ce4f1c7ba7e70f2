"""The job that was stopped for another, and the priority that stops nobody."""

import re
from decimal import Decimal

from cli import parts
from cli.explain import words
from cli.explain.answer import Answer, Code
from cli.explain.evidence import Evidence
from cli.fit import words as amounts
from cli.fit.cohort import cohort_of, parent_of, quotas, usage
from cli.fit.judge import Choice, Queue
from cli.parts import Json

_UID = re.compile(r"UID: ([0-9a-fA-F-]+)")
_JOB_UID = re.compile(r"JobUID: ([0-9a-fA-F-]+)")
_RECLAIMED = {
    "InCohortReclamation": "its owner took back quota that was borrowed",
    "InCohortReclaimWhileBorrowing": "the cohort gave the borrowed quota to a job with higher priority",
    "InCohortFairSharing": "the cohort shares fairly, and it was another queue's turn",
}
_ENDING = "; its pods are being stopped, then it waits again"
_BORROWED = "Wait; what is borrowed can be taken back at any time, so save checkpoints."
_ZERO = Decimal(0)


def preempted(evidence: Evidence, shortfall: str) -> Answer:
    """Stopped to make room, and waiting again."""
    when = words.at(parts.instant(evidence.eviction, "lastTransitionTime"), evidence)
    other, name = preemptor(evidence), ""
    if other:
        name = _job_of(other)
        ranked = _class_of(other)
        who = f"{name}{f' (priority {ranked})' if ranked else ''} of this project"
    else:
        who = "another job" if evidence.others is None else "a job of another project"
    why = _RECLAIMED.get(parts.text(parts.condition(evidence.workload, "Preempted"), "reason"), "")
    again = f"; waiting again{f': {shortfall}' if shortfall else ''}" if not evidence.reserved else _ENDING
    reason = f" ({why})" if why else ""
    out = _way_out(evidence, other) if not why or "priority" in why else _BORROWED
    return Answer(Code.PREEMPTED_WAITING, f"Stopped{when} to make room for {who}{reason}{again}.", out)


def preemptor(evidence: Evidence) -> Json:
    """The Workload that took its place, where it is one of this project's."""
    message = parts.text(evidence.eviction, "message") or parts.text(
        parts.condition(evidence.workload, "Preempted"), "message"
    )
    uids = {match[1] for match in (_UID.search(message), _JOB_UID.search(message)) if match}
    for one in evidence.others or ():
        owners = {parts.text(owner, "uid") for owner in parts.items(one, "metadata", "ownerReferences")}
        if uids & (owners | {parts.text(one, "metadata", "uid")}):
            return one
    return {}


def job_uid(workload: Json) -> str:
    """The uid of the job that a Workload was stopped for; ``""`` where it wasn't, or nobody says."""
    match = _JOB_UID.search(parts.text(parts.condition(workload, "Preempted"), "message"))
    return match[1] if match else ""


def no_help(evidence: Evidence, queue: Queue, choice: Choice) -> str:
    """Why a higher priority doesn't start the job, as a sentence; ``""`` where it has none, or it may well help."""
    values = evidence.classes or {}
    ranked = values.get(evidence.priority)
    if ranked is None or ranked <= min(values.values(), default=ranked):
        return ""
    spec = parts.mapping(evidence.cluster_queue, "spec")
    policies = parts.mapping(spec, "preemption")
    one = choice.suiting[0]
    resource = one.beyond(queue, lambda room: room.free)[0]
    within = parts.text(policies, "withinClusterQueue") or "Never"
    if parts.text(policies, "borrowWithinCohort", "policy") not in {"", "Never"} or _shares_fairly(evidence):
        return ""  # somebody in the cohort may have to go
    room = queue.rooms[one.flavor, resource]
    if within != "Never" and room.used:
        if one.asked[resource] <= room.nominal or not _is_flat(evidence):
            return ""  # or somebody in the own queue
        more = f"more than the {amounts.named(resource, room.nominal)} of {queue.name} itself"
        why = f"it asks for {more}, and a job that has to borrow stops no other"
        return f"Its priority {evidence.priority} does not help: {why}."
    idle = f"nothing in {queue.name} uses {resource}" if within != "Never" else f"{queue.name} stops no job for another"
    return f"Its priority {evidence.priority} does not help: {idle}{_in_cohort(evidence, queue, choice)}."


def _is_flat(evidence: Evidence) -> bool:
    """Whether the queue's cohort has no other above it: in a tree of them a part may take back what is its own."""
    name, tree = cohort_of(evidence.cluster_queue), evidence.tree
    above = [parent_of(one) for one in tree.cohorts if parts.name(one) == name]
    return bool(name) and tree.whole and not any(above)


def _shares_fairly(evidence: Evidence) -> bool:
    """Whether Kueue weighs the queues of the cohort: then it is not priority alone that counts."""
    return bool(parts.mapping(evidence.cluster_queue, "status", "fairSharing"))


def of_whom(evidence: Evidence) -> str:
    """`` with lower priority``: whose place a job may take, as far as its queue's rules say; or nothing."""
    queue = evidence.cluster_queue
    within = parts.text(queue, "spec", "preemption", "withinClusterQueue")
    alone = queue and not cohort_of(queue)
    return " with lower priority" if alone and within == "LowerPriority" else ""


def _in_cohort(evidence: Evidence, queue: Queue, choice: Choice) -> str:
    if not cohort_of(evidence.cluster_queue):
        return ""
    spec = parts.mapping(evidence.cluster_queue, "spec")
    policy = parts.text(spec, "preemption", "reclaimWithinCohort") or "Never"
    if policy == "Never":
        return ", and it takes nothing back from its cohort"
    one = choice.suiting[0]
    for resource, asked in one.asked.items():
        room = queue.rooms[one.flavor, resource]
        if (room.used or _ZERO) + asked > room.nominal:
            own = amounts.named(resource, room.nominal)
            return f", and it can take back only quota of its own: it has {own} of its own in {one.flavor}"
    short = one.beyond(queue, lambda room: room.free)[0]
    if not _borrowers(evidence, (one.flavor, short)):
        return f", and no other queue has borrowed {short}: jobs within their own quota are not stopped"
    return ""


def _borrowers(evidence: Evidence, key: tuple[str, str]) -> bool:
    for other in evidence.tree.queues:
        own = parts.quantity(quotas(other).get(key, {}).get("nominalQuota", "0"))
        if parts.name(other) != parts.name(evidence.cluster_queue) and usage(other).get(key, _ZERO) > own:
            return True
    return False


def _way_out(evidence: Evidence, other: Json) -> str:
    values, allowed = evidence.classes or {}, evidence.allowed
    mine = values.get(evidence.priority, parts.number(evidence.workload, "spec", "priority") or 0)
    goal = parts.number(other, "spec", "priority") or mine + 1
    higher = {
        name: value
        for name, value in values.items()
        if value >= goal and value > mine and (not allowed or name in allowed)
    }
    if not other or not higher:
        return "Wait; save checkpoints so that a restart loses little."
    bump = evidence.command("bump", evidence.name, "--priority", min(higher, key=higher.__getitem__))
    return f"Wait, or raise its priority: `{bump}`."


def _job_of(workload: Json) -> str:
    owners = parts.items(workload, "metadata", "ownerReferences")
    return next((parts.text(one, "name") for one in owners), "") or parts.name(workload)


def _class_of(workload: Json) -> str:
    spec = parts.mapping(workload, "spec")
    return parts.text(spec, "priorityClassRef", "name") or parts.text(spec, "priorityClassName")
