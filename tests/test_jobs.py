"""Jobs of any kind, and why each is where it is in a few words, from what the cluster shows."""

from datetime import UTC, datetime
from typing import Any, cast

import pytest

from cli.explain.answer import Code
from cli.explain.jobs import AnyJob, joined, other_kinds, owners_of_other_kinds, stands_for_another
from cli.explain.overview import Overview, overviews
from cli.explain.status import Status
from cli.job import belonging, choosing, pods
from cli.job.choosing import Wanted
from reconciler.cluster import Body, Cluster
from reconciler.errors import JobqError, UsageError
from reconciler.kinds import JOB, POD

NOW = datetime(2027, 1, 15, 12, tzinfo=UTC)
EARLY = "2027-01-15T10:00:00Z"


def job(name: str = "a", *, by: str = "kim@example.org", owner: Body | None = None, **more: Any) -> Body:  # noqa: ANN401 - JSON
    notes = {"labels": {"kueue.x-k8s.io/queue-name": "main"}, "annotations": {"jobq.io/submitted-by": by}}
    meta = {"name": name, "namespace": "vision", "uid": f"uid-{name}", "creationTimestamp": EARLY}
    references = {"ownerReferences": [owner]} if owner else {}
    return {
        "metadata": {**meta, **notes, **references},
        "spec": {"suspend": True, "template": {"spec": {"containers": []}}, **more.pop("spec", {})},
        "status": more,
    }


def reference(kind: str, name: str, version: str = "jobset.x-k8s.io/v1alpha2") -> Body:
    return {"apiVersion": version, "kind": kind, "name": name, "uid": f"uid-{name}", "controller": True}


def workload(owner: Body | None, *, spec: Any = None, **conditions: tuple[str, str, str]) -> Body:  # noqa: ANN401 - JSON
    """Of that owner; a condition is its status, reason and message."""
    name = owner["name"] if owner else "group"
    meta = {"name": f"w-{name}", "namespace": "vision", "uid": f"uid-w-{name}", "creationTimestamp": EARLY}
    labels = {"kueue.x-k8s.io/job-uid": owner["uid"]} if owner else {}
    told = [
        {"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": EARLY}
        for kind, (status, reason, message) in conditions.items()
    ]
    return {
        "metadata": {**meta, "labels": labels, **({"ownerReferences": [owner]} if owner else {})},
        "spec": {"active": True, "podSets": [{"name": "main", "count": 1, "template": {"spec": {}}}], **(spec or {})},
        "status": {"conditions": told},
    }


def of_job(its_workload: Body | None = None, **more: Any) -> AnyJob:  # noqa: ANN401 - JSON
    return AnyJob(JOB, job(**more), its_workload)


def row(found: AnyJob, now: datetime = NOW) -> Overview:
    return overviews([found], {}, now)[0]


def reason(found: AnyJob) -> str:
    return row(found).reason


OWN = reference("Job", "a", "batch/v1")
GPUS = "couldn't assign flavors: insufficient unused quota for nvidia.com/gpu in flavor a100, 1 more needed"
NEVER = "insufficient quota for cpu in flavor a, current podset request (6) > maximum capacity (4)"
WAITING = [
    (GPUS, "waits for nvidia.com/gpu"),
    (f"{GPUS}. Pending the preemption of 1 workload(s)", "others make room"),
    (NEVER, "never fits"),
    ("resource example.org/tpu unavailable in ClusterQueue", "no example.org/tpu in its queue"),
    ("untolerated taint {dedicated team NoSchedule <nil>} in flavor spot", "no flavor suits"),
    ("LocalQueue main is inactive", "project paused"),
    ("ClusterQueue x is inactive", "queue stopped"),
    ("LocalQueue main doesn't exist", "no queue main"),
    ("ClusterQueue x doesn't exist", "no ClusterQueue x"),
    ("Workload namespace doesn't match ClusterQueue selector", "queue doesn't take the project"),
    ("resources didn't satisfy LimitRange constraints: ...", "breaks the project's limits"),
    ("words of a Kueue yet to come", "waits for quota"),
]


@pytest.mark.parametrize(("message", "words"), WAITING)
def test_waiting(message: str, words: str) -> None:
    found = of_job(workload(OWN, QuotaReserved=("False", "Pending", message)))
    assert (found.status, reason(found)) == (Status.QUEUED, words)


def test_unknown_to_kueue() -> None:
    """A new job gets a moment; then nothing is claimed about what wasn't read."""
    young, old = row(of_job(), datetime(2027, 1, 15, 10, 0, 1, tzinfo=UTC)), row(of_job())
    assert (young.code, young.reason) == (Code.JUST_SUBMITTED, "")
    assert (old.code, old.reason) == (Code.UNKNOWN, "Kueue hasn't looked at it")


