"""Differences field by field, selectors, and a plan of many projects that can still be read."""

import json
import threading
from typing import Any

from deepdiff import DeepDiff
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler import cycle
from reconciler.comparing import differences
from reconciler.comparing.differences import field_changes, readable
from reconciler.kinds import NAMESPACE
from reconciler.model import Settings
from reconciler.planned import Effect, EffectKind, Weight
from reconciler.planning.folding import fold_effects
from reconciler.report import MARKDOWN_LIMIT, as_json, as_markdown, as_text
from reconciler.selectors import said, selects
from tests.controlplane.plane import ROOT
from tests.fakes import FakeCluster
from tests.laws import declared
from tests.stories import BOTH, GROUP, PACKAGED, Story, descends, told
from tests.world import TODAY, World

scalars = st.sampled_from(["a", "b", "", "2", 2, 3, True, False])
KEYS = st.sampled_from(["x", "y", "a.b/c"])
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["x", "y", "a.b/c"]), inner, max_size=3)
    ),
    max_leaves=8,
)
bodies = st.dictionaries(st.sampled_from(["spec", "data", "metadata"]), values, max_size=3)


@settings(max_examples=150)
@given(bodies, bodies)
def test_differences_are_those_of_the_whole(before: dict[str, Any], after: dict[str, Any]) -> None:
    """What is found in two shapes is what a comparison of the objects themselves finds."""
    found = [[change.path, change.before, change.after] for change in field_changes(before, after)]
    whole = DeepDiff(before, after, view="tree", ignore_order=False, threshold_to_diff_deeper=0)
    levels = [level for group in whole.values() for level in group]
    expected = [
        [readable(level.path(output_format="list")), differences._present(level.t1), differences._present(level.t2)]
        for level in levels
    ]
    assert sorted(map(_text, found)) == sorted(map(_text, expected))


def _text(value: object) -> str:
    return json.dumps(value, sort_keys=True)


def test_equal_changes_are_compared_once() -> None:
    """One template's change in many projects is one comparison, whatever values they have."""
    differences._differences.cache_clear()
    for number in range(100):
        before = {"metadata": {"name": f"p{number}", "labels": {"a": f"{number}"}}}
        after = {"metadata": {"name": f"p{number}", "labels": {"a": f"{number + 1}", "b": "new"}}}
        [first, second] = field_changes(before, after)
        assert (first.before, first.after) == (f"{number}", f"{number + 1}")
        assert (second.path, second.before, second.after) == ("metadata.labels.b", None, "new")
    assert differences._differences.cache_info().misses == 1


def test_many_projects_are_a_page() -> None:
    """A template's change over many projects is read on one page, in text and in markdown."""
    files = {f"p{number:03}": {"members": [GROUP]} for number in range(150)}
    cluster = FakeCluster(Settings(cluster="demo"))
    declaration = declared(files)
    cycle.reconcile_pass(cluster, cycle.Run(declaration, PACKAGED, TODAY), threading.Event())
    path, text = PACKAGED["localqueue.yaml.j2"]
    changed = {
        **PACKAGED,
        "localqueue.yaml.j2": (path, text.replace("metadata:\n", "metadata:\n  labels: {team: x}\n")),
    }
    report = cycle.plan_pass(cluster, cycle.Run(declaration, changed, TODAY, lineage=descends))
    lines = as_text(report).splitlines()
    assert lines[0].startswith("~ 150 x LocalQueue, for example LocalQueue p000/main: ")
    assert lines[1] == '    metadata.labels.team: (absent) -> "x"'
    assert len(lines) < 10
    assert len(as_markdown(report)) < MARKDOWN_LIMIT // 10


def test_many_effects_of_all_sorts_stay_within_a_comment() -> None:
    """People are named one by one while they are few; the same of many projects or people is one line."""
    gained = [Effect(EffectKind.GAINED, "vision", "no access -> viewer", people=[f"u{n}"]) for n in range(10)]
    assert len(fold_effects(gained)) == 10
    gained.append(Effect(EffectKind.GAINED, "speech", "no access -> viewer", people=["u10"]))
    assert fold_effects(gained) == [
        (Weight.INFO, "u0, u1, u2, u3, u4 and 6 more in vision, speech: no access -> viewer", "")
    ]
    paused = [
        Effect(EffectKind.PAUSED, f"p{n}", "paused", Weight.DISRUPTIVE, counts={"running": n, "waiting": 1})
        for n in range(4)
    ]
    assert fold_effects(paused) == [(Weight.DISRUPTIVE, "p0, p1, p2, p3: paused (6 running, 4 waiting)", "")]
    assert len(fold_effects(paused[:3])) == 3


def test_way_out_of_many() -> None:
    """What many projects meet shows the way out of one of them, and says so; what one meets shows its own."""
    guests = [
        Effect(EffectKind.FOREIGN_ACCESS, f"p{n}", "guests", way_out=f"kubectl delete rolebinding -n p{n} guests")
        for n in range(4)
    ]
    assert fold_effects(guests) == [
        (Weight.INFO, "p0, p1, p2, p3: guests", "for example kubectl delete rolebinding -n p0 guests")
    ]
    assert fold_effects(guests[3:]) == [(Weight.INFO, "p3: guests", "kubectl delete rolebinding -n p3 guests")]


SELECTORS: list[dict[str, Any]] = [
    {},
    {"matchLabels": {"team": "blue"}},
    {"matchLabels": {"team": "blue", "tier": "gold"}},
    {"matchExpressions": [{"key": "team", "operator": "In", "values": ["blue", "red"]}]},
    {"matchExpressions": [{"key": "team", "operator": "NotIn", "values": ["blue"]}]},
    {"matchExpressions": [{"key": "tier", "operator": "Exists"}]},
    {"matchExpressions": [{"key": "tier", "operator": "DoesNotExist"}, {"key": "team", "operator": "Exists"}]},
    {"matchLabels": {"tier": "gold"}, "matchExpressions": [{"key": "team", "operator": "NotIn", "values": ["red"]}]},
]


def test_selectors(world: World) -> None:
    """A selector is judged as the API server judges it, and told as kubectl takes it; an absent one selects nothing."""
    sets = [{}, {"team": "blue"}, {"team": "red", "tier": "gold"}, {"team": "blue", "tier": "gold"}, {"tier": "gold"}]
    labels = {f"selected-{number}": {**each, "probe": "selectors"} for number, each in enumerate(sets)}
    for name, each in labels.items():
        world.admin.create(NAMESPACE, {"metadata": {"name": name, "labels": each}})
    for selector in SELECTORS:
        words = "" if said(selector) == "everything" else f",{said(selector)}"
        found = world.admin.list(NAMESPACE, labels=f"probe=selectors{words}").items
        chosen = {name for name, each in labels.items() if selects(selector, each)}
        assert {item["metadata"]["name"] for item in found} == chosen, selector
    assert not selects(None, {"team": "blue"})


def test_every_word_is_documented() -> None:
    """The README has each kind of effect and each key of the JSON."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    section = text[text.index("### JSON of plan and reconcile") : text.index("## More")]
    assert [kind for kind in EffectKind if f"`{kind}`" not in section] == []
    report = told(Story({**BOTH, "art": {"clusterQueue": "nowhere"}}, applied=True))
    data = as_json(report)
    keys = {*data, *data["totals"], *data["effects"][0], *data["refusals"][0], *data["changes"][0]}
    assert [key for key in keys if f'"{key}"' not in section] == []
