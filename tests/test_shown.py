"""Whole outputs of `status` and `queue`, made of what was recorded of jobs on a real cluster."""

import copy
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from cli import console
from cli.explain.details import Details
from cli.explain.jobs import AnyJob
from cli.explain.overview import overview
from cli.explain.reading import evidence_of
from cli.explain.standing import Position
from cli.explain.why import explain
from cli.job import queue, status
from cli.job.positions import Positions
from cli.job.reading import Found
from reconciler.kinds import JOB
from tests.golden import same_as_kept
from tests.recordings import Raw, recording
from tests.stage import KIM

STORIES = ["running", "quota-behind-others", "array-reduced", "failed-exit-3"]


@pytest.fixture
def form(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """A terminal of some width, or JSON."""
    if request.param != "json":
        monkeypatch.setattr(console, "width", lambda: request.param)
        monkeypatch.setattr(console, "_is_terminal", lambda _: True)
        monkeypatch.setenv("NO_COLOR", "1")
    return str(request.param)


def kept(name: str, form: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Compare what was printed."""
    out, err = capsys.readouterr()
    same_as_kept(f"shown/{name}.json" if form == "json" else f"shown/{name}-{form}.txt", out + err)


@pytest.mark.parametrize("form", [30, 100, "json"], indirect=True)
@pytest.mark.parametrize("story", STORIES)
def test_status(story: str, form: str, capsys: pytest.CaptureFixture[str]) -> None:
    evidence = evidence_of(recording(story))
    job = AnyJob(JOB, dict(evidence.job), dict(evidence.workload), evidence.now)
    answer = explain(evidence)
    again = f"jobq stop {job.name} && jobq resume {job.name}"
    status.show(
        Details(job, overview(job, evidence, answer), answer, evidence, again), form if form == "json" else "text"
    )
    kept(story, form, capsys)


@pytest.mark.parametrize("form", [80, 140, "json"], indirect=True)
def test_queue(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Ours borrow two of four GPUs, others use CPUs; two of three that wait are shown, one of them without a place."""
    raw = recording("borrowing-running")
    waiting = [_waits(name, minutes) for name, minutes in (("tune-a1b2c", 50), ("eval-d3e4f", 7), ("late-g5h6i", 1))]
    jobs = [AnyJob(JOB, one["job"], one["workload"]) for one in (raw, *waiting)]
    places = {("vision", f"job-{name}"): Position(*at) for name, at in (("tune-a1b2c", (1, 2)), ("eval-d3e4f", (2, 9)))}
    entry: Any = SimpleNamespace(name="vision", namespace="vision", queue="main", cluster_queue="gpu-shared")
    found = Found(jobs, Positions(places, "no answer within 2 s"))
    shared = copy.deepcopy(raw["clusterQueue"])
    for one in shared["status"]["flavorsReservation"][0]["resources"]:
        one["total"] = {"cpu": "3", "memory": "5Gi"}.get(one["name"], one["total"])
    workloads = [one["workload"] for one in (raw, *waiting)]
    seen = queue.Seen(entry, found, workloads, raw["localQueue"], shared)
    queue.show(seen, datetime.fromisoformat(raw["now"]), 3 if form == "json" else 2, form if form == "json" else "text")
    kept("queue", form, capsys)


def _waits(name: str, minutes: int) -> Raw:
    """A job that waits for quota since so many minutes, by the clock of the one that runs."""
    raw, now = recording("borrowing-waiting"), datetime.fromisoformat(recording("borrowing-running")["now"])
    meta = {"creationTimestamp": (now - timedelta(minutes=minutes)).isoformat()}
    raw["job"]["metadata"] |= meta | {"name": name, "uid": name, "annotations": {"jobq.io/submitted-by": KIM}}
    raw["workload"]["metadata"] |= meta | {"name": f"job-{name}"}
    return raw
