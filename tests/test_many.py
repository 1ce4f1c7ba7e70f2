"""Lists of many jobs, and watches that are cut: what is asked, and what is seen, by a member."""

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from reconciler.kinds import JOB, WORKLOAD
from tests import proxy as faults
from tests.controlplane.plane import Plane
from tests.proxy import proxied
from tests.run import finish
from tests.stage import KIM, Stage, raise_project
from tests.world import eventually

MANY = 620
"""More than a page of the reconciler's lists."""


def made(stage: Stage, names: list[str]) -> None:
    """Suspended Jobs of these names."""
    container = {"name": "main", "image": "example.org/train:1", "resources": {"requests": {"cpu": "1"}}}
    spec = {"suspend": True, "template": {"spec": {"restartPolicy": "Never", "containers": [container]}}}
    admin = stage.admin

    def make(name: str) -> None:
        meta = {"name": name, "namespace": stage.project, "annotations": {"jobq.io/submitted-by": KIM}}
        admin.create(JOB, {"apiVersion": "batch/v1", "kind": "Job", "metadata": meta, "spec": spec})

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(make, names))
    admin.close()


def test_many_jobs_take_few_requests(api_plane: Plane, tmp_path: Path) -> None:
    """All are listed, in the requests that one job takes; kubectl names the same."""
    stage = raise_project(api_plane, tmp_path)
    made(stage, [f"job-{number:04}-run" for number in range(MANY)])
    start = api_plane.mark()
    rows = stage.jobq("list", "-o", "json").json["jobs"]
    asked = Counter(one.resource for one in api_plane.requests(start, user=KIM, user_agent="jobq/"))
    assert asked == {
        "selfsubjectreviews": 1,
        "configmaps": 1,
        "jobs": 1,
        "workloads": 1,
        "localqueues/pendingworkloads": 1,
    }
    command = [str(api_plane.kubectl), "-n", stage.project, "get", "jobs", "-o", "name"]
    theirs = subprocess.run(command, env=stage.environment(), capture_output=True, text=True, check=True).stdout
    assert sorted(f"job.batch/{row['name']}" for row in rows) == sorted(theirs.split())
    assert len(stage.jobq("list", "--limit", "3", "-o", "name").out.splitlines()) == 3
    assert stage.jobq("queue", "-o", "json").json["waiting"] == MANY
    for said, more in (("status", 1), ("logs", 1), ("why", 13)):
        exact = _asked(stage, said, "job-0007-run")
        assert exact["get jobs"] == 1
        assert "list jobs" not in exact, "one job is asked for alone"
        assert exact.total() <= 5 + more
        for beginning in ("@latest", "job-0007"):
            named = _asked(stage, said, beginning)
            assert named["list jobs"] == 1, "the names of all are one page"
            assert named.total() <= exact.total() + 4, (said, beginning, named)


def _asked(stage: Stage, *words: str) -> Counter[str]:
    """What a command asks, by verb and resource."""
    start = stage.plane.mark()
    stage.jobq(*words)
    return Counter(f"{one.verb} {one.resource}" for one in stage.plane.requests(start, user=KIM, user_agent="jobq/"))


def test_job_of_another_kind(api_plane: Plane, tmp_path: Path) -> None:
    """Known by its Workload alone, it is listed, told of, stopped and resumed like any other."""
    stage = raise_project(api_plane, tmp_path)
    owner = {"apiVersion": "jobset.x-k8s.io/v1alpha2", "kind": "JobSet", "name": "sweep", "uid": "0-1"}
    name = "jobset-sweep-00000"
    meta = {
        "name": name,
        "namespace": stage.project,
        "labels": {"kueue.x-k8s.io/job-uid": "0-1"},
        "ownerReferences": [owner | {"controller": True}],
    }
    container = {"name": "main", "image": "x", "resources": {"requests": {"cpu": "2", "amd.com/gpu": "1"}}}
    sets = [{"name": "main", "count": 3, "template": {"spec": {"restartPolicy": "Never", "containers": [container]}}}]
    body = {"apiVersion": WORKLOAD.api_version, "kind": "Workload", "metadata": meta}
    admin = stage.admin
    admin.create(WORKLOAD, {**body, "spec": {"queueName": "main", "podSets": sets}})
    (row,) = stage.jobq("list", "-o", "json").json["jobs"]
    assert [row[key] for key in ("name", "kind", "status", "cpu", "gpus")] == ["sweep", "JobSet", "Queued", 6.0, 3]
    assert "6 cpu" in stage.jobq("status", "sweep").out
    assert stage.jobq("stop", "sweep").code == 0
    assert admin.get(WORKLOAD, name, namespace=stage.project)["spec"]["active"] is False
    assert stage.jobq("resume", "sweep").out == "sweep waits for its turn again\n"
    assert admin.get(WORKLOAD, name, namespace=stage.project)["spec"]["active"] is True
    gone = stage.jobq("delete", "sweep", "-y")
    assert (gone.code, "doesn't serve this kind" in gone.err) == (1, True)
    admin.close()


