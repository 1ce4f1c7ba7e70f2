"""The nouns of reaching a server: which one, as whom, and by what ways."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Credential:
    """What shows who asks: a bearer token, or a client certificate and its key as PEM, or both."""

    token: str = field(default="", repr=False)
    certificate: bytes = field(default=b"", repr=False)
    key: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plugin:
    """A program that gives a credential. ``interactive`` is ``Never``, ``IfAvailable`` or ``Always``.

    ``cluster`` is what it is told of the server, None for nothing; ``variables`` are added to its environment.
    https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins
    """

    version: str
    command: str
    arguments: Sequence[str] = ()
    variables: Sequence[tuple[str, str]] = field(default=(), repr=False)
    hint: str = ""
    interactive: str = "IfAvailable"
    cluster: Mapping[str, object] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """One server and one identity. PEM as bytes; ``proxy`` is ``""`` for none.

    ``file`` has the context, and is ``""`` where only one was looked at. ``certificate_files`` are certificate and key
    where they come from files: these may be replaced meanwhile.
    """

    server: str
    context: str
    file: str = ""
    user: str = ""
    authority: bytes = b""
    insecure: bool = False
    server_name: str = ""
    proxy: str = field(default="", repr=False)
    certificate: bytes = field(default=b"", repr=False)
    key: bytes = field(default=b"", repr=False)
    certificate_files: Sequence[Path] = ()
    token: str = field(default="", repr=False)
    token_file: Path | None = None
    basic: tuple[str, str] | None = field(default=None, repr=False)
    plugin: Plugin | None = None
    impersonate: Sequence[tuple[str, str]] = ()
