"""The job that somebody keeps from running: held, stopped, or with its project or ClusterQueue."""

from cli import parts
from cli.explain import words
from cli.explain.answer import Answer, Code
from cli.explain.evidence import Evidence
from cli.explain.reserved import check_said

GATE = "kueue.x-k8s.io/admission-gated-by"
HOLD = "jobq.io/hold"
STOPPED = {"Hold", "HoldAndDrain"}
DRAINED = "HoldAndDrain"
_LIMIT = "MaximumExecutionTimeExceeded"
_GIVEN_UP = "RequeuingLimitExceeded"
_CHECK = "AdmissionCheck"
_INACTIVE = "ClusterQueueIsInactive"
_BY_HAND = {"", "Deactivated", "InactiveWorkload", "DeactivatedDueTo"}
TIME_LIMIT_LABEL = "kueue.x-k8s.io/max-exec-time-seconds"


def gates(evidence: Evidence) -> list[str]:
    """Who holds the job back. The annotation counts: Kueue's message may be older."""
    noted = parts.text(evidence.job or evidence.workload, "metadata", "annotations", GATE)
    return [one.strip() for one in noted.split(",") if one.strip()]


def deactivated(evidence: Evidence) -> Answer | None:
    """The job that is stopped for good: by hand, by its time limit, by a check, or after too many tries."""
    if parts.flag(evidence.workload, "spec", "active") is not False:
        return _rejected(evidence) if _rejecting(evidence) else None
    reason = parts.text(evidence.eviction, "reason")
    if _LIMIT in reason:
        return time_limit(evidence)
    if _GIVEN_UP in reason:
        return _gave_up(evidence)
    if _CHECK in reason or _rejecting(evidence):
        return _rejected(evidence)
    return _stopped(evidence, reason)


def time_limit(evidence: Evidence) -> Answer:
    """Stopped by Kueue at the limit that the job was given."""
    limit = parts.number(evidence.workload, "spec", "maximumExecutionTimeSeconds")
    written = parts.pairs(evidence.job, "metadata", "labels").get(TIME_LIMIT_LABEL, "")
    limit = int(written) if limit is None and written.isdecimal() else limit
    return Answer(
        Code.TIME_LIMIT,
        f"Stopped{_when(evidence)}: it ran longer than its time limit{words.limit(limit)}.",
        "Submit it again with a larger --time; this job can't be resumed (Kueue stops it again at once).",
    )


def held(evidence: Evidence) -> Answer | None:
    """Held back by somebody's gate."""
    found = gates(evidence)
    others = [gate for gate in found if gate != HOLD]
    about = ", ".join(others)
    if not found or evidence.reserved:
        return None
    by = f"held back by {words.listed(others)}"
    if len(others) == len(found):
        sentence = f"Held: {by}, it will not be queued until that is taken away."
        return Answer(Code.HELD, sentence, f"Ask whoever set {words.listed(others)} (annotation {GATE}).", about)
    also = f"; it is also {by}" if others else ""
    sentence = f"Held: submitted with --hold, it will not be queued until it is released{also}."
    rest = f"takes the hold away; {words.listed(others)} stays" if others else "releases it"
    return Answer(Code.HELD, sentence, f"`{evidence.command('resume', evidence.name)}` {rest}.", about)


def project_paused(evidence: Evidence) -> Answer | None:
    """The LocalQueue takes nothing in."""
    policy = parts.text(evidence.local_queue, "spec", "stopPolicy")
    said = evidence.said_of_queue
    drained = parts.text(evidence.eviction, "reason") == "LocalQueueStopped"
    closed = (drained and evidence.reserved) or (said.kind == "LocalQueue" and not said.gone)
    if policy not in STOPPED and not (closed and not evidence.local_queue):
        return None
    project = evidence.project
    if drained:
        return Answer(
            Code.EVICTED_PROJECT_PAUSED,
            f"Stopped{_when(evidence)} because the project {project} was paused with drain; "
            "it will start again from the beginning when the project is active.",
            "Ask a maintainer when the project is active again; save checkpoints so that a restart loses little.",
        )
    if policy == DRAINED:
        sentence = f"The project {project} is paused (and was drained): nothing starts until it is active again."
        return Answer(
            Code.PROJECT_PAUSED, sentence, "Ask a maintainer; the job starts by itself when the project is active."
        )
    return Answer(
        Code.PROJECT_PAUSED,
        f"The project {project} is paused: nothing new starts until it is active again.",
        "Ask a maintainer; the job keeps its place and starts by itself when the project is active.",
    )


