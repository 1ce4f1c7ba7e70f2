"""A request as manifests: a Job, queued by Kueue and run as ``jobq-runner``, every byte as typed; and what it ships."""

import base64
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cli.explain.status import GATE
from cli.submission import array, layout, mounts
from cli.submission.layout import Layout
from cli.submission.request import Request
from reconciler.cluster import Body
from reconciler.kinds import CONFIG_MAP, JOB
from reconciler.model import PRIORITY_LABEL, QUEUE_LABEL, SUBMITTED_BY

RUNNER = "jobq-runner"
TIME_LABEL = "kueue.x-k8s.io/max-exec-time-seconds"
COMMAND_LINE = "jobq.io/command"
HOLD = "jobq.io/hold"
"""The gate of a held job, which ``resume`` takes away."""
RECORDED = 4096
"""Characters of the command line that are kept for people; the job has them all."""
HIDDEN = "<hidden>"
_INDEX = "metadata.annotations['batch.kubernetes.io/job-completion-index']"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a job goes, and on whose account; ``restricted`` where Pod Security wants pods to say that they are."""

    namespace: str
    queue: str
    submitted_by: str
    flavor: Body
    """The ResourceFlavor asked for, or empty."""
    restricted: bool = False
    provenance: Mapping[str, str]
    """Annotations that say what the job was made from."""


def job(request: Request, name: str, place: Place) -> Body:
    """The Job. ``suspend`` is true, so that it never runs before Kueue has seen it."""
    shape = _shape(request, name)
    pod = _pod(request, shape, name) | shape.pod | placement(place.flavor)
    labels = {**request.labels, **shape.pod_labels}
    template = {**({"metadata": {"labels": labels}} if labels else {}), "spec": _secured(pod, place)}
    return {
        "apiVersion": JOB.api_version,
        "kind": JOB.kind,
        "metadata": {
            "name": name,
            "namespace": place.namespace,
            "labels": {**request.labels, **_labels(request, shape, place.queue)},
            "annotations": {**annotations(place, request.work.shown, held=request.held), **shape.annotations},
        },
        "spec": {
            "suspend": True,
            **shape.spec,
            "ttlSecondsAfterFinished": request.ttl_seconds,
            "template": template,
        },
    }


def config_map(request: Request, name: str, place: Place) -> Body | None:
    """What is shipped, under the Job's name; None for nothing. ``owned`` gives it its owner."""
    texts, others = {}, {}
    for file, key in request.storage.shipped.items():
        data = request.work.files[file]
        try:
            texts[key] = data.decode()
        except UnicodeDecodeError:
            others[key] = base64.b64encode(data).decode()
    if not (texts or others):
        return None
    return {
        "apiVersion": CONFIG_MAP.api_version,
        "kind": CONFIG_MAP.kind,
        "metadata": {"name": name, "namespace": place.namespace},
        "immutable": True,
        **({"data": texts} if texts else {}),
        **({"binaryData": others} if others else {}),
    }


def owned(body: Body, owner: Body) -> Body:
    """The body as a part of a live Job: it goes when that goes."""
    meta = owner["metadata"]
    reference = {"apiVersion": JOB.api_version, "kind": JOB.kind, "name": meta["name"], "uid": meta["uid"]}
    return {**body, "metadata": {**body["metadata"], "ownerReferences": [reference]}}


def annotations(place: Place, command: Sequence[str], *, held: bool) -> Mapping[str, str]:
    """Who submitted it, and from what; and the gate of a held job."""
    found = {SUBMITTED_BY: place.submitted_by}
    if command:
        found[COMMAND_LINE] = _recorded(command)
    return {**found, **place.provenance, **({GATE: HOLD} if held else {})}


def shown(body: Body, hidden: frozenset[str]) -> Body:
    """The Job without the values of these variables."""
    if not hidden:
        return body
    template = body["spec"]["template"]
    containers = [
        {**one, "env": [{**e, "value": HIDDEN} if e["name"] in hidden else e for e in one.get("env", ())]}
        for one in template["spec"]["containers"]
    ]
    spec = {**template["spec"], "containers": containers}
    return {**body, "spec": {**body["spec"], "template": {**template, "spec": spec}}}


