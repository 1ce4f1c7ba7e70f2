"""``jobq reconcile --watch``: the same until somebody ends it, told line by line."""

from collections.abc import Callable, Sequence
from contextlib import closing, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from cli import clock, console
from cli.operator.stopping import stopped_by_signals
from reconciler.amounts import AmountError, duration
from reconciler.cluster import Cluster
from reconciler.errors import DeclarationInvalid, UsageError
from reconciler.observe import KEPT
from reconciler.report import as_json, as_text, problems_data, problems_text
from reconciler.terms import Terms
from reconciler.watching.lookout import Rhythm
from reconciler.watching.passes import Noted, Order, Passed, State
from reconciler.watching.standing import HeldBack
from reconciler.watching.watch import Watch
from reconciler.wording import shortened

JSON_VERSION = 1
"""Of a line of ``-o json``; a field is never renamed or dropped within a version."""
STREAMS = len(KEPT) + 3
"""Connections that a watch keeps open, and the lease's."""
_MOST_REASONS = 3


def watch(cluster: Cluster, order: Order, *, output: str, listen: str) -> None:
    """Watch until a signal comes. Raises: UsageError, SourceError; JobqError where the address can't be had."""
    if output == "markdown":
        raise UsageError("--watch tells text or json, no markdown", hint="-o json gives a line for each pass")
    watcher = Watch(cluster, order, clock, _as_json if output == "json" else _Spoken())
    with _served(listen, watcher.state), stopped_by_signals(watcher.stop):
        watcher.run()
    _line("ended")


def ordered(repo: Path, ref: str, terms: Terms, *, fetch: str, poll: str, every: str) -> Order:
    """What the options say; ``""``: as usual. Raises: UsageError."""
    if terms.rewind:
        raise UsageError(
            "--rewind is meant once, --watch goes on",
            hint="run jobq reconcile --rewind beside the watch: it takes it up",
        )
    order = Order(repo, ref, terms)
    rhythm = Rhythm(
        poll=_seconds(poll, "--poll") if poll else order.rhythm.poll,
        fetch=_seconds(fetch, "--fetch") if fetch else order.rhythm.fetch,
    )
    full = _seconds(every, "--every") if every else order.full
    return replace(order, rhythm=rhythm, fetches=bool(fetch), full=full)


def _seconds(text: str, option: str) -> float:
    try:
        found = duration(text)
    except AmountError as error:
        raise UsageError(f"{option}: {error}", hint="such as 30s, 10m, 1h") from error
    if not found:
        raise UsageError(f"{option}: {text} is no time at all", hint="1s is the least")
    return found


def _served(listen: str, state: Callable[[], State]) -> Any:  # noqa: ANN401 - a context manager of no matter what
    if not listen:
        return nullcontext()
    host, _, port = listen.rpartition(":")
    if not host or not port.isdigit():
        raise UsageError(f"--listen: {listen!r} is no address", hint="write HOST:PORT, such as 127.0.0.1:9090")
    from reconciler.watching.serve import Server  # noqa: PLC0415 - only who listens needs it

    server = Server(host.strip("[]"), int(port), state)
    _line(f"listens on {host}:{server.port}: /healthz, /metrics")
    return closing(server)


def _line(text: str) -> None:
    console.talk(f"{clock.now():%Y-%m-%dT%H:%M:%SZ} {console.plain(text)}")


class _Spoken:
    """A line for each event and each pass on stderr; reports of passes that did something, or were refused, on stdout.

    What stands as it stood is not said again.
    """

    def __init__(self) -> None:
        self._held_back: Sequence[str] = ()
        self._fights: Sequence[str] = ()
        self._refused = ""
        self._commit = ""

    def __call__(self, event: Passed | Noted) -> None:
        if isinstance(event, Noted):
            _line(event.text)
            return
        _line(_summary(event))
        if event.error is not None:
            _line(f"error: {event.error}; tried again soon")
        if event.commit != self._commit and event.warnings:
            console.talk(problems_text(event.warnings))
        self._commit = event.commit
        self._tell_held_back(event)
        self._tell_fights(event)
        self._tell_report(event)
        console.flush()

    def _tell_held_back(self, event: Passed) -> None:
        texts = [f"{held.commit} {held.error}" for held in event.held_back]
        if texts != self._held_back:
            for held in event.held_back:
                _line(_held_back(held, event.commit))
                if isinstance(held.error, DeclarationInvalid):
                    console.talk(problems_text(held.error.problems))
                elif held.error.hint:
                    _line(f"  way out: {held.error.hint}")
        self._held_back = texts

    def _tell_fights(self, event: Passed) -> None:
        objects = [f"{fight.ref} {fight.left}" for fight in event.fights]
        for fight, known in zip(event.fights, objects, strict=True):
            if known not in self._fights:
                _line(f"fight: {fight.text}")
        self._fights = objects

    def _tell_report(self, event: Passed) -> None:
        report = event.report
        if report is None:
            return
        refused = "\n".join(refusal.text for refusal in report.verdict.refusals)
        if report.outcomes or refused != self._refused:
            console.out(as_text(report))
        self._refused = refused


def _summary(event: Passed) -> str:
    why = shortened(event.why, _MOST_REASONS)
    return f"{event.result} at {event.commit[:12] or 'no commit yet'}, {event.seconds:.2f} s: {why}"


def _held_back(held: HeldBack, in_force: str) -> str:
    stays = f"{in_force[:12]} stays in force" if in_force not in {"", held.commit} else "nothing is written"
    return f"commit {held.commit[:12]} can't be used: {held.error}; {stays}"


def _as_json(event: Passed | Noted) -> None:
    if isinstance(event, Noted):
        _line(event.text)
        return
    console.out_json_line(
        {
            "version": JSON_VERSION,
            "time": f"{clock.now():%Y-%m-%dT%H:%M:%SZ}",
            "why": list(event.why),
            "result": event.result,
            "commit": event.commit,
            "newest": event.newest,
            "seconds": round(event.seconds, 3),
            "heldBack": [_held_back_data(held) for held in event.held_back],
            "warnings": problems_data(event.warnings),
            "error": "" if event.error is None else str(event.error),
            "fights": [{"object": str(f.ref), "text": f.text, "left": f.left} for f in event.fights],
            "report": None if event.report is None else as_json(event.report),
        }
    )
    console.flush()


def _held_back_data(held: HeldBack) -> dict[str, Any]:
    problems = held.error.problems if isinstance(held.error, DeclarationInvalid) else ()
    return {
        "commit": held.commit,
        "text": str(held.error),
        "wayOut": held.error.hint,
        "problems": problems_data(problems),
    }
