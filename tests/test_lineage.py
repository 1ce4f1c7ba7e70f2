"""How one commit stands to another, in real repositories of every kind: what can't be told is never taken for good."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from reconciler.lineage import kinship
from reconciler.terms import Kinship, Relation
from tests.repository import Repository, scrubbed


@dataclass(frozen=True, slots=True)
class History:
    """A repository with a main branch of three commits, one beside it, and one of no relation."""

    repository: Repository
    first: str
    second: str
    third: str
    aside: str
    stranger: str


@pytest.fixture
def history(repository: Repository) -> History:
    """That history; HEAD is the third commit."""
    git = repository.git
    first, second = repository.commit({"a": "1"}), repository.commit({"a": "2"})
    git("branch", "old", first)
    git("checkout", "--quiet", "-b", "aside", first)
    aside = repository.commit({"b": "1"})
    git("checkout", "--quiet", "--orphan", "stranger")
    stranger = repository.commit({"c": "1"})
    git("checkout", "--quiet", "main")
    third = repository.commit({"a": "3"})
    return History(repository, first, second, third, aside, stranger)


def cloned(history: History, to: Path, *options: str) -> Repository:
    command = ["git", "clone", "--quiet", *options, history.repository.root.as_uri(), str(to)]
    subprocess.run(command, check=True, env=scrubbed(), capture_output=True)
    return Repository(to)


def relation(repository: Repository, commit: str, last: str) -> Relation:
    return kinship(repository.root, commit, last).relation


@pytest.mark.parametrize(
    ("commit", "last", "expected"),
    [
        ("third", "third", Relation.FOLLOWS),
        ("third", "first", Relation.FOLLOWS),
        ("first", "third", Relation.PRECEDES),
        ("aside", "third", Relation.DIVERGES),
        ("stranger", "third", Relation.UNRELATED),
    ],
)
def test_whole_history(history: History, commit: str, last: str, expected: Relation) -> None:
    """Where all history is there, each relation is told as what it is."""
    assert relation(history.repository, getattr(history, commit), getattr(history, last)) is expected


def test_merge_follows_both(history: History) -> None:
    """A merge follows all that was merged, whichever was applied last."""
    history.repository.git("merge", "--quiet", "aside")
    merge = history.repository.git("rev-parse", "HEAD")
    for last in (history.third, history.aside):
        assert relation(history.repository, merge, last) is Relation.FOLLOWS


@pytest.mark.parametrize("last", ["0" * 40, "", "--upload-pack=x", "HEAD"])
def test_no_such_commit(history: History, last: str) -> None:
    """What was applied last isn't in this repository, or is no commit's id at all: never an option, never a name."""
    assert relation(history.repository, history.third, last) is Relation.ABSENT


def test_shallow_clone_is_deepened(history: History, tmp_path: Path) -> None:
    """A clone of the newest commit alone gets the history that it needs from its remote, and says so of an old one."""
    shallow = cloned(history, tmp_path / "new", "--depth", "1")
    assert relation(shallow, history.third, history.second) is Relation.FOLLOWS
    assert relation(shallow, history.third, history.aside) is Relation.DIVERGES
    old = cloned(history, tmp_path / "old", "--depth", "1", "--branch", "old")
    assert relation(old, history.first, history.third) is Relation.PRECEDES
    assert old.git("rev-parse", "HEAD") == history.first


def test_far_behind(repository: Repository, tmp_path: Path) -> None:
    """Where the last applied commit lies further back than is fetched first, the whole history is fetched."""
    last = repository.commit({"a": "1"})
    tree = repository.git("rev-parse", "HEAD^{tree}")
    line = f"commit refs/heads/main\nmark :1\ncommitter T <t@example.org> 0 +0000\ndata 1\nx\nfrom {last}\n"
    for mark in range(2, 602):
        line += f"commit refs/heads/main\nmark :{mark}\ncommitter T <t@example.org> {mark} +0000\ndata 1\nx\n"
    command = ["git", "-C", str(repository.root), "fast-import", "--quiet"]
    subprocess.run(command, check=True, input=line, text=True, env=scrubbed(), capture_output=True)
    newest = repository.git("rev-parse", "main")
    assert repository.git("rev-parse", "main^{tree}") == tree
    shallow = cloned(History(repository, "", "", "", "", ""), tmp_path / "shallow", "--depth", "1")
    assert relation(shallow, newest, last) is Relation.FOLLOWS


def test_shallow_clone_without_a_remote(history: History, tmp_path: Path) -> None:
    """Where the rest of the history can't be had, nobody knows, and it is said why."""
    shallow = cloned(history, tmp_path / "clone", "--depth", "1")
    shallow.git("remote", "set-url", "origin", str(tmp_path / "nowhere"))
    away = kinship(shallow.root, history.third, history.second)
    assert away.relation is Relation.UNKNOWN
    assert "nowhere" in away.trouble
    shallow.git("remote", "remove", "origin")
    assert kinship(shallow.root, history.third, history.second) == Kinship(Relation.UNKNOWN, "it has no remote")


def test_shallow_but_enough(history: History, tmp_path: Path) -> None:
    """A shallow clone that reaches far enough asks no remote."""
    shallow = cloned(history, tmp_path / "clone", "--depth", "2")
    shallow.git("remote", "remove", "origin")
    assert relation(shallow, history.third, history.second) is Relation.FOLLOWS


def test_clone_of_one_branch(history: History, tmp_path: Path) -> None:
    """A whole clone of an old branch alone: what was applied is fetched, and no branch moves."""
    old = cloned(history, tmp_path / "old", "--single-branch", "--branch", "old")
    assert relation(old, history.first, history.third) is Relation.PRECEDES
    assert old.git("rev-parse", "HEAD") == history.first


def test_checkout_of_a_pull_request(history: History, tmp_path: Path) -> None:
    """What a pipeline checks out of a pull request, one commit of a ref that is no branch, is deepened too."""
    git = history.repository.git
    git("checkout", "--quiet", "--detach", "main")
    git("merge", "--quiet", "aside")
    merge = git("rev-parse", "HEAD")
    git("update-ref", "refs/pull/1/merge", merge)
    git("checkout", "--quiet", "main")
    checkout = Repository.new(tmp_path / "checkout")
    checkout.git("remote", "add", "origin", history.repository.root.as_uri())
    checkout.git("fetch", "--quiet", "--no-tags", "--depth=1", "origin", f"+{merge}:refs/remotes/pull/1/merge")
    checkout.git("checkout", "--quiet", "--force", "refs/remotes/pull/1/merge")
    assert checkout.git("rev-list", "--count", "HEAD") == "1"
    assert relation(checkout, merge, history.third) is Relation.FOLLOWS
    assert checkout.git("rev-parse", "HEAD") == merge


def test_remote_with_a_password(history: History, tmp_path: Path) -> None:
    """What kept git from fetching is said without the password of the remote's address."""
    shallow = cloned(history, tmp_path / "clone", "--depth", "1")
    shallow.git("remote", "set-url", "origin", "http://kim:s3cret@127.0.0.1:1/projects.git")
    found = kinship(shallow.root, history.third, history.second)
    assert found.relation is Relation.UNKNOWN
    assert "127.0.0.1:1/projects.git" in found.trouble
    assert "s3cret" not in found.trouble
