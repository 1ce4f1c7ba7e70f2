"""The control plane itself: it builds once, leaves nothing behind however it ends, and counts requests."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.controlplane import audit, build
from tests.controlplane.api import Document
from tests.controlplane.fixture import shared
from tests.controlplane.plane import ROOT, Extent, Plane, await_ready, launch, start
from tests.controlplane.supervisor import SUPERVISOR_LOG

PATIENCE_SECONDS = 90.0
USE_A_PLANE = "from tests.controlplane.plane import Extent, start\nwith start(Extent.API) as plane:"
USE_THE_SHARED = (
    "import pathlib; from tests.controlplane.fixture import Extent, shared\n"
    "with shared(pathlib.Path('{folder}'), Extent.API) as plane:"
)
AND_WAIT = " print(plane.directory, flush=True); import time; time.sleep(60)"


def eventually(true: Callable[[], bool]) -> bool:
    """Whether `true()` within the patience of a busy machine."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def processes_of(directory: Path) -> list[str]:
    """Command lines that name `directory`: its supervisor's and its components'."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue  # ended meanwhile
        if str(directory) in line:
            found.append(line.replace("\0", " "))
    return found


def call(plane: Plane, kubeconfig: Path, *arguments: str) -> str:
    command = [str(plane.kubectl), f"--kubeconfig={kubeconfig}", f"--cache-dir={plane.directory}/cache", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder for a control plane; whatever a failed test left running there is ended."""
    folder = tmp_path_factory.mktemp("p")
    yield folder
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        if f"\0{folder}\0".encode() in path.read_bytes():
            os.kill(int(path.parent.name), signal.SIGKILL)


# Starting and stopping ----------------------------------------------------------------------------------------------


def test_two_control_planes_run_at_once_and_leave_nothing() -> None:
    """Each has its own ports and folder; after the block there is no process and no folder."""
    with start(Extent.API) as one, start(Extent.API) as other:
        assert one.server != other.server
        for plane in (one, other):
            assert "kueue-system" in call(plane, plane.kubeconfig, "get", "namespaces")
            assert "clusterqueues.kueue.x-k8s.io" in call(plane, plane.kubeconfig, "get", "crds", "-o", "name")
            assert (plane.directory.stat().st_mode & 0o077) == 0
    for plane in (one, other):
        assert processes_of(plane.directory) == []
        assert not plane.directory.exists()


@pytest.mark.parametrize("seconds", [0.1, 0.4, 0.7, 1.0, 1.5, 2.2])
def test_a_signal_at_any_moment_of_the_start_leaves_no_process(directory: Path, seconds: float) -> None:
    """Whatever has been started by then is stopped."""
    supervisor = launch(directory, Extent.API, ["--while-stdin"])
    time.sleep(seconds)
    supervisor.send_signal(signal.SIGINT if seconds < 1 else signal.SIGTERM)
    supervisor.communicate(timeout=PATIENCE_SECONDS)
    assert processes_of(directory) == []


def test_components_die_with_a_killed_supervisor(directory: Path) -> None:
    """SIGKILL gives the supervisor no chance; the kernel ends its children."""
    supervisor = launch(directory, Extent.API, ["--while-stdin"])
    plane = await_ready(directory, supervisor)
    assert len(processes_of(directory)) == 3
    os.kill(plane.supervisor, signal.SIGKILL)
    supervisor.communicate(timeout=PATIENCE_SECONDS)
    assert eventually(lambda: processes_of(directory) == [])


def test_a_dead_component_is_named_with_its_log(directory: Path) -> None:
    """The supervisor says which one died, shows the end of its log, and stops the others."""
    supervisor = launch(directory, Extent.API, ["--while-stdin"])
    plane = await_ready(directory, supervisor)
    os.kill(plane.pids["etcd"], signal.SIGKILL)
    supervisor.wait(timeout=PATIENCE_SECONDS)  # closing its stdin earlier would ask it to stop
    supervisor.communicate()
    said = (directory / SUPERVISOR_LOG).read_text()
    assert supervisor.returncode == 1
    assert f"error: etcd was killed by SIGKILL; the end of {directory}/logs/etcd.log:\n  {{" in said
    assert processes_of(directory) == []


