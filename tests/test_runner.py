"""The node that really runs pods: what a kubelet would do with commands, files, logs and ends."""

import asyncio
import base64
import http.client
import io
import json
import re
import signal
import ssl
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import quote, urlencode

import pytest

from tests.controlplane.api import Api, Document, Refused
from tests.controlplane.plane import ROOT, Plane
from tests.controlplane.ports import LOOPBACK
from tests.controlplane.runner import environment, instants
from tests.controlplane.runner.environment import ConfigError, Sources
from tests.controlplane.runner.images import problem_of
from tests.controlplane.runner.logs import LONGEST_LINE_BYTES, Framer, LogOptions, parse_options, read, tail_start

T = TypeVar("T")
PATIENCE_SECONDS: Final = 90.0
FIRST_NS: Final = instants.parse("2026-01-01T00:00:00.5Z")

# Variables -----------------------------------------------------------------------------------------------------------

POD: Final[Document] = {
    "metadata": {
        "name": "p",
        "namespace": "ns",
        "uid": "u-1",
        "labels": {"team": "vision", "app": 'a"b'},
        "annotations": {"index": "7"},
    },
    "spec": {"nodeName": "real-0", "serviceAccountName": "default"},
}


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("plain", "plain"),
        ("$(A)", "1"),
        ("x$(A)y$(B)z", "x1y2z"),
        ("$(UNKNOWN)", "$(UNKNOWN)"),
        ("$$(A)", "$(A)"),
        ("$$$(A)", "$1"),
        ("$$$$", "$$"),
        ("$A ${A} $", "$A ${A} $"),
        ("$(A", "$(A"),
        ("$()", "$()"),
        ("$(A)$", "1$"),
        ("$($(A))", "$($(A))"),
    ],
)
def test_expand(text: str, expanded: str) -> None:
    """References are replaced as a kubelet does; what is unknown or no reference stays."""
    assert environment.expand(text, {"A": "1", "B": "2"}) == expanded


def test_environment_order() -> None:
    """Variables see envFrom, earlier variables and services; later ones win over envFrom, any over services."""
    sources = Sources(
        config_maps={"c": {"data": {"A": "from-config", "B": "b"}}},
        secrets={"s": {"data": {"TOKEN": base64.b64encode(b"secret").decode()}}},
        services={"DB_SERVICE_HOST": "10.0.0.7", "SHADOWED": "service"},
    )
    container = {
        "envFrom": [{"configMapRef": {"name": "c"}}, {"prefix": "S_", "secretRef": {"name": "s"}}],
        "env": [
            {"name": "A", "value": "own"},
            {"name": "URL", "value": "$(A)/$(B)/$(S_TOKEN)@$(DB_SERVICE_HOST)/$(LATER)"},
            {"name": "LATER", "value": "x"},
            {"name": "SHADOWED"},
            {"name": "COPY", "valueFrom": {"secretKeyRef": {"name": "s", "key": "TOKEN"}}},
            {"name": "NONE", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "no", "optional": True}}},
        ],
    }
    assert environment.environment(POD, container, sources) == {
        "DB_SERVICE_HOST": "10.0.0.7",
        "A": "own",
        "B": "b",
        "S_TOKEN": "secret",
        "URL": "own/b/secret@10.0.0.7/$(LATER)",
        "LATER": "x",
        "SHADOWED": "",
        "COPY": "secret",
    }
    assert environment.references([container]) == ({"c"}, {"s"})


@pytest.mark.parametrize(
    ("variable", "message"),
    [
        ({"configMapKeyRef": {"name": "gone", "key": "k"}}, 'configmap "gone" not found'),
        ({"secretKeyRef": {"name": "gone", "key": "k"}}, 'secret "gone" not found'),
        ({"configMapKeyRef": {"name": "c", "key": "k"}}, "couldn't find key k in ConfigMap ns/c"),
        ({"fieldRef": {"fieldPath": "spec.no"}}, "unsupported fieldPath: spec.no"),
    ],
)
def test_environment_refusals(variable: Document, message: str) -> None:
    """What is missing and not optional is told with a kubelet's words."""
    with pytest.raises(ConfigError, match=re.escape(message)):
        environment.environment(POD, {"env": [{"name": "V", "valueFrom": variable}]}, Sources(config_maps={"c": {}}))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("metadata.name", "p"),
        ("metadata.namespace", "ns"),
        ("metadata.uid", "u-1"),
        ("metadata.labels['team']", "vision"),
        ("metadata.annotations['index']", "7"),
        ("metadata.annotations['none']", ""),
        ("metadata.labels", 'app="a\\"b"\nteam="vision"'),
        ("spec.nodeName", "real-0"),
        ("status.podIP", LOOPBACK),
    ],
)
def test_downward_api(path: str, value: str) -> None:
    """The pod's own fields."""
    assert environment.field_value(POD, path, LOOPBACK) == value


