"""What a plan means, in words: each consequence as a story on a cluster in memory, whole in tests/cases/effects."""

import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from reconciler.cluster import Body, Resource
from reconciler.kinds import (
    CLAIM,
    CLUSTER_QUEUE,
    CONFIG_MAP,
    DEPLOYMENT,
    JOB,
    LIMIT_RANGE,
    LOCAL_QUEUE,
    NAMESPACE,
    POD_PRIORITY_CLASS,
    PRIORITY_CLASS,
    RESOURCE_QUOTA,
    ROLE_BINDING,
    SERVICE,
    WORKLOAD,
)
from reconciler.model import ObjectRef
from reconciler.report import as_json, as_markdown, as_text
from tests.fakes import FakeCluster
from tests.golden import same_as_kept
from tests.stories import BOTH, GROUP, KIM, LEE, Files, Story, told

Deed = Callable[[FakeCluster], None]
EVE = {"kind": "User", "name": "eve"}
EVERYONE = {"group": "everyone", "role": "viewer"}
FORTY: Files = {
    f"p{number:02}": {
        "members": [{"group": f"oidc:p{number:02}", "role": "researcher"}, EVERYONE],
        "limits": {"jobs": 500},
    }
    for number in range(40)
}


def changed(files: Files, **more: object) -> Files:
    """The same projects, each with something else."""
    return {name: {**spec, **more} for name, spec in files.items()}


def put(resource: Resource, namespace: str, name: str, **more: Any) -> Deed:  # noqa: ANN401 - JSON
    """Somebody makes an object."""

    def deed(cluster: FakeCluster) -> None:
        metadata = {"name": name, "uid": f"uid of {name}", **more.pop("metadata", {})}
        body: Body = {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata, **more}
        if namespace:
            metadata["namespace"] = namespace
        cluster.objects[ObjectRef(resource.group, resource.kind, namespace, name)] = body

    return deed


def workload(namespace: str, name: str, *conditions: str, job: str = "", active: bool = True) -> Deed:
    """A job of which Kueue says these conditions."""
    owner = {"ownerReferences": [{"uid": f"uid of {job}"}]} if job else {}
    status = {"conditions": [{"type": condition, "status": "True"} for condition in conditions]}
    return put(WORKLOAD, namespace, name, metadata=owner, spec={"active": active}, status=status)


def job(namespace: str, name: str, by: str) -> Deed:
    return put(JOB, namespace, name, metadata={"annotations": {"jobq.io/submitted-by": by}})


def all_of(*deeds: Deed) -> Deed:
    def deed(cluster: FakeCluster) -> None:
        for one in deeds:
            one(cluster)

    return deed


def removed(resource: Resource, namespace: str, name: str) -> Deed:
    """Somebody deletes an object."""

    def deed(cluster: FakeCluster) -> None:
        del cluster.objects[ObjectRef(resource.group, resource.kind, namespace, name)]

    return deed


def edited(resource: Resource, namespace: str, name: str, edit: Callable[[Body], None]) -> Deed:
    """Somebody changes a live object."""
    return lambda cluster: edit(cluster.objects[ObjectRef(resource.group, resource.kind, namespace, name)])


def taken(by: str, path: Sequence[str], value: object) -> Callable[[Body], None]:
    """Somebody writes a field of ours, as a patch does: the leaf is theirs then."""

    def edit(body: Body) -> None:
        node, fields = body, body["metadata"]["managedFields"][0]["fieldsV1"]
        theirs: dict[str, Any] = {}
        inner = theirs
        for step in path[:-1]:
            node, fields = node[step], fields[f"f:{step}"]
            inner = inner.setdefault(f"f:{step}", {})
        node[path[-1]] = value
        inner[f"f:{path[-1]}"] = fields.pop(f"f:{path[-1]}")
        entry = {"manager": by, "operation": "Update", "time": "2027-01-15T10:32:11Z", "fieldsV1": theirs}
        body["metadata"]["managedFields"].append(entry)

    return edit


