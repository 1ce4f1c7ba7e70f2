"""The cluster, read: first everything of the kinds in the table, later what the comparison couldn't settle."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from reconciler.cluster import Cluster, Resource
from reconciler.comparing.holdings import Contents
from reconciler.documents.yaml import read_template
from reconciler.errors import ClusterError, NotFound, Unauthorized
from reconciler.kinds import (
    BY_KIND,
    CLAIM,
    CLUSTER_QUEUE,
    COHORT,
    CONFIG_MAP,
    DEPLOYMENT,
    JOB_METADATA,
    KUEUE_NAMESPACE,
    LOCAL_QUEUE,
    NAMESPACE,
    POD_PRIORITY_CLASS,
    PRIORITY_CLASS,
    PROJECT_KINDS,
    RESOURCE_FLAVOR,
    WORKLOAD,
    Kind,
)
from reconciler.model import (
    MANAGED_BY,
    MANAGER,
    SYSTEM_NAMESPACE,
    Answers,
    Body,
    ObjectRef,
    Observation,
    Questions,
    Suspect,
)
from reconciler.patience import READ_SECONDS, patiently
from reconciler.versions import Version, image_version, parse_version

_KUEUE_FILE = "controller_manager_config.yaml"
_KUEUE_LABEL = "app.kubernetes.io/name=kueue"
_QUEUE_KINDS = (CLUSTER_QUEUE, COHORT, RESOURCE_FLAVOR, PRIORITY_CLASS, POD_PRIORITY_CLASS)
KEPT = (*(kind.resource for kind in PROJECT_KINDS), *_QUEUE_KINDS)
"""What a watch keeps up to date: all that a plan without changes looks at."""
_WORKERS = 8


def read_notes(cluster: Cluster) -> Mapping[str, Body]:
    """The ConfigMaps of jobq-system by name: the catalogue, and what is noted about the cluster. One LIST.

    Raises: ClusterError.
    """
    listing = patiently(lambda: cluster.list(CONFIG_MAP, namespace=SYSTEM_NAMESPACE), READ_SECONDS)
    return {body["metadata"]["name"]: _typed(body, CONFIG_MAP) for body in listing.items}


def observe(cluster: Cluster, notes: Mapping[str, Body]) -> Observation:
    """Everything the plan needs, one paged LIST per kind. Names with a dot in jobq-system are no inventory.

    Raises: ClusterError where the Namespaces can't be listed: they say what is a project.
    """
    kinds = [kind for kind in PROJECT_KINDS if not kind.system]
    with ThreadPoolExecutor(_WORKERS) as pool:
        mine = pool.map(lambda kind: _listed(cluster, kind), kinds)
        theirs = pool.map(lambda resource: _tried(cluster, resource), _QUEUE_KINDS)
        listed = {kind.resource.kind: answer for kind, answer in zip(kinds, mine, strict=True)}
        queues = {resource.kind: answer for resource, answer in zip(_QUEUE_KINDS, theirs, strict=True)}
    whole = [answer for answer in listed.values() if not isinstance(answer, ClusterError)]
    unlisted = {kind: str(answer) for kind, answer in listed.items() if isinstance(answer, ClusterError)}
    live = {ObjectRef.of(body): body for answer in whole for body in answer}
    live |= {ObjectRef.of(body): body for name, body in notes.items() if "." not in name}
    readable = {kind: answer for kind, answer in queues.items() if not isinstance(answer, ClusterError)}
    unreadable = {kind: str(answer) for kind, answer in queues.items() if isinstance(answer, ClusterError)}
    return Observation(live, notes, readable, unreadable, unlisted)


def read_kueue_version(cluster: Cluster, namespaces: Sequence[str] = ("", KUEUE_NAMESPACE)) -> Version | None:
    """Kueue's version, by the image of its Deployment. None where it can't be told: no right to look, no such tag.

    Looked for in all namespaces, or where that isn't allowed in Kueue's usual one: the reconciler may look there only.
    """
    for namespace in namespaces:
        try:
            found = cluster.list(DEPLOYMENT, namespace=namespace, labels=_KUEUE_LABEL).items
        except ClusterError:
            continue
        return next((version for body in found if (version := _deployed_version(body)) is not None), None)
    return None


def read_kueue_configuration(cluster: Cluster) -> Body | None:
    """What Kueue was told, from the ConfigMap of its manifests or its Helm chart. None where it can't be read."""
    try:
        found = cluster.list(CONFIG_MAP, namespace=KUEUE_NAMESPACE).items
    except ClusterError:
        return None
    texts = (body.get("data", {}).get(_KUEUE_FILE) for body in found)
    documents = (document for text in texts if text for document in read_template(text, _KUEUE_FILE))
    return next((document.value for document in documents if isinstance(document.value, dict)), None)


