"""Which API server, and as whom: kubeconfig files by kubectl's rules, or the ServiceAccount of the pod we run in.

The rules are those of https://kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig/: of several
files the first to say a thing wins, and relative paths start at the file that says them. An identity that was asked for
and can't be had is an error: going on without it would be going on as somebody else.
"""

import base64
import binascii
import difflib
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec

from reconciler.errors import ClusterError

IN_CLUSTER = "in-cluster"
NO_CLUSTER = "no cluster is configured"
"""How the message begins where nobody has named one anywhere."""
_POD_IDENTITY = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_HOME_FILE = Path(".kube", "config")


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """One server and one identity. PEM as bytes; ``proxy`` is ``""`` where the environment decides."""

    server: str
    context: str
    user: str = ""
    authority: bytes = b""
    insecure: bool = False
    server_name: str = ""
    proxy: str = ""
    certificate: bytes = field(default=b"", repr=False)
    key: bytes = field(default=b"", repr=False)
    token: str = field(default="", repr=False)
    token_file: Path | None = None
    basic: tuple[str, str] | None = field(default=None, repr=False)
    impersonate: Sequence[tuple[str, str]] = ()


class _Cluster(msgspec.Struct, rename="kebab"):
    server: str = ""
    certificate_authority: str = ""
    certificate_authority_data: str = ""
    insecure_skip_tls_verify: bool = False
    tls_server_name: str = ""
    proxy_url: str = ""


class _User(msgspec.Struct, rename="kebab"):
    client_certificate: str = ""
    client_certificate_data: str = ""
    client_key: str = ""
    client_key_data: str = ""
    token: str = ""
    token_file: str = msgspec.field(name="tokenFile", default="")
    username: str = ""
    password: str = ""
    exec: object = None
    auth_provider: object = None
    act_as: str = msgspec.field(name="as", default="")
    as_uid: str = ""
    as_groups: list[str] = []
    as_user_extra: dict[str, list[str]] = {}


class _Context(msgspec.Struct, rename="kebab"):
    cluster: str = ""
    user: str = ""


class _NamedCluster(msgspec.Struct):
    name: str
    cluster: _Cluster | None = None


class _NamedUser(msgspec.Struct):
    name: str
    user: _User | None = None


class _NamedContext(msgspec.Struct):
    name: str
    context: _Context | None = None


class _File(msgspec.Struct, rename="kebab"):
    clusters: list[_NamedCluster] | None = None
    users: list[_NamedUser] | None = None
    contexts: list[_NamedContext] | None = None
    current_context: str | None = None


@dataclass(slots=True)
class _Merged:
    """All files as one; a cluster and a user come with the folder where their relative paths start."""

    paths: Sequence[Path]
    found: bool
    current: str = ""
    clusters: dict[str, tuple[Path, _Cluster]] = field(default_factory=dict)
    users: dict[str, tuple[Path, _User]] = field(default_factory=dict)
    contexts: dict[str, _Context] = field(default_factory=dict)

    @property
    def place(self) -> str:
        """The files, as errors name them."""
        return ", ".join(map(str, self.paths))

    def add(self, path: Path, file: _File) -> None:
        """What an earlier file said stays."""
        self.current = self.current or file.current_context or ""
        for cluster in file.clusters or ():
            self.clusters.setdefault(cluster.name, (path.parent, cluster.cluster or _Cluster()))
        for user in file.users or ():
            self.users.setdefault(user.name, (path.parent, user.user or _User()))
        for context in file.contexts or ():
            self.contexts.setdefault(context.name, context.context or _Context())


@dataclass(frozen=True, slots=True)
class _Chosen:
    access: Access
    folder: Path
    cluster: _Cluster


def find_access(*, kubeconfig: str = "", context: str = "", environ: Mapping[str, str] = os.environ) -> Access:
    """Server and identity as ``--kubeconfig``, ``--context`` and the environment mean them. Raises: ClusterError."""
    merged = _merge(kubeconfig, environ)
    if _is_pod(merged, context, environ):
        return _pod_access(environ)
    chosen = _choose(merged, context)
    return _with_identity(_with_server(chosen.access, chosen.folder, chosen.cluster), *merged.users[chosen.access.user])


def find_server(*, kubeconfig: str = "", context: str = "", environ: Mapping[str, str] = os.environ) -> str:
    """The server's URL alone, by the same rules, without looking at credentials. Raises: ClusterError."""
    merged = _merge(kubeconfig, environ)
    if _is_pod(merged, context, environ):
        return _pod_server(environ)
    return _choose(merged, context).access.server


def _merge(kubeconfig: str, environ: Mapping[str, str]) -> _Merged:
    paths = _paths(kubeconfig, environ)
    files = [path for path in paths if path.is_file()]
    if kubeconfig and not files:
        raise ClusterError(f"there is no kubeconfig file {kubeconfig}")
    merged = _Merged(paths, bool(files))
    for path in files:
        merged.add(path, _read(path))
    return merged


