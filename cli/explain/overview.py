"""A job in one row: what ``list`` shows of it, as text and as JSON."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from cli import parts
from cli.explain.answer import Answer, Code
from cli.explain.evidence import Evidence
from cli.explain.indexes import progress
from cli.explain.jobs import AnyJob
from cli.explain.standing import Position
from cli.explain.status import ENDED, Status
from cli.explain.why import explain
from cli.fit import requests
from reconciler.kinds import JOB

_ZERO = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """One job. Amounts are those of all its pods together; times are None where there are none yet."""

    name: str
    namespace: str
    kind: str
    uid: str
    status: Status
    code: Code
    reason: str
    position: Position | None
    priority: str
    cpu: Decimal
    memory: Decimal
    gpus: Decimal
    by: str
    created: datetime
    started: datetime | None
    ended: datetime | None

    def runtime(self, now: datetime) -> timedelta | None:
        """How long it has run, in its present attempt."""
        return (self.ended or now) - self.started if self.started else None


def overviews(
    jobs: Iterable[AnyJob], positions: Mapping[tuple[str, str], Position], now: datetime
) -> Sequence[Overview]:
    """A row for each job; ``positions`` are those of Workloads, by namespace and name."""
    evidences = ((job, job.evidence(now, place=positions.get(_key(job)))) for job in jobs)
    return [overview(job, evidence, explain(evidence)) for job, evidence in evidences]


def overview(job: AnyJob, evidence: Evidence, answer: Answer) -> Overview:
    """One job's row, by the answer about it. A position counts only while the job waits."""
    status = job.status_at(evidence.now)
    asked = amounts_of(evidence)
    started, ended = _span(job, status)
    return Overview(
        name=job.name,
        namespace=job.namespace,
        kind=job.resource.kind,
        uid=job.uid,
        status=status,
        code=answer.code,
        reason=", ".join(filter(None, (progress(job.body), answer.short))),
        position=evidence.place if status in WAITING else None,
        priority=job.priority,
        cpu=asked.get("cpu", _ZERO),
        memory=asked.get("memory", _ZERO),
        gpus=sum((amount for resource, amount in asked.items() if is_gpu(resource)), _ZERO),
        by=job.by,
        created=job.created,
        started=started,
        ended=ended,
    )


WAITING = frozenset({Status.QUEUED, Status.EVICTED})
"""What has a place in the queue."""


def amounts_of(evidence: Evidence) -> requests.Amounts:
    """What all its pods that may run at once ask for together: of a Job that may run, as many as Kueue has admitted."""
    admitted = evidence.admitted and evidence.kind == JOB.kind
    sets = requests.of_job(evidence.job) if admitted else evidence.pod_sets
    total: dict[str, Decimal] = {}
    for one in sets:
        for resource, amount in one.all().items():
            total[resource] = total.get(resource, _ZERO) + amount
    return total


def is_gpu(resource: str) -> bool:
    """``nvidia.com/gpu``, ``amd.com/gpu``, ``nvidia.com/mig-1g.5gb``, ``gpu.intel.com/i915``."""
    vendor, _, device = resource.partition("/")
    return "gpu" in device or device.startswith("mig-") or vendor.startswith("gpu.")


def as_json(row: Overview, now: datetime) -> Mapping[str, object]:
    """The documented shape: amounts as numbers (cores, bytes, GPUs), times as RFC 3339, durations in seconds."""
    runtime = row.runtime(now)
    return {
        "name": row.name,
        "namespace": row.namespace,
        "kind": row.kind,
        "status": row.status,
        "code": row.code,
        "reason": row.reason,
        "position": row.position.here if row.position else None,
        "positionOverall": row.position.overall if row.position else None,
        "priority": row.priority,
        "cpu": float(row.cpu),
        "memory": int(row.memory),
        "gpus": int(row.gpus),
        "submittedBy": row.by,
        "created": row.created.isoformat(),
        "started": row.started.isoformat() if row.started else None,
        "ended": row.ended.isoformat() if row.ended else None,
        "runtimeSeconds": int(runtime.total_seconds()) if runtime is not None else None,
    }


def age(span: timedelta | None) -> str:
    """The two largest units: ``3d4h``, ``2m05s``; empty for none."""
    if span is None:
        return ""
    seconds = max(int(span.total_seconds()), 0)
    days, hours, minutes = seconds // 86400, seconds // 3600 % 24, seconds // 60 % 60
    if days:
        return f"{days}d{hours}h"
    if hours:
        return f"{hours}h{minutes:02}m"
    return f"{minutes}m{seconds % 60:02}s" if minutes else f"{seconds}s"


def _key(job: AnyJob) -> tuple[str, str]:
    return (job.namespace, str(job.workload["metadata"]["name"])) if job.workload else ("", "")


def _span(job: AnyJob, status: Status) -> tuple[datetime | None, datetime | None]:
    """When its present attempt began, and when it ended. A Job says it; of another kind, Kueue does.

    A Job counts from when Kueue let it go: as long as no pod of it runs, it has begun nothing.
    """
    if status is Status.STARTING:
        return None, None
    if job.resource == JOB:
        failed = parts.condition(job.body, "Failed")
        end = parts.instant(job.body, "status", "completionTime")
        if end is None and parts.text(failed, "status") == "True":
            end = parts.instant(failed, "lastTransitionTime")
        return parts.instant(job.body, "status", "startTime"), end
    admitted, finished = (parts.condition(job.workload, kind) for kind in ("Admitted", "Finished"))
    start = parts.instant(admitted, "lastTransitionTime") if parts.text(admitted, "status") == "True" else None
    return start, parts.instant(finished, "lastTransitionTime") if status in ENDED else None
