"""Limits against use: which quotas a plan sets below what is used already."""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal

from reconciler.amounts import AmountError, quantity
from reconciler.model import Answers, Body, ObjectRef
from reconciler.planned import Change, Effect, EffectKind, Weight, created_projects

JOBS = "count/jobs.batch"
_WORDS = {
    JOBS: "jobs",
    "persistentvolumeclaims": "persistent volume claims",
    "requests.storage": "storage",
}
_COMPUTE = ("cpu", "memory", "pods", "count/pods", "ephemeral-storage")


def hard(quota: Body) -> Mapping[str, str]:
    """What a ResourceQuota limits, each with its limit."""
    return quota.get("spec", {}).get("hard") or {}


def compute_limited(quota: Body) -> list[str]:
    """What a ResourceQuota limits that is Kueue's to share out: pods that Kueue admitted could be refused by it."""
    return sorted(
        name
        for name in hard(quota)
        if name in _COMPUTE or (name.startswith(("limits.", "requests.")) and name != "requests.storage")
    )


def limit_effects(changes: Sequence[Change], live: Mapping[ObjectRef, Body], answers: Answers) -> Iterator[Effect]:
    """Each limit that is new or lower, where it is below use or nobody knows how much is in use."""
    created = created_projects(changes)
    for change in changes:
        if change.ref.kind == "ResourceQuota" and change.project not in created:
            quota = live.get(change.ref, {})
            for name, limit in sorted(hard(change.body).items()):
                before = hard(quota).get(name)
                if before is None or _number(limit) < _number(before):
                    yield from _judged(change, name, str(before), str(limit), _used(quota, name, change, answers))


def _judged(change: Change, name: str, before: str, limit: str, used: str | None) -> Iterator[Effect]:
    word = _WORDS.get(name, name)
    text = f"limit on {word} {'none' if before == 'None' else before} -> {limit}"
    if used is None:
        yield Effect(
            EffectKind.LIMIT_UNKNOWN, change.project, f"{text}; how much is in use isn't known", refs=[change.ref]
        )
    elif _number(used) > _number(limit):
        counts = {f"{word} in use": int(_number(used))}
        text += ", less than is in use: nothing is taken away, nothing more can be made"
        yield Effect(EffectKind.LIMIT_BELOW_USE, change.project, text, Weight.DISRUPTIVE, (), counts, [change.ref])


def _used(quota: Body, name: str, change: Change, answers: Answers) -> str | None:
    """As the quota's controller counts; a limit on jobs that is new, as they are listed. None: nobody knows."""
    status = quota.get("status", {})
    if name in status.get("hard", {}) and name in status.get("used", {}):
        return str(status["used"][name])
    jobs = answers.jobs.get(change.ref.namespace)
    return str(len(jobs)) if name == JOBS and jobs is not None else None


def _number(amount: object) -> Decimal:
    try:
        return quantity(str(amount))
    except AmountError:  # an exponent, or more than anybody has: nothing that jobq wrote
        return Decimal("Infinity")
