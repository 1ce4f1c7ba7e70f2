"""Manifests and live objects -> what is equal, what is not provably so, what is missing, what is too much.

Whatever isn't provably equal is a *suspect*: the server is asked by a dry-run. Defaulted, co-owned and foreign fields
never come up.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from reconciler.comparing.fixed import Fixed, why_fixed
from reconciler.comparing.ownership import field_at, is_adopted, is_equal, is_labelled, own_entry, project_of
from reconciler.kinds import BY_KIND, Kind
from reconciler.model import SYSTEM_NAMESPACE, Body, Manifest, ObjectRef, Role, Suspect
from reconciler.planning.ending import is_ending

_OWN_BINDINGS = frozenset(f"jobq:{role}" for role in Role)


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
    homes_of = {m.project: live[m.ref] for m in manifests if m.ref.kind == "Namespace" and m.ref in live}
    ending = {project: body for project, body in homes_of.items() if is_ending(body)}
    foreign = {name: body for name, body in homes_of.items() if name not in ending and project_of(body) != name}
    displaced = dict(_displaced(manifests, live))
    left_alone = {*foreign, *ending, *displaced}
    wanted = [manifest for manifest in manifests if manifest.project not in left_alone]
    absent = [manifest for manifest in wanted if manifest.ref not in live]
    unknown = [m for m in absent if m.ref.kind in unlisted and ObjectRef("", "Namespace", "", m.ref.namespace) in live]
    unclear = {manifest.ref for manifest in unknown}
    missing = [manifest for manifest in absent if manifest.ref not in unclear]
    equal, unproven = parted(Suspect(m, live[m.ref]) for m in wanted if m.ref in live)
    fixed = {suspect.manifest.ref: found for suspect in unproven if (found := why_fixed(suspect)) is not None}
    free = [suspect for suspect in unproven if suspect.manifest.ref not in fixed]
    replaced = [suspect for suspect in free if _needs_replacing(suspect)]
    suspects = [suspect for suspect in free if not _needs_replacing(suspect)]
    homeless = homeless_entries(live)
    unclaimed = dict(_unclaimed({manifest.project for manifest in manifests}, homeless, live))
    refs = {manifest.ref for manifest in manifests} | set(homeless)
    extra = [body for ref, body in live.items() if ref not in refs and body["kind"] != "Namespace"]
    homes = project_namespaces(live)
    mine = [body for body in extra if is_ours(body, homes)]
    owned = set(map(ObjectRef.of, mine))
    return Comparison(
        equal=equal,
        suspects=suspects,
        replaced=replaced,
        missing=missing,
        unknown=unknown,
        surplus=[body for body in mine if not _kind_of(body).kept],
        kept=[body for body in mine if _kind_of(body).kept],
        fixed=fixed,
        copies=[
            *(
                body
                for body in extra
                if is_labelled(body)
                and ObjectRef.of(body) not in owned
                and body["metadata"].get("namespace") not in homeless.values()
            ),
            *_copied_namespaces(live, {*refs, *map(ObjectRef.of, (*displaced.values(), *unclaimed.values()))}, homes),
        ],
        foreign=foreign,
        ending=ending,
        displaced=displaced,
        unclaimed=unclaimed,
    )


def parted(suspects: Iterable[Suspect]) -> tuple[list[Manifest], list[Suspect]]:
    """The manifests of those that are provably equal, and the others."""
    equal, unproven = [], []
    for suspect in suspects:
        if is_equal(suspect.manifest, suspect.live):
            equal.append(suspect.manifest)
        else:
            unproven.append(suspect)
    return equal, unproven


def _copied_namespaces(
    live: Mapping[ObjectRef, Body], known: Collection[ObjectRef], homes: Collection[str]
) -> Iterator[Body]:
    """Namespaces that carry our labels, and that no project lives in."""
    for ref, body in live.items():
        if ref.kind == "Namespace" and ref not in known and ref.name not in homes and is_labelled(body):
            yield body


def _kind_of(live: Body) -> Kind:
    ref = ObjectRef.of(live)
    return BY_KIND[ref.group, ref.kind]


def _displaced(manifests: Iterable[Manifest], live: Mapping[ObjectRef, Body]) -> Iterator[tuple[str, Body]]:
    """Namespaces of projects that shall have another one: they can't be renamed, and a second one is never made.

    One that only carries the labels, such as a copy, counts as long as the project has none of the right name.
    """
    wanted: dict[str, set[ObjectRef]] = {}
    for manifest in manifests:
        if manifest.ref.kind == "Namespace":
            wanted.setdefault(manifest.project, set()).add(manifest.ref)
    homes = project_namespaces(live)
    for ref, body in live.items():
        right = wanted.get(project_of(body)) if ref.kind == "Namespace" else None
        if right and ref not in right and (ref.name in homes or not any(one in live for one in right)):
            yield project_of(body), body


def _unclaimed(
    wanted: Collection[str], homeless: Mapping[ObjectRef, str], live: Mapping[ObjectRef, Body]
) -> Iterator[tuple[str, Body]]:
    for entry, name in homeless.items():
        namespace = live[ObjectRef("", "Namespace", "", name)]
        if entry.name not in wanted and project_of(namespace) == entry.name:
            yield entry.name, namespace


def _needs_replacing(suspect: Suspect) -> bool:
    kind = BY_KIND[suspect.manifest.ref.group, suspect.manifest.ref.kind]
    return any(field_at(suspect.manifest.body, path) != field_at(suspect.live, path) for path in kind.immutable)


def project_namespaces(live: Mapping[ObjectRef, Body]) -> dict[str, str]:
    """The namespaces that are projects, each with its project's name; also where the managed-by label was lost.

    Made by us, adopted by an admin, or what our catalogue names: the label alone proves nothing, a copy carries it too.
    A backup can even bring our entry back; where the catalogue names another namespace that is there, that one is the
    project's.
    """
    namespaces = (body for ref, body in live.items() if ref.kind == "Namespace" and project_of(body))
    return {body["metadata"]["name"]: project_of(body) for body in namespaces if _is_project(body, live)}


def _is_project(namespace: Body, live: Mapping[ObjectRef, Body]) -> bool:
    entry = live.get(ObjectRef("", "ConfigMap", SYSTEM_NAMESPACE, project_of(namespace)), {})
    name, said = namespace["metadata"]["name"], entry.get("data", {}).get("namespace", "")
    if said == name and own_entry(entry) is not None:
        return True
    has_twin = said not in {"", name} and ObjectRef("", "Namespace", "", said) in live
    return not has_twin and (own_entry(namespace) is not None or is_adopted(namespace))


def homeless_entries(live: Mapping[ObjectRef, Body]) -> Mapping[ObjectRef, str]:
    """Catalogue entries whose Namespace is there, but has lost its labels -> its name. They stay until it is gone."""
    homes = project_namespaces(live)
    entries = ((ref, body.get("data", {}).get("namespace", "")) for ref, body in live.items() if _is_entry(ref))
    return {
        ref: name
        for ref, name in entries
        if ObjectRef("", "Namespace", "", name) in live and homes.get(name) != ref.name
    }


def _is_entry(ref: ObjectRef) -> bool:
    return ref.kind == "ConfigMap" and ref.namespace == SYSTEM_NAMESPACE


def is_ours(live: Body, homes: Mapping[str, str]) -> bool:
    """Whether jobq made this object: our Apply entry, and a project label that fits its namespace.

    ``homes`` maps the namespaces that are projects to those projects' names. RoleBindings named ``jobq:<role>`` in such
    a namespace are ours by name: they give access, whoever made them.
    """
    metadata = live["metadata"]
    namespace = metadata.get("namespace", "")
    if live["kind"] == "RoleBinding" and metadata["name"] in _OWN_BINDINGS and namespace in homes:
        return True
    fits = namespace == SYSTEM_NAMESPACE or homes.get(namespace) == project_of(live)
    return is_labelled(live) and fits and own_entry(live) is not None
