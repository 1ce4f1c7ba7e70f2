"""Several streams of bytes over one connection, both ways: a WebSocket of the API server's ``exec`` or ``portforward``.

A frame's first byte is its channel. In v5 a frame of two bytes, 255 and a channel, ends that channel.
https://kubernetes.io/docs/reference/generated/kubernetes-api/v1.36/ names neither: the protocol stands in
https://pkg.go.dev/k8s.io/apimachinery/pkg/util/remotecommand and in the API server's ``portforward`` handlers.
"""

import select
import socket
import ssl
import time
from collections.abc import Collection, Iterator, Mapping, Sequence

from websocket import (
    ABNF,
    WebSocket,
    WebSocketBadStatusException,
    WebSocketConnectionClosedException,
    WebSocketException,
)

from reconciler.errors import Unreachable

COMMAND = "v5.channel.k8s.io"
PORT = "v4.channel.k8s.io"
_END_CHANNEL = 255
_PING_SECONDS = 20
"""So often a silent connection says that it is still wanted: proxies on the way drop what is silent for a minute."""
_FRAMES = 64
"""At most so many are taken at once, so that what waits to be sent gets its turn."""
_LATER = (ssl.SSLWantReadError, ssl.SSLWantWriteError, BlockingIOError, InterruptedError)


class Refused(Exception):
    """The server's answer is no WebSocket."""

    def __init__(self, code: int, body: bytes, headers: Mapping[str, str]) -> None:
        super().__init__(code)
        self.code, self.body, self.headers = code, body, headers


def open_channels(
    connected: socket.socket, url: str, headers: Sequence[tuple[str, str]], protocol: str, seconds: float
) -> "Channels":
    """Turn a connection into channels. Raises: Refused; OSError where no answer came within ``seconds``."""
    connected.settimeout(seconds)
    web = WebSocket(skip_utf8_validation=True)
    try:
        said = [f"{key}: {value}" for key, value in headers]
        web.connect(  # type: ignore[no-untyped-call] # websocket-client has no types
            url, socket=connected, header=said, subprotocols=[protocol], suppress_origin=True, timeout=seconds
        )
    except WebSocketBadStatusException as error:
        connected.close()
        raise Refused(error.status_code, error.resp_body or b"", error.resp_headers or {}) from error
    except WebSocketException as error:
        connected.close()
        raise ConnectionError(str(error)) from error
    except BaseException:
        connected.close()
        raise
    return Channels(web, connected)


class Channels:
    """``reconciler.cluster.Channels``: to be used by one thread."""

    def __init__(self, web: WebSocket, connected: socket.socket) -> None:
        self._web = web
        self._socket = connected
        self._socket.settimeout(0)
        self._unsent = bytearray()
        self._continued = -1
        self._heard = time.monotonic()
        self._closed = False

    @property
    def closed(self) -> bool:
        """Whether the other side has closed the connection."""
        return self._closed

    @property
    def unsent(self) -> int:
        """Bytes that the other side hasn't taken yet."""
        return len(self._unsent)

    def send(self, channel: int, data: bytes) -> None:
        """Put data into the queue of what is sent."""
        self._put(bytes([channel]) + data, ABNF.OPCODE_BINARY)

    def finish(self, channel: int) -> None:
        """Let the other side read the end of a channel."""
        self._put(bytes([_END_CHANNEL, channel]), ABNF.OPCODE_BINARY)

    def wait(self, others: Collection[int], seconds: float) -> Collection[int]:
        """Wait until there is something to receive or to send, or to read from ``others``; which of those there is."""
        if self._is_ready():
            seconds = 0
        self._ping_if_silent()
        readable, writable = [self._socket.fileno(), *others], [self._socket.fileno()] if self._unsent else []
        found, _, _ = select.select(readable, writable, [], seconds)
        return [one for one in found if one in others]

    def receive(self) -> Iterator[tuple[int, bytes]]:
        """What has arrived by channel, after sending what can be sent; never waits.

        Raises: Unreachable where the connection broke.
        """
        try:
            self._flush()
            for _ in range(_FRAMES):
                frame: ABNF = self._web.recv_frame()  # type: ignore[no-untyped-call] # as above
                self._heard = time.monotonic()
                yield from self._taken(frame)
                if self._closed:
                    return
        except _LATER:
            return
        except (WebSocketException, OSError) as error:
            raise Unreachable("the connection broke", hint="is the network still up?") from error

    def close(self) -> None:
        """End the connection; the other side is told, if it can be without waiting."""
        try:
            self._put((1000).to_bytes(2, "big"), ABNF.OPCODE_CLOSE)
            self._flush()
        except (*_LATER, WebSocketConnectionClosedException, OSError):
            pass  # it ends anyway
        self._socket.close()

    def _taken(self, frame: ABNF) -> Iterator[tuple[int, bytes]]:
        data = frame.data if isinstance(frame.data, bytes) else frame.data.encode()
        match frame.opcode:
            case ABNF.OPCODE_CLOSE:
                self._closed = True
            case ABNF.OPCODE_PING:
                self._put(data, ABNF.OPCODE_PONG)
            case ABNF.OPCODE_CONT:
                yield self._continued, data
            case ABNF.OPCODE_BINARY | ABNF.OPCODE_TEXT if data:
                self._continued = data[0]
                if self._continued != _END_CHANNEL:
                    yield self._continued, data[1:]

    def _put(self, data: bytes, opcode: int) -> None:
        self._unsent += ABNF.create_frame(data, opcode).format()

    def _flush(self) -> None:
        while self._unsent:
            sent = self._socket.send(memoryview(self._unsent)[: 2**16].tobytes())
            del self._unsent[:sent]

    def _is_ready(self) -> bool:
        """TLS may have taken more from the network than was asked for."""
        return isinstance(self._socket, ssl.SSLSocket) and self._socket.pending() > 0

    def _ping_if_silent(self) -> None:
        if time.monotonic() - self._heard > _PING_SECONDS:
            self._heard = time.monotonic()
            self._put(b"", ABNF.OPCODE_PING)
