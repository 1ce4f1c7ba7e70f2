"""Roles and admission policies on a whole control plane: what each may do, what is refused, and by whom.

Attempts are dry-runs: the server admits or refuses them as always, and keeps nothing.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from reconciler.cluster import Body, Resource
from reconciler.errors import ClusterError, NotFound, Rejected
from reconciler.kinds import (
    BOOTSTRAP_KINDS,
    CLUSTER_QUEUE,
    CLUSTER_ROLE,
    CLUSTER_ROLE_BINDING,
    CONFIG_MAP,
    EVENT,
    JOB,
    LEASE,
    LIMIT_RANGE,
    LOCAL_QUEUE,
    MUTATING_BINDING,
    NAMESPACE,
    NETWORK_POLICY,
    POD,
    PRIORITY_CLASS,
    RESOURCE_FLAVOR,
    RESOURCE_QUOTA,
    ROLE,
    ROLE_BINDING,
    SELF_SUBJECT_ACCESS_REVIEW,
    SERVICE,
    SERVICE_ACCOUNT,
    WORKLOAD,
)
from reconciler.kube import KubeCluster, _path, connect
from reconciler.patience import FENCE
from reconciler.planned import Weight
from reconciler.terms import Terms
from tests.controlplane.kueue import USER as KUEUE
from tests.controlplane.plane import Plane
from tests.repository import Repository, project
from tests.world import SUCCESSES, World, eventually, forget

pytestmark = pytest.mark.xdist_group("policies")

# ------------------------------------------------------------------------------------------------ who refuses

YES: Final = ""
RBAC: Final = 'is forbidden: User "'
GRANT: Final = "is attempting to grant RBAC permissions not currently held"
IMPERSONATE: Final = "cannot impersonate"
FIXED: Final = "field is immutable"


def policy(name: str) -> str:
    return f"ValidatingAdmissionPolicy 'jobq-{name}'"


MEMBERS, PRIORITY, PODS = policy("jobs-members"), policy("jobs-priority"), policy("jobs-pods")
MADE, WORKLOADS = policy("workloads-made"), policy("workloads")
NAMESPACED, NAMESPACES = policy("reconciler-namespaced"), policy("reconciler-namespaces")
BINDINGS, SECRETS = policy("reconciler-rolebindings"), policy("secrets")

# ------------------------------------------------------------------------------------------------ what is asked

HOME, OTHER, STRANGE, LIFE = "fenced", "neighbour", "fenced-strange", "fenced-life"
"""Two projects, the second without a list of priorities; a namespace of nobody's; a project that comes and goes."""
RUNS, WAITS, GROWS = "runs", "waits", "grows"
ELASTIC = "kueue.x-k8s.io/elastic-job"
ROLES = ("viewer", "researcher", "maintainer")
RECONCILER = "system:serviceaccount:jobq-system:jobq-reconciler"

SECRET = Resource("", "v1", "secrets", "Secret")
CLAIM = Resource("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim")
CRON_JOB = Resource("batch", "v1", "cronjobs", "CronJob")
DEPLOYMENT = Resource("apps", "v1", "deployments", "Deployment")
OLDER = Resource("kueue.x-k8s.io", "v1beta1", "workloads", "Workload")
PEEK = Resource("visibility.kueue.x-k8s.io", "v1beta2", "localqueues", "LocalQueue")
CRD = Resource("apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", namespaced=False)
WRAPPER = Resource("workload.codeflare.dev", "v1beta2", "appwrappers", "AppWrapper")
OUTSIDE: Mapping[str, Resource] = {
    kind: Resource(
        group, version, f"{kind.lower()}s" if kind[-1] != "s" else f"{kind.lower()}es", kind, namespaced=False
    )
    for kind, group, version in (
        ("PersistentVolume", "", "v1"),
        ("PriorityClass", "scheduling.k8s.io", "v1"),
        ("StorageClass", "storage.k8s.io", "v1"),
        ("CertificateSigningRequest", "certificates.k8s.io", "v1"),
        ("ValidatingWebhookConfiguration", "admissionregistration.k8s.io", "v1"),
        ("MutatingWebhookConfiguration", "admissionregistration.k8s.io", "v1"),
        ("APIService", "apiregistration.k8s.io", "v1"),
    )
}
"""Kinds of the whole cluster that give power over it."""
_KINDS: Mapping[str, Resource] = {
    resource.kind: resource
    for resource in (
        *BOOTSTRAP_KINDS,
        *(JOB, POD, WORKLOAD, LOCAL_QUEUE, SERVICE, NETWORK_POLICY, RESOURCE_QUOTA, LIMIT_RANGE),
        *(SECRET, CLAIM, LEASE, CRON_JOB, DEPLOYMENT, WRAPPER, *OUTSIDE.values()),
    )
}


@dataclass(frozen=True, slots=True)
class Ask:
    """A request. ``{pod}``, ``{running}`` and ``{waiting}`` in the path are HOME's pod and Workloads."""

    method: str
    path: str
    body: object = None
    content: str = "application/json"


def read(resource: Resource, name: str = "", sub: str = "", namespace: str = HOME) -> Ask:
    return Ask("GET", _at(resource, namespace, name, sub))


def create(body: Body, name: str = "", sub: str = "") -> Ask:
    return Ask("POST", _at(_KINDS[body["kind"]], body["metadata"].get("namespace", ""), name, sub), body)


def apply(body: Body) -> Ask:
    """Server-side apply, as the reconciler does."""
    meta = body["metadata"]
    path = _at(_KINDS[body["kind"]], meta.get("namespace", ""), meta["name"])
    return Ask(
        "PATCH", path + "?fieldManager=jobq&force=true", json.dumps(body).encode(), "application/apply-patch+yaml"
    )


def patch(resource: Resource, name: str, change: Body, sub: str = "", namespace: str = HOME) -> Ask:
    return Ask("PATCH", _at(resource, namespace, name, sub), change, "application/merge-patch+json")


def remove(resource: Resource, name: str = "", namespace: str = HOME) -> Ask:
    return Ask("DELETE", _at(resource, namespace, name))


def may(verb: str, plural: str, sub: str = "", name: str = "") -> Ask:
    """Whether RBAC allows it, where doing it would take more than the API server."""
    wanted = {"namespace": HOME, "verb": verb, "resource": plural, "subresource": sub, "name": name}
    return Ask("POST", _at(SELF_SUBJECT_ACCESS_REVIEW, ""), {"spec": {"resourceAttributes": wanted}})


def _at(resource: Resource, namespace: str, name: str = "", sub: str = "") -> str:
    return _path(resource, namespace, name, sub).replace("%7B", "{").replace("%7D", "}")


# ------------------------------------------------------------------------------------------------ objects to ask with


def person(role: str) -> str:
    return f"{role}@example.org"


def plain(kind: str, name: str = "try", namespace: str = HOME, **rest: object) -> Body:
    resource = _KINDS[kind]
    place = {"namespace": namespace} if resource.namespaced else {}
    return {"apiVersion": resource.api_version, "kind": kind, "metadata": {"name": name, **place}, **rest}


def template(cpu: str = "100m", **more: object) -> Body:
    command = ["sh", "-c", "echo hello; exec sleep 600"]
    container = {
        "name": "main",
        "image": "example.org/x:1",
        "command": command,
        "resources": {"requests": {"cpu": cpu}},
    }
    return {"spec": {"restartPolicy": "Never", "terminationGracePeriodSeconds": 1, "containers": [container], **more}}


def job(name: str = "try", namespace: str = HOME, *, cpu: str = "100m", **more: object) -> Body:
    """A job as `jobq submit` makes one; ``more`` stands in the pod's spec."""
    made = plain("Job", name, namespace, spec={"suspend": True, "template": template(cpu, **more)})
    made["metadata"]["labels"] = {"kueue.x-k8s.io/queue-name": "main", "kueue.x-k8s.io/priority-class": "normal"}
    return made


def labelled(namespace: str = HOME, **labels: str | None) -> Body:
    """A job with other labels of Kueue; None: without it."""
    made = job(namespace=namespace)
    words = {f"kueue.x-k8s.io/{word.replace('_', '-')}": value for word, value in labels.items()}
    merged = made["metadata"]["labels"] | words
    made["metadata"]["labels"] = {key: value for key, value in merged.items() if value is not None}
    return made


