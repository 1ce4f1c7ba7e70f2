"""Connections to one server as one identity: TLS, proxy, and credentials that may change meanwhile."""

import socket
import ssl
import threading
import warnings
from base64 import b64encode
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

import urllib3
from kubernetes.client import ApiClient, Configuration
from kubernetes.client.rest import RESTResponse
from kubernetes.utils.keepalive import tcp_keepalive_socket_options

from reconciler.errors import Unauthorized
from reconciler.reaching.access import Access, Credential
from reconciler.reaching.channels import Channels, Refused, open_channels
from reconciler.reaching.login import Login
from reconciler.reaching.nested import tunnel

_UNAUTHORIZED = 401
_Stamp = tuple[tuple[int, int, int], ...]


class Transport:
    """Requests to one server, as whoever ``access`` means; for ``workers`` threads at once."""

    def __init__(self, access: Access, workers: int) -> None:
        self._access = access
        self._workers = workers
        self._lock = threading.Lock()
        self._login = Login(access, access.plugin) if access.plugin else None
        self._given = Credential(certificate=access.certificate, key=access.key)
        self._stamp = _stamp(access)
        self._client: ApiClient | None = None
        self._shown = self._given
        if self._login is None:
            self._client_for(self._given)

    def request(
        self, method: str, url: str, headers: Mapping[str, str], body: object, timeout: tuple[float, float | None]
    ) -> RESTResponse:
        """One answer, whatever its status; a login that is refused is renewed, and the request sent once more.

        Raises: Unauthorized where no credential can be had, and what the client raises where no answer came.
        """
        credential = self._credential()
        answer = self._send(credential, method, url, headers, body, timeout)
        if answer.status == _UNAUTHORIZED and self._login:  # so nothing was done: it may be sent again
            answer.response.drain_conn()
            self._login.refused(credential)
            answer = self._send(self._credential(), method, url, headers, body, timeout)
        return answer

    def channels(
        self, url: str, headers: Sequence[tuple[str, str]], protocol: str, timeout: tuple[float, float]
    ) -> Channels:
        """A WebSocket of the caller's own, by the proxy and the TLS of every request; renewed alike.

        Raises: Refused, and as ``request`` does.
        """
        credential = self._credential()
        try:
            return self._open(credential, url, headers, protocol, timeout)
        except Refused as answer:
            if answer.code != _UNAUTHORIZED or not self._login:
                raise
        self._login.refused(credential)
        return self._open(self._credential(), url, headers, protocol, timeout)

    def close(self) -> None:
        """Close the connections; a later request opens new ones."""
        if self._client is not None:
            self._client.close()

    def _open(
        self,
        credential: Credential,
        url: str,
        headers: Sequence[tuple[str, str]],
        protocol: str,
        timeout: tuple[float, float],
    ) -> Channels:
        connect_seconds, answer_seconds = timeout
        said = [*headers, *self._identity(credential)]
        return open_channels(self._connection(credential, connect_seconds), url, said, protocol, answer_seconds)

    def _connection(self, credential: Credential, seconds: float) -> socket.socket:
        manager = self._client_for(credential).rest_client.pool_manager
        pool = manager.connection_from_url(self._access.server)
        if pool.proxy and pool.proxy.scheme == "https":
            return self._nested(pool.proxy, pool.proxy_headers, credential, seconds)
        one = pool._new_conn()  # noqa: SLF001 - a pool lends its connections, it gives none away
        one.timeout = seconds
        if pool.proxy and one.is_closed:
            pool._prepare_proxy(one)  # noqa: SLF001 - as above
        else:
            one.connect()
        connected = getattr(one, "sock", None)
        assert isinstance(connected, socket.socket)  # noqa: S101 - but for TLS within TLS it always is
        return connected

    def _nested(
        self, proxy: urllib3.util.Url, headers: Mapping[str, str], credential: Credential, seconds: float
    ) -> socket.socket:
        at = ((proxy.host or "").strip("[]"), proxy.port or 443)
        near = tunnel(at, headers, _proxy_tls(self._access), self._access.server, seconds)
        near.settimeout(seconds)
        name = self._access.server_name or urlsplit(self._access.server).hostname
        return tls(self._access, credential).wrap_socket(near, server_hostname=name)

    def _send(
        self,
        credential: Credential,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: object,
        timeout: tuple[float, float | None],
    ) -> RESTResponse:
        sent = urllib3.HTTPHeaderDict(headers)
        for key, value in self._identity(credential):
            sent.add(key, value.encode().decode("latin-1"))  # UTF-8, which the client would take for text
        return self._client_for(credential).call_api(method, url, sent, body, _request_timeout=timeout)

    def _credential(self) -> Credential:
        if self._login:
            return self._login.credential()
        if self._access.certificate_files and (stamp := _stamp(self._access)) != self._stamp:
            certificate, key = (_contents(path) for path in self._access.certificate_files)
            self._given, self._stamp = Credential(certificate=certificate, key=key), stamp
        return self._given

    def _identity(self, credential: Credential) -> Sequence[tuple[str, str]]:
        """The headers that say who asks, and as whom. Raises: Unauthorized, without quoting what no header can have."""
        said = self._authorization(credential)
        headers = [*([("Authorization", said)] if said else []), *self._access.impersonate]
        if any(ord(character) < ord(" ") for _, value in headers for character in value):
            raise Unauthorized(
                f"the credentials of context {self._access.context!r} have line breaks in them, or the like",
                hint="is the token, or its file, one line?",
            )
        return headers

    def _authorization(self, credential: Credential) -> str:
        """Files are read anew each time: tokens in them are replaced while a process runs."""
        token = credential.token or _token(self._access)
        if token:
            return f"Bearer {token}"
        if self._access.basic:
            return _basic(*self._access.basic)
        return ""

    def _client_for(self, credential: Credential) -> ApiClient:
        """The client whose connections show that certificate."""
        with self._lock:
            if self._client is None or (credential.certificate, credential.key) != (
                self._shown.certificate,
                self._shown.key,
            ):
                self._client, self._shown = _client(self._access, credential, self._workers), credential
            return self._client


