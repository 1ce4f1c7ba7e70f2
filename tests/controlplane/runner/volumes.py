"""A pod's volumes as directories of the machine, and where its containers see them."""

import base64
import os
import shutil
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tests.controlplane.runner import environment
from tests.controlplane.runner.api import Api, ApiError, Resource
from tests.controlplane.runner.process import Mount

NOT_FOUND = 404
DEFAULT_MODE = 0o644
TOKEN_SECONDS = 3607
TEMPORARY = "/tmp"  # noqa: S108 - inside the container


class MountFailure(Exception):
    """A volume can't be made yet; the text is a kubelet's."""


@dataclass(frozen=True, slots=True)
class FileToWrite:
    """One file of a ConfigMap, Secret, downwardAPI or projected volume."""

    path: str
    data: bytes
    mode: int


@dataclass(frozen=True, slots=True)
class Volumes:
    """Makes volumes: those of one pod below own, claims (by their uid) below claims."""

    api: Api
    own: Path
    claims: Path

    async def prepare(self, pod: Resource) -> dict[str, Path]:
        """The directory of every volume, made and filled.

        Raises: MountFailure for the first that can't be.
        """
        found = {}
        for volume in pod["spec"].get("volumes") or []:
            try:
                found[volume["name"]] = await self._one(pod, volume)
            except (MountFailure, ApiError, OSError) as error:
                raise MountFailure(f'MountVolume.SetUp failed for volume "{volume["name"]}" : {error}') from error
        return found

    async def _one(self, pod: Resource, volume: Resource) -> Path:
        makers: dict[str, Callable[[Resource, Resource, Path], Awaitable[Path]]] = {
            "emptyDir": self._empty,
            "persistentVolumeClaim": self._claim,
            "configMap": self._files,
            "secret": self._files,
            "downwardAPI": self._files,
            "projected": self._files,
        }
        kind = next((kind for kind in volume if kind != "name"), "emptyDir")
        if kind not in makers:
            raise MountFailure(f"this node has no volumes of kind {kind}")
        return await makers[kind](pod, volume, self.own / volume["name"])

    async def _empty(self, _pod: Resource, _volume: Resource, directory: Path) -> Path:
        return open_directory(directory)

    async def _claim(self, pod: Resource, volume: Resource, _directory: Path) -> Path:
        namespace, name = pod["metadata"]["namespace"], volume["persistentVolumeClaim"]["claimName"]
        claim = await self.api.get(f"/api/v1/namespaces/{namespace}/persistentvolumeclaims/{name}")
        if (claim.get("status") or {}).get("phase") != "Bound":
            raise MountFailure(f'claim "{name}" is not bound')
        uid: str = claim["metadata"]["uid"]
        return open_directory(self.claims / uid)

    async def _files(self, pod: Resource, volume: Resource, directory: Path) -> Path:
        kind = next(kind for kind in volume if kind != "name")
        source = volume[kind]
        sources = source.get("sources") or [] if kind == "projected" else [{kind: source}]
        files = [file for part in sources for file in await self._part(pod, part, mode_of(source))]
        write_files(directory, files)
        return directory

    async def _part(self, pod: Resource, part: Resource, mode: int) -> list[FileToWrite]:
        kind, source = next(iter(part.items()))
        if kind == "downwardAPI":
            return list(downward_files(pod, source, mode))
        if kind == "serviceAccountToken":
            return [FileToWrite(source["path"], await self._token(pod, source), mode)]
        if kind in {"configMap", "secret"}:
            return list(keyed_files(source, await self._data(pod, kind, source), mode))
        raise MountFailure(f"this node projects no {kind}")

    async def _data(self, pod: Resource, kind: str, source: Resource) -> dict[str, bytes]:
        name = source.get("name") or source.get("secretName")
        place = f"/api/v1/namespaces/{pod['metadata']['namespace']}/{kind.lower()}s/{name}"
        try:
            return payload(await self.api.get(place), is_secret=kind == "secret")
        except ApiError as error:
            if error.status == NOT_FOUND and source.get("optional"):
                return {}
            raise

    async def _token(self, pod: Resource, source: Resource) -> bytes:
        """A token of the pod's service account, bound to the pod."""
        metadata = pod["metadata"]
        account = pod["spec"].get("serviceAccountName") or "default"
        place = f"/api/v1/namespaces/{metadata['namespace']}/serviceaccounts/{account}/token"
        bound = {"kind": "Pod", "apiVersion": "v1", "name": metadata["name"], "uid": metadata["uid"]}
        spec: Resource = {
            "expirationSeconds": source.get("expirationSeconds") or TOKEN_SECONDS,
            "audiences": [source["audience"]] if source.get("audience") else [],
            "boundObjectRef": bound,
        }
        request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
        answer = await self.api.post(place, request)
        return str(answer["status"]["token"]).encode()


