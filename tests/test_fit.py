"""Whether jobs fit a ClusterQueue: Kueue's arithmetic on quotas, cohorts and flavors."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from cli.fit import judge, requests, words
from cli.fit.cohort import Room, Tree, rooms
from cli.fit.judge import queue_of
from cli.fit.requests import PodSet

GPU = "nvidia.com/gpu"
Body = dict[str, Any]


def queue(
    name: str,
    quota: str | Body,
    *,
    cohort: str = "",
    used: str = "0",
    flavors: tuple[str, ...] = ("a100",),
    strategy: str = "",
) -> Body:
    """A ClusterQueue with that many GPUs in each flavor; a mapping says its limits too."""
    written = quota if isinstance(quota, dict) else {"nominalQuota": quota}
    resources = [{"name": GPU, **written}]
    group = {"coveredResources": [GPU], "flavors": [{"name": flavor, "resources": resources} for flavor in flavors]}
    spec = {"resourceGroups": [group], "queueingStrategy": strategy} | ({"cohortName": cohort} if cohort else {})
    reserved = [{"name": flavor, "resources": [{"name": GPU, "total": used}]} for flavor in flavors]
    return {"metadata": {"name": name}, "spec": spec, "status": {"flavorsReservation": reserved}}


def cohort(name: str, parent: str = "", quota: Body | None = None) -> Body:
    flavors = [{"name": "a100", "resources": [{"name": GPU, **quota}]}] if quota else []
    return {"metadata": {"name": name}, "spec": {"parentName": parent, "resourceGroups": [{"flavors": flavors}]}}


def pods(gpus: str, count: int = 1, fewest: int | None = None, pod: Body | None = None) -> PodSet:
    return PodSet("main", count, count if fewest is None else fewest, {GPU: Decimal(gpus)}, pod or {})


def room(body: Body, *others: Body, cohorts: tuple[Body, ...] = ()) -> Room:
    return rooms(body, Tree([body, *others], cohorts, whole=True))["a100", GPU]


def whole(*amounts: Decimal | int | None) -> list[int]:
    """Amounts as whole numbers, to compare; -1 for what isn't known."""
    return [-1 if amount is None else int(amount) for amount in amounts]


def test_alone() -> None:
    """Without a cohort there is the own quota, less what is used of it."""
    found = room(queue("ours", "4", used="3"))
    assert (whole(found.own, found.free, found.most), found.shared) == ([1, 1, 4], False)


LIMITS = [
    ("all of the cohort", "2", "2", [6, 6]),
    ("a borrowing limit", {"nominalQuota": "2", "borrowingLimit": "1"}, "2", [3, 3]),
    ("a borrowing limit of nothing", {"nominalQuota": "2", "borrowingLimit": "0"}, "2", [2, 2]),
    ("the other lends all but one", "2", {"nominalQuota": "2", "lendingLimit": "1"}, [5, 5]),
    ("the other lends nothing", "2", {"nominalQuota": "2", "lendingLimit": "0"}, [4, 4]),
    ("we lend nothing and may borrow", {"nominalQuota": "2", "lendingLimit": "0"}, "2", [6, 6]),
]


@pytest.mark.parametrize(("ours", "theirs", "wanted"), [case[1:] for case in LIMITS], ids=[case[0] for case in LIMITS])
def test_cohort(ours: str | Body, theirs: str | Body, wanted: list[int]) -> None:
    """In a cohort with two GPUs of its own, another queue's quota can be borrowed, as far as both limits let it."""
    found = room(
        queue("ours", ours, cohort="all"),
        queue("theirs", theirs, cohort="all"),
        cohorts=(cohort("all", quota={"nominalQuota": "2"}),),
    )
    assert whole(found.free, found.most) == wanted


