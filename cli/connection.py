"""Where a command gets its cluster from. The client is imported here, when a command needs it."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from cli import console

if TYPE_CHECKING:
    from reconciler.kube import KubeCluster


def connect(
    *,
    kubeconfig: str = "",
    context: str = "",
    workers: int = 16,
    as_user: str = "",
    on_warning: Callable[[str], None] = console.warn,
) -> "KubeCluster":
    """The cluster that these options mean; its warnings are shown, each once. Raises: ClusterError."""
    from reconciler import kube  # noqa: PLC0415 - a quarter of a second

    return kube.connect(kubeconfig=kubeconfig, context=context, workers=workers, on_warning=on_warning, as_user=as_user)
