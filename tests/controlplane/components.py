"""Command lines of the control plane's programs, and the files they read."""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.controlplane import kueue, kwok
from tests.controlplane.api import Document
from tests.controlplane.pki import ADMINS, Authority, Pair, kubeconfig, new_signing_pair, write_private
from tests.controlplane.ports import LOOPBACK, Ports
from tests.controlplane.processes import Component

FRONT_PROXY: Final = "front-proxy-client"
KUBELET_CLIENT: Final = "kube-apiserver-kubelet-client"
CONTROLLER_MANAGER: Final = "kube-controller-manager"
SCHEDULER: Final = "kube-scheduler"
REAL_NODE: Final = "real-0"
CHECKOUT: Final = Path(__file__).resolve().parents[2]
CONTROLLERS: Final = (
    "serviceaccount-token-controller",
    "serviceaccount-controller",
    "root-ca-certificate-publisher-controller",
    "namespace-controller",
    "garbage-collector-controller",
    "resourcequota-controller",
    "job-controller",
    "cronjob-controller",
    "deployment-controller",
    "replicaset-controller",
    "statefulset-controller",
    "ttl-after-finished-controller",
    "pod-garbage-collector-controller",
    "node-lifecycle-controller",
    "taint-eviction-controller",
    "clusterrole-aggregation-controller",
    "disruption-controller",
    "validatingadmissionpolicy-status-controller",
    "persistentvolume-binder-controller",
    "persistentvolume-protection-controller",
    "persistentvolumeclaim-protection-controller",
)
AUDIT_POLICY: Final = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [{"level": "Metadata"}],
}
# At the default of 20 requests a second, 50 jobs take 17 s instead of 7.
FAST_CLIENT: Final = ("--kube-api-qps=500", "--kube-api-burst=1000")


@dataclass(frozen=True, slots=True)
class Place:
    """Where one control plane lives: its folder, its ports, and the folders of its programs by module."""

    folder: Path
    ports: Ports
    programs: Mapping[str, Path]

    @property
    def server(self) -> str:
        """The API server's address."""
        return f"https://{LOOPBACK}:{self.ports.api_server}"

    @property
    def pki(self) -> Path:
        """Certificates and keys."""
        return self.folder / "pki"

    @property
    def audit_log(self) -> Path:
        """One JSON line for each request that was answered."""
        return self.folder / "audit.log"

    @property
    def logs(self) -> Path:
        """One log for each component."""
        return self.folder / "logs"

    def kubeconfig(self, name: str) -> Path:
        """The kubeconfig of a component, or `admin`."""
        return self.folder / f"{name}.kubeconfig"

    def kubernetes(self, name: str) -> str:
        """The program of that name."""
        return str(self.programs["kubernetes"] / name)


def write_pki(place: Place) -> None:
    """The authority, all certificates, and kubeconfigs of admin and components."""
    place.pki.mkdir()
    authority = Authority.new("jobq-lab")
    authority.pair.write(place.pki, "ca")
    authority.server("localhost", "kubernetes.default.svc", "kubernetes.default").write(place.pki, "apiserver")
    authority.client(KUBELET_CLIENT).write(place.pki, KUBELET_CLIENT)
    new_signing_pair().write(place.pki, "service-accounts")
    proxies = Authority.new("jobq-lab-front-proxy")
    proxies.pair.write(place.pki, "front-proxy-ca")
    proxies.client(FRONT_PROXY).write(place.pki, FRONT_PROXY)
    for name, user, groups in (
        ("admin", "admin", [ADMINS]),
        (CONTROLLER_MANAGER, f"system:{CONTROLLER_MANAGER}", []),
        (SCHEDULER, f"system:{SCHEDULER}", []),
        ("kwok", kwok.USER, []),
        ("kueue", kueue.USER, []),
        (REAL_NODE, f"system:node:{REAL_NODE}", ["system:nodes"]),
    ):
        pair = authority.client(user, groups)
        pair.write(place.pki, name)
        write_kubeconfig(place, name, user, pair)


def write_kubeconfig(place: Place, name: str, user: str, credentials: Pair | str) -> Path:
    """Write `user`'s kubeconfig as NAME.kubeconfig."""
    path = place.kubeconfig(name)
    write_private(path, kubeconfig(place.server, (place.pki / "ca.crt").read_bytes(), user, credentials))
    return path


def etcd(place: Place) -> Component:
    """A store that forgets on a crash of the machine (no fsync): it is as young as the control plane."""
    client = f"http://{LOOPBACK}:{place.ports.etcd}"
    peer = f"http://{LOOPBACK}:{place.ports.etcd_peer}"
    options = {
        "name": "lab",
        "data-dir": str(place.folder / "etcd"),
        "listen-client-urls": client,
        "advertise-client-urls": client,
        "listen-peer-urls": peer,
        "initial-advertise-peer-urls": peer,
        "initial-cluster": f"lab={peer}",
        # A single member elects itself in 0.1 s instead of 1 s.
        "heartbeat-interval": "10",
        "election-timeout": "100",
    }
    program = str(place.programs["etcd"] / "etcd")
    return _component(place, "etcd", [program, *_flags(options), "--unsafe-no-fsync"])


