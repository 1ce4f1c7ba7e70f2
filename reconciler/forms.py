"""What a project file and jobq.toml may hold, as pydantic models: fields, types, bounds; `schema` is made of them.

Order of fields is the order in which people write them.
"""

import json
import re
from collections.abc import Callable, Iterator
from datetime import date, datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel
from pydantic.json_schema import GenerateJsonSchema

from reconciler import documents
from reconciler.amounts import AmountError, cores, duration, size

_LABEL = r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
_LABEL_WORD = r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?"
_DNS_NAME = rf"{_LABEL}(\.{_LABEL})*"


def _checked(rule: Callable[[str], object]) -> AfterValidator:
    def check(value: str) -> str:
        rule(value)
        return value

    return AfterValidator(check)


def _matching(pattern: str, what: str, *, longest: int = 253) -> AfterValidator:
    def check(value: str) -> None:
        if len(value) > longest or not re.fullmatch(pattern, value):
            raise ValueError(f"{shown(value)} is no {what}")

    return _checked(check)


def _amount(rule: Callable[[str], object]) -> BeforeValidator:
    """A bare number is told first what is wrong with it in quotes too."""

    def check(value: object) -> object:
        if isinstance(value, int | float) and not isinstance(value, bool):
            rule(str(value))
        return value

    return BeforeValidator(check)


def _above_zero(text: str) -> None:
    if duration(text) == 0:
        raise AmountError("0 leaves no time at all; write at least 1s")


def _no_outer_blank(text: str) -> None:
    if text != text.strip():
        raise ValueError(f"{shown(text)} has a blank at its {'start' if text[0].isspace() else 'end'}")


def _subject(text: str) -> None:
    _no_outer_blank(text)
    if text.startswith("system:"):
        raise ValueError(f"{shown(text)} belongs to Kubernetes itself; members are people and their groups")
    if any(character.isspace() for character in text):
        raise ValueError(f"{shown(text)} has a blank inside")
    if unseen := documents.unseen(text):
        raise ValueError(f"{shown(text)} has {unseen} in it, which nobody can see in a name")


def _share(value: object) -> object:
    if isinstance(value, int) and not isinstance(value, bool):
        if value < 0:
            raise ValueError(f"{value} is below zero")
        return value
    if not isinstance(value, str) or not re.fullmatch(r"[0-9]{1,2}%|100%", value):
        raise ValueError(f"{shown(value)} is neither a number nor a share such as 10%")
    return value


def _label_pair(text: str) -> None:
    """``key=value``, or nothing."""
    if text and not re.fullmatch(rf"({_DNS_NAME}/)?{_LABEL_WORD}=({_LABEL_WORD})?", text):
        raise ValueError(f"{shown(text)} is no label; write key=value")


def _date(value: object) -> object:
    if isinstance(value, str) and re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
        try:
            return date.fromisoformat(value)
        except ValueError:
            raise ValueError(f"there is no day {value}") from None
    if isinstance(value, datetime) or not isinstance(value, date):
        raise ValueError(  # noqa: TRY004 - pydantic collects ValueErrors
            f"{shown(value)} is no date; write year-month-day, such as 2027-03-31"
        )
    return value


Label = Annotated[str, _matching(_LABEL, "name: lower-case letters, digits and '-', at most 63", longest=63)]
QueueName = Annotated[str, _matching(_DNS_NAME, "name of at most 63 characters, as it becomes a label", longest=63)]
DnsName = Annotated[str, _matching(_DNS_NAME, "name: lower-case letters, digits, '-' and '.'")]
Text = Annotated[str, Field(max_length=4096)]
Line = Annotated[str, Field(max_length=256), _matching(r"[^\n]*", "single line", longest=256)]
Tag = Annotated[str, _matching(r"[^\s,]+", "tag: no blanks or commas, at most 63 characters", longest=63)]
SubjectName = Annotated[str, Field(min_length=1, max_length=256), _checked(_subject)]
UserName = Annotated[str, _matching(r"[A-Za-z0-9:._@/-]+", "user name of Kubernetes")]
Cores = Annotated[str, _amount(cores), _checked(cores)]
Size = Annotated[str, _amount(size), _checked(size)]
Duration = Annotated[str, _amount(_above_zero), _checked(_above_zero)]
Ttl = Annotated[str, _amount(duration), _checked(duration)]
Day = Annotated[date, BeforeValidator(_date)]
Image = Annotated[str, _matching(r"[^\s]+", "image: it has blanks")]
Workdir = Annotated[str, _matching(r"/[^\n]*", "absolute path", longest=4096)]
EnvName = Annotated[str, _matching(r"[A-Za-z_][A-Za-z0-9_]*", "variable name: letters, digits and '_'")]
Volume = Annotated[str, _matching(rf"{_LABEL}:/[^:\n]*(:ro)?", "volume; write PVC:/path or PVC:/path:ro", longest=4096)]
LabelKey = Annotated[str, _matching(rf"({_DNS_NAME}/)?{_LABEL_WORD}", "label's key", longest=317)]
LabelValue = Annotated[
    str, _matching(rf"({_LABEL_WORD})?", "label's value: letters, digits, '-', '_', '.'", longest=63)
]
Count = Annotated[int, Field(ge=0, le=2**31 - 1)]


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
    defaults: DefaultsFile = DefaultsFile()
    priorities: Annotated[list[DnsName], Field(min_length=1)] | None = Field(
        None, description="the WorkloadPriorityClasses this project may use; absent: all"
    )
    limits: LimitsFile = LimitsFile()
    network: Literal["isolated", "open"] = Field(
        "isolated", description="isolated: reached from its own namespace and the settings' networkFrom"
    )
    pod_security: Literal["baseline", "restricted", "privileged"] = "baseline"


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

    disrupted: Annotated[str | int, BeforeValidator(_share)] = "10%"


class KindFile(Form):
    """A further kind of job that members may use."""

    group: DnsName
    resource: Label


class SettingsFile(Form):
    """jobq.toml."""

    cluster: Label
    namespace: Literal["{project}"] = "{project}"
    queue: Label = "main"
    reserved: list[Label] = []
    reconciler: UserName = "system:serviceaccount:jobq-system:jobq-reconciler"
    managed_namespace_label: Annotated[str, _checked(_label_pair)] = "kueue.x-k8s.io/managed-namespace=true"
    catalogue_readers: list[Annotated[str, Field(min_length=1)]] = ["system:authenticated"]
    network_from: list[Label] = []
    open_network: list[Label] = []
    networks: dict[Label, dict[LabelKey, LabelValue]] = {}
    expected_bindings: list[str] = ["system:*"]
    guard: GuardFile = GuardFile()
    kinds: list[KindFile] = []


class _Untitled(GenerateJsonSchema):
    """Without the fields' names said again as titles."""

    def field_title_should_be_set(self, schema: object) -> bool:  # noqa: ARG002 - pydantic's signature
        return False


def schema() -> str:
    """The JSON schema of a project file, byte for byte as `projects.d/schema.json` holds it."""
    made = ProjectFile.model_json_schema(by_alias=True, schema_generator=_Untitled)
    return json.dumps({"$schema": _Untitled.schema_dialect, **made}, indent=2, ensure_ascii=False) + "\n"


def shown(value: object) -> str:
    """A value as people can read it: short, and with invisible characters made visible."""
    match value:
        case None:
            text = "null"
        case bool():
            text = str(value).lower()
        case str():
            text = repr(value)
        case _:
            text = str(value)
    return text if len(text) <= 80 else f"{text[:77]}..."  # noqa: PLR2004
