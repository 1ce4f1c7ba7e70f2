"""What the plan says of the cluster itself, whatever it changes: queues, strangers' access, copies, missing fences."""

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from shlex import quote

from reconciler.compare import Comparison
from reconciler.comparing.holdings import storage_size
from reconciler.comparing.homes import homeless_entries, is_ours, project_namespaces
from reconciler.comparing.ownership import project_of, relabelling
from reconciler.guard import CLUSTER_NOTE, POLICIES_VERSION, noted_version
from reconciler.model import (
    Body,
    Declaration,
    ObjectRef,
    Observation,
    Project,
    Settings,
)
from reconciler.planned import Change, Effect, EffectKind, Weight
from reconciler.planning.access import subjects, who_is
from reconciler.planning.ending import why_ending
from reconciler.planning.fit import Fault, misfits, shut_out
from reconciler.planning.limits import compute_limited
from reconciler.selectors import said
from reconciler.terms import State


def findings(
    declaration: Declaration, comparison: Comparison, seen: Observation, refused: Container[str]
) -> Iterator[Effect]:
    """All of them, each once a run; of the queues of ``refused`` projects their refusals say enough."""
    projects = [project for name, project in declaration.projects.items() if name not in refused]
    yield from _queues(projects, seen.queues, _namespace_labels(comparison, seen.live))
    yield from _default_priorities(declaration.projects.values(), seen.queues)
    yield from _unreadable(seen)
    yield from _fences(seen.notes)
    yield from _foreign_access(seen.live, declaration.settings)
    yield from _foreign_quotas(seen.live)
    yield from _kept(comparison)
    yield from _copies(comparison, seen.live)
    yield from _ending(declaration, comparison)
    yield from _homeless(declaration, seen.live)


def other_version(
    state: State | None, declaration: Declaration, changes: Sequence[Change], version: str
) -> Iterator[Effect]:
    """Says of changes to what this very commit has made that another jobq, with other templates, made it."""
    same = state is not None and state.commit == declaration.commit != ""
    if state is not None and same and changes and version not in {"", state.version}:
        text = (
            f"this commit was applied by jobq {state.version}, and this is {version}:"
            " what no file and nobody changed comes from its templates"
        )
        yield Effect(EffectKind.OTHER_VERSION, "", text)


def _namespace_labels(comparison: Comparison, live: Mapping[ObjectRef, Body]) -> dict[str, Mapping[str, str]]:
    """Project -> the labels that its namespace will have: ours, what others put there, and the server's own."""
    return {
        manifest.project: {
            **live.get(manifest.ref, {}).get("metadata", {}).get("labels", {}),
            **manifest.body["metadata"].get("labels", {}),
            "kubernetes.io/metadata.name": manifest.ref.name,
        }
        for manifest in comparison.wanted
        if manifest.ref.kind == "Namespace"
    }


def _queues(
    projects: Iterable[Project], queues: Mapping[str, Sequence[Body]], labels: Mapping[str, Mapping[str, str]]
) -> Iterator[Effect]:
    """ClusterQueues that projects name and that aren't there, are stopped, or don't select the project's namespace."""
    if "ClusterQueue" not in queues:
        return
    known = {body["metadata"]["name"]: body for body in queues["ClusterQueue"]}
    for misfit in misfits(known, {project.name: project.cluster_queue for project in projects}, labels):
        match misfit.fault:
            case Fault.ABSENT:
                kind = EffectKind.NO_CLUSTER_QUEUE
                text = f"there is no ClusterQueue {misfit.queue}; its jobs will wait until there is"
            case Fault.STOPPED:
                kind = EffectKind.STOPPED_CLUSTER_QUEUE
                text = f"ClusterQueue {misfit.queue} is stopped; its jobs will wait"
            case Fault.UNSELECTED:
                kind = EffectKind.UNSELECTED
                selector = said(known[misfit.queue]["spec"].get("namespaceSelector"))
                text = (
                    f"ClusterQueue {misfit.queue} doesn't select its namespace, so none of its jobs will run:"
                    f" its namespaceSelector wants {selector}"
                )
        for project in misfit.projects:
            yield Effect(kind, project, text, Weight.WARNING)


def _default_priorities(projects: Iterable[Project], queues: Mapping[str, Sequence[Body]]) -> Iterator[Effect]:
    """Projects whose list of priority classes lacks what the cluster gives to jobs that name none."""
    for found in shut_out(projects, queues.get("WorkloadPriorityClass", ()), queues.get("PriorityClass", ())):
        if found.kind == "WorkloadPriorityClass":
            text = (
                f"Kueue may give jobs without a priority class the WorkloadPriorityClass {found.name}, which this"
                " project doesn't allow: such jobs are refused"
            )
        else:
            text = (
                f"PriorityClass {found.name} is the cluster's global default, which this project's list of priorities"
                " shuts out: jobs without a WorkloadPriorityClass stay suspended"
            )
        for project in found.projects:
            yield Effect(EffectKind.DEFAULT_PRIORITY, project, text, Weight.WARNING)


