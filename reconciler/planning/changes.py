"""What is to be written, object by object: which fields, why, and what somebody else has to do with it."""

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import replace

from reconciler.comparing.differences import bare, field_changes
from reconciler.comparing.ownership import is_labelled, own_entry, owned, project_of
from reconciler.comparing.takers import Taker, left_over, lost_leaves, shown, takers
from reconciler.errors import ClusterError
from reconciler.kinds import Path
from reconciler.model import Body, Manifest, ObjectRef, Suspect
from reconciler.planned import Action, Change, FieldChange
from reconciler.wording import shortened

DryRuns = Mapping[ObjectRef, Body | ClusterError]


def create_of(manifest: Manifest, homes: Container[str], *, again: bool) -> Change:
    """A new object. ``again``: this commit was applied before, so what is missing in a live namespace was deleted."""
    because = f"declared in {manifest.origin}"
    if again and manifest.ref.namespace in homes:
        because = f"deleted by someone, unless the last run was cut short: {because}"
    return Change(manifest.ref, Action.CREATE, manifest.project, because, manifest.body, origin=manifest.origin)


def update_of(suspect: Suspect, dry_runs: DryRuns, *, again: bool) -> Change | None:
    """None where the server says that an apply would change nothing, and nothing of ours was lost."""
    manifest, live = suspect.manifest, suspect.live
    answer = dry_runs.get(manifest.ref)
    if answer is None or isinstance(answer, ClusterError):
        return None
    found = field_changes(bare(live), bare(answer))
    before, after = own_entry(live), own_entry(answer)
    if not found and before is not None and after is not None and before["fieldsV1"] == after["fieldsV1"]:
        return None
    taken = takers(manifest, live)
    fields = tuple(replace(field, taken_from=_taker_of(field, taken)) for field in found)
    return Change(
        manifest.ref,
        Action.UPDATE,
        manifest.project,
        _why(suspect, fields, taken, again=again),
        manifest.body,
        live["metadata"]["uid"],
        fields,
        manifest.origin,
        tuple(f"{field} (owned by {who})" for field, who in left_over(manifest, live, answer).items()),
    )


def _why(suspect: Suspect, fields: Sequence[FieldChange], taken: Mapping[Path, Taker], *, again: bool) -> str:
    """What asks for the change: somebody else's edit, which is taken back, or a file."""
    origin = suspect.manifest.origin
    if own_entry(suspect.live) is None and not is_labelled(suspect.live):
        makers = " and ".join(str(taker) for taker in sorted(set(taken.values())))
        return f"takes over what {makers or 'somebody'} made"
    if taken:
        return f"takes back {' and '.join(_takings(taken))}"
    if not fields:
        return "takes ownership back: nothing else differs"
    because = f"declared in {origin}" if origin.line else f"{origin.path} is gone"
    lost = [shown(path) for path in lost_leaves(suspect.manifest, suspect.live)] if again else []
    removed = [field.path for field in fields if field.before is None and field.path.startswith(tuple(lost))]
    if removed:
        return f"{shortened(removed, 3)} removed by someone, unless the last run was cut short: {because}"
    return because


def _takings(taken: Mapping[Path, Taker]) -> Iterator[str]:
    """``spec.hard from kubectl-edit, 2027-01-15 10:32 UTC``, one for each client."""
    for taker in sorted(set(taken.values())):
        paths = sorted(shown(path) for path, who in taken.items() if who == taker)
        yield f"{shortened(paths, 3)} from {taker}"


def _taker_of(field: FieldChange, taken: Mapping[Path, Taker]) -> str:
    return next((str(taker) for path, taker in taken.items() if field.path.startswith(shown(path))), "")


def replace_of(suspect: Suspect) -> Change:
    """An object whose immutable fields differ."""
    manifest, live = suspect.manifest, suspect.live
    fields = field_changes(owned(live), manifest.body)
    because = f"{fields[0].path if fields else 'a field'} can't be changed in place"
    return Change(
        manifest.ref,
        Action.REPLACE,
        manifest.project,
        because,
        manifest.body,
        live["metadata"]["uid"],
        fields,
        manifest.origin,
    )


def delete_of(live: Body, homes: Mapping[str, str]) -> Change:
    """An object of ours that nobody wants; ``homes``: namespace -> project, as a binding may have lost its label."""
    ref = ObjectRef.of(live)
    project = homes.get(ref.namespace) or project_of(live)
    return Change(ref, Action.DELETE, project, "no file declares it any more", {}, live["metadata"]["uid"])
