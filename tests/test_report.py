"""Reports of runs, as people, programs and pull requests get them: whole outputs, kept in tests/cases/report."""

import json
import threading
from dataclasses import replace

import pytest

from reconciler import cycle
from reconciler.cluster import Body, Resource
from reconciler.errors import Rejected
from reconciler.model import Origin, Problem, Settings
from reconciler.planned import Effect, EffectKind, Result
from reconciler.report import MARKDOWN_LIMIT, as_json, as_markdown, as_text, problems_data, problems_text, summary
from tests.fakes import FakeCluster
from tests.golden import same_as_kept
from tests.laws import declared
from tests.stories import BOTH, GROUP, KIM, PACKAGED, TEN, Files, Story, told
from tests.world import TODAY

DATA = {"name": "data", "size": "2Ti", "class": "fast", "access": "ReadWriteMany"}
STORIES = {
    "first": Story(BOTH),
    "first-applied": Story(BOTH, applied=True),
    "in-sync": Story(BOTH, [BOTH]),
    "in-sync-applied": Story(BOTH, [BOTH], applied=True),
    "members": Story({**BOTH, "vision": {"members": [GROUP, {**KIM, "role": "viewer"}]}}, [BOTH]),
    "expired": Story(BOTH, [BOTH], days=2),
    "paused": Story({**BOTH, "vision": {"members": [KIM, GROUP], "active": False}}, [BOTH]),
    "resumed": Story(BOTH, [{**BOTH, "vision": {"members": [KIM, GROUP], "active": False}}]),
    "moved": Story({**BOTH, "vision": {"members": [KIM, GROUP], "clusterQueue": "fake-shared"}}, [BOTH]),
    "archived": Story({"speech": BOTH["speech"]}, [BOTH]),
    "restored": Story(BOTH, [BOTH, {"speech": BOTH["speech"]}]),
    "too-many": Story({name: TEN[name] for name in list(TEN)[:4]}, [TEN]),
    "alike": Story({name: {**spec, "displayName": "Everybody's"} for name, spec in TEN.items()}, [TEN]),
    "robot": Story({"vision": {"robot": "researcher"}}, [{"vision": {}}]),
    "robot-gone": Story({"vision": {}}, [{"vision": {"robot": "researcher"}}]),
    "network": Story(
        {"vision": {"network": {"from": ["speech"], "egress": "internal"}}, "speech": {}},
        [{"vision": {}, "speech": {}}],
    ),
    "storage": Story({"vision": {"storage": [DATA]}}, [{"vision": {}}]),
    "storage-dropped": Story({"vision": {}}, [{"vision": {"storage": [DATA]}}]),
    "storage-refused": Story(
        {"vision": {"storage": [{**DATA, "size": "1Ti", "class": "slow"}], "displayName": "Goes on"}},
        [{"vision": {"storage": [DATA]}}],
    ),
    "queue-renamed": Story(BOTH, [BOTH], disrupted=2, patterns='queue = "{namespace}-user-queue"\n'),
    "namespace-renamed": Story(BOTH, [BOTH], patterns='namespace = "team-{project}"\n'),
    "limits": Story({"vision": {"limits": {"jobs": 5, "container": {"max": {"cpu": "2"}}}}}, [{"vision": {}}]),
}


@pytest.mark.parametrize("name", STORIES)
def test_story(name: str) -> None:
    """A run is told alike each time, in all three forms."""
    report = told(STORIES[name])
    same_as_kept(f"report/{name}.txt", f"{as_text(report)}\n")
    same_as_kept(f"report/{name}.md", f"{as_markdown(report)}\n")
    same_as_kept(f"report/{name}.json", f"{json.dumps(as_json(report), indent=2, ensure_ascii=False)}\n")


class Broken(FakeCluster):
    """A cluster that takes no LocalQueue."""

    def apply(self, resource: Resource, body: Body, *, dry_run: bool = False) -> Body:
        """Refused for that kind."""
        if resource.kind == "LocalQueue":
            raise Rejected("can't apply localqueues: admission webhook denied it", code=422)
        return super().apply(resource, body, dry_run=dry_run)


def test_failed() -> None:
    """What failed is told with the server's words, and what was skipped with the reason; other projects are done."""
    cluster = Broken(Settings(cluster="demo"))
    report = cycle.reconcile_pass(cluster, cycle.Run(declared(BOTH), PACKAGED, TODAY), threading.Event())
    results = {outcome.result for outcome in report.outcomes}
    assert results == {Result.CREATED, Result.FAILED, Result.SKIPPED}
    same_as_kept("report/failed.txt", f"{as_text(report)}\n")


def test_interrupted() -> None:
    """An interrupted run says what was done, what wasn't, and how to go on."""
    stop = threading.Event()
    cluster = FakeCluster(Settings(cluster="demo"))
    report = cycle.plan_pass(cluster, cycle.Run(declared({"vision": BOTH["vision"]}), PACKAGED, TODAY))
    told_of = []

    def tell(outcome: object) -> None:
        told_of.append(outcome)
        if len(told_of) == 3:
            stop.set()

    report = cycle.reconcile_pass(cluster, cycle.Run(declared({"vision": BOTH["vision"]}), PACKAGED, TODAY), stop, tell)
    assert report.interrupted
    assert [outcome.result for outcome in report.outcomes[:4]] == [*[Result.CREATED] * 3, Result.SKIPPED]
    same_as_kept("report/interrupted.txt", f"{as_text(report)}\n")


def test_markdown_is_bounded_and_inert() -> None:
    """A comment is never longer than GitHub takes, has its totals first, and nothing in it is markup."""
    report = told(STORIES["first"])
    wild = [
        Effect(EffectKind.COPY, "vision", f"<script>`{number}` @everyone ![x](http://x) ||| " * 5)
        for number in range(2000)
    ]
    text = as_markdown(replace(report, plan=replace(report.plan, effects=wild)))
    assert len(text) <= MARKDOWN_LIMIT
    head, *rest = text.split("\n")
    assert head.strip("*").replace("\\", "") == summary(report)
    assert rest[-1].startswith("(cut: ")
    ours = {"<details><summary>19 objects</summary>", "</details>"}
    assert all(line.startswith("    ") or not line or line in ours for line in rest[:-1])


def test_line_breaks_in_a_value_stay_in_its_line() -> None:
    """No value of a project file can begin a line of a report."""
    before: Files = {"vision": {"members": [GROUP]}}
    after: Files = {"vision": {"members": [GROUP], "description": "x\n# heading\n- [ ] task"}}
    for form in (as_text, as_markdown):
        lines = form(told(Story(after, [before]))).splitlines()
        assert not [line for line in lines if line.strip().startswith(("# heading", "- [ ]"))]


def test_problems() -> None:
    """A problem is a line as compilers write it, and the same for programs."""
    found = [
        Problem(Origin("projects.d/a.yaml", 3, 7), "unknown field x", "did you mean y?"),
        Problem(Origin("projects.d/b.yaml"), "surely not meant", warning=True),
    ]
    assert problems_text(found).splitlines() == [
        "projects.d/a.yaml:3:7: unknown field x (did you mean y?)",
        "projects.d/b.yaml: warning: surely not meant",
    ]
    assert problems_data(found)[0] == {
        "path": "projects.d/a.yaml",
        "line": 3,
        "column": 7,
        "reason": "unknown field x",
        "hint": "did you mean y?",
        "severity": "error",
    }