def test_cohort_in_use() -> None:
    """What others have taken is not free, whether out of their own quota or out of ours; there can be as much again."""
    idle = room(queue("ours", "2", cohort="all"), queue("theirs", "4", cohort="all", used="4"))
    lent = room(queue("ours", "2", cohort="all"), queue("theirs", "4", cohort="all", used="5"))
    assert whole(idle.free, idle.borrowable, idle.most) == [2, 0, 6]
    assert whole(lent.own, lent.free, lent.most) == [2, 1, 6]


def test_nested_cohorts() -> None:
    """Quota goes up and down the tree, and each Cohort's limits hold on the way."""
    ours = queue("ours", "1", cohort="left")
    theirs = queue("theirs", "8", cohort="right")
    free = [cohort("top"), cohort("left", "top"), cohort("right", "top")]
    assert room(ours, theirs, cohorts=tuple(free)).most == 9
    capped = cohort("left", "top", {"nominalQuota": "1", "borrowingLimit": "3"})
    assert room(ours, theirs, cohorts=(free[0], capped, free[2])).most == 5
    stingy = cohort("right", "top", {"nominalQuota": "0", "lendingLimit": "2"})
    assert room(ours, theirs, cohorts=(free[0], free[1], stingy)).most == 3


def test_cohorts_in_a_circle() -> None:
    """Cohorts that are their own parents end no program."""
    assert room(queue("ours", "1", cohort="a"), cohorts=(cohort("a", "b"), cohort("b", "a"))).most == 1


def test_unknown_cohort() -> None:
    """Where the others of a cohort can't be seen, nothing is called impossible beyond a borrowing limit."""
    unseen = queue("ours", "2", cohort="all")
    limited = queue("ours", {"nominalQuota": "2", "borrowingLimit": "2"}, cohort="all")
    assert judge.never(queue_of(unseen), [pods("99")]) is None
    found = judge.never(queue_of(limited), [pods("5")])
    assert found
    assert found.most == 4


NEVER = [
    ("fits", queue("q", "4"), [pods("4")], None),
    ("too many", queue("q", "4"), [pods("6")], [6, 4, 0]),
    ("too many at once", queue("q", "4"), [pods("1", 8)], [8, 4, 4]),
    ("may start with fewer", queue("q", "4"), [pods("1", 8, fewest=1)], None),
    ("one of two flavors has it", queue("q", "4", flavors=("a100", "h100")), [pods("4"), pods("4")], None),
    (
        "three pod sets, two flavors",
        queue("q", "4", flavors=("a100", "h100")),
        [pods("4"), pods("4"), pods("1")],
        [1, 0, 0],
    ),
    ("two pod sets share", queue("q", "4"), [pods("3"), pods("2")], [2, 1, 0]),
    ("nothing asked", queue("q", "0"), [pods("0")], None),
]


@pytest.mark.parametrize(("body", "asked", "wanted"), [case[1:] for case in NEVER], ids=[case[0] for case in NEVER])
def test_never(body: Body, asked: list[PodSet], wanted: list[int] | None) -> None:
    """A request above what there can ever be is told with the largest size that fits, in each pod and at once."""
    found = judge.never(queue_of(body), asked)
    assert (found and whole(found.asked, found.most, found.at_once)) == wanted


def test_uncovered() -> None:
    """A resource without any quota is no matter of amounts."""
    asked = [PodSet("main", 1, 1, {GPU: Decimal(1), "example.org/fpga": Decimal(1), "cpu": Decimal(0)})]
    assert judge.uncovered(queue_of(queue("q", "4")), asked) == ["example.org/fpga"]


SPOT = {
    "metadata": {"name": "a100"},
    "spec": {
        "nodeLabels": {"gpu": "a100"},
        "nodeTaints": [{"key": "dedicated", "value": "team", "effect": "NoSchedule"}],
    },
}
TOLERATION = {"key": "dedicated", "operator": "Equal", "value": "team", "effect": "NoSchedule"}


def _affinity(*expressions: Body) -> Body:
    terms = {"nodeSelectorTerms": [{"matchExpressions": list(expressions)}]}
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}}