@pytest.mark.parametrize(
    ("reference", "value"),
    [
        ({"resource": "limits.cpu"}, "2"),
        ({"resource": "limits.cpu", "divisor": "1m"}, "1500"),
        ({"resource": "requests.memory", "divisor": "1Mi"}, "512"),
        ({"resource": "requests.memory", "divisor": "0"}, "536870912"),
        ({"resource": "limits.memory", "divisor": "1Gi"}, "32"),
        ({"resource": "requests.cpu"}, "0"),
    ],
)
def test_resource_fields(reference: Document, value: str) -> None:
    """Requests and limits in whole divisors, rounded up; a missing limit is the node's."""
    container = {
        "resources": {"limits": {"cpu": "1500m"}, "requests": {"memory": "0.5Gi"}},
        "env": [{"name": "V", "valueFrom": {"resourceFieldRef": reference}}],
    }
    assert environment.environment(POD, container, Sources(allocatable={"memory": "32Gi"})) == {"V": value}


def test_service_variables() -> None:
    """A namespace's services appear only with links, the API server's always, headless ones never."""
    port = {"port": 80, "name": "web-ui", "protocol": "TCP"}
    services: list[Document] = [
        {"metadata": {"namespace": "ns", "name": "my-db"}, "spec": {"clusterIP": "10.0.0.7", "ports": [port]}},
        {"metadata": {"namespace": "ns", "name": "headless"}, "spec": {"clusterIP": "None", "ports": [port]}},
        {"metadata": {"namespace": "other", "name": "x"}, "spec": {"clusterIP": "10.0.0.8", "ports": [port]}},
        {
            "metadata": {"namespace": "default", "name": "kubernetes"},
            "spec": {"clusterIP": "10.0.0.1", "ports": [{"port": 443}]},
        },
    ]
    linked = environment.service_variables(services, "ns", links=True)
    assert linked["MY_DB_SERVICE_PORT_WEB_UI"] == "80"
    assert linked["MY_DB_PORT_80_TCP"] == "tcp://10.0.0.7:80"
    assert {name.split("_")[0] for name in linked} == {"MY", "KUBERNETES"}
    assert {name.split("_")[0] for name in environment.service_variables(services, "ns", links=False)} == {"KUBERNETES"}


# Images --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        ("python", ""),
        ("python:3.11-slim", ""),
        ("localhost:5000/team/tool_x:v1", ""),
        ("team/tool@sha256:" + 64 * "a", ""),
        ("tool:missing", "ErrImagePull"),
        ("team/tool:denied", "ErrImagePull"),
        ("Tool", "InvalidImageName"),
        ("tool:", "InvalidImageName"),
        ("tool name", "InvalidImageName"),
        ("team//tool", "InvalidImageName"),
        ("", "InvalidImageName"),
    ],
)
def test_images(image: str, reason: str) -> None:
    """Tags stage a registry's errors; a malformed name is one by itself."""
    problem = problem_of(image)
    assert (problem.reason if problem else "") == reason


# Logs ----------------------------------------------------------------------------------------------------------------


def stamped(seconds: int, tag: str, text: str, stream: str = "stdout") -> bytes:
    return f"2026-01-01T00:00:{seconds:02d}.000000000Z {stream} {tag} {text}\n".encode()


LOG: Final = b"".join(
    [
        stamped(1, "F", "one"),
        stamped(2, "F", "two", "stderr"),
        stamped(3, "P", "long "),
        stamped(3, "F", "line"),
        stamped(4, "F", ""),
        stamped(5, "F", "last"),
    ]
)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (LogOptions(), "one\ntwo\nlong line\n\nlast\n"),
        (LogOptions(tail_lines=0), ""),
        (LogOptions(tail_lines=2), "\nlast\n"),
        (LogOptions(tail_lines=100), "one\ntwo\nlong line\n\nlast\n"),
        (LogOptions(limit_bytes=6), "one\ntw"),
        (LogOptions(since=b"2026-01-01T00:00:04.000000000Z"), "\nlast\n"),
        (LogOptions(since=b"2026-01-01T00:00:02.000000000Z", tail_lines=1), "last\n"),
        (LogOptions(timestamps=True, tail_lines=1), "2026-01-01T00:00:05.000000000Z last\n"),
    ],
)
def test_read_log(tmp_path: Path, options: LogOptions, text: str) -> None:
    """A finished log is given as the options ask."""
    path = tmp_path / "0.log"
    path.write_bytes(LOG)

    async def everything() -> bytes:
        return b"".join([piece async for piece in read(path, None, options)])

    assert asyncio.run(everything()).decode() == text


@pytest.mark.parametrize("lines", [0, 1, 2, 4_999, 5_000, 5_001])
def test_tail_start_across_blocks(lines: int) -> None:
    """The last lines are found also where they fill many blocks."""
    whole = b"".join(stamped(1, "F", f"line {number}") for number in range(5_000))
    start = tail_start(io.BytesIO(whole), lines)
    assert whole[start:].count(b"\n") == min(lines, 5_000)


def test_framer_keeps_unfinished_lines() -> None:
    """A line may come in pieces; its end, or the end of all output, completes it."""
    framer = Framer("stdout")
    assert framer.feed(b"a", FIRST_NS) == (b"", 0)
    text, count = framer.feed(b"b\nc\nd", FIRST_NS)
    assert count == 2
    assert text.splitlines() == [
        b"2026-01-01T00:00:00.500000000Z stdout F ab",
        b"2026-01-01T00:00:00.500000001Z stdout F c",
    ]
    assert framer.finish(FIRST_NS).endswith(b" stdout F d\n")
    assert framer.finish(FIRST_NS) == b""


