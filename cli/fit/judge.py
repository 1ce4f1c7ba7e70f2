"""Pod sets against a ClusterQueue: what fits now, what can ever fit, and what stands in the way."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

from cli import parts
from cli.fit import flavors
from cli.fit.cohort import Key, Room, Tree, rooms
from cli.fit.requests import PodSet
from cli.parts import Json

_ZERO = Decimal(0)
PODS = "pods"


@dataclass(frozen=True, slots=True)
class Group:
    """Resources that are given together, each pod set's from one flavor: the first that has room."""

    resources: Sequence[str]
    flavors: Sequence[str]


@dataclass(frozen=True, slots=True)
class Queue:
    """A ClusterQueue, as far as it decides what fits. A flavor that can't be read has no body."""

    name: str
    groups: Sequence[Group]
    rooms: Mapping[Key, Room]
    flavors: Mapping[str, Json] = field(default_factory=dict)
    refusing: Mapping[str, str] = field(default_factory=dict)
    """Flavors of which somebody else says why they don't take these pods: it counts where that can't be read."""
    strict: bool = False

    @property
    def resources(self) -> Sequence[str]:
        """All that it has quota for."""
        return [resource for group in self.groups for resource in group.resources]

    @property
    def topological(self) -> bool:
        """Whether all its flavors have a topology, as far as they can be read."""
        bodies = [self.flavors.get(flavor, {}) for group in self.groups for flavor in group.flavors]
        return all(parts.text(body, "spec", "topologyName") for body in bodies if body)


@dataclass(frozen=True, slots=True)
class Try:
    """One flavor for one pod set: why it can't be, or what is asked of it, by all pod sets up to this one."""

    flavor: str
    mismatch: str
    asked: Mapping[str, Decimal]

    def beyond(self, queue: Queue, limit: Callable[[Room], Decimal | None]) -> Sequence[str]:
        """The resources that are asked for above a limit; one that isn't known forbids nothing."""
        found = []
        for resource, amount in self.asked.items():
            most = limit(queue.rooms[self.flavor, resource])
            if most is not None and amount > most:
                found.append(resource)
        return found


@dataclass(frozen=True, slots=True)
class Choice:
    """What a pod set asks of one group, and how each of its flavors answers. The first ``taken`` has room."""

    pods: PodSet
    group: Group
    tries: Sequence[Try]
    taken: Try | None

    @property
    def suiting(self) -> Sequence[Try]:
        """The flavors whose nodes the pods may run on."""
        return [one for one in self.tries if not one.mismatch]


