"""A cluster in memory on which jobq is the only manager: for laws that need many runs. See the contract test of it."""

import copy
import itertools
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from reconciler.cluster import Body, Event, Listing, Resource
from reconciler.errors import Conflict, NotFound, Rejected
from reconciler.kinds import BY_KIND, CLUSTER_QUEUE, CONFIG_MAP
from reconciler.model import Manifest, ObjectRef, Settings
from reconciler.planning.imagined import as_applied


def as_live(body: Body, uid: str = "uid") -> Body:
    """A body as it reads right after our first apply of it, without what the server adds."""
    live = as_applied(copy.deepcopy(body), uid)
    live["metadata"]["managedFields"][0]["time"] = "2027-01-15T08:00:00Z"
    return live


def all_live(manifests: Sequence[Manifest]) -> dict[ObjectRef, Body]:
    """The cluster right after all of them were applied."""
    return {manifest.ref: as_live(manifest.body, f"uid-{at}") for at, manifest in enumerate(manifests)}


class FakeCluster:
    """``reconciler.cluster.Cluster``, bootstrapped as the settings' cluster, with two ClusterQueues."""

    address = "https://127.0.0.1:1"
    context = "fake"

    def __init__(self, settings: Settings) -> None:
        self.objects: dict[ObjectRef, Body] = {}
        self.writes: list[str] = []
        self._numbers = itertools.count(2)  # 1: only where there is none yet
        self._made: Counter[ObjectRef] = Counter()
        note: Body = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "jobq.cluster", "namespace": "jobq-system"},
            "data": {"name": settings.cluster, "roles": "99", "policies": "99"},
        }
        self.objects[_ref(CONFIG_MAP, note)] = note
        for name in ("gpu-shared", "fake-shared"):
            queue: Body = {"metadata": {"name": name}, "spec": {"namespaceSelector": {}}}
            self.objects[_ref(CLUSTER_QUEUE, queue)] = queue

    def list(self, resource: Resource, *, namespace: str = "", labels: str = "", fields: str = "") -> Listing:
        """As the API answers; a selector is one label with its value."""
        assert not fields
        found = [
            body
            for ref, body in self.objects.items()
            if (ref.group, ref.kind) == (resource.group, resource.kind) and namespace in {"", ref.namespace}
        ]
        key, _, value = labels.partition("=")
        if labels:
            found = [body for body in found if body["metadata"].get("labels", {}).get(key) == value]
        return Listing(copy.deepcopy(found), "1")

    def get(self, resource: Resource, name: str, *, namespace: str = "", subresource: str = "") -> Body:
        """One object."""
        assert not subresource
        ref = ObjectRef(resource.group, resource.kind, namespace, name)
        if ref not in self.objects:
            raise NotFound(f"{ref} not found", code=404)
        return copy.deepcopy(self.objects[ref])

    def apply(self, resource: Resource, body: Body, *, dry_run: bool = False) -> Body:
        """Server-side apply by the only manager there is: the object is what the body says."""
        ref = _ref(resource, body)
        before = self.objects.get(ref)
        body = copy.deepcopy(body)
        expected = body["metadata"].pop("resourceVersion", "")
        uid = body["metadata"].pop("uid", "")
        if uid and (before is None or uid != before["metadata"]["uid"]):
            raise Conflict("uid mismatch", code=409)
        if expected and before is not None and expected != before["metadata"]["resourceVersion"]:
            raise Conflict("the object has been modified", code=409)
        kind = BY_KIND[resource.group, resource.kind]
        if before is not None and any(_at(before, path) != _at(body, path) for path in kind.immutable):
            raise Rejected("field is immutable", code=422)
        self._made[ref] += before is None and not dry_run
        after = as_live(body, before["metadata"]["uid"] if before else f"{ref} {self._made[ref]}")
        if before is not None and _without_version(before) == _without_version(after):
            return copy.deepcopy(before)
        after["metadata"]["resourceVersion"] = str(next(self._numbers))
        if not dry_run:
            self.writes.append(f"apply {ref}")
            self.objects[ref] = after
        return copy.deepcopy(after)

    def delete(
        self, resource: Resource, name: str, *, namespace: str = "", uid: str = "", background: bool = True
    ) -> None:
        """DELETE of exactly that object."""
        assert background
        live = self.get(resource, name, namespace=namespace)
        if uid not in {"", live["metadata"]["uid"]}:
            raise Conflict("the UID in the precondition does not match", code=409)
        ref = ObjectRef(resource.group, resource.kind, namespace, name)
        self.writes.append(f"delete {ref}")
        del self.objects[ref]

    def create(self, resource: Resource, body: Body, *, namespace: str = "", dry_run: bool = False) -> Body:
        """Nobody creates here."""
        raise NotImplementedError

    def claim(self, resource: Resource, body: Body) -> Body:
        """Nobody claims here."""
        raise NotImplementedError

    def patch(self, resource: Resource, name: str, body: Body, *, namespace: str = "") -> Body:
        """Nobody patches here."""
        raise NotImplementedError

    def read(self, path: str, *, seconds: float = 0) -> Body:
        """Nobody asks for anything else here."""
        raise NotImplementedError

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
        """Nobody watches here."""
        raise NotImplementedError

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
        """No pod runs here."""
        raise NotImplementedError

    def cut(self) -> None:
        """Nothing is open."""


def _ref(resource: Resource, body: Mapping[str, Any]) -> ObjectRef:
    metadata = body["metadata"]
    return ObjectRef(resource.group, resource.kind, metadata.get("namespace", ""), metadata["name"])


def _at(body: Any, path: Sequence[str]) -> Any:  # noqa: ANN401 - JSON
    for name in path:
        body = body.get(name) if isinstance(body, dict) else None
    return body


def _without_version(body: Body) -> str:
    return json.dumps({**body, "metadata": {**body["metadata"], "resourceVersion": ""}}, sort_keys=True)
