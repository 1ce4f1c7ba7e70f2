"""Login plugins: what they are told, who sees what they say, and that nothing goes on without their credential."""

import json
import stat
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from reconciler.errors import ClusterError, Forbidden, Unauthorized
from reconciler.kinds import SELF_SUBJECT_REVIEW
from reconciler.kube import KubeCluster, connect
from reconciler.kubeconfig import find_access
from reconciler.reaching import login
from reconciler.reaching.access import Access, Plugin
from reconciler.reaching.login import Login
from tests.controlplane.plane import Plane
from tests.stage import Stage, raise_project
from tests.terminal import on_terminal

V1, BETA = "client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1"


@pytest.fixture(scope="module")
def stage(plane: Plane, tmp_path_factory: pytest.TempPathFactory) -> Stage:
    return raise_project(plane, tmp_path_factory.mktemp("home"))


def program(folder: Path, text: str) -> Path:
    """An executable script in ``folder``."""
    path = folder / "plugin"
    path.write_text(f"#!{sys.executable}\nimport json, os, sys, time\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def answer(version: str = V1, **status: object) -> str:
    """The line of a plugin that gives this."""
    said = {"apiVersion": version, "kind": "ExecCredential", "status": status}
    return f"print({json.dumps(json.dumps(said))})"


def kubeconfig(stage: Stage, folder: Path, **exec_: Any) -> Path:  # noqa: ANN401 - JSON
    """The member's, with a plugin instead of a certificate."""
    said = json.loads(stage.kubeconfig().read_text())
    said["users"][0]["user"] = {"exec": {"apiVersion": V1, "interactiveMode": "Never", **exec_}}
    path = folder / "config"
    path.write_text(json.dumps(said))
    return path


def pair(stage: Stage, user: str) -> Mapping[str, str]:
    """A member's certificate and key, as plugins give them."""
    access = find_access(kubeconfig=str(stage.kubeconfig(user)))
    return {"clientCertificateData": access.certificate.decode(), "clientKeyData": access.key.decode()}


def who(cluster: KubeCluster) -> str:
    user: str = cluster.create(SELF_SUBJECT_REVIEW, {"kind": "SelfSubjectReview"})["status"]["userInfo"]["username"]
    return user


def plugin(path: Path, **more: Any) -> Login:  # noqa: ANN401 - handed through
    made = Plugin(version=V1, command=str(path), **more)
    return Login(Access(server="https://x", context="lab", user="kim", plugin=made), made)


@pytest.mark.parametrize("version", [V1, BETA])
def test_certificate_of_a_plugin(stage: Stage, tmp_path: Path, version: str) -> None:
    """A program beside the kubeconfig, by a relative path; it is run once for many requests."""
    ran = f"open({str(tmp_path / 'ran')!r}, 'a').write('x')\n"
    program(tmp_path, ran + answer(version, **pair(stage, "eve@example.org")))
    path = kubeconfig(stage, tmp_path, command="./plugin", apiVersion=version)
    cluster = connect(kubeconfig=str(path))
    assert [who(cluster), who(cluster)] == ["eve@example.org"] * 2
    assert (tmp_path / "ran").read_text() == "x"


def test_token_that_has_expired_or_is_refused(stage: Stage, tmp_path: Path) -> None:
    """Asked for anew: after its time, and once where the server says 401; then the server's word stands."""
    with stage.plane.api() as api:
        path = f"/api/v1/namespaces/{stage.project}/serviceaccounts/jobq-runner/token"
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 600}}
        good = api.call("POST", path, body)["status"]["token"]
    count = tmp_path / "count"
    program(
        tmp_path,
        f"""
count = os.path.getsize({str(count)!r})
open({str(count)!r}, "a").write("x")
token = "stale" if count == 0 else {good!r}
end = "2020-01-01T00:00:00Z" if count == 1 else "2100-01-01T00:00:00Z"
status = {{"token": token, "expirationTimestamp": end}}
print(json.dumps({{"apiVersion": {V1!r}, "kind": "ExecCredential", "status": status}}))
""",
    )
    count.touch()
    cluster = connect(kubeconfig=str(kubeconfig(stage, tmp_path, command="./plugin")))
    robot = f"system:serviceaccount:{stage.project}:jobq-runner"
    assert who(cluster) == robot
    assert count.read_text() == "xx"
    assert [who(cluster), who(cluster)] == [robot] * 2
    assert count.read_text() == "xxx"
    count.write_text("")
    with pytest.raises(Forbidden, match=f"{robot}. cannot"):  # a stream is renewed alike
        connect(kubeconfig=str(tmp_path / "config")).port_forward("pod", 80, namespace=stage.project)
    assert count.read_text() == "xx"
    program(tmp_path, answer(token="never any good"))
    with pytest.raises(Unauthorized, match="doesn't know who asks"):
        who(connect(kubeconfig=str(tmp_path / "config")))


