"""Manifests and live objects -> what is equal, what is not provably so, what is missing, what is too much.

Whatever isn't provably equal is a *suspect*: the server is asked by a dry-run. Defaulted, co-owned and foreign fields
never come up.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from reconciler.comparing.fixed import Fixed, why_fixed
from reconciler.comparing.homes import homes, is_ours
from reconciler.comparing.ownership import field_at, is_equal, is_labelled
from reconciler.kinds import BY_KIND, Kind
from reconciler.model import Body, Manifest, ObjectRef, Suspect

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Comparison:
    """Every desired and every owned live object, in exactly one place."""

    equal: Sequence[Manifest] = ()
    suspects: Sequence[Suspect] = ()
    replaced: Sequence[Suspect] = ()
    """Live objects whose immutable fields must change: deleted and created."""
    missing: Sequence[Manifest] = ()
    unknown: Sequence[Manifest] = ()
    """Of kinds that could not be listed: neither missing nor equal."""
    surplus: Sequence[Body] = ()
    """Ours, and wanted by nobody any more."""
    kept: Sequence[Body] = ()
    """The same, of a kind that holds people's data: never deleted."""
    fixed: Mapping[ObjectRef, Fixed] = field(default_factory=dict)
    """Live objects that can't become what is declared, each with the reason."""
    copies: Sequence[Body] = ()
    """They carry our labels, and are not ours."""
    foreign: Mapping[str, Body] = field(default_factory=dict)
    """Project -> the Namespace of its name that isn't ours; nothing of that project is compared."""
    ending: Mapping[str, Body] = field(default_factory=dict)
    """Project -> its Namespace, or a foreign one of its name, that is being deleted; nothing of it is compared."""
    displaced: Mapping[str, Body] = field(default_factory=dict)
    """Project -> its Namespace under another name than it shall have; nothing of that project is compared."""
    unclaimed: Mapping[str, Body] = field(default_factory=dict)
    """Project without a manifest -> its Namespace by label and entry, of which no managedFields say so."""

    @property
    def differing(self) -> Sequence[Suspect]:
        """Live objects that aren't, or may not be, what is wanted: to be updated or replaced."""
        return (*self.suspects, *self.replaced)

    @property
    def wanted(self) -> Sequence[Manifest]:
        """What will be there, as far as it can be told."""
        return (*self.equal, *self.missing, *(suspect.manifest for suspect in self.differing))


def compare(
    manifests: Sequence[Manifest], live: Mapping[ObjectRef, Body], unlisted: Collection[str] = ()
) -> Comparison:
    """Sorts manifests and live objects into the places of a ``Comparison``.

    ``unlisted`` are the kinds of which ``live`` is not all. In a namespace that isn't there none of them can be.
    """
    found = homes(manifests, live)
    wanted = [manifest for manifest in manifests if manifest.project not in found.blocked]
    present, absent = _split(wanted, lambda manifest: manifest.ref in live)
    unknown, missing = _split(
        absent, lambda m: m.ref.kind in unlisted and ObjectRef("", "Namespace", "", m.ref.namespace) in live
    )
    equal, unproven = parted(Suspect(manifest, live[manifest.ref]) for manifest in present)
    fixed = {suspect.manifest.ref: why for suspect in unproven if (why := why_fixed(suspect)) is not None}
    replaced, suspects = _split(
        (suspect for suspect in unproven if suspect.manifest.ref not in fixed), _needs_replacing
    )
    refs = {manifest.ref for manifest in manifests} | set(found.homeless)
    extra = (body for ref, body in live.items() if ref not in refs and ref.kind != "Namespace")
    mine, others = _split(extra, lambda body: is_ours(body, found.projects))
    kept, surplus = _split(mine, lambda body: _kind_of(body).kept)
    copied = (
        body
        for body in others
        if is_labelled(body) and body["metadata"].get("namespace") not in found.homeless.values()
    )
    return Comparison(
        equal=equal,
        suspects=suspects,
        replaced=replaced,
        missing=missing,
        unknown=unknown,
        surplus=surplus,
        kept=kept,
        fixed=fixed,
        copies=[*copied, *found.copies(live, refs)],
        foreign=found.foreign,
        ending=found.ending,
        displaced=found.displaced,
        unclaimed=found.unclaimed,
    )


def _split(items: Iterable[T], test: Callable[[T], bool]) -> tuple[list[T], list[T]]:
    """Those that pass the test, and the others."""
    passed: list[T] = []
    others: list[T] = []
    for item in items:
        (passed if test(item) else others).append(item)
    return passed, others


def parted(suspects: Iterable[Suspect]) -> tuple[list[Manifest], list[Suspect]]:
    """The manifests of those that are provably equal, and the others."""
    equal, unproven = _split(suspects, lambda suspect: is_equal(suspect.manifest, suspect.live))
    return [suspect.manifest for suspect in equal], unproven


def _kind_of(live: Body) -> Kind:
    ref = ObjectRef.of(live)
    return BY_KIND[ref.group, ref.kind]


def _needs_replacing(suspect: Suspect) -> bool:
    kind = BY_KIND[suspect.manifest.ref.group, suspect.manifest.ref.kind]
    return any(field_at(suspect.manifest.body, path) != field_at(suspect.live, path) for path in kind.immutable)
