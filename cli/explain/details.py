"""All that is known of one job, as lines for people and as JSON. Pure."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from cli import parts
from cli.explain import containers, indexes
from cli.explain.answer import Answer
from cli.explain.evidence import Evidence
from cli.explain.jobs import AnyJob
from cli.explain.overview import Overview, age, amounts_of, as_json
from cli.fit.words import cores, size
from cli.parts import Json
from cli.submission.manifest import COMMAND_LINE, TIME_LABEL
from reconciler.wording import counted

_COMMIT, _DIRTY = "jobq.io/git-commit", "jobq.io/git-dirty"


@dataclass(frozen=True, slots=True)
class Eviction:
    """How often, and why, Kueue took a job's room away."""

    reason: str
    count: int


@dataclass(frozen=True, slots=True)
class Details:
    """One job, its row, why it is as it is, and by what that was judged; its pods are the oldest first."""

    job: AnyJob
    row: Overview
    answer: Answer
    evidence: Evidence
    again: str
    """The commands that ask for all of an array's tasks at a time again."""

    @property
    def pods(self) -> Sequence[Json]:
        """Oldest first."""
        return self.evidence.pods

    @property
    def now(self) -> datetime:
        """When all that was read."""
        return self.evidence.now

    @property
    def command(self) -> str:
        """Its command line, as a shell takes it; ``""`` where there is none."""
        recorded = parts.pairs(self.job.body, "metadata", "annotations").get(COMMAND_LINE, "")
        if recorded and not recorded.endswith("…"):
            return recorded
        return shlex.join(unescaped(word) for word in self._container_words) or recorded

    @property
    def image(self) -> str:
        """Of its first container."""
        return parts.text(self._container, "image")

    @property
    def origin(self) -> str:
        """The git commit of the folder that it was submitted from."""
        notes = parts.pairs(self.job.body, "metadata", "annotations")
        dirty = " with changes" if notes.get(_DIRTY) == "true" else ""
        return f"{notes[_COMMIT]}{dirty}" if _COMMIT in notes else ""

    @property
    def time_limit(self) -> int | None:
        """Seconds: for the whole job, or for each task of an array."""
        written = parts.pairs(self.job.body, "metadata", "labels").get(TIME_LABEL, "")
        return int(written) if written.isdecimal() else parts.number(self._pod, "activeDeadlineSeconds")

    @property
    def flavors(self) -> Sequence[str]:
        """Those that its quota is of."""
        given = parts.items(self.job.workload, "status", "admission", "podSetAssignments")
        return list(dict.fromkeys(flavor for one in given for flavor in parts.pairs(one, "flavors").values()))

    @property
    def evictions(self) -> Sequence[Eviction]:
        """Since the job was made."""
        told = parts.items(self.job.workload, "status", "schedulingStats", "evictions")
        return [Eviction(parts.text(one, "reason"), parts.number(one, "count") or 0) for one in told]

    @property
    def tries(self) -> int:
        """How often its pods weren't ready in time."""
        return parts.number(self.job.workload, "status", "requeueState", "count") or 0

    @property
    def at_once(self) -> str:
        """``1 of 4 at a time``, where Kueue admitted fewer than asked for; else ``""``."""
        fewer = indexes.reduced(self.job.workload)
        return f"{fewer[0]} of {fewer[1]} at a time" if fewer else ""

    @property
    def is_array(self) -> bool:
        """Whether each index is a task of its own."""
        return parts.text(self.job.body, "spec", "completionMode") == "Indexed"

    @property
    def _pod(self) -> Json:
        template = parts.mapping(self.job.body, "spec", "template", "spec")
        sets = parts.items(self.job.workload, "spec", "podSets")
        return template or (parts.mapping(sets[0], "template", "spec") if sets else {})

    @property
    def _container(self) -> Json:
        return next(iter(parts.items(self._pod, "containers")), {})

    @property
    def _container_words(self) -> Sequence[str]:
        return [*parts.texts(self._container, "command"), *parts.texts(self._container, "args")]


