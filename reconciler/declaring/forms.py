"""What a project file and jobq.toml may hold, as pydantic models: fields, types, bounds; `schema` is made of them.

Order of fields is the order in which people write them.
"""

import json
from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, model_validator
from pydantic import Tag as FormTag
from pydantic.alias_generators import to_camel
from pydantic.json_schema import GenerateJsonSchema

from reconciler.declaring.scalars import (
    Cores,
    Count,
    Day,
    DnsName,
    Duration,
    EnvName,
    Expression,
    FreeKey,
    Image,
    Label,
    LabelKey,
    LabelPair,
    LabelValue,
    Line,
    NamespacePattern,
    QualifiedName,
    QueueName,
    QueuePattern,
    Share,
    Size,
    SubjectName,
    Tag,
    Text,
    Ttl,
    UserName,
    Volume,
    Workdir,
)

FORM_MARK = "\0"
"""How the name of one of several forms of a field begins, where pydantic tells a path: no file's key can."""
_WORD, _MAP = f"{FORM_MARK}word", f"{FORM_MARK}map"


class Form(BaseModel):
    """Read strictly: no unknown field, and no type turned into another."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, alias_generator=to_camel)


class MemberFile(Form):
    """One person or group with a role."""

    user: SubjectName | None = None
    group: SubjectName | None = None
    role: Literal["viewer", "researcher", "maintainer"]
    expires: Day | None = Field(None, description="access through that day, UTC")

    @model_validator(mode="after")
    def _one_subject(self) -> "MemberFile":
        if (self.user is None) == (self.group is None):
            raise ValueError("a member has exactly one of user and group")
        return self


class DefaultsFile(Form):
    """What `jobq submit` uses where flags are silent."""

    image: Image | None = None
    cpu: Cores | None = None
    memory: Size | None = None
    gpus: Count | None = None
    flavor: DnsName | None = Field(None, description="a ResourceFlavor of the ClusterQueue")
    priority: DnsName | None = Field(None, description="a WorkloadPriorityClass")
    time: Duration | None = None
    ttl: Ttl | None = None
    workdir: Workdir | None = None
    env: dict[EnvName, str] = Field({}, description="values are text: quote numbers")
    volumes: list[Volume] = Field([], description="PVC:/path[:ro]")
    imagePullSecrets: list[DnsName] = []  # noqa: N815 - the file's own word


class JobFile(DefaultsFile):
    """What a script says of its own job, in `[tool.jobq]`: the same words and types, and those of one job."""

    name: Label | None = None
    gpuResource: QualifiedName | None = None  # noqa: N815 - the words' own form
    shm: Size | None = None
    array: str | None = None
    nodes: Annotated[int, Field(ge=1)] | None = None
    retries: Count | None = None
    secrets: list[str] = Field([], description="NAME, or NAME:/path")
    labels: dict[FreeKey, LabelValue] = {}


class AmountsFile(Form):
    """CPU and memory of a container; GPUs are the queue's business."""

    cpu: Cores | None = None
    memory: Size | None = None

    def amounts(self) -> dict[str, str]:
        """Only what is said."""
        return self.model_dump(exclude_none=True)


class ContainerFile(Form):
    """For every container: what it gets where it asks for nothing, and the most it may ask for."""

    requests: AmountsFile = Field(
        AmountsFile(), description="a job that asks for nothing counts with these, not as zero"
    )
    limits: AmountsFile = AmountsFile()
    max: AmountsFile = AmountsFile()

    def pairs(self) -> Iterator[tuple[str, tuple[str | None, str], tuple[str | None, str]]]:
        """What may not be more than what: (word, (amount, its field), (amount, its field))."""
        for word in ("cpu", "memory"):
            said = {name: (getattr(getattr(self, name), word), name) for name in ("requests", "limits", "max")}
            yield word, said["requests"], said["limits"]
            yield word, said["limits"], said["max"]
            yield word, said["requests"], said["max"]


class LimitsFile(Form):
    """Counts and storage of the whole project. Compute is shared by the queue, never limited here."""

    jobs: Count | None = Field(None, description="finished ones count until their ttl")
    persistent_volume_claims: Count | None = None
    storage: Size | None = None
    container: ContainerFile = ContainerFile()


