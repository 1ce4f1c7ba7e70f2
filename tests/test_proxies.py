"""Requests that go through a proxy: which one, by whose word, and to the real API server."""

import json
import subprocess
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from reconciler.errors import ClusterError, NotFound, Unreachable
from reconciler.kube import connect
from reconciler.reaching.proxies import configured_proxy, environment_proxy, without_password
from tests.controlplane.plane import Plane
from tests.run import PATIENCE_SECONDS
from tests.stage import Stage, raise_project
from tests.waypoints import PASSWORD, QUOTED, Waypoint, http_proxy, socks_proxy

PROXY = "http://proxy.example.org:3128"
SERVER = "https://api.lab.example.org:6443"


@pytest.mark.parametrize(
    ("no_proxy", "server", "direct"),
    [
        ("", SERVER, False),
        ("*", SERVER, True),
        ("example.org", SERVER, True),
        (".example.org", SERVER, True),
        ("*.example.org", SERVER, True),
        (".lab.example.org", "https://lab.example.org", False),
        ("lab.example.org", "https://lab.example.org", True),
        ("ample.org", SERVER, False),
        (" x , API.lab.example.org:6443", SERVER, True),
        ("api.lab.example.org:443", SERVER, False),
        ("api.lab.example.org:443", "https://api.lab.example.org", True),
        ("10.0.0.0/8,.svc", "https://10.1.2.3:6443", True),
        ("10.0.0.0/8,.svc", "https://11.1.2.3:6443", False),
        ("10.1.2.3", "https://10.1.2.3:6443", True),
        ("10.1.2.3:6443", "https://10.1.2.3:6443", True),
        ("10.1.2.3:6443", "https://10.1.2.3", False),
        ("1.2.3", "https://10.1.2.3", False),
        (".svc", "https://kubernetes.default.svc", True),
        ("fd00::/8", "https://[fd00::1]:6443", True),
        ("[fd00::1]:6443", "https://[fd00::1]:6443", True),
        ("", "https://127.0.0.1:6443", True),
        ("", "https://localhost:6443", True),
        ("", "https://[::1]:6443", True),
    ],
)
def test_past_the_proxy(no_proxy: str, server: str, direct: bool) -> None:  # noqa: FBT001 - a table
    """NO_PROXY as Go's programs read it: suffixes, ports, CIDRs; a loopback address needs no proxy."""
    said = environment_proxy(server, {"HTTPS_PROXY": PROXY, "NO_PROXY": no_proxy})
    assert said == ("" if direct else PROXY)
    assert environment_proxy(server, {"https_proxy": PROXY, "no_proxy": no_proxy}) == said


def test_variable_of_the_scheme() -> None:
    assert environment_proxy(SERVER, {"HTTP_PROXY": PROXY, "ALL_PROXY": PROXY}) == ""
    assert environment_proxy("http://api.example.org", {"HTTP_PROXY": PROXY}) == PROXY
    assert environment_proxy(SERVER, {"HTTPS_PROXY": "proxy.example.org:3128"}) == PROXY


@pytest.mark.parametrize(
    "url",
    [
        "ftp://kim:s3cr3t@proxy",
        "kim:s3cr3t@proxy:1",
        "http://kim:s3cr3t@",
        "socks4://p",
        "http://kim:s3cr3t@p:x",
        "http://p:0",
    ],
)
def test_proxy_that_is_none(url: str) -> None:
    """It is named without its password."""
    with pytest.raises(ClusterError, match="'lab'") as caught:
        configured_proxy(url, "lab")
    assert "s3cr3t" not in f"{caught.value} {caught.value.hint}"
    if "://" in url:
        with pytest.raises(ClusterError, match="HTTPS_PROXY is no URL of a proxy that jobq knows") as caught:
            environment_proxy(SERVER, {"HTTPS_PROXY": url})
        assert "s3cr3t" not in f"{caught.value} {caught.value.hint}"


def test_shown_without_password() -> None:
    assert without_password("http://kim:p@ss@proxy:1") == "http://proxy:1"
    assert without_password("kim:p@proxy:1") == "proxy:1"


# ------------------------------------------------------------------------------------------------ really

Kind = Callable[..., AbstractContextManager[Waypoint]]


@pytest.fixture(scope="module")
def stage(plane: Plane, tmp_path_factory: pytest.TempPathFactory) -> Stage:
    return raise_project(plane, tmp_path_factory.mktemp("home"))


