"""Kueue's own messages about quota, taken apart: what they name counts where numbers can't be read."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_LACKING = re.compile(r"insufficient unused quota for (\S+) in flavor (\S+?), (\S+) more needed")
_ABOVE = re.compile(
    r"insufficient quota for (\S+) in flavor (\S+?), .*?current podset request \((\S+?)\) > maximum capacity \((\S+?)\)"
)
_UNAVAILABLE = re.compile(r"resource (\S+) unavailable in ClusterQueue")
_TAINT = re.compile(r"untolerated taint \{(\S+) (\S*) ?(NoSchedule|NoExecute)[^}]*\} in flavor ([^\s,]+)")
_AFFINITY = re.compile(r"flavor ([^\s,]+) doesn't match node affinity")
_PREEMPTION = re.compile(r"Pending the preemption of (\d+) workload")


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


def read(message: str) -> Said:
    """A message of the QuotaReserved condition."""
    refusing = {
        flavor: f"is tainted {key}{f'={value}' if value else ''}:{effect} and the job does not tolerate it"
        for key, value, effect, flavor in _TAINT.findall(message)
    }
    refusing |= dict.fromkeys(_AFFINITY.findall(message), "is for other nodes")
    preempting = _PREEMPTION.search(message)
    return Said(
        lacking=_LACKING.findall(message),
        above=_ABOVE.findall(message),
        unavailable=_UNAVAILABLE.findall(message),
        refusing=refusing,
        preempting=int(preempting[1]) if preempting else 0,
    )
