"""One pod's life on the node: a task that starts its containers, ends them, and alone writes its status."""

import asyncio
import logging
import shutil
from collections.abc import Sequence
from pathlib import Path

from tests.controlplane.runner import instants, status
from tests.controlplane.runner.api import ApiError, Resource
from tests.controlplane.runner.containers import Container
from tests.controlplane.runner.volumes import MountFailure, Volumes
from tests.controlplane.runner.world import World

log = logging.getLogger("runner")
NOT_FOUND, CONFLICT = 404, 409
DEFAULT_GRACE_S = 30


class PodGone(Exception):
    """The pod isn't on the API server any more, or another one has its name."""


class Pod:
    """A pod on this node, from its first sight until it is gone from the API server."""

    def __init__(self, world: World, pod: Resource) -> None:
        self.world = world
        self.resource = pod
        self.uid: str = pod["metadata"]["uid"]
        self.directory = world.directory(self.uid)
        self.stopping = asyncio.Event()
        self.killing = asyncio.Event()
        self.deleting = asyncio.Event()
        self.absent = asyncio.Event()
        known = pod.get("status") or {}
        self._phase: str = known.get("phase") or "Pending"
        self._reason: str = known.get("reason") or ""
        self._message: str = known.get("message") or ""
        self._started_ns = instants.parse(known["startTime"]) if known.get("startTime") else instants.now_ns()
        self._volumes: dict[str, Path] | None = None
        self._changed = asyncio.Event()
        self._written: Resource | None = None
        self._writing = asyncio.Lock()
        self._kill_timer: asyncio.TimerHandle | None = None
        self._deadline_timer: asyncio.TimerHandle | None = None
        self._told: set[tuple[str, str]] = set()
        self._seen_names = f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"
        self.init = self._containers("initContainers", known.get("initContainerStatuses"))
        self.main = self._containers("containers", known.get("containerStatuses"))

    def _containers(self, kind: str, statuses: Sequence[Resource] | None) -> list[Container]:
        specs = self.resource["spec"].get(kind) or []
        first = "PodInitializing" if self.resource["spec"].get("initContainers") else "ContainerCreating"
        records = [status.restored(spec, statuses or [], first) for spec in specs]
        is_init = kind == "initContainers"
        return [Container(self, spec, record, is_init=is_init) for spec, record in zip(specs, records, strict=True)]

    # What the watch tells ------------------------------------------------------------------------------------------

    def update(self, pod: Resource) -> None:
        """A newer version of the pod."""
        self.resource = pod
        metadata = pod["metadata"]
        if metadata.get("deletionTimestamp"):
            self.deleting.set()
            grace = metadata.get("deletionGracePeriodSeconds")
            self.stop(DEFAULT_GRACE_S if grace is None else grace)
        self._arm_deadline()

    def gone(self) -> None:
        """The pod has left the API server: end at once what still runs."""
        self.absent.set()
        self.deleting.set()
        self.stop(0)

    def stop(self, grace_s: float) -> None:
        """End the containers: SIGTERM now, SIGKILL after the grace period; a shorter one replaces a longer."""
        self.stopping.set()
        loop = asyncio.get_running_loop()
        if self._kill_timer is None or loop.time() + grace_s < self._kill_timer.when():
            if self._kill_timer is not None:
                self._kill_timer.cancel()
            self._kill_timer = loop.call_later(grace_s, self.killing.set)

    def _arm_deadline(self) -> None:
        if self._deadline_timer is not None:
            self._deadline_timer.cancel()
        limit = self.resource["spec"].get("activeDeadlineSeconds")
        if limit is not None and not status.is_terminal(self._phase):
            left = limit - (instants.now_ns() - self._started_ns) / instants.SECOND_NS
            self._deadline_timer = asyncio.get_running_loop().call_later(max(0, left), self._expire)

    def _expire(self) -> None:
        if not self.stopping.is_set():
            self._reason, self._message = (
                "DeadlineExceeded",
                "Pod was active on the node longer than the specified deadline",
            )
            grace = self.resource["spec"].get("terminationGracePeriodSeconds")
            self.stop(DEFAULT_GRACE_S if grace is None else grace)

    # Its life ------------------------------------------------------------------------------------------------------

    async def live(self) -> None:
        """Run the pod to its end, and let the API server forget it once it is to be deleted."""
        self.update(self.resource)
        writer = asyncio.ensure_future(self._keep_writing())
        try:
            if not status.is_terminal(self._phase):
                await self._work()
                self._finish()
                await self._write()
            await self.deleting.wait()
            await self._forget()
        except PodGone:
            self.gone()
        finally:
            writer.cancel()
            self._cancel_timers()

    async def pause(self, seconds: float) -> bool:
        """Wait; true if the pod is to stop."""
        try:
            await asyncio.wait_for(self.stopping.wait(), seconds)
        except TimeoutError:
            return False
        return True

    async def _work(self) -> None:
        """Volumes, init containers one by one, containers side by side; returns when all have ended."""
        self.changed()
        await self._mount()
        for container in self.init:
            await container.live()
            if container.record.exit_code != 0:
                return
        if not self.stopping.is_set():
            await asyncio.gather(*(container.live() for container in self.main))

    async def _mount(self) -> None:
        volumes = Volumes(self.world.api, self.directory / "volumes", self.world.settings.state / "claims")
        while not self.stopping.is_set():
            try:
                self._volumes = await volumes.prepare(self.resource)
            except MountFailure as failure:
                await self.tell("Warning", "FailedMount", str(failure))
                await self.pause(self.world.settings.retry_s)
            else:
                self.changed()
                return

    def _finish(self) -> None:
        """All containers have ended: settle the phase, and what never ran is lost."""
        records = [container.record for container in self.main]
        failed_init = any(container.record.exit_code not in {0, None} for container in self.init)
        if not failed_init:
            for record in records:
                if record.exit_code is None:
                    record.lose()
        self._phase = "Failed" if self._reason or failed_init else status.final_phase(records)

    async def _forget(self) -> None:
        """Delete the object for good; the grace period is over as soon as nothing runs."""
        options = {"gracePeriodSeconds": 0, "preconditions": {"uid": self.uid}}
        while True:
            try:
                await self.world.api.delete(self._path(), options)
            except ApiError as error:
                if error.status in {NOT_FOUND, CONFLICT}:
                    return
                log.warning("%s: not deleted: %s", self._seen_names, error)
                await asyncio.sleep(1)
            else:
                return

    def _cancel_timers(self) -> None:
        for timer in (self._kill_timer, self._deadline_timer):
            if timer is not None:
                timer.cancel()

    def clean_up(self) -> None:
        """Remove what the pod left on the machine."""
        shutil.rmtree(self.directory, ignore_errors=True)

    # Its status ----------------------------------------------------------------------------------------------------

    def changed(self) -> None:
        """The status has to be written; several changes at once are one request."""
        self._changed.set()

    async def _keep_writing(self) -> None:
        while True:
            await self._changed.wait()
            try:
                await self._write()
            except PodGone:
                self.gone()
                return

    async def _write(self) -> None:
        """Write the status as it is now.

        Raises: PodGone.
        """
        async with self._writing:
            self._changed.clear()
            wanted = self._status()
            while wanted != self._written:
                try:
                    answer = await self.world.api.patch(
                        self._path() + "/status", {"metadata": {"uid": self.uid}, "status": wanted}
                    )
                except ApiError as error:
                    if error.status in {NOT_FOUND, CONFLICT}:
                        raise PodGone from error
                    log.warning("%s: status not written: %s", self._seen_names, error)
                    await asyncio.sleep(1)
                else:
                    self.resource["status"] = answer.get("status")
                    self._written = wanted
                wanted = self._status()

    def _status(self) -> Resource:
        main = [container.record for container in self.main]
        state = status.PodState(
            phase=self._phase if status.is_terminal(self._phase) else status.phase_of(main),
            started_ns=self._started_ns,
            init=[container.record for container in self.init],
            main=main,
            has_volumes=self._volumes is not None,
            reason=self._reason if status.is_terminal(self._phase) else "",
            message=self._message if status.is_terminal(self._phase) else "",
        )
        return status.pod_status(self.resource, state, instants.now_ns())

    def _path(self) -> str:
        metadata = self.resource["metadata"]
        return f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}"

    async def tell(self, kind: str, reason: str, message: str, container: str = "") -> None:
        """An event about the pod, once for each text."""
        if (reason, message) in self._told:
            return
        self._told.add((reason, message))
        try:
            namespace = self.resource["metadata"]["namespace"]
            await self.world.api.post(
                f"/api/v1/namespaces/{namespace}/events", self._event(kind, reason, message, container)
            )
        except ApiError as error:
            log.warning("%s: event %s not written: %s", self._seen_names, reason, error)

    def _event(self, kind: str, reason: str, message: str, container: str) -> Resource:
        now, metadata = instants.now_ns(), self.resource["metadata"]
        involved = {"kind": "Pod", "apiVersion": "v1", "uid": self.uid}
        involved |= {key: metadata[key] for key in ("namespace", "name", "resourceVersion") if key in metadata}
        if container:
            involved["fieldPath"] = f"spec.containers{{{container}}}"
        return {
            "metadata": {"name": f"{metadata['name']}.{now:x}", "namespace": metadata["namespace"]},
            "involvedObject": involved,
            "type": kind,
            "reason": reason,
            "message": message,
            "source": {"component": "kubelet", "host": self.world.settings.node},
            "reportingComponent": "kubelet",
            "reportingInstance": self.world.settings.node,
            "firstTimestamp": instants.to_seconds(now),
            "lastTimestamp": instants.to_seconds(now),
            "count": 1,
        }

    # For its containers and its logs -------------------------------------------------------------------------------

    def volumes(self) -> dict[str, Path]:
        """The directories of its volumes, once they are made."""
        return self._volumes or {}

    def container(self, name: str) -> Container | None:
        """A container by name."""
        return next((found for found in (*self.init, *self.main) if found.record.name == name), None)
