"""What Kueue says of jobs when it has come to a stop in between: put there by hand, since a healthy one goes on."""

from datetime import datetime, timedelta

import pytest

from cli import clock
from reconciler.cluster import Body
from reconciler.kinds import JOB, WORKLOAD
from tests.controlplane.plane import Plane
from tests.run import finish
from tests.stage import KIM, Stage, raise_project

HOURS = timedelta(hours=3)
MINUTES = timedelta(minutes=10)
SOON = timedelta(minutes=-1)
"""A clock that goes ahead: not even a slow test makes this long ago."""
States = dict[str, tuple[timedelta, dict[str, str], str, str, list[str]]]
"""By a job's name: since when, Kueue's true conditions with their reasons, its status and code, and words of why."""
ADMITTED = {"QuotaReserved": "QuotaReserved", "Admitted": "Admitted"}
STATES: States = {
    "both": (
        HOURS,
        {**ADMITTED, "Evicted": "PodsReadyTimeout"},
        "Evicted",
        "EvictedNotRequeued",
        ["has not put it back, although that was due", "its quota (2 CPUs) still counts"],
    ),
    "overdue": (
        HOURS,
        {"Evicted": "PodsReadyTimeout"},
        "Evicted",
        "EvictedNotRequeued",
        ["has not put it back, although that was due", "`jobq stop overdue`, then `jobq resume overdue`"],
    ),
    "stuck": (MINUTES, ADMITTED, "Stuck", "AdmittedSuspended", ["yet the job is still suspended"]),
    "done": (MINUTES, {**ADMITTED, "Finished": "Succeeded"}, "Succeeded", "Succeeded", ["Succeeded"]),
    "lost": (MINUTES, {**ADMITTED, "Finished": "Failed"}, "Failed", "Failed", ["Failed"]),
    "fresh": (SOON, ADMITTED, "Starting", "JustAdmitted", ["Ask again in a moment"]),
}
"""Only the last is on its way; of the ended ones the Job itself doesn't say so."""


@pytest.fixture(scope="module")
def stage(api_plane: Plane, tmp_path_factory: pytest.TempPathFactory) -> Stage:
    """A project with a job in each of these states, on an API server that nobody else writes to."""
    own = raise_project(api_plane, tmp_path_factory.mktemp("home"))
    for name, (since, conditions, *_) in STATES.items():
        put(own, name, clock.now() - since, conditions)
    return own


def put(stage: Stage, name: str, since: datetime, conditions: dict[str, str]) -> None:
    """A suspended Job, and its Workload with these conditions since then."""
    container = {"name": "main", "image": "example.org/train:1", "resources": {"requests": {"cpu": "2"}}}
    template = {"spec": {"restartPolicy": "Never", "containers": [container]}}

    def of(name: str, **more: object) -> Body:
        return {"name": name, "namespace": stage.project, **more}

    meta = of(name, labels={"kueue.x-k8s.io/queue-name": "main"}, annotations={"jobq.io/submitted-by": KIM})
    made = stage.admin.create(JOB, {"metadata": meta, "spec": {"suspend": True, "template": template}})
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": name, "uid": made["metadata"]["uid"], "controller": True}
    labels = {"kueue.x-k8s.io/job-uid": owner["uid"]}
    meta = of(f"job-{name}-00000", labels=labels, ownerReferences=[owner])
    sets = [{"name": "main", "count": 1, "template": template}]
    stage.admin.create(
        WORKLOAD,
        {
            "apiVersion": WORKLOAD.api_version,
            "kind": WORKLOAD.kind,
            "metadata": meta,
            "spec": {"queueName": "main", "podSets": sets},
        },
    )
    path = f"/apis/kueue.x-k8s.io/v1beta2/namespaces/{stage.project}/workloads/{meta['name']}/status"
    with stage.plane.api() as api:
        merge = {"Content-Type": "application/merge-patch+json"}
        api.call("PATCH", path, {"status": told(since, conditions)}, merge)


def told(since: datetime, conditions: dict[str, str]) -> Body:
    at = f"{since:%Y-%m-%dT%H:%M:%SZ}"
    said: Body = {
        "conditions": [
            {"type": kind, "status": "True", "reason": reason, "message": "", "lastTransitionTime": at}
            for kind, reason in conditions.items()
        ]
    }
    if "Admitted" in conditions:
        assigned = {"name": "main", "count": 1, "flavors": {"cpu": "fake"}, "resourceUsage": {"cpu": "2"}}
        said["admission"] = {"clusterQueue": "fake-shared", "podSetAssignments": [assigned]}
    if "Evicted" in conditions:
        due = since + timedelta(minutes=1)
        said["requeueState"] = {"count": 1, "requeueAt": f"{due:%Y-%m-%dT%H:%M:%SZ}"}
    return said


def test_told_alike(stage: Stage) -> None:
    """List, status and why agree on each: what has come to a stop looks neither as if it ran nor as if it started."""
    asked = [["list", "-o", "json"], *([word, name, "-o", "json"] for name in STATES for word in ("why", "status"))]
    running = [stage.start(*words) for words in asked]
    listed, *each = [finish(one, words).json for one, words in zip(running, asked, strict=True)]
    assert {row["name"]: row["status"] for row in listed["jobs"]} == {name: STATES[name][2] for name in STATES}
    for (_, _, status, code, words), why, shown in zip(STATES.values(), each[::2], each[1::2], strict=True):
        assert (why["code"], why["status"], shown["status"]) == (code, status, status)
        text = f"{why['sentence']} {why['action']}"
        assert not [word for word in words if word not in text], text