@pytest.mark.parametrize("use", [USE_A_PLANE, USE_THE_SHARED], ids=["own", "shared"])
def test_a_control_plane_ends_with_its_killed_user(tmp_path: Path, use: str) -> None:
    """However the last user ends, the supervisor stops everything and removes the folder."""
    program = (use + AND_WAIT).format(folder=tmp_path)
    user = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert user.stdout
    directory = Path(user.stdout.readline().strip())
    assert processes_of(directory)
    user.kill()
    user.communicate()
    assert eventually(lambda: not directory.exists() and processes_of(directory) == [])


def test_all_who_share_a_folder_share_its_control_plane(tmp_path: Path) -> None:
    """The second user finds the first one's; it runs until both have gone."""
    program = (USE_THE_SHARED + AND_WAIT).format(folder=tmp_path)
    first = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert first.stdout
    directory = Path(first.stdout.readline().strip())
    with shared(tmp_path, Extent.API) as plane:
        assert plane.directory == directory
        first.kill()
        first.communicate()
        time.sleep(0.5)
        assert len(processes_of(directory)) == 3
    assert eventually(lambda: not directory.exists())


def test_a_folder_is_never_shared_or_emptied_by_mistake(directory: Path) -> None:
    """A running control plane's folder, and one with other things in it, are refused."""
    supervisor = launch(directory, Extent.API, ["--while-stdin"])
    assert eventually((directory / "logs").exists)
    busy = up(directory)
    supervisor.terminate()
    supervisor.communicate(timeout=PATIENCE_SECONDS)
    directory.mkdir()
    (directory / "thesis.tex").touch()
    other = up(directory)
    assert busy == f"error: a control plane runs in {directory}"
    assert other == f"error: {directory} is not empty, and not an earlier control plane's: choose another folder"
    assert (directory / "thesis.tex").exists()


def up(directory: Path) -> str:
    """What a supervisor says that can't have `directory`."""
    command = [sys.executable, "-m", "tests.controlplane", "up", "--api-only", "--dir", str(directory)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=PATIENCE_SECONDS)
    assert done.returncode == 1
    return done.stderr.splitlines()[-1]


# A whole one --------------------------------------------------------------------------------------------------------


def test_kueue_admits_and_fake_nodes_play_what_a_pod_is_annotated_with(plane: Plane) -> None:
    """One job succeeds, one fails with its exit code, one never gets its image."""
    namespace = f"stories-{uuid.uuid4().hex[:8]}"
    labels = {"jobq.io/cluster-queue": "fake-shared", "kueue.x-k8s.io/managed-namespace": "true"}
    stories = {"good": ("x:1", {}), "bad": ("x:1", {"fake.jobq.io/exit-code": "3"}), "gone": ("x:missing", {})}
    with plane.api() as api:
        api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": labels}})
        queue = {"apiVersion": "kueue.x-k8s.io/v1beta2", "kind": "LocalQueue", "spec": {"clusterQueue": "fake-shared"}}
        api.create({**queue, "metadata": {"name": "default", "namespace": namespace}})
        for name, (image, annotations) in stories.items():
            api.create(job(namespace, name, image, annotations))

        def states() -> dict[str, str]:
            pods = api.call("GET", f"/api/v1/namespaces/{namespace}/pods")["items"]
            return {pod["metadata"]["labels"]["job-name"]: state_of(pod) for pod in pods}

        expected = {"good": "Completed 0", "bad": "Error 3", "gone": "ImagePullBackOff"}
        assert eventually(lambda: states() == expected), states()


def state_of(pod: Document) -> str:
    """`Error 3` of a pod's only container."""
    for status in pod["status"].get("containerStatuses", []):
        for state in status["state"].values():
            return f"{state.get('reason', 'running')} {state.get('exitCode', '')}".strip()
    return "unknown"


def job(namespace: str, name: str, image: str, annotations: dict[str, str]) -> dict[str, object]:
    container = {"name": "main", "image": image, "resources": {"requests": {"cpu": "1"}}}
    template = {
        "metadata": {"annotations": annotations},
        "spec": {"restartPolicy": "Never", "containers": [container]},
    }
    metadata = {"name": name, "namespace": namespace, "labels": {"kueue.x-k8s.io/queue-name": "default"}}
    spec = {"backoffLimit": 0, "template": template}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec}


