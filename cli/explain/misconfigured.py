"""The job that can't start as things are set up: its queue, its namespace, its limits, its resources, its nodes."""

import re
from collections.abc import Sequence

from cli import parts
from cli.explain import words
from cli.explain.answer import Answer, Code
from cli.explain.evidence import QUEUE_LABEL, Evidence
from cli.fit import judge, limits
from cli.fit import words as amounts
from cli.fit.judge import Queue
from cli.fit.limits import Beyond
from cli.fit.requests import PodSet
from reconciler.selectors import said, selects

_CLAIMED = re.compile(r"resource claims|ResourceClaim|DeviceClass|\bDRA\b")
_BROKEN = {"", "Ready", "Stopped"}
_NOT_SELECTED = "namespace doesn't match ClusterQueue selector"


def misconfigured(evidence: Evidence) -> Answer | None:
    """What is wrong with the queues, before any quota is counted."""
    return queue_missing(evidence) or _cluster_queue(evidence) or _not_selected(evidence) or _limits(evidence)


def impossible(evidence: Evidence, queue: Queue) -> Answer | None:
    """What the queue doesn't have at all, or has on no nodes that the job may use."""
    return _uncovered(evidence, queue) or _no_flavor(evidence, queue)


def queue_missing(evidence: Evidence) -> Answer | None:
    """The LocalQueue that the job names isn't there."""
    name = evidence.queue
    there = None if evidence.local_queues is None else [parts.name(one) for one in evidence.local_queues]
    said = evidence.said_of_queue
    absent = name not in there if there is not None else said.gone and (said.kind, said.name) == ("LocalQueue", name)
    if going := parts.instant(evidence.local_queue, "metadata", "deletionTimestamp"):
        sentence = f"Can't start: the project's queue {name} is being deleted{words.since(going, evidence)}."
        action = "Tell the admins; nothing in the job needs to change."
        return Answer(Code.QUEUE_MISSING, sentence, action, "its queue is being deleted")
    if not name or not absent or evidence.local_queue:
        return None
    others = [one for one in there or () if one != name]
    queues = f"; its queue is {others[0]}" if len(others) == 1 else f"; it has {', '.join(others)}" if others else ""
    return Answer(
        Code.QUEUE_MISSING,
        f"Can't start: there is no queue {name} in this project{queues}.",
        f"Delete it and submit it through jobq, which knows the queue; or set its label {QUEUE_LABEL} to {others[0]}."
        if others
        else f"Tell the admins that there is no queue {name}, or give the job another by its label {QUEUE_LABEL}."
        if there is None
        else "Tell the admins: the project's queue is gone; nothing in the job needs to change.",
        f"no queue {name}",
    )


def _cluster_queue(evidence: Evidence) -> Answer | None:
    local = parts.condition(evidence.local_queue, "Active")
    missing = parts.text(local, "reason") == "ClusterQueueDoesNotExist" and parts.text(local, "status") == "False"
    said = evidence.said_of_queue
    absent = said.kind == "ClusterQueue" and said.gone
    if not evidence.cluster_queue and (missing or absent):
        name = evidence.cluster_queue_name or said.name
        return Answer(
            Code.CLUSTER_QUEUE_MISSING,
            f"Can't start: the project's queue points to the ClusterQueue {name}, which does not exist.",
            "Tell the admins; nothing in the job needs to change.",
            f"no ClusterQueue {name}",
        )
    active = parts.condition(evidence.cluster_queue, "Active")
    reason = parts.text(active, "reason")
    if parts.text(active, "status") != "False" or reason in _BROKEN:
        return None
    why = words.plain(parts.text(active, "message").split(":", 1)[-1].split(";", 1)[-1].strip()) or reason
    name = evidence.cluster_queue_name
    return Answer(
        Code.CLUSTER_QUEUE_BROKEN,
        f"Can't start: the cluster's queue {name} takes no jobs, something is wrong with it ({reason}): {why}.",
        "Tell the admins; nothing in the job needs to change.",
    )


def _not_selected(evidence: Evidence) -> Answer | None:
    selector = parts.mapping(evidence.cluster_queue, "spec").get("namespaceSelector")
    judged = bool(evidence.namespace) and isinstance(selector, dict)
    refused = judged and not _selects(selector, parts.pairs(evidence.namespace, "metadata", "labels"))
    if not refused and (judged or _NOT_SELECTED not in evidence.message):
        return None
    name = evidence.cluster_queue_name
    wanted = said(selector) if refused and isinstance(selector, dict) else f"jobq.io/cluster-queue={name or 'QUEUE'}"
    queue = f"the ClusterQueue {name}" if name else "its ClusterQueue"
    return Answer(
        Code.NAMESPACE_NOT_SELECTED,
        f"Can't start: {queue} does not accept this project's namespace.",
        f"Tell the admins: the namespace needs the label {wanted}.",
    )


