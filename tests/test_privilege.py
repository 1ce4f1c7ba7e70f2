"""What the reconciler may do is what it does: each verb of its roles is used in projects' lives, each other is refused.

Under its own ServiceAccount's token, on a real API server: what it used is read from the audit log, what it was granted
from the roles as they are installed, what it lacks from the server's own answers.
"""

import itertools
import signal
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence

import pytest

from reconciler.apply import apply
from reconciler.cluster import Body, Resource
from reconciler.comparing.ownership import project_of
from reconciler.kinds import BY_KIND, CLUSTER_ROLE, KUEUE_NAMESPACE, ROLE, SELF_SUBJECT_ACCESS_REVIEW
from reconciler.kube import _path
from reconciler.model import SYSTEM_NAMESPACE
from reconciler.planned import Report, Result
from tests.controlplane.audit import Request
from tests.repository import project
from tests.safety import everything, finish
from tests.world import World, eventually, remove_namespace

RECONCILER = "system:serviceaccount:jobq-system:jobq-reconciler"
PEOPLE = [
    {"user": "kim@example.org", "role": "viewer"},
    {"user": "lee@example.org", "role": "researcher"},
    {"group": "oidc:vision", "role": "maintainer"},
]
DATA = {"name": "data", "size": "1Gi", "class": "local", "access": "ReadWriteOnce"}
FULL: Mapping[str, object] = {
    "members": PEOPLE,
    "limits": {"jobs": 5, "container": {"max": {"cpu": "2"}, "requests": {"cpu": "1"}}},
    "storage": [DATA],
    "robot": "researcher",
    "priorities": ["normal"],
}
Right = tuple[str, str, str]
"""Verb, resource with its subresource, and the only namespace it is for, or ``""``."""


OWN = (
    (CLUSTER_ROLE, "jobq-planner", ""),
    (CLUSTER_ROLE, "jobq-reconciler", ""),
    (ROLE, "jobq-planner", SYSTEM_NAMESPACE),
    (ROLE, "jobq-reconciler", SYSTEM_NAMESPACE),
    (ROLE, "jobq-planner", KUEUE_NAMESPACE),
)


def granted(world: World) -> set[Right]:
    """Every verb of every rule of the roles that are the reconciler's."""
    return rights_of(world, OWN)


def rights_of(world: World, roles: Iterable[tuple[Resource, str, str]]) -> set[Right]:
    return {
        (verb, resource, place)
        for kind, name, place in roles
        for rule in world.admin.get(kind, name, namespace=place)["rules"]
        for verb, resource in itertools.product(rule["verbs"], rule["resources"])
    }


def used(requests: Sequence[Request], rights: set[Right]) -> set[Right]:
    """The rights that these requests took; an apply that makes an object takes two."""
    found = set()
    for request in requests:
        if request.code in {401, 403}:
            continue
        for verb in {request.verb, "create"} if (request.verb, request.code) == ("patch", 201) else {request.verb}:
            here = (verb, request.resource, request.namespace)
            found.add(here if here in rights else (verb, request.resource, ""))
    if any(right[:2] == ("create", "rolebindings") for right in found):
        found.add(("bind", "clusterroles", ""))  # not a request of its own: what lacks it makes no binding
    return found


# ------------------------------------------------------------------------------------------------ a life


def test_every_right_is_used(world: World) -> None:
    """All that can happen to projects takes all that it may do, exactly."""
    since = world.plane.mark()
    live(world)
    requests = world.plane.requests(since, user=RECONCILER)
    rights = granted(world)
    took = used(requests, rights)
    assert len(rights) > 60
    assert rights - took == set()
    reviews = {("create", "selfsubjectreviews", ""), ("create", "selfsubjectaccessreviews", "")}
    assert took - rights - reviews == set()