def read_contents(cluster: Cluster, namespace: str, resources: Sequence[Resource]) -> Contents:
    """Everything of these kinds in one namespace. A kind that isn't served has no objects; one that fails is told."""
    with ThreadPoolExecutor(_WORKERS) as pool:
        answers = list(pool.map(lambda resource: _tried(cluster, resource, namespace), resources))
    found = {resource.kind: answer for resource, answer in zip(resources, answers, strict=True)}
    return Contents(
        {kind: () if isinstance(answer, ClusterError) else answer for kind, answer in found.items()},
        {
            kind: str(answer)
            for kind, answer in found.items()
            if isinstance(answer, ClusterError) and not isinstance(answer, NotFound)
        },
    )


def _deployed_version(deployment: Body) -> Version | None:
    """By its manager's image, or else by the label that Helm puts on it."""
    containers = deployment["spec"]["template"]["spec"]["containers"]
    ranked = sorted(containers, key=lambda container: container["name"] != "manager")
    label = deployment["metadata"].get("labels", {}).get("app.kubernetes.io/version", "")
    return image_version(ranked[0].get("image", "")) or parse_version(label)


def ask(cluster: Cluster, questions: Questions) -> Answers:
    """What the server would make of each suspect (one dry-run apply each), and one LIST for each namespace asked of.

    What can't be answered is said in the answers: a plan goes on without.
    """
    asked = ((WORKLOAD, questions.workloads), (JOB_METADATA, questions.jobs), (CLAIM, questions.claims))
    lists = [(resource, namespace) for resource, namespaces in asked for namespace in namespaces]
    with ThreadPoolExecutor(_WORKERS) as pool:
        dry_runs = pool.map(lambda suspect: _dry_run(cluster, suspect), questions.dry_runs)
        found = pool.map(lambda pair: _tried(cluster, *pair), lists)
        kueue = read_kueue_version(cluster, [KUEUE_NAMESPACE]) if questions.kueue else None
        refs = (suspect.manifest.ref for suspect in questions.dry_runs)
        settled = dict(zip(refs, dry_runs, strict=True))
        answers = dict(zip(lists, found, strict=True))
    return Answers(
        dry_runs=settled,
        workloads=_readable(answers, WORKLOAD),
        jobs=_readable(answers, JOB_METADATA),
        claims=_readable(answers, CLAIM),
        kueue=kueue,
        unanswered={resource.kind: reasons for resource, _ in asked if (reasons := _unreadable(answers, resource))},
    )


def _readable(
    answers: Mapping[tuple[Resource, str], Sequence[Body] | ClusterError], resource: Resource
) -> dict[str, Sequence[Body]]:
    """Of one kind, by namespace."""
    return {
        namespace: answer
        for (of, namespace), answer in answers.items()
        if of == resource and not isinstance(answer, ClusterError)
    }


def _unreadable(
    answers: Mapping[tuple[Resource, str], Sequence[Body] | ClusterError], resource: Resource
) -> dict[str, str]:
    """Of one kind, by namespace: why."""
    return {
        namespace: str(answer)
        for (of, namespace), answer in answers.items()
        if of == resource and isinstance(answer, ClusterError)
    }


def _dry_run(cluster: Cluster, suspect: Suspect) -> Body | ClusterError:
    ref = suspect.manifest.ref
    resource = BY_KIND[ref.group, ref.kind].resource
    try:
        return patiently(lambda: cluster.apply(resource, suspect.manifest.body, dry_run=True), READ_SECONDS)
    except ClusterError as error:
        return error


def _listed(cluster: Cluster, kind: Kind) -> Sequence[Body] | ClusterError:
    """All objects of one kind, or why they can't be had: unknown is not absent. Nothing goes on without Namespaces."""
    try:
        return _read(cluster, kind.resource, labels="" if kind.whole else f"{MANAGED_BY}={MANAGER}")
    except NotFound as error:
        if kind.resource is not LOCAL_QUEUE:
            return error
        hint = "install Kueue 0.17.8, 0.18.4, or 0.19 and later; `jobq plan --offline` works without"
        text = f"LocalQueue {LOCAL_QUEUE.version} is not served by {cluster.address}; found: {_older_queues(cluster)}"
        raise NotFound(text, hint=hint, code=error.code) from error
    except Unauthorized:
        raise
    except ClusterError as error:
        if kind.resource is NAMESPACE:
            raise
        return error


def _older_queues(cluster: Cluster) -> str:
    older = replace(LOCAL_QUEUE, version="v1beta1")
    return "no LocalQueue at all" if isinstance(_tried(cluster, older), NotFound) else older.version


def _tried(cluster: Cluster, resource: Resource, namespace: str = "") -> Sequence[Body] | ClusterError:
    """What helps to warn, such as what the cluster's admins have set up; a plan can do without."""
    try:
        return _read(cluster, resource, namespace=namespace)
    except ClusterError as error:
        return error


def _read(cluster: Cluster, resource: Resource, *, namespace: str = "", labels: str = "") -> Sequence[Body]:
    listing = patiently(lambda: cluster.list(resource, namespace=namespace, labels=labels), READ_SECONDS)
    return [_typed(body, resource) for body in listing.items]


def _typed(body: Body, resource: Resource) -> Body:
    """An item of a LIST with the kind that the list says once for all of them."""
    return {"apiVersion": resource.api_version, "kind": resource.kind} | body
