"""A job in one row: what ``list`` shows of it, as text and as JSON."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from cli.explain.status import Status, condition, status_of
from cli.submission.manifest import GPU
from reconciler import amounts
from reconciler.cluster import Body
from reconciler.model import PRIORITY_LABEL, SUBMITTED_BY

JOB_UID = "kueue.x-k8s.io/job-uid"
"""The label by which a Workload names its job."""
_GIB = 2**30
_MIB = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """One job. Amounts are those of all its pods together; times are None where there are none yet."""

    name: str
    namespace: str
    status: Status
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


def overviews(jobs: Iterable[Body], workloads: Iterable[Body]) -> Sequence[Overview]:
    """Jobs joined with their Workloads, newest first."""
    by_job = {workload["metadata"].get("labels", {}).get(JOB_UID): workload for workload in workloads}
    rows = [overview(job, by_job.get(job["metadata"]["uid"])) for job in jobs]
    return sorted(rows, key=lambda row: (row.created, row.name), reverse=True)


def overview(job: Body, workload: Body | None) -> Overview:
    """One job's row."""
    meta, status = job["metadata"], job.get("status", {})
    return Overview(
        name=meta["name"],
        namespace=meta["namespace"],
        status=status_of(job, workload),
        priority=meta.get("labels", {}).get(PRIORITY_LABEL, ""),
        cpu=_asked(job, "cpu"),
        memory=_asked(job, "memory"),
        gpus=_asked(job, GPU),
        by=meta.get("annotations", {}).get(SUBMITTED_BY, ""),
        created=_time(meta["creationTimestamp"]),
        started=_time(status["startTime"]) if status.get("startTime") else None,
        ended=_end(job),
    )


def as_json(row: Overview, now: datetime) -> Mapping[str, object]:
    """The documented shape: amounts as numbers (cores, bytes, GPUs), times as RFC 3339, durations in seconds."""
    runtime = row.runtime(now)
    return {
        "name": row.name,
        "namespace": row.namespace,
        "status": row.status,
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


def cores(value: Decimal) -> str:
    """``2``, ``500m``."""
    return f"{value.normalize():f}" if value == int(value) else f"{int(value * 1000)}m"


def size(value: Decimal) -> str:
    """Bytes in the largest unit that stays readable: ``8Gi``, ``1.5Gi``, ``512Mi``."""
    unit, name = (_GIB, "Gi") if value >= _GIB else (_MIB, "Mi")
    return f"{round(value / unit, 1).normalize():f}{name}" if value else ""


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


def _asked(job: Body, resource: str) -> Decimal:
    """Requests of all pods that may run at once; a limit without request is one."""
    containers = job["spec"]["template"]["spec"]["containers"]
    one_pod = sum((_request(container.get("resources", {}), resource) for container in containers), Decimal(0))
    return one_pod * int(job["spec"].get("parallelism", 1))


def _request(resources: Body, resource: str) -> Decimal:
    text = {**resources.get("limits", {}), **resources.get("requests", {})}.get(resource, "0")
    try:
        return amounts.quantity(str(text))
    except amounts.AmountError:  # an exponent, which only hand-made jobs have
        return Decimal(str(text)) if str(text).lower().replace("e", "").isdigit() else Decimal(0)


def _end(job: Body) -> datetime | None:
    if done := job.get("status", {}).get("completionTime"):
        return _time(done)
    failed = condition(job, "Failed")
    return _time(failed["lastTransitionTime"]) if failed else None


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)
