"""What another manager does to our objects, on a real API server: what of it is drift, and that it is taken back."""

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.cluster import Body
from reconciler.comparing.ownership import is_equal, leaves
from reconciler.kinds import BY_KIND
from reconciler.model import Manifest
from reconciler.planned import Action, Weight
from reconciler.terms import Terms
from tests.controlplane.api import Refused
from tests.repository import project
from tests.world import PAGES, SUCCESSES, World, changed, listed

CLEARED = json.dumps([{"op": "replace", "path": "/metadata/managedFields", "value": [{}]}])
VISION = project(
    "vision",
    displayName="Vision group",
    tags=["a", "b"],
    members=[{"user": "kim@example.org", "role": "viewer"}, {"group": "oidc:vision", "role": "viewer"}],
)
EVE = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "eve@example.org"}

NAMESPACE = ["namespace", "vision"]
ENTRY = ["configmap", "-n", "jobq-system", "vision"]
QUEUE = ["localqueue", "-n", "vision", "main"]
BINDING = ["rolebinding", "-n", "vision", "jobq:viewer"]
ACCOUNT = ["serviceaccount", "-n", "vision", "jobq-runner"]


@dataclass(frozen=True, slots=True)
class Deed:
    """What somebody else does by kubectl, and what the next plan must find; ``sent`` names what goes to its stdin."""

    name: str
    words: Sequence[str]
    found: tuple[Action, str] | None = None
    because: str = ""
    sent: str = ""
    fails: bool = False


def patch(kind: str, body: object) -> list[str]:
    return ["--type", kind, "--patch", json.dumps(body)]


def deed(name: str, *words: str, **more: Any) -> Deed:  # noqa: ANN401 - a Deed's own fields
    return Deed(name, words, **more)


ENTRY_CHANGED = (Action.UPDATE, "ConfigMap jobq-system/vision")
NAMESPACE_CHANGED = (Action.UPDATE, "Namespace vision")
QUEUE_CHANGED = (Action.UPDATE, "LocalQueue vision/main")
BINDING_CHANGED = (Action.UPDATE, "RoleBinding vision/jobq:viewer")
OWN = "takes ownership back: nothing else differs"

