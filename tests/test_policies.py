"""Roles and admission policies on a real control plane: what members and reconciler may do, and may not."""

import json
import subprocess
from dataclasses import dataclass
from functools import reduce
from typing import Any

import pytest

from reconciler.kinds import JOB, LOCAL_QUEUE, POD, WORKLOAD
from tests.controlplane.plane import Plane
from tests.repository import Repository, project, scrubbed
from tests.world import World, eventually

pytestmark = pytest.mark.xdist_group("life")

HOME, OTHER = "fenced", "neighbour"
ROLES = ("viewer", "researcher", "maintainer")
SETTINGS = 'openNetwork = ["fenced"]\n'
MEMBERS, PRIORITY, PODS, WORKLOADS = (
    f"ValidatingAdmissionPolicy 'jobq-{name}'" for name in ("jobs-members", "jobs-priority", "jobs-pods", "workloads")
)
NAMESPACED, NAMESPACES, BINDINGS = (
    f"ValidatingAdmissionPolicy 'jobq-reconciler-{name}'" for name in ("namespaced", "namespaces", "rolebindings")
)
RBAC = "forbidden: User"


@pytest.fixture(scope="module")
def fenced(whole_plane: Plane, tmp_path_factory: pytest.TempPathFactory) -> World:
    """Two projects, made by the reconciler under its own token; in the first one a job runs and one waits."""
    kubeconfig = whole_plane.service_account_kubeconfig("jobq-system", "jobq-reconciler")
    world = World(whole_plane, Repository.new(tmp_path_factory.mktemp("fenced") / "repository"), kubeconfig)
    members = [{"user": person(role), "role": role} for role in ROLES]
    home = project(HOME, members=members, priorities=["normal", "low"], clusterQueue="fake-shared", network="open")
    world.repository.declare(home, project(OTHER, clusterQueue="fake-shared"), settings=SETTINGS)
    first = world.reconcile()  # it may archive what earlier tests left
    assert first.applied or world.reconcile(approved=first.plan.disruption).applied
    world.admin.create(JOB, job("runs"))
    world.admin.create(JOB, job("waits", cpu="1000"))
    assert eventually(lambda: len(world.admin.list(WORKLOAD, namespace=HOME).items) == 2)
    assert eventually(lambda: bool(world.admin.list(POD, namespace=HOME).items))
    return world


def person(role: str) -> str:
    return f"{role}@example.org"


def job(name: str, cpu: str = "100m", **template: object) -> dict[str, Any]:
    container = {"name": "main", "image": "example.org/x:1", "resources": {"requests": {"cpu": cpu}}}
    labels = {"kueue.x-k8s.io/queue-name": "main", "kueue.x-k8s.io/priority-class": "normal"}
    pod = {"restartPolicy": "Never", "containers": [container], **template}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": HOME, "labels": labels},
        "spec": {"suspend": True, "template": {"spec": pod}},
    }


def labelled(**labels: str | None) -> dict[str, Any]:
    """A job with other labels of Kueue; None: without it."""
    made = job("try")
    for word, value in labels.items():
        key = f"kueue.x-k8s.io/{word.replace('_', '-')}"
        made["metadata"]["labels"].pop(key, None)
        if value is not None:
            made["metadata"]["labels"][key] = value
    return made


def with_metadata(**metadata: object) -> dict[str, Any]:
    made = job("try")
    return made | {"metadata": made["metadata"] | metadata}


def plain(kind: str, version: str = "v1", name: str = "try", namespace: str = HOME, **rest: object) -> dict[str, Any]:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name, "namespace": namespace}, **rest}


def ours(body: dict[str, Any], **metadata: object) -> dict[str, Any]:
    """With the labels that the reconciler gives to all it writes."""
    labels = {"app.kubernetes.io/managed-by": "jobq", "jobq.io/project": HOME}
    return body | {"metadata": {**body["metadata"], "labels": labels, **metadata}}


def note(name: str) -> dict[str, Any]:
    return ours(plain("ConfigMap", name=name, namespace="jobq-system"))


def namespace(name: str, *, labels: dict[str, str] | None = None, **metadata: object) -> dict[str, Any]:
    standard = {
        "app.kubernetes.io/managed-by": "jobq",
        "jobq.io/project": name,
        "pod-security.kubernetes.io/enforce": "baseline",
    }
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": name, "labels": standard | (labels or {}), **metadata},
    }