def live(world: World) -> None:
    """All that can happen to a project."""
    declare(world, FULL)
    finish(world)
    deleted_meanwhile(world)
    declare(world, {**FULL, "displayName": "Vision", "members": PEOPLE[:1], "clusterQueue": "fake-shared"})
    finish(world)
    taken_by_a_stranger(world)
    routed_service(world)
    declare(world, {"network": "open", "active": False, "storage": [DATA]})
    finish(world)
    watched(world)
    world.repository.declare(project("speech"))
    finish(world)
    remove_namespace(world.plane, "vision")
    finish(world)


def declare(world: World, spec: Mapping[str, object]) -> None:
    settings = 'openNetwork = ["vision"]\nguard.disrupted = 100\n'
    world.repository.declare(project("speech"), project("vision", **spec), settings=settings)


def deleted_meanwhile(world: World) -> None:
    """Everything of a project loses its owner before a plan, and is deleted before it is carried out."""
    mine = [(ref, body) for ref, body in everything(world).items() if project_of(body) == "vision"]
    strip = [{"op": "replace", "path": "/metadata/managedFields", "value": [{}]}]
    paths = [_path(BY_KIND[ref.group, ref.kind].resource, ref.namespace, ref.name) for ref, _ in mine]
    with world.plane.api() as api:
        for path in paths:
            api.call("PATCH", path, strip, {"Content-Type": "application/json-patch+json"})  # type: ignore[arg-type] # a JSON patch is a list
        planned = world.plan()
        assert {change.ref for change in planned.plan.changes} >= {ref for ref, _ in mine if ref.kind != "ConfigMap"}
        for path in paths:
            if path != "/api/v1/namespaces/vision":
                merge = {"Content-Type": "application/merge-patch+json"}
                api.call("PATCH", path, {"metadata": {"finalizers": None}}, merge)  # a claim has one
                api.call("DELETE", path)
    carried_out(world, planned)


def taken_by_a_stranger(world: World) -> None:
    """A namespace comes into being between plan and apply."""
    world.repository.declare(project("speech"), project("taken"), project("vision", **FULL))
    planned = world.plan()
    world.kubectl("create", "namespace", "taken")
    outcomes = apply(world.cluster, planned.plan.changes, threading.Event())
    assert any(outcome.result is Result.FAILED for outcome in outcomes)
    remove_namespace(world.plane, "taken")


def carried_out(world: World, planned: Report) -> None:
    outcomes = apply(world.cluster, planned.plan.changes, threading.Event())
    assert [outcome.error for outcome in outcomes if outcome.result is Result.FAILED] == []


def routed_service(world: World) -> None:
    """Somebody makes our Service one with an address: it is replaced."""
    service = {"apiVersion": "v1", "kind": "Service", "spec": {"ports": [{"port": 80}]}}
    labels = {"app.kubernetes.io/managed-by": "jobq", "jobq.io/project": "vision"}
    world.kubectl("delete", "service", "-n", "vision", "workers")
    meta = {"name": "workers", "namespace": "vision", "labels": labels}
    world.kubectl("create", "-f", "-", given={**service, "metadata": meta})
    finish(world)


def watched(world: World) -> None:
    """A watch that has seen everything, and stops."""
    since = world.plane.mark()
    process = world.start("reconcile", "--watch")
    kinds = {right[1] for right in granted(world) if right[0] == "watch"}

    def seen() -> bool:
        asked = world.plane.requests(since, user=RECONCILER)
        return {request.resource for request in asked if request.verb == "watch"} >= kinds

    complete = eventually(seen)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=90)
    assert complete, out + err


# ------------------------------------------------------------------------------------------------ what it lacks


