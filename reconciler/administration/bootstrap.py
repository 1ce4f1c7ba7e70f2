"""What an admin installs once, and after upgrades: jobq-system, the roles, the note of which cluster this is."""

from collections.abc import Callable, Sequence

from reconciler.cluster import Cluster
from reconciler.errors import Forbidden, NotFound, RenderError
from reconciler.guard import CLUSTER_NOTE, POLICIES_VERSION, ROLES_VERSION, check_name, must_pass
from reconciler.kinds import (
    ADMISSION_BINDING,
    ADMISSION_POLICY,
    BOOTSTRAP_KINDS,
    CONFIG_MAP,
    KUEUE_NAMESPACE,
    MUTATING_BINDING,
    MUTATING_POLICY,
    NAMESPACE,
)
from reconciler.model import SYSTEM_NAMESPACE, Body, Origin, Settings
from reconciler.render import Templates, render_bootstrap

_JOB_KINDS = (
    ("batch", "jobs"),
    ("jobset.x-k8s.io", "jobsets"),
    ("ray.io", "rayjobs"),
    ("ray.io", "rayclusters"),
    ("trainer.kubeflow.org", "trainjobs"),
    ("kubeflow.org", "pytorchjobs"),
    ("kubeflow.org", "mpijobs"),
)
"""What members may run: kinds that Kueue queues, each the whole job."""
_POLICY_KINDS = frozenset(
    resource.kind for resource in (ADMISSION_POLICY, ADMISSION_BINDING, MUTATING_POLICY, MUTATING_BINDING)
)
_OPTIONAL_KINDS = frozenset({MUTATING_POLICY.kind, MUTATING_BINDING.kind})
"""Since Kubernetes 1.36; without them the annotation of who submits is checked, not written."""
_FORBIDDEN_NAMESPACE: Body = {
    "apiVersion": "v1",
    "kind": "Namespace",
    "metadata": {"name": "jobq-probe"},
}
"""It lacks jobq's labels, so the reconciler may not create it."""
_PROBES, _PROBE_SECONDS = 40, 0.25
_SERVICE_ACCOUNT = "system:serviceaccount:"


def bootstrap(settings: Settings, templates: Templates, *, policies: bool = True) -> Sequence[Body]:
    """The objects to install, in order; ``policies=False`` where a cluster has its own. Raises: RenderError."""
    order = {(resource.api_version, resource.kind): place for place, resource in enumerate(BOOTSTRAP_KINDS)}
    bodies = render_bootstrap(templates, _words(settings, policies=policies))
    for body in bodies:
        if (body.get("apiVersion"), body.get("kind")) not in order:
            text = f"{body.get('apiVersion')} {body.get('kind')} is no kind to bootstrap"
            raise RenderError(text, origin=Origin("templates/bootstrap"))
    kept = [body for body in bodies if policies or body["kind"] not in _POLICY_KINDS]
    return sorted(kept, key=lambda body: order[body["apiVersion"], body["kind"]])


def check_cluster(cluster: Cluster, settings: Settings) -> None:
    """Nothing, where the cluster has no name yet or that of the settings. Raises: PlanRefused, ClusterError."""
    try:
        note = cluster.get(CONFIG_MAP, CLUSTER_NOTE, namespace=SYSTEM_NAMESPACE)
    except NotFound:
        return
    must_pass(check_name(settings, note))


def install(cluster: Cluster, bodies: Sequence[Body], told: Callable[[Body, str], None]) -> None:
    """Apply them all, with the asking admin's rights. Raises: ClusterError at the first that fails.

    Each is told as ``applied`` or, where jobq can do without it, as ``not served`` (the server has no such kind) or
    ``no such namespace for`` (Kueue's isn't called kueue-system: its version can't be read then).
    """
    resources = {(resource.api_version, resource.kind): resource for resource in BOOTSTRAP_KINDS}
    for body in bodies:
        try:
            cluster.apply(resources[body["apiVersion"], body["kind"]], body)
        except NotFound:
            if body["metadata"].get("namespace") == KUEUE_NAMESPACE:
                told(body, "no such namespace for")
            elif body["kind"] in _OPTIONAL_KINDS:
                told(body, "not served")
            else:
                raise
        else:
            told(body, "applied")


def await_policies(reconciler: Cluster, wait: Callable[[float], None]) -> bool:
    """Whether the policies act. Raises: ClusterError where the asking admin may not impersonate the reconciler.

    They are tried until they do: ten seconds.
    """
    for _ in range(_PROBES):
        if policies_act(reconciler):
            return True
        wait(_PROBE_SECONDS)
    return False


def policies_act(reconciler: Cluster) -> bool:
    """Whether a dry-run by the reconciler, which RBAC allows and a policy refuses, is refused. Raises: ClusterError."""
    try:
        reconciler.create(NAMESPACE, _FORBIDDEN_NAMESPACE, dry_run=True)
    except Forbidden as refused:
        if "ValidatingAdmissionPolicy" in str(refused):
            return True
        raise
    return False


def _words(settings: Settings, *, policies: bool) -> dict[str, object]:
    kinds = (*_JOB_KINDS, *(kind for kind in settings.job_kinds if kind not in _JOB_KINDS))
    namespace, _, name = settings.reconciler.removeprefix(_SERVICE_ACCOUNT).partition(":")
    account = settings.reconciler.startswith(_SERVICE_ACCOUNT)
    return {
        "cluster": settings.cluster,
        "rolesVersion": str(ROLES_VERSION),
        "policiesVersion": str(POLICIES_VERSION) if policies else "none",
        "jobKinds": [{"group": group, "resource": resource} for group, resource in kinds],
        "catalogueReaders": list(settings.catalogue_readers),
        "reconciler": {
            "user": settings.reconciler,
            "namespace": namespace if account else "",
            "name": name if account else settings.reconciler,
        },
    }
