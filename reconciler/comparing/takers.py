"""Who has what jobq wants or wanted to own: told by managedFields, which know clients and times, never people."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from reconciler.comparing.differences import readable
from reconciler.comparing.ownership import leaves, own_entry, paths, value_at
from reconciler.kinds import BY_KIND, Path
from reconciler.model import MANAGER, PEOPLE, Body, Manifest


@dataclass(frozen=True, slots=True, order=True)
class Taker:
    """A client that owns a field, and when it last wrote any of its fields."""

    client: str
    time: str

    def __str__(self) -> str:
        day, _, clock = self.time.partition("T")
        return f"{self.client}, {day} {clock[:5]} UTC" if clock else self.client


def takers(manifest: Manifest, live: Body) -> dict[Path, Taker]:
    """The leaves that are ours to own and that somebody else owns by now."""
    lost = lost_leaves(manifest, live)
    return {path: taker for path, taker in _owners(live).items() if path in lost}


def lost_leaves(manifest: Manifest, live: Body) -> frozenset[Path]:
    """The leaves of a manifest that we don't own: taken, removed, or never applied."""
    kind = BY_KIND[manifest.ref.group, manifest.ref.kind]
    held = set(paths((own_entry(live) or {}).get("fieldsV1", {})))
    return frozenset(path for path, _ in leaves(manifest.body, kind) if path not in held)


def left_over(manifest: Manifest, live: Body, after: Body) -> dict[str, str]:
    """What we owned, want no more, and can't remove, since somebody else owns it too: field -> who."""
    kind = BY_KIND[manifest.ref.group, manifest.ref.kind]
    wanted = {path for path, _ in leaves(manifest.body, kind)}
    dropped = set(paths((own_entry(live) or {}).get("fieldsV1", {}))) - wanted
    owners = {**_owners(after), **_owners(live)}
    return {
        shown(path): str(owners.get(path, "the server"))
        for path in sorted(dropped)
        if value_at(after, path) is not None and not _within(path, wanted)
    }


def _within(path: Path, wanted: set[Path]) -> bool:
    """Whether a wanted leaf holds this one, or the other way round: then it is no field of its own."""
    return any(other[: len(path)] == path or path[: len(other)] == other for other in wanted)


def shown(path: Path) -> str:
    """A FieldsV1 path as people read it."""
    return readable(step[2:] for step in path)


def _owners(live: Body) -> Mapping[Path, Taker]:
    found: dict[Path, Taker] = {}
    for entry in live["metadata"].get("managedFields", ()):
        if not _is_ours(entry):
            taker = Taker(entry.get("manager", "?"), entry.get("time", ""))
            found |= dict.fromkeys(paths(entry.get("fieldsV1", {})), taker)
    return found


def _is_ours(entry: Mapping[str, Any]) -> bool:
    return entry.get("manager") in {MANAGER, PEOPLE}