def binding(role: str, *subjects: dict[str, str], namespace: str = HOME) -> dict[str, Any]:
    group = "rbac.authorization.k8s.io"
    body = plain("RoleBinding", f"{group}/v1", "jobq:try", namespace)
    return ours(body) | {
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": role},
        "subjects": list(subjects),
    }


USER = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "lee@example.org"}
SYSTEM = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "system:authenticated"}
ACCOUNT = {"kind": "ServiceAccount", "name": "default", "namespace": HOME}
OWNER = [{"apiVersion": "batch/v1", "kind": "Job", "name": "runs", "uid": "0-0", "controller": True}]
CREATE = ("create", "--dry-run=server", "-f", "-")
APPLY = ("apply", "--server-side", "--force-conflicts", "--field-manager=jobq", "--dry-run=server", "-f", "-")


def patch(what: str, change: object, *more: str) -> tuple[str, ...]:
    return ("patch", *what.split(), "--type=merge", "--dry-run=server", "-p", json.dumps(change), "-n", HOME, *more)


@dataclass(frozen=True, slots=True)
class Attempt:
    """What somebody tries. ``refused``: words of the refusal, ``""`` where it must work."""

    what: str
    who: str
    words: tuple[str, ...]
    refused: str = ""
    given: dict[str, Any] | None = None


def by(who: str, *rows: tuple[Any, ...]) -> list[Attempt]:
    return [Attempt(row[0], who, *row[1:]) for row in rows]