def lines(details: Details) -> Sequence[tuple[str, str]]:
    """What there is to say, as (what, text); what isn't there isn't said."""
    row, now = details.row, details.now
    ran = row.runtime(now)
    told = [
        ("status", row.status),
        ("why", details.answer.sentence),
        ("place", _place(row)),
        ("kind", row.kind),
        ("project", row.namespace),
        ("submitted", f"{_ago(row.created, now)}{f' by {row.by}' if row.by else ''}"),
        ("command", details.command),
        ("image", details.image),
        ("commit", details.origin),
        ("asks for", _asks(details)),
        ("flavor", ", ".join(details.flavors)),
        ("priority", row.priority),
        ("time limit", _seconds(details.time_limit)),
        ("started", _ago(row.started, now)),
        ("ended", _ago(row.ended, now)),
        ("runtime", age(ran) if ran is not None else ""),
        ("indexes", _indexes(details)),
        ("at a time", _reduced(details)),
        ("failed pods", str(parts.number(details.job.body, "status", "failed") or "")),
        ("evictions", ", ".join(f"{one.count} {one.reason}" for one in details.evictions)),
        ("tries", f"{counted(details.tries, 'time')} its pods weren't ready in time" if details.tries else ""),
    ]
    return [(what, text) for what, text in told if text]


def details_json(details: Details) -> Mapping[str, object]:
    """The documented shape: that of a row of ``list``, and more."""
    total, done, failed = indexes.counts(details.job.body)
    status = parts.mapping(details.job.body, "status")
    array = {
        "indexes": total,
        "done": done,
        "failed": failed,
        "running": parts.number(status, "active") or 0,
        "completedIndexes": indexes.named(details.job.body, parts.text(status, "completedIndexes")),
        "failedIndexes": indexes.named(details.job.body, parts.text(status, "failedIndexes")),
    }
    return {
        **as_json(details.row, details.now),
        "why": details.answer.as_json(),
        "command": details.command,
        "image": details.image,
        "commit": details.origin,
        "flavors": details.flavors,
        "timeLimitSeconds": details.time_limit,
        "array": array if details.is_array else None,
        "atOnce": details.at_once,
        "failedPods": parts.number(status, "failed") or 0,
        "evictions": [{"reason": one.reason, "count": one.count} for one in details.evictions],
        "notReadyInTime": details.tries,
        "pods": [_pod_json(pod) for pod in details.pods],
        "conditions": parts.items(details.job.workload, "status", "conditions"),
    }


def pod_cells(pod: Json, now: datetime) -> list[str]:
    """Name, state, node and age of a pod."""
    said = _pod_json(pod)
    made = parts.instant(pod, "metadata", "creationTimestamp")
    return [str(said["name"]), str(said["state"]), str(said["node"]), age(now - made) if made else ""]


def unescaped(text: str) -> str:
    """As typed: the cluster takes ``$$`` for ``$``."""
    return text.replace("$$", "$")


def _pod_json(pod: Json) -> Mapping[str, object]:
    phase = parts.text(pod, "status", "phase")
    told = containers.end_of(pod) or (containers.held_up(pod) if phase == "Pending" else "")
    state = f"{phase}: {told}" if told else phase
    return {"name": parts.name(pod), "state": state, "node": parts.text(pod, "spec", "nodeName")}


def _place(row: Overview) -> str:
    if row.position is None:
        return ""
    overall = "" if row.position.overall is None else f", {row.position.overall} among all in the ClusterQueue"
    return f"{row.position.here} in the project{overall}; no promise: smaller jobs may fit before"


def _asks(details: Details) -> str:
    said = []
    for resource, amount in amounts_of(details.evidence).items():
        text = size(amount) if resource in {"memory", "ephemeral-storage"} else cores(amount)
        said.append(f"{text} {resource}")
    return ", ".join(said)


def _indexes(details: Details) -> str:
    if not details.is_array:
        return ""
    total, done, failed = indexes.counts(details.job.body)
    status = parts.mapping(details.job.body, "status")
    which = f" ({indexes.named(details.job.body, parts.text(status, 'failedIndexes'))})" if failed else ""
    return f"{total}: {done} done, {failed} failed{which}, {parts.number(status, 'active') or 0} running"


def _reduced(details: Details) -> str:
    fewer = indexes.reduced(details.job.workload)
    if not fewer:
        return ""
    return f"{fewer[0]} of {fewer[1]}: that was free when it was admitted; `{details.again}` asks again"


def _seconds(seconds: int | None) -> str:
    if seconds is None:
        return ""
    days, rest = divmod(seconds, 86400)
    clock = f"{rest // 3600}:{rest // 60 % 60:02}:{rest % 60:02}"
    return f"{days}-{clock}" if days else clock


def _ago(moment: datetime | None, now: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC ({age(now - moment)} ago)" if moment else ""