def placement(flavor: Body) -> Body:
    """What a pod says to run on a ResourceFlavor's nodes: their labels, and tolerations of their taints."""
    spec = flavor.get("spec", {})
    tolerations = [
        {"key": taint["key"], "operator": "Equal", "value": taint.get("value", ""), "effect": taint["effect"]}
        for taint in spec.get("nodeTaints", ())
    ]
    found = {"nodeSelector": dict(spec.get("nodeLabels", {})), "tolerations": tolerations}
    return {key: value for key, value in found.items() if value}


def escaped(text: str) -> str:
    """Kubernetes turns ``$$`` into ``$`` and replaces ``$(NAME)``: doubled, each dollar sign arrives as one."""
    return text.replace("$", "$$")


def _shape(request: Request, name: str) -> Layout:
    retries, seconds = request.retries, request.seconds
    if request.array:
        return array.layout(request.array, retries=retries, seconds=seconds)
    if request.nodes:
        return layout.nodes(request.nodes, name=name, retries=retries, seconds=seconds)
    return layout.single(retries=retries, seconds=seconds)


def _labels(request: Request, shape: Layout, queue: str) -> Mapping[str, str]:
    labels = {QUEUE_LABEL: queue}
    if request.priority:
        labels[PRIORITY_LABEL] = request.priority
    if shape.seconds is not None:
        labels[TIME_LABEL] = str(shape.seconds)
    return labels


def _recorded(command: Sequence[str]) -> str:
    line = shlex.join(command)
    return line if len(line) <= RECORDED else f"{line[: RECORDED - 1]}…"


def _pod(request: Request, shape: Layout, name: str) -> Body:
    pod: Body = {
        "restartPolicy": "Never",
        "serviceAccountName": RUNNER,
        "automountServiceAccountToken": False,
        "containers": [_container(request, shape)],
    }
    if request.pull_secrets:
        pod["imagePullSecrets"] = [{"name": secret} for secret in request.pull_secrets]
    if volumes := mounts.volumes(request.storage, name):
        pod["volumes"] = volumes
    return pod


def _secured(pod: Body, place: Place) -> Body:
    """The pod as Pod Security's level restricted wants it said, where that counts.

    https://kubernetes.io/docs/concepts/security/pod-security-standards/
    """
    if not place.restricted:
        return pod
    harmless = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    containers = [container | {"securityContext": harmless} for container in pod["containers"]]
    whole = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    return pod | {"securityContext": whole, "containers": containers}


def _container(request: Request, shape: Layout) -> Body:
    container: Body = {
        "name": "main",
        "image": request.image,
        "command": [escaped(word) for word in (*shape.prologue, *request.work.command)],
        "resources": _resources(request),
    }
    if request.workdir:
        container["workingDir"] = request.workdir
    if env_from := mounts.env_from(request.storage):
        container["envFrom"] = env_from
    if env := _env(request, shape):
        container["env"] = env
    if volume_mounts := mounts.volume_mounts(request.storage):
        container["volumeMounts"] = volume_mounts
    return container


def _env(request: Request, shape: Layout) -> Sequence[Body]:
    """The user's own word counts, also for what the layout sets."""
    values = {**shape.variables, **request.env}
    return [
        *({"name": name, "value": escaped(value)} for name, value in values.items()),
        *(
            {"name": name, "valueFrom": {"fieldRef": {"fieldPath": _INDEX}}}
            for name in shape.index_variables
            if name not in values
        ),
    ]


def _resources(request: Request) -> Body:
    """Kueue counts requests. CPU has no limit: idle cores may be used, and a throttled job helps nobody."""
    firm = {"memory": request.memory, **({request.gpu_resource: str(request.gpus)} if request.gpus else {})}
    return {"requests": {"cpu": request.cpu, **firm}, "limits": firm}