POSITIONS = f"/apis/visibility.kueue.x-k8s.io/v1beta2/namespaces/{HOME}/localqueues/main/pendingworkloads"
HIGH = {"metadata": {"labels": {"kueue.x-k8s.io/priority-class": "high"}}}
RETRIED = {"status": {"requeueState": {"count": 0}}}
BARE = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "bare"}}
PRIVILEGED = {"pod-security.kubernetes.io/enforce": "privileged"}
WORK = "workload/{running}"
DUTIES = [
    *by(
        "viewer",
        ("list jobs", ("get", "jobs", "-n", HOME)),
        ("read workloads and queue", ("get", "workloads,localqueues", "-n", HOME)),
        ("read pods and events", ("get", "pods,events", "-n", HOME)),
        ("read the own namespace", ("get", "namespace", HOME)),
        ("read the catalogue", ("get", "configmaps", "-n", "jobq-system")),
        ("read the queues' definitions", ("get", "clusterqueues,resourceflavors,workloadpriorityclasses")),
        (
            "see positions",
            (
                "get",
                "--raw",
                f"/apis/visibility.kueue.x-k8s.io/v1beta2/namespaces/{HOME}/localqueues/main/pendingworkloads",
            ),
        ),
    ),
    *by(
        "researcher",
        ("create a job", CREATE, "", job("try")),
        ("create a job of another allowed class", CREATE, "", labelled(priority_class="low")),
        ("run as jobq-runner", CREATE, "", job("try", serviceAccountName="jobq-runner")),
        ("name oneself", CREATE, "", with_metadata(annotations={"jobq.io/submitted-by": person("researcher")})),
        ("delete a job", ("delete", "job", "waits", "-n", HOME, "--dry-run=server")),
        ("stop a job", patch(WORK, {"spec": {"active": False}})),
        ("ship a script", CREATE, "", plain("ConfigMap", data={"train.py": "pass"})),
        ("open a shell", ("auth", "can-i", "create", "pods", "--subresource=exec", "-n", HOME)),
    ),
    *by(
        "maintainer",
        ("create a secret", CREATE, "", plain("Secret", stringData={"token": "x"})),
        ("delete a pod", ("delete", "pod", "{pod}", "-n", HOME, "--dry-run=server")),
        (
            "create a claim",
            CREATE,
            "",
            plain(
                "PersistentVolumeClaim",
                spec={"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
            ),
        ),
    ),
    *by(
        "reconciler",
        ("create a project's namespace", APPLY, "", namespace("new-project")),
        ("bind a member", APPLY, "", binding("jobq-project-viewer", USER)),
        ("write a catalogue entry", APPLY, "", note("x")),
        ("note its state", APPLY, "", note("jobq.state")),
    ),
]
ATTEMPTS = [
    *by(
        "viewer",
        ("create a job", CREATE, RBAC, job("try")),
        ("delete a job", ("delete", "job", "waits", "-n", HOME), RBAC),
        ("stop a job", patch(WORK, {"spec": {"active": False}}), RBAC),
        ("open a shell", ("auth", "can-i", "create", "pods", "--subresource=exec", "-n", HOME), "no"),
    ),
    *by(
        "researcher",
        ("read secrets", ("get", "secrets", "-n", HOME), RBAC),
        ("create a secret", CREATE, RBAC, plain("Secret")),
        ("look into another project", ("get", "jobs", "-n", OTHER), RBAC),
        ("work in another project", CREATE, RBAC, with_metadata(namespace=OTHER)),
        ("give access", CREATE, RBAC, binding("jobq-project-researcher", USER)),
        ("relabel the namespace", ("label", "namespace", HOME, "x=y"), RBAC),
        ("change the queue", ("patch", "localqueue", "main", "-n", HOME, "--type=merge", "-p", "{}"), RBAC),
        ("create a pod", CREATE, RBAC, plain("Pod", spec=job("x")["spec"]["template"]["spec"])),
        ("run outside the queue", CREATE, MEMBERS, labelled(queue_name=None)),
        ("use another queue", CREATE, MEMBERS, labelled(queue_name="other")),
        ("leave the queue", patch("job/waits", {"metadata": {"labels": {"kueue.x-k8s.io/queue-name": None}}}), MEMBERS),
        ("borrow an owner", CREATE, MEMBERS, with_metadata(ownerReferences=OWNER)),
        ("borrow an owner later", patch("job/waits", {"metadata": {"ownerReferences": OWNER}}), MEMBERS),
        ("take another class", CREATE, PRIORITY, labelled(priority_class="high")),
        (
            "take another class later",
            patch("job/waits", HIGH),
            PRIORITY,
        ),
        ("take the system's pod priority", CREATE, PODS, job("try", priorityClassName="system-cluster-critical")),
        ("run as another account", CREATE, PODS, job("try", serviceAccountName="builder")),
        ("run as another account, by its old name", CREATE, PODS, job("try", serviceAccount="builder")),
        ("disown a job", patch("job/waits", {"metadata": {"annotations": {"jobq.io/submitted-by": "x"}}}), MEMBERS),
        ("jump the queue", patch(WORK, {"spec": {"priority": 99999}}), WORKLOADS),
        ("move a workload", patch("workload/{waiting}", {"spec": {"queueName": "other"}}), WORKLOADS),
        ("relabel a workload", patch(WORK, {"metadata": {"labels": {"x": "y"}}}), WORKLOADS),
        ("keep a workload for ever", patch(WORK, {"metadata": {"finalizers": ["example.org/x"]}}), WORKLOADS),
        (
            "write a workload's status",
            patch(WORK, RETRIED, "--subresource=status"),
            RBAC,
        ),
        ("mint a token", ("create", "token", "jobq-runner", "-n", HOME), RBAC),
    ),
    *by(
        "maintainer",
        ("read a secret", ("get", "secrets", "-n", HOME), RBAC),
        ("read a secret by an empty patch", ("patch", "secret", "x", "-n", HOME, "-p", "{}"), RBAC),
        ("give access", CREATE, RBAC, binding("jobq-project-researcher", USER)),
        ("mint the runner's token", ("create", "token", "jobq-runner", "-n", HOME), RBAC),
    ),
    *by(
        "reconciler",
        ("take over a namespace", APPLY, NAMESPACES, namespace("default")),
        ("take a reserved name", APPLY, NAMESPACES, namespace("kube-project")),
        (
            "make a namespace without our labels",
            CREATE,
            NAMESPACES,
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "bare"}},
        ),
        ("hand a namespace to another project", APPLY, NAMESPACES, namespace(HOME, labels={"jobq.io/project": "x"})),
        (
            "lift Pod Security",
            APPLY,
            NAMESPACES,
            namespace("new", labels=PRIVILEGED),
        ),
        ("allow itself to", APPLY, NAMESPACES, namespace("new", labels={"jobq.io/allow-privileged": "true"})),
        (
            "own a namespace away",
            APPLY,
            NAMESPACES,
            namespace("new", ownerReferences=OWNER),
        ),
        ("delete a namespace", ("delete", "namespace", HOME, "--dry-run=server"), RBAC),
        ("write in kube-system", APPLY, NAMESPACED, ours(plain("ServiceAccount", namespace="kube-system"))),
        ("write without our label", APPLY, NAMESPACED, plain("ServiceAccount")),
        ("name the cluster", APPLY, NAMESPACED, note("jobq.cluster")),
        (
            "approve its own plan",
            APPLY,
            NAMESPACED,
            note("jobq.approval"),
        ),
        ("open a port to the world", APPLY, NAMESPACED, ours(plain("Service", spec={"ports": [{"port": 80}]}))),
        ("own an object away", APPLY, NAMESPACED, ours(plain("ServiceAccount"), ownerReferences=OWNER)),
        ("bind cluster-admin", APPLY, "is attempting to grant RBAC permissions", binding("cluster-admin", USER)),
        ("bind in kube-system", APPLY, NAMESPACED, binding("jobq-project-viewer", USER, namespace="kube-system")),
        ("let everybody in", APPLY, BINDINGS, binding("jobq-project-viewer", SYSTEM)),
        ("let an account in", APPLY, BINDINGS, binding("jobq-project-viewer", ACCOUNT)),
        ("read secrets", ("get", "secrets", "-A"), RBAC),
        ("create a job", CREATE, RBAC, job("try")),
        ("create a pod", CREATE, RBAC, plain("Pod", spec=job("x")["spec"]["template"]["spec"])),
    ),
]


