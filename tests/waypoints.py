"""Proxies on loopback that only pass bytes on: HTTP's CONNECT and SOCKS 5, each with or without a password."""

import base64
import select
import socket
import socketserver
import ssl
import struct
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from tests.controlplane.ports import LOOPBACK

NAME, PASSWORD = "kim", "s3cr3t@:/ü…"
QUOTED = f"{NAME}:s3cr3t%40%3A%2F%C3%BC%E2%80%A6"
"""Both as a URL has them."""
LAB = "api.lab.example.org"
"""A name of this machine that only an HTTP proxy knows."""


@dataclass(eq=False)
class Waypoint:
    """Where it listens, and the targets it was asked for, as they were written."""

    port: int
    locked: bool
    targets: list[str] = field(default_factory=list)


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    waypoint: Waypoint


@contextmanager
def http_proxy(*, locked: bool = False, keys: Path | None = None) -> Iterator[Waypoint]:
    """One that answers CONNECT; by TLS where ``keys`` is the folder of a control plane's."""
    yield from _served(_Connect, locked=locked, keys=keys)


@contextmanager
def socks_proxy(*, locked: bool = False) -> Iterator[Waypoint]:
    """One that speaks SOCKS 5 and resolves names itself."""
    yield from _served(_Socks, locked=locked)


def _served(
    kind: type[socketserver.BaseRequestHandler], *, locked: bool, keys: Path | None = None
) -> Iterator[Waypoint]:
    with _Server(("127.0.0.1", 0), kind) as server:
        if keys:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(keys / "apiserver.crt", keys / "apiserver.key")
            server.socket = context.wrap_socket(server.socket, server_side=True)
        server.waypoint = Waypoint(server.server_address[1], locked)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield server.waypoint
        server.shutdown()


class _Connect(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        """One tunnel."""
        words = self.rfile.readline().split()
        headers = {}
        while line := self.rfile.readline().strip():
            key, _, value = line.partition(b":")
            headers[key.lower()] = value.strip()
        waypoint = cast("_Server", self.server).waypoint
        wanted = b"Basic " + base64.b64encode(f"{NAME}:{PASSWORD}".encode())
        if waypoint.locked and headers.get(b"proxy-authorization") != wanted:
            self.wfile.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
            return
        target = words[1].decode()
        waypoint.targets.append(target)
        host, _, port = target.rpartition(":")
        with socket.create_connection((LOOPBACK if host == LAB else host, int(port))) as there:
            self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            join(self.connection, there)


class _Socks(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        """One tunnel: https://www.rfc-editor.org/rfc/rfc1928, and 1929 for the password."""
        waypoint = cast("_Server", self.server).waypoint
        _, count = self._take(2)
        offered = self._take(count)
        method = 2 if waypoint.locked else 0
        self.request.sendall(bytes([5, method if method in offered else 255]))
        if method not in offered or (waypoint.locked and not self._knows()):
            return
        *_, kind = self._take(4)
        host = socket.inet_ntoa(self._take(4)) if kind == 1 else self._take(self._take(1)[0]).decode()
        (port,) = struct.unpack("!H", self._take(2))
        waypoint.targets.append(f"{host}:{port}")
        try:
            there = socket.create_connection((host, port))
        except OSError:
            self.request.sendall(b"\5\5\0\1" + bytes(6))
            return
        with there:
            self.request.sendall(b"\5\0\0\1" + bytes(6))
            join(self.request, there)

    def _knows(self) -> bool:
        self._take(1)
        said = [self._take(self._take(1)[0]).decode() for _ in range(2)]
        known = said == [NAME, PASSWORD]
        self.request.sendall(bytes([1, 0 if known else 1]))
        return known

    def _take(self, count: int) -> bytes:
        found = b""
        while len(found) < count:
            piece = self.request.recv(count - len(found))
            if not piece:
                raise ConnectionError
            found += piece
        return found


def join(one: socket.socket, other: socket.socket) -> None:
    """Hand on bytes both ways, until one of them ends."""
    ends: Sequence[socket.socket] = (one, other)
    while True:
        for end in select.select(ends, [], [])[0]:
            data = end.recv(2**16)
            while isinstance(end, ssl.SSLSocket) and end.pending():
                data += end.recv(2**16)
            if not data:
                return
            (other if end is one else one).sendall(data)
