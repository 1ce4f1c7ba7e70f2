"""Looking after a repository: every way in which git makes a commit the newest one is noticed."""

import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from reconciler import source
from reconciler.errors import SourceError
from reconciler.watching import lookout
from reconciler.watching.lookout import Ears, Lookout, Rhythm
from reconciler.watching.passes import Order
from reconciler.watching.watch import repository_of
from tests.repository import Repository
from tests.world import eventually

NEVER = 3600.0


@dataclass
class Heard:
    """What a lookout has said."""

    commits: list[str] = field(default_factory=list)
    modes: list[str] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)

    @property
    def ears(self) -> Ears:
        """Ears that keep it."""
        return Ears(self.commits.append, self.modes.append, lambda error: self.troubles.append(str(error)))


@contextmanager
def looking(
    root: Path, ref: str = "HEAD", *, poll: float = NEVER, fetch: float = 0.0
) -> Iterator[tuple[Lookout, Heard]]:
    """A lookout that has begun; with ``poll`` left out, only events of the file system make it look."""
    heard = Heard()
    order = Order(root, ref, fetches=bool(fetch))
    found = Lookout(repository_of(order, ref), Rhythm(poll, fetch or NEVER), heard.ears)
    found.start()
    try:
        yield found, heard
    finally:
        found.close()


def by_commit(repository: Repository, _: Path) -> tuple[Path, str, Callable[[], str]]:
    return repository.root, "HEAD", repository.commit


def by_push(repository: Repository, tmp_path: Path) -> tuple[Path, str, Callable[[], str]]:
    bare = Repository.new(tmp_path / "bare.git", "--bare")
    repository.git("push", "--quiet", str(bare.root), "main")

    def push() -> str:
        commit = repository.commit()
        repository.git("push", "--quiet", str(bare.root), "main")
        return commit

    return bare.root, "main", push


def by_fetch(repository: Repository, tmp_path: Path) -> tuple[Path, str, Callable[[], str]]:
    clone = cloned(repository, tmp_path)

    def fetch() -> str:
        commit = repository.commit()
        clone.git("fetch", "--quiet")
        return commit

    return clone.root, "origin/main", fetch


def by_packed_refs(repository: Repository, _: Path) -> tuple[Path, str, Callable[[], str]]:
    repository.git("pack-refs", "--all", "--prune")
    return repository.root, "main", repository.commit


def by_gc(repository: Repository, _: Path) -> tuple[Path, str, Callable[[], str]]:
    """The commit comes, and everything is packed at once."""

    def commit() -> str:
        made = repository.commit()
        repository.git("gc", "--quiet", "--prune=now")
        return made

    return repository.root, "HEAD", commit


def by_rename(repository: Repository, _: Path) -> tuple[Path, str, Callable[[], str]]:
    """Somebody moves the file of a ref over another."""
    repository.git("checkout", "--quiet", "-b", "next")
    commit = repository.commit()
    repository.git("checkout", "--quiet", "main")
    heads = repository.root / ".git" / "refs" / "heads"

    def rename() -> str:
        (heads / "next").replace(heads / "main")
        return commit

    return repository.root, "main", rename


def by_swapped_link(repository: Repository, tmp_path: Path) -> tuple[Path, str, Callable[[], str]]:
    """As git-sync does: each checkout is a folder of its own, and a link leads to the newest."""
    first = cloned(repository, tmp_path, "first")
    link = tmp_path / "links" / "current"
    link.parent.mkdir()
    link.symlink_to(first.root)

    def swap() -> str:
        commit = repository.commit()
        second = cloned(repository, tmp_path, "second")
        fresh = link.with_name("fresh")
        fresh.symlink_to(second.root)
        fresh.replace(link)
        return commit

    return link, "HEAD", swap


def by_main_repository(repository: Repository, tmp_path: Path) -> tuple[Path, str, Callable[[], str]]:
    """A linked work tree is watched, the commit is made in the main one."""
    linked = tmp_path / "linked"
    repository.git("worktree", "add", "--quiet", "-b", "aside", str(linked))
    return linked, "main", repository.commit


def by_linked_work_tree(repository: Repository, tmp_path: Path) -> tuple[Path, str, Callable[[], str]]:
    """The commit is made in the linked work tree that is watched."""
    linked = tmp_path / "linked"
    repository.git("worktree", "add", "--quiet", "-b", "aside", str(linked))
    return linked, "HEAD", Repository(linked).commit


def cloned(repository: Repository, tmp_path: Path, name: str = "clone") -> Repository:
    repository.git("clone", "--quiet", str(repository.root), str(tmp_path / name))
    return Repository(tmp_path / name)


WAYS = (
    by_commit,
    by_push,
    by_fetch,
    by_packed_refs,
    by_gc,
    by_rename,
    by_swapped_link,
    by_main_repository,
    by_linked_work_tree,
)