def with_metadata(**metadata: object) -> Body:
    made = job()
    return made | {"metadata": made["metadata"] | metadata}


def work(**spec: object) -> Body:
    """A Workload as Kueue makes them."""
    return plain(
        "Workload", spec={"queueName": "main", "podSets": [{"name": "main", "count": 1, "template": template()}]} | spec
    )


def ours(body: Body, **metadata: object) -> Body:
    """With the labels that the reconciler gives to all it writes."""
    labels = {"app.kubernetes.io/managed-by": "jobq", "jobq.io/project": HOME}
    return body | {"metadata": {**body["metadata"], "labels": labels, **metadata}}


def note(name: str) -> Body:
    return ours(plain("ConfigMap", name, "jobq-system"))


def namespace(name: str, *, labels: Mapping[str, str | None] | None = None, **metadata: object) -> Body:
    """A project's, as the reconciler writes it; a label of None is left out."""
    standard = {
        "app.kubernetes.io/managed-by": "jobq",
        "jobq.io/project": name,
        "pod-security.kubernetes.io/enforce": "baseline",
    }
    merged = {key: value for key, value in {**standard, **(labels or {})}.items() if value is not None}
    made = plain("Namespace", name)
    return made | {"metadata": {**made["metadata"], "labels": merged, **metadata}}


def service(**spec: object) -> Body:
    return ours(plain("Service", spec={"ports": [{"port": 80}], "clusterIP": "None"} | spec))


def binding(
    role: str, *subjects: Body, namespace: str = HOME, kind: str = "ClusterRole", name: str = "", **metadata: object
) -> Body:
    reference = {"apiGroup": ROLE.group, "kind": kind, "name": role}
    name = name or role.replace("jobq-project-", "jobq:")
    body = plain("RoleBinding", name, namespace, roleRef=reference, subjects=list(subjects))
    return ours(body, **metadata)


def account_of_ours(name: str = "jobq-runner", place: str = HOME, **more: object) -> Body:
    return ours(plain("ServiceAccount", name, place) | more)


def claim_of_ours(**spec: object) -> Body:
    return ours(plain("PersistentVolumeClaim", spec=STORAGE | spec))


def subject(kind: str, name: str) -> Body:
    return {"apiGroup": ROLE.group, "kind": kind, "name": name}


def account(name: str, namespace: str = HOME) -> Body:
    return {"kind": "ServiceAccount", "name": name, "namespace": namespace}


VIEWER, RESEARCHER, MAINTAINER = (f"jobq-project-{role}" for role in ROLES)
USER = subject("User", "lee@example.org")
OWNER = [{"apiVersion": "batch/v1", "kind": "Job", "name": RUNS, "uid": "0-0", "controller": True}]
QUEUE, CLASS, BY = "kueue.x-k8s.io/queue-name", "kueue.x-k8s.io/priority-class", "jobq.io/submitted-by"
STOP = {"spec": {"active": False}}
TOKEN = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
STORAGE = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
SYSTEM_CLASS = "system-cluster-critical"


def mark(*, labels: Body | None = None, annotations: Body | None = None, **more: object) -> Body:
    """A change of metadata."""
    words = {"labels": labels, "annotations": annotations, **more}
    return {"metadata": {key: value for key, value in words.items() if value is not None}}


def set_class(name: str, kind: str = PRIORITY_CLASS.kind, group: str = PRIORITY_CLASS.group) -> Body:
    return {"group": group, "kind": kind, "name": name}


def pods(**more: object) -> list[Body]:
    return [{"name": "main", "count": 1, "template": template(**more)}]  # type: ignore[arg-type] # words of many types


def token(name: str) -> Ask:
    return Ask("POST", _at(SERVICE_ACCOUNT, HOME, name, "token"), TOKEN)


def token_secret(name: str) -> Body:
    """A Secret that Kubernetes fills in with that account's token."""
    made = plain("Secret", type="kubernetes.io/service-account-token")
    return made | {"metadata": {**made["metadata"], "annotations": {"kubernetes.io/service-account.name": name}}}


def aggregated() -> Body:
    """A role whose rules everybody gets who may edit in a namespace."""
    made = plain("ClusterRole", rules=[{"apiGroups": [""], "resources": ["secrets"], "verbs": ["*"]}])
    return made | {"metadata": {"name": "try", "labels": {"rbac.authorization.k8s.io/aggregate-to-edit": "true"}}}


# ------------------------------------------------------------------------------------------------ the table


@dataclass(frozen=True, slots=True)
class Attempt:
    """What somebody tries, and by whose words it is refused."""

    who: str
    what: str
    ask: Ask
    refused: str


def by(who: str, refused: str, *rows: tuple[str, Ask]) -> list[Attempt]:
    return [Attempt(who, what, ask, refused) for what, ask in rows]


# What gives power over more than a project, tried by everybody who has a little.
BEYOND: Sequence[tuple[str, Ask]] = (
    ("bind in the whole cluster", create(plain("ClusterRoleBinding", roleRef={}, subjects=[]))),
    ("make a role of the whole cluster", create(plain("ClusterRole", rules=[]))),
    ("add rules to a role by aggregation", create(aggregated())),
    ("widen the own role", patch(CLUSTER_ROLE, RESEARCHER, {"rules": []})),
    ("ask for a certificate", create(plain("CertificateSigningRequest", spec={}))),
    ("approve a certificate", Ask("PUT", _at(OUTSIDE["CertificateSigningRequest"], "", "x", "approval"), {})),
    ("put a webhook before the API", create(plain("ValidatingWebhookConfiguration"))),
    ("rewrite what others send", create(plain("MutatingWebhookConfiguration"))),
    ("take over an API", create(plain("APIService"))),
    ("drop a policy", remove(_KINDS["ValidatingAdmissionPolicyBinding"], "jobq-jobs-members")),
    ("mount a node's folder as a volume", create(plain("PersistentVolume", spec={}))),
    ("make a priority", create(plain("PriorityClass", value=9))),
    ("go through a node", Ask("GET", "/api/v1/nodes/real-0/proxy/pods")),
    (
        "mint the reconciler's token",
        Ask("POST", _at(SERVICE_ACCOUNT, "jobq-system", "jobq-reconciler", "token"), TOKEN),
    ),
    ("read kube-system's secrets", read(SECRET, namespace="kube-system")),
    ("ask what a token is worth", Ask("POST", "/apis/authentication.k8s.io/v1/tokenreviews", {"spec": {}})),
)
# What is the reconciler's, or an admin's, tried by everybody else.
OURS: Sequence[tuple[str, Ask]] = (
    ("make a namespace", create(plain("Namespace", "fenced-own"))),
    ("name the cluster", patch(CONFIG_MAP, "jobq.cluster", {}, namespace="jobq-system")),
    ("approve a plan", create(plain("ConfigMap", "jobq.approval", "jobq-system"))),
    ("say what was applied last", patch(CONFIG_MAP, "jobq.state", {}, namespace="jobq-system")),
    ("take the reconciler's Lease", create(plain("Lease", "jobq-reconciler", "jobq-system"))),
)


