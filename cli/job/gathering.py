"""Reading all that a member may know about one job: in few rounds of requests side by side.

What can't be read is left out, and said; only the job itself must be there.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import Any, TypeVar

from cli import clock, parts
from cli.catalogue import Entry
from cli.explain import preemption, recording
from cli.explain.jobs import JOB_UID, AnyJob
from cli.explain.overview import WAITING
from cli.explain.status import Status
from cli.fit.cohort import cohort_of
from cli.job import positions
from cli.job.belonging import pods_of
from cli.parts import Json
from cli.selection import Current
from reconciler.cluster import Cluster, Resource
from reconciler.errors import ClusterError, Forbidden, NotFound, Rejected
from reconciler.kinds import (
    CLUSTER_QUEUE,
    COHORT,
    EVENT,
    LIMIT_RANGE,
    LOCAL_QUEUE,
    NAMESPACE,
    POD_PRIORITY_CLASS,
    PRIORITY_CLASS,
    RESOURCE_FLAVOR,
    RESOURCE_QUOTA,
    WORKLOAD,
)
from reconciler.model import PRIORITY_LABEL

Evidence = dict[str, Any]
T = TypeVar("T")
_STARTED = {"Running", "Succeeded"}
_MOST_PODS = 5
"""Of how many pods in trouble the events are read: the others have the same."""


def surroundings(cluster: Cluster, entry: Entry) -> Evidence:
    """What decides on all jobs of the project alike; eight requests side by side."""
    namespace, unread = entry.namespace, dict[str, str]()

    def get(resource: Resource, name: str, where: str = "") -> Callable[[], Json | None]:
        return lambda: recording.plain(_kind(resource) | cluster.get(resource, name, namespace=where))

    def all_of(resource: Resource, where: str = "") -> Callable[[], Sequence[Json]]:
        return lambda: [recording.plain(_kind(resource) | one) for one in cluster.list(resource, namespace=where).items]

    read = _side_by_side(
        {
            "namespace": get(NAMESPACE, namespace),
            "localQueues": all_of(LOCAL_QUEUE, namespace),
            "clusterQueues": all_of(CLUSTER_QUEUE),
            "cohorts": all_of(COHORT),
            "resourceFlavors": all_of(RESOURCE_FLAVOR),
            "workloadPriorityClasses": lambda: {
                parts.name(one): parts.number(one, "value") or 0 for one in cluster.list(PRIORITY_CLASS).items
            },
            "resourceQuotas": all_of(RESOURCE_QUOTA, namespace),
            "limitRanges": all_of(LIMIT_RANGE, namespace),
        },
        unread,
    )
    project = {key: value for key, value in asdict(entry).items() if key in {"name", "state", "queue"}}
    return read | {"project": project | {"priorities": list(entry.priorities)}, "unread": unread}


def glance(cluster: Cluster, entry: Entry, job: AnyJob) -> Evidence:
    """The same in one round: its pods; what holds it up, by names alone, where it waits; its events where it starts."""
    namespace, status, unread = job.namespace, job.status, dict[str, str]()
    found = {"job": _kind(job.resource) | job.body, "workload": job.workload}
    queue = _queue_of(found)
    asked: dict[str, Callable[[], Any]] = {"pods": lambda: pods_of(cluster, job)}
    if status in WAITING and queue:
        name = parts.name(job.workload)
        asked["localQueue"] = lambda: cluster.get(LOCAL_QUEUE, queue, namespace=namespace)
        asked["clusterQueue"] = lambda: cluster.get(CLUSTER_QUEUE, entry.cluster_queue)
        asked["visibility"] = lambda: {"localQueue": _visible(cluster, namespace, queue, name)}
    if status is Status.STARTING:
        asked["events"] = lambda: _events(cluster, namespace, job.uid)
    read = _side_by_side(asked, unread)
    return {**found, **read, "now": _now(), "unread": unread}


def gather(cluster: Cluster, current: Current, job: AnyJob, around: Evidence) -> Evidence:
    """The evidence about one job, in the format of recordings. Raises: ClusterError where nobody answers."""
    unread: dict[str, str] = around["unread"]
    namespace = job.namespace
    asked: dict[str, Callable[[], Any]] = {
        "pods": lambda: pods_of(cluster, job),
        "events": lambda: _events(cluster, namespace, job.uid),
        "body": lambda: _whole(cluster, job),
    }
    if job.workload is None:  # it may be there by now
        asked["workloads"] = lambda: cluster.list(WORKLOAD, namespace=namespace, labels=f"{JOB_UID}={job.uid}").items
    read = _side_by_side(asked, unread)
    workload = job.workload or next(iter(read.pop("workloads") or []), None)
    body = read.pop("body") or job.body
    found = {
        "now": _now(),
        "job": recording.job(_kind(job.resource) | body),
        "workload": recording.workload(_kind(WORKLOAD) | workload) if workload else None,
        "pods": [recording.pod(one) for one in read["pods"] or []],
    }
    more = _more(cluster, found, read["events"] or [], unread)
    return {**_queues(current, around, found), **found, **more, "unread": unread}


def _more(cluster: Cluster, found: Evidence, events: Sequence[Json], unread: dict[str, str]) -> Evidence:
    """What only matters now that Workload and pods are known: the place in line, events of both, who took the place."""
    workload, namespace = found["workload"] or {}, found["job"]["metadata"]["namespace"]
    asked: dict[str, Callable[[], Any]] = {}
    uids = [parts.text(workload, "metadata", "uid"), *_in_trouble(found["pods"])]
    for number, uid in enumerate(filter(None, uids)):
        asked[f"events {number}"] = lambda uid=uid: _events(cluster, namespace, uid)  # type: ignore[misc] # mypy infers no default of a lambda
    if parts.holds(workload, "Evicted") and not found["pods"]:
        fields = "involvedObject.kind=Pod,reason=FailedScheduling"
        asked["events of former pods"] = lambda: _former(cluster, namespace, fields, parts.name(found["job"]))
    if other := preemption.job_uid(workload):
        asked["other"] = lambda: cluster.list(WORKLOAD, namespace=namespace, labels=f"{JOB_UID}={other}").items
    queue = _queue_of(found)
    if queue and not parts.holds(workload, "QuotaReserved"):
        asked["visibility"] = lambda: _visible(cluster, namespace, queue, parts.name(workload))
    if not workload and PRIORITY_LABEL not in parts.pairs(found["job"], "metadata", "labels"):
        asked["defaultPriorityClass"] = lambda: next(
            (parts.name(one) for one in cluster.list(POD_PRIORITY_CLASS).items if one.get("globalDefault")), ""
        )
    read = _side_by_side(asked, unread)
    told = [*events, *(one for key, some in read.items() if key.startswith("events") for one in some or ())]
    unique = {parts.text(one, "metadata", "name"): one for one in told}
    return {
        "events": [recording.event(one) for one in unique.values()],
        "otherWorkloads": [recording.brief(_kind(WORKLOAD) | one) for one in read.get("other") or ()],
        "visibility": {"localQueue": read["visibility"]} if read.get("visibility") else {},
        "defaultPriorityClass": read.get("defaultPriorityClass"),
    }


def _queues(current: Current, around: Evidence, found: Evidence) -> Evidence:
    """The queues that this job goes through, and the others of their cohorts."""
    kept = {key: value for key, value in around.items() if key != "clusterQueues"}
    name, local = _queue_of(found), around["localQueues"] or []
    queue = next((one for one in local if parts.name(one) == name), None)
    admitted = parts.text(found["workload"], "status", "admission", "clusterQueue")
    wanted = admitted or parts.text(queue, "spec", "clusterQueue") or current.entry.cluster_queue
    every = around["clusterQueues"]
    cluster_queue = next((one for one in every or () if parts.name(one) == wanted), None)
    related = [one for one in every or () if cohort_of(one)] if cluster_queue and cohort_of(cluster_queue) else []
    cohorts = {"cohortClusterQueues": related} if every is not None else {}
    return {**kept, "localQueue": queue, "clusterQueue": cluster_queue, **cohorts}


def _queue_of(found: Evidence) -> str:
    label = parts.pairs(found["job"], "metadata", "labels").get("kueue.x-k8s.io/queue-name", "")
    return label or parts.text(found["workload"], "spec", "queueName")


def _visible(cluster: Cluster, namespace: str, queue: str, workload: str) -> Evidence:
    """The waiting jobs up to this one, as Kueue's visibility API shows them; or with what it refused."""
    until, found = clock.elapsed() + positions.SECONDS, list[Json]()
    try:
        for page in positions.pages(cluster, positions.local(namespace, queue), until):
            found += recording.positions(page, namespace)
            if own := next((one for one in found if parts.name(one) == workload), None):
                return {"items": [one for one in found if _place(one) <= _place(own)]}
    except ClusterError as error:
        return {"httpStatus": error.code or 503, "message": _bare(str(error))}
    return {"items": found}