def test_framer_hands_on_what_has_no_end() -> None:
    """A part of a line is joined with what comes after it, or ended with the output."""
    framer = Framer("stdout")
    framer.feed(b"10%", FIRST_NS)
    text, count = framer.part(FIRST_NS)
    assert (text.split(maxsplit=1)[1], count) == (b"stdout P 10%\n", 1)
    assert framer.part(FIRST_NS) == (b"", 0)
    assert framer.feed(b"20%\n", FIRST_NS)[0].endswith(b" stdout F 20%\n")
    assert framer.finish(FIRST_NS) == b""
    framer.feed(b"30%", FIRST_NS)
    framer.part(FIRST_NS)
    assert framer.finish(FIRST_NS).endswith(b" stdout F \n")


def test_framer_cuts_long_lines(tmp_path: Path) -> None:
    """A line longer than the limit is stored in parts, and read as it was written."""
    line = bytes(33 + number % 90 for number in range(3 * LONGEST_LINE_BYTES + 5)) + b"\n"
    framer, path = Framer("stderr"), tmp_path / "0.log"
    pieces = [line[start : start + 1000] for start in range(0, len(line), 1000)]
    path.write_bytes(b"".join(framer.feed(piece, FIRST_NS)[0] for piece in pieces))
    assert max(map(len, path.read_bytes().splitlines())) <= LONGEST_LINE_BYTES + 40

    async def everything() -> bytes:
        return b"".join([piece async for piece in read(path, None, LogOptions())])

    assert asyncio.run(everything()) == line


def test_stamps_over_a_second() -> None:
    """Every line has a later time than the one before, also where a second ends between them."""
    text, _ = Framer("stdout").feed(b"a\nb\nc\n", instants.parse("2026-01-01T00:00:00.999999999Z"))
    assert [line.split()[0] for line in text.splitlines()] == [
        b"2026-01-01T00:00:00.999999999Z",
        b"2026-01-01T00:00:01.000000000Z",
        b"2026-01-01T00:00:01.000000001Z",
    ]


def test_parse_options() -> None:
    """The query of a log request; what isn't a number or a time is refused."""
    now = instants.parse("2026-01-01T00:01:00Z")
    assert parse_options({"follow": "true", "tailLines": "0"}, now) == LogOptions(follow=True, tail_lines=0)
    assert parse_options({"sinceSeconds": "60"}, now).since == b"2026-01-01T00:00:00.000000000Z"
    assert parse_options({"sinceTime": "2026-01-01T02:00:00.25+02:00"}, now).since == b"2026-01-01T00:00:00.250000000Z"
    for query in ({"tailLines": "-1"}, {"tailLines": "x"}, {"limitBytes": "0"}, {"sinceTime": "now"}):
        with pytest.raises(ValueError, match=r".+"):
            parse_options(query, now)


# The node ------------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Runner:
    """A node of the test's own on the shared control plane."""

    plane: Plane
    name: str
    state: Path
    process: subprocess.Popen[bytes] = field(init=False)

    def start(self) -> None:
        """Start the node, and wait until pods can be bound to it."""
        keys = self.plane.directory / "pki"
        flags = {
            "kubeconfig": self.plane.member_kubeconfig(f"system:node:{self.name}", ["system:nodes"]),
            "node": self.name,
            "state": self.state / "state",
            "tls-cert-file": keys / "apiserver.crt",
            "tls-private-key-file": keys / "apiserver.key",
            "client-ca-file": keys / "ca.crt",
            "hide": self.plane.directory,
            "label": f"jobq.io/node={self.name}",
            "restart-backoff-seconds": 1,
            "retry-seconds": 0.3,
        }
        command = [sys.executable, "-m", "tests.controlplane.runner", *(f"--{key}={flags[key]}" for key in flags)]
        with (self.state / "log").open("ab") as log:
            self.process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stderr=log)
        with self.plane.api() as api:
            until(lambda: is_schedulable(api, self.name), self.said)

    def said(self) -> str:
        """Its log."""
        return (self.state / "log").read_text(encoding="utf-8")

    def end(self, number: int = signal.SIGTERM) -> None:
        """End it by a signal."""
        self.process.send_signal(number)
        self.process.wait(10)


def access(node: str) -> Document:
    """A kubelet's own role is enough."""
    group = "rbac.authorization.k8s.io"
    return {
        "apiVersion": f"{group}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": node},
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "system:node"},
        "subjects": [{"apiGroup": group, "kind": "User", "name": f"system:node:{node}"}],
    }


def is_schedulable(api: Api, node: str) -> bool:
    try:
        found = api.call("GET", f"/api/v1/nodes/{node}")
    except Refused:
        return False
    return not found["spec"].get("taints")


