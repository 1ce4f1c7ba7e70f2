"""A Job that somebody has written as a manifest: read strictly, its queue, namespace and priority filled in."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from cli.explain.status import GATE
from cli.submission import amount
from cli.submission.manifest import HOLD, RUNNER, TIME_LABEL, Place
from cli.submission.request import Said, priority_of
from reconciler.cluster import Body
from reconciler.errors import UsageError
from reconciler.kinds import JOB
from reconciler.model import PRIORITY_LABEL, QUEUE_LABEL, SUBMITTED_BY, Origin

if TYPE_CHECKING:
    from reconciler.documents.document import Document
    from reconciler.documents.document import Path as DocumentPath

MOST_BYTES = 256 * 1024
"""As of every declared file."""
WORDS = frozenset({"name", "priority", "time", "ttl", "labels"})
"""The options that count for a manifest; all others stand in it."""
_LATER = {
    ("jobset.x-k8s.io", "JobSet"),
    ("ray.io", "RayJob"),
    ("ray.io", "RayCluster"),
    ("trainer.kubeflow.org", "TrainJob"),
    ("kubeflow.org", "PyTorchJob"),
    ("kubeflow.org", "MPIJob"),
}


@dataclass(frozen=True, slots=True)
class Given:
    """A Job's manifest, and where each part of it stands."""

    body: Body
    document: "Document"

    def place(self, *path: str) -> Origin:
        """Where a field is said, or the nearest one around it."""
        return self.document.place(path)

    @property
    def name(self) -> str:
        """Its own name, or the beginning of one; ``""`` where it has neither."""
        meta = self.body["metadata"]
        return str(meta.get("name") or meta.get("generateName", ""))

    @property
    def is_named(self) -> bool:
        """Whether the name is whole."""
        return bool(self.body["metadata"].get("name"))


def read(data: bytes, path: str) -> Given:
    """The one Job of a YAML or JSON file. Raises: UsageError with ``path:line:column``."""
    from reconciler.documents import yaml  # noqa: PLC0415 - the reader of YAML, which only a manifest needs

    document = yaml.read(data, path)
    if document.problems:
        first, more = document.problems[0], len(document.problems) - 1
        raise UsageError(f"{first.origin}: {first.reason}{f' (and {more} more)' if more else ''}", hint=first.hint)
    given = Given(document.value, document)
    _check_kind(given)
    for at, value in _leaves(given.body):
        if isinstance(value, date):
            raise UsageError(f"{document.place(at)}: a date, and a manifest has none", hint=f'write "{value}"')
    for at in (("metadata",), ("spec",), ("spec", "template"), ("spec", "template", "spec")):
        _check_map(given, at)
    for word in ("labels", "annotations"):
        if word in given.body["metadata"]:
            _check_map(given, ("metadata", word))
    return given


def job(given: Given, name: str, place: Place, said: Said, priorities: Sequence[str], *, held: bool) -> Body:
    """The manifest with what a project's jobs have. Raises: UsageError where it says another queue or namespace."""
    body, meta = given.body, given.body["metadata"]
    _agree(given, ("metadata", "namespace"), place.namespace, "the project's namespace")
    _agree(given, ("metadata", "labels", QUEUE_LABEL), place.queue, "the project's queue")
    _agree(given, ("metadata", "annotations", SUBMITTED_BY), place.submitted_by, "who submits it")
    labels = {**meta.get("labels", {}), **said.merged("labels"), QUEUE_LABEL: place.queue}
    if chosen := _priority(given, said, priorities):
        labels[PRIORITY_LABEL] = chosen
    time, time_origin = said.layers[0][0].time, "--time"
    if time is not None:
        labels[TIME_LABEL] = str(amount.time_limit(time, time_origin))
    annotations = {**meta.get("annotations", {}), SUBMITTED_BY: place.submitted_by, **place.provenance}
    if held:
        annotations[GATE] = HOLD
    kept = {key: value for key, value in meta.items() if key not in {"generateName", "ownerReferences"}}
    metadata = {**kept, "name": name, "namespace": place.namespace, "labels": labels, "annotations": annotations}
    return {**body, "metadata": metadata, "spec": _spec(body["spec"], said)}


def _spec(spec: Body, said: Said) -> Body:
    flags = said.layers[0][0]
    filled = {**spec, "suspend": True, "template": _template(spec["template"], said)}
    if flags.ttl is not None or "ttlSecondsAfterFinished" not in spec:
        filled["ttlSecondsAfterFinished"] = amount.time_to_live(*said.first("ttl"))
    return filled


def _template(template: Body, said: Said) -> Body:
    pod = template["spec"]
    filled = {"restartPolicy": "Never", **pod}
    if not pod.get("serviceAccountName") and not pod.get("serviceAccount"):
        filled |= {"serviceAccountName": RUNNER, "automountServiceAccountToken": False}
    secrets = [{"name": name} for name, _ in said.items("image_pull_secrets")]
    if secrets and "imagePullSecrets" not in pod:
        filled["imagePullSecrets"] = secrets
    return {**template, "spec": filled}


def _priority(given: Given, said: Said, priorities: Sequence[str]) -> str:
    """A flag's, else the manifest's own, else the project's."""
    own = given.body["metadata"].get("labels", {}).get(PRIORITY_LABEL)
    flag = said.layers[0][0].priority
    if own and not flag:
        return priority_of(own, str(given.place("metadata", "labels", PRIORITY_LABEL)), priorities)
    return priority_of(*said.first("priority"), priorities)


def _agree(given: Given, at: tuple[str, ...], wanted: str, what: str) -> None:
    value: Any = given.body
    for step in at:
        value = value.get(step) if isinstance(value, Mapping) else None
    if value is not None and value != wanted:
        raise UsageError(
            f"{given.place(*at)}: {at[-1]} is {value!r}, and {what} is {wanted!r}",
            hint="leave it out, or choose the project with -p",
        )


def _check_kind(given: Given) -> None:
    api_version, kind = str(given.body.get("apiVersion")), str(given.body.get("kind"))
    if (api_version, kind) == (JOB.api_version, JOB.kind):
        return
    known = (api_version.partition("/")[0], kind) in _LATER
    reason = f"a {kind} can't be submitted by jobq yet" if known else f"this is {api_version} {kind}, and no Job"
    hint = f"kubectl create takes it, with the label {QUEUE_LABEL}" if known else "-f takes a Job of batch/v1"
    raise UsageError(f"{given.place('kind')}: {reason}", hint=hint)


def _check_map(given: Given, at: tuple[str, ...]) -> None:
    value: Any = given.body
    for step in at:
        value = value.get(step)
    if not isinstance(value, dict):
        raise UsageError(f"{given.place(*at)}: {'.'.join(at)} is missing, or no map")


def _leaves(value: object, path: "DocumentPath" = ()) -> "Iterator[tuple[DocumentPath, object]]":
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, (*path, key))
    elif isinstance(value, list):
        for at, inner in enumerate(value):
            yield from _leaves(inner, (*path, at))
    else:
        yield path, value
