"""The port to the API server over the official client's raw calls: one attempt, bounded time, plain JSON values."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from typing import NoReturn, TypeVar
from urllib.parse import quote, urlencode

import msgspec
import urllib3
from kubernetes.client.exceptions import ApiException
from kubernetes.client.rest import RESTResponse

from reconciler.cluster import Body, Channels, Event, Listing, Resource
from reconciler.errors import Expired, Unreachable
from reconciler.kubeconfig import find_access
from reconciler.model import MANAGER, PEOPLE
from reconciler.reaching import answers
from reconciler.reaching.access import Access
from reconciler.reaching.channels import COMMAND, PORT, Refused
from reconciler.reaching.proxies import without_password
from reconciler.reaching.transport import Transport
from reconciler.reaching.trouble import no_answer

PAGE = 500
LARGE_PAGE = 20_000
"""Where little is kept of each object. Of custom resources the server reads a second page several times as slowly."""
LISTS = 4
"""How often one LIST may start again after a 410 before it is given up."""
CONNECT_SECONDS = 5
ANSWER_SECONDS = 15
SILENCE_SECONDS = 150
"""A watch sends a bookmark every minute: longer silence is a cut connection."""

_APPLY = "application/apply-patch+yaml"
_MERGE = "application/merge-patch+json"
_JSON = "application/json"
_REVIEWS = ("/apis/authentication.k8s.io/", "/apis/authorization.k8s.io/")
_METADATA = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
OnWarning = Callable[[str], None]
T = TypeVar("T")


def connect(
    *,
    kubeconfig: str = "",
    context: str = "",
    workers: int = 16,
    on_warning: OnWarning = lambda _: None,
    as_user: str = "",
    as_groups: Sequence[str] = (),
    impersonating: str = "",
) -> "KubeCluster":
    """The cluster that kubectl would ask with the same words, as the same user. No request is made.

    ``as_user`` and ``as_groups`` are what kubectl's ``--as`` and ``--as-group`` are. ``impersonating`` is impersonated
    instead of whomever else: the identity found must have the right to do so.
    ``on_warning`` is called with each ``Warning`` the server sends, from the thread that asked.
    Raises: ClusterError where no server, or no identity, can be found: jobq never asks anonymously.
    """
    access = find_access(kubeconfig=kubeconfig, context=context, as_user=as_user, as_groups=as_groups)
    if impersonating:
        access = replace(access, impersonate=(("Impersonate-User", impersonating),))
    return KubeCluster(access, workers=workers, on_warning=on_warning)


class KubeCluster:
    """``reconciler.cluster.Cluster`` of one server. May be used by ``workers`` threads at once."""

    def __init__(self, access: Access, *, workers: int = 16, on_warning: OnWarning = lambda _: None) -> None:
        self._access = access
        self._on_warning = on_warning
        self._transport = Transport(access, workers)
        self._agent = f"{MANAGER}/{version('jobq')}"
        self._streams: set[urllib3.BaseHTTPResponse] = set()

    @property
    def address(self) -> str:
        """The server's URL."""
        return self._access.server

    @property
    def context(self) -> str:
        """The kubeconfig's context, or ``in-cluster``; with its file where there are several."""
        return f"{self._access.context} of {self._access.file}" if self._access.file else self._access.context

    def close(self) -> None:
        """Close the connections; a later call opens new ones."""
        self._transport.close()

    def cut(self) -> None:
        """End every watch and log that is open now, from any thread: whoever reads one sees its end."""
        for stream in tuple(self._streams):
            with suppress(RuntimeError, ValueError, OSError):  # it has ended by itself meanwhile
                stream.shutdown()

    def list(self, resource: Resource, *, namespace: str = "", labels: str = "", fields: str = "") -> Listing:
        """All pages; items lack ``apiVersion`` and ``kind``, as the API sends them. Raises: ClusterError."""
        query = {"limit": str(LARGE_PAGE if resource.shape else PAGE), "labelSelector": labels, "fieldSelector": fields}
        for attempt in range(LISTS):
            try:
                return self._pages(resource, namespace, query)
            except Expired:  # its own continue token would give an inconsistent rest
                if attempt + 1 == LISTS:
                    raise
        raise AssertionError(LISTS)

    def _pages(self, resource: Resource, namespace: str, query: Mapping[str, str]) -> Listing:
        doing, path = _listing_of(resource, namespace), _path(resource, namespace)
        accept = _METADATA if resource.metadata_only else _JSON
        decoder = answers.page_of(resource.shape)
        page = self._decode(doing, self._ask("GET", path, doing, query=query, accept=accept), decoder)
        items: list[Body] = page.items or []
        first = page.metadata
        while page.metadata.next:
            more = {**query, "continue": page.metadata.next}
            page = self._decode(doing, self._ask("GET", path, doing, query=more, accept=accept), decoder)
            items += page.items or ()
        return Listing(items, first.resourceVersion)

    def get(self, resource: Resource, name: str, *, namespace: str = "", subresource: str = "") -> Body:
        """One object, or one of its subresources. Raises: NotFound and other ClusterErrors."""
        doing = f"get {resource} {_named(namespace, name)}{f'/{subresource}' if subresource else ''}"
        return self._body("GET", _path(resource, namespace, name, subresource), doing)

    def read(self, path: str, *, seconds: float = 0) -> Body:
        """What the server says of itself. Raises: NotFound and other ClusterErrors."""
        doing = f"read {path.partition('?')[0]}"
        return self._decode(doing, self._ask("GET", path, doing, query={}, seconds=seconds), answers.BODY)

    def watch(
        self,
        resource: Resource,
        *,
        namespace: str = "",
        labels: str = "",
        fields: str = "",
        resource_version: str = "",
        seconds: int = 0,
    ) -> Iterator[Event]:
        """Events and bookmarks; ends after ``seconds``, or when the connection is cut. Raises: Expired: list again."""
        query = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "labelSelector": labels,
            "fieldSelector": fields,
            "resourceVersion": resource_version,
            "timeoutSeconds": str(seconds) if seconds else "",
        }
        silence = min(seconds + ANSWER_SECONDS, SILENCE_SECONDS) if seconds else SILENCE_SECONDS
        doing = f"watch {resource}{_inside(namespace)}"
        with self._stream(_path(resource, namespace), doing, query, silence) as answer:
            for line in _lines(_until_cut(_pieces(answer))):
                event = self._decode(doing, line, answers.EVENT)
                if event.type == "ERROR":
                    self._refuse(doing, int(event.object.get("code", 0)), msgspec.json.encode(event.object), {})
                yield Event(event.type, event.object)

    def apply(self, resource: Resource, body: Body, *, dry_run: bool = False) -> Body:
        """Server-side apply by field manager ``jobq``, with force. The object as it is, or would be, afterwards."""
        return self._applied(resource, body, MANAGER, dry_run=dry_run)

    def claim(self, resource: Resource, body: Body) -> Body:
        """The same by the field manager of people. Raises: Conflict where a uid or resourceVersion doesn't fit."""
        return self._applied(resource, body, PEOPLE)

    def _applied(self, resource: Resource, body: Body, manager: str, *, dry_run: bool = False) -> Body:
        meta = body["metadata"]
        namespace, name = meta.get("namespace", ""), meta["name"]
        query = {"fieldManager": manager, "force": "true", "dryRun": "All" if dry_run else ""}
        doing = f"apply {resource} {_named(namespace, name)}"
        return self._body("PATCH", _path(resource, namespace, name), doing, query, msgspec.json.encode(body), _APPLY)

    def create(self, resource: Resource, body: Body, *, namespace: str = "", dry_run: bool = False) -> Body:
        """POST; a field that the server doesn't know is refused. Raises: Conflict where the name is taken."""
        meta = body.get("metadata", {})
        namespace = namespace or (meta.get("namespace", "") if resource.namespaced else "")
        query = {"fieldManager": PEOPLE, "fieldValidation": "Strict", "dryRun": "All" if dry_run else ""}
        doing = f"create {resource} {_named(namespace, meta.get('name', ''))}".rstrip()
        return self._body("POST", _path(resource, namespace), doing, query, body, _JSON)

    def patch(self, resource: Resource, name: str, body: Body, *, namespace: str = "") -> Body:
        """JSON merge patch by the field manager of people. Raises: Conflict where a uid in it is another's."""
        doing = f"change {resource} {_named(namespace, name)}"
        query = {"fieldManager": PEOPLE, "fieldValidation": "Strict"}
        return self._body("PATCH", _path(resource, namespace, name), doing, query, body, _MERGE)

    def delete(
        self, resource: Resource, name: str, *, namespace: str = "", uid: str = "", background: bool = True
    ) -> None:
        """DELETE, of exactly that ``uid`` where one is given. Raises: NotFound; Conflict where the uid is another."""
        options: Body = {"propagationPolicy": "Background" if background else "Foreground"}
        if uid:
            options["preconditions"] = {"uid": uid}
        doing = f"delete {resource} {_named(namespace, name)}"
        self._body("DELETE", _path(resource, namespace, name), doing, {}, options, _JSON)

    def log(
        self,
        pod: str,
        *,
        namespace: str,
        container: str = "",
        follow: bool = False,
        tail: int | None = None,
        since_seconds: int | None = None,
        since_time: str = "",
        timestamps: bool = False,
        previous: bool = False,
    ) -> Iterator[bytes]:
        """An empty piece, then the container's bytes. Raises: ClusterError, also where the connection is cut."""
        query = {
            "container": container,
            "follow": "true" if follow else "",
            "tailLines": "" if tail is None else str(tail),
            "sinceSeconds": "" if since_seconds is None else str(since_seconds),
            "sinceTime": since_time,
            "timestamps": "true" if timestamps else "",
            "previous": "true" if previous else "",
        }
        doing = f"read the log of {_named(namespace, pod)}"
        path = f"/api/v1/namespaces/{quote(namespace)}/pods/{quote(pod)}/log"
        with self._stream(path, doing, query, None if follow else ANSWER_SECONDS) as answer, self._answering(doing):
            yield b""
            yield from _pieces(answer)

    def exec(
        self, pod: str, command: Sequence[str], *, namespace: str, container: str = "", stdin: bool, tty: bool
    ) -> Channels:
        """Run a command in a pod's container. Raises: ClusterError."""
        query = [("stdout", "true"), *([("stderr", "true")] if not tty else [])]
        query += [("stdin", "true")] if stdin else []
        query += [("tty", "true")] if tty else []
        query += [("container", container)] if container else []
        query += [("command", word) for word in command]
        return self._channels(pod, namespace, "exec", query, COMMAND, f"run a command in {_named(namespace, pod)}")

    def port_forward(self, pod: str, port: int, *, namespace: str) -> Channels:
        """A connection to a port of a pod. Raises: ClusterError."""
        doing = f"reach port {port} of {_named(namespace, pod)}"
        return self._channels(pod, namespace, "portforward", [("ports", str(port))], PORT, doing)

    def _channels(
        self, pod: str, namespace: str, subresource: str, query: Sequence[tuple[str, str]], protocol: str, doing: str
    ) -> Channels:
        path = f"/api/v1/namespaces/{quote(namespace)}/pods/{quote(pod)}/{subresource}"
        url = f"{self._access.server}{path}?{urlencode(query)}".replace("http", "ws", 1)
        headers = [("User-Agent", self._agent)]
        with self._answering(doing):
            try:
                return self._transport.channels(url, headers, protocol, (CONNECT_SECONDS, ANSWER_SECONDS))
            except Refused as answer:
                self._refuse(doing, answer.code, answer.body, answer.headers)

    def _body(
        self,
        method: str,
        path: str,
        doing: str,
        query: Mapping[str, str] | None = None,
        body: object = None,
        content: str = "",
    ) -> Body:
        answer = self._ask(method, path, doing, query=query or {}, body=body, content=content)
        return self._decode(doing, answer, answers.BODY)

    def _ask(
        self,
        method: str,
        path: str,
        doing: str,
        *,
        query: Mapping[str, str],
        body: object = None,
        content: str = "",
        accept: str = _JSON,
        seconds: float = 0,
    ) -> bytes:
        seconds = seconds or ANSWER_SECONDS
        with self._answering(doing, seconds, writes=_writes(method, path, query)):
            answer = self._call(method, path, query, seconds, body, content, accept=accept)
            data: bytes = answer.read()
        if answer.status >= 400:  # noqa: PLR2004 - HTTP's border
            self._refuse(doing, answer.status, data, answer.headers)
        return data

    @contextmanager
    def _stream(
        self, path: str, doing: str, query: Mapping[str, str], silence: float | None
    ) -> Iterator[urllib3.BaseHTTPResponse]:
        with self._answering(doing):
            answer = self._call("GET", path, query, silence, None, "", encoding="identity")
            if answer.status >= 400:  # noqa: PLR2004 - HTTP's border
                self._refuse(doing, answer.status, answer.read(), answer.headers)
        self._streams.add(answer.response)
        try:
            yield answer.response
        finally:
            self._streams.discard(answer.response)
            answer.response.close()

    def _call(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        silence: float | None,
        body: object,
        content: str,
        encoding: str = "gzip",
        accept: str = _JSON,
    ) -> RESTResponse:
        asked = urlencode({key: value for key, value in query.items() if value})
        headers = {"User-Agent": self._agent, "Accept": f"{accept}, */*", "Accept-Encoding": encoding}
        if content:
            headers["Content-Type"] = content
        url = f"{self._access.server}{path}{'?' if asked else ''}{asked}"
        asking = partial(self._transport.request, method, url, headers, body, (_connect(silence), silence))
        try:
            answer = asking()
        except ApiException:  # TLS failed, as one handshake in some ten thousand does: a question is asked once more
            if _writes(method, path, query):
                raise
            answer = asking()
        for text in answer.headers.getlist("Warning"):
            self._on_warning(answers.warning_text(text))
        return answer

    @contextmanager
    def _answering(self, doing: str, seconds: float = 0, *, writes: bool = False) -> Iterator[None]:
        """What the client raises where no answer came, as Unreachable."""
        try:
            yield
        except (urllib3.exceptions.HTTPError, ApiException, OSError) as error:
            text, hint = no_answer(doing, error, CONNECT_SECONDS, seconds or ANSWER_SECONDS, writes=writes)
            raise Unreachable(f"{text} ({self._where})", hint=hint) from error

    def _decode(self, doing: str, data: bytes, decoder: "msgspec.json.Decoder[T]") -> T:
        return answers.decoded(decoder, data, doing, self._where)

    def _refuse(self, doing: str, code: int, data: bytes, headers: Mapping[str, str]) -> NoReturn:
        raise answers.refusal(doing, code, data, headers, self._access, self._where)

    @property
    def _where(self) -> str:
        by = f", by proxy {without_password(self._access.proxy)}" if self._access.proxy else ""
        return f"{self.address}, context {self.context}{by}"


