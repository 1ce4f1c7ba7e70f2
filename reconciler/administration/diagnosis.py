"""Facts -> what is right, what deserves a look, what is broken: each with why it matters and the command that helps."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from reconciler.administration.facts import ClusterFacts, Facts, Unknown, known
from reconciler.guard import CLUSTER_NOTE, POLICIES_VERSION, ROLES_VERSION, noted_version
from reconciler.kinds import ADMISSION_POLICY, PROJECT_KINDS
from reconciler.model import SYSTEM_NAMESPACE, Body
from reconciler.versions import KUBERNETES_LEAST, MUTATING_LEAST, parse_version, shown_version
from reconciler.wording import counted, shortened

FORMAT = 1
"""Of the JSON form; raised when a key changes its meaning or goes."""
PLANNING: tuple[tuple[str, str], ...] = tuple(("list", kind.resource.kind) for kind in PROJECT_KINDS)
APPLYING: tuple[tuple[str, str], ...] = (
    *(("create", kind.resource.kind) for kind in PROJECT_KINDS),
    *(("patch", kind.resource.kind) for kind in PROJECT_KINDS),
)
_BOOTSTRAP = "jobq bootstrap --apply"
_EXACT = frozenset({"rules", "subjects", "roleRef"})
"""Where anything beyond what is wanted is a right that nobody declared."""


class Level(StrEnum):
    """How a check went."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One thing found. ``why`` and ``fix`` are empty where all is well."""

    check: str
    level: Level
    text: str
    why: str = ""
    fix: str = ""


def ok(check: str, text: str) -> Diagnosis:
    """All is well."""
    return Diagnosis(check, Level.OK, text)


def warning(check: str, text: str, why: str, fix: str) -> Diagnosis:
    """It works, but deserves a look; or it can't be seen."""
    return Diagnosis(check, Level.WARNING, text, why, fix)


def problem(check: str, text: str, why: str, fix: str) -> Diagnosis:
    """It doesn't work, or isn't safe."""
    return Diagnosis(check, Level.PROBLEM, text, why, fix)


def unseen(check: str, what: str, unknown: Unknown) -> Diagnosis:
    """A check that this identity can't make."""
    return warning(
        check, f"{what}: not known, {unknown.reason}", "what can't be seen isn't checked", unknown.hint or _ASK
    )


_ASK = "ask as an administrator: jobq doctor --context NAME"

# ------------------------------------------------------------------------------------------------ the repository


def repository(facts: Facts) -> Iterator[Diagnosis]:
    """Whether it can be read, and what it declares is valid and committed."""
    seen = facts.repository
    if isinstance(seen.declaration, Unknown):
        why = "without it only the cluster can be looked at"
        fix = seen.declaration.hint or "name the projects repository: jobq doctor --repo DIR"
        say = warning if seen.declaration.absent and not seen.given else problem
        yield say("repository", seen.declaration.reason, why, fix)
        return
    count = len(seen.declaration.projects)
    if count == 0:
        text = f"{seen.place} declares no project"
        yield problem(
            "repository", text, "every plan is refused", "is this the right repository and commit? --repo, --ref"
        )
    else:
        yield ok("repository", f"{seen.place} declares {counted(count, 'project')} for {facts_cluster(facts)}")
    if seen.uncommitted:
        why = "plan and reconcile read commits"
        yield warning("repository", f"not committed: {shortened(seen.uncommitted)}", why, f"git -C {seen.place} commit")


def templates(facts: Facts) -> Iterator[Diagnosis]:
    """Whether the repository's own templates write all that the packaged ones do."""
    for path, fields in facts.repository.lacking.items():
        why = "a newer jobq writes them, and may rely on them"
        fix = f"compare it with the packaged template, or delete {path} to use that"
        yield warning("templates", f"{path} leaves out {shortened(fields)}", why, fix)


def facts_cluster(facts: Facts) -> str:
    """The cluster that jobq.toml names, or ``""``."""
    return facts.declaration.settings.cluster if facts.declaration else ""


# ------------------------------------------------------------------------------------------------ the cluster


