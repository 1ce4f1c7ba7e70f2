"""The job that has its quota and isn't admitted, or was sent back: admission checks."""

import re
from collections.abc import Sequence
from datetime import datetime

from cli import parts
from cli.explain import words
from cli.explain.answer import Answer, Code
from cli.explain.evidence import Evidence
from cli.explain.status import GRACE
from cli.fit import words as amounts
from cli.parts import Json

_QUOTED = re.compile(r'"([^"]+)" \((.*?)\)(?:, "|;|$)', re.DOTALL)
_NAMES = re.compile(r'state: "?([^"\s(]+)"?|Check\(?s?\)?: \[?([\w.,\- ]+)\]?')
_RESET = "Reset to Pending after eviction"


def reserved(evidence: Evidence) -> Answer | None:
    """What a job with quota waits for."""
    if not evidence.reserved or evidence.admitted or evidence.eviction:
        return None
    again = check_in(evidence, "Retry")
    if again:
        return sent_back(evidence)
    waiting = _not_ready(evidence)
    return _pending(evidence, waiting) if waiting else _unchecked(evidence)


def _unchecked(evidence: Evidence) -> Answer:
    """No check is in its way: for a moment that is how a job is admitted."""
    what = words.plain(parts.text(parts.condition(evidence.workload, "Admitted"), "message"))
    when = parts.instant(parts.condition(evidence.workload, "QuotaReserved"), "lastTransitionTime")
    if evidence.since(when) < GRACE:
        sentence = f"Has its quota and is about to be admitted{f': {what}' if what else ''}."
        return Answer(Code.JUST_ADMITTED, sentence, "Ask again in a moment.")
    holds = f" It holds {holding(evidence)} meanwhile." if holding(evidence) else ""
    sentence = f"Has its quota{words.since(when, evidence)} and is not admitted: {what or 'nobody says why'}.{holds}"
    action = "Wait a moment; tell the admins if it stays so."
    return Answer(Code.ADMISSION_CHECK_PENDING, sentence, action, "is not admitted")


def retried(evidence: Evidence) -> Answer | None:
    """Sent back by a check, and waiting again."""
    return sent_back(evidence) if parts.text(evidence.eviction, "reason") == "AdmissionCheck" else None


def sent_back(evidence: Evidence) -> Answer:
    """The check that asked to try again, and when that is."""
    name, message, when = check_said(evidence, "Retry")
    after = parts.instant(evidence.workload, "status", "requeueState", "requeueAt")
    again = f" It is tried again in {words.span(after - evidence.now)}." if after and after > evidence.now else ""
    sentence = f"Sent back by the admission check {name}{words.at(when, evidence)}{f': {message}' if message else ''}; "
    return Answer(
        Code.ADMISSION_CHECK_RETRY,
        f"{sentence}it gave its quota back and waits to be tried again{words.place(evidence.place)}.{again}",
        f"Wait; whoever runs the check {name} knows more.",
        f"sent back by {name}",
    )


def check_in(evidence: Evidence, state: str) -> Json:
    """The first admission check in that state."""
    checks = parts.items(evidence.workload, "status", "admissionChecks")
    return next((one for one in checks if parts.text(one, "state") == state), {})


def check_said(evidence: Evidence, state: str) -> tuple[str, str, datetime | None]:
    """Name, message and time of a check that stopped the job; after the eviction only a condition tells of it."""
    found = check_in(evidence, state)
    if found:
        said = words.plain(parts.text(found, "message"))
        return parts.text(found, "name"), said, parts.instant(found, "lastTransitionTime")
    message = parts.text(evidence.eviction, "message")
    when = parts.instant(evidence.eviction, "lastTransitionTime")
    if quoted := _QUOTED.search(message):
        return quoted[1], words.plain(quoted[2]), when
    reset = next(iter(_reset(evidence, state)), "")
    if reset:
        return reset, "", when
    named = _NAMES.search(message)
    checks = parts.items(evidence.workload, "status", "admissionChecks")
    name = (named[1] or named[2]) if named else next((parts.text(one, "name") for one in checks), "of its queue")
    return name.strip(), "" if named else words.plain(message), when


def _reset(evidence: Evidence, state: str) -> Sequence[str]:
    return [
        parts.text(one, "name")
        for one in parts.items(evidence.workload, "status", "admissionChecks")
        if parts.text(one, "message").startswith(_RESET) and state in parts.text(one, "message")
    ]


def _not_ready(evidence: Evidence) -> Sequence[Json]:
    checks = parts.items(evidence.workload, "status", "admissionChecks")
    return [one for one in checks if parts.text(one, "state") != "Ready"]


def _pending(evidence: Evidence, checks: Sequence[Json]) -> Answer:
    names = [parts.text(one, "name") or "of its queue" for one in checks]
    said = [_says(evidence, one) for one in checks]
    if checks[1:]:
        which = "the admission checks " + words.listed(
            [f"{name} ({message})" if message else name for name, message in zip(names, said, strict=True)]
        )
    else:
        which = f"the admission check {names[0]}" + (f": {said[0]}" if said[0] else "")
    when = next((one for one in (parts.instant(check, "lastTransitionTime") for check in checks) if one), None)
    holds = f" It holds {holding(evidence)} meanwhile." if holding(evidence) else ""
    return Answer(
        Code.ADMISSION_CHECK_PENDING,
        f"Has its quota{words.since(when, evidence)} and waits for {which}.{holds}",
        f"Wait; whoever runs the {'checks' if checks[1:] else 'check'} {words.listed(names)} knows more.",
        f"waits for {words.listed(names)}",
    )


def _says(evidence: Evidence, check: Json) -> str:
    """The check's message; of one that begins anew after it had sent the job back, why it did."""
    message = words.plain(parts.text(check, "message"))
    if not message.startswith(_RESET):
        return message
    before = parts.text(parts.condition(evidence.workload, "Evicted"), "message")
    told = dict(_QUOTED.findall(before)).get(parts.text(check, "name"), "")
    return f"it is asked again, it sent the job back before{f' ({words.plain(told)})' if told else ''}"


def holding(evidence: Evidence) -> str:
    """What a job takes of the quota, in words: its GPUs and other devices, or its cores where it has none."""
    total: dict[str, object] = {}
    assigned = parts.items(evidence.workload, "status", "admission", "podSetAssignments")
    usage = [parts.pairs(one, "resourceUsage") for one in assigned]
    sums = {key: sum(parts.quantity(one.get(key, "0")) for one in usage) for one in usage for key in one}
    total = {key: value for key, value in sums.items() if key not in {"memory", "pods", "ephemeral-storage"} and value}
    devices = [key for key in total if key != "cpu"] or list(total)
    return words.listed([amounts.plainly(key, parts.quantity(sums[key])) for key in sorted(devices)])
