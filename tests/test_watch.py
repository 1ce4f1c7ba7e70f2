"""Reconciling as long as nobody ends it, on a real API server and a real repository."""

import json
import re
import signal
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from reconciler.administration.approve import approve
from reconciler.comparing.ownership import is_equal
from reconciler.errors import NotFound
from reconciler.kinds import BY_KIND, LEASE, LIMIT_RANGE, ROLE_BINDING, SERVICE_ACCOUNT
from reconciler.kube import KubeCluster
from reconciler.watching.fights import MOST_IN_A_ROW, Fights
from reconciler.watching.lease import Leadership, Tenure
from tests import proxy as faults
from tests.controlplane.api import Api
from tests.controlplane.plane import ROOT
from tests.proxy import Proxy
from tests.repository import project
from tests.watching import NEVER, Calendar, watched
from tests.world import TODAY, World, eventually

GROUP = {"group": "vision", "role": "researcher"}


def declare(world: World, **spec: object) -> str:
    """Commit project vision beside speech, which stays as it is."""
    spec.setdefault("members", [GROUP])
    return world.repository.declare(project("vision", **spec), project("speech"))


def in_sync(world: World) -> bool:
    """Whether everything that HEAD renders to is live, and ours."""
    live = world.live()
    return all(manifest.ref in live and is_equal(manifest, live[manifest.ref]) for manifest in world.manifests())


def subjects(world: World, namespace: str, name: str = "jobq:researcher") -> list[str]:
    """Who that binding is for; nobody where there is none."""
    try:
        live = world.admin.get(ROLE_BINDING, name, namespace=namespace)
    except NotFound:
        return []
    return [subject["name"] for subject in live.get("subjects", ())]


def holder(world: World) -> str:
    """Who holds the Lease."""
    return str(world.admin.get(LEASE, "jobq-reconciler", namespace="jobq-system")["spec"]["holderIdentity"])


# ------------------------------------------------------------------------------------------------ commits and drift


def test_commits_drift_and_silence(world: World) -> None:
    """Commits and drift of every kind are acted on at their events; then nothing is asked but the Lease."""
    first = declare(world)
    with watched(world) as running:
        assert running.settles(first)
        assert in_sync(world)
        second = declare(world, displayName="Vision")
        assert running.settles(second)
        assert in_sync(world)
        for ref in [manifest.ref for manifest in world.manifests() if manifest.ref.kind != "Namespace"]:
            resource = BY_KIND[ref.group, ref.kind].resource
            world.admin.delete(resource, ref.name, namespace=ref.namespace)
        world.kubectl("label", "namespace", "vision", "jobq.io/cluster-queue=other", "--overwrite")
        assert eventually(lambda: in_sync(world))
        assert running.rests()
        count, since = len(running.passes), world.plane.mark()
        time.sleep(2.5)
        asked = Counter((request.verb, request.resource) for request in world.asked(since))
        assert asked.keys() == {("patch", "leases")}
        assert len(running.passes) == count
        world.kubectl("label", "namespace", "default", f"somebody={uuid.uuid4()}", "--overwrite")
        assert eventually(lambda: len(running.passes) > count)
        assert running.settles()
        assert {request.resource for request in world.asked(since)} == {"leases"}
    assert holder(world) == ""
    assert all(event.seconds < 60 for event in running.passes)


def test_status_is_no_drift(world: World) -> None:
    """What controllers write into a status wakes nobody."""
    declare(world, limits={"jobs": 5})
    with watched(world) as running:
        assert running.rests()
        count = len(running.passes)
        for number in range(5):
            patch = json.dumps({"status": {"used": {"count/jobs.batch": str(number)}}})
            world.kubectl("patch", "quota", "jobq", "-n", "vision", "--subresource=status", "--type=merge", "-p", patch)
        world.kubectl("label", "namespace", "default", f"something={uuid.uuid4()}", "--overwrite")
        assert eventually(lambda: len(running.passes) > count)
        assert running.passes[count].why == ["Namespace default changed"]


def test_an_invalid_commit(world: World) -> None:
    """It is reported with its problems; the last valid one stays in force: drift is repaired, access expires."""
    last = TODAY.isoformat()
    good = declare(world, members=[GROUP, {"user": "lee@example.org", "role": "researcher", "expires": last}])
    with watched(world, full=NEVER) as running:
        assert running.settles(good)
        assert subjects(world, "vision") == ["vision", "lee@example.org"]
        bad = declare(world, priority="none such")
        assert eventually(lambda: running.last is not None and running.last.newest == bad)
        assert running.last is not None
        assert (running.last.result, running.last.commit) == ("refused", good)
        [held] = running.last.held_back
        assert (held.commit, str(held.error)) == (bad, "1 problem in the declared files")
        world.admin.delete(ROLE_BINDING, "jobq:researcher", namespace="vision")
        assert eventually(lambda: subjects(world, "vision") == ["vision", "lee@example.org"])
        running.calendar.day += timedelta(days=1)
        world.kubectl("label", "namespace", "default", "day=next", "--overwrite")
        assert eventually(lambda: subjects(world, "vision") == ["vision"])
        better = declare(world)
        assert running.settles(better)
        assert running.last.held_back == []