DEEDS = [
    # values of ours
    deed(
        "label changed",
        *("label", *NAMESPACE, "jobq.io/cluster-queue=other", "--overwrite"),
        found=NAMESPACE_CHANGED,
        because="takes back metadata.labels[jobq.io/cluster-queue] from kubectl-label, ",
    ),
    deed(
        "annotation changed",
        *("annotate", *NAMESPACE, "jobq.io/queue=other", "--overwrite"),
        found=NAMESPACE_CHANGED,
        because="takes back metadata.annotations[jobq.io/queue] from kubectl-annotate, ",
    ),
    deed(
        "value patched",
        *("patch", *ENTRY, *patch("merge", {"data": {"queue": "x"}})),
        found=ENTRY_CHANGED,
        because="takes back data.queue from kubectl-patch, ",
    ),
    deed(
        "object replaced",
        *("replace", "-f", "-"),
        sent="changed entry",
        found=ENTRY_CHANGED,
        because="takes back data.queue from kubectl-replace, ",
    ),
    deed("queue held", "patch", *QUEUE, *patch("merge", {"spec": {"stopPolicy": "Hold"}}), found=QUEUE_CHANGED),
    deed(
        "token mounted",
        "patch",
        *ACCOUNT,
        *patch("merge", {"automountServiceAccountToken": True}),
        found=(Action.UPDATE, "ServiceAccount vision/jobq-runner"),
    ),
    # the same values
    deed("label set to the same", "label", *NAMESPACE, "jobq.io/cluster-queue=gpu-shared", "--overwrite"),
    deed("patched with the same", "patch", *ENTRY, *patch("merge", {"data": {"queue": "main"}})),
    deed("replaced by the same", "replace", "-f", "-", sent="entry"),
    deed("client-side apply of the same", "apply", "-f", "-", sent="bare entry"),
    deed(
        "server-side apply of the same", "apply", "--server-side", "--field-manager=other", "-f", "-", sent="bare entry"
    ),
    deed("patched in our name", "patch", *ENTRY, "--field-manager=jobq", *patch("merge", {"data": {"queue": "main"}})),
    # what isn't ours
    deed("foreign label", "label", *NAMESPACE, "team=blue"),
    deed("foreign annotation", "annotate", *QUEUE, "note=hello"),
    deed("foreign key", "patch", *ENTRY, *patch("merge", {"data": {"extra": "1"}})),
    deed("foreign finalizer", "patch", *QUEUE, *patch("merge", {"metadata": {"finalizers": ["example.org/wait"]}})),
    deed("foreign pull secret", "patch", *ACCOUNT, *patch("merge", {"imagePullSecrets": [{"name": "registry"}]})),
    deed("foreign object", "create", "configmap", "-n", "vision", "notes"),
    deed("foreign binding", "create", "rolebinding", "-n", "vision", "view", "--clusterrole=view", "--user=eve"),
    # removals leave no trace
    deed(
        "label removed",
        "label",
        *NAMESPACE,
        "jobq.io/cluster-queue-",
        found=NAMESPACE_CHANGED,
        because="metadata.labels[jobq.io/cluster-queue] removed by someone",
    ),
    deed("managed-by removed", "label", *NAMESPACE, "app.kubernetes.io/managed-by-", found=NAMESPACE_CHANGED),
    deed("key removed", "patch", *ENTRY, *patch("merge", {"data": {"queue": None}}), found=ENTRY_CHANGED),
    deed("default removed", "patch", *QUEUE, *patch("json", [{"op": "remove", "path": "/spec/stopPolicy"}])),
    deed(
        "object deleted",
        *("delete", *QUEUE),
        found=(Action.CREATE, "LocalQueue vision/main"),
        because="deleted by someone",
    ),
    deed(
        "label of the selector removed",
        "label",
        "networkpolicy",
        "-n",
        "vision",
        "jobq",
        "app.kubernetes.io/managed-by-",
        found=(Action.CREATE, "NetworkPolicy vision/jobq"),
    ),
    deed(
        "label removed where all are listed",
        "label",
        *QUEUE,
        "app.kubernetes.io/managed-by-",
        found=(Action.UPDATE, "LocalQueue vision/main"),
    ),
    # lists
    deed(
        "somebody let in",
        *("patch", *BINDING, *patch("json", [{"op": "add", "path": "/subjects/-", "value": EVE}])),
        found=BINDING_CHANGED,
        because="takes back subjects from kubectl-patch, ",
    ),
    deed(
        "somebody put out",
        "patch",
        *BINDING,
        *patch("json", [{"op": "remove", "path": "/subjects/0"}]),
        found=BINDING_CHANGED,
    ),
    deed("list removed", "patch", *BINDING, *patch("merge", {"subjects": None}), found=BINDING_CHANGED),
    # server-side apply by another manager
    deed("conflict", "apply", "--server-side", "--field-manager=other", "-f", "-", sent="other entry", fails=True),
    deed(
        "conflict forced",
        *("apply", "--server-side", "--force-conflicts", "--field-manager=other", "-f", "-"),
        sent="other entry",
        found=ENTRY_CHANGED,
        because="takes back data.queue from other, ",
    ),
    # ownership lost without a difference
    deed("replaced by force", "replace", "--force", "-f", "-", sent="bare entry", found=ENTRY_CHANGED),
    deed("entry cleared", "patch", *ENTRY, "--type", "json", "--patch", CLEARED, found=ENTRY_CHANGED, because=OWN),
    deed(
        "namespace cleared",
        "patch",
        *NAMESPACE,
        "--type",
        "json",
        "--patch",
        CLEARED,
        found=NAMESPACE_CHANGED,
        because=OWN,
    ),
    deed(
        "binding cleared", "patch", *BINDING, "--type", "json", "--patch", CLEARED, found=BINDING_CHANGED, because=OWN
    ),
    # access by name
    deed(
        "access under our name",
        *("create", "rolebinding", "-n", "vision", "jobq:maintainer", "--clusterrole=admin", "--user=eve"),
        found=(Action.DELETE, "RoleBinding vision/jobq:maintainer"),
    ),
    deed(
        "unlabelled binding to another role",
        *("replace", "--force", "-f", "-"),
        sent="admin unlabelled binding",
        found=(Action.REPLACE, "RoleBinding vision/jobq:viewer"),
    ),
    deed(
        "binding to another role",
        "replace",
        "--force",
        "-f",
        "-",
        sent="admin binding",
        found=(Action.REPLACE, "RoleBinding vision/jobq:viewer"),
    ),
]


