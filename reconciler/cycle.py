"""One pass: the sentence as code. Reads twice, decides, and only then writes."""

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import date

from reconciler.apply import apply
from reconciler.archive import archived
from reconciler.cluster import Cluster
from reconciler.compare import Comparison, compare
from reconciler.guard import check, check_cluster, check_declaration, must_pass
from reconciler.model import Declaration, Outcome, Report
from reconciler.observe import ask, observe, read_notes
from reconciler.plan import make_plan
from reconciler.questions import questions_of
from reconciler.render import Templates, render

Restrain = Callable[[Comparison], Comparison]
"""Takes out of a comparison what is not to be touched now."""


def plan_pass(
    cluster: Cluster,
    declaration: Declaration,
    templates: Templates,
    today: date,
    approved: str = "",
    restrain: Restrain = lambda comparison: comparison,
) -> Report:
    """What a reconcile would do now. Raises: PlanRefused, RenderError, ClusterError; nothing is written."""
    notes = read_notes(cluster)
    must_pass(check_cluster(declaration.settings, notes))
    must_pass(check_declaration(declaration))
    manifests = render(declaration, templates, today)
    observed = observe(cluster, notes)
    resting = archived(observed.live, declaration.projects, today)
    comparison = restrain(compare((*manifests, *resting), observed.live))
    answers = ask(cluster, questions_of(comparison))
    plan = make_plan(declaration, comparison, answers, observed)
    return Report(plan, check(plan, declaration.settings, approved))


def reconcile_pass(
    cluster: Cluster,
    declaration: Declaration,
    templates: Templates,
    today: date,
    stop: threading.Event,
    told: Callable[[Outcome], None] = lambda _: None,
    approved: str = "",
    restrain: Restrain = lambda comparison: comparison,
) -> Report:
    """Plans, and applies what the guard allows. Raises: as ``plan_pass``; after the first write, nothing."""
    report = plan_pass(cluster, declaration, templates, today, approved, restrain)
    if report.verdict.refused or stop.is_set():
        return replace(report, interrupted=stop.is_set())
    outcomes = apply(cluster, report.plan.changes, stop, told)
    return replace(report, outcomes=outcomes, applied=True, interrupted=stop.is_set())
