"""What becomes of a submission: jobs that really run, as a project's member, on a node of the tests' own."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import uuid
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Thread
from typing import Any, cast

import pytest
from uv import find_uv_bin

from cli import main
from cli.job import checkout, sending
from reconciler.cluster import Body, Cluster, Resource
from reconciler.errors import ClusterError, Conflict, Forbidden, Unreachable
from reconciler.kinds import CONFIG_MAP, JOB, LIMIT_RANGE, LOCAL_QUEUE, NAMESPACE, RESOURCE_QUOTA, SERVICE
from tests.controlplane.plane import Plane
from tests.proxy import every, hold, lose_answer, proxied, silence
from tests.repository import Repository
from tests.run import PATIENCE_SECONDS, Run
from tests.stage import KIM, Stage, raise_project, raise_queue, real_node
from tests.world import eventually

DEFAULTS = json.dumps({"image": "example.org/train:1", "cpu": "100m", "memory": "64Mi", "env": {"PRICE": "5$$"}})
SECRET = Resource("", "v1", "secrets", "Secret")
MAINTAINER = "lead@example.org"


@pytest.fixture(scope="module")
def real(plane: Plane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A project whose jobs run on a node of this module's own: 4 cores, 2 GPUs; with the Service of workers."""
    home = tmp_path_factory.mktemp("home")
    members = [{"user": KIM, "role": "researcher"}, {"user": MAINTAINER, "role": "maintainer"}]
    with real_node(plane, tmp_path_factory.mktemp("node")) as node:
        stage = raise_project(plane, home, queue=raise_queue(plane, node), members=members, defaults=DEFAULTS)
        workers = {"selector": {"jobq.io/workers": "true"}, "clusterIP": "None", "publishNotReadyAddresses": True}
        stage.admin.create(SERVICE, {"metadata": {"name": "workers", "namespace": stage.project}, "spec": workers})
        yield stage


def write(stage: Stage, name: str, text: str | bytes) -> str:
    """A file in the directory in which the person works."""
    path = stage.home / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return name


def dry(stage: Stage, *words: str, **environ: str) -> dict[str, Any]:
    """What would be sent."""
    run = stage.jobq("submit", "--dry-run", "-o", "json", *words, **environ)
    assert run.code == 0, run.err
    return dict(run.json)


def refused(stage: Stage, *words: str, code: int = 2) -> str:
    """What stderr says of a submission that makes nothing."""
    run = stage.jobq("submit", *words)
    assert (run.code, run.out) == (code, ""), run.err + run.out
    return run.err


Misuse = Callable[..., str]


@pytest.fixture
def misuse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Misuse:
    """Runs a submission that is refused without a cluster; what stderr says."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))

    def run(*words: str) -> str:
        with pytest.raises(SystemExit) as ended:
            main.main(["submit", *words])
        said = capsys.readouterr()
        assert (ended.value.code, said.out) == (2, ""), said.err
        return said.err

    return run


def container(job: Body) -> Body:
    """The one container of a Job."""
    return job["spec"]["template"]["spec"]["containers"][0]  # type: ignore[no-any-return] # JSON


def ended(stage: Stage, *words: str) -> Run:
    """A followed job's log and exit code."""
    return stage.jobq("submit", "-F", *words)


# ------------------------------------------------------------------------------------------------ what pods do


