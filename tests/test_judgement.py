"""One judgement: a job's status word and the answer about it never contradict each other, whoever asks."""

import itertools
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

import pytest

from cli.explain.answer import Answer, Code
from cli.explain.evidence import Evidence
from cli.explain.jobs import AnyJob
from cli.explain.overview import overviews
from cli.explain.reading import evidence_of
from cli.explain.status import Status, status_of
from cli.explain.why import explain
from reconciler.cluster import Body
from reconciler.kinds import JOB
from tests.recordings import NAMES, changed, recording
from tests.test_why import CASES

QUEUED, HELD, STARTING, STUCK = Status.QUEUED, Status.HELD, Status.STARTING, Status.STUCK
RUNNING, STOPPING, STOPPED, TIMED_OUT = Status.RUNNING, Status.STOPPING, Status.STOPPED, Status.TIMED_OUT
EVICTED, SUCCEEDED, FAILED = Status.EVICTED, Status.SUCCEEDED, Status.FAILED
WAITING, UNDER_WAY, FAILS = frozenset({QUEUED, EVICTED}), frozenset({STARTING, RUNNING}), frozenset({FAILED})
"""Under way: a job that has run, or runs with other pods, may have one that can't start; its counts come later."""
NOWHERE = frozenset[Status]()
AGREES: Mapping[Code, frozenset[Status] | set[Status]] = {
    **dict.fromkeys((Code.FORBIDDEN, Code.JOB_COUNT_EXCEEDED, Code.INVALID_LABEL), NOWHERE),  # there is no job
    Code.INVALID_RESOURCES: {QUEUED},
    Code.KUEUE_UNAVAILABLE: {QUEUED},
    Code.JUST_SUBMITTED: {QUEUED},
    Code.NO_QUEUE_LABEL: {QUEUED},
    Code.UNMANAGED: UNDER_WAY,
    Code.SUSPENDED_UNMANAGED: {QUEUED},
    Code.NAMESPACE_NOT_MANAGED: {QUEUED},
    Code.PRIORITY_CLASS_MISSING: {QUEUED, STARTING},
    Code.PRIORITY_CLASS_NOT_ALLOWED: {QUEUED},
    Code.HELD: {HELD},
    Code.STOPPED: {STOPPED, STOPPING},
    Code.PROJECT_PAUSED: WAITING,
    Code.EVICTED_PROJECT_PAUSED: {EVICTED},
    Code.CLUSTER_QUEUE_STOPPED: WAITING,
    Code.EVICTED_CLUSTER_QUEUE_STOPPED: {EVICTED},
    Code.QUEUE_MISSING: WAITING,
    Code.CLUSTER_QUEUE_MISSING: WAITING,
    Code.CLUSTER_QUEUE_BROKEN: WAITING,
    Code.NAMESPACE_NOT_SELECTED: WAITING,
    Code.LIMIT_RANGE_EXCEEDED: WAITING | UNDER_WAY,  # its pods are refused too
    Code.RESOURCE_NOT_IN_QUEUE: WAITING,
    Code.NO_MATCHING_FLAVOR: WAITING,
    Code.WAITING_FOR_QUOTA: WAITING,
    Code.WAITING_BEHIND_HEAD: WAITING,
    Code.WAITING_FOR_PREEMPTED: WAITING,
    Code.PREEMPTED_WAITING: {EVICTED},
    Code.NEVER_FITS: WAITING,
    Code.NO_REQUESTS: {RUNNING},
    Code.ADMISSION_CHECK_PENDING: {QUEUED},
    Code.ADMISSION_CHECK_RETRY: WAITING,
    Code.ADMISSION_CHECK_REJECTED: {STOPPED, STOPPING},
    Code.EVICTED_NOT_REQUEUED: {EVICTED},
    Code.ADMITTED_SUSPENDED: {STUCK, STARTING},  # with a gate it can't start: said at once
    Code.JUST_ADMITTED: {QUEUED, STARTING},
    **dict.fromkeys((Code.STARTING, Code.POD_SECURITY_REFUSED, Code.QUOTA_REFUSES_PODS), UNDER_WAY),
    **dict.fromkeys((Code.SERVICE_ACCOUNT_MISSING, Code.VOLUME_MISSING, Code.CONFIG_ERROR), UNDER_WAY),
    **dict.fromkeys((Code.IMAGE_PULL, Code.UNSCHEDULABLE), UNDER_WAY),
    Code.PODS_READY_TIMEOUT: {EVICTED},
    Code.GAVE_UP: {STOPPED, STOPPING},
    **dict.fromkeys((Code.RUNNING, Code.RUNNING_REDUCED, Code.PARTLY_RUNNING, Code.RETRYING), UNDER_WAY),
    Code.SUCCEEDED: {SUCCEEDED},
    **dict.fromkeys((Code.FAILED, Code.OUT_OF_MEMORY, Code.POD_EVICTED), FAILS),
    Code.TIME_LIMIT: {TIMED_OUT, STOPPING, FAILED},  # a task's own limit makes its array fail
    Code.UNKNOWN: set(Status),
}

