"""The notes in jobq-system, ConfigMaps with a dot in their name: read, and as they are to be written."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from reconciler.model import MANAGED_BY, MANAGER, SYSTEM_NAMESPACE, Body
from reconciler.terms import State

STATE_NOTE = "jobq.state"
"""What was applied last; the reconciler writes it."""
APPROVAL_NOTE = "jobq.approval"
"""The digests that admins have approved; the reconciler may not write it."""
APPROVAL_DAYS = 7
"""How long an approval holds: the same disruption in a later month is another decision."""


@dataclass(frozen=True, slots=True, order=True)
class Approval:
    """One digest that somebody has looked at; ``at`` is in UTC."""

    at: datetime
    by: str
    digest: str

    def holds(self, today: date) -> bool:
        """Whether it isn't too old, nor of a day to come (but for clocks that differ)."""
        return -1 <= (today - self.at.date()).days <= APPROVAL_DAYS

    def __str__(self) -> str:
        return f"{self.digest} (by {self.by}, {self.at:%Y-%m-%d %H:%M} UTC)"


def state_of(notes: Mapping[str, Body]) -> State | None:
    """What was applied last; None where nothing was. What the note doesn't say is ``""``."""
    if STATE_NOTE not in notes:
        return None
    data = notes[STATE_NOTE].get("data") or {}
    return State(data.get("commit", ""), data.get("version", ""))


def state_note(state: State, before: Body | None) -> Body:
    """The note of a state, to be written only over the one that was read, or where there was none."""
    data = {"commit": state.commit, "version": state.version}
    return _note(STATE_NOTE, {MANAGED_BY: MANAGER}, data, before)


def approvals_of(notes: Mapping[str, Body]) -> tuple[Approval, ...]:
    """All approvals on file, the oldest first. An entry that isn't one approves nothing."""
    data = notes.get(APPROVAL_NOTE, {}).get("data") or {}
    return tuple(sorted(approval for digest, text in data.items() if (approval := _approval(digest, text))))


def approval_note(approvals: Sequence[Approval], before: Body | None) -> Body:
    """The note of exactly these approvals, to be written only over the one that was read."""
    said = {each.digest: json.dumps({"by": each.by, "at": each.at.isoformat()}) for each in approvals}
    return _note(APPROVAL_NOTE, {"app.kubernetes.io/part-of": MANAGER}, said, before)


def _approval(digest: str, text: str) -> Approval | None:
    try:
        said = json.loads(text)
        at = datetime.fromisoformat(said["at"])
        return Approval(at, str(said["by"]), digest) if at.utcoffset() is not None else None
    except (ValueError, TypeError, KeyError):
        return None


def _note(name: str, labels: Mapping[str, str], data: Mapping[str, str], before: Body | None) -> Body:
    version = before["metadata"]["resourceVersion"] if before else "1"  # "1": only where there is none yet
    metadata = {"name": name, "namespace": SYSTEM_NAMESPACE, "labels": dict(labels), "resourceVersion": version}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": dict(data)}
