"""A project in which 1,100 jobs wait: all have places, few are asked for them, and kubectl sees the same."""

import json
import subprocess
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from cli import parts
from reconciler.cluster import Body, Cluster
from reconciler.kinds import CLUSTER_QUEUE, JOB, WORKLOAD
from tests.controlplane.plane import Plane
from tests.stage import KIM, Stage, raise_project
from tests.world import eventually

pytestmark = pytest.mark.xdist_group("crowd")
ADMIN = "admin"
COUNTED = "counted@example.org"
"""Nobody else acts as this person, while other tests do as others."""
CROWD = 1100
"""More than Kueue answers where no limit is asked for."""
Story = tuple[str, dict[str, str], Callable[[Body], bool]]
STORIES: Sequence[Story] = (
    ("done", {}, lambda status: parts.holds({"status": status}, "Complete")),
    ("failed", {"exit-code": "3"}, lambda status: parts.holds({"status": status}, "Failed")),
    ("runs", {"runs-for": "3600s"}, lambda status: bool(status.get("ready"))),
)
"""Jobs, what their pods play, and by what status that is seen; the last one takes all that the queue has."""


@pytest.fixture(scope="module")
def crowd(plane: Plane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Groups of plain pods, of which Kueue's Workloads alone are there, and behind them all a Job."""
    queue = f"crowd-{uuid.uuid4().hex[:8]}"
    members = [{"user": user, "role": "researcher"} for user in (KIM, COUNTED)]
    stage = raise_project(plane, tmp_path_factory.mktemp("home"), queue=queue, members=members)
    admin = stage.admin
    admin.create(CLUSTER_QUEUE, _strict(queue))
    for name, story, sign in STORIES:
        _job(admin, stage.project, name, story)
        assert eventually(partial(_shows, stage, name, sign))
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(partial(_group, admin, stage.project), range(1, CROWD)))
    _job(admin, stage.project, "last")
    assert eventually(lambda: admin.get(CLUSTER_QUEUE, queue)["status"].get("pendingWorkloads") == CROWD)
    yield stage
    admin.patch(CLUSTER_QUEUE, queue, {"spec": {"stopPolicy": "Hold"}})  # a strict queue tries its first without end
    admin.close()


def _shows(stage: Stage, name: str, sign: Callable[[Body], bool]) -> bool:
    return sign(stage.admin.get(JOB, name, namespace=stage.project)["status"])


def _strict(name: str) -> Body:
    """A ClusterQueue of one CPU, in which what isn't first isn't tried: so much the less to do for Kueue."""
    quota = {"name": "cpu", "nominalQuota": "1"}
    spec = {
        "namespaceSelector": {"matchLabels": {"jobq.io/cluster-queue": name}},
        "queueingStrategy": "StrictFIFO",
        "resourceGroups": [{"coveredResources": ["cpu"], "flavors": [{"name": "fake", "resources": [quota]}]}],
    }
    kind = {"apiVersion": CLUSTER_QUEUE.api_version, "kind": CLUSTER_QUEUE.kind}
    return {**kind, "metadata": {"name": name}, "spec": spec}


def _template(story: dict[str, str]) -> Body:
    container = {"name": "main", "image": "example.org/train:1", "resources": {"requests": {"cpu": "1"}}}
    told = {f"fake.jobq.io/{key}": value for key, value in story.items()}
    return {"metadata": {"annotations": told}, "spec": {"restartPolicy": "Never", "containers": [container]}}


def _job(admin: Cluster, project: str, name: str, story: dict[str, str] | None = None) -> None:
    labels = {"kueue.x-k8s.io/queue-name": "main"}
    meta = {"name": name, "namespace": project, "labels": labels, "annotations": {"jobq.io/submitted-by": KIM}}
    spec = {"suspend": True, "backoffLimit": 0, "template": _template(story or {})}
    admin.create(JOB, {"apiVersion": "batch/v1", "kind": "Job", "metadata": meta, "spec": spec})


def _group(admin: Cluster, project: str, number: int) -> None:
    """Before all of no priority."""
    pods = [{"name": "main", "count": 1, "template": _template({})}]
    body = {"apiVersion": WORKLOAD.api_version, "kind": WORKLOAD.kind}
    meta = {"name": f"group-{number:04}", "namespace": project}
    admin.create(WORKLOAD, {**body, "metadata": meta, "spec": {"queueName": "main", "priority": 10, "podSets": pods}})


