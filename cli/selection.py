"""The project that a command acts on: what is said, or else the only one that the caller belongs to."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from cli import advice, clock, console, settings
from cli.catalogue import Caller, Entry, may, read_catalogue, read_entry, role_in, who_am_i, whom_to_ask
from cli.settings import Choice
from reconciler.cluster import Cluster
from reconciler.errors import Forbidden, UsageError
from reconciler.kinds import JOB
from reconciler.model import Role

_FLAG = "--project"
_ADMINS = "system:masters"
ONLY = "the only project you belong to"
A = TypeVar("A")
B = TypeVar("B")


@dataclass(frozen=True, slots=True)
class Current:
    """The project, who asks, and why this project."""

    entry: Entry
    caller: Caller
    origin: str

    @property
    def option(self) -> str:
        """What a later command needs to mean the same project: `` -p NAME``, or nothing."""
        return f" -p {self.entry.name}" if self.origin == _FLAG else ""

    @property
    def role(self) -> Role | None:
        """The caller's today; None for no member."""
        return role_in(self.entry, self.caller, clock.today())

    @property
    def is_foreign(self) -> bool:
        """Whether it is for others: neither a member's nor an administrator's."""
        return self.role is None and _ADMINS not in self.caller.groups

    @property
    def foreign(self) -> str:
        """That, as a sentence."""
        return f"you ({self.caller.name}) don't belong to project {self.entry.name!r}"

    def command(self, deed: str, *words: str) -> str:
        """A later command about the same project: ``jobq logs -f -p vision train-x7k2p``."""
        return advice.command(deed, self.option, *words)


def said(flag: str, server: str) -> Sequence[Choice]:
    """What is said here and now, strongest first. Raises: UsageError."""
    return settings.choices(flag, environ=os.environ, folder=Path.cwd(), server=server)


def current(cluster: Cluster, flag: str) -> Current:
    """Resolve the project; who is no member may have rights all the same. Raises: UsageError, ClusterError."""
    found = resolved(cluster, flag)
    if found.is_foreign:
        if not may(cluster, "list", JOB, found.entry.namespace):
            raise Forbidden(found.foreign, hint=whom_to_ask(found.entry))
        warn_stranger(found)
    return found


def warn_stranger(found: Current) -> None:
    """Say to somebody who is no member that others decide on the project."""
    if found.is_foreign:
        console.warn(f"{found.foreign}: {whom_to_ask(found.entry)}")


def resolved(cluster: Cluster, flag: str) -> Current:
    """The project, in one round trip where one is said. Raises: UsageError, ClusterError."""
    choices = said(flag, cluster.address)
    if not choices:
        return only(cluster)
    choice = choices[0]
    entry, caller = together(lambda: _entry(cluster, choice), lambda: who_am_i(cluster))
    return Current(entry, caller, choice.origin)


def only(cluster: Cluster) -> Current:
    """The only project of the caller. Raises: UsageError where there are none or several."""
    entries, caller = together(lambda: read_catalogue(cluster), lambda: who_am_i(cluster))
    mine = [entry for entry in entries if entry.state != "archived" and role_in(entry, caller, clock.today())]
    if not mine:
        raise settings.no_project(f", and you ({caller.name}) belong to none of this cluster")
    if len(mine) > 1:
        raise settings.no_project(yours=[entry.name for entry in mine])
    return Current(mine[0], caller, ONLY)


def together(one: Callable[[], A], other: Callable[[], B]) -> tuple[A, B]:
    """Both answers in the time of one. Raises what either raises, the first one's first."""
    with ThreadPoolExecutor(1) as pool:
        second = pool.submit(other)
        return one(), second.result()


def _entry(cluster: Cluster, choice: Choice) -> Entry:
    try:
        return read_entry(cluster, choice.name)
    except UsageError as error:
        raise UsageError(f"{error} (named by {choice.origin})", hint=error.hint) from error