@dataclass(frozen=True, slots=True)
class Never:
    """A request above what there can ever be, and the largest that fits beside the pod sets before it."""

    resource: str
    asked: Decimal
    most: Decimal
    flavor: str
    pods: PodSet
    others: Decimal = _ZERO
    """What those pod sets ask for of the same."""

    @property
    def at_once(self) -> int:
        """How many such pods fit at once."""
        one = self.pods.one.get(self.resource, _ZERO)
        return int(self.most // one) if one else 0

    @property
    def each(self) -> Decimal:
        """What each pod may ask for, where all run at once."""
        return self.most / self.pods.count if self.pods.count else self.most


def queue_of(body: Json, flavor_bodies: Sequence[Json] = (), tree: Tree | None = None) -> Queue:
    """A ClusterQueue with its flavors, in the tree of its cohorts."""
    groups = [
        Group(
            parts.texts(group, "coveredResources"), [parts.text(one, "name") for one in parts.items(group, "flavors")]
        )
        for group in parts.items(body, "spec", "resourceGroups")
    ]
    return Queue(
        name=parts.name(body),
        groups=groups,
        rooms=rooms(body, tree or Tree()),
        flavors={parts.name(flavor): flavor for flavor in flavor_bodies},
        strict=parts.text(body, "spec", "queueingStrategy") == "StrictFIFO",
    )


def uncovered(queue: Queue, pod_sets: Sequence[PodSet]) -> Sequence[str]:
    """The resources that are asked for, and that the queue has no quota for at all."""
    there = set(queue.resources)
    asked = {resource for pods in pod_sets for resource, amount in pods.all().items() if amount}
    return sorted(asked - there)


def now(queue: Queue, pod_sets: Sequence[PodSet]) -> Sequence[Choice]:
    """How the pod sets could be placed in what is free now: as few pods as each may start with."""
    return _placed(queue, pod_sets, lambda room: room.free)


def ever(queue: Queue, pod_sets: Sequence[PodSet]) -> Sequence[Choice]:
    """How they could be placed if nothing else ran: as few pods as each pod set may start with."""
    return _placed(queue, pod_sets, lambda room: room.most)


def never(queue: Queue, pod_sets: Sequence[PodSet]) -> Never | None:
    """The request that can't ever fit. None where all can, where that isn't known, and where no flavor suits at all."""
    for choice in ever(queue, pod_sets):
        if choice.taken or not choice.suiting:
            continue
        best = max(choice.suiting, key=lambda one: _share(queue, one))
        resource = best.beyond(queue, lambda room: room.most)[0]
        most = queue.rooms[best.flavor, resource].most or _ZERO
        others = best.asked[resource] - choice.pods.all().get(resource, _ZERO)
        return Never(
            resource, best.asked[resource] - others, max(most - others, _ZERO), best.flavor, choice.pods, others
        )
    return None


def unsuited(queue: Queue, pod_sets: Sequence[PodSet]) -> Choice | None:
    """The first pod set whose pods no flavor takes, whatever is free."""
    choices = ever(queue, pod_sets)
    return next((choice for choice in choices if choice.tries and not choice.suiting), None)


def _fewest(queue: Queue, pod_sets: Sequence[PodSet]) -> Sequence[PodSet]:
    """As few pods as each may start with. Kueue counts pods too, where a queue has quota for them."""
    itself = {PODS: Decimal(1)} if PODS in queue.resources else {}
    return [replace(pods, count=pods.fewest, one={**pods.one, **itself}) for pods in pod_sets]


def _placed(queue: Queue, pod_sets: Sequence[PodSet], limit: Callable[[Room], Decimal | None]) -> Sequence[Choice]:
    used: dict[Key, Decimal] = {}
    choices = []
    for pods in _fewest(queue, pod_sets) if queue.groups else ():
        for group in queue.groups:
            asked = {key: amount for key, amount in pods.all().items() if key in group.resources and amount}
            if not asked:
                continue
            tries = [_try(queue, flavor, pods, asked, used) for flavor in group.flavors]
            taken = next((one for one in tries if not one.mismatch and not one.beyond(queue, limit)), None)
            choices.append(Choice(pods, group, tries, taken))
            for resource, amount in (taken.asked if taken else {}).items():
                used[taken.flavor, resource] = amount  # type: ignore[union-attr] # only where there is one
    return choices


def _try(queue: Queue, flavor: str, pods: PodSet, asked: Mapping[str, Decimal], used: Mapping[Key, Decimal]) -> Try:
    body = queue.flavors.get(flavor)
    known = {
        resource: amount + used.get((flavor, resource), _ZERO)
        for resource, amount in asked.items()
        if (flavor, resource) in queue.rooms
    }
    refusing = _mismatch(queue, pods, body) if body else ""
    if not body or pods.topological:  # a topology's levels can't be read either
        refusing = refusing or queue.refusing.get(flavor, "")
    return Try(flavor, refusing, known)


def _mismatch(queue: Queue, pods: PodSet, flavor: Json) -> str:
    """Why a flavor doesn't take the pods: where all flavors have a topology, nobody has to ask for one."""
    if pods.topological and not parts.text(flavor, "spec", "topologyName"):
        return "has no topology, which the job asks for"
    if not pods.topological and parts.text(flavor, "spec", "topologyName") and not queue.topological:
        return "is for jobs that ask for a topology"
    return flavors.mismatch(pods.pod, flavor)


def _share(queue: Queue, one: Try) -> Decimal:
    """How much of what is asked for a flavor could give, at its scarcest."""
    shares = [
        (queue.rooms[one.flavor, resource].most or amount) / amount for resource, amount in one.asked.items() if amount
    ]
    return min(shares, default=Decimal(1))
