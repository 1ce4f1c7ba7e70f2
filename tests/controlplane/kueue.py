"""What Kueue needs of a cluster when it runs as a plain process: its own YAML, turned to an address on loopback.

The API server finds webhooks and the visibility API through Services that are external names of localhost.
"""

import base64
import copy
from pathlib import Path
from typing import Any, Final

from tests.controlplane import documents
from tests.controlplane.api import Document
from tests.controlplane.pki import Authority
from tests.controlplane.ports import LOOPBACK, Ports

NAMESPACE: Final = "kueue-system"
USER: Final = "kueue-manager"
MANAGED_LABEL: Final = "kueue.x-k8s.io/managed-namespace"
QUEUE_LABEL: Final = "kueue.x-k8s.io/queue-name"
WEBHOOK_SERVICE: Final = "kueue-webhook-service"
WEBHOOK_SECRET: Final = "kueue-webhook-server-cert"
VISIBILITY_SERVICE: Final = "visibility-server"
VISIBILITY_HOST: Final = f"{VISIBILITY_SERVICE}.{NAMESPACE}.svc"
AUTHORITY_HOST: Final = "kueue-ca"
"""The rotator keeps certificates only of an authority with this name and an RSA key."""
OUR_GROUPS: Final = frozenset({"", "batch", "kueue.x-k8s.io"})
UNTOUCHED: Final = ("kube-system", NAMESPACE)
WEBHOOK_CERTIFICATES: Final = "webhook-certs"
VISIBILITY_CERTIFICATES: Final = "visibility-certs"
"""Below Kueue's working directory; the name is linked into the binary."""


def namespace() -> Document:
    """Kueue's own namespace."""
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}


def crds(assets: Path, webhook: Document | None) -> list[Document]:
    """Kueue's CRDs; those it converts are given `webhook` as conversion, or none where Kueue doesn't run."""
    folder = assets / "config" / "components" / "crd"
    found = documents.read_all(folder, "bases/*.yaml")
    if webhook:
        by_name = {crd["metadata"]["name"]: crd for crd in found}
        for patch in documents.read(folder / "kustomization.yaml")[0]["patches"]:
            [wanted] = documents.read(folder / patch["path"])
            conversion = wanted["spec"]["conversion"]
            conversion["webhook"]["clientConfig"] = _aimed(conversion["webhook"]["clientConfig"], webhook)
            by_name[wanted["metadata"]["name"]]["spec"]["conversion"] = conversion
    return found


def webhook_client(authority: Authority, ports: Ports) -> Document:
    """The clientConfig of every webhook, but for the path."""
    service = {"name": WEBHOOK_SERVICE, "namespace": NAMESPACE, "port": ports.kueue_webhook}
    return {"service": service, "caBundle": _base64(authority.pair.certificate)}


def access(assets: Path) -> list[Document]:
    """Roles and bindings as Kueue ships them, bound to the user it runs as; with its aggregated roles for people."""
    components = assets / "config" / "components"
    found = [
        *documents.read_all(components, "rbac/*.yaml"),
        *documents.read(components / "visibility/role_binding.yaml"),
    ]
    return [_installed(document) for document in found if "Role" in document.get("kind", "")]


def webhooks(assets: Path, client: Document) -> list[Document]:
    """The webhook configurations, with the webhooks of Jobs and of Kueue's own kinds only.

    The one for pods is asked of those with a queue only: all others are nothing to it, and needn't wait.
    """
    found = documents.read(assets / "config" / "components" / "webhook" / "manifests.yaml")
    for configuration in found:
        configuration["metadata"]["name"] = f"kueue-{configuration['metadata']['name']}"
        configuration["webhooks"] = [_hook(hook, client) for hook in configuration["webhooks"] if _is_ours(hook)]
    return found


def services(ports: Ports) -> list[Document]:
    """The Services that lead to the process."""
    named = {WEBHOOK_SERVICE: ports.kueue_webhook, VISIBILITY_SERVICE: ports.kueue_visibility}
    return [_service(name, port) for name, port in named.items()]


def visibility(assets: Path, ports: Ports) -> list[Document]:
    """The APIServices of pending workloads, to be created once Kueue answers: a failed probe is repeated late."""
    found = documents.read_all(assets, "config/components/visibility/apiservice_*.yaml")
    for service in found:
        service["spec"]["service"]["port"] = ports.kueue_visibility
    return found


