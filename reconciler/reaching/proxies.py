"""Which proxy a request goes through: the kubeconfig's, or that of the environment as Go's programs read it.

https://pkg.go.dev/golang.org/x/net/http/httpproxy, and CIDRs in NO_PROXY as Kubernetes' clients add them.
"""

import ipaddress
from collections.abc import Collection, Mapping
from urllib.parse import SplitResult, urlsplit

from reconciler.errors import ClusterError

_CONFIGURED = ("http", "https", "socks5")
_KNOWN = (*_CONFIGURED, "socks5h")
_PORTS = {"http": "80", "https": "443"}


def configured_proxy(url: str, cluster: str) -> str:
    """The kubeconfig's ``proxy-url``, checked. Raises: ClusterError, without any password."""
    if not names_host(url, _CONFIGURED):
        raise ClusterError(
            f"the proxy-url of cluster {cluster!r} is no URL of a proxy: {without_password(url)}",
            hint="write http://HOST:PORT, https://HOST:PORT or socks5://HOST:PORT",
        )
    return url


def environment_proxy(server: str, environ: Mapping[str, str]) -> str:
    """The proxy that the environment wants for this server, ``""`` for none. Raises: ClusterError."""
    parts = urlsplit(server)
    variable = "HTTPS_PROXY" if parts.scheme == "https" else "HTTP_PROXY"
    said = _either(environ, variable)
    if not said or _is_direct(parts, _either(environ, "NO_PROXY")):
        return ""
    url = said if "://" in said else f"http://{said}"
    if not names_host(url, _KNOWN):
        raise ClusterError(
            f"{variable} is no URL of a proxy that jobq knows: {without_password(said)}",
            hint="write http://HOST:PORT, https://HOST:PORT or socks5://HOST:PORT",
        )
    return url


def without_password(url: str) -> str:
    """A URL as it may be shown."""
    scheme, mark, rest = url.rpartition("://")
    return f"{scheme}{mark}{rest.rpartition('@')[2]}"


def names_host(url: str, schemes: Collection[str]) -> bool:
    """Whether it is the URL of a host, by one of these schemes, with a port that there is, if any."""
    try:
        parts = urlsplit(url)
        return parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _either(environ: Mapping[str, str], name: str) -> str:
    return environ.get(name) or environ.get(name.lower(), "")


def _is_direct(server: SplitResult, no_proxy: str) -> bool:
    host = (server.hostname or "").lower()
    port = str(server.port or _PORTS.get(server.scheme, ""))
    if host == "localhost" or _is_loopback(host):
        return True
    return any(_excepts(entry.strip().lower(), host, port) for entry in no_proxy.split(","))


def _excepts(entry: str, host: str, port: str) -> bool:
    """Whether one word of NO_PROXY means that host."""
    if entry in {"", "*"}:
        return entry == "*"
    address = _address(host)
    if "/" in entry:
        return address is not None and _is_in(address, entry)
    name, wanted_port = _split_port(entry)
    if not name or wanted_port not in {"", port}:
        return False
    if (wanted := _address(name)) is not None:
        return wanted == address
    if address is not None:
        return False
    name = name.removeprefix("*")
    return host.endswith(name) if name.startswith(".") else host == name or host.endswith(f".{name}")


def _split_port(entry: str) -> tuple[str, str]:
    if entry.startswith("["):
        name, _, port = entry[1:].partition("]")
        return name, port.removeprefix(":")
    if entry.count(":") == 1:
        name, _, port = entry.partition(":")
        return name, port
    return entry, ""


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _is_in(address: ipaddress.IPv4Address | ipaddress.IPv6Address, network: str) -> bool:
    try:
        return address in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False


def _is_loopback(host: str) -> bool:
    address = _address(host)
    return address is not None and address.is_loopback
