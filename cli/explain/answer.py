"""What a person is told about a job: a stable code, one sentence, one action."""

from dataclasses import dataclass
from enum import StrEnum


class Code(StrEnum):
    """Every answer of ``jobq why``, by family. Scripts rely on the words: none is ever renamed."""

    # not accepted
    FORBIDDEN = "Forbidden"
    JOB_COUNT_EXCEEDED = "JobCountExceeded"
    INVALID_LABEL = "InvalidLabel"
    INVALID_RESOURCES = "InvalidResources"
    KUEUE_UNAVAILABLE = "KueueUnavailable"
    # accepted, unknown to Kueue
    JUST_SUBMITTED = "JustSubmitted"
    NO_QUEUE_LABEL = "NoQueueLabel"
    UNMANAGED = "Unmanaged"
    SUSPENDED_UNMANAGED = "SuspendedUnmanaged"
    NAMESPACE_NOT_MANAGED = "NamespaceNotManaged"
    PRIORITY_CLASS_MISSING = "PriorityClassMissing"
    PRIORITY_CLASS_NOT_ALLOWED = "PriorityClassNotAllowed"
    # held by somebody
    HELD = "Held"
    STOPPED = "Stopped"
    PROJECT_PAUSED = "ProjectPaused"
    EVICTED_PROJECT_PAUSED = "EvictedProjectPaused"
    CLUSTER_QUEUE_STOPPED = "ClusterQueueStopped"
    EVICTED_CLUSTER_QUEUE_STOPPED = "EvictedClusterQueueStopped"
    # misconfigured
    QUEUE_MISSING = "QueueMissing"
    CLUSTER_QUEUE_MISSING = "ClusterQueueMissing"
    CLUSTER_QUEUE_BROKEN = "ClusterQueueBroken"
    NAMESPACE_NOT_SELECTED = "NamespaceNotSelected"
    LIMIT_RANGE_EXCEEDED = "LimitRangeExceeded"
    RESOURCE_NOT_IN_QUEUE = "ResourceNotInQueue"
    NO_MATCHING_FLAVOR = "NoMatchingFlavor"
    # quota
    WAITING_FOR_QUOTA = "WaitingForQuota"
    WAITING_BEHIND_HEAD = "WaitingBehindHead"
    WAITING_FOR_PREEMPTED = "WaitingForPreempted"
    PREEMPTED_WAITING = "PreemptedWaiting"
    NEVER_FITS = "NeverFits"
    NO_REQUESTS = "NoRequests"
    # quota reserved, not admitted
    ADMISSION_CHECK_PENDING = "AdmissionCheckPending"
    ADMISSION_CHECK_RETRY = "AdmissionCheckRetry"
    ADMISSION_CHECK_REJECTED = "AdmissionCheckRejected"
    # contradictions of Kueue
    EVICTED_NOT_REQUEUED = "EvictedNotRequeued"
    ADMITTED_SUSPENDED = "AdmittedSuspended"
    # admitted, pods don't come
    JUST_ADMITTED = "JustAdmitted"
    STARTING = "Starting"
    POD_SECURITY_REFUSED = "PodSecurityRefused"
    QUOTA_REFUSES_PODS = "QuotaRefusesPods"
    SERVICE_ACCOUNT_MISSING = "ServiceAccountMissing"
    VOLUME_MISSING = "VolumeMissing"
    CONFIG_ERROR = "ConfigError"
    IMAGE_PULL = "ImagePull"
    UNSCHEDULABLE = "Unschedulable"
    PODS_READY_TIMEOUT = "PodsReadyTimeout"
    GAVE_UP = "GaveUp"
    # running or ended
    RUNNING = "Running"
    RUNNING_REDUCED = "RunningReduced"
    PARTLY_RUNNING = "PartlyRunning"
    RETRYING = "Retrying"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    OUT_OF_MEMORY = "OutOfMemory"
    POD_EVICTED = "PodEvicted"
    TIME_LIMIT = "TimeLimit"
    # none of these
    UNKNOWN = "Unknown"
    """Something that jobq doesn't know: the sentence is the cluster's own."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The sentence says what is, the action what to do; both are whole sentences."""

    code: Code
    sentence: str
    action: str