def test_what_it_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its arguments and variables, and the server where it wants to know."""
    info = "json.loads(os.environ['KUBERNETES_EXEC_INFO'])"
    program(tmp_path, f"json.dump([sys.argv[1:], os.environ['A'], {info}], open('told', 'w'))")
    extension = {"name": "client.authentication.k8s.io/exec", "extension": {"audience": "lab"}}
    cluster = {"server": "https://x:6443", "tls-server-name": "y", "extensions": [extension]}
    run = {
        "apiVersion": V1,
        "command": "./plugin",
        "args": ["a b", ""],
        "env": [{"name": "A", "value": "ü"}],
        "provideClusterInfo": True,
        "interactiveMode": "IfAvailable",
    }
    said = {
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "u", "user": {"exec": run}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "c",
    }
    (tmp_path / "config").write_text(json.dumps(said))
    access = find_access(kubeconfig=str(tmp_path / "config"))
    assert access.plugin
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Unauthorized, match="no ExecCredential"):
        Login(access, access.plugin).credential()
    told = {"server": "https://x:6443", "tls-server-name": "y", "config": {"audience": "lab"}}
    wanted = {"apiVersion": V1, "kind": "ExecCredential", "spec": {"interactive": False, "cluster": told}}
    assert json.loads((tmp_path / "told").read_text()) == [["a b", ""], "ü", wanted]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sys.exit(7)", "failed (exit code 7)"),
        ("os.kill(os.getpid(), 9)", "failed (signal 9)"),
        ("print('s3cret')", "printed no ExecCredential"),
        ("print('{}')", "printed an object of no version"),
        (answer(BETA, token="s3cret"), f"printed ExecCredential of {BETA}"),
        (answer(), "gave neither a token nor a certificate"),
        (answer(clientCertificateData="x"), "gave half of a certificate"),
    ],
)
def test_plugin_that_fails(tmp_path: Path, text: str, message: str) -> None:
    """Named, with what went wrong and the hint of whoever wrote the kubeconfig; its words are never quoted."""
    made = plugin(program(tmp_path, text), hint="\x1b[31mask the lab")
    with pytest.raises(Unauthorized) as caught:
        made.credential()
    assert f"login plugin '{tmp_path / 'plugin'}' of user 'kim' of context 'lab' {message}" in str(caught.value)
    assert caught.value.hint == "ask the lab"
    assert "s3cret" not in str(caught.value)


def test_plugin_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends in bounded time, with all that it has started."""
    monkeypatch.setattr(login, "UNWATCHED_SECONDS", 1)
    monkeypatch.setattr(login, "WATCHED_SECONDS", 1)
    path = program(tmp_path, "import subprocess; subprocess.run(['sleep', '60'])")
    with pytest.raises(Unauthorized, match="gave no answer within 1 s"):
        plugin(path).credential()