def queue_stopped(evidence: Evidence) -> Answer | None:
    """The ClusterQueue takes nothing in, in any project."""
    queue, active = evidence.cluster_queue, parts.condition(evidence.cluster_queue, "Active")
    stopped = parts.text(queue, "spec", "stopPolicy") in STOPPED or (
        parts.text(active, "status") == "False" and parts.text(active, "reason") == "Stopped"
    )
    said = evidence.said_of_queue
    inactive = parts.text(parts.condition(evidence.local_queue, "Active"), "reason") == _INACTIVE
    drained = parts.text(evidence.eviction, "reason") == "ClusterQueueStopped"
    closed = (drained and evidence.reserved) or (said.kind == "ClusterQueue" and not said.gone)
    unseen = not queue and (inactive or closed)
    if not stopped and not unseen:
        return None
    name = evidence.cluster_queue_name or said.name
    if drained:
        return Answer(
            Code.EVICTED_CLUSTER_QUEUE_STOPPED,
            f"Stopped{_when(evidence)} because the admins stopped the cluster's queue {name} and drained it; "
            "it will start again from the beginning when the queue is open.",
            "Wait for the admins; save checkpoints so that a restart loses little.",
        )
    if stopped:
        sentence = f"The cluster's queue {name} is stopped by its admins: nothing new starts in any of its projects."
        return Answer(
            Code.CLUSTER_QUEUE_STOPPED, sentence, "Wait for the admins; the job keeps its place and starts by itself."
        )
    sentence = f"The cluster's queue {name} is inactive: nothing new starts. Why can't be read here."
    return Answer(Code.CLUSTER_QUEUE_STOPPED, sentence, "Ask the admins; the job keeps its place.")


def _stopped(evidence: Evidence, reason: str) -> Answer:
    ran = parts.number(evidence.workload, "status", "accumulatedPastExecutionTimeSeconds") is not None
    ran = ran or bool(parts.condition(evidence.workload, "Requeued")) or evidence.admitted
    pods = "are ending" if evidence.has_pods else "are gone"
    ending = f"; its pods {pods}, it will not start by itself" if ran else " before it ever ran"
    resume, delete = (evidence.command(deed, evidence.name) for deed in ("resume", "delete"))
    if reason not in _BY_HAND:
        message = words.plain(parts.text(evidence.eviction, "message"))
        sentence = f"Stopped{_when(evidence)}{ending}: {message or reason}."
    elif not reason:
        sentence = "Stopping: somebody has stopped it, Kueue is about to end it."
    else:
        sentence = f"Stopped by hand{_when(evidence)}{ending}."
    if held_by := gates(evidence):
        sentence = f"{sentence[:-1]}; it is also held by {words.listed(held_by)}."
    if ran:
        action = f"`{resume}` starts it again from the beginning; `{delete}` removes it."
    else:
        action = f"`{resume}` puts it back in the queue."
    return Answer(Code.STOPPED, sentence, action)


def _gave_up(evidence: Evidence) -> Answer:
    tries = parts.number(evidence.workload, "status", "requeueState", "count")
    counted = f" after {tries} tries" if tries else ""
    resume = evidence.command("resume", evidence.name)
    return Answer(
        Code.GAVE_UP,
        f"Given up{_when(evidence)}{counted}: its pods were never ready in time, and Kueue tries no more.",
        f"Find out why its pods don't start (image, nodes, volumes), then: `{resume}`.",
    )


def _rejecting(evidence: Evidence) -> list[str]:
    checks = parts.items(evidence.workload, "status", "admissionChecks")
    return [parts.text(one, "name") for one in checks if parts.text(one, "state") == "Rejected"]


def _rejected(evidence: Evidence) -> Answer:
    name, message, when = check_said(evidence, "Rejected")
    return Answer(
        Code.ADMISSION_CHECK_REJECTED,
        f"Rejected by the admission check {name}{words.at(when, evidence)}{f': {message}' if message else ''}. "
        "It will not be tried again by itself.",
        f"Submit it differently, or ask whoever runs the check {name}; "
        f"`{evidence.command('resume', evidence.name)}` asks the check once more.",
        f"rejected by {name}",
    )


def _when(evidence: Evidence) -> str:
    return words.at(parts.instant(evidence.eviction, "lastTransitionTime"), evidence)