ATTEMPTS = [
    *(attempt for who in (*ROLES, "robot") for attempt in by(who, RBAC, *BEYOND, *OURS)),
    *by("reconciler", RBAC, *BEYOND),
    # ---------------------------------------------------------------------------- the robot, a researcher by a token
    *by(
        "robot",
        YES,
        ("create a job", create(job())),
        ("list jobs", read(JOB)),
        ("stop a waiting job", patch(WORKLOAD, "{waiting}", STOP)),
    ),
    *by(
        "robot",
        RBAC,
        ("mint the own token, for longer", token("jobq-robot")),
        ("mint the runner's token", token("jobq-runner")),
        ("make a secret of the own token", create(token_secret("jobq-robot"))),
        ("read secrets", read(SECRET)),
        ("look into another project", read(JOB, namespace=OTHER)),
        ("work in another project", create(job(namespace=OTHER))),
        ("give access", create(binding(RESEARCHER, USER))),
        ("become a maintainer", patch(ROLE_BINDING, "jobq:maintainer", {"subjects": [account("jobq-robot")]})),
        ("create a pod", create(plain("Pod", spec=template()["spec"]))),
        ("debug a pod", patch(POD, "{pod}", {}, "ephemeralcontainers")),
        ("make a workload", create(work())),
        ("change the queue", patch(LOCAL_QUEUE, "main", {"spec": {"stopPolicy": "None"}})),
        ("write the catalogue", patch(CONFIG_MAP, HOME, {"data": {"state": "active"}}, namespace="jobq-system")),
        ("relabel the namespace", patch(NAMESPACE, HOME, mark(labels={"x": "y"}))),
    ),
    *by(
        "robot",
        MEMBERS,
        ("run outside the queue", create(labelled(queue_name=None))),
        ("borrow an owner", create(with_metadata(ownerReferences=OWNER))),
        ("take a waiting job off the queue", patch(JOB, WAITS, mark(labels={QUEUE: None}))),
    ),
    *by("robot", PRIORITY, ("take a class off the list", create(labelled(priority_class="high")))),
    *by("robot", PODS, ("run a pod as itself", create(job(serviceAccountName="jobq-robot")))),
    *by("robot", WORKLOADS, ("jump the queue", patch(WORKLOAD, "{waiting}", {"spec": {"priority": 9}}))),
    # ---------------------------------------------------------------------------- somebody else's name
    *by("researcher as another", IMPERSONATE, ("create a secret", create(plain("Secret")))),
    *by("reconciler as another", IMPERSONATE, ("create a secret", create(plain("Secret")))),
    # ---------------------------------------------------------------------------- viewer
    *by(
        "viewer",
        YES,
        ("list jobs", read(JOB)),
        ("read a job", read(JOB, RUNS)),
        ("list workloads", read(WORKLOAD)),
        ("read the queue", read(LOCAL_QUEUE, "main")),
        ("list pods", read(POD)),
        ("read a log", read(POD, "{pod}", "log")),
        ("list events", read(EVENT)),
        ("list configmaps", read(CONFIG_MAP)),
        ("list claims", read(CLAIM)),
        ("list quotas", read(RESOURCE_QUOTA)),
        ("list limits", read(LIMIT_RANGE)),
        ("read the own namespace", read(NAMESPACE, HOME)),
        ("see positions", read(PEEK, "main", "pendingworkloads")),
        ("read the catalogue", read(CONFIG_MAP, namespace="jobq-system")),
        ("read the queues' definitions", read(CLUSTER_QUEUE)),
        ("read the flavors", read(RESOURCE_FLAVOR)),
        ("read the priorities", read(PRIORITY_CLASS)),
    ),
    *by(
        "viewer",
        RBAC,
        ("create a job", create(job())),
        ("change a job", patch(JOB, WAITS, mark(labels={"x": "y"}))),
        ("delete a job", remove(JOB, WAITS)),
        ("stop a job", patch(WORKLOAD, "{running}", STOP)),
        ("write a configmap", create(plain("ConfigMap"))),
        ("open a shell", Ask("POST", _at(POD, HOME, "{pod}", "exec") + "?command=id")),
        ("open a shell over a WebSocket", may("get", "pods", "exec")),
        ("forward a port", may("create", "pods", "portforward")),
        ("read secrets", read(SECRET)),
        ("list all namespaces", read(NAMESPACE)),
        ("look into another project", read(JOB, namespace=OTHER)),
        ("mint a token", token("jobq-runner")),
    ),
    # ---------------------------------------------------------------------------- researcher
    *by(
        "researcher",
        YES,
        ("create a job", create(job())),
        ("create a job without a class", create(labelled(priority_class=None))),
        ("create a job of another class of the list", create(labelled(priority_class="low"))),
        ("run as jobq-runner", create(job(serviceAccountName="jobq-runner", serviceAccount="jobq-runner"))),
        ("run as default", create(job(serviceAccountName="default"))),
        ("say who one is", create(with_metadata(annotations={BY: person("researcher")}))),
        ("apply a job", apply(job())),
        ("list jobs", read(JOB)),
        ("read a log", read(POD, "{pod}", "log")),
        ("delete a job", remove(JOB, WAITS)),
        ("make an elastic job", create(with_metadata(annotations={ELASTIC: "true"}))),
        ("let an elastic job grow", patch(JOB, GROWS, {"spec": {"parallelism": 50}})),
        ("label a job", patch(JOB, WAITS, mark(labels={"x": "y"}))),
        ("change the class within the list", patch(JOB, WAITS, mark(labels={CLASS: "low"}))),
        ("stop a running job", patch(WORKLOAD, "{running}", STOP)),
        ("stop a waiting job", patch(WORKLOAD, "{waiting}", STOP)),
        ("stop a job by an older version of the API", patch(OLDER, "{waiting}", STOP)),
        ("ship a script", create(plain("ConfigMap", data={"train.py": "pass"}))),
        ("open a shell", may("create", "pods", "exec")),
        ("open a shell over a WebSocket", may("get", "pods", "exec")),
        ("forward a port", may("create", "pods", "portforward")),
        ("read the own namespace", read(NAMESPACE, HOME)),
    ),
    *by(
        "researcher",
        RBAC,
        ("read a secret", read(SECRET, "x")),
        ("list secrets", read(SECRET)),
        ("patch a secret", patch(SECRET, "x", {})),
        ("create a secret", create(plain("Secret"))),
        ("look into another project", read(JOB, namespace=OTHER)),
        ("work in another project", create(job(namespace=OTHER))),
        ("stop another project's job", patch(WORKLOAD, "x", STOP, namespace=OTHER)),
        ("read another project's namespace", read(NAMESPACE, OTHER)),
        ("list all jobs", read(JOB, namespace="")),
        ("give access", create(binding(RESEARCHER, USER))),
        ("change access", patch(ROLE_BINDING, "jobq:viewer", {"subjects": [USER]})),
        ("make a role", create(plain("Role", rules=[]))),
        ("relabel the namespace", patch(NAMESPACE, HOME, mark(labels={"x": "y"}))),
        ("allow more classes", patch(NAMESPACE, HOME, mark(annotations={"jobq.io/allowed-priority-classes": "high"}))),
        ("delete the namespace", remove(NAMESPACE, HOME)),
        ("change the queue", patch(LOCAL_QUEUE, "main", {"spec": {"stopPolicy": "None"}})),
        ("make a queue", create(plain("LocalQueue", spec={"clusterQueue": "fake-shared"}))),
        ("delete the queue", remove(LOCAL_QUEUE, "main")),
        ("change a quota", patch(CLUSTER_QUEUE, "gpu-shared", mark(labels={"x": "y"}))),
        ("create a pod", create(plain("Pod", spec=template()["spec"]))),
        ("delete a pod", remove(POD, "{pod}")),
        ("attach to a pod", Ask("POST", _at(POD, HOME, "{pod}", "attach"))),
        ("label a pod", patch(POD, "{pod}", mark(labels={"x": "y"}))),
        ("debug a pod", patch(POD, "{pod}", {}, "ephemeralcontainers")),
        ("create a cron job", create(plain("CronJob"))),
        ("create a deployment", create(plain("Deployment"))),
        ("create a claim", create(plain("PersistentVolumeClaim", spec=STORAGE))),
        ("open a service", create(plain("Service"))),
        ("make an account", create(plain("ServiceAccount"))),
        ("mint the runner's token", token("jobq-runner")),
        ("mint the robot's token", token("jobq-robot")),
        ("delete all jobs at once", remove(JOB)),
        ("evict a pod", Ask("POST", _at(POD, HOME, "{pod}", "eviction"), {"metadata": {"name": "{pod}"}})),
        ("place a pod", Ask("POST", _at(POD, HOME, "{pod}", "binding"), {"target": {"name": "real-0"}})),
        ("lend the runner a pull secret", patch(SERVICE_ACCOUNT, "jobq-runner", {"imagePullSecrets": [{"name": "x"}]})),
        ("lend the runner an identity", patch(SERVICE_ACCOUNT, "jobq-runner", mark(annotations={"x": "y"}))),
        ("write the queue's status", patch(LOCAL_QUEUE, "main", {"status": {"reservingWorkloads": 0}}, "status")),
        ("loosen the network", remove(NETWORK_POLICY, "jobq")),
        ("loosen the limits", patch(LIMIT_RANGE, "jobq", {})),
        ("open a way in", create(plain("NetworkPolicy", spec={"podSelector": {}, "ingress": [{}]}))),
        ("forget events", Ask("DELETE", f"/api/v1/namespaces/{HOME}/events")),
        ("write a job's status", patch(JOB, WAITS, {"status": {"succeeded": 1}}, "status")),
        ("make a workload", create(work())),
        ("delete a workload", remove(WORKLOAD, "{waiting}")),
        ("write a workload's status", patch(WORKLOAD, "{waiting}", {"status": {"conditions": []}}, "status")),
        ("write the catalogue", patch(CONFIG_MAP, HOME, {"data": {"state": "active"}}, namespace="jobq-system")),
    ),
    *by(
        "researcher",
        MEMBERS,
        ("run outside the queue", create(labelled(queue_name=None))),
        ("apply a job outside the queue", apply(labelled(queue_name=None))),
        ("run unsuspended outside the queue", create(labelled(queue_name=None) | {"spec": {"template": template()}})),
        ("use another queue", create(labelled(queue_name="other"))),
        ("take a waiting job off the queue", patch(JOB, WAITS, mark(labels={QUEUE: None}))),
        ("move a waiting job", patch(JOB, WAITS, mark(labels={QUEUE: "other"}))),
        ("take a running job off the queue", patch(JOB, RUNS, mark(labels={QUEUE: None}))),
        ("borrow an owner", create(with_metadata(ownerReferences=OWNER))),
        ("borrow an owner, no controller", create(with_metadata(ownerReferences=[OWNER[0] | {"controller": False}]))),
        ("borrow an owner later", patch(JOB, WAITS, mark(ownerReferences=OWNER))),
        ("say somebody else sent it, later", patch(JOB, WAITS, mark(annotations={BY: person("viewer")}))),
        (
            "take an elastic job's gates off",
            patch(JOB, GROWS, {"spec": {"template": {"spec": {"schedulingGates": []}}}}),
        ),
        ("hide who sent it", patch(JOB, WAITS, mark(annotations={BY: None}))),
    ),
    *by(
        "researcher",
        PRIORITY,
        ("take a class off the list", create(labelled(priority_class="high"))),
        ("take a class that doesn't exist", create(labelled(priority_class="x"))),
        ("take a class off the list later", patch(JOB, WAITS, mark(labels={CLASS: "high"}))),
    ),
    *by(
        "researcher",
        PODS,
        ("take the system's pod priority", create(job(priorityClassName=SYSTEM_CLASS))),
        ("take any pod priority", create(job(priorityClassName="x"))),
        ("run as another account", create(job(serviceAccountName="builder"))),
        ("run as the robot", create(job(serviceAccountName="jobq-robot"))),
        ("run as another account, by the old name", create(job(serviceAccount="builder"))),
    ),
    *by(
        "researcher",
        FIXED,
        ("run as another account later", patch(JOB, WAITS, {"spec": {"template": template(serviceAccountName="x")}})),
        ("take a pod priority later", patch(JOB, WAITS, {"spec": {"template": template(priorityClassName="x")}})),
    ),
    *by(
        "researcher",
        WORKLOADS,
        ("jump the queue", patch(WORKLOAD, "{waiting}", {"spec": {"priority": 99999}})),
        ("jump the queue by class", patch(WORKLOAD, "{waiting}", {"spec": {"priorityClassRef": set_class("low")}})),
        ("jump the queue by an older version of the API", patch(OLDER, "{waiting}", {"spec": {"priority": 9}})),
        ("move a workload", patch(WORKLOAD, "{waiting}", {"spec": {"queueName": "other"}})),
        ("ask for less", patch(WORKLOAD, "{waiting}", {"spec": {"podSets": pods()}})),
        ("let a workload run longer", patch(WORKLOAD, "{waiting}", {"spec": {"maximumExecutionTimeSeconds": 9}})),
        ("stop, and jump the queue", patch(WORKLOAD, "{waiting}", {"spec": {"active": False, "priority": 9}})),
        ("label a workload", patch(WORKLOAD, "{waiting}", mark(labels={"x": "y"}))),
        ("annotate a workload", patch(WORKLOAD, "{waiting}", mark(annotations={"x": "y"}))),
        ("disown a workload", patch(WORKLOAD, "{waiting}", mark(ownerReferences=None) | mark(ownerReferences=[]))),
        ("give a workload another owner", patch(WORKLOAD, "{waiting}", mark(ownerReferences=OWNER))),
        ("keep a workload for ever", patch(WORKLOAD, "{waiting}", mark(finalizers=["example.org/x"]))),
        ("let go of a workload", patch(WORKLOAD, "{running}", mark(finalizers=[]))),
    ),
    *by(
        "researcher",
        WORKLOADS.removesuffix("'"),  # jobq-workloads-made refuses it too: the server names either
        (
            "jump to a class off the list",
            patch(WORKLOAD, "{waiting}", {"spec": {"priorityClassRef": set_class("high")}}),
        ),
    ),
    # ---------------------------------------------------------------------------- a project without a list
    *by(
        "neighbour",
        YES,
        ("take any class", create(labelled(OTHER, priority_class="high"))),
        ("take a pod priority", create(job(namespace=OTHER, priorityClassName="x"))),
    ),
    *by(
        "neighbour",
        PODS,
        ("take the system's pod priority", create(job(namespace=OTHER, priorityClassName=SYSTEM_CLASS))),
    ),
    # ---------------------------------------------------------------------------- maintainer
    *by(
        "maintainer",
        YES,
        ("create a job", create(job())),
        ("delete a job", remove(JOB, WAITS)),
        ("create a secret", create(plain("Secret", stringData={"token": "x"}))),
        ("replace a secret", Ask("PUT", _at(SECRET, HOME, "kept"), plain("Secret", "kept", stringData={"key": "y"}))),
        ("delete a secret", remove(SECRET, "kept")),
        ("delete a pod", remove(POD, "{pod}")),
        ("create a claim", create(plain("PersistentVolumeClaim", spec=STORAGE))),
        ("delete a claim", remove(CLAIM, "kept")),
        ("mint the robot's token", may("create", "serviceaccounts", "token", "jobq-robot")),
    ),
    *by(
        "maintainer",
        RBAC,
        ("read a secret", read(SECRET, "kept")),
        ("list secrets", read(SECRET)),
        ("read a secret by an empty patch", patch(SECRET, "kept", {})),
        ("create a pod", create(plain("Pod", spec=template()["spec"]))),
        ("give access", create(binding(RESEARCHER, USER))),
        ("change access", patch(ROLE_BINDING, "jobq:viewer", {"subjects": [USER]})),
        ("relabel the namespace", patch(NAMESPACE, HOME, mark(labels={"x": "y"}))),
        ("change the queue", patch(LOCAL_QUEUE, "main", {})),
        ("change a claim", patch(CLAIM, "kept", {})),
        ("mint the runner's token", token("jobq-runner")),
        ("mint the default account's token", token("default")),
    ),
    *by(
        "maintainer",
        SECRETS,
        ("make a secret of the runner's token", create(token_secret("jobq-runner"))),
        ("make a secret of the default account's token", create(token_secret("default"))),
        ("make a secret of another account's token", create(token_secret("builder"))),
    ),
    *by("maintainer", MEMBERS, ("run outside the queue", create(labelled(queue_name=None)))),
    *by("maintainer", PRIORITY, ("take a class off the list", create(labelled(priority_class="high")))),
    *by("maintainer", PODS, ("run as another account", create(job(serviceAccountName="builder")))),
    *by("maintainer", WORKLOADS, ("jump the queue", patch(WORKLOAD, "{waiting}", {"spec": {"priority": 9}}))),
    # ---------------------------------------------------------------------------- whoever may make jobs everywhere
    *by(
        "operator",
        YES,
        ("make a child outside the queue", create(labelled(queue_name=None))),
        ("own it", create(with_metadata(ownerReferences=OWNER))),
        ("say who sent its parent", create(with_metadata(annotations={BY: person("researcher")}))),
    ),
    *by("operator", PRIORITY, ("take a class off the list", create(labelled(priority_class="high")))),
    *by("operator", PODS, ("lend its children an account", create(job(serviceAccountName="builder")))),
    *by(
        "admin",
        YES,
        ("make a workload", create(work())),
        ("make a workload of the list", create(work(priority=1000, priorityClassRef=set_class("normal")))),
    ),
    *by(
        "admin",
        MADE,
        ("make a workload of a class off the list", create(work(priority=9, priorityClassRef=set_class("high")))),
        ("make a workload of a number", create(work(priority=9))),
        (
            "make a workload of the system's class",
            create(work(priority=9, priorityClassRef=set_class(SYSTEM_CLASS, "PriorityClass", "scheduling.k8s.io"))),
        ),
        ("make a workload of such pods", create(work(podSets=pods(priorityClassName=SYSTEM_CLASS)))),
        ("make a workload of another account", create(work(podSets=pods(serviceAccountName="builder")))),
        ("make a workload of another account, by the old name", create(work(podSets=pods(serviceAccount="builder")))),
    ),
    # ---------------------------------------------------------------------------- the reconciler
    *by(
        "reconciler",
        YES,
        ("create a project's namespace", apply(namespace("fenced-new"))),
        ("tighten Pod Security", apply(namespace(HOME, labels={"pod-security.kubernetes.io/enforce": "restricted"}))),
        ("bind a user", apply(binding(VIEWER, USER))),
        ("bind a group", apply(binding(MAINTAINER, subject("Group", "oidc:vision")))),
        ("bind the robot", apply(binding(RESEARCHER, account("jobq-robot")))),
        ("write a catalogue entry", apply(note("x"))),
        ("delete a catalogue entry", remove(CONFIG_MAP, HOME, "jobq-system")),
        ("note its state", apply(note("jobq.state"))),
        ("write a headless service", apply(service())),
        ("list all namespaces", read(NAMESPACE)),
        ("list all workloads", read(WORKLOAD, namespace="")),
        ("list a project's jobs", read(JOB)),
        ("list all claims", read(CLAIM, namespace="")),
        ("write a claim", apply(ours(plain("PersistentVolumeClaim", spec=STORAGE)))),
    ),
    *by(
        "reconciler",
        RBAC,
        ("delete a namespace", remove(NAMESPACE, HOME)),
        ("delete a claim", remove(CLAIM, "kept")),
        ("finish a namespace", Ask("PUT", _at(NAMESPACE, "", HOME, "finalize"), namespace(HOME))),
        ("read secrets", read(SECRET, namespace="")),
        ("read a secret", read(SECRET, "kept")),
        ("list pods", read(POD)),
        ("create a pod", create(plain("Pod", spec=template()["spec"]))),
        ("create a job", create(job())),
        ("delete a job", remove(JOB, WAITS)),
        ("stop a job", patch(WORKLOAD, "{running}", STOP)),
        ("make a role", create(plain("Role", rules=[]))),
        ("change a ClusterQueue", patch(CLUSTER_QUEUE, "gpu-shared", {})),
        ("loosen a policy", remove(_KINDS["ValidatingAdmissionPolicyBinding"], "jobq-reconciler-namespaces")),
        ("write a project's configmap", create(ours(plain("ConfigMap")))),
        ("mint a token", token("jobq-runner")),
        ("mint the robot's token", token("jobq-robot")),
        ("make a secret of a token", create(token_secret("jobq-robot"))),
        ("delete people's data", remove(CLAIM, "kept")),
        ("take over a Lease", patch(LEASE, "kube-scheduler", {}, namespace="kube-system")),
        ("read kube-system's configmaps", read(CONFIG_MAP, namespace="kube-system")),
    ),
    *by(
        "reconciler",
        NAMESPACES,
        ("make a namespace without our labels", create(plain("Namespace", "fenced-new"))),
        ("make a namespace of no project", apply(namespace("fenced-new", labels={"jobq.io/project": None}))),
        ("take over a namespace", apply(namespace(STRANGE))),
        ("take over default", apply(namespace("default"))),
        ("take over kube-system", apply(namespace("kube-system"))),
        ("take over jobq-system", apply(namespace("jobq-system"))),
        ("take a reserved name", apply(namespace("kube-project"))),
        ("take a platform's name", apply(namespace("openshift-project"))),
        ("hand a namespace to another project", apply(namespace(HOME, labels={"jobq.io/project": "x"}))),
        ("give a namespace up", patch(NAMESPACE, HOME, mark(labels={"app.kubernetes.io/managed-by": None}))),
        ("lift Pod Security", apply(namespace(HOME, labels={"pod-security.kubernetes.io/enforce": "privileged"}))),
        (
            "make a privileged namespace",
            apply(namespace("fenced-new", labels={"pod-security.kubernetes.io/enforce": "privileged"})),
        ),
        (
            "leave Pod Security out",
            patch(NAMESPACE, HOME, mark(labels={"pod-security.kubernetes.io/enforce": None})),
        ),
        (
            "enforce an old version of it",
            apply(namespace(HOME, labels={"pod-security.kubernetes.io/enforce-version": "v1.0"})),
        ),
        ("allow itself privileged", apply(namespace("fenced-new", labels={"jobq.io/allow-privileged": "true"}))),
        ("allow itself privileged later", apply(namespace(HOME, labels={"jobq.io/allow-privileged": "true"}))),
        ("own a new namespace away", apply(namespace("fenced-new", ownerReferences=OWNER))),
        ("own a namespace away", patch(NAMESPACE, HOME, mark(ownerReferences=OWNER))),
        ("keep a namespace for ever", patch(NAMESPACE, HOME, mark(finalizers=["example.org/x"]))),
        ("make a namespace that stays for ever", apply(namespace("fenced-new", finalizers=["example.org/x"]))),
    ),
    *by(
        "reconciler",
        NAMESPACED,
        *(
            (f"write in {name}", apply(ours(plain("ServiceAccount", namespace=name))))
            for name in ("kube-system", "default", "kueue-system", "jobq-system", STRANGE)
        ),
        (
            "queue in an unlabelled namespace",
            apply(ours(plain("LocalQueue", "main", STRANGE, spec={"clusterQueue": "x"}))),
        ),
        ("claim storage elsewhere", apply(ours(plain("PersistentVolumeClaim", namespace=STRANGE, spec=STORAGE)))),
        ("bind in kube-system", apply(binding(VIEWER, USER, namespace="kube-system"))),
        ("bind in an unlabelled namespace", apply(binding(VIEWER, USER, namespace=STRANGE))),
        ("bind in jobq-system", apply(binding(VIEWER, USER, namespace="jobq-system"))),
        ("delete what isn't ours", remove(SERVICE_ACCOUNT, "default", STRANGE)),
        ("write without our label", apply(plain("ServiceAccount"))),
        ("name the cluster", apply(note("jobq.cluster"))),
        ("forget the cluster's name", remove(CONFIG_MAP, "jobq.cluster", "jobq-system")),
        ("approve its own plan", apply(note("jobq.approval"))),
        ("take jobq-system's authority", apply(note("kube-root-ca.crt"))),
        ("write an entry without our label", apply(plain("ConfigMap", "x", "jobq-system"))),
        ("open a port", apply(service(clusterIP=None))),
        ("open a port of the nodes", apply(service(clusterIP=None, type="NodePort"))),
        ("lead a name elsewhere", apply(service(type="ExternalName", externalName="example.org", clusterIP=None))),
        ("take somebody's address", apply(service(externalIPs=["192.0.2.1"]))),
        ("own an object away", apply(ours(plain("ServiceAccount"), ownerReferences=OWNER))),
        ("own a queue away", patch(LOCAL_QUEUE, "main", mark(ownerReferences=OWNER))),
        ("keep access for ever", patch(ROLE_BINDING, "jobq:viewer", mark(finalizers=["example.org/x"]))),
        ("make access that stays for ever", apply(binding(VIEWER, USER, finalizers=["example.org/x"]))),
        ("lend the runner an identity", apply(ours(plain("ServiceAccount", "jobq-runner"), annotations={"x": "y"}))),
        ("lend the runner a pull secret", apply(account_of_ours(imagePullSecrets=[{"name": "x"}]))),
        ("lend the robot a secret", apply(account_of_ours("jobq-robot", secrets=[{"name": "kept"}]))),
        ("claim somebody's volume", apply(claim_of_ours(volumeName="x"))),
        ("claim a volume by its labels", apply(claim_of_ours(selector={"matchLabels": {"x": "y"}}))),
        ("copy a volume", apply(claim_of_ours(dataSource={"kind": "PersistentVolumeClaim", "name": "kept"}))),
    ),
    *by(
        "reconciler",
        GRANT,
        ("bind cluster-admin", apply(binding("cluster-admin", USER))),
        ("bind edit", apply(binding("edit", USER))),
        ("bind Kueue's admin role", apply(binding("kueue-batch-admin-role", USER))),
    ),
    *by(
        "reconciler",
        BINDINGS,
        ("bind a role that it holds", apply(binding("jobq-queue-reader", USER))),
        ("bind its own role", apply(binding("jobq-planner", USER))),
        ("let everybody in", apply(binding(VIEWER, subject("Group", "system:authenticated")))),
        ("let a system user in", apply(binding(VIEWER, subject("User", "system:kube-scheduler")))),
        ("let all accounts in", apply(binding(VIEWER, subject("Group", "system:serviceaccounts")))),
        ("let the default account in", apply(binding(VIEWER, account("default")))),
        ("let the runner in", apply(binding(RESEARCHER, account("jobq-runner")))),
        ("let another project's robot in", apply(binding(VIEWER, account("jobq-robot", OTHER)))),
        ("make the robot a maintainer", apply(binding(MAINTAINER, account("jobq-robot")))),
        ("let one in beside others", apply(binding(VIEWER, USER, account("default")))),
        ("let the masters in", apply(binding(MAINTAINER, subject("Group", "system:masters")))),
        ("hide access under another name", apply(binding(MAINTAINER, USER, name="metrics"))),
        ("hide access under another role's name", apply(binding(MAINTAINER, USER, name="jobq:viewer-2"))),
    ),
]


