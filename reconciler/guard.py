"""What keeps accidents from the cluster: pure checks before the first write, each refusal with its way out."""

import re
from collections.abc import Iterator, Mapping, Sequence

from reconciler.errors import PlanRefused
from reconciler.model import SYSTEM_NAMESPACE, Body, Declaration, Settings
from reconciler.notes import Approval
from reconciler.planned import Plan, Refusal, Verdict
from reconciler.terms import Kinship, Relation, State, Terms
from reconciler.wording import shortened

CLUSTER_NOTE = "jobq.cluster"
"""The ConfigMap in jobq-system that says which cluster this is; `jobq bootstrap` writes it."""
_RIGHT_ONE = "choose the right one with --context or KUBECONFIG"
ROLES_VERSION = 3
"""The version of the project roles that this jobq needs."""

POLICIES_VERSION = 2
"""The version of the admission policies that this jobq brings."""


def check_cluster(settings: Settings, notes: Mapping[str, Body]) -> Verdict:
    """Whether this is the cluster that jobq.toml names: asked before anything else is."""
    note = notes.get(CLUSTER_NOTE)
    if note is None:
        text = f"this cluster doesn't say which one it is: jobq-system/{CLUSTER_NOTE} is missing"
        return Verdict((Refusal(text, f"if it is {settings.cluster}, an admin runs: jobq bootstrap --apply"),))
    data = note.get("data", {})
    if data.get("name") != settings.cluster:
        return Verdict((Refusal(_misnamed(settings, data), _RIGHT_ONE),))
    roles = data.get("roles", "0")
    if noted_version(roles) < ROLES_VERSION:
        text = f"the project roles here are version {roles}; this jobq needs {ROLES_VERSION}"
        return Verdict((Refusal(text, "an admin runs: jobq bootstrap --apply"),))
    return Verdict()


def check_name(settings: Settings, note: Body) -> Verdict:
    """Whether a cluster that has a name may be bootstrapped: a wrong context must not rename it."""
    data = note.get("data", {})
    if data.get("name", settings.cluster) == settings.cluster:
        return Verdict()
    forget = f"kubectl delete configmap -n {SYSTEM_NAMESPACE} {CLUSTER_NOTE}"
    return Verdict((Refusal(_misnamed(settings, data), f"{_RIGHT_ONE}; if it is to have another name: {forget}"),))


def _misnamed(settings: Settings, noted: Mapping[str, str]) -> str:
    return f"this is cluster {noted.get('name', '?')}, but jobq.toml is for {settings.cluster}"


def noted_version(said: str) -> int:
    """A version of roles or policies as it is noted; 0 where that is no number: too old for anything."""
    return int(said) if said.isascii() and said.isdigit() else 0


def check_declaration(declaration: Declaration) -> Verdict:
    """Whether there is any project at all: an empty folder is an accident, never the wish to archive everybody."""
    if declaration.projects:
        return Verdict()
    text = "no project file at all in projects.d/: every project would be archived"
    return Verdict((Refusal(text, "is this the right repository and commit? one file is enough to go on"),))


def check_state(commit: str, kinship: Kinship, state: State, version: str, terms: Terms) -> Verdict:
    """Whether this commit, by this version of jobq, may come after what was applied last.

    An old pipeline that runs again must not bring removed members back. What can't be told is refused.
    """
    refusals = []
    if kinship.relation is not Relation.FOLLOWS and not terms.rewind:
        text, way_out = _OUT_OF_ORDER[kinship.relation] if state.commit else _NO_COMMIT
        words = {
            "new": commit[:_SHORT],
            "last": state.commit[:_SHORT],
            "trouble": kinship.trouble and f" ({kinship.trouble})",
        }
        refusals.append(Refusal(text.format(**words), way_out))
    if _is_older(version, state.version) and not terms.allow_older:
        text = f"jobq {state.version or '(unknown)'} has reconciled here; this is {version}, and may undo its work"
        refusals.append(Refusal(text, "install that version; if the step back is meant: jobq reconcile --allow-older"))
    return Verdict(tuple(refusals))


