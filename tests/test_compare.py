"""What is provably equal, and what isn't: leaf by leaf, by ownership, without asking anybody."""

import copy
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from reconciler.archive import archived
from reconciler.cluster import Body
from reconciler.compare import compare
from reconciler.comparing.homes import is_ours, project_namespaces
from reconciler.comparing.ownership import is_equal, leaves, own_entry, owned
from reconciler.comparing.takers import shown, takers
from reconciler.kinds import BY_KIND, PROJECT_KINDS
from reconciler.model import Manifest, ObjectRef, Origin, Snapshot
from reconciler.planning.imagined import fields
from reconciler.render import render
from reconciler.source import templates
from tests.fakes import all_live, as_live
from tests.laws import TODAY, declared

PACKAGED = templates(Snapshot("", {}), "project")
EVERYTHING = {
    "members": [{"user": "kim", "role": "viewer"}, {"group": "g", "role": "viewer"}],
    "limits": {
        "jobs": 5,
        "storage": "1.5Ti",
        "container": {"requests": {"cpu": "100m"}, "limits": {"memory": "8Gi"}, "max": {"cpu": "2", "memory": "16Gi"}},
    },
    "robot": "viewer",
    "network": {"from": ["ingress"], "egress": "internal"},
    "storage": [{"name": "data", "size": "1Ti", "class": "fast", "access": "ReadWriteMany"}],
}
MANIFESTS = render(declared({"vision": EVERYTHING}), PACKAGED, TODAY)
BY_NAME: Mapping[str, Manifest] = {manifest.ref.kind: manifest for manifest in MANIFESTS}


def live(kind: str) -> Body:
    return as_live(BY_NAME[kind].body)


def test_every_kind_is_looked_at() -> None:
    """These tests see every kind that a project may consist of."""
    assert BY_NAME.keys() == {kind.resource.kind for kind in PROJECT_KINDS}


@pytest.mark.parametrize("kind", BY_NAME)
def test_applied_is_equal(kind: str) -> None:
    """An object right after an apply of it is equal, whatever the server or others add outside of what is ours."""
    body = live(kind)
    assert is_equal(BY_NAME[kind], body)
    body["metadata"].setdefault("annotations", {})["other"] = "x"
    body["metadata"]["finalizers"] = ["example.org/x"]
    body["metadata"]["managedFields"].append(
        {"manager": "other", "operation": "Update", "fieldsV1": {"f:metadata": {}}}
    )
    body["status"] = {"x": 1}
    assert is_equal(BY_NAME[kind], body)


@pytest.mark.parametrize("kind", BY_NAME)
def test_every_leaf_counts(kind: str) -> None:
    """A leaf with another value, a leaf that we own no longer, and one that we own too much: none is equal."""
    manifest = BY_NAME[kind]
    table = BY_KIND[manifest.ref.group, kind]
    for path, value in leaves(manifest.body, table):
        body = live(kind)
        node = body
        for step in path[:-1]:
            node = node[step.removeprefix("f:")]
        node[path[-1].removeprefix("f:")] = changed(value)
        assert not is_equal(manifest, body), path
        body = live(kind)
        node = body["metadata"]["managedFields"][0]["fieldsV1"]
        for step in path[:-1]:
            node = node[step]
        del node[path[-1]]
        assert not is_equal(manifest, body), path
    body = live(kind)
    body["metadata"]["managedFields"][0]["fieldsV1"]["f:metadata"]["f:annotations"] = {"f:gone": {}}
    assert not is_equal(manifest, body)


def changed(value: object) -> object:
    match value:
        case bool():
            return not value
        case list():
            return [*value, {"x": 1}]
        case dict():
            return {**value, "x": "y"}
        case _:
            return f"{value}9"


def drop_each(node: object) -> list[object]:
    """All values with one key or item fewer, anywhere inside."""
    match node:
        case dict():
            without: list[object] = [{k: v for k, v in node.items() if k != gone} for gone in node]
            return without + [{**node, key: less} for key, value in node.items() for less in drop_each(value)]
        case list():
            without = [node[:at] + node[at + 1 :] for at in range(len(node))]
            inside = [(at, less) for at, item in enumerate(node) for less in drop_each(item)]
            return [*without, *([*node[:at], less, *node[at + 1 :]] for at, less in inside)]
        case _:
            return []


