"""The port to the API server, on a real one; and answers that a real one rarely gives."""

import http.server
import json
import socket
import socketserver
import ssl
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import pytest

from reconciler import kube
from reconciler.cluster import Body, Cluster, Resource
from reconciler.errors import (
    ClusterError,
    Conflict,
    Expired,
    Forbidden,
    NotFound,
    Rejected,
    Unauthorized,
    Unreachable,
)
from reconciler.kinds import CONFIG_MAP, JOB, NAMESPACE, SELF_SUBJECT_REVIEW
from reconciler.kube import KubeCluster, connect
from reconciler.kubeconfig import find_access
from reconciler.reaching import answers
from reconciler.reaching.access import Access
from reconciler.reaching.trouble import valid_until
from tests.controlplane.plane import Plane
from tests.waypoints import join


@pytest.fixture(scope="module")
def access(plane: Plane) -> Access:
    return find_access(kubeconfig=str(plane.kubeconfig))


@pytest.fixture(scope="module")
def cluster(access: Access) -> KubeCluster:
    return KubeCluster(access)


@pytest.fixture
def namespace(cluster: KubeCluster) -> str:
    name = f"t-{uuid.uuid4().hex[:8]}"
    cluster.create(NAMESPACE, {"metadata": {"name": name}})
    return name


def config_map(namespace: str, name: str, **data: str) -> Body:
    meta = {"name": name, "namespace": namespace, "labels": {"of": "test"}}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": data}


def test_it_is_a_cluster(cluster: KubeCluster, plane: Plane) -> None:
    port: Cluster = cluster
    assert (port.address, port.context) == (plane.server, "lab")


def test_pages_are_put_together(cluster: KubeCluster, namespace: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kube, "PAGE", 2)
    for number in range(5):
        cluster.create(CONFIG_MAP, config_map(namespace, f"c{number}"))
    listing = cluster.list(CONFIG_MAP, namespace=namespace, labels="of=test")
    assert [item["metadata"]["name"] for item in listing.items] == ["c0", "c1", "c2", "c3", "c4"]
    assert listing.resource_version


def test_apply_owns_what_it_says(cluster: KubeCluster, namespace: str) -> None:
    body = config_map(namespace, "a", key="1")
    assert cluster.apply(CONFIG_MAP, body, dry_run=True)["data"] == {"key": "1"}
    with pytest.raises(NotFound):
        cluster.get(CONFIG_MAP, "a", namespace=namespace)
    cluster.apply(CONFIG_MAP, body)
    entry = cluster.get(CONFIG_MAP, "a", namespace=namespace)["metadata"]["managedFields"][0]
    assert (entry["manager"], entry["operation"]) == ("jobq", "Apply")


def test_delete_of_another_uid(cluster: KubeCluster, namespace: str) -> None:
    made = cluster.create(CONFIG_MAP, config_map(namespace, "a"))
    with pytest.raises(Conflict):
        cluster.delete(CONFIG_MAP, "a", namespace=namespace, uid="other")
    cluster.delete(CONFIG_MAP, "a", namespace=namespace, uid=made["metadata"]["uid"])
    with pytest.raises(
        NotFound, match=rf"can't delete configmaps {namespace}/a: .*not found \(https:.*, context lab\)"
    ):
        cluster.delete(CONFIG_MAP, "a", namespace=namespace)


def test_unknown_field_is_refused(cluster: KubeCluster, namespace: str) -> None:
    with pytest.raises(Rejected, match='unknown field "dat"'):
        cluster.create(CONFIG_MAP, {**config_map(namespace, "a"), "dat": {}})


def test_name_taken(cluster: KubeCluster, namespace: str) -> None:
    with pytest.raises(Conflict, match="already exists"):
        cluster.create(NAMESPACE, {"metadata": {"name": namespace}})