def until(found: Callable[[], T], otherwise: Callable[[], object] = str) -> T:
    """What `found` returns as soon as it is true."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        value = found()
        if value:
            return value
        assert time.monotonic() < deadline, otherwise()
        time.sleep(0.05)


@dataclass(frozen=True, slots=True)
class Lab:
    """A namespace of the test's own, and the node."""

    plane: Plane
    api: Api
    runner: Runner
    namespace: str

    def path(self, kind: str, name: str = "") -> str:
        """A core object's path."""
        return f"/api/v1/namespaces/{self.namespace}/{kind}/{name}".rstrip("/")

    def create(self, kind: str, name: str, **content: Any) -> None:  # noqa: ANN401 - JSON
        """Create an object of the core group."""
        self.api.create({"apiVersion": "v1", "kind": kind, "metadata": self.metadata(name), **content})

    def metadata(self, name: str) -> Document:
        """A name in the namespace."""
        return {"name": name, "namespace": self.namespace}

    def run(self, script: str | None, name: str = "", *, spec: Document | None = None, **container: Any) -> str:  # noqa: ANN401 - JSON
        """Create a pod on the node with one container that runs a shell script; its name."""
        name = name or f"p-{uuid.uuid4().hex[:8]}"
        command = {"command": ["/bin/sh", "-c", script]} if script is not None else {}
        self.create(
            "Pod",
            name,
            spec={
                "nodeName": self.runner.name,
                "restartPolicy": "Never",
                "automountServiceAccountToken": False,
                "enableServiceLinks": False,
                "containers": [{"name": "main", "image": "any", **command, **container}],
                **(spec or {}),
            },
        )
        return name

    def pod(self, name: str) -> Document:
        """The pod as it is now."""
        found: Document = self.api.call("GET", self.path("pods", name))
        return found

    def main(self, name: str) -> Document:
        """The status of its first container."""
        statuses: list[Document] = self.pod(name)["status"].get("containerStatuses") or [{"state": {}}]
        return statuses[0]

    def ended(self, name: str) -> Document:
        """The pod, once it is over."""
        until(lambda: self.pod(name)["status"]["phase"] in {"Succeeded", "Failed"}, lambda: self.pod(name))
        return self.pod(name)

    def running(self, name: str) -> Document:
        """The first container's status, once it runs."""
        until(lambda: "running" in self.main(name)["state"], lambda: self.pod(name))
        return self.main(name)

    def waiting(self, name: str, reason: str) -> str:
        """The message, once the first container waits for this reason."""
        until(lambda: self.main(name)["state"].get("waiting", {}).get("reason") == reason, lambda: self.pod(name))
        return str(self.main(name)["state"]["waiting"].get("message"))

    def log(self, name: str, **query: object) -> str:
        """A log as the API server gives it."""
        return str(self.api.call("GET", self.path("pods", name) + "/log?" + urlencode(query)))

    def event(self, name: str, reason: str) -> str:
        """The message of an event about a pod, once it is there."""
        selector = quote(f"involvedObject.name={name},reason={reason}")
        events = until(lambda: self.api.call("GET", self.path("events") + f"?fieldSelector={selector}")["items"])
        return str(events[0]["message"])


