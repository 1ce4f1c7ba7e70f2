"""Which namespaces are projects, which stand in the way of one, and what in them is jobq's."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from reconciler.comparing.ownership import is_adopted, is_labelled, own_entry, project_of
from reconciler.model import SYSTEM_NAMESPACE, Body, Manifest, ObjectRef, Role
from reconciler.planning.ending import is_ending

_OWN_BINDINGS = frozenset(f"jobq:{role}" for role in Role)


@dataclass(frozen=True, slots=True)
class Homes:
    """The live Namespaces, by what they are to the declared projects."""

    projects: Mapping[str, str]
    """As `project_namespaces`."""
    homeless: Mapping[ObjectRef, str]
    """As `homeless_entries`."""
    foreign: Mapping[str, Body]
    ending: Mapping[str, Body]
    displaced: Mapping[str, Body]
    unclaimed: Mapping[str, Body]
    """The last four as in `Comparison`."""

    @property
    def blocked(self) -> Collection[str]:
        """The projects of which nothing is compared."""
        return {*self.foreign, *self.ending, *self.displaced}

    def copies(self, live: Mapping[ObjectRef, Body], wanted: Collection[ObjectRef]) -> Iterator[Body]:
        """Namespaces that carry our labels, that nobody wants, and that no project lives in."""
        known = {*wanted, *map(ObjectRef.of, (*self.displaced.values(), *self.unclaimed.values()))}
        for ref, body in live.items():
            if ref.kind == "Namespace" and ref not in known and ref.name not in self.projects and is_labelled(body):
                yield body


def homes(manifests: Sequence[Manifest], live: Mapping[ObjectRef, Body]) -> Homes:
    """Looks at each live Namespace that is of a declared project, or says so."""
    projects = project_namespaces(live)
    homeless = _homeless(live, projects)
    own = {manifest.project: live[manifest.ref] for manifest in _namespaces(manifests) if manifest.ref in live}
    ending = {project: body for project, body in own.items() if is_ending(body)}
    return Homes(
        projects=projects,
        homeless=homeless,
        foreign={name: body for name, body in own.items() if name not in ending and project_of(body) != name},
        ending=ending,
        displaced=dict(_displaced(manifests, live, projects)),
        unclaimed=dict(_unclaimed({manifest.project for manifest in manifests}, homeless, live)),
    )


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
    return _homeless(live, project_namespaces(live))


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


def _namespaces(manifests: Iterable[Manifest]) -> Iterator[Manifest]:
    return (manifest for manifest in manifests if manifest.ref.kind == "Namespace")


def _displaced(
    manifests: Iterable[Manifest], live: Mapping[ObjectRef, Body], projects: Mapping[str, str]
) -> Iterator[tuple[str, Body]]:
    """Namespaces of projects that shall have another one: they can't be renamed, and a second one is never made.

    One that only carries the labels, such as a copy, counts as long as the project has none of the right name.
    """
    wanted: dict[str, set[ObjectRef]] = {}
    for manifest in _namespaces(manifests):
        wanted.setdefault(manifest.project, set()).add(manifest.ref)
    for ref, body in live.items():
        right = wanted.get(project_of(body)) if ref.kind == "Namespace" else None
        if right and ref not in right and (ref.name in projects or not any(one in live for one in right)):
            yield project_of(body), body


def _unclaimed(
    wanted: Collection[str], homeless: Mapping[ObjectRef, str], live: Mapping[ObjectRef, Body]
) -> Iterator[tuple[str, Body]]:
    for entry, name in homeless.items():
        namespace = live[ObjectRef("", "Namespace", "", name)]
        if entry.name not in wanted and project_of(namespace) == entry.name:
            yield entry.name, namespace


def _homeless(live: Mapping[ObjectRef, Body], projects: Mapping[str, str]) -> Mapping[ObjectRef, str]:
    entries = ((ref, body.get("data", {}).get("namespace", "")) for ref, body in live.items() if _is_entry(ref))
    return {
        ref: name
        for ref, name in entries
        if ObjectRef("", "Namespace", "", name) in live and projects.get(name) != ref.name
    }


def _is_entry(ref: ObjectRef) -> bool:
    return ref.kind == "ConfigMap" and ref.namespace == SYSTEM_NAMESPACE
