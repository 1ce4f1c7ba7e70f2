"""All that is known of one job: what was read from a cluster, or from a file that somebody saved."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property

from cli import advice, parts
from cli.explain import belonging, messages
from cli.explain.messages import OfQueue, Said
from cli.explain.standing import Position
from cli.fit import requests
from cli.fit.cohort import Tree
from cli.fit.judge import Queue, queue_of
from cli.fit.requests import PodSet
from cli.parts import Json

QUEUE_LABEL = "kueue.x-k8s.io/queue-name"
PRIORITY_LABEL = "kueue.x-k8s.io/priority-class"
PROJECT_LABEL = "jobq.io/project"
ALLOWED = "jobq.io/allowed-priority-classes"
_KUEUES_GATE = "kueue.x-k8s.io/admission"
MANAGED = ("kueue.x-k8s.io/managed-namespace", "jobq.io/managed")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """One job and what decides on it. Empty objects and lists are what couldn't be read, or isn't there."""

    now: datetime
    configuration: str = ""
    namespace: Json = field(default_factory=dict)
    entry: Json = field(default_factory=dict)
    """The project's catalogue entry: ``priorities``, ``state``."""
    job: Json
    workload: Json
    local_queue: Json = field(default_factory=dict)
    local_queues: Sequence[Json] | None = None
    cluster_queue: Json = field(default_factory=dict)
    tree: Tree = field(default_factory=Tree)
    flavors: Sequence[Json] = ()
    pods: Sequence[Json] = ()
    events: Sequence[Json] = ()
    place: Position | None = None
    unanswered: int = 0
    """The HTTP status with which Kueue's visibility API refused; 0 where it answered, or wasn't asked."""
    others: Sequence[Json] | None = None
    """Other Workloads of the project; None where they can't be read."""
    quotas: Sequence[Json] = ()
    limit_ranges: Sequence[Json] = ()
    classes: Mapping[str, int] | None = None
    """WorkloadPriorityClasses and their values; None where they can't be read."""
    default_class: str | None = None
    """The PriorityClass that the cluster gives where none is named, ``""``: there is none; None: it wasn't read."""
    refused: Json = field(default_factory=dict)
    unread: Mapping[str, str] = field(default_factory=dict)
    """What wasn't read, and why not: it may be there all the same."""
    option: str = ""
    """What a command needs to mean the job's project, where another one is selected."""

    @property
    def name(self) -> str:
        """The job's name."""
        sent = parts.name(parts.mapping(self.refused, "sent"))
        return parts.name(self.job) or next((parts.text(one, "name") for one in self._owners), "") or sent or "JOB"

    def command(self, deed: str, *words: str) -> str:
        """A command to give next, as it is typed: ``jobq logs -f -p vision train-x7k2p``."""
        return advice.command(deed, self.option, *words)

    @property
    def uid(self) -> str:
        """The job's uid."""
        return parts.text(self.job, "metadata", "uid") or next((parts.text(one, "uid") for one in self._owners), "")

    @property
    def kind(self) -> str:
        """``Job``, ``JobSet`` ..."""
        return parts.text(self.job, "kind") or next((parts.text(one, "kind") for one in self._owners), "") or "Job"

    @property
    def _owners(self) -> Sequence[Json]:
        return parts.items(self.workload, "metadata", "ownerReferences")

    @property
    def project(self) -> str:
        """The project's name."""
        labels = parts.pairs(self.namespace, "metadata", "labels")
        where = parts.text(self.job, "metadata", "namespace") or parts.text(self.workload, "metadata", "namespace")
        return labels.get(PROJECT_LABEL) or parts.name(self.namespace) or where or "this project"

    @cached_property
    def queue(self) -> str:
        """The LocalQueue that the job names; ``""`` for none."""
        label = parts.text(self.job, "metadata", "labels", QUEUE_LABEL)
        return label or parts.text(self.workload, "spec", "queueName")

    @property
    def cluster_queue_name(self) -> str:
        """The ClusterQueue behind it, as far as anything names it."""
        admitted = parts.text(self.workload, "status", "admission", "clusterQueue")
        return admitted or parts.text(self.local_queue, "spec", "clusterQueue") or parts.name(self.cluster_queue)

    @property
    def priority(self) -> str:
        """The priority class by which the job is queued; ``""`` for none."""
        labels = parts.pairs(self.job, "metadata", "labels")
        old = parts.text(self.workload, "spec", "priorityClassName")
        return labels.get(PRIORITY_LABEL, "") or parts.text(self.workload, "spec", "priorityClassRef", "name") or old

    @property
    def allowed(self) -> Sequence[str]:
        """The priority classes of the project's list, by its catalogue entry or its namespace; empty for no list."""
        noted = parts.pairs(self.namespace, "metadata", "annotations").get(ALLOWED, "")
        return parts.texts(self.entry, "priorities") or [one.strip() for one in noted.split(",") if one.strip()]

    @property
    def managed(self) -> bool:
        """Whether the namespace says that Kueue shall manage its jobs, by a label that clusters use for that."""
        labels = parts.pairs(self.namespace, "metadata", "labels")
        return any(labels.get(key) == "true" for key in MANAGED)

    @property
    def suspended(self) -> bool:
        """Whether the job is told not to run, in the words of most kinds."""
        spec = parts.mapping(self.job, "spec")
        policy = parts.flag(spec, "runPolicy", "suspend")
        gates = {parts.text(one, "name") for one in parts.items(spec, "schedulingGates")}  # of a plain pod
        return parts.flag(spec, "suspend") is True or policy is True or _KUEUES_GATE in gates

    @cached_property
    def pod_sets(self) -> Sequence[PodSet]:
        """What it asks for."""
        return requests.of_workload(self.workload) or (requests.of_job(self.job) if self.job else [])

    @cached_property
    def admitted(self) -> bool:
        """Whether Kueue lets it run: where its Workload can't be read, a job that isn't suspended says so itself."""
        told = "workloads" in self.unread and bool(self.job) and bool(self.queue) and not self.suspended
        return parts.holds(self.workload, "Admitted") or told

    @cached_property
    def reserved(self) -> bool:
        """Whether it has its quota."""
        return parts.holds(self.workload, "QuotaReserved")

    @cached_property
    def eviction(self) -> Json:
        """The Evicted condition, where it is true."""
        return parts.condition(self.workload, "Evicted") if parts.holds(self.workload, "Evicted") else {}

    @cached_property
    def message(self) -> str:
        """What Kueue says of the quota that isn't reserved; not always of today."""
        return "" if self.reserved else parts.text(parts.condition(self.workload, "QuotaReserved"), "message")

    @cached_property
    def said(self) -> Said:
        """That message, taken apart."""
        return messages.read(self.message)

    @cached_property
    def said_of_queue(self) -> OfQueue:
        """What it says of a queue that is in the way."""
        return messages.of_queue(self.message)

    @cached_property
    def capacity(self) -> Queue:
        """What its ClusterQueue has, as far as that could be read."""
        if not self.cluster_queue:
            return Queue("", (), {}, refusing=self.said.refusing)
        return replace(queue_of(self.cluster_queue, self.flavors, self.tree), refusing=self.said.refusing)

    @property
    def waiting_reason(self) -> str:
        """The word beside that message."""
        return "" if self.reserved else parts.text(parts.condition(self.workload, "QuotaReserved"), "reason")

    @property
    def has_pods(self) -> bool:
        """Whether there are pods that haven't ended; by a Job's own counts where its pods weren't read."""
        if "pods" in self.unread:
            counts = parts.mapping(self.job, "status")
            return bool(parts.number(counts, "active") or parts.number(counts, "terminating"))
        return bool(self.living)

    @property
    def living(self) -> Sequence[Json]:
        """The pods that haven't ended."""
        return [pod for pod in self.pods if parts.text(pod, "status", "phase") not in {"Succeeded", "Failed"}]

    def since(self, when: datetime | None) -> timedelta:
        """How long ago that was: none where it isn't known, or a clock is wrong."""
        return max(self.now - when, timedelta(0)) if when else timedelta(0)

    def said_of(self, kind: str, reason: str) -> Sequence[str]:
        """The messages of events about the job's own objects of that kind, newest first."""
        return _said(self.events_about(kind), reason)

    def said_of_pod(self, pod: Json, reason: str) -> Sequence[str]:
        """The same of one pod: what was said of one that has gone says nothing of its successor."""
        name = parts.name(pod)
        own = [one for one in self.events_about("Pod") if parts.text(one, "involvedObject", "name") == name]
        return _said(own, reason)

    def events_about(self, kind: str) -> Sequence[Json]:
        """The events about the job's own objects of that kind, pods that have gone among them."""
        return [one for one in self._own_events if parts.text(one, "involvedObject", "kind") == kind]

    @cached_property
    def _own_events(self) -> Sequence[Json]:
        """Found once: there may be thousands of pods, and each is asked about."""
        own = (self.workload, *self.pods)
        there = {parts.name(body): parts.text(body, "metadata", "uid") for body in own} | {self.name: self.uid}
        called = belonging.pod_names(self.job, self.kind, self.name)
        return [one for one in self.events if belonging.is_event_about(one, there, called)]


def _said(events: Sequence[Json], reason: str) -> Sequence[str]:
    """The messages of those of that reason, newest first."""
    found = [one for one in events if parts.text(one, "reason") == reason]
    return [parts.text(one, "message") for one in sorted(found, key=happened, reverse=True)]


def happened(event: Json) -> datetime:
    """When an event was last seen: Kubernetes has three places for it."""
    times = [parts.instant(event, key) for key in ("lastTimestamp", "eventTime", "firstTimestamp")]
    return next((one for one in [*times, parts.instant(event, "metadata", "creationTimestamp")] if one), EPOCH)
