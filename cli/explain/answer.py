"""What a person is told about a job: a stable code, one sentence, one action."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Self


class Code(StrEnum):
    """Every answer, by family, and what a table says of it: nothing where the job's status says it all.

    Scripts rely on the words: none is ever renamed.
    """

    short: str

    def __new__(cls, word: str, short: str = "") -> Self:
        """A word with its few words for a table."""
        code = str.__new__(cls, word)
        code._value_ = word
        code.short = short
        return code

    # not accepted
    FORBIDDEN = "Forbidden", "isn't allowed"
    JOB_COUNT_EXCEEDED = "JobCountExceeded", "too many jobs"
    INVALID_LABEL = "InvalidLabel", "a label isn't valid"
    INVALID_RESOURCES = "InvalidResources", "amounts aren't valid"
    KUEUE_UNAVAILABLE = "KueueUnavailable", "Kueue doesn't answer"
    # accepted, unknown to Kueue
    JUST_SUBMITTED = "JustSubmitted"
    NO_QUEUE_LABEL = "NoQueueLabel", "names no queue"
    UNMANAGED = "Unmanaged", "outside the queue"
    SUSPENDED_UNMANAGED = "SuspendedUnmanaged", "names no queue"
    NAMESPACE_NOT_MANAGED = "NamespaceNotManaged", "Kueue doesn't manage the project"
    PRIORITY_CLASS_MISSING = "PriorityClassMissing", "no such priority"
    PRIORITY_CLASS_NOT_ALLOWED = "PriorityClassNotAllowed", "priority isn't allowed"
    # held by somebody
    HELD = "Held"
    STOPPED = "Stopped"
    PROJECT_PAUSED = "ProjectPaused", "project paused"
    EVICTED_PROJECT_PAUSED = "EvictedProjectPaused", "project paused"
    CLUSTER_QUEUE_STOPPED = "ClusterQueueStopped", "queue stopped"
    EVICTED_CLUSTER_QUEUE_STOPPED = "EvictedClusterQueueStopped", "queue stopped"
    # misconfigured
    QUEUE_MISSING = "QueueMissing", "no such queue"
    CLUSTER_QUEUE_MISSING = "ClusterQueueMissing", "no such ClusterQueue"
    CLUSTER_QUEUE_BROKEN = "ClusterQueueBroken", "queue is broken"
    NAMESPACE_NOT_SELECTED = "NamespaceNotSelected", "queue doesn't take the project"
    LIMIT_RANGE_EXCEEDED = "LimitRangeExceeded", "breaks the project's limits"
    RESOURCE_NOT_IN_QUEUE = "ResourceNotInQueue", "not in its queue"
    NO_MATCHING_FLAVOR = "NoMatchingFlavor", "no flavor suits"
    # quota
    WAITING_FOR_QUOTA = "WaitingForQuota", "waits for quota"
    WAITING_BEHIND_HEAD = "WaitingBehindHead", "others are first"
    WAITING_FOR_PREEMPTED = "WaitingForPreempted", "others make room"
    PREEMPTED_WAITING = "PreemptedWaiting", "preempted"
    NEVER_FITS = "NeverFits", "never fits"
    NO_REQUESTS = "NoRequests", "asks for nothing"
    # quota reserved, not admitted
    ADMISSION_CHECK_PENDING = "AdmissionCheckPending", "waits for a check"
    ADMISSION_CHECK_RETRY = "AdmissionCheckRetry", "sent back by a check"
    ADMISSION_CHECK_REJECTED = "AdmissionCheckRejected", "rejected by a check"
    # contradictions of Kueue
    EVICTED_NOT_REQUEUED = "EvictedNotRequeued", "wasn't put back"
    ADMITTED_SUSPENDED = "AdmittedSuspended", "may run, but doesn't"
    # admitted, pods don't come
    JUST_ADMITTED = "JustAdmitted"
    STARTING = "Starting"
    POD_SECURITY_REFUSED = "PodSecurityRefused", "pods are refused"
    QUOTA_REFUSES_PODS = "QuotaRefusesPods", "a ResourceQuota refuses pods"
    SERVICE_ACCOUNT_MISSING = "ServiceAccountMissing", "no service account"
    VOLUME_MISSING = "VolumeMissing", "no volume"
    CONFIG_ERROR = "ConfigError", "container can't start"
    IMAGE_PULL = "ImagePull", "image can't be pulled"
    UNSCHEDULABLE = "Unschedulable", "no node fits"
    PODS_READY_TIMEOUT = "PodsReadyTimeout", "pods weren't ready in time"
    GAVE_UP = "GaveUp", "pods were never ready"
    # running or ended
    RUNNING = "Running"
    RUNNING_REDUCED = "RunningReduced", "fewer at a time"
    PARTLY_RUNNING = "PartlyRunning", "some pods don't run"
    RETRYING = "Retrying", "is tried again"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    OUT_OF_MEMORY = "OutOfMemory", "out of memory"
    POD_EVICTED = "PodEvicted", "lost its node"
    TIME_LIMIT = "TimeLimit", "time limit"
    # none of these
    UNKNOWN = "Unknown"
    """Something that jobq doesn't know: the sentence is the cluster's own."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The sentence says what is, the action what to do; both are whole sentences, with commands in backticks."""

    code: Code
    sentence: str
    action: str
    about: str = ""
    """The few words for a table, where those of the code would say too little."""

    @property
    def short(self) -> str:
        """The sentence in the few words that a table has room for; ``""`` where the job's status says it all."""
        return self.about or self.code.short

    def as_json(self) -> Mapping[str, str]:
        """The documented shape."""
        return {"code": self.code, "sentence": self.sentence, "action": self.action}