def test_watches_that_end(api_plane: Plane, tmp_path: Path) -> None:
    """Cut, refused, told to be too old, broken in a line: no change is missed, and nothing is taken for deleted."""
    stage = raise_project(api_plane, tmp_path)
    made(stage, ["first"])
    out = tmp_path / "lines"
    with (
        proxied(stage.kubeconfig(), api_plane.directory / "pki", tmp_path / "proxy") as proxy,
        out.open("w") as file,
    ):
        spoilt = (faults.refuse(401), faults.refuse(410), faults.end_watch_with(410), faults.cut_in_line())
        for fault in (*spoilt, faults.refuse(500)):
            proxy.spoil(faults.watch, fault)
        process = subprocess.Popen(
            [sys.executable, "-m", "cli.main", "list", "-w", "-o", "json", "--kubeconfig", str(proxy.kubeconfig)],
            cwd=tmp_path,
            env=stage.environment(),
            stdout=file,
        )
        try:
            assert eventually(lambda: _names(out) == ["first"])
            made(stage, ["second"])
            assert eventually(lambda: _names(out) == ["first", "second"])
            stage.admin.delete(JOB, "first", namespace=stage.project)
            assert eventually(lambda: _names(out) == ["first", "second", "first deleted"])
            proxy.cut_all()
            made(stage, ["third"])
            assert eventually(lambda: _names(out)[3:] == ["third"])
            assert len([one for one in proxy.asked if one.watches]) < 100
        finally:
            process.terminate()
            process.wait(30)


def test_all_projects_as_they_change(api_plane: Plane, tmp_path: Path) -> None:
    """A member's projects by two watches each, an administrator's all by two together; a deleted job has its place."""
    person = f"{uuid.uuid4().hex[:8]}@example.org"  # a member of these two alone
    members = [{"user": person, "role": "researcher"}]
    one, other = (raise_project(api_plane, tmp_path, members=members) for _ in range(2))
    made(one, ["first"])
    viewers = {
        "member": ("json", one.kubeconfig(person)),
        "lines": ("text", one.kubeconfig(person)),
        "admin": ("json", api_plane.kubeconfig),
    }

    def lines() -> list[list[str]]:
        return [line.split() for line in (tmp_path / "lines").read_text().splitlines()]

    start = api_plane.mark()
    processes = []
    for name, (form, kubeconfig) in viewers.items():
        with (tmp_path / name).open("w") as file:
            command = [
                sys.executable,
                "-m",
                "cli.main",
                "list",
                "-A",
                "-w",
                "-o",
                form,
                "--kubeconfig",
                str(kubeconfig),
            ]
            processes.append(subprocess.Popen(command, cwd=tmp_path, env=one.environment(), stdout=file))
    try:
        seen = partial(_told_of, tmp_path, {one.project, other.project})
        assert eventually(lambda: all(seen(name) == ["first"] for name in ("member", "admin")))
        assert eventually(lambda: [one.project, "first"] in [words[:2] for words in lines()])
        made(other, ["second"])
        one.admin.delete(JOB, "first", namespace=one.project)
        all_of_it = ["first", "first deleted", "second"]
        assert eventually(lambda: all(sorted(seen(name)) == all_of_it for name in ("member", "admin")))
        assert eventually(lambda: [one.project, "first", "deleted"] in [words[:3] for words in lines()])
    finally:
        for process in processes:
            process.terminate()
            process.wait(30)
    watches = [one for one in api_plane.requests(start, user_agent="jobq/") if one.verb == "watch"]
    found = Counter((one.user == person, one.resource, one.namespace) for one in watches)
    mine = {(True, kind, place.project): 2 for kind in ("jobs", "workloads") for place in (one, other)}
    assert found == mine | {(False, kind, ""): 1 for kind in ("jobs", "workloads")}


def _told_of(folder: Path, projects: set[str], name: str) -> list[str]:
    rows = [json.loads(line) for line in (folder / name).read_text().splitlines()]
    told = [f"{row['name']}{' deleted' if row.get('deleted') else ''}" for row in rows if row["namespace"] in projects]
    return list(dict.fromkeys(told))