def moved(world: World) -> None:
    world.repository.git("mv", "projects.d", "projects")


def nested(world: World) -> None:
    (world.repository.root / "projects.d" / "team").mkdir()
    world.repository.git("mv", "projects.d/vision.yaml", "projects.d/speech.yaml", "projects.d/team/")


def unnamed(world: World) -> None:
    world.repository.git("rm", "--quiet", "jobq.toml")


@pytest.mark.parametrize("accident", [moved, nested, unnamed])
def test_declarations_that_are_gone(world: World, accident: Callable[[World], None]) -> None:
    """Nothing is written, the last good commit stays in force, which is said; also over a restart."""
    good = declare(world)
    with watched(world) as running:
        assert running.settles(good)
        before = world.versions()
        accident(world)
        bad = world.repository.commit()
        assert eventually(lambda: running.last is not None and running.last.newest == bad)
        assert running.last is not None
        assert (running.last.result, running.last.commit) == ("refused", good)
        assert world.versions() == before
    with watched(world) as again:
        assert eventually(lambda: again.last is not None)
        assert again.last is not None
        assert (again.last.result, again.last.commit, again.last.newest) == ("refused", good, bad)
        world.admin.delete(ROLE_BINDING, "jobq:researcher", namespace="vision")
        assert eventually(lambda: subjects(world, "vision") == ["vision"])


def test_refused_until_approved(world: World) -> None:
    """A commit that disrupts too much is held back whole; an approval is taken up at once, without another commit."""
    names = [f"p{number}" for number in range(4)]
    good = world.repository.declare(*map(project, names))
    with watched(world) as running:
        assert running.settles(good)
        bad = world.repository.declare(project(names[0]))
        assert eventually(lambda: running.last is not None and running.last.newest == bad)
        assert running.last is not None
        assert (running.last.result, running.last.commit) == ("refused", good)
        [held] = running.last.held_back
        [digest, *_] = re.findall(r"jobq approve ([0-9a-f]{16})", held.error.hint)
        approve(world.admin, digest, "admin@example.org", datetime.combine(TODAY, datetime.min.time(), UTC))
        assert running.settles(bad)


# ------------------------------------------------------------------------------------------------ fights


def test_a_pull_secret_that_another_controller_adds(world: World) -> None:
    """A controller appends its pull secret to the jobs' ServiceAccount: that list isn't jobq's, nothing is written."""
    declare(world, defaults={"imagePullSecrets": ["registry"]})
    with watched(world) as running:
        assert running.rests()
        count, since = len(running.passes), world.plane.mark()
        patch = json.dumps({"imagePullSecrets": [{"name": "platform"}]})
        world.kubectl("patch", "sa", "jobq-runner", "-n", "vision", "--field-manager=platform", "-p", patch)
        assert eventually(lambda: len(running.passes) > count)
        assert running.settles()
        assert [request.resource for request in world.writes(since) if request.resource != "leases"] == []
    live = world.admin.get(SERVICE_ACCOUNT, "jobq-runner", namespace="vision")
    assert live["imagePullSecrets"] == [{"name": "platform"}]


def test_a_list_that_another_controller_adds_to(world: World) -> None:
    """A controller appends to a list of jobq's whenever it is missing there: it is taken back five times, no more."""
    declare(world, limits={"container": {"max": {"cpu": "4"}}})
    claims = {"type": "PersistentVolumeClaim", "max": {"storage": "1Ti"}}
    appended: list[str] = []

    def append() -> None:
        live = world.admin.get(LIMIT_RANGE, "jobq", namespace="vision")
        if claims not in live["spec"]["limits"]:
            patch = json.dumps({"spec": {"limits": [*live["spec"]["limits"], claims]}})
            words = ("patch", "limitrange", "jobq", "-n", "vision", "--type=merge", "--field-manager=platform")
            appended.append(world.kubectl(*words, "-p", patch))

    with watched(world) as running, interfering() as interferes:
        assert running.settles()
        interferes(append)
        assert eventually(lambda: running.last is not None and len(running.last.fights) == 1)
        assert running.settles()
        assert running.last is not None
        [fight] = running.last.fights
        assert fight.left
        assert fight.text.startswith("spec.limits of LimitRange vision/jobq is fought over: taken back 5 times")
        assert "in a row from platform;" in fight.text
        time.sleep(1.0)
        assert len(appended) == MOST_IN_A_ROW + 1
        live = world.admin.get(LIMIT_RANGE, "jobq", namespace="vision")
        assert claims in live["spec"]["limits"]
        newer = declare(world, limits={"container": {"max": {"cpu": "8"}}})
        assert eventually(lambda: len(appended) > MOST_IN_A_ROW + 1)  # another commit: it is taken back again
        assert eventually(lambda: running.watch.state().commit == newer)


