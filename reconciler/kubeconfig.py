"""Which API server, and as whom: kubeconfig files by kubectl's rules, or the ServiceAccount of the pod we run in.

The rules are those of https://kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig/: of several
files the first to say a thing wins, and relative paths start at the file that says them. An identity that was asked for
and can't be had is an error: going on without it would be going on as somebody else.
"""

import base64
import binascii
import difflib
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote, urlsplit

import msgspec

from reconciler.errors import ClusterError
from reconciler.reaching.access import Access, Plugin
from reconciler.reaching.files import Cluster, Exec, Merged, Said, User, merge
from reconciler.reaching.proxies import configured_proxy, environment_proxy, names_host, without_password

IN_CLUSTER = "in-cluster"
NO_CLUSTER = "no cluster is configured"
"""How the message begins where nobody has named one anywhere."""
_POD_IDENTITY = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_VERSIONS = ("client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1")
_MODES = ("Never", "IfAvailable", "Always")
_PLUGINS_OWN = "client.authentication.k8s.io/exec"
"""The extension of a cluster that its plugins are told."""


def find_access(
    *,
    kubeconfig: str = "",
    context: str = "",
    as_user: str = "",
    as_groups: Sequence[str] = (),
    environ: Mapping[str, str] = os.environ,
) -> Access:
    """Server and identity as kubectl's options of these names and the environment mean them. Raises: ClusterError."""
    merged = merge(kubeconfig, environ)
    acting = User(act_as=as_user, as_groups=list(as_groups))
    if _is_pod(merged, context, environ):
        return replace(_pod_access(environ), impersonate=_impersonation(acting))
    name = _context(merged, context)
    cluster, user = _cluster(merged, name), _user(merged, name)
    entry = msgspec.structs.replace(user.entry, act_as=as_user or user.entry.act_as)
    entry.as_groups = list(as_groups) or entry.as_groups
    said = merged.contexts[name]
    file = str(said.path) if merged.paths[1:] else ""
    access = Access(server=_server(cluster), context=name, file=file, user=said.entry.user)
    return _with_identity(_with_server(access, cluster, environ), cluster, Said(user.path, entry))


def find_server(*, kubeconfig: str = "", context: str = "", environ: Mapping[str, str] = os.environ) -> str:
    """The server's URL alone, by the same rules, without looking at credentials. Raises: ClusterError."""
    merged = merge(kubeconfig, environ)
    if _is_pod(merged, context, environ):
        return _pod_server(environ)
    return _server(_cluster(merged, _context(merged, context)))


def _is_pod(merged: Merged, context: str, environ: Mapping[str, str]) -> bool:
    """Whether only the pod's own identity is left, as kubectl sees it."""
    return not (context or merged.current or merged.clusters) and bool(environ.get("KUBERNETES_SERVICE_HOST"))


def _context(merged: Merged, wanted: str) -> str:
    name = wanted or merged.current
    if not name:
        raise ClusterError(_nowhere(merged), hint="name a file by --kubeconfig or KUBECONFIG, or a --context")
    if name not in merged.contexts:
        raise ClusterError(f"there is no context {name!r} in {merged.place}", hint=_nearest(name, merged.contexts))
    return name


def _cluster(merged: Merged, context: str) -> Said[Cluster]:
    said = merged.contexts[context]
    cluster = merged.clusters.get(said.entry.cluster)
    if cluster is None or not cluster.entry.server:
        raise ClusterError(
            f"context {context!r} in {said.path} names cluster {said.entry.cluster!r}: no server is there"
        )
    url, whose = _server(cluster), f"the server of cluster {said.entry.cluster!r} in {cluster.path}"
    if not names_host(url, ("https", "http")):
        raise ClusterError(f"{whose} is no URL: {without_password(url)}", hint="write https://HOST:PORT")
    if "@" in urlsplit(url).netloc:
        raise ClusterError(f"{whose} has a name or a password in its URL", hint="write them into the user's entry")
    return cluster


def _user(merged: Merged, context: str) -> Said[User]:
    said = merged.contexts[context]
    if said.entry.user not in merged.users:
        raise ClusterError(f"context {context!r} in {said.path} names user {said.entry.user!r}, who isn't there")
    return merged.users[said.entry.user]


def _server(cluster: Said[Cluster]) -> str:
    url = cluster.entry.server.rstrip("/")
    return url if "://" in url else f"https://{url}"


def _nowhere(merged: Merged) -> str:
    if merged.found:
        return f"{merged.place} names no current context"
    return f"{NO_CLUSTER}: {merged.place} isn't there, and this is no pod"