def _client(access: Access, credential: Credential, workers: int) -> ApiClient:
    """A client that sends each request once: otherwise a lost DELETE is silently sent four times."""
    client = ApiClient(Configuration(host=access.server, retries=False, proxy="", no_proxy=""))
    client.rest_client.pool_manager = _pool(access, credential, workers)
    if access.insecure:
        warnings.filterwarnings("ignore", category=urllib3.exceptions.InsecureRequestWarning)
    return client


def _pool(access: Access, credential: Credential, workers: int) -> urllib3.PoolManager:
    settings: dict[str, Any] = {
        "maxsize": workers,
        "retries": False,
        # a followed log may be silent for days, and its connection die meanwhile
        "socket_options": tcp_keepalive_socket_options(),
    }
    if access.server.startswith("https:"):
        settings["ssl_context"] = tls(access, credential)
        if access.server_name:
            settings["server_hostname"] = access.server_name
    if not access.proxy:
        return urllib3.PoolManager(**settings)
    return _proxied_pool(access, settings)


def _proxied_pool(access: Access, settings: dict[str, Any]) -> urllib3.PoolManager:
    parts = urlsplit(access.proxy)
    bare = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], "", "", ""))
    name, password = unquote(parts.username or ""), unquote(parts.password or "")
    if parts.scheme.startswith("socks"):  # the proxy resolves the server's name, as for Go's programs
        from urllib3.contrib.socks import SOCKSProxyManager  # noqa: PLC0415 - few need it

        bare = f"socks5h{bare.removeprefix(parts.scheme)}"
        return SOCKSProxyManager(bare, username=name or None, password=password or None, **settings)
    shown = {"Proxy-Authorization": _basic(name, password)} if name else None
    trust = _proxy_tls(access) if parts.scheme == "https" else None
    return urllib3.ProxyManager(bare, proxy_headers=shown, proxy_ssl_context=trust, **settings)


def _basic(name: str, password: str) -> str:
    """As Go's programs say it."""
    return f"Basic {b64encode(f'{name}:{password}'.encode()).decode()}"


def tls(access: Access, credential: Credential) -> ssl.SSLContext:
    """One context for all connections; keys given as data touch the disk only while they are read.

    Python 3.13's VERIFY_X509_STRICT stays off: many clusters' own authorities lack a key identifier.
    """
    try:
        context = _trusting(access)
        if credential.certificate:
            _load_identity(context, credential)
    except (ssl.SSLError, ValueError) as error:
        raise Unauthorized(f"the certificates of context {access.context!r} can't be used: {error}") from error
    return context


def _trusting(access: Access) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if access.insecure:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    elif access.authority:
        context.load_verify_locations(cadata=access.authority.decode("ascii", errors="replace"))
    else:
        context.load_default_certs()
    return context


def _proxy_tls(access: Access) -> ssl.SSLContext:
    """The proxy is trusted as Go does: by the cluster's authority; and by the machine's."""
    context = _trusting(access)
    if not access.insecure:
        context.load_default_certs()
    return context


def _load_identity(context: ssl.SSLContext, credential: Credential) -> None:
    with TemporaryDirectory(prefix="jobq-") as folder:
        pem = Path(folder, "identity.pem")
        pem.touch(mode=0o600)
        pem.write_bytes(credential.certificate + b"\n" + credential.key)
        context.load_cert_chain(pem, password=lambda: "")  # an encrypted key is an error, not a prompt


def _stamp(access: Access) -> _Stamp:
    """Changes when the files of the certificate do; a file that is just being replaced counts as unchanged."""
    try:
        stats = [path.stat() for path in access.certificate_files]
    except OSError:
        return ()
    return tuple((one.st_mtime_ns, one.st_size, one.st_ino) for one in stats)


def _contents(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise Unauthorized(f"{path} can't be read: {error.strerror}") from error


def _token(access: Access) -> str:
    """That of the file, else the one that the kubeconfig has. Raises: ClusterError."""
    if access.token_file is None:
        return access.token
    try:
        found = access.token_file.read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        if access.token:
            return access.token
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise Unauthorized(f"the token file {access.token_file} can't be read: {why}") from error
    if not (found or access.token):
        raise Unauthorized(f"the token file {access.token_file} is empty")
    return found or access.token