def test_check_and_next_try() -> None:
    held_up = workload(OWN, QuotaReserved=("True", "QuotaReserved", ""))
    held_up["status"]["admissionChecks"] = [{"name": "ok", "state": "Ready"}, {"name": "grow", "state": "Pending"}]
    assert reason(of_job(held_up)) == "waits for grow"
    again = workload(OWN, QuotaReserved=("False", "Pending", GPUS), Evicted=("True", "PodsReadyTimeout", ""))
    assert reason(of_job(again)) == "pods weren't ready in time"


def test_evicted_and_admitted_at_once() -> None:
    """Not put back since: it must not look as if it ran."""
    odd = workload(
        OWN,
        QuotaReserved=("True", "QuotaReserved", ""),
        Admitted=("True", "Admitted", ""),
        Evicted=("True", "PodsReadyTimeout", ""),
    )
    found = of_job(odd)
    assert (found.status, reason(found)) == (Status.EVICTED, "wasn't put back")


def test_admitted_but_still_suspended() -> None:
    """After a moment that is noticed: it doesn't look as if it were about to start."""
    admitted = workload(OWN, Admitted=("True", "Admitted", ""), QuotaReserved=("True", "QuotaReserved", ""))
    found = row(of_job(admitted))
    assert (found.status, found.code, found.reason) == (Status.STUCK, Code.ADMITTED_SUSPENDED, "may run, but doesn't")


def test_array_admitted_in_part() -> None:
    """How many of how many at a time, and the counts of its indexes."""
    running = workload(OWN, Admitted=("True", "Admitted", ""), QuotaReserved=("True", "QuotaReserved", ""))
    running["spec"]["podSets"][0]["count"] = 4
    running["status"]["admission"] = {"podSetAssignments": [{"name": "main", "count": 1}]}
    spec = {"suspend": False, "completionMode": "Indexed", "completions": 8, "parallelism": 1}
    found = of_job(running, spec=spec, ready=1, completedIndexes="0-2,5", failedIndexes="3")
    assert (found.status, reason(found)) == (Status.RUNNING, "4 of 8 done, 1 failed, 1 of 4 at a time")


def test_ends() -> None:
    failed = of_job(conditions=[{"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded"}])
    assert (failed.status, reason(failed)) == (Status.FAILED, "its pod failed")
    limit = workload(OWN, spec={"active": False}, Evicted=("True", "DeactivatedDueToMaximumExecutionTimeExceeded", ""))
    assert (of_job(limit).status, reason(of_job(limit))) == (Status.TIMED_OUT, "time limit")


def test_other_kinds_by_their_workloads() -> None:
    """A JobSet is one row; the Job that it made for itself is none; a group of plain pods has its Workload's name."""
    owner = reference("JobSet", "sweep")
    part = job("sweep-workers-0", owner=owner)
    workloads = [
        workload(OWN),
        workload(owner, Admitted=("True", "Admitted", ""), PodsReady=("True", "Started", "")),
        workload(None, QuotaReserved=("False", "Pending", GPUS)),
    ]
    meta = {"metadata": {**job("sweep")["metadata"], "uid": "uid-sweep"}}
    found = {one.name: one for one in joined([job(), part], workloads, [meta])}
    assert sorted(found) == ["a", "sweep", "w-group"]
    assert (found["sweep"].resource.plural, found["sweep"].status) == ("jobsets", Status.RUNNING)
    assert found["sweep"].by == "kim@example.org"
    assert (found["w-group"].resource, found["w-group"].status) == (POD, Status.QUEUED)
    assert [str(kind) for kind in other_kinds(workloads)] == ["jobsets.jobset.x-k8s.io"]
    assert owners_of_other_kinds(workloads) == {"uid-sweep"}


def test_other_kind_that_cannot_be_read() -> None:
    """The Workload says its name and how it fares; nobody says who submitted it."""
    (found,) = joined([], [workload(reference("RayJob", "ray", "ray.io/v1"))])
    assert (found.name, found.by, found.resource.plural) == ("ray", "", "rayjobs")
    assert row(found).kind == "RayJob"


@pytest.mark.parametrize(
    ("conditions", "status"),
    [
        ({"Finished": ("True", "Succeeded", "")}, Status.SUCCEEDED),
        ({"Finished": ("True", "Failed", "")}, Status.FAILED),
        ({"Admitted": ("True", "Admitted", ""), "Finished": ("True", "OwnerNotFound", "")}, Status.STOPPING),
        ({"Admitted": ("True", "Admitted", "")}, Status.RUNNING),
        ({"Admitted": ("True", "Admitted", ""), "PodsReady": ("False", "WaitForStart", "")}, Status.STARTING),
        ({"Evicted": ("True", "Preempted", "")}, Status.EVICTED),
    ],
)
def test_status_of_another_kind(conditions: dict[str, tuple[str, str, str]], status: Status) -> None:
    (found,) = joined([], [workload(reference("RayJob", "ray", "ray.io/v1"), **conditions)])
    assert found.status is status


