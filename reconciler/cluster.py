"""The port to a cluster: what the reconciler and the commands ask of an API server, and nothing else."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from reconciler.errors import NotFound

Body = dict[str, Any]
"""One Kubernetes object, or a part of one, as plain JSON values."""


@dataclass(frozen=True, slots=True)
class Resource:
    """How the API addresses one kind. ``group`` is ``""`` for the core API."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True
    metadata_only: bool = False
    """Lists bring each object's metadata and nothing else."""
    shape: type | None = None
    """A TypedDict: lists bring of each object what it names and nothing else; for kinds of which there are many."""

    @property
    def api_version(self) -> str:
        """As manifests say it: ``v1``, ``kueue.x-k8s.io/v1beta2``."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def __str__(self) -> str:
        return f"{self.plural}.{self.group}" if self.group else self.plural


@dataclass(frozen=True, slots=True)
class Listing:
    """All pages of one LIST, and the resourceVersion from which a watch goes on."""

    items: Sequence[Body]
    resource_version: str


@dataclass(frozen=True, slots=True)
class Event:
    """One watch event; ``type`` is ADDED, MODIFIED, DELETED or BOOKMARK."""

    type: str
    object: Body


STDIN, STDOUT, STDERR, END, SIZE = range(5)
"""The channels of a command: its streams; how it ended, as a metav1.Status; its terminal's size, as JSON."""
DATA, FAILURE = range(2)
"""The channels of a port: what goes through it; why nothing does. On each come two bytes first: the port."""


class Channels(Protocol):
    """Streams of bytes both ways over one connection, for one thread: ``wait``, then ``receive``, until ``closed``."""

    @property
    def closed(self) -> bool:
        """Whether the other side has ended it."""

    @property
    def unsent(self) -> int:
        """How many bytes the other side hasn't taken yet: whoever sends more, waits first."""

    def send(self, channel: int, data: bytes) -> None:
        """Let data be sent by what follows."""

    def finish(self, channel: int) -> None:
        """The other side reads the channel's end."""

    def wait(self, others: Collection[int], seconds: float) -> Collection[int]:
        """Wait for anything to do; which of the file descriptors ``others`` can be read."""

    def receive(self) -> Iterator[tuple[int, bytes]]:
        """Send what can be sent, and give what has arrived; never waits. Raises: Unreachable where it broke."""

    def close(self) -> None:
        """End it."""


class Cluster(Protocol):
    """One API server, asked as one user; raises ``ClusterError``. All but ``watch`` and ``log`` are bounded in time."""

    @property
    def address(self) -> str:
        """The server's URL, as errors name it."""

    @property
    def context(self) -> str:
        """Where the credentials come from: the kubeconfig's context, or ``in-cluster``."""

    def list(self, resource: Resource, *, namespace: str = "", labels: str = "", fields: str = "") -> Listing:
        """All objects (``namespace=""``: of all namespaces), page by page. A 410 starts again from the first page."""

    def get(self, resource: Resource, name: str, *, namespace: str = "", subresource: str = "") -> Body:
        """One object. Raises: NotFound."""

    def read(self, path: str, *, seconds: float = 0) -> Body:
        """GET of what is no object: ``/version``, discovery; waits no longer than ``seconds``. Raises: NotFound."""

    def watch(
        self,
        resource: Resource,
        *,
        namespace: str = "",
        labels: str = "",
        fields: str = "",
        resource_version: str = "",
        seconds: int = 0,
    ) -> Iterator[Event]:
        """Events after that version; ends after ``seconds`` (0: the server's choice) or a cut. Raises: Expired."""

    def apply(self, resource: Resource, body: Body, *, dry_run: bool = False) -> Body:
        """Server-side apply by field manager ``jobq`` with force; answers the object as it is, or would be."""

    def create(self, resource: Resource, body: Body, *, namespace: str = "", dry_run: bool = False) -> Body:
        """POST. Raises: Conflict where the name is taken."""

    def claim(self, resource: Resource, body: Body) -> Body:
        """Server-side apply by the field manager of people, with force. Raises: Conflict where ``uid`` doesn't fit."""

    def patch(self, resource: Resource, name: str, body: Body, *, namespace: str = "") -> Body:
        """JSON merge patch, in the name of people. Raises: NotFound; Conflict where a ``uid`` in it doesn't fit."""

    def delete(
        self, resource: Resource, name: str, *, namespace: str = "", uid: str = "", background: bool = True
    ) -> None:
        """DELETE, of exactly that ``uid`` where one is given. Raises: NotFound, Conflict."""

    def log(
        self,
        pod: str,
        *,
        namespace: str,
        container: str = "",
        follow: bool = False,
        tail: int | None = None,
        since_seconds: int | None = None,
        since_time: str = "",
        timestamps: bool = False,
        previous: bool = False,
    ) -> Iterator[bytes]:
        """A container's output as it comes; an empty piece first, once connected. ``follow``: until its end."""

    def cut(self) -> None:
        """End every watch and log that is open now, from any thread: whoever reads one sees its end."""


def find(cluster: Cluster, resource: Resource, name: str, namespace: str = "") -> Body | None:
    """One object, None where it isn't there. Raises: ClusterError."""
    try:
        return cluster.get(resource, name, namespace=namespace)
    except NotFound:
        return None


class PodStreams(Protocol):
    """Ways into running pods, which people take and the reconciler never does."""

    def exec(
        self, pod: str, command: Sequence[str], *, namespace: str, container: str = "", stdin: bool, tty: bool
    ) -> Channels:
        """Run a command in a pod's container. Raises: ClusterError."""

    def port_forward(self, pod: str, port: int, *, namespace: str) -> Channels:
        """A connection to a port of a pod. Raises: ClusterError."""
