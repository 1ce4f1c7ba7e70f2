"""Projects, or parts of them, that can't be planned: each with its reason and the way out."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from reconciler.compare import Comparison
from reconciler.comparing.homes import project_namespaces
from reconciler.comparing.ownership import made_for, own_entry, project_of
from reconciler.errors import ClusterError, Forbidden
from reconciler.kinds import BY_KIND
from reconciler.model import MANAGED_BY, PROJECT_LABEL, Body, Declaration, ObjectRef, Observation, Suspect
from reconciler.planned import Refusal
from reconciler.planning.ending import way_out_of, why_ending
from reconciler.planning.staying import merged

DryRuns = Mapping[ObjectRef, Body | ClusterError]
ALLOW_PRIVILEGED = "jobq.io/allow-privileged"
"""What an admin puts on a namespace that may have Pod Security at privileged."""


def refusals_of(
    declaration: Declaration, comparison: Comparison, dry_runs: DryRuns, seen: Observation
) -> Iterator[Refusal]:
    """Each project that is left alone as a whole, and why."""
    yield from _foreign(comparison)
    yield from _ending(comparison, declaration)
    yield from _displaced(comparison, declaration, seen)
    yield from _unclaimed(comparison)
    yield from _stranded(declaration, comparison, seen)
    yield from _fixed(comparison)
    yield from _refused(comparison.suspects, dry_runs)


def excused(suspects: Sequence[Suspect], dry_runs: DryRuns) -> DryRuns:
    """The answers, without refusals that only say that the namespace has lost our label: this plan puts it back first.

    In their place stands what we ask for, over what is live: not verified by the server.
    """
    unlabelled = {suspect.manifest.project for suspect in suspects if lost_label(suspect)}
    excused = {
        suspect.manifest.ref: merged(suspect.live, suspect.manifest.body)
        for suspect in suspects
        if suspect.manifest.project in unlabelled and isinstance(dry_runs.get(suspect.manifest.ref), Forbidden)
    }
    return {**dry_runs, **excused}


def lost_label(suspect: Suspect) -> bool:
    """Whether a project's Namespace lacks the label by which policies know it as jobq's."""
    return suspect.live["kind"] == "Namespace" and MANAGED_BY not in suspect.live["metadata"].get("labels", {})


def _foreign(comparison: Comparison) -> Iterator[Refusal]:
    """Namespaces of a project's name that aren't its own; one that lost our label is an admin's to give back."""
    for project, namespace in comparison.foreign.items():
        name, owner = namespace["metadata"]["name"], project_of(namespace)
        way_out = f"choose another name; or an admin hands it over: jobq project adopt {project}"
        if owner and made_for(namespace) == project:
            text = f"namespace {name} was project {project}'s, and somebody made its label {PROJECT_LABEL} {owner}"
            way_out = f"an admin puts it back: kubectl label namespace {name} {PROJECT_LABEL}={project} --overwrite"
        elif owner:
            text, way_out = f"namespace {name} belongs to project {owner}", "choose another name"
        elif own_entry(namespace) is not None or made_for(namespace) == project:
            text = f"namespace {name} was project {project}'s, and somebody removed its label {PROJECT_LABEL}"
            way_out = f"an admin puts it back: jobq project adopt {project}"
        else:
            text = f"a namespace {name} exists and is not jobq's"
        yield Refusal(f"{text}: project {project} is left alone, and so is that namespace", way_out, project)


def _ending(comparison: Comparison, declaration: Declaration) -> Iterator[Refusal]:
    """Declared projects whose namespace is on its way out: they come anew once it is gone."""
    for project, namespace in comparison.ending.items():
        if project in declaration.projects:
            name = namespace["metadata"]["name"]
            text = (
                f"namespace {name} is being deleted; project {project} waits until it is gone: {why_ending(namespace)}"
            )
            yield Refusal(text, way_out_of(namespace), project)


def _displaced(comparison: Comparison, declaration: Declaration, seen: Observation) -> Iterator[Refusal]:
    """Projects whose namespace would have another name by now: none can be renamed."""
    homes = project_namespaces(seen.live)
    for project, namespace in comparison.displaced.items():
        name = namespace["metadata"]["name"]
        shall = declaration.projects[project].namespace if project in declaration.projects else "another one"
        text = f"project {project} has the namespace {name}, and jobq.toml names it {shall}; none can be renamed"
        way_out = f"let the pattern in jobq.toml give {name}; or archive the project, and: jobq project purge {project}"
        if name not in homes:
            way_out = f"if {name} is not the project's: kubectl label namespace {name} {PROJECT_LABEL}-"
        yield Refusal(text, way_out, project)


def _unclaimed(comparison: Comparison) -> Iterator[Refusal]:
    """Projects without a file of which no managedFields say that jobq made them: none is archived on a label's word."""
    for project, namespace in comparison.unclaimed.items():
        text = (
            f"project {project} has no file any more, but nothing shows that jobq made namespace"
            f" {namespace['metadata']['name']}, whose managedFields were cleared: it isn't archived, and access stays"
        )
        way_out = f"put projects.d/{project}.yaml back and reconcile, which takes it over anew; then remove it again"
        yield Refusal(text, way_out, project)


def _fixed(comparison: Comparison) -> Iterator[Refusal]:
    """Objects that can't become what is declared; where it is storage, the rest of the project goes on."""
    for ref, found in comparison.fixed.items():
        only = str(ref) if found.alone else ""
        yield Refusal(f"{ref}: {found.reason}", found.way_out, found.suspect.manifest.project, only)


def _stranded(declaration: Declaration, comparison: Comparison, seen: Observation) -> Iterator[Refusal]:
    """New projects whose ClusterQueue isn't there. One that lives goes on: access must end when git says so."""
    new = {manifest.project for manifest in comparison.missing if manifest.ref.kind == "Namespace"}
    known = {body["metadata"]["name"] for body in seen.queues.get("ClusterQueue", ())}
    for name in sorted(new & declaration.projects.keys()) if "ClusterQueue" in seen.queues else ():
        queue = declaration.projects[name].cluster_queue
        if queue not in known:
            text = f"there is no ClusterQueue {queue}: project {name} isn't created"
            yield Refusal(text, "name one that is there: kubectl get clusterqueues", name)


def _refused(suspects: Iterable[Suspect], dry_runs: DryRuns) -> Iterator[Refusal]:
    """Projects of which the server takes an object not as it is declared."""
    for suspect in suspects:
        answer = dry_runs.get(suspect.manifest.ref)
        if isinstance(answer, ClusterError):
            ref = suspect.manifest.ref
            only = str(ref) if BY_KIND[ref.group, ref.kind].kept else ""
            yield Refusal(f"{ref}: {answer}", _way_out(suspect, answer), suspect.manifest.project, only)


def _way_out(suspect: Suspect, answer: ClusterError) -> str:
    if ALLOW_PRIVILEGED in str(answer):
        name = suspect.manifest.ref.name
        return f"if an admin wants it: kubectl label namespace {name} {ALLOW_PRIVILEGED}=true"
    return answer.hint or "ask the cluster's admins; these are the server's words"