def test_all_have_places(crowd: Stage) -> None:
    """In the list, in the queue, and the last one by itself; in as many requests as of one job."""
    start = crowd.plane.mark()
    rows = crowd.jobq("list", "-o", "json", user=COUNTED).json["jobs"]
    assert _asked(crowd, start) == {
        "create selfsubjectreviews": 1,
        "get configmaps": 1,
        "list jobs": 1,
        "list workloads": 1,
        "get localqueues/pendingworkloads": 1,
    }
    waiting = {row["position"]: row["name"] for row in rows if row["status"] == "Queued"}
    assert sorted(waiting) == list(range(1, CROWD + 1))
    assert waiting[CROWD] == "last"
    start = crowd.plane.mark()
    told = crowd.jobq("why", "last", "-o", "json", user=COUNTED).json
    asked = _asked(crowd, start)
    assert (told["position"], asked["get localqueues/pendingworkloads"]) == ({"project": CROWD, "overall": CROWD}, 1)
    assert "1100th in your project" in told["sentence"]
    assert asked.total() <= 19
    full = crowd.jobq("queue", "-o", "json").json
    assert (full["waiting"], full["counts"]["Queued"]) == (CROWD, CROWD)
    assert [row["name"] for row in full["pending"]] == [waiting[place] for place in sorted(waiting)]
    assert f"and {CROWD - 5} more of {CROWD} that wait" in crowd.jobq("queue", "--limit", "5").err


@pytest.mark.parametrize("queues", ["clusterqueues", "localqueues"])
def test_places_in_all_projects(crowd: Stage, queues: str) -> None:
    """An administrator's list asks ClusterQueues, a member's the own projects' queues: each where anything waits."""
    user, kubeconfig = (ADMIN, crowd.plane.kubeconfig) if queues == "clusterqueues" else (KIM, crowd.kubeconfig())
    everything = list(range(1, CROWD + 1))

    def places() -> list[int]:
        rows = crowd.jobq("list", "-A", "-o", "json", "--kubeconfig", str(kubeconfig)).json["jobs"]
        return sorted(row["position"] for row in rows if row["namespace"] == crowd.project and row["position"])

    start = crowd.plane.mark()
    assert eventually(lambda: places() == everything)  # in a plane full of tests not all answers are quick enough
    asked = [one for one in crowd.plane.requests(start, user=user, user_agent="jobq/") if "pendingworkloads" in one.uri]
    assert {one.resource for one in asked} == {f"{queues}/pendingworkloads"}


def test_kubectl_agrees(crowd: Stage) -> None:
    """Which jobs there are, and how each fares, by what kubectl shows of Jobs and Workloads."""
    command = [str(crowd.plane.kubectl), "-n", crowd.project, "get", "jobs,workloads.kueue.x-k8s.io", "-o", "json"]
    shown = subprocess.run(command, env=crowd.environment(), capture_output=True, text=True, check=True).stdout
    bodies = json.loads(shown)["items"]
    workloads = [body for body in bodies if body["kind"] == "Workload"]
    of_job = {_owner(body): body for body in workloads}
    theirs = {body["metadata"]["name"]: _status(body, of_job) for body in bodies if not _owner(body)}
    ours = {row["name"]: row["status"] for row in crowd.jobq("list", "-o", "json").json["jobs"]}
    assert Counter(theirs.values()) == {"Queued": CROWD, "Succeeded": 1, "Failed": 1, "Running": 1}
    assert ours == theirs


def _owner(body: Body) -> str:
    return next((str(one["uid"]) for one in body["metadata"].get("ownerReferences", ())), "")


def _status(body: Body, of_job: dict[str, Body]) -> str:
    """As a person reads it: the Job's end, then who runs, then whether Kueue gave quota."""
    ends = {"Complete": "Succeeded", "Failed": "Failed"}
    for kind, word in ends.items():
        if body["kind"] == "Job" and parts.holds(body, kind):
            return word
    if body.get("status", {}).get("ready"):
        return "Running"
    workload = of_job[body["metadata"]["uid"]] if body["kind"] == "Job" else body
    return "Starting" if parts.holds(workload, "QuotaReserved") else "Queued"


def _asked(stage: Stage, start: int) -> Counter[str]:
    """What was asked since, by verb and resource."""
    found = stage.plane.requests(start, user=COUNTED, user_agent="jobq/")
    return Counter(f"{one.verb} {one.resource}" for one in found)