# ------------------------------------------------------------------------------------------------ the world


@dataclass(frozen=True)
class Fenced:
    """Two projects, made by the reconciler under its own token. In HOME one job runs and another waits."""

    world: World
    people: Mapping[str, KubeCluster]
    names: Mapping[str, str]
    begin: int
    """A mark in the audit log: before anything was reconciled."""

    @property
    def admin(self) -> KubeCluster:
        """The cluster as its administrator sees it."""
        return self.people["admin"]

    def ask(self, who: str, ask: Ask, *, dry_run: bool = True) -> Body:
        """The answer. Raises: ClusterError."""
        path = ask.path.format_map(self.names)
        query = {"dryRun": "All"} if dry_run and ask.method != "GET" else {}
        if "?" in path:
            path, _, rest = path.partition("?")
            query |= dict(part.split("=") for part in rest.split("&"))
        content = ask.content if ask.method != "GET" else ""
        answer = self.people[who]._ask(ask.method, path, "try", query=query, body=ask.body, content=content)
        value: Body = json.loads(answer) if answer.startswith(b"{") else {"text": answer.decode()}
        return value

    def refusal(self, who: str, ask: Ask) -> str:
        """By what words it is refused; ``""`` where it isn't."""
        try:
            answer = self.ask(who, ask)
        except ClusterError as refused:
            return f"{refused.code} {refused}"
        if answer.get("kind") == SELF_SUBJECT_ACCESS_REVIEW.kind and not answer["status"]["allowed"]:
            return f"403 {RBAC}"
        return YES

    def declare(self, *more: str, settings: str = "", priorities: Sequence[str] = ("normal", "low")) -> None:
        """Commit the two projects, and more."""
        members = [{"user": person(role), "role": role} for role in ROLES]
        home = project(HOME, members=members, priorities=priorities, robot="researcher")
        lonely = [{"user": person("neighbour"), "role": "researcher"}]
        other = project(OTHER, members=lonely, clusterQueue="fake-shared")
        self.world.repository.declare(home, other, *more, settings=settings)

    def reconcile(self) -> None:
        """Reconcile under the reconciler's own token, with approval; all of it must succeed."""
        first = self.world.reconcile()
        done = first if first.applied else self.world.reconcile(terms=Terms(approved=first.plan.disruption))
        assert done.applied, done.verdict
        assert {outcome.result for outcome in done.outcomes} <= SUCCESSES, done.outcomes