def test_script_is_shipped_and_goes_with_its_job(real: Stage) -> None:
    """It runs by its own metadata, flags above it; the ConfigMap is immutable, the Job's own, and no inventory."""
    block = '# /// script\n# [tool.jobq]\n# cpu = "200m"\n# env = {A = "$HOME", B = "2"}\n# ttl = "1h"\n# ///\n'
    show = "import os, sys\nprint(sys.argv[1:], os.environ['A'], os.environ['B'], os.environ['PRICE'])\n"
    path = write(real, "My_Train.py", block + show)
    run = ended(real, "-e", "B=3", path, "--lr", "1e-3", "--dry-run", "--", "a  b", "$$", "")
    assert (run.code, run.out) == (0, "['--lr', '1e-3', '--dry-run', '--', 'a  b', '$$', ''] $HOME 3 5$$\n"), run.err
    warning, line = run.err.splitlines()[:2]
    assert warning == "warning: My_Train.py: --dry-run goes to the script: jobq's own options stand before its name"
    name, told = line.split(maxsplit=1)
    assert name.startswith("my-train-")
    assert told.startswith(f"is submitted to {real.project} (")
    again = "`jobq submit My_Train.py --lr 1e-3 --dry-run -- 'a  b' '$$' ''`"
    assert f"hint: submit it again: {again}" in real.jobq("resume", name).err
    admin = real.admin
    job = admin.get(JOB, name, namespace=real.project)
    assert job["metadata"]["annotations"]["jobq.io/command"] == ("My_Train.py --lr 1e-3 --dry-run -- 'a  b' '$$' ''")
    files = admin.get(CONFIG_MAP, name, namespace=real.project)
    assert (files["immutable"], files["metadata"].get("labels")) == (True, None)
    assert files["metadata"]["ownerReferences"][0]["uid"] == job["metadata"]["uid"]
    admin.delete(JOB, name, namespace=real.project)
    assert eventually(
        lambda: admin.list(CONFIG_MAP, namespace=real.project, fields=f"metadata.name={name}").items == []
    )


def test_scripts_by_their_interpreters(real: Stage) -> None:
    """A shell script with Windows line ends, and one whose name no ConfigMap's key can have, run too."""
    first = write(real, "run.sh", b'#!/bin/sh\r\necho shell "$1"\r\n')
    other = write(real, "训练 1.py", "import sys; print(sys.argv[0], sys.argv[1])")
    assert ended(real, first, "a b").out == "shell a b\n"
    assert ended(real, other, "x").out == "/jobq/训练 1.py x\n"


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A package index on loopback with one package, ``tinydemo`` 1.0."""
    folder = tmp_path_factory.mktemp("index") / "tinydemo"
    folder.mkdir()
    about = "tinydemo-1.0.dist-info"
    wheel = {
        "tinydemo.py": "WORD = 'found'\n",
        f"{about}/METADATA": "Metadata-Version: 2.1\nName: tinydemo\nVersion: 1.0\n",
        f"{about}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{name},,\n" for name in (*wheel, f"{about}/RECORD"))
    with zipfile.ZipFile(folder / "tinydemo-1.0-py3-none-any.whl", "w") as archive:
        for name, text in {**wheel, f"{about}/RECORD": record}.items():
            archive.writestr(name, text)
    handler = partial(SimpleHTTPRequestHandler, directory=str(folder.parent))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


DEPENDENT = """\
# /// script
# dependencies = ["tinydemo>=1"]
# [tool.jobq]
# memory = "1Gi"
# ///
import os, sys, tinydemo
print(tinydemo.WORD, sys.argv[1:], "by uv" if "UV" in os.environ else "by pip")
"""


def test_dependencies(real: Stage, index: str) -> None:
    """Without uv a venv of the image has them, from the index that is named; without either the job says so."""
    path = write(real, "deps.py", DEPENDENT)
    run = ended(real, "-e", f"PIP_INDEX_URL={index}", path, "a b")
    assert (run.code, run.out.splitlines()[-1:]) == (0, ["found ['a b'] by pip"]), run.out + run.err
    bare = ended(real, "-e", "PATH=/nowhere", path)
    assert bare.code == 100
    assert "neither uv nor a Python with venv and pip" in bare.out


@pytest.fixture
def image_with_uv() -> Iterator[str]:
    """The PATH of an image that has uv: where the environment of these tests lies below /tmp, pods don't see that."""
    with TemporaryDirectory(dir="/var/tmp") as folder:
        shutil.copy(find_uv_bin(), folder)
        yield f"{folder}:{os.environ['PATH']}"


