"""Projects set up by hand on the control plane, for tests of what members do in them: just what a member meets."""

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from reconciler import source
from reconciler.administration import bootstrap
from reconciler.cluster import Body, Resource
from reconciler.errors import NotFound
from reconciler.kinds import (
    BOOTSTRAP_KINDS,
    CLUSTER_QUEUE,
    CONFIG_MAP,
    LOCAL_QUEUE,
    NAMESPACE,
    POD,
    RESOURCE_FLAVOR,
    ROLE_BINDING,
    SERVICE_ACCOUNT,
)
from reconciler.kube import KubeCluster, connect
from reconciler.model import Settings, Snapshot
from tests.controlplane.plane import ROOT, Plane
from tests.run import Run, finish
from tests.terminal import Terminal

KIM = "kim@example.org"
"""The only member of a project, a researcher, where a test names no other."""
NODE = Resource("", "v1", "nodes", "Node", namespaced=False)
_FOR_MEMBERS = frozenset(
    {
        "jobq-system",
        "jobq-catalogue-reader",
        "jobq-queue-reader",
        *(f"jobq-project-{role}" for role in ("viewer", "researcher", "maintainer")),
    }
)


@dataclass(frozen=True, slots=True)
class Stage:
    """One project on a plane, a home for its member's settings, and an empty directory to work in."""

    plane: Plane
    project: str
    home: Path

    def kubeconfig(self, user: str = KIM, groups: Sequence[str] = ()) -> Path:
        """A person's kubeconfig."""
        return self.plane.member_kubeconfig(user, groups)

    @property
    def admin(self) -> KubeCluster:
        """The cluster as its administrator sees it."""
        return connect(kubeconfig=str(self.plane.kubeconfig))

    def jobq(self, *words: str, user: str = KIM, groups: Sequence[str] = (), **environ: str) -> Run:
        """Run a command as a person with the project in JOBQ_PROJECT; ``environ`` is added."""
        process = self.start(*words, user=user, groups=groups, **environ)
        return finish(process, words)

    def start(self, *words: str, user: str = KIM, groups: Sequence[str] = (), **environ: str) -> subprocess.Popen[str]:
        """Start such a command."""
        return subprocess.Popen(
            [sys.executable, "-m", "cli.main", *words],
            cwd=self.home,
            env={**self.environment(user, groups), **environ},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def terminal(self, *words: str) -> Terminal:
        """Start such a command on a terminal of its own."""
        command = [sys.executable, "-m", "cli.main", *words]
        return Terminal(command, cwd=self.home, environ=self.environment())

    def pod(self, job: str) -> str:
        """The name of a job's pod, the first of several."""
        return self.pods(job)[0]

    def pods(self, job: str) -> list[str]:
        """The names of a job's pods."""
        found = self.admin.list(POD, namespace=self.project, labels=f"job-name={job}").items
        return sorted(str(pod["metadata"]["name"]) for pod in found)

    def environment(self, user: str = KIM, groups: Sequence[str] = ()) -> dict[str, str]:
        """What a person's shell has."""
        return {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "HOME": str(self.home),
            "KUBECONFIG": str(self.kubeconfig(user, groups)),
            "JOBQ_PROJECT": self.project,
        }


def raise_queue(plane: Plane, node: str, *, cpu: str = "4", gpus: str = "2") -> str:
    """A ClusterQueue of a new name whose jobs go to nodes labelled ``jobq.io/node=NODE``."""
    name = f"q-{uuid.uuid4().hex[:8]}"
    quotas = [
        {"name": resource, "nominalQuota": quota}
        for resource, quota in (("cpu", cpu), ("memory", "16Gi"), ("nvidia.com/gpu", gpus))
    ]
    group = {
        "coveredResources": [quota["name"] for quota in quotas],
        "flavors": [{"name": name, "resources": quotas}],
    }
    spec = {"namespaceSelector": {"matchLabels": {"jobq.io/cluster-queue": name}}, "resourceGroups": [group]}
    _apply(plane, RESOURCE_FLAVOR, {"metadata": {"name": name}, "spec": {"nodeLabels": {"jobq.io/node": node}}})
    _apply(plane, CLUSTER_QUEUE, {"metadata": {"name": name}, "spec": spec})
    return name


@contextmanager
def real_node(plane: Plane, folder: Path) -> Iterator[str]:
    """A node of one's own that really runs containers, labelled ``jobq.io/node`` with its own name."""
    keys, name = plane.directory / "pki", f"real-{uuid.uuid4().hex[:8]}"
    flags = {
        "kubeconfig": plane.kubeconfig,
        "node": name,
        "state": folder / "state",
        "tls-cert-file": keys / "apiserver.crt",
        "tls-private-key-file": keys / "apiserver.key",
        "client-ca-file": keys / "ca.crt",
        "label": f"jobq.io/node={name}",
        "retry-seconds": 0.3,
    }
    command = [sys.executable, "-m", "tests.controlplane.runner", *(f"--{key}={flags[key]}" for key in flags)]
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        yield name
    finally:
        process.terminate()
        process.wait(10)
        connect(kubeconfig=str(plane.kubeconfig)).delete(NODE, name)


def raise_project(
    plane: Plane,
    home: Path,
    *,
    members: Sequence[dict[str, str]] = ({"user": KIM, "role": "researcher"},),
    queue: str = "fake-shared",
    **entry: str,
) -> Stage:
    """A project of a new name, with queue, access and catalogue entry; ``entry`` overrides keys of the latter."""
    name = f"t-{uuid.uuid4().hex[:8]}"
    for resource, body in [*_system(), *_project(name, members, queue)]:
        _apply(plane, resource, body)
    _apply(plane, CONFIG_MAP, _entry(name, members, queue, entry))
    return Stage(plane, name, home)


def force_away(admin: KubeCluster, namespace: str) -> None:
    """Take a namespace and its catalogue entry away without waiting, whatever a test left of them."""
    for resource, name, where in ((NAMESPACE, namespace, ""), (CONFIG_MAP, namespace, "jobq-system")):
        with suppress(NotFound):
            admin.delete(resource, name, namespace=where)


def _apply(plane: Plane, resource: Resource, body: Body) -> None:
    cluster = connect(kubeconfig=str(plane.kubeconfig))
    cluster.apply(resource, {"apiVersion": resource.api_version, "kind": resource.kind, **body})
    cluster.close()


@cache
def _system() -> Sequence[tuple[Resource, Body]]:
    """What bootstrap installs for members: the real roles, and who may read catalogue and queues; no policies."""
    nothing = Snapshot(commit="", files={})
    bodies = bootstrap.bootstrap(Settings(cluster="demo"), source.templates(nothing, "bootstrap"), policies=False)
    resources = {resource.kind: resource for resource in (NAMESPACE, *BOOTSTRAP_KINDS)}
    return [(resources[body["kind"]], body) for body in bodies if body["metadata"]["name"] in _FOR_MEMBERS]


def _project(name: str, members: Sequence[dict[str, str]], queue: str) -> Sequence[tuple[Resource, Body]]:
    labels = {"jobq.io/cluster-queue": queue, "kueue.x-k8s.io/managed-namespace": "true"}
    subjects = {
        role: [_group(one["group"]) if "group" in one else _user(one["user"]) for one in members if one["role"] == role]
        for role in ("viewer", "researcher", "maintainer")
    }
    return [
        (NAMESPACE, {"metadata": {"name": name, "labels": labels}}),
        (SERVICE_ACCOUNT, {"metadata": {"name": "jobq-runner", "namespace": name}}),
        (LOCAL_QUEUE, {"metadata": {"name": "main", "namespace": name}, "spec": {"clusterQueue": queue}}),
        *((ROLE_BINDING, _binding(name, role, people)) for role, people in subjects.items() if people),
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


def _binding(project: str, role: str, subjects: list[Body]) -> Body:
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": f"jobq-project-{role}"}
    return {"metadata": {"name": f"jobq:{role}", "namespace": project}, "roleRef": reference, "subjects": subjects}


def _group(name: str) -> Body:
    return {"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": name}


def _user(name: str) -> Body:
    return {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": name}
