"""Why jobs are as they are, on a real control plane: asked by a member, saved, and explained again from the file."""

import json
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cli import clock, selection
from cli.explain.answer import Answer, Code
from cli.explain.reading import evidence_of
from cli.explain.why import explain
from cli.job import why
from cli.job.gathering import glance
from cli.job.reading import read_jobs
from reconciler.cluster import Body, Resource
from reconciler.kinds import (
    CLUSTER_QUEUE,
    CONFIG_MAP,
    JOB,
    LOCAL_QUEUE,
    NAMESPACE,
    RESOURCE_FLAVOR,
    RESOURCE_QUOTA,
    WORKLOAD,
)
from reconciler.kube import KubeCluster, connect
from tests.controlplane.api import Api
from tests.controlplane.plane import Plane
from tests.stage import KIM, Stage, raise_project
from tests.test_judgement import WEAKER
from tests.world import eventually

pytestmark = pytest.mark.xdist_group("why")
GPU = "nvidia.com/gpu"
CHECK = Resource("kueue.x-k8s.io", "v1beta2", "admissionchecks", "AdmissionCheck", namespaced=False)
TOPOLOGY = Resource("kueue.x-k8s.io", "v1beta2", "topologies", "Topology", namespaced=False)
WORKLOAD_STATUS = "/apis/kueue.x-k8s.io/v1beta2/namespaces/{}/workloads/{}/status"


class Bench:
    """A project with a ClusterQueue of its own, whose pods only pretend, and what tests do to both."""

    def __init__(self, stage: Stage, queue: str) -> None:
        self.stage = stage
        self.queue = queue
        self.admin = stage.admin
        self.kim: KubeCluster = connect(kubeconfig=str(stage.kubeconfig()))

    def submit(self, name: str, *, cpu: str = "1", gpus: int = 0, pod: Body | None = None, **spec: Any) -> None:  # noqa: ANN401 - JSON
        """Make a Job as its member would; ``labels`` and ``annotations`` (of the pod: ``story``) beside its spec."""
        labels = {"kueue.x-k8s.io/queue-name": "main", **spec.pop("labels", {})}
        story = {"fake.jobq.io/runs-for": "600s", **spec.pop("story", {})}
        story |= {"kueue.x-k8s.io/podset-required-topology": level} if (level := spec.pop("topology", "")) else {}
        amounts = {"cpu": cpu} | ({GPU: str(gpus)} if gpus else {})
        limits = {GPU: str(gpus)} if gpus else {}
        container = {
            "name": "main",
            "image": spec.pop("image", "example.org/train:1"),
            "resources": {"requests": amounts, "limits": limits},
            "env": [{"name": "TOKEN", "value": "s3cret-value"}],
            "args": ["--password=s3cret-word"],
        }
        inner = {
            "restartPolicy": "Never",
            "serviceAccountName": "jobq-runner",
            "containers": [container],
            **(pod or {}),
        }
        template = {"metadata": {"annotations": story}, "spec": inner}
        body = {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {
                "name": name,
                "namespace": self.stage.project,
                "labels": labels,
                "annotations": {"jobq.io/command": "train --password=s3cret-word", **spec.pop("annotations", {})},
            },
            "spec": {"suspend": True, "backoffLimit": 0, "template": template, **spec},
        }
        self.kim.create(JOB, body)

    def ask(self, name: str) -> Answer:
        """What a member is told; the very same must be told by what is saved."""
        raw = why.recorded(self.kim, selection.current(self.kim, self.stage.project), name)
        saved = json.dumps(raw)
        assert "s3cret" not in saved
        answer = explain(evidence_of(raw))
        assert explain(evidence_of(json.loads(saved))) == answer
        return answer

    def told(self, name: str, code: Code) -> Answer:
        """The answer once it has this code."""
        answers: list[Answer] = []

        def is_told() -> bool:
            answers.append(self.ask(name))
            return answers[-1].code is code

        assert eventually(is_told), (name, answers[-1])
        agreeing = {code, *WEAKER.get(code, ())}
        assert eventually(lambda: {*self.briefly(name)} <= agreeing), (name, code, self.briefly(name))
        return answers[-1]

    def briefly(self, name: str) -> list[Code]:
        """The codes that `list` and `status` tell."""
        current = selection.current(self.kim, self.stage.project)
        (job,) = [one for one in read_jobs(self.kim, current.entry, positions=False).jobs if one.name == name]
        now = clock.now()
        return [explain(job.evidence(now)).code, explain(evidence_of(glance(self.kim, current.entry, job))).code]

    def says(self, name: str, words: str) -> bool:
        """Whether the sentence or the action has these words before long: a queue's numbers come a moment later."""
        return eventually(lambda: words in self.ask(name).sentence or words in self.ask(name).action)

    def workload(self, name: str) -> Body:
        """The Workload of a job, once there is one."""
        found: list[Body] = []

        def there() -> bool:
            uid = self.admin.get(JOB, name, namespace=self.stage.project)["metadata"]["uid"]
            labels = f"kueue.x-k8s.io/job-uid={uid}"
            found[:] = self.admin.list(WORKLOAD, namespace=self.stage.project, labels=labels).items
            return bool(found)

        assert eventually(there)
        return found[0]

    def set_workload(self, name: str, spec: Body) -> None:
        """Change a Workload, as jobq stop does."""
        self.kim.patch(WORKLOAD, self.workload(name)["metadata"]["name"], {"spec": spec}, namespace=self.stage.project)

    def check(self, name: str, state: str, message: str, **more: int) -> None:
        """Say what an admission check's controller would, now."""
        body = self.workload(name)
        said = {"state": state, "message": message, "lastTransitionTime": f"{clock.now():%Y-%m-%dT%H:%M:%SZ}", **more}
        told = [one | said for one in body["status"]["admissionChecks"]]
        path = WORKLOAD_STATUS.format(self.stage.project, body["metadata"]["name"])
        with self.stage.plane.api() as api:
            _merge(api, path, {"status": {"admissionChecks": told}})


