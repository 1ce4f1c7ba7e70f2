"""The job of which some pods run, and others don't come, find no node or can't start."""

import re
from collections import Counter

from cli import parts
from cli.explain import pods, scheduling
from cli.explain.answer import Answer, Code
from cli.explain.evidence import Evidence, happened
from cli.explain.uncreated import uncreated

_BEGINNING = re.compile(r"^Has its quota(?: in the queue)?, but (?:its pods? (?:can't be created|can't start): )?")
_TRIES = {"FailedCreate", "SuccessfulCreate"}
_ENDING = re.compile(r"(?:\. It holds .*)?\.$")


def partly(evidence: Evidence) -> Answer | None:
    """How many run, and why the others don't; None where they are on their way."""
    living = evidence.living
    made, ready = (parts.number(evidence.job, "status", key) or 0 for key in ("active", "ready"))
    if not living and 0 < ready < made:
        sentence = f"Running partly: {ready} of {made} pods are ready; why the others are not can't be seen here."
        action = f"`{evidence.command('status', evidence.name)}` shows its pods."
        return Answer(Code.PARTLY_RUNNING, sentence, action, f"{ready} of {made} pods are ready")
    working = sum(map(pods.runs, living))
    if not working:
        return None
    return _not_running(evidence, working) if working < len(living) else _not_there(evidence, working)


def _not_running(evidence: Evidence, working: int) -> Answer | None:
    living = evidence.living
    rest = [pod for pod in living if not pods.runs(pod)]
    messages = [scheduling.message_of(pod) for pod in rest]
    homeless = [message for message in messages if message]
    if len(homeless) == len(rest):
        why = scheduling.no_node(homeless[0], evidence, rest[0])
        indexed = parts.text(evidence.job, "spec", "completionMode") == "Indexed"
        action = f"Wait until nodes are free, or ask for fewer at a time{f' (%{working})' if indexed else ''}."
        fit = f"fit{'s' if len(rest) == 1 else ''}"
        return _answer(working, len(living), f"{len(rest)} {fit} no node now: {why}", action)
    found = pods.trouble(evidence, rest)
    if not found:
        return None
    alike = Counter(_reason(one) for pod in rest if (one := pods.trouble(evidence, [pod])))
    first = _reason(found)
    counts = {first: alike.pop(first, 0) or len(rest) - alike.total()} | alike
    told = [f"{count} can't start: {why}" for why, count in counts.items()]
    if others := len(rest) - sum(counts.values()):
        told.append(f"{others} {'is' if others == 1 else 'are'} about to start")
    return _answer(working, len(living), "; ".join(told), found.action)


def _reason(trouble: Answer) -> str:
    return _ENDING.sub("", trouble.sentence.split(": ", 1)[-1])


def _not_there(evidence: Evidence, working: int) -> Answer | None:
    """Some were never made, and the last try to make one failed."""
    lacking = _wanted(evidence) - len(evidence.living)
    tries = [one for one in evidence.events_about(evidence.kind) if parts.text(one, "reason") in _TRIES]
    last = max(tries, key=happened, default={})
    found = uncreated(evidence) if parts.text(last, "reason") == "FailedCreate" else None
    if lacking <= 0 or not found:
        return None
    why = _ENDING.sub("", _BEGINNING.sub("", found.sentence))
    return _answer(working, _wanted(evidence), f"{lacking} can't be created: {why}", found.action)


def _wanted(evidence: Evidence) -> int:
    """How many pods of a batch Job should be there: as many as were admitted, or as there is work for."""
    assigned = parts.items(evidence.workload, "status", "admission", "podSetAssignments")
    admitted = sum(parts.number(one, "count") or 0 for one in assigned)
    total = parts.number(evidence.job, "spec", "completions")
    if evidence.kind != "Job" or total is None:
        return admitted if evidence.kind == "Job" else 0
    return min(admitted, total - (parts.number(evidence.job, "status", "succeeded") or 0))


def _answer(working: int, total: int, why: str, action: str) -> Answer:
    sentence = f"Running partly: {working} of {total} pods run, {why}. It holds quota for all {total}."
    return Answer(Code.PARTLY_RUNNING, sentence, action)
