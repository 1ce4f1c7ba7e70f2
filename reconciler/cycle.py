"""One pass: the sentence as code. Reads twice, decides, and only then writes."""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from importlib.metadata import version

from reconciler.apply import apply, note_state
from reconciler.archive import archived
from reconciler.cluster import Cluster
from reconciler.compare import Comparison, compare
from reconciler.comparing.drift import drifted
from reconciler.comparing.scope import must_be_known, scope_of, scoped
from reconciler.errors import JobqError
from reconciler.guard import check, check_cluster, check_declaration, check_drift, check_state, must_pass
from reconciler.model import Body, Declaration, Manifest
from reconciler.notes import STATE_NOTE, approvals_of, state_of
from reconciler.observe import ask, observe, read_notes
from reconciler.plan import make_plan
from reconciler.planned import Outcome, Report, Verdict
from reconciler.planning.holds import hold_effects, holds_of
from reconciler.planning.questions import questions_of
from reconciler.render import Templates, render
from reconciler.terms import Kinship, Lineage, Relation, State, Terms, nobody_knows

VERSION = version("jobq")
_DEFAULT = Terms()

Restrain = Callable[[Comparison], Comparison]
"""Takes out of a comparison what is not to be touched now."""
Renders = Callable[[Declaration, Templates, date], Sequence[Manifest]]
"""``render``, or who remembers what it gave."""


def _freely(comparison: Comparison) -> Comparison:
    return comparison


@dataclass(frozen=True, slots=True)
class Run:
    """What a pass is about, beside the cluster: a declaration on a day, and what its starter says and knows."""

    declaration: Declaration
    templates: Templates
    today: date
    terms: Terms = _DEFAULT
    lineage: Lineage = nobody_knows
    restrain: Restrain = _freely
    renders: Renders = render


def plan_pass(cluster: Cluster, run: Run, notes: Mapping[str, Body] | None = None) -> Report:
    """What a reconcile would do now. Raises: PlanRefused, RenderError, ClusterError; nothing is written.

    ``notes`` are those of jobq-system, where they have been read already.
    """
    declaration, terms, today = run.declaration, run.terms, run.today
    notes = read_notes(cluster) if notes is None else notes
    must_pass(check_cluster(declaration.settings, notes))
    must_pass(check_declaration(declaration))
    order = _order(declaration.commit, state_of(notes), terms, run.lineage)
    manifests = run.renders(declaration, run.templates, today)
    observed = observe(cluster, notes)
    live = observed.live
    must_be_known(terms.only, declaration.projects, live)
    everything = compare((*manifests, *archived(live, declaration.projects, today)), live, observed.unlisted)
    holds = holds_of(live)
    held = {hold.project for hold in holds if hold.holds(today)}
    concerned = scope_of(terms.only, held, declaration.projects if observed.unlisted else ())
    comparison = run.restrain(scoped(everything, concerned, live))
    answers = ask(cluster, questions_of(comparison, observed))
    plan = make_plan(declaration, comparison, answers, observed, hold_effects(holds, everything, today), VERSION)
    approvals = [approval for approval in approvals_of(notes) if approval.holds(today)]
    verdict = check(plan, declaration.settings, approvals, terms)
    return Report(plan, replace(verdict, refusals=(*order.refusals, *verdict.refusals)))


def reconcile_pass(
    cluster: Cluster,
    run: Run,
    stop: threading.Event,
    told: Callable[[Outcome], None] = lambda _: None,
    alone: Callable[[], bool] = lambda: True,
) -> Report:
    """Plans, and applies what the guard allows. Raises: as ``plan_pass``; after the first write, nothing.

    ``alone`` is called where there is something to write, and waits until no other run writes. False: one has
    meanwhile, so that this one plans again.
    """
    state = State(run.declaration.commit, VERSION)
    while True:
        notes = read_notes(cluster)
        report = plan_pass(cluster, run, notes)
        if report.verdict.refused or stop.is_set():
            return replace(report, interrupted=stop.is_set())
        noting = state != state_of(notes) and (report.plan.changes or run.terms.rewind or run.terms.allow_older)
        if not (noting or report.plan.changes) or alone():
            break
    if noting:
        note_state(cluster, state, notes.get(STATE_NOTE), stop)
    outcomes = apply(cluster, report.plan.changes, stop, told)
    return replace(report, outcomes=outcomes, applied=True, interrupted=stop.is_set())


def drift_pass(cluster: Cluster, applied: Callable[[str], tuple[Declaration, Templates]], today: date) -> Report:
    """What somebody changed since the last apply. ``applied`` gives what a commit declares, with its templates.

    Raises: as ``plan_pass``; JobqError where nothing was applied yet.
    """
    notes = read_notes(cluster)
    state = state_of(notes)
    if state is None or not state.commit:
        raise JobqError("nothing is noted as applied to this cluster yet", hint="jobq plan shows what would be")
    declaration, templates = applied(state.commit)
    report = plan_pass(cluster, Run(declaration, templates, today, restrain=drifted), notes)
    return replace(report, verdict=check_drift(report.plan, state, VERSION))


def _order(commit: str, state: State | None, terms: Terms, lineage: Lineage) -> Verdict:
    """What the guard says of this commit after the last one. A work tree is no commit, and has none before it."""
    if state is None or not commit:
        return Verdict()
    kinship = Kinship(Relation.FOLLOWS) if commit == state.commit else lineage(state.commit)
    return check_state(commit, kinship, state, VERSION, terms)