def connection(facts: Facts) -> Iterator[Diagnosis]:
    """Whether there is a cluster, and somebody who asks."""
    seen = facts.cluster
    if isinstance(seen, Unknown):
        say = warning if seen.absent else problem
        yield say("cluster", seen.reason, "nothing of the cluster can be checked", seen.hint or "--context, KUBECONFIG")
    elif isinstance(seen.user, Unknown):
        yield problem("cluster", seen.user.reason, "nothing of the cluster can be checked", seen.user.hint or _ASK)
    else:
        yield ok("cluster", f"{seen.address}, context {seen.context}, as {seen.user}")


def kubernetes(seen: ClusterFacts) -> Iterator[Diagnosis]:
    """Whether the server is new enough for the policies."""
    if isinstance(seen.kubernetes, Unknown):
        yield unseen("kubernetes", "the server's version", seen.kubernetes)
        return
    version = parse_version(seen.kubernetes)
    if version is not None and version < KUBERNETES_LEAST:
        least = shown_version(KUBERNETES_LEAST)
        why = "it has no ValidatingAdmissionPolicies: members can run jobs outside the queue"
        yield problem("kubernetes", f"version {seen.kubernetes}", why, f"upgrade to {least} or later")
    else:
        yield ok("kubernetes", f"version {seen.kubernetes}")


def name(facts: Facts, seen: ClusterFacts) -> Iterator[Diagnosis]:
    """Whether it is the cluster that jobq.toml names, and bootstrap has come far enough."""
    if isinstance(seen.notes, Unknown):
        yield unseen("name", "which cluster this is", seen.notes)
        return
    note = seen.notes.get(CLUSTER_NOTE)
    if note is None:
        text = f"this cluster doesn't say which one it is: jobq-system/{CLUSTER_NOTE} is missing"
        yield problem("name", text, "plan and reconcile refuse to touch it", f"an admin runs: {_BOOTSTRAP}")
        return
    said, wanted = note.get("data", {}).get("name", "?"), facts_cluster(facts)
    if wanted and said != wanted:
        text = f"this is {said}, but jobq.toml is for {wanted}"
        why = "one cluster's projects must not be archived and created on another: every run is refused"
        yield problem("name", text, why, "choose the right one: --context, or --repo")
    else:
        yield ok("name", f"this is {said}{', as jobq.toml says' if wanted else ''}")


def versions(seen: ClusterFacts) -> Iterator[Diagnosis]:
    """Whether roles and policies are those that this jobq brings."""
    note = known(seen.notes, {}).get(CLUSTER_NOTE)
    if note is None:
        return
    data = note.get("data", {})
    for what, least, word in (
        ("roles", ROLES_VERSION, "the project roles"),
        ("policies", POLICIES_VERSION, "the policies"),
    ):
        found = data.get(what, "0")
        if found == "none":
            why = "members can run jobs outside the queue, and nothing fences the reconciler"
            yield warning(what, f"{word} are not installed (--no-policies)", why, _BOOTSTRAP)
        elif noted_version(found) < least:
            why = "every run is refused" if what == "roles" else "what the newer ones refuse is possible"
            say = problem if what == "roles" else warning
            yield say(what, f"{word} are version {found}; this jobq has {least}", why, _BOOTSTRAP)
        else:
            yield ok(what, f"{word} are version {found}")


def installation(seen: ClusterFacts) -> Iterator[Diagnosis]:
    """Whether what bootstrap installs is there, unchanged."""
    wanted = [(body, live) for body, live in seen.installed if _is_wanted(body, seen)]
    unknown = [live for _, live in wanted if isinstance(live, Unknown) and not live.absent]
    if unknown:
        yield unseen("installation", f"{len(unknown)} of the {len(wanted)} objects of bootstrap", unknown[0])
    absent = [body for body, live in wanted if isinstance(live, Unknown) and live.absent]
    changed = [_named(body) for body, live in wanted if not isinstance(live, Unknown) and not holds(live, body)]
    gone = [_named(body) for body in absent if _without(body) is None]
    why = "roles and policies are what keeps projects apart and the reconciler inside its fence"
    if gone:
        yield problem("installation", f"missing: {shortened(gone)}", why, _BOOTSTRAP)
    if changed:
        fix = f"if nobody meant that: {_BOOTSTRAP}"
        yield problem("installation", f"not as bootstrap installs it: {shortened(changed)}", why, fix)
    for meaning, names in _lacking(absent, seen).items():
        yield warning("installation", f"not there: {shortened(names)}", meaning, _BOOTSTRAP)
    if wanted and not (unknown or gone or changed):
        there = counted(len(wanted) - len(absent), "object")
        yield ok("installation", f"{there} of bootstrap are there, unchanged")


