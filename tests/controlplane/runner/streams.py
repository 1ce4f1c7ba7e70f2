"""The two-way streams of the node's API over WebSockets: commands run in containers, and connections to their ports.

Frames begin with their channel, as in https://pkg.go.dev/k8s.io/apimachinery/pkg/util/remotecommand: 0 input, 1 output,
2 errors, 3 the end as a metav1.Status, 4 the terminal's size.  In v5 a frame ``[255, channel]`` closes a channel.
"""

import asyncio
import contextlib
import fcntl
import json
import os
import pty
import shutil
import struct
import termios
from collections.abc import Sequence
from dataclasses import dataclass

from aiohttp import WSMsgType, web

from tests.controlplane.runner.api import Resource
from tests.controlplane.runner.process import ContainerSpec, take

INPUT, OUTPUT, ERRORS, END, SIZE, CLOSE = 0, 1, 2, 3, 4, 255
COMMAND_PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io")
PORT_PROTOCOLS = ("v4.channel.k8s.io",)
READ_BYTES = 32 * 1024
LARGEST_FRAME = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be run in a container, and with which streams."""

    command: Sequence[str]
    has_input: bool
    terminal: bool

    @classmethod
    def of(cls, request: web.Request) -> "Wanted":
        """As the API server asks."""
        query = request.query
        return cls(query.getall("command", []), query.get("input") == "1", query.get("tty") == "1")


# Commands ----------------------------------------------------------------------------------------------------------


async def run_command(request: web.Request, pid: int, spec: ContainerSpec, wanted: Wanted) -> web.StreamResponse:
    """Run a command in the namespaces of process ``pid``, with its streams on a WebSocket."""
    socket = web.WebSocketResponse(protocols=COMMAND_PROTOCOLS, max_msg_size=LARGEST_FRAME, compress=False)
    await socket.prepare(request)
    streams = _Terminal() if wanted.terminal else _Pipes(has_input=wanted.has_input)
    process = await asyncio.create_subprocess_exec(
        *entering(pid, spec.workdir, wanted),
        env=spec.env,
        stdin=streams.inner[INPUT],
        stdout=streams.inner[OUTPUT],
        stderr=streams.inner[ERRORS],
    )
    streams.begin()
    frames: asyncio.Queue[bytes] = asyncio.Queue()
    ends = [take(outer, _framing(frames, channel)) for channel, outer in streams.readable()]
    sending = asyncio.ensure_future(_send(socket, frames))
    receiving = asyncio.ensure_future(_receive(socket, streams))
    try:
        code = await process.wait()
        # What the command left running may hold them for ever.
        await asyncio.wait([asyncio.ensure_future(end.wait()) for end in ends], timeout=1)
        await frames.join()
        await socket.send_bytes(bytes([END]) + json.dumps(end_status(code)).encode())
        await socket.close()
    except ConnectionResetError:  # nobody listens any more
        pass
    finally:
        receiving.cancel()
        sending.cancel()
        streams.close()
    return socket


def entering(pid: int, workdir: str, wanted: Wanted) -> list[str]:
    """The command line that enters a container's namespaces."""
    enter = [shutil.which("nsenter") or "nsenter", f"--target={pid}", "--user", "--mount", "--pid", "--uts", "--ipc"]
    session = [shutil.which("setsid") or "setsid", "--ctty", "--wait"] if wanted.terminal else []
    return [*enter, "--preserve-credentials", f"--wdns={workdir}", "--", *session, *wanted.command]


def end_status(code: int) -> Resource:
    """How a command ended, as a kubelet says it."""
    if code == 0:
        return {"metadata": {}, "status": "Success"}
    code = code if code > 0 else 128 - code
    return {
        "metadata": {},
        "status": "Failure",
        "reason": "NonZeroExitCode",
        "message": f"command terminated with non-zero exit code: exit status {code}",
        "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]},
    }


