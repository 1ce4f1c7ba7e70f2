"""An admin's approval of what a plan disrupts, noted where the reconciler may read and not write."""

from collections.abc import Sequence
from datetime import datetime

from reconciler.cluster import Cluster, find
from reconciler.errors import Conflict
from reconciler.kinds import CONFIG_MAP
from reconciler.model import SYSTEM_NAMESPACE
from reconciler.notes import APPROVAL_NOTE, Approval, approval_note, approvals_of

_TRIES = 5


def approve(cluster: Cluster, digest: str, by: str, now: datetime) -> Sequence[Approval]:
    """Note a digest with when and by whom, with the asking admin's rights, and drop what is too old; all that stand.

    Raises: ClusterError.
    """
    for attempt in range(_TRIES):
        try:
            return _noted(cluster, Approval(now, by, digest))
        except Conflict:  # another admin approves at the same time
            if attempt + 1 == _TRIES:
                raise
    raise AssertionError(_TRIES)


def _noted(cluster: Cluster, approval: Approval) -> Sequence[Approval]:
    before = find(cluster, CONFIG_MAP, APPROVAL_NOTE, SYSTEM_NAMESPACE)
    standing = approvals_of({APPROVAL_NOTE: before}) if before else ()
    others = (each for each in standing if each.digest != approval.digest and each.holds(approval.at.date()))
    approvals = [*others, approval]
    cluster.apply(CONFIG_MAP, approval_note(approvals, before))
    return approvals