def used(name: str, amount: str) -> Callable[[Body], None]:
    """The quota's controller counts."""
    return lambda body: body.update(status={"hard": dict(body["spec"]["hard"]), "used": {name: amount}})


BUSY = all_of(
    workload("vision", "a", "QuotaReserved", "Admitted"),
    workload("vision", "b", "QuotaReserved", "Admitted", "Finished"),
    workload("vision", "c"),
    workload("vision", "d"),
    workload("vision", "e", active=False),
    workload("speech", "f", "Admitted"),
)
ROBOTIC = {"members": [KIM, GROUP], "robot": "viewer"}
PAUSED: Files = {**BOTH, "vision": {"members": [KIM, GROUP], "active": False}}
DRAINED: Files = {**BOTH, "vision": {"members": [KIM, GROUP], "active": False, "whenInactive": "drain"}}
MOVED: Files = {**BOTH, "vision": {"members": [KIM, GROUP], "clusterQueue": "fake-shared"}}
WITHOUT_KIM: Files = {**BOTH, "vision": {"members": [GROUP]}}
STORED = {"spec": {"resources": {"requests": {"storage": "2Ti"}}}, "status": {"capacity": {"storage": "2Ti"}}}
CHOOSY: Files = {"vision": {"priorities": ["normal", "low"]}}
LIMITED: Files = {"vision": {"limits": {"jobs": 500, "storage": "2Ti"}}}

