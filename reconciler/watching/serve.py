"""What a watch tells monitoring: ``/healthz`` and, for Prometheus, ``/metrics``."""

import threading
import time
from collections.abc import Callable, Iterator
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric, SummaryMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from reconciler.errors import JobqError
from reconciler.watching.passes import State

STALE_SECONDS = 300.0
"""A loop that hasn't turned, or a repository that wasn't read, for so long: not healthy."""


class Server:
    """Answers on one address, in threads of its own, from the start until ``close``."""

    def __init__(self, host: str, port: int, state: Callable[[], State]) -> None:
        registry = CollectorRegistry()
        registry.register(_Collected(state))
        try:
            self._server = _Server((host, port), _Handler)
        except OSError as error:
            raise JobqError(
                f"can't listen on {host}:{port}: {error.strerror}", hint="choose another address: --listen HOST:PORT"
            ) from error
        self._server.state, self._server.registry = state, registry
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, name="serve", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End, and wait for its threads."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    state: Callable[[], State]
    registry: CollectorRegistry


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = 5

    def do_GET(self) -> None:
        """Two pages, and nothing else."""
        match self.path.partition("?")[0]:
            case "/healthz":
                self._health()
            case "/metrics":
                self._answer(HTTPStatus.OK, CONTENT_TYPE_LATEST, generate_latest(self.server.registry))
            case _:
                self._answer(HTTPStatus.NOT_FOUND, "text/plain", b"/healthz or /metrics\n")

    def _health(self) -> None:
        state = self.server.state()
        troubles = list(_troubles(state, time.time()))
        lines = [*(troubles or ["ok"]), f"commit {state.commit or 'none yet'}", f"newest {state.newest}"]
        lines.append("acts" if state.leads else f"stands by for {state.holder or 'nobody yet'}")
        code = HTTPStatus.SERVICE_UNAVAILABLE if troubles else HTTPStatus.OK
        self._answer(code, "text/plain; charset=utf-8", "".join(f"{line}\n" for line in lines).encode())

    def _answer(self, code: HTTPStatus, content_type: str, body: bytes) -> None:
        self.send_response(code)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Not a word: being asked is no news."""


def _troubles(state: State, now: float) -> Iterator[str]:
    """Only what a restart may mend: an API server that is away is none."""
    for what, when in (("the loop turned", state.alive), ("the repository was read", state.looked)):
        if now - when > STALE_SECONDS:
            yield f"{what} {now - when:.0f} s ago"


class _Collected(Collector):
    """The state as metrics, taken when asked."""

    def __init__(self, state: Callable[[], State]) -> None:
        self._state = state

    def collect(self) -> Iterator[Metric]:
        state = self._state()
        yield InfoMetricFamily("jobq_commit", "The commit in force.", {"commit": state.commit, "newest": state.newest})
        for name, text, value in (
            ("leader", "1 where this one holds the Lease and acts.", float(state.leads)),
            ("last_look_timestamp_seconds", "The last time the repository was read.", state.looked),
            ("last_success_timestamp_seconds", "The end of the last pass that did all it had to.", state.passed),
            ("last_pass_seconds", "How long the last pass took.", state.last_seconds),
            ("refusals", "Commits and projects that are refused now.", state.refusals),
            ("fights", "Fields and objects that others keep changing back now.", state.fights),
        ):
            yield GaugeMetricFamily(f"jobq_{name}", text, value)
        yield SummaryMetricFamily("jobq_pass_seconds", "Passes.", sum(state.passes.values()), state.seconds)
        yield _counted("jobq_passes", "Passes by result.", state.passes)
        yield _counted("jobq_changes", "Objects written, or not, by result.", state.changes)
        yield CounterMetricFamily("jobq_watch_cuts", "Watches that ended and were taken up again.", state.cuts)


def _counted(name: str, text: str, counts: dict[str, int]) -> Metric:
    family = CounterMetricFamily(name, text, labels=["result"])
    for result, count in sorted(counts.items()):
        family.add_metric([result], count)
    return family
