"""Why a job is as it is: recorded evidence, situations derived from it, and evidence with pieces missing."""

import json
import os
import random
import re
from typing import Any

import pytest

from cli.explain.answer import Answer, Code
from cli.explain.reading import evidence_of
from cli.explain.status import Status, status_of
from cli.explain.why import explain
from cli.job.why import as_json
from cli.submission.array import RUNS_VARIABLE
from tests.recordings import FOLDER, GONE, NAMES, changed, recording, told, written
from tests.test_help import resolved

GPU = "nvidia.com/gpu"
THEN = "2026-11-24T20:00:00Z"
"""Before all recordings."""


@pytest.mark.parametrize("name", NAMES)
def test_recorded(name: str) -> None:
    """What was recorded on real clusters is told in these words: UPDATE_CASES=1 rewrites them."""
    raw = recording(name)
    answer = told(raw)
    found = {"code": str(answer.code), "sentence": answer.sentence, "action": answer.action}
    if os.environ.get("UPDATE_CASES"):
        (FOLDER / f"{name}.json").write_text(written(raw | {"expect": found}), encoding="utf-8")
    else:
        assert found == raw["expect"], raw["story"]


def _condition(status: str, reason: str, message: str = "", when: str = THEN) -> dict[str, str]:
    return {"status": status, "reason": reason, "message": message, "lastTransitionTime": when}


def _refusal(status: int, message: str, *fields: str) -> dict[str, Any]:
    causes = [{"field": field, "reason": "FieldValueInvalid"} for field in fields]
    return {"status": status, "body": {"message": message, "details": {"causes": causes}}}


def _scheduled(message: str) -> dict[str, Any]:
    conditions = [{"type": "PodScheduled", **_condition("False", "Unschedulable", message)}]
    return {
        "metadata": {"name": "train-abcde", "namespace": "vision"},
        "status": {"phase": "Pending", "conditions": conditions},
    }


def _failed_create(why: str, *, name: str = "train", uid: str = "") -> dict[str, Any]:
    about = {"kind": "Job", "name": name, "uid": uid}
    return {
        "reason": "FailedCreate",
        "involvedObject": about,
        "message": f'Error creating: pods "x" is forbidden: {why}',
    }


def _unreserved(message: str, reason: str = "Pending") -> dict[str, Any]:
    return {f"{CONDITIONS}/QuotaReserved": _condition("False", reason, message)}


def _pods(name: str, count: int, gpus: str) -> dict[str, Any]:
    container = {"name": "main", "resources": {"requests": {GPU: gpus}}}
    return {"name": name, "count": count, "template": {"spec": {"containers": [container]}}}


def _setting_up(reason: str, message: str) -> dict[str, Any]:
    name = recording("secret-missing")["pods"][0]["metadata"]["name"]
    return {
        "pods/0/spec/nodeName": "node-1",
        "pods/0/status/containerStatuses/0/state/waiting": {"reason": "ContainerCreating"},
        "events": [{"reason": reason, "message": message, "involvedObject": {"kind": "Pod", "name": name}}],
    }


def _at_work(name: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "vision"}, "status": {"phase": "Running"}}


def _crashing(name: str, last: dict[str, Any]) -> dict[str, Any]:
    waiting = {"waiting": {"reason": "CrashLoopBackOff"}}
    return {"name": name, "restartCount": 4, "state": waiting, "lastState": {"terminated": last}}


def _quotas(*resources: tuple[str, str]) -> list[dict[str, Any]]:
    return _quotas_in("a100", *resources)


def _quotas_in(flavor: str, *resources: tuple[str, str]) -> list[dict[str, Any]]:
    written_ = [{"name": name, "nominalQuota": quota} for name, quota in resources]
    return [{"coveredResources": [name for name, _ in resources], "flavors": [{"name": flavor, "resources": written_}]}]


def _used(**resources: str) -> list[dict[str, Any]]:
    named = {"gpu": GPU, "cpu": "cpu", "memory": "memory"}
    return [{"name": "a100", "resources": [{"name": named[key], "total": value} for key, value in resources.items()]}]


def _neighbour(nominal: str, used: str, resource: str = GPU) -> dict[str, Any]:
    quota = {"name": resource, "nominalQuota": nominal}
    groups = [{"coveredResources": [resource], "flavors": [{"name": "a100", "resources": [quota]}]}]
    reserved = [{"name": "a100", "resources": [{"name": resource, "total": used}]}]
    meta = {"name": "speech-queue"}
    return {
        "metadata": meta,
        "spec": {"cohortName": "all", "resourceGroups": groups},
        "status": {"flavorsReservation": reserved},
    }


