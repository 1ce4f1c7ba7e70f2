"""Brings one control plane up in order, watches it, and takes it down again whatever happens."""

import fcntl
import json
import os
import shutil
import ssl
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final, NoReturn

from tests.controlplane import build, components, kueue, kwok, lab, ports, processes
from tests.controlplane.api import Api, Document, Refused
from tests.controlplane.components import Place
from tests.controlplane.pki import Authority, write_private
from tests.controlplane.ports import LOOPBACK
from tests.controlplane.processes import Processes, StopRequested

LOCK: Final = "plane.lock"
SUPERVISOR_LOG: Final = "supervisor.log"
"""Where whoever starts a supervisor in the background keeps what it says."""
DESCRIPTION: Final = "plane.json"
"""Written last: while it is there, the control plane is ready."""
LONG_AGO: Final = "2026-01-01T00:00:00Z"
PROBE_SECONDS: Final = 2.0
POLL_SECONDS: Final = 0.2


class Extent(StrEnum):
    """How much of the control plane runs."""

    API = "api"
    """etcd and API server, with Kueue's CRDs."""
    KUBERNETES = "kubernetes"
    """The same with controllers, scheduler and fake nodes, without Kueue's process."""
    FULL = "full"

    @property
    def options(self) -> list[str]:
        """How the command line says it."""
        return {Extent.API: ["--api-only"], Extent.KUBERNETES: ["--no-kueue-process"], Extent.FULL: []}[self]

    @property
    def modules(self) -> tuple[build.Module, ...]:
        """What has to be built for it."""
        return build.ALL if self is not Extent.API else (build.ETCD, build.KUBERNETES, build.KUEUE)


class InUse(Exception):
    """The folder belongs to a running control plane, or to something else."""


@dataclass(frozen=True, slots=True)
class Order:
    """What is wanted of one control plane."""

    folder: Path
    extent: Extent = Extent.FULL
    lab: bool = True
    """With the lab's nodes and queues, or bare."""
    temporary: bool = False
    """Remove the folder at the end, unless something failed: the logs are in it."""


def run(order: Order, ended: Callable[[], bool], announce: Callable[[Place, float], None]) -> None:
    """Run a control plane until a signal comes or `ended()`; then stop it. Call from the main thread.

    `announce` is given the place and the seconds it took, when all is ready.

    Raises:
        build.BuildError: a program can't be built.
        InUse, ports.NoPortsError: nothing was started.
        processes.ComponentDied, processes.NotReady: a component failed; all were stopped.
    """
    programs = build.programs(order.extent.modules)
    with _claimed(order.folder), ports.reserved() as block:
        place = Place(order.folder.resolve(), block, programs)
        place.logs.mkdir()
        with suppress(StopRequested), processes.supervised(place.logs, _environment(place), ended) as running:
            _live(place, running, order, announce)
    if order.temporary:
        shutil.rmtree(order.folder, ignore_errors=True)


def _live(place: Place, running: Processes, order: Order, announce: Callable[[Place, float], None]) -> NoReturn:
    began = time.monotonic()
    pids = bring_up(place, running, order)
    description = {
        "server": place.server,
        "extent": order.extent,
        "supervisor": os.getpid(),
        "pids": pids,
        "programs": {name: str(path) for name, path in place.programs.items()},
    }
    write_private(place.folder / DESCRIPTION, json.dumps(description, indent=1).encode())
    try:
        announce(place, time.monotonic() - began)
        while True:
            running.wait(POLL_SECONDS)
    finally:
        (place.folder / DESCRIPTION).unlink()


def bring_up(place: Place, running: Processes, order: Order) -> dict[str, int]:
    """Start everything and set the cluster up; the components' pids, when all is ready to be used.

    Raises:
        processes.ComponentDied, processes.NotReady, processes.StopRequested: whoever called stops what runs.
    """
    pids = {"etcd": running.start(components.etcd(place))}
    components.write_pki(place)
    running.until("etcd is healthy", lambda: _answers(f"http://{LOOPBACK}:{place.ports.etcd}/health"))
    pids["kube-apiserver"] = running.start(components.api_server(place))
    api = _admin(place)
    running.until("the API server is ready", lambda: api.succeeds("/readyz"), seconds=60)
    _create(running, api, [kueue.namespace(), *(lab.basics() if order.lab else [])])
    if order.extent is Extent.API:
        _serve_crds(running, api, kueue.crds(place.programs["kueue"], None))
    else:
        pids |= _bring_up_cluster(place, running, api, order)
    _create_when_admitted(running, api, lab.queues() if order.lab else [])
    api.close()
    return pids


def _bring_up_cluster(place: Place, running: Processes, api: Api, order: Order) -> dict[str, int]:
    _create(running, api, [*kwok.access(place.programs["kwok"]), components.node_access()])
    starts = {"kwok": components.fake_kubelets(place)}
    starts[components.CONTROLLER_MANAGER] = components.controller_manager(place)
    starts[components.SCHEDULER] = components.scheduler(place)
    pids = {"kwok": running.start(starts.pop("kwok"))}
    if order.extent is Extent.FULL:
        pids["kueue"] = _start_kueue(place, running, api)
    else:
        _serve_crds(running, api, kueue.crds(place.programs["kueue"], None))
    if order.lab:
        starts[components.REAL_NODE] = components.real_kubelet(place)
    pids |= {name: running.start(component) for name, component in starts.items()}
    nodes = [*lab.fake_nodes(), components.REAL_NODE] if order.lab else []
    running.until("the nodes are ready", lambda: all(_node_is_ready(api, name) for name in nodes))
    account = "/api/v1/namespaces/default/serviceaccounts/default"
    running.until("the default service account exists", lambda: api.succeeds(account))
    if order.extent is Extent.FULL:
        _await_kueue(place, running, api)
    return pids


