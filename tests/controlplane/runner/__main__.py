"""``python -m tests.controlplane.runner``: flags, start, end."""

import argparse
import asyncio
import logging
import os
import resource
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.controlplane.runner.api import Api, ApiError, Resource
from tests.controlplane.runner.hosts import Hosts
from tests.controlplane.runner.node import Node, NodeShape
from tests.controlplane.runner.pods import Pods, follow_services
from tests.controlplane.runner.process import ContainerSpec, Process, StartFailure
from tests.controlplane.runner.server import KubeletApi, serving, tls_context
from tests.controlplane.runner.world import Settings, World

log = logging.getLogger("runner")
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
PODS_AT_MOST = 200
NO_NAMESPACES = (
    "user namespaces don't work here (errno {number}: {failure}); see the sysctls kernel.unprivileged_userns_clone, "
    "user.max_user_namespaces and, on Ubuntu, kernel.apparmor_restrict_unprivileged_userns"
)


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The flags."""
    parser = argparse.ArgumentParser(prog="python -m tests.controlplane.runner", description=__doc__)
    parser.add_argument("--kubeconfig", type=Path, required=True)
    parser.add_argument("--node", default="real-0", help="name of the node")
    parser.add_argument("--state", type=Path, required=True, help="directory for logs, volumes and claims")
    parser.add_argument("--address", default="127.0.0.1", help="where the kubelet API listens")
    parser.add_argument("--port", type=int, default=0, help="0 is a free one")
    parser.add_argument("--tls-cert-file", type=Path, required=True)
    parser.add_argument("--tls-private-key-file", type=Path, required=True)
    parser.add_argument("--client-ca-file", type=Path, required=True)
    parser.add_argument("--cpu", default="8", help="resources are only counted by schedulers")
    parser.add_argument("--memory", default="32Gi")
    parser.add_argument("--gpus", default="4", help="nvidia.com/gpu; 0 is none")
    parser.add_argument("--label", action="append", default=[], metavar="KEY=VALUE", help="a label of the node")
    parser.add_argument("--hide", action="append", default=[], metavar="PATH", help="containers see it empty")
    parser.add_argument("--restart-backoff-seconds", type=float, default=10, help="before a second restart")
    parser.add_argument("--retry-seconds", type=float, default=1, help="between looks at what a pod waits for")
    return parser.parse_args(arguments)


def settings_of(flags: argparse.Namespace) -> Settings:
    """What holds for every pod; keys and state are hidden from them."""
    hidden = [flags.state, flags.kubeconfig, flags.tls_private_key_file, *flags.hide]
    return Settings(
        node=flags.node,
        resources=resources_of(flags),
        state=Path(os.path.realpath(flags.state)),
        hide=[os.path.realpath(path) for path in hidden],
        path=os.environ.get("PATH") or DEFAULT_PATH,
        back_off_s=flags.restart_backoff_seconds,
        retry_s=flags.retry_seconds,
    )


def resources_of(flags: argparse.Namespace) -> dict[str, str]:
    """What the node says it has."""
    resources = {"cpu": flags.cpu, "memory": flags.memory, "pods": str(PODS_AT_MOST), "ephemeral-storage": "100Gi"}
    return resources | ({"nvidia.com/gpu": flags.gpus} if flags.gpus != "0" else {})


def shape_of(flags: argparse.Namespace, port: int) -> NodeShape:
    """What the node says of itself."""
    given = dict(label.partition("=")[::2] for label in flags.label)
    return NodeShape(flags.node, {"jobq.io/node": "real", **given}, resources_of(flags), port)


async def check_namespaces(settings: Settings) -> None:
    """Run /bin/true in a container.

    Raises: StartFailure if this machine doesn't let this user.
    """
    root = settings.state / "probe"
    root.mkdir(parents=True, exist_ok=True)
    spec = ContainerSpec(str(root), "probe", 0, 0, mounts=[], hide=[], command=["/bin/true"], env={}, workdir="/")
    await (await Process.start(spec, lambda _stream, _data: None)).wait()


async def serve(flags: argparse.Namespace) -> None:
    """Be the node until SIGTERM or SIGINT; its containers end with it.

    Raises: StartFailure, ApiError, OSError.
    """
    for number in (signal.SIGTERM, signal.SIGINT):  # containers end with their runner, and nothing waits to be written
        asyncio.get_running_loop().add_signal_handler(number, os._exit, 0)
    settings = settings_of(flags)
    await check_namespaces(settings)
    api = await Api.connect(flags.kubeconfig)
    services: dict[str, Resource] = {}
    pods = Pods(World(api, settings, Hosts(settings.state / "hosts"), services))
    tls = tls_context(flags.tls_cert_file, flags.tls_private_key_file, flags.client_ca_file)
    try:
        async with serving(KubeletApi(pods).application(), flags.address, flags.port, tls) as port:
            node = Node(api, shape_of(flags, port))
            await node.register()
            log.info("node %s is registered, its API listens on port %d", flags.node, port)
            await attend(node, pods, api, services)
    finally:
        await api.close()


async def attend(node: Node, pods: Pods, api: Api, services: dict[str, Resource]) -> None:
    """Follow services and pods, and keep the node alive, for ever.

    Raises: whatever ends one of them.
    """
    services_known, pods_known = asyncio.Event(), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(follow_services(api, services, services_known))
        await services_known.wait()
        group.create_task(pods.follow(pods_known))
        group.create_task(node.stay_alive())
        await pods_known.wait()
        log.info("ready: pods are run")


def main() -> int:
    """Be the node; 1 if it can't be one (a signal ends it with 0)."""
    flags = parse(sys.argv[1:])
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    try:
        asyncio.run(serve(flags))
    except StartFailure as failure:
        log.error(NO_NAMESPACES.format(number=failure.number, failure=failure))  # noqa: TRY400 - it is no crash
    except (ApiError, OSError) as error:
        log.error("%s", error)  # noqa: TRY400 - it is no crash
    return 1


if __name__ == "__main__":
    sys.exit(main())
