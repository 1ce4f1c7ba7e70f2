"""A TLS proxy on loopback before the real API server; it spoils what a test wants spoilt.

It ends TLS, so a client certificate doesn't reach the server: the proxy shows the kubeconfig's to the server itself.
A token simply travels through. Streams go one way only: no shell, no forwarded port.
"""

import http.client
import json
import re
import socket
import ssl
import struct
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.controlplane import pki

PIECE = 2**16
_HOP = {"connection", "keep-alive", "transfer-encoding", "host", "content-length"}
_REASONS = {409: "Conflict", 410: "Expired", 422: "Invalid", 429: "TooManyRequests", 503: "ServiceUnavailable"}


@dataclass(frozen=True)
class Asked:
    """One request that came in; ``number`` counts from 1."""

    number: int
    method: str
    target: str
    headers: Mapping[str, str]
    content: bytes

    @property
    def path(self) -> str:
        """Without its query."""
        return self.target.partition("?")[0]

    @cached_property
    def query(self) -> dict[str, str]:
        """The query's words."""
        return {key: values[0] for key, values in parse_qs(urlsplit(self.target).query).items()}

    @property
    def watches(self) -> bool:
        """Whether it is a watch."""
        return self.query.get("watch") == "true"

    @property
    def writes(self) -> bool:
        """Whether it changes anything; a dry-run doesn't."""
        return self.method not in {"GET", "HEAD"} and "dryRun" not in self.query

    @property
    def continues(self) -> bool:
        """Whether it asks for a later page."""
        return "continue" in self.query


Fault = Callable[["Exchange"], None]
Match = Callable[[Asked], bool]


@dataclass
class _Rule:
    match: Match
    fault: Fault
    left: int


class Proxy:
    """Forwards everything, but what a rule matches; ``asked`` are all requests so far."""

    def __init__(self, kubeconfig: Path, server: ThreadingHTTPServer) -> None:
        self._said = json.loads(kubeconfig.read_bytes())
        self.upstream: str = self._said["clusters"][0]["cluster"]["server"]
        """The server's address; may be changed while the proxy runs."""
        self.kubeconfig = kubeconfig
        self.asked: list[Asked] = []
        self.mistakes: list[BaseException] = []
        """What went wrong in the proxy itself: must stay empty."""
        self._server = server
        self._rules: list[_Rule] = []
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"https://127.0.0.1:{self._server.server_address[1]}"

    def spoil(self, match: Match, fault: Fault, *, times: int = 1) -> None:
        """Do that to the next so many requests that match; an earlier rule goes first."""
        self._rules.append(_Rule(match, fault, times))

    def heal(self) -> None:
        """Forget all rules, and what was asked."""
        with self._lock:
            self._rules.clear()
            self.asked.clear()

    def cut_all(self) -> None:
        """Break every connection that is open now."""
        with self._lock:
            found = list(self._open)
        for one in found:
            reset(one)

    def take(self, method: str, target: str, headers: Mapping[str, str], content: bytes) -> tuple[Asked, Fault]:
        """Note a request, and say what to do with it."""
        with self._lock:
            asked = Asked(len(self.asked) + 1, method, target, headers, content)
            self.asked.append(asked)
            for rule in self._rules:
                if rule.left and rule.match(asked):
                    rule.left -= 1
                    return asked, rule.fault
        return asked, forward

    def connect(self) -> http.client.HTTPSConnection:
        """A connection to the server, with the kubeconfig's client certificate if it has one."""
        address = urlsplit(self.upstream)
        return http.client.HTTPSConnection(address.hostname or "", address.port, context=self._trust)

    @cached_property
    def _trust(self) -> ssl.SSLContext:
        authority = pki.decoded(self._said["clusters"][0]["cluster"]["certificate-authority-data"])
        context = ssl.create_default_context(cadata=authority.decode())
        user = self._said["users"][0]["user"]
        if "client-certificate-data" in user:
            names = ("client-certificate-data", "client-key-data")
            pair = pki.Pair(*(pki.decoded(user[name]) for name in names))
            folder = self.kubeconfig.parent
            pair.write(folder, "shown")
            context.load_cert_chain(folder / "shown.crt", folder / "shown.key")
        return context

    @contextmanager
    def opened(self, one: socket.socket) -> Iterator[None]:
        """Count a socket among the open ones."""
        with self._lock:
            self._open.add(one)
        try:
            yield
        finally:
            with self._lock:
                self._open.discard(one)