_SHORT = 12
"""Characters of a commit's id, for people."""
_OUT_OF_ORDER = {
    Relation.PRECEDES: (
        "commit {new} is older than what was applied last, {last}: it would bring back what was taken away since",
        "reconcile the newest commit; if the step back is meant: jobq reconcile --rewind",
    ),
    Relation.DIVERGES: (
        "commit {new} doesn't come after the one that was applied last, {last}: another branch, or history rewritten",
        "merge it into what was applied; if it is meant to take its place: jobq reconcile --rewind",
    ),
    Relation.UNRELATED: (
        "commit {new} has no history in common with the one that was applied last, {last}: another repository?",
        "a cluster has one repository; if this one is to take over: jobq reconcile --rewind",
    ),
    Relation.ABSENT: (
        "{last}, the commit that was applied last, isn't here{trouble}: another repository, or history rewritten?",
        "a cluster has one repository; fetch all its branches; if this one takes over: jobq reconcile --rewind",
    ),
    Relation.UNKNOWN: (
        "commit {new} may be older than the one that was applied last, {last}: this clone is shallow{trouble}",
        "git fetch --unshallow; in a pipeline clone it whole (actions/checkout: fetch-depth: 0)",
    ),
}


_NO_COMMIT = (
    "jobq-system/jobq.state doesn't say which commit was applied last",
    "if this one may follow: jobq reconcile --rewind",
)


def _is_older(version: str, last: str) -> bool:
    """Whether a version of jobq is older than the last, or may be, since that one says no number."""
    return not (number := _numbers(last)) or _numbers(version) < number


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", version.partition("-")[0].partition("+")[0])))


def check(plan: Plan, settings: Settings, approvals: Sequence[Approval], terms: Terms) -> Verdict:
    """What may be written of this plan. ``approvals`` are those on file that still hold."""
    stale = terms.approved and terms.approved != plan.disruption
    notices = [f"--approved {terms.approved} fits nothing in this plan: it is stale"] if stale else []
    return Verdict((*_disruption(plan, settings, approvals, terms), *plan.refusals), notices)


def must_pass(verdict: Verdict) -> None:
    """Nothing, where everything may be written. Raises: PlanRefused."""
    if verdict.refused:
        raise PlanRefused(verdict)


def check_drift(plan: Plan, state: State, version: str) -> Verdict:
    """What is to be known of a look at drift, of which nothing is written."""
    other = f"jobq {state.version} has applied this; templates of {version} may ask for more"
    return Verdict(plan.refusals, [other] if state.version != version else [])


def disrupted_limit(settings: Settings, live: int) -> int:
    """How many projects a run may disrupt: the number set, or the share of the live ones, rounded down, at least 1."""
    limit = settings.disrupted_limit
    return limit if isinstance(limit, int) else max(1, live * int(limit.rstrip("%")) // 100)


def _disruption(plan: Plan, settings: Settings, approvals: Sequence[Approval], terms: Terms) -> Iterator[Refusal]:
    lost = [name for name in plan.disrupted if name not in plan.restored]
    limit, count = disrupted_limit(settings, plan.live), len(lost)
    if plan.disruption in {terms.approved, *(each.digest for each in approvals)}:
        return
    if count <= limit and not plan.restored:
        return
    reasons = []
    if count > limit:
        reasons.append(f"{count} of {plan.live} live projects would be disrupted; {limit} may be ({shortened(lost)})")
    if plan.restored:
        reasons.append(f"archived projects would come back with all they hold: {shortened(plan.restored)}")
    stale = f"; approved is another plan: {', '.join(map(str, approvals))}" if approvals else ""
    way_out = f"read the plan; if it is meant: jobq approve {plan.disruption}"
    yield Refusal("; ".join(reasons) + stale, way_out)