def mode_of(source: Resource) -> int:
    """The files' mode unless an item has its own."""
    mode = source.get("defaultMode")
    return DEFAULT_MODE if mode is None else int(mode)


def payload(found: Resource, *, is_secret: bool) -> dict[str, bytes]:
    """What a ConfigMap or Secret holds, by key."""
    encoded = found.get("data" if is_secret else "binaryData") or {}
    texts = {} if is_secret else found.get("data") or {}
    return {key: base64.b64decode(value) for key, value in encoded.items()} | {
        key: value.encode() for key, value in texts.items()
    }


def keyed_files(source: Resource, data: dict[str, bytes], mode: int) -> Iterator[FileToWrite]:
    """All keys as files, or those that items names.

    Raises: MountFailure if an item's key is missing and the source isn't optional.
    """
    if not source.get("items"):
        yield from (FileToWrite(key, value, mode) for key, value in data.items())
        return
    for item in source["items"]:
        if item["key"] in data:
            own = item.get("mode")
            yield FileToWrite(item["path"], data[item["key"]], mode if own is None else own)
        elif not source.get("optional"):
            raise MountFailure(f"references non-existent config key: {item['key']}")


def downward_files(pod: Resource, source: Resource, mode: int) -> Iterator[FileToWrite]:
    """The pod's own fields as files.

    Raises: MountFailure for a field this node doesn't know.
    """
    for item in source.get("items") or []:
        try:
            value = environment.field_value(pod, item["fieldRef"]["fieldPath"], "127.0.0.1")
        except (KeyError, environment.ConfigError) as error:
            raise MountFailure(f"downwardAPI item {item.get('path')}: {error}") from error
        own = item.get("mode")
        yield FileToWrite(item["path"], value.encode(), mode if own is None else own)


def write_files(directory: Path, files: Iterable[FileToWrite]) -> None:
    """Fill a directory anew."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    for file in files:
        place = directory / PurePosixPath(file.path)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(file.data)
        place.chmod(file.mode)


def mounts_of(pod: Resource, container: Resource, directories: dict[str, Path], env: dict[str, str]) -> list[Mount]:
    """Where a container sees its volumes.

    Raises: environment.ConfigError if a subPath leaves its volume or names an unknown variable.
    """
    kinds = {volume["name"]: set(volume) for volume in pod["spec"].get("volumes") or []}
    mounts = []
    for entry in container.get("volumeMounts") or []:
        source = below(directories[entry["name"]], sub_path(entry, env))
        fixed = bool(kinds[entry["name"]] & {"configMap", "secret", "downwardAPI", "projected"})
        if not source.exists() and not fixed:
            source.mkdir(parents=True)
        mounts.append(Mount(str(source), real_target(entry["mountPath"]), fixed or bool(entry.get("readOnly"))))
    return mounts


def sub_path(entry: Resource, env: dict[str, str]) -> str:
    """The part of a volume that is mounted; empty is all of it."""
    expression = entry.get("subPathExpr")
    if not expression:
        return entry.get("subPath") or ""
    path = environment.expand(expression, env)
    if environment.REFERENCE.search(path):
        raise environment.ConfigError(f"missing value for environment variable in subPathExpr {expression}")
    return path


def below(directory: Path, path: str) -> Path:
    """A path inside a volume, not through links that lead out of it."""
    place = directory / path
    if path.startswith("/") or not Path(os.path.realpath(place)).is_relative_to(os.path.realpath(directory)):
        raise environment.ConfigError(f'subPath "{path}" leaves its volume')
    return place


def real_target(path: str) -> str:
    """A mount path as the kernel sees it: without links, dots and a slash at its end."""
    return os.path.realpath("/" + path.lstrip("/"))


def scratch_mounts(taken: Sequence[Mount], scratch: Path, workdir: str, *, read_only: bool) -> list[Mount]:
    """A temporary directory, and the working directory where the machine lacks it: writable, as an image's would be."""
    covered = [mount.target for mount in taken]
    mounts = []
    for target in (TEMPORARY, real_target(workdir)):
        on_machine = target != TEMPORARY and Path(target).is_dir()  # the machine's own /tmp isn't shown
        if not on_machine and not any(target == path or target.startswith(path + "/") for path in covered):
            mounts.append(Mount(str(open_directory(scratch / target.strip("/").replace("/", "-"))), target, read_only))
            covered.append(target)
    return mounts


def open_directory(directory: Path) -> Path:
    """A directory that any user may write to, as an emptyDir is."""
    directory.mkdir(parents=True, exist_ok=True)
    directory.chmod(0o777)
    return directory