@contextmanager
def proxied(kubeconfig: Path, authority: Path, folder: Path) -> Iterator[Proxy]:
    """A proxy before that kubeconfig's server; ``proxy.kubeconfig``, in ``folder``, leads through it.

    ``authority`` is the control plane's folder of certificates: the proxy gets one of its own.
    Raises: AssertionError where the proxy itself made a mistake.
    """
    folder.mkdir(parents=True, exist_ok=True)
    pki.Authority(pki.Pair.read(authority, "ca")).server("localhost").write(folder, "proxy")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "proxy.crt", folder / "proxy.key")
    server = _Server(context)
    path = folder / "proxied.kubeconfig"
    path.write_bytes(kubeconfig.read_bytes())
    proxy = server.proxy = Proxy(path, server)
    said = json.loads(path.read_bytes())
    said["clusters"][0]["cluster"]["server"] = proxy.address
    pki.write_private(path, json.dumps(said).encode())
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        thread.join()
        proxy.cut_all()
        server.server_close()
    assert not proxy.mistakes, proxy.mistakes


class _Server(ThreadingHTTPServer):
    daemon_threads = False
    """Each thread is waited for at the end."""
    request_queue_size = 128

    def __init__(self, context: ssl.SSLContext) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self._context = context
        self.proxy: Proxy

    def get_request(self) -> tuple[socket.socket, Any]:
        plain, address = super().get_request()
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self._context.wrap_socket(plain, server_side=True, do_handshake_on_connect=False), address

    def handle_error(self, request: Any, client_address: object) -> None:  # noqa: ANN401, ARG002 - the parent's words
        error = sys.exc_info()[1]
        if error is not None and not isinstance(error, OSError | http.client.HTTPException):
            self.proxy.mistakes.append(error)


class _Handler(BaseHTTPRequestHandler):
    """One connection of a client: its requests, one after the other."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1
    server: _Server

    def handle(self) -> None:
        self.server_connection: http.client.HTTPSConnection | None = None
        try:
            with self.server.proxy.opened(self.connection):
                super().handle()
        finally:
            if self.server_connection:
                self.server_connection.close()

    def finish(self) -> None:
        """As the parent, which leaves a socket open where the client is gone."""
        with suppress(OSError):
            super().finish()
        self.rfile.close()

    def parse_request(self) -> bool:
        """As the parent; whatever the method, it is taken by ``do``."""
        if not super().parse_request():
            return False
        setattr(self, f"do_{self.command}", self.do)
        return True

    def do(self) -> None:
        """One request."""
        content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        asked, fault = self.server.proxy.take(self.command, self.path, dict(self.headers.items()), content)
        fault(Exchange(asked, self))

    def log_message(self, *_: object) -> None:
        """Not a word: the audit log has it."""


@dataclass
class Answer:
    """What the server answered. ``length`` is None for a stream, which ``response`` goes on to give."""

    status: int
    headers: list[tuple[str, str]]
    response: http.client.HTTPResponse

    @property
    def is_stream(self) -> bool:
        """Whether its end isn't known."""
        return self.response.length is None