def test_requests_are_counted_by_user_and_user_agent(plane: Plane) -> None:
    """Only the requests between mark and count, refused ones too, and a watch once."""
    reader, refused = "counted-reader@example.org", "counted-refused@example.org"  # nobody else: the plane is shared
    mine = plane.member_kubeconfig(reader, ["system:masters"])
    theirs = plane.member_kubeconfig(refused, ["oidc:vision"])
    call(plane, mine, "get", "nodes")
    since = plane.mark()
    call(plane, mine, "get", "--raw", "/api/v1/nodes")
    call(plane, mine, "get", "--raw", "/api/v1/pods?watch=true&timeoutSeconds=1")
    with pytest.raises(subprocess.CalledProcessError):
        call(plane, theirs, "get", "--raw", "/api/v1/namespaces/default/secrets")
    by_reader = plane.requests(since, user=reader, user_agent="kubectl")
    by_refused = plane.requests(since, user=refused)
    assert [(request.verb, request.resource, request.code) for request in by_reader] == [
        ("list", "nodes", 200),
        ("watch", "pods", 200),
    ]
    assert [(one.resource, one.namespace, one.code) for one in by_refused] == [("secrets", "default", 403)]


def test_kubeconfigs_carry_user_and_groups_and_service_accounts(plane: Plane) -> None:
    """Who the API server takes a member and a service account for."""
    kim = plane.member_kubeconfig("kim@example.org", ["oidc:vision", "oidc:all"], "vision")
    default = plane.service_account_kubeconfig("default", "default")
    who = json.loads(call(plane, kim, "auth", "whoami", "-o", "json"))["status"]["userInfo"]
    account = json.loads(call(plane, default, "auth", "whoami", "-o", "json"))["status"]["userInfo"]
    assert who["username"] == "kim@example.org"
    assert who["groups"] == ["oidc:vision", "oidc:all", "system:authenticated"]
    assert account["username"] == "system:serviceaccount:default:default"


def test_the_visibility_api_answers_in_both_versions(plane: Plane) -> None:
    """Kueue itself answers, through the API server."""
    for version in ("v1beta1", "v1beta2"):
        path = f"/apis/visibility.kueue.x-k8s.io/{version}/clusterqueues/gpu-shared/pendingworkloads"
        assert json.loads(call(plane, plane.kubeconfig, "get", "--raw", path))["items"] == []


# The audit log's lines ----------------------------------------------------------------------------------------------


def entry(stage: str, verb: str, **target: str) -> str:
    found = {
        "stage": stage,
        "verb": verb,
        "user": {"username": "kim"},
        "userAgent": "jobq/0.1",
        "requestURI": "/x",
        "objectRef": target,
        "responseStatus": {"code": 200},
    }
    return json.dumps(found) + "\n"


def test_a_long_request_counts_once_and_a_partial_line_not_yet(tmp_path: Path) -> None:
    """A watch counts where it begins, so that its end never counts into a later window."""
    log = tmp_path / "audit.log"
    log.write_text(entry("ResponseStarted", "watch", resource="pods"))
    since = audit.end(log)
    partial = entry("ResponseComplete", "list", resource="nodes")[:40]
    with log.open("a") as file:
        file.write(entry("ResponseComplete", "watch", resource="pods"))
        file.write(entry("ResponseComplete", "patch", resource="jobs", subresource="status"))
        file.write(entry("ResponseStarted", "get", resource="pods", subresource="log"))
        file.write(partial)
    assert [request.resource for request in audit.requests(log)] == ["pods", "jobs/status", "pods/log"]
    assert [request.resource for request in audit.requests(log, since)] == ["jobs/status", "pods/log"]
    assert audit.requests(log, user="lee") == []
    assert audit.end(log) == log.stat().st_size - len(partial)


# Building -----------------------------------------------------------------------------------------------------------


FAKE_GO = """#!/bin/sh
echo "$@" >> "{log}"
env >> "{log}.env"
case "$1" in
version) echo "go version go{version} linux/amd64" ;;
build) test -z "{failure}" || {{ echo "{failure}" >&2; exit 1; }}; sleep 0.3; echo binary > "$3" ;;
esac
"""