def _merge(api: Api, path: str, body: Body) -> None:
    api.call("PATCH", path, body, {"Content-Type": "application/merge-patch+json"})


def cluster_queue(name: str, *, checks: tuple[str, ...] = (), **more: Any) -> Body:  # noqa: ANN401 - JSON
    """A ClusterQueue with 4 CPUs and 2 GPUs on the nodes that pretend, which preempts by priority."""
    spec = {
        "namespaceSelector": {"matchLabels": {"jobq.io/cluster-queue": name}},
        "preemption": {"withinClusterQueue": "LowerPriority"},
        "resourceGroups": [_group("4", "2")],
        **({"admissionChecksStrategy": {"admissionChecks": [{"name": one} for one in checks]}} if checks else {}),
        **more,
    }
    return {
        "apiVersion": CLUSTER_QUEUE.api_version,
        "kind": CLUSTER_QUEUE.kind,
        "metadata": {"name": name},
        "spec": spec,
    }


@pytest.fixture
def bench(plane: Plane, tmp_path: Path) -> Iterator[Callable[..., Bench]]:
    """A way to set up benches; each has a queue and a project of new names, and gives both up afterwards."""
    made: list[Bench] = []

    def set_up(*, checks: tuple[str, ...] = (), **entry: str) -> Bench:
        stage = raise_project(plane, tmp_path)
        queue = f"why-{stage.project}"
        stage = _moved(stage, queue, **entry)
        stage.admin.create(CLUSTER_QUEUE, cluster_queue(queue, checks=checks))
        made.append(Bench(stage, queue))
        return made[-1]

    yield set_up
    for one in made:
        one.admin.delete(NAMESPACE, one.stage.project)
        one.admin.delete(CLUSTER_QUEUE, one.queue)


def _moved(stage: Stage, queue: str, **entry: str) -> Stage:
    """The same project behind its own queue."""
    admin, name = stage.admin, stage.project
    admin.delete(LOCAL_QUEUE, "main", namespace=name)
    local = {"apiVersion": LOCAL_QUEUE.api_version, "kind": "LocalQueue", "spec": {"clusterQueue": queue}}
    admin.create(LOCAL_QUEUE, local | {"metadata": {"name": "main", "namespace": name}})
    admin.patch(NAMESPACE, name, {"metadata": {"labels": {"jobq.io/cluster-queue": queue}}})
    admin.patch(CONFIG_MAP, name, {"data": {"clusterQueue": queue, **entry}}, namespace="jobq-system")
    return stage


def _place(answer: Answer) -> str:
    """``1st in your project, 1st overall``; by chance among jobs of the same second."""
    found = answer.sentence.rpartition("; ")[2]
    return found if "in your project" in found else ""


