"""Following objects through cut watches, old versions and outages, with answers that are told beforehand."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest

from cli import clock
from cli.explain.jobs import AnyJob
from cli.explain.status import Status
from cli.job import fate, live, watched
from cli.job.choosing import Wanted
from cli.job.fate import Fate, fate_of
from cli.job.live import Source, View
from cli.job.reach import Reach
from reconciler.cluster import Body, Cluster, Event, Listing
from reconciler.errors import ClusterError, Expired, Forbidden, Unauthorized, Unreachable, UsageError
from reconciler.kinds import JOB, WORKLOAD

Watch = list[Event | ClusterError]


def job(uid: str, version: int, *, ended: str = "") -> Body:
    conditions = [{"type": ended, "status": "True"}] if ended else []
    return {
        "metadata": {"name": uid, "namespace": "x", "uid": uid, "resourceVersion": str(version)},
        "spec": {"suspend": True},
        "status": {"conditions": conditions},
    }


KNOWN = AnyJob(JOB, job("a", 1), None)


class Told:
    """A cluster whose lists and watches are told beforehand; when they are used up, a watch is silent."""

    def __init__(self, lists: list[list[Body] | ClusterError], watches: list[Watch]) -> None:
        self.lists, self.watches = iter(lists), iter(watches)
        self.versions: list[str] = []

    def list(self, *_: object, **__: object) -> Listing:
        """The next list."""
        items = next(self.lists)
        if isinstance(items, ClusterError):
            raise items
        return Listing(items, "1")

    def watch(self, *_: object, resource_version: str, **__: Any) -> Iterator[Event]:  # noqa: ANN401 - options
        """The next watch."""
        self.versions.append(resource_version)
        for event in next(self.watches, []):
            if isinstance(event, ClusterError):
                raise event
            yield event


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "TICK_SECONDS", 0.01)
    monkeypatch.setattr(live, "LONGEST_PAUSE", 0.02)
    monkeypatch.setattr(live, "FIRST_PAUSE", 0.01)


def seen(told: Told, seconds: float = 0.5) -> View:
    """The view after a while."""
    view = View()
    until = clock.elapsed() + seconds
    for now in live.watch(cast("Cluster", told), "x", [Source(JOB)], until=until):
        view = now
    return view


def test_watch_goes_on_where_it_was_cut() -> None:
    """The next watch begins at the last version seen, bookmarks included."""
    bookmark = Event("BOOKMARK", {"metadata": {"resourceVersion": "9"}})
    told = Told([[job("a", 1)]], [[Event("ADDED", job("b", 5))], [bookmark], [Event("DELETED", job("a", 11))]])
    view = seen(told)
    assert [one["metadata"]["name"] for one in view.all(JOB)] == ["b"]
    assert list(view.gone) == ["a"]
    assert told.versions[:4] == ["1", "5", "9", "11"]


def test_too_old_version_means_a_new_list() -> None:
    """What the new list lacks was deleted meanwhile, and keeps its last state."""
    told = Told([[job("a", 1), job("b", 1)], [job("b", 7)]], [[Expired("too old", code=410)]])
    view = seen(told)
    assert [one["metadata"]["resourceVersion"] for one in view.all(JOB)] == ["7"]
    assert list(view.gone) == ["a"]


def test_short_outage_is_mended_in_silence() -> None:
    away = Unreachable("connection refused")
    told = Told([away, [job("a", 1)]], [[away], [Event("MODIFIED", job("a", 5))]])
    assert [one["metadata"]["resourceVersion"] for one in seen(told).all(JOB)] == ["5"]


def test_long_outage_ends_the_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "PATIENCE_SECONDS", 0.05)
    with pytest.raises(Unreachable):
        seen(Told([[job("a", 1)]], [[Unreachable("connection refused")]] * 1000), seconds=5)


def test_refusal_ends_the_waiting_at_once() -> None:
    with pytest.raises(Forbidden):
        seen(Told([Forbidden("no access", code=403)], []), seconds=5)


def test_no_busy_loop() -> None:
    """Watches that end as they begin are asked for at a bounded rate."""
    told = Told([[]], [[]] * 10_000)
    seen(told, seconds=0.5)
    assert len(told.versions) < 60


def in_view(*there: Body, gone: tuple[Body, ...] = ()) -> View:
    view = View({JOB: {one["metadata"]["uid"]: one for one in there}, WORKLOAD: {}})
    view.gone = {one["metadata"]["uid"]: one for one in gone}
    return view


@pytest.mark.parametrize(
    ("reason", "code"), [("Completed", 0), ("BackoffLimitExceeded", 100), ("DeadlineExceeded", 100), ("Created", 1)]
)
def test_events_tell_the_end_of_what_is_gone(reason: str, code: int) -> None:
    """The end fell into a cut, and the new list lacks the job: it was no deletion by somebody."""
    told = Told([[{"reason": "SuccessfulCreate"}, {"reason": reason}]], [])
    found = fate.settled(cast("Cluster", told), job("a", 1), fate_of(in_view(), KNOWN))
    assert found.code == code


def test_new_list_says_not_how_it_ended() -> None:
    view = seen(Told([[job("a", 1)], []], [[Expired("too old", code=410)]]))
    view.there[WORKLOAD] = {}
    assert not fate_of(view, KNOWN).known


def test_projects_are_followed_in_bounds() -> None:
    """One by one no more than so many; who may watch all at once takes two watches."""
    entries: list[Any] = [SimpleNamespace(namespace=f"p{number}") for number in range(watched.MOST + 1)]
    with pytest.raises(UsageError, match=f"belong to {watched.MOST + 1} projects"):
        watched.watch_jobs(cast("Cluster", None), Reach(entries), Wanted(), "json", "")
    assert Reach(entries, whole=True).namespaces == [""]


def test_long_watch_remembers_only_what_it_is_about() -> None:
    """Of many thousand deletions nothing stays."""
    view = View(keeps=lambda body: body["metadata"]["uid"] == "mine")
    view.replace(Source(JOB), [])
    for uid in ("other", "mine"):
        view.change(Source(JOB), "ADDED", job(uid, 1))
        view.change(Source(JOB), "DELETED", job(uid, 2))
    assert list(view.gone) == ["mine"]


def test_two_sources_of_one_kind() -> None:
    """A new list of one takes nothing away from the other."""
    view, one, other = View(), Source(JOB, labels="x=1"), Source(JOB, labels="x=2")
    view.replace(one, [job("a", 1)])
    view.replace(other, [job("b", 1)])
    view.change(other, "ADDED", job("c", 1))
    view.replace(other, [job("b", 2)])
    assert sorted(view.there[JOB]) == ["a", "b"]
    assert list(view.gone) == ["c"]


def test_unknown_for_a_moment() -> None:
    """A server that knew us knows us again; one that never did is no use."""
    nobody = Unauthorized("who are you?", code=401)
    told = Told([[job("a", 1)]], [[nobody], [Event("MODIFIED", job("a", 5))]])
    assert [one["metadata"]["resourceVersion"] for one in seen(told).all(JOB)] == ["5"]
    with pytest.raises(Unauthorized):
        seen(Told([nobody], []), seconds=5)


def test_end_before_deletion_counts() -> None:
    """A job that had ended when it was deleted keeps its end; any other was deleted."""
    assert fate_of(in_view(gone=(job("a", 2, ended="Complete"),)), KNOWN) == Fate(Status.SUCCEEDED, deleted=True)
    assert fate_of(in_view(gone=(job("a", 2, ended="Complete"),)), KNOWN).code == fate.SUCCEEDED
    assert fate_of(in_view(gone=(job("a", 2, ended="Failed"),)), KNOWN).code == fate.FAILED
    assert fate_of(in_view(gone=(job("a", 2),)), KNOWN).code == fate.STOPPED
    assert str(fate_of(in_view(gone=(job("a", 2),)), KNOWN)) == "deleted"
    failing = fate_of(in_view(job("a", 2, ended="FailureTarget")), KNOWN)
    assert (failing.ended, failing.code) == (True, fate.FAILED), "its other pods may take their time to end"
    unknown = fate_of(in_view(), KNOWN)
    assert (unknown.code, unknown.ended, "can't be known" in str(unknown)) == (1, True, True)
    assert fate_of(in_view(job("a", 2)), KNOWN).code == fate.UNFINISHED