def test_drawn_on_a_terminal(api_plane: Plane, tmp_path: Path) -> None:
    """The list is drawn over itself as it changes, no wider than the terminal, until Ctrl-C."""
    stage = raise_project(api_plane, tmp_path)
    made(stage, ["first"])
    leader, follower = pty.openpty()
    environ = {**stage.environment(), "TERM": "xterm", "COLUMNS": "60", "LINES": "10"}
    command = [sys.executable, "-m", "cli.main", "list", "-w"]
    process = subprocess.Popen(command, cwd=tmp_path, env=environ, stdin=follower, stdout=follower, stderr=follower)
    os.close(follower)
    seen = b""

    def shows(text: str) -> bool:
        nonlocal seen
        if select.select([leader], [], [], 0.1)[0]:
            seen += os.read(leader, 65536)
        return text in seen.decode(errors="replace")

    assert eventually(lambda: shows("first"))
    stage.admin.delete(JOB, "first", namespace=stage.project)
    assert eventually(lambda: shows(f"no jobs in {stage.project}"))
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 130
    os.close(leader)
    drawn = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", seen.decode()).splitlines()
    assert all(len(line) <= 60 for line in drawn)
    assert "\x1b[2A" in seen.decode(), "drawn over itself"


def _names(out: Path) -> list[str]:
    """What was told, in its order; each state of a job once."""
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    told = [f"{row['name']}{' deleted' if row.get('deleted') else ''}" for row in rows]
    return list(dict.fromkeys(told))


def test_waits_through_watches_that_end(api_plane: Plane, tmp_path: Path) -> None:
    """Whatever becomes of its watches, wait sees the end; it asks for new ones at a bounded rate."""
    stage = raise_project(api_plane, tmp_path)
    made(stage, ["short"])
    with proxied(stage.kubeconfig(), api_plane.directory / "pki", tmp_path / "proxy") as proxy:
        spoilt = (faults.refuse(401), faults.refuse(410), faults.end_watch_with(410), faults.refuse(500), faults.drop)
        for fault in spoilt:
            proxy.spoil(faults.watch, fault, times=2)  # of Jobs, and of Workloads
        waiting = stage.start("wait", "short", KUBECONFIG=str(proxy.kubeconfig))
        assert eventually(lambda: _watches(proxy) >= 2 * len(spoilt) + 2)
        proxy.spoil(faults.watch, faults.refuse(410))
        proxy.cut_all()
        assert eventually(lambda: _watches(proxy) >= 2 * len(spoilt) + 5)
        _end(stage, "short")
        run = finish(waiting, ["wait", "short"])
        assert (run.code, run.err) == (0, "short: Succeeded\n")
        assert _watches(proxy) < 100


def _watches(proxy: faults.Proxy) -> int:
    return sum(one.watches for one in proxy.asked)


def test_end_that_falls_into_a_cut(api_plane: Plane, tmp_path: Path) -> None:
    """Jobs that end and go while the server is away: by the deletion, or by their events, wait still knows."""
    stage = raise_project(api_plane, tmp_path)
    ends = {"good": ("Complete", 0, "good: Succeeded"), "bad": ("Failed", 100, "bad: Failed")}
    made(stage, list(ends))
    with proxied(stage.kubeconfig(), api_plane.directory / "pki", tmp_path / "proxy") as proxy:
        waiting = [stage.start("wait", name, KUBECONFIG=str(proxy.kubeconfig)) for name in ends]
        assert eventually(lambda: _watches(proxy) >= 2 * len(ends))
        proxy.spoil(faults.watch, faults.drop, times=4 * len(ends))
        proxy.cut_all()
        for name, (kind, *_) in ends.items():
            _end(stage, name, kind)
            stage.admin.delete(JOB, name, namespace=stage.project)
        for process, name in zip(waiting, ends, strict=True):
            run = finish(process, ["wait", name])
            assert (run.code, ends[name][2] in run.err) == (ends[name][1], True)


def _end(stage: Stage, name: str, kind: str = "Complete") -> None:
    """As the Job controller does, which doesn't run here."""
    at = "2027-01-15T10:00:00Z"
    kinds = ("SuccessCriteriaMet" if kind == "Complete" else "FailureTarget", kind)
    conditions = [{"type": one, "status": "True", "lastTransitionTime": at, "reason": "Told"} for one in kinds]
    done = {"completionTime": at, "succeeded": 1} if kind == "Complete" else {"failed": 1}
    path = f"/apis/batch/v1/namespaces/{stage.project}/jobs/{name}"
    merge = {"Content-Type": "application/merge-patch+json"}
    with stage.plane.api() as api:
        api.call("PATCH", path, {"spec": {"suspend": False}}, merge)
        status = {"startTime": at, "conditions": conditions, **done}
        api.call("PATCH", f"{path}/status", {"status": status}, merge)
