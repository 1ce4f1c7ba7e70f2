"""Every field that jobq renders, edited by somebody else in every way there is: found, and taken back."""

import copy
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from reconciler.cluster import Body
from reconciler.compare import compare
from reconciler.comparing.ownership import is_equal, leaves, value_at
from reconciler.errors import Forbidden
from reconciler.kinds import BY_KIND, Path
from reconciler.kube import _path
from reconciler.model import MANAGED_BY, PROJECT_LABEL, Manifest
from tests.controlplane.api import Api, Refused
from tests.repository import project
from tests.safety import everything, finish, in_sync
from tests.test_ownership import DEED_KINDS, WORDS, dry_run, meddle
from tests.world import World

SETTINGS = """\
openNetwork = ["vision"]
networkFrom = ["monitoring"]
guard.disrupted = 100
[networks]
monitoring = {"kubernetes.io/metadata.name" = "monitoring"}
ingress = {tier = "edge", zone = "a"}
[labels."example.org/cost-centre"]
pattern = "[0-9]{6}"
[annotations."example.org/contact"]
pattern = "[^ ]+@example.org"
"""
KIM, LEE = {"user": "kim@example.org"}, {"user": "lee@example.org"}
GROUP = {"group": "oidc:vision"}
DATA = {"name": "data", "size": "1.5Gi", "class": "local", "access": "ReadWriteOnce"}
LIMITS = {"jobs": 5, "storage": "1.5Ti", "container": {"max": {"cpu": "2"}, "requests": {"cpu": "500m"}}}
FULL: Mapping[str, object] = {
    "displayName": "Vision",
    "description": "Of everything a little.",
    "tags": ["a", "b"],
    "members": [{**KIM, "role": "viewer"}, {**GROUP, "role": "viewer"}, {**LEE, "role": "maintainer"}],
    "limits": LIMITS,
    "network": {"from": ["ingress"], "egress": "internal"},
    "storage": [DATA],
    "robot": "researcher",
    "priorities": ["normal", "low"],
    "labels": {"example.org/cost-centre": "123456"},
    "annotations": {"example.org/contact": "kim@example.org"},
}


def declare(world: World, spec: Mapping[str, object]) -> Sequence[Manifest]:
    """Commit that one project; what it renders to."""
    world.repository.declare(project("vision", **spec), settings=SETTINGS)
    return world.manifests()


# ------------------------------------------------------------------------------------------------ one edit


MERGE, JSON_PATCH = "application/merge-patch+json", "application/json-patch+json"
APPLY = "application/apply-patch+yaml"
Way = Callable[[Api, str, Manifest, tuple[str, ...], Any], Body]
"""Edits a field: given a path, the manifest of what is there, the field's names, and its new value. The answer."""


def nested(names: Sequence[str], value: object) -> Body:
    for name in reversed(names):
        value = {name: value}
    assert isinstance(value, dict)
    return value


def merged(api: Api, path: str, _manifest: Manifest, names: tuple[str, ...], value: object) -> Body:
    """As `kubectl patch`, `label`, `annotate` and `edit` send it."""
    return dict(api.call("PATCH", f"{path}?fieldManager=kubectl-edit", nested(names, value), {"Content-Type": MERGE}))


def unset(api: Api, path: str, manifest: Manifest, names: tuple[str, ...], _value: object) -> Body:
    """As `kubectl label KEY-` sends it."""
    return merged(api, path, manifest, names, None)


def removed(api: Api, path: str, _manifest: Manifest, names: tuple[str, ...], _value: object) -> Body:
    """By a JSON patch."""
    pointer = "".join(f"/{name.replace('~', '~0').replace('/', '~1')}" for name in names)
    body: Any = [{"op": "remove", "path": pointer}]
    return dict(api.call("PATCH", f"{path}?fieldManager=other", body, {"Content-Type": JSON_PATCH}))


