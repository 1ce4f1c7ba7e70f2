"""The only writer to the cluster: carries out a plan, project by project, and says what became of each change."""

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby

from reconciler.cluster import Cluster, Resource
from reconciler.errors import ClusterError, Conflict, Forbidden, NotFound, PlanRefused, Unreachable
from reconciler.kinds import BY_KIND, CONFIG_MAP
from reconciler.model import (
    MANAGED_BY,
    MANAGER,
    PROJECT_LABEL,
    SYSTEM_NAMESPACE,
    Action,
    Body,
    Change,
    Outcome,
    Refusal,
    Result,
    Verdict,
)
from reconciler.notes import STATE_NOTE, state_note, state_of
from reconciler.terms import State

WORKERS = 16
_TRIES = 4
_MOST_SECONDS = 60.0
"""How long one object may take, waiting included."""

Told = Callable[[Outcome], None]


def apply(
    cluster: Cluster, changes: Sequence[Change], stop: threading.Event, told: Told = lambda _: None
) -> tuple[Outcome, ...]:
    """All changes, projects side by side, each project's in the plan's order; the outcomes in the plan's order.

    A failed object skips the rest of its project, never another project. Once ``stop`` is set, what is in flight ends
    and the rest is skipped.
    """
    projects = [list(group) for _, group in groupby(changes, key=lambda change: change.project)]
    with ThreadPoolExecutor(WORKERS) as pool:
        done = pool.map(lambda mine: _project(cluster, mine, stop, told), projects)
        return tuple(outcome for outcomes in done for outcome in outcomes)


def note_state(cluster: Cluster, state: State, before: Body | None, stop: threading.Event) -> None:
    """Note what is applied here from now on, before anything of it is written. Raises: ClusterError, PlanRefused.

    First, so that no older commit is taken for a newer one, wherever this run ends. Only over the note that was read:
    of two runs with different commits one is refused.
    """
    note = state_note(state, before)
    try:
        _repeated(lambda: cluster.apply(CONFIG_MAP, note), stop)
    except Conflict as conflict:
        now = state_of({STATE_NOTE: cluster.get(CONFIG_MAP, STATE_NOTE, namespace=SYSTEM_NAMESPACE)})
        if now != state:
            text = f"another run has applied commit {now.commit[:12] if now else '(none)'} here meanwhile"
            raise PlanRefused(Verdict((Refusal(text, "plan again"),))) from conflict


def _project(cluster: Cluster, changes: Iterable[Change], stop: threading.Event, told: Told) -> list[Outcome]:
    outcomes: list[Outcome] = []
    failed = ""
    for change in changes:
        if stop.is_set():
            outcome = Outcome(change, Result.SKIPPED, "interrupted before it")
        elif failed:
            outcome = Outcome(change, Result.SKIPPED, f"not tried, because {failed} failed")
        else:
            outcome = _one(cluster, change, stop)
        if outcome.result is Result.FAILED:
            failed = str(change.ref)
        told(outcome)
        outcomes.append(outcome)
    return outcomes


_RESULTS = {
    Action.CREATE: Result.CREATED,
    Action.UPDATE: Result.CONFIGURED,
    Action.REPLACE: Result.REPLACED,
    Action.DELETE: Result.DELETED,
}


def _one(cluster: Cluster, change: Change, stop: threading.Event) -> Outcome:
    resource = BY_KIND[change.ref.group, change.ref.kind].resource
    try:
        if change.action in {Action.REPLACE, Action.DELETE}:
            _repeated(lambda: _delete(cluster, resource, change), stop)
        if change.action is not Action.DELETE:
            _repeated(lambda: _write(cluster, resource, change), stop)
    except ClusterError as error:
        return Outcome(change, Result.FAILED, str(error))
    return Outcome(change, _RESULTS[change.action])


def _write(cluster: Cluster, resource: Resource, change: Change) -> None:
    """One apply. A Namespace that wasn't there must not be there now: an apply would quietly take it over."""
    if change.ref.kind == "Namespace" and change.action is Action.CREATE:
        create_only = change.body["metadata"] | {"resourceVersion": "1"}
        try:
            cluster.apply(resource, change.body | {"metadata": create_only})
        except Conflict as conflict:
            _must_be_ours(_there(cluster, resource, change, conflict), change)
    else:
        cluster.apply(resource, change.body)


def _there(cluster: Cluster, resource: Resource, change: Change, conflict: Conflict) -> Body:
    try:
        return cluster.get(resource, change.ref.name)
    except NotFound:
        raise conflict from None  # it is gone again


def _must_be_ours(live: Body, change: Change) -> None:
    """An earlier try of ours may have made it, and its answer been lost."""
    labels = live["metadata"].get("labels", {})
    if labels.get(MANAGED_BY) != MANAGER or labels.get(PROJECT_LABEL) != change.project:
        raise Forbidden(f"{change.ref} came into being meanwhile, and is not jobq's", hint="plan again")


def _delete(cluster: Cluster, resource: Resource, change: Change) -> None:
    try:
        cluster.delete(resource, change.ref.name, namespace=change.ref.namespace, uid=change.uid)
    except NotFound:
        return
    except Conflict as conflict:
        raise Conflict(f"{change.ref} is another object by now: {conflict}", hint="plan again") from conflict


def _repeated(write: Callable[[], object], stop: threading.Event) -> None:
    """The write, again where trying again can help: every one of them may be sent twice without harm."""
    until = time.monotonic() + _MOST_SECONDS
    for attempt in range(1, _TRIES + 1):
        try:
            write()
        except ClusterError as error:
            pause = _pause(error, attempt)
            if pause is None or attempt == _TRIES or time.monotonic() + pause > until or stop.wait(pause):
                raise
        else:
            return


def _pause(error: ClusterError, attempt: int) -> float | None:
    """Seconds until it may work; None where it never will."""
    if any(cause.get("reason") == "NamespaceTerminating" for cause in error.causes):
        return 2.0 * attempt
    if isinstance(error, Conflict):
        return 0.2 * attempt  # somebody else wrote at the same moment
    if error.code in {429, 503}:
        return error.retry_after or float(attempt)
    return 0.5 * attempt if isinstance(error, Unreachable) or error.may_pass else None
