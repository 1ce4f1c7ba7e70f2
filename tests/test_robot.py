"""Machines in a project, on a real API server: what the robot's token may do, who mints it, and when it ends.

The project's namespace and queue have other names than usual: everything here works with what the patterns give.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from reconciler.cluster import Body
from reconciler.errors import ClusterError, Forbidden
from reconciler.kinds import CONFIG_MAP, JOB, ROLE_BINDING, SERVICE_ACCOUNT
from reconciler.kube import KubeCluster, connect
from reconciler.terms import Terms
from tests.repository import project
from tests.stage import Stage
from tests.world import World

HOME, QUEUE = "team-vision", "team-vision-user-queue"
PATTERNS = 'namespace = "team-{project}"\nqueue = "{namespace}-user-queue"\n'
ROBOT = f"system:serviceaccount:{HOME}:jobq-robot"
LEAD = {"user": "lead@example.org", "role": "maintainer"}
KIM = {"user": "kim@example.org", "role": "researcher"}


def declare(world: World, robot: str | None) -> None:
    spec = {"robot": robot} if robot else {}
    mine = project("vision", members=[LEAD, KIM], defaults={"image": "example.org/x:1"}, **spec)
    world.repository.declare(mine, project("speech", robot="researcher"), settings=PATTERNS)


@pytest.fixture
def automated(world: World) -> World:
    """A project whose robot is a researcher."""
    declare(world, "researcher")
    report = world.reconcile()
    assert report.applied
    assert not report.verdict.refusals
    return world


@pytest.fixture
def robot(automated: World) -> KubeCluster:
    """The cluster as the robot sees it."""
    return connect(kubeconfig=str(kubeconfig(automated)))


def kubeconfig(world: World) -> Path:
    return world.plane.service_account_kubeconfig(HOME, "jobq-robot")


def job(name: str, queue: str = QUEUE, namespace: str = HOME, account: str = "") -> Body:
    container = {"name": "main", "image": "example.org/x:1", "resources": {"requests": {"cpu": "1m"}}}
    pod = {"restartPolicy": "Never", "containers": [container]} | ({"serviceAccountName": account} if account else {})
    labels = {"kueue.x-k8s.io/queue-name": queue} if queue else {}
    return {
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": {"suspend": True, "template": {"spec": pod}},
    }


def may(world: World, verb: str, what: str, namespace: str = HOME) -> bool:
    words = ["auth", "can-i", verb, what, "-n", namespace, f"--as={ROBOT}", "--as-group=system:serviceaccounts"]
    return world.kubectl(*words, fails=True).startswith("yes")


def test_a_robot_submits_jobs(automated: World, robot: KubeCluster, tmp_path: Path) -> None:
    """It makes, lists and ends jobs in the project's queue, by kubectl's way and by jobq's own."""
    robot.create(JOB, job("by-robot"))
    robot.delete(JOB, "by-robot", namespace=HOME)
    member = Stage(automated.plane, "vision", tmp_path)
    environ = {"KUBECONFIG": str(kubeconfig(automated))}
    run = member.jobq("submit", "--name", "ci", "--", "true", **environ)
    assert run.code == 0, run.err
    [made] = robot.list(JOB, namespace=HOME).items
    assert made["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == QUEUE
    assert made["metadata"]["annotations"]["jobq.io/submitted-by"] == ROBOT
    assert made["metadata"]["name"] in member.jobq("list", **environ).out


ATTEMPTS: dict[str, tuple[Callable[[KubeCluster], object], str]] = {
    "a job outside the queue": (
        lambda robot: robot.create(JOB, job("free", queue="")),
        f"the label kueue.x-k8s.io/queue-name must be {QUEUE}",
    ),
    "a job in a queue of the usual name": (
        lambda robot: robot.create(JOB, job("usual", queue="main")),
        f"the label kueue.x-k8s.io/queue-name must be {QUEUE}",
    ),
    "a job that runs as itself": (
        lambda robot: robot.create(JOB, job("self", account="jobq-robot")),
        "pods in this project run as the ServiceAccount jobq-runner or default",
    ),
    "a job in another project": (
        lambda robot: robot.create(JOB, job("abroad", "team-speech-user-queue", "team-speech")),
        "jobs.batch is forbidden",
    ),
    "access for itself": (
        lambda robot: robot.create(
            ROLE_BINDING,
            {
                "metadata": {"name": "more", "namespace": HOME},
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
                "subjects": [{"kind": "ServiceAccount", "name": "jobq-robot", "namespace": HOME}],
            },
        ),
        "is forbidden",
    ),
}


@pytest.mark.parametrize("name", ATTEMPTS)
def test_a_robot_is_a_member_like_others(robot: KubeCluster, name: str) -> None:
    """What a researcher may not do, a robot may not either: roles and policies see no difference."""
    attempt, reason = ATTEMPTS[name]
    with pytest.raises(Forbidden) as refused:
        attempt(robot)
    assert reason in str(refused.value)


def test_who_mints_tokens(automated: World) -> None:
    """Maintainers mint tokens of this one account; researchers and the robot itself do not; none is mounted."""
    lead, kim = (automated.plane.member_kubeconfig(str(who["user"])) for who in (LEAD, KIM))
    for who, account, works in (
        (lead, "jobq-robot", True),
        (lead, "jobq-runner", False),
        (kim, "jobq-robot", False),
        (kubeconfig(automated), "jobq-robot", False),
    ):
        said = automated.kubectl("create", "token", "-n", HOME, account, f"--kubeconfig={who}", fails=True)
        assert ("forbidden" not in said) == works, said
    made = automated.admin.get(SERVICE_ACCOUNT, "jobq-robot", namespace=HOME)
    assert made["automountServiceAccountToken"] is False


def test_a_viewing_robot(automated: World) -> None:
    """A robot that becomes a viewer reads on and writes no more."""
    assert may(automated, "create", "jobs")
    declare(automated, "viewer")
    assert automated.reconcile().plan.disrupted == ["vision"]
    assert (may(automated, "list", "jobs"), may(automated, "create", "jobs")) == (True, False)


def test_the_end_of_a_robot(automated: World, robot: KubeCluster) -> None:
    """Taken out of the file, account and access go, and every token with them; in an archive the access goes."""
    declare(automated, None)
    assert automated.reconcile().applied
    assert not may(automated, "list", "jobs")
    with pytest.raises(ClusterError) as refused:
        robot.list(CONFIG_MAP, namespace="jobq-system")
    assert refused.value.code == 401
    abroad = "system:serviceaccount:team-speech:jobq-robot"
    automated.repository.declare(project("vision", members=[LEAD, KIM]), settings=PATTERNS)
    assert automated.reconcile(terms=Terms(approved=automated.plan().plan.disruption)).applied
    words = ["auth", "can-i", "list", "jobs", "-n", "team-speech", f"--as={abroad}"]
    assert automated.kubectl(*words, fails=True).startswith("no")
    assert automated.admin.get(SERVICE_ACCOUNT, "jobq-robot", namespace="team-speech")
