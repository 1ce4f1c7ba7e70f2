"""jobq beside what people use for the same today, and beside the least that could be done: a bare loop of requests.

Every figure is the shortest of its runs, in seconds; what counts is the ratio, which a slow machine leaves alone.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from reconciler import source
from reconciler.cluster import Cluster
from reconciler.declare import declare
from reconciler.kinds import APPLY_ORDER, BY_KIND, EVENT, JOB, WORKLOAD
from reconciler.kube import connect
from reconciler.model import Manifest
from reconciler.render import render
from tests.controlplane.plane import Extent, Plane, start
from tests.repository import Repository, project, scrubbed
from tests.stage import KIM, raise_project
from tests.world import TODAY, clear, install

WORKERS = 16
ROOT = Path(__file__).resolve().parents[2]


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--projects", type=int, default=300)
    parser.add_argument("--jobs", type=int, default=10_000, help="in one project, each with its Workload")
    parser.add_argument("--runs", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="jobq-bench-") as folder, start(Extent.API) as plane:
        install(plane, Path(folder) / "bootstrap")
        lists = Lists(plane, Path(folder), given.jobs, given.runs)
        lists.tell()
        Bench(plane, Path(folder), given.projects, given.runs).tell()


class Lists:
    """One project with many suspended jobs, their Workloads and events, as one of its members asks for them."""

    def __init__(self, plane: Plane, folder: Path, jobs: int, runs: int) -> None:
        self.runs = runs
        self.jobs = jobs
        folder = folder / "home"
        folder.mkdir()
        self.stage = raise_project(plane, folder)
        cluster = connect(kubeconfig=str(plane.kubeconfig), workers=WORKERS)
        with ThreadPoolExecutor(WORKERS) as pool:
            list(pool.map(lambda number: _queued(cluster, self.stage.project, number), range(jobs)))
        cluster.close()
        self.kubectl = [str(plane.kubectl), f"--namespace={self.stage.project}", f"--cache-dir={folder / 'cache'}"]

    def tell(self) -> None:
        """Each beside its nearest in turn, so that a machine's moods meet both."""
        one, beginning = f"train-{self.jobs // 2:06}-a", f"train-{self.jobs // 2:06}"
        pairs = [
            ("list", "get jobs"),
            ("queue", "get workloads"),
            (f"status {one}", f"describe job {one}"),
            (f"why {one}", f"describe job {one}"),
            (f"logs {one}", f"logs job/{one} --pod-running-timeout=1ms"),
            ("status @latest", "get jobs --sort-by=.metadata.creationTimestamp"),
            (f"why {beginning}", "get jobs -o name"),
        ]
        print(f"{self.jobs} jobs in one project; none has a pod, so logs are none")
        for own, peer in pairs:
            commands = {
                "jobq": [sys.executable, "-m", "cli.main", *own.split()],
                "kubectl": self.kubectl + peer.split(),
            }
            best = {who: min(self._seconds(command) for _ in range(self.runs)) for who, command in commands.items()}
            ratio = best["kubectl"] / best["jobq"]
            print(f"  jobq {own:22} {best['jobq']:6.2f}  {best['kubectl']:6.2f} kubectl {peer:50} {ratio:5.2f}")
        print()

    def _seconds(self, command: Sequence[str]) -> float:
        began = time.monotonic()
        subprocess.run(command, env=self.stage.environment(), cwd=ROOT, capture_output=True, check=False)
        return time.monotonic() - began


