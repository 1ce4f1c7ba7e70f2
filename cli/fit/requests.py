"""What a job asks for, pod set by pod set: as Kueue counts it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from cli import parts
from cli.parts import Json

MIN_PARALLELISM = "kueue.x-k8s.io/job-min-parallelism"
_ALWAYS = "Always"
_TOPOLOGY = re.compile(r"kueue\.x-k8s\.io/podset-.*topology")
_TOPOLOGICAL = {
    *("required", "preferred", "unconstrained"),
    *("podSetSliceRequiredTopology", "podSetSliceSize", "podsetSliceRequiredTopologyConstraints"),
}
_RECLAIMABLE = ("status", "reclaimablePods")
Amounts = Mapping[str, Decimal]


@dataclass(frozen=True, slots=True)
class PodSet:
    """Pods of one shape: how many at once, at least how many, what one of them asks for, and where it may run."""

    name: str
    count: int
    fewest: int
    one: Amounts
    pod: Json = field(default_factory=dict)
    topological: bool = False
    """Whether they ask for a place in a topology (Kueue's TopologyAwareScheduling)."""

    def all(self, count: int | None = None) -> Amounts:
        """What that many ask for together; all of them where no number is given."""
        return {resource: amount * (self.count if count is None else count) for resource, amount in self.one.items()}


def of_job(job: Json) -> Sequence[PodSet]:
    """The one pod set of a batch Job: as many pods as may run at once."""
    spec = parts.mapping(job, "spec")
    count = _or(parts.number(spec, "parallelism"), 1)
    completions = parts.number(spec, "completions")
    count = count if completions is None else min(count, completions)
    written = parts.pairs(job, "metadata", "annotations").get(MIN_PARALLELISM, "")
    fewest = min(int(written), count) if written.isdecimal() else count
    pod = parts.mapping(spec, "template", "spec")
    notes = parts.pairs(spec, "template", "metadata", "annotations")
    return [PodSet("main", count, fewest, of_pod(pod), pod, any(_TOPOLOGY.fullmatch(key) for key in notes))]


def of_workload(workload: Json) -> Sequence[PodSet]:
    """The pod sets of a Workload. What Kueue itself has summed up (``status.resourceRequests``) comes first.

    Of a job that waits again, pods whose work is done are not asked for any more.
    """
    summed = {parts.text(one, "name"): one for one in parts.items(workload, "status", "resourceRequests")}
    admitted = parts.mapping(workload, "status", "admission")
    done = {} if admitted else {parts.text(one, "name"): one for one in parts.items(workload, *_RECLAIMABLE)}
    found = []
    for one in parts.items(workload, "spec", "podSets"):
        name, whole = parts.text(one, "name"), _or(parts.number(one, "count"), 1)
        count = max(whole - _or(parts.number(done.get(name), "count"), 0), 0)
        pod = parts.mapping(one, "template", "spec")
        each = of_pod(pod)
        asked = {key: parts.quantity(value) for key, value in parts.pairs(summed.get(name), "resources").items()}
        if asked and count and asked != {key: value * whole for key, value in each.items()}:
            each = {key: value / count for key, value in asked.items()}
        fewest = min(_or(parts.number(one, "minCount"), count), count)
        found.append(PodSet(name, count, fewest, each, pod, _topological(one)))
    return found


def _topological(pod_set: Json) -> bool:
    """Whether it asks for a topology: Kueue notes how pods are numbered even where nobody does."""
    return bool(_TOPOLOGICAL & set(parts.mapping(pod_set, "topologyRequest")))


def of_pod(pod: Json) -> Amounts:
    """What one pod asks for; a limit without request is one.

    https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/#resource-sharing-within-containers
    """
    total: dict[str, Decimal] = {}
    for container in parts.items(pod, "containers"):
        _add(total, _of_container(container))
    if inits := parts.items(pod, "initContainers"):
        total = _prepared(total, inits)
    total |= _asked(parts.mapping(pod, "resources"))
    _add(total, {key: parts.quantity(value) for key, value in parts.pairs(pod, "overhead").items()})
    return total


def _prepared(total: dict[str, Decimal], inits: Sequence[Json]) -> dict[str, Decimal]:
    """With what runs before the others, one after another, or beside them from then on."""
    beside: dict[str, Decimal] = {}
    highest: dict[str, Decimal] = {}
    for container in inits:
        own = _of_container(container)
        if parts.text(container, "restartPolicy") == _ALWAYS:
            _add(beside, own)
            own = {}
        together = dict(beside)
        _add(together, own)
        highest = _higher(highest, together)
    _add(total, beside)
    return _higher(total, highest)


def init_container(pod: Json, resource: str) -> str:
    """The init container without which the pod would ask for less of that; ``""`` where others decide."""
    inits, whole = parts.items(pod, "initContainers"), of_pod(pod).get(resource, Decimal(0))
    for one in inits:
        rest = {**pod, "initContainers": [other for other in inits if other is not one]}
        if parts.text(one, "restartPolicy") != _ALWAYS and of_pod(rest).get(resource, Decimal(0)) < whole:
            return parts.text(one, "name")
    return ""


def _of_container(container: Json) -> Amounts:
    return _asked(parts.mapping(container, "resources"))


def _asked(resources: Json) -> Amounts:
    written = {**parts.pairs(resources, "limits"), **parts.pairs(resources, "requests")}
    return {key: parts.quantity(value) for key, value in written.items()}


def _add(total: dict[str, Decimal], more: Amounts) -> None:
    for resource, amount in more.items():
        total[resource] = total.get(resource, Decimal(0)) + amount


def _higher(one: Amounts, other: Amounts) -> dict[str, Decimal]:
    zero = Decimal(0)
    return {key: max(one.get(key, zero), other.get(key, zero)) for key in {**one, **other}}


def _or(value: int | None, otherwise: int) -> int:
    return otherwise if value is None else max(value, 0)