def forced(api: Api, path: str, manifest: Manifest, names: tuple[str, ...], value: object) -> Body:
    """By another manager's server-side apply."""
    identity = {key: manifest.body[key] for key in ("apiVersion", "kind")}
    body = identity | nested(names, value)
    return dict(api.call("PATCH", f"{path}?fieldManager=other&force=true", body, {"Content-Type": APPLY}))


def put(api: Api, path: str, _manifest: Manifest, names: tuple[str, ...], value: object) -> Body:
    """As `kubectl replace` does."""
    body = copy.deepcopy(api.call("GET", path))
    node = body
    for name in names[:-1]:
        node = node[name]
    node[names[-1]] = value
    return dict(api.call("PUT", f"{path}?fieldManager=kubectl-replace", body))


def in_our_name(api: Api, path: str, _manifest: Manifest, names: tuple[str, ...], value: object) -> Body:
    """By a client that calls itself jobq."""
    return dict(api.call("PATCH", f"{path}?fieldManager=jobq", nested(names, value), {"Content-Type": MERGE}))


WAYS: Sequence[Way] = (merged, unset, removed, forced, put, in_our_name)


def others(value: object) -> Iterator[object]:
    """Other values, of which a server takes at least one."""
    match value:
        case bool():
            yield not value
        case list() if value and isinstance(value[0], dict):
            yield value[1:]
            yield [*value, {**value[0], "name": "eve@example.org"}]
            yield [{**value[0], "x": "y"}]
        case list():
            yield [*value, "Egress"]
            yield value[:1]
        case dict():
            yield {**value, "x": "y"}
        case _:
            yield from ("other", "restricted", "Hold", "None", "7", "7Gi", 7, not value)


def edited(api: Api, path: str, manifest: Manifest, way: Way, leaf: tuple[Path, Any]) -> Body | None:
    """The object after the edit; None where the server takes no such edit."""
    names = tuple(step.removeprefix("f:") for step in leaf[0])
    for value in others(leaf[1]):
        try:
            return way(api, path, manifest, names, value)
        except Refused as refused:
            assert refused.status in {400, 409, 415, 422, 500}, refused  # noqa: PT017 - any other is a mistake here
    return None


def full(live: Body, manifest: Manifest) -> Body:
    return {"apiVersion": manifest.body["apiVersion"], "kind": manifest.body["kind"], **live}


def unfit(manifest: Manifest, live: Body) -> list[Path]:
    """The leaves whose value isn't the wanted one; amounts are equal in another spelling."""
    return [path for path, value in leaves(manifest.body, kind_of(manifest)) if value_at(live, path) != value]


def kind_of(manifest: Manifest) -> Any:  # noqa: ANN401 - a Kind
    return BY_KIND[manifest.ref.group, manifest.ref.kind]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_every_field_is_taken_back(world: World, way: Way) -> None:
    """Each field of each kind, edited alone: no longer equal, and after one apply it is as rendered and ours again."""
    manifests = declare(world, FULL)
    finish(world)
    effective: Counter[str] = Counter()
    kept = []
    with world.plane.api() as api:
        for manifest in manifests:
            path = _path(kind_of(manifest).resource, manifest.ref.namespace, manifest.ref.name)
            fit = unfit(manifest, api.call("GET", path))  # what the server spells otherwise from the beginning
            for leaf in leaves(manifest.body, kind_of(manifest)):
                after = edited(api, path, manifest, way, leaf)
                if after is None or unfit(manifest, after) == fit:
                    continue
                effective[manifest.ref.kind] += 1
                assert not is_equal(manifest, full(after, manifest)), leaf
                try:
                    again = world.cluster.apply(kind_of(manifest).resource, manifest.body)
                except Forbidden:  # the policies read this label: only an admin may put it back
                    kept.append((manifest.ref.kind, leaf[0][-1]))
                    merged(api, path, manifest, ("metadata", "labels", PROJECT_LABEL), "vision")
                    again = world.cluster.apply(kind_of(manifest).resource, manifest.body)
                assert is_equal(manifest, full(again, manifest)), leaf
                assert unfit(manifest, again) == fit
    assert effective.keys() == {manifest.ref.kind for manifest in manifests}, effective
    assert set(kept) <= {("Namespace", f"f:{PROJECT_LABEL}")}
    assert effective.total() > 60
    assert in_sync(manifests, everything(world))


