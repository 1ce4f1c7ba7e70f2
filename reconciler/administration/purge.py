"""The end of an archived project, with an admin's own rights: its namespace goes, then its catalogue entry.

No finalizer is ever taken off: what keeps a namespace is said, and whoever put it there must end it.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

from reconciler.cluster import Cluster, find
from reconciler.comparing.holdings import Contents, admitted
from reconciler.comparing.ownership import belongs_to, relabelling
from reconciler.errors import Conflict, NotFound, Unreachable, UsageError
from reconciler.guard import check_cluster, must_pass
from reconciler.kinds import (
    CLAIM,
    CONFIG_MAP,
    CRON_JOB,
    DEPLOYMENT,
    JOB,
    NAMESPACE,
    POD,
    ROLE_BINDING,
    STATEFUL_SET,
    WORKLOAD,
)
from reconciler.model import MANAGED_BY, MANAGER, PROJECT_LABEL, SYSTEM_NAMESPACE, Body, Declaration, ObjectRef
from reconciler.observe import read_contents, read_notes
from reconciler.planned import Refusal, Verdict
from reconciler.planning.ending import is_ending
from reconciler.planning.holds import HOLD_UNTIL, holds_of
from reconciler.wording import shortened

_CONTENTS = (JOB, WORKLOAD, POD, CLAIM, CONFIG_MAP, CRON_JOB, DEPLOYMENT, STATEFUL_SET, ROLE_BINDING)
_PAUSE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Doomed:
    """What is there of a project: its catalogue entry, its namespace, and what that holds. None: gone already."""

    project: str
    entry: Body | None
    namespace: Body | None
    contents: Contents

    @property
    def ending(self) -> bool:
        """Whether its namespace is being deleted already: nothing more can be lost."""
        return self.namespace is not None and is_ending(self.namespace)


def find_doomed(cluster: Cluster, declaration: Declaration, project: str, today: date) -> Doomed:
    """An archived project that may go. Raises: UsageError where there is none of that name; PlanRefused; ClusterError.

    Refused on another cluster, where it is declared or not archived, and while it is held or anything is admitted.
    """
    notes = read_notes(cluster)
    must_pass(check_cluster(declaration.settings, notes))
    entry = notes.get(project)
    if entry is not None and "format" not in entry.get("data", {}):  # a note, or the platform's
        entry = None
    namespace = _namespace(cluster, project, entry)
    if entry is None and namespace is None:
        raise UsageError(f"there is no project {project!r} on this cluster", hint="jobq project list shows them all")
    name = namespace["metadata"]["name"] if namespace else ""
    contents = read_contents(cluster, name, _CONTENTS) if namespace else Contents({}, {})
    doomed = Doomed(project, entry, namespace, contents)
    refusal = _refusal(doomed, today, declared=project in declaration.projects)
    must_pass(Verdict((refusal,) if refusal else ()))
    return doomed


def _namespace(cluster: Cluster, project: str, entry: Body | None) -> Body | None:
    """By what the entry says; without an entry, by the labels."""
    if entry is None:
        labels = f"{MANAGED_BY}={MANAGER},{PROJECT_LABEL}={project}"
        found = next(iter(cluster.list(NAMESPACE, labels=labels).items), None)
        return None if found is None else {"apiVersion": NAMESPACE.api_version, "kind": NAMESPACE.kind, **found}
    return find(cluster, NAMESPACE, entry.get("data", {}).get("namespace", project))


def _refusal(doomed: Doomed, today: date, *, declared: bool) -> Refusal | None:
    project, entry, namespace = doomed.project, doomed.entry, doomed.namespace
    if declared:
        return Refusal(
            f"project {project} is declared: projects.d/{project}.yaml is there",
            "remove that file, commit, and archive the project first: jobq reconcile",
        )
    state = (entry or {}).get("data", {}).get("state", "archived")
    if state != "archived":
        return Refusal(f"project {project} is {state}, not archived", "archive it first: jobq reconcile")
    if namespace is None or doomed.ending:
        return None
    return (
        _not_ours(project, namespace)
        or _held(namespace, today)
        or _still_open(doomed, namespace)
        or _busy(doomed, namespace)
    )


def _not_ours(project: str, namespace: Body) -> Refusal | None:
    name = namespace["metadata"]["name"]
    if belongs_to(namespace, project):
        return None
    text = f"namespace {name} doesn't carry jobq's labels of project {project}"
    return Refusal(text, f"if it is that project's all the same: {relabelling(name, project)}")


def _held(namespace: Body, today: date) -> Refusal | None:
    """Somebody is at work there."""
    name = namespace["metadata"]["name"]
    for hold in holds_of({ObjectRef.of(namespace): namespace}):
        if hold.holds(today):
            reason = f", {hold.reason}" if hold.reason else ""
            text = f"namespace {name} is held until {hold.said}{reason}"
            return Refusal(text, f"if that is over: kubectl annotate namespace {name} {HOLD_UNTIL}-")
    return None


def _still_open(doomed: Doomed, namespace: Body) -> Refusal | None:
    """Without an entry nothing says that it is archived but that nobody has access."""
    names = [body["metadata"]["name"] for body in doomed.contents.of("RoleBinding")]
    roles = [name for name in names if name.startswith(f"{MANAGER}:")]
    if doomed.entry is not None or not roles:
        return None
    text = (
        f"project {doomed.project} has no catalogue entry, and namespace {namespace['metadata']['name']} gives access"
    )
    return Refusal(f"{text}: {shortened(roles)}", "archive it first: jobq reconcile")


def _busy(doomed: Doomed, namespace: Body) -> Refusal | None:
    name = namespace["metadata"]["name"]
    if reason := doomed.contents.unreadable.get("Workload"):
        return Refusal(
            f"whether anything is admitted in {name} can't be told: {reason}", "ask as somebody who may look"
        )
    if running := admitted(doomed.contents):
        text = f"{len(running)} admitted in {name}: {shortened(running)}"
        return Refusal(text, f"let them end, or end them: kubectl -n {name} delete {' '.join(running[:5])}")
    return None


def purge(cluster: Cluster, doomed: Doomed, seconds: float, told: Callable[[float], None]) -> Body | None:
    """Delete the namespace, wait for its end, delete the entry. The Namespace where it still stands after that time.

    Exactly what was looked at is deleted, by uid. ``told`` is called with the seconds waited. Raises: ClusterError.
    """
    if doomed.namespace is not None:
        if not doomed.ending:
            _delete_namespace(cluster, doomed.namespace)
        standing = _await_end(cluster, doomed.namespace, seconds, told)
        if standing is not None:
            return standing
    if doomed.entry is not None:
        metadata = doomed.entry["metadata"]
        try:
            cluster.delete(CONFIG_MAP, metadata["name"], namespace=SYSTEM_NAMESPACE, uid=metadata["uid"])
        except NotFound:  # the reconciler removes it too, once the namespace is gone
            return None
    return None


def _delete_namespace(cluster: Cluster, namespace: Body) -> None:
    metadata = namespace["metadata"]
    try:
        cluster.delete(NAMESPACE, metadata["name"], uid=metadata["uid"])
    except NotFound:
        return
    except Conflict as conflict:
        text = f"namespace {metadata['name']} is another one by now: {conflict}"
        raise Conflict(text, hint="look again: jobq project purge") from conflict


def _await_end(cluster: Cluster, namespace: Body, seconds: float, told: Callable[[float], None]) -> Body | None:
    name, uid = namespace["metadata"]["name"], namespace["metadata"]["uid"]
    begun, seen = time.monotonic(), namespace
    while True:
        try:
            seen = cluster.get(NAMESPACE, name)
        except NotFound:
            return None
        except Unreachable:
            pass  # asked again; the deletion goes on without us
        waited = time.monotonic() - begun
        if seen["metadata"]["uid"] != uid:
            return None
        if waited >= seconds:
            return seen
        told(waited)
        time.sleep(min(_PAUSE_SECONDS, seconds - waited))