@pytest.fixture(scope="module")
def fenced(whole_plane: Plane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fenced]:
    """That world; it leaves nothing behind."""
    with ExitStack() as stack:

        def known(kubeconfig: Path) -> KubeCluster:
            cluster = connect(kubeconfig=str(kubeconfig))
            stack.callback(cluster.close)
            return cluster

        people = {
            name: known(whole_plane.member_kubeconfig(person(name))) for name in (*ROLES, "neighbour", "operator")
        }
        token_file = whole_plane.service_account_kubeconfig("jobq-system", "jobq-reconciler")
        people |= {"admin": known(whole_plane.kubeconfig), "reconciler": known(token_file)}
        for who, file in (
            ("researcher", whole_plane.member_kubeconfig(person("researcher"))),
            ("reconciler", token_file),
        ):
            people[f"{who} as another"] = connect(kubeconfig=str(file), impersonating=person("maintainer"))
            stack.callback(people[f"{who} as another"].close)
        forget(whole_plane)
        world = World(whole_plane, Repository.new(tmp_path_factory.mktemp("fenced") / "repository"), token_file)
        made = Fenced(world, people, {}, whole_plane.mark())
        try:
            made.declare()
            made.reconcile()
            people["robot"] = known(whole_plane.service_account_kubeconfig(HOME, "jobq-robot"))
            yield Fenced(world, people, furnished(made), made.begin)
        finally:
            clean(made.admin)


