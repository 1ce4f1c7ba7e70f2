"""Two states of one object -> what differs, field by field, as people read it."""

import json
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

from reconciler.model import Body
from reconciler.planned import FieldChange

_BOOKKEEPING = ("managedFields", "resourceVersion", "generation", "uid", "creationTimestamp")
_ABSENT = None


def bare(body: Body) -> Body:
    """An object without status and the server's own bookkeeping."""
    metadata = {key: value for key, value in body["metadata"].items() if key not in _BOOKKEEPING}
    return {key: value for key, value in body.items() if key != "status"} | {"metadata": metadata}


def field_changes(before: Body, after: Body) -> tuple[FieldChange, ...]:
    """Field by field, by path.

    A comparison of two objects takes milliseconds, and a template's change is the same one in a thousand projects:
    each *shape* is compared once. It has what differs alone, and numbers in place of values.
    """
    if before == after:
        return ()
    values: dict[tuple[type, object], str] = {}
    shapes = [_shape(side, values) for side in _apart(before, after)]
    back = {number: value for (_, value), number in values.items()}
    found = _differences(json.dumps(shapes, sort_keys=True))
    return tuple(FieldChange(path, _filled(one, back), _filled(other, back)) for path, one, other in found)


def readable(steps: Iterable[object]) -> str:
    """A path as people read it: ``metadata.labels[example.org/team]``, ``subjects[0].name``."""
    path = "".join(f"[{step}]" if isinstance(step, int) or "." in str(step) else f".{step}" for step in steps)
    return path.removeprefix(".")


def _apart(before: Any, after: Any) -> tuple[Any, Any]:  # noqa: ANN401 - JSON
    """Both without the keys that are equal. Lists stay whole: their items are found by their place."""
    if not isinstance(before, dict) or not isinstance(after, dict):
        return before, after
    keys = [key for key in {**before, **after} if key not in before or key not in after or before[key] != after[key]]
    pairs = {key: _apart(before[key], after[key]) for key in keys if key in before and key in after}
    left = {key: pairs[key][0] if key in pairs else before[key] for key in keys if key in before}
    right = {key: pairs[key][1] if key in pairs else after[key] for key in keys if key in after}
    return left, right


def _shape(value: Any, values: dict[tuple[type, object], str]) -> Any:  # noqa: ANN401 - JSON
    """The same with a number for each distinct value."""
    match value:
        case dict():
            return {key: _shape(inner, values) for key, inner in value.items()}
        case list():
            return [_shape(inner, values) for inner in value]
        case _:
            return values.setdefault((type(value), value), str(len(values)))


def _filled(shape: Any, back: dict[str, object]) -> Any:  # noqa: ANN401 - JSON
    match shape:
        case dict():
            return {key: _filled(inner, back) for key, inner in shape.items()}
        case list():
            return [_filled(inner, back) for inner in shape]
        case None:
            return _ABSENT
        case _:
            return back[shape]


@lru_cache(maxsize=4096)
def _differences(shapes: str) -> Sequence[tuple[str, Any, Any]]:
    """Path, before and after of each difference between two shapes."""
    from deepdiff import DeepDiff  # noqa: PLC0415 - 140 ms that a run in sync doesn't need

    before, after = json.loads(shapes)
    found = DeepDiff(before, after, view="tree", ignore_order=False, threshold_to_diff_deeper=0)
    levels = (level for group in found.values() for level in group)
    return sorted(
        ((readable(level.path(output_format="list")), _present(level.t1), _present(level.t2)) for level in levels),
        key=lambda difference: difference[0],
    )


def _present(value: object) -> object:
    return _ABSENT if type(value).__name__ == "NotPresent" else value