def _start_kueue(place: Place, running: Processes, api: Api) -> int:
    assets = place.programs["kueue"]
    # An authority of its own: whoever may read Kueue's Secret must not be able to make API users.
    authority = Authority.new("kueue-lab", rsa_key=True, host=kueue.AUTHORITY_HOST)
    authority.pair.write(place.pki, "kueue-ca")
    client = kueue.webhook_client(authority, place.ports)
    secret = kueue.certificates(place.folder / "kueue", authority)
    crds = kueue.crds(assets, client)
    _create(running, api, [*crds, secret, *kueue.services(place.ports), *kueue.access(assets)])
    _await_served(running, api, crds)
    _create(running, api, kueue.webhooks(assets, client))
    return running.start(components.queueing(place))


def _await_kueue(place: Place, running: Processes, api: Api) -> None:
    health = f"http://{LOOPBACK}:{place.ports.kueue_health}/readyz"
    running.until("Kueue is ready", lambda: _answers(health), seconds=60)
    trust = ssl.create_default_context(cafile=str(place.pki / "kueue-ca.crt"))
    visibility = f"https://{LOOPBACK}:{place.ports.kueue_visibility}/healthz"
    running.until("Kueue's visibility API answers", lambda: _answers(visibility, trust))
    services = kueue.visibility(place.programs["kueue"], place.ports)
    _create(running, api, services)
    for service in services:
        path = f"/apis/{service['spec']['group']}/{service['spec']['version']}"
        running.until(f"{path} is served", lambda path=path: api.succeeds(path))  # type: ignore[misc] # mypy infers no default of a lambda


def _serve_crds(running: Processes, api: Api, crds: Sequence[Document]) -> None:
    _create(running, api, crds)
    _await_served(running, api, crds)
    for crd in crds:
        _backdate(api, crd["metadata"]["name"])


def _backdate(api: Api, name: str) -> None:
    """Say that a CRD was established long ago: in its first two seconds, the API server delays each creation by two.

    (kubernetes v1.36 apiextensions-apiserver, customresource_handler.go, `justCreated`, meant for several servers.)
    """
    said = {"status": "True", "lastTransitionTime": LONG_AGO, "message": ""}
    conditions = [{"type": "NamesAccepted", "reason": "NoConflicts", **said}]
    conditions.append({"type": "Established", "reason": "InitialNamesAccepted", **said})
    path = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}/status"
    api.call("PATCH", path, {"status": {"conditions": conditions}}, {"Content-Type": "application/merge-patch+json"})


def _await_served(running: Processes, api: Api, crds: Sequence[Document]) -> None:
    needed = {
        (f"/apis/{crd['spec']['group']}/{version['name']}", crd["spec"]["names"]["plural"])
        for crd in crds
        for version in crd["spec"]["versions"]
        if version["served"]
    }

    def served() -> bool:
        return needed <= {found for path in {path for path, _ in needed} for found in _discovered(api, path)}

    running.until("Kueue's kinds are served", served)


def _discovered(api: Api, path: str) -> Iterator[tuple[str, str]]:
    try:
        answer = api.call("GET", path)
    except Refused:
        return
    for resource in answer["resources"]:
        yield path, resource["name"]


def _create(running: Processes, api: Api, found: Sequence[Document]) -> None:
    for document in found:
        running.check()
        api.create(document)


def _create_when_admitted(running: Processes, api: Api, found: Sequence[Document]) -> None:
    """Create Kueue's objects; its webhook may need a moment after Kueue says it is ready."""
    for document in found:
        name = f"{document['kind']} {document['metadata']['name']} is accepted"
        running.until(name, lambda document=document: _admitted(api, document))  # type: ignore[misc] # mypy infers no default of a lambda


def _admitted(api: Api, document: Document) -> bool:
    try:
        api.create(document)
    except Refused as refusal:
        if "failed calling webhook" in str(refusal):
            return False
        raise
    return True


def _node_is_ready(api: Api, name: str) -> bool:
    """Ready, and no longer tainted as not ready: pods can be bound."""
    path = f"/api/v1/nodes/{name}"
    if not api.succeeds(path):  # it registers itself
        return False
    node = api.call("GET", path)
    conditions = node["status"].get("conditions", [])
    taints = {taint["key"] for taint in node["spec"].get("taints", [])}
    ready = any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)
    return ready and "node.kubernetes.io/not-ready" not in taints


def _admin(place: Place) -> Api:
    return Api(place.server, place.pki / "ca.crt", place.pki / "admin.crt", place.pki / "admin.key")


def _answers(url: str, trust: ssl.SSLContext | None = None) -> bool:
    with urllib.request.urlopen(url, timeout=PROBE_SECONDS, context=trust) as answer:  # noqa: S310 - our own address
        return bool(answer.status == 200)


def _environment(place: Place) -> dict[str, str]:
    """Nothing of the user's but PATH: with HTTPS_PROXY the API server would send its webhook calls there."""
    return {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(place.folder)}


@contextmanager
def _claimed(folder: Path) -> Iterator[None]:
    """Hold `folder`, emptied of an earlier control plane.

    Raises:
        InUse: another control plane runs there, or it holds something else.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = folder / LOCK
    if not lock.exists() and any(folder.iterdir()):
        raise InUse(f"{folder} is not empty, and not an earlier control plane's: choose another folder")
    with lock.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InUse(f"a control plane runs in {folder}") from None
        for path in folder.iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            elif path.name not in {LOCK, SUPERVISOR_LOG}:
                path.unlink()
        yield