def _is_pod(merged: _Merged, context: str, environ: Mapping[str, str]) -> bool:
    """Whether only the pod's own identity is left, as kubectl sees it."""
    return not (context or merged.current or merged.clusters) and bool(environ.get("KUBERNETES_SERVICE_HOST"))


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


def _choose(merged: _Merged, wanted: str) -> _Chosen:
    name = wanted or merged.current
    if not name:
        raise ClusterError(_nowhere(merged), hint="name a file by --kubeconfig or KUBECONFIG, or a --context")
    if name not in merged.contexts:
        raise ClusterError(f"there is no context {name!r} in {merged.place}", hint=_nearest(name, merged.contexts))
    context = merged.contexts[name]
    folder, cluster = merged.clusters.get(context.cluster, (Path(), _Cluster()))
    if not cluster.server:
        raise ClusterError(f"context {name!r} in {merged.place} names cluster {context.cluster!r}: no server is there")
    if context.user not in merged.users:
        raise ClusterError(f"context {name!r} in {merged.place} names user {context.user!r}, who isn't there")
    return _Chosen(Access(server=cluster.server.rstrip("/"), context=name, user=context.user), folder, cluster)


def _nowhere(merged: _Merged) -> str:
    if merged.found:
        return f"{merged.place} names no current context"
    return f"{NO_CLUSTER}: {merged.place} isn't there, and this is no pod"


def _nearest(name: str, known: Mapping[str, object]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    if near:
        return f"did you mean {near[0]!r}?"
    return f"there are: {', '.join(sorted(known))}" if known else ""


def _with_server(access: Access, folder: Path, cluster: _Cluster) -> Access:
    authority = _pem(cluster.certificate_authority_data, cluster.certificate_authority, folder, "the authority")
    return replace(
        access,
        authority=authority,
        insecure=cluster.insecure_skip_tls_verify,
        server_name=cluster.tls_server_name,
        proxy=cluster.proxy_url,
    )


def _with_identity(access: Access, folder: Path, user: _User) -> Access:
    for asked, word in ((user.exec, "an exec plugin"), (user.auth_provider, "an auth-provider")):
        if asked is not None:
            raise ClusterError(
                f"user {access.user!r} of context {access.context!r} logs in by {word}, which jobq can't run",
                hint="name a --context whose user has a certificate or a token",
            )
    access = replace(
        access,
        certificate=_pem(user.client_certificate_data, user.client_certificate, folder, f"{access.user}'s certificate"),
        key=_pem(user.client_key_data, user.client_key, folder, f"{access.user}'s key"),
        token=user.token,
        token_file=folder / user.token_file if user.token_file and not user.token else None,
        basic=(user.username, user.password) if user.username else None,
        impersonate=_impersonation(user),
    )
    if not (access.certificate or access.token or access.token_file or access.basic):
        raise ClusterError(f"user {access.user!r} of context {access.context!r} has no credentials in the kubeconfig")
    return access


def _impersonation(user: _User) -> Sequence[tuple[str, str]]:
    """Headers by https://kubernetes.io/docs/reference/access-authn-authz/authentication/#user-impersonation."""
    if not user.act_as:
        if user.as_groups or user.as_uid or user.as_user_extra:
            raise ClusterError("the kubeconfig has as-groups, as-uid or as-user-extra, but no 'as'")
        return ()
    headers = [("Impersonate-User", user.act_as)]
    headers += [("Impersonate-Uid", user.as_uid)] if user.as_uid else []
    headers += [("Impersonate-Group", group) for group in user.as_groups]
    headers += [(f"Impersonate-Extra-{key}", value) for key, values in user.as_user_extra.items() for value in values]
    return headers


def _pem(data: str, file: str, folder: Path, what: str) -> bytes:
    if data:
        try:
            return base64.b64decode("".join(data.split()), validate=True)
        except binascii.Error:
            raise ClusterError(f"the kubeconfig's data for {what} is no base64") from None
    if not file:
        return b""
    try:
        return (folder / file).read_bytes()
    except OSError as error:
        raise ClusterError(f"{folder / file} can't be read ({what}): {error.strerror}") from error


def _pod_access(environ: Mapping[str, str]) -> Access:
    token, authority = _POD_IDENTITY / "token", _POD_IDENTITY / "ca.crt"
    if not (token.is_file() and authority.is_file()):
        raise ClusterError(
            f"this pod has no ServiceAccount token at {_POD_IDENTITY}", hint="name a file by --kubeconfig"
        )
    return Access(
        server=_pod_server(environ),
        context=IN_CLUSTER,
        authority=authority.read_bytes(),
        token_file=token,
    )


def _pod_server(environ: Mapping[str, str]) -> str:
    host, port = environ["KUBERNETES_SERVICE_HOST"], environ.get("KUBERNETES_SERVICE_PORT", "443")
    return f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