@pytest.mark.parametrize("kind", [kind.resource.kind for kind in PROJECT_KINDS if kind.atomic])
def test_atomic_values_are_compared_exactly(kind: str) -> None:
    """Inside an atomic value a subset is not equal: neither where something lacks, nor where something is too much."""
    manifest = BY_NAME[kind]
    for path in BY_KIND[manifest.ref.group, kind].atomic:
        wanted = at(manifest.body, path)
        for less in drop_each(wanted):
            poorer = copy.deepcopy(manifest.body)
            parent = at(poorer, path[:-1])
            parent[path[-1]] = less
            if less in ({}, []):
                continue
            richer = Manifest(manifest.ref, poorer, manifest.project, manifest.origin)
            assert not is_equal(richer, live(kind)), (path, less)
            assert not is_equal(manifest, as_live(poorer)), (path, less)


def at(body: Any, path: tuple[str, ...]) -> Any:  # noqa: ANN401 - JSON
    for name in path:
        body = body.get(name) if body is not None else None
    return body


@pytest.mark.parametrize(
    ("written", "stored", "equal"),
    [
        ("1.5Gi", "1536Mi", True),
        ("1000m", "1", True),
        ("0.5", "500m", True),
        ("1k", "1000", True),
        (5, "5", True),
        ("2Ti", "2048Gi", True),
        ("1G", "1Gi", False),
        ("1", "2", False),
        ("1m", "1", False),
        ("1", "x", False),
    ],
)
def test_quantities(written: object, stored: str, equal: bool) -> None:  # noqa: FBT001 - a table's column
    """Quantities are equal as exact numbers, however the server spells them, and only where they are quantities."""
    manifest = BY_NAME["ResourceQuota"]
    body = {**manifest.body, "spec": {"hard": {"requests.storage": written}}}
    found = as_live(body)
    found["spec"] = {"hard": {"requests.storage": stored}}
    assert is_equal(Manifest(manifest.ref, body, "vision", manifest.origin), found) == equal
    entry = BY_NAME["ConfigMap"]
    text = {**entry.body, "data": {"a": str(written)}}
    found = as_live(text)
    found["data"] = {"a": stored}
    assert is_equal(Manifest(entry.ref, text, "vision", entry.origin), found) == (str(written) == stored)


def test_another_version_is_no_proof() -> None:
    """What was applied in another API version is asked about."""
    body = live("LocalQueue")
    body["metadata"]["managedFields"][0]["apiVersion"] = "kueue.x-k8s.io/v1beta1"
    assert not is_equal(BY_NAME["LocalQueue"], body)


@pytest.mark.parametrize("entry", [{"operation": "Update"}, {"subresource": "status"}, {"manager": "jobq-cli"}])
def test_own_entry(entry: Mapping[str, str]) -> None:
    """Only what jobq applied counts as owned: no update in its name, no subresource, no other manager."""
    body = live("ConfigMap")
    assert own_entry(body) is not None
    body["metadata"]["managedFields"][0] |= entry
    assert own_entry(body) is None
    assert not is_equal(BY_NAME["ConfigMap"], body)


@pytest.mark.parametrize("kind", BY_NAME)
def test_owned_is_the_manifest(kind: str) -> None:
    """What we own of a live object is the manifest that made it, whatever others have added."""
    body = live(kind)
    body["metadata"].setdefault("labels", {})["other"] = "x"
    assert owned(body) == BY_NAME[kind].body


def test_takers() -> None:
    """Who took a leaf from us is named with the time; who only added something is not."""
    body = live("ConfigMap")
    ours = body["metadata"]["managedFields"][0]["fieldsV1"]
    del ours["f:data"]["f:queue"]
    took = {
        "manager": "kubectl-edit",
        "operation": "Update",
        "time": "2027-01-15T10:32:00Z",
        "fieldsV1": {"f:data": {"f:queue": {}}},
    }
    added = {"manager": "other", "operation": "Update", "fieldsV1": {"f:data": {"f:extra": {}}}}
    body["metadata"]["managedFields"] += [took, added]
    found = takers(BY_NAME["ConfigMap"], body)
    assert {shown(path): str(taker) for path, taker in found.items()} == {
        "data.queue": "kubectl-edit, 2027-01-15 10:32 UTC"
    }


# ------------------------------------------------------------------------------------------------ places


def placed(change: Callable[[dict[ObjectRef, Body]], object]) -> dict[str, list[str]]:
    """Where everything stands once something is done to a cluster in sync; only what isn't equal."""
    seen = all_live(MANIFESTS)
    change(seen)
    found = compare([*MANIFESTS, *archived(seen, ["vision"], TODAY)], seen)
    places = {
        "suspects": [suspect.manifest.ref.name for suspect in found.suspects],
        "replaced": [suspect.manifest.ref.name for suspect in found.replaced],
        "missing": [manifest.ref.name for manifest in found.missing],
        "surplus": [body["metadata"]["name"] for body in found.surplus],
        "copies": [body["metadata"]["name"] for body in found.copies],
        "foreign": list(found.foreign),
    }
    return {place: names for place, names in places.items() if names}