class Ray:
    """A cluster with one RayJob."""

    def __init__(self, cluster: str) -> None:
        self.cluster = cluster

    def get(self, *_: object, **__: object) -> Body:
        """It, with the RayCluster that it was given."""
        return {"status": {"rayClusterName": self.cluster}}


def of_kind(kind: str, *counts: int) -> AnyJob:
    """A job ``a`` of that kind, with so many pods of each sort."""
    pod_sets = [{"name": str(number), "count": count} for number, count in enumerate(counts)]
    (found,) = joined([], [workload(reference(kind, "a", "example.org/v1"), spec={"podSets": pod_sets})])
    return found


@pytest.mark.parametrize(
    ("kind", "selectors"),
    [
        ("JobSet", ["jobset.sigs.k8s.io/jobset-uid=uid-a"]),
        ("TrainJob", ["jobset.sigs.k8s.io/jobset-name=a"]),
        ("RayCluster", ["ray.io/cluster=a"]),
        ("RayJob", ["batch.kubernetes.io/job-name=a", "ray.io/cluster=a-x7k2p"]),
        ("PyTorchJob", ["training.kubeflow.org/job-name=a"]),
        ("MPIJob", ["training.kubeflow.org/job-name=a"]),
        ("AppWrapper", []),
    ],
)
def test_pods_of_other_kinds(kind: str, selectors: list[str]) -> None:
    """By the labels that their controllers write, and Kueue reads."""
    cluster = cast("Cluster", Ray("a-x7k2p"))
    assert [source.labels for source in belonging.sources(cluster, of_kind(kind))] == selectors
    if selectors:
        belonging.refuse_unknown(of_kind(kind), "logs POD")
        return
    with pytest.raises(JobqError, match="of kind AppWrapper") as caught:
        belonging.refuse_unknown(of_kind(kind), "logs POD")
    assert "kubectl -n vision logs POD" in caught.value.hint


def test_ray_job_that_waits() -> None:
    """It has no cluster yet, but the Job that submits it has a name already, which is the RayJob's own."""
    found = belonging.sources(cast("Cluster", Ray("")), of_kind("RayJob"))
    assert [source.labels for source in found] == ["batch.kubernetes.io/job-name=a"]
    assert stands_for_another(job(owner=reference("RayJob", "a", "ray.io/v1")))
    assert not stands_for_another(job("a-workers-0", owner=reference("JobSet", "a")))


@pytest.mark.parametrize(
    ("name", "owner", "prefix"),
    [
        ("a-workers-0-1-x7k2p", "Job", "[workers-0-1] "),
        ("a-launcher-x7k2p", "Job", "[launcher] "),
        ("a-x7k2p", "Job", "[a] "),
        ("a-worker-1", "PyTorchJob", "[worker-1] "),
        ("a-b9n4m-head-x7k2p", "RayCluster", "[b9n4m-head-x7k2p] "),
    ],
)
def test_prefixes_of_other_kinds(name: str, owner: str, prefix: str) -> None:
    """What tells pods apart, and stays the same where a Job makes one again."""
    pod = {"metadata": {"name": name, "ownerReferences": [reference(owner, "x")]}}
    assert pods.prefix(pod, of_kind("JobSet", 1, 2)) == prefix
    assert pods.prefix(pod, of_kind("JobSet", 1)) == ""


def test_choosing() -> None:
    """By submitter, status and age, and the newest so many."""
    old, other = job("old"), job("other", by="lee@example.org")
    old["metadata"]["creationTimestamp"] = "2027-01-10T10:00:00Z"
    jobs = joined([old, other, job()], [])
    chosen = [
        [one.name for one in wanted.of(jobs, NOW)]
        for wanted in (
            Wanted(),
            Wanted(by="lee@example.org"),
            Wanted(since=choosing.since("1d")),
            Wanted(limit=1),
            Wanted(statuses=choosing.statuses(["running"])),
        )
    ]
    assert chosen == [["other", "a", "old"], ["other"], ["other", "a"], ["other"], []]


def test_words_of_status() -> None:
    assert choosing.statuses(["failed,TimedOut", "queued"]) == {Status.FAILED, Status.TIMED_OUT, Status.QUEUED}
    with pytest.raises(UsageError, match="no status 'runing'") as caught:
        choosing.statuses(["runing"])
    assert caught.value.hint == "did you mean Running?"
