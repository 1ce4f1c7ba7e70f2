"""/etc/hosts of the pods: one file per namespace, so that the pods of a job find each other by name."""

from dataclasses import dataclass, field
from pathlib import Path

from tests.controlplane.runner.api import Resource

HEAD = "127.0.0.1 localhost\n::1 localhost\n"


@dataclass(slots=True)
class Hosts:
    """The files below a directory; a file keeps its inode, since running containers have it bound."""

    directory: Path
    _names: dict[str, dict[str, list[str]]] = field(default_factory=dict)

    def file(self, namespace: str) -> Path:
        """The file of a namespace, which exists."""
        path = self.directory / namespace
        if not path.exists():
            self._write(namespace)
        return path

    def add(self, pod: Resource) -> None:
        """A pod's names can be found from now on."""
        metadata = pod["metadata"]
        self._names.setdefault(metadata["namespace"], {})[metadata["uid"]] = names_of(pod)
        self._write(metadata["namespace"])

    def remove(self, pod: Resource) -> None:
        """A pod's names are gone."""
        metadata = pod["metadata"]
        if self._names.get(metadata["namespace"], {}).pop(metadata["uid"], None):
            self._write(metadata["namespace"])

    def _write(self, namespace: str) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        known = self._names.get(namespace, {}).values()
        lines = [f"127.0.0.1 {' '.join(names)}\n" for names in known]
        overwrite(self.directory / namespace, (HEAD + "".join(lines)).encode())


def overwrite(path: Path, data: bytes) -> None:
    """Replace a file's content so that no reader ever finds it empty."""
    path.touch()
    with path.open("r+b", buffering=0) as file:
        file.write(data)
        file.truncate()


def hostname_of(pod: Resource) -> str:
    """A pod's host name: its own or the pod's, at most 63 letters."""
    name = pod["spec"].get("hostname") or pod["metadata"]["name"]
    return str(name)[:63].rstrip("-.")


def names_of(pod: Resource) -> list[str]:
    """The names a pod answers to: host, and host.subdomain in its short and long forms."""
    host, subdomain = hostname_of(pod), pod["spec"].get("subdomain")
    if not subdomain:
        return [host]
    short = f"{host}.{subdomain}"
    service = f"{short}.{pod['metadata']['namespace']}"
    return [host, short, service, f"{service}.svc", f"{service}.svc.cluster.local"]