@pytest.fixture(scope="module")
def runner(plane: Plane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    """A running node."""
    found = Runner(plane, f"real-{uuid.uuid4().hex[:6]}", tmp_path_factory.mktemp("runner"))
    with plane.api() as api:
        api.create(access(found.name))
    found.start()
    yield found
    found.end()
    with plane.api() as api:
        api.call("DELETE", f"/api/v1/nodes/{found.name}")
        api.call("DELETE", f"/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/{found.name}")
    assert "Traceback" not in found.said()


@pytest.fixture
def lab(runner: Runner) -> Iterator[Lab]:
    """A new namespace, ready for pods."""
    with runner.plane.api() as api:
        name = f"runner-{uuid.uuid4().hex[:6]}"
        api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        until(lambda: api.succeeds(f"/api/v1/namespaces/{name}/serviceaccounts/default"))
        yield Lab(runner.plane, api, runner, name)


def exit_code(pod: Document) -> int:
    code: int = pod["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"]
    return code


def test_job_completes(lab: Lab) -> None:
    """A Job's pod, bound by the scheduler, prints line by line, and the Job is Complete."""
    template = {
        "restartPolicy": "Never",
        "nodeSelector": {"jobq.io/node": lab.runner.name},
        "containers": [
            {"name": "main", "image": "any", "command": ["sh"], "args": ["-c", "for i in 1 2 3; do echo line $i; done"]}
        ],
    }
    job = {"metadata": lab.metadata("hello"), "spec": {"template": {"spec": template}}}
    lab.api.create({"apiVersion": "batch/v1", "kind": "Job", **job})
    path = f"/apis/batch/v1/namespaces/{lab.namespace}/jobs/hello"
    until(lambda: lab.api.call("GET", path)["status"].get("succeeded") == 1)
    (pod,) = lab.api.call("GET", lab.path("pods") + "?labelSelector=job-name%3Dhello")["items"]
    assert lab.log(pod["metadata"]["name"]) == "line 1\nline 2\nline 3\n"
    conditions = {entry["type"]: (entry["status"], entry.get("reason")) for entry in pod["status"]["conditions"]}
    assert conditions["Ready"] == ("False", "PodCompleted")
    assert conditions["PodScheduled"] == ("True", None)


def test_indexed_job_finds_its_pods_by_name(lab: Lab) -> None:
    """The pods of an Indexed Job are `job-index`, and find each other as `job-index.subdomain`."""
    other = "$((1 - JOB_COMPLETION_INDEX))"
    script = f"hostname; until getent hosts ring-{other}.ring; do sleep 0.1; done"
    template = {
        "restartPolicy": "Never",
        "subdomain": "ring",
        "nodeSelector": {"jobq.io/node": lab.runner.name},
        "containers": [{"name": "main", "image": "any", "command": ["sh", "-c", script]}],
    }
    spec = {"completionMode": "Indexed", "completions": 2, "parallelism": 2, "template": {"spec": template}}
    lab.api.create({"apiVersion": "batch/v1", "kind": "Job", "metadata": lab.metadata("ring"), "spec": spec})
    path = f"/apis/batch/v1/namespaces/{lab.namespace}/jobs/ring"
    until(lambda: lab.api.call("GET", path)["status"].get("succeeded") == 2)
    pods = lab.api.call("GET", lab.path("pods") + "?labelSelector=job-name%3Dring")["items"]
    assert {lab.log(pod["metadata"]["name"]).split()[0] for pod in pods} == {"ring-0", "ring-1"}


@pytest.mark.parametrize(
    ("script", "code", "reason"),
    [
        ("exit 3", 3, "Error"),
        ("sleep 9 & kill -TERM $!; wait $!", 143, "Error"),
        ("exec no-such-program", 127, "Error"),
        ("true", 0, "Completed"),
    ],
)
def test_exit_codes(lab: Lab, script: str, code: int, reason: str) -> None:
    """An exit code is the command's, 128+n for a signal."""
    pod = lab.ended(lab.run(script))
    state = pod["status"]["containerStatuses"][0]["state"]["terminated"]
    assert (state["exitCode"], state["reason"], state.get("signal")) == (code, reason, None)
    assert pod["status"]["phase"] == ("Failed" if code else "Succeeded")


def test_unknown_program(lab: Lab) -> None:
    """A program that isn't there is a StartError with exit code 128."""
    pod = lab.ended(lab.run(None, command=["no-such-program"]))
    state = pod["status"]["containerStatuses"][0]["state"]["terminated"]
    assert (state["exitCode"], state["reason"]) == (128, "StartError")
    assert state["message"] == 'exec: "no-such-program": executable file not found in $PATH'


def test_environment_and_mounts(lab: Lab) -> None:
    """ConfigMaps and Secrets come as variables and as read-only files, with modes; arguments are expanded."""
    lab.create("ConfigMap", "settings", data={"run.sh": "echo from a script: $1\n", "LEVEL": "high"})
    lab.create("Secret", "keys", stringData={"token": "s3cret"})
    script = """
        exec 2>&1
        sh /bundle/bin/run.sh $(LEVEL)
        echo $TOKEN $NAME $LEVEL $HOSTNAME
        cat /secrets/token /only/deep/level; echo
        stat -c %a /bundle/bin/run.sh
        echo x > /bundle/bin/run.sh; echo x > /usr/x; pwd; touch here
    """
    name = lab.run(
        script,
        workingDir="/workdir/of/this",
        envFrom=[{"configMapRef": {"name": "settings"}}],
        env=[
            {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "token"}}},
            {"name": "NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}},
        ],
        volumeMounts=[
            {"name": "scripts", "mountPath": "/bundle/bin"},
            {"name": "keys", "mountPath": "/secrets/"},
            {"name": "one", "mountPath": "/only"},
        ],
        spec={
            "volumes": [
                {"name": "scripts", "configMap": {"name": "settings", "defaultMode": 0o555}},
                {"name": "keys", "secret": {"secretName": "keys"}},
                {"name": "one", "configMap": {"name": "settings", "items": [{"key": "LEVEL", "path": "deep/level"}]}},
            ]
        },
    )
    assert exit_code(lab.ended(name)) == 0
    lines = lab.log(name).splitlines()
    assert lines[:4] == ["from a script: high", f"s3cret {lab.namespace} high {name}", "s3crethigh", "555"]
    assert [line for line in lines if "Read-only file system" in line][1:]
    assert lines[-1] == "/workdir/of/this"


def test_containers_share_an_empty_dir(lab: Lab) -> None:
    """Init containers run first, containers side by side; they meet in an emptyDir."""
    mounts = [{"name": "shared", "mountPath": "/usr/local/shared"}]

    def container(name: str, script: str) -> Document:
        return {"name": name, "image": "any", "command": ["/bin/sh", "-c", script], "volumeMounts": mounts}

    spec = {
        "initContainers": [container("first", "echo prepared > /usr/local/shared/a")],
        "containers": [
            container("main", "until [ -s /usr/local/shared/b ]; do sleep 0.05; done; cat /usr/local/shared/b"),
            container("side", "cat /usr/local/shared/a > /usr/local/shared/b; ls /usr/local/bin > /dev/null"),
        ],
        "volumes": [{"name": "shared", "emptyDir": {}}],
    }
    name = lab.run(None, spec=spec)
    pod = lab.ended(name)
    assert pod["status"]["phase"] == "Succeeded"
    assert lab.log(name, container="main") == "prepared\n"
    assert pod["status"]["initContainerStatuses"][0]["ready"] is True


