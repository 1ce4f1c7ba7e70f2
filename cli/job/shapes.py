"""What a list of jobs needs of each Job and Workload, and what finding one needs: much less than there is."""

from dataclasses import replace
from typing import Any, TypedDict

from reconciler.kinds import JOB, JOB_METADATA, WORKLOAD


class _Reference(TypedDict, total=False):
    apiVersion: str
    kind: str
    name: str
    uid: str
    controller: bool


class _Metadata(TypedDict, total=False):
    name: str
    namespace: str
    uid: str
    creationTimestamp: str
    deletionTimestamp: str
    labels: dict[str, str]
    annotations: dict[str, str]
    ownerReferences: list[_Reference]


class _Named(TypedDict, total=False):
    metadata: _Metadata


class _Container(TypedDict, total=False):
    resources: dict[str, Any]
    restartPolicy: str


class _Pod(TypedDict, total=False):
    containers: list[_Container]
    initContainers: list[_Container]
    resources: dict[str, Any]
    overhead: dict[str, Any]


class _Template(TypedDict, total=False):
    spec: _Pod


class _JobSpec(TypedDict, total=False):
    suspend: bool
    parallelism: int
    completions: int
    completionMode: str
    template: _Template


class _Job(TypedDict, total=False):
    metadata: _Metadata
    spec: _JobSpec
    status: dict[str, Any]


class _PodSet(TypedDict, total=False):
    name: str
    count: int
    minCount: int
    template: _Template


class _WorkloadSpec(TypedDict, total=False):
    active: bool
    queueName: str
    priorityClassName: str
    priorityClassRef: dict[str, str]
    podSets: list[_PodSet]


class _Workload(TypedDict, total=False):
    metadata: _Metadata
    spec: _WorkloadSpec
    status: dict[str, Any]


JOBS = replace(JOB, shape=_Job)
WORKLOADS = replace(WORKLOAD, shape=_Workload)
JOB_NAMES = replace(JOB_METADATA, shape=_Named)
WORKLOAD_NAMES = replace(WORKLOAD, metadata_only=True, shape=_Named)
