"""What an admin installs once, and after upgrades: jobq-system, the roles, the note of which cluster this is."""

from collections.abc import Callable, Sequence

from reconciler.cluster import Cluster
from reconciler.errors import JobqError
from reconciler.guard import ROLES_VERSION
from reconciler.kinds import BOOTSTRAP_KINDS
from reconciler.model import Body, Settings
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
_SERVICE_ACCOUNT = "system:serviceaccount:"


def bootstrap(settings: Settings, templates: Templates) -> Sequence[Body]:
    """The objects to install, in order. Raises: RenderError."""
    order = {(resource.api_version, resource.kind): place for place, resource in enumerate(BOOTSTRAP_KINDS)}
    bodies = render_bootstrap(templates, _words(settings))
    for body in bodies:
        if (body.get("apiVersion"), body.get("kind")) not in order:
            raise JobqError(f"templates/bootstrap: {body.get('apiVersion')} {body.get('kind')} is no kind to bootstrap")
    return sorted(bodies, key=lambda body: order[body["apiVersion"], body["kind"]])


def install(cluster: Cluster, bodies: Sequence[Body], told: Callable[[Body], None]) -> None:
    """Apply them all, with the asking admin's rights. Raises: ClusterError at the first that fails."""
    resources = {(resource.api_version, resource.kind): resource for resource in BOOTSTRAP_KINDS}
    for body in bodies:
        cluster.apply(resources[body["apiVersion"], body["kind"]], body)
        told(body)


def _words(settings: Settings) -> dict[str, object]:
    namespace, _, name = settings.reconciler.removeprefix(_SERVICE_ACCOUNT).partition(":")
    account = settings.reconciler.startswith(_SERVICE_ACCOUNT)
    return {
        "cluster": settings.cluster,
        "rolesVersion": str(ROLES_VERSION),
        "jobKinds": [{"group": group, "resource": resource} for group, resource in _JOB_KINDS],
        "catalogueReaders": list(settings.catalogue_readers),
        "reconciler": {"namespace": namespace, "name": name}
        if account
        else {"namespace": "", "name": settings.reconciler},
    }
