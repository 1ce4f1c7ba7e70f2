"""What it means that no answer came: words of OpenSSL, the client and the operating system, as people say it."""

import re
import ssl

import urllib3

_RIGHT_PLACE = "is the network (a VPN?) up, and is this the right context?"
_DONE = "it may have been done nevertheless: look before trying again"
_PROXY = "the proxy stands in the kubeconfig (proxy-url), or in HTTPS_PROXY; NO_PROXY says what goes past it"
_TROUBLES = (
    (
        "(?i)tunnel connection failed: 407|SOCKS5 authentication failed|All offered SOCKS5 authentication",
        "the proxy wants a name and a password, or others",
        "write them into its URL: http://NAME:PASSWORD@HOST:PORT",
    ),
    (r"Tunnel connection failed: (\d+)", r"the proxy refuses to connect (\1)", _PROXY),
    ("ProxyError|ProxyConnectionError|ProxySSLError|HTTPSProxyError", "the proxy can't be reached", _PROXY),
    ("SOCKS[45]Error", "the proxy can't connect to it", _PROXY),
    ("certificate has expired", "the server's certificate has expired", "only the cluster's admins can renew it"),
    (
        r"certificate verify failed: ([^(]+?) \(",
        r"the server's certificate isn't trusted: \1",
        "is this the right server? its authority stands in the kubeconfig",
    ),
    (
        "alert.*certificate|certificate.*alert",
        "the server doesn't take the client certificate",
        "get a new one; it may have expired",
    ),
    ("(?i)wrong version number|record layer failure|packet length too long", "it speaks no HTTPS", _RIGHT_PLACE),
    ("(?i)name resolution|not known|getaddrinfo", "its name can't be resolved", _RIGHT_PLACE),
    ("(?i)connection refused|actively refused", "connection refused", _RIGHT_PLACE),
)
"""Signs that no connection came -> what they mean, and what to do; the first that is found counts."""
_VALIDITY = re.compile(rb"(?:\x17\x0d(\d{12})Z|\x18\x0f(\d{14})Z)(?:\x17\x0d(\d{12})Z|\x18\x0f(\d{14})Z)")


def no_answer(
    doing: str, error: Exception, connect_seconds: float, answer_seconds: float, *, writes: bool
) -> tuple[str, str]:
    """What happened, and what to do, where no answer came: without a connection it is no matter what was being done."""
    if isinstance(error, urllib3.exceptions.ReadTimeoutError):
        return f"can't {doing}: no answer within {answer_seconds:g} s", _DONE if writes else _RIGHT_PLACE
    text = _chain(error)
    for sign, meaning, hint in _TROUBLES:
        if match := re.search(sign, text):
            return f"the cluster can't be reached: {match.expand(meaning)}", hint
    if isinstance(error, urllib3.exceptions.ConnectTimeoutError):
        return f"the cluster can't be reached: no connection within {connect_seconds:g} s", _RIGHT_PLACE
    return f"can't {doing}: the connection broke ({_first(error)})", _DONE if writes else "try again"


def valid_until(certificate: bytes) -> str:
    """A PEM certificate's notAfter in UTC, as people write it; ``""`` where it can't be told."""
    try:
        dates = _VALIDITY.search(ssl.PEM_cert_to_DER_cert(certificate.decode().strip()))
    except ValueError:
        return ""
    if dates is None:
        return ""
    short, long = dates[3], dates[4]
    digits = long.decode() if long else f"{'19' if short >= b'50' else '20'}{short.decode()}"
    return f"{digits[:4]}-{digits[4:6]}-{digits[6:8]} {digits[8:10]}:{digits[10:12]} UTC"


def _first(error: BaseException) -> str:
    """The name of what was at the bottom of it."""
    while below := error.__cause__ or error.__context__:
        error = below
    return type(error).__name__


def _chain(error: BaseException | None) -> str:
    texts = []
    while error is not None:
        texts.append(f"{type(error).__name__}: {error}")
        error = error.__cause__ or error.__context__
    return " ".join(texts)
