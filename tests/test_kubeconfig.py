"""Which server, and as whom: as kubectl reads the same files."""

import json
import os
import subprocess
import traceback
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from reconciler.errors import ClusterError, Unauthorized, Unreachable
from reconciler.kinds import CONFIG_MAP
from reconciler.kube import KubeCluster
from reconciler.kubeconfig import IN_CLUSTER, find_access, find_server
from reconciler.reaching.access import Access
from tests.controlplane.plane import Plane


def config(name: str, *, current: str | None = None, **user: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """One file with a cluster, a user and a context, all of that name."""
    return {
        "clusters": [{"name": name, "cluster": {"server": f"https://{name}.example.org:6443"}}],
        "users": [{"name": name, "user": user or {"token": f"token-of-{name}"}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        **({"current-context": current} if current is not None else {}),
    }


def write(folder: Path, name: str, content: dict[str, Any] | str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def found(*paths: Path, context: str = "") -> Access:
    return find_access(context=context, environ={"KUBECONFIG": os.pathsep.join(map(str, paths))})


def test_one_file(tmp_path: Path) -> None:
    path = write(tmp_path, "a", config("a", current="a"))
    assert found(path) == Access(server="https://a.example.org:6443", context="a", user="a", token="token-of-a")
    assert find_server(environ={"KUBECONFIG": str(path)}) == "https://a.example.org:6443"
    assert find_access(kubeconfig=str(path), environ={"KUBECONFIG": "/nowhere"}).context == "a"


@pytest.mark.parametrize(
    ("first", "second", "context"),
    [
        (config("a", current="a"), config("b", current="b"), "a"),
        (config("a"), config("b", current="b"), "b"),
        (config("a", current=""), config("b", current="b"), "b"),
        ("", config("b", current="b"), "b"),
        ("# nothing yet\n", config("b", current="b"), "b"),
    ],
)
def test_first_to_say_it_wins(
    tmp_path: Path, plane: Plane, first: dict[str, Any] | str, second: dict[str, Any], context: str
) -> None:
    """Context and server are those of ``kubectl config view --minify``; a file that isn't there is passed over."""
    paths = [write(tmp_path, "first", first), tmp_path / "missing", write(tmp_path, "second", second)]
    view = subprocess.run(
        [plane.kubectl, "config", "view", "--minify", "-o", "json"],
        env={"KUBECONFIG": os.pathsep.join(map(str, paths)), "HOME": str(tmp_path)},
        check=True,
        capture_output=True,
    )
    kubectl = json.loads(view.stdout)
    assert found(*paths).context == kubectl["current-context"] == context
    assert found(*paths).file == str(paths[0] if context == "a" else paths[2])
    assert found(*paths).server == kubectl["clusters"][0]["cluster"]["server"]


def test_errors_name_context_and_file(tmp_path: Path) -> None:
    """Of several files, whichever says the context; of one, its context is enough."""
    paths = [write(tmp_path, name, config(name, current=name)) for name in ("a", "b")]
    for given, wanted in ((paths, f"context a of {paths[0]}"), (paths[1:], "context b")):
        with pytest.raises(Unreachable) as caught:
            KubeCluster(replace(found(*given), server="https://127.0.0.1:1")).list(CONFIG_MAP)
        assert str(caught.value).endswith(f"(https://127.0.0.1:1, {wanted})")


def test_same_name_twice(tmp_path: Path) -> None:
    """A cluster that two files define is the first one's."""
    other = config("a")
    other["clusters"][0]["cluster"]["server"] = "https://other"
    paths = [write(tmp_path, "first", config("a", current="a")), write(tmp_path, "second", other)]
    assert found(*paths).server == "https://a.example.org:6443"


def test_paths_start_at_their_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "sub/client.crt", "certificate")
    write(tmp_path, "sub/client.key", "key")
    user = {"client-certificate": "client.crt", "client-key": "client.key"}
    path = write(tmp_path, "sub/config", config("a", current="a", **user))
    monkeypatch.chdir(tmp_path)
    access = found(path)
    assert (access.certificate, access.key) == (b"certificate", b"key")


def test_impersonation(tmp_path: Path) -> None:
    """Acting as somebody is never dropped: that would be acting with more rights."""
    user = {"token": "t", "as": "kim", "as-groups": ["a", "b"], "as-user-extra": {"why": ["test"]}}
    access = found(write(tmp_path, "a", config("a", current="a", **user)))
    assert access.impersonate == [
        ("Impersonate-User", "kim"),
        ("Impersonate-Group", "a"),
        ("Impersonate-Group", "b"),
        ("Impersonate-Extra-why", "test"),
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (config("a"), "names no current context"),
        (config("a", current="b"), "no context 'b'"),
        ({**config("a", current="a"), "users": []}, "names user 'a'"),
        ({**config("a", current="a"), "clusters": None}, "names cluster 'a'"),
        (config("a", current="a", username=""), "no credentials"),
        (config("a", current="a", **{"as-groups": ["x"], "token": "t"}), "but no user"),
        (config("a", current="a", **{"auth-provider": {"name": "oidc"}}), "auth-provider"),
        (config("a", current="a", **{"client-certificate": "nowhere"}), "nowhere can't be read"),
        (config("a", current="a", **{"client-certificate-data": "%"}), "no base64"),
        ({"clusters": 3}, "no kubeconfig: .*clusters"),
    ],
)
def test_never_as_somebody_else(tmp_path: Path, content: dict[str, Any], message: str) -> None:
    """What can't be had as it was asked for is an error; nobody is asked anonymously."""
    with pytest.raises(ClusterError, match=message):
        found(write(tmp_path, "a", content))


def test_unreadable_file_keeps_its_secrets(tmp_path: Path) -> None:
    """The reader's own message would quote the line with the token."""
    path = write(tmp_path, "a", "users:\n- name: a\n  user: {token: s3cret, oops\n")
    with pytest.raises(ClusterError, match="no YAML: line") as caught:
        found(path)
    assert "s3cret" not in str(caught.value)


def test_access_keeps_its_secrets(tmp_path: Path) -> None:
    access = found(write(tmp_path, "a", config("a", current="a", token="s3cret")))
    assert "s3cret" not in repr(access)


@pytest.mark.parametrize(
    "user",
    [
        {"token": "s3cret\nx"},
        {"token": "s3cret\r\nX: y"},
        {"tokenFile": "two-lines"},
        {"token": "s3cret", "as": "kim\nx"},
        {"token": "s3cret\0"},
    ],
)
def test_what_no_header_can_have(tmp_path: Path, user: dict[str, str]) -> None:
    """It is refused before anything is sent, and never quoted: the client's own message would."""
    write(tmp_path, "two-lines", "s3cret\nsecond\n")
    cluster = KubeCluster(found(write(tmp_path, "a", config("a", current="a", **user))))
    with pytest.raises(Unauthorized, match="credentials of context 'a' have line breaks") as caught:
        cluster.list(CONFIG_MAP)
    assert "s3cret" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    ("server", "message"),
    [
        ("https://kim:s3cret@x.example.org:6443", "has a name or a password in its URL"),
        ("https://kim:s3cret@[::1", "is no URL"),
        ("https://kim:s3cret@x.example.org:66443", "is no URL"),
        ("https://x.example.org:https", "is no URL"),
        ("https://:6443", "is no URL"),
        ("ftp://x.example.org", "is no URL"),
    ],
)
def test_server_that_is_none(tmp_path: Path, server: str, message: str) -> None:
    """Named by its cluster and file, without what may be secret in it."""
    said = config("a", current="a")
    said["clusters"][0]["cluster"]["server"] = server
    path = write(tmp_path, "a", said)
    for read in (lambda: found(path), lambda: find_server(kubeconfig=str(path))):
        with pytest.raises(ClusterError, match=message) as caught:
            read()
        assert str(caught.value).startswith(f"the server of cluster 'a' in {path} ")
        assert "s3cret" not in f"{caught.value} {caught.value.hint}"


def test_server_without_a_scheme(tmp_path: Path) -> None:
    """No credentials are sent in plain text where nobody said so."""
    said = config("a", current="a")
    said["clusters"][0]["cluster"]["server"] = "a.example.org:6443"
    assert found(write(tmp_path, "a", said)).server == "https://a.example.org:6443"


def test_nothing_configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(ClusterError, match="no cluster is configured"):
        find_access(environ={})
    with pytest.raises(ClusterError, match="no kubeconfig file"):
        find_access(kubeconfig=str(tmp_path / "nowhere"), environ={})


def test_in_a_pod(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pod's own identity, only where nothing else is said."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("reconciler.kubeconfig._POD_IDENTITY", tmp_path)
    pod = {"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "443"}
    with pytest.raises(ClusterError, match="no ServiceAccount token"):
        find_access(environ=pod)
    write(tmp_path, "token", "t")
    write(tmp_path, "ca.crt", "ca")
    access = find_access(environ=pod)
    assert (access.server, access.context, access.token_file) == (
        "https://[fd00::1]:443",
        IN_CLUSTER,
        tmp_path / "token",
    )
    with pytest.raises(ClusterError, match="no context 'x'"):
        find_access(context="x", environ=pod)
