"""The job about which Kueue says two things at once."""

from datetime import timedelta

from cli import parts
from cli.explain import reserved, words
from cli.explain.answer import Answer, Code
from cli.explain.evidence import Evidence
from cli.explain.held import gates
from cli.explain.status import GRACE

_ENDING = timedelta(minutes=5)
"""How long a stopped job's pods may take to end."""


def contradictory(evidence: Evidence) -> Answer | None:
    """Evicted and admitted, evicted and long overdue, or admitted and suspended, for longer than a passing moment."""
    return _evicted(evidence) or _suspended(evidence)


def _evicted(evidence: Evidence) -> Answer | None:
    when = parts.instant(evidence.eviction, "lastTransitionTime")
    if not evidence.eviction or evidence.has_pods or evidence.since(when) < _ENDING:
        return None
    due = parts.instant(evidence.workload, "status", "requeueState", "requeueAt")
    late = due is not None and evidence.since(due) >= _ENDING
    if not evidence.admitted and not late:
        return None
    ago = f"{words.span(evidence.since(due if late else when))} ago"
    reason = parts.text(evidence.eviction, "reason") or "no reason"
    stopped = f"Kueue stopped it{words.at(when, evidence)} ({reason})"
    waits = f"and has not put it back, although that was due{words.at(due, evidence)}, {ago}"
    holds = reserved.holding(evidence)
    both = f"; it counts as evicted and as admitted at once{f', and its quota ({holds}) still counts' if holds else ''}"
    return Answer(
        Code.EVICTED_NOT_REQUEUED,
        f"{stopped}{f' {waits}' if late else f', {ago}, and has not put it back'}{both if evidence.admitted else ''}.",
        f"{_anew(evidence)}, or submit it again; and tell the admins.",
    )


def _suspended(evidence: Evidence) -> Answer | None:
    elsewhere = parts.text(evidence.workload, "status", "clusterName")  # where it runs, this one may stay as it is
    if not evidence.admitted or not evidence.suspended or evidence.eviction or elsewhere:
        return None
    when = parts.instant(parts.condition(evidence.workload, "Admitted"), "lastTransitionTime")
    waited = evidence.since(when)
    if waited < GRACE and not gates(evidence):
        return Answer(Code.JUST_ADMITTED, "Admitted just now: its pods are about to be made.", "Ask again in a moment.")
    holds = reserved.holding(evidence)
    held = gates(evidence)
    why = f", and the hold ({words.listed(held)}) is still on it" if held else ", and nobody says why"
    return Answer(
        Code.ADMITTED_SUSPENDED,
        f"Admitted{words.since(when, evidence)} ({words.span(waited)}), yet the job is still suspended and has no pods"
        f"{why}.{f' It holds {holds} of quota meanwhile.' if holds else ''}",
        f"`{evidence.command('resume', evidence.name)}` takes the hold away."
        if held
        else f"{_anew(evidence)}; tell the admins if it stays.",
    )


def _anew(evidence: Evidence) -> str:
    return ", then ".join(f"`{evidence.command(deed, evidence.name)}`" for deed in ("stop", "resume"))
