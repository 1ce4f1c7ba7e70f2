"""One container of a pod: what has to be there before it runs, its runs and restarts, its end."""

import asyncio
import shutil
import signal
from pathlib import Path
from typing import Protocol

from tests.controlplane.runner import environment, instants, logs, memory
from tests.controlplane.runner.api import ApiError, Resource
from tests.controlplane.runner.hosts import hostname_of
from tests.controlplane.runner.images import problem_of
from tests.controlplane.runner.logs import ContainerLog
from tests.controlplane.runner.process import ContainerSpec, Mount, Process, StartFailure
from tests.controlplane.runner.status import ContainerRecord
from tests.controlplane.runner.volumes import mounts_of, real_target, scratch_mounts
from tests.controlplane.runner.world import World

NOT_FOUND = 404
LONGEST_BACK_OFF_S = 300
LONG_RUN_S = 600  # a container that ran so long starts its back-off anew
START_FAILED = 128
MEMORY_LOOK_S = 0.25
LONGEST_MESSAGE_BYTES, LONGEST_LOG_MESSAGE_BYTES, LOG_MESSAGE_LINES = 4096, 2048, 80
NO_COMMAND = "no command specified: this node runs programs of its machine and knows no image's entrypoint"
NO_SIDECARS = "this node runs no sidecars (init containers with restartPolicy Always)"


class Owner(Protocol):
    """The pod, as its containers see it."""

    world: World
    resource: Resource
    uid: str
    directory: Path
    stopping: asyncio.Event
    killing: asyncio.Event

    async def pause(self, seconds: float) -> bool:
        """Wait; true if the pod is to stop."""

    async def tell(self, kind: str, reason: str, message: str, container: str = "") -> None:
        """An event."""

    def changed(self) -> None:
        """The status has to be written."""

    def volumes(self) -> dict[str, Path]:
        """The directories of the volumes."""