WL, CONDITIONS = "workload/status", "workload/status/conditions"
ROOM = {"clusterQueue/status/flavorsReservation": _used(gpu="0", cpu="0")}
UNSEEN = {"localQueue": None, "localQueues": None, "clusterQueue": None}
OUTSIDE: dict[str, Any] = {"job/metadata/labels": {}, "workload": None}
EVICTED_LONG_AGO = _condition("True", "PodsReadyTimeout", "Exceeded the PodsReady timeout")
ADMITTED_LONG_AGO = {f"{CONDITIONS}/Admitted": _condition("True", "Admitted")}
CASES: list[tuple[str, str, dict[str, Any], Code, list[str]]] = [
    # not accepted
    (
        "a label that Kueue refuses",
        "not-allowed",
        {
            "refused": _refusal(
                403,
                'admission webhook "vjob.kb.io" denied the request: '
                'metadata.labels[kueue.x-k8s.io/queue-name]: Invalid value: "a b": a lowercase RFC 1123 label',
            )
        },
        Code.INVALID_LABEL,
        ["a label of the job is not valid", "queue-name"],
    ),
    (
        "a label that the server refuses",
        "not-allowed",
        {
            "refused": _refusal(
                422, 'Job.batch "x" is invalid: metadata.labels: Invalid value: "a b"', "metadata.labels"
            )
        },
        Code.INVALID_LABEL,
        ["metadata.labels"],
    ),
    (
        "a bad amount",
        "not-allowed",
        {
            "refused": _refusal(
                422,
                'Job.batch "x" is invalid: spec.template.spec.containers[0].resources.limits: Invalid value: "-1"',
                "spec.template.spec.containers[0].resources.limits",
            )
        },
        Code.INVALID_RESOURCES,
        ["-1"],
    ),
    (
        "a class off the list",
        "not-allowed",
        {
            "refused": _refusal(
                403,
                "jobs.batch \"x\" is forbidden: ValidatingAdmissionPolicy 'jobq-jobs-priority' with binding "
                "'jobq-jobs-priority' denied request: priority class high is not allowed in this project; allowed: low",
            )
        },
        Code.PRIORITY_CLASS_NOT_ALLOWED,
        ["high is not allowed", "allowed: low"],
    ),
    (
        "a policy",
        "not-allowed",
        {"refused": _refusal(403, "x is forbidden: ValidatingAdmissionPolicy 'p' denied request: only on Mondays")},
        Code.FORBIDDEN,
        ["only on Mondays"],
    ),
    (
        "a namespace that goes",
        "not-allowed",
        {
            "refused": _refusal(
                403, 'jobs "x" is forbidden: unable to create new content in namespace v because it is being terminated'
            )
        },
        Code.FORBIDDEN,
        ["is being deleted"],
    ),
    ("an old login", "not-allowed", {"refused": _refusal(401, "Unauthorized")}, Code.FORBIDDEN, ["Log in again"]),
    (
        "a policy that finds it invalid",
        "not-allowed",
        {"refused": _refusal(422, "x is invalid: ValidatingAdmissionPolicy 'p' denied request: only on Mondays")},
        Code.FORBIDDEN,
        ["only on Mondays"],
    ),
    (
        "a server that is busy",
        "not-allowed",
        {"refused": _refusal(429, "the server has received too many requests")},
        Code.UNKNOWN,
        ["too many requests", "Try again"],
    ),
    ("no answer at all", "not-allowed", {"refused": {"status": 0}}, Code.UNKNOWN, ["no answer"]),
    (
        "another webhook",
        "not-allowed",
        {"refused": _refusal(500, 'failed calling webhook "x.example.org": refused')},
        Code.UNKNOWN,
        ["x.example.org"],
    ),
    # accepted, unknown to Kueue
    (
        "suspended by its owner, no queue",
        "namespace-not-managed",
        OUTSIDE | {"versions": {}},
        Code.SUSPENDED_UNMANAGED,
        ["nobody will start it"],
    ),
    (
        "no queue where Kueue manages all",
        "namespace-not-managed",
        {"job/metadata/labels": {}, "namespace/metadata/labels/jobq.io~managed": "true"},
        Code.NO_QUEUE_LABEL,
        ["no queue label"],
    ),
    (
        "no queue, with a Workload",
        "quota-behind-others",
        {"job/metadata/labels": {}, "workload/spec/queueName": GONE},
        Code.NO_QUEUE_LABEL,
        ["gpu-shared"],
    ),
    ("released by hand", "namespace-not-managed", {"job/spec/suspend": False}, Code.UNMANAGED, ["gpu-shared"]),
    (
        "outside, and its image is missing",
        "image-pull-backoff",
        {"job/metadata/labels": {}, "workload": None},
        Code.IMAGE_PULL,
        ["Its image", "was not found"],
    ),
    (
        "Kueue is down",
        "namespace-not-managed",
        {"visibility/localQueue": {"httpStatus": 503}},
        Code.KUEUE_UNAVAILABLE,
        ["does not answer", "503"],
    ),
    (
        "a class that the project doesn't allow",
        "namespace-not-managed",
        {"project": {"priorities": ["low"]}, "job/metadata/labels/kueue.x-k8s.io~priority-class": "high"},
        Code.PRIORITY_CLASS_NOT_ALLOWED,
        ["allowed: low"],
    ),
    (
        "the cluster's own pod priority",
        "namespace-not-managed",
        {"project": {"priorities": ["normal", "low"]}},
        Code.PRIORITY_CLASS_NOT_ALLOWED,
        ["allowed: normal, low", "jobq bump train --priority normal"],
    ),
    (
        "the cluster's own pod priority, by its name",
        "namespace-not-managed",
        {"project": {"priorities": ["normal", "low"]}, "defaultPriorityClass": "everyday"},
        Code.PRIORITY_CLASS_NOT_ALLOWED,
        ["and the cluster's default, everyday, is not allowed in vision; allowed: normal, low"],
    ),
    (
        "no class, and none that the cluster gives",
        "namespace-not-managed",
        {"project": {"priorities": ["normal", "low"]}, "defaultPriorityClass": ""},
        Code.NAMESPACE_NOT_MANAGED,
        ["Kueue does not manage this project's namespace"],
    ),
    (
        "a class that the namespace's list lacks",
        "namespace-not-managed",
        {
            "namespace/metadata/annotations": {"jobq.io/allowed-priority-classes": "normal,low"},
            "job/metadata/labels/kueue.x-k8s.io~priority-class": "high",
        },
        Code.PRIORITY_CLASS_NOT_ALLOWED,
        ["allowed: normal, low"],
    ),
    (
        "pods of a PriorityClass that isn't there",
        "namespace-not-managed",
        {
            "namespace/metadata/labels/jobq.io~managed": "true",
            "job/spec/template/spec/priorityClassName": "urgent",
            "job/metadata/labels/kueue.x-k8s.io~priority-class": GONE,
            "job/metadata/creationTimestamp": THEN,
        },
        Code.PRIORITY_CLASS_MISSING,
        ["urgent seems to be none", "for 31 min"],
    ),
    (
        "managed, and overlooked",
        "namespace-not-managed",
        {"namespace/metadata/labels/jobq.io~managed": "true", "job/metadata/creationTimestamp": THEN},
        Code.UNKNOWN,
        ["for 31 min 4 s", "nobody says why"],
    ),
    (
        "managed, and slow",
        "namespace-not-managed",
        {"namespace/metadata/labels/jobq.io~managed": "true"},
        Code.JUST_SUBMITTED,
        ["5 s ago"],
    ),
    (
        "overlooked, and the namespace can't be read",
        "namespace-not-managed",
        {"namespace": None, "job/metadata/creationTimestamp": THEN},
        Code.UNKNOWN,
        ["Kueue has not looked at it for 31 min 4 s: nobody says why"],
    ),
    (
        "Kueue's view can't be read",
        "namespace-not-managed",
        {"unread": {"workloads": "forbidden"}},
        Code.UNKNOWN,
        ["can't be read: forbidden"],
    ),
    (
        "an amount that is none",
        "not-allowed",
        {"refused": _refusal(400, "Job cannot be handled as a Job: quantities must match the regular expression")},
        Code.INVALID_RESOURCES,
        ["quantities must match"],
    ),
    ("a clock that is behind", "just-submitted", {"now": THEN}, Code.JUST_SUBMITTED, []),
    # held by somebody
    (
        "two gates",
        "admission-gated",
        {"job/metadata/annotations": {"kueue.x-k8s.io/admission-gated-by": "jobq.io/hold,example.org/budget"}},
        Code.HELD,
        ["submitted with --hold", "example.org/budget", "jobq resume train"],
    ),
    (
        "somebody else's gate, the message is old",
        "admission-gated",
        {"job/metadata/annotations": {"kueue.x-k8s.io/admission-gated-by": "example.org/budget"}},
        Code.HELD,
        ["held back by example.org/budget"],
    ),
    (
        "stopped and held",
        "deactivated-pending",
        {"job/metadata/annotations": {"kueue.x-k8s.io/admission-gated-by": "jobq.io/hold"}},
        Code.STOPPED,
        ["before it ever ran", "also held by jobq.io/hold"],
    ),
    ("stopping", "running", {"workload/spec/active": False}, Code.STOPPED, ["Stopping"]),
    (
        "being deleted",
        "running",
        {"job/metadata/deletionTimestamp": "2026-11-24T20:20:46Z"},
        Code.STOPPED,
        ["being deleted"],
    ),
    (
        "the queue was drained",
        "cluster-queue-held",
        {
            f"{CONDITIONS}/Evicted": _condition("True", "ClusterQueueStopped"),
            "clusterQueue/spec/stopPolicy": "HoldAndDrain",
        },
        Code.EVICTED_CLUSTER_QUEUE_STOPPED,
        ["gpu-shared", "20:00:00"],
    ),
    (
        "the ClusterQueue can't be read",
        "cluster-queue-held",
        {"clusterQueue": None},
        Code.CLUSTER_QUEUE_STOPPED,
        ["gpu-shared"],
    ),
    (
        "the LocalQueue can't be read",
        "local-queue-held",
        {"localQueue": None, "localQueues": None},
        Code.PROJECT_PAUSED,
        ["vision"],
    ),
    # misconfigured
    (
        "a flavor of the queue is missing",
        "cluster-queue-held",
        {
            "clusterQueue/spec/stopPolicy": "None",
            "clusterQueue/status/conditions/Active": _condition(
                "False", "FlavorNotFound", "Can't admit new workloads: references missing ResourceFlavor(s): a100."
            ),
        },
        Code.CLUSTER_QUEUE_BROKEN,
        ["references missing ResourceFlavor(s): a100", "FlavorNotFound"],
    ),
    (
        "the queues can't be read, the project's is stopped",
        "local-queue-held",
        UNSEEN | _unreserved("LocalQueue gpu-shared is stopped", "Inadmissible"),
        Code.PROJECT_PAUSED,
        ["vision"],
    ),
    (
        "the queues can't be read, the cluster's is inactive",
        "cluster-queue-held",
        UNSEEN,
        Code.CLUSTER_QUEUE_STOPPED,
        ["gpu-shared is inactive", "can't be read"],
    ),
    (
        "the queues can't be read, the project's is going",
        "local-queue-held",
        UNSEEN | _unreserved("LocalQueue gpu-shared is terminating or missing", "Misconfigured"),
        Code.QUEUE_MISSING,
        ["no queue gpu-shared"],
    ),
    (
        "the queues can't be read, the cluster's is going",
        "local-queue-held",
        UNSEEN | _unreserved("ClusterQueue gpu-shared is terminating or missing", "Inadmissible"),
        Code.CLUSTER_QUEUE_MISSING,
        ["gpu-shared"],
    ),
    (
        "the project's queue is going",
        "quota-array",
        {"localQueue/metadata/deletionTimestamp": THEN},
        Code.QUEUE_MISSING,
        ["gpu-shared is being deleted since 20:00:00"],
    ),
    (
        "an old word of a queue that is there again",
        "quota-array",
        _unreserved("LocalQueue gpu-shared doesn't exist", "Inadmissible"),
        Code.WAITING_FOR_QUOTA,
        ["2 of 4 are free"],
    ),
    (
        "devices that can't be counted",
        "quota-behind-others",
        ROOM | _unreserved("DeviceClass gpu.example.org is not mapped in DRA configuration", "Inadmissible"),
        Code.INVALID_RESOURCES,
        ["gpu.example.org is not mapped"],
    ),
    (
        "a flavor for jobs with a topology",
        "quota-behind-others",
        ROOM
        | {
            "resourceFlavors": [
                {"metadata": {"name": "a100"}, "spec": {"topologyName": "racks"}},
                {"metadata": {"name": "h100"}, "spec": {}},
            ],
            "clusterQueue/spec/resourceGroups": _quotas_in("a100", ("cpu", "16"), ("memory", "64Gi"), (GPU, "4"))
            + _quotas_in("h100", ("example.org/nic", "1")),
        },
        Code.NO_MATCHING_FLAVOR,
        ["(a100) is for jobs that ask for a topology", "podset-preferred-topology"],
    ),
    (
        "a flavor without a topology",
        "quota-behind-others",
        ROOM
        | {
            "workload/spec/podSets/0/topologyRequest": {"required": "rack"},
            "resourceFlavors": [{"metadata": {"name": "a100"}, "spec": {}}],
        },
        Code.NO_MATCHING_FLAVOR,
        ["has no topology, which the job asks for", "without asking for a topology"],
    ),
    (
        "a topology without that level",
        "quota-behind-others",
        ROOM
        | _unreserved('couldn\'t assign flavors to pod set main: Flavor "a100" does not contain the requested level')
        | {
            "workload/spec/podSets/0/topologyRequest": {"required": "rack"},
            "resourceFlavors": [{"metadata": {"name": "a100"}, "spec": {"topologyName": "hosts"}}],
        },
        Code.NO_MATCHING_FLAVOR,
        ["has no such level in its topology", "a level that the topology has"],
    ),
    (
        "the limit of a container above the most",
        "limit-range-max",
        {
            "workload/spec/podSets/0/template/spec/containers/0/resources": {
                "requests": {"memory": "4Gi"},
                "limits": {"memory": "16Gi"},
            }
        },
        Code.LIMIT_RANGE_EXCEEDED,
        ["at most 8Gi memory per container, the job asks for 16Gi"],
    ),
    (
        "below the least",
        "limit-range-max",
        {"limitRanges/0/spec/limits": [{"type": "Container", "min": {"cpu": "2"}}]},
        Code.LIMIT_RANGE_EXCEEDED,
        ["at least 2 cpu per container", "asks for 1"],
    ),
    (
        "the whole pod",
        "limit-range-max",
        {"limitRanges/0/spec/limits": [{"type": "Pod", "max": {"memory": "12Gi"}}]},
        Code.LIMIT_RANGE_EXCEEDED,
        ["at most 12Gi memory per pod"],
    ),
    (
        "the LimitRange can't be read",
        "limit-range-max",
        {"limitRanges": None},
        Code.LIMIT_RANGE_EXCEEDED,
        ["limitRange max"],
    ),
    (
        "requests above limits",
        "limit-range-max",
        {
            "limitRanges": None,
            f"{CONDITIONS}/QuotaReserved": _condition(
                "False", "Inadmissible", "resources validation failed: requests must not exceed its limits"
            ),
        },
        Code.INVALID_RESOURCES,
        [],
    ),
    (
        "a flavor with other labels",
        "flavor-node-selector",
        {"resourceFlavors": [{"metadata": {"name": "a100-nodes"}, "spec": {"nodeLabels": {"gpu": "a100"}}}]},
        Code.NO_MATCHING_FLAVOR,
        ["nodes with gpu=h100", "(a100-nodes) has gpu=a100", "or with gpu=a100"],
    ),
    (
        "no ClusterQueue can be read: taint",
        "flavor-taint",
        {"clusterQueue": None},
        Code.NO_MATCHING_FLAVOR,
        ["dedicated=team:NoSchedule"],
    ),
    (
        "no ClusterQueue can be read: resource",
        "resource-not-covered",
        {"clusterQueue": None},
        Code.RESOURCE_NOT_IN_QUEUE,
        [GPU],
    ),
    (
        "no ClusterQueue can be read: too much",
        "never-fits-gpus",
        {"clusterQueue": None},
        Code.NEVER_FITS,
        ["6 nvidia.com/gpu", "at most 4"],
    ),
    # quota
    (
        "no ClusterQueue can be read",
        "quota-array",
        {"clusterQueue": None},
        Code.WAITING_FOR_QUOTA,
        ["needs 4 nvidia.com/gpu in a100", "2 more than "],
    ),
    (
        "numbers that don't count from 0",
        "quota-array",
        {"job/spec/template/spec/containers/0/env": [{"name": RUNS_VARIABLE, "value": "1:7:1 20:1:1"}]},
        Code.WAITING_FOR_QUOTA,
        ["Resubmit with --array 1-7,20%2"],
    ),
    ("no places", "quota-array", {"visibility": None}, Code.WAITING_FOR_QUOTA, ["2 of 4 are free.", "--array 0-7%2"]),
    (
        "one of many",
        "quota-behind-others",
        {
            "visibility/localQueue/items/2/positionInClusterQueue": 111,
            "visibility/localQueue/items/2/positionInLocalQueue": 21,
        },
        Code.WAITING_FOR_QUOTA,
        ["3rd in your project, 112th overall"],
    ),
    (
        "strictly in order",
        "quota-behind-others",
        {"clusterQueue/spec/queueingStrategy": "StrictFIFO"},
        Code.WAITING_BEHIND_HEAD,
        ["StrictFIFO", "2 jobs are ahead", "3rd overall"],
    ),
    (
        "strictly in order, and first",
        "quota-array",
        {"clusterQueue/spec/queueingStrategy": "StrictFIFO"},
        Code.WAITING_FOR_QUOTA,
        ["2 of 4 are free", "goes to the end of the queue"],
    ),
    (
        "strictly in order, though it would fit",
        "quota-behind-others",
        {"clusterQueue/spec/queueingStrategy": "StrictFIFO", "clusterQueue/status/flavorsReservation": _used(gpu="0")},
        Code.WAITING_BEHIND_HEAD,
        ["would be free"],
    ),
    (
        "there is room",
        "quota-behind-others",
        {"clusterQueue/status/flavorsReservation": _used(gpu="0")},
        Code.WAITING_FOR_QUOTA,
        ["by the queue's numbers there is room"],
    ),
    (
        "topology",
        "quota-behind-others",
        {
            "clusterQueue/status/flavorsReservation": _used(gpu="0"),
            f"{CONDITIONS}/QuotaReserved": _condition(
                "False", "Pending", 'topology "rack" doesn\'t allow to fit any of 1 pod(s)'
            ),
        },
        Code.WAITING_FOR_QUOTA,
        ["the topology rack have no place for its pod"],
    ),
    (
        "a topology for some of its pods",
        "quota-behind-others",
        ROOM
        | _unreserved(
            'couldn\'t assign flavors to pod set main: topology "default" allows to fit only 2 out of 4 pod(s). '
            'Total nodes: 3; excluded: resource "nvidia.com/gpu": 1',
            "TopologyPlacementFailed",
        ),
        Code.WAITING_FOR_QUOTA,
        [
            "the quota is there",
            "place for only 2 of its 4 pods together",
            "(of 3 nodes 1 lack nvidia.com/gpu)",
        ],
    ),
    (
        "others make room",
        "quota-behind-others",
        ROOM
        | _unreserved(
            "Workload has overlapping preemption targets with another workload, but will fit after these preemptions "
            "complete"
        ),
        Code.WAITING_FOR_PREEMPTED,
        ["the place of other jobs"],
    ),
    (
        "one after another",
        "quota-behind-others",
        ROOM | _unreserved("waiting for all admitted workloads to be in PodsReady condition", "Waiting"),
        Code.WAITING_FOR_QUOTA,
        ["one after another", "not ready yet"],
    ),
    (
        "an array that was half done",
        "quota-array",
        {
            f"{WL}/reclaimablePods": [{"name": "main", "count": 1}],
            f"{WL}/resourceRequests": [{"name": "main", "resources": {GPU: "3"}}],
        },
        Code.WAITING_FOR_QUOTA,
        ["needs 3 nvidia.com/gpu in a100 (3 at a time, 1 each), 2 of 4 are free"],
    ),
    (
        "a queue that says nothing of its use",
        "quota-array",
        {"clusterQueue/status": {}},
        Code.WAITING_FOR_QUOTA,
        ["needs 4 nvidia.com/gpu in a100; 2 more than is free now"],
    ),
    (
        "pod sets that are too large together",
        "quota-array",
        {
            "workload/spec/podSets": [_pods("driver", 1, "1"), _pods("workers", 4, "1")],
            f"{WL}/resourceRequests": [],
        },
        Code.NEVER_FITS,
        ["its pods together ask for 5 nvidia.com/gpu", "at most 4", "at most 3 pods in workers"],
    ),
    (
        "two flavors, and of each something else is short",
        "quota-two-flavors",
        {
            "clusterQueue/status/flavorsReservation/0/resources": [
                {"name": "cpu", "total": "15500m"},
                {"name": GPU, "total": "3"},
            ],
        },
        Code.WAITING_FOR_QUOTA,
        ["1 of 4 nvidia.com/gpu and 500m of 16 cpu free in a100, 0 of 2 nvidia.com/gpu free in h100"],
    ),
    (
        "many pods, each of them too large",
        "never-fits-many-pods",
        {"workload/spec/podSets": [_pods("main", 3, "6")], f"{WL}/resourceRequests": []},
        Code.NEVER_FITS,
        ["3 pods at once ask for 18", "at most 4", "at most 1 GPU per pod"],
    ),
    (
        "more pods than devices, each too large",
        "never-fits-many-pods",
        {"workload/spec/podSets": [_pods("main", 5, "6")], f"{WL}/resourceRequests": []},
        Code.NEVER_FITS,
        ["one pod at a time, and at most 4 GPUs in it"],
    ),
    (
        "pod sets that wait together",
        "quota-array",
        {
            "workload/spec/podSets": [_pods("driver", 1, "1"), _pods("workers", 3, "1")],
            f"{WL}/resourceRequests": [],
        },
        Code.WAITING_FOR_QUOTA,
        ["its pods together need 4 nvidia.com/gpu in a100, 2 of 4 are free"],
    ),
    (
        "two resources, one short by little",
        "quota-cpu-not-gpu",
        {"clusterQueue/status/flavorsReservation": _used(cpu="14", gpu="4")},
        Code.WAITING_FOR_QUOTA,
        ["1 nvidia.com/gpu and 4 cpu", "0 of 4 nvidia.com/gpu", "2 of 16 cpu"],
    ),
    (
        "memory",
        "quota-cpu-not-gpu",
        {"clusterQueue/spec/resourceGroups": _quotas(("cpu", "16"), ("memory", "1536Mi"), (GPU, "4"))},
        Code.WAITING_FOR_QUOTA,
        ["needs 4 cpu and 1Gi memory in a100", "512Mi of 1.5Gi memory"],
    ),
    (
        "the cohort can't be seen",
        "borrowing-waiting",
        {"cohortClusterQueues": GONE, "cohorts": GONE},
        Code.WAITING_FOR_QUOTA,
        ["needs 4 nvidia.com/gpu in a100", "2 more than "],
    ),
    (
        "the cohort can't be seen, and Kueue says never",
        "never-fits-gpus",
        {"clusterQueue/spec/cohortName": "all"},
        Code.NEVER_FITS,
        ["6 nvidia.com/gpu", "at most 4"],
    ),
    (
        "a cohort whose parent can't be seen",
        "borrowing-waiting",
        {"cohorts": GONE, "cohort": {"metadata": {"name": "all"}, "spec": {"parentName": "top"}}},
        Code.WAITING_FOR_QUOTA,
        ["2 of your own are free, 2 more than can be borrowed now"],
    ),
    (
        "the spelling of v1beta1",
        "borrowing-waiting",
        {"clusterQueue/spec/cohortName": GONE, "clusterQueue/spec/cohort": "all"},
        Code.WAITING_FOR_QUOTA,
        ["2 of your own are free"],
    ),
    (
        "a borrowing limit",
        "borrowing-waiting",
        {"clusterQueue/spec/resourceGroups/0/flavors/0/resources/2/borrowingLimit": "1"},
        Code.NEVER_FITS,
        ["at most 3"],
    ),
    (
        "more in use than there is",
        "quota-array",
        {"clusterQueue/status/flavorsReservation": _used(gpu="9")},
        Code.WAITING_FOR_QUOTA,
        ["0 of 4 are free", "Wait."],
    ),
    (
        "preempted by nobody we know",
        "preempted-same-project",
        {"otherWorkloads": [], f"{CONDITIONS}/Preempted/reason": "InCohortReclamation"},
        Code.PREEMPTED_WAITING,
        ["a job of another project", "took back quota that was borrowed"],
    ),
    (
        "preempted, and the project's Workloads can't be read",
        "preempted-same-project",
        {"otherWorkloads": GONE},
        Code.PREEMPTED_WAITING,
        ["make room for another job;"],
    ),
    (
        "preempted, since the cohort shares fairly",
        "preempted-same-project",
        {"otherWorkloads": [], f"{CONDITIONS}/Preempted/reason": "InCohortFairSharing"},
        Code.PREEMPTED_WAITING,
        ["shares fairly", "can be taken back at any time"],
    ),
    (
        "preempted, and its queue has shrunk",
        "preempted-same-project",
        {"clusterQueue/spec/resourceGroups": _quotas(("cpu", "16"), ("memory", "64Gi"), (GPU, "2"))},
        Code.NEVER_FITS,
        ["asks for 4 nvidia.com/gpu", "at most 2"],
    ),
    (
        "preempted, and its pods still end",
        "running",
        {
            f"{CONDITIONS}/Evicted": _condition("True", "Preempted", when="2026-11-24T20:20:40Z"),
            f"{CONDITIONS}/Preempted": _condition("True", "InClusterQueue"),
        },
        Code.PREEMPTED_WAITING,
        ["its pods are being stopped"],
    ),
    (
        "priority, and nobody borrows",
        "borrowing-waiting",
        {
            "clusterQueue/spec/preemption": {"reclaimWithinCohort": "Any", "withinClusterQueue": "LowerPriority"},
            "clusterQueue/spec/resourceGroups": _quotas(("cpu", "16"), ("memory", "64Gi"), (GPU, "4")),
            "cohortClusterQueues": [_neighbour("4", "8")],
            "job/metadata/labels/kueue.x-k8s.io~priority-class": "high",
        },
        Code.WAITING_FOR_QUOTA,
        ["needs 4 nvidia.com/gpu"],
    ),
    (
        "priority, nominal 0",
        "borrowing-waiting",
        {
            "clusterQueue/spec/preemption": {"reclaimWithinCohort": "Any", "withinClusterQueue": "LowerPriority"},
            "clusterQueue/spec/resourceGroups": _quotas(("cpu", "16"), ("memory", "64Gi"), (GPU, "0")),
            "cohortClusterQueues": [_neighbour("4", "4")],
            "job/metadata/labels/kueue.x-k8s.io~priority-class": "high",
        },
        Code.WAITING_FOR_QUOTA,
        ["priority high does not help", "nothing in gpu-shared uses nvidia.com/gpu", "0 nvidia.com/gpu of its own"],
    ),
    (
        "priority of a job that has to borrow",
        "borrowing-waiting",
        {
            "clusterQueue/spec/preemption": {"reclaimWithinCohort": "Any", "withinClusterQueue": "LowerPriority"},
            "clusterQueue/spec/resourceGroups": _quotas(("cpu", "16"), ("memory", "64Gi"), (GPU, "2")),
            "clusterQueue/status/flavorsReservation": _used(gpu="2", cpu="2"),
            "cohortClusterQueues": [_neighbour("4", "4")],
            "job/metadata/labels/kueue.x-k8s.io~priority-class": "high",
        },
        Code.WAITING_FOR_QUOTA,
        [
            "priority high does not help",
            "more than the 2 nvidia.com/gpu of gpu-shared itself",
            "has to borrow stops no other",
        ],
    ),
    (
        "priority, and the CPUs decide",
        "borrowing-waiting",
        {
            "clusterQueue/spec/preemption": {"reclaimWithinCohort": "Any"},
            "clusterQueue/spec/resourceGroups": _quotas(("cpu", "0"), ("memory", "64Gi"), (GPU, "4")),
            "cohortClusterQueues": [_neighbour("4", "4", "cpu")],
            "job/metadata/labels/kueue.x-k8s.io~priority-class": "high",
        },
        Code.WAITING_FOR_QUOTA,
        ["needs 1 cpu in a100", "GPUs are free", "0 cpu of its own"],
    ),
    # quota reserved, not admitted
    (
        "all checks have agreed, and nothing follows",
        "admission-check-pending",
        {
            f"{WL}/admissionChecks/0/state": "Ready",
            f"{CONDITIONS}/QuotaReserved": _condition("True", "QuotaReserved"),
            f"{CONDITIONS}/Admitted": _condition(
                "False", "PendingDelayedTopologyRequests", "There are pending requests"
            ),
        },
        Code.ADMISSION_CHECK_PENDING,
        ["and is not admitted: There are pending requests", "holds 1 GPU"],
    ),
    (
        "a check that is asked again",
        "admission-check-pending",
        {
            f"{WL}/admissionChecks/0/message": "Reset to Pending after eviction. Previously: Retry",
            f"{CONDITIONS}/Evicted": _condition(
                "False",
                "QuotaReserved",
                'Previously: Evicted due to AdmissionCheck in Retry state: "grow" (node pool is full)',
            ),
        },
        Code.ADMISSION_CHECK_PENDING,
        ["the admission check grow: it is asked again, it sent the job back before (node pool is full)"],
    ),
    (
        "two checks",
        "admission-check-pending",
        {f"{WL}/admissionChecks/budget": {"name": "budget", "state": "Pending", "message": "asking"}},
        Code.ADMISSION_CHECK_PENDING,
        ["grow (no capacity in zone b, trying zone c) and budget (asking)"],
    ),
    (
        "a check in the spelling of v1beta1 without a message",
        "admission-check-pending",
        {f"{WL}/admissionChecks": [{"name": "grow", "state": "Pending"}]},
        Code.ADMISSION_CHECK_PENDING,
        ["waits for the admission check grow."],
    ),
    (
        "sent back",
        "quota-array",
        {
            f"{CONDITIONS}/Evicted": _condition(
                "True",
                "AdmissionCheck",
                'The workload is evicted due to AdmissionCheck in Retry state: "grow" (no capacity)',
            ),
            f"{WL}/requeueState": {"count": 1, "requeueAt": "2026-11-24T20:25:09Z"},
        },
        Code.ADMISSION_CHECK_RETRY,
        ["admission check grow", "no capacity", "10 min"],
    ),
    (
        "about to be sent back",
        "admission-check-pending",
        {f"{WL}/admissionChecks": [{"name": "grow", "state": "Retry", "message": "later"}]},
        Code.ADMISSION_CHECK_RETRY,
        ["grow", "later"],
    ),
    (
        "rejected, and the state is still there",
        "admission-check-pending",
        {
            f"{WL}/admissionChecks": [{"name": "grow", "state": "Rejected", "message": "no"}],
            "workload/spec/active": False,
        },
        Code.ADMISSION_CHECK_REJECTED,
        ["grow", ": no.", "not be tried again by itself"],
    ),
    (
        "an old word of a check beside a time limit",
        "max-exec-time",
        {f"{WL}/admissionChecks": [{"name": "grow", "state": "Rejected", "message": "error of yesterday"}]},
        Code.TIME_LIMIT,
        ["3 s"],
    ),
    # contradictions of Kueue
    (
        "evicted and admitted at once",
        "running",
        {
            f"{CONDITIONS}/Evicted": _condition("True", "PodsReadyTimeout", "", "2026-11-24T17:20:45Z"),
            f"{WL}/requeueState": {"count": 1, "requeueAt": "2026-11-24T17:21:45Z"},
            "job/spec/suspend": True,
            "pods": [],
        },
        Code.EVICTED_NOT_REQUEUED,
        ["has not put it back", "17:21:45", "2 h 59 min", "2 GPUs", "still counts"],
    ),
    (
        "evicted and admitted at once, no next try",
        "running",
        {
            f"{CONDITIONS}/Evicted": _condition("True", "Preempted", "", "2026-11-24T17:20:45Z"),
            "job/spec/suspend": True,
            "pods": [],
        },
        Code.EVICTED_NOT_REQUEUED,
        ["17:20:45 UTC (Preempted), 3 h ago, and has not put it back", "still counts"],
    ),
    (
        "evicted, and the next try is long overdue",
        "pods-ready-timeout",
        {
            f"{CONDITIONS}/Evicted": _condition("True", "PodsReadyTimeout", "", "2026-11-24T17:20:45Z"),
            f"{WL}/requeueState": {"count": 1, "requeueAt": "2026-11-24T17:21:45Z"},
            "pods": [],
        },
        Code.EVICTED_NOT_REQUEUED,
        ["has not put it back, although that was due at 17:21:45", "ago.", "tell the admins"],
    ),
    (
        "admitted, yet suspended",
        "running",
        ADMITTED_LONG_AGO | {"job/spec/suspend": True, "pods": [], "events": []},
        Code.ADMITTED_SUSPENDED,
        ["still suspended", "20 min 47 s"],
    ),
    (
        "admitted, the gate is still there",
        "running",
        ADMITTED_LONG_AGO
        | {
            "job/spec/suspend": True,
            "pods": [],
            "job/metadata/annotations": {"kueue.x-k8s.io/admission-gated-by": "jobq.io/hold"},
        },
        Code.ADMITTED_SUSPENDED,
        ["jobq.io/hold", "jobq resume train"],
    ),
    ("admitted just now", "running", {"job/spec/suspend": True, "pods": []}, Code.JUST_ADMITTED, []),
    ("no pod yet", "running", {"pods": [], "job/status": {}, "events": []}, Code.JUST_ADMITTED, []),
    (
        "no pod for long",
        "running",
        ADMITTED_LONG_AGO | {"pods": [], "job/status": {}, "events": []},
        Code.STARTING,
        ["nobody says why"],
    ),
    # admitted, pods don't come
    (
        "a quota that wants limits",
        "quota-compute-refuses-pods",
        {"events": [_failed_create("failed quota: extra: must specify limits.cpu for: main")]},
        Code.QUOTA_REFUSES_PODS,
        ["ResourceQuota extra", "limits.cpu"],
    ),
    (
        "a quota that others use",
        "quota-compute-refuses-pods",
        {
            "events": [
                _failed_create(
                    "exceeded quota: extra, requested: limits.memory=4Gi,requests.cpu=4, used: limits.memory=6Gi,"
                    "requests.cpu=2, limited: limits.memory=8Gi,requests.cpu=10"
                )
            ]
        },
        Code.QUOTA_REFUSES_PODS,
        ["allows 8Gi memory as limits (limits.memory), 6Gi in use, and its pod asks for 4Gi more", "or wait"],
    ),
    (
        "limits that came later",
        "quota-compute-refuses-pods",
        {
            "events": [
                _failed_create("[maximum cpu usage per Container is 2, but limit is 4, maximum memory usage ...]")
            ]
        },
        Code.LIMIT_RANGE_EXCEEDED,
        ["at most 2 cpu per container, it asks for 4"],
    ),
    (
        "limits that want a limit",
        "quota-compute-refuses-pods",
        {"events": [_failed_create("maximum memory usage per Container is 1536Mi.  No limit is specified")]},
        Code.LIMIT_RANGE_EXCEEDED,
        ["at most 1.5Gi memory per container, it has no limit"],
    ),
    (
        "a ratio",
        "quota-compute-refuses-pods",
        {
            "events": [
                _failed_create("cpu max limit to request ratio per Container is 2, but provided ratio is 4.000000")
            ]
        },
        Code.LIMIT_RANGE_EXCEEDED,
        ["the cpu limit of a container may be at most 2 times its request"],
    ),
    (
        "the same job before, and its neighbour",
        "running",
        ADMITTED_LONG_AGO
        | {
            "pods": [],
            "job/status": {},
            "events": [
                _failed_create("exceeded quota: a, requested: pods=1, used: pods=1, limited: pods=1", uid="before"),
                _failed_create("exceeded quota: a, requested: pods=1, used: pods=1, limited: pods=1", name="train-2"),
            ],
        },
        Code.STARTING,
        ["nobody says why"],
    ),
    (
        "a claim that isn't there",
        "pods-unschedulable-selector",
        {"pods": [_scheduled('0/2 nodes are available: persistentvolumeclaim "data" not found. preemption: none')]},
        Code.VOLUME_MISSING,
        ["the volume claim data does not exist"],
    ),
    (
        "pods that can't be seen",
        "image-pull-backoff",
        {"pods": None, "events": []},
        Code.STARTING,
        ["1 pod is made, but not ready"],
    ),
    (
        "some pods that can't be seen",
        "pods-some-unschedulable",
        {"pods": None},
        Code.PARTLY_RUNNING,
        ["2 of 4 pods are ready"],
    ),
    ("Kueue can't be asked, and the job runs", "running", {"workload": GONE}, Code.RUNNING, ["(1 pod)"]),
    (
        "taints and cores",
        "pods-unschedulable-selector",
        {
            "workload/spec/podSets/0/template/spec/nodeSelector": GONE,
            "pods": [_scheduled("0/5 nodes are available: 2 Insufficient cpu, 3 node(s) had untolerated taint {a: b}")],
        },
        Code.UNSCHEDULABLE,
        ["2 of 5 nodes don't have 1 CPU free", "3 of 5 nodes have a taint a=b"],
    ),
    (
        "a gate of somebody else's",
        "pods-unschedulable-selector",
        {
            "pods/0/spec/schedulingGates": [{"name": "example.org/wait"}],
            "pods/0/status/conditions/PodScheduled": _condition("False", "SchedulingGated", "Scheduling is blocked"),
        },
        Code.STARTING,
        ["waits for its scheduling gate example.org/wait"],
    ),
    (
        "a claim without a volume",
        "pods-unschedulable-selector",
        {
            "workload/spec/podSets/0/template/spec/volumes": [{"persistentVolumeClaim": {"claimName": "data"}}],
            "pods": [
                _scheduled("0/2 nodes are available: pod has unbound immediate PersistentVolumeClaims. not found")
            ],
        },
        Code.VOLUME_MISSING,
        ["the volume claim data has no volume yet", "the events of the claim data say why"],
    ),
    (
        "pods that were never made",
        "pods-some-unschedulable",
        {
            "pods": [_at_work("sweep-0"), _at_work("sweep-1")],
            "events": [
                _failed_create("exceeded quota: extra, requested: pods=1, used: pods=2, limited: pods=2", name="sweep")
            ],
        },
        Code.PARTLY_RUNNING,
        ["2 of 4 pods run, 2 can't be created: the namespace's ResourceQuota extra allows 2 pods, all in use"],
    ),
    (
        "nodes of all sorts",
        "pods-unschedulable-selector",
        {
            "workload/spec/podSets/0/template/spec/nodeSelector": GONE,
            "pods": [
                _scheduled(
                    "0/9 nodes are available: 1 node(s) had volume node affinity conflict, 2 Too many pods, "
                    "3 Insufficient cpu, 3 node(s) didn't match pod anti-affinity rules. preemption: 0/9 nodes ..."
                )
            ],
        },
        Code.UNSCHEDULABLE,
        ["3 of 9 nodes don't have 1 CPU free", "can't reach its volume", "no place for more pods", "anti-affinity"],
    ),
    (
        "no nodes at all",
        "pods-unschedulable-selector",
        {"pods": [_scheduled("no nodes available to schedule pods")]},
        Code.UNSCHEDULABLE,
        ["there are no nodes"],
    ),
    (
        "a scheduler that says nothing",
        "pods-unschedulable-selector",
        {"pods": [_scheduled("")], "events": []},
        Code.STARTING,
        [],
    ),
    (
        "enough GPUs in sum, none on one node",
        "pods-ready-timeout",
        {
            f"{WL}/requeueState": {"count": 3, "requeueAt": "2026-11-24T20:31:39Z"},
            "workload/spec/podSets/0/template/spec/nodeSelector": GONE,
            "workload/spec/podSets/0/template/spec/containers/0/resources": {"requests": {GPU: "2"}},
            "pods": [_scheduled("0/2 nodes are available: 2 Insufficient nvidia.com/gpu. preemption: none")],
            "events": [],
        },
        Code.PODS_READY_TIMEOUT,
        ["no single node has 2 GPUs free", "3 times", "5 min", "less per pod", "more quota would not help"],
    ),
    (
        "given up",
        "max-exec-time",
        {
            f"{CONDITIONS}/Evicted": _condition("True", "DeactivatedDueToRequeuingLimitExceeded"),
            f"{WL}/requeueState": {"count": 4},
        },
        Code.GAVE_UP,
        ["after 4 tries"],
    ),
    (
        "not ready in time, and waiting for quota now",
        "pods-ready-timeout",
        {
            f"{CONDITIONS}/Requeued": _condition("True", "BackoffFinished"),
            f"{WL}/requeueState": {"count": 2},
            "clusterQueue/status/flavorsReservation": _used(gpu="4"),
            "pods": [],
        },
        Code.PODS_READY_TIMEOUT,
        ["waits in the queue again, it was admitted twice in vain: needs 1 nvidia.com/gpu", "0 of 4 are free"],
    ),
    (
        "a registry that asks who",
        "image-pull-backoff",
        {"pods/0/status/containerStatuses/0/state/waiting/message": "failed: 401 unauthorized"},
        Code.IMAGE_PULL,
        ["registry refuses registry.invalid/train:1", "pull secret"],
    ),
    (
        "an image whose tag looks like a refusal",
        "image-pull-backoff",
        {
            "events": [],
            "pods/0/status/containerStatuses/0/image": "example.org/train:401",
            "pods/0/status/containerStatuses/0/state/waiting/message": "example.org/train:401: not found",
        },
        Code.IMAGE_PULL,
        ["example.org/train:401 was not found"],
    ),
    (
        "an image for other processors",
        "image-pull-backoff",
        {
            "events": [],
            "pods/0/status/containerStatuses/0/state/waiting/message": "no match for platform in manifest: not found",
        },
        Code.IMAGE_PULL,
        ["not built for the processor"],
    ),
    (
        "a volume that another pod has",
        "secret-missing",
        _setting_up(
            "FailedAttachVolume", 'Multi-Attach error for volume "v" Volume is already used by pod(s) other-abcde'
        ),
        Code.VOLUME_MISSING,
        ["in use by the pod other-abcde on another node"],
    ),
    (
        "a node that can't set it up",
        "secret-missing",
        _setting_up("FailedCreatePodSandBox", "Failed to create pod sandbox: no network"),
        Code.STARTING,
        ["is being set up. Its node had trouble with that: Failed to create pod sandbox: no network"],
    ),
    (
        "a command that the image lacks",
        "secret-missing",
        {
            "pods/0/status/containerStatuses/0/state/waiting": {
                "reason": "RunContainerError",
                "message": 'failed to create task: exec: "pyhton": executable file not found in $PATH: unknown',
            }
        },
        Code.CONFIG_ERROR,
        ["its image has no command pyhton"],
    ),
    (
        "an init container at work",
        "running",
        {
            "pods/0/status/phase": "Pending",
            "pods/0/status/initContainerStatuses": [{"name": "fetch", "state": {"running": {"startedAt": THEN}}}],
            "pods/0/status/containerStatuses": [{"name": "main", "state": {"waiting": {"reason": "PodInitializing"}}}],
        },
        Code.STARTING,
        ["runs its init container fetch"],
    ),
    (
        "a key that the secret lacks",
        "secret-missing",
        {"pods/0/status/containerStatuses/0/state/waiting/message": "couldn't find key token in Secret vision/wandb"},
        Code.CONFIG_ERROR,
        ["secret wandb has no key token"],
    ),
    # running or ended
    (
        "starting over and over",
        "running",
        {
            "pods/0/status/containerStatuses/0": {
                "name": "main",
                "restartCount": 4,
                "state": {"waiting": {"reason": "CrashLoopBackOff"}},
                "lastState": {"terminated": {"exitCode": 127, "reason": "Error"}},
            }
        },
        Code.RETRYING,
        ["exit code 127 (the command was not found)"],
    ),
    (
        "an init container over and over",
        "running",
        {
            "pods/0/status/phase": "Pending",
            "pods/0/status/initContainerStatuses": [_crashing("fetch", {"exitCode": 1, "reason": "Error"})],
            "pods/0/status/containerStatuses": [{"name": "main", "state": {"waiting": {"reason": "PodInitializing"}}}],
        },
        Code.RETRYING,
        ["attempt 4 failed in its init container fetch: exit code 1"],
    ),
    (
        "too little memory over and over",
        "running",
        {"pods/0/status/containerStatuses/0": _crashing("main", {"exitCode": 137, "reason": "OOMKilled"})},
        Code.RETRYING,
        ["used more than its 1Gi of memory", "more --memory"],
    ),
    (
        "on another cluster",
        "running",
        ADMITTED_LONG_AGO
        | {"pods": [], "job/status": {"active": 2, "ready": 2}, f"{WL}/clusterName": "west", "job/spec/suspend": True},
        Code.RUNNING,
        ["on the cluster west", "2 pods"],
    ),
    (
        "sent to another cluster",
        "running",
        ADMITTED_LONG_AGO | {"pods": [], "job/status": {}, "events": [], f"{WL}/clusterName": "west"},
        Code.STARTING,
        ["sent to the cluster west"],
    ),
    (
        "stopped twice",
        "preempted-then-running-again",
        {
            f"{WL}/schedulingStats/evictions": [
                {"reason": "Preempted", "count": 1},
                {"reason": "PodsReadyTimeout", "count": 1},
            ]
        },
        Code.RUNNING,
        ["3rd start", "stopped twice"],
    ),
    (
        "an array with failed tasks",
        "failed-exit-3",
        {"job/spec/completions": 8, "job/status/failedIndexes": "1,5-6", "job/status/failed": 3},
        Code.FAILED,
        ["3 of 8 indexes failed (1,5-6)", "exit code 3", "`jobq logs train --index 1` shows why"],
    ),
    (
        "an array of which one failed task's pod is left",
        "failed-exit-3",
        {
            "job/spec/completions": 3,
            "job/status/failedIndexes": "0,2",
            "job/spec/template/spec/containers/0/env": [{"name": RUNS_VARIABLE, "value": "5:3:5"}],
            "pods/0/spec/containers/0/env": [{"name": RUNS_VARIABLE, "value": "5:3:5"}],
            "pods/0/metadata/labels/batch.kubernetes.io~job-completion-index": "2",
        },
        Code.FAILED,
        ["2 of 3 indexes failed (5,15)", "`jobq logs train --index 15` shows why"],
    ),
    ("failed long ago", "failed-exit-3", {"pods": []}, Code.FAILED, ["backoff limit", "its pods are gone"]),
    (
        "its own deadline",
        "failed-exit-3",
        {"job/status/conditions/Failed": _condition("True", "DeadlineExceeded"), "job/spec/activeDeadlineSeconds": 60},
        Code.TIME_LIMIT,
        ["limit of 1 min"],
    ),
    (
        "a task's own deadline",
        "failed-exit-3",
        {"pods/0/status/reason": "DeadlineExceeded", "pods/0/spec/activeDeadlineSeconds": 30},
        Code.TIME_LIMIT,
        ["30 s"],
    ),
    (
        "a command that isn't there",
        "failed-exit-3",
        {"pods/0/status/containerStatuses/0/state": {"terminated": {"exitCode": 128, "reason": "StartError"}}},
        Code.FAILED,
        ["its command could not be started"],
    ),
    (
        "a command that isn't there, by its name",
        "failed-exit-3",
        {
            "pods/0/status/containerStatuses/0/state": {
                "terminated": {
                    "exitCode": 128,
                    "reason": "StartError",
                    "message": 'runc create failed: exec: "trian": executable file not found in $PATH: unknown',
                }
            }
        },
        Code.FAILED,
        ["its command trian could not be started"],
    ),
    (
        "a node that doesn't answer",
        "running",
        {
            "pods/0/status/conditions/Ready": {"status": "False"},
            "events/lost": {
                "reason": "NodeNotReady",
                "message": "Node is not ready",
                "involvedObject": {"kind": "Pod", "name": "train-rlrj4"},
            },
        },
        Code.RUNNING,
        ["The node node-0 doesn't answer"],
    ),
    (
        "a node that is being drained",
        "running",
        {"pods/0/status/conditions/DisruptionTarget": {"status": "True", "reason": "EvictionByEvictionAPI"}},
        Code.RUNNING,
        ["Its pod train-rlrj4 is being stopped: its node was drained"],
    ),
    (
        "a node that is shut down",
        "failed-exit-3",
        {
            "pods/0/status/reason": "Terminated",
            "pods/0/status/message": "Pod was terminated in response to imminent node shutdown.",
        },
        Code.POD_EVICTED,
        ["its node was shut down", "--retries"],
    ),
    (
        "a container that its node has lost",
        "failed-exit-3",
        {
            "pods/0/status/containerStatuses/0/state": {
                "terminated": {"exitCode": 137, "reason": "ContainerStatusUnknown"}
            }
        },
        Code.POD_EVICTED,
        ["its node lost the container"],
    ),
    (
        "a sidecar without memory",
        "failed-exit-3",
        {
            "pods/0/status/containerStatuses": [
                {"name": "main", "state": {"terminated": {"exitCode": 143, "reason": "Error"}}},
                {"name": "metrics", "state": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}},
            ]
        },
        Code.OUT_OF_MEMORY,
        ["its container metrics was killed", "more memory for its container metrics"],
    ),
    (
        "out of memory once, and then of patience",
        "failed-exit-3",
        {
            "job/status/failed": 2,
            "pods/earlier": {
                "metadata": {"name": "train-first", "creationTimestamp": THEN},
                "status": {
                    "phase": "Failed",
                    "containerStatuses": [{"state": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}}],
                },
            },
        },
        Code.FAILED,
        ["after 2 attempts: exit code 3"],
    ),
    (
        "a node that refused the pod",
        "failed-exit-3",
        {
            "pods/0/status": {
                "phase": "Failed",
                "reason": "OutOfcpu",
                "message": "Pod was rejected: Node didn't have enough resource: cpu, requested: 4000",
            }
        },
        Code.POD_EVICTED,
        ["its node refused the pod", "enough resource: cpu"],
    ),
    (
        "a node out of memory",
        "failed-exit-3",
        {
            "pods/0/status": {
                "phase": "Failed",
                "reason": "Evicted",
                "message": "The node was low on resource: memory. Threshold quantity: 100Mi, available: 5Mi. Container "
                "main was using 30Gi, request is 16Gi, has larger consumption of memory. ",
            }
        },
        Code.POD_EVICTED,
        ["ran out of memory and evicted the pod, which used 30Gi and had asked for 16Gi"],
    ),
    (
        "too much on the node's disk",
        "failed-exit-3",
        {
            "pods/0/status": {
                "phase": "Failed",
                "reason": "Evicted",
                "message": "Pod ephemeral local storage usage exceeds the total limit of containers 1Gi. ",
            }
        },
        Code.POD_EVICTED,
        ["more to its node's disk than it may", "write less"],
    ),
    (
        "a lost node",
        "failed-exit-3",
        {"pods/0/status/conditions/DisruptionTarget": _condition("True", "DeletionByTaintManager")},
        Code.POD_EVICTED,
        ["its node was lost or drained"],
    ),
    (
        "another kind, ended",
        "failed-exit-3",
        {
            "job": {"kind": "JobSet", "metadata": {"name": "set", "namespace": "vision"}, "spec": {}, "status": {}},
            "pods": [],
        },
        Code.FAILED,
        [],
    ),
    (
        "another kind, waiting",
        "quota-array",
        {
            "job": {
                "kind": "JobSet",
                "metadata": {"name": "set", "namespace": "vision"},
                "spec": {"suspend": True},
                "status": {},
            }
        },
        Code.WAITING_FOR_QUOTA,
        ["needs 4 nvidia.com/gpu", "Make it fit into 2 GPUs to start now, or wait"],
    ),
    (
        "another kind, running",
        "running",
        {
            "job": {"kind": "RayJob", "metadata": {"name": "ray", "namespace": "vision"}, "spec": {}, "status": {}},
            "pods": [],
        },
        Code.RUNNING,
        ["1 pod, 2 GPUs in a100"],
    ),
    (
        "an array in the middle",
        "running",
        {"job/spec/completions": 8, "job/status/succeeded": 3},
        Code.RUNNING,
        ["3 of 8 are done"],
    ),
    (
        "an array some of whose tasks have failed",
        "running",
        {"job/spec/completions": 8, "job/status/succeeded": 3, "job/status/failedIndexes": "1,5"},
        Code.RUNNING,
        ["3 of 8 are done, 2 failed"],
    ),
    (
        "deleted while it ran, of which Kueue's own record is left",
        "running",
        {f"{CONDITIONS}/Finished": _condition("True", "OwnerNotFound")},
        Code.STOPPED,
        ["Stopped: it was deleted"],
    ),
    (
        "between its pods' end and its own",
        "failed-exit-3",
        {
            f"{CONDITIONS}/Finished": GONE,
            "job/status": {},
            "pods/0/status": {"phase": "Succeeded"},
        },
        Code.RUNNING,
        ["pods have ended"],
    ),
    (
        "the project is active again, and its room is gone",
        "quota-array",
        {f"{CONDITIONS}/Evicted": _condition("True", "LocalQueueStopped")},
        Code.WAITING_FOR_QUOTA,
        ["stopped at 20:00:00 UTC since the project was paused"],
    ),
    ("nothing there", "running", {"job": None, "workload": None}, Code.UNKNOWN, ["no such job"]),
]