def test_failed_init_container_fails_the_pod(lab: Lab) -> None:
    """With restartPolicy Never the containers never start."""
    init = [{"name": "first", "image": "any", "command": ["sh", "-c", "exit 4"]}]
    pod = lab.ended(lab.run("echo never", spec={"initContainers": init}))
    assert pod["status"]["phase"] == "Failed"
    assert "waiting" in pod["status"]["containerStatuses"][0]["state"]


def test_claim_outlives_pods(lab: Lab) -> None:
    """What one pod leaves in a claim the next one finds."""
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}}
    lab.create("PersistentVolumeClaim", "disk", spec=spec)
    volumes = {"volumes": [{"name": "disk", "persistentVolumeClaim": {"claimName": "disk"}}]}
    mounts = [{"name": "disk", "mountPath": "/data"}, {"name": "disk", "mountPath": "/part", "subPath": "a/b"}]
    lab.ended(lab.run("echo kept > /part/file", spec=volumes, volumeMounts=mounts))
    name = lab.run("cat /data/a/b/file; touch /data/x", spec=volumes, volumeMounts=[{**mounts[0], "readOnly": True}])
    assert exit_code(lab.ended(name)) == 1
    assert lab.log(name).startswith("kept\n")


def test_followed_log_ends_with_the_container(lab: Lab) -> None:
    """A follower gets lines as they come, and the end when the container ends."""
    name = lab.run("for i in 1 2 3 4 5; do echo $i; sleep 0.1; done; echo error >&2")
    lab.running(name)
    assert lab.log(name, follow="true") == "1\n2\n3\n4\n5\nerror\n"
    assert lab.log(name, follow="true", tailLines=0) == ""
    lines = ["1\n", "2\n", "3\n", "4\n", "5\n", "error\n"]
    stamps = [line.split()[0] for line in lab.log(name, timestamps="true").splitlines()]
    assert len(set(stamps)) == 6
    since = stamps[3].partition(".")[0]  # the API server hands on whole seconds only
    assert lab.log(name, sinceTime=stamps[3]) == "".join(lines[sum(stamp < since for stamp in stamps) :])
    assert lab.log(name, tailLines=2, limitBytes=3) == "5\ne"


def test_long_log(lab: Lab) -> None:
    """A hundred thousand lines arrive whole, and long ones uncut."""
    name = lab.run("seq 100000; head -c 100000 /dev/zero | tr '\\0' x")
    lab.ended(name)
    assert lab.log(name) == "".join(f"{number}\n" for number in range(1, 100_001)) + 100_000 * "x" + "\n"


def test_previous_log_and_restarts(lab: Lab) -> None:
    """OnFailure restarts, at once the first time, then with a back-off; the last run's log is kept."""
    counting = "echo run >> /count/n; n=$(wc -l < /count/n); echo this is run $n; [ $n -ge 3 ]"
    spec = {"restartPolicy": "OnFailure", "volumes": [{"name": "count", "emptyDir": {}}]}
    name = lab.run(counting, spec=spec, volumeMounts=[{"name": "count", "mountPath": "/count"}])
    assert "back-off 1s restarting failed container=main" in lab.waiting(name, "CrashLoopBackOff")
    assert lab.log(name) == "this is run 2\n"
    status = lab.ended(name)["status"]["containerStatuses"][0]
    assert (status["restartCount"], status["lastState"]["terminated"]["exitCode"]) == (2, 1)
    assert lab.log(name) == "this is run 3\n"
    assert lab.log(name, previous="true") == "this is run 2\n"


def test_deletion(lab: Lab) -> None:
    """A process that handles SIGTERM ends at once, one that doesn't after its grace period; then the pod is gone."""
    polite = lab.run("trap 'echo bye; exit 0' TERM; echo ready; while true; do sleep 0.05; done")
    stubborn = lab.run(None, command=["sleep", "60"])
    for name in (polite, stubborn):
        lab.running(name)
    until(lambda: lab.log(polite) == "ready\n")
    began = time.monotonic()
    for name, grace in ((polite, 30), (stubborn, 2)):
        lab.api.call("DELETE", lab.path("pods", name), {"gracePeriodSeconds": grace})
    until(lambda: not lab.api.succeeds(lab.path("pods", polite)))
    assert time.monotonic() - began < 15  # of thirty
    until(lambda: not lab.api.succeeds(lab.path("pods", stubborn)))
    assert 1.9 < time.monotonic() - began < 30  # of sixty


def test_forced_deletion_leaves_nothing(lab: Lab) -> None:
    """A pod deleted without grace is gone at once, and its processes and files soon after."""
    mark = f"61.{uuid.uuid4().int % 10**9}"
    name = lab.run(f"sleep {mark} & sleep {mark}")
    lab.running(name)
    uid = lab.pod(name)["metadata"]["uid"]
    until(lambda: len(processes_with(mark)) >= 2)
    lab.api.call("DELETE", lab.path("pods", name), {"gracePeriodSeconds": 0})
    until(lambda: not processes_with(mark))
    until(lambda: not (lab.runner.state / "state" / "pods" / uid).exists())