@pytest.fixture
def fake_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Puts a `go` of some version first on PATH, before an empty cache; the file that its command lines go to."""

    def install(version: str, failure: str = "") -> Path:
        programs = tmp_path / "bin"
        programs.mkdir()
        log = tmp_path / "go.log"
        go = programs / "go"
        go.write_text(FAKE_GO.format(log=log, version=version, failure=failure))
        go.chmod(0o755)
        monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        return log

    return install


def test_a_build_is_kept_and_not_repeated(fake_go: Callable[..., Path], capfd: pytest.CaptureFixture[str]) -> None:
    """The second call finds the first one's binary; progress is said."""
    log = fake_go("1.26.1")
    first = build.programs([build.ETCD])
    again = build.programs([build.ETCD])
    assert first == again
    assert (first["etcd"] / "etcd").read_text() == "binary\n"
    assert [line.split()[0] for line in log.read_text().splitlines()] == ["version", "build"]
    assert capfd.readouterr().err == "building etcd (1 of 4), about 42 seconds on 2 cores\n"


def test_two_builds_at_once_build_once(fake_go: Callable[..., Path]) -> None:
    """The second waits for the first, and finds its binary."""
    log = fake_go("1.26.1")
    program = "from tests.controlplane import build; build.programs([build.ETCD])"
    builders = [subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stderr=subprocess.PIPE) for _ in range(3)]
    for builder in builders:
        builder.communicate(timeout=PATIENCE_SECONDS)
        assert builder.returncode == 0
    assert [line.split()[0] for line in log.read_text().splitlines()].count("build") == 1


def test_the_users_go_settings_do_not_reach_a_build(
    fake_go: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only where modules come from and are kept."""
    log = fake_go("1.26.1")
    for name, value in {
        "GOFLAGS": "-mod=vendor",
        "GOOS": "windows",
        "GOTOOLCHAIN": "go1.2",
        "CGO_ENABLED": "1",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("GOPROXY", "file:///proxy")
    build.programs([build.ETCD])
    seen = Path(f"{log}.env").read_text().splitlines()
    assert {"GOFLAGS=-mod=readonly", "GOOS=linux", "GOTOOLCHAIN=local", "CGO_ENABLED=0"} <= set(seen)
    assert "GOPROXY=file:///proxy" in seen


def test_a_failed_build_shows_what_go_said_and_leaves_nothing(fake_go: Callable[..., Path]) -> None:
    """No half binary is ever found by the next build."""
    fake_go("1.26.1", failure="etcd.go:1: syntax error")
    with pytest.raises(build.BuildError, match=r"etcd\.go:1: syntax error"):
        build.programs([build.ETCD])
    assert [path.name for path in build.cache().iterdir()] == ["etcd.lock"]


@pytest.mark.parametrize(("version", "reason"), [("1.20.3", "go is older"), (None, "there is none on PATH")])
def test_without_a_new_enough_go_the_message_says_so(
    fake_go: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, version: str | None, reason: str
) -> None:
    """And that the packaged toolchain could not be had either."""
    fake_go(version or "1.26.1")
    if version is None:
        monkeypatch.setenv("PATH", str(build.cache()))
    monkeypatch.setattr(sys, "executable", shutil.which("false", path=os.defpath))
    with pytest.raises(build.BuildError) as caught:
        build.programs([build.ETCD])
    assert "Go 1.26 or newer is needed to build the control plane" in str(caught.value)
    assert reason in str(caught.value)
    assert "hint: put a newer Go on PATH" in str(caught.value)


@pytest.mark.parametrize("changed", ["go.sum", "go.mod", "tools.go"])
def test_the_key_of_a_build_changes_with_each_of_its_files(tmp_path: Path, changed: str) -> None:
    """And with nothing else: a copy has the original's key."""
    copy = shutil.copytree(build.KWOK.folder, tmp_path / "kwok")
    same = build.key(build.KWOK, copy)
    with (copy / changed).open("a") as file:
        file.write("\n")
    assert same == build.key(build.KWOK)
    assert build.key(build.KWOK, copy) != same


def test_versions_are_those_of_the_modules() -> None:
    """Stated once, in go.mod."""
    assert [build.version(module).split(".")[0] for module in build.ALL] == ["v3", "v1", "v0", "v0"]