SUITS = [
    ("not tolerated", {}, "is tainted dedicated=team:NoSchedule"),
    ("tolerated", {"tolerations": [TOLERATION]}, ""),
    ("all tolerated", {"tolerations": [{"operator": "Exists"}]}, ""),
    ("another effect", {"tolerations": [TOLERATION | {"effect": "NoExecute"}]}, "is tainted"),
    ("right nodes", {"tolerations": [TOLERATION], "nodeSelector": {"gpu": "a100", "zone": "moon"}}, ""),
    (
        "wrong nodes",
        {"tolerations": [TOLERATION], "nodeSelector": {"gpu": "h100"}},
        "has gpu=a100, the job wants gpu=h100",
    ),
    (
        "wrong affinity",
        {"tolerations": [TOLERATION], "affinity": _affinity({"key": "gpu", "operator": "In", "values": ["h100"]})},
        "doesn't match the job's node affinity (gpu In h100)",
    ),
    (
        "affinity to something else",
        {"tolerations": [TOLERATION], "affinity": _affinity({"key": "zone", "operator": "Exists"})},
        "",
    ),
]


@pytest.mark.parametrize(("pod", "wanted"), [case[1:] for case in SUITS], ids=[case[0] for case in SUITS])
def test_flavor(pod: Body, wanted: str) -> None:
    """A flavor takes pods that tolerate its taints and want its labels; labels that no flavor has don't matter."""
    found = judge.ever(queue_of(queue("q", "4"), [SPOT]), [pods("1", pod=pod)])[0]
    assert found.tries[0].mismatch.startswith(wanted)
    assert bool(found.taken) is (wanted == "")


def test_requests() -> None:
    """A pod asks for its containers' sum, or for its largest init container; sidecars run beside both."""

    def container(cpu: str, **more: str) -> Body:
        return {"resources": {"requests": {"cpu": cpu}}, **more}

    pod = {
        "containers": [container("1"), {"resources": {"limits": {"cpu": "500m", GPU: 2}}}],
        "initContainers": [container("1", restartPolicy="Always"), container("3")],
        "overhead": {"cpu": "250m"},
    }
    assert requests.of_pod(pod) == {"cpu": Decimal("4.25"), GPU: Decimal(2)}
    assert requests.of_pod({"containers": [container("1e3")]}) == {"cpu": Decimal(1000)}


def test_pod_sets() -> None:
    """A Job counts as many pods as run at once; a Workload's sums by Kueue come before what its pods say."""
    template = {"spec": {"containers": [{"resources": {"requests": {GPU: "1"}}}]}}
    annotations = {"kueue.x-k8s.io/job-min-parallelism": "1"}
    job = {"metadata": {"annotations": annotations}, "spec": {"parallelism": 4, "completions": 3, "template": template}}
    [found] = requests.of_job(job)
    assert (found.count, found.fewest, found.all()) == (3, 1, {GPU: Decimal(3)})
    workload = {"spec": {"podSets": [{"name": "w", "count": 4, "minCount": 2, "template": template}]}}
    assert requests.of_workload(workload)[0].all() == {GPU: Decimal(4)}
    summed = workload | {"status": {"resourceRequests": [{"name": "w", "resources": {GPU: "8"}}]}}
    assert requests.of_workload(summed)[0].one == {GPU: Decimal(2)}


def test_what_is_left_of_pod_sets() -> None:
    """A job that waits again doesn't ask for pods that are done; of an admitted one the count stays."""
    template = {"spec": {"containers": [{"resources": {"requests": {GPU: "2"}}}]}}
    status = {
        "reclaimablePods": [{"name": "w", "count": 3}],
        "resourceRequests": [{"name": "w", "resources": {GPU: "2"}}],
    }
    waits = {"spec": {"podSets": [{"name": "w", "count": 4, "minCount": 2, "template": template}]}, "status": status}
    [found] = requests.of_workload(waits)
    assert (found.count, found.fewest, found.one) == (1, 1, {GPU: Decimal(2)})
    runs = waits | {"status": status | {"admission": {"clusterQueue": "q"}}}
    assert requests.of_workload(runs)[0].count == 4