def sent(world: World, what: str) -> object:
    """The object that a deed hands to kubectl."""
    if not what:
        return None
    said = json.loads(world.kubectl("get", *(BINDING if "binding" in what else ENTRY), "-o", "json"))
    if "bare" in what:
        del said["metadata"]["resourceVersion"], said["metadata"]["uid"]
    match what.split(maxsplit=1)[0]:
        case "changed":
            said["data"]["queue"] = "x"
        case "other":
            return {**said, "metadata": {"name": "vision", "namespace": "jobq-system"}, "data": {"queue": "x"}}
        case "admin":
            kept = ("name", "namespace") if "unlabelled" in what else ("name", "namespace", "labels")
            meta = {key: said["metadata"][key] for key in kept}
            return {**said, "metadata": meta, "roleRef": {**said["roleRef"], "name": "jobq-project-maintainer"}}
    return said


def in_sync(world: World) -> bool:
    """Whether a plan finds nothing, without a question to the server, and everything is provably as declared."""
    since = world.plane.mark()
    found = changed(world.plan())
    live = world.live()
    equal = all(is_equal(manifest, live[manifest.ref]) for manifest in world.manifests())
    asked = [request for request in world.asked(since) if "jobq-reconciler" in request.user]
    return found == [] and equal and listed(asked) == PAGES


@pytest.mark.parametrize("done", DEEDS, ids=lambda done: done.name)
def test_deed(world: World, done: Deed) -> None:
    """What was taken from us is all that a plan finds, and reconcile takes it back; what others add is no drift."""
    world.repository.declare(VISION)
    world.reconcile()
    given_in = sent(world, done.sent)
    said = world.kubectl(*done.words, given=given_in, fails=done.fails)
    assert ("conflict" in said) == done.fails
    if done.found is None:
        before = world.versions()
        assert in_sync(world)
        assert changed(world.reconcile()) == []
        assert world.versions() == before
        return
    planned = world.plan()
    assert changed(planned) == [done.found]
    assert planned.plan.changes[0].because.startswith(done.because)
    outcomes = world.reconcile().outcomes
    assert [outcome.error for outcome in outcomes if outcome.result not in SUCCESSES] == []
    assert in_sync(world)


def test_foreign_access(world: World) -> None:
    """A binding of another name in a project is nobody's drift: reported with role and people, and left alone.

    The command that takes it away does, whatever its name would say to a shell.
    """
    world.repository.declare(project("vision"))
    world.reconcile()
    name = "guests; echo $(id)"
    world.kubectl("create", "rolebinding", "-n", "vision", name, "--clusterrole=admin", "--user=eve")
    report = world.plan()
    assert changed(report) == []
    [effect] = report.plan.effects
    assert str(effect) == f"vision: foreign access, left alone: RoleBinding {name} gives admin to eve"
    kubectl, *words = shlex.split(effect.way_out.partition("; else ")[2])
    assert (kubectl, f'"{name}" deleted' in world.kubectl(*words)) == ("kubectl", True)
    assert world.plan().plan.effects == ()


