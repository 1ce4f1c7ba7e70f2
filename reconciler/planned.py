"""The nouns of a plan and of a run: what will be written, what follows from it, what became of it. Frozen."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from reconciler.amounts import canonical
from reconciler.model import Body, ObjectRef, Origin
from reconciler.wording import shortened


class Action(StrEnum):
    """What a change does to its object."""

    CREATE = "create"
    UPDATE = "update"
    REPLACE = "replace"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field before and after, as people read it; None: absent."""

    path: str
    before: Any
    after: Any
    taken_from: str = ""
    """From which client it is taken back, and when that wrote last: ``kubectl-edit, 2027-01-15 10:32 UTC``."""


@dataclass(frozen=True, slots=True)
class Change:
    """One object to be written. ``uid`` is the live object's, ``""`` for a create; ``body`` is empty for a delete."""

    ref: ObjectRef
    action: Action
    project: str
    because: str
    body: Body
    uid: str = ""
    fields: Sequence[FieldChange] = ()
    origin: Origin | None = None
    left: Sequence[str] = ()
    """Fields of ours that should go and stay, since somebody else owns them too."""


def created_projects(changes: Iterable[Change]) -> frozenset[str]:
    """The projects whose Namespace is among the new objects."""
    return frozenset(one.project for one in changes if (one.ref.kind, one.action) == ("Namespace", Action.CREATE))


class Weight(StrEnum):
    """How much an effect asks for attention: told, or counted by the guard."""

    INFO = "info"
    WARNING = "warning"
    DISRUPTIVE = "disruptive"


class EffectKind(StrEnum):
    """What sort of consequence an effect is: a closed list of words, for programs and for folding."""

    CREATED = "created"
    PAUSED = "paused"
    DRAINED = "drained"
    RESUMED = "resumed"
    ARCHIVED = "archived"
    RESTORED = "restored"
    RENAMED = "renamed"
    """One project goes and another comes that looks the same."""
    MOVED = "moved"
    QUEUE_RENAMED = "queue-renamed"
    LOST = "lost"
    """Somebody loses a right: all access, or a higher role."""
    GAINED = "gained"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"
    """Access that git never gave is taken back."""
    JOBS_GO_ON = "jobs-go-on"
    """Jobs of somebody who has no access any more."""
    LIMIT_BELOW_USE = "limit-below-use"
    LIMIT_UNKNOWN = "limit-unknown"
    """A limit where it isn't known how much is in use."""
    LEFT_OVER = "left-over"
    """A field that jobq owned and wants no more stays: somebody else owns it too."""
    UNCHECKED_MOVE = "unchecked-move"
    """A LocalQueue is deleted, and Kueue's version can't be told."""
    KEPT_STORAGE = "kept-storage"
    """A claim that no file names any more: never deleted."""
    COPY = "copy"
    ENDING = "ending"
    """A namespace of an archived project is being deleted, and not gone yet."""
    HOMELESS = "homeless"
    """An archived project's namespace is there, but carries jobq's labels no more."""
    FOREIGN_ACCESS = "foreign-access"
    NO_CLUSTER_QUEUE = "no-cluster-queue"
    STOPPED_CLUSTER_QUEUE = "stopped-cluster-queue"
    UNSELECTED = "unselected"
    """The ClusterQueue's namespaceSelector doesn't select the project's namespace."""
    DEFAULT_PRIORITY = "default-priority"
    """The cluster gives plain jobs a priority class that the project doesn't allow."""
    FOREIGN_QUOTA = "foreign-quota"
    UNFENCED = "unfenced"
    UNREADABLE = "unreadable"
    OTHER_VERSION = "other-version"
    """Another jobq applied this commit last: its templates may be others."""
    HELD = "held"
    """An admin has stopped jobq there, or had."""
    KEPT = "kept"
    """Access that git has withdrawn stays as long as the project is held."""


ACCESS_KINDS = frozenset(
    {
        EffectKind.JOBS_GO_ON,
        EffectKind.LOST,
        EffectKind.GAINED,
        EffectKind.EXPIRED,
        EffectKind.WITHDRAWN,
        EffectKind.KEPT,
    }
)
"""Effects that say of people what they may do."""