class Bench:
    """One control plane, and a repository of equal projects."""

    def __init__(self, plane: Plane, folder: Path, projects: int, runs: int) -> None:
        self.plane = plane
        self.runs = runs
        self.repository = Repository.new(folder / "projects")
        self.repository.declare(*(_project(number) for number in range(projects)))
        snapshot = source.read_commit(self.repository.root)
        self.manifests = render(declare(snapshot), source.templates(snapshot, "project"), TODAY)
        self.file = folder / "all.json"
        in_order = sorted(self.manifests, key=lambda manifest: APPLY_ORDER[manifest.ref.group, manifest.ref.kind])
        self.file.write_text(json.dumps(_list(in_order)), encoding="utf-8")
        self.cache = folder / "cache"

    def tell(self) -> None:
        """All comparisons, jobq first in each."""
        print(f"{len({one.project for one in self.manifests})} projects, {len(self.manifests)} objects")
        self._table(
            "first apply",
            self.jobq,
            [("kubectl apply", self.kubectl_apply), ("bare PATCH loop", self.bare)],
            fresh=True,
        )
        self.jobq()
        peers = [
            ("kubectl diff", self.kubectl_diff),
            ("kubectl apply", self.kubectl_apply),
            ("bare PATCH loop", self.bare),
        ]
        self._table("nothing to do", self.jobq, peers, fresh=False)

    def _table(
        self, title: str, own: Callable[[], None], peers: Sequence[tuple[str, Callable[[], None]]], *, fresh: bool
    ) -> None:
        taken = self._shortest(own, fresh=fresh)
        print(f"\n{title:24} {'seconds':>8}  jobq is")
        print(f"  {'jobq reconcile':22} {taken:8.2f}")
        for name, peer in peers:
            seconds = self._shortest(peer, fresh=fresh)
            print(f"  {name:22} {seconds:8.2f}  {seconds / taken:.2f} times as fast")

    def _shortest(self, run: Callable[[], None], *, fresh: bool) -> float:
        taken = []
        for _ in range(self.runs):
            if fresh:
                clear(self.plane)
            began = time.monotonic()
            run()
            taken.append(time.monotonic() - began)
        return min(taken)

    def jobq(self) -> None:
        """The command as a pipeline runs it, Python's start included."""
        where = ["--repo", str(self.repository.root), "--kubeconfig", str(self.plane.kubeconfig)]
        _run([sys.executable, "-m", "cli.main", "reconcile", *where])

    def kubectl_apply(self) -> None:
        """In its best form: server-side, one JSON list, no validation of its own."""
        self._kubectl("apply", "--server-side", "--force-conflicts", "--validate=false", "--field-manager=peer")

    def kubectl_diff(self) -> None:
        """A dry-run apply of each object."""
        self._kubectl("diff", "--server-side", "--force-conflicts", "--field-manager=peer")

    def _kubectl(self, *words: str) -> None:
        config = [f"--kubeconfig={self.plane.kubeconfig}", f"--cache-dir={self.cache}"]
        _run([str(self.plane.kubectl), *config, *words, "--filename", str(self.file)])

    def bare(self) -> None:
        """What the machine can do: nothing but one PATCH for each object, namespaces first."""
        cluster = connect(kubeconfig=str(self.plane.kubeconfig), workers=WORKERS)
        with ThreadPoolExecutor(WORKERS) as pool:
            for namespaces in (True, False):
                wanted = [one for one in self.manifests if (one.ref.kind == "Namespace") is namespaces]
                list(
                    pool.map(lambda one: cluster.apply(BY_KIND[one.ref.group, one.ref.kind].resource, one.body), wanted)
                )
        cluster.close()


def _queued(cluster: Cluster, project: str, number: int) -> None:
    name = f"train-{number:06}-a"
    resources = {"requests": {"cpu": "1", "memory": "1Gi", "nvidia.com/gpu": "1"}, "limits": {"nvidia.com/gpu": "1"}}
    container = {"name": "main", "image": "example.org/train:1", "command": ["true"], "resources": resources}
    template = {"spec": {"restartPolicy": "Never", "containers": [container]}}
    labels = {"kueue.x-k8s.io/queue-name": "main"}
    meta = {"name": name, "namespace": project, "labels": labels, "annotations": {"jobq.io/submitted-by": KIM}}
    job = cluster.create(
        JOB,
        {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": meta,
            "spec": {"suspend": True, "template": template},
        },
    )
    uid = job["metadata"]["uid"]
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": name, "uid": uid, "controller": True}
    cluster.create(
        WORKLOAD,
        {
            "apiVersion": WORKLOAD.api_version,
            "kind": "Workload",
            "metadata": {
                "name": f"job-{name}-00000",
                "namespace": project,
                "labels": {"kueue.x-k8s.io/job-uid": uid},
                "ownerReferences": [owner],
            },
            "spec": {"queueName": "main", "podSets": [{"name": "main", "count": 1, "template": template}]},
        },
    )
    cluster.create(
        EVENT,
        {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": f"{name}.suspended", "namespace": project},
            "involvedObject": {"kind": "Job", "apiVersion": "batch/v1", "name": name, "namespace": project, "uid": uid},
            "reason": "Suspended",
            "message": "Job suspended",
            "type": "Normal",
        },
    )


def _project(number: int) -> str:
    members = [
        {"group": f"oidc:g{number}", "role": "researcher"},
        {"user": f"u{number}@example.org", "role": "maintainer"},
    ]
    return project(f"p{number:05}", members=members, limits={"jobs": 500}, tags=["bench"])


def _list(manifests: Sequence[Manifest]) -> object:
    return {"apiVersion": "v1", "kind": "List", "items": [manifest.body for manifest in manifests]}


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, env=scrubbed(), cwd=ROOT, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}: {done.stderr[-2000:]}")


if __name__ == "__main__":
    main()