def test_project_label_removed(world: World) -> None:
    """A namespace that lost our project label isn't taken back, nor touched: its project is refused, others go on."""
    world.repository.declare(VISION, project("speech"))
    world.reconcile()
    world.kubectl("label", *NAMESPACE, "jobq.io/project-")
    world.kubectl("delete", "localqueue", "-n", "speech", "main")
    before = world.kubectl("get", *NAMESPACE, "-o", "json")
    report = world.reconcile()
    assert report.verdict.skipped == {"vision"}
    assert changed(report) == [(Action.CREATE, "LocalQueue speech/main")]
    assert world.kubectl("get", *NAMESPACE, "-o", "json") == before


def test_label_and_member_lost(world: World) -> None:
    """A namespace that lost our label gets it back before access is taken from anybody: without it nothing would be."""
    world.repository.declare(VISION)
    world.reconcile()
    world.kubectl("label", *NAMESPACE, "app.kubernetes.io/managed-by-")
    world.repository.declare(project("vision"))
    report = world.reconcile()
    assert [str(change.ref) for change in report.plan.changes][:2] == ["Namespace vision", BINDING_CHANGED[1]]
    assert [outcome.error for outcome in report.outcomes if outcome.result not in SUCCESSES] == []


def test_copies(world: World) -> None:
    """Objects that only carry our labels are reported and left alone, in our namespaces and in others'."""
    world.repository.declare(VISION)
    world.reconcile()
    labels = {"app.kubernetes.io/managed-by": "jobq", "jobq.io/project": "vision"}
    queue = {"apiVersion": "kueue.x-k8s.io/v1beta2", "kind": "LocalQueue", "spec": {"clusterQueue": "gpu-shared"}}
    world.kubectl("create", "namespace", "elsewhere")
    for namespace in ("elsewhere", "vision"):
        body = {**queue, "metadata": {"name": "copy", "namespace": namespace, "labels": labels}}
        world.kubectl("create", "-f", "-", given=body)
    entry = {"name": "copy", "namespace": "jobq-system", "labels": labels}
    world.kubectl("create", "-f", "-", given={"apiVersion": "v1", "kind": "ConfigMap", "metadata": entry})
    before = world.versions()
    report = world.reconcile()
    assert changed(report) == []
    told = [effect.text for effect in report.plan.effects if effect.weight is Weight.WARNING]
    assert sorted(text.split(" carries")[0] for text in told) == [
        "ConfigMap jobq-system/copy",
        "LocalQueue elsewhere/copy",
        "LocalQueue vision/copy",
    ]
    assert world.versions() == before


def test_restored_namespace_is_no_project(world: World) -> None:
    """A namespace with our labels that jobq never applied is no project: nothing in it is archived or deleted."""
    world.repository.declare(project("vision"))
    world.reconcile()
    labels = {"app.kubernetes.io/managed-by": "jobq", "jobq.io/project": "vision-old"}
    meta = {"name": "vision-old", "labels": labels}
    world.kubectl("create", "-f", "-", given={"apiVersion": "v1", "kind": "Namespace", "metadata": meta})
    binding = {"name": "jobq:viewer", "namespace": "vision-old", "labels": labels}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"}
    body = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": binding, "roleRef": role}
    world.kubectl("create", "-f", "-", given=body)
    before = world.versions()
    assert changed(world.reconcile()) == []
    assert world.versions() == before


# ------------------------------------------------------------------------------------------------ the law


WORDS = st.sampled_from(["", "x", "main", "gpu-shared", "None", "Hold", "1", "kim@example.org"])
DEED_KINDS = ["set", "remove", "force", "same", "clear", "add"]


@st.composite
def meddlings(draw: st.DrawFn) -> list[tuple[int, int, str, str]]:
    """Some changes by another manager: which object, which leaf, what is done, with which value."""
    one = st.tuples(st.integers(0, 20), st.integers(0, 40), st.sampled_from(DEED_KINDS), WORDS)
    return draw(st.lists(one, min_size=1, max_size=4))