def _is_wanted(body: Body, seen: ClusterFacts) -> bool:
    """All but the note, which is judged by itself, and policies where a cluster has its own."""
    if _policies(seen) == "none" and body["apiVersion"] == ADMISSION_POLICY.api_version:
        return False
    return str(body["metadata"]["name"]) != CLUSTER_NOTE


def _policies(seen: ClusterFacts) -> str:
    """Which version of them is installed: a number, ``none``, or ``""``."""
    return str(known(seen.notes, {}).get(CLUSTER_NOTE, {}).get("data", {}).get("policies", ""))


def _lacking(absent: Sequence[Body], seen: ClusterFacts) -> Mapping[str, list[str]]:
    """What jobq can do without -> the objects; not what this server has no kind for."""
    version = parse_version(known(seen.kubernetes, "")) or (0, 0, 0)
    found: dict[str, list[str]] = {}
    for body in absent:
        meaning = _without(body)
        if meaning is not None and (version >= MUTATING_LEAST or not body["kind"].startswith("Mutating")):
            found.setdefault(meaning, []).append(_named(body))
    return found


def _without(body: Body) -> str | None:
    """What it means that an object isn't there; None where that is no small thing."""
    if body["kind"].startswith("Mutating"):
        return "the server doesn't write who submits a job, it only checks what is written"
    if body["metadata"].get("namespace", SYSTEM_NAMESPACE) != SYSTEM_NAMESPACE:
        return "the reconciler can't read Kueue's version: queue moves go on unchecked"
    return None


def fences(seen: ClusterFacts) -> Iterator[Diagnosis]:
    """Whether the policies act: installed is not enough."""
    if _policies(seen) == "none" or CLUSTER_NOTE not in known(seen.notes, {CLUSTER_NOTE: {}}):
        return
    if isinstance(seen.fenced, Unknown):
        if not seen.fenced.absent:
            yield unseen("fences", "whether the policies act", seen.fenced)
    elif seen.fenced:
        yield ok("fences", "the policies act: a forbidden dry-run of the reconciler was refused")
    else:
        why = "the reconciler could create any namespace, and take over what isn't its own"
        yield problem("fences", "the policies refuse nothing: a forbidden dry-run went through", why, _BOOTSTRAP)


def rights(seen: ClusterFacts) -> Iterator[Diagnosis]:
    """What the asking identity may do of planning and applying."""
    if isinstance(seen.rights, Unknown):
        yield unseen("rights", "what you may do", seen.rights)
        return
    for purpose, wanted, command in (("plan", PLANNING, "jobq plan"), ("apply", APPLYING, "jobq reconcile")):
        lacking = [f"{verb} {kind}" for verb, kind in wanted if not seen.rights.get((verb, kind), False)]
        if lacking:
            why = f"{command} as {known(seen.user, 'you')} would fail or be incomplete"
            fix = f"run it as the reconciler's ServiceAccount, or another --context: {command} --context NAME"
            yield warning("rights", f"you may not {purpose}: {shortened(lacking)}", why, fix)
        else:
            yield ok("rights", f"you may {purpose}")


def holds(live: Any, wanted: Any, field: str = "") -> bool:  # noqa: ANN401 - JSON
    """Whether a live value is what was applied, whatever the server filled in; exact where it gives rights."""
    if field in _EXACT:
        return bool(live == wanted)
    if isinstance(wanted, Mapping):
        return isinstance(live, Mapping) and all(holds(live.get(key), value, key) for key, value in wanted.items())
    if isinstance(wanted, list):
        same_length = isinstance(live, list) and len(live) == len(wanted)
        return same_length and all(holds(one, other) for one, other in zip(live, wanted, strict=True))
    return bool(live == wanted)


def _named(body: Body) -> str:
    return f"{body['kind']} {body['metadata']['name']}"