def _place(one: Json) -> int:
    return parts.number(one, "positionInLocalQueue") or 0


def _whole(cluster: Cluster, job: AnyJob) -> Json:
    """All of the job, where only its metadata was read."""
    return job.body if "spec" in job.body else cluster.get(job.resource, job.name, namespace=job.namespace)


def _events(cluster: Cluster, namespace: str, uid: str) -> Sequence[Json]:
    return cluster.list(EVENT, namespace=namespace, fields=f"involvedObject.uid={uid}").items


def _former(cluster: Cluster, namespace: str, fields: str, name: str) -> Sequence[Json]:
    """Events of pods that are gone: only their names say whose they were."""
    found = cluster.list(EVENT, namespace=namespace, fields=fields).items
    own = re.compile(rf"{re.escape(name)}-(?:\d+-)?[a-z0-9]{{5}}")
    return [one for one in found if own.fullmatch(parts.text(one, "involvedObject", "name"))]


def _in_trouble(pods: Sequence[Json]) -> Sequence[str]:
    waiting = [one for one in pods if parts.text(one, "status", "phase") not in _STARTED]
    return [parts.text(one, "metadata", "uid") for one in waiting[:_MOST_PODS]]


def _now() -> str:
    return f"{clock.now():%Y-%m-%dT%H:%M:%SZ}"


def _kind(resource: Resource) -> dict[str, Any]:
    """What items of a list lack."""
    return {"apiVersion": resource.api_version, "kind": resource.kind}


def _side_by_side(asked: Mapping[str, Callable[[], T]], unread: dict[str, str]) -> dict[str, Any]:
    """All answers in the time of the slowest; None, and a reason, for what the server refuses."""

    def answer(name: str, ask: Callable[[], T]) -> T | None:
        try:
            return ask()
        except (Forbidden, NotFound, Rejected) as error:
            unread[name] = _bare(str(error))
            return None

    with ThreadPoolExecutor(max(len(asked), 1)) as pool:
        futures = {name: pool.submit(answer, name, ask) for name, ask in asked.items()}
        return {name: future.result() for name, future in futures.items()}


def _bare(text: str) -> str:
    """An error without the server's address and the context's name."""
    return re.sub(r" \(https?://[^)]*\)$", "", text)
