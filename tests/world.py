"""A projects repository and a control plane: what the tests of the reconciler act on."""

import json
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from functools import cached_property, partial
from pathlib import Path

from reconciler import cycle, observe, source
from reconciler.administration import bootstrap
from reconciler.cluster import Body, Cluster
from reconciler.declare import declare
from reconciler.errors import Forbidden
from reconciler.kinds import CONFIG_MAP, PROJECT_KINDS
from reconciler.kube import KubeCluster, connect
from reconciler.lineage import kinship
from reconciler.model import Manifest, ObjectRef
from reconciler.planned import Action, Outcome, Report, Result
from reconciler.render import render
from reconciler.terms import Terms
from tests.controlplane.api import Api, Refused
from tests.controlplane.audit import Request
from tests.controlplane.plane import ROOT, Plane
from tests.repository import Repository, scrubbed
from tests.run import Run, finish

TODAY = date(2027, 1, 15)
"""The day of all passes that a test makes itself."""
EVERYTHING = Terms()
"""A run about all projects, with nothing allowed beyond."""
PATIENCE_SECONDS = 90.0
PAGES = Counter({kind.resource.plural: 1 for kind in PROJECT_KINDS}) + Counter(
    {resource.plural: 1 for resource in observe._QUEUE_KINDS}
)
"""LISTs of a run in which each kind fits on one page."""
SUCCESSES = {Result.CREATED, Result.CONFIGURED, Result.REPLACED, Result.DELETED}
_OTHERS = ("default", "jobq-system", "kueue-system", "kube-system", "kube-public", "kube-node-lease")


@dataclass(frozen=True)
class World:
    """One control plane without projects at first, and a repository that is to become its projects."""

    plane: Plane
    repository: Repository
    kubeconfig: Path
    """Of the reconciler's own ServiceAccount: all passes have its rights, not an admin's."""

    @cached_property
    def admin(self) -> KubeCluster:
        """The cluster as its administrator sees it."""
        return connect(kubeconfig=str(self.plane.kubeconfig))

    @cached_property
    def cluster(self) -> KubeCluster:
        """The cluster as the reconciler sees it."""
        return connect(kubeconfig=str(self.kubeconfig))

    def jobq(self, *words: str, kubeconfig: Path | None = None) -> Run:
        """Run a command that is given repository and kubeconfig."""
        process = self.start(*words, kubeconfig=kubeconfig)
        return finish(process, words)

    def start(self, *words: str, kubeconfig: Path | None = None) -> subprocess.Popen[str]:
        """Start such a command."""
        where = ["--repo", str(self.repository.root), "--kubeconfig", str(kubeconfig or self.kubeconfig)]
        command = [sys.executable, "-m", "cli.main", *words, *where]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=scrubbed(), cwd=ROOT)

    def kubectl(self, *words: str, given: object = None, fails: bool = False) -> str:
        """Run kubectl as the administrator."""
        command = [str(self.plane.kubectl), f"--kubeconfig={self.plane.kubeconfig}", f"--cache-dir={self._cache}"]
        text = given if isinstance(given, str) else "" if given is None else json.dumps(given)
        done = subprocess.run(
            [*command, *words], check=not fails, capture_output=True, text=True, input=text, timeout=30
        )
        return done.stdout + done.stderr

    @property
    def _cache(self) -> str:
        return f"{self.plane.directory}/cache"

    def plan(self, today: date = TODAY, *, cluster: Cluster | None = None, terms: Terms = EVERYTHING) -> Report:
        """Plan what HEAD declares."""
        snapshot = source.read_commit(self.repository.root)
        templates = source.templates(snapshot, "project")
        lineage = partial(kinship, self.repository.root, snapshot.commit)
        return cycle.plan_pass(cluster or self.cluster, cycle.Run(declare(snapshot), templates, today, terms, lineage))

    def reconcile(
        self,
        today: date = TODAY,
        *,
        cluster: Cluster | None = None,
        stop: threading.Event | None = None,
        terms: Terms = EVERYTHING,
        told: Callable[[Outcome], None] = lambda _: None,
    ) -> Report:
        """Reconcile what HEAD declares."""
        snapshot = source.read_commit(self.repository.root)
        templates = source.templates(snapshot, "project")
        stop = stop or threading.Event()
        lineage = partial(kinship, self.repository.root, snapshot.commit)
        run = cycle.Run(declare(snapshot), templates, today, terms, lineage)
        return cycle.reconcile_pass(cluster or self.cluster, run, stop, told)

    def manifests(self, today: date = TODAY) -> Sequence[Manifest]:
        """What HEAD renders to."""
        snapshot = source.read_commit(self.repository.root)
        return render(declare(snapshot), source.templates(snapshot, "project"), today)

    def live(self) -> dict[ObjectRef, Body]:
        """All live objects of the kinds that projects consist of, as the reconciler reads them."""
        return dict(observe.observe(self.admin, observe.read_notes(self.admin)).live)

    def versions(self) -> dict[ObjectRef, str]:
        """The resourceVersion of each of them."""
        return {ref: body["metadata"]["resourceVersion"] for ref, body in self.live().items()}

    def asked(self, since: int) -> list[Request]:
        """What jobq has asked the server since a mark."""
        return self.plane.requests(since, user_agent="jobq/")

    def writes(self, since: int) -> list[Request]:
        """What of it was no reading."""
        return [request for request in self.asked(since) if request.verb not in {"get", "list", "watch"}]


