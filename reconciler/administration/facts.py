"""What `jobq doctor` could find out: about a repository and about a cluster. Unknown is a fact of its own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from reconciler.model import Body, Declaration, Problem
from reconciler.versions import Version

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Unknown:
    """Something that could not be read, and why; ``absent`` where the server says that it isn't there."""

    reason: str
    hint: str = ""
    absent: bool = False


@dataclass(frozen=True, slots=True)
class RepositoryFacts:
    """The projects repository, as far as it can be read."""

    place: str
    given: bool
    """Whether somebody named it; otherwise it is only the folder where one happens to be."""
    declaration: Declaration | Unknown
    problems: Sequence[Problem] = ()
    """Why the files declare nothing that may be applied."""
    uncommitted: Sequence[str] = ()
    lacking: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """The repository's own templates -> fields that the packaged ones write, and they don't."""
    namespaces: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Project -> the labels that its Namespace shall have."""


@dataclass(frozen=True, slots=True)
class ClusterFacts:
    """A cluster, as the asking identity may see it."""

    address: str
    context: str
    user: str | Unknown
    kubernetes: str | Unknown
    """The git version that the API server says."""
    kueue_versions: Sequence[str] | Unknown
    """The versions in which LocalQueues are served."""
    kueue_plurals: Sequence[str] | Unknown
    """What is served of the version that jobq needs."""
    kueue: Version | None
    """Kueue's own version; None where it can't be read."""
    configuration: Body | None
    """Kueue's configuration; None where it can't be read."""
    visibility: Sequence[str] | Unknown
    notes: Mapping[str, Body] | Unknown
    """The ConfigMaps of jobq-system."""
    namespaces: Sequence[Body] | Unknown
    """Those that carry jobq's labels."""
    queues: Sequence[Body] | Unknown
    """ClusterQueues."""
    priorities: Sequence[Body] | Unknown
    """WorkloadPriorityClasses."""
    pod_priorities: Sequence[Body] | Unknown
    """PriorityClasses, which belong to pods."""
    installed: Sequence[tuple[Body, Body | Unknown]]
    """What bootstrap would install, and what is there of it."""
    fenced: bool | Unknown
    """Whether the policies refused what they must refuse."""
    rights: Mapping[tuple[str, str], bool] | Unknown
    """(verb, kind) -> whether the asking identity may, in all namespaces."""


@dataclass(frozen=True, slots=True)
class Facts:
    """All of it."""

    repository: RepositoryFacts
    cluster: ClusterFacts | Unknown

    @property
    def declaration(self) -> Declaration | None:
        """What is declared, where it could be read."""
        found = self.repository.declaration
        return None if isinstance(found, Unknown) else found


def known(fact: T | Unknown, otherwise: T) -> T:
    """A fact, or what stands for it where it isn't known."""
    return otherwise if isinstance(fact, Unknown) else fact