def api_server(place: Place) -> Component:
    """The API server, with RBAC, without anonymous requests, with an audit log."""
    policy = place.folder / "audit-policy.json"
    policy.write_text(json.dumps(AUDIT_POLICY), encoding="utf-8")
    pki = place.pki
    options = {
        "etcd-servers": f"http://{LOOPBACK}:{place.ports.etcd}",
        "bind-address": LOOPBACK,
        "secure-port": str(place.ports.api_server),
        "advertise-address": LOOPBACK,
        "endpoint-reconciler-type": "none",
        "tls-cert-file": f"{pki}/apiserver.crt",
        "tls-private-key-file": f"{pki}/apiserver.key",
        "client-ca-file": f"{pki}/ca.crt",
        "cert-dir": str(pki),
        "authorization-mode": "RBAC",
        "anonymous-auth": "false",
        "allow-privileged": "true",
        "service-cluster-ip-range": "10.0.0.0/24",
        "service-account-issuer": "https://kubernetes.default.svc",
        "service-account-key-file": f"{pki}/service-accounts.crt",
        "service-account-signing-key-file": f"{pki}/service-accounts.key",
        "kubelet-client-certificate": f"{pki}/{KUBELET_CLIENT}.crt",
        "kubelet-client-key": f"{pki}/{KUBELET_CLIENT}.key",
        "kubelet-preferred-address-types": "InternalIP",
        "requestheader-client-ca-file": f"{pki}/front-proxy-ca.crt",
        "requestheader-allowed-names": FRONT_PROXY,
        "requestheader-username-headers": "X-Remote-User",
        "requestheader-group-headers": "X-Remote-Group",
        "requestheader-extra-headers-prefix": "X-Remote-Extra-",
        "proxy-client-cert-file": f"{pki}/{FRONT_PROXY}.crt",
        "proxy-client-key-file": f"{pki}/{FRONT_PROXY}.key",
        "audit-policy-file": str(policy),
        "audit-log-path": str(place.audit_log),
        "audit-log-format": "json",
        "audit-log-maxsize": "10000",  # MB: no rotation, so that offsets stay valid
        "profiling": "false",
    }
    return _component(place, "kube-apiserver", [place.kubernetes("kube-apiserver"), *_flags(options)])


def controller_manager(place: Place) -> Component:
    """The controllers that workloads, namespaces, quotas and claims need."""
    options = {
        **_client(place, CONTROLLER_MANAGER, place.ports.controller_manager),
        "use-service-account-credentials": "true",
        "service-account-private-key-file": f"{place.pki}/service-accounts.key",
        "root-ca-file": f"{place.pki}/ca.crt",
        "cert-dir": str(place.pki / CONTROLLER_MANAGER),
        "controllers": ",".join(CONTROLLERS),
        "enable-hostpath-provisioner": "true",
    }
    command = [place.kubernetes(CONTROLLER_MANAGER), *_flags(options), *FAST_CLIENT]
    return _component(place, CONTROLLER_MANAGER, command)


def scheduler(place: Place) -> Component:
    """The stock scheduler."""
    options = _client(place, SCHEDULER, place.ports.scheduler)
    return _component(place, SCHEDULER, [place.kubernetes(SCHEDULER), *_flags(options), *FAST_CLIENT])


def fake_kubelets(place: Place) -> Component:
    """kwok, playing the fake nodes."""
    assets = place.programs["kwok"]
    config = place.folder / "kwok.yaml"
    config.write_text(_stream(kwok.configuration(assets, place.ports)), encoding="utf-8")
    options = {"kubeconfig": str(place.kubeconfig("kwok")), "config": str(config)}
    return _component(place, "kwok", [str(assets / "kwok"), *_flags(options)])


def real_kubelet(place: Place) -> Component:
    """Our own node: it runs each pod's containers as processes of this machine."""
    options = {
        "kubeconfig": str(place.kubeconfig(REAL_NODE)),
        "node": REAL_NODE,
        "state": str(place.folder / REAL_NODE),
        "port": str(place.ports.kubelet),
        "tls-cert-file": f"{place.pki}/apiserver.crt",
        "tls-private-key-file": f"{place.pki}/apiserver.key",
        "client-ca-file": f"{place.pki}/ca.crt",
        "hide": str(place.folder),
    }
    command = [sys.executable, "-m", "tests.controlplane.runner", *_flags(options)]
    return Component(REAL_NODE, tuple(command), CHECKOUT)


def node_access() -> Document:
    """A kubelet's role for our own node: the authorizer that gives it to nodes doesn't run here."""
    group = "rbac.authorization.k8s.io"
    return {
        "apiVersion": f"{group}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": REAL_NODE},
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "system:node"},
        "subjects": [{"apiGroup": group, "kind": "Group", "name": "system:nodes"}],
    }


def queueing(place: Place) -> Component:
    """Kueue; its working directory holds the certificates it serves with."""
    folder = place.folder / "kueue"
    config = folder / "config.yaml"
    config.write_text(_stream([kueue.configuration(folder, place.ports)]), encoding="utf-8")
    options = {"kubeconfig": str(place.kubeconfig("kueue")), "config": str(config)}
    return Component("kueue", (str(place.programs["kueue"] / "kueue"), *_flags(options)), folder)


def _client(place: Place, name: str, port: int) -> dict[str, str]:
    config = str(place.kubeconfig(name))
    return {
        "kubeconfig": config,
        "authentication-kubeconfig": config,
        "authorization-kubeconfig": config,
        "bind-address": LOOPBACK,
        "secure-port": str(port),
        "leader-elect": "false",
    }


def _component(place: Place, name: str, command: Sequence[str]) -> Component:
    return Component(name, tuple(command), place.folder)


def _flags(options: Mapping[str, str]) -> list[str]:
    return [f"--{name}={value}" for name, value in options.items()]


def _stream(found: Sequence[Document]) -> str:
    """Documents as a YAML stream; each is JSON, which is YAML."""
    return "".join(f"---\n{json.dumps(document)}\n" for document in found)