def test_a_tool_that_spreads_bindings(world: World) -> None:
    """Access that somebody copies into another project is taken back each time, ever at a bounded rate, and told."""
    declare(world)
    pause = 1.0
    with watched(world, fights=lambda: Fights(pause)) as running, interfering() as interferes:
        assert running.settles()
        spread = 0

        def copy() -> None:
            nonlocal spread
            if not subjects(world, "speech"):
                spread += 1
                body = world.admin.get(ROLE_BINDING, "jobq:researcher", namespace="vision")
                metadata = {"name": "jobq:researcher", "namespace": "speech", "labels": body["metadata"]["labels"]}
                copied = {**body, "metadata": metadata}
                world.kubectl("create", "--field-manager=spreader", "-f", "-", given=copied)

        interferes(copy)
        assert eventually(lambda: spread > MOST_IN_A_ROW + 3)
        began, before = time.monotonic(), spread
        assert eventually(lambda: spread >= before + 3)
        assert time.monotonic() - began >= 2 * pause  # never faster, however slow the machine
        assert running.last is not None
        fight = next(fight for event in reversed(running.passes) for fight in event.fights)
        assert not fight.left
        assert "RoleBinding speech/jobq:researcher is fought over" in fight.text
        assert "spreader" in fight.text
    assert eventually(lambda: world.reconcile().applied)
    assert subjects(world, "speech") == []


@contextmanager
def interfering() -> Iterator[Callable[[Callable[[], None]], None]]:
    """Lets something be done again and again by another, until the end of the block."""
    stop, threads = threading.Event(), []
    failures: list[BaseException] = []

    def begin(act: Callable[[], None]) -> None:
        def go_on() -> None:
            while not stop.wait(0.02):
                try:
                    act()
                except Exception as error:  # noqa: BLE001 - raised where the test sees it
                    failures.append(error)
                    return

        threads.append(threading.Thread(target=go_on))
        threads[-1].start()

    try:
        yield begin
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert failures == []


# ------------------------------------------------------------------------------------------------ troubles


def test_a_server_that_is_away(world: World, through: KubeCluster, proxy: Proxy) -> None:
    """Through an outage it stays, and takes everything up again: drift that came meanwhile, and commits."""
    good = declare(world)
    upstream = proxy.upstream
    with watched(world, through, tenure=Tenure(valid=2, renew=0.2, retry=0.1)) as running:
        assert running.settles(good)
        proxy.upstream = "https://127.0.0.1:9"
        proxy.cut_all()
        world.admin.delete(ROLE_BINDING, "jobq:researcher", namespace="vision")
        assert eventually(lambda: any("lost the lease" in note for note in running.notes))
        asked = len(proxy.asked)
        time.sleep(1.0)
        assert len(proxy.asked) - asked < 60
        newer = declare(world, displayName="Vision")
        proxy.upstream = upstream
        assert running.settles(newer)
        assert subjects(world, "vision") == ["vision"]


# ------------------------------------------------------------------------------------------------ one acts


def test_one_acts(world: World) -> None:
    """Of two, one acts; the other takes over when the first one ends, and repairs what it finds."""
    good = declare(world)
    with watched(world) as first:
        assert first.settles(good)
        with watched(world) as second:
            assert eventually(lambda: second.watch.state().holder == holder(world))
            assert second.passes == []
            first.watch.stop()
            assert eventually(lambda: first.ended == [None])
            world.admin.delete(ROLE_BINDING, "jobq:researcher", namespace="vision")
            assert second.settles(good)
            assert subjects(world, "vision") == ["vision"]
            assert second.watch.state().leads


