"""Counts requests from the API server's audit log, by who made them: the server's metrics mix all clients."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

LONG_VERBS: Final = frozenset({"watch", "proxy"})
LONG_SUBRESOURCES: Final = frozenset({"attach", "exec", "log", "portforward", "proxy"})


@dataclass(frozen=True, slots=True)
class Request:
    """One request that the API server answered, or began to answer if it is a long one."""

    user: str
    user_agent: str
    verb: str
    resource: str
    """With its subresource: `jobs/status`; empty for other addresses."""
    namespace: str
    uri: str
    code: int


def requests(log: Path, since: int = 0, *, user: str | None = None, user_agent: str | None = None) -> list[Request]:
    """The requests written behind byte `since` of `log`, in the order they were answered.

    `user` is the whole name, `user_agent` any part of it. A last line that is still being written is left out; so is
    the end of a long request (watch, log, exec ...), which is counted where it begins.
    """
    with log.open("rb") as file:
        file.seek(since)
        lines = file.read().split(b"\n")[:-1]
    entries = [json.loads(line) for line in lines]
    found = [_request(entry) for entry in entries if not _is_long_ones_end(entry)]
    return [
        request
        for request in found
        if (user is None or request.user == user) and (user_agent is None or user_agent in request.user_agent)
    ]


def end(log: Path) -> int:
    """Where the last whole line of `log` ends: a `since` for what comes."""
    content = log.read_bytes()
    return content.rfind(b"\n") + 1


def _request(entry: dict[str, Any]) -> Request:
    target = entry.get("objectRef", {})
    return Request(
        user=entry["user"].get("username", ""),
        user_agent=entry.get("userAgent", ""),
        verb=entry["verb"],
        resource="/".join(target[part] for part in ("resource", "subresource") if target.get(part)),
        namespace=target.get("namespace", ""),
        uri=entry["requestURI"],
        code=entry.get("responseStatus", {}).get("code", 0),
    )


def _is_long_ones_end(entry: dict[str, Any]) -> bool:
    is_long = entry["verb"] in LONG_VERBS or entry.get("objectRef", {}).get("subresource") in LONG_SUBRESOURCES
    return is_long and entry["stage"] != "ResponseStarted"
