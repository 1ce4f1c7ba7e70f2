"""Reads what `jobq doctor` judges: every question alone, so that what one identity may not see hides nothing else."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from typing import Any

from reconciler import observe, source
from reconciler.administration.diagnosis import APPLYING, PLANNING
from reconciler.administration.facts import ClusterFacts, RepositoryFacts, Unknown
from reconciler.cluster import Body, Cluster
from reconciler.comparing.ownership import leaves
from reconciler.declare import declare
from reconciler.errors import ClusterError, DeclarationInvalid, Forbidden, JobqError, NotFound
from reconciler.kinds import (
    BOOTSTRAP_KINDS,
    BY_KIND,
    CLUSTER_QUEUE,
    LOCAL_QUEUE,
    NAMESPACE,
    POD_PRIORITY_CLASS,
    PRIORITY_CLASS,
    PROJECT_KINDS,
    SELF_SUBJECT_ACCESS_REVIEW,
    SELF_SUBJECT_REVIEW,
)
from reconciler.model import MANAGED_BY, MANAGER, SYSTEM_NAMESPACE, Declaration, Manifest, Snapshot
from reconciler.render import Templates, render

_WORKERS = 12
_VISIBILITY = "/apis/visibility.kueue.x-k8s.io/v1beta2"
_NO_REPOSITORY = "not a git repository"
_KINDS = {kind.resource.kind: kind for kind in PROJECT_KINDS}
_BOOTSTRAP = {(resource.api_version, resource.kind): resource for resource in BOOTSTRAP_KINDS}


def examine_repository(repo: Path, ref: str, today: date, *, given: bool) -> RepositoryFacts:
    """What a commit declares, or why it doesn't; never raises for what is wrong with it."""
    place = str(repo.resolve())
    try:
        snapshot = source.read_commit(repo, ref)
        declaration = declare(snapshot)
        own = source.templates(snapshot, "project")
        manifests = render(declaration, own, today)
        lacking = _lacking(declaration, own, today)
        uncommitted = source.uncommitted(repo)
    except DeclarationInvalid as invalid:
        return RepositoryFacts(place, given, Unknown(str(invalid), "jobq validate shows them all"), invalid.problems)
    except JobqError as error:
        return RepositoryFacts(place, given, Unknown(str(error), error.hint, absent=_NO_REPOSITORY in str(error)))
    labels = {m.project: dict(m.body["metadata"]["labels"]) for m in manifests if m.ref.kind == "Namespace"}
    named = {m.project: m.ref.name for m in manifests if m.ref.kind == "Namespace"}
    spaces = {name: found | {"kubernetes.io/metadata.name": named[name]} for name, found in labels.items()}
    return RepositoryFacts(place, given, declaration, (), uncommitted, lacking, spaces)


def _lacking(declaration: Declaration, own: Templates, today: date) -> Mapping[str, Sequence[str]]:
    """Each template that the repository has instead of a packaged one -> fields that only the packaged one writes."""
    packaged = source.templates(Snapshot("", {}), "project")
    full = _fields(render(declaration, packaged, today))
    found = {
        path: sorted(full - _fields(render(declaration, {**packaged, name: (path, text)}, today)))
        for name, (path, text) in own.items()
        if name in packaged and text != packaged[name][1]
    }
    return {path: [field for _, field in missing] for path, missing in found.items() if missing}


def _fields(manifests: Sequence[Manifest]) -> frozenset[tuple[str, str]]:
    """(kind, path) of everything that is written, whatever the project."""
    return frozenset(
        (manifest.ref.kind, f"{manifest.ref.kind} {'.'.join(step.partition(':')[2] for step in path)}")
        for manifest in manifests
        for path, _ in leaves(manifest.body, BY_KIND[manifest.ref.group, manifest.ref.kind])
    )


def examine_cluster(cluster: Cluster, wanted: Sequence[Body], probe: Callable[[], bool]) -> ClusterFacts:
    """What one identity may see of a cluster. ``wanted`` is what bootstrap installs, ``probe`` whether policies act."""
    questions: Mapping[str, Callable[[], Any]] = {
        "user": lambda: _user(cluster),
        "kubernetes": lambda: str(cluster.read("/version")["gitVersion"]),
        "kueue_versions": lambda: _queue_versions(cluster),
        "kueue_plurals": lambda: _plurals(cluster, f"/apis/{LOCAL_QUEUE.api_version}"),
        "kueue": lambda: observe.read_kueue_version(cluster),
        "configuration": lambda: observe.read_kueue_configuration(cluster),
        "visibility": lambda: _plurals(cluster, _VISIBILITY),
        "notes": lambda: observe.read_notes(cluster),
        "namespaces": lambda: cluster.list(NAMESPACE, labels=f"{MANAGED_BY}={MANAGER}").items,
        "queues": lambda: cluster.list(CLUSTER_QUEUE).items,
        "priorities": lambda: cluster.list(PRIORITY_CLASS).items,
        "pod_priorities": lambda: cluster.list(POD_PRIORITY_CLASS).items,
        "fenced": probe,
        "rights": lambda: {right: _may(cluster, *right) for right in (*PLANNING, *APPLYING)},
    }
    with ThreadPoolExecutor(_WORKERS) as pool:
        installed = pool.map(lambda body: (body, _known(lambda: _live(cluster, body))), wanted)
        answers = dict(zip(questions, pool.map(_known, questions.values()), strict=True))
        return ClusterFacts(cluster.address, cluster.context, installed=list(installed), **answers)


def _known(question: Callable[[], Any]) -> Any:  # noqa: ANN401 - each question has its own answer
    try:
        return question()
    except ClusterError as error:
        hint = "" if isinstance(error, Forbidden) else error.hint
        return Unknown(str(error), hint, absent=isinstance(error, NotFound))


def _user(cluster: Cluster) -> str:
    review = {"apiVersion": SELF_SUBJECT_REVIEW.api_version, "kind": SELF_SUBJECT_REVIEW.kind}
    return str(cluster.create(SELF_SUBJECT_REVIEW, review)["status"]["userInfo"]["username"])


def _plurals(cluster: Cluster, path: str) -> Sequence[str]:
    return [resource["name"] for resource in cluster.read(path)["resources"]]


def _queue_versions(cluster: Cluster) -> Sequence[str]:
    """The versions in which LocalQueues are served, whatever else of Kueue is."""
    root = f"/apis/{LOCAL_QUEUE.group}"
    versions = [found["version"] for found in cluster.read(root)["versions"]]
    return [version for version in versions if LOCAL_QUEUE.plural in _plurals(cluster, f"{root}/{version}")]


def _live(cluster: Cluster, body: Body) -> Body:
    metadata = body["metadata"]
    resource = _BOOTSTRAP[body["apiVersion"], body["kind"]]
    return cluster.get(resource, metadata["name"], namespace=metadata.get("namespace", ""))


def _may(cluster: Cluster, verb: str, kind: str) -> bool:
    """Whether the asking identity may, in all namespaces; of the catalogue's kind, in jobq-system."""
    found = _KINDS[kind]
    wanted = {"verb": verb, "group": found.resource.group, "resource": found.resource.plural}
    if found.system:
        wanted["namespace"] = SYSTEM_NAMESPACE
    review = {
        "apiVersion": SELF_SUBJECT_ACCESS_REVIEW.api_version,
        "kind": SELF_SUBJECT_ACCESS_REVIEW.kind,
        "spec": {"resourceAttributes": wanted},
    }
    return bool(cluster.create(SELF_SUBJECT_ACCESS_REVIEW, review)["status"]["allowed"])
