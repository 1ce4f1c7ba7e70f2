"""What `jobq doctor` says of Kueue: its version, its settings, its queues, and whether they fit the projects."""

from collections.abc import Iterator, Mapping

from reconciler.administration.diagnosis import Diagnosis, ok, problem, unseen, warning
from reconciler.administration.facts import ClusterFacts, Facts, Unknown, known
from reconciler.comparing.holdings import name_of
from reconciler.kinds import LOCAL_QUEUE
from reconciler.model import MANAGED_BY, MANAGER, PROJECT_LABEL, Body
from reconciler.planning.fit import DEFAULT_CLASS, Fault, Misfit, misfits, shut_out
from reconciler.selectors import said, selects
from reconciler.versions import kueue_needed, kueue_suffices, shown_version
from reconciler.wording import shortened

_CONFIGURE = "edit kueue-system/kueue-manager-config, then: kubectl -n kueue-system rollout restart deployment"


def served(seen: ClusterFacts) -> Iterator[Diagnosis]:
    """Whether Kueue's API is there in the version that jobq speaks."""
    if isinstance(seen.kueue_plurals, Unknown) and not seen.kueue_plurals.absent:
        yield unseen("kueue-api", "what the server serves of Kueue", seen.kueue_plurals)
    elif LOCAL_QUEUE.plural in known(seen.kueue_plurals, ()):
        yield ok("kueue-api", f"LocalQueue {LOCAL_QUEUE.version} is served")
    else:
        found = ", ".join(known(seen.kueue_versions, ())) or "no LocalQueue at all"
        text = f"LocalQueue {LOCAL_QUEUE.version} is not served here; found: {found}"
        why = "no project can have a queue: plan and reconcile end with an error"
        yield problem("kueue-api", text, why, f"install Kueue {kueue_needed()}")


def version(seen: ClusterFacts) -> Iterator[Diagnosis]:
    """Whether Kueue keeps projects apart and survives a queue's move."""
    if LOCAL_QUEUE.plural not in known(seen.kueue_plurals, ()):
        return
    why = (
        "in earlier releases one queue name in many namespaces shows other projects' waiting jobs, "
        "and deleting a LocalQueue can hang the scheduler"
    )
    if seen.kueue is None:
        text = "Kueue's version can't be read (no Deployment labelled app.kubernetes.io/name=kueue with a version)"
        fix = (
            f"see to it that it is {kueue_needed()}: kubectl get deployments -A -l app.kubernetes.io/name=kueue -o wide"
        )
        yield warning("kueue", text, why, fix)
    elif kueue_suffices(seen.kueue):
        yield ok("kueue", f"version {shown_version(seen.kueue)}")
    else:
        yield problem("kueue", f"version {shown_version(seen.kueue)}", why, f"upgrade Kueue to {kueue_needed()}")


def managed(facts: Facts, seen: ClusterFacts) -> Iterator[Diagnosis]:
    """Whether Kueue's managedJobsNamespaceSelector matches the projects' namespaces."""
    labels = namespaces(facts, seen)
    if not labels or LOCAL_QUEUE.plural not in known(seen.kueue_plurals, ()):
        return
    if seen.configuration is None:
        text = "whether Kueue manages the projects' namespaces: not known, its configuration can't be read"
        why = "where it doesn't, jobs without a queue run outside quota, and others may wait for ever"
        fix = "see managedJobsNamespaceSelector in: kubectl -n kueue-system get configmap kueue-manager-config -o yaml"
        yield warning("managed-namespaces", text, why, fix)
        return
    selector = seen.configuration.get("managedJobsNamespaceSelector") or {}
    missed = [project for project, found in labels.items() if not selects(selector, found)]
    if missed:
        text = f"managedJobsNamespaceSelector ({said(selector)}) doesn't match the namespace of {shortened(missed)}"
        why = "Kueue doesn't watch over what has no queue there, and jobs of some kinds never start"
        fix = f"let the selector match what managedNamespaceLabel of jobq.toml says; {_CONFIGURE}"
        yield problem("managed-namespaces", text, why, fix)
    else:
        yield ok("managed-namespaces", f"managedJobsNamespaceSelector matches all {len(labels)} projects")


def cluster_queues(facts: Facts, seen: ClusterFacts) -> Iterator[Diagnosis]:
    """Whether each project's ClusterQueue is there, runs, and selects the project's namespace."""
    if isinstance(seen.queues, Unknown):
        yield unseen("cluster-queues", "ClusterQueues", seen.queues)
        return
    queues = {name_of(queue): queue for queue in seen.queues}
    wanted = {
        name: project.cluster_queue
        for name, project in (facts.declaration.projects if facts.declaration else {}).items()
    }
    found = list(misfits(queues, wanted, namespaces(facts, seen)))
    yield from (_told(misfit, queues) for misfit in found)
    if wanted and not found:
        yield ok("cluster-queues", "every project's ClusterQueue is there and selects its namespace")


