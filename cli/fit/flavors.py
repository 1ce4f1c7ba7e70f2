"""Whether pods may run on a ResourceFlavor's nodes: its labels and taints against what the pod says."""

from collections.abc import Mapping, Sequence

from cli import parts
from cli.parts import Json

_KEEPS_OUT = {"NoSchedule", "NoExecute"}


def mismatch(pod: Json, flavor: Json) -> str:
    """Why the flavor doesn't take the pod, as half a sentence about the flavor; ``""`` where it does.

    Kueue looks at labels that the flavor has, and at no others.
    """
    tolerations = [*parts.items(pod, "tolerations"), *parts.items(flavor, "spec", "tolerations")]
    for taint in parts.items(flavor, "spec", "nodeTaints"):
        if parts.text(taint, "effect") in _KEEPS_OUT and not any(_tolerates(one, taint) for one in tolerations):
            return f"is tainted {said(taint)} and the job does not tolerate it"
    labels = parts.pairs(flavor, "spec", "nodeLabels")
    for key, value in parts.pairs(pod, "nodeSelector").items():
        if labels.get(key, value) != value:
            return f"has {key}={labels[key]}, the job wants {key}={value}"
    terms = _terms(pod, set(labels))
    if terms and not any(all(_meets(one, labels) for one in term) for term in terms):
        wanted = " or ".join(",".join(map(_said, term)) for term in terms)
        return f"doesn't match the job's node affinity ({wanted})"
    return ""


def said(taint: Json) -> str:
    """A taint as kubectl writes it: ``dedicated=team:NoSchedule``."""
    value = parts.text(taint, "value")
    return f"{parts.text(taint, 'key')}{f'={value}' if value else ''}:{parts.text(taint, 'effect')}"


def _tolerates(toleration: Json, taint: Json) -> bool:
    effect, key = parts.text(toleration, "effect"), parts.text(toleration, "key")
    if effect and effect != parts.text(taint, "effect"):
        return False
    if key and key != parts.text(taint, "key"):
        return False
    if parts.text(toleration, "operator") == "Exists":
        return True
    return bool(key) and parts.text(toleration, "value") == parts.text(taint, "value")


def _terms(pod: Json, allowed: set[str]) -> Sequence[Sequence[Json]]:
    """Required node affinity, without what concerns other labels; none where a term has nothing left."""
    required = parts.mapping(pod, "affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution")
    terms = [
        [one for one in parts.items(term, "matchExpressions") if parts.text(one, "key") in allowed]
        for term in parts.items(required, "nodeSelectorTerms")
    ]
    return terms if all(terms) else []


def _meets(expression: Json, labels: Mapping[str, str]) -> bool:
    key, wanted = parts.text(expression, "key"), parts.texts(expression, "values")
    judged = {
        "In": labels.get(key) in wanted,
        "NotIn": labels.get(key) not in wanted,
        "Exists": key in labels,
        "DoesNotExist": key not in labels,
        "Gt": _compared(labels.get(key), wanted) > 0,
        "Lt": _compared(labels.get(key), wanted) < 0,
    }
    return judged.get(parts.text(expression, "operator"), False)


def _compared(value: object, wanted: Sequence[str]) -> int:
    try:
        return int(str(value)) - int(wanted[0])
    except (ValueError, IndexError):
        return 0


def _said(expression: Json) -> str:
    values = ",".join(parts.texts(expression, "values"))
    return " ".join(filter(None, (parts.text(expression, "key"), parts.text(expression, "operator"), values)))