@pytest.mark.parametrize("home", [{}, {"HOME": "/nowhere"}], ids=["home", "no home"])
def test_dependencies_by_uv(real: Stage, index: str, image_with_uv: str, home: dict[str, str]) -> None:
    """Where the image has uv, it runs the script; also for somebody without a home to keep a cache in."""
    path = write(real, "deps.py", DEPENDENT)
    image = {"PATH": image_with_uv, **home}
    offline = {"UV_DEFAULT_INDEX": index, "UV_PYTHON_DOWNLOADS": "never", "PIP_NO_INDEX": "1"}
    words = [word for key, value in {**image, **offline}.items() for word in ("-e", f"{key}={value}")]
    run = ended(real, *words, path, "a b")
    assert (run.code, run.out.splitlines()[-1:]) == (0, ["found ['a b'] by uv"]), run.out + run.err


def test_array(real: Stage) -> None:
    """Each task knows its number, as jobq and as Slurm say it, and has a limit of its own; one that fails ends none."""
    say = 'echo "$JOBQ_ARRAY_INDEX $SLURM_ARRAY_TASK_ID"; [ "$JOBQ_ARRAY_INDEX" != 7 ]'
    run = ended(real, "--array", "3,7,20-30:5%3", "-t", "1m", "--", "sh", "-c", say)
    assert run.code == 100
    assert sorted(run.out.splitlines()) == sorted(f"[{one}] {one} {one}" for one in (3, 7, 20, 25, 30))
    counted = ended(real, "--array", "0-2%1", "--", "sh", "-c", "echo $SLURM_ARRAY_TASK_ID")
    assert (counted.code, sorted(counted.out.splitlines())) == (0, ["[0] 0", "[1] 1", "[2] 2"])


def test_task_over_its_limit(real: Stage) -> None:
    """The limit is a task's, not the job's: others go on."""
    say = "trap 'exit 1' TERM; [ $JOBQ_ARRAY_INDEX = 1 ] && echo done && exit; sleep 60 & wait"
    run = ended(real, "--array", "0-1", "-t", "8s", "--", "sh", "-c", say)
    assert (run.code, run.out) == (100, "[1] done\n")


def test_nodes_meet(real: Stage) -> None:
    """All pods know the first one's name, which leads there, how many they are and which they are."""
    script = """\
import os, socket
size, rank = int(os.environ["WORLD_SIZE"]), int(os.environ["RANK"])
address = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
if rank == 0:
    with socket.create_server(("", address[1])) as server:
        ranks = [server.accept()[0].recv(9).decode() for _ in range(size - 1)]
    print("met", size, sorted(ranks), flush=True)
else:
    for _ in range(1000):
        try:
            socket.create_connection(address, 5).sendall(str(rank).encode())
            break
        except OSError:
            __import__("time").sleep(0.05)
"""
    port = socket_port()
    run = ended(real, "--nodes", "3", "-e", f"MASTER_PORT={port}", write(real, "meet.py", script))
    assert (run.code, run.out) == (0, "[0] met 3 ['1', '2']\n"), run.err


def socket_port() -> int:
    """A port that nobody has: all pods of this node share one network."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def test_env_files_secrets_and_shared_memory(real: Stage) -> None:
    """Flags come before files, files before Secrets' variables; Secrets are files where a path is named."""
    secret = {"API_KEY": "from-secret", "OTHER": "o"}
    body = {"metadata": {"name": "keys", "namespace": real.project}, "stringData": secret}
    real.admin.apply(SECRET, {"apiVersion": "v1", "kind": "Secret", **body})
    first = write(real, "a.env", b"\xef\xbb\xbfexport API_KEY='$(id) 5$$'\r\nTWO=\"x\r\ny\"\r\nLAST=a\r\n")
    second = write(real, "b.env", "LAST=b\nFLAG=file\n")
    show = 'printf "%s|" "$API_KEY" "$OTHER" "$TWO" "$LAST" "$FLAG" "$(cat /keys/OTHER)"; echo x > /dev/shm/x'
    words = ["--env-file", first, "--env-file", second, "-e", "FLAG=flag", "--secret", "keys", "--secret", "keys:/keys"]
    run = ended(real, *words, "--shm", "8Mi", "--", "sh", "-c", show)
    assert (run.code, run.out.rstrip("\n")) == (0, "$(id) 5$$|o|x\ny|b|flag|o|"), run.err