def meddle(world: World, manifest: Manifest, leaf: int, kind: str, word: str) -> None:
    """One change, by the manager ``other``; what the server refuses didn't happen."""
    resource = BY_KIND[manifest.ref.group, manifest.ref.kind].resource
    root = f"/apis/{resource.api_version}" if resource.group else "/api/v1"
    scope = f"/namespaces/{manifest.ref.namespace}" if resource.namespaced else ""
    path = f"{root}{scope}/{resource.plural}/{manifest.ref.name}"
    found = list(leaves(manifest.body, BY_KIND[manifest.ref.group, manifest.ref.kind]))
    steps, value = found[leaf % len(found)]
    steps = tuple(step.removeprefix("f:") for step in steps)
    match kind:
        case "clear":
            body, content = json.loads(CLEARED), "application/json-patch+json"
        case "force" | "same":
            identity = {key: manifest.body[key] for key in ("apiVersion", "kind")}
            changed = value if kind == "same" else changed_value(value, word)
            body = nested(steps, changed) | identity
            content = "application/apply-patch+yaml"
            path += "?force=true&"
        case "add":
            body, content = nested(("metadata", "annotations", f"other{leaf}"), word), "application/merge-patch+json"
        case _:
            changed = None if kind == "remove" else changed_value(value, word)
            body, content = nested(steps, changed), "application/merge-patch+json"
    path += f"{'' if path.endswith('&') else '?'}fieldManager=other"
    with world.plane.api() as api:
        try:
            api.call("PATCH", path, body, {"Content-Type": content})
        except Refused as refused:
            assert refused.status in {400, 409, 422, 500}  # noqa: PT017 - any other answer is a mistake here


def changed_value(value: object, word: str) -> object:
    if isinstance(value, bool):
        return not value
    if isinstance(value, list):
        return value[1:]
    return {**value, "name": word} if isinstance(value, dict) else word


def nested(steps: Sequence[str], value: object) -> dict[str, Any]:
    for step in reversed(steps):
        value = {step: value}
    assert isinstance(value, dict)
    return value


@settings(max_examples=40, derandomize=True, suppress_health_check=list(HealthCheck))
@given(meddlings())
def test_equal_means_that_an_apply_changes_nothing(world: World, done: list[tuple[int, int, str, str]]) -> None:
    """Whatever others did: what is equal by ownership comes back unchanged from a dry-run; reconcile heals the rest."""
    world.repository.declare(VISION)
    world.reconcile()
    manifests = world.manifests()
    for which, leaf, kind, word in done:
        meddle(world, manifests[which % len(manifests)], leaf, kind, word)
    live = world.live()
    for manifest in manifests:
        if manifest.ref in live and is_equal(manifest, live[manifest.ref]):
            assert dry_run(world, manifest) == live[manifest.ref]
    if not world.reconcile().verdict.skipped:
        assert in_sync(world)


def dry_run(world: World, manifest: Manifest) -> Body:
    return world.cluster.apply(BY_KIND[manifest.ref.group, manifest.ref.kind].resource, manifest.body, dry_run=True)


def test_unclaimed_without_a_file(world: World) -> None:
    """Without managedFields a project whose file is gone is neither archived nor forgotten, but refused."""
    world.repository.declare(VISION, project("speech"))
    world.reconcile()
    clearing = json.dumps([{"op": "replace", "path": "/metadata/managedFields", "value": [{}]}])
    for words in (NAMESPACE, ("configmap", "-n", "jobq-system", "vision")):
        world.kubectl("patch", *words, "--type=json", "-p", clearing)
    world.repository.declare(project("speech"))
    before = world.versions()
    report = world.reconcile()
    assert report.verdict.skipped == {"vision"}
    assert not [*report.plan.changes, *report.plan.effects]
    [refusal] = report.verdict.refusals
    assert "nothing shows that jobq made namespace vision" in refusal.text
    assert world.reconcile(terms=Terms(only=frozenset({"speech"}))).verdict.refusals == ()
    after = world.versions()
    assert {ref: after[ref] for ref in before} == before
    world.repository.declare(VISION, project("speech"))
    assert world.reconcile().applied
    world.repository.declare(project("speech"))
    report = world.reconcile()
    assert report.verdict.refusals == ()
    assert (Action.DELETE, BINDING_CHANGED[1]) in changed(report)