def certificates(folder: Path, authority: Authority) -> Document:
    """Write the certificates that Kueue serves with, below its working directory; the Secret it looks for them in."""
    service = f"{WEBHOOK_SERVICE}.{NAMESPACE}.svc"
    webhook = authority.server(service, "localhost")
    webhook.write(_made(folder / WEBHOOK_CERTIFICATES), "tls")
    authority.server(VISIBILITY_HOST, "localhost").write(_made(folder / VISIBILITY_CERTIFICATES), "apiserver")
    data = {
        "ca.crt": authority.pair.certificate,
        "ca.key": authority.pair.key,
        "tls.crt": webhook.certificate,
        "tls.key": webhook.key,
    }
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": WEBHOOK_SECRET, "namespace": NAMESPACE},
        "data": {name: _base64(content) for name, content in data.items()},
    }


def configuration(folder: Path, ports: Ports) -> Document:
    """Kueue's own configuration file."""
    return {
        "apiVersion": "config.kueue.x-k8s.io/v1beta2",
        "kind": "Configuration",
        "namespace": NAMESPACE,
        "health": {"healthProbeBindAddress": f"{LOOPBACK}:{ports.kueue_health}"},
        "metrics": {"bindAddress": "0"},
        "webhook": {"host": LOOPBACK, "port": ports.kueue_webhook, "certDir": str(folder / WEBHOOK_CERTIFICATES)},
        "leaderElection": {"leaderElect": False},
        # Off, Kueue would read hard-coded paths below the root folder.
        "internalCertManagement": {
            "enable": True,
            "webhookServiceName": WEBHOOK_SERVICE,
            "webhookSecretName": WEBHOOK_SECRET,
        },
        "clientConnection": {"qps": 300, "burst": 500},
        "integrations": {"frameworks": ["batch/job", "pod"]},
        "managedJobsNamespaceSelector": {"matchLabels": {MANAGED_LABEL: "true"}},
        "visibilityServer": {"bindAddress": LOOPBACK, "bindPort": ports.kueue_visibility},
        # Jobs get a WorkloadPriorityClass of the name default, where there is one: the lab has none.
        "featureGates": {"WorkloadPriorityClassDefaulting": True},
    }


def _aimed(client: Document, webhook: Document) -> Document:
    aimed = copy.deepcopy(webhook)
    aimed["service"]["path"] = client["service"]["path"]
    return aimed


def _hook(hook: Document, client: Document) -> Document:
    aimed = {**hook, "clientConfig": _aimed(hook["clientConfig"], client)}
    if "jobs" in _resources(hook):
        names = {"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": list(UNTOUCHED)}
        aimed["namespaceSelector"] = {"matchExpressions": [names]}
    if "pods" in _resources(hook):
        aimed["objectSelector"] = {"matchExpressions": [{"key": QUEUE_LABEL, "operator": "Exists"}]}
    return aimed


def _is_ours(hook: Document) -> bool:
    return all(set(rule["apiGroups"]) <= OUR_GROUPS for rule in hook["rules"])


def _resources(hook: Document) -> set[str]:
    return {resource for rule in hook["rules"] for resource in rule["resources"]}


def _installed(document: Document) -> Document:
    """As Kueue's kustomization would name and place it, for a user instead of a service account."""
    name = document["metadata"]["name"]
    own = name != "visibility-server-auth-reader"
    metadata = {**document["metadata"], "name": f"kueue-{name}"}
    if metadata.get("namespace") == "system":
        metadata["namespace"] = NAMESPACE
    installed = {**document, "metadata": metadata}
    if "subjects" in document:
        installed["subjects"] = [{"kind": "User", "name": USER, "apiGroup": "rbac.authorization.k8s.io"}]
    if own and "roleRef" in document:
        installed["roleRef"] = {**document["roleRef"], "name": f"kueue-{document['roleRef']['name']}"}
    if document.get("rules"):
        installed["rules"] = [_prefixed(rule) for rule in document["rules"]]
    return installed


def _prefixed(rule: Document) -> Document:
    names: list[Any] = rule.get("resourceNames", [])
    suffix = "webhook-configuration"
    return {**rule, "resourceNames": [f"kueue-{name}" if name.endswith(suffix) else name for name in names]}


def _service(name: str, port: int) -> Document:
    spec = {"type": "ExternalName", "externalName": "localhost", "ports": [{"name": "https", "port": port}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": NAMESPACE}, "spec": spec}


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()