def test_kind_that_is_not_served(cluster: KubeCluster) -> None:
    with pytest.raises(NotFound, match="doesn't serve this kind"):
        cluster.list(Resource("example.org", "v1", "holograms", "Hologram"))


def test_warnings_are_handed_on(access: Access, namespace: str) -> None:
    heard: list[str] = []
    env = [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]
    pod = {"restartPolicy": "Never", "containers": [{"name": "m", "image": "i", "env": env}]}
    body = {"metadata": {"name": "a", "namespace": namespace}, "spec": {"suspend": True, "template": {"spec": pod}}}
    KubeCluster(access, on_warning=heard.append).create(JOB, body, dry_run=True)
    assert any('previous definition of "A"' in text for text in heard)


def test_watch_sees_what_happens_after_the_list(cluster: KubeCluster, namespace: str) -> None:
    listing = cluster.list(CONFIG_MAP, namespace=namespace)
    cluster.create(CONFIG_MAP, config_map(namespace, "a"))
    cluster.delete(CONFIG_MAP, "a", namespace=namespace)
    events = cluster.watch(
        CONFIG_MAP, namespace=namespace, labels="of=test", resource_version=listing.resource_version, seconds=2
    )
    seen = [(event.type, event.object["metadata"].get("name")) for event in events if event.type != "BOOKMARK"]
    assert seen == [("ADDED", "a"), ("DELETED", "a")]


def test_impersonation_reaches_the_server(access: Access) -> None:
    headers = [("Impersonate-User", "kim müller …"), ("Impersonate-Group", "a"), ("Impersonate-Group", "b")]
    acting = KubeCluster(replace(access, impersonate=headers))
    user = acting.create(SELF_SUBJECT_REVIEW, {"kind": "SelfSubjectReview"})["status"]["userInfo"]
    assert (user["username"], user["groups"]) == ("kim müller …", ["a", "b", "system:authenticated"])


def test_forbidden_names_who_and_what(plane: Plane) -> None:
    stranger = connect(kubeconfig=str(plane.member_kubeconfig("lee@example.org")))
    with pytest.raises(Forbidden, match=r"can't list namespaces: .*User \"lee@example\.org\" cannot list") as caught:
        stranger.list(NAMESPACE)
    assert "access" in caught.value.hint


def test_unauthorized_names_the_credential(access: Access, plane: Plane) -> None:
    """A certificate of another authority: the server doesn't say why, so the message has the end of its validity."""
    unknown = KubeCluster(replace(access, certificate=b"", key=b"", token="wrong"))
    with pytest.raises(Unauthorized, match="user 'admin' of the kubeconfig"):
        unknown.list(NAMESPACE)
    pem = (plane.directory / "pki" / "admin.crt").read_bytes()
    end = ssl.cert_time_to_seconds(_not_after(plane)) if pem else 0
    assert valid_until(pem) == time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(end))


def _not_after(plane: Plane) -> str:
    decode = ssl._ssl._test_decode_cert  # type: ignore[attr-defined] # OpenSSL's reading, to compare with
    return str(decode(str(plane.directory / "pki" / "admin.crt"))["notAfter"])


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


def test_nobody_there(access: Access) -> None:
    port = free_port()
    lost = KubeCluster(replace(access, server=f"https://127.0.0.1:{port}"))
    where = rf"\(https://127.0.0.1:{port}, context lab\)"
    with pytest.raises(Unreachable, match=rf"^the cluster can't be reached: connection refused {where}$") as caught:
        lost.list(NAMESPACE)
    assert "right context" in caught.value.hint


def test_server_that_is_not_trusted(access: Access) -> None:
    with pytest.raises(Unreachable, match="certificate isn't trusted"):
        KubeCluster(replace(access, authority=b"")).list(NAMESPACE)
    assert KubeCluster(replace(access, authority=b"", insecure=True)).list(NAMESPACE).items


