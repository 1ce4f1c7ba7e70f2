"""What can be done to a job of any kind: each is one write, and says in a few words what came of it."""

from collections.abc import Sequence

from cli import parts
from cli.explain.jobs import AnyJob
from cli.explain.status import ENDED, GATE, Status
from cli.job.targets import Refused
from cli.selection import Current
from cli.submission.manifest import COMMAND_LINE, HOLD
from cli.submission.mounts import SHIPPED
from reconciler.cluster import Body, Cluster
from reconciler.errors import Forbidden, JobqError
from reconciler.kinds import POD, WORKLOAD
from reconciler.model import PRIORITY_LABEL

_OVER = ENDED - {Status.STOPPED}


def stop(cluster: Cluster, current: Current, job: AnyJob) -> str:
    """Deactivate its Workload: Kueue ends the pods, and keeps the job. Raises: JobqError."""
    if job.status in _OVER:
        return f"{job.name} has ended already: {job.status}"
    if job.status is Status.STOPPED or _inactive(job):
        return f"{job.name} is stopped already"
    _set_active(cluster, current, job, active=False)
    return f"{job.name} is stopped; `{current.command('resume', job.name)}` starts it again from the beginning"


def resume(cluster: Cluster, current: Current, job: AnyJob) -> str:
    """Take our hold away, and activate the Workload. Raises: JobqError; Refused after Kueue's time limit."""
    gates = _gates(job)
    if job.status is Status.TIMED_OUT and _inactive(job):
        raise Refused(
            f"{job.name} has used up its time limit: Kueue would stop it again at once, whatever the limit is now",
            hint=f"submit it again with a longer one{_submission(current, job, '-t DURATION')}",
        )
    if job.status in _OVER:
        raise JobqError(f"{job.name} has ended: {job.status}", hint=f"submit it again{_submission(current, job)}")
    held, stopped = HOLD in gates, _inactive(job)
    if held:
        rest = [gate for gate in gates if gate != HOLD]
        _patch_job(cluster, job, {"annotations": {GATE: ",".join(rest) or None}})
    if stopped:
        _set_active(cluster, current, job, active=True)
    others = [gate for gate in gates if gate != HOLD]
    if others:
        return f"{job.name} is still held by {', '.join(others)}, which only whoever set it takes away"
    if not held and not stopped:
        return f"{job.name} is neither held nor stopped: {job.status}"
    return f"{job.name} waits for its turn again"


def delete(cluster: Cluster, job: AnyJob) -> str:
    """Delete it with its pods: exactly this one, not a later one of its name. Raises: JobqError."""
    _must_be_one_object(job, "deleted")
    cluster.delete(job.resource, job.name, namespace=job.namespace, uid=job.uid)
    return f"{job.name} is deleted"


def bump(cluster: Cluster, current: Current, job: AnyJob, priority: str) -> str:
    """Give it another priority class. Raises: JobqError where it has ended, or runs and never had one."""
    _must_be_one_object(job, "bumped")
    if job.status in _OVER:
        raise JobqError(
            f"{job.name} has ended: {job.status}", hint=f"`{current.command('list')}` shows those that haven't"
        )
    if job.priority == priority:
        return f"{job.name} has {priority} already"
    if not job.priority and parts.holds(job.workload, "QuotaReserved"):
        raise _first_class(current, job, priority)
    try:
        _patch_job(cluster, job, {"labels": {PRIORITY_LABEL: priority}})
    except Forbidden as error:  # it has started meanwhile
        if "admission webhook" in str(error) and not job.priority:
            raise _first_class(current, job, priority) from error
        raise
    return f"{job.name} has {priority} now{f', before {job.priority}' if job.priority else ''}"


def _first_class(current: Current, job: AnyJob, priority: str) -> JobqError:
    steps = (("stop", job.name), ("bump", job.name, "--priority", priority), ("resume", job.name))
    again = " && ".join(current.command(*step) for step in steps)
    return JobqError(
        f"{job.name} runs without a priority class, and a running job can't get its first one",
        hint=f"it could start over with one: `{again}`",
    )


def _set_active(cluster: Cluster, current: Current, job: AnyJob, *, active: bool) -> None:
    if job.workload is None:
        raise JobqError(
            f"Kueue has no Workload for {job.name}, so it can't be {'resumed' if active else 'stopped'}",
            hint="if it was made just now, try again; "
            f"else `{current.command('why', job.name)}`, or `{current.command('delete', job.name)}`",
        )
    meta = job.workload["metadata"]
    body: Body = {"metadata": {"uid": meta["uid"]}, "spec": {"active": active}}
    cluster.patch(WORKLOAD, meta["name"], body, namespace=job.namespace)


def _patch_job(cluster: Cluster, job: AnyJob, changed: Body) -> None:
    cluster.patch(job.resource, job.name, {"metadata": {"uid": job.uid, **changed}}, namespace=job.namespace)


def _must_be_one_object(job: AnyJob, done: str) -> None:
    if job.resource == POD:
        raise JobqError(
            f"{job.name} is a group of pods, which can't be {done} as one",
            hint=f"kubectl -n {job.namespace} delete pods -l kueue.x-k8s.io/pod-group-name={job.name}",
        )


def _inactive(job: AnyJob) -> bool:
    return parts.flag(job.workload, "spec", "active") is False


def _gates(job: AnyJob) -> Sequence[str]:
    written = parts.pairs(job.body, "metadata", "annotations").get(GATE, "")
    return [gate.strip() for gate in written.split(",") if gate.strip()]


def _submission(current: Current, job: AnyJob, *options: str) -> str:
    """``: `jobq submit -- python train.py` ``, or as a script of the caller's machine; nothing where it isn't known."""
    line = parts.pairs(job.body, "metadata", "annotations").get(COMMAND_LINE, "")
    if not line or line.endswith("…"):
        return ""
    container = next(iter(parts.items(job.body, "spec", "template", "spec", "containers")), {})
    shipped = any(one.get("mountPath") == SHIPPED for one in parts.items(container, "volumeMounts"))
    return f": `{current.command('submit', *options, *([] if shipped else ['--']), line)}`"