EVIDENCE = [(name, recording(name)) for name in NAMES] + [(case[0], changed(case[1], case[2])) for case in CASES]
OF_JOBS = [(name, found) for name, raw in EVIDENCE if (found := evidence_of(raw)).job]


def test_every_code_has_its_words() -> None:
    assert AGREES.keys() == set(Code)


@pytest.mark.parametrize("evidence", [one for _, one in OF_JOBS], ids=[name for name, _ in OF_JOBS])
def test_recorded(evidence: Evidence) -> None:
    """By all evidence, and by the little that a list, or a watch, has of the same job."""
    job = AnyJob(JOB, dict(evidence.job), dict(evidence.workload) or None)
    for seen in (
        evidence,
        job.evidence(evidence.now),
        job.evidence(evidence.now, [dict(one) for one in evidence.pods]),
    ):
        answer = explain(seen)
        assert status_of(evidence.job, evidence.workload or None, evidence.now) in AGREES[answer.code], answer
        assert len(answer.short) <= SHORT, answer


SHORT = 40
"""Letters: a table has other columns too."""


@pytest.mark.parametrize("name", NAMES)
def test_less_evidence_claims_no_more(name: str) -> None:
    """What a list says of a recorded job is what `why` says, or that it can't be told from here."""
    full = evidence_of(recording(name))
    if not full.job:
        return
    (row,) = overviews([AnyJob(JOB, dict(full.job), dict(full.workload) or None)], {}, full.now)
    code = explain(full).code
    assert row.code in {code, *WEAKER.get(code, ())}, row


ON_THEIR_WAY = frozenset({Code.STARTING, Code.JUST_ADMITTED})
WEAKER: Mapping[Code, frozenset[Code]] = {
    **dict.fromkeys((Code.NAMESPACE_NOT_MANAGED, Code.PRIORITY_CLASS_MISSING), frozenset({Code.JUST_SUBMITTED})),
    **dict.fromkeys((Code.IMAGE_PULL, Code.CONFIG_ERROR, Code.UNSCHEDULABLE, Code.VOLUME_MISSING), ON_THEIR_WAY),
    **dict.fromkeys((Code.POD_SECURITY_REFUSED, Code.QUOTA_REFUSES_PODS, Code.SERVICE_ACCOUNT_MISSING), ON_THEIR_WAY),
    Code.PARTLY_RUNNING: frozenset({Code.RUNNING}),
    **dict.fromkeys((Code.OUT_OF_MEMORY, Code.POD_EVICTED), frozenset({Code.FAILED})),
    Code.RESOURCE_NOT_IN_QUEUE: frozenset({Code.WAITING_FOR_QUOTA}),  # Kueue says no more than that it skipped it
}
"""What only the job's surroundings, its pods or its events tell."""


# ------------------------------------------------------------------------------------------ all states

