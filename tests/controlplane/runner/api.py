"""Small doors to the Kubernetes API: JSON in, JSON out, in the event loop."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aiohttp
from kubernetes.aio import client, config

type_of_patch = {
    "strategic": "application/strategic-merge-patch+json",
    "merge": "application/merge-patch+json",
}
WATCH_SECONDS = 240
REQUEST_SECONDS = 30

Resource = dict[str, Any]


class ApiError(Exception):
    """The API server refused, or (status 0) didn't answer."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Api:
    """Requests by path, e.g. /api/v1/pods."""

    def __init__(self, api_client: client.ApiClient) -> None:
        self._client = api_client
        self._server = api_client.configuration.host

    @classmethod
    async def connect(cls, kubeconfig: Path) -> "Api":
        """Read a kubeconfig; nothing is asked yet."""
        settings = client.Configuration()
        await config.load_kube_config(str(kubeconfig), client_configuration=settings, persist_config=False)
        settings.client_session_kwargs = {"trust_env": False}  # a proxy is never on the way to loopback
        return cls(client.ApiClient(settings))

    async def close(self) -> None:
        """Let go of the connections."""
        await self._client.close()

    async def get(self, path: str, **query: str) -> Resource:
        """One object, or a list.

        Raises: ApiError.
        """
        return await self._request("GET", path, query)

    async def post(self, path: str, body: Resource) -> Resource:
        """Create an object.

        Raises: ApiError.
        """
        return await self._request("POST", path, {}, body)

    async def patch(self, path: str, body: Resource, kind: str = "strategic") -> Resource:
        """Change an object; lists merge as their type says (strategic), or are replaced (merge).

        Raises: ApiError.
        """
        return await self._request("PATCH", path, {}, body, type_of_patch[kind])

    async def delete(self, path: str, body: Resource) -> Resource:
        """Delete an object, with DeleteOptions.

        Raises: ApiError.
        """
        return await self._request("DELETE", path, {}, body)

    async def watch(self, path: str, version: str, **query: str) -> AsyncIterator[tuple[str, Resource]]:
        """Changes after a resourceVersion, until the server ends the watch.

        Raises: ApiError; status 410 asks for a new list.
        """
        query |= {
            "watch": "true",
            "resourceVersion": version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(WATCH_SECONDS),
        }
        response = await self._send("GET", path, query, seconds=WATCH_SECONDS + REQUEST_SECONDS)
        try:
            async for line in lines_of(response):
                event = json.loads(line)
                if event["type"] == "ERROR":
                    raise ApiError(event["object"].get("code", 500), event["object"].get("message", "watch failed"))
                yield event["type"], event["object"]
        except (aiohttp.ClientError, TimeoutError) as error:
            raise ApiError(0, f"watch of {path} broke off: {error}") from error
        finally:
            response.close()

    async def _request(
        self,
        method: str,
        path: str,
        query: dict[str, str],
        body: Resource | None = None,
        kind: str = "application/json",
    ) -> Resource:
        response = await self._send(method, path, query, body, kind)
        try:
            answer = await response.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise ApiError(0, f"{method} {path}: {error}") from error
        found: Resource = json.loads(answer)
        return found

    async def _send(
        self,
        method: str,
        path: str,
        query: dict[str, str],
        body: Resource | None = None,
        kind: str = "application/json",
        seconds: float = REQUEST_SECONDS,
    ) -> aiohttp.ClientResponse:
        """The answer, not read yet.

        Raises: ApiError if there is none, or an error.
        """
        url = self._server + path + ("?" + urlencode(query) if query else "")
        headers = {"Accept": "application/json", "Content-Type": kind, "User-Agent": "jobq-runner"}
        limit = aiohttp.ClientTimeout(total=seconds)
        try:
            answer = await self._client.call_api(method, url, headers, body, _request_timeout=limit)
            response: aiohttp.ClientResponse = answer.response
            if response.status >= 400:
                raise ApiError(response.status, message_in(await response.read(), f"{method} {path}"))
        except (aiohttp.ClientError, TimeoutError) as error:
            raise ApiError(0, f"{method} {path}: {str(error) or type(error).__name__}") from error
        return response


def message_in(answer: bytes, request: str) -> str:
    """The text of a Status object, or what came instead."""
    try:
        return str(json.loads(answer)["message"])
    except (ValueError, KeyError, TypeError):
        return f"{request}: {answer[:200].decode(errors='replace')}"


async def lines_of(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    """Lines of any length: aiohttp's own readline has a limit."""
    rest: list[bytes] = []
    async for data in response.content.iter_any():
        *lines, last = data.split(b"\n")
        for line in lines:
            yield b"".join(rest) + line
            rest.clear()
        rest.append(last)


async def observe(api: Api, path: str, **query: str) -> AsyncIterator[tuple[str, Any]]:
    """All objects under path, for ever: ("LIST", [objects]) at first and after every loss, then ("ADDED", object) etc.

    Bookmarks are passed over; an unreachable server is tried again.
    """
    pause = 0.1
    while True:
        try:
            found = await api.get(path, **query)
            version = found["metadata"]["resourceVersion"]
            yield "LIST", found["items"]
            pause = 0.1
            while True:
                async for kind, changed in api.watch(path, version, **query):
                    version = changed["metadata"]["resourceVersion"]
                    if kind != "BOOKMARK":
                        yield kind, changed
        except ApiError as error:
            if error.status != 410:  # Gone: only a new list helps
                await asyncio.sleep(pause)
                pause = min(2 * pause, 5)
