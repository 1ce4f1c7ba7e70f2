"""Times, places and lists in a sentence."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from cli.explain.evidence import Evidence
from cli.explain.standing import Position

_TEENS = range(11, 14)
_SIGNALS = {137: "killed", 139: "a segmentation fault", 143: "ended from outside", 134: "aborted"}
_STOPPED_BY = {
    "ClusterQueueStopped": "since its queue was stopped",
    "LocalQueueStopped": "since the project was paused",
    "PodsReadyTimeout": "since its pods were not ready in time",
    "AdmissionCheck": "by an admission check",
    "Deactivated": "by hand",
    "NodeFailures": "since a node failed",
    "FlavorMigration": "to move it to a better flavor",
    "EvictedOnManagerCluster": "by the cluster that sent it",
}
"""Why Kueue has evicted -> how that is said."""
_SHELL = {126: "the command can't be executed", 127: "the command was not found"}


def at(when: datetime | None, evidence: Evidence) -> str:
    """`` at 20:17:09 UTC``, with the day where it isn't today's; ``""`` where it isn't known."""
    if when is None:
        return ""
    day = "" if when.date() == evidence.now.date() else f"{when:%Y-%m-%d} "
    return f" at {day}{when:%H:%M:%S} UTC"


def since(when: datetime | None, evidence: Evidence) -> str:
    """`` since 20:17:09 UTC``."""
    return at(when, evidence).replace(" at ", " since ", 1)


def span(time: timedelta) -> str:
    """The two largest units: ``3 h 5 min``, ``2 min``, ``40 s``."""
    seconds = max(int(time.total_seconds()), 0)
    days, hours, minutes = seconds // 86400, seconds // 3600 % 24, seconds // 60 % 60
    if days:
        return f"{days} d {hours} h" if hours else f"{days} d"
    if hours:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    rest = seconds % 60
    return f"{minutes} min {rest} s" if minutes and rest else f"{minutes} min" if minutes else f"{rest} s"


def limit(seconds: int | None) -> str:
    """`` of 2 h``, after a limit of time; nothing where it isn't known."""
    return "" if seconds is None else f" of {span(timedelta(seconds=seconds))}"


def ordinal(number: int) -> str:
    """``1st``, ``12th``, ``23rd``."""
    ending = "th" if number % 100 in _TEENS else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def place(found: Position | None) -> str:
    """``; 3rd in your project, 11th overall``, or nothing."""
    if found is None:
        return ""
    return f"; {ordinal(found.here)} in your project" + (f", {ordinal(found.overall)} overall" if found.overall else "")


def listed(words: Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return ", ".join(words[:-1]) + f" and {words[-1]}" if words[1:] else "".join(words)


def times(number: int) -> str:
    """``once``, ``twice``, ``3 times``."""
    return {1: "once", 2: "twice"}.get(number, f"{number} times")


def stopped_by(reason: str) -> str:
    """`` since a node failed``, for the reason of an eviction."""
    return f" {_STOPPED_BY[reason]}" if reason in _STOPPED_BY else f" ({reason})" if reason else ""


def exit_code(code: int) -> str:
    """``exit code 3``, with what the shell means by it."""
    meaning = _SHELL.get(code) or _SIGNALS.get(code)
    return f"exit code {code}{f' ({meaning})' if meaning else ''}"


def more_memory(beside: str) -> str:
    """What to submit with: the option is for the job's own container."""
    return f"more memory for its {beside}" if beside else "more --memory"


def mend(beside: str) -> str:
    """What to do about a container that isn't the job's own: nobody shows what it prints."""
    return f"Correct what its {beside} runs, and submit again: the job's logs are those of its own container."


def plain(message: str) -> str:
    """A cluster's own words, on one line and without the full stop, to stand inside a sentence."""
    return " ".join(message.split()).rstrip(".")
