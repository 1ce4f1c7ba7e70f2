"""Where a command gets its cluster from. The client is imported here, when a command needs it."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypedDict

from cli import console

if TYPE_CHECKING:
    from reconciler.kube import KubeCluster

AT_ONCE = 8
"""How many requests of one sort are sent side by side."""


class _Acting(TypedDict, total=False):
    as_user: str
    as_groups: Sequence[str]


_acting: _Acting = {}
"""What ``--as`` and ``--as-group`` say; every command with a cluster takes them."""


def act_as(*, user: str | None = None, groups: Sequence[str] | None = None) -> None:
    """Let all that follows be asked as somebody else; None leaves what was said before."""
    if user is not None:
        _acting["as_user"] = user
    if groups is not None:
        _acting["as_groups"] = groups


def connect(
    *,
    kubeconfig: str = "",
    context: str = "",
    workers: int = 16,
    impersonating: str = "",
    on_warning: Callable[[str], None] = console.warn,
) -> "KubeCluster":
    """The cluster that these options mean; its warnings are shown, each once. Raises: ClusterError."""
    from reconciler import kube  # noqa: PLC0415 - a quarter of a second

    return kube.connect(
        kubeconfig=kubeconfig,
        context=context,
        workers=workers,
        on_warning=on_warning,
        impersonating=impersonating,
        **_acting,
    )
