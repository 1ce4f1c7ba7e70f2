"""What a container's environment holds; pure.

The rules are a kubelet's: envFrom first, then env in order, each value expanded with what came before it, with service
variables wherever no other variable has the name.
https://kubernetes.io/docs/tasks/inject-data-application/define-interdependent-environment-variables/
"""

import base64
import math
import re
from collections import ChainMap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from tests.controlplane.runner.api import Resource

REFERENCE = re.compile(r"\$(?:(\$)|\(([^)]*)\))")
QUANTITY = re.compile(r"([0-9.]+(?:[eE][+-]?[0-9]+)?)(|[numkMGTPE]|[KMGTPE]i)")
SUFFIXES = (
    {"": Fraction(1), "n": Fraction(1, 10**9), "u": Fraction(1, 10**6), "m": Fraction(1, 1000)}
    | {letter: Fraction(1000**power) for power, letter in enumerate("kMGTPE", 1)}
    | {f"{letter}i": Fraction(1024**power) for power, letter in enumerate("KMGTPE", 1)}
)
FIELD_WITH_KEY = re.compile(r"metadata\.(labels|annotations)\['(.+)'\]")


class ConfigError(Exception):
    """The environment can't be made as the pod wants it; the text is a kubelet's."""


@dataclass(frozen=True, slots=True)
class Sources:
    """What values may come from: objects of the pod's namespace by name, service variables, the node's address."""

    config_maps: Mapping[str, Resource] = field(default_factory=dict)
    secrets: Mapping[str, Resource] = field(default_factory=dict)
    services: Mapping[str, str] = field(default_factory=dict)
    address: str = "127.0.0.1"
    allocatable: Mapping[str, str] = field(default_factory=dict)


def expand(text: str, values: Mapping[str, str]) -> str:
    """Replace $(NAME); an unknown name stays as it is, $$ is one dollar."""

    def replace(match: re.Match[str]) -> str:
        return "$" if match[1] else values.get(match[2], match[0])

    return REFERENCE.sub(replace, text)


def references(containers: Sequence[Resource]) -> tuple[set[str], set[str]]:
    """The names of ConfigMaps and Secrets that environments refer to."""
    config_maps: set[str] = set()
    secrets: set[str] = set()
    for container in containers:
        for source in container.get("envFrom") or []:
            config_maps |= name_in(source, "configMapRef")
            secrets |= name_in(source, "secretRef")
        for variable in container.get("env") or []:
            source = variable.get("valueFrom") or {}
            config_maps |= name_in(source, "configMapKeyRef")
            secrets |= name_in(source, "secretKeyRef")
    return config_maps, secrets


def name_in(source: Resource, kind: str) -> set[str]:
    """The name a reference of this kind has, if there is one."""
    return {source[kind]["name"]} if source.get(kind) else set()


def environment(pod: Resource, container: Resource, sources: Sources) -> dict[str, str]:
    """Every variable but those an image would bring.

    Raises: ConfigError if a ConfigMap, a Secret or a key is missing that isn't optional.
    """
    values = dict(bulk(container, sources))
    known = ChainMap(values, dict(sources.services))
    for variable in container.get("env") or []:
        if variable.get("value"):
            values[variable["name"]] = expand(variable["value"], known)
        elif variable.get("valueFrom"):
            value = referred(pod, container, variable["valueFrom"], sources)
            if value is not None:
                values[variable["name"]] = value
        else:
            values[variable["name"]] = ""
    return {**sources.services, **values}


def bulk(container: Resource, sources: Sources) -> Iterator[tuple[str, str]]:
    """The variables of envFrom."""
    for source in container.get("envFrom") or []:
        prefix = source.get("prefix") or ""
        if "configMapRef" in source:
            for name, value in config_data(source["configMapRef"], sources).items():
                yield prefix + name, value
        if "secretRef" in source:
            for name, value in secret_data(source["secretRef"], sources).items():
                yield prefix + name, value


def config_data(reference: Resource, sources: Sources) -> Mapping[str, str]:
    """A ConfigMap's texts; nothing if it is missing and optional.

    Raises: ConfigError if it is missing.
    """
    found = sources.config_maps.get(reference["name"])
    if found is None and not reference.get("optional"):
        raise ConfigError(f'configmap "{reference["name"]}" not found')
    return (found or {}).get("data") or {}


def secret_data(reference: Resource, sources: Sources) -> Mapping[str, str]:
    """A Secret's values as text; nothing if it is missing and optional.

    Raises: ConfigError if it is missing.
    """
    found = sources.secrets.get(reference["name"])
    if found is None and not reference.get("optional"):
        raise ConfigError(f'secret "{reference["name"]}" not found')
    encoded = (found or {}).get("data") or {}
    return {key: base64.b64decode(value).decode(errors="surrogateescape") for key, value in encoded.items()}