def kubectl(world: World, attempt: Attempt) -> subprocess.CompletedProcess[str]:
    """Try it with that person's own kubeconfig."""
    member = world.plane.member_kubeconfig(person(attempt.who))
    kubeconfig = world.kubeconfig if attempt.who == "reconciler" else member
    names = {
        "{running}": workload(world, "runs"),
        "{waiting}": workload(world, "waits"),
        "{pod}": world.admin.list(POD, namespace=HOME).items[0]["metadata"]["name"],
    }
    words = [reduce(lambda text, name: text.replace(name, names[name]), names, word) for word in attempt.words]
    command = [str(world.plane.kubectl), f"--kubeconfig={kubeconfig}", f"--cache-dir={world.plane.directory}/cache"]
    given = None if attempt.given is None else json.dumps(attempt.given)
    return subprocess.run(
        [*command, *words], check=False, capture_output=True, text=True, input=given, timeout=60, env=scrubbed()
    )


def identified(attempt: Attempt) -> str:
    return f"{attempt.who}: {attempt.what}"


@pytest.mark.parametrize("attempt", DUTIES, ids=identified)
def test_duty(fenced: World, attempt: Attempt) -> None:
    """What a role is for works, with nothing but that role."""
    done = kubectl(fenced, attempt)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("attempt", ATTEMPTS, ids=identified)
def test_attempt(fenced: World, attempt: Attempt) -> None:
    """What a role is not for is refused, and by whom it must be."""
    done = kubectl(fenced, attempt)
    said = done.stdout + done.stderr
    assert done.returncode != 0, said
    assert attempt.refused in said


def test_controllers_are_never_refused(fenced: World) -> None:
    """Whatever becomes of jobs, no request of Kubernetes' own controllers or of Kueue is refused."""
    before = fenced.plane.mark()
    for name in ("a", "b", "c"):
        fenced.admin.create(JOB, job(name))
    assert eventually(lambda: len(fenced.admin.list(POD, namespace=HOME).items) >= 4)
    fenced.kubectl(
        "patch", "workload", "--type=merge", "-p", '{"spec":{"active":false}}', "-n", HOME, workload(fenced, "a")
    )
    fenced.admin.delete(JOB, "b", namespace=HOME)
    fenced.admin.delete(JOB, "c", namespace=HOME, background=False)
    fenced.kubectl("delete", "namespace", OTHER, "--wait=false")
    assert eventually(
        lambda: (
            {item["metadata"]["name"] for item in fenced.admin.list(JOB, namespace=HOME).items}
            == {"runs", "waits", "a"}
        )
    )
    assert fenced.admin.get(LOCAL_QUEUE, "main", namespace=HOME)
    own = ("system:serviceaccount:kube-system:", "system:kube-", "kueue")
    requests = [request for request in fenced.plane.requests(before) if request.user.startswith(own)]
    assert len(requests) > 20
    assert [request for request in requests if request.code == 403] == []


def workload(world: World, of: str) -> str:
    found = world.admin.list(WORKLOAD, namespace=HOME).items
    return str(next(item["metadata"]["name"] for item in found if item["metadata"]["ownerReferences"][0]["name"] == of))