def _nearest(name: str, known: Mapping[str, object]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    if near:
        return f"did you mean {near[0]!r}?"
    return f"there are: {', '.join(sorted(known))}" if known else ""


def _with_server(access: Access, cluster: Said[Cluster], environ: Mapping[str, str]) -> Access:
    said, folder = cluster.entry, cluster.path.parent
    name = access.server
    proxy = configured_proxy(said.proxy_url, name) if said.proxy_url else environment_proxy(name, environ)
    return replace(
        access,
        authority=_pem(said.certificate_authority_data, said.certificate_authority, folder, "the authority"),
        insecure=said.insecure_skip_tls_verify,
        server_name=said.tls_server_name,
        proxy=proxy,
    )


def _with_identity(access: Access, cluster: Said[Cluster], said: Said[User]) -> Access:
    user, folder, whose = said.entry, said.path.parent, f"user {access.user!r} in {said.path}"
    if user.auth_provider is not None:
        raise ClusterError(
            f"{whose} logs in by an auth-provider, which kubectl has given up too",
            hint="ask whoever runs the cluster for a kubeconfig with a login plugin (exec)",
        )
    if user.username and user.token:
        raise ClusterError(f"{whose} has a token and a password", hint="take one of them out")
    access = replace(
        access,
        certificate=_pem(user.client_certificate_data, user.client_certificate, folder, f"{access.user}'s certificate"),
        key=_pem(user.client_key_data, user.client_key, folder, f"{access.user}'s key"),
        certificate_files=_certificate_files(user, folder),
        token=user.token,
        token_file=folder / user.token_file if user.token_file else None,
        basic=(user.username, user.password) if user.username else None,
        impersonate=_impersonation(user),
    )
    if access.certificate and not access.key:
        raise ClusterError(f"{whose} has a client certificate, but no key for it")
    plugin = _plugin(user.exec, folder, access, cluster, whose) if user.exec else None
    if not (access.token or access.token_file or access.basic):  # as for kubectl: these need no plugin
        access = replace(access, plugin=plugin)
    if not (access.certificate or access.token or access.token_file or access.basic or access.plugin):
        raise ClusterError(
            f"{whose} has no credentials", hint=f"context {access.context!r} names that user; name another --context"
        )
    return access


def _certificate_files(user: User, folder: Path) -> Sequence[Path]:
    if user.client_certificate_data or user.client_key_data or not (user.client_certificate and user.client_key):
        return ()
    return (folder / user.client_certificate, folder / user.client_key)


def _plugin(said: Exec, folder: Path, access: Access, cluster: Said[Cluster], whose: str) -> Plugin:
    """Raises: ClusterError where kubectl would refuse it, too."""
    mode = said.interactive_mode or ("IfAvailable" if said.api_version == _VERSIONS[1] else "")
    for wrong, why in (
        (not said.command, "names no command"),
        (said.api_version not in _VERSIONS, f"has apiVersion {said.api_version!r}; known are {', '.join(_VERSIONS)}"),
        (mode not in _MODES, f"has interactiveMode {said.interactive_mode!r}; it is one of {', '.join(_MODES)}"),
    ):
        if wrong:
            raise ClusterError(f"the login plugin of {whose} {why}", hint=said.install_hint)
    return Plugin(
        version=said.api_version,
        command=str(folder.absolute() / said.command) if os.sep in said.command else said.command,
        arguments=said.args or (),
        variables=[(variable.name, variable.value) for variable in said.env or ()],
        hint=said.install_hint,
        interactive=mode,
        cluster=_told(access, cluster) if said.provide_cluster_info else None,
    )


def _told(access: Access, cluster: Said[Cluster]) -> Mapping[str, object]:
    """What a plugin is told of the server, where it wants to know."""
    own = [one.extension for one in cluster.entry.extensions or () if one.name == _PLUGINS_OWN]
    told: Mapping[str, object] = {
        "server": access.server,
        "tls-server-name": access.server_name,
        "insecure-skip-tls-verify": access.insecure,
        "certificate-authority-data": base64.b64encode(access.authority).decode(),
        "proxy-url": cluster.entry.proxy_url,
        "config": own[0] if own else None,
    }
    return {key: value for key, value in told.items() if value}


def _impersonation(user: User) -> Sequence[tuple[str, str]]:
    """Headers by https://kubernetes.io/docs/reference/access-authn-authz/authentication/#user-impersonation."""
    if not user.act_as:
        if user.as_groups or user.as_uid or user.as_user_extra:
            raise ClusterError(
                "groups, a uid or extra fields are to be impersonated, but no user",
                hint="say --as NAME too (`as` in the kubeconfig)",
            )
        return ()
    headers = [("Impersonate-User", user.act_as)]
    headers += [("Impersonate-Uid", user.as_uid)] if user.as_uid else []
    headers += [("Impersonate-Group", group) for group in user.as_groups or ()]
    extra = user.as_user_extra or {}
    return headers + [(f"Impersonate-Extra-{quote(key)}", value) for key, values in extra.items() for value in values]


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
