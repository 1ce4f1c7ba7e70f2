"""The node's own API, which the API server asks on behalf of its clients: logs, commands in containers, their ports.

Only the API server's client certificate is served: every member of a project has one of the same authority, and could
otherwise read and run everything here.
"""

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol

from aiohttp import web

from tests.controlplane.runner import instants, logs, streams
from tests.controlplane.runner.containers import Container
from tests.controlplane.runner.logs import ContainerLog, LogOptions

CALLER = "kube-apiserver-kubelet-client"
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Pods(Protocol):
    """Where containers are found."""

    def container(self, namespace: str, pod: str, container: str) -> Container:
        """A container of a pod on this node.

        Raises: LookupError with a text for the caller.
        """

    def is_running(self, namespace: str, pod: str) -> bool:
        """Whether any container of the pod runs."""


class KubeletApi:
    """The handlers."""

    def __init__(self, pods: Pods) -> None:
        self._pods = pods

    def application(self) -> web.Application:
        """The routes, behind the check of the caller."""
        application = web.Application(middlewares=[only_the_api_server])
        router = application.router
        router.add_get("/containerLogs/{namespace}/{pod}/{container}", self.container_logs)
        router.add_get("/exec/{namespace}/{pod}/{container}", self.exec)
        router.add_get("/portForward/{namespace}/{pod}", self.port_forward)
        return application

    async def container_logs(self, request: web.Request) -> web.StreamResponse:
        """A container's log, as text in chunks."""
        try:
            options = logs.parse_options(request.query, instants.now_ns())
        except ValueError as error:
            return web.Response(status=422, text=str(error))
        try:
            path, log = find_log(self._pods.container(**request.match_info), options)
        except LookupError as error:
            return web.Response(status=404, text=str(error.args[0]))
        except NoLog as error:
            return web.Response(status=400, text=str(error))
        return await send(request, path, log, options)

    async def exec(self, request: web.Request) -> web.StreamResponse:
        """A command in a running container."""
        try:
            container = self._pods.container(**request.match_info)
        except LookupError as error:
            return web.Response(status=404, text=str(error.args[0]))
        if container.process is None or container.running is None:
            text = f'unable to upgrade connection: container not found ("{container.record.name}")'
            return web.Response(status=500, text=text)
        wanted = streams.Wanted.of(request)
        return await streams.run_command(request, container.process.pid, container.running, wanted)

    async def port_forward(self, request: web.Request) -> web.StreamResponse:
        """A connection to one port of a pod; all pods here share the machine's network."""
        if not self._pods.is_running(**request.match_info):
            return web.Response(status=404, text=f'pod "{request.match_info["pod"]}" is not running')
        return await streams.forward_port(request, int(request.query["port"]))


class NoLog(Exception):
    """The container has no such log; the text is a kubelet's."""


def find_log(container: Container, options: LogOptions) -> tuple[Path, ContainerLog | None]:
    """The file of the wanted run, and its writer if it still runs.

    Raises: NoLog.
    """
    record, pod = container.record, container.pod.resource["metadata"]["name"]
    if options.previous:
        ended = record.last_state.get("terminated")
        if not ended or not ended.get("containerID"):
            raise NoLog(f'previous terminated container "{record.name}" in pod "{pod}" not found')
        return run_of(container, ended["containerID"]), None
    if "waiting" not in record.state:
        return run_of(container, record.container_id), container.log
    if record.last_state.get("terminated", {}).get("containerID"):
        return run_of(container, record.last_state["terminated"]["containerID"]), None
    waiting = record.state["waiting"]
    failed = {"ErrImagePull", "ImagePullBackOff"}
    why = "trying and failing to pull image" if waiting["reason"] in failed else waiting["reason"]
    is_failed = "is waiting to start: " + why
    raise NoLog(f'container "{record.name}" in pod "{pod}" {is_failed}')


def run_of(container: Container, container_id: str) -> Path:
    """The log file of the run with this id.

    Raises: NoLog if it is not kept.
    """
    path = container.log_path(int(container_id.rpartition("-")[2])) if container_id else None
    if path is None or not path.exists():
        raise NoLog(f"unable to retrieve container logs for {container_id or 'a container that never ran'}")
    return path


async def send(request: web.Request, path: Path, log: ContainerLog | None, options: LogOptions) -> web.StreamResponse:
    """Stream a log; headers go out at once, so that a follower knows that it is connected."""
    response = web.StreamResponse(headers={"Content-Type": "text/plain"})
    response.enable_chunked_encoding()
    await response.prepare(request)
    async for piece in logs.read(path, log, options):
        await response.write(piece)
    await response.write_eof()
    return response


@web.middleware
async def only_the_api_server(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse every certificate but the API server's."""
    names = common_names(request.transport.get_extra_info("peercert") if request.transport else None)
    if names != [CALLER]:
        return web.Response(status=403, text="Forbidden: only the API server may ask")
    return await handler(request)


def common_names(certificate: dict[str, tuple[tuple[tuple[str, str], ...], ...]] | None) -> list[str]:
    """The CNs of a certificate's subject."""
    subject = (certificate or {}).get("subject", ())
    return [value for part in subject for key, value in part if key == "commonName"]


def tls_context(certificate: Path, key: Path, client_authority: Path) -> ssl.SSLContext:
    """TLS with a client certificate required."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    context.load_verify_locations(client_authority)
    context.verify_mode = ssl.CERT_REQUIRED
    return context


@asynccontextmanager
async def serving(application: web.Application, address: str, port: int, tls: ssl.SSLContext) -> AsyncIterator[int]:
    """Serve while the block runs; yields the port, which is the system's choice for 0."""
    # A handler whose caller left is cancelled: a follower would stay for ever.
    runner = web.AppRunner(application, access_log=None, handler_cancellation=True, shutdown_timeout=0.5)
    await runner.setup()
    try:
        site = web.TCPSite(runner, address, port, ssl_context=tls)
        await site.start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()
