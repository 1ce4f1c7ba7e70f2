"""Jobs of any kind, joined with their Workloads. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from cli.explain.evidence import Evidence
from cli.explain.standing import Position
from cli.explain.status import Status, status_of
from reconciler.cluster import Body, Resource
from reconciler.kinds import JOB, POD
from reconciler.model import PRIORITY_LABEL, SUBMITTED_BY

JOB_UID = "kueue.x-k8s.io/job-uid"
"""The label by which a Workload names its job."""


@dataclass(frozen=True, slots=True)
class AnyJob:
    """A job, and its Workload where Kueue has made one.

    ``body`` is the whole object of a Job; of any other kind its metadata alone, or what its Workload says of that.
    """

    resource: Resource
    body: Body
    workload: Body | None
    now: datetime | None = None
    """When that was read: only then can it be told what takes too long."""

    @property
    def name(self) -> str:
        """Its name."""
        return str(self.body["metadata"]["name"])

    @property
    def namespace(self) -> str:
        """Its namespace."""
        return str(self.body["metadata"]["namespace"])

    @property
    def uid(self) -> str:
        """Its uid."""
        return str(self.body["metadata"]["uid"])

    @property
    def by(self) -> str:
        """Who submitted it, or ``""``."""
        return str((self.body["metadata"].get("annotations") or {}).get(SUBMITTED_BY, ""))

    @property
    def created(self) -> datetime:
        """When it was made."""
        return datetime.fromisoformat(self.body["metadata"]["creationTimestamp"])

    def status_at(self, now: datetime) -> Status:
        """How it fares; by the time it can be told what takes too long."""
        return status_of(self.body, self.workload, now)

    @property
    def status(self) -> Status:
        """How it fares, whatever the time."""
        return status_of(self.body, self.workload, self.now)

    def evidence(self, now: datetime, pods: Sequence[Body] | None = None, place: Position | None = None) -> Evidence:
        """What there is to judge by without asking more: this, and its pods and its place where they were read."""
        return Evidence(
            now=now,
            job={"kind": self.resource.kind, **self.body},
            workload=self.workload or {},
            pods=pods or (),
            place=place,
            unread={"pods": "nobody asked"} if pods is None else {},
        )

    @property
    def priority(self) -> str:
        """Kueue's class, or ``""``."""
        label = (self.body["metadata"].get("labels") or {}).get(PRIORITY_LABEL, "")
        given = (self.workload or {}).get("spec", {}).get("priorityClassRef") or {}
        return str(label or (given.get("name", "") if given.get("group") == "kueue.x-k8s.io" else ""))


def joined(
    jobs: Iterable[Body], workloads: Iterable[Body], others: Iterable[Body] = (), now: datetime | None = None
) -> Sequence[AnyJob]:
    """Each job once, newest first: Jobs, and what else owns a Workload. ``others`` is metadata of other kinds.

    What another job has made for itself, as a JobSet does its Jobs, is no job of its own.
    """
    workloads = list(workloads)
    by_job = {workload["metadata"].get("labels", {}).get(JOB_UID): workload for workload in workloads}
    owners = {_owner(workload).get("uid") for workload in workloads}
    known = {other["metadata"]["uid"]: other for other in others}
    found = [AnyJob(JOB, job, by_job.get(job["metadata"]["uid"]), now) for job in jobs if not _is_part(job, owners)]
    seen = {job.uid for job in found}
    for workload in workloads:
        owner = _owner(workload)
        named = workload["metadata"].get("labels", {}).get(JOB_UID)
        if owner.get("kind") != JOB.kind and not {owner.get("uid"), named} & seen:
            found.append(_other(workload, owner, known))
    return sorted(found, key=lambda job: (job.body["metadata"]["creationTimestamp"], job.name), reverse=True)


def stands_for_another(job: Body) -> bool:
    """Whether something of the same name has made it, as a RayJob does the Job that submits it: that one is meant."""
    meta = job["metadata"]
    return any(one.get("controller") and one["name"] == meta["name"] for one in meta.get("ownerReferences") or ())


def other_kinds(workloads: Iterable[Body]) -> Sequence[Resource]:
    """The kinds beside Job that own Workloads, each once."""
    owners = [_owner(workload) for workload in workloads]
    kinds = {_resource(owner): None for owner in owners if owner and owner["kind"] not in {JOB.kind, POD.kind}}
    return list(kinds)


def owners_of_other_kinds(workloads: Iterable[Body]) -> set[str]:
    """The uids of those owners."""
    owners = [_owner(workload) for workload in workloads]
    return {owner["uid"] for owner in owners if owner and owner["kind"] not in {JOB.kind, POD.kind}}


def _owner(workload: Body) -> Body:
    """What it is the Workload of; empty for a group of plain pods."""
    references = workload["metadata"].get("ownerReferences") or ()
    return next((one for one in references if one.get("controller")), {})


def _is_part(job: Body, owners: "set[str | None]") -> bool:
    return any(one.get("controller") and one["uid"] in owners for one in job["metadata"].get("ownerReferences") or ())


def _other(workload: Body, owner: Body, known: "dict[str, Body]") -> AnyJob:
    """Without an owner the Workload stands for the job: of a group of pods it has its name."""
    meta = workload["metadata"]
    if not owner:
        pods = {"name": meta["name"], "namespace": meta["namespace"], "uid": meta["uid"]}
        return AnyJob(POD, {"metadata": pods | {"creationTimestamp": meta["creationTimestamp"]}}, workload)
    said = {"name": owner["name"], "uid": owner["uid"], "namespace": meta["namespace"]}
    stand_in = {"metadata": said | {"creationTimestamp": meta["creationTimestamp"]}}
    return AnyJob(_resource(owner), known.get(owner["uid"], stand_in), workload)


def _resource(owner: Body) -> Resource:
    """As the API addresses it: all job kinds that Kueue knows are called the plain way."""
    group, _, version = owner["apiVersion"].rpartition("/")
    return Resource(group, version, f"{owner['kind'].lower()}s", owner["kind"], metadata_only=True)