REFS = {manifest.ref.kind: manifest.ref for manifest in MANIFESTS}
QUEUE, BINDING, SPACE = REFS["LocalQueue"], REFS["RoleBinding"], REFS["Namespace"]


def other(name: str, *, namespace: str = "vision", labels: bool = True, entry: bool = True) -> tuple[ObjectRef, Body]:
    """One more RoleBinding."""
    body = copy.deepcopy(BY_NAME["RoleBinding"].body)
    body["metadata"] |= {"name": name, "namespace": namespace}
    if not labels:
        del body["metadata"]["labels"]
    found = as_live(body)
    if not entry:
        del found["metadata"]["managedFields"]
    return ObjectRef(BINDING.group, "RoleBinding", namespace, name), found


PLACES: dict[str, tuple[Callable[[dict[ObjectRef, Body]], object], dict[str, list[str]]]] = {
    "in sync": (lambda _: None, {}),
    "deleted": (lambda seen: seen.pop(QUEUE), {"missing": ["main"]}),
    "changed": (lambda seen: seen[QUEUE]["spec"].update(stopPolicy="Hold"), {"suspects": ["main"]}),
    "immutable": (lambda seen: seen[QUEUE]["spec"].update(clusterQueue="x"), {"replaced": ["main"]}),
    "another role": (lambda seen: seen[BINDING]["roleRef"].update(name="admin"), {"replaced": ["jobq:viewer"]}),
    "no label of ours": (lambda seen: seen[SPACE]["metadata"].update(labels={}), {"foreign": ["vision"]}),
    "more where our label was": (
        lambda seen: [seen[SPACE]["metadata"].update(labels={}), seen.update([other("x")])],
        {"foreign": ["vision"]},
    ),
    "another's namespace": (
        lambda seen: seen[SPACE]["metadata"]["labels"].update({"jobq.io/project": "x"}),
        {"foreign": ["vision"]},
    ),
    "not applied by us": (lambda seen: seen[SPACE]["metadata"].pop("managedFields"), {"suspects": ["vision"]}),
    "too much": (lambda seen: seen.update([other("x")]), {"surplus": ["x"]}),
    "by name": (
        lambda seen: seen.update([other("jobq:maintainer", labels=False, entry=False)]),
        {"surplus": ["jobq:maintainer"]},
    ),
    "another name": (lambda seen: seen.update([other("jobq:x", labels=False, entry=False)]), {}),
    "a copy": (lambda seen: seen.update([other("x", entry=False)]), {"copies": ["x"]}),
    "elsewhere": (lambda seen: seen.update([other("x", namespace="y")]), {"copies": ["x"]}),
    "by name elsewhere": (lambda seen: seen.update([other("jobq:viewer", namespace="y", labels=False)]), {}),
    "somebody's": (lambda seen: seen.update([other("x", labels=False)]), {}),
}


@pytest.mark.parametrize("name", PLACES)
def test_places(name: str) -> None:
    """Every object stands in exactly one place; only what jobq made, or what bears its names, is ever too much."""
    change, expected = PLACES[name]
    assert placed(change) == expected


def test_ours() -> None:
    """A project label must fit the namespace it lies in."""
    seen = all_live(MANIFESTS)
    homes = project_namespaces(seen)
    assert homes == {"vision": "vision"}
    assert all(is_ours(body, homes) for ref, body in seen.items() if ref.kind != "Namespace")
    assert not is_ours(seen[QUEUE], {"vision": "speech"})
    assert not is_ours(seen[QUEUE], {})


def test_keyed_lists() -> None:
    """Items of a keyed list are found by their keys, whatever their order; another's items are no concern."""
    account = {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": "x", "namespace": "vision"},
        "secrets": [{"name": "a"}, {"name": "b"}],
    }
    ref = ObjectRef("", "ServiceAccount", "vision", "x")
    manifest = Manifest(ref, account, "vision", Origin("x"))
    assert fields(account, BY_KIND["", "ServiceAccount"])["f:secrets"].keys() == {'k:{"name":"a"}', 'k:{"name":"b"}'}
    body = as_live(account)
    body["secrets"] = [{"name": "other"}, {"name": "b"}, {"name": "a"}]
    assert is_equal(manifest, body)
    assert owned(body)["secrets"] == account["secrets"]
    body["secrets"] = [{"name": "other"}, {"name": "b"}]
    assert not is_equal(manifest, body)