def processes_with(mark: str) -> list[str]:
    """Command lines that hold a text."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().decode(errors="replace")
        except OSError:
            continue  # ended meanwhile
        if mark in line:
            found.append(line)
    return found


def test_missing_config(lab: Lab) -> None:
    """A missing ConfigMap holds a container back, and a missing volume the pod, until they are there."""
    source = {"configMapKeyRef": {"name": "late", "key": "word"}}
    waits = lab.run("echo $WORD", env=[{"name": "WORD", "valueFrom": source}])
    volumes = {"volumes": [{"name": "late", "secret": {"secretName": "late"}}]}
    mounts = lab.run("cat /late/word", spec=volumes, volumeMounts=[{"name": "late", "mountPath": "/late"}])
    assert lab.waiting(waits, "CreateContainerConfigError") == 'configmap "late" not found'
    assert lab.event(mounts, "FailedMount") == 'MountVolume.SetUp failed for volume "late" : secrets "late" not found'
    assert lab.main(mounts)["state"] == {"waiting": {"reason": "ContainerCreating"}}
    lab.create("ConfigMap", "late", data={"word": "found"})
    lab.create("Secret", "late", stringData={"word": "here"})
    lab.ended(waits)
    lab.ended(mounts)
    assert (lab.log(waits), lab.log(mounts)) == ("found\n", "here\n")


def test_images_that_cannot_be_had(lab: Lab) -> None:
    """Staged registry errors, malformed names and missing commands hold the container back; deletion still works."""
    missing = lab.run("true", image="team/tool:missing")
    malformed = lab.run("true", image="Team Tool")
    empty = lab.run(None)
    assert "ErrImagePull" in lab.waiting(missing, "ImagePullBackOff")
    assert lab.event(missing, "Failed").startswith('Failed to pull image "team/tool:missing": rpc error')
    assert "invalid reference format" in lab.waiting(malformed, "InvalidImageName")
    assert "no command specified" in lab.waiting(empty, "CreateContainerError")
    with pytest.raises(Refused, match="waiting to start: trying and failing to pull image"):
        lab.log(missing)
    for name in (missing, malformed, empty):
        lab.api.call("DELETE", lab.path("pods", name))
        until(lambda name=name: not lab.api.succeeds(lab.path("pods", name)))  # type: ignore[misc] # mypy infers no default of a lambda


def test_active_deadline(lab: Lab) -> None:
    """A pod past its deadline is ended and Failed, with the reason."""
    spec = {"activeDeadlineSeconds": 1, "terminationGracePeriodSeconds": 1}
    pod = lab.ended(lab.run("echo began; sleep 60", spec=spec))
    assert (pod["status"]["phase"], pod["status"]["reason"]) == ("Failed", "DeadlineExceeded")
    assert exit_code(pod) == 137


def test_last_message(lab: Lab) -> None:
    """What a container writes to /dev/termination-log, or else its log's end, is its status's message."""
    writes = lab.ended(lab.run("echo why > /dev/termination-log; exit 1"))
    prints = lab.ended(lab.run("echo the reason; exit 1", terminationMessagePolicy="FallbackToLogsOnError"))
    messages = [pod["status"]["containerStatuses"][0]["state"]["terminated"]["message"] for pod in (writes, prints)]
    assert messages == ["why\n", "the reason\n"]


def test_keys_are_hidden(lab: Lab) -> None:
    """A container sees neither the control plane's keys nor other pods' files, and its /tmp is its own."""
    script = f"ls {lab.plane.directory} {lab.runner.state}/state; ls /tmp; cat {lab.plane.kubeconfig}"
    name = lab.run(script + " 2>&1; ps ax -o pid= | wc -l")
    lab.ended(name)
    log = lab.log(name)
    assert "certificate" not in log
    assert "pods" not in log.replace(str(lab.runner.state), "")


@pytest.mark.parametrize(("certificate", "status"), [("kube-apiserver-kubelet-client", 404), ("admin", 403)])
def test_only_the_api_server_is_served(lab: Lab, certificate: str, status: int) -> None:
    """Of all certificates that the authority signed, the node serves the API server's only."""
    keys = lab.plane.directory / "pki"
    trust = ssl.create_default_context(cafile=str(keys / "ca.crt"))
    trust.load_cert_chain(keys / f"{certificate}.crt", keys / f"{certificate}.key")
    node = lab.api.call("GET", f"/api/v1/nodes/{lab.runner.name}")
    port = node["status"]["daemonEndpoints"]["kubeletEndpoint"]["Port"]
    with closing(http.client.HTTPSConnection(LOOPBACK, port, context=trust, timeout=5)) as connection:
        connection.request("GET", f"/containerLogs/{lab.namespace}/none/main")
        assert connection.getresponse().status == status