@dataclass(frozen=True, slots=True)
class Effect:
    """One consequence. ``text`` says it without project, people and counts, so that equal ones can be folded."""

    kind: EffectKind
    project: str
    """``""`` where it concerns them all."""
    text: str
    weight: Weight = Weight.INFO
    people: Sequence[str] = ()
    """Whom it concerns, as people read it: ``kim@example.org``, ``group oidc:vision``."""
    counts: Mapping[str, int] = field(default_factory=dict)
    """What -> how many, in the order in which it is said: ``{"running": 3}``. No part of what is approved."""
    refs: Sequence[ObjectRef] = ()
    """The objects whose change brings it about."""
    way_out: str = ""
    """What to do about it, where somebody should. It may name the project's own objects: no part of what is folded."""

    def __str__(self) -> str:
        return sentence(self.kind, self.text, [self.project] if self.project else [], self.people, self.counts)


def sentence(
    kind: EffectKind, text: str, projects: Sequence[str], people: Sequence[str], counts: Mapping[str, int]
) -> str:
    """An effect in words, of one or of many projects."""
    amounts = ", ".join(_amount(what, number) for what, number in counts.items())
    end = f" ({amounts})" if amounts else ""
    where, who = shortened(projects), shortened(people)
    if kind in ACCESS_KINDS:
        return f"{who} in {where}: {text}{end}"
    whom = f" to {who}" if who else ""
    return f"{where}: {text}{whom}{end}" if where else f"{text}{whom}{end}"


def _amount(what: str, number: int) -> str:
    """A count and what it counts, singular where it is one; bytes with their unit."""
    first, _, rest = what.partition(" ")
    if first == "storage":
        return f"{canonical(f'{number // 1024}Ki')} {what}"
    return f"{number} {first.removesuffix('s') if number == 1 else first} {rest}".rstrip()


@dataclass(frozen=True, slots=True, order=True)
class Refusal:
    """A reason not to write. ``project`` is ``""`` where the whole run is refused."""

    text: str
    way_out: str
    project: str = ""
    only: str = ""
    """What alone is held back, where the rest of the project goes on."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that will be written, in the order in which it will be, and what follows from it."""

    commit: str
    cluster: str
    changes: Sequence[Change]
    effects: Sequence[Effect]
    refusals: Sequence[Refusal]
    """Projects that can't be planned, in whole or in part, each with its reason: those changes aren't in the plan."""
    unchanged: int
    """Objects that are as they should be."""
    projects: int
    """Declared projects."""
    digest: str
    """Of all changes: the same digest, the same writes."""
    live: int
    """Projects that live on the cluster, archived ones left out: what a share of disruption is a share of."""
    disrupted: Sequence[str]
    """Projects in which somebody loses something by this plan."""
    restored: Sequence[str]
    """Archived projects that come back, and what they hold with them."""
    disruption: str
    """The digest of what disrupts, without counts and times: what an approval names. ``""`` where nothing does."""
    unlisted: Sequence[str] = ()
    """Kinds of project objects that could not be listed: what is planned isn't all that there is to do."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the guard says: ``refusals`` of the whole run, or of the projects in ``skipped`` alone."""

    refusals: Sequence[Refusal] = ()
    notices: Sequence[str] = ()
    """What refuses nothing, and should be known: an approval that fits nothing."""

    @property
    def refused(self) -> bool:
        """Whether nothing at all may be written."""
        return any(not refusal.project for refusal in self.refusals)

    @property
    def skipped(self) -> frozenset[str]:
        """The projects that are left alone."""
        return frozenset(refusal.project for refusal in self.refusals if refusal.project and not refusal.only)


class Result(StrEnum):
    """What became of a change."""

    CREATED = "created"
    CONFIGURED = "configured"
    REPLACED = "replaced"
    DELETED = "deleted"
    SKIPPED = "skipped"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Outcome:
    """A change, and what became of it; ``error`` in words where it failed or was skipped."""

    change: Change
    result: Result
    error: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """A whole run: what was planned, what the guard said, what was done. No outcomes: only planned."""

    plan: Plan
    verdict: Verdict
    outcomes: Sequence[Outcome] = ()
    applied: bool = False
    interrupted: bool = False

    @property
    def incomplete(self) -> bool:
        """Whether something stays undone: a kind that could not be listed, a change that failed or was skipped."""
        undone = {Result.FAILED, Result.SKIPPED}
        return bool(self.plan.unlisted) or any(outcome.result in undone for outcome in self.outcomes)