class Container:
    """One container of a pod: its runs, one after the other."""

    def __init__(self, pod: Owner, spec: Resource, record: ContainerRecord, *, is_init: bool) -> None:
        self.pod = pod
        self.spec = spec
        self.record = record
        self._is_init = is_init
        self.process: Process | None = None
        self.running: ContainerSpec | None = None
        """What `process` was started from."""
        self.log: ContainerLog | None = None
        self._back_off_s = 0.0
        self._directory = pod.directory / "containers" / record.name

    async def live(self) -> None:
        """Run until it needs no restart, or the pod stops."""
        while not self.pod.stopping.is_set():
            if self.record.exit_code is not None:
                if not self._restarts(self.record.exit_code) or await self._back_off():
                    return
                self.record.attempt += 1
            spec = await self._prepare()
            if spec is not None:
                await self._run(spec)

    def _restarts(self, exit_code: int) -> bool:
        policy = self.pod.resource["spec"].get("restartPolicy") or "Always"
        if self._is_init:
            return policy != "Never" and exit_code != 0
        return policy == "Always" or (policy == "OnFailure" and exit_code != 0)

    async def _back_off(self) -> bool:
        """Wait before a restart: not before the first, then twice as long each time; true if the pod is to stop."""
        delay = self._back_off_s
        self._back_off_s = min(2 * delay, LONGEST_BACK_OFF_S) or self.pod.world.settings.back_off_s
        if not delay:
            return self.pod.stopping.is_set()
        metadata = self.pod.resource["metadata"]
        whose = f"pod={metadata['name']}_{metadata['namespace']}({self.pod.uid})"
        text = f"back-off {delay:g}s restarting failed container={self.record.name} {whose}"
        ended = self.record.state
        self.record.wait("CrashLoopBackOff", text)
        self.pod.changed()
        await self.tell("Warning", "BackOff", f"Back-off restarting failed container {self.record.name} in pod {whose}")
        if await self.pod.pause(delay):
            self.record.state = ended
            return True
        return False

    async def tell(self, kind: str, reason: str, message: str) -> None:
        """An event about this container."""
        await self.pod.tell(kind, reason, message, self.record.name)

    # Before it runs ------------------------------------------------------------------------------------------------

    async def _prepare(self) -> ContainerSpec | None:
        """What to execute, as soon as image and configuration allow; None if the pod is to stop before."""
        while not self.pod.stopping.is_set():
            if await self._has_image():
                try:
                    return await self._specification()
                except environment.ConfigError as error:
                    reason = (
                        "CreateContainerError"
                        if str(error) in {NO_COMMAND, NO_SIDECARS}
                        else "CreateContainerConfigError"
                    )
                    await self._hold(reason, str(error), "Failed", f"Error: {error}")
                except (ApiError, OSError) as error:
                    await self._hold("CreateContainerError", str(error), "Failed", f"Error: {error}")
            await self.pod.pause(self.pod.world.settings.retry_s)
        return None

    async def _has_image(self) -> bool:
        image = self.spec.get("image", "")
        problem = problem_of(image)
        if problem is None:
            return True
        if problem.reason == "InvalidImageName":
            await self._hold(problem.reason, problem.message, "InspectFailed", problem.message)
        elif self.record.state.get("waiting", {}).get("reason") not in {"ErrImagePull", "ImagePullBackOff"}:
            await self._hold(
                problem.reason, problem.message, "Failed", f'Failed to pull image "{image}": {problem.message}'
            )
        else:
            text = f'Back-off pulling image "{image}"'
            await self._hold("ImagePullBackOff", f"{text}: ErrImagePull: {problem.message}", "BackOff", text)
        return False

    async def _hold(self, reason: str, message: str, event: str, event_message: str) -> None:
        """The container waits for a reason that the status and an event tell."""
        if self.record.state.get("waiting") != {"reason": reason, "message": message}:
            self.record.wait(reason, message)
            self.pod.changed()
        await self.tell("Warning", event, event_message)

    async def _specification(self) -> ContainerSpec:
        """Everything the container's first process needs.

        Raises: ConfigError, ApiError, OSError.
        """
        pod, settings = self.pod.resource, self.pod.world.settings
        if self._is_init and self.spec.get("restartPolicy") == "Always":
            raise environment.ConfigError(NO_SIDECARS)
        sources = await self._sources()
        own = environment.environment(pod, self.spec, sources)
        command = [environment.expand(part, own) for part in self.spec.get("command") or []]
        if not command:
            raise environment.ConfigError(NO_COMMAND)
        command += [environment.expand(part, own) for part in self.spec.get("args") or []]
        workdir = self.spec.get("workingDir") or "/"
        hostname = hostname_of(pod)
        uid, gid, read_only = identity(pod, self.spec)
        given = {"PATH": settings.path, "HOSTNAME": hostname, "HOME": "/tmp"}  # noqa: S108 - inside the container
        return ContainerSpec(
            root=str(made(self._directory / "root")),
            hostname=hostname,
            uid=uid,
            gid=gid,
            mounts=self._mounts(own, workdir, read_only=read_only),
            hide=list(settings.hide),
            command=command,
            env=given | own,
            workdir=workdir,
        )

    async def _sources(self) -> environment.Sources:
        """The objects its environment refers to; those that are missing are left out."""
        pod, world = self.pod.resource, self.pod.world
        namespace = pod["metadata"]["namespace"]
        config_maps, secrets = environment.references([self.spec])
        links = pod["spec"].get("enableServiceLinks") is not False
        return environment.Sources(
            config_maps=await self._fetch("configmaps", config_maps),
            secrets=await self._fetch("secrets", secrets),
            services=environment.service_variables(list(world.services.values()), namespace, links=links),
            allocatable=world.settings.resources,
        )

    async def _fetch(self, kind: str, names: set[str]) -> dict[str, Resource]:
        namespace, found = self.pod.resource["metadata"]["namespace"], {}
        for name in sorted(names):
            try:
                found[name] = await self.pod.world.api.get(f"/api/v1/namespaces/{namespace}/{kind}/{name}")
            except ApiError as error:
                if error.status != NOT_FOUND:
                    raise
        return found

    def _mounts(self, env: dict[str, str], workdir: str, *, read_only: bool) -> list[Mount]:
        """Volumes, /etc/hosts, the file for a last message, /tmp and a working directory."""
        namespace = self.pod.resource["metadata"]["namespace"]
        mounts = mounts_of(self.pod.resource, self.spec, self.pod.volumes(), env)
        mounts.append(Mount(str(self.pod.world.hosts.file(namespace)), real_target("/etc/hosts"), read_only=False))
        message = self._message_file()
        message.write_bytes(b"")
        message.chmod(0o666)
        path = self.spec.get("terminationMessagePath") or "/dev/termination-log"
        mounts.append(Mount(str(message), real_target(path), read_only=False))
        scratch = self._directory / f"scratch-{self.record.attempt}"
        return mounts + scratch_mounts(mounts, scratch, workdir, read_only=read_only)

    # While it runs -------------------------------------------------------------------------------------------------

    async def _run(self, spec: ContainerSpec) -> None:
        """Execute it and wait for its end."""
        self._drop_old_runs()
        self.log = ContainerLog(self.log_path(self.record.attempt))
        container_id = f"process://{self.pod.uid}-{self.record.name}-{self.record.attempt}"
        try:
            self.process = await Process.start(spec, self.log.write)
        except StartFailure as failure:
            self.record.container_id = container_id
            self.record.end(START_FAILED, instants.now_ns(), failure.reason, str(failure))
            await self.tell("Warning", "Failed", f"Error: {failure}")
        else:
            self.running = spec
            self.record.run(instants.now_ns(), container_id)
            self.pod.changed()
            await self._supervise(self.process)
        finally:
            self.log.end()
            self.process = self.running = None
            self.pod.changed()

    async def _supervise(self, process: Process) -> None:
        began_ns = instants.now_ns()
        ender = asyncio.ensure_future(self._end_when_told(process))
        guard = asyncio.ensure_future(self._end_when_too_large(process))
        code = await process.wait()
        ender.cancel()
        too_large = guard.done()
        guard.cancel()
        now_ns = instants.now_ns()
        if now_ns - began_ns >= LONG_RUN_S * instants.SECOND_NS:
            self._back_off_s = 0
        reason = "OOMKilled" if too_large else ""
        self.record.end(code, now_ns, reason, message=self._last_message(code))

    async def _end_when_told(self, process: Process) -> None:
        await self.pod.stopping.wait()
        process.signal(signal.SIGTERM)
        await self.pod.killing.wait()
        process.signal(signal.SIGKILL)

    async def _end_when_too_large(self, process: Process) -> None:
        """Kill it once it takes more memory than its limit; returns only then."""
        limit = ((self.spec.get("resources") or {}).get("limits") or {}).get("memory")
        if limit is None:
            await asyncio.Event().wait()
        limit_bytes = int(environment.amount(str(limit)))
        while not memory.exceeds(process.pid, limit_bytes):  # noqa: ASYNC110 - nobody tells how much it takes
            await asyncio.sleep(MEMORY_LOOK_S)
        process.signal(signal.SIGKILL)

    def _last_message(self, exit_code: int) -> str:
        """What the container left for its status: its message file, or the end of its log if it asked for that."""
        text = self._message_file().read_bytes()[:LONGEST_MESSAGE_BYTES].decode(errors="replace")
        if text or not exit_code or self.spec.get("terminationMessagePolicy") != "FallbackToLogsOnError":
            return text
        return last_lines(self.log_path(self.record.attempt))

    # Its files -----------------------------------------------------------------------------------------------------

    def log_path(self, attempt: int) -> Path:
        """The log file of one of its runs."""
        return self._directory / f"{attempt}.log"

    def _message_file(self) -> Path:
        return self._directory / "termination-log"

    def _drop_old_runs(self) -> None:
        """Keep the last run's log beside the new one's, as a kubelet does."""
        for path in self._directory.glob("*.log"):
            if int(path.stem) < self.record.attempt - 1:
                path.unlink()
        for path in self._directory.glob("scratch-*"):
            if path.name != f"scratch-{self.record.attempt}":
                shutil.rmtree(path, ignore_errors=True)


def identity(pod: Resource, container: Resource) -> tuple[int, int, bool]:
    """User and group id inside, and whether the container's own directories are read-only."""
    context = (pod["spec"].get("securityContext") or {}) | (container.get("securityContext") or {})
    default = 1000 if context.get("runAsNonRoot") else 0  # the image's user isn't known
    uid = context.get("runAsUser")
    gid = context.get("runAsGroup")
    return default if uid is None else uid, gid or 0, bool(context.get("readOnlyRootFilesystem"))


def made(directory: Path) -> Path:
    """A directory that exists."""
    directory.mkdir(parents=True, exist_ok=True)
    return directory


def last_lines(path: Path) -> str:
    """The end of a log, as long as a termination message may be."""
    lines = path.read_bytes().splitlines()[-LOG_MESSAGE_LINES:]
    return b"".join(logs.text(line) for line in lines)[-LONGEST_LOG_MESSAGE_BYTES:].decode(errors="replace")