def listed(requests: Sequence[Request]) -> Counter[str]:
    """How often each kind was listed; anything else that was asked stands there with its verb."""
    return Counter(
        request.resource if request.verb == "list" else f"{request.verb} {request.uri}" for request in requests
    )


def changed(report: Report) -> list[tuple[Action, str]]:
    """The changes of a plan, short."""
    return [(change.action, str(change.ref)) for change in report.plan.changes]


def eventually(true: Callable[[], bool], seconds: float = PATIENCE_SECONDS) -> bool:
    """Whether ``true()`` within the patience of a busy machine."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def install(plane: Plane, folder: Path) -> None:
    """Bootstrap the cluster ``demo`` as its administrator, and wait until its policies act: they take a moment."""
    repository = Repository.new(folder)
    repository.declare()
    snapshot = source.read_commit(repository.root)
    settings = declare(snapshot).settings
    cluster = connect(kubeconfig=str(plane.kubeconfig))
    bodies = bootstrap.bootstrap(settings, source.templates(snapshot, "bootstrap"))
    bootstrap.install(cluster, bodies, lambda *_: None)
    cluster.close()
    reconciler = connect(kubeconfig=str(plane.kubeconfig), impersonating=settings.reconciler)
    assert eventually(lambda: _is_fenced(reconciler)), "the policies don't act"
    reconciler.close()


def _is_fenced(reconciler: Cluster) -> bool:
    """Whether the policies act; its rights may come a moment later than they were given."""
    try:
        return bootstrap.policies_act(reconciler)
    except Forbidden:
        return False


def clear(plane: Plane) -> None:
    """Remove all namespaces but the system's, with all of projects in them; catalogue, notes, approvals, Lease."""
    with plane.api() as api:
        names = [item["metadata"]["name"] for item in api.call("GET", "/api/v1/namespaces")["items"]]
    _remove(plane, [name for name in names if name not in _OTHERS])


def forget(plane: Plane) -> None:
    """Remove all projects, whatever a test left of them, and what was noted of them: another repository may begin."""
    with plane.api() as api:
        found = api.call("GET", "/api/v1/namespaces?labelSelector=jobq.io/project")["items"]
    _remove(plane, [item["metadata"]["name"] for item in found])


def _remove(plane: Plane, namespaces: Sequence[str]) -> None:
    with plane.api() as api:
        api.call("DELETE", "/api/v1/namespaces/jobq-system/configmaps?labelSelector=app.kubernetes.io/managed-by=jobq")
        for note in (
            "/api/v1/namespaces/jobq-system/configmaps/jobq.approval",
            "/apis/coordination.k8s.io/v1/namespaces/jobq-system/leases/jobq-reconciler",
            "/apis/coordination.k8s.io/v1/namespaces/jobq-system/leases/jobq-run",
        ):
            with suppress(Refused):
                api.call("DELETE", note)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda name: remove_namespace(plane, name), namespaces))


def purge(world: World, name: str) -> None:
    """Remove a project's namespace with all in it, and its catalogue entry, as an administrator."""
    remove_namespace(world.plane, name)
    world.admin.delete(CONFIG_MAP, name, namespace="jobq-system")


def remove_namespace(plane: Plane, namespace: str) -> None:
    """Take away a namespace with all that projects have in it, jobs and pods at once: no controller is waited for."""
    with plane.api() as api:
        api.call("DELETE", f"/apis/batch/v1/namespaces/{namespace}/jobs?propagationPolicy=Background")
        api.call("DELETE", f"/api/v1/namespaces/{namespace}/pods?gracePeriodSeconds=0")
        for kind in PROJECT_KINDS:
            if kind.resource.namespaced:
                root = f"/apis/{kind.resource.api_version}" if kind.resource.group else "/api/v1"
                path = f"{root}/namespaces/{namespace}/{kind.resource.plural}"
                api.call("DELETE", path)
                for item in api.call("GET", path)["items"]:  # somebody's finalizer keeps it
                    merge = {"Content-Type": "application/merge-patch+json"}
                    api.call("PATCH", f"{path}/{item['metadata']['name']}", {"metadata": {"finalizers": None}}, merge)
        _finish(api, f"/api/v1/namespaces/{namespace}")


def _finish(api: Api, path: str) -> None:
    body = api.call("DELETE", path)
    try:
        api.call("PUT", f"{path}/finalize", body | {"spec": {"finalizers": []}})
    except Refused as refused:
        if refused.status not in {404, 409}:
            raise
