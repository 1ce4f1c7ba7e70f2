"""What one namespace holds, and what of it counts: for whoever takes it over, and for whoever ends it."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from reconciler.amounts import AmountError, quantity
from reconciler.model import Body
from reconciler.wording import counted, shortened

_OWN_MAPS = frozenset({"kube-root-ca.crt", "openshift-service-ca.crt"})
"""ConfigMaps that the platform puts into every namespace."""
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


@dataclass(frozen=True, slots=True)
class Contents:
    """Kind -> the objects of one namespace; ``unreadable``: kind -> why. Unknown is not absent."""

    found: Mapping[str, Sequence[Body]]
    unreadable: Mapping[str, str]

    def of(self, kind: str) -> Sequence[Body]:
        """The objects of a kind, as far as they could be read."""
        return self.found.get(kind, ())


def name_of(body: Body) -> str:
    """An object's own name."""
    return str(body["metadata"]["name"])


def has_condition(body: Body, kind: str) -> bool:
    """Whether a condition of that type is True."""
    conditions = body.get("status", {}).get("conditions", ())
    return any(one.get("type") == kind and one.get("status") == "True" for one in conditions)


def is_finished(job: Body) -> bool:
    """Whether a Job has ended, well or not."""
    return has_condition(job, "Complete") or has_condition(job, "Failed")


def admitted(contents: Contents) -> tuple[str, ...]:
    """The Workloads that hold quota, as ``Job.batch/train-x7k2p``: what each belongs to, as kubectl takes it."""
    return tuple(
        _owner(workload)
        for workload in contents.of("Workload")
        if has_condition(workload, "QuotaReserved") and not has_condition(workload, "Finished")
    )


def losses(contents: Contents) -> Iterator[str]:
    """What goes with a namespace, a line each: jobs, claims with their bytes, and whatever else runs."""
    jobs = contents.of("Job")
    if jobs:
        ended = sum(is_finished(job) for job in jobs)
        yield f"{counted(len(jobs), 'Job')}, {ended} of them finished: {shortened([name_of(job) for job in jobs])}"
    for kind in ("Deployment", "StatefulSet", "CronJob"):
        if bodies := contents.of(kind):
            yield f"{counted(len(bodies), kind)}: {shortened([name_of(body) for body in bodies])}"
    running = Counter(pod.get("status", {}).get("phase", "") for pod in contents.of("Pod"))["Running"]
    if running:
        yield f"{counted(running, 'running Pod')}"
    yield from _claims(contents.of("PersistentVolumeClaim"))
    maps = [name_of(body) for body in contents.of("ConfigMap") if name_of(body) not in _OWN_MAPS]
    if maps:
        yield f"{counted(len(maps), 'ConfigMap')}: {shortened(maps)}"
    for kind, reason in contents.unreadable.items():
        yield f"{kind}s: not known, {reason}"


def _claims(claims: Sequence[Body]) -> Iterator[str]:
    if claims:
        total = sum(map(storage_bytes, claims), Decimal())
        each = shortened([f"{name_of(claim)} {storage_size(claim)}" for claim in claims])
        yield f"{counted(len(claims), 'PersistentVolumeClaim')} with {_spoken(total)} and the data in them: {each}"


def storage_size(claim: Body) -> str:
    """What it has, or before it has anything, what it asks for."""
    has = claim.get("status", {}).get("capacity", {}).get("storage")
    return str(has or claim["spec"].get("resources", {}).get("requests", {}).get("storage", "0"))


def storage_bytes(claim: Body) -> Decimal:
    """The same as a number."""
    try:
        return quantity(storage_size(claim))
    except AmountError:  # an exponent, or more than anybody has
        return Decimal()


def _spoken(size: Decimal) -> str:
    place = 0
    while size >= 1024 and place + 1 < len(_UNITS):  # noqa: PLR2004 - binary units
        size, place = size / 1024, place + 1
    return f"{size:.1f} {_UNITS[place]}".replace(".0 ", " ")


def _owner(workload: Body) -> str:
    for owner in workload["metadata"].get("ownerReferences", ()):
        group = owner["apiVersion"].rpartition("/")[0]
        return f"{owner['kind']}{f'.{group}' if group else ''}/{owner['name']}"
    return f"Workload.kueue.x-k8s.io/{name_of(workload)}"
