"""Ports for one control plane, that no other control plane and no outgoing connection can take."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

LOOPBACK: Final = "127.0.0.1"
BLOCK: Final = 16
FIRST: Final = 20_000
EPHEMERAL: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")


class NoPortsError(Exception):
    """No block of free ports is left."""


@dataclass(frozen=True, slots=True)
class Ports:
    """A block of ports on 127.0.0.1, one for each listener."""

    etcd: int
    etcd_peer: int
    api_server: int
    controller_manager: int
    scheduler: int
    kwok: int
    kueue_health: int
    kueue_webhook: int
    kueue_visibility: int
    kubelet: int


@contextmanager
def reserved() -> Iterator[Ports]:
    """The lowest block of free ports; its first is held as a lock, so that two control planes never share one.

    They lie below the ephemeral range: a free port in it may be any outgoing connection's before its owner binds it.

    Raises:
        NoPortsError: everything is taken.
    """
    end = int(EPHEMERAL.read_text(encoding="ascii").split()[0])
    for first in range(FIRST, end - BLOCK + 1, BLOCK):
        with socket.socket() as lock:
            if not _binds(lock, first):
                continue
            block = range(first + 1, first + 1 + len(Ports.__dataclass_fields__))
            if all(_free(port) for port in block):
                yield Ports(*block)
                return
    raise NoPortsError(f"no {BLOCK} free ports in a row between {FIRST} and {end} on {LOOPBACK}")


def _free(port: int) -> bool:
    """Whether a server could listen there; connections that are just closing don't count, as for a server."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return _binds(probe, port)


def _binds(socket_: socket.socket, port: int) -> bool:
    try:
        socket_.bind((LOOPBACK, port))
    except OSError:
        return False
    return True