@pytest.mark.parametrize("way", WAYS[:3], ids=lambda way: way.__name__)
def test_one_reconcile_takes_all_back(world: World, way: Way) -> None:
    """Every field of everything edited at once, but whose a namespace is: one run takes all of it back."""
    manifests = declare(world, FULL)
    finish(world)
    with world.plane.api() as api:
        for manifest in manifests:
            path = _path(kind_of(manifest).resource, manifest.ref.namespace, manifest.ref.name)
            for leaf in leaves(manifest.body, kind_of(manifest)):
                if leaf[0][-1] not in {f"f:{PROJECT_LABEL}", f"f:{MANAGED_BY}"} or manifest.ref.kind == "RoleBinding":
                    edited(api, path, manifest, way, leaf)
    assert not in_sync(manifests, everything(world))
    finish(world)
    assert in_sync(manifests, everything(world))
    assert not world.plan().plan.changes


def test_label_of_a_namespace(world: World) -> None:
    """What the policies keep from jobq is said with the command by which an admin puts it right; then it goes on."""
    manifests = declare(world, FULL)
    finish(world)
    world.kubectl("label", "namespace", "vision", f"{PROJECT_LABEL}=other", "--overwrite")
    [refusal] = world.reconcile().verdict.refusals
    command = refusal.way_out.partition(": kubectl ")[2]
    world.kubectl(*command.split())
    finish(world)
    assert in_sync(manifests, everything(world))


# ------------------------------------------------------------------------------------------------ the law


MEMBERS = [{**who, "role": role} for who in (KIM, LEE, GROUP) for role in ("viewer", "researcher", "maintainer")]
specs = st.fixed_dictionaries(
    {"members": st.lists(st.sampled_from(MEMBERS), max_size=3, unique_by=lambda one: one.get("user", "group"))},
    optional={
        "displayName": st.sampled_from(["Vision", "a: b", "訓練"]),
        "active": st.booleans(),
        "limits": st.sampled_from([LIMITS, {"jobs": 5}, {"container": {"max": {"memory": "1.5Gi"}}}]),
        "network": st.sampled_from(
            ["isolated", "open", {"from": ["ingress"]}, {"egress": "none"}, {"from": ["ingress"], "egress": "internal"}]
        ),
        "robot": st.sampled_from(["viewer", "researcher"]),
        "storage": st.just([DATA]),
        "priorities": st.sampled_from([["normal"], ["normal", "low"]]),
        "podSecurity": st.sampled_from(["baseline", "restricted"]),
    },
)
edits = st.lists(
    st.tuples(st.integers(0, 20), st.integers(0, 40), st.sampled_from(DEED_KINDS), WORDS), min_size=1, max_size=6
)


@settings(
    max_examples=20,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],  # an example takes too long to be made smaller
)
@given(specs, specs, edits)
def test_equal_is_equal_to_the_server(
    world: World,
    before: Mapping[str, object],
    after: Mapping[str, object],
    done: list[tuple[int, int, str, str]],
) -> None:
    """Any wanted state over any live one, whatever others did: an apply of what is equal would change nothing."""
    manifests = [one for one in declare(world, before) if one.ref.kind != "Namespace"]
    finish(world)
    for which, leaf, kind, word in done:
        meddle(world, manifests[which % len(manifests)], leaf, kind, word)
    live = world.live()
    wanted = [one for one in declare(world, after) if one.ref in live]
    for manifest in wanted:
        if is_equal(manifest, live[manifest.ref]):
            assert dry_run(world, manifest) == live[manifest.ref]
    finish(world)
    found = compare(world.manifests(), everything(world))
    assert [*found.suspects, *found.replaced, *found.missing] == []
