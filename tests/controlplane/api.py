"""The few requests that setting up a control plane takes, over one kept connection."""

import http.client
import json
import ssl
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

Document = dict[str, Any]
"""One Kubernetes object as plain JSON values."""

TIMEOUT_SECONDS: Final = 15.0
TRIES: Final = 10
CREATED: Final = frozenset({200, 201, 202})


class Refused(Exception):
    """The API server answered with an error."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status


class Api:
    """One connection to the API server with a client certificate. Not for use by two threads at once."""

    def __init__(self, server: str, authority: Path, certificate: Path, key: Path) -> None:
        context = ssl.create_default_context(cafile=str(authority))
        context.load_cert_chain(str(certificate), str(key))
        address = urlsplit(server)
        self._connection = http.client.HTTPSConnection(
            address.hostname or "", address.port, context=context, timeout=TIMEOUT_SECONDS
        )

    def call(self, method: str, path: str, body: Document | None = None, headers: Mapping[str, str] = {}) -> Any:  # noqa: ANN401 - JSON
        """The answer's JSON value, or its text.

        Raises:
            Refused: any answer that isn't a success.
            OSError: no answer.
        """
        content = None if body is None else json.dumps(body).encode()
        asked = partial(self._ask, method, path, content, {"Content-Type": "application/json", **headers})
        answer, text = asked()
        for _ in range(TRIES):
            if answer.status != http.client.TOO_MANY_REQUESTS:
                break
            time.sleep(1)  # a server that has much to do, or whose store of a kind begins anew
            answer, text = asked()
        is_json = answer.headers.get_content_type() == "application/json"
        value: Any = json.loads(text) if is_json else text.decode(errors="replace")
        if answer.status not in CREATED:
            raise Refused(answer.status, f"{method} {path}: {value['message'] if is_json else value}")
        return value

    def _ask(
        self, method: str, path: str, content: bytes | None, headers: Mapping[str, str]
    ) -> tuple[http.client.HTTPResponse, bytes]:
        try:
            self._connection.request(method, path, content, headers)
            answer = self._connection.getresponse()
            return answer, answer.read()
        except http.client.HTTPException as error:
            self._connection.close()
            raise ConnectionError(f"{method} {path}: {error!r}") from error
        except OSError:
            self._connection.close()
            raise

    def create(self, document: Document) -> Document:
        """Create the object; the answer.

        Raises:
            Refused, OSError: as `call`.
        """
        answer: Document = self.call("POST", collection(document), document)
        return answer

    def succeeds(self, path: str) -> bool:
        """Whether a GET is answered with a success."""
        try:
            self.call("GET", path)
        except Refused:
            return False
        return True

    def close(self) -> None:
        """Give the connection back."""
        self._connection.close()


def collection(document: Document) -> str:
    """The path that objects of this kind are created at: `/apis/batch/v1/namespaces/default/jobs`."""
    version = document["apiVersion"]
    root = f"/apis/{version}" if "/" in version else f"/api/{version}"
    namespace = document["metadata"].get("namespace")
    scope = f"/namespaces/{namespace}" if namespace else ""
    return f"{root}{scope}/{_plural(document['kind'])}"


def _plural(kind: str) -> str:
    word = kind.lower()
    if word.endswith("y"):
        return f"{word[:-1]}ies"
    return f"{word}es" if word.endswith("s") else f"{word}s"