def through(stage: Stage, folder: Path, proxy: str, *, name: str = "") -> str:
    """A member's kubeconfig with that proxy-url; the server is called ``name`` where one is given."""
    said = json.loads(stage.kubeconfig().read_text())
    cluster = said["clusters"][0]["cluster"]
    cluster["proxy-url"] = proxy
    if name:
        cluster["server"] = cluster["server"].replace("127.0.0.1", name)
    path = folder / "config"
    path.write_text(json.dumps(said))
    return str(path)


@pytest.mark.parametrize(("kind", "scheme"), [(http_proxy, "http"), (socks_proxy, "socks5")])
def test_proxy_with_a_password(stage: Stage, tmp_path: Path, kind: Kind, scheme: str) -> None:
    """It is let through by name and password; without them, it says what is missing, and no password ever."""
    with kind(locked=True) as proxy:
        run = stage.jobq("list", KUBECONFIG=through(stage, tmp_path, f"{scheme}://{QUOTED}@127.0.0.1:{proxy.port}"))
        assert run.code == 0, run.err
        assert proxy.targets
        bad = through(stage, tmp_path, f"{scheme}://kim:wr0ng@127.0.0.1:{proxy.port}")
        wrong = stage.start("list", "--debug", KUBECONFIG=bad)
        _, err = wrong.communicate(timeout=PATIENCE_SECONDS)
        assert (wrong.returncode, "the proxy wants a name and a password" in err) == (1, True)
        assert f"by proxy {scheme}://127.0.0.1:{proxy.port}" in err
        assert "wr0ng" not in err
        assert PASSWORD not in err


def test_proxy_that_speaks_tls(stage: Stage, tmp_path: Path) -> None:
    """It is trusted by the cluster's authority, as kubectl does, for requests and streams; one that isn't is named."""
    with http_proxy(keys=stage.plane.directory / "pki") as proxy:
        kubeconfig = through(stage, tmp_path, f"https://127.0.0.1:{proxy.port}")
        kubectl = [str(stage.plane.kubectl), "get", "--raw", "/version"]
        environ = {"KUBECONFIG": kubeconfig, "HOME": str(tmp_path)}
        assert b"gitVersion" in subprocess.run(kubectl, env=environ, capture_output=True, check=True).stdout
        cluster = connect(kubeconfig=kubeconfig)
        assert cluster.read("/version")["gitVersion"]
        with pytest.raises(NotFound, match='pods "no-such" not found'):
            cluster.port_forward("no-such", 80, namespace=stage.project)
        cluster.close()
    assert len(proxy.targets) == 3
    with http_proxy(locked=True, keys=stage.plane.directory / "pki") as proxy:
        locked = connect(kubeconfig=through(stage, tmp_path, f"https://127.0.0.1:{proxy.port}"))
        with pytest.raises(Unreachable, match="the proxy wants a name and a password"):
            locked.port_forward("no-such", 80, namespace=stage.project)
    with pytest.raises(Unreachable, match="the proxy can't be reached"):
        cluster.port_forward("no-such", 80, namespace=stage.project)


def test_socks_proxy_resolves_the_name(stage: Stage, tmp_path: Path) -> None:
    """As for kubectl: behind it may be names that only it knows."""
    with socks_proxy() as proxy:
        kubeconfig = through(stage, tmp_path, f"socks5://127.0.0.1:{proxy.port}", name="localhost")
        assert stage.jobq("list", KUBECONFIG=kubeconfig).code == 0
        assert {target.partition(":")[0] for target in proxy.targets} == {"localhost"}


def test_proxy_of_the_environment(stage: Stage, tmp_path: Path) -> None:
    """A dead one is named, and NO_PROXY goes past it; a kubeconfig's proxy comes first."""
    dead = {"HTTPS_PROXY": "http://kim:s3cr3t@127.0.0.1:9"}
    assert stage.jobq("list", **dead, NO_PROXY="127.0.0.0/8,.svc").code == 0
    with http_proxy() as proxy:
        assert (
            stage.jobq("list", **dead, KUBECONFIG=through(stage, tmp_path, f"http://127.0.0.1:{proxy.port}")).code == 0
        )
    elsewhere = json.loads(stage.kubeconfig().read_text())
    elsewhere["clusters"][0]["cluster"]["server"] = SERVER
    (tmp_path / "config").write_text(json.dumps(elsewhere))
    run = stage.jobq("list", **dead, KUBECONFIG=str(tmp_path / "config"))
    assert (run.code, "proxy can't be reached" in run.err, "s3cr3t" in run.err) == (1, True, False)