def test_as_many_arguments_as_fit(real: Stage) -> None:
    """A command line of 300 KB works, and one that is a megabyte only as JSON; what is recorded of it is shortened.

    A Workload that is larger can't be kept: then Kueue never starts the job, and says nothing.
    """
    count = ["python3", "-c", "import sys; print(sum(map(len, sys.argv)))"]
    assert ended(real, "--", *count, *["y" * 3000] * 100).out == "300002\n"
    assert ended(real, "--", *count, *['"' * 90_000] * 4, *["$\n<" * 10_000] * 3).out == "450002\n"
    for words, size in (
        (["y" * 100_000] * 11, 1_100_004),
        (["\n" * 110_000] * 5, 1_100_004),
        (["<" * 100_000] * 2, 1_200_004),
    ):
        error = refused(real, "--", "true", *words)
        assert f"have {size} bytes together as Kubernetes writes them, and a job carries 1048576" in error
    many = write(real, "many.env", "".join(f"A{number}=\n" for number in range(10_000)))
    assert "and a job carries 1048576" in refused(real, "--env-file", many, "--", "true")


def test_largest_script(real: Stage) -> None:
    """Exactly 1 MiB is shipped, one byte more is not."""
    head = b"#!/bin/sh\nexit 0\n#"
    path = write(real, "large.sh", head + b"x" * (2**20 - len(head)))
    assert real.jobq("submit", "--wait", path).code == 0
    write(real, "large.sh", head + b"x" * (2**20 + 1 - len(head)))
    assert "has 1048577 bytes, and 1048576 can travel" in refused(real, path)