def _selects(selector: object, labels: parts.Json) -> bool:
    """Whether it does; a selector that nobody could have written refuses nothing."""
    try:
        return isinstance(selector, dict) and selects(selector, dict(labels))
    except (KeyError, TypeError, AttributeError):
        return True


def _limits(evidence: Evidence) -> Answer | None:
    """The project's LimitRange against each container and each pod."""
    for pods in evidence.pod_sets if evidence.limit_ranges else ():
        if found := limits.beyond(pods.pod, evidence.limit_ranges):
            return _limited(found)
    if "LimitRange" in evidence.message:
        what = words.plain(evidence.message.split("constraints: ", 1)[-1])
        return Answer(
            Code.LIMIT_RANGE_EXCEEDED,
            f"Can never start: its requests break the project's limits: {what}.",
            "Delete it and submit with amounts within the limits (a maintainer knows the project's `limits`).",
        )
    if "requests must not exceed" in evidence.message or "resources validation failed" in evidence.message.lower():
        sentence = f"Can never start: its resources are not valid: {words.plain(evidence.message)}."
        return Answer(Code.INVALID_RESOURCES, sentence, "Delete it and submit with requests no larger than limits.")
    if _CLAIMED.search(evidence.message):
        sentence = f"Can't start: Kueue can't count the devices that it claims: {words.plain(evidence.message)}."
        return Answer(Code.INVALID_RESOURCES, sentence, "Submit without resource claims, or ask the admins.")
    return None


def _limited(found: Beyond) -> Answer:
    border = amounts.amount(found.resource, found.border)
    verb = "allows" if found.at == "most" else "wants"
    return Answer(
        Code.LIMIT_RANGE_EXCEEDED,
        f"Can never start: the project {verb} at {found.at} {border} {found.resource} per {found.noun}, "
        f"the job asks for {amounts.amount(found.resource, found.asked)}.",
        f"Delete it and submit with at {found.at} {border}.",
    )


def _uncovered(evidence: Evidence, queue: Queue) -> Answer | None:
    lacking = judge.uncovered(queue, evidence.pod_sets) if queue.groups else []
    if not lacking:
        return None
    there = [name for name in queue.resources if name != judge.PODS]
    names = words.listed(lacking)
    without = words.listed([amounts.plural(name) for name in lacking])
    return Answer(
        Code.RESOURCE_NOT_IN_QUEUE,
        f"Can never start: this project's queue has no {names} at all (it has {', '.join(there) or 'nothing'}).",
        f"Delete it and submit without {without}, or use a project whose queue has them.",
        f"no {names} in its queue",
    )


def _no_flavor(evidence: Evidence, queue: Queue) -> Answer | None:
    choice = judge.unsuited(queue, evidence.pod_sets)
    if choice is None:
        return None
    selector = parts.pairs(choice.pods.pod, "nodeSelector")
    wanted = ", ".join(f"{key}={value}" for key, value in selector.items())
    tries = choice.tries
    tainted = ["tainted" in one.mismatch for one in tries]
    taints = all(tainted) or (any(tainted) and not wanted and not parts.mapping(choice.pods.pod, "affinity"))
    topology = all("topology" in one.mismatch for one in tries)
    if len(tries) == 1:
        only = f"the {'queue' + chr(39) + 's ' if wanted and not taints else ''}only flavor ({tries[0].flavor}) "
        which = only + tries[0].mismatch.split(", the job wants")[0]
    else:
        which = "no flavor of the queue takes it: " + "; ".join(f"{one.flavor} {one.mismatch}" for one in tries)
    nodes = f"the job wants nodes with {wanted}, " if wanted and not taints and not topology else ""
    action = (
        _topology_action(choice.pods, levels="level" in tries[0].mismatch)
        if topology
        else _flavor_action(wanted, queue, taints=taints)
    )
    return Answer(Code.NO_MATCHING_FLAVOR, f"Can never start: {nodes}{which}.", action)


def _topology_action(pods: PodSet, *, levels: bool) -> str:
    if levels:
        return "Delete it and submit with a level that the topology has: the admins know which."
    annotated = "with the annotation kueue.x-k8s.io/podset-preferred-topology on its pods"
    how = "without asking for a topology" if pods.topological else annotated
    return f"Delete it and submit {how}, or ask the admins for another queue."


def _flavor_action(wanted: str, queue: Queue, *, taints: bool) -> str:
    if taints:
        return "Add the toleration, or ask the admins for another queue."
    keys = {pair.split("=", 1)[0] for pair in wanted.split(", ")}
    there = _labels(queue, keys)
    instead = f", or with {' or '.join(there)}" if there else ""
    return f"Delete it and submit without that {'node selector' if wanted else 'node affinity'}{instead}."


def _labels(queue: Queue, keys: set[str]) -> Sequence[str]:
    found = [
        f"{key}={value}"
        for body in queue.flavors.values()
        for key, value in parts.pairs(body, "spec", "nodeLabels").items()
        if key in keys
    ]
    return sorted(set(found))
