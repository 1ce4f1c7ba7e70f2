"""The nouns that the stages hand on. Frozen; no behaviour beyond identity, order and how they print."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import Any

from reconciler.errors import ClusterError
from reconciler.versions import Version

Body = dict[str, Any]

MANAGER = "jobq"
"""The field manager of every apply, and the value of the managed-by label."""
PEOPLE = f"{MANAGER}-cli"
"""The field manager of what people write through the command line: never mistaken for the reconciler's own."""
MANAGED_BY = "app.kubernetes.io/managed-by"
PROJECT_LABEL = "jobq.io/project"
SOURCE_ANNOTATION = "jobq.io/source"
ROBOT = "jobq-robot"
"""The ServiceAccount by which machines act in a project."""
QUEUE_LABEL = "kueue.x-k8s.io/queue-name"
PRIORITY_LABEL = "kueue.x-k8s.io/priority-class"
SUBMITTED_BY = "jobq.io/submitted-by"
"""The annotation of Jobs: the user that made them, as the API server knows it."""
SYSTEM_NAMESPACE = "jobq-system"
"""Where the catalogue lives, and what admins and the reconciler note about the cluster."""
CATALOGUE_FORMAT = "1"


@dataclass(frozen=True, slots=True, order=True)
class Origin:
    """A place in a declared file; line and column count from 1 (0: the file as a whole)."""

    path: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.path}:{self.line}:{self.column}" if self.line else self.path


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """Something in the declared files that can't be accepted, or (``warning``) that surely isn't meant."""

    origin: Origin
    reason: str
    hint: str = ""
    warning: bool = False


@dataclass(frozen=True, slots=True)
class File:
    """One file of a snapshot. ``blob`` is git's id of the content; ``data`` is exact bytes."""

    data: bytes
    blob: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What was read: path -> file, by path. ``commit`` is the full id, or ``""`` for a work tree."""

    commit: str
    files: Mapping[str, File]
    oddities: Sequence[Problem] = ()


class Role(StrEnum):
    """What a member may do, from least to most."""

    VIEWER = "viewer"
    RESEARCHER = "researcher"
    MAINTAINER = "maintainer"


class SubjectKind(StrEnum):
    """Who a member is, as RBAC calls it."""

    USER = "User"
    GROUP = "Group"


@dataclass(frozen=True, slots=True)
class Member:
    """One person or group with a role; ``expires`` is the last day of access, in UTC."""

    kind: SubjectKind
    name: str
    role: Role
    expires: date | None
    origin: Origin
    everywhere: bool = False
    """A member of every project, by jobq.toml."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobOptions:
    """The one list of words about a job: flags of `submit`, script metadata, and `defaults` of a project.

    None: silent. The first block can be meant for every job of a project, so `defaults` has it; the second can't.
    """

    image: str | None = None
    cpu: str | None = None
    memory: str | None = None
    gpus: int | None = None
    flavor: str | None = None
    priority: str | None = None
    time: str | None = None
    ttl: str | None = None
    workdir: str | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    volumes: Sequence[str] = ()
    image_pull_secrets: Sequence[str] = ()

    name: str | None = None
    gpu_resource: str | None = None
    shm: str | None = None
    array: str | None = None
    nodes: int | None = None
    retries: int | None = None
    secrets: Sequence[str] = ()
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a project may have at most; amounts are quantities by ``cpu`` and ``memory``. None: no limit."""

    jobs: int | None = None
    persistent_volume_claims: int | None = None
    storage: str | None = None
    requests: Mapping[str, str] = field(default_factory=dict)
    """What a container counts with that asks for nothing."""
    limits: Mapping[str, str] = field(default_factory=dict)
    """What a container may use that says nothing."""
    largest: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A PersistentVolumeClaim; ``storage_class`` is ``""`` for the cluster's default, ``access`` an access mode."""

    name: str
    size: str
    storage_class: str
    access: str


class Egress(StrEnum):
    """Whom a project's pods may reach outside it: everybody, those that may reach them, nobody. DNS always."""

    OPEN = "open"
    INTERNAL = "internal"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """Who reaches a project's pods, and whom they reach; among themselves they always do."""

    admitted: Sequence[Mapping[str, str]] | None = ()
    """Labels of namespaces, one map for each network that may come in; None: everybody may."""
    egress: Egress = Egress.OPEN


class WhenInactive(StrEnum):
    """What a pause does to running jobs."""

    HOLD = "hold"
    DRAIN = "drain"


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """A project with everything resolved: defaults filled in, names of the namespace and the queue included."""

    name: str
    namespace: str
    queue: str
    cluster_queue: str
    display_name: str
    description: str
    tags: Sequence[str]
    active: bool
    when_inactive: WhenInactive
    members: Sequence[Member]
    robot: Role | None
    """What the ServiceAccount ``jobq-robot`` may do; None: there is none."""
    defaults: JobOptions
    priorities: Sequence[str] | None
    """The WorkloadPriorityClasses allowed; None: all."""
    limits: Limits
    network: Network
    storage: Sequence[Claim]
    labels: Mapping[str, str]
    """Of the Namespace; likewise ``annotations``."""
    annotations: Mapping[str, str]
    pod_security: str
    source: str
    """``projects.d/vision.yaml@<blob id>``."""
    places: Mapping[str, Origin]
    """Field (dotted) -> where it is said; ``""`` is the file's start."""

    def place(self, path: str = "") -> Origin:
        """Where a field is said, or the nearest field around it that is."""
        while path not in self.places and path:
            path = path.rpartition(".")[0]
        return self.places[path]