def test_waiting(bench: Callable[..., Bench]) -> None:
    """Waiting with its place, never fitting, held, stopped, resumed; project paused, its queue stopped or closed."""
    own = bench()
    project = own.stage.project
    own.submit("runs", gpus=1)
    assert "(1 pod, 1 GPU in fake)" in own.told("runs", Code.RUNNING).sentence
    own.submit("first", gpus=2)
    own.told("first", Code.WAITING_FOR_QUOTA)
    own.submit("second", gpus=2)
    own.submit("held", annotations={"kueue.x-k8s.io/admission-gated-by": "jobq.io/hold"})
    own.submit("lost", labels={"kueue.x-k8s.io/priority-class": "nowhere"})
    own.submit("stray", labels={"kueue.x-k8s.io/queue-name": "mian"})
    own.submit("huge", gpus=3, parallelism=2, completions=8, completionMode="Indexed")
    own.told("second", Code.WAITING_FOR_QUOTA)
    assert eventually(lambda: len({_place(own.ask(name)) for name in ("first", "second")} - {""}) == 2)
    assert own.says("second", "needs 2 nvidia.com/gpu in fake, 1 of 2 is free")
    assert own.says("first", "sk for 1 GPU")
    assert own.told("held", Code.HELD).action == "`jobq resume held` releases it."
    assert "nowhere does not exist" in own.told("lost", Code.PRIORITY_CLASS_MISSING).sentence
    assert "no queue mian" in own.told("stray", Code.QUEUE_MISSING).sentence
    assert "at most 2" in own.told("huge", Code.NEVER_FITS).sentence
    own.set_workload("first", {"active": False})
    assert own.says("first", "before it ever ran")
    own.set_workload("runs", {"active": False})
    assert own.says("runs", "its pods are gone")
    own.told("second", Code.RUNNING)
    own.set_workload("runs", {"active": True})
    assert own.says("runs", "(resumed at")
    own.admin.patch(LOCAL_QUEUE, "main", {"spec": {"stopPolicy": "HoldAndDrain"}}, namespace=project)
    assert own.says("second", "paused with drain")
    own.told("runs", Code.PROJECT_PAUSED)
    own.admin.patch(LOCAL_QUEUE, "main", {"spec": {"stopPolicy": "None"}}, namespace=project)
    own.admin.patch(CLUSTER_QUEUE, own.queue, {"spec": {"stopPolicy": "Hold"}})
    own.submit("late")
    own.told("late", Code.CLUSTER_QUEUE_STOPPED)
    own.admin.patch(NAMESPACE, project, {"metadata": {"labels": {"jobq.io/cluster-queue": "other"}}})
    own.admin.patch(CLUSTER_QUEUE, own.queue, {"spec": {"stopPolicy": "None"}})
    own.told("late", Code.NAMESPACE_NOT_SELECTED)
    assert own.says("late", f"jobq.io/cluster-queue={own.queue}")


def test_preempted_and_in_part(bench: Callable[..., Bench]) -> None:
    """Stopped for a job of the own project, which is named; an array that was admitted in part; a time limit."""
    own = bench()
    own.submit("low", gpus=2, labels={"kueue.x-k8s.io/priority-class": "low"})
    own.told("low", Code.RUNNING)
    own.submit("high", gpus=2, labels={"kueue.x-k8s.io/priority-class": "high"})
    gone = own.told("low", Code.PREEMPTED_WAITING)
    assert "to make room for high (priority high) of this project" in gone.sentence
    assert own.says("low", "0 of 2 are free; 1st in your project")
    own.submit("brief", labels={"kueue.x-k8s.io/max-exec-time-seconds": "1"})
    minimum = {"kueue.x-k8s.io/job-min-parallelism": "1"}
    array: dict[str, Any] = {"parallelism": 4, "completions": 8, "completionMode": "Indexed"}
    own.submit("sweep", annotations=minimum, **array)
    part = own.told("sweep", Code.RUNNING_REDUCED)
    assert "at a time instead of 4" in part.sentence
    assert "time limit of 1 s" in own.told("brief", Code.TIME_LIMIT).sentence


