"""What holds of every explanation: order, names and neighbours change nothing, less evidence claims nothing new."""

import json
import re
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cli import parts
from cli.explain.answer import Code
from tests.recordings import NAMES, Raw, recording, told

recordings = st.sampled_from(NAMES)
UNORDERED = [
    ("pods",),
    ("events",),
    ("otherWorkloads",),
    ("localQueues",),
    ("resourceFlavors",),
    ("cohorts",),
    ("cohortClusterQueues",),
    ("limitRanges",),
    ("resourceQuotas",),
    ("visibility", "localQueue", "items"),
    ("job", "status", "conditions"),
    ("workload", "status", "conditions"),
    ("clusterQueue", "status", "flavorsReservation"),
]
"""Lists that say the same in any order."""
RENAMED = {
    "train": "fit-x7",
    "sweep": "grid",
    "gpu-shared": "pool",
    "vision": "lab-2",
    "a100": "tesla",
    "h100": "hopper",
    "nvidia.com/gpu": "amd.example/gpu",
    "registry.invalid": "images.invalid",
    "wandb": "token",
}
STRANGER = {
    "name": "stranger-1",
    "namespace": "vision",
    "uid": "5-7-4-a-1",
    "creationTimestamp": "2026-11-24T19:00:00Z",
}
OWNER = [{"kind": "Job", "name": "stranger", "uid": "5-7-4-a-0", "controller": True}]
CRASHED = {"state": {"terminated": {"exitCode": 9, "reason": "OOMKilled"}}}
NEIGHBOURS: dict[str, dict[str, Any]] = {
    "pods": {
        "metadata": STRANGER | {"ownerReferences": OWNER},
        "status": {"phase": "Failed", "containerStatuses": [CRASHED]},
    },
    "events": {
        "reason": "FailedCreate",
        "message": 'Error creating: pods "stranger-1" is forbidden: exceeded quota: all, requested: pods=1, used: ...',
        "involvedObject": {"kind": "Job", "name": "stranger", "uid": "5-7-4-a-0"},
        "metadata": {"name": "stranger.1"},
        "lastTimestamp": "2030-01-01T00:00:00Z",
    },
    "otherWorkloads": {"metadata": STRANGER | {"ownerReferences": OWNER}, "spec": {"priority": 7}},
    "resourceFlavors": {"metadata": {"name": "unused"}, "spec": {"nodeTaints": [{"key": "a", "effect": "NoSchedule"}]}},
    "cohortClusterQueues": {
        "metadata": {"name": "elsewhere"},
        "spec": {"cohortName": "elsewhere"},
        "status": {"flavorsReservation": []},
    },
}
"""Things beside the job that have nothing to do with it, by the list that they are in."""
REASONS = [
    *("Pending", "Inadmissible", "Misconfigured", "Suspended", "WaitingForQuota", "ExceedsMaxQuota"),
    *("NoMatchingFlavor", "TopologyPlacementFailed", "PendingEvaluation", "AdmissionGated"),
]
"""Kueue's, old and new, but for the two that alone tell what is waited for."""
WAITING = [name for name in NAMES if parts.condition(recording(name).get("workload"), "QuotaReserved").get("message")]
WEAKER: dict[str, set[Code]] = {
    "now": {Code.JUST_SUBMITTED},
    "namespace": {Code.JUST_SUBMITTED},
    "workload": {Code.UNKNOWN, Code.RUNNING},
    "job": {Code.UNKNOWN, Code.RUNNING, Code.JUST_ADMITTED},
    "pods": {Code.STARTING, Code.RUNNING, Code.PARTLY_RUNNING, Code.FAILED},
    "events": {Code.JUST_ADMITTED, Code.STARTING},
    "clusterQueue": {Code.WAITING_FOR_QUOTA},
    "workloadPriorityClasses": {Code.JUST_SUBMITTED},
}
"""A part of the evidence -> what may be told instead where it is missing. Nothing else may change the code."""


def _place(raw: Raw, path: Sequence[str]) -> Any:  # noqa: ANN401 - JSON
    for key in path:
        raw = raw.get(key) if isinstance(raw, dict) else None  # type: ignore[assignment] # JSON
    return raw


@given(recordings, st.sampled_from(UNORDERED), st.randoms(use_true_random=False))
def test_order(name: str, path: Sequence[str], chance: Any) -> None:  # noqa: ANN401 - hypothesis's Random
    raw = recording(name)
    listed = _place(raw, path)
    if isinstance(listed, list):
        chance.shuffle(listed)
    assert told(raw) == told(recording(name))


@pytest.mark.parametrize("name", NAMES)
def test_names(name: str) -> None:
    """Other names are told in the same sentence."""

    def renamed(text: str) -> str:
        for old, new in RENAMED.items():
            text = text.replace(old, new)
        return text

    answer, other = told(recording(name)), told(json.loads(renamed(json.dumps(recording(name)))))
    assert (other.code, other.sentence, other.action) == (answer.code, renamed(answer.sentence), renamed(answer.action))


@given(recordings, st.integers(-9999, 9999))
def test_times(name: str, days: int) -> None:
    """On another day all is told alike: only the evidence's own time counts."""

    def later(found: re.Match[str]) -> str:
        return f"{date.fromisoformat(found[0]) + timedelta(days=days):%Y-%m-%d}"

    shifted = re.sub(r"\b20\d\d-\d\d-\d\d(?=T)", later, json.dumps(recording(name)))
    assert told(json.loads(shifted)) == told(recording(name))


@pytest.mark.parametrize("name", WAITING)
def test_reasons(name: str) -> None:
    """Kueue's words for not reserving quota differ by its settings: what it means is in its message, or in numbers."""
    for reason in REASONS:
        raw = recording(name)
        condition = next(one for one in raw["workload"]["status"]["conditions"] if one["type"] == "QuotaReserved")
        condition["reason"] = reason
        assert told(raw) == told(recording(name)), reason


@given(recordings, st.sampled_from(sorted(NEIGHBOURS)))
def test_neighbours(name: str, part: str) -> None:
    raw = recording(name)
    if isinstance(raw.get(part), list):
        raw[part] = [NEIGHBOURS[part], *raw[part]]
    assert told(raw) == told(recording(name))


@settings(max_examples=200)
@given(recordings, st.data(), st.booleans())
def test_missing_parts(name: str, data: st.DataObject, null: bool) -> None:  # noqa: FBT001 - drawn by hypothesis
    """Without some parts, or with null in their places, the same is told, or less. No Workload is a claim."""
    raw = recording(name)
    there = sorted(key for key, value in raw.items() if value and key not in {"refused", *(["workload"] * null)})
    taken = data.draw(st.lists(st.sampled_from(there), min_size=1, max_size=3, unique=True))
    for part in taken:
        raw.pop(part)
        raw |= {part: None} if null else {}
    allowed = {told(recording(name)).code}.union(*(WEAKER.get(part, set()) for part in taken))
    assert told(raw).code in allowed, (taken, told(raw))
