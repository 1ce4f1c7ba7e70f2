"""What kubectl makes of kubeconfig files, jobq makes of them too: asked of kubectl itself, over made-up families."""

import base64
import json
import os
import random
import subprocess
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from reconciler.errors import ClusterError
from reconciler.kubeconfig import find_access
from reconciler.reaching.access import Access
from tests.controlplane.plane import Plane

FAMILIES = 32
NAMES = ("red", "blue")
Entry = dict[str, Any]


def test_as_kubectl_reads_them(plane: Plane, tmp_path: Path) -> None:
    """Context, server, trust, proxy and identity are those of ``kubectl config view --minify``; or both refuse."""
    families = [family(tmp_path / str(number), random.Random(number)) for number in range(FAMILIES)]
    with ThreadPoolExecutor(4) as pool:
        seen = list(pool.map(lambda paths: kubectl(plane, tmp_path, paths), families))
    assert sum(view is not None for view in seen) > FAMILIES / 3
    assert sum(view is None for view in seen) > FAMILIES / 10
    for number, (paths, view) in enumerate(zip(families, seen, strict=True)):
        assert read(paths) == (view and meant(view)), f"family {number}: {paths}"


def family(folder: Path, chance: random.Random) -> Sequence[Path]:
    """A few files that overlap, contradict, lack something, are empty or missing; paths in them are relative."""
    paths = []
    for number in range(chance.randint(1, 3)):
        home = folder / f"f{number}"
        home.mkdir(parents=True)
        for name in ("ca.crt", "client.crt", "client.key", "token"):
            (home / name).write_text(f"{name} of {home}")
        path = home / "config"
        if (kind := chance.randrange(10)) < 8:
            path.write_text(json.dumps(content(chance, str(number))))
        elif kind == 8:
            path.write_text("")
        paths.append(path)
    return paths


def content(chance: random.Random, mark: str) -> Entry:
    """One file. ``mark`` tells its entries from those of the same name elsewhere."""
    said: Entry = {
        "clusters": [{"name": name, "cluster": cluster(chance, mark)} for name in some(chance)],
        "users": [{"name": name, "user": user(chance, mark)} for name in some(chance)],
        "contexts": [
            {"name": name, "context": {"cluster": chance.choice(NAMES), "user": chance.choice(NAMES)}}
            for name in some(chance)
        ],
    }
    if chance.random() < 0.1:
        said["clusters"] = None
    if chance.random() < 0.7:
        said["current-context"] = chance.choice((*NAMES, *NAMES, *NAMES, ""))
    return said


def some(chance: random.Random) -> Sequence[str]:
    """Mostly all names; seldom one of them twice."""
    if chance.random() < 0.03:
        return ("red", "red")
    return NAMES if chance.random() < 0.8 else (chance.choice(NAMES),)


def cluster(chance: random.Random, mark: str) -> Entry:
    said: Entry = {"server": f"https://{mark}.example.org:6443"}
    trust = chance.randrange(4)
    if trust == 0:
        said["certificate-authority"] = "ca.crt"
    elif trust == 1:
        said["certificate-authority-data"] = encoded(f"authority {mark}")
    elif trust == 2:
        said["insecure-skip-tls-verify"] = True
    if chance.random() < 0.2:
        said["tls-server-name"] = f"name-{mark}"
    if chance.random() < 0.2:
        said["proxy-url"] = chance.choice(("http://proxy:3128", "socks5://proxy:1080", "https://u:p@proxy"))
    return said


def user(chance: random.Random, mark: str) -> Entry:
    ways: Sequence[Entry] = (
        {"token": f"token-{mark}"},
        {"tokenFile": "token"},
        {"username": f"u-{mark}", "password": "p"},
        {"client-certificate": "client.crt", "client-key": "client.key"},
        {"client-certificate": "../f0/client.crt", "client-key-data": encoded("key")},
        {"client-certificate": "gone.crt", "client-key": "client.key"},
        {"client-certificate-data": encoded(f"c-{mark}"), "client-key-data": encoded("key"), "token": "both"},
        {"exec": plugin(mark)},
    )
    said = dict(chance.choice(ways))
    if chance.random() < 0.3:
        said |= {"as": f"kim-{mark}", "as-groups": ["a", mark], "as-uid": "7", "as-user-extra": {"why": ["x", "y"]}}
    return said


def plugin(mark: str) -> Entry:
    return {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": "gcloud",
        "args": ["login", mark],
        "env": [{"name": "MARK", "value": mark}],
        "installHint": "install it",
        "interactiveMode": "Never",
    }


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def kubectl(plane: Plane, home: Path, paths: Sequence[Path]) -> Mapping[str, Any] | None:
    """Its view of these files with all contents in it, None where it refuses them."""
    environ = {"KUBECONFIG": os.pathsep.join(map(str, paths)), "HOME": str(home)}
    command = [str(plane.kubectl), "config", "view", "--minify", "--raw", "--flatten", "-o", "json"]
    done = subprocess.run(command, env=environ, capture_output=True, check=False)
    return json.loads(done.stdout) if done.returncode == 0 else None


def meant(view: Mapping[str, Any]) -> Entry:
    """Kubectl's view in the words of `read`."""
    where, who = view["clusters"][0]["cluster"], view["users"][0]["user"]
    run = who.get("exec")
    return {
        "context": view["current-context"],
        "server": where["server"],
        "authority": where.get("certificate-authority-data", ""),
        "insecure": where.get("insecure-skip-tls-verify", False),
        "name": where.get("tls-server-name", ""),
        "proxy": where.get("proxy-url", ""),
        "certificate": who.get("client-certificate-data", ""),
        "key": who.get("client-key-data", ""),
        "token": who.get("token", ""),
        "token file": Path(who.get("tokenFile", "")).name,
        "basic": (who["username"], who["password"]) if "username" in who else None,
        "plugin": run and (run["apiVersion"], run["command"], run["args"], run["env"][0]["value"], run["installHint"]),
        "as": who.get("as", ""),
        "uid": who.get("as-uid", ""),
        "groups": who.get("as-groups", []),
        "extra": who.get("as-user-extra", {}).get("why", []),
    }


def read(paths: Sequence[Path]) -> Entry | None:
    """The same as jobq reads it."""
    try:
        access = find_access(environ={"KUBECONFIG": os.pathsep.join(map(str, paths))})
    except ClusterError:
        return None
    run = access.plugin
    return {
        "context": access.context,
        "server": access.server,
        "authority": base64.b64encode(access.authority).decode(),
        "insecure": access.insecure,
        "name": access.server_name,
        "proxy": access.proxy,
        "certificate": base64.b64encode(access.certificate).decode(),
        "key": base64.b64encode(access.key).decode(),
        "token": access.token,
        "token file": access.token_file.name if access.token_file else "",
        "basic": access.basic,
        "plugin": run and (run.version, run.command, run.arguments, run.variables[0][1], run.hint),
        "as": "".join(headers(access, "User")),
        "uid": "".join(headers(access, "Uid")),
        "groups": headers(access, "Group"),
        "extra": headers(access, "Extra-why"),
    }


def headers(access: Access, of: str) -> list[str]:
    return [value for key, value in access.impersonate if key == f"Impersonate-{of}"]