def referred(pod: Resource, container: Resource, source: Resource, sources: Sources) -> str | None:
    """The value of a valueFrom; None if it is missing and optional.

    Raises: ConfigError if it is missing.
    """
    if "resourceFieldRef" in source:
        return resource_value(container, source["resourceFieldRef"], sources)
    if "fieldRef" in source:
        return field_value(pod, source["fieldRef"]["fieldPath"], sources.address)
    if "configMapKeyRef" in source:
        reference = source["configMapKeyRef"]
        return one_key(pod, reference, "ConfigMap", config_data(reference, sources))
    if "secretKeyRef" in source:
        reference = source["secretKeyRef"]
        return one_key(pod, reference, "Secret", secret_data(reference, sources))
    raise ConfigError(f"this node knows no valueFrom of this kind: {', '.join(sorted(source))}")


def one_key(pod: Resource, reference: Resource, kind: str, data: Mapping[str, str]) -> str | None:
    """One value of a ConfigMap or a Secret.

    Raises: ConfigError if it is missing and not optional.
    """
    key = reference["key"]
    if key not in data and not reference.get("optional"):
        raise ConfigError(f"couldn't find key {key} in {kind} {pod['metadata']['namespace']}/{reference['name']}")
    return data.get(key)


def field_value(pod: Resource, path: str, address: str) -> str:
    """The downward API's fields.

    Raises: ConfigError for a path that isn't one of them.
    """
    metadata, spec = pod["metadata"], pod["spec"]
    keyed = FIELD_WITH_KEY.fullmatch(path)
    if keyed:
        return str((metadata.get(keyed[1]) or {}).get(keyed[2], ""))
    if path in {"metadata.labels", "metadata.annotations"}:
        pairs = sorted((metadata.get(path.removeprefix("metadata.")) or {}).items())
        return "\n".join(f'{key}="{quoted(value)}"' for key, value in pairs)
    values = {
        "metadata.name": metadata["name"],
        "metadata.namespace": metadata["namespace"],
        "metadata.uid": metadata["uid"],
        "spec.nodeName": spec.get("nodeName", ""),
        "spec.serviceAccountName": spec.get("serviceAccountName", ""),
        **dict.fromkeys(("status.hostIP", "status.podIP", "status.hostIPs", "status.podIPs"), address),
    }
    if path not in values:
        raise ConfigError(f"unsupported fieldPath: {path}")
    return str(values[path])


def resource_value(container: Resource, reference: Resource, sources: Sources) -> str:
    """A request or limit in whole divisors, rounded up; without a limit what the node has.

    Raises: ConfigError for a resource that isn't one.
    """
    kind, _, name = str(reference["resource"]).partition(".")
    if kind not in {"limits", "requests"}:
        raise ConfigError(f"unsupported container resource {reference['resource']}")
    own = container.get("resources") or {}
    found = (own.get(kind) or {}).get(name)
    if found is None:
        found = sources.allocatable.get(name, "0") if kind == "limits" else "0"
    divisor = amount(str(reference.get("divisor") or "0")) or 1
    return str(math.ceil(amount(str(found)) / divisor))


def amount(quantity: str) -> Fraction:
    """A Kubernetes quantity.

    Raises: ConfigError if it is none.
    """
    match = QUANTITY.fullmatch(quantity)
    if not match:
        raise ConfigError(f"not a quantity: {quantity}")
    number, suffix = match.groups()
    return Fraction(number) * SUFFIXES[suffix]


def quoted(text: str) -> str:
    """A label's or annotation's value inside double quotes."""
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def service_variables(services: Sequence[Resource], namespace: str, *, links: bool) -> dict[str, str]:
    """The variables of a namespace's services (none without links), and those of the API server's service."""
    values: dict[str, str] = {}
    for service in services:
        metadata, spec = service["metadata"], service["spec"]
        is_api_server = metadata["namespace"] == "default" and metadata["name"] == "kubernetes"
        wanted = is_api_server or (links and metadata["namespace"] == namespace)
        if wanted and spec.get("clusterIP", "None") not in {"", "None"} and spec.get("ports"):
            values |= one_service(metadata["name"], spec["clusterIP"], spec["ports"])
    return values


def one_service(name: str, address: str, ports: Sequence[Resource]) -> dict[str, str]:
    """A service's host and ports, and the older Docker link form."""
    prefix = name.upper().replace("-", "_")
    values = {f"{prefix}_SERVICE_HOST": address, f"{prefix}_SERVICE_PORT": str(ports[0]["port"])}
    for index, port in enumerate(ports):
        protocol, number = port.get("protocol", "TCP"), port["port"]
        url = f"{protocol.lower()}://{address}:{number}"
        if port.get("name"):
            values[f"{prefix}_SERVICE_PORT_{port['name'].upper().replace('-', '_')}"] = str(number)
        if index == 0:
            values[f"{prefix}_PORT"] = url
        link = f"{prefix}_PORT_{number}_{protocol.upper()}"
        values |= {link: url, f"{link}_PROTO": protocol.lower(), f"{link}_PORT": str(number), f"{link}_ADDR": address}
    return values
