"""The job that Kueue has stopped and queued again: its pods weren't ready in time, or its node was lost."""

from cli import parts
from cli.explain import indexes, pods, scheduling, words
from cli.explain.answer import Answer, Code
from cli.explain.evidence import Evidence


def not_ready(evidence: Evidence, shortfall: str) -> Answer:
    """Stopped since its pods weren't ready within the cluster's limit; what it lacks, where it waits again."""
    message = next(iter(evidence.said_of("Pod", "FailedScheduling")), "") or next(
        filter(None, (scheduling.message_of(pod) for pod in evidence.pods)), ""
    )
    when = words.at(parts.instant(evidence.eviction, "lastTransitionTime"), evidence)
    ran, total = _ran(evidence, message)
    if ran and total:
        only = f"only {ran} of its {total} pods were running within the cluster's limit, so all were stopped"
        pods_ = "pods" if ran > 1 else "pod"
        fewer = indexes.option(evidence.job, ran) or f"{ran} {pods_}"
        action = f"Ask for fewer at a time ({fewer}): the nodes take {ran} such {pods_}."
        return Answer(Code.PODS_READY_TIMEOUT, f"Stopped{when}: {only}; {_again(evidence, shortfall)}.", action)
    why = f" ({_why(evidence, message)})" if message else _trouble(evidence)
    sentence = f"Stopped{when}: its pods were not ready within the cluster's limit{why}; {_again(evidence, shortfall)}."
    return Answer(Code.PODS_READY_TIMEOUT, sentence, _action(evidence, message))


def ending(evidence: Evidence) -> Answer | None:
    """Stopped, and not back in the queue yet: its pods come first."""
    if not evidence.eviction or not evidence.reserved:
        return None
    when = words.at(parts.instant(evidence.eviction, "lastTransitionTime"), evidence)
    why = words.stopped_by(parts.text(evidence.eviction, "reason"))
    sentence = f"Stopped{when}{why}: its pods are ending, then it waits for quota again."
    return Answer(Code.WAITING_FOR_QUOTA, sentence, "Wait; save checkpoints so that a restart loses little.")


def _why(evidence: Evidence, message: str) -> str:
    selector = scheduling.selector_of(evidence.pod_sets[0].pod) if evidence.pod_sets else ""
    said = scheduling.no_node(message, evidence, {})
    return f"no node has {selector}" if selector and said.startswith("0 of ") and selector in said else said


def _trouble(evidence: Evidence) -> str:
    found = pods.trouble(evidence, evidence.living)
    return f" ({found.sentence.split(': ', 1)[-1].rstrip('.')})" if found else ""


def _again(evidence: Evidence, shortfall: str) -> str:
    """When the next try comes, and the how manieth that was."""
    state = parts.mapping(evidence.workload, "status", "requeueState")
    tries, due = parts.number(state, "count") or 0, parts.instant(state, "requeueAt")
    counted = f", it was admitted {words.times(tries)} in vain" if tries > 1 else ", 1 try so far" if tries else ""
    if due and due > evidence.now:
        in_, then = words.span(due - evidence.now), words.at(due, evidence)
        return f"it is queued again in {in_},{then}{counted}"
    if parts.holds(evidence.workload, "Requeued"):
        return f"it waits in the queue again{counted}{f': {shortfall}' if shortfall else ''}"
    return f"it is queued again after a pause{counted}{words.place(evidence.place)}"


def _action(evidence: Evidence, message: str) -> str:
    if "affinity/selector" in message:
        return "Delete it and submit without that node selector: trying again can't help."
    if "Insufficient" in message:
        return "Ask for less per pod, or for more nodes; more quota would not help."
    look = evidence.command("status", evidence.name)
    return f"`{look}` shows its tries; if its pods can't start, delete it and correct that."


def _ran(evidence: Evidence, message: str) -> tuple[int, int]:
    """How many pods ran, where some found no node: pods that have gone leave only events."""
    total = evidence.pod_sets[0].count if evidence.pod_sets else 0
    homeless = {
        parts.text(one, "involvedObject", "name")
        for one in evidence.events_about("Pod")
        if parts.text(one, "reason") == "FailedScheduling"
    }
    if not message or total <= 1 or not homeless or len(homeless) >= total:
        return 0, total
    return total - len(homeless), total
