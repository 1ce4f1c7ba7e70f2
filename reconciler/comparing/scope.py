"""Which projects a run is about: all but those that are held, not named, or not to be judged now."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace

from reconciler.compare import Comparison
from reconciler.comparing.homes import project_namespaces
from reconciler.comparing.ownership import project_of
from reconciler.declaring.problems import nearest
from reconciler.errors import UsageError
from reconciler.model import SYSTEM_NAMESPACE, Body, ObjectRef


def scope_of(only: Collection[str], held: Collection[str], known: Collection[str]) -> Callable[[str], bool]:
    """Whether a run is about a project: among ``only`` and ``known`` where these say something, and not ``held``."""
    return lambda project: (not only or project in only) and project not in held and (not known or project in known)


def scoped(comparison: Comparison, concerned: Callable[[str], bool], live: Mapping[ObjectRef, Body]) -> Comparison:
    """The comparison of these projects alone: nothing of any other can come into the plan."""
    homes = project_namespaces(live)
    return replace(
        comparison,
        equal=[manifest for manifest in comparison.equal if concerned(manifest.project)],
        suspects=[suspect for suspect in comparison.suspects if concerned(suspect.manifest.project)],
        replaced=[suspect for suspect in comparison.replaced if concerned(suspect.manifest.project)],
        missing=[manifest for manifest in comparison.missing if concerned(manifest.project)],
        unknown=[manifest for manifest in comparison.unknown if concerned(manifest.project)],
        surplus=[body for body in comparison.surplus if concerned(_owner(body, homes))],
        kept=[body for body in comparison.kept if concerned(_owner(body, homes))],
        fixed={ref: found for ref, found in comparison.fixed.items() if concerned(found.suspect.manifest.project)},
        foreign={project: body for project, body in comparison.foreign.items() if concerned(project)},
        ending={project: body for project, body in comparison.ending.items() if concerned(project)},
        unclaimed={project: body for project, body in comparison.unclaimed.items() if concerned(project)},
        displaced={project: body for project, body in comparison.displaced.items() if concerned(project)},
    )


def must_be_known(names: Collection[str], declared: Collection[str], live: Mapping[ObjectRef, Body]) -> None:
    """That each name is a project, declared or live. Raises: UsageError, with the nearest name."""
    known = {*declared, *project_namespaces(live).values()}
    for name in sorted(names):
        if name not in known:
            near = nearest(name, known)
            hint = f"did you mean {near}?" if near else "jobq project list shows those of the cluster"
            raise UsageError(f"no project {name} is declared, or lives on this cluster", hint=hint)


def _owner(body: Body, homes: Mapping[str, str]) -> str:
    """The project that such an object belongs to: by its namespace, as a binding may have lost its labels."""
    metadata = body["metadata"]
    namespace = metadata.get("namespace", "")
    return metadata["name"] if namespace == SYSTEM_NAMESPACE else homes.get(namespace, project_of(body))