def _path(resource: Resource, namespace: str = "", name: str = "", subresource: str = "") -> str:
    parts = ["apis", resource.group] if resource.group else ["api"]
    parts.append(resource.version)
    if namespace and resource.namespaced:
        parts += ["namespaces", namespace]
    parts += [resource.plural, name, subresource]
    return "".join(f"/{quote(part, safe='')}" for part in parts if part)


def _writes(method: str, path: str, query: Mapping[str, str]) -> bool:
    """Whether it may change something: neither a dry-run does, nor a review, which is a question by POST."""
    return method != "GET" and not query.get("dryRun") and not path.startswith(_REVIEWS)


def _named(namespace: str, name: str) -> str:
    return f"{namespace}/{name}" if namespace else name


def _inside(namespace: str) -> str:
    return f" in {namespace}" if namespace else ""


def _listing_of(resource: Resource, namespace: str) -> str:
    return f"list {resource}{_inside(namespace)}"


def _pieces(answer: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
    """As they arrive: the API server sends streams in chunks."""
    yield from answer.stream(2**16)


def _until_cut(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """A watch that is cut has simply ended: whoever watches goes on from the last version seen."""
    try:
        yield from pieces
    except (urllib3.exceptions.HTTPError, OSError):
        return


def _lines(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Whole lines; the rest of a cut one is dropped."""
    rest = b""
    for piece in pieces:
        *whole, rest = (rest + piece).split(b"\n")
        yield from filter(None, whole)


def _connect(silence: float | None) -> float:
    """Seconds in which a connection must be there."""
    return CONNECT_SECONDS if silence is None else min(silence, CONNECT_SECONDS)
