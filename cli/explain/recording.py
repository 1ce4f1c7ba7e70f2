"""What is kept of a cluster's objects in saved evidence: what explains a job, and nothing that could be a secret. Pure.

Kept are the fields named here; environment values but an array's numbers, commands and arguments, probes, other
annotations, termination messages and whatever else people write freely are left out, as is all that concerns other
projects' jobs.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from cli import parts
from cli.parts import Json
from cli.submission.array import RUNS_VARIABLE

_ANNOTATIONS = ("kueue.x-k8s.io/", "jobq.io/submitted-by", "jobq.io/allowed-priority-classes")
_POD = (
    *("nodeName", "nodeSelector", "affinity", "tolerations", "restartPolicy", "serviceAccountName", "overhead"),
    *("priorityClassName", "schedulerName", "schedulingGates", "resources", "activeDeadlineSeconds"),
)
_CONTAINER = ("name", "image", "resources", "restartPolicy", "volumeMounts")
_VOLUMES: Mapping[str, str] = {
    "persistentVolumeClaim": "claimName",
    "configMap": "name",
    "secret": "secretName",
    "hostPath": "path",
}
_JOB = (
    *("parallelism", "completions", "completionMode", "backoffLimit", "backoffLimitPerIndex", "suspend"),
    *("activeDeadlineSeconds", "ttlSecondsAfterFinished", "managedBy"),
)
_TEXTUAL = {"FailedPreStopHook", "FailedPostStartHook", "Unhealthy"}
"""Events that tell what a program of the job has printed."""


def job(body: Json) -> Json:
    """A Job; of any other kind its metadata, whether it is suspended, and its status."""
    spec = parts.mapping(body, "spec")
    template = parts.mapping(spec, "template", "spec")
    kept: dict[str, Any] = _some(spec, _JOB)
    if template:
        kept["template"] = {"spec": pod_spec(template)}
    if suspended := _some(parts.mapping(spec, "runPolicy"), ("suspend",)):
        kept["runPolicy"] = suspended
    return _object(body) | {"spec": kept, "status": dict(parts.mapping(body, "status"))}


def workload(body: Json) -> Json:
    """A Workload: all of it but what its pod templates hold too much of."""
    spec = dict(parts.mapping(body, "spec"))
    spec["podSets"] = [
        dict(one) | {"template": {"spec": pod_spec(parts.mapping(one, "template", "spec"))}}
        for one in parts.items(spec, "podSets")
    ]
    return _object(body) | {"spec": spec, "status": dict(parts.mapping(body, "status"))}


def brief(body: Json) -> Json:
    """Another Workload of the project: who it is, no more."""
    return _object(body) | {"spec": _some(parts.mapping(body, "spec"), ("priority", "priorityClassRef", "queueName"))}


def pod(body: Json) -> Json:
    """A pod: where it runs, with what, and how its containers fare."""
    status = dict(parts.mapping(body, "status"))
    for key in ("initContainerStatuses", "containerStatuses"):
        if key in status:
            status[key] = [_container_status(one) for one in parts.items(status, key)]
    return _object(body) | {"spec": pod_spec(parts.mapping(body, "spec")), "status": status}


def pod_spec(spec: Json) -> dict[str, Any]:
    """A pod's spec: what decides on nodes, quota and start."""
    kept = _some(spec, _POD)
    for key in ("initContainers", "containers"):
        if key in spec:
            kept[key] = [_container(one) for one in parts.items(spec, key)]
    if "volumes" in spec:
        kept["volumes"] = [_volume(one) for one in parts.items(spec, "volumes")]
    return kept


def event(body: Json) -> Json:
    """An event; without the message where that may be a program's own output."""
    keys = ("involvedObject", "reason", "message", "type", "count", "firstTimestamp", "lastTimestamp", "eventTime")
    kept = _some(body, keys) | {"metadata": _some(parts.mapping(body, "metadata"), ("name", "creationTimestamp"))}
    if kept.get("reason") in _TEXTUAL:
        kept["message"] = ""
    return kept


def plain(body: Json) -> Json:
    """An object of the cluster that holds nobody's words: a queue, a flavor, a limit, a namespace."""
    return _object(body) | {key: body[key] for key in ("spec", "status") if key in body}


def positions(items: Sequence[Json], namespace: str) -> Sequence[Json]:
    """The waiting jobs of one namespace: some releases of Kueue name others' too."""
    return [one for one in items if parts.text(one, "metadata", "namespace") == namespace]


def _object(body: Json) -> dict[str, Any]:
    meta = dict(parts.mapping(body, "metadata"))
    meta.pop("managedFields", None)
    if "annotations" in meta:
        notes = parts.pairs(meta, "annotations")
        meta["annotations"] = {key: value for key, value in notes.items() if key.startswith(_ANNOTATIONS)}
    return {key: body[key] for key in ("apiVersion", "kind") if key in body} | {"metadata": meta}


def _container(body: Json) -> Json:
    kept = _some(body, _CONTAINER)
    if env := [_some(one, _variable(one)) for one in parts.items(body, "env")]:
        kept["env"] = env
    if sources := [_some(one, ("secretRef", "configMapRef")) for one in parts.items(body, "envFrom")]:
        kept["envFrom"] = sources
    return kept


def _variable(body: Json) -> Sequence[str]:
    """Its value only where that is the numbers of an array's tasks."""
    return ("name", "valueFrom", *(("value",) if body.get("name") == RUNS_VARIABLE else ()))


def _volume(body: Json) -> Json:
    kept: dict[str, Any] = _some(body, ("name",))
    for kind in (key for key in body if key != "name"):
        word = _VOLUMES.get(kind)
        kept[kind] = _some(parts.mapping(body, kind), (word,)) if word else {}
    return kept


def _container_status(body: Json) -> Json:
    kept = _some(body, ("name", "image", "ready", "restartCount", "started"))
    for key in ("state", "lastState"):
        kept[key] = {
            word: {name: one for name, one in parts.mapping(said).items() if name not in _TOLD_BY[word]}
            for word, said in parts.mapping(body, key).items()
            if word in _TOLD_BY
        }
    return kept


_TOLD_BY: Mapping[str, set[str]] = {"waiting": set(), "running": set(), "terminated": {"message", "containerID"}}
"""A container's state -> what of it a program has written, or nobody needs."""


def _some(body: Json, keys: Sequence[str]) -> dict[str, Any]:
    return {key: body[key] for key in keys if key in body}
