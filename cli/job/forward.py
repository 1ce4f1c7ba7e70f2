"""``jobq forward``."""

import contextlib
import errno
import os
import socket
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

from cli import clock, console, options, selection
from cli.connection import connect
from cli.job import live, pods
from cli.job.live import Source
from cli.job.targets import with_pods
from reconciler.cluster import DATA, FAILURE, Body, Channels, Cluster, PodStreams
from reconciler.errors import ClusterError, JobqError, NotFound, UsageError
from reconciler.kinds import POD

EXAMPLES = """
  jobq forward notebook-x7k2p 8888
  jobq forward @latest 6006:16006
  jobq forward --index 0 ray :8265
"""
_PIECE = 2**16
_AHEAD = 2**20
_TICK_SECONDS = 5.0
_ENDING_SECONDS = 10.0
"""A client that has said all it has to say may still read: so long may the other side be silent then."""
_HEAD = 2
"""Each channel begins with two bytes: the port."""
_LOOPBACK = ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"))
_NO_IPV6 = {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}
_HIGHEST = 65535


@dataclass(frozen=True, slots=True)
class Route:
    """A port here and one of the pod; 0 here is any that is free."""

    local: int
    remote: int


def forward(
    job: options.JobName,
    ports: options.Ports,
    *,
    project: options.ProjectName = "",
    index: options.Index = None,
    pod: options.PodName = "",
    kubeconfig: options.Kubeconfig = "",
    context: options.Context = "",
) -> None:
    """Let programs on this machine reach ports of a running job, until Ctrl-C or the end of its pod.

    LOCAL:PORT names another port here; :PORT takes any that is free. Only this machine can connect.
    """
    routes = [route(word) for word in ports]
    cluster = connect(kubeconfig=kubeconfig, context=context)
    current = selection.current(cluster, project)
    found = with_pods(cluster, current, job, way="port-forward POD PORT")
    where, many = pods.running(cluster, current, found, index, pod)
    if many > 1:
        console.talk(f"to {where['metadata']['name']}, the first of {many} pods; --index or --pod names another")
    with contextlib.ExitStack() as listeners:
        for one in routes:
            sockets = _listen(one, current.command("forward", job, f":{one.remote}"))
            for listener in sockets:
                listeners.enter_context(listener)
                _start(_accept, listener, _Tunnel(cluster, where, one.remote))
            local = sockets[0].getsockname()[1]
            to = f"{where['metadata']['name']}:{one.remote}"
            console.out(f"127.0.0.1:{local} -> {to}, in a browser http://localhost:{local}")
        console.flush()
        raise _end_of(cluster, where, current.command("list"))


def route(word: str) -> Route:
    """``8888``, ``9000:8888``, ``:8888``. Raises: UsageError."""
    local, colon, remote = word.rpartition(":")
    here = local or ("0" if colon else remote)
    numbers = [int(text) if text.isascii() and text.isdigit() else -1 for text in (here, remote)]
    if not (0 <= numbers[0] <= _HIGHEST and 1 <= numbers[1] <= _HIGHEST):
        raise UsageError(f"{word!r} is no port", hint="write 8888, 9000:8888 (9000 is the port here) or :8888")
    return Route(*numbers)


@dataclass(slots=True)
class _Tunnel:
    cluster: PodStreams
    pod: Body
    port: int
    told: str = ""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def carry(self, client: socket.socket) -> None:
        """One connection of a client, from its beginning to its end."""
        meta = self.pod["metadata"]
        with client:
            try:
                channels = self.cluster.port_forward(meta["name"], self.port, namespace=meta["namespace"])
            except NotFound:
                return  # whoever watches the pod says so
            except ClusterError as error:
                self.tell(str(error))
                return
            try:
                failure = _carry(channels, client)
            except (ClusterError, OSError):
                return  # either side broke it off: its own affair
            finally:
                channels.close()
            self.tell(_explained(failure, self.port, meta["name"]))

    def tell(self, text: str) -> None:
        """Say what went wrong; a program that tries again and again doesn't make it say so again."""
        with self.lock:
            if text and text != self.told:
                console.talk(console.plain(text))
            self.told = text


def _carry(channels: Channels, client: socket.socket) -> str:
    """Hand on both ways; what the other side says of a failure. Raises: Unreachable, OSError."""
    heads, failure, reads, until = {DATA: _HEAD, FAILURE: _HEAD}, b"", True, float("inf")
    while not channels.closed and clock.elapsed() < until:
        may_read = reads and channels.unsent < _AHEAD
        ready = channels.wait([client.fileno()] if may_read else [], _TICK_SECONDS)
        for channel, data in channels.receive():
            rest = data[heads[channel] :]
            heads[channel] = max(heads[channel] - len(data), 0)
            if channel == FAILURE:
                failure += rest
            elif rest:
                client.sendall(rest)
                until = until if reads else clock.elapsed() + _ENDING_SECONDS
        if ready:
            piece = client.recv(_PIECE)
            if piece:
                channels.send(DATA, piece)
            else:
                reads, until = False, clock.elapsed() + _ENDING_SECONDS
    return failure.decode(errors="replace")


def _explained(failure: str, port: int, pod: str) -> str:
    if "refused" in failure:
        return f"nothing listens on port {port} of {pod} yet: connection refused; the tunnel stays"
    return f"port {port} of {pod}: {failure.strip()}" if failure else ""


def _accept(listener: socket.socket, tunnel: _Tunnel) -> None:
    with contextlib.suppress(OSError):  # closed: the command ends
        while True:
            client, _ = listener.accept()
            _start(tunnel.carry, client)


def _start(work: object, *words: object) -> None:
    threading.Thread(target=work, args=words, daemon=True).start()  # type: ignore[arg-type] # any function and its own words


def _listen(one: Route, otherwise: str) -> Sequence[socket.socket]:
    """Sockets of IPv4 and, where this machine has it, IPv6, on the same port. Raises: JobqError."""
    found: list[socket.socket] = []
    for family, host in _LOOPBACK:
        port = found[0].getsockname()[1] if found else one.local
        try:
            found.append(_bound(family, host, port))
        except OSError as error:
            if found and error.errno in _NO_IPV6:
                continue
            for listener in found:
                listener.close()
            raise JobqError(
                f"can't listen on port {port} of this machine: {(error.strerror or str(error)).lower()}",
                hint=f"take another one here: `{otherwise}`",
            ) from error
    return found


def _bound(family: socket.AddressFamily, host: str, port: int) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        if os.name == "posix":  # elsewhere it would take the port away from another program
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen()
    except OSError:
        listener.close()
        raise
    return listener


def _end_of(cluster: Cluster, pod: Body, listing: str) -> JobqError:
    """Wait for the end of the pod. Raises: ClusterError."""
    meta = pod["metadata"]
    source = Source(POD, fields=f"metadata.name={meta['name']}")
    for view in live.watch(cluster, meta["namespace"], [source]):
        there = view.there[POD].get(meta["uid"])
        if there is None or not pods.is_running(there):
            break
    name = meta["name"]
    return JobqError(
        f"pod {name} {'has ended' if there else 'is gone'}: so has the tunnel",
        hint=f"`{listing}` shows how its job fares",
    )
