"""Whose a live object is, field by field: what managedFields says that jobq owns, and whether that is what it wants.

An object is equal where the leaves that our field manager owns are exactly those of the manifest, and each has the
wanted value: then a server-side apply would change nothing, which is proven against the real server.

Paths are written as managedFields writes them (FieldsV1): ``f:spec``, ``k:{"name":"x"}``, ``v:"x"``.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from reconciler.amounts import AmountError, quantity
from reconciler.kinds import BY_KIND, Kind, Path
from reconciler.model import MANAGED_BY, MANAGER, PEOPLE, PROJECT_LABEL, SOURCE_ANNOTATION, Body, Manifest

_IDENTITY = frozenset({"apiVersion", "kind"})
_NOT_OWNED = frozenset({("metadata", "name"), ("metadata", "namespace")})


def project_of(live: Body) -> str:
    """The project that an object's labels name, ``""`` without our label."""
    return str(live["metadata"].get("labels", {}).get(PROJECT_LABEL, ""))


def is_labelled(live: Body) -> bool:
    """Whether an object carries both of our labels."""
    labels = live["metadata"].get("labels", {})
    return bool(labels.get(MANAGED_BY) == MANAGER and labels.get(PROJECT_LABEL))


def belongs_to(live: Body, project: str) -> bool:
    """Whether an object carries both of our labels, and they name this project."""
    return is_labelled(live) and project_of(live) == project


def is_adopted(namespace: Body) -> bool:
    """Whether an admin's `jobq project adopt` put our labels there."""
    path = ("f:metadata", "f:labels", f"f:{PROJECT_LABEL}")
    entries = namespace["metadata"].get("managedFields", ())
    return any(entry.get("manager") == PEOPLE and path in set(paths(entry.get("fieldsV1", {}))) for entry in entries)


def relabelling(namespace: str, project: str) -> str:
    """The command by which an admin gives a namespace that has lost our labels back to its project."""
    return f"kubectl label --overwrite namespace {namespace} {MANAGED_BY}={MANAGER} {PROJECT_LABEL}={project}"


def made_for(namespace: Body) -> str:
    """The project whose file a Namespace says it was made from, whatever became of its labels; ``""`` for none."""
    path = str(namespace["metadata"].get("annotations", {}).get(SOURCE_ANNOTATION, "")).partition("@")[0]
    return path.removeprefix("projects.d/").removesuffix(".yaml")


def is_equal(manifest: Manifest, live: Body) -> bool:
    """Whether an apply of this manifest provably changes nothing."""
    entry = own_entry(live)
    if entry is None or live["apiVersion"] != manifest.body["apiVersion"] or entry["apiVersion"] != live["apiVersion"]:
        return False
    kind = BY_KIND[manifest.ref.group, manifest.ref.kind]
    wanted = dict(leaves(manifest.body, kind))
    if set(wanted) != set(paths(entry.get("fieldsV1", {}))):
        return False
    return all(same(value, value_at(live, path), _names(path), kind) for path, value in wanted.items())


def own_entry(live: Body) -> Body | None:
    """Our Apply entry in managedFields: what we own, by our last apply."""
    for entry in live["metadata"].get("managedFields", ()):
        if entry.get("manager") == MANAGER and entry.get("operation") == "Apply" and not entry.get("subresource"):
            return dict(entry)
    return None


def owns(live: Body, *path: str) -> bool:
    """Whether our last apply's entry holds that FieldsV1 path, or anything below it."""
    node: Any = (own_entry(live) or {}).get("fieldsV1", {})
    return all((node := node.get(step)) is not None for step in path)


def contested(manifest: Manifest, live: Body) -> frozenset[Path]:
    """The leaves of a manifest that an apply would take back: not ours by now, or of another value."""
    kind = BY_KIND[manifest.ref.group, manifest.ref.kind]
    held = set(paths((own_entry(live) or {}).get("fieldsV1", {})))
    return frozenset(
        path
        for path, value in leaves(manifest.body, kind)
        if path not in held or not same(value, value_at(live, path), _names(path), kind)
    )


def without(body: Body, path: Path) -> Body:
    """A body without the leaf of that path, and without what is empty then."""
    return dict(_without(body, path) or {})


def _without(node: Any, path: Path) -> Any:  # noqa: ANN401 - JSON
    """None where nothing is left."""
    step, *below = path
    inner = _step(node, step)
    if inner is None:
        return node
    rest = _without(inner, tuple(below)) if below else None
    if isinstance(node, dict):
        name = step[2:]
        return {key: rest if key == name else value for key, value in node.items() if key != name or rest} or None
    items = (rest if item == inner else item for item in node)
    return [item for item in items if item] or None


