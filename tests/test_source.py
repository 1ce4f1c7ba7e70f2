"""Reading real git repositories of every kind: the same result as in a full clone, or a refusal with its fix."""

import hashlib
import itertools
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from reconciler import source
from reconciler.errors import SourceError
from reconciler.model import Snapshot
from reconciler.repository import Git, opened
from tests.repository import Repository, project, scrubbed

FILES: dict[str, str | bytes] = {
    "jobq.toml": 'cluster = "demo"\n',
    "projects.d/vision.yaml": project("vision"),
    "projects.d/speech.yaml": project("speech"),
    "README.md": "# not declared\n",
    "templates/project/extra.yaml.j2": "# nothing\n",
}
DECLARED = {"jobq.toml", "projects.d/vision.yaml", "projects.d/speech.yaml", "templates/project/extra.yaml.j2"}


@pytest.fixture
def full(repository: Repository) -> Repository:
    """Two commits; the second is HEAD."""
    repository.commit({"projects.d/old.yaml": project("old")})
    repository.git("rm", "--quiet", "projects.d/old.yaml")
    repository.commit(FILES)
    return repository


def read(repository: Repository, ref: str = "HEAD") -> Snapshot:
    return source.read_commit(repository.root, ref)


def clone(repository: Repository, to: Path, *options: str) -> Repository:
    command = ["git", "clone", "--quiet", *options, repository.root.as_uri(), str(to)]
    subprocess.run(command, check=True, env=scrubbed() | {"GIT_ALLOW_PROTOCOL": "file"}, capture_output=True)
    return Repository(to)


def complaint(repository: Repository, ref: str = "HEAD") -> str:
    with pytest.raises(SourceError) as error:
        read(repository, ref)
    assert error.value.hint
    return f"{error.value} | {error.value.hint}"


# ------------------------------------------------------------------------------------------------ what is read


def test_commit(full: Repository) -> None:
    """A commit's declared files, each with its bytes and git's id of them; nothing else of the tree."""
    found = read(full)
    assert found.commit == full.git("rev-parse", "HEAD")
    assert found.files.keys() == DECLARED
    file = found.files["projects.d/vision.yaml"]
    assert file.data == project("vision").encode()
    assert file.blob == full.git("rev-parse", "HEAD:projects.d/vision.yaml")
    assert found.oddities == ()


def test_work_tree_is_no_part_of_a_commit(full: Repository) -> None:
    """What lies uncommitted, staged or not, is never read with a commit, and is named beside it."""
    before = read(full)
    full.write({"projects.d/vision.yaml": "broken: [", "projects.d/new.yaml": "x"})
    full.git("add", "projects.d/new.yaml")
    assert read(full) == before
    assert sorted(source.uncommitted(full.root)) == ["projects.d/new.yaml", "projects.d/vision.yaml"]


def test_work_tree(full: Repository) -> None:
    """The work tree is what lies there, untracked files included, with the ids that git would give."""
    full.write({"projects.d/new.yaml": project("new")})
    found = source.read_work_tree(full.root)
    assert found.commit == ""
    assert found.files.keys() == {*DECLARED, "projects.d/new.yaml"}
    committed = read(full).files
    assert {path: found.files[path] for path in DECLARED} == dict(committed)
    full.commit()
    assert read(full).files["projects.d/new.yaml"] == found.files["projects.d/new.yaml"]


def test_bytes(full: Repository) -> None:
    """Bytes come out as they went in: line ends, no last newline, no UTF-8, names beyond ASCII."""
    odd = {"projects.d/a.yaml": b"a: b\r\nc", "projects.d/\u00fc.yaml": b"\xff\x00\n\n", "projects.d/e.yaml": b""}
    full.commit({**odd})
    for found in (read(full), source.read_work_tree(full.root)):
        assert {path: found.files[path].data for path in odd} == odd


def test_links_and_submodules(full: Repository, tmp_path: Path) -> None:
    """A symbolic link, a submodule or a huge file declares nothing: a problem with its path, never followed."""
    (full.root / "projects.d" / "link.yaml").symlink_to("vision.yaml")
    (full.root / "projects.d" / "huge.yaml").write_bytes(b"x" * 300_000)
    other = Repository.new(tmp_path / "other")
    other.commit({"x": "y"})
    full.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(other.root), "projects.d/sub")
    full.commit()
    for found in (read(full), source.read_work_tree(full.root)):
        reasons = {problem.origin.path: problem.reason for problem in found.oddities}
        assert reasons["projects.d/link.yaml"] == "a symbolic link can't declare anything"
        assert reasons["projects.d/huge.yaml"].startswith("300,000 bytes")
        assert not found.files.keys() & {"projects.d/link.yaml", "projects.d/huge.yaml"}
    assert "a submodule" in {p.origin.path: p.reason for p in read(full).oddities}["projects.d/sub"]


