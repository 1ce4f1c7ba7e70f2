"""How many pods a job has, and what each of them is told of its place among them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from reconciler.cluster import Body

WORKERS_LABEL = "jobq.io/workers"
"""What the project's Service `workers` selects: pods that find each other as ``<job>-<index>.workers``."""
WORKERS = "workers"
MASTER_PORT = "29500"
"""The port that torchrun and its kin agree on."""
MOST_PODS = 100_000
"""Of an Indexed Job: https://kubernetes.io/docs/concepts/workloads/controllers/job/#completion-mode."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """What a shape of job adds to the plain one; ``seconds`` None: no time limit."""

    spec: Body
    """Fields of the Job's spec."""
    pod: Body = field(default_factory=dict)
    """Fields of the pod's spec."""
    annotations: Mapping[str, str] = field(default_factory=dict)
    pod_labels: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    index_variables: Sequence[str] = ()
    """Variables that hold the pod's completion index."""
    prologue: Sequence[str] = ()
    """Words before the command."""
    seconds: int | None = None
    """The time limit of the whole job, kept by Kueue."""


def single(*, retries: int, seconds: int | None) -> Layout:
    """One pod."""
    return Layout(spec={"parallelism": 1, "completions": 1, "backoffLimit": retries}, seconds=seconds)


def nodes(count: int, *, name: str, retries: int, seconds: int | None) -> Layout:
    """Pods that run together, all or none, and meet at the first one's name."""
    return Layout(
        spec={"parallelism": count, "completions": count, "completionMode": "Indexed", "backoffLimit": retries},
        pod={"subdomain": WORKERS},
        pod_labels={WORKERS_LABEL: "true"},
        variables={"MASTER_ADDR": f"{name}-0.{WORKERS}", "MASTER_PORT": MASTER_PORT, "WORLD_SIZE": str(count)},
        index_variables=("RANK",),
        seconds=seconds,
    )
