"""Live objects that stay, in whole or in part, where a comparison would have them changed, replaced or deleted."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from reconciler.compare import Comparison, parted
from reconciler.model import Body, ObjectRef, Suspect


def with_staying(comparison: Comparison, stay: Sequence[Suspect]) -> tuple[Comparison, dict[ObjectRef, Body]]:
    """The comparison with these in place of what it says of their objects, and what takes the server's place for them.

    The server wasn't asked about them: what we ask for, over what is live, is not verified by it.
    """
    refs = {suspect.manifest.ref for suspect in stay}
    equal, differ = parted(stay)
    now = replace(
        comparison,
        equal=[*comparison.equal, *equal],
        suspects=[*(suspect for suspect in comparison.suspects if suspect.manifest.ref not in refs), *differ],
        replaced=[suspect for suspect in comparison.replaced if suspect.manifest.ref not in refs],
        surplus=[body for body in comparison.surplus if ObjectRef.of(body) not in refs],
    )
    return now, {suspect.manifest.ref: merged(suspect.live, suspect.manifest.body) for suspect in differ}


def merged(live: Any, wanted: Any) -> Any:  # noqa: ANN401 - JSON
    """What is wanted, over what is live: maps are merged, everything else is replaced."""
    if isinstance(live, dict) and isinstance(wanted, dict):
        return {**live, **{key: merged(live.get(key), value) for key, value in wanted.items()}}
    return wanted