def test_killed_runner_leaves_no_process(lab: Lab) -> None:
    """Its containers die with it; the next one reports them lost, and restarts those that are to be."""
    mark = f"62.{uuid.uuid4().int % 10**9}"
    lost = lab.run(f"sleep {mark} & sleep {mark}")
    again = lab.run(
        "[ -e /a/b ] || { touch /a/b; sleep 60; }; echo again",
        spec={"restartPolicy": "OnFailure", "volumes": [{"name": "a", "emptyDir": {}}]},
        volumeMounts=[{"name": "a", "mountPath": "/a"}],
    )
    for name in (lost, again):
        lab.running(name)
    until(lambda: len(processes_with(mark)) >= 2)
    lab.runner.end(signal.SIGKILL)
    until(lambda: not processes_with(mark))
    lab.runner.start()
    pod = lab.ended(lost)
    assert exit_code(pod) == 137
    assert pod["status"]["containerStatuses"][0]["state"]["terminated"]["reason"] == "ContainerStatusUnknown"
    assert lab.ended(again)["status"]["phase"] == "Succeeded"
    assert lab.log(again) == "again\n"


def test_bytes_of_a_log(lab: Lab) -> None:
    """A log's bytes reach the reader as they were written; an unfinished last line gets its end."""
    name = lab.run(r"printf '\303\244\r\000\t|'")
    lab.ended(name)
    assert lab.log(name) == "ä\r\0\t|\n"


# Commands and ports --------------------------------------------------------------------------------------------------


def by_client(lab: Lab, *asked: dict[str, object]) -> list[dict[str, Any]]:
    """What the official client gets, in a process of its own: it leaves sockets open behind it."""
    script = Path(__file__).with_name("streams_by_client.py")
    words = json.dumps({"kubeconfig": str(lab.plane.kubeconfig), "namespace": lab.namespace, "asked": asked})
    done = subprocess.run([sys.executable, script], input=words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def test_commands_in_a_container(lab: Lab) -> None:
    """A command runs where the container does, with its variables, its directory, its input and its exit code."""
    name = lab.run("echo here > mark; echo up; exec sleep 60", workingDir="/data", env=[{"name": "A", "value": "1"}])
    until(lambda: "running" in lab.main(name)["state"] and lab.log(name))
    large = "".join(map(chr, range(128))) * 10_000
    shell, cat, unknown, terminal = by_client(
        lab,
        {"pod": name, "command": ["sh", "-c", "cat; cat mark; hostname; echo $A >&2; exit 3"], "data": "in\n"},
        {"pod": name, "command": ["cat"], "data": large},
        {"pod": name, "command": ["no-such-program"]},
        {"pod": name, "command": ["sh", "-c", "tty && stty size && exit 4"], "tty": True},
    )
    assert shell == {"out": f"in\nhere\n{name}\n", "err": "1\n", "code": 3}
    assert cat == {"out": large, "err": "", "code": 0}
    assert unknown["code"] == 127
    assert (terminal["out"].startswith("/dev/pts/"), terminal["code"]) == (True, 4)


def test_command_by_kubectl(lab: Lab) -> None:
    """Input and exit code are handed on; where nothing runs any more it is refused."""
    name, over = lab.run("exec sleep 60"), lab.run("true")
    lab.running(name)
    lab.ended(over)
    ask = ["kubectl", f"--kubeconfig={lab.plane.kubeconfig}", "-n", lab.namespace, "exec", "-i"]
    command = ["--", "sh", "-c", "cat; exit 5"]
    done = subprocess.run([*ask, name, *command], input=b"x", capture_output=True, check=False)
    assert (done.stdout, done.returncode) == (b"x", 5)
    refused = subprocess.run([*ask, over, *command], input=b"x", capture_output=True, check=False)
    assert (refused.stdout, refused.returncode) == (b"", 1)


def test_ports_of_a_pod(lab: Lab) -> None:
    """Bytes go both ways; a port where nothing listens says so, and the pod goes on."""
    echo = (
        "import socketserver as s\n"
        "class H(s.StreamRequestHandler):\n def handle(self): self.wfile.write(self.rfile.readline())\n"
        "v = s.TCPServer(('127.0.0.1', 0), H)\nprint(v.server_address[1], flush=True)\nv.serve_forever()"
    )
    name = lab.run(None, command=["python3", "-c", echo])
    port = int(until(lambda: lab.log(name) if "running" in lab.main(name)["state"] else ""))
    one, refused, again = by_client(
        lab,
        {"pod": name, "port": port, "data": "hello\n"},
        {"pod": name, "port": 1, "data": "x"},
        {"pod": name, "port": port, "data": "again\n"},
    )
    assert (one, again["data"]) == ({"data": "hello\n", "error": None}, "again\n")
    assert "connection refused" in refused["error"]


def test_too_much_memory(lab: Lab) -> None:
    """More than its limit ends a container at once, and the status says why; shared pages count once."""
    grow = "import time\nx = bytearray(80 << 20)\ntime.sleep(60)"
    name = lab.run(None, command=["python3", "-c", grow], resources={"limits": {"memory": "50Mi"}})
    state = lab.ended(name)["status"]["containerStatuses"][0]["state"]["terminated"]
    assert (state["reason"], state["exitCode"]) == ("OOMKilled", 137)
    share = "import os, time\nx = b'1' * (30 << 20)\nfor _ in range(3):\n if not os.fork(): break\ntime.sleep(1)"
    name = lab.run(None, command=["python3", "-c", share], resources={"limits": {"memory": "70Mi"}})
    assert exit_code(lab.ended(name)) == 0