@dataclass
class Exchange:
    """One request, and the ways to answer it."""

    asked: Asked
    handler: _Handler

    def send(self) -> Answer:
        """Send it to the server; the answer's head."""
        handler = self.handler
        if handler.server_connection is None:
            handler.server_connection = handler.server.proxy.connect()
        there = handler.server_connection
        headers = {key: value for key, value in self.asked.headers.items() if key.lower() not in _HOP}
        try:
            there.request(self.asked.method, self.asked.target, self.asked.content or None, headers)
            response = there.getresponse()
        except (OSError, http.client.HTTPException):
            self.hang_up()
            raise
        kept = [(key, value) for key, value in response.getheaders() if key.lower() not in _HOP]
        return Answer(response.status, kept, response)

    def answer(self, status: int, headers: Sequence[tuple[str, str]], content: bytes, *, length: int = -1) -> None:
        """Answer the client; ``length`` is what the head says of the content, where it lies."""
        self._head(status, [*headers, ("Content-Length", str(len(content) if length < 0 else length))])
        self.handler.wfile.write(content)
        self.handler.wfile.flush()

    def begin(self, answer: Answer) -> None:
        """Begin to answer with a stream."""
        self._head(answer.status, [*answer.headers, ("Transfer-Encoding", "chunked")])
        self.handler.wfile.flush()

    def piece(self, content: bytes) -> None:
        """A piece of the stream; an empty one is its proper end."""
        self.handler.wfile.write(f"{len(content):x}\r\n".encode() + content + b"\r\n")
        self.handler.wfile.flush()

    def pieces(self, answer: Answer) -> Iterator[bytes]:
        """The server's stream, as it comes."""
        there = self.handler.server_connection
        assert there is not None
        with self.handler.server.proxy.opened(there.sock):
            while piece := answer.response.read1(PIECE):
                yield piece

    def hang_up(self) -> None:
        """Break the client's connection."""
        self.handler.close_connection = True
        with suppress(OSError):
            self.handler.wfile.flush()
        reset(self.handler.connection)
        if self.handler.server_connection:
            self.handler.server_connection.close()

    def _head(self, status: int, headers: Sequence[tuple[str, str]]) -> None:
        self.handler.send_response_only(status)
        for key, value in headers:
            self.handler.send_header(key, value)
        self.handler.end_headers()


def reset(one: socket.socket) -> None:
    """Break a connection both ways, whatever is under way."""
    with suppress(OSError):
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        socket.socket.shutdown(one, socket.SHUT_RDWR)  # an SSLSocket's own would go on in plain text


# ------------------------------------------------------------------------------------------------ what is done


def forward(exchange: Exchange) -> None:
    """Nothing special."""
    answer = exchange.send()
    if not answer.is_stream:
        exchange.answer(answer.status, answer.headers, answer.response.read())
        return
    exchange.begin(answer)
    for piece in exchange.pieces(answer):
        exchange.piece(piece)
    exchange.piece(b"")


def drop(exchange: Exchange) -> None:
    """The connection breaks before the server hears of it."""
    exchange.hang_up()


def lose_answer(exchange: Exchange) -> None:
    """The server does it; its answer is lost."""
    exchange.send().response.read()
    exchange.hang_up()


def repeat(exchange: Exchange) -> None:
    """The server is told twice, as by a network that sends again."""
    exchange.send().response.read()
    forward(exchange)


