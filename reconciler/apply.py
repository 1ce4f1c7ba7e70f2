"""The only writer to the cluster: carries out a plan, project by project, and says what became of each change."""

import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import groupby

from reconciler.cluster import Cluster, Resource, find
from reconciler.comparing.ownership import belongs_to
from reconciler.errors import ClusterError, Conflict, Forbidden, NotFound, PlanRefused
from reconciler.kinds import BY_KIND, CONFIG_MAP
from reconciler.model import SYSTEM_NAMESPACE, Body
from reconciler.notes import STATE_NOTE, state_note, state_of
from reconciler.patience import WRITE_SECONDS, patiently
from reconciler.planned import Action, Change, Outcome, Refusal, Result, Verdict
from reconciler.terms import State

WORKERS = 16

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

    def noted() -> Body:
        try:
            return cluster.apply(CONFIG_MAP, note)
        except Conflict:
            now = find(cluster, CONFIG_MAP, STATE_NOTE, SYSTEM_NAMESPACE)
            if now is not None and now["metadata"]["resourceVersion"] != note["metadata"]["resourceVersion"]:
                return now  # asking again changes nothing: it is another one by now
            raise

    now = state_of({STATE_NOTE: patiently(noted, WRITE_SECONDS, stop)})
    if now != state:
        text = f"another run has applied commit {now.commit[:12] if now else '(none)'} here meanwhile"
        raise PlanRefused(Verdict((Refusal(text, "plan again"),)))


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
            patiently(lambda: _delete(cluster, resource, change), WRITE_SECONDS, stop)
        if change.action is not Action.DELETE:
            patiently(lambda: _write(cluster, resource, change), WRITE_SECONDS, stop)
    except ClusterError as error:
        return Outcome(change, Result.FAILED, str(error))
    return Outcome(change, _RESULTS[change.action])


def _write(cluster: Cluster, resource: Resource, change: Change) -> None:
    """One apply of exactly the object that was planned; where another one is there by now, what that asks for."""
    try:
        cluster.apply(resource, _precisely(change))
    except ClusterError as stale:
        if not _is_another(stale):
            raise
        live = find(cluster, resource, change.ref.name, change.ref.namespace)
        if live is None:
            if change.action is Action.CREATE:
                raise  # it is gone again
            cluster.apply(resource, _precisely(replace(change, action=Action.CREATE)))
        elif change.ref.kind == "Namespace" and not belongs_to(live, change.project):
            text = f"{change.ref} came into being meanwhile, and is not jobq's"
            raise Forbidden(text, hint="plan again") from stale
        else:  # a Namespace too: an earlier try may have made it, and its answer been lost
            cluster.apply(resource, _precisely(replace(change, action=Action.UPDATE, uid=live["metadata"]["uid"])))


def _precisely(change: Change) -> Body:
    """What is sent: an apply by itself would take over a Namespace of that name, or make an object anew unseen."""
    match change.action:
        case Action.UPDATE:
            condition = {"uid": change.uid}
        case Action.CREATE if change.ref.kind == "Namespace":
            condition = {"resourceVersion": "1"}  # only where there is none
        case _:
            condition = {}
    return change.body | {"metadata": change.body["metadata"] | condition}


def _is_another(error: ClusterError) -> bool:
    """Whether the object isn't the one that was planned: 409 where it is gone or came, 422 where it was made anew."""
    return isinstance(error, Conflict) or any(cause.get("field") == "metadata.uid" for cause in error.causes)


def _delete(cluster: Cluster, resource: Resource, change: Change) -> None:
    """Of exactly the object that was planned: one of that name made since stays, and the project waits for a plan."""
    try:
        cluster.delete(resource, change.ref.name, namespace=change.ref.namespace, uid=change.uid)
    except NotFound:
        return
    except Conflict as conflict:
        raise Conflict(f"{change.ref} is another object by now: {conflict}", hint="plan again") from conflict
