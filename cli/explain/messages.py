"""Kueue's own messages about quota, taken apart: what they name counts where numbers can't be read."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

_LACKING = re.compile(r"insufficient unused quota (?:in cohort )?for (\S+) in flavor (\S+?), (\S+) more needed")
_ABOVE = re.compile(
    r"insufficient quota for (\S+) in flavor (\S+?), .*?current podset request \((\S+?)\) > maximum capacity \((\S+?)\)"
)
_UNAVAILABLE = re.compile(r"resource (\S+) unavailable in ClusterQueue")
_TAINT = re.compile(r"untolerated taint \{(\S+) (\S*) ?(NoSchedule|NoExecute)[^}]*\} in flavor ([^\s,;]*[^\s,;.])")
_AFFINITY = re.compile(r"flavor ([^\s,]+) doesn't match node affinity")
_NO_TOPOLOGY = re.compile(r'Flavor "([^"]+)" (does not support|supports only|does not contain the requested level)')
_PREEMPTION = re.compile(r"Pending the preemption of (\d+) workload")
_OTHERS_PREEMPTION = "will fit after these preemptions complete"
_PLACES = re.compile(
    r'topology "([^"]+)" (?:allows to fit only (\d+) out of (\d+)|doesn\'t allow to fit any of (\d+)) (pod|slice)\(s\)'
    r"(?:\. Total nodes: (\d+); excluded: ([^;]*))?"
)
_EXCLUDED = re.compile(r'(\w+(?: "[^"]+")?): (\d+)')
_EXCLUSIONS = {
    "resource": "lack",
    "taint": "are tainted",
    "nodeSelector": "don't match its node selector",
    "affinity": "don't match its affinity",
    "topologyDomain": "are in another domain",
}
_QUEUE = re.compile(
    r"^(LocalQueue|ClusterQueue) (\S+) (doesn't exist|not found|is terminating or missing|is inactive|is stopped)"
)
_GONE = {"doesn't exist", "not found", "is terminating or missing"}
_TOPOLOGIES = {
    "does not support": "has no topology, which the job asks for",
    "supports only": "is for jobs that ask for a topology",
    "does not contain the requested level": "has no such level in its topology as the job asks for",
}


@dataclass(frozen=True, slots=True)
class Said:
    """What one message says."""

    lacking: Sequence[tuple[str, str, str]]
    """Resource, flavor, and how much more is needed now."""
    above: Sequence[tuple[str, str, str, str]]
    """Resource, flavor, what is asked, and the most there can be."""
    unavailable: Sequence[str]
    refusing: Mapping[str, str]
    """Flavor -> why it doesn't take the pods, as half a sentence about it."""
    preempting: int
    """How many jobs are being stopped to make room."""
    making_room: bool
    """Whether jobs are being stopped, for this one or for another, after which it fits."""
    places: str
    """Why the nodes don't take the pods together, though there is quota; ``""`` where that isn't it."""


@dataclass(frozen=True, slots=True)
class OfQueue:
    """What a message says of a queue: of which kind and name, and whether it is gone or takes nothing in."""

    kind: str
    name: str
    gone: bool


@lru_cache(1024)  # thousands of jobs wait for the same
def of_queue(message: str) -> OfQueue:
    """A message about a queue that is in the way; no kind where it is about something else."""
    found = _QUEUE.search(message)
    return OfQueue(found[1], found[2], found[3] in _GONE) if found else OfQueue("", "", gone=False)


@lru_cache(1024)
def read(message: str) -> Said:
    """A message of the QuotaReserved condition."""
    refusing = {
        flavor: f"is tainted {key}{f'={value}' if value else ''}:{effect} and the job does not tolerate it"
        for key, value, effect, flavor in _TAINT.findall(message)
    }
    refusing |= dict.fromkeys(_AFFINITY.findall(message), "is for other nodes")
    refusing |= {flavor: _TOPOLOGIES[why] for flavor, why in _NO_TOPOLOGY.findall(message)}
    preempting = _PREEMPTION.search(message)
    return Said(
        lacking=_LACKING.findall(message),
        above=_ABOVE.findall(message),
        unavailable=_UNAVAILABLE.findall(message),
        refusing=refusing,
        preempting=int(preempting[1]) if preempting else 0,
        making_room=bool(preempting) or _OTHERS_PREEMPTION in message,
        places=_places(message),
    )


def _left_out(reason: str, number: str) -> str:
    kind, _, name = reason.partition(" ")
    return f"{number} {_EXCLUSIONS.get(kind, kind)} {name.strip(chr(34))}".strip()


def _places(message: str) -> str:
    found = _PLACES.search(message)
    if not found:
        return ""
    topology, some, of, none, unit, nodes, excluded = found.groups()
    whole = f"its {unit}" if none == "1" else f"any of its {none} {unit}s"
    room = f"place for only {some} of its {of} {unit}s together" if some else f"no place for {whole}"
    left_out = ", ".join(_left_out(reason, number) for reason, number in _EXCLUDED.findall(excluded or ""))
    why = f" (of {nodes} nodes {left_out})" if left_out else ""
    return f"the nodes of the topology {topology} have {room}{why}"