def truncate(exchange: Exchange) -> None:
    """Half of the answer, then the connection breaks."""
    answer = exchange.send()
    content = answer.response.read()
    exchange.answer(answer.status, answer.headers, content[: len(content) // 2], length=len(content))
    exchange.hang_up()


def rewritten(change: Callable[[Any], Any]) -> Fault:
    """The server's answer, whose JSON that makes another."""

    def told(exchange: Exchange) -> None:
        answer = exchange.send()
        exchange.answer(answer.status, answer.headers, json.dumps(change(json.load(answer.response))).encode())

    return told


def delay(seconds: float) -> Fault:
    """The request reaches the server so much later."""

    def late(exchange: Exchange) -> None:
        threading.Event().wait(seconds)
        forward(exchange)

    return late


def hold(until: threading.Event) -> Fault:
    """The request reaches the server once ``until`` is set."""

    def held(exchange: Exchange) -> None:
        until.wait()
        forward(exchange)

    return held


def silence(until: threading.Event, *, done: bool) -> Fault:
    """No answer before ``until`` is set, then the connection breaks; with ``done`` the server was told nevertheless."""

    def silent(exchange: Exchange) -> None:
        if done:
            exchange.send().response.read()
        until.wait()
        exchange.hang_up()

    return silent


def refuse(code: int, message: str = "spoilt", *, retry_after: int | None = None, reason: str | None = None) -> Fault:
    """The server is told nothing; the client is given that error, as the API gives it."""

    def refused(exchange: Exchange) -> None:
        reason_ = _REASONS.get(code, "InternalError") if reason is None else reason
        status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "code": code}
        metadata = {"continue": "inconsistent"} if code == http.client.GONE else {}
        body = json.dumps({**status, "reason": reason_, "metadata": metadata}).encode()
        wait = [] if retry_after is None else [("Retry-After", str(retry_after))]
        exchange.answer(code, [("Content-Type", "application/json"), *wait], body)

    return refused


def cut(after: int) -> Fault:
    """A stream breaks after so many bytes."""

    def broken(exchange: Exchange) -> None:
        answer = exchange.send()
        exchange.begin(answer)
        left = after
        for piece in exchange.pieces(answer) if after else ():
            exchange.piece(piece[:left])
            left -= len(piece)
            if left <= 0:
                break
        exchange.hang_up()

    return broken


def cut_in_line(after: int = 0) -> Fault:
    """A stream breaks in the middle of a line, after so many whole ones."""

    def broken(exchange: Exchange) -> None:
        answer = exchange.send()
        exchange.begin(answer)
        for count, line in enumerate(_lines(exchange.pieces(answer))):
            if count == after:
                exchange.piece(line[: len(line) // 2])
                break
            exchange.piece(line)
        exchange.hang_up()

    return broken


def _lines(pieces: Iterator[bytes]) -> Iterator[bytes]:
    rest = b""
    for piece in pieces:
        *whole, rest = (rest + piece).split(b"\n")
        yield from (line + b"\n" for line in whole)


def end_watch_with(code: int, *, before: int = 0) -> Fault:
    """A watch that, after so many events, sends an ERROR event and ends."""
    reason = _REASONS.get(code, "InternalError")
    status = {"kind": "Status", "apiVersion": "v1", "code": code, "reason": reason, "message": "too old"}
    error = json.dumps({"type": "ERROR", "object": status}).encode() + b"\n"

    def ended(exchange: Exchange) -> None:
        answer = exchange.send()
        exchange.begin(answer)
        lines = _lines(exchange.pieces(answer))
        for _ in range(before):
            exchange.piece(next(lines, b""))
        exchange.piece(error)
        exchange.hang_up()

    return ended


# ------------------------------------------------------------------------------------------------ which requests


def every(asked: Asked) -> bool:
    """All of them."""
    return bool(asked)


def write(asked: Asked) -> bool:
    """Whatever changes something."""
    return asked.writes


def dry_run(asked: Asked) -> bool:
    """A question what an apply would do."""
    return "dryRun" in asked.query


def watch(asked: Asked) -> bool:
    """A watch."""
    return asked.watches


def later_page(asked: Asked) -> bool:
    """A page of a LIST that isn't its first."""
    return asked.continues


def number(wanted: int) -> Match:
    """The request of that number."""
    return lambda asked: asked.number == wanted


def to(pattern: str, *methods: str) -> Match:
    """Requests whose path has that pattern, by one of these methods; any, where none is named."""
    found = re.compile(pattern)
    return lambda asked: bool(found.search(asked.path)) and (not methods or asked.method in methods)
