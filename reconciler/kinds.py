"""The closed table of kinds: what a project may consist of, in the order in which it is applied.

List types and atomic fields are those of the API's schemas (``x-kubernetes-list-type``, ``x-kubernetes-map-type``):
ownership inside them is compared exactly or by key. What isn't named is granular.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from reconciler.cluster import Resource

Path = tuple[str, ...]
"""Field names from the object's root; ``*`` stands for any key of a map, or any item of a list."""

NAMESPACE = Resource("", "v1", "namespaces", "Namespace", namespaced=False)
CONFIG_MAP = Resource("", "v1", "configmaps", "ConfigMap")
SERVICE_ACCOUNT = Resource("", "v1", "serviceaccounts", "ServiceAccount")
LOCAL_QUEUE = Resource("kueue.x-k8s.io", "v1beta2", "localqueues", "LocalQueue")
CLAIM = Resource("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim")
SERVICE = Resource("", "v1", "services", "Service")
RESOURCE_QUOTA = Resource("", "v1", "resourcequotas", "ResourceQuota")
LIMIT_RANGE = Resource("", "v1", "limitranges", "LimitRange")
NETWORK_POLICY = Resource("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy")
ROLE_BINDING = Resource("rbac.authorization.k8s.io", "v1", "rolebindings", "RoleBinding")

CLUSTER_ROLE = Resource("rbac.authorization.k8s.io", "v1", "clusterroles", "ClusterRole", namespaced=False)
CLUSTER_ROLE_BINDING = Resource(
    "rbac.authorization.k8s.io", "v1", "clusterrolebindings", "ClusterRoleBinding", namespaced=False
)
ADMISSION_POLICY, ADMISSION_BINDING, MUTATING_POLICY, MUTATING_BINDING = (
    Resource("admissionregistration.k8s.io", "v1", plural, kind, namespaced=False)
    for plural, kind in (
        ("validatingadmissionpolicies", "ValidatingAdmissionPolicy"),
        ("validatingadmissionpolicybindings", "ValidatingAdmissionPolicyBinding"),
        ("mutatingadmissionpolicies", "MutatingAdmissionPolicy"),
        ("mutatingadmissionpolicybindings", "MutatingAdmissionPolicyBinding"),
    )
)
ROLE = Resource("rbac.authorization.k8s.io", "v1", "roles", "Role")

CLUSTER_QUEUE = Resource("kueue.x-k8s.io", "v1beta2", "clusterqueues", "ClusterQueue", namespaced=False)
COHORT = Resource("kueue.x-k8s.io", "v1beta2", "cohorts", "Cohort", namespaced=False)
RESOURCE_FLAVOR = Resource("kueue.x-k8s.io", "v1beta2", "resourceflavors", "ResourceFlavor", namespaced=False)
PRIORITY_CLASS = Resource(
    "kueue.x-k8s.io", "v1beta2", "workloadpriorityclasses", "WorkloadPriorityClass", namespaced=False
)
POD_PRIORITY_CLASS = Resource("scheduling.k8s.io", "v1", "priorityclasses", "PriorityClass", namespaced=False)
WORKLOAD = Resource("kueue.x-k8s.io", "v1beta2", "workloads", "Workload")
JOB = Resource("batch", "v1", "jobs", "Job")
JOB_METADATA = replace(JOB, metadata_only=True)
POD = Resource("", "v1", "pods", "Pod")
LEASE = Resource("coordination.k8s.io", "v1", "leases", "Lease")
EVENT = Resource("", "v1", "events", "Event")
KUEUE_NAMESPACE = "kueue-system"
"""Where Kueue's own manifests and its Helm chart's README put it."""
DEPLOYMENT = Resource("apps", "v1", "deployments", "Deployment")
STATEFUL_SET = Resource("apps", "v1", "statefulsets", "StatefulSet")
CRON_JOB = Resource("batch", "v1", "cronjobs", "CronJob")
SELF_SUBJECT_REVIEW = Resource(
    "authentication.k8s.io", "v1", "selfsubjectreviews", "SelfSubjectReview", namespaced=False
)
SELF_SUBJECT_ACCESS_REVIEW = Resource(
    "authorization.k8s.io", "v1", "selfsubjectaccessreviews", "SelfSubjectAccessReview", namespaced=False
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What must be known of a kind to compare and apply it without asking its schema."""

    resource: Resource
    atomic: Sequence[Path] = ()
    """Lists and maps that are one value: owned whole, compared whole."""
    keyed: Mapping[Path, Sequence[str]] = field(default_factory=dict)
    """Lists whose items are found by these fields."""
    quantities: Sequence[Path] = ()
    """Values that the server rewrites canonically: compared as exact decimals."""
    immutable: Sequence[Path] = ()
    """A change there is one replace: delete, then create."""
    whole: bool = False
    """Listed without selector: what lacks our label matters too."""
    kept: bool = False
    """Holds people's data: never deleted, never replaced."""
    system: bool = False
    """Lives in jobq-system, one per project."""


# In apply order: no access before everything else is there. The reasons stand beside what isn't obvious.
PROJECT_KINDS: Sequence[Kind] = (
    Kind(
        resource=NAMESPACE, whole=True
    ),  # an unlabelled namespace of a project's name must be seen before the first write
    Kind(resource=RESOURCE_QUOTA, quantities=[("spec", "hard", "*")], whole=True),  # others' quotas on compute matter
    Kind(
        resource=LIMIT_RANGE,
        atomic=[("spec", "limits")],
        quantities=[("spec", "limits", "*", field, "*") for field in ("max", "default", "defaultRequest")],
    ),
    Kind(
        resource=NETWORK_POLICY,
        atomic=[("spec", field) for field in ("podSelector", "policyTypes", "ingress", "egress")],
    ),
    Kind(resource=SERVICE, atomic=[("spec", "selector")], immutable=[("spec", "clusterIP")]),
    Kind(resource=SERVICE_ACCOUNT, atomic=[("imagePullSecrets",)], keyed={("secrets",): ["name"]}),
    Kind(resource=CONFIG_MAP, whole=True, system=True),
    Kind(
        resource=LOCAL_QUEUE,
        immutable=[("spec", "clusterQueue")],  # "field is immutable", 422
        whole=True,  # one that somebody made is taken over with its jobs, which must be seen before
    ),
    Kind(
        resource=ROLE_BINDING,
        atomic=[("roleRef",), ("subjects",)],
        immutable=[("roleRef",)],
        whole=True,  # a jobq:* binding without our label still gives access; any other is foreign access
    ),
    Kind(
        resource=CLAIM,
        atomic=[("spec", "accessModes")],
        quantities=[("spec", "resources", "requests", "*")],
        whole=True,  # one that somebody made is taken over with its data, which must be seen before
        kept=True,
    ),  # last: a claim that the storage refuses must not keep access from being taken
)

BY_KIND: Mapping[tuple[str, str], Kind] = {(kind.resource.group, kind.resource.kind): kind for kind in PROJECT_KINDS}
APPLY_ORDER: Mapping[tuple[str, str], int] = {key: place for place, key in enumerate(BY_KIND)}

BOOTSTRAP_KINDS: Sequence[Resource] = (
    NAMESPACE,
    SERVICE_ACCOUNT,
    CLUSTER_ROLE,
    ROLE,
    CLUSTER_ROLE_BINDING,
    ROLE_BINDING,
    ADMISSION_POLICY,
    ADMISSION_BINDING,
    MUTATING_POLICY,
    MUTATING_BINDING,
    CONFIG_MAP,  # last: the note that says which cluster this is also says that all of it is there
)
"""What `jobq bootstrap` may install, in that order."""
