"""Storage of projects on a real API server: made, made larger, never deleted, never replaced."""

import json
from collections.abc import Mapping

import pytest

from reconciler.cluster import Body
from reconciler.kinds import CLAIM
from reconciler.planned import EffectKind, Report
from reconciler.terms import Terms
from tests.repository import project
from tests.world import World

DATA = {"name": "data", "size": "1Gi", "class": "grows", "access": "ReadWriteMany"}


@pytest.fixture
def stored(world: World) -> World:
    """A project with one claim, under storage classes of which one can make volumes larger."""
    for name, grows in (("grows", True), ("stays", False)):
        meta = {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": name}}
        world.kubectl("apply", "-f", "-", given={**meta, "provisioner": "example.org/x", "allowVolumeExpansion": grows})
    declare(world, DATA)
    assert not world.reconcile().verdict.refusals
    return world


def declare(world: World, *claims: Mapping[str, object], **spec: object) -> None:
    world.repository.declare(project("vision", storage=list(claims), **spec), project("speech"))


def claim(world: World, name: str = "data") -> Body:
    return world.admin.get(CLAIM, name, namespace="vision")


def size(world: World, name: str = "data") -> str:
    return str(claim(world, name)["spec"]["resources"]["requests"]["storage"])


def bind(world: World, name: str = "data") -> None:
    """What a volume's controller would say once there is a volume."""
    status = {"phase": "Bound", "capacity": {"storage": size(world, name)}}
    patch(world, "pvc", name, {"spec": {"volumeName": f"pv-{name}"}})
    patch(world, "pvc", name, {"status": status}, "--subresource=status")


def patch(world: World, kind: str, name: str, body: Body, *options: str) -> None:
    world.kubectl("patch", kind, "-n", "vision", name, "--type=merge", "-p", json.dumps(body), *options)


def refused(report: Report) -> list[str]:
    return [refusal.text for refusal in report.verdict.refusals]


@pytest.mark.parametrize(
    ("changed", "bound", "reasons"),
    [
        ({"class": "stays"}, True, ["its class can't be changed: it is grows, not stays"]),
        ({"class": None}, True, ["its class can't be changed: it is grows, and none is declared"]),
        ({"access": "ReadWriteOnce"}, True, ["its access can't be changed: it is ReadWriteMany, not ReadWriteOnce"]),
        ({"size": "512Mi"}, True, ["it can't get smaller: it has 1Gi, not 512Mi"]),
        ({"size": "2Gi"}, False, ["it can't grow from 1Gi to 2Gi while it is Pending"]),
        (
            {"size": "1Mi", "access": "ReadWriteOnce"},
            False,
            [
                "its access can't be changed: it is ReadWriteMany, not ReadWriteOnce",
                "it can't get smaller: it has 1Gi, not 1Mi",
            ],
        ),
    ],
)
def test_what_a_claim_cannot_become(
    stored: World,
    changed: Mapping[str, object],
    bound: bool,  # noqa: FBT001 - a table
    reasons: list[str],
) -> None:
    """Such a change is refused with all its reasons; the claim stays, and the rest of the project goes on."""
    if bound:
        bind(stored)
    before = claim(stored)["metadata"]
    declare(stored, {key: value for key, value in {**DATA, **changed}.items() if value}, displayName="Goes on")
    report = stored.reconcile()
    assert refused(report) == [f"PersistentVolumeClaim vision/data: {'; '.join(reasons)}"]
    assert report.verdict.skipped == frozenset()
    after = claim(stored)["metadata"]
    assert (after["uid"], after["resourceVersion"]) == (before["uid"], before["resourceVersion"])
    assert {str(change.ref) for change in report.plan.changes} == {"Namespace vision", "ConfigMap jobq-system/vision"}
    run = stored.jobq("reconcile")
    assert run.code == 4
    assert "way out: write in projects.d/vision.yaml:" in run.out


def test_growth(stored: World) -> None:
    """A bound claim grows where its class can; where it can't, the server's reason is the refusal's."""
    declare(stored, DATA, DATA | {"name": "fixed", "class": "stays"})
    assert not refused(stored.reconcile())
    bind(stored)
    bind(stored, "fixed")
    declare(stored, DATA | {"size": "1536Mi"}, DATA | {"name": "fixed", "class": "stays", "size": "2Gi"})
    [reason] = refused(stored.reconcile())
    assert "PersistentVolumeClaim vision/fixed" in reason
    assert "must support resize" in reason
    assert (size(stored), size(stored, "fixed")) == ("1536Mi", "1Gi")
    declare(stored, DATA | {"size": "1.5Gi"}, DATA | {"name": "fixed", "class": "stays"})
    again = stored.plan()
    assert (refused(again), [str(change.ref) for change in again.plan.changes]) == ([], ["Namespace vision"])


def test_never_deleted(stored: World) -> None:
    """Dropped from its file, in an archive and after a restore a claim stays as it is, labels too."""
    bind(stored)
    before, mark = claim(stored), stored.plane.mark()

    def same() -> bool:
        now = claim(stored)
        return all(now["metadata"][key] == before["metadata"][key] for key in ("uid", "resourceVersion", "labels"))

    declare(stored)
    report = stored.reconcile()
    told = [effect for effect in report.plan.effects if effect.kind is EffectKind.KEPT_STORAGE]
    assert [(effect.project, effect.text) for effect in told] == [
        ("vision", "PersistentVolumeClaim data (1Gi) is declared no more: it stays, with its data")
    ]
    assert same()
    assert not stored.plan().plan.changes
    stored.repository.declare(project("speech"))
    assert stored.reconcile().applied
    assert same()
    declare(stored, DATA | {"class": "stays"})
    restore = stored.plan()
    assert any("its class can't be changed" in text for text in refused(restore))
    declare(stored, DATA)
    assert stored.reconcile(terms=Terms(approved=stored.plan().plan.disruption)).applied
    assert same()
    assert not stored.plan().plan.changes
    deleted = [request for request in stored.asked(mark) if request.verb == "delete"]
    assert not [request for request in deleted if request.resource == "persistentvolumeclaims"]


def test_a_claim_that_somebody_made(stored: World) -> None:
    """A claim of that name is taken over with its data where it fits, and left alone where it doesn't."""
    spec: Body = {"accessModes": ["ReadWriteMany"], "storageClassName": "grows", "resources": {}}
    for name in ("old", "odd"):
        spec["resources"] = {"requests": {"storage": "1Gi" if name == "old" else "4Gi"}}
        stored.admin.create(CLAIM, {"metadata": {"name": name, "namespace": "vision"}, "spec": dict(spec)})
    uid = claim(stored, "old")["metadata"]["uid"]
    declare(stored, DATA, DATA | {"name": "old"}, DATA | {"name": "odd"})
    report = stored.reconcile()
    assert refused(report) == ["PersistentVolumeClaim vision/odd: it can't get smaller: it has 4Gi, not 1Gi"]
    [taken] = [change for change in report.plan.changes if change.ref.name == "old"]
    assert taken.because.startswith("takes over what ")
    assert claim(stored, "old")["metadata"]["uid"] == uid
    assert claim(stored, "old")["metadata"]["labels"]["jobq.io/project"] == "vision"
    assert "labels" not in claim(stored, "odd")["metadata"]


def test_storage_keeps_nobody_out(stored: World) -> None:
    """A claim that the server refuses at last stops neither the access that goes nor the access that comes."""
    hard = {"hard": {"persistentvolumeclaims": "1"}}
    meta = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "others", "namespace": "vision"}}
    stored.kubectl("create", "-f", "-", given={**meta, "spec": hard})
    patch(stored, "resourcequota", "others", {"status": {**hard, "used": hard["hard"]}}, "--subresource=status")
    members = [{"user": "kim@example.org", "role": "viewer"}]
    declare(stored, DATA, DATA | {"name": "more"}, members=members)
    report = stored.reconcile()
    [failed] = [outcome for outcome in report.outcomes if outcome.error]
    assert str(failed.change.ref) == "PersistentVolumeClaim vision/more"
    assert "jobq:viewer" in stored.kubectl("get", "rolebindings", "-n", "vision", "-o", "name")
