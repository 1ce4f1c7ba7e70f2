"""Kubeconfig files, read and merged as kubectl does: of several, the first to say a thing wins."""

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, Protocol, TypeVar

import msgspec

from reconciler.errors import ClusterError

_HOME_FILE = Path(".kube", "config")
T = TypeVar("T")


class Extension(msgspec.Struct):
    """What a cluster's entry says to others; ``extension`` is theirs."""

    name: str
    extension: object = None


class Cluster(msgspec.Struct, rename="kebab"):
    """One entry of ``clusters``."""

    server: str = ""
    certificate_authority: str = ""
    certificate_authority_data: str = ""
    insecure_skip_tls_verify: bool = False
    tls_server_name: str = ""
    proxy_url: str = ""
    extensions: list[Extension] | None = None


class Variable(msgspec.Struct):
    """A variable of a plugin's environment."""

    name: str
    value: str = ""


class Exec(msgspec.Struct, rename="camel"):
    """A login plugin, as the file has it."""

    api_version: str = ""
    command: str = ""
    args: list[str] | None = None
    env: list[Variable] | None = None
    install_hint: str = ""
    provide_cluster_info: bool = False
    interactive_mode: str = ""


class User(msgspec.Struct, rename="kebab"):
    """One entry of ``users``."""

    client_certificate: str = ""
    client_certificate_data: str = ""
    client_key: str = ""
    client_key_data: str = ""
    token: str = ""
    token_file: str = msgspec.field(name="tokenFile", default="")
    username: str = ""
    password: str = ""
    exec: Exec | None = None
    auth_provider: object = None
    act_as: str = msgspec.field(name="as", default="")
    as_uid: str = ""
    as_groups: list[str] | None = None
    as_user_extra: dict[str, list[str]] | None = None


class Context(msgspec.Struct, rename="kebab"):
    """One entry of ``contexts``."""

    cluster: str = ""
    user: str = ""


class _NamedCluster(msgspec.Struct):
    name: str
    cluster: Cluster | None = None


class _NamedUser(msgspec.Struct):
    name: str
    user: User | None = None


class _NamedContext(msgspec.Struct):
    name: str
    context: Context | None = None


class _File(msgspec.Struct, rename="kebab"):
    clusters: list[_NamedCluster] | None = None
    users: list[_NamedUser] | None = None
    contexts: list[_NamedContext] | None = None
    current_context: str | None = None


class _Named(Protocol):
    @property
    def name(self) -> str: ...


_N = TypeVar("_N", bound=_Named)


@dataclass(frozen=True, slots=True)
class Said(Generic[T]):
    """An entry, and the file that has it: its relative paths start there."""

    path: Path
    entry: T


@dataclass(slots=True)
class Merged:
    """All files as one; ``paths`` are those that were looked for, ``found`` says whether any is there."""

    paths: Sequence[Path]
    found: bool
    current: str = ""
    clusters: dict[str, Said[Cluster]] = field(default_factory=dict)
    users: dict[str, Said[User]] = field(default_factory=dict)
    contexts: dict[str, Said[Context]] = field(default_factory=dict)

    @property
    def place(self) -> str:
        """The files, as errors name them."""
        return ", ".join(map(str, self.paths))

    def add(self, path: Path, file: _File) -> None:
        """What an earlier file said stays. Raises: ClusterError where one file says a name twice."""
        self.current = self.current or file.current_context or ""
        for cluster in _once(path, "cluster", file.clusters or ()):
            self.clusters.setdefault(cluster.name, Said(path, cluster.cluster or Cluster()))
        for user in _once(path, "user", file.users or ()):
            self.users.setdefault(user.name, Said(path, user.user or User()))
        for context in _once(path, "context", file.contexts or ()):
            self.contexts.setdefault(context.name, Said(path, context.context or Context()))


def merge(kubeconfig: str, environ: Mapping[str, str]) -> Merged:
    """Read the files that ``--kubeconfig`` or the environment name. Raises: ClusterError."""
    paths = _paths(kubeconfig, environ)
    files = [path for path in paths if path.exists()]
    if kubeconfig and not files:
        raise ClusterError(f"there is no kubeconfig file {kubeconfig}")
    merged = Merged(paths, bool(files))
    for path in files:
        merged.add(path, _read(path))
    return merged


def _once(path: Path, what: str, entries: Iterable[_N]) -> Iterable[_N]:
    seen: set[str] = set()
    for entry in entries:
        if entry.name in seen:
            raise ClusterError(f"{path} has {what} {entry.name!r} twice", hint="take one of them out")
        seen.add(entry.name)
        yield entry


def _paths(kubeconfig: str, environ: Mapping[str, str]) -> Sequence[Path]:
    if kubeconfig:
        return [Path(kubeconfig).expanduser()]
    listed = [Path(part) for part in environ.get("KUBECONFIG", "").split(os.pathsep) if part]
    return listed or [Path.home() / _HOME_FILE]


def _read(path: Path) -> _File:
    try:
        return msgspec.yaml.decode(path.read_bytes() or b"{}", type=_File | None) or _File()
    except OSError as error:
        raise ClusterError(f"{path} can't be read: {error.strerror}") from error
    except msgspec.ValidationError as error:
        raise ClusterError(f"{path} is no kubeconfig: {error}") from error
    except msgspec.DecodeError as error:  # its text quotes the file, which may hold a token
        place = re.search(r"line \d+, column \d+", str(error))
        raise ClusterError(f"{path} is no YAML{f': {place[0]}' if place else ''}") from None