def _told(misfit: Misfit, queues: Mapping[str, Body]) -> Diagnosis:
    queue, projects, spec = misfit.queue, shortened(misfit.projects), queues.get(misfit.queue, {}).get("spec", {})
    match misfit.fault:
        case Fault.ABSENT:
            text = f"there is no ClusterQueue {queue}, which {projects} name"
            fix = f"create it, or name another in the project files: there is {shortened(sorted(queues)) or 'none'}"
            return problem("cluster-queues", text, "their jobs wait until there is", fix)
        case Fault.STOPPED:
            text = f"ClusterQueue {queue} is stopped ({spec['stopPolicy']})"
            fix = f'kubectl patch clusterqueue {queue} --type=merge -p \'{{"spec":{{"stopPolicy":"None"}}}}\''
            return warning("cluster-queues", text, f"no job of {projects} starts", fix)
        case Fault.UNSELECTED:
            selector = said(spec.get("namespaceSelector"))
            text = f"the namespaceSelector of ClusterQueue {queue} ({selector}) doesn't select {projects}"
            why = "the LocalQueue looks active, yet none of their jobs is ever admitted"
            fix = f"let it select jobq.io/cluster-queue={queue}: kubectl edit clusterqueue {queue}"
            return problem("cluster-queues", text, why, fix)


def visibility(seen: ClusterFacts) -> Iterator[Diagnosis]:
    """Whether the API of waiting jobs answers: a registered one that is down keeps every namespace from going."""
    if not isinstance(seen.visibility, Unknown):
        yield ok("visibility", "the API of waiting jobs answers")
    elif seen.visibility.absent and LOCAL_QUEUE.plural in known(seen.kueue_plurals, ()):
        why = "jobs have no place in line"
        yield warning(
            "visibility", "the API of waiting jobs isn't registered", why, "install Kueue's visibility APIService"
        )
    elif not seen.visibility.absent:
        text = f"the API of waiting jobs doesn't answer: {seen.visibility.reason}"
        why = (
            "jobs have no place in line, and no namespace of the cluster can be deleted while it is registered and down"
        )
        yield problem("visibility", text, why, "kubectl get apiservice | grep visibility; is Kueue running?")


def fair_sharing(seen: ClusterFacts) -> Iterator[Diagnosis]:
    """Whether weights that somebody has set mean anything."""
    weighted = [
        name_of(queue)
        for queue in known(seen.queues, ())
        if str(queue["spec"].get("fairSharing", {}).get("weight", "1")) != "1"
    ]
    if seen.configuration is None:
        if weighted:
            text = f"{shortened(weighted)} have fair sharing weights; whether fair sharing is on can't be read"
            yield warning(
                "fair-sharing", text, "without it weights mean nothing", "see Kueue's configuration: fairSharing"
            )
        return
    sharing = seen.configuration.get("fairSharing")
    on = sharing is not None and sharing.get("enable", True)
    if weighted and not on:
        why = "the weights mean nothing: free quota goes to whoever comes first"
        fix = f"set fairSharing: {{}} in Kueue's configuration; {_CONFIGURE}"
        yield warning("fair-sharing", f"it is off, yet {shortened(weighted)} have weights", why, fix)
    else:
        yield ok("fair-sharing", "on" if on else "off, and no ClusterQueue has a weight")


def default_priorities(facts: Facts, seen: ClusterFacts) -> Iterator[Diagnosis]:
    """Whether the cluster gives jobs a class that a project's list lacks."""
    projects = facts.declaration.projects if facts.declaration else {}
    lists = {name: project.priorities for name, project in projects.items() if project.priorities is not None}
    if isinstance(seen.priorities, Unknown):
        if lists:
            yield unseen("priorities", "WorkloadPriorityClasses", seen.priorities)
        return
    there = {name_of(body) for body in seen.priorities}
    absent = sorted({name for allowed in lists.values() for name in allowed if name not in there})
    if absent:
        fix = f"create them, or take them off the lists: there is {shortened(sorted(there)) or 'none'}"
        yield problem(
            "priorities", f"no such WorkloadPriorityClass: {shortened(absent)}", "jobs that name one never start", fix
        )
    for found in shut_out(projects.values(), seen.priorities, known(seen.pod_priorities, ())):
        name, whose = found.name, shortened(found.projects)
        if found.kind == "WorkloadPriorityClass":
            text = f"there is a WorkloadPriorityClass {name}, which {whose} don't allow"
            why = "with Kueue's gate WorkloadPriorityClassDefaulting their plain jobs get it, and are refused"
            fix = f"add {name} to their priorities, or rename the class"
        else:
            text = f"PriorityClass {name} is the cluster's globalDefault"
            why = f"plain jobs of {whose} get it, and stay suspended without a word"
            fix = f"kubectl patch priorityclass {name} -p '{{\"globalDefault\":false}}'"
        yield warning("priorities", text, why, fix)
    if lists and not absent and DEFAULT_CLASS not in there:
        yield ok("priorities", "all classes that projects list are there")


def namespaces(facts: Facts, seen: ClusterFacts) -> Mapping[str, Mapping[str, str]]:
    """Project -> labels of its Namespace: as declared, or where nothing is, as live."""
    if facts.repository.namespaces:
        return facts.repository.namespaces
    bodies = [body["metadata"] for body in known(seen.namespaces, ())]
    ours = [metadata["labels"] for metadata in bodies if metadata.get("labels", {}).get(MANAGED_BY) == MANAGER]
    return {labels[PROJECT_LABEL]: labels for labels in ours if PROJECT_LABEL in labels}
