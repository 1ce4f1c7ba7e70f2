"""How full a ClusterQueue is, and by whom. Pure.

A queue's own status isn't believed where Workloads can be counted: a held LocalQueue says that nothing waits in it,
and one made anew that nothing runs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from cli import parts
from cli.parts import Json

_ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Share:
    """One resource of one flavor: the queue's own quota, what is taken of it and by whom, and what is borrowed."""

    flavor: str
    resource: str
    nominal: Decimal
    ours: Decimal
    others: Decimal
    borrowed: Decimal

    def bar(self, width: int) -> str:
        """``###====...``: ours, others, free. What is taken at all is never drawn as nothing."""
        whole = max(self.nominal, self.ours + self.others)
        if not whole:
            return "." * width
        ours, others = (_length(amount, whole, width) for amount in (self.ours, self.others))
        others = min(others, width - ours)
        return "#" * ours + "=" * others + "." * (width - ours - others)

    def as_json(self) -> Mapping[str, object]:
        """Amounts as numbers: cores, bytes, devices."""
        numbers = {
            key: float(value)
            for key, value in (
                ("nominal", self.nominal),
                ("ours", self.ours),
                ("others", self.others),
                ("borrowed", self.borrowed),
            )
        }
        return {"flavor": self.flavor, "resource": self.resource, **numbers}


def shares(cluster_queue: Json | None, workloads: Sequence[Json], name: str) -> Sequence[Share]:
    """Each resource of each flavor, in the queue's order; none where the ClusterQueue can't be read."""
    ours = _ours(workloads, name)
    taken = _taken(cluster_queue)
    found = []
    for group in parts.items(cluster_queue, "spec", "resourceGroups"):
        for flavor in parts.items(group, "flavors"):
            for resource in parts.items(flavor, "resources"):
                key = (parts.text(flavor, "name"), parts.text(resource, "name"))
                nominal = parts.quantity(resource.get("nominalQuota", "0"))
                total, borrowed = taken.get(key, (_ZERO, _ZERO))
                mine = ours.get(key, _ZERO)
                found.append(Share(*key, nominal, mine, max(total - mine, _ZERO), borrowed))
    return found


def queue_state(local: Json | None, cluster_queue: Json | None) -> str:
    """Why nothing new starts, or ``""``: the project is paused, or the ClusterQueue is stopped or broken."""
    if parts.text(local, "spec", "stopPolicy") in {"Hold", "HoldAndDrain"}:
        return "the project is paused"
    if parts.text(cluster_queue, "spec", "stopPolicy") in {"Hold", "HoldAndDrain"}:
        return "the ClusterQueue is stopped"
    active = parts.condition(cluster_queue, "Active")
    return parts.text(active, "message") if parts.text(active, "status") == "False" else ""


def _length(amount: Decimal, whole: Decimal, width: int) -> int:
    return max(int(amount / whole * width), 1) if amount else 0


def _ours(workloads: Sequence[Json], name: str) -> Mapping[tuple[str, str], Decimal]:
    """What our Workloads hold: reserved quota counts, that of ended jobs and of pods done for good doesn't."""
    total: dict[tuple[str, str], Decimal] = {}
    for workload in workloads:
        admission = parts.mapping(workload, "status", "admission")
        if parts.text(admission, "clusterQueue") != name or not parts.holds(workload, "QuotaReserved"):
            continue
        if parts.holds(workload, "Finished"):
            continue
        done = {parts.text(one, "name"): parts.number(one, "count") or 0 for one in _reclaimable(workload)}
        for given in parts.items(admission, "podSetAssignments"):
            count = parts.number(given, "count") or 0
            left = max(count - done.get(parts.text(given, "name"), 0), 0)
            for resource, flavor in parts.pairs(given, "flavors").items():
                used = parts.quantity(parts.pairs(given, "resourceUsage").get(resource, "0"))
                key = (flavor, resource)
                total[key] = total.get(key, _ZERO) + (used * left / count if count else used)
    return total


def _reclaimable(workload: Json) -> Sequence[Json]:
    return parts.items(workload, "status", "reclaimablePods")


def _taken(cluster_queue: Json | None) -> Mapping[tuple[str, str], tuple[Decimal, Decimal]]:
    """(flavor, resource) -> all that is reserved, and how much of that is borrowed."""
    found = {}
    for flavor in parts.items(cluster_queue, "status", "flavorsReservation"):
        for resource in parts.items(flavor, "resources"):
            amounts = (parts.quantity(resource.get(key, "0")) for key in ("total", "borrowed"))
            total, borrowed = amounts
            found[parts.text(flavor, "name"), parts.text(resource, "name")] = (total, borrowed)
    return found