VERBS = ("get", "list", "watch", "create", "update", "patch", "delete", "deletecollection")
LACKED: dict[str, Sequence[str]] = {
    "": [
        *("secrets", "pods", "pods/exec", "pods/attach", "pods/portforward", "pods/ephemeralcontainers", "pods/log"),
        *("nodes", "nodes/proxy", "events", "endpoints", "persistentvolumes", "replicationcontrollers", "bindings"),
        *("serviceaccounts/token", "services/proxy", "services/status", "namespaces/finalize", "namespaces/status"),
        *("namespaces", "configmaps", "services", "serviceaccounts", "resourcequotas", "limitranges"),
        *("persistentvolumeclaims", "persistentvolumeclaims/status", "resourcequotas/status"),
    ],
    "rbac.authorization.k8s.io": ["roles", "clusterroles", "clusterrolebindings", "rolebindings"],
    "admissionregistration.k8s.io": [
        *("validatingadmissionpolicies", "validatingadmissionpolicybindings", "mutatingadmissionpolicies"),
        *("mutatingadmissionpolicybindings", "validatingwebhookconfigurations", "mutatingwebhookconfigurations"),
    ],
    "apps": ["deployments", "daemonsets", "statefulsets", "replicasets"],
    "batch": ["jobs", "jobs/status", "cronjobs"],
    "coordination.k8s.io": ["leases"],
    "certificates.k8s.io": ["certificatesigningrequests", "certificatesigningrequests/approval"],
    "networking.k8s.io": ["networkpolicies", "ingresses"],
    "storage.k8s.io": ["storageclasses", "volumeattachments"],
    "scheduling.k8s.io": ["priorityclasses"],
    "apiextensions.k8s.io": ["customresourcedefinitions"],
    "apiregistration.k8s.io": ["apiservices"],
    "discovery.k8s.io": ["endpointslices"],
    "kueue.x-k8s.io": [
        *("clusterqueues", "cohorts", "resourceflavors", "workloadpriorityclasses", "workloads", "workloads/status"),
        *("localqueues", "localqueues/status", "admissionchecks"),
    ],
}
SPECIAL = (
    ("impersonate", "", "users"),
    ("impersonate", "", "groups"),
    ("impersonate", "", "serviceaccounts"),
    ("impersonate", "authentication.k8s.io", "uids"),
    ("escalate", "rbac.authorization.k8s.io", "clusterroles"),
    ("escalate", "rbac.authorization.k8s.io", "roles"),
    ("bind", "rbac.authorization.k8s.io", "roles"),
    ("bind", "rbac.authorization.k8s.io", "clusterroles"),
    ("approve", "certificates.k8s.io", "signers"),
    ("sign", "certificates.k8s.io", "signers"),
    ("use", "policy", "podsecuritypolicies"),
    ("*", "*", "*"),
)


def questions() -> Iterator[tuple[str, str, str]]:
    yield from SPECIAL
    for group, resources in LACKED.items():
        yield from ((verb, group, resource) for resource in resources for verb in VERBS)


@pytest.mark.parametrize("place", ["vision", "kube-system", SYSTEM_NAMESPACE, KUEUE_NAMESPACE])
def test_every_other_right_is_refused(world: World, place: str) -> None:
    """Of all verbs on all that matters, the server allows those of its roles and no other."""
    roles = ((CLUSTER_ROLE, "jobq-queue-reader", ""), (ROLE, "jobq-catalogue-reader", SYSTEM_NAMESPACE))
    rights = granted(world) | rights_of(world, roles)  # these are everybody's

    def may(verb: str, group: str, resource: str) -> bool:
        plain, _, sub = resource.partition("/")
        wanted = {"namespace": place, "verb": verb, "group": group, "resource": plain, "subresource": sub}
        review: Body = {"spec": {"resourceAttributes": wanted}}
        return bool(world.cluster.create(SELF_SUBJECT_ACCESS_REVIEW, review)["status"]["allowed"])

    asked = list(questions())
    assert len(asked) > 400
    named = {("bind", "clusterroles", ""), *((verb, "leases", SYSTEM_NAMESPACE) for verb in ("get", "patch", "create"))}
    allowed = {(verb, resource) for verb, group, resource in asked if may(verb, group, resource)}
    wanted = {right[:2] for right in rights - named if right[2] in {"", place}}
    assert allowed == {(verb, resource) for verb, _, resource in asked if (verb, resource) in wanted}