def test_pods(bench: Callable[..., Bench]) -> None:
    """Pods that don't come or don't start, and how jobs end."""
    own = bench()
    project = own.stage.project
    own.admin.patch(NAMESPACE, project, {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "baseline"}}})
    own.submit("fails", cpu="100m", story={"fake.jobq.io/runs-for": "0s", "fake.jobq.io/exit-code": "3"})
    own.submit("works", cpu="100m", story={"fake.jobq.io/runs-for": "0s"})
    own.submit("moon", cpu="100m", pod={"nodeSelector": {"zone": "moon"}})
    own.submit("image", cpu="100m", image="example.org/train:missing")
    own.submit("robot", cpu="100m", pod={"serviceAccountName": "robot"})
    own.submit("claim", cpu="100m", pod={"volumes": [{"name": "d", "persistentVolumeClaim": {"claimName": "data"}}]})
    assert "have the label zone=moon" in own.told("moon", Code.UNSCHEDULABLE).sentence
    assert "can't be pulled: example.org/train:missing" in own.told("image", Code.IMAGE_PULL).sentence
    assert "robot does not exist" in own.told("robot", Code.SERVICE_ACCOUNT_MISSING).sentence
    assert "the volume claim data does not exist" in own.told("claim", Code.VOLUME_MISSING).sentence
    assert own.told("fails", Code.FAILED).sentence == "Failed: exit code 3."
    own.told("works", Code.SUCCEEDED)
    own.submit("host", cpu="100m", pod={"volumes": [{"name": "d", "hostPath": {"path": "/data"}}]})
    assert "(baseline): hostPath volumes" in own.told("host", Code.POD_SECURITY_REFUSED).sentence
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "extra", "namespace": project}}
    own.admin.create(RESOURCE_QUOTA, quota | {"spec": {"hard": {"requests.cpu": "1", "limits.cpu": "1"}}})
    own.submit("limitless", cpu="100m")
    refused = own.told("limitless", Code.QUOTA_REFUSES_PODS)
    assert "ResourceQuota extra" in refused.sentence
    assert "limits.cpu" in refused.sentence


def test_admission_checks(bench: Callable[..., Bench]) -> None:
    """A check that hasn't agreed, that sent a job back or said no is named with its message, and what comes of it."""
    name = f"grow-{uuid.uuid4().hex[:8]}"
    own = bench(checks=(name,))
    check = {"apiVersion": CHECK.api_version, "kind": CHECK.kind, "metadata": {"name": name}}
    own.admin.create(CHECK, check | {"spec": {"controllerName": "example.org/nobody"}})
    with own.stage.plane.api() as api:
        active = {"type": "Active", "status": "True", "reason": "Active", "message": "", "observedGeneration": 1}
        status = {"conditions": [active | {"lastTransitionTime": "2027-01-15T10:00:00Z"}]}
        _merge(api, f"/apis/kueue.x-k8s.io/v1beta2/admissionchecks/{name}/status", {"status": status})
    try:
        own.submit("train", gpus=1)
        own.told("train", Code.ADMISSION_CHECK_PENDING)
        own.check("train", "Pending", "no capacity in zone b")
        pending = own.told("train", Code.ADMISSION_CHECK_PENDING)
        assert own.says("train", f"the admission check {name}: no capacity in zone b")
        assert "Has its quota since " in pending.sentence
        assert "It holds 1 GPU meanwhile" in pending.sentence
        own.submit("again", gpus=1)
        own.told("again", Code.ADMISSION_CHECK_PENDING)
        own.check("again", "Retry", "later, in zone c", requeueAfterSeconds=3600)
        back = own.told("again", Code.ADMISSION_CHECK_RETRY)
        assert f"Sent back by the admission check {name} at " in back.sentence
        assert ": later, in zone c; it gave its quota back" in back.sentence
        assert own.says("again", "It is tried again in ")
        own.check("train", "Retry", "the pool is full")
        assert own.says("train", "it sent the job back before (the pool is full)")
        own.check("train", "Rejected", "not sold here")
        assert name in own.told("train", Code.ADMISSION_CHECK_REJECTED).sentence
        assert "not sold here" in own.ask("train").sentence
    finally:
        own.admin.delete(CHECK, name)


def test_priority_that_does_not_help(bench: Callable[..., Bench]) -> None:
    """A queue that lends what is its own is made to give back nothing that it uses itself; the CPUs may decide."""
    lender, borrower = bench(), bench()
    for one, cpu, gpus in ((lender, "4", "2"), (borrower, "0", "0")):
        spec = {"cohortName": lender.queue, "resourceGroups": [_group(cpu, gpus)]}
        one.admin.patch(CLUSTER_QUEUE, one.queue, {"spec": {**spec, "preemption": {"reclaimWithinCohort": "Any"}}})
    high = {"kueue.x-k8s.io/priority-class": "high"}
    lender.submit("low", cpu="4", gpus=2, labels={"kueue.x-k8s.io/priority-class": "low"})
    lender.told("low", Code.RUNNING)
    borrower.submit("high", gpus=2, labels=high)
    borrower.told("high", Code.WAITING_FOR_QUOTA)
    assert borrower.says("high", "needs 2 nvidia.com/gpu and 1 cpu in fake")
    assert borrower.says("high", f"priority high does not help: nothing in {borrower.queue} uses nvidia.com/gpu")
    borrower.admin.patch(CLUSTER_QUEUE, borrower.queue, {"spec": {"resourceGroups": [_group("0", "1")]}})
    borrower.submit("one", gpus=1, labels=high)
    borrower.told("one", Code.WAITING_FOR_QUOTA)
    assert borrower.says("one", "needs 1 cpu in fake; 0 of your own are free, 0 can be borrowed now (GPUs are free)")
    assert borrower.says("one", f"priority high does not help: nothing in {borrower.queue} uses cpu")