def test_init_container() -> None:
    """It is named where it asks for more than all that runs later, and its sidecars."""

    def container(name: str, cpu: str, **more: str) -> Body:
        return {"name": name, "resources": {"requests": {"cpu": cpu, "memory": "1Gi"}}, **more}

    pod = {"containers": [container("main", "1")], "initContainers": [container("fetch", "3"), container("check", "1")]}
    assert (requests.init_container(pod, "cpu"), requests.init_container(pod, "memory")) == ("fetch", "")
    sidecar = pod | {"initContainers": [container("proxy", "3", restartPolicy="Always")]}
    assert requests.init_container(sidecar, "cpu") == ""


def test_pods_are_counted() -> None:
    """Where a queue has quota for pods, each is one; elsewhere they are nothing."""
    quotas = [{"name": "pods", "nominalQuota": "3"}, {"name": GPU, "nominalQuota": "9"}]
    group = {"coveredResources": ["pods", GPU], "flavors": [{"name": "a100", "resources": quotas}]}
    counting = queue_of({"metadata": {"name": "q"}, "spec": {"resourceGroups": [group]}, "status": {}})
    found = judge.never(counting, [pods("1", count=5)])
    assert found is not None
    assert (found.resource, whole(found.asked, found.most, found.at_once)) == ("pods", [5, 3, 3])
    assert judge.never(queue_of(queue("q", "9")), [pods("1", count=5)]) is None


def test_use_that_is_not_told() -> None:
    """A queue without a status, or with such a neighbour, has a size, but nobody knows what is free."""
    silent = queue("ours", "4", cohort="all") | {"status": {}}
    found = room(silent, queue("theirs", "2", cohort="all"))
    assert (whole(found.own, found.free, found.most), found.shared) == ([-1, -1, 6], True)
    assert room(queue("ours", "4", cohort="all"), silent | {"metadata": {"name": "theirs"}}).free is None
    assert room(queue("ours", "4") | {"status": {}}).free is None


TOPOLOGIES = [
    ("asked for, and there", True, ["racks"], [""]),
    ("asked for, and not there", True, [""], ["has no topology, which the job asks for"]),
    ("not asked for, and everywhere", False, ["racks", "racks"], ["", ""]),
    ("not asked for, and in one of two", False, ["racks", ""], ["is for jobs that ask for a topology", ""]),
]


@pytest.mark.parametrize(
    ("asks", "names", "wanted"), [one[1:] for one in TOPOLOGIES], ids=[one[0] for one in TOPOLOGIES]
)
def test_topology(asks: bool, names: list[str], wanted: list[str]) -> None:  # noqa: FBT001 - a column of the table
    """A flavor with a topology is for pods that ask for one; where all have one, for all."""
    flavors = [
        {"metadata": {"name": f"f{i}"}, "spec": {"topologyName": name} if name else {}} for i, name in enumerate(names)
    ]
    body = queue("q", "4", flavors=tuple(f"f{i}" for i in range(len(names))))
    [choice] = judge.ever(queue_of(body, flavors), [replace(pods("1"), topological=asks)])
    assert [one.mismatch for one in choice.tries] == wanted


def test_words() -> None:
    """Amounts are said as people write them."""
    assert [words.plainly("cpu", Decimal(1)), words.plainly(GPU, Decimal(2))] == ["1 CPU", "2 GPUs"]
    assert words.named("memory", Decimal(16 * 2**30)) == "16Gi memory"
    assert (words.option(GPU, Decimal(2)), words.option("example.org/fpga", Decimal(2))) == ("--gpus 2", "")
