"""A namespace that exists becomes a project's, by an admin's own rights: two labels, and nothing else is written."""

from collections.abc import Sequence

from reconciler.administration.adoption import Adoptee, check_adoption
from reconciler.cluster import Cluster, find
from reconciler.comparing.holdings import name_of
from reconciler.errors import Conflict, Rejected, UsageError
from reconciler.guard import check_cluster, must_pass
from reconciler.kinds import (
    BY_KIND,
    CRON_JOB,
    DEPLOYMENT,
    JOB,
    LOCAL_QUEUE,
    NAMESPACE,
    POD,
    RESOURCE_QUOTA,
    ROLE_BINDING,
    SERVICE,
    STATEFUL_SET,
    WORKLOAD,
)
from reconciler.model import PROJECT_LABEL, Declaration, Manifest, ObjectRef, Project
from reconciler.observe import read_contents, read_kueue_configuration, read_notes
from reconciler.planned import Verdict

_CONTENTS = (
    JOB,
    CRON_JOB,
    DEPLOYMENT,
    STATEFUL_SET,
    POD,
    LOCAL_QUEUE,
    WORKLOAD,
    SERVICE,
    RESOURCE_QUOTA,
    ROLE_BINDING,
)


def find_adoptee(
    cluster: Cluster, declaration: Declaration, manifests: Sequence[Manifest], project: Project, warnings: list[str]
) -> Adoptee:
    """The namespace of a declared project, with all that must be known before it becomes that. Nothing is written.

    ``manifests`` are the project's; ``warnings`` is where the cluster puts what its server warns of.
    Raises: UsageError where no such namespace exists; PlanRefused; ClusterError.
    """
    must_pass(check_cluster(declaration.settings, read_notes(cluster)))
    name = project.namespace
    namespace = find(cluster, NAMESPACE, name)
    if namespace is None:
        raise UsageError(f"there is no namespace {name} to adopt", hint="reconcile makes it: jobq reconcile")
    labelled = cluster.list(NAMESPACE, labels=f"{PROJECT_LABEL}={project.name}").items
    inside = [manifest for manifest in manifests if manifest.ref.namespace == name]
    there = {_named(m.ref): reason for m in inside if (reason := _taken_over(cluster, m)) is not None}
    warnings.clear()
    for manifest in manifests:
        if manifest.ref.kind == "Namespace":
            cluster.apply(NAMESPACE, manifest.body, dry_run=True)
    adoptee = Adoptee(
        project,
        namespace,
        read_contents(cluster, name, _CONTENTS),
        manifests,
        declaration.settings,
        [name_of(other) for other in labelled if name_of(other) != name],
        tuple(there),
        {named: reason for named, reason in there.items() if reason},
        tuple(warnings),
        read_kueue_configuration(cluster),
    )
    refusal = check_adoption(adoptee)
    must_pass(Verdict((refusal,) if refusal else ()))
    return adoptee


def adopt(cluster: Cluster, adoptee: Adoptee) -> None:
    """Set both labels, on exactly the namespace that was looked at. Raises: Conflict where it has changed since."""
    metadata = adoptee.namespace["metadata"]
    seen = {key: metadata[key] for key in ("name", "uid", "resourceVersion")}
    labelled = {"metadata": {**seen, "labels": dict(adoptee.labels)}}
    try:
        cluster.claim(NAMESPACE, {"apiVersion": NAMESPACE.api_version, "kind": NAMESPACE.kind, **labelled})
    except Conflict as conflict:
        text = f"namespace {metadata['name']} has changed since it was looked at"
        raise Conflict(text, hint=f"look again: jobq project adopt {adoptee.project.name}") from conflict


def _taken_over(cluster: Cluster, manifest: Manifest) -> str | None:
    """None where no object of that name is there; ``""`` where it can become ours; else why it can't."""
    ref = manifest.ref
    resource = BY_KIND[ref.group, ref.kind].resource
    if find(cluster, resource, ref.name, ref.namespace) is None:
        return None
    try:
        cluster.apply(resource, manifest.body, dry_run=True)
    except Rejected as rejected:
        return str(rejected)
    return ""


def _named(ref: ObjectRef) -> str:
    return f"{ref.kind} {ref.name}"