def test_manifest(real: Stage) -> None:
    """A Job's manifest runs as it is, in the project's queue, with the project's class and account."""
    path = write(real, "job.yaml", MANIFEST)
    run = ended(real, "-f", path)
    assert (run.code, run.out) == (0, "from /tmp\n"), run.err
    job = real.admin.get(JOB, run.err.split()[0], namespace=real.project)
    assert job["metadata"]["name"].startswith("hello-")
    assert job["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "main"
    assert job["spec"]["template"]["spec"]["serviceAccountName"] == "jobq-runner"


MANIFEST = """\
apiVersion: batch/v1
kind: Job
metadata: {generateName: hello-}
spec:
  template:
    spec:
      containers:
      - {name: main, image: "example.org/x:1", command: [sh, -c, "echo from $HOME"], resources: {requests: {cpu: 100m}}}
"""


# ------------------------------------------------------------------------------------------------ what is sent


def test_dry_runs_show_all_that_would_be_sent(real: Stage) -> None:
    """Two documents that kubectl takes, and the values of env files hidden, which is said."""
    path = write(real, "two.py", "print()")
    secret = write(real, "secret.env", "API_KEY=s3cr3t\n")
    run = real.jobq("submit", "--dry-run", "-o", "yaml", "--env-file", secret, path)
    assert run.out.count("---\n") == 2
    assert "s3cr3t" not in run.out + run.err
    assert "the values of API_KEY are hidden" in run.err
    applied = subprocess.run(
        [real.plane.kubectl, "create", "--dry-run=server", "-o", "name", "-f", "-"],
        input=run.out,
        env=real.environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert [line.partition("/")[0] for line in applied.stdout.splitlines()] == ["job.batch", "configmap"]
    checked = real.jobq("submit", "--dry-run=server", "-o", "json", "--env-file", secret, path)
    job, files = checked.json["objects"]
    assert (bool(job["metadata"]["uid"]), list(files["data"])) == (True, ["two.py"])
    assert [notice["about"] for notice in checked.json["notices"]] == ["--env-file"]
    assert "s3cr3t" not in checked.out + checked.err


def test_held(real: Stage) -> None:
    """A held job waits for `resume`, and says so."""
    run = real.jobq("submit", "--hold", "--name", "later", "--", "true")
    assert "is held" in run.out
    assert "jobq resume" in run.out
    job = real.admin.get(JOB, run.out.split()[0], namespace=real.project)
    assert job["metadata"]["annotations"]["kueue.x-k8s.io/admission-gated-by"] == "jobq.io/hold"


def test_flags_become_fields(real: Stage) -> None:
    """Each flag is a field of the Job, where Kubernetes and Kueue look for it; the server takes all of it."""
    words = ["--label", "team=a", "--retries", "2", "-t", "1h", "--ttl", "2h", "-g", "1", "--priority", "low"]
    run = real.jobq("submit", "--dry-run=server", "-o", "json", *words, "--", "true")
    (job,) = run.json["objects"]
    spec, labels = job["spec"], job["metadata"]["labels"]
    assert (spec["backoffLimit"], spec["ttlSecondsAfterFinished"]) == (2, 7200)
    assert (labels["team"], spec["template"]["metadata"]["labels"]["team"]) == ("a", "a")
    assert labels["kueue.x-k8s.io/max-exec-time-seconds"] == "3600"
    assert labels["kueue.x-k8s.io/priority-class"] == "low"
    assert container(job)["resources"]["limits"]["nvidia.com/gpu"] == "1"


@pytest.mark.parametrize("tasks", ["0-9%1", "1", "0-0", "0-9%2"])
def test_arrays_are_taken(real: Stage, tasks: str) -> None:
    """Kueue refuses to be told of a part of a job whose tasks run one by one."""
    (job,) = dry(real, "--array", tasks, "--", "true")["objects"]
    told = "kueue.x-k8s.io/job-min-parallelism" in job["metadata"]["annotations"]
    assert told is (tasks == "0-9%2")
    assert real.admin.create(JOB, job, dry_run=True)["spec"]["completionMode"] == "Indexed"


def test_a_flavor_places_the_job(real: Stage) -> None:
    """Its nodes are selected; a word that is none is refused with those there are."""
    queue = real.admin.get(LOCAL_QUEUE, "main", namespace=real.project)["spec"]["clusterQueue"]
    (job,) = dry(real, "-g", f"{queue}:1", "--", "true")["objects"]
    assert list(job["spec"]["template"]["spec"]["nodeSelector"]) == ["jobq.io/node"]
    for typed, option in (("--flavor=a10", "--flavor"), ("-ga10:1", "--gpus")):
        error = refused(real, typed, "--", "true")
        assert f"error: {option}: 'a10' is no flavor of the queue {queue}\nhint: there are: {queue}\n" in error


def test_never_fits(real: Stage) -> None:
    """What could never start in the project's queue is refused, unless it is forced."""
    error = refused(real, "--nodes", "3", "-g", "1", "--", "true")
    assert "needs 3 GPUs" in error
    assert "the largest that fits is --nodes 2; --force sends it all the same" in error
    assert dry(real, "-g", "9", "--force", "--", "true")["objects"]
    assert dry(real, "--array", "0-99", "-g", "2", "--", "true")["objects"]
    limits = [{"type": "Container", "max": {"memory": "1Gi"}}]
    real.admin.create(
        LIMIT_RANGE, {"metadata": {"name": "small", "namespace": real.project}, "spec": {"limits": limits}}
    )
    error = refused(real, "-m", "2Gi", "--", "true")
    real.admin.delete(LIMIT_RANGE, "small", namespace=real.project)
    assert "asks for 2Gi memory, and the project takes at most 1Gi memory in a container" in error
    assert "the largest that it takes is --memory 1Gi; --force sends it all the same" in error


WRONG = [
    (["--cpu", "-4"], "--cpu: '-4'"),
    (["--gpus", "-1"], "--gpus: '-1'"),
    (["--gpus", "0.5"], "--gpus: '0.5'"),
    (["--gpus", "a100:x"], "--gpus: 'x'"),
    (["--gpus", "a:1", "--flavor", "b"], "--gpus says flavor a"),
    (["--memory", "500m"], "--memory: '500m'"),
    (["--array", "9-1"], "--array: '9-1'"),
    (["--array", "1", "--nodes", "2"], "on several nodes"),
    (["--name", "a.b", "--array", "3"], "--name: 'a.b'"),
    (["--name=-x"], "--name: '-x'"),
    (["--label", "kubernetes.io/x=1"], "belongs to jobq or Kubernetes"),
    (["--label", "jobq.io/project=vision"], "belongs to jobq or Kubernetes"),
    (["--secret", "a:b"], "--secret: 'b'"),
    (["--shm", "4Gi", "--memory", "1Gi"], "--shm: 4Gi"),
    (["--volume", "d:/x", "--secret", "s:/x/"], "can't both lie at"),
    (["-t", "90"], "--time: '90'"),
    (["-t", "4:00"], "--time: '4:00'"),
    (["-t", "0s"], "--time: a time limit of zero"),
    (["--timeout", "1h"], "nothing waits"),
    (["--env-file", "/nowhere.env"], "/nowhere.env can't be read"),
    (["-f", "/nowhere.yaml"], "says what runs"),
]


@pytest.mark.parametrize(("words", "message"), WRONG)
def test_wrong_options(words: list[str], message: str, misuse: Misuse) -> None:
    """Refused before anybody is asked: there isn't even a cluster."""
    assert message in misuse(*words, "--", "true")


WRONG_MANIFESTS = [
    ("kind: Job\napiVersion: batch/v1\n---\nkind: Job\n", [], "j.yaml:3:1: a second document"),
    ("kind: Job\nkind: Job\n", [], "j.yaml:2:1"),
    ("apiVersion: jobset.x-k8s.io/v1alpha2\nkind: JobSet\n", [], "j.yaml:2:7: a JobSet can't be submitted by jobq yet"),
    ("apiVersion: v1\nkind: Pod\n", [], "j.yaml:2:7: this is v1 Pod"),
    ("apiVersion: batch/v1\nkind: Job\nmetadata: {}\nspec: 3\n", [], "j.yaml:4:7: spec is missing, or no map"),
    ("apiVersion: batch/v1\nkind: Job\nmetadata: {annotations: {a: 2026-01-01}}\n", [], "j.yaml:3:29: a date"),
    ("apiVersion: batch/v1\nkind: Job\n", ["-c", "2"], "--cpu changes nothing with -f"),
    ("apiVersion: batch/v1\nkind: Job\n", ["--name", "a.b"], "--name: 'a.b'"),
]


@pytest.mark.parametrize(("text", "words", "message"), WRONG_MANIFESTS)
def test_wrong_manifests(text: str, words: list[str], message: str, misuse: Misuse, tmp_path: Path) -> None:
    """Told with file, line and column."""
    (tmp_path / "j.yaml").write_text(text)
    assert message in misuse("-f", "j.yaml", *words)


def test_manifest_of_another_project(real: Stage) -> None:
    """Queue and namespace are the project's: one that says another is refused."""
    for field, wrong in (("namespace: speech", "namespace"), ('labels: {"kueue.x-k8s.io/queue-name": x}', "queue")):
        path = write(real, "wrong.yaml", MANIFEST.replace("generateName: hello-", field))
        assert f"the project's {wrong} is" in refused(real, "-f", path)
    named = write(real, "named.yaml", MANIFEST.replace("generateName: hello-", "name: mine"))
    (job,) = dry(real, "-f", named, "--hold", "--label", "team=a", "--priority", "low", "-t", "1h")["objects"]
    assert job["metadata"]["name"] == "mine"
    assert job["metadata"]["labels"]["kueue.x-k8s.io/priority-class"] == "low"


def test_local_files_are_warned_of(real: Stage) -> None:
    """A file of this machine isn't in the image, unless a volume has the directory in which the command starts."""
    path = write(real, "train.py", "print()")
    told = dry(real, "--", "python", path, "/bin/sh")["notices"]
    assert [notice["about"] for notice in told] == [path]
    (told,) = dry(real, "--volume", "data:/data", "--workdir", "/data/exp", "--", "python", path)["notices"]
    assert told["about"] == "data", "a claim that isn't there is told of, and no more"


def test_warnings_of_the_server(real: Stage) -> None:
    """What the API server warns of is shown, and stands in JSON."""
    label = {"pod-security.kubernetes.io/warn": "restricted"}
    quiet = real.admin.get(NAMESPACE, real.project)["metadata"]["labels"]
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": real.project, "labels": {**quiet, **label}}}
    real.admin.apply(NAMESPACE, body)
    try:
        run = real.jobq("submit", "--dry-run=server", "-o", "json", "--", "true")
    finally:
        body["metadata"] = {"name": real.project, "labels": quiet}
        real.admin.apply(NAMESPACE, body)
    assert "would violate PodSecurity" in run.err
    assert any("would violate PodSecurity" in notice["text"] for notice in run.json["notices"])


def test_provenance(real: Stage, repository: Repository, tmp_path: Path) -> None:
    """The caller's commit is recorded, and whether it is all; never a remote, which may hold a password."""
    assert checkout.provenance(tmp_path / "nowhere") == {}
    assert checkout.provenance(repository.root) == {}
    repository.write({"train.py": "print()"})
    commit = repository.commit()
    repository.git("remote", "add", "origin", "https://kim:s3cr3t@example.org/x.git")
    assert checkout.provenance(repository.root) == {"jobq.io/git-commit": commit, "jobq.io/git-dirty": "false"}
    repository.write({"train.py": "print(1)"})
    process = subprocess.run(
        [sys.executable, "-m", "cli.main", "submit", "--dry-run", "train.py"],
        cwd=repository.root,
        env=real.environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"jobq.io/git-commit: {commit}" in process.stdout.replace('"', "")
    assert "jobq.io/git-dirty: true" in process.stdout.replace('"', "")
    assert "s3cr3t" not in process.stdout + process.stderr


# ------------------------------------------------------------------------------------------------ what goes wrong


def test_files_that_are_refused_take_the_job_with_them(real: Stage) -> None:
    """Where the ConfigMap can't be made, nothing is left, and that is said."""
    hard = {"apiVersion": "v1", "kind": "ResourceQuota", "spec": {"hard": {"count/configmaps": "0"}}}
    real.admin.create(RESOURCE_QUOTA, {**hard, "metadata": {"name": "none", "namespace": real.project}})
    path = write(real, "orphan.py", "print()")
    try:
        assert eventually(lambda: "exceeded quota" in real.jobq("submit", "--dry-run=server", path).err)
        error = refused(real, "--name", "orphan", path, code=1)
    finally:
        real.admin.delete(RESOURCE_QUOTA, "none", namespace=real.project)
    assert "exceeded quota" in error
    assert "the job was taken back: nothing is left of it" in error
    names = [job["metadata"]["name"] for job in real.admin.list(JOB, namespace=real.project).items]
    assert not [name for name in names if name.startswith("orphan-")]


def test_two_round_trips(real: Stage, tmp_path: Path) -> None:
    """All that is read is asked for at once, before any answer; then there is one POST."""
    kinds = {"workloadpriorityclasses", "clusterqueues", "cohorts", "resourceflavors", "limitranges"}
    reads = {*kinds, "persistentvolumeclaims", "selfsubjectreviews", real.project}
    answer = Event()
    with proxied(real.kubeconfig(), real.plane.directory / "pki", tmp_path) as proxy:
        proxy.spoil(every, hold(answer), times=len(reads))
        process = real.start("submit", "--hold", "--", "true", KUBECONFIG=str(proxy.kubeconfig))
        all_asked = eventually(lambda: len(proxy.asked) == len(reads))
        answer.set()
        out, err = process.communicate(timeout=PATIENCE_SECONDS)
    asked = [(one.method, one.path.rpartition("/")[2]) for one in proxy.asked]
    assert (process.returncode, all_asked) == (0, True), out + err
    assert {kind for _, kind in asked[: len(reads)]} == reads
    assert asked[len(reads) :] == [("POST", "jobs")]


def test_lost_answers(real: Stage, tmp_path: Path) -> None:
    """A POST whose answer is lost may have made the job: that is said, with how to look, and it has."""
    with proxied(real.kubeconfig(), real.plane.directory / "pki", tmp_path) as proxy:
        through = {"KUBECONFIG": str(proxy.kubeconfig)}
        proxy.spoil(lambda asked: asked.method == "POST" and asked.path.endswith("/jobs"), lose_answer)
        run = real.jobq("submit", "--hold", "--name", "lost", "--", "true", **through)
        name = re.search(r"whether (lost-[a-z0-9]{5}) was made is unknown: `jobq list -p", run.err)
        assert (run.code, run.out, name is not None) == (1, "", True), run.err
        assert name
        assert real.admin.get(JOB, name[1], namespace=real.project)
        proxy.spoil(lambda asked: asked.method == "POST" and asked.path.endswith("/configmaps"), lose_answer)
        run = real.jobq("submit", "--hold", "--name", "bare", write(real, "bare.py", "print()"), **through)
    assert (run.code, run.out) == (1, "")
    assert "the job was taken back" in run.err
    assert not [job for job in real.admin.list(JOB, namespace=real.project).items if "bare-" in job["metadata"]["name"]]


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("jobs", r"whether (late-[a-z0-9]{5}) was made is unknown: `jobq list -p"),
        ("configmaps", r"the job was taken back: nothing is left of it"),
    ],
)
def test_interrupted_while_it_is_sent(real: Stage, tmp_path: Path, kind: str, said: str) -> None:
    """Ctrl-C before the answer has come: what is known of the job is said; a Job that waits for files is taken back."""
    path, over = write(real, "late.py", "print()"), Event()
    with proxied(real.kubeconfig(), real.plane.directory / "pki", tmp_path) as proxy:
        proxy.spoil(lambda asked: asked.method == "POST" and asked.path.endswith(kind), silence(over, done=True))
        process = real.start("submit", "--hold", path, KUBECONFIG=str(proxy.kubeconfig))
        sent = eventually(lambda: any(asked.path.endswith(kind) and asked.method == "POST" for asked in proxy.asked))
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE_SECONDS)
        over.set()
    assert sent
    assert (process.returncode, out) == (130, "")
    found = re.search(said, err)
    assert found, err
    there = [job["metadata"]["name"] for job in real.admin.list(JOB, namespace=real.project).items]
    assert [name for name in there if name.startswith("late-")] == list(found.groups())
    for name in found.groups():
        real.admin.delete(JOB, name, namespace=real.project)


