"""Live objects that can't become what is declared, and why: known before the server is asked, and in better words."""

from collections.abc import Iterator
from dataclasses import dataclass

from reconciler.amounts import AmountError, quantity
from reconciler.comparing.ownership import is_labelled, owns, value_at
from reconciler.model import Body, Suspect

_CLASS = ("f:spec", "f:storageClassName")
_ACCESS = ("f:spec", "f:accessModes")
_SIZE = ("f:spec", "f:resources", "f:requests", "f:storage")


@dataclass(frozen=True, slots=True)
class Fixed:
    """Why an object stays as it is, and the way out. ``alone``: the rest of its project goes on."""

    suspect: Suspect
    reason: str
    way_out: str
    alone: bool


def why_fixed(suspect: Suspect) -> Fixed | None:
    """None where the server may be asked."""
    ref, wanted, live = suspect.manifest.ref, suspect.manifest.body, suspect.live
    match ref.kind:
        case "PersistentVolumeClaim":
            reason = "; ".join(_of_claim(wanted, live))
            way_out = f"write in {suspect.manifest.origin} what it is; or declare another claim and copy the data"
            return Fixed(suspect, reason, way_out, alone=True) if reason else None
        case "LocalQueue" if not is_labelled(live) and wanted["spec"]["clusterQueue"] != live["spec"]["clusterQueue"]:
            queue = live["spec"]["clusterQueue"]
            reason = f"it is not jobq's and leads to ClusterQueue {queue}; it is taken over as it is or not at all"
            way_out = f"write clusterQueue: {queue} in {suspect.manifest.origin}, reconcile, and move it then"
            return Fixed(suspect, reason, way_out, alone=False)
        case _:
            return None


def _of_claim(wanted: Body, live: Body) -> Iterator[str]:
    """Everything but growth is refused by the server, and growth too as long as there is no volume."""
    has, shall = value_at(live, _CLASS), value_at(wanted, _CLASS)
    if shall is None and owns(live, *_CLASS):
        yield f"its class can't be changed: it is {has}, and none is declared"
    elif shall is not None and shall != has:
        yield f"its class can't be changed: it is {has or 'none'}, not {shall}"
    if value_at(live, _ACCESS) != value_at(wanted, _ACCESS):
        modes = ", ".join(value_at(live, _ACCESS) or ())
        yield f"its access can't be changed: it is {modes}, not {', '.join(value_at(wanted, _ACCESS) or ())}"
    before, after = str(value_at(live, _SIZE)), str(value_at(wanted, _SIZE))
    growth = _growth(before, after)
    if growth < 0:
        yield f"it can't get smaller: it has {before}, not {after}"
    elif growth > 0 and live.get("status", {}).get("phase") != "Bound":
        phase = live.get("status", {}).get("phase", "Pending")
        yield f"it can't grow from {before} to {after} while it is {phase}"


def _growth(before: str, after: str) -> int:
    """Below, at or above zero."""
    try:
        was, shall = quantity(before), quantity(after)
    except AmountError:  # what somebody wrote with an exponent: the server knows
        return 0
    return (shall > was) - (shall < was)
