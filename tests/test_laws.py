"""Laws: what holds for every repository and every cluster."""

import random
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler import cycle
from reconciler.archive import archived
from reconciler.compare import compare
from reconciler.documents.writing import dump
from reconciler.documents.yaml import read_template
from reconciler.guard import check
from reconciler.model import MANAGED_BY, Answers, Declaration, Manifest, Observation, Settings, Snapshot
from reconciler.plan import make_plan
from reconciler.planned import Report
from reconciler.render import Templates, render
from reconciler.source import templates
from reconciler.terms import Terms
from tests.fakes import FakeCluster, all_live
from tests.laws import TODAY, declarations, declared, repositories, texts
from tests.world import World, changed

PACKAGED: Templates = templates(Snapshot("", {}), "project")
Files = Mapping[str, Mapping[str, object]]
Declare = Callable[[Files], Declaration]


def passed(cluster: FakeCluster, declaration: Declaration, today: date = TODAY) -> Report:
    """A whole pass, whatever it disrupts."""
    report = cycle.plan_pass(cluster, cycle.Run(declaration, PACKAGED, today))
    stop = threading.Event()
    return cycle.reconcile_pass(
        cluster, cycle.Run(declaration, PACKAGED, today, terms=Terms(approved=report.plan.disruption)), stop
    )


steps = st.lists(st.tuples(repositories, st.integers(0, 2)), min_size=1, max_size=4)


@settings(max_examples=25)
@given(declarations, steps)
def test_applied_is_in_sync(declare: Declare, history: list[tuple[Files, int]]) -> None:
    """Whatever was declared before: a plan applied and planned again is empty, archived projects included."""
    cluster = FakeCluster(Settings(cluster="demo"))
    today = TODAY
    for files, days in history:
        today += timedelta(days=days)
        declaration = declare(files)
        report = passed(cluster, declaration, today)
        assert not [outcome.error for outcome in report.outcomes if outcome.error]
        written = len(cluster.writes)
        assert changed(passed(cluster, declaration, today)) == []
        assert len(cluster.writes) == written


@settings(max_examples=40)
@given(declarations, repositories, repositories, st.randoms(use_true_random=False))
def test_order_of_inputs(declare: Declare, before: Files, after: Files, shuffler: random.Random) -> None:
    """The order in which files, manifests and live objects are read never changes a plan."""
    live = all_live(render(declare(before), PACKAGED, TODAY))

    def plan(files: Files, order: random.Random | None) -> object:
        names, refs = list(files), list(live)
        if order:
            order.shuffle(names)
            order.shuffle(refs)
        declaration = declare({name: files[name] for name in names})
        manifests = [*render(declaration, PACKAGED, TODAY)]
        seen = {ref: live[ref] for ref in refs}
        manifests += archived(seen, declaration.projects, TODAY)
        if order:
            order.shuffle(manifests)
        comparison = compare(manifests, seen)
        answers = Answers(all_live([suspect.manifest for suspect in comparison.suspects]))
        return make_plan(declaration, comparison, answers, Observation(seen, {}, {}))

    assert plan(after, None) == plan(after, shuffler)


@settings(max_examples=40)
@given(declarations, repositories, repositories, st.data())
def test_only_what_is_ours_goes(declare: Declare, before: Files, after: Files, data: st.DataObject) -> None:
    """Nothing is deleted but what carries our labels in a project's namespace, or a binding under our names there."""
    declaration = declare(before)
    live = all_live(render(declaration, PACKAGED, TODAY))
    for body in live.values():
        what = data.draw(st.sampled_from(["", "", "labels", "fields", "elsewhere"]))
        if what == "labels" and body["kind"] != "Namespace":
            body["metadata"].pop("labels")
        if what == "fields" and body["kind"] != "Namespace":
            body["metadata"].pop("managedFields")
    manifests = render(declare(after), PACKAGED, TODAY)
    for body in compare(manifests, live).surplus:
        metadata = body["metadata"]
        named = body["kind"] == "RoleBinding" and metadata["name"].startswith("jobq:")
        assert named or (metadata["labels"][MANAGED_BY] == "jobq" and metadata["managedFields"])
        homes = {project.namespace for project in declaration.projects.values()}
        assert metadata.get("namespace") in {*homes, "jobq-system"}
        assert body["kind"] != "PersistentVolumeClaim"


@settings(max_examples=40)
@given(declarations, repositories, st.lists(st.integers(0, 3), min_size=2, max_size=3))
def test_archived_is_at_rest(declare: Declare, files: Files, later: list[int]) -> None:
    """What an archived project becomes is decided once: on every later day it is the same."""
    live = all_live(render(declare(files), PACKAGED, TODAY))
    first = archived(live, [], TODAY)
    again = all_live(first)
    for days in later:
        assert [m.body for m in archived(again, [], TODAY + timedelta(days=days))] == [m.body for m in first]
        comparison = compare(archived(again, [], TODAY + timedelta(days=days)), again)
        assert [*comparison.suspects, *comparison.missing, *comparison.surplus, *comparison.replaced] == []