@dataclass(frozen=True, slots=True)
class KeyRule:
    """What a label or an annotation of a Namespace may be: a regular expression for the whole value."""

    pattern: str
    required: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What jobq.toml says, with defaults filled in."""

    cluster: str
    namespace: str = "{project}"
    """A pattern, as ``queue``: see ``naming``."""
    queue: str = "main"
    reserved: Sequence[str] = ()
    reconciler: str = "system:serviceaccount:jobq-system:jobq-reconciler"
    managed_namespace_label: tuple[str, str] | None = ("kueue.x-k8s.io/managed-namespace", "true")
    catalogue_readers: Sequence[str] = ("system:authenticated",)
    network_from: Sequence[str] = ()
    """Names of ``networks`` that every project admits whose network isn't open."""
    open_network: Sequence[str] = ()
    """Projects that may have an open network."""
    networks: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Name -> labels of namespaces."""
    expected_bindings: Sequence[str] = ("system:*",)
    disrupted_limit: str | int = "10%"
    """How many projects one run may disrupt without approval: a number, or a share of the live ones."""
    job_kinds: Sequence[tuple[str, str]] = ()
    """(group, plural) of further job kinds that members may use."""
    labels: Mapping[str, KeyRule] = field(default_factory=dict)
    """The labels that project files may give their Namespace; likewise ``annotations``."""
    annotations: Mapping[str, KeyRule] = field(default_factory=dict)
    members: Sequence[Member] = ()
    """Members of every project; ``{project}`` in a name stands for the project's."""


@dataclass(frozen=True, slots=True)
class Declaration:
    """A commit, read and understood. With any problem that is no warning, nothing of it may be applied."""

    commit: str
    settings: Settings
    projects: Mapping[str, Project]
    warnings: Sequence[Problem] = ()


@dataclass(frozen=True, slots=True, order=True)
class ObjectRef:
    """Which object, whatever the API version. ``namespace`` is ``""`` for cluster-scoped kinds."""

    group: str
    kind: str
    namespace: str
    name: str

    @classmethod
    def of(cls, body: Body) -> "ObjectRef":
        """Which object a live one is; it has ``apiVersion`` and ``kind``."""
        metadata = body["metadata"]
        group = body["apiVersion"].rpartition("/")[0]
        return cls(group, body["kind"], metadata.get("namespace", ""), metadata["name"])

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"


@dataclass(frozen=True, slots=True)
class Observation:
    """What is live."""

    live: Mapping[ObjectRef, Body]
    notes: Mapping[str, Body]
    """The ConfigMaps of jobq-system, by name."""
    queues: Mapping[str, Sequence[Body]]
    """Kind -> the objects of the cluster's admins: ClusterQueue, Cohort, ResourceFlavor, and priority classes."""
    unreadable: Mapping[str, str] = field(default_factory=dict)
    """Kind of the admins' objects -> why it can't be read. Unknown is not absent."""
    unlisted: Mapping[str, str] = field(default_factory=dict)
    """Kind of project objects -> why it could not be listed as a whole: nothing of it is judged, or deleted."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """One object as it shall be: ``body`` is all that jobq owns of it."""

    ref: ObjectRef
    body: Body
    project: str
    origin: Origin


@dataclass(frozen=True, slots=True)
class Suspect:
    """A live object that isn't provably as it should be."""

    manifest: Manifest
    live: Body


@dataclass(frozen=True, slots=True)
class Questions:
    """What the lists leave open, and only what this plan touches: a run in sync asks nothing."""

    dry_runs: Sequence[Suspect] = ()
    workloads: Sequence[str] = ()
    """Namespaces whose Workloads are to be counted."""
    jobs: Sequence[str] = ()
    """Namespaces whose Jobs are asked who submitted them: metadata alone."""
    claims: Sequence[str] = ()
    """Namespaces whose PersistentVolumeClaims are counted, whoever made them."""
    kueue: bool = False
    """Whether Kueue's version matters."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What the server said. A namespace whose list failed isn't in the mapping but in ``unanswered``."""

    dry_runs: Mapping[ObjectRef, Body | ClusterError] = field(default_factory=dict)
    workloads: Mapping[str, Sequence[Body]] = field(default_factory=dict)
    jobs: Mapping[str, Sequence[Body]] = field(default_factory=dict)
    claims: Mapping[str, Sequence[Body]] = field(default_factory=dict)
    kueue: Version | None = None
    """None: not asked, or it can't be told."""
    unanswered: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Kind -> namespace -> why it can't be listed there."""