@pytest.mark.parametrize(
    ("base", "changes", "code", "words"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_derived(base: str, changes: dict[str, Any], code: Code, words: list[str]) -> None:
    """Situations of the same families that weren't recorded."""
    answer = told(changed(base, changes))
    text = f"{answer.sentence} {answer.action}"
    assert answer.code is code, answer
    assert not [word for word in words if word not in text], answer


def test_vocabulary() -> None:
    """Every code is told in some situation."""
    reached = {told(recording(name)).code for name in NAMES} | {case[3] for case in CASES}
    assert set(Code) - reached == set()


OF_JOBS = {"bump", "delete", "list", "logs", "queue", "resume", "status", "stop", "why"}


@pytest.mark.parametrize("raw", [recording(name) for name in NAMES] + [changed(*case[1:3]) for case in CASES])
def test_commands(raw: dict[str, Any]) -> None:
    """What is to be typed stands in backticks, is a command that there is, and names the project where it must."""
    for option in ("", " -p speech"):
        action = explain(evidence_of(raw, option)).action
        said = [line.split() for line in re.findall("`(jobq .+?)`", action)]
        assert not re.search(f"kubectl|jobq ({'|'.join([*OF_JOBS, 'submit', 'project'])})", re.sub("`.+?`", "", action))
        for words in said:
            command, rest = resolved(words[1:])
            known = {flag for param in command.params for flag in param.opts}
            assert {word for word in rest if word.startswith("-")} <= known, action
            assert words[1] not in OF_JOBS or f"{option} " in f"{' '.join(words)} ", action


@pytest.mark.parametrize("name", NAMES)
def test_pieces_missing(name: str) -> None:
    """Whatever is missing from evidence, or of another type, an answer is given in whole sentences."""
    chance = random.Random(name)
    for _ in range(40):
        raw = recording(name)
        for _ in range(chance.randint(1, 4)):
            _spoil(raw, chance)
        answer = told(raw)
        assert isinstance(answer, Answer)
        assert answer.sentence.endswith("."), answer
        assert answer.action.endswith("."), answer
        json.dumps(as_json(evidence_of(raw), answer))


def _spoil(raw: object, chance: random.Random) -> None:
    """Take something out, or put something else in its place, anywhere."""
    while isinstance(raw, dict | list) and raw:
        keys = list(raw) if isinstance(raw, dict) else list(range(len(raw)))
        key = chance.choice(keys)
        if chance.random() < 0.3:
            junk = chance.choice([None, [], {}, "", "x", -1, 3.5, True, [None], ["a"], {"a": None}])
            raw[key] = junk
            return
        raw = raw[key]


@pytest.mark.parametrize("raw", [None, [], "x", {}, {"job": 1}])
def test_no_evidence(raw: object) -> None:
    """What is no evidence at all is no error either."""
    assert told(raw).code is Code.UNKNOWN


def test_places_of_others() -> None:
    """Jobs of other projects, which some releases of Kueue mix in, are neither counted nor named."""
    raw = recording("quota-behind-others")
    items = raw["visibility"]["localQueue"]["items"]
    other = {"metadata": {"name": "job-secret-plan", "namespace": "speech"}, "positionInLocalQueue": 1}
    items[1:1] = [other, other | {"positionInLocalQueue": 0}]
    answer = told(raw)
    assert "3rd in your project" in answer.sentence
    assert "secret-plan" not in answer.sentence


STUCK = changed("running", ADMITTED_LONG_AGO | {"job/spec/suspend": True, "pods": []})


def test_status_of_stuck() -> None:
    """Admitted and suspended is how a job starts, for a moment; then it is a state of its own."""
    evidence = evidence_of(STUCK)
    assert status_of(evidence.job, evidence.workload, evidence.now) is Status.STUCK
    young = evidence_of(changed("running", {"job/spec/suspend": True, "pods": []}))
    assert status_of(young.job, young.workload, young.now) is Status.STARTING
