"""One word and one row for a job, from what the cluster shows of it."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from cli.explain import containers
from cli.explain.jobs import AnyJob, joined
from cli.explain.overview import Overview, age, as_json, overviews
from cli.explain.standing import Position
from cli.explain.status import Status, status_of
from cli.fit.words import cores, size
from reconciler.kinds import JOB

NOW = datetime(2027, 1, 15, 12, tzinfo=UTC)


def job(*, suspend: bool = False, conditions: dict[str, str] | None = None, **status: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """A Job; ``conditions`` are those that hold, with their reasons."""
    return {
        "metadata": {
            "name": "a-bcdfg",
            "namespace": "vision",
            "uid": "u1",
            "creationTimestamp": "2027-01-15T10:00:00Z",
            "annotations": {"jobq.io/submitted-by": "kim@example.org"},
        },
        "spec": {
            "suspend": suspend,
            "parallelism": 2,
            "template": {"spec": {"containers": [{"resources": {"requests": {"cpu": "500m", "memory": "1Gi"}}}]}},
        },
        "status": {**status, "conditions": _conditions(conditions or {})},
    }


def workload(conditions: dict[str, str] | None = None, *, active: bool = True) -> dict[str, Any]:
    """Its Workload."""
    labels = {"kueue.x-k8s.io/job-uid": "u1"}
    return {
        "metadata": {"name": "job-a-bcdfg-00000", "uid": "w1", "labels": labels},
        "spec": {"active": active},
        "status": {"conditions": _conditions(conditions or {})},
    }


def _conditions(reasons: dict[str, str]) -> list[dict[str, str]]:
    time = "2027-01-15T11:00:00Z"
    return [
        {"type": kind, "status": "True", "reason": reason, "lastTransitionTime": time}
        for kind, reason in reasons.items()
    ]


ADMITTED = {"QuotaReserved": "QuotaReserved", "Admitted": "Admitted"}
TIME_LIMIT = "DeactivatedDueToMaximumExecutionTimeExceeded"
FATES = [
    ("no Workload yet", job(suspend=True), None, Status.QUEUED),
    ("without Kueue", job(active=1, ready=1), None, Status.RUNNING),
    ("waits", job(suspend=True), workload(), Status.QUEUED),
    ("quota reserved, a check pending", job(suspend=True), workload({"QuotaReserved": "QuotaReserved"}), Status.QUEUED),
    ("admitted, not yet resumed", job(suspend=True), workload(ADMITTED), Status.STARTING),
    ("no pod yet", job(), workload(ADMITTED), Status.STARTING),
    ("a pod that can't start", job(active=1, ready=0), workload(ADMITTED), Status.STARTING),
    ("some of its pods run", job(active=4, ready=2), workload(ADMITTED), Status.RUNNING),
    ("between two attempts", job(failed=1), workload(ADMITTED), Status.RUNNING),
    ("just ended", job(uncountedTerminatedPods={"succeeded": ["p"]}), workload(ADMITTED), Status.RUNNING),
    ("complete", job(conditions={"Complete": "CompletionsReached"}), workload(ADMITTED), Status.SUCCEEDED),
    ("about to be complete", job(conditions={"SuccessCriteriaMet": ""}), workload(ADMITTED), Status.SUCCEEDED),
    ("failed", job(conditions={"Failed": "BackoffLimitExceeded"}), workload(ADMITTED), Status.FAILED),
    ("its own deadline", job(conditions={"Failed": "DeadlineExceeded"}), workload(ADMITTED), Status.TIMED_OUT),
    ("Kueue's limit", job(suspend=True), workload({"Evicted": TIME_LIMIT}, active=False), Status.TIMED_OUT),
    ("stopped", job(suspend=True), workload({"Evicted": "Deactivated"}, active=False), Status.STOPPED),
    ("stopping", job(active=1, ready=1), workload({**ADMITTED}, active=False), Status.STOPPING),
    ("pods still there", job(active=1), workload({"Evicted": "Deactivated"}, active=False), Status.STOPPING),
    ("pods ending", job(terminating=1), workload({"Evicted": "Deactivated"}, active=False), Status.STOPPING),
    ("resumed", job(suspend=True), workload({"Evicted": "Deactivated"}), Status.QUEUED),
    ("preempted", job(suspend=True), workload({"Evicted": "Preempted"}), Status.EVICTED),
    (
        "evicted and admitted at once",
        job(suspend=True),
        workload({**ADMITTED, "Evicted": "PodsReadyTimeout"}),
        Status.EVICTED,
    ),
]


@pytest.mark.parametrize(
    ("body", "its_workload", "status"), [case[1:] for case in FATES], ids=[case[0] for case in FATES]
)
def test_status(body: dict[str, Any], its_workload: dict[str, Any] | None, status: Status) -> None:
    assert status_of(body, its_workload) is status


def test_held() -> None:
    """A gate is an annotation of the Job: the Workload's message may be old."""
    body = job(suspend=True)
    body["metadata"]["annotations"]["kueue.x-k8s.io/admission-gated-by"] = "jobq.io/hold"
    assert status_of(body, workload()) is Status.HELD


