"""What keeps accidents from the cluster: pure checks before the first write, each refusal with its way out."""

from collections.abc import Iterator, Mapping, Sequence

from reconciler.errors import PlanRefused
from reconciler.model import Body, Declaration, Plan, Refusal, Settings, Verdict

CLUSTER_NOTE = "jobq.cluster"
"""The ConfigMap in jobq-system that says which cluster this is; `jobq bootstrap` writes it."""
ROLES_VERSION = 2
"""The version of the project roles that this jobq needs."""

POLICIES_VERSION = 1
"""The version of the admission policies that this jobq brings."""


def check_cluster(settings: Settings, notes: Mapping[str, Body]) -> Verdict:
    """Whether this is the cluster that jobq.toml names: asked before anything else is."""
    note = notes.get(CLUSTER_NOTE)
    if note is None:
        text = f"this cluster doesn't say which one it is: jobq-system/{CLUSTER_NOTE} is missing"
        return Verdict((Refusal(text, f"if it is {settings.cluster}, an admin runs: jobq bootstrap --apply"),))
    data = note.get("data", {})
    if data.get("name") != settings.cluster:
        text = f"this is cluster {data.get('name', '?')}, but jobq.toml is for {settings.cluster}"
        return Verdict((Refusal(text, "choose the right one with --context or KUBECONFIG"),))
    if int(data.get("roles", "0")) < ROLES_VERSION:
        text = f"the project roles here are version {data.get('roles', '0')}; this jobq needs {ROLES_VERSION}"
        return Verdict((Refusal(text, "an admin runs: jobq bootstrap --apply"),))
    return Verdict()


def check_declaration(declaration: Declaration) -> Verdict:
    """Whether there is any project at all: an empty folder is an accident, never the wish to archive everybody."""
    if declaration.projects:
        return Verdict()
    text = "no project file at all in projects.d/: every project would be archived"
    return Verdict((Refusal(text, "is this the right repository and commit? one file is enough to go on"),))


def check(plan: Plan, settings: Settings, approved: str = "") -> Verdict:
    """What may be written of this plan. ``approved`` is the digest of a disruption that somebody has looked at."""
    return Verdict((*_disruption(plan, settings, approved), *plan.refusals))


def must_pass(verdict: Verdict) -> None:
    """Nothing, where everything may be written. Raises: PlanRefused."""
    if verdict.refused:
        raise PlanRefused(verdict)


def disrupted_limit(settings: Settings, live: int) -> int:
    """How many projects a run may disrupt: the number set, or the share of the live ones, rounded down, at least 1."""
    limit = settings.disrupted_limit
    return limit if isinstance(limit, int) else max(1, live * int(limit.rstrip("%")) // 100)


def _disruption(plan: Plan, settings: Settings, approved: str) -> Iterator[Refusal]:
    lost = [name for name in plan.disrupted if name not in plan.restored]
    limit, count = disrupted_limit(settings, plan.live), len(lost)
    if approved == plan.disruption or (count <= limit and not plan.restored):
        return
    reasons = []
    if count > limit:
        reasons.append(f"{count} of {plan.live} live projects would be disrupted; {limit} may be ({_shown(lost)})")
    if plan.restored:
        reasons.append(f"archived projects would come back with all they hold: {_shown(plan.restored)}")
    stale = f"; {approved} approves another plan" if approved else ""
    way_out = f"read the plan; if it is meant: jobq reconcile --approved {plan.disruption}"
    yield Refusal("; ".join(reasons) + stale, way_out)


def _shown(names: Sequence[str], most: int = 5) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
