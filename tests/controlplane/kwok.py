"""What kwok needs to play the nodes that are marked as fake, and the pods on them."""

from pathlib import Path
from typing import Final

from tests.controlplane import documents
from tests.controlplane.api import Document
from tests.controlplane.ports import LOOPBACK, Ports

USER: Final = "kwok"
STAGES: Final = Path(__file__).with_name("stages.yaml")
NODE_STAGES: Final = ("fast/node-initialize.yaml", "heartbeat-with-lease/node-heartbeat-with-lease.yaml")


def access(assets: Path) -> list[Document]:
    """The role that kwok ships, bound to the user it runs as."""
    [role] = documents.read(assets / "kustomize" / "rbac" / "role.yaml")
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": role["metadata"]["name"]},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role["metadata"]["name"]},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": USER}],
    }
    return [role, binding]


def configuration(assets: Path, ports: Ports) -> list[Document]:
    """The configuration file of kwok: options, its stages for nodes, ours for pods (it has none by itself)."""
    options = {
        "manageNodesWithAnnotationSelector": "kwok.x-k8s.io/node=fake",
        "nodeIP": LOOPBACK,
        "nodePort": ports.kwok,
        "serverAddress": f"{LOOPBACK}:{ports.kwok}",
        "enableDebuggingHandlers": True,
        # Without a range every pod has the node's address; a parallelism of 0 is an error.
        "cidr": "10.1.0.0/16",
        "podPlayStageParallelism": 4,
        "nodePlayStageParallelism": 4,
        "nodeLeaseParallelism": 4,
        "nodeLeaseDurationSeconds": 40,
        "podsOnNodeSyncParallelism": 4,
        "enablePodsOnNodeSyncStreamWatch": True,
    }
    head = {"apiVersion": "config.kwok.x-k8s.io/v1alpha1", "kind": "KwokConfiguration", "options": options}
    folder = assets / "kustomize" / "stage" / "node"
    nodes = [stage for name in NODE_STAGES for stage in documents.read(folder / name)]
    return [head, *nodes, *documents.read(STAGES)]