@settings(max_examples=40)
@given(st.integers(1, 30), st.integers(0, 30), st.integers(1, 5), st.sampled_from([0, 1, 5, "10%", "50%", "100%"]))
def test_more_removed_is_no_less_refused(live: int, disrupted: int, more: int, limit: int | str) -> None:
    """Adding a disruption never turns a refusal into an allowance."""
    declaration = declared({"vision": {}})
    nothing = make_plan(declaration, compare((), {}), Answers(), Observation({}, {}, {}))
    names = [f"p{number}" for number in range(disrupted + more)]
    few = replace(nothing, live=live, disrupted=names[:disrupted], disruption="few")
    many = replace(nothing, live=live, disrupted=names, disruption="many")
    settings_ = replace(declaration.settings, disrupted_limit=limit)
    assert check(many, settings_, (), Terms()).refused or not check(few, settings_, (), Terms()).refused
    assert not check(few, settings_, (), Terms(approved="few")).refused
    assert check(many, settings_, (), Terms(approved="few")).refused == check(many, settings_, (), Terms()).refused


# ------------------------------------------------------------------------------------------------ rendering


def shape(node: object) -> object:
    """A value with every leaf taken out."""
    match node:
        case dict():
            return {key: shape(value) for key, value in node.items()}
        case list():
            return [shape(item) for item in node]
        case _:
            return None


def rendered(declaration: Declaration) -> tuple[Manifest, ...]:
    return render(declaration, PACKAGED, TODAY)


@settings(max_examples=60)
@given(texts, texts, texts, st.lists(texts, max_size=2))
def test_values_are_leaves(name: str, description: str, env: str, tags: list[str]) -> None:
    """No text of a project can change the shape of a manifest: it comes out as the leaf that it went in as."""
    plain = declared({"vision": {"members": [{"user": "kim", "role": "viewer"}], "description": "x"}})
    vision = plain.projects["vision"]
    member = replace(vision.members[0], name=description or "x")
    changed_project = replace(
        vision,
        display_name=name,
        description=description,
        tags=tags,
        members=(member,),
        defaults=replace(vision.defaults, env={"A": env}),
    )
    usual = rendered(plain)
    other = rendered(replace(plain, projects={"vision": changed_project}))
    assert [manifest.ref for manifest in other] == [manifest.ref for manifest in usual]
    assert [shape(manifest.body) for manifest in other] == [shape(manifest.body) for manifest in usual]
    bodies = {manifest.ref.kind: manifest.body for manifest in other}
    assert bodies["ConfigMap"]["data"]["displayName"] == name
    assert bodies["ConfigMap"]["data"]["description"] == description
    assert bodies["RoleBinding"]["subjects"][0]["name"] == member.name


@settings(max_examples=40)
@given(repositories)
def test_rendered_twice_is_byte_equal(files: Files) -> None:
    """One commit on one day renders to the same bytes, in whatever order its files are read."""
    bodies = [manifest.body for manifest in rendered(declared(files))]
    backwards = [manifest.body for manifest in rendered(declared(dict(reversed(list(files.items())))))]
    assert dump(bodies) == dump(backwards)


@settings(max_examples=40)
@given(repositories)
def test_dumped_and_read_is_the_same(files: Files) -> None:
    """What `jobq render` prints reads back as what it was made from."""
    bodies = [manifest.body for manifest in rendered(declared(files))]
    assert [document.value for document in read_template(dump(bodies), "stdout")] == bodies


# ------------------------------------------------------------------------------------------------ the fake's contract


KIM, LEE = {"user": "kim@example.org", "role": "viewer"}, {"group": "oidc:lee", "role": "researcher"}
HISTORY: list[Files] = [
    {"vision": {"members": [KIM, LEE]}},
    {"vision": {"members": [KIM], "displayName": "Vision", "limits": {"jobs": 5}}, "speech": {}},
    {"vision": {"members": [LEE], "clusterQueue": "fake-shared", "active": False}, "speech": {}},
    {"speech": {"network": "open"}},
]


def test_the_fake_is_planned_as_the_real_one(world: World) -> None:
    """The contract of the cluster in memory: a real API server is planned alike, change by change, field by field."""
    fake = FakeCluster(Settings(cluster="demo"))
    for files in HISTORY:
        found = []
        for cluster in (fake, world.cluster):
            report = cycle.reconcile_pass(cluster, cycle.Run(declared(files), PACKAGED, TODAY), threading.Event())
            assert not [outcome.error for outcome in report.outcomes if outcome.error]
            found.append([(change.action, change.ref, change.because, change.fields) for change in report.plan.changes])
        assert found[0] == found[1] != []