@contextmanager
def alerting(access: Access, times: int) -> Iterator[KubeCluster]:
    """The cluster by a way on which the first connections end in an alert of TLS, fatal, decode_error."""
    left = [times]

    class Way(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            if left[0]:
                left[0] -= 1
                self.request.recv(2**16)
                self.request.sendall(b"\x15\x03\x03\x00\x02\x02\x32")
                return
            at = urlsplit(access.server)
            with socket.create_connection((at.hostname, at.port)) as other:
                join(self.request, other)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Way) as way:
        way.daemon_threads = True
        threading.Thread(target=way.serve_forever, args=(0.05,), daemon=True).start()
        cluster = KubeCluster(replace(access, server=f"https://127.0.0.1:{way.server_address[1]}"))
        yield cluster
        cluster.close()
        way.shutdown()


def test_handshake_that_fails_once(access: Access, namespace: str) -> None:
    """A question is asked once more, what writes is not; and not for ever."""
    with alerting(access, 1) as cluster:
        assert cluster.get(NAMESPACE, namespace)["metadata"]["name"] == namespace
    with alerting(access, 1) as cluster:
        with pytest.raises(Unreachable, match=r"the connection broke \(SSLError\)") as caught:
            cluster.create(CONFIG_MAP, config_map(namespace, "a"))
        assert "may have been done" in caught.value.hint
        cluster.create(CONFIG_MAP, config_map(namespace, "a"))
    with alerting(access, 2) as cluster, pytest.raises(Unreachable, match="connection broke"):
        cluster.get(NAMESPACE, namespace)


def test_certificates_that_are_none(access: Access) -> None:
    with pytest.raises(Unauthorized, match="certificates of context 'lab' can't be used"):
        KubeCluster(replace(access, key=b"nonsense"))


# ------------------------------------------------------------------------ a server that answers as it is told

Answer = Callable[[http.server.BaseHTTPRequestHandler], None]


def status(code: int, message: str, **more: Any) -> Answer:  # noqa: ANN401 - JSON
    return plain(code, json.dumps({"kind": "Status", "message": message, "code": code, **more}).encode())


def plain(code: int, body: bytes, **headers: str) -> Answer:
    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(code)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def page(names: Sequence[str], next_page: str = "") -> Answer:
    items = [{"metadata": {"name": name}} for name in names]
    return plain(
        200, json.dumps({"metadata": {"resourceVersion": "7", "continue": next_page}, "items": items}).encode()
    )


def cut(handler: http.server.BaseHTTPRequestHandler) -> None:
    """Half an answer."""
    handler.send_response(200)
    handler.send_header("Content-Length", "100")
    handler.end_headers()
    handler.wfile.write(b'{"metadata": {')


def silent(_handler: http.server.BaseHTTPRequestHandler) -> None:
    """No answer within any patience."""
    time.sleep(1)


@contextmanager
def answering(*answers: Answer) -> Iterator[tuple[KubeCluster, list[str]]]:
    """A cluster that gives these answers in turn, and the paths that were asked for."""
    asked: list[str] = []
    left = iter(answers)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            next(left)(self)

        do_DELETE = do_POST = do_PATCH = do_GET  # noqa: N815 - http.server's names

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        cluster = KubeCluster(Access(server=f"http://127.0.0.1:{server.server_port}", context="staged", token="t"))
        try:
            yield cluster, asked
        finally:
            cluster.close()
            server.shutdown()


def test_expired_page_starts_the_list_again() -> None:
    """The token that comes with a 410 is never followed: it would give an inconsistent rest."""
    expired = status(410, "too old", reason="Expired", metadata={"continue": "inconsistent"})
    with answering(page(["a"], "more"), expired, page(["a"], "again"), page(["b"])) as (cluster, asked):
        assert [item["metadata"]["name"] for item in cluster.list(CONFIG_MAP).items] == ["a", "b"]
    assert ["continue=more" in path for path in asked] == [False, True, False, False]
    assert "inconsistent" not in "".join(asked)