@pytest.mark.parametrize("way", WAYS)
def test_every_way_of_git(repository: Repository, tmp_path: Path, way: Callable[..., Any]) -> None:
    """A new commit is noticed by the file system's events alone, whatever way git has for it."""
    repository.commit()
    root, ref, act = way(repository, tmp_path)
    with looking(root, ref) as (found, heard):
        looked = found.looked
        commit = act()
        assert eventually(lambda: heard.commits[-1:] == [commit])
        assert found.commit == commit
        assert found.looked > looked
    assert (heard.modes, heard.troubles) == ([], [])


def test_after_a_swapped_link(repository: Repository, tmp_path: Path) -> None:
    """Once the link leads elsewhere, it is there that commits are noticed."""
    repository.commit()
    link, ref, swap = by_swapped_link(repository, tmp_path)
    with looking(link, ref) as (_, heard):
        swap()
        assert eventually(lambda: len(heard.commits) == 1)
        second = Repository(tmp_path / "second").commit()
        assert eventually(lambda: heard.commits[-1:] == [second])


def unheard(*_: object, stop_event: threading.Event, **__: object) -> Iterator[object]:
    """A watcher of files to which nothing ever comes."""
    stop_event.wait()
    return iter(())


def broken(*_: object, **__: object) -> Iterator[object]:
    """A system that can't watch any more files."""
    raise OSError(28, "inotify watch limit reached")


@pytest.mark.parametrize(
    ("watcher", "why"),
    [(unheard, "the repository's file system sends no events"), (broken, "files can't be watched ([Errno 28]")],
)
def test_without_events(
    repository: Repository, monkeypatch: pytest.MonkeyPatch, watcher: Callable[..., Iterator[object]], why: str
) -> None:
    """Where the file system tells nothing, commits are noticed at the interval; the mode is said once."""
    monkeypatch.setattr("watchfiles.watch", watcher)
    monkeypatch.setattr(lookout, "_GRACE_SECONDS", 0.1)
    repository.commit()
    with looking(repository.root, poll=0.1) as (_, heard):
        for _ in range(3):
            commit = repository.commit()
            assert eventually(lambda commit=commit: heard.commits[-1:] == [commit])  # type: ignore[misc] # mypy infers no default of a lambda
        assert eventually(lambda: len(heard.modes) == 1)
    [mode] = heard.modes
    assert mode.startswith(why)
    assert mode.endswith("new commits are noticed every 0.1 s")


def test_fetches(repository: Repository, tmp_path: Path) -> None:
    """With a remote, what comes there is fetched; an outage is told once, and ends by itself."""
    repository.commit()
    clone = cloned(repository, tmp_path)
    assert source.upstream_of(clone.root, "HEAD") == "origin/main"
    assert source.upstream_of(clone.root, "main") == "origin/main"
    assert source.upstream_of(repository.root, "HEAD") == ""
    with looking(clone.root, "origin/main", fetch=0.1) as (_, heard):
        first = repository.commit()
        assert eventually(lambda: heard.commits[-1:] == [first])
        moved = repository.root.rename(tmp_path / "moved")
        assert eventually(lambda: len(heard.troubles) == 1)
        moved.rename(repository.root)
        second = repository.commit()
        assert eventually(lambda: heard.commits[-1:] == [second])
    assert len(heard.troubles) == 1


def test_fetches_a_mirror(repository: Repository, tmp_path: Path) -> None:
    """In a mirror the branch itself moves; where there is no remote, that is told, and the way out."""
    repository.commit()
    repository.git("clone", "--quiet", "--mirror", str(repository.root), str(tmp_path / "mirror"))
    assert source.upstream_of(tmp_path / "mirror", "HEAD") == ""
    with looking(tmp_path / "mirror", fetch=0.1) as (_, heard):
        commit = repository.commit()
        assert eventually(lambda: heard.commits[-1:] == [commit])
    with looking(repository.root, fetch=0.1) as (_, heard):
        assert eventually(lambda: len(heard.troubles) == 1)
    assert heard.troubles == [f"{repository.root} has no remote to fetch from"]


def test_an_unreadable_repository(repository: Repository, tmp_path: Path) -> None:
    """At the start it is an error; later it is told once, the commit stands, and it is taken up again."""
    with pytest.raises(SourceError, match="has no commit yet"), looking(repository.root):
        pass
    first = repository.commit()
    with looking(repository.root, poll=0.1) as (found, heard):
        moved = repository.root.rename(tmp_path / "moved")
        assert eventually(lambda: len(heard.troubles) == 1)
        assert found.commit == first
        shutil.copytree(moved, repository.root)
        second = repository.commit()
        assert eventually(lambda: heard.commits == [second])
    assert len(heard.troubles) == 1


def test_leaves_no_thread(repository: Repository) -> None:
    """After its end nothing of it runs."""
    repository.commit()
    before = set(threading.enumerate())
    with looking(repository.root):
        assert len(set(threading.enumerate()) - before) >= 2
    assert set(threading.enumerate()) == before
