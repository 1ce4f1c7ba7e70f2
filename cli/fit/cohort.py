"""How much of a flavor's resource a ClusterQueue has: of its own, and along the tree of its cohorts.

The rules are Kueue's (https://kueue.sigs.k8s.io/docs/concepts/cohort/): each node keeps to itself what its lending
limit withholds, puts the rest into its parent, and takes from there up to its borrowing limit.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from cli import parts
from cli.parts import Json

Key = tuple[str, str]
"""A flavor and a resource."""
_DEEPEST = 32
_ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Room:
    """Of one flavor's resource: the own quota, what is used of it, what is free now and what there can ever be.

    ``free`` and ``most`` include what can be borrowed; ``None`` where the cohort can't be seen. ``used`` is ``None``
    where the queue doesn't say it.
    """

    nominal: Decimal
    used: Decimal | None
    free: Decimal | None
    most: Decimal | None
    shared: bool = False
    """Whether there is a cohort to borrow from."""

    @property
    def own(self) -> Decimal | None:
        """What is free of the own quota."""
        return None if self.used is None else max(self.nominal - self.used, _ZERO)

    @property
    def borrowed(self) -> Decimal:
        """What is known to be used beyond the own quota."""
        return max((self.used or _ZERO) - self.nominal, _ZERO)

    @property
    def borrowable(self) -> Decimal:
        """What could be borrowed now, beyond the own quota."""
        return max((self.free or _ZERO) - (self.own or _ZERO), _ZERO)


@dataclass(frozen=True, slots=True)
class Tree:
    """What is known of cohorts: the ClusterQueues in them, and the Cohorts themselves."""

    queues: Sequence[Json] = ()
    cohorts: Sequence[Json] = ()
    whole: bool = False
    """Whether that is all there is: else nothing can be said of what others lend."""


@dataclass(slots=True)
class _Node:
    nominal: Decimal = _ZERO
    borrowing: Decimal | None = None
    lending: Decimal | None = None
    used: Decimal = _ZERO
    parent: "_Node | None" = None
    children: list["_Node"] = field(default_factory=list)

    @property
    def quota(self) -> Decimal:
        """The own quota and what the nodes below put into this one."""
        return self.nominal + sum((child.lent for child in self.children), _ZERO)

    @property
    def lent(self) -> Decimal:
        """What is put into the parent."""
        return self.quota if self.lending is None else min(self.quota, self.lending)

    @property
    def kept(self) -> Decimal:
        """What the lending limit withholds from the parent."""
        return _ZERO if self.lending is None else max(self.quota - self.lending, _ZERO)

    @property
    def usage(self) -> Decimal:
        """What is used here, and taken out of here by the nodes below."""
        return self.used + sum((max(child.usage - child.kept, _ZERO) for child in self.children), _ZERO)

    @property
    def free(self) -> Decimal:
        if self.parent is None:
            return self.quota - self.usage
        from_parent = self.parent.free
        if self.borrowing is not None:
            taken = max(self.usage - self.kept, _ZERO)
            from_parent = min(self.quota - self.kept - taken + self.borrowing, from_parent)
        return max(self.kept - self.usage, _ZERO) + from_parent

    @property
    def most(self) -> Decimal:
        if self.parent is None:
            return self.quota
        most = self.kept + self.parent.most
        return most if self.borrowing is None else min(self.quota + self.borrowing, most)


def cohort_of(queue: Json) -> str:
    """The cohort of a ClusterQueue, in the spelling of either version; ``""`` for none."""
    return parts.text(queue, "spec", "cohortName") or parts.text(queue, "spec", "cohort")


def parent_of(cohort: Json) -> str:
    """The parent of a Cohort, in the spelling of either version; ``""`` for a root."""
    return parts.text(cohort, "spec", "parentName") or parts.text(cohort, "spec", "parent")


def rooms(queue: Json, tree: Tree) -> Mapping[Key, Room]:
    """Flavor and resource -> how much there is, for all that the ClusterQueue has quota for."""
    used = usage(queue) if counts(queue) else None
    return {key: _room(queue, key, None if used is None else used.get(key, _ZERO), tree) for key in quotas(queue)}


def counts(queue: Json) -> bool:
    """Whether a ClusterQueue says what is reserved in it: one that was never looked at, or not wholly read, doesn't."""
    return "flavorsReservation" in parts.mapping(queue, "status")