def test_deleted() -> None:
    body = job(active=1, ready=1)
    body["metadata"]["deletionTimestamp"] = "2027-01-15T11:00:00Z"
    assert status_of(body, workload(ADMITTED)) is Status.STOPPING


def row_of(body: dict[str, Any], its_workload: dict[str, Any] | None = None) -> Overview:
    name = its_workload["metadata"]["name"] if its_workload else ""
    return overviews([AnyJob(JOB, body, its_workload)], {("vision", name): Position(2, 7)}, NOW)[0]


def test_row() -> None:
    """Amounts are of all pods together; the runtime counts on while the job runs; only who waits has a place."""
    row = row_of(job(active=2, ready=2, startTime="2027-01-15T11:30:00Z"), workload(ADMITTED))
    assert (row.cpu, row.memory, row.gpus) == (Decimal(1), Decimal(2 * 2**30), Decimal(0))
    assert row.runtime(NOW) == timedelta(minutes=30)
    assert as_json(row, NOW) == {
        "name": "a-bcdfg",
        "namespace": "vision",
        "kind": "Job",
        "status": "Running",
        "code": "Running",
        "reason": "",
        "position": None,
        "positionOverall": None,
        "priority": "",
        "cpu": 1.0,
        "memory": 2147483648,
        "gpus": 0,
        "submittedBy": "kim@example.org",
        "created": "2027-01-15T10:00:00+00:00",
        "started": "2027-01-15T11:30:00+00:00",
        "ended": None,
        "runtimeSeconds": 1800,
    }


def test_no_runtime_before_a_pod_runs() -> None:
    """Its start time is when Kueue let it go: pulling an image isn't running."""
    row = row_of(job(active=1, startTime="2027-01-15T11:30:00Z"), workload(ADMITTED))
    assert (row.status, row.started, row.runtime(NOW)) == (Status.STARTING, None, None)


def test_runtime_ends_with_the_job() -> None:
    body = job(startTime="2027-01-15T10:30:00Z", conditions={"Failed": "BackoffLimitExceeded"})
    assert row_of(body).runtime(NOW) == timedelta(minutes=30)


def test_place_of_who_waits() -> None:
    row = row_of(job(suspend=True), workload())
    assert (row.status, row.position) == (Status.QUEUED, Position(2, 7))


def test_newest_first() -> None:
    older, newer = job(), job()
    newer["metadata"] |= {"name": "b", "uid": "u2", "creationTimestamp": "2027-01-15T11:00:00Z"}
    found = joined([older, newer], [workload()])
    assert [one.name for one in found] == ["b", "a-bcdfg"]
    assert [one.workload is not None for one in found] == [False, True]


def test_strange_amounts_are_no_crash() -> None:
    body = job()
    body["spec"]["template"]["spec"]["containers"] = [{"resources": {"limits": {"cpu": "1e3", "memory": "lots"}}}, {}]
    assert row_of(body).cpu == 2000
    assert row_of(body).memory == 0


@pytest.mark.parametrize(("value", "text"), [("2", "2"), ("0.5", "500m"), ("10", "10"), ("1.25", "1250m"), ("0", "0")])
def test_cores(value: str, text: str) -> None:
    assert cores(Decimal(value)) == text


@pytest.mark.parametrize(
    ("value", "text"), [(2**33, "8Gi"), (3 * 2**29, "1.5Gi"), (2**29, "512Mi"), (0, ""), (10 * 2**30, "10Gi")]
)
def test_size(value: int, text: str) -> None:
    assert size(Decimal(value)) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0s"), (59, "59s"), (125, "2m05s"), (3600, "1h00m"), (273_600, "3d4h"), (-5, "0s")]
)
def test_age(seconds: int, text: str) -> None:
    assert age(timedelta(seconds=seconds)) == text


def test_no_age() -> None:
    assert age(None) == ""


def pod(*, state: dict[str, Any], scheduled: str = "") -> dict[str, Any]:
    conditions = [{"type": "PodScheduled", "status": "False", "message": scheduled}] if scheduled else []
    return {"status": {"containerStatuses": [{"state": state}], "conditions": conditions}}


def test_what_keeps_a_pod_from_starting() -> None:
    """In the words of its node, or of the scheduler."""
    assert containers.held_up(pod(state={}, scheduled="0/2 nodes")) == "0/2 nodes"
    pulling = pod(state={"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}})
    assert containers.held_up(pulling) == "ImagePullBackOff: no such image"
    assert containers.held_up(pod(state={"waiting": {"reason": "ContainerCreating"}})) == ""


def test_how_a_container_ended() -> None:
    assert containers.end_of(pod(state={"terminated": {"exitCode": 3, "reason": "Error"}})) == "exit code 3"
    assert (
        containers.end_of(pod(state={"terminated": {"exitCode": 137, "reason": "OOMKilled"}}))
        == "OOMKilled, exit code 137"
    )
    assert containers.end_of(pod(state={"terminated": {"exitCode": 0, "reason": "Completed"}})) == ""
    assert containers.end_of(pod(state={"running": {}})) == ""
