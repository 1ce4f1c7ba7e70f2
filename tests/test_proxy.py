"""The proxy that spoils answers: what passes through it whole, and that each fault is what it says."""

import json
import threading
from pathlib import Path

import pytest

from reconciler.errors import ClusterError, Conflict, Expired, Rejected, Unreachable
from reconciler.kinds import CONFIG_MAP, NAMESPACE
from reconciler.kube import KubeCluster, connect
from tests import proxy as faults
from tests.controlplane.api import Document
from tests.proxy import Proxy
from tests.world import World

NOTES = "jobq-system"


def entry(name: str = "proxied", **data: str) -> Document:
    labels = {"app.kubernetes.io/managed-by": "jobq", "jobq.io/project": name}
    meta = {"name": name, "namespace": NOTES, "labels": labels}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": data}


def test_passes_everything_on(world: World, through: KubeCluster, proxy: Proxy) -> None:
    """Without a rule, answers, refusals, streams and the identity behind a token pass as they are."""
    assert through.list(NAMESPACE).items == world.cluster.list(NAMESPACE).items
    made = through.apply(CONFIG_MAP, entry())
    assert through.get(CONFIG_MAP, "proxied", namespace=NOTES) == made
    with pytest.raises(Conflict):
        through.delete(CONFIG_MAP, "proxied", namespace=NOTES, uid="another")
    watch = through.watch(CONFIG_MAP, namespace=NOTES, resource_version=made["metadata"]["resourceVersion"], seconds=5)
    through.apply(CONFIG_MAP, entry(a="b"))
    assert next(iter(watch)).object["data"] == {"a": "b"}
    methods = [asked.method for asked in proxy.asked]
    assert sorted(methods) == ["DELETE", "GET", "GET", "GET", "PATCH", "PATCH"]


def test_client_certificate(world: World, tmp_path: Path) -> None:
    """Who has a certificate is the same person behind the proxy."""
    pki = world.plane.directory / "pki"
    with faults.proxied(world.plane.member_kubeconfig("eve@example.org"), pki, tmp_path) as proxy:
        eve = connect(kubeconfig=str(proxy.kubeconfig))
        with pytest.raises(ClusterError, match=r'User "eve@example\.org" cannot list'):
            eve.list(NAMESPACE)
        eve.close()


def test_answers_lost_and_dropped(world: World, through: KubeCluster, proxy: Proxy) -> None:
    """What is dropped never happened; what has lost its answer did, once, and twice where it is repeated."""
    for fault, value in ((faults.drop, "a"), (faults.lose_answer, "b"), (faults.truncate, "c")):
        proxy.spoil(faults.write, fault)
        with pytest.raises(Unreachable):
            through.apply(CONFIG_MAP, entry(value=value))
        done = [item["data"] for item in world.admin.list(CONFIG_MAP, labels="jobq.io/project=proxied").items]
        assert done == ([] if value == "a" else [{"value": value}])
    since = world.plane.mark()
    proxy.spoil(faults.write, faults.repeat)
    through.apply(CONFIG_MAP, entry(value="d"))
    assert len(world.writes(since)) == 2


def test_refusals(through: KubeCluster, proxy: Proxy) -> None:
    """A refusal of the proxy's has code, reason and Retry-After of the server's."""
    proxy.spoil(faults.write, faults.refuse(429, retry_after=3))
    with pytest.raises(Rejected) as busy:
        through.apply(CONFIG_MAP, entry())
    assert (busy.value.code, busy.value.reason, busy.value.retry_after) == (429, "TooManyRequests", 3.0)
    proxy.spoil(faults.watch, faults.refuse(410))
    with pytest.raises(Expired):
        next(through.watch(CONFIG_MAP, namespace=NOTES))


def test_silence(through: KubeCluster, proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an answer the client gives up in its own time."""
    monkeypatch.setattr("reconciler.kube.ANSWER_SECONDS", 0.2)
    over = threading.Event()
    proxy.spoil(faults.every, faults.silence(over, done=False))
    with pytest.raises(Unreachable, match="no answer"):
        through.list(NAMESPACE)
    over.set()


@pytest.mark.parametrize(
    ("fault", "whole"),
    [(faults.cut(0), 0), (faults.cut(10), 0), (faults.cut_in_line(1), 1), (faults.end_watch_with(410, before=1), 1)],
    ids=["at once", "within the first event", "within the second", "ended by an error"],
)
def test_streams(world: World, through: KubeCluster, proxy: Proxy, fault: faults.Fault, whole: int) -> None:
    """A watch that breaks has given the events that came whole, and nothing of one that didn't."""
    start = through.list(CONFIG_MAP, namespace=NOTES).resource_version
    for value in "ab":
        world.admin.apply(CONFIG_MAP, entry(value=value))
    proxy.spoil(faults.watch, fault)
    seen = []
    try:
        for event in through.watch(CONFIG_MAP, namespace=NOTES, resource_version=start, seconds=20):
            seen.append(event.object["data"]["value"])  # noqa: PERF401 - what came before it broke counts
    except Expired:
        seen.append("410")
    assert seen == ["a", "b"][:whole] + (["410"] if len(seen) > whole else [])
    assert ("410" in seen) == (fault.__qualname__.startswith("end_watch_with"))


def test_connections_cut(through: KubeCluster, proxy: Proxy) -> None:
    """All open connections can be broken at once; the next request opens another."""
    watch = through.watch(CONFIG_MAP, namespace=NOTES, fields="metadata.name=jobq.cluster", seconds=30)
    next(watch)
    proxy.cut_all()
    assert [event for event in watch if event.type != "BOOKMARK"] == []
    assert json.dumps(through.list(NAMESPACE).items)
