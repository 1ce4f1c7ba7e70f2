"""Whether a pod keeps to the LimitRanges of its namespace. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from cli import parts
from cli.fit import requests
from cli.parts import Json


@dataclass(frozen=True, slots=True)
class Beyond:
    """What is asked for beyond a limit: of that resource, ``at`` the ``most`` or the ``least`` of ``border``."""

    at: str
    resource: str
    border: Decimal
    asked: Decimal
    noun: str
    """What it counts for: a container, or a pod."""


def beyond(pod: Json, limit_ranges: Iterable[Json]) -> Beyond | None:
    """The first limit that one of its containers, or all of it, breaks."""
    containers = [*parts.items(pod, "initContainers"), *parts.items(pod, "containers")]
    each = [_ends(parts.mapping(one, "resources")) for one in containers]
    together = {key: str(value) for key, value in requests.of_pod(pod).items()}
    counted: Mapping[str, Sequence[tuple[Json, Json]]] = {"Container": each, "Pod": [(together, together)]}
    for limit in (one for body in limit_ranges for one in parts.items(body, "spec", "limits")):
        kind = parts.text(limit, "type")
        for most, least in counted.get(kind, ()):
            if found := _broken(limit, most, least, kind.lower()):
                return found
    return None


def _ends(resources: Json) -> tuple[Json, Json]:
    """The most and the least that a container says of each resource: of a request and a limit both count."""
    asked, limits = parts.pairs(resources, "requests"), parts.pairs(resources, "limits")
    both = {key: sorted({limits[key], asked[key]}, key=parts.quantity) for key in asked.keys() & limits.keys()}
    said = {**limits, **asked}
    return said | {key: ends[-1] for key, ends in both.items()}, said | {key: ends[0] for key, ends in both.items()}


def _broken(limit: Json, most: Json, least: Json, noun: str) -> Beyond | None:
    for at, key, asked in (("most", "max", most), ("least", "min", least)):
        for resource, written in parts.pairs(limit, key).items():
            border, value = parts.quantity(written), parts.quantity(asked.get(resource, written))
            if (value > border) if at == "most" else (value < border):
                return Beyond(at, resource, border, value, noun)
    return None