def test_nothing_is_sent_without_it(stage: Stage, tmp_path: Path) -> None:
    """Exit 1, its own words are shown, and the server isn't asked anonymously."""
    program(tmp_path, "print('log in again', file=sys.stderr); sys.exit(7)")
    path = kubeconfig(stage, tmp_path, command="./plugin", installHint="brew install it")
    start = stage.plane.mark()
    run = stage.jobq("list", KUBECONFIG=str(path))
    assert (run.code, run.out) == (1, "")
    assert run.err.splitlines()[0] == "log in again"
    assert "plugin" in run.err.splitlines()[1]
    assert run.err.splitlines()[2] == "hint: brew install it"
    assert not stage.plane.requests(start, user="system:anonymous", user_agent="jobq/")
    missing = stage.jobq("list", KUBECONFIG=str(kubeconfig(stage, tmp_path, command="no-such", installHint="get it")))
    assert (missing.code, "'no-such'" in missing.err, "hint: get it" in missing.err) == (1, True, True)


ASKS = """
print("code?", file=sys.stderr, flush=True)
code = sys.stdin.readline().strip()
if code != "1234": sys.exit(9)
"""


def test_it_asks_on_a_terminal_only(stage: Stage, tmp_path: Path) -> None:
    """A plugin that may ask gets our stdin where that is a terminal, never what is piped into jobq."""
    program(tmp_path, ASKS + answer(**pair(stage, "kim@example.org")))
    path = kubeconfig(stage, tmp_path, command="./plugin", interactiveMode="IfAvailable")
    environ = {**stage.environment(), "KUBECONFIG": str(path)}
    command = [sys.executable, "-m", "cli.main", "project", "list", "--mine"]
    text, code = on_terminal(command, "1234\n", cwd=tmp_path, environ=environ)
    assert code == 0, text
    assert "code?" in text
    assert "failed (exit code 9)" in stage.jobq("list", KUBECONFIG=str(path)).err
    always = kubeconfig(stage, tmp_path, command="./plugin", interactiveMode="Always")
    assert "no terminal is there" in stage.jobq("list", KUBECONFIG=str(always)).err


@pytest.mark.parametrize(
    ("exec_", "message"),
    [
        ({"command": ""}, "names no command"),
        ({"apiVersion": "client.authentication.k8s.io/v1alpha1"}, "v1alpha1"),
        ({"interactiveMode": ""}, "interactiveMode"),
        ({"interactiveMode": "Sometimes"}, "Sometimes"),
    ],
)
def test_plugin_that_kubectl_refuses(stage: Stage, tmp_path: Path, exec_: dict[str, str], message: str) -> None:
    path = kubeconfig(stage, tmp_path, **{"command": "x", **exec_})
    with pytest.raises(ClusterError, match=message):
        find_access(kubeconfig=str(path))


def test_files_that_are_replaced(stage: Stage, tmp_path: Path) -> None:
    """Certificate and token are read anew where their files change while a process runs."""
    said = json.loads(stage.kubeconfig().read_text())

    def become(user: str) -> None:
        for name, content in pair(stage, user).items():
            (tmp_path / f".{name}").write_text(content)
            (tmp_path / f".{name}").replace(tmp_path / name)

    become("eve@example.org")
    said["users"][0]["user"] = {"client-certificate": "clientCertificateData", "client-key": "clientKeyData"}
    (tmp_path / "config").write_text(json.dumps(said))
    cluster = connect(kubeconfig=str(tmp_path / "config"))
    assert who(cluster) == "eve@example.org"
    become("lee@example.org")
    assert who(cluster) == "lee@example.org"


def test_acting_as_somebody_else(stage: Stage) -> None:
    """--as and --as-group, as kubectl has them: who may not is told so, and nobody else acts instead."""
    admin = {"KUBECONFIG": str(stage.plane.kubeconfig)}
    listed = stage.jobq("project", "list", "--as", "kim@example.org", "-o", "json", **admin).json["projects"]
    assert next(one["role"] for one in listed if one["project"] == stage.project) == "researcher"
    groups = ["--as", "lee", "--as-group", "a", "--as-group", "system:masters"]
    assert stage.jobq("list", *groups, **admin).code == 0
    refused = stage.jobq("list", "--as", "kim@example.org", user="eve@example.org")
    assert (refused.code, "cannot impersonate" in refused.err) == (1, True)
    lonely = stage.jobq("list", "--as-group", "a", **admin)
    assert (lonely.code, "--as NAME" in lonely.err) == (1, True)
