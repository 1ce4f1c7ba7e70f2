"""TLS within TLS: connections by a proxy that is itself reached by https."""

import select
import socket
import ssl
import threading
from collections.abc import Mapping
from contextlib import suppress
from http import HTTPStatus
from http.client import HTTPException, HTTPResponse
from urllib.parse import urlsplit

_PIECE = 2**16
_AHEAD = 2**18
"""So many bytes of one side may wait for the other before no more are taken."""
_LAST_SECONDS = 5
_LATER = (ssl.SSLWantReadError, ssl.SSLWantWriteError, BlockingIOError)


def tunnel(
    proxy: tuple[str, int], headers: Mapping[str, str], trust: ssl.SSLContext, server: str, seconds: float
) -> socket.socket:
    """A plain socket to a server, on which TLS can begin; the TLS around it is another thread's affair.

    ``headers`` are what the proxy is shown. Raises: ConnectionError in urllib3's words.
    """
    try:
        outer = trust.wrap_socket(socket.create_connection(proxy, seconds), server_hostname=proxy[0])
        try:
            _ask(outer, headers, server)
        except BaseException:
            outer.close()
            raise
    except (OSError, HTTPException) as error:
        raise ConnectionError(f"ProxyError: {error}") from error
    near, far = socket.socketpair()
    threading.Thread(target=_join, args=(far, outer), daemon=True).start()
    return near


def _ask(outer: socket.socket, headers: Mapping[str, str], server: str) -> None:
    """Have the proxy connect. Raises: OSError, HTTPException."""
    parts = urlsplit(server)
    target = parts.netloc if parts.port else f"{parts.netloc}:443"
    said = [f"CONNECT {target} HTTP/1.1", f"Host: {target}", *(f"{key}: {value}" for key, value in headers.items())]
    outer.sendall("\r\n".join([*said, "", ""]).encode("latin-1"))
    answer = HTTPResponse(outer, method="CONNECT")
    answer.begin()
    if answer.status != HTTPStatus.OK:
        raise ConnectionError(f"Tunnel connection failed: {answer.status} {answer.reason}")


def _join(one: socket.socket, other: socket.socket) -> None:
    """Pass on both ways, until one side has ended and the other has what it said."""
    with one, other, suppress(OSError):
        ways = [(one, other, bytearray()), (other, one, bytearray())]
        for end in (one, other):
            end.settimeout(0)
        while True:
            moved = False
            for source, target, held in ways:
                moved |= _take(source, target, held)
                moved |= _give(target, held)
            if not moved:
                readable = [source for source, _, held in ways if len(held) < _AHEAD]
                select.select(readable, [target for _, target, held in ways if held], [])


def _take(source: socket.socket, target: socket.socket, held: bytearray) -> bool:
    """Whether anything came. Raises: ConnectionError at the end."""
    if len(held) >= _AHEAD:
        return False
    try:
        data = source.recv(_PIECE)
    except _LATER:
        return False
    if not data:
        target.settimeout(_LAST_SECONDS)
        target.sendall(held)
        raise ConnectionError("it has ended")
    held += data
    return True


def _give(target: socket.socket, held: bytearray) -> bool:
    try:
        sent = target.send(held) if held else 0
    except _LATER:
        return False
    del held[:sent]
    return sent > 0