def furnished(made: Fenced) -> dict[str, str]:
    """HOME's jobs, by the researcher; what an admin adds. The names that requests need."""
    rules = [{"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["create", "update"]}]
    made.admin.apply(CLUSTER_ROLE, plain("ClusterRole", "test-operator", rules=rules))
    reference = {"apiGroup": ROLE.group, "kind": "ClusterRole", "name": "test-operator"}
    operators = [subject("User", person("operator"))]
    everywhere = plain("ClusterRoleBinding", "test-operator", roleRef=reference, subjects=operators)
    made.admin.apply(CLUSTER_ROLE_BINDING, everywhere)
    made.admin.apply(NAMESPACE, plain("Namespace", STRANGE))
    made.people["maintainer"].create(SECRET, plain("Secret", "kept", stringData={"key": "x"}))
    made.people["maintainer"].create(CLAIM, plain("PersistentVolumeClaim", "kept", spec=STORAGE))
    assert eventually(lambda: BY in made.ask("researcher", create(job()))["metadata"].get("annotations", {}))
    assert eventually(lambda: MADE in made.refusal("admin", create(work(priority=9))))
    elastic = job(GROWS, cpu="1000")
    elastic["metadata"]["annotations"] = {ELASTIC: "true"}
    elastic["spec"]["parallelism"] = 1
    for body in (job(RUNS), job(WAITS, cpu="1000"), elastic):
        made.people["researcher"].create(JOB, body)
    assert eventually(lambda: at_work(made.admin, HOME) == {RUNS})
    assert eventually(lambda: workload(made.admin, WAITS) != "")
    [pod] = made.admin.list(POD, namespace=HOME).items
    return {
        "pod": pod["metadata"]["name"],
        "running": workload(made.admin, RUNS),
        "waiting": workload(made.admin, WAITS),
    }


def clean(admin: KubeCluster) -> None:
    """Remove what this file made, whatever of it there is."""
    for resource, name in ((JOB, RUNS), (JOB, WAITS), (JOB, GROWS), (CLAIM, "kept")):
        removed(admin, resource, name, HOME)
    assert eventually(lambda: not (admin.list(POD, namespace=HOME).items or admin.list(CLAIM, namespace=HOME).items))
    gone = [
        *((NAMESPACE, name, "") for name in (HOME, OTHER, STRANGE, LIFE)),
        *((CONFIG_MAP, name, "jobq-system") for name in (HOME, OTHER, LIFE)),
        *((kind, "test-operator", "") for kind in (CLUSTER_ROLE, CLUSTER_ROLE_BINDING)),
    ]
    for resource, name, place in gone:
        removed(admin, resource, name, place)
    assert eventually(lambda: not namespaces(admin) & {HOME, OTHER, STRANGE, LIFE})


def removed(admin: KubeCluster, resource: Resource, name: str, place: str) -> None:
    with suppress(NotFound):
        admin.delete(resource, name, namespace=place)


def namespaces(admin: KubeCluster) -> set[str]:
    return {item["metadata"]["name"] for item in admin.list(NAMESPACE).items}


def jobs(admin: KubeCluster, place: str = HOME) -> dict[str, Body]:
    return {item["metadata"]["name"]: item for item in admin.list(JOB, namespace=place).items}


def at_work(admin: KubeCluster, place: str) -> set[str]:
    """The jobs with a running pod."""
    found = admin.list(POD, namespace=place).items
    return {
        pod["metadata"]["labels"]["job-name"]
        for pod in found
        if pod["status"].get("phase") == "Running" and "deletionTimestamp" not in pod["metadata"]
    }


def workload(admin: KubeCluster, of: str, place: str = HOME) -> str:
    """The name of a job's Workload; ``""``: there is none yet."""
    found = admin.list(WORKLOAD, namespace=place).items
    names = (item["metadata"]["name"] for item in found if item["metadata"]["ownerReferences"][0]["name"] == of)
    return next(names, "")


# ------------------------------------------------------------------------------------------------ laws


@pytest.mark.parametrize("attempt", ATTEMPTS, ids=lambda attempt: f"{attempt.who}: {attempt.what}")
def test_attempt(fenced: Fenced, attempt: Attempt) -> None:
    """What a role is for works with nothing but that role; anything else is refused, by whom it must be."""
    said = fenced.refusal(attempt.who, attempt.ask)
    if attempt.refused == YES:
        assert said == YES
    else:
        assert said.startswith("422 " if attempt.refused == FIXED else "403 "), said or "it was allowed"
        assert attempt.refused in said


def test_each_rule_refuses(fenced: Fenced) -> None:
    """Of each admission policy, each rule refuses one of these attempts: none is idle, none untried."""
    policies = fenced.admin.list(_KINDS["ValidatingAdmissionPolicy"], labels="app.kubernetes.io/part-of=jobq").items
    rules = {
        f"{body['metadata']['name']}' denied request: {spoken(rule)}"
        for body in policies
        for rule in body["spec"]["validations"]
    }
    said = [fenced.refusal(attempt.who, attempt.ask) for attempt in ATTEMPTS if "Policy" in attempt.refused]
    untried = [rule for rule in sorted(rules) if not any(rule in text for text in said)]
    [stamped] = untried  # the server writes that annotation first
    assert "submitted-by must be absent or" in stamped


def spoken(rule: Mapping[str, str]) -> str:
    """How what a policy's rule says begins."""
    return rule["message"] if "message" in rule else rule["messageExpression"].split("'")[1]


def test_stamp(fenced: Fenced) -> None:
    """The server writes who submits, over whatever the client says."""
    for made in (job(), with_metadata(annotations={BY: person("maintainer")})):
        answer = fenced.ask("researcher", create(made))
        assert answer["metadata"]["annotations"][BY] == person("researcher")
    assert jobs(fenced.admin)[RUNS]["metadata"]["annotations"][BY] == person("researcher")


def test_without_stamp(fenced: Fenced) -> None:
    """Where the server can't write who submits, a false name is refused, and none is no error."""
    forged = create(with_metadata(annotations={BY: person("maintainer")}))
    stamp = fenced.admin.get(MUTATING_BINDING, "jobq-stamp")
    fenced.admin.delete(MUTATING_BINDING, "jobq-stamp")
    try:
        assert eventually(lambda: MEMBERS in fenced.refusal("researcher", forged))
        assert BY not in fenced.ask("researcher", create(job()))["metadata"].get("annotations", {})
        true = create(with_metadata(annotations={BY: person("researcher")}))
        assert fenced.refusal("researcher", true) == YES
    finally:
        kept = {"name": "jobq-stamp", "labels": stamp["metadata"]["labels"]}
        fenced.admin.apply(MUTATING_BINDING, stamp | {"metadata": kept})
    assert eventually(lambda: fenced.refusal("researcher", forged) == YES)


def test_unsuspended_by_hand(fenced: Fenced) -> None:
    """A job that is created unsuspended, or is started by hand while it waits, is suspended; no pod of it stays."""
    started = fenced.ask("researcher", patch(JOB, WAITS, {"spec": {"suspend": False}}), dry_run=False)

    def back() -> bool:
        live = jobs(fenced.admin)[WAITS]
        changed = live["metadata"]["generation"] > started["metadata"]["generation"]
        return changed and live["spec"]["suspend"] and not live["status"].get("active")

    assert eventually(back)
    unsuspended = job(cpu="1000")
    unsuspended["spec"]["suspend"] = False
    assert fenced.ask("researcher", create(unsuspended))["spec"]["suspend"] is True
    assert eventually(lambda: len(fenced.admin.list(POD, namespace=HOME).items) == 1)
    assert at_work(fenced.admin, HOME) == {RUNS}


def test_grown(fenced: Fenced) -> None:
    """A running job that is made larger than the quota is suspended, and none of its pods stays."""
    wide = job(GROWS, OTHER, cpu="10")
    wide["spec"]["parallelism"] = 1
    wide["spec"]["template"]["metadata"] = {"annotations": {"fake.jobq.io/runs-for": "600s"}}  # else it ends by itself
    fenced.people["neighbour"].create(JOB, wide)
    assert eventually(lambda: at_work(fenced.admin, OTHER) == {GROWS})
    fenced.ask("neighbour", patch(JOB, GROWS, {"spec": {"parallelism": 50}}, namespace=OTHER), dry_run=False)
    assert eventually(lambda: bool(jobs(fenced.admin, OTHER)[GROWS]["spec"]["suspend"]))
    assert eventually(lambda: not fenced.admin.list(POD, namespace=OTHER).items)
    fenced.people["neighbour"].delete(JOB, GROWS, namespace=OTHER)


def test_admin_opens(fenced: Fenced) -> None:
    """Pod Security may be lifted where an admin allowed it; a lost managed-by may be put back."""
    name, privileged = "fenced-opened", {"pod-security.kubernetes.io/enforce": "privileged"}
    open_labels = privileged | {"jobq.io/allow-privileged": "true"}
    lost = namespace(name, labels={**open_labels, "app.kubernetes.io/managed-by": None})
    fenced.admin.create(NAMESPACE, lost)
    try:
        assert fenced.refusal("reconciler", apply(namespace(name, labels=privileged))) == YES
        unlabelled = fenced.refusal("reconciler", apply(ours(plain("ServiceAccount", namespace=name))))
        assert NAMESPACED in unlabelled
        assert FENCE in unlabelled, "told by its words, and tried again where the label has just been written"
        assert NAMESPACES in fenced.refusal("reconciler", apply(namespace(name, labels={"jobq.io/project": "x"})))
    finally:
        fenced.admin.delete(NAMESPACE, name)
        assert eventually(lambda: name not in namespaces(fenced.admin))


def test_life(fenced: Fenced) -> None:
    """A project is created, changed, moved, paused, archived and restored with the reconciler's rights alone."""
    before = fenced.world.plane.mark()
    member, group = {"user": "lee@example.org", "role": "researcher"}, {"group": "oidc:x", "role": "viewer"}
    limits = {"jobs": 10, "storage": "10Gi"}
    states: list[dict[str, Any] | None] = [
        {"members": [member]},
        {"members": [member, group], "limits": limits, "priorities": ["low"]},
        {"members": [member], "clusterQueue": "fake-shared"},
        {"members": [member], "clusterQueue": "fake-shared", "active": False},
        None,
        {"members": [group]},
    ]
    for state in states:
        fenced.declare(*([] if state is None else [project(LIFE, **state)]))
        fenced.reconcile()
        assert not fenced.world.plan().plan.changes
    asked = fenced.world.plane.requests(before, user=RECONCILER)
    assert {"get", "list", "create", "patch", "delete"} & {request.verb for request in asked} >= {
        "list",
        "patch",
        "delete",
    }
    assert [request for request in asked if request.code in {401, 403}] == []
    fenced.declare()
    fenced.reconcile()


def test_pods_that_ask_for_the_node(fenced: Fenced) -> None:
    """A job may be made that asks for the node's network, folders or devices; no pod of it ever is."""
    container = template()["spec"]["containers"][0]
    wishes: Mapping[str, Mapping[str, Any]] = {
        "network": {"hostNetwork": True},
        "processes": {"hostPID": True},
        "folder": {"volumes": [{"name": "root", "hostPath": {"path": "/"}}]},
        "privileged": {"containers": [container | {"securityContext": {"privileged": True}}]},
        "kernel": {"containers": [container | {"securityContext": {"capabilities": {"add": ["SYS_ADMIN"]}}}]},
    }
    try:
        for name, wish in wishes.items():
            fenced.people["robot" if name == "network" else "researcher"].create(JOB, job(f"asks-{name}", **wish))

        def denied() -> set[str]:
            events = fenced.admin.list(EVENT, namespace=HOME, fields="reason=FailedCreate").items
            return {one["involvedObject"]["name"] for one in events if "violates PodSecurity" in one["message"]}

        assert eventually(lambda: denied() >= {f"asks-{name}" for name in wishes}), denied()
        assert {pod["metadata"]["labels"]["job-name"] for pod in fenced.admin.list(POD, namespace=HOME).items} == {RUNS}
    finally:
        for name in wishes:
            removed(fenced.admin, JOB, f"asks-{name}", HOME)
    assert eventually(lambda: set(jobs(fenced.admin)) == {RUNS, WAITS, GROWS})


def test_shorter_list(fenced: Fenced) -> None:
    """A list of priorities that gets shorter refuses new jobs only: what exists is changed, stopped and resumed."""
    fenced.declare(priorities=["low"])
    fenced.reconcile()
    try:
        assert PRIORITY in fenced.refusal("researcher", create(job()))
        assert fenced.refusal("researcher", patch(JOB, WAITS, mark(labels={"x": "y"}))) == YES
        running = fenced.names["running"]
        fenced.ask("researcher", patch(WORKLOAD, running, STOP), dry_run=False)
        assert eventually(lambda: at_work(fenced.admin, HOME) == set())
        fenced.ask("researcher", patch(WORKLOAD, running, {"spec": {"active": True}}), dry_run=False)
        assert eventually(lambda: at_work(fenced.admin, HOME) == {RUNS})
    finally:
        fenced.declare()
        fenced.reconcile()


def test_bootstrap_again(fenced: Fenced) -> None:
    """A second bootstrap changes nothing; without policies it notes so, and every plan warns."""
    admin = fenced.world.plane.kubeconfig

    def bootstrap(*words: str) -> None:
        run = fenced.world.jobq("bootstrap", "--apply", *words, kubeconfig=admin)
        assert run.code == 0, run.err

    def versions() -> dict[tuple[str, str, str], str]:
        found = {
            (resource.kind, item["metadata"].get("namespace", ""), item["metadata"]["name"]): item["metadata"]
            for resource in BOOTSTRAP_KINDS
            for item in fenced.admin.list(resource, labels="app.kubernetes.io/part-of=jobq").items
        }
        return {key: meta["resourceVersion"] for key, meta in found.items()}

    def warned() -> bool:
        effects = fenced.world.plan().plan.effects
        return any("no admission policies" in one.text and one.weight is Weight.WARNING for one in effects)

    bootstrap()
    first = versions()
    assert len(first) > 30
    bootstrap()
    assert versions() == first
    assert not warned()
    try:
        bootstrap("--no-policies")
        assert fenced.admin.get(CONFIG_MAP, "jobq.cluster", namespace="jobq-system")["data"]["policies"] == "none"
        assert warned()
    finally:
        bootstrap()
    assert not warned()


def test_further_kind(fenced: Fenced) -> None:
    """A job kind that jobq.toml adds is one that members may use, queue included, and viewers may read."""
    admin = fenced.world.plane.kubeconfig
    names = {"plural": WRAPPER.plural, "singular": "appwrapper", "kind": WRAPPER.kind, "listKind": "AppWrapperList"}
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": WRAPPER.version, "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    crd = {
        "apiVersion": CRD.api_version,
        "kind": CRD.kind,
        "metadata": {"name": f"{WRAPPER.plural}.{WRAPPER.group}"},
        "spec": {"group": WRAPPER.group, "scope": "Namespaced", "names": names, "versions": [version]},
    }
    queued, elastic, outside = plain("AppWrapper"), plain("AppWrapper"), create(plain("AppWrapper"))
    queued["metadata"]["labels"] = {QUEUE: "main"}
    elastic["metadata"] |= {"labels": {QUEUE: "main"}, "annotations": {ELASTIC: "true"}}
    fenced.admin.create(CRD, crd)
    try:
        fenced.declare(settings=f'[[kinds]]\ngroup = "{WRAPPER.group}"\nresource = "{WRAPPER.plural}"\n')
        assert fenced.world.jobq("bootstrap", "--apply", kubeconfig=admin).code == 0
        assert eventually(lambda: MEMBERS in fenced.refusal("researcher", outside))
        assert eventually(lambda: fenced.refusal("researcher", create(queued)) == YES)
        assert eventually(lambda: MEMBERS in fenced.refusal("researcher", create(elastic)))

        def stamped() -> object:
            try:
                made = fenced.ask("researcher", create(queued))
            except Rejected:  # what mutates learns of a new kind last: "there can be a delay"
                return None
            return made["metadata"].get("annotations", {}).get(BY)

        assert eventually(lambda: stamped() == person("researcher"))  # the stamp acts a moment after the fences
        assert fenced.refusal("viewer", read(WRAPPER)) == YES
        assert RBAC in fenced.refusal("viewer", create(queued))
    finally:
        fenced.admin.delete(CRD, crd["metadata"]["name"])  # type: ignore[index] # JSON
        fenced.declare()
        assert fenced.world.jobq("bootstrap", "--apply", kubeconfig=admin).code == 0
    assert RBAC in fenced.refusal("researcher", outside)


def test_controllers_are_never_refused(fenced: Fenced) -> None:
    """Whatever becomes of jobs and namespaces, no policy refuses Kubernetes' own controllers or Kueue anything."""
    admin, plane = fenced.admin, fenced.world.plane
    quick, slow = job("expires"), ("evicted", "background", "foreground")
    for name in jobs(admin).keys() - {RUNS, WAITS, GROWS}:  # of a first try, which took away a project too
        admin.delete(JOB, name, namespace=HOME)
    fenced.declare()
    fenced.reconcile()
    quick["spec"] |= {"ttlSecondsAfterFinished": 0}
    quick["spec"]["template"]["spec"]["containers"][0]["command"] = ["true"]
    for body in (quick, *(job(name) for name in slow)):
        fenced.people["researcher"].create(JOB, body)
    for body in (job(RUNS, OTHER), job(WAITS, OTHER, cpu="1000")):
        fenced.people["neighbour"].create(JOB, body)
    assert eventually(lambda: at_work(admin, HOME) >= {RUNS, *slow})
    assert eventually(lambda: at_work(admin, OTHER) == {RUNS} and workload(admin, WAITS, OTHER) != "")
    fenced.ask("researcher", patch(WORKLOAD, workload(admin, "evicted"), STOP), dry_run=False)
    fenced.people["researcher"].delete(JOB, "background", namespace=HOME)
    fenced.people["researcher"].delete(JOB, "foreground", namespace=HOME, background=False)
    admin.delete(NAMESPACE, OTHER)
    assert eventually(lambda: set(jobs(admin)) == {RUNS, WAITS, GROWS, "evicted"}), set(jobs(admin))
    assert eventually(lambda: bool(jobs(admin)["evicted"]["spec"]["suspend"]) and at_work(admin, HOME) == {RUNS})
    assert eventually(lambda: OTHER not in namespaces(admin))
    plane.mark()
    with plane.audit_log.open("rb") as log:
        log.seek(fenced.begin)
        entries = [json.loads(line) for line in log.read().split(b"\n")[:-1]]
    own = [entry for entry in entries if is_controller(entry["user"].get("username", ""))]
    assert len([entry for entry in own if entry["verb"] not in {"get", "list", "watch"}]) > 100
    failed = [entry["responseStatus"] for entry in own if entry.get("responseStatus", {}).get("code", 0) >= 400]
    assert [status for status in failed if "AdmissionPolicy" in json.dumps(status)] == []
    forbidden = [status.get("message", "") for status in failed if status["code"] == 403]
    meant = ("because it is being terminated", "violates PodSecurity")
    assert [text for text in forbidden if not any(reason in text for reason in meant)] == []


def is_controller(user: str) -> bool:
    """Whether it is one of Kubernetes' own controllers, a node, or Kueue."""
    is_ours = user in {RECONCILER, f"system:serviceaccount:{HOME}:jobq-robot"}
    return user == KUEUE or (user.startswith("system:") and not is_ours)