def quotas(body: Json) -> Mapping[Key, Json]:
    """Flavor and resource -> its quota as written, of a ClusterQueue or a Cohort."""
    return {
        (parts.text(flavor, "name"), parts.text(resource, "name")): resource
        for group in parts.items(body, "spec", "resourceGroups")
        for flavor in parts.items(group, "flavors")
        for resource in parts.items(flavor, "resources")
    }


def usage(queue: Json) -> Mapping[Key, Decimal]:
    """Flavor and resource -> what is reserved in a ClusterQueue."""
    return {
        (parts.text(flavor, "name"), parts.text(resource, "name")): parts.quantity(resource.get("total", "0"))
        for flavor in parts.items(queue, "status", "flavorsReservation")
        for resource in parts.items(flavor, "resources")
    }


def _room(queue: Json, key: Key, used: Decimal | None, tree: Tree) -> Room:
    node = _node(queue, key)
    node.used = used or _ZERO
    if not cohort_of(queue):
        return Room(node.nominal, used, None if used is None else node.free, node.most)
    if not tree.whole:
        limit = None if node.borrowing is None else node.nominal + node.borrowing
        return Room(node.nominal, used, None, limit, shared=True)
    _plant(node, queue, key, tree)
    counted = used is not None and all(counts(other) for other in tree.queues)
    return Room(node.nominal, used, max(node.free, _ZERO) if counted else None, node.most, shared=True)


def _plant(node: _Node, queue: Json, key: Key, tree: Tree) -> None:
    """Put a ClusterQueue's node into the tree of its cohorts, with all that are in there."""
    known = {parts.name(cohort): cohort for cohort in tree.cohorts}
    nodes: dict[str, _Node] = {}
    _join(node, cohort_of(queue), known, nodes, key)
    for cohort in known:
        _cohort(cohort, known, nodes, key)
    for other in tree.queues:
        if cohort_of(other) and parts.name(other) != parts.name(queue):
            sibling = _node(other, key)
            sibling.used = usage(other).get(key, _ZERO)
            _join(sibling, cohort_of(other), known, nodes, key)


def _join(node: _Node, cohort: str, known: Mapping[str, Json], nodes: dict[str, _Node], key: Key) -> None:
    node.parent = _cohort(cohort, known, nodes, key)
    node.parent.children.append(node)


def _cohort(name: str, known: Mapping[str, Json], nodes: dict[str, _Node], key: Key) -> _Node:
    """The node of a cohort, with its parents; a cohort that is only named has no quota of its own."""
    if name not in nodes:
        body = known.get(name, {})
        nodes[name] = _node(body, key)
        parent = parent_of(body)
        if parent and not _in_circle(name, known):
            _join(nodes[name], parent, known, nodes, key)
    return nodes[name]


def _in_circle(name: str, known: Mapping[str, Json]) -> bool:
    """Whether a cohort's parents lead nowhere: Kueue takes no job there."""
    for _ in range(_DEEPEST):
        name = parent_of(known.get(name, {}))
        if not name:
            return False
    return True


def _node(body: Json, key: Key) -> _Node:
    written = quotas(body).get(key, {})
    return _Node(
        parts.quantity(written.get("nominalQuota", "0")),
        _limit(written, "borrowingLimit"),
        _limit(written, "lendingLimit"),
    )


def _limit(written: Json, field_: str) -> Decimal | None:
    value = written.get(field_)
    return None if value is None else parts.quantity(value)