def test_work_tree_as_git_sees_it(full: Repository, tmp_path: Path) -> None:
    """In a work tree ignored files are named and not read, deleted ones are gone, foreign repositories are problems."""
    full.commit({".gitignore": "*.swp\nsecret.yaml\n"})
    full.write({"projects.d/secret.yaml": "x", "projects.d/.vision.yaml.swp": "x"})
    (full.root / "projects.d/speech.yaml").unlink()
    Repository.new(full.root / "projects.d" / "inner").commit({"a.yaml": "x"})
    found = source.read_work_tree(full.root / "projects.d")
    assert found.files.keys() == DECLARED - {"projects.d/speech.yaml"}
    assert {problem.origin.path: problem.warning for problem in found.oddities} == {
        "projects.d/secret.yaml": True,
        "projects.d/inner": False,
    }
    (full.root / "projects.d" / "vision.yaml").unlink()
    os.mkfifo(full.root / "projects.d" / "vision.yaml")
    reasons = {problem.origin.path: problem.reason for problem in source.read_work_tree(full.root).oddities}
    assert reasons["projects.d/vision.yaml"] == "a device or pipe can't declare anything"
    shutil.move(full.root / "projects.d", tmp_path / "elsewhere")
    (full.root / "projects.d").symlink_to(tmp_path / "elsewhere")
    found = source.read_work_tree(full.root)
    assert {problem.origin.path for problem in found.oddities} == {"projects.d"}
    assert found.files.keys() == {"jobq.toml", "templates/project/extra.yaml.j2"}


def test_sparse_checkout(full: Repository) -> None:
    """A work tree that leaves declared files out is refused, with the command that brings them: not fewer projects."""
    expected = read(full)
    full.git("sparse-checkout", "set", "--no-cone", "/jobq.toml")
    with pytest.raises(SourceError, match="a sparse checkout leaves out") as error:
        source.read_work_tree(full.root)
    assert "sparse-checkout disable" in error.value.hint
    assert read(full) == expected


def test_bare_work_tree(full: Repository, tmp_path: Path) -> None:
    """A bare repository has no work tree, and nothing uncommitted."""
    bare = clone(full, tmp_path / "bare", "--bare")
    with pytest.raises(SourceError, match="work tree") as error:
        source.read_work_tree(bare.root)
    assert "read a commit" in error.value.hint
    assert source.uncommitted(bare.root) == []


def test_linked_folder(full: Repository, tmp_path: Path) -> None:
    """A projects.d that is a link to elsewhere is a problem, not an empty folder."""
    shutil.move(full.root / "projects.d", tmp_path / "elsewhere")
    (full.root / "projects.d").symlink_to(tmp_path / "elsewhere")
    full.commit()
    for found in (read(full), source.read_work_tree(full.root)):
        assert [problem.origin.path for problem in found.oddities] == ["projects.d"]


def test_templates(full: Repository) -> None:
    """The packaged templates, each replaced by the commit's own of the same name."""
    full.commit({"templates/project/namespace.yaml.j2": "# own\n"})
    found = source.templates(read(full), "project")
    assert found["namespace.yaml.j2"] == ("templates/project/namespace.yaml.j2", "# own\n")
    assert found["extra.yaml.j2"][1] == "# nothing\n"
    assert "kind: LocalQueue" in found["localqueue.yaml.j2"][1]
    full.commit({"templates/project/namespace.yaml.j2": b"\xff"})
    with pytest.raises(SourceError, match="isn't UTF-8"):
        source.templates(read(full), "project")


# ------------------------------------------------------------------------------------------------ which commit


def test_revisions(full: Repository) -> None:
    """A branch, a tag, an annotated tag, a short id and a parent name commits; the result is the same."""
    full.git("tag", "light")
    full.git("tag", "--annotate", "--message", "x", "heavy")
    full.git("branch", "other")
    expected = read(full)
    for ref in ("main", "light", "heavy", "other", expected.commit, expected.commit[:10], "heavy^{commit}"):
        assert read(full, ref) == expected
    assert read(full, "HEAD~1").files.keys() == {"projects.d/old.yaml"}