def _group(cpu: str, gpus: str) -> Body:
    quotas = [{"name": "cpu", "nominalQuota": cpu}, {"name": GPU, "nominalQuota": gpus}]
    return {"coveredResources": ["cpu", GPU], "flavors": [{"name": "fake", "resources": quotas}]}


def test_topology(bench: Callable[..., Bench]) -> None:
    """Pods that have to run together find less room than there is quota; levels and flavors may not suit at all."""
    own, name = bench(), f"hosts-{uuid.uuid4().hex[:8]}"
    fake = own.admin.get(RESOURCE_FLAVOR, "fake")["spec"]
    flavor = {"apiVersion": RESOURCE_FLAVOR.api_version, "kind": RESOURCE_FLAVOR.kind, "metadata": {"name": name}}
    topology = {"apiVersion": TOPOLOGY.api_version, "kind": TOPOLOGY.kind, "metadata": {"name": name}}
    own.admin.create(TOPOLOGY, topology | {"spec": {"levels": [{"nodeLabel": "kubernetes.io/hostname"}]}})
    own.admin.create(RESOURCE_FLAVOR, flavor | {"spec": fake | {"topologyName": name}})
    try:
        own.submit("plain", topology="kubernetes.io/hostname")
        assert "(fake) has no topology" in own.told("plain", Code.NO_MATCHING_FLAVOR).sentence
        quotas = [{"name": "cpu", "nominalQuota": "999"}, {"name": GPU, "nominalQuota": "99"}]
        group = {"coveredResources": ["cpu", GPU], "flavors": [{"name": name, "resources": quotas}]}
        own.admin.patch(CLUSTER_QUEUE, own.queue, {"spec": {"resourceGroups": [group]}})
        own.told("plain", Code.RUNNING)
        own.submit("wide", topology="kubernetes.io/hostname", gpus=1, parallelism=9)
        assert own.says("wide", f"the quota is there, but the nodes of the topology {name}")
        own.submit("rack", topology="example.org/rack")
        assert "has no such level" in own.told("rack", Code.NO_MATCHING_FLAVOR).sentence
    finally:
        own.admin.delete(CLUSTER_QUEUE, own.queue)
        own.admin.delete(RESOURCE_FLAVOR, name)
        own.admin.delete(TOPOLOGY, name)


def test_command(bench: Callable[..., Bench]) -> None:
    """As a person uses it: sentence and action; JSON; a file, readable for its owner alone, that says the same."""
    own = bench()
    own.submit("train", gpus=3)
    own.told("train", Code.NEVER_FITS)
    start = own.stage.plane.mark()
    asked = own.stage.jobq("why", "train", "--save", "train.json")
    place = f"/namespaces/{own.stage.project}/"
    requests = [one for one in own.stage.plane.requests(start, user=KIM, user_agent="jobq/") if place in one.uri]
    assert len(requests) <= 14, "few, however many jobs there are"
    assert not [one for one in requests if (one.verb, one.resource) == ("list", "jobs")]
    assert asked.code == 0
    assert asked.out.startswith("Can never start: asks for 3 nvidia.com/gpu, this project's queue has at most 2.\n")
    assert "saved to train.json" in asked.err
    assert (own.stage.home / "train.json").stat().st_mode & 0o077 == 0
    again = own.stage.jobq("why", "--evidence", "train.json", "-o", "json", KUBECONFIG="/nowhere")
    said = again.json
    assert (said["code"], said["job"], said["status"]) == ("NeverFits", "train", "Queued")
    assert f"{said['sentence']}\n{said['action']}\n" == asked.out
    missing = own.stage.jobq("why", "trian")
    assert (missing.code, "did you mean train?" in missing.err) == (1, True)
    assert own.stage.jobq("why").code == 2
    assert KIM not in asked.out
