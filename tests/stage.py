"""Projects set up by hand on the control plane, for tests of what members do in them: just what a member meets."""

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from reconciler.cluster import Body, Cluster, Resource
from reconciler.kinds import (
    CLUSTER_ROLE,
    CLUSTER_ROLE_BINDING,
    CONFIG_MAP,
    LOCAL_QUEUE,
    NAMESPACE,
    ROLE,
    ROLE_BINDING,
    SERVICE_ACCOUNT,
)
from reconciler.kube import connect
from tests.controlplane.plane import Plane

READ = ["get", "list", "watch"]


@dataclass(frozen=True, slots=True)
class Stage:
    """One project on a plane. Its only member by default is ``kim@example.org``, a researcher."""

    plane: Plane
    project: str

    def kubeconfig(self, user: str = "kim@example.org", groups: Sequence[str] = ()) -> Path:
        """A member's kubeconfig."""
        return self.plane.member_kubeconfig(user, groups)

    @property
    def admin(self) -> Cluster:
        """The cluster as its administrator sees it."""
        return connect(kubeconfig=str(self.plane.kubeconfig))


def raise_project(
    plane: Plane,
    *,
    members: Sequence[dict[str, str]] = ({"user": "kim@example.org", "role": "researcher"},),
    queue: str = "gpu-shared",
    name: str = "",
    **entry: str,
) -> Stage:
    """A project of a new name, with queue, access and catalogue entry; ``entry`` overrides keys of the latter."""
    name = name or f"t-{uuid.uuid4().hex[:8]}"
    stage = Stage(plane, name)
    for resource, body in [
        *_system(),
        *_project(name, members, queue),
        (CONFIG_MAP, _entry(name, members, queue, entry)),
    ]:
        stage.admin.apply(resource, {"apiVersion": resource.api_version, "kind": resource.kind, **body})
    return stage


def _system() -> Sequence[tuple[Resource, Body]]:
    reader = {"name": "test-catalogue-reader", "namespace": "jobq-system"}
    return [
        (NAMESPACE, {"metadata": {"name": "jobq-system"}}),
        (ROLE, {"metadata": reader, "rules": [_rule([""], ["configmaps"], READ)]}),
        (ROLE_BINDING, _binding(reader, "Role", [_group("system:authenticated")])),
        (CLUSTER_ROLE, {"metadata": {"name": "test-reader"}, "rules": [_rule(["kueue.x-k8s.io"], _CLASSES, READ)]}),
        (
            CLUSTER_ROLE_BINDING,
            _binding({"name": "test-reader"}, "ClusterRole", [_group("system:authenticated")]),
        ),
        (CLUSTER_ROLE, {"metadata": {"name": "test-viewer"}, "rules": _VIEWER}),
        (CLUSTER_ROLE, {"metadata": {"name": "test-researcher"}, "rules": [*_VIEWER, *_RESEARCHER]}),
    ]


def _project(name: str, members: Sequence[dict[str, str]], queue: str) -> Sequence[tuple[Resource, Body]]:
    labels = {"jobq.io/cluster-queue": queue, "kueue.x-k8s.io/managed-namespace": "true"}
    subjects = {
        role: [_group(one["group"]) if "group" in one else _user(one["user"]) for one in members if one["role"] == role]
        for role in ("viewer", "researcher")
    }
    return [
        (NAMESPACE, {"metadata": {"name": name, "labels": labels}}),
        (SERVICE_ACCOUNT, {"metadata": {"name": "jobq-runner", "namespace": name}}),
        (LOCAL_QUEUE, {"metadata": {"name": "main", "namespace": name}, "spec": {"clusterQueue": queue}}),
        *(
            (ROLE_BINDING, _binding({"name": f"test:{role}", "namespace": name}, "ClusterRole", people, f"test-{role}"))
            for role, people in subjects.items()
            if people
        ),
    ]


def _entry(name: str, members: Sequence[dict[str, str]], queue: str, overrides: dict[str, str]) -> Body:
    data = {
        "format": "1",
        "state": "active",
        "namespace": name,
        "queue": "main",
        "clusterQueue": queue,
        "displayName": name.title(),
        "tags": "[]",
        "defaults": "{}",
        "members": json.dumps(list(members)),
    }
    return {"metadata": {"name": name, "namespace": "jobq-system"}, "data": data | overrides}


def _binding(meta: Body, kind: str, subjects: list[Body], role: str = "") -> Body:
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": role or meta["name"]}
    return {"metadata": meta, "roleRef": reference, "subjects": subjects}


def _group(name: str) -> Body:
    return {"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": name}


def _user(name: str) -> Body:
    return {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": name}


def _rule(groups: list[str], resources: list[str], verbs: list[str]) -> Body:
    return {"apiGroups": groups, "resources": resources, "verbs": verbs}


_CLASSES = ["workloadpriorityclasses"]
_VIEWER = [
    _rule(["batch"], ["jobs"], READ),
    _rule(["kueue.x-k8s.io"], ["workloads", "localqueues"], READ),
    _rule([""], ["pods", "pods/log", "events", "configmaps"], READ),
]
_RESEARCHER = [_rule(["batch"], ["jobs"], ["create", "patch", "update", "delete"])]