@pytest.mark.parametrize("ref", ["nowhere", "HEAD^{tree}", "HEAD:jobq.toml", "--help", "0" * 40, "HEAD~9"])
def test_no_commit(full: Repository, ref: str) -> None:
    """What names no commit is refused, and how to find one is said."""
    said = complaint(full, ref)
    assert f"{ref!r} is no commit" in said
    assert "git branch -a" in said


def test_namesakes(full: Repository) -> None:
    """A branch and a tag of one name are refused where they differ; with their whole names they can be told apart."""
    full.git("tag", "same", "HEAD~1")
    full.git("branch", "same")
    assert "refs/heads/same" in complaint(full, "same")
    assert read(full, "refs/heads/same") == read(full)
    full.git("tag", "--force", "same", "HEAD")
    assert read(full, "same") == read(full)


def test_replaced_objects(full: Repository) -> None:
    """Same commit, same bytes: what `git replace` puts in an object's place here is not what others read."""
    expected = read(full)
    full.git("replace", expected.commit, full.git("rev-parse", "HEAD~1"))
    assert read(full) == expected


def test_ambiguous(full: Repository) -> None:
    """A short id that two commits begin with is refused: write more of it."""
    tree = full.git("rev-parse", "HEAD^{tree}")
    person = "Test <test@example.org> 1800000000 +0000"
    seen: dict[str, bytes] = {}
    for number in itertools.count():
        commit = f"tree {tree}\nauthor {person}\ncommitter {person}\n\n{number}\n".encode()
        short = hashlib.sha1(b"commit %d\0%b" % (len(commit), commit), usedforsecurity=False).hexdigest()[:5]
        if short in seen:
            break
        seen[short] = commit
    for content in (seen[short], commit):
        (full.root / "commit").write_bytes(content)
        full.git("hash-object", "-t", "commit", "-w", "commit")
    assert "write more characters of the id" in complaint(full, short)


# ------------------------------------------------------------------------------------------------ clones of every kind


def detached(full: Repository, _: Path) -> Repository:
    full.git("checkout", "--quiet", "--detach")
    return full


def packed(full: Repository, _: Path) -> Repository:
    full.git("gc", "--quiet", "--aggressive", "--prune=now")
    full.git("pack-refs", "--all")
    return full


def worktree(full: Repository, to: Path) -> Repository:
    full.git("worktree", "add", "--quiet", "--detach", str(to))
    return Repository(to)


def submodule(full: Repository, to: Path) -> Repository:
    outer = Repository.new(to)
    outer.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(full.root), "inner")
    return Repository(to / "inner")


def subfolder(full: Repository, _: Path) -> Repository:
    return Repository(full.root / "projects.d")


CLONES = {
    "bare": lambda full, to: clone(full, to, "--bare"),
    "mirror": lambda full, to: clone(full, to, "--mirror"),
    "depth 1": lambda full, to: clone(full, to, "--depth=1"),
    "shared objects": lambda full, to: clone(full, to, "--shared"),
    "partial": lambda full, to: clone(full, to, "--filter=blob:none"),
    "no checkout": lambda full, to: clone(full, to, "--no-checkout"),
    "detached": detached,
    "packed": packed,
    "worktree": worktree,
    "submodule": submodule,
    "subfolder": subfolder,
}


@pytest.mark.parametrize("kind", CLONES)
def test_clones(full: Repository, tmp_path: Path, kind: str) -> None:
    """Every kind of clone gives what the full one gives."""
    full.git("config", "uploadpack.allowFilter", "true")
    expected = read(full)
    assert read(CLONES[kind](full, tmp_path / "clone")) == expected


def test_sha256(tmp_path: Path) -> None:
    """A repository of SHA-256 ids is read like any other."""
    other = Repository.new(tmp_path / "long", "--object-format=sha256")
    commit = other.commit(FILES)
    assert len(commit) == 64
    found = read(other)
    assert found.commit == commit
    assert found.files.keys() == DECLARED


def test_missing_blob(full: Repository, tmp_path: Path) -> None:
    """A partial clone whose remote is gone is refused, with the command that fetches: never read as no projects."""
    full.git("config", "uploadpack.allowFilter", "true")
    partial = clone(full, tmp_path / "partial", "--filter=blob:none", "--no-checkout")
    shutil.rmtree(full.root)
    assert "fetch --refetch" in complaint(partial)


# ------------------------------------------------------------------------------------------------ git says no


def test_no_folder(tmp_path: Path) -> None:
    """No folder of that name."""
    assert "there is no folder" in complaint(Repository(tmp_path / "nowhere"))


def test_no_repository(tmp_path: Path) -> None:
    """A folder that is no repository: how to name or make one."""
    said = complaint(Repository(tmp_path))
    assert "not a git repository" in said
    assert "git init" in said


