"""What the API server answers: its shapes, decoded, and its refusals as errors with what to do."""

import re
from collections.abc import Mapping
from functools import cache
from typing import Any, TypeVar

import msgspec

from reconciler.cluster import Body
from reconciler.errors import ClusterError, Conflict, Expired, Forbidden, NotFound, Rejected, Unauthorized
from reconciler.reaching.access import Access
from reconciler.reaching.trouble import valid_until

_ANSWERS: Mapping[int, type[ClusterError]] = {
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: Expired,
}
_ELSEWHERE = "does the server's address in the kubeconfig lead to something else, such as a login page?"
T = TypeVar("T")


class _ListMeta(msgspec.Struct):
    resourceVersion: str = ""  # noqa: N815 - the API's own names
    next: str = msgspec.field(name="continue", default="")


class _Page(msgspec.Struct):
    metadata: _ListMeta
    items: list[Body] | None = None


class _WatchLine(msgspec.Struct):
    type: str
    object: Body


class _Details(msgspec.Struct):
    causes: list[dict[str, str]] | None = None


class _Status(msgspec.Struct):
    """https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/."""

    message: str = ""
    reason: str = ""
    code: int = 0
    details: _Details | None = None


_PAGE = msgspec.json.Decoder(_Page)


@cache
def page_of(shape: type | None) -> "msgspec.json.Decoder[Any]":
    """Of a page whose items have that shape: what it doesn't name is passed over, which is several times as quick."""
    if shape is None:
        return _PAGE
    items: Any = list[shape] | None  # type: ignore[valid-type] # a type made while running
    fields: list[tuple[str, Any] | tuple[str, Any, Any]] = [("metadata", _ListMeta), ("items", items, None)]
    return msgspec.json.Decoder(msgspec.defstruct("ShapedPage", fields))


EVENT = msgspec.json.Decoder(_WatchLine)
_STATUS = msgspec.json.Decoder(_Status)
BODY = msgspec.json.Decoder(dict[str, Any])


def decoded(decoder: "msgspec.json.Decoder[T]", data: bytes, doing: str, where: str) -> T:
    """An answer's value. Raises: Rejected where it is none of an API server."""
    try:
        return decoder.decode(data)
    except msgspec.MsgspecError as error:
        raise Rejected(
            f"can't {doing}: the answer is none of a Kubernetes API server ({where}): {error}", hint=_ELSEWHERE
        ) from error


def refusal(doing: str, code: int, data: bytes, headers: Mapping[str, str], access: Access, where: str) -> ClusterError:
    """The error that an answer of that HTTP status is."""
    try:
        status = _STATUS.decode(data)
    except msgspec.MsgspecError:
        status = _Status(message=data[:200].decode(errors="replace").strip())
    kind = _ANSWERS.get(code, Rejected)
    text, hint = _explained(kind, status, access)
    if data.lstrip().startswith(b"<"):
        text, hint = f"the answer is a web page (HTTP {code})", _ELSEWHERE
    wait = headers.get("Retry-After", "")
    return kind(
        f"can't {doing}: {text or f'HTTP {code}'} ({where})",
        hint=hint,
        code=code,
        reason=status.reason,
        causes=(status.details.causes if status.details else None) or (),
        retry_after=float(wait) if wait.isdigit() else None,
    )


def _explained(kind: type[ClusterError], status: _Status, access: Access) -> tuple[str, str]:
    """The server's words, and what to do."""
    if kind is Unauthorized:
        return (
            f"the server doesn't know who asks{_identity(access)}",
            "get new credentials, or choose another --context",
        )
    if kind is Forbidden and " cannot " in status.message:
        return status.message, "ask the project's maintainer, or the cluster's admins, for access"
    if kind is NotFound and (not status.reason or "could not find the requested resource" in status.message):
        return "the server doesn't serve this kind", "is Kueue installed there, in a version that jobq knows?"
    return status.message, ""


def _identity(access: Access) -> str:
    who = f" (user {access.user!r} of the kubeconfig" if access.user else " (the pod's ServiceAccount"
    end = valid_until(access.certificate)
    return f"{who}{f', certificate valid until {end}' if end else ''})"


def warning_text(header: str) -> str:
    """``299 - "text"`` as https://www.rfc-editor.org/rfc/rfc9111#section-5.5 had it."""
    match = re.fullmatch(r'\d{3} \S+ "((?:[^"\\]|\\.)*)".*', header)
    return re.sub(r"\\(.)", r"\1", match[1]) if match else header
