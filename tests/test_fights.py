"""What others change back again and again: counted, left to them or taken back slowly, and told."""

from typing import Any

import pytest

from reconciler.compare import Comparison, compare
from reconciler.comparing.ownership import contested, is_equal, without
from reconciler.model import Body, Manifest, ObjectRef, Origin
from reconciler.planned import Action, Change, Outcome, Result
from reconciler.watching.fights import MOST_IN_A_ROW, Fight, Fights
from tests.fakes import as_live

PAUSE, QUIET = 5.0, 600.0
LABELS = {"app.kubernetes.io/managed-by": "jobq", "jobq.io/project": "vision"}
SECRETS: Body = {"imagePullSecrets": [{"name": "registry"}]}
SUBJECTS: Body = {"subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "speech"}]}


def wanted(kind: str = "ServiceAccount", name: str = "jobq-runner", **fields: Any) -> Manifest:  # noqa: ANN401 - JSON
    version = "rbac.authorization.k8s.io/v1" if kind == "RoleBinding" else "v1"
    metadata = {"name": name, "namespace": "vision", "labels": LABELS}
    body = {"apiVersion": version, "kind": kind, "metadata": metadata, **(fields or SECRETS)}
    return Manifest(ObjectRef.of(body), body, "vision", Origin("projects.d/vision.yaml", 1, 1))


def taken(manifest: Manifest, field: str, value: object, by: str = "platform") -> Body:
    """That object live, after somebody took one of its fields."""
    live = as_live(manifest.body)
    live[field] = value
    [entry] = live["metadata"]["managedFields"]
    theirs = {f"f:{field}": entry["fieldsV1"].pop(f"f:{field}")}
    other = {"manager": by, "operation": "Update", "time": "2027-01-15T10:32:00Z", "fieldsV1": theirs}
    live["metadata"]["managedFields"].append(other)
    return live


def against(manifest: Manifest, live: Body | None) -> Comparison:
    """A comparison in which nothing but that object is."""
    return compare([manifest], {} if live is None else {ObjectRef.of(live): live})


def touched(comparison: Comparison) -> list[Manifest]:
    """What a plan over it would write."""
    return [*(suspect.manifest for suspect in comparison.suspects), *comparison.missing]


def bout(fights: Fights, manifest: Manifest, live: Body | None, now: float) -> list[Manifest]:
    """One pass in which somebody has interfered again, and all that may be written is."""
    writes = touched(fights.restrain(against(manifest, live), now))
    result = Result.CREATED if live is None else Result.CONFIGURED
    changes = [Change(one.ref, Action.UPDATE, one.project, "", one.body) for one in writes]
    fights.record([Outcome(change, result) for change in changes], now)
    return writes


def test_a_field_is_left_after_five() -> None:
    """Five times in a row it is taken back, then never again: the object is equal without it. The rival is named."""
    fights, manifest = Fights(PAUSE, QUIET), wanted()
    live = taken(manifest, "imagePullSecrets", [{"name": "registry"}, {"name": "platform"}])
    for count in range(MOST_IN_A_ROW):
        assert bout(fights, manifest, live, now=count) == [manifest]
    for later in range(100):
        restrained = fights.restrain(against(manifest, live), MOST_IN_A_ROW + later)
        assert touched(restrained) == []
        [left] = restrained.equal
        assert left.body == {key: value for key, value in manifest.body.items() if key != "imagePullSecrets"}
    [fight] = fights.found()
    assert fight.text == (
        "imagePullSecrets of ServiceAccount vision/jobq-runner is fought over: taken back 5 times in a row "
        "from platform; left to them until the project file changes, or for 10 min"
    )


def test_other_fields_are_still_taken_back() -> None:
    """Of an object that has a field left to others, drift of its other fields is repaired."""
    fights, manifest = (
        Fights(PAUSE, QUIET),
        wanted(imagePullSecrets=[{"name": "registry"}], automountServiceAccountToken=False),
    )
    live = taken(manifest, "imagePullSecrets", [])
    for count in range(MOST_IN_A_ROW):
        bout(fights, manifest, live, now=count)
    live["automountServiceAccountToken"] = True
    [written] = bout(fights, manifest, live, now=9)
    assert written.body == without(manifest.body, ("f:imagePullSecrets",))


@pytest.mark.parametrize("end", ["commit", "quiet"])
def test_a_fight_is_forgotten(end: str) -> None:
    """Another commit, or a quiet time, and everything is taken back again."""
    fights, manifest = Fights(PAUSE, QUIET), wanted()
    live = taken(manifest, "imagePullSecrets", [])
    for count in range(MOST_IN_A_ROW):
        bout(fights, manifest, live, now=count)
    assert bout(fights, manifest, live, now=QUIET) == []
    if end == "commit":
        fights.forget()
    now = QUIET if end == "commit" else MOST_IN_A_ROW + QUIET
    assert bout(fights, manifest, live, now) == [manifest]
    assert list(fights.found()) == []


@pytest.mark.parametrize(
    ("manifest", "live"),
    [
        (one := wanted("RoleBinding", "jobq:viewer", **SUBJECTS), taken(one, "subjects", [], "spreader")),
        (wanted(), None),
        (wanted("RoleBinding", "jobq:viewer", **SUBJECTS), None),
    ],
    ids=["a binding's subjects", "an object that somebody deletes", "a binding that somebody deletes"],
)
def test_access_and_objects_are_never_left(manifest: Manifest, live: Body | None) -> None:
    """They are taken back for ever: at once at first, later once in a while, and it is said when that will be."""
    fights = Fights(PAUSE, QUIET)
    for count in range(MOST_IN_A_ROW):
        assert bout(fights, manifest, live, now=count / 10) == [manifest]
    for later in range(20):
        last = (MOST_IN_A_ROW - 1) / 10 + later * PAUSE
        assert bout(fights, manifest, live, now=last + PAUSE - 0.1) == []
        assert fights.due == pytest.approx(last + PAUSE)
        assert bout(fights, manifest, live, now=last + PAUSE) == [manifest]
        assert fights.due is None
    [fight] = fights.found()
    assert not fight.left
    assert fight.text.endswith("it is never left: taken back at most every 5 s")
    assert ("spreader" if live else "somebody who deletes it") in fight.text


def test_our_labels_are_never_left() -> None:
    """The labels by which jobq knows its objects are no field to give up."""
    fights, manifest = Fights(PAUSE, QUIET), wanted()
    live = as_live(manifest.body)
    del live["metadata"]["labels"]["jobq.io/project"]
    for count in range(50):
        bout(fights, manifest, live, now=count * PAUSE)
    assert [fight.left for fight in fights.found()] == [False]


def test_failures_are_no_take_backs() -> None:
    """What couldn't be written isn't counted."""
    fights, manifest = Fights(PAUSE, QUIET), wanted()
    change = Change(manifest.ref, Action.UPDATE, "vision", "", manifest.body)
    for now in range(20):
        fights.restrain(against(manifest, taken(manifest, "imagePullSecrets", [])), now)
        fights.record([Outcome(change, Result.FAILED, "no")], now)
    assert list[Fight](fights.found()) == []


def test_contested_leaves_taken_out() -> None:
    """An object without its contested leaves is equal to what is live; nothing empty is left of them."""
    body = {"spec": {"hard": {"pods": "10", "services": "1"}}}
    manifest = wanted("ResourceQuota", "jobq", **body)
    live = as_live(manifest.body)
    live["spec"]["hard"]["pods"] = "99"
    live["metadata"]["managedFields"][0]["fieldsV1"]["f:spec"]["f:hard"].pop("f:pods")
    assert contested(manifest, live) == {("f:spec", "f:hard", "f:pods")}
    reduced = without(manifest.body, ("f:spec", "f:hard", "f:pods"))
    assert reduced["spec"] == {"hard": {"services": "1"}}
    assert is_equal(Manifest(manifest.ref, reduced, "vision", manifest.origin), live)
    assert "spec" not in without(reduced, ("f:spec", "f:hard", "f:services"))
    listed = {"secrets": [{"name": "a"}, {"name": "b"}]}
    assert without(listed, ("f:secrets", 'k:{"name":"a"}', "f:name")) == {"secrets": [{"name": "b"}]}
    assert without(body, ("f:spec", "f:nothing")) == body