STORIES = {
    "paused": Story(PAUSED, [BOTH], deed=BUSY),
    "drained": Story(DRAINED, [BOTH], deed=BUSY),
    "held-by-hand": Story(
        BOTH, [BOTH], deed=edited(LOCAL_QUEUE, "vision", "main", taken("kubectl-patch", ["spec", "stopPolicy"], "Hold"))
    ),
    "moved": Story(MOVED, [BOTH], deed=BUSY),
    "moved-nowhere": Story({**BOTH, "vision": {"members": [GROUP], "clusterQueue": "nowhere"}}, [BOTH]),
    "old-kueue": Story(
        {**MOVED, "vision": {**MOVED["vision"], "members": [GROUP], "description": "x"}},
        [BOTH],
        deed=put(
            DEPLOYMENT,
            "kueue-system",
            "kueue-controller-manager",
            metadata={"labels": {"app.kubernetes.io/name": "kueue"}},
            spec={"template": {"spec": {"containers": [{"name": "manager", "image": "example.org/kueue:v0.16.9"}]}}},
        ),
    ),
    "new-without-queue": Story({**BOTH, "art": {"clusterQueue": "nowhere"}}, [BOTH]),
    "archived": Story({"speech": BOTH["speech"]}, [BOTH], deed=BUSY),
    "restored": Story(
        BOTH, [BOTH, {"speech": BOTH["speech"]}], deed=all_of(BUSY, put(CLAIM, "vision", "data", **STORED))
    ),
    "renamed": Story({"speech": BOTH["speech"], "sight": ROBOTIC}, [{**BOTH, "vision": ROBOTIC}]),
    "roles": Story(
        {
            "vision": {"members": [{**KIM, "role": "viewer"}, {**GROUP, "role": "maintainer"}], "robot": "viewer"},
            "speech": {"members": [{**LEE, "expires": "2027-01-14"}, KIM]},
        },
        [BOTH],
    ),
    "left-with-jobs": Story(
        WITHOUT_KIM,
        [BOTH],
        deed=all_of(
            *(job("vision", name, "kim@example.org") for name in ("train", "done", "waits")),
            job("vision", "theirs", "lee@example.org"),
            workload("vision", "a", "Admitted", job="train"),
            workload("vision", "b", "Admitted", "Finished", job="done"),
            workload("vision", "c", job="waits"),
            workload("vision", "d", "Admitted", job="theirs"),
        ),
    ),
    "below-use": Story(
        {"vision": {"limits": {"jobs": 1, "storage": "1Ti"}}},
        [LIMITED],
        deed=edited(
            RESOURCE_QUOTA,
            "vision",
            "jobq",
            lambda body: body.update(
                status={
                    "hard": {"count/jobs.batch": "500", "requests.storage": "2Ti"},
                    "used": {"count/jobs.batch": "2", "requests.storage": "1536Gi"},
                }
            ),
        ),
    ),
    "first-limits": Story(
        {"vision": {"limits": {"jobs": 1, "storage": "1Ti"}}},
        [{"vision": {}}],
        deed=all_of(*(job("vision", name, "kim@example.org") for name in ("a", "b"))),
    ),
    "taken-back": Story(
        BOTH,
        [BOTH],
        deed=all_of(
            edited(CONFIG_MAP, "jobq-system", "vision", taken("kubectl-edit", ["data", "queue"], "other")),
            edited(CONFIG_MAP, "jobq-system", "vision", taken("kubectl-patch", ["data", "clusterQueue"], "other")),
            removed(SERVICE, "speech", "workers"),
        ),
    ),
    "let-in": Story(
        BOTH,
        [BOTH],
        deed=edited(
            ROLE_BINDING,
            "vision",
            "jobq:maintainer",
            lambda body: taken("kubectl-edit", ["subjects"], [*body["subjects"], EVE])(body),
        ),
    ),
    "cluster": Story(
        CHOOSY,
        [CHOOSY],
        deed=all_of(
            put(PRIORITY_CLASS, "", "default", value=1),
            put(POD_PRIORITY_CLASS, "", "everyday", value=1, globalDefault=True),
            put(RESOURCE_QUOTA, "vision", "extra", spec={"hard": {"requests.cpu": "4", "limits.cpu": "4"}}),
            put(
                ROLE_BINDING,
                "vision",
                "guests",
                roleRef={"name": "admin"},
                subjects=[EVE, {"kind": "ServiceAccount", "namespace": "build", "name": "ci"}],
            ),
            put(
                CLUSTER_QUEUE,
                "",
                "gpu-shared",
                spec={
                    "stopPolicy": "Hold",
                    "namespaceSelector": {
                        "matchLabels": {"jobq.io/cluster-queue": "gpu-shared"},
                        "matchExpressions": [{"key": "team", "operator": "In", "values": ["blue", "red"]}],
                    },
                },
            ),
            put(
                LIMIT_RANGE,
                "elsewhere",
                "jobq",
                metadata={"labels": {"app.kubernetes.io/managed-by": "jobq", "jobq.io/project": "vision"}},
            ),
            put(
                NAMESPACE,
                "",
                "vision-old",
                metadata={"labels": {"app.kubernetes.io/managed-by": "jobq", "jobq.io/project": "vision"}},
            ),
        ),
    ),
    "everybody-less": Story(
        {
            name: {
                **spec,
                "members": [{"group": f"oidc:{name}", "role": "viewer"}, EVERYONE],
            }
            for name, spec in FORTY.items()
        },
        [FORTY],
    ),
    "everybody-more": Story(
        {
            name: {
                **spec,
                "members": [
                    {"group": f"oidc:{name}", "role": "researcher"},
                    {**EVERYONE, "role": "maintainer"},
                ],
            }
            for name, spec in FORTY.items()
        },
        [FORTY],
    ),
    "everybody-limited": Story(
        changed(FORTY, limits={"jobs": 1}),
        [FORTY],
        deed=all_of(*(edited(RESOURCE_QUOTA, name, "jobq", used("count/jobs.batch", "2")) for name in FORTY)),
    ),
}


@pytest.mark.parametrize("name", STORIES)
def test_story(name: str) -> None:
    """A consequence is told alike each time, in all three forms."""
    report = told(STORIES[name])
    same_as_kept(f"effects/{name}.txt", f"{as_text(report)}\n")
    same_as_kept(f"effects/{name}.md", f"{as_markdown(report)}\n")
    data = as_json(report)
    kept = {key: data[key] for key in ("disrupted", "restored", "totals", "effects", "refusals")}
    same_as_kept(f"effects/{name}.json", f"{json.dumps(kept, indent=2, ensure_ascii=False)}\n")
