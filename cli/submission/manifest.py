"""A request as a Job manifest: queued by Kueue, run as ``jobq-runner``, every byte as typed."""

import shlex
from collections.abc import Mapping, Sequence

from cli.submission.request import Mount, Request
from reconciler.cluster import Body
from reconciler.kinds import JOB
from reconciler.model import PRIORITY_LABEL, QUEUE_LABEL, SUBMITTED_BY

RUNNER = "jobq-runner"
GPU = "nvidia.com/gpu"
TIME_LABEL = "kueue.x-k8s.io/max-exec-time-seconds"
COMMAND_LINE = "jobq.io/command"
RECORDED = 4096
"""Characters of the command line that are kept for people; the job has them all."""


def placement(flavor: Body) -> Body:
    """What a pod says to run on a ResourceFlavor's nodes: their labels, and tolerations of their taints."""
    spec = flavor.get("spec", {})
    return {
        "nodeSelector": dict(spec.get("nodeLabels", {})),
        "tolerations": [
            {"key": taint["key"], "operator": "Equal", "value": taint.get("value", ""), "effect": taint["effect"]}
            for taint in spec.get("nodeTaints", ())
        ],
    }


def job(
    request: Request,
    *,
    name: str,
    namespace: str,
    queue: str,
    submitted_by: str,
    place: Body | None = None,
    restricted: bool = False,
) -> Body:
    """The manifest. ``suspend`` is true, so that it never runs before Kueue has seen it.

    ``place`` as ``placement`` gives it; ``restricted`` where Pod Security wants pods to say that they are.
    """
    pod = _pod(request) | {key: value for key, value in (place or {}).items() if value}
    return {
        "apiVersion": JOB.api_version,
        "kind": JOB.kind,
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": _labels(request, queue),
            "annotations": {SUBMITTED_BY: submitted_by, COMMAND_LINE: _recorded(request.command)},
        },
        "spec": {
            "suspend": True,
            "parallelism": 1,
            "completions": 1,
            "backoffLimit": 0,
            "ttlSecondsAfterFinished": request.ttl_seconds,
            "template": {"spec": _restricted(pod) if restricted else pod},
        },
    }


def escaped(text: str) -> str:
    """Kubernetes turns ``$$`` into ``$`` and replaces ``$(NAME)``: doubled, each dollar sign arrives as one."""
    return text.replace("$", "$$")


def _labels(request: Request, queue: str) -> Mapping[str, str]:
    labels = {QUEUE_LABEL: queue}
    if request.priority:
        labels[PRIORITY_LABEL] = request.priority
    if request.seconds is not None:
        labels[TIME_LABEL] = str(request.seconds)
    return labels


def _recorded(command: Sequence[str]) -> str:
    line = shlex.join(command)
    return line if len(line) <= RECORDED else f"{line[: RECORDED - 1]}…"


def _pod(request: Request) -> Body:
    pod: Body = {
        "restartPolicy": "Never",
        "serviceAccountName": RUNNER,
        "automountServiceAccountToken": False,
        "containers": [_container(request)],
    }
    if request.pull_secrets:
        pod["imagePullSecrets"] = [{"name": name} for name in request.pull_secrets]
    if request.mounts:
        pod["volumes"] = [
            {"name": volume, "persistentVolumeClaim": {"claimName": claim}}
            for claim, volume in _volumes(request.mounts).items()
        ]
    return pod


def _restricted(pod: Body) -> Body:
    """The pod as Pod Security's level restricted wants it said.

    https://kubernetes.io/docs/concepts/security/pod-security-standards/
    """
    harmless = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    containers = [container | {"securityContext": harmless} for container in pod["containers"]]
    whole = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    return pod | {"securityContext": whole, "containers": containers}


def _container(request: Request) -> Body:
    container: Body = {
        "name": "main",
        "image": request.image,
        "command": [escaped(word) for word in request.command],
        "resources": _resources(request),
    }
    if request.workdir:
        container["workingDir"] = request.workdir
    if request.env:
        container["env"] = [{"name": name, "value": escaped(value)} for name, value in request.env.items()]
    if request.mounts:
        container["volumeMounts"] = [_mount(mount, _volumes(request.mounts)) for mount in request.mounts]
    return container


def _resources(request: Request) -> Body:
    """Kueue counts requests. CPU has no limit: idle cores may be used, and a throttled job helps nobody."""
    firm = {"memory": request.memory, **({GPU: str(request.gpus)} if request.gpus else {})}
    return {"requests": {"cpu": request.cpu, **firm}, "limits": firm}


def _volumes(mounts: Sequence[Mount]) -> Mapping[str, str]:
    """Claim -> the volume's name in the pod. A claim's own name may have dots, a volume's may not."""
    return {claim: f"claim-{number}" for number, claim in enumerate(dict.fromkeys(mount.claim for mount in mounts))}


def _mount(mount: Mount, volumes: Mapping[str, str]) -> Body:
    body: Body = {"name": volumes[mount.claim], "mountPath": mount.path}
    return {**body, "readOnly": True} if mount.read_only else body
