"""Recorded evidence about jobs, in tests/cases/why: read, and changed at some places to stage what wasn't recorded."""

import copy
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from cli.explain.answer import Answer
from cli.explain.reading import evidence_of
from cli.explain.why import explain

FOLDER = Path(__file__).parent / "cases" / "why"
NAMES = sorted(path.stem for path in FOLDER.glob("*.json"))
Raw = dict[str, Any]
GONE = object()
"""As a value in `changed`: the key is taken out."""


@cache
def _text(name: str) -> str:
    return (FOLDER / f"{name}.json").read_text(encoding="utf-8")


def recording(name: str) -> Raw:
    """The evidence of that name; one's own to change."""
    return dict(json.loads(_text(name)))


def changed(name: str, changes: Mapping[str, Any]) -> Raw:
    """A recording with other values at these paths: ``job/spec/suspend``, ``workload/status/conditions/Evicted``.

    A word after ``conditions`` or ``admissionChecks`` is the type or name of one; a number an index; ``~`` a slash.
    """
    raw = recording(name)
    for path, value in changes.items():
        *way, last = (step.replace("~", "/") for step in path.split("/"))
        place = raw
        for step in way:
            place = _step(place, step)
        _put(place, last, value if value is GONE else copy.deepcopy(value))
    return raw


def told(raw: object) -> Answer:
    """What a person is told."""
    return explain(evidence_of(raw))


def written(raw: Raw) -> str:
    """A recording as it is kept: one line for each key."""
    lines = [f" {json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}" for key, value in raw.items()]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _step(place: Any, step: str) -> Any:  # noqa: ANN401 - JSON
    if isinstance(place, list):
        if step.isdecimal():
            return place[int(step)]
        found = next((one for one in place if step in {one.get("type"), one.get("name")}), None)
        if found is None:
            place.append(found := {"type": step})
        return found
    if place.get(step) is None:
        place[step] = [] if step in {"conditions", "admissionChecks"} else {}
    return place[step]


def _put(place: Any, last: str, value: object) -> None:  # noqa: ANN401 - JSON
    if isinstance(place, list):
        kept = [one for one in place if last not in {one.get("type"), one.get("name")}]
        place[:] = kept if value is GONE else [*kept, {"type": last, **dict(value)}]  # type: ignore[call-overload] # JSON
    elif value is GONE:
        place.pop(last, None)
    else:
        place[last] = value
