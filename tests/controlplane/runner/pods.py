"""The pods that are bound to this node, each with its task, and the services whose variables they get."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

from tests.controlplane.runner.api import Api, Resource, observe
from tests.controlplane.runner.containers import Container
from tests.controlplane.runner.pod import Pod
from tests.controlplane.runner.world import World

log = logging.getLogger("runner")


async def follow_services(api: Api, services: dict[str, Resource], synced: asyncio.Event) -> None:
    """Keep all services by uid, for ever."""
    async for kind, found in observe(api, "/api/v1/services"):
        if kind == "LIST":
            services.clear()
            services.update({service["metadata"]["uid"]: service for service in found})
            synced.set()
        elif kind == "DELETED":
            services.pop(found["metadata"]["uid"], None)
        else:
            services[found["metadata"]["uid"]] = found


class Pods:
    """The pods of this node by uid."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._pods: dict[str, Pod] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def follow(self, synced: asyncio.Event) -> None:
        """Give every pod of this node its task, for ever."""
        bound = {"fieldSelector": f"spec.nodeName={self._world.settings.node}"}
        async for kind, found in observe(self._world.api, "/api/v1/pods", **bound):
            if kind == "LIST":
                self._replace(found)
                synced.set()
            elif kind == "DELETED":
                self._drop(found["metadata"]["uid"])
            else:
                self._see(found)

    def container(self, namespace: str, pod: str, container: str) -> Container:
        """A container of a pod on this node.

        Raises: LookupError.
        """
        named = self._named(namespace, pod)
        if named is None:
            raise LookupError(f'pod "{pod}" not found')
        found = named.container(container)
        if found is None:
            raise LookupError(f"container {container} not found in pod {pod}_{namespace}")
        return found

    def is_running(self, namespace: str, pod: str) -> bool:
        """Whether any container of the pod runs."""
        named = self._named(namespace, pod)
        return named is not None and any(container.process for container in (*named.init, *named.main))

    def _named(self, namespace: str, name: str) -> Pod | None:
        """The newest pod of that name."""
        for pod in reversed(self._pods.values()):
            metadata = pod.resource["metadata"]
            if (metadata["namespace"], metadata["name"]) == (namespace, name):
                return pod
        return None

    def _replace(self, pods: list[Resource]) -> None:
        present = {pod["metadata"]["uid"] for pod in pods}
        for uid in set(self._pods) - present:
            self._drop(uid)
        for pod in pods:
            self._see(pod)

    def _see(self, resource: Resource) -> None:
        uid = resource["metadata"]["uid"]
        if uid in self._pods:
            self._pods[uid].update(resource)
            return
        pod = self._pods[uid] = Pod(self._world, resource)
        self._world.hosts.add(resource)
        self._keep(self._live(pod))

    async def _live(self, pod: Pod) -> None:
        try:
            await pod.live()
        except Exception:
            log.exception("pod %s: its task broke", pod.uid)
        await pod.absent.wait()
        pod.clean_up()

    def _drop(self, uid: str) -> None:
        pod = self._pods.pop(uid, None)
        if pod is not None:
            pod.gone()
            self._world.hosts.remove(pod.resource)

    def _keep(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a task; the loop itself would forget it."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