NOW = datetime(2027, 1, 15, 12, tzinfo=UTC)
LONG_AGO, JUST_NOW = "2027-01-15T10:00:00Z", "2027-01-15T11:59:50Z"
SHORTAGE = "couldn't assign flavors to pod set main: insufficient unused quota for cpu in flavor a, 1 more needed"
QUOTA: Mapping[str, dict[str, tuple[str, str, str]]] = {
    "waiting": {"QuotaReserved": ("False", "Pending", SHORTAGE)},
    "stopped": {"QuotaReserved": ("False", "Inadmissible", "ClusterQueue q is inactive")},
    "reserved": {"QuotaReserved": ("True", "QuotaReserved", "")},
    "admitted": {"QuotaReserved": ("True", "QuotaReserved", ""), "Admitted": ("True", "Admitted", "")},
}
EVICTIONS = [
    *("", "Preempted", "PodsReadyTimeout", "AdmissionCheck", "LocalQueueStopped", "ClusterQueueStopped"),
    *("NodeFailures", "WordsOfAKueueYetToCome"),
]
DEACTIVATIONS = [
    *("Deactivated", "DeactivatedDueToMaximumExecutionTimeExceeded", "DeactivatedDueToAdmissionCheck"),
    "DeactivatedDueToRequeuingLimitExceeded",
]
COUNTS: tuple[Mapping[str, int], ...] = ({}, {"active": 1}, {"active": 1, "ready": 1}, {"active": 1, "failed": 1})
COUNTS += ({"failed": 1}, {"succeeded": 1}, {"terminating": 1})
NO_YES = (False, True)
ENDS = ("", "Complete", "BackoffLimitExceeded", "DeadlineExceeded")


def _conditions(told: dict[str, tuple[str, str, str]], when: str) -> list[Body]:
    return [
        {"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": when}
        for kind, (status, reason, message) in told.items()
    ]


def _jobs() -> Iterator[Body]:
    """Jobs in all states that the Job controller and people make, held and being deleted ones too."""
    container = {"name": "main", "resources": {"requests": {"cpu": "1"}}}
    for counts, end, suspend, held, goes in itertools.product(COUNTS, ENDS, NO_YES, NO_YES, NO_YES):
        gate = {"kueue.x-k8s.io/admission-gated-by": "jobq.io/hold"} if held else {}
        labels = {"kueue.x-k8s.io/queue-name": "main"}
        meta: Body = {"name": "a", "namespace": "vision", "creationTimestamp": LONG_AGO, "labels": labels}
        meta |= {"annotations": gate, **({"deletionTimestamp": JUST_NOW} if goes else {})}
        ended = {"Complete" if end == "Complete" else "Failed": ("True", end, "")} if end else {}
        template = {"spec": {"containers": [container]}}
        status = {**counts, "conditions": _conditions(ended, LONG_AGO)}
        yield {"metadata": meta, "spec": {"suspend": suspend, "template": template}, "status": status}


def _workloads() -> Iterator[Body | None]:
    """Workloads in all states that Kueue makes; an eviction by deactivation is over once there is quota again."""
    yield None
    for (quota, told), when, active in itertools.product(QUOTA.items(), (LONG_AGO, JUST_NOW), (True, False)):
        resumed = active and quota in {"reserved", "admitted"}
        for eviction in EVICTIONS if resumed else EVICTIONS + DEACTIVATIONS:
            evicted = {"Evicted": ("True", eviction, "")} if eviction else {}
            spec: Body = {"active": active, "queueName": "main"}
            status = {"conditions": _conditions(told | evicted, when)}
            yield {"metadata": {"name": "w"}, "spec": spec, "status": status}


def test_all_states() -> None:
    """Whatever state Job and Workload are in, and however they contradict each other: word and answer agree."""
    told: dict[Code, Answer] = {}
    for job, workload in itertools.product(_jobs(), list(_workloads())):
        answer = explain(AnyJob(JOB, job, workload).evidence(NOW))
        status = status_of(job, workload, NOW)
        assert status in AGREES[answer.code], (status, answer, job, workload)
        told[answer.code] = answer
    assert len(told) > 20
