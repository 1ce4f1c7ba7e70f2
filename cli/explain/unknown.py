"""The job that was accepted, and for which Kueue has made no Workload."""

from datetime import timedelta

from cli import parts
from cli.explain import running, words
from cli.explain.answer import Answer, Code
from cli.explain.evidence import QUEUE_LABEL, Evidence

MOMENT = timedelta(seconds=5)
"""How long Kueue may take for its first look."""
LONG = timedelta(minutes=1)
_MANAGES_ALL = ("manageJobsWithoutQueueName", "podsready")


def unknown(evidence: Evidence) -> Answer | None:
    """Why Kueue doesn't know the job."""
    if not evidence.job or evidence.admitted:
        return None
    if evidence.workload:
        return None if evidence.queue else _without_queue(evidence)
    if "workloads" in evidence.unread:
        sentence = f"What Kueue says of it can't be read: {words.plain(evidence.unread['workloads'])}."
        return Answer(Code.UNKNOWN, sentence, "Ask a maintainer for access, or try again.")
    return _without_workload(evidence)


def _without_workload(evidence: Evidence) -> Answer:
    if not evidence.queue:
        return _without_queue(evidence)
    if not evidence.suspended:
        return running.outside(evidence, f"Kueue does not manage it, although it names the queue {evidence.queue}")
    return priority(evidence) or _young(evidence) or _unmanaged(evidence)


def priority(evidence: Evidence) -> Answer | None:
    """A class that isn't there, or that the project doesn't allow: Kueue makes no Workload, and says nothing."""
    wanted, allowed = evidence.priority, evidence.allowed
    if wanted and evidence.classes is not None and wanted not in evidence.classes:
        there = sorted(name for name in evidence.classes if not allowed or name in allowed)
        return Answer(
            Code.PRIORITY_CLASS_MISSING,
            f"Can't start: the priority class {wanted} does not exist; "
            + (f"there are {', '.join(there)}." if there else "there is none."),
            f"Set one that exists: {_bump(evidence, _first(evidence, there))}."
            if there
            else "Delete it and submit without --priority, or tell the admins.",
        )
    if wanted and allowed and wanted not in allowed:
        return _not_allowed(evidence, wanted)
    pods = parts.text(evidence.job, "spec", "template", "spec", "priorityClassName")
    if pods and allowed:
        return _not_allowed(evidence, pods)
    return None


def _first(evidence: Evidence, there: list[str]) -> str:
    """The highest class that may be set."""
    values = evidence.classes or {}
    return max(there, key=lambda name: values.get(name, 0))


def _not_allowed(evidence: Evidence, wanted: str) -> Answer:
    allowed = evidence.allowed
    return Answer(
        Code.PRIORITY_CLASS_NOT_ALLOWED,
        f"Can't start: the priority class {wanted} is not allowed in the project {evidence.project}; "
        f"allowed: {', '.join(allowed)}.",
        f"Set one that is: {_bump(evidence, allowed[0])}.",
    )


def _without_queue(evidence: Evidence) -> Answer:
    queues = [parts.name(one) for one in evidence.local_queues or ()]
    queue = queues[0] if queues else "the project's queue"
    again = f"Delete it and submit it through jobq, which sets the queue; or set its label {QUEUE_LABEL} to {queue}."
    if not evidence.suspended:
        return running.outside(evidence, "it has no queue label")
    manages_all = any(word in evidence.configuration for word in _MANAGES_ALL) and (
        evidence.managed or not parts.pairs(evidence.namespace, "metadata", "labels")
    )
    if evidence.workload or manages_all:
        sentence = "Can't start: it has no queue label, and Kueue starts nothing here that names no queue."
        return Answer(Code.NO_QUEUE_LABEL, sentence, again)
    sentence = "It is suspended and has no queue label: Kueue leaves it alone, and nobody will start it."
    return Answer(Code.SUSPENDED_UNMANAGED, sentence, again)


def _young(evidence: Evidence) -> Answer | None:
    created = parts.instant(evidence.job, "metadata", "creationTimestamp")
    if created is None or evidence.since(created) >= MOMENT:
        return None
    return Answer(Code.JUST_SUBMITTED, "Just submitted: Kueue has not looked at it yet.", "Ask again in a moment.")


def _unmanaged(evidence: Evidence) -> Answer:
    waited = words.span(evidence.since(parts.instant(evidence.job, "metadata", "creationTimestamp")))
    if evidence.unanswered and evidence.unanswered not in {403, 404}:
        sentence = f"Kueue has not looked at it for {waited}, and does not answer (HTTP {evidence.unanswered})."
        return Answer(Code.KUEUE_UNAVAILABLE, sentence, "Wait, or tell the admins: it starts once Kueue is back.")
    allowed = evidence.allowed
    if allowed and not evidence.priority and evidence.default_class != "":
        given, far = (
            (f"and the cluster's default, {evidence.default_class}, is", "")
            if evidence.default_class
            else ("the one that the cluster gives it is", ", as far as can be told")
        )
        return Answer(
            Code.PRIORITY_CLASS_NOT_ALLOWED,
            f"Can't start: it names no priority class, {given} not allowed in {evidence.project}{far}; "
            f"allowed: {', '.join(allowed)}.",
            f"Set one that is: {_bump(evidence, allowed[0])}.",
        )
    if evidence.managed or not evidence.namespace or evidence.kind == "Pod":  # its gate is Kueue's own
        return _overlooked(evidence, waited)
    return Answer(
        Code.NAMESPACE_NOT_MANAGED,
        "Can't start: Kueue does not manage this project's namespace; the job is suspended and nobody will start it.",
        f"Tell the admins: the namespace needs the label that Kueue's managedJobsNamespaceSelector wants, "
        f"such as {_label(evidence)} (`jobq doctor` checks it).",
    )


def _overlooked(evidence: Evidence, waited: str) -> Answer:
    """The namespace is as Kueue wants it, as far as can be told, and still there is no Workload."""
    about = "Kueue hasn't looked at it"
    if evidence.since(parts.instant(evidence.job, "metadata", "creationTimestamp")) < LONG:
        sentence = f"Submitted {waited} ago: Kueue has not looked at it yet."
        return Answer(Code.JUST_SUBMITTED, sentence, "Ask again in a moment.", about)
    named = parts.text(evidence.job, "spec", "template", "spec", "priorityClassName")
    if evidence.managed and named and not evidence.priority:
        sentence = (
            f"Kueue has not looked at it for {waited}: it takes no job whose pods name a PriorityClass that does not "
            f"exist, and {named} seems to be none."
        )
        action = f"Delete it and submit it without, with --priority; the admins know whether there is a {named}."
        return Answer(Code.PRIORITY_CLASS_MISSING, sentence, action)
    known = ", although it manages this project" if evidence.managed else ""
    sentence = f"Kueue has not looked at it for {waited}{known}: nobody says why."
    action = f"Ask the admins, with what `{evidence.command('why', evidence.name, '--save FILE')}` writes."
    return Answer(Code.UNKNOWN, sentence, action, about)


def _bump(evidence: Evidence, priority: str) -> str:
    return f"`{evidence.command('bump', evidence.name, '--priority', priority)}`"


def _label(evidence: Evidence) -> str:
    return "jobq.io/managed=true" if evidence.configuration else "kueue.x-k8s.io/managed-namespace=true"