def test_no_commit_yet(repository: Repository) -> None:
    """A repository without a commit: commit first."""
    said = complaint(repository)
    assert "no commit yet" in said
    assert "git commit" in said


def test_missing_branch(full: Repository) -> None:
    """A HEAD that names a branch that isn't there: which one, what there is instead, and how to choose it."""
    full.git("symbolic-ref", "HEAD", "refs/heads/nowhere")
    said = complaint(full)
    assert "names the branch nowhere, which isn't there" in said
    assert "there is main: git -C" in said


def test_missing_commit(full: Repository) -> None:
    """A detached HEAD whose commit is gone, or a branch whose commit is: damage, not a beginning."""
    full.git("checkout", "--quiet", "--detach")
    (full.root / ".git" / "HEAD").write_text("0" * 39 + "1\n")
    said = complaint(full)
    assert "no commit yet" not in said
    assert "fsck" in said


def test_unreadable_objects(full: Repository) -> None:
    """Damaged objects are an error with the command that checks them."""
    blob = full.git("rev-parse", "HEAD:projects.d/vision.yaml")
    path = full.root / ".git" / "objects" / blob[:2] / blob[2:]
    path.chmod(0o600)
    path.write_bytes(b"garbage")
    said = complaint(full)
    assert "git can't read" in said
    assert "fsck" in said
    path.unlink()
    assert "fetch --refetch" in complaint(full)


def test_dubious_owner(full: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another user's repository: the command that trusts it, and no projects until then."""

    def as_stranger(repo: Path) -> Git:
        git = opened(repo)
        git._git.update_environment(GIT_TEST_ASSUME_DIFFERENT_OWNER="1")
        return git

    monkeypatch.setattr(source, "opened", as_stranger)
    monkeypatch.setenv("HOME", str(full.root))
    said = complaint(full)
    assert "dubious ownership" in said
    assert "safe.directory" in said


def test_git_is_not_installed(full: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without git on PATH: install it."""
    monkeypatch.setenv("PATH", "/nowhere")
    assert "git isn't installed" in complaint(full)


def test_git_is_not_installed_at_all(full: Repository, tmp_path: Path) -> None:
    """Without git on PATH from the beginning: one sentence, exit 1, and no traceback."""
    command = [sys.executable, "-m", "cli.main", "validate", str(full.root)]
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, env=scrubbed() | {"PATH": str(tmp_path)}
    )
    assert done.returncode == 1
    assert done.stderr == "error: git isn't installed, or not on PATH\nhint: install git\n"


def test_forbidden_folder(full: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that may not be entered is refused: the current folder's repository is never read in its place."""
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert "may not be entered" in complaint(full)


def test_a_users_own_settings(full: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    """What says how remotes are reached and whom to trust is kept; what names another repository goes."""
    monkeypatch.setenv("GIT_SSH_COMMAND", "ssh -i key")
    monkeypatch.setenv("GIT_CONFIG_COUNT", "0")
    monkeypatch.setenv("GIT_NAMESPACE", "other")
    monkeypatch.setenv("GIT_CONFIG_PARAMETERS", "'core.bare=true'")
    read(full)
    assert {"GIT_SSH_COMMAND", "GIT_CONFIG_COUNT"} <= os.environ.keys()
    assert not {"GIT_NAMESPACE", "GIT_CONFIG_PARAMETERS"} & os.environ.keys()


def test_called_from_a_hook(full: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The repository is the one named, whatever GIT_* variables a hook was started with."""
    other = Repository.new(tmp_path / "other")
    other.commit({"jobq.toml": 'cluster = "other"\n'})
    expected = read(full)
    for name, value in {
        "GIT_DIR": str(other.root / ".git"),
        "GIT_WORK_TREE": str(other.root),
        "GIT_INDEX_FILE": str(other.root / ".git" / "index"),
        "GIT_OBJECT_DIRECTORY": str(other.root / ".git" / "objects"),
    }.items():
        monkeypatch.setenv(name, value)
    assert read(full) == expected
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name, raising=False)


def test_nothing_is_written(full: Repository) -> None:
    """Reading changes no file of the repository, the index included."""

    def state() -> dict[str, bytes]:
        return {str(path): path.read_bytes() for path in full.root.rglob("*") if path.is_file()}

    os.utime(full.root / "jobq.toml", (0, 0))  # an index that git would like to refresh
    before = state()
    read(full)
    source.read_work_tree(full.root)
    source.uncommitted(full.root)
    assert state() == before