def test_list_that_always_expires_ends() -> None:
    with answering(*[status(410, "too old")] * kube.LISTS) as (cluster, asked), pytest.raises(Expired):
        cluster.list(CONFIG_MAP)
    assert len(asked) == kube.LISTS


def test_truncated_page_is_no_short_list() -> None:
    with answering(page(["a"], "more"), cut) as (cluster, _), pytest.raises(Unreachable, match="connection broke"):
        cluster.list(CONFIG_MAP)


def test_nothing_is_sent_twice() -> None:
    """A lost answer is the caller's to judge: the client would send even a DELETE four times."""
    with answering(cut, page([])) as (cluster, asked), pytest.raises(Unreachable):
        cluster.delete(CONFIG_MAP, "a", namespace="x")
    assert len(asked) == 1


def test_answers_take_bounded_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kube, "ANSWER_SECONDS", 0.2)
    with answering(silent) as (cluster, _), pytest.raises(Unreachable, match=r"no answer within 0\.2 s") as caught:
        cluster.create(CONFIG_MAP, config_map("x", "a"))
    assert "may have been done" in caught.value.hint


def test_login_page_is_no_answer() -> None:
    with answering(plain(200, b"<html>log in</html>")) as (cluster, _), pytest.raises(Rejected, match="API server"):
        cluster.list(CONFIG_MAP)
    with answering(plain(404, b"\n<!DOCTYPE html>")) as (cluster, _), pytest.raises(NotFound) as caught:
        cluster.list(CONFIG_MAP)
    assert "the answer is a web page (HTTP 404)" in str(caught.value)
    assert "login page" in caught.value.hint


def test_refusals_keep_what_the_server_said() -> None:
    """Code, reason, causes and Retry-After are there for whoever decides on a retry."""
    causes = [{"reason": "NamespaceTerminating", "message": "namespace x is being terminated", "field": "metadata"}]
    told = status(403, "unable to create", reason="Forbidden", details={"causes": causes})
    busy = plain(429, b"slow down", Retry_After="3")
    with answering(told, busy) as (cluster, _):
        with pytest.raises(Forbidden) as refused:
            cluster.create(CONFIG_MAP, config_map("x", "a"))
        with pytest.raises(Rejected, match="slow down") as held_off:
            cluster.list(CONFIG_MAP)
    assert (refused.value.code, refused.value.reason, refused.value.causes) == (403, "Forbidden", tuple(causes))
    assert (held_off.value.code, held_off.value.retry_after) == (429, 3.0)


def test_watch_that_is_cut_in_a_line_ends() -> None:
    """Whole events count, half a line doesn't; an ERROR event of 410 means: list again."""
    event = json.dumps({"type": "ADDED", "object": {"metadata": {"name": "a"}}}).encode() + b"\n"
    gone = json.dumps({"type": "ERROR", "object": {"code": 410, "message": "too old"}}).encode() + b"\n"
    with answering(plain(200, event + b'{"type": "MOD'), plain(200, event + gone)) as (cluster, _):
        assert [one.type for one in cluster.watch(CONFIG_MAP)] == ["ADDED"]
        with pytest.raises(Expired):
            list(cluster.watch(CONFIG_MAP))


def test_log_that_is_cut_says_so() -> None:
    with answering(cut) as (cluster, _), pytest.raises(Unreachable, match="log of x/pod"):
        b"".join(cluster.log("pod", namespace="x"))


@pytest.mark.parametrize(
    ("header", "text"),
    [('299 - "use v1beta2 instead"', "use v1beta2 instead"), (r'299 - "a \"b\""', 'a "b"'), ("odd", "odd")],
)
def test_warning_header(header: str, text: str) -> None:
    assert answers.warning_text(header) == text


def test_errors_are_of_one_tree() -> None:
    assert all(issubclass(kind, ClusterError) for kind in (*answers._ANSWERS.values(), Unreachable, Rejected))