def test_a_holder_that_is_cut_off(world: World, through: KubeCluster, proxy: Proxy) -> None:
    """Whoever can't renew stops acting before another one may begin; never do two act."""
    now, tenure = Calendar().now, Tenure(valid=2, renew=0.2, retry=0.1)
    first = Leadership(through, "first", now, lambda: None, tenure=tenure)
    second = Leadership(world.cluster, "second", now, lambda: None, tenure=tenure)
    both: list[bool] = []
    first.start()
    try:
        assert eventually(lambda: first.held)
        second.start()
        assert eventually(lambda: second.holder == "first")
        proxy.spoil(faults.every, faults.drop, times=1_000_000)
        while not second.held:
            both.append(first.held and second.held)
            time.sleep(0.001)
        assert not first.held
        assert not any(both)
        proxy.heal()
        assert eventually(lambda: first.holder == "second")
        assert not first.held
    finally:
        first.close()
        second.close()
    assert holder(world) == ""


def test_a_server_that_starts_anew(world: World, through: KubeCluster, proxy: Proxy, tmp_path: Path) -> None:
    """Another API server process takes the first one's place: watches go on, and nothing was missed or deleted."""
    good = declare(world)
    with second_api_server(world, tmp_path) as address, watched(world, through) as running:
        assert running.settles(good)
        before, count = world.versions(), len(proxy.asked)
        proxy.upstream = "https://127.0.0.1:9"
        proxy.cut_all()
        world.admin.delete(ROLE_BINDING, "jobq:researcher", namespace="vision")
        proxy.upstream = address
        assert eventually(lambda: subjects(world, "vision") == ["vision"])
        assert running.settles()
        after = world.versions()
        assert {ref.kind for ref in after if after[ref] != before.get(ref)} == {"RoleBinding"}
        assert after.keys() == before.keys()
        assert len(proxy.asked) - count < 200