def owned(live: Body) -> Body:
    """The part of a live object that we own, as a manifest would say it."""
    entry = own_entry(live) or {}
    metadata = live["metadata"]
    identity = {key: metadata[key] for key in ("name", "namespace") if key in metadata}
    kept = _extracted(live, entry.get("fieldsV1", {})) or {}
    return {
        "apiVersion": live["apiVersion"],
        "kind": live["kind"],
        **kept,
        "metadata": {**identity, **kept.get("metadata", {})},
    }


def leaves(body: Body, kind: Kind) -> Iterator[tuple[Path, Any]]:
    """All leaves of a manifest as the server will own them, with their values."""
    for name, value in body.items():
        if name not in _IDENTITY:
            yield from _leaves(value, (f"f:{name}",), (name,), kind)


def _leaves(value: Any, path: Path, names: Path, kind: Kind) -> Iterator[tuple[Path, Any]]:  # noqa: ANN401 - JSON
    if names in _NOT_OWNED:
        return
    if isinstance(value, dict) and value and names not in kind.atomic:
        for name, inner in value.items():
            yield from _leaves(inner, (*path, f"f:{name}"), (*names, name), kind)
    elif isinstance(value, list) and names in kind.keyed:
        for item in value:
            key = _key({name: item[name] for name in kind.keyed[names]})
            for name, inner in item.items():
                yield from _leaves(inner, (*path, key, f"f:{name}"), (*names, "*", name), kind)
    else:
        yield path, value


def _key(fields: Mapping[str, object]) -> str:
    return f"k:{json.dumps(fields, sort_keys=True, separators=(',', ':'))}"


def paths(fields: Mapping[str, Any], path: Path = ()) -> Iterator[Path]:
    """The leaves of a FieldsV1 tree: nodes with nothing but themselves in them."""
    for step, inner in fields.items():
        if step != ".":
            if any(name != "." for name in inner):
                yield from paths(inner, (*path, step))
            else:
                yield (*path, step)


def _names(path: Path) -> Path:
    """A FieldsV1 path as the table of kinds writes it."""
    return tuple(step[2:] if step.startswith("f:") else "*" for step in path)


def value_at(node: Any, path: Path) -> Any:  # noqa: ANN401 - JSON
    """What stands at a FieldsV1 path; None where nothing does."""
    for step in path:
        node = _step(node, step)
        if node is None:
            return None
    return node


def field_at(node: Any, names: Path) -> Any:  # noqa: ANN401 - JSON
    """What stands at a path of names, such as ``("spec", "clusterQueue")``; None where nothing does."""
    return value_at(node, tuple(f"f:{name}" for name in names))


def _step(node: Any, step: str) -> Any:  # noqa: ANN401 - JSON
    if step.startswith("f:"):
        return node.get(step[2:]) if isinstance(node, dict) else None
    wanted = json.loads(step[2:])
    items = node if isinstance(node, list) else []
    if step.startswith("k:"):
        return next((item for item in items if all(item.get(key) == value for key, value in wanted.items())), None)
    return wanted if wanted in items else None


def _extracted(node: Any, fields: Mapping[str, Any]) -> Any:  # noqa: ANN401 - JSON
    """The part of a value that a FieldsV1 tree covers; None where nothing of it is there."""
    inner = {step: below for step, below in fields.items() if step != "."}
    if not inner:
        return node
    parts = {
        step: _extracted(found, below) for step, below in inner.items() if (found := _step(node, step)) is not None
    }
    if all(step.startswith("f:") for step in parts):
        return {step[2:]: part for step, part in parts.items()}
    return list(parts.values())


def same(wanted: Any, live: Any, names: Path, kind: Kind) -> bool:  # noqa: ANN401 - JSON
    """Whether two values are one to the server: quantities as exact numbers, everything else exactly."""
    match wanted, live:
        case dict(), dict():
            return wanted.keys() == live.keys() and all(
                same(value, live[name], (*names, name), kind) for name, value in wanted.items()
            )
        case list(), list():
            return len(wanted) == len(live) and all(
                same(one, other, (*names, "*"), kind) for one, other in zip(wanted, live, strict=True)
            )
        case str() | int(), str() | int() if _is_quantity(names, kind):
            return _same_quantity(str(wanted), str(live))
        case _:
            return type(wanted) is type(live) and bool(wanted == live)


def _is_quantity(names: Path, kind: Kind) -> bool:
    return any(
        len(names) == len(pattern) and all(want in ("*", name) for name, want in zip(names, pattern, strict=True))
        for pattern in kind.quantities
    )


def _same_quantity(wanted: str, live: str) -> bool:
    try:
        return quantity(wanted) == quantity(live)
    except AmountError:
        return wanted == live
