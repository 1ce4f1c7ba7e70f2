"""The node's own object: registered, reported, kept alive by a Lease."""

import asyncio
import logging
import platform
from collections.abc import Mapping
from dataclasses import dataclass

from tests.controlplane.runner import instants
from tests.controlplane.runner.api import Api, ApiError, Resource

log = logging.getLogger("runner")
NOT_FOUND, CONFLICT = 404, 409
LEASE_PERIOD_S, LEASE_SECONDS = 10, 40
ADDRESS = "127.0.0.1"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"


@dataclass(frozen=True, slots=True)
class NodeShape:
    """What the node says of itself: name, labels, and the resources that schedulers count (not what it has)."""

    name: str
    labels: Mapping[str, str]
    resources: Mapping[str, str]
    port: int


class Node:
    """A node on the API server."""

    def __init__(self, api: Api, shape: NodeShape) -> None:
        self._api = api
        self._shape = shape

    async def register(self) -> None:
        """Create or renew the Node and its Lease.

        Raises: ApiError.
        """
        fresh = node_resource(self._shape, instants.now_ns())
        try:
            await self._api.post("/api/v1/nodes", fresh)
        except ApiError as error:
            if error.status != CONFLICT:
                raise
            await self._api.patch(f"/api/v1/nodes/{self._shape.name}", {"metadata": fresh["metadata"]}, "merge")
        await self._report()
        await self._renew_lease()

    async def stay_alive(self) -> None:
        """Renew the Lease for ever, and the node's conditions where the cluster has given it up meanwhile."""
        while True:
            await asyncio.sleep(LEASE_PERIOD_S)
            try:
                await self._renew_lease()
                found = await self._api.get(f"/api/v1/nodes/{self._shape.name}", resourceVersion="0")
                if not is_ready(found):
                    await self._report()
            except ApiError as error:
                log.warning("node %s: not renewed: %s", self._shape.name, error)
                if error.status == NOT_FOUND:
                    await self._try_to_register()

    async def _try_to_register(self) -> None:
        try:
            await self.register()
        except ApiError as error:
            log.warning("node %s: not registered: %s", self._shape.name, error)

    async def _report(self) -> None:
        status = node_status(self._shape, instants.now_ns())
        await self._api.patch(f"/api/v1/nodes/{self._shape.name}/status", {"status": status})

    async def _renew_lease(self) -> None:
        lease = lease_resource(self._shape.name, instants.now_ns())
        try:
            await self._api.patch(f"{LEASES}/{self._shape.name}", {"spec": lease["spec"]}, "merge")
        except ApiError as error:
            if error.status != NOT_FOUND:
                raise
            await self._api.post(LEASES, lease)


def is_ready(node: Resource) -> bool:
    """Whether the cluster believes the node to be well."""
    conditions = (node.get("status") or {}).get("conditions") or []
    return any(entry["type"] == "Ready" and entry["status"] == "True" for entry in conditions)


def node_resource(shape: NodeShape, now_ns: int) -> Resource:
    """v1.Node."""
    labels = {
        "kubernetes.io/hostname": shape.name,
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": "arm64" if platform.machine() == "aarch64" else "amd64",
        **shape.labels,
    }
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": shape.name, "labels": labels},
        "status": node_status(shape, now_ns),
    }


def node_status(shape: NodeShape, now_ns: int) -> Resource:
    """v1.NodeStatus, all well."""
    return {
        "capacity": dict(shape.resources),
        "allocatable": dict(shape.resources),
        "addresses": [{"type": "InternalIP", "address": ADDRESS}, {"type": "Hostname", "address": shape.name}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": shape.port}},
        "declaredFeatures": ["ExtendWebSocketsToKubelet"],  # or the API server would speak SPDY with us
        "conditions": [
            node_condition("Ready", "True", "KubeletReady", "kubelet is posting ready status", now_ns),
            node_condition("MemoryPressure", "False", "KubeletHasSufficientMemory", "sufficient memory", now_ns),
            node_condition("DiskPressure", "False", "KubeletHasNoDiskPressure", "no disk pressure", now_ns),
            node_condition("PIDPressure", "False", "KubeletHasSufficientPID", "sufficient PID available", now_ns),
        ],
        "nodeInfo": {
            "architecture": "arm64" if platform.machine() == "aarch64" else "amd64",
            "operatingSystem": "linux",
            "kernelVersion": platform.release(),
            "osImage": "processes of this machine",
            "containerRuntimeVersion": "process://1",
            "kubeletVersion": "v1.36.3",
            "kubeProxyVersion": "",
            "machineID": shape.name,
            "systemUUID": shape.name,
            "bootID": shape.name,
        },
    }


def node_condition(kind: str, status: str, reason: str, message: str, now_ns: int) -> Resource:
    """One condition, seen now."""
    now = instants.to_seconds(now_ns)
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": message,
        "lastHeartbeatTime": now,
        "lastTransitionTime": now,
    }


def lease_resource(name: str, now_ns: int) -> Resource:
    """coordination.k8s.io/v1 Lease."""
    spec = {"holderIdentity": name, "leaseDurationSeconds": LEASE_SECONDS, "renewTime": instants.to_micros(now_ns)}
    return {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": name}, "spec": spec}