def _unreadable(seen: Observation) -> Iterator[Effect]:
    for kind, reason in seen.unreadable.items():
        yield Effect(EffectKind.UNREADABLE, "", f"{kind}s are not checked: {reason}", Weight.WARNING)
    for kind, reason in seen.unlisted.items():
        text = f"no {kind} of a live project is changed or deleted, and no project archived: {reason}"
        yield Effect(EffectKind.UNREADABLE, "", text, Weight.WARNING)


def _fences(notes: Mapping[str, Body]) -> Iterator[Effect]:
    """Says where the policies that fence members and reconciler aren't there, or are older than this jobq's."""
    if CLUSTER_NOTE not in notes:
        return  # no cluster was asked
    version = notes[CLUSTER_NOTE].get("data", {}).get("policies", "none")
    if version == "none":
        text = "no admission policies are installed: members can run jobs outside the queue"
    elif noted_version(version) < POLICIES_VERSION:
        text = f"the admission policies are version {version}, this jobq has {POLICIES_VERSION}"
    else:
        return
    yield Effect(EffectKind.UNFENCED, "", text, Weight.WARNING, way_out="jobq bootstrap --apply")


def _foreign_access(live: Mapping[ObjectRef, Body], settings: Settings) -> Iterator[Effect]:
    """RoleBindings in project namespaces that no project file speaks of, unless the settings expect them."""
    homes = project_namespaces(live)
    for ref, body in live.items():
        if ref.kind != "RoleBinding" or ref.namespace not in homes or is_ours(body, homes):
            continue
        if not any(fnmatchcase(ref.name, pattern) for pattern in settings.expected_bindings):
            names = [who_is(subject) for subject in sorted(subjects(body))] or ["nobody"]
            text = f"foreign access, left alone: RoleBinding {ref.name} gives {body['roleRef']['name']}"
            yield Effect(
                EffectKind.FOREIGN_ACCESS,
                homes[ref.namespace],
                text,
                Weight.WARNING,
                names,
                way_out=f"if it is meant, add it to expectedBindings in jobq.toml; else {_removal(ref)}",
            )


def _foreign_quotas(live: Mapping[ObjectRef, Body]) -> Iterator[Effect]:
    """Somebody else's quotas on compute: Kueue doesn't know them, so pods that it admitted may be refused."""
    homes = project_namespaces(live)
    for ref, body in live.items():
        foreign = ref.kind == "ResourceQuota" and ref.namespace in homes and not is_ours(body, homes)
        if foreign and (limited := compute_limited(body)):
            text = (
                f"ResourceQuota {ref.name}, which isn't jobq's, limits {', '.join(limited)}:"
                " pods that Kueue admitted can be refused by it"
            )
            way_out = f"let the ClusterQueue alone limit that: {_removal(ref)}"
            yield Effect(EffectKind.FOREIGN_QUOTA, homes[ref.namespace], text, Weight.WARNING, way_out=way_out)


def _removal(ref: ObjectRef) -> str:
    """The command that takes away somebody's object; names of bindings may hold what a shell would obey."""
    return f"kubectl delete {ref.kind.lower()} -n {ref.namespace} {quote(ref.name)}"


def _kept(comparison: Comparison) -> Iterator[Effect]:
    """Claims that were dropped from their file."""
    for body in comparison.kept:
        name, size = body["metadata"]["name"], storage_size(body)
        text = f"PersistentVolumeClaim {name} ({size}) is declared no more: it stays, with its data"
        yield Effect(EffectKind.KEPT_STORAGE, project_of(body), text)


def _copies(comparison: Comparison, live: Mapping[ObjectRef, Body]) -> Iterator[Effect]:
    """What carries our labels and isn't ours; a binding in a project's namespace is told as foreign access instead."""
    homes = project_namespaces(live)
    for ref in map(ObjectRef.of, comparison.copies):
        if ref.kind != "RoleBinding" or ref.namespace not in homes:
            yield Effect(EffectKind.COPY, "", f"{ref} carries jobq's labels but is a copy: left alone", Weight.WARNING)


def _ending(declaration: Declaration, comparison: Comparison) -> Iterator[Effect]:
    """Namespaces of projects that no file declares, on their way out; declared ones are refused instead."""
    for project, namespace in comparison.ending.items():
        if project not in declaration.projects:
            text = f"namespace {namespace['metadata']['name']} is being deleted: {why_ending(namespace)}"
            yield Effect(EffectKind.ENDING, project, text, Weight.WARNING)


def _homeless(declaration: Declaration, live: Mapping[ObjectRef, Body]) -> Iterator[Effect]:
    """Archived projects whose namespace has lost its labels: what they hold is nobody's to repair or to purge."""
    for ref, name in homeless_entries(live).items():
        is_labelled_so = project_of(live[ObjectRef("", "Namespace", "", name)]) == ref.name  # refused instead
        if ref.name not in declaration.projects and not is_labelled_so:
            text = f"namespace {name} has lost jobq's labels: left alone"
            yield Effect(EffectKind.HOMELESS, ref.name, text, Weight.WARNING, way_out=relabelling(name, ref.name))
