"""Login plugins: programs that a kubeconfig names, and that give a credential.

Their stderr is the person's, always: a device code that nobody sees is a hang. Our stdin is theirs only where they
may ask, and a terminal is there. Without the credential that was asked for nothing is sent.
"""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime

import msgspec

from reconciler.errors import Unauthorized
from reconciler.reaching.access import Access, Credential, Plugin

WATCHED_SECONDS = 300
"""How long a plugin may take where a terminal shows what it asks for: people log in by a browser, or a phone."""
UNWATCHED_SECONDS = 30
FAILED_SECONDS = 5
"""How long a failure counts before the plugin is run again."""
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")


class _Given(msgspec.Struct, rename="camel"):
    token: str = ""
    client_certificate_data: str = ""
    client_key_data: str = ""
    expiration_timestamp: datetime | None = None


class _Answer(msgspec.Struct, rename="camel"):
    api_version: str = ""
    kind: str = ""
    status: _Given | None = None


class Login:
    """A plugin's credential: asked for once, and anew when it has expired or the server refused it."""

    def __init__(self, access: Access, plugin: Plugin) -> None:
        self._access = access
        self._plugin = plugin
        self._lock = threading.Lock()
        self._credential: Credential | None = None
        self._ends: datetime | None = None
        self._failure: Unauthorized | None = None
        self._failed_until = 0.0

    def credential(self) -> Credential:
        """The one that holds now; whoever comes first runs the plugin. Raises: Unauthorized."""
        with self._lock:
            if self._credential is None or self._is_over():
                self._credential, self._ends = self._asked()
            return self._credential

    def refused(self, credential: Credential) -> None:
        """The server doesn't take it: the next one is asked for anew, unless another thread has done so."""
        with self._lock:
            if self._credential is credential:
                self._credential = None

    def _asked(self) -> tuple[Credential, datetime | None]:
        """A failure is everybody's who waits: nobody wants to read it, or to be asked, once for each request."""
        if self._failure is not None and time.monotonic() < self._failed_until:
            raise self._failure
        try:
            return self._read(self._run())
        except Unauthorized as error:
            self._failure, self._failed_until = error, time.monotonic() + FAILED_SECONDS
            raise

    def _is_over(self) -> bool:
        return self._ends is not None and self._ends.timestamp() <= time.time()

    def _run(self) -> bytes:
        asks = self._may_ask()
        seconds = WATCHED_SECONDS if asks or _is_terminal(sys.stderr) else UNWATCHED_SECONDS
        try:
            process = subprocess.Popen(
                [self._plugin.command, *self._plugin.arguments],
                env=self._environment(interactive=asks),
                stdin=None if asks else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                start_new_session=not asks,  # so that all it has started can be ended with it
            )
        except OSError as error:
            raise self._failed(f"can't be run: {error.strerror}", "install it") from error
        try:
            out, _ = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            raise self._failed(f"gave no answer within {seconds} s", "see what it waits for") from None
        finally:
            _end(process, alone=asks)
        if process.returncode:
            ending = f"exit code {process.returncode}" if process.returncode > 0 else f"signal {-process.returncode}"
            raise self._failed(f"failed ({ending}); what it says stands above", "log in again, then try once more")
        return out

    def _may_ask(self) -> bool:
        terminal = _is_terminal(sys.stdin)
        if self._plugin.interactive == "Always" and not terminal:
            raise self._failed("wants to ask something, and no terminal is there", "run jobq on a terminal")
        return self._plugin.interactive != "Never" and terminal

    def _environment(self, *, interactive: bool) -> Mapping[str, str]:
        spec: dict[str, object] = {"interactive": interactive}
        if self._plugin.cluster is not None:
            spec["cluster"] = self._plugin.cluster
        told = {"apiVersion": self._plugin.version, "kind": "ExecCredential", "spec": spec}
        return {**os.environ, **dict(self._plugin.variables), "KUBERNETES_EXEC_INFO": json.dumps(told)}

    def _read(self, out: bytes) -> tuple[Credential, datetime | None]:
        """Its words are never quoted: they may hold a secret."""
        try:
            answer = msgspec.json.decode(out, type=_Answer)
        except msgspec.MsgspecError:
            raise self._failed("printed no ExecCredential as JSON", "run it by hand to see what it prints") from None
        given = answer.status or _Given()
        if answer.kind != "ExecCredential" or answer.api_version != self._plugin.version:
            raise self._failed(
                f"printed {answer.kind or 'an object'} of {answer.api_version or 'no version'}",
                f"the kubeconfig says that it speaks {self._plugin.version}",
            )
        if bool(given.client_certificate_data) != bool(given.client_key_data):
            raise self._failed("gave half of a certificate and its key", "")
        if not (given.token or given.client_certificate_data):
            raise self._failed("gave neither a token nor a certificate", "log in again, then try once more")
        ends = given.expiration_timestamp
        certificate, key = given.client_certificate_data.encode(), given.client_key_data.encode()
        return Credential(given.token, certificate, key), ends.replace(tzinfo=ends.tzinfo or UTC) if ends else None

    def _failed(self, what: str, hint: str) -> Unauthorized:
        who = f"user {self._access.user!r} of context {self._access.context!r}"
        return Unauthorized(
            f"the login plugin {self._plugin.command!r} of {who} {what}",
            hint=_ESCAPES.sub("", self._plugin.hint).strip() or hint,
        )


def _is_terminal(stream: object) -> bool:
    try:
        return bool(stream.isatty())  # type: ignore[attr-defined] # whatever stands for a stream
    except (AttributeError, ValueError):  # there is none, or it is closed
        return False


def _end(process: subprocess.Popen[bytes], *, alone: bool) -> None:
    """End it where it still runs, with all it has started where that is known."""
    assert process.stdout  # noqa: S101 - as it was started
    if process.poll() is None:
        with suppress(OSError):
            if alone or not hasattr(os, "killpg"):
                process.kill()
            else:
                os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    process.stdout.close()
