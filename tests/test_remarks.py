"""What an adoption means for what lives in a namespace, remark by remark."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from reconciler.administration.adoption import Adoptee
from reconciler.administration.remarks import remarks
from reconciler.comparing.holdings import Contents, losses
from reconciler.model import PRIORITY_LABEL, QUEUE_LABEL, Body, Snapshot
from reconciler.render import render
from reconciler.source import templates
from tests.laws import TODAY, declared

DECLARATION = declared({"lab": {"priorities": ["normal"], "limits": {"jobs": 1}}})
BARE = Adoptee(
    project=DECLARATION.projects["lab"],
    namespace={"metadata": {"name": "lab", "labels": {}}},
    contents=Contents({}, {}),
    manifests=render(DECLARATION, templates(Snapshot("", {}), "project"), TODAY),
    settings=DECLARATION.settings,
    kueue={},
)


def named(name: str, labels: Mapping[str, str] | None = None, **more: object) -> Body:
    return {"metadata": {"name": name, "labels": dict(labels or {})}, **more}


def job(name: str, labels: Mapping[str, str] | None = None, **pods: object) -> Body:
    return named(name, labels, spec={"template": {"spec": {"containers": [], **pods}}})


def cron(name: str, **pods: str) -> Body:
    return named(name, spec={"jobTemplate": {"spec": job(name, None, **pods)["spec"]}})


def pod(name: str, *owners: str, **spec: object) -> Body:
    body = named(name, spec=spec, status={"phase": "Running"})
    body["metadata"]["ownerReferences"] = [dict(zip(("kind", "name"), owner.split(), strict=True)) for owner in owners]
    return body


QUEUED = {QUEUE_LABEL: "main"}
FINISHED = {"conditions": [{"type": "Complete", "status": "True"}]}
REMARKS: dict[str, tuple[dict[str, Sequence[Body]], str]] = {
    "without a queue": ({"Job": [job("a")]}, "Jobs without a queue run on outside the quota: a"),
    "served": ({"Deployment": [named("web")]}, "runs on outside the quota: Deployment web"),
    "an operator's": ({"Pod": [pod("p", "RayCluster ray")]}, "runs on outside the quota: RayCluster ray"),
    "nobody's": ({"Pod": [pod("p")]}, "runs on outside the quota: Pod p"),
    "served with a queue": ({"Deployment": [named("web", QUEUED)]}, "Kueue holds back their next pods"),
    "cron": ({"CronJob": [cron("nightly")]}, "CronJob nightly: its jobs have no queue"),
    "cron of another": (
        {"CronJob": [cron("nightly", serviceAccountName="builder")]},
        "CronJob nightly: its next jobs are refused, since they run as the ServiceAccount builder",
    ),
    "cron with a pod priority": (
        {"CronJob": [cron("nightly", priorityClassName="high")]},
        "CronJob nightly: its next jobs are refused, since their pods have priorityClassName high",
    ),
    "another account": (
        {"Job": [job("a", QUEUED, serviceAccountName="builder")]},
        "ServiceAccount builder (a): running jobs keep it, new ones that name it are refused",
    ),
    "another class": (
        {"Job": [job("a", {**QUEUED, PRIORITY_LABEL: "high"})]},
        "priority class high (a) isn't in the list: those keep it, new jobs may have normal",
    ),
    "tokens": ({"Pod": [pod("p", "ReplicaSet web")]}, "the ServiceAccount default will mount no token"),
    "services": ({"Service": [named("web")]}, "NetworkPolicies come: Services here can then be reached only"),
    "many jobs": (
        {"Job": [named("a", status=FINISHED), named("b", status=FINISHED)]},
        "there are 2 Jobs, and limits.jobs is 1",
    ),
    "another queue": (
        {"LocalQueue": [named("other", spec={"clusterQueue": "b"})]},
        "LocalQueue other (ClusterQueue b) stays, with 0 admitted and 0 waiting; new jobs must name main",
    ),
}


@pytest.mark.parametrize("name", REMARKS)
def test_remarks(name: str) -> None:
    """One thing that lives there is told as that, and an empty namespace is told nothing."""
    found, text = REMARKS[name]
    said = list(remarks(replace(BARE, contents=Contents(found, {}))))
    assert any(text in remark for remark in said), said
    assert not list(remarks(BARE))


def test_expected() -> None:
    """Bindings that the settings expect, storage quotas and owned jobs are no remark."""
    quota = named("q", spec={"hard": {"requests.storage": "1Ti", "count/jobs.batch": "5"}})
    binding = named("system:x", roleRef={"name": "edit"}, subjects=[])
    owned = job("a", QUEUED)
    owned["metadata"]["ownerReferences"] = [{"kind": "CronJob", "name": "nightly"}]
    found = {"ResourceQuota": [quota], "RoleBinding": [binding], "Job": [owned]}
    assert not list(remarks(replace(BARE, contents=Contents(found, {}))))


@pytest.mark.parametrize(
    ("kueue", "text"),
    [
        ({"manageJobsWithoutQueueName": True}, "Kueue manages jobs without a queue here"),
        (None, "Kueue's configuration can't be read"),
    ],
)
def test_jobs_that_kueue_would_suspend(kueue: Body | None, text: str) -> None:
    """The one setting of Kueue's that stops what runs comes first."""
    adoptee = replace(BARE, contents=Contents({"Job": [job("a")]}, {}), kueue=kueue)
    first = next(remarks(adoptee))
    assert first.startswith(text)
    assert "suspends a after the next reconcile" in first


def test_the_namespace_itself() -> None:
    """Another tool's label, the server's warnings, what is taken over and what can't be read are told."""
    helm = {"metadata": {"name": "lab", "labels": {"app.kubernetes.io/managed-by": "Helm"}}}
    facts: dict[str, Any] = {
        "namespace": helm,
        "warnings": ["existing pods violate"],
        "taken_over": ["Service workers", "LocalQueue main"],
        "contents": Contents({}, {"Pod": "forbidden"}),
    }
    assert list(remarks(replace(BARE, **facts))) == [
        "the server warns: existing pods violate",
        "the label app.kubernetes.io/managed-by was Helm: Helm may take the namespace for no longer its own",
        "reconcile takes over what has the project's names: Service workers",
        "Pods are not known: forbidden",
    ]


def test_losses() -> None:
    """What goes with a namespace: counted, with names, and bytes added up exactly."""
    claims = [
        named("data", spec={}, status={"capacity": {"storage": "1Ti"}}),
        named("more", spec={"resources": {"requests": {"storage": "512Gi"}}}),
    ]
    found = {
        "Job": [job("a"), named("b", status=FINISHED)],
        "PersistentVolumeClaim": claims,
        "ConfigMap": [named("kube-root-ca.crt"), named("script")],
        "Pod": [pod("p")],
    }
    assert list(losses(Contents(found, {"CronJob": "forbidden"}))) == [
        "2 Jobs, 1 of them finished: a, b",
        "1 running Pod",
        "2 PersistentVolumeClaims with 1.5 TiB and the data in them: data 1Ti, more 512Gi",
        "1 ConfigMap: script",
        "CronJobs: not known, forbidden",
    ]
