"""A recording, from the cluster or from a file, as evidence: whatever is missing from it, or of another type. Pure."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from cli import parts
from cli.explain import belonging
from cli.explain.evidence import EPOCH, Evidence, happened
from cli.explain.standing import Position, counted
from cli.fit.cohort import Tree, cohort_of, parent_of
from cli.parts import Json


def evidence_of(raw: object, option: str = "") -> Evidence:
    """A recording as evidence, whatever is missing from it; ``option`` is what commands need to mean its project."""
    job, workload = parts.mapping(raw, "job"), parts.mapping(raw, "workload")
    return Evidence(
        now=parts.instant(raw, "now") or _latest(raw),
        configuration=parts.text(raw, "versions", "kueueConfiguration"),
        namespace=parts.mapping(raw, "namespace"),
        entry=parts.mapping(raw, "project"),
        job=job,
        workload=workload,
        local_queue=parts.mapping(raw, "localQueue"),
        local_queues=_listed(raw, "localQueues"),
        cluster_queue=parts.mapping(raw, "clusterQueue"),
        tree=_tree(raw),
        flavors=parts.items(raw, "resourceFlavors"),
        pods=[one for one in parts.items(raw, "pods") if belonging.is_pod_of(job, one)],
        events=parts.items(raw, "events"),
        place=_place(parts.items(raw, "visibility", "localQueue", "items"), workload),
        unanswered=parts.number(raw, "visibility", "localQueue", "httpStatus") or 0,
        others=_listed(raw, "otherWorkloads"),
        quotas=parts.items(raw, "resourceQuotas"),
        limit_ranges=parts.items(raw, "limitRanges"),
        classes=_classes(raw),
        default_class=_default_class(raw),
        refused=parts.mapping(raw, "refused"),
        unread={**_left_out(raw), **parts.pairs(raw, "unread")},
        option=option,
    )


def _left_out(raw: object) -> Mapping[str, str]:
    """What evidence of a job always has, and this one hasn't: it may be there all the same."""
    said, missing = parts.mapping(raw), "it is not in this evidence"
    left = {"workloads": "workload" in said, "pods": isinstance(said.get("pods"), list)}
    return {key: missing for key, there in left.items() if not there} if said.get("job") else {}


def _listed(raw: object, key: str) -> Sequence[Json] | None:
    return parts.items(raw, key) if isinstance(parts.mapping(raw).get(key), list) else None


def _latest(raw: object) -> datetime:
    """Without a time of its own, evidence is as old as the newest thing in it."""
    job, workload = parts.mapping(raw, "job"), parts.mapping(raw, "workload")
    times = [parts.instant(body, "metadata", "creationTimestamp") for body in (job, workload)]
    times += [
        parts.instant(one, "lastTransitionTime")
        for body in (job, workload)
        for one in parts.items(body, "status", "conditions")
    ]
    times += [happened(one) for one in parts.items(raw, "events")]
    return max((one for one in times if one), default=EPOCH)


def _tree(raw: object) -> Tree:
    """The cohorts around the ClusterQueue; whole only where nothing that is named is missing."""
    queue, said = parts.mapping(raw, "clusterQueue"), parts.mapping(raw)
    one = parts.mapping(raw, "cohort")
    cohorts = [*parts.items(raw, "cohorts"), *([one] if one else [])]
    listed = isinstance(said.get("cohorts"), list)
    known = {parts.name(cohort) for cohort in cohorts}
    parents = {parent_of(cohort) for cohort in cohorts} - {""}
    seen = isinstance(said.get("cohortClusterQueues"), list) and (listed or "cohort" in said)
    whole = not cohort_of(queue) or (seen and (listed or parents <= known))
    return Tree(parts.items(raw, "cohortClusterQueues"), cohorts, whole)


def _place(waiting: Sequence[Json], workload: Json) -> Position | None:
    name = parts.name(workload)
    return counted(waiting).get((parts.text(workload, "metadata", "namespace"), name)) if name else None


def _default_class(raw: object) -> str | None:
    said = parts.mapping(raw).get("defaultPriorityClass")
    return said if isinstance(said, str) else None


def _classes(raw: object) -> Mapping[str, int] | None:
    """As the name and value of each, or as the objects themselves."""
    said = parts.mapping(raw).get("workloadPriorityClasses")
    if isinstance(said, dict):
        return {key: value for key, value in said.items() if isinstance(value, int)}
    listed = parts.items(raw, "workloadPriorityClasses")
    return {parts.name(one): parts.number(one, "value") or 0 for one in listed} if isinstance(said, list) else None
