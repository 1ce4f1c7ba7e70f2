"""Which pods belong to a job of any kind: by what its controller writes on them, which is how Kueue finds them too."""

from collections.abc import Mapping, Sequence

from cli import parts
from cli.explain.jobs import AnyJob
from cli.job.live import Source
from reconciler.cluster import Body, Cluster
from reconciler.errors import Forbidden, JobqError, NotFound
from reconciler.kinds import JOB, POD

_BY_UID: Mapping[str, str] = {
    "Job": "batch.kubernetes.io/controller-uid",
    "JobSet": "jobset.sigs.k8s.io/jobset-uid",
}
_TRAINING = "training.kubeflow.org/job-name"
_CLUSTER = "ray.io/cluster"
_BY_NAME: Mapping[str, str] = {
    "TrainJob": "jobset.sigs.k8s.io/jobset-name",
    "RayCluster": _CLUSTER,
    "RayJob": "batch.kubernetes.io/job-name",
    "SparkApplication": "sparkoperator.k8s.io/app-name",
    "Pod": "kueue.x-k8s.io/pod-group-name",
    **dict.fromkeys(("PyTorchJob", "MPIJob", "TFJob", "JAXJob", "PaddleJob", "XGBoostJob"), _TRAINING),
}
"""Labels of pods, by the kind of their job. A RayJob's finds the Job that submits it, which prints its output."""


def sources(cluster: Cluster, job: AnyJob) -> Sequence[Source]:
    """What to list, or to watch, for its pods; nothing of a kind whose pods can't be told. Raises: ClusterError."""
    kind = job.resource.kind
    if kind == POD.kind and job.resource != POD:  # a pod by itself, not a group
        return [Source(POD, fields=f"metadata.name={job.name}")]
    if kind in _BY_UID:
        return [Source(POD, labels=f"{_BY_UID[kind]}={job.uid}")]
    if kind not in _BY_NAME:
        return []
    own = Source(POD, labels=f"{_BY_NAME[kind]}={job.name}")
    ray = _ray_cluster(cluster, job) if kind == "RayJob" else ""
    return [own, Source(POD, labels=f"{_CLUSTER}={ray}")] if ray else [own]


def pods_of(cluster: Cluster, job: AnyJob) -> Sequence[Body]:
    """Its pods, oldest first. Raises: ClusterError."""
    found: list[Body] = []
    for source in sources(cluster, job):
        found += cluster.list(POD, namespace=job.namespace, labels=source.labels, fields=source.fields).items
    return in_order(found)


def in_order(pods: Sequence[Body]) -> Sequence[Body]:
    """Oldest first."""
    return sorted(pods, key=lambda pod: (pod["metadata"]["creationTimestamp"], pod["metadata"]["name"]))


def refuse_unknown(job: AnyJob, way: str) -> None:
    """``way`` is what of kubectl does the same. Raises: JobqError for a kind whose pods can't be told."""
    kind = job.resource.kind
    if kind not in _BY_UID and kind not in _BY_NAME:
        raise JobqError(
            f"{job.name}: jobq doesn't know which pods belong to an object of kind {kind}",
            hint=f"`kubectl -n {job.namespace} get pods` lists them; then kubectl -n {job.namespace} {way}",
        )


def place(pod: Body, job: AnyJob) -> str:
    """Which of a job's pods it is, by its name, and the same for all attempts: ``workers-0-1``, ``launcher``."""
    meta = pod["metadata"]
    owners = meta.get("ownerReferences") or ()
    of_job = any(one.get("controller") and one["kind"] == JOB.kind for one in owners)
    name = str(meta["name"])
    return (name.rpartition("-")[0] if of_job else name).removeprefix(f"{job.name}-")


def leads(pod: Body) -> bool:
    """Whether it is the one to turn to first, whatever its name."""
    return parts.pairs(pod, "metadata", "labels").get("ray.io/node-type") == "head"


def _ray_cluster(cluster: Cluster, job: AnyJob) -> str:
    """The cluster that a RayJob was given: it has none before it may run."""
    try:
        return parts.text(cluster.get(job.resource, job.name, namespace=job.namespace), "status", "rayClusterName")
    except (Forbidden, NotFound):
        return ""