@contextmanager
def second_api_server(world: World, folder: Path) -> Iterator[str]:
    """Another process of the API server over the same etcd; its address."""
    words = Path(f"/proc/{world.plane.pids['kube-apiserver']}/cmdline").read_bytes().decode().split("\0")[:-1]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    own = {"--secure-port": str(port), "--audit-log-path": str(folder / "audit.log")}
    command = [f"{name}={own[name]}" if (name := word.partition("=")[0]) in own else word for word in words]
    with (folder / "api.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=world.plane.directory)
    address = f"https://127.0.0.1:{port}"
    keys = world.plane.directory / "pki"
    api = Api(address, keys / "ca.crt", keys / "admin.crt", keys / "admin.key")
    try:
        assert eventually(lambda: _is_ready(api), seconds=60)
        yield address
    finally:
        api.close()
        process.kill()  # a gentle end would wait a minute for whoever still watches
        process.wait()


def _is_ready(api: Api) -> bool:
    try:
        return api.succeeds("/readyz")
    except OSError:
        return False


# ------------------------------------------------------------------------------------------------ the command


def test_the_manifest_of_the_readme(world: World) -> None:
    """The Deployment that the README shows is one that a server takes."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    [text] = re.findall(r"```yaml\n(apiVersion: apps/v1\n.*?)```", readme, re.DOTALL)
    assert "created (server dry run)" in world.kubectl("create", "--dry-run=server", "-f", "-", given=text)


@dataclass
class Command:
    """`jobq reconcile --watch`, and the lines that it has said so far."""

    process: subprocess.Popen[str]
    out: list[str] = field(default_factory=list)
    err: list[str] = field(default_factory=list)

    def says(self, *words: str) -> str:
        """The line on stderr that has these words, once it comes."""
        assert eventually(lambda: any(all(word in line for word in words) for line in self.err)), self.err
        return next(line for line in self.err if all(word in line for word in words))

    def passes(self, count: int) -> list[Any]:
        """The first so many lines on stdout, as values."""
        assert eventually(lambda: len(self.out) >= count), (self.out, self.err)
        return [json.loads(line) for line in self.out[:count]]

    def ends(self, *signals: signal.Signals) -> int:
        """Send these; the exit code."""
        for number in signals:
            self.process.send_signal(number)
        return self.process.wait(timeout=60)


@contextmanager
def command(world: World, *words: str) -> Iterator[Command]:
    """The command while it runs; it is ended if the test doesn't."""
    process = world.start("reconcile", "--watch", *words)
    running = Command(process)
    assert process.stdout is not None
    assert process.stderr is not None
    pairs = ((process.stdout, running.out), (process.stderr, running.err))
    threads = [threading.Thread(target=lambda s=s, k=k: k.extend(iter(s.readline, ""))) for s, k in pairs]
    for thread in threads:
        thread.start()
    try:
        yield running
    finally:
        process.kill()
        process.wait()
        for thread in threads:
            thread.join()
        process.stdout.close()
        process.stderr.close()


def asked(port: str, path: str) -> tuple[int, str]:
    """What it answers there."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}") as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_the_command(world: World) -> None:
    """A line of JSON for each pass; health and metrics on request; SIGTERM ends it with 0 and gives the lease back."""
    good = declare(world)
    with command(world, "-o", "json", "--listen", "127.0.0.1:0", "--poll", "1h") as running:
        [port] = re.findall(r"127\.0\.0\.1:(\d+)", running.says("listens on"))
        first, second = running.passes(2)
        assert (first["version"], first["result"], first["commit"], first["newest"]) == (1, "changed", good, good)
        assert first["why"] == ["the beginning"]
        assert {change["result"] for change in first["report"]["changes"]} == {"created"}
        assert second["result"] == "in sync"
        bad = declare(world, priority="none such")
        refused = running.passes(3)[2]
        assert (refused["result"], refused["commit"], refused["newest"]) == ("refused", good, bad)
        [held] = refused["heldBack"]
        assert held["problems"][0]["path"] == "projects.d/vision.yaml"
        code, health = asked(port, "/healthz")
        assert (code, health.splitlines()) == (200, ["ok", f"commit {good}", f"newest {bad}", "acts"])
        metrics = figures(asked(port, "/metrics")[1])
        assert metrics[f'jobq_commit_info{{commit="{good}",newest="{bad}"}}'] == 1
        assert metrics["jobq_leader"] == metrics["jobq_refusals"] == 1
        assert metrics['jobq_passes_total{result="changed"}'] == 1
        assert metrics['jobq_changes_total{result="created"}'] == len(first["report"]["changes"])
        assert 0 < metrics["jobq_last_success_timestamp_seconds"] <= metrics["jobq_last_look_timestamp_seconds"]
        assert metrics["jobq_pass_seconds_count"] >= 3
        assert asked(port, "/")[0] == 404
        assert running.ends(signal.SIGTERM) == 0
        assert running.says("stopping: what is in flight is finished first")
        assert running.says(" ended\n")
        assert len(running.out) == 3
    assert holder(world) == ""


def figures(text: str) -> dict[str, float]:
    """Prometheus' lines, by name and labels."""
    return {
        name: float(value)
        for name, _, value in (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
    }


def test_spoken(world: World) -> None:
    """In words: a line for each pass with time, commit and reason, a report of what was done; Ctrl-C ends it."""
    good = declare(world)
    with command(world) as running:
        assert f"changed at {good[:12]}" in running.says("the beginning")
        running.says("in sync")
        bad = declare(world, priority="none such")
        running.says(f"{bad[:12]} can't be used: 1 problem in the declared files; {good[:12]} stays in force")
        running.says("projects.d/vision.yaml:")
        world.admin.delete(ROLE_BINDING, "jobq:researcher", namespace="vision")
        running.says("refused at", "RoleBinding vision/jobq:researcher went")
        assert running.ends(signal.SIGINT) == 0
        assert eventually(lambda: running.err[-1].endswith(" ended\n"))
        assert sum("can't be used" in line for line in running.err) == 1
        assert sum("2 projects on demo" in line for line in running.out) == 2


def test_a_second_signal(world: World) -> None:
    """Where the end takes too long, a second signal is one."""
    declare(world)
    with command(world) as running:
        running.says("in sync")
        with world.plane.paused("kube-apiserver"):
            running.process.send_signal(signal.SIGTERM)
            running.says("stopping")
            assert running.ends(signal.SIGTERM) == -signal.SIGTERM


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--fetch", "30s"], 2, "--fetch, --poll, --every and --listen go with --watch"),
        (["--watch", "--poll", "30"], 2, "--poll: '30' could be minutes or seconds; write 30m or 30s"),
        (["--watch", "--every", "0s"], 2, "--every: 0s is no time at all"),
        (["--watch", "--listen", "9090"], 2, "--listen: '9090' is no address"),
        (["--watch", "--listen", "192.0.2.1:80"], 1, "can't listen on 192.0.2.1:80"),
        (["--watch", "-o", "markdown"], 2, "--watch tells text or json"),
        (["--watch", "--rewind"], 2, "--rewind is meant once"),
        (["--watch", "--ref", "nowhere"], 1, "'nowhere' is no commit"),
    ],
)
def test_what_cant_be_watched(world: World, words: list[str], code: int, said: str) -> None:
    """Options that can't be meant, and a repository that can't be read, end it at once, with a way out."""
    world.repository.declare()
    run = world.jobq("reconcile", *words)
    assert (run.code, run.out) == (code, "")
    assert f"error: {said}" in run.err
    assert "hint: " in run.err