class Failing:
    """A cluster that makes Jobs, and answers these errors to a ConfigMap and to a DELETE."""

    def __init__(self, files: ClusterError, deletion: ClusterError | None = None) -> None:
        self.files, self.deletion = files, deletion

    def create(self, resource: Resource, body: Body) -> Body:
        """The Job, and no ConfigMap."""
        if resource == CONFIG_MAP:
            raise self.files
        return {**body, "metadata": {**body["metadata"], "uid": "u"}}

    def delete(self, *_: object, **__: object) -> None:
        """Fail, if so told."""
        if self.deletion:
            raise self.deletion


@pytest.mark.parametrize(
    ("cluster", "hint"),
    [
        (Failing(Unreachable("no answer")), "nothing is left"),
        (Failing(Unreachable("no answer"), Unreachable("nor here")), "`jobq delete -p vision a-bcdfg`"),
        (Failing(Forbidden("no"), Forbidden("no")), "was made without its files"),
    ],
)
def test_unanswered_files(cluster: Failing, hint: str) -> None:
    """What is known of the job is said, whatever became of its files."""
    objects = sending.Objects({"metadata": {"name": "a-bcdfg", "namespace": "vision"}}, {"metadata": {}})
    with pytest.raises(ClusterError) as caught:
        sending.send(cast("Cluster", cluster), lambda: objects, "vision")
    assert hint in caught.value.hint


def test_a_taken_name_is_drawn_again(real: Stage) -> None:
    """Two submissions never collide."""
    (job,) = dry(real, "--", "true")["objects"]
    other = {**job, "metadata": {**job["metadata"], "name": f"{job['metadata']['name'][:-5]}{uuid.uuid4().hex[:5]}"}}
    names = iter([sending.Objects(job), sending.Objects(job), sending.Objects(other)])
    cluster = real.admin
    sending.send(cluster, lambda: next(names), real.project)
    with pytest.raises(Conflict) as caught:
        sending.send(cluster, lambda: sending.Objects(job), real.project)
    assert "choose another name" in caught.value.hint
    assert sending.send(cluster, lambda: next(names), real.project).job["metadata"]["name"] == other["metadata"]["name"]