class ClaimFile(Form):
    """A claim on storage. jobq never deletes it; only its size can change, upwards."""

    name: Label
    size: Size
    class_: DnsName | None = Field(None, alias="class", description="a StorageClass; absent: the cluster's default")
    access: Literal["ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany", "ReadWriteOncePod"]


class NetworkFile(Form):
    """Who may reach the project's pods, and whom they may reach; DNS and the own namespace always."""

    from_: list[Label] = Field([], alias="from", description="networks of jobq.toml, else projects, beside networkFrom")
    egress: Literal["open", "internal", "none"] = Field(
        "open", description="open: everything; internal: what may reach it; none: nothing outside"
    )


def _network_form(value: object) -> str:
    return _MAP if isinstance(value, dict | NetworkFile) else _WORD


class SpecFile(Form):
    """What a project is."""

    cluster_queue: QueueName = Field(description="the ClusterQueue whose quota this project uses")
    display_name: Line = ""
    description: Text = ""
    tags: list[Tag] = []
    active: bool = Field(default=True, description="false pauses the project")
    when_inactive: Literal["hold", "drain"] = Field(
        "hold", description="hold: running jobs finish; drain: they are evicted"
    )
    members: list[MemberFile] = []
    robot: Literal["viewer", "researcher"] | None = Field(None, description="the role of a ServiceAccount for machines")
    defaults: DefaultsFile = DefaultsFile()
    priorities: Annotated[list[DnsName], Field(min_length=1)] | None = Field(
        None, description="the WorkloadPriorityClasses this project may use; absent: all"
    )
    limits: LimitsFile = LimitsFile()
    network: Annotated[
        Annotated[Literal["isolated", "open"], FormTag(_WORD)] | Annotated[NetworkFile, FormTag(_MAP)],
        Discriminator(_network_form),
    ] = Field("isolated", description="isolated: reached from its own namespace and the settings' networkFrom")
    pod_security: Literal["baseline", "restricted", "privileged"] = "baseline"
    storage: list[ClaimFile] = Field([], description="claims that jobq makes, and never deletes")
    labels: dict[LabelKey, LabelValue] = Field({}, description="of the Namespace: keys that jobq.toml names")
    annotations: dict[LabelKey, Text] = Field({}, description="of the Namespace: keys that jobq.toml names")


class MetadataFile(Form):
    """The project's identity."""

    name: Label = Field(description="the file's name without .yaml; never changes")


class ProjectFile(Form):
    """A project on a shared cluster."""

    api_version: Literal["jobq.io/v1alpha1"]
    kind: Literal["Project"]
    metadata: MetadataFile
    spec: SpecFile


class GuardFile(Form):
    """How much a run may disrupt without an approval."""

    disrupted: Share = "10%"


class KindFile(Form):
    """A further kind of job that members may use."""

    group: DnsName
    resource: Label


class KeyFile(Form):
    """What project files may say under one key of their Namespace."""

    pattern: Expression = ".*"
    required: bool = False


class SettingsFile(Form):
    """jobq.toml."""

    cluster: Label
    namespace: NamespacePattern = "{project}"
    queue: QueuePattern = "main"
    reserved: list[Label] = []
    reconciler: UserName = "system:serviceaccount:jobq-system:jobq-reconciler"
    managed_namespace_label: LabelPair = "kueue.x-k8s.io/managed-namespace=true"
    catalogue_readers: list[Annotated[str, Field(min_length=1)]] = ["system:authenticated"]
    network_from: list[Label] = []
    open_network: list[Label] = []
    networks: dict[Label, Annotated[dict[LabelKey, LabelValue], Field(min_length=1)]] = {}
    expected_bindings: list[str] = ["system:*"]
    guard: GuardFile = GuardFile()
    labels: dict[FreeKey, KeyFile] = {}
    annotations: dict[FreeKey, KeyFile] = {}
    members: list[MemberFile] = []
    kinds: list[KindFile] = []


class _Untitled(GenerateJsonSchema):
    """Without the fields' names said again as titles."""

    def field_title_should_be_set(self, schema: object) -> bool:  # noqa: ARG002 - pydantic's signature
        return False


def schema() -> str:
    """The JSON schema of a project file, byte for byte as `projects.d/schema.json` holds it."""
    made = ProjectFile.model_json_schema(by_alias=True, schema_generator=_Untitled)
    return json.dumps({"$schema": _Untitled.schema_dialect, **made}, indent=2, ensure_ascii=False) + "\n"
