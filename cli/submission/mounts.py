"""What a pod sees of claims, secrets, memory and shipped files, and where."""

import posixpath
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from reconciler.cluster import Body
from reconciler.errors import UsageError

SHARED_MEMORY = "/dev/shm"  # noqa: S108 - where programs look for it
SHIPPED = "/jobq"
"""Where files that came with the job lie."""

_CLAIM = re.compile(r"[a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class Mount:
    """A claim at a path."""

    claim: str
    path: str
    read_only: bool


@dataclass(frozen=True, slots=True)
class Secret:
    """A Secret: each key a file below ``path``, or a variable where there is none."""

    name: str
    path: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Storage:
    """All of it; ``shm`` is a quantity or ``""``, ``shipped`` has the ConfigMap's key of each file's name."""

    mounts: Sequence[Mount] = ()
    secrets: Sequence[Secret] = ()
    shm: str = ""
    shipped: Mapping[str, str] = field(default_factory=dict)

    def provides(self, directory: str) -> bool:
        """Whether a directory lies on a claim."""
        inside = posixpath.normpath(directory or "/")
        roots = [posixpath.normpath(mount.path) for mount in self.mounts]
        return any(posixpath.commonpath([inside, root]) == root for root in roots)


def volume(text: str, origin: str = "--volume") -> Mount:
    """``PVC:/path[:ro]``. Raises: UsageError."""
    claim, _, rest = text.partition(":")
    path, _, mode = rest.partition(":")
    if not (_CLAIM.fullmatch(claim) and path) or mode not in {"", "ro", "rw"}:
        raise UsageError(f"{origin}: {text!r} is no claim and path", hint="write PVC:/path, or PVC:/path:ro")
    return Mount(claim, absolute(path, origin), mode == "ro")


def secret(text: str, origin: str = "--secret") -> Secret:
    """``NAME``, or ``NAME:/path``. Raises: UsageError."""
    name, colon, path = text.partition(":")
    if not _CLAIM.fullmatch(name) or (colon and not path):
        raise UsageError(f"{origin}: {text!r} is no Secret", hint="write NAME for variables, NAME:/path for files")
    return Secret(name, absolute(path, origin) if colon else "")


def absolute(path: str, origin: str) -> str:
    """The path. Raises: UsageError where it doesn't start at the root."""
    if not path.startswith("/"):
        raise UsageError(f"{origin}: {path!r} is no path from the root", hint=f"write /{path}")
    return path


def at_paths(mounts: Sequence[Mount]) -> Sequence[Mount]:
    """One at each path: a later one takes the place of an earlier."""
    return tuple({mount.path: mount for mount in mounts}.values())


def keys_of(files: Iterable[str]) -> Mapping[str, str]:
    """The key of each file in a ConfigMap, whose keys have fewer letters than files' names."""
    return {
        name: name if re.fullmatch(r"[-._a-zA-Z0-9]{1,253}", name) else f"file-{number}"
        for number, name in enumerate(files)
    }


def refuse_doubles(storage: Storage) -> None:
    """Raises: UsageError where two things should lie at one path."""
    paths = [mount.path for mount in storage.mounts] + [secret.path for secret in storage.secrets if secret.path]
    paths += [SHARED_MEMORY] if storage.shm else []
    paths += [SHIPPED] if storage.shipped else []
    for path in paths:
        if sum(posixpath.normpath(path) == posixpath.normpath(other) for other in paths) > 1:
            raise UsageError(f"two things can't both lie at {path}", hint="give one of them another path")


def volumes(storage: Storage, config_map: str) -> Sequence[Body]:
    """The pod's volumes."""
    found: list[Body] = [
        {"name": name, "persistentVolumeClaim": {"claimName": claim}} for claim, name in _claims(storage).items()
    ]
    found += [{"name": name, "secret": {"secretName": secret}} for secret, name in _files(storage).items()]
    if storage.shm:
        found.append({"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": storage.shm}})
    if storage.shipped:
        items = [{"key": key, "path": path} for path, key in storage.shipped.items()]
        found.append({"name": "jobq", "configMap": {"name": config_map, "defaultMode": 0o555, "items": items}})
    return found


def volume_mounts(storage: Storage) -> Sequence[Body]:
    """Where the container sees them."""
    claims, files = _claims(storage), _files(storage)
    found: list[Body] = [
        {"name": claims[mount.claim], "mountPath": mount.path, **({"readOnly": True} if mount.read_only else {})}
        for mount in storage.mounts
    ]
    found += [{"name": files[one.name], "mountPath": one.path, "readOnly": True} for one in storage.secrets if one.path]
    if storage.shm:
        found.append({"name": "shm", "mountPath": SHARED_MEMORY})
    if storage.shipped:
        found.append({"name": "jobq", "mountPath": SHIPPED, "readOnly": True})
    return found


def env_from(storage: Storage) -> Sequence[Body]:
    """Secrets whose keys become variables."""
    return [{"secretRef": {"name": secret.name}} for secret in storage.secrets if not secret.path]


def _claims(storage: Storage) -> Mapping[str, str]:
    """Claim -> the volume's name in the pod. A claim's own name may have dots, a volume's may not."""
    return _numbered("claim", [mount.claim for mount in storage.mounts])


def _files(storage: Storage) -> Mapping[str, str]:
    return _numbered("secret", [secret.name for secret in storage.secrets if secret.path])


def _numbered(word: str, names: Sequence[str]) -> Mapping[str, str]:
    return {name: f"{word}-{number}" for number, name in enumerate(dict.fromkeys(names))}