class _Pipes:
    """A command's streams without a terminal: inner ends by channel for the command, outer ones for the caller."""

    def __init__(self, *, has_input: bool) -> None:
        self.inner: dict[int, int] = {}
        self._outer: dict[int, int] = {}
        self.inner[INPUT], self._outer[INPUT] = os.pipe() if has_input else (os.open(os.devnull, os.O_RDONLY), -1)
        for channel in (OUTPUT, ERRORS):
            self._outer[channel], self.inner[channel] = os.pipe()

    def begin(self) -> None:
        """The command has its own copies."""
        for descriptor in self.inner.values():
            os.close(descriptor)

    def readable(self) -> Sequence[tuple[int, int]]:
        """Channels and what their data is read from."""
        return [(channel, self._outer[channel]) for channel in (OUTPUT, ERRORS)]

    async def write(self, data: bytes) -> None:
        """Hand on input; dropped where the command has closed it."""
        if self._outer[INPUT] >= 0:
            with contextlib.suppress(BrokenPipeError):
                await asyncio.to_thread(_write_all, self._outer[INPUT], data)

    def end_input(self) -> None:
        """The command reads the end of its input."""
        if self._outer[INPUT] >= 0:
            os.close(self._outer[INPUT])
            self._outer[INPUT] = -1

    def resize(self, rows: int, columns: int) -> None:
        """There is no terminal."""

    def close(self) -> None:
        """Let go; what is read closes with its end."""
        self.end_input()


class _Terminal:
    """A command's terminal."""

    def __init__(self) -> None:
        self._leader, self._follower = pty.openpty()
        self.inner = dict.fromkeys((INPUT, OUTPUT, ERRORS), self._follower)
        self._reader = os.dup(self._leader)

    def begin(self) -> None:
        os.close(self._follower)

    def readable(self) -> Sequence[tuple[int, int]]:
        return [(OUTPUT, self._reader)]

    async def write(self, data: bytes) -> None:
        await asyncio.to_thread(_write_all, self._leader, data)

    def end_input(self) -> None:
        """A terminal's input ends by a key."""

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self._leader, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def close(self) -> None:
        """The command's session hears that its terminal is gone."""
        os.close(self._leader)


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def _framing(frames: "asyncio.Queue[bytes]", channel: int) -> "_Frame":
    return _Frame(frames, bytes([channel]))


@dataclass(frozen=True, slots=True)
class _Frame:
    frames: "asyncio.Queue[bytes]"
    head: bytes

    def __call__(self, data: bytes) -> None:
        self.frames.put_nowait(self.head + data)


async def _send(socket: web.WebSocketResponse, frames: "asyncio.Queue[bytes]") -> None:
    while True:
        frame = await frames.get()
        try:
            await socket.send_bytes(frame)
        except ConnectionResetError:
            pass  # nobody listens any more; the command goes on, as under a kubelet
        finally:
            frames.task_done()


async def _receive(socket: web.WebSocketResponse, streams: _Pipes | _Terminal) -> None:
    async for message in socket:
        if message.type not in {WSMsgType.BINARY, WSMsgType.TEXT}:
            continue
        data = message.data if isinstance(message.data, bytes) else message.data.encode()
        if data[:1] == bytes([INPUT]):
            await streams.write(data[1:])
        elif data[:1] == bytes([SIZE]):
            size = json.loads(data[1:])
            streams.resize(size["Height"], size["Width"])
        elif data == bytes([CLOSE, INPUT]):
            streams.end_input()
    streams.end_input()


# Ports -------------------------------------------------------------------------------------------------------------


async def forward_port(request: web.Request, port: int) -> web.StreamResponse:
    """Connect a WebSocket to a port of this machine: channel 0 is data, 1 says why not; each begins with the port."""
    socket = web.WebSocketResponse(protocols=PORT_PROTOCOLS, max_msg_size=LARGEST_FRAME, compress=False)
    await socket.prepare(request)
    for channel in (0, 1):
        await socket.send_bytes(bytes([channel]) + struct.pack("<H", port))
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else str(error)
        text = f"error forwarding port {port}: failed to connect to localhost:{port}: {why.lower()}"
        await socket.send_bytes(b"\1" + text.encode())
        await socket.close()
        return socket
    back = asyncio.ensure_future(_bring_back(reader, socket))
    try:
        async for message in socket:
            if message.type == WSMsgType.BINARY and message.data[:1] == b"\0":
                writer.write(message.data[1:])
                await writer.drain()
    except OSError:  # the container's side is gone: so is the connection
        pass
    finally:
        back.cancel()
        writer.close()
        await socket.close()
    return socket


async def _bring_back(reader: asyncio.StreamReader, socket: web.WebSocketResponse) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(READ_BYTES):
            await socket.send_bytes(b"\0" + data)
    await socket.close()
