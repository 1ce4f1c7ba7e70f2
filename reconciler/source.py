"""Repository and revision -> Snapshot: what git holds, never what happens to lie in the work tree, unless asked for.

The repository is the one named, whatever GIT_* variables a hook was started with. Everything that keeps git from
answering is a SourceError with its fix: an unreadable repository is never one without projects.
"""

import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryFile

from git import Git
from git.exc import GitCommandError, GitCommandNotFound

from reconciler.documents import MAX_BYTES
from reconciler.errors import SourceError
from reconciler.model import File, Origin, Problem, Snapshot

_ROOTS = ("jobq.toml", "projects.d", "templates")
_SECONDS = 60
_HERE = Path(__file__).resolve().parent.parent / "templates"
_KINDS = {"120000": "a symbolic link", "160000": "a submodule", "040000": "a folder"}
_FIXES = (
    (
        "dubious ownership",
        "it belongs to another user; if you trust it: git config --global --add safe.directory {repo}",
    ),
    ("not a git repository", "name one with --repo DIR, or make one: git init"),
    ("cannot change to", "there is no such folder: name another with --repo DIR"),
    ("ambiguous", "write more characters of the id"),
    ("promisor remote", "fetch what is missing: git -C {repo} fetch --refetch"),
    ("could not fetch", "fetch what is missing: git -C {repo} fetch --refetch"),
    ("missing", "fetch what is missing (git -C {repo} fetch --refetch), or look for damage (git -C {repo} fsck)"),
    ("Permission denied", "make the repository readable for this user"),
    ("corrupt", "check it: git -C {repo} fsck"),
)


def read_commit(repo: Path, ref: str = "HEAD") -> Snapshot:
    """What a revision holds, read from git's objects: same commit, same bytes. Raises: SourceError."""
    git = _git(repo)
    commit = _commit(git, repo, ref)
    listing = _ask(git, repo, "ls-tree", "-r", "-z", "--full-tree", "-l", commit, "--", *_ROOTS)
    entries = [_entry(line) for line in listing.split("\0") if line]
    oddities = [problem for path, mode, _, size in entries if (problem := _oddity(path, _KINDS.get(mode, ""), size))]
    wanted = [(path, blob) for path, mode, blob, size in entries if not _oddity(path, _KINDS.get(mode, ""), size)]
    contents = _blobs(git, repo, [blob for _, blob in wanted])
    files = {path: File(contents[blob], blob) for path, blob in wanted}
    return Snapshot(commit, files, tuple(oddities))


def read_work_tree(repo: Path) -> Snapshot:
    """What lies in the work tree now, staged or not; ``commit`` is empty. Raises: SourceError."""
    git = _git(repo)
    root = Path(_ask(git, repo, "rev-parse", "--show-toplevel"))
    files: dict[str, File] = {}
    oddities: list[Problem] = []
    found = list(_lying_about(root))
    for path, status in found:
        kind = "" if stat.S_ISREG(status.st_mode) else "a symbolic link" if stat.S_ISLNK(status.st_mode) else "no file"
        problem = _oddity(path, kind, status.st_size)
        if problem is not None:
            oddities.append(problem)
        else:
            files[path] = File(_on_disk(root / path), "")
    return Snapshot("", _with_blobs(git, repo, root, files), tuple(oddities))


def uncommitted(repo: Path) -> list[str]:
    """Declared paths that differ from HEAD, and so are no part of a run over a commit. Raises: SourceError."""
    git = _git(repo)
    if _ask(git, repo, "rev-parse", "--is-bare-repository") == "true":
        return []
    status = _ask(
        git, repo, "status", "--porcelain", "-z", "--no-renames", "--untracked-files=all", "--", *_top(*_ROOTS)
    )
    return [line[3:] for line in status.split("\0") if line]


def templates(snapshot: Snapshot, folder: str) -> Mapping[str, tuple[str, str]]:
    """Template name -> (path, text): the packaged ones, or the snapshot's own of the same name. Raises: SourceError."""
    found = {
        file.name: (f"templates/{folder}/{file.name}", file.read_text(encoding="utf-8"))
        for file in sorted((_HERE / folder).glob("*.yaml.j2"))
    }
    if not found:
        raise SourceError(f"the packaged templates/{folder} are missing", hint="install jobq again")
    start = f"templates/{folder}/"
    for path, file in snapshot.files.items():
        if path.startswith(start) and path.endswith(".yaml.j2"):
            try:
                found[path.removeprefix(start)] = (path, file.data.decode())
            except UnicodeDecodeError as error:
                raise SourceError(f"{path} isn't UTF-8", hint="save the template as UTF-8") from error
    return found


# ------------------------------------------------------------------------------------------------ git


def _git(repo: Path) -> Git:
    """Git in that folder. What a calling hook says of its own repository would lead git to another one: it goes."""
    if not repo.is_dir():
        raise SourceError(f"there is no folder {repo}", hint="name the projects repository with --repo DIR")
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        del os.environ[name]
    git = Git(str(repo))
    git.update_environment(GIT_TERMINAL_PROMPT="0", GIT_OPTIONAL_LOCKS="0", LC_ALL="C")
    return git


def _ask(git: Git, repo: Path, *words: str) -> str:
    return _ask_bytes(git, repo, *words).decode("utf-8", "surrogateescape").strip("\n")


def _ask_bytes(git: Git, repo: Path, *words: str, lines: Iterable[str] = ()) -> bytes:
    """Git's answer to one command that is given these lines on its standard input. Raises: SourceError."""
    with TemporaryFile() as given:
        given.write("".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape"))
        given.seek(0)
        try:
            answer = git.execute(
                [git.GIT_PYTHON_GIT_EXECUTABLE or "git", *words],
                istream=given,
                stdout_as_string=False,
                strip_newline_in_stdout=False,
                kill_after_timeout=_SECONDS,
            )
        except GitCommandNotFound as error:
            raise SourceError("git isn't installed, or not on PATH", hint="install git") from error
        except GitCommandError as error:
            raise _failure(str(error.stderr), repo) from error
    assert isinstance(answer, bytes)  # noqa: S101 - by stdout_as_string
    return answer


def _failure(said: str, repo: Path) -> SourceError:
    said = said.strip().removeprefix("stderr: '").removesuffix("'")
    lines = [line for line in said.splitlines() if line and not line.startswith(("hint:", "warning:"))]
    reason = lines[0].removeprefix("fatal: ").removeprefix("error: ") if lines else "git failed without a word"
    fix = next((fix for word, fix in _FIXES if word in said), "ask git itself: git -C {repo} status")
    return SourceError(f"git can't read {repo}: {reason}", hint=fix.format(repo=repo))


def _commit(git: Git, repo: Path, ref: str) -> str:
    _ask(git, repo, "rev-parse", "--git-dir")
    try:
        return _ask(git, repo, "rev-parse", "--verify", "--end-of-options", f"{ref}^{{commit}}")
    except SourceError as error:
        text = str(error)
        if "ambiguous" in text and "short" in text:
            raise
        if ref == "HEAD":
            hint = "commit first: git add . && git commit"
            raise SourceError(
                f"{repo} has no commit yet, or its HEAD names a branch that isn't there", hint=hint
            ) from error
        hint = "git branch -a and git tag list what there is; a tree or a file is no commit"
        raise SourceError(f"{ref!r} is no commit in {repo}", hint=hint) from error


def _entry(line: str) -> tuple[str, str, str, int]:
    """Path, mode, id and size of a line of `git ls-tree -l`."""
    head, _, path = line.partition("\t")
    mode, _, blob, size = head.split()
    return path, mode, blob, int(size) if size.isdigit() else 0  # "-" of what is no blob, "BAD" of what is damaged


def _oddity(path: str, kind: str, size: int) -> Problem | None:
    if not path.isprintable():
        return Problem(Origin(ascii(path)), "its name holds characters that can't be printed", "rename it")
    if kind:
        return Problem(Origin(path), f"{kind} can't declare anything", "put a regular file there")
    if size > MAX_BYTES:
        return Problem(Origin(path), f"{size:,} bytes; a declared file has at most {MAX_BYTES:,}")
    return None


def _blobs(git: Git, repo: Path, ids: Iterable[str]) -> Mapping[str, bytes]:
    """All contents by one `git cat-file`: a line of id, type and size, the bytes, a newline."""
    wanted = list(dict.fromkeys(ids))
    answer = _ask_bytes(git, repo, "cat-file", "--batch", lines=wanted)
    found: dict[str, bytes] = {}
    at = 0
    for blob in wanted:
        end = answer.index(b"\n", at)
        words = answer[at:end].split()
        if words[-1] == b"missing":
            raise _failure(f"object {blob} is missing, or damaged", repo)
        size = int(words[2])
        found[blob] = answer[end + 1 : end + 1 + size]
        at = end + size + 2
    return found


# ------------------------------------------------------------------------------------------------ the work tree


def _top(*paths: str) -> list[str]:
    return [f":(top){path}" for path in paths]


def _lying_about(root: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Every path below the declared roots that is no folder, with what lstat says of it."""
    for name in _ROOTS:
        top = root / name
        if top.is_symlink() or top.is_file():
            yield name, top.lstat()
        for folder, folders, files in os.walk(top):
            links = [name for name in folders if Path(folder, name).is_symlink()]
            for file in sorted([*files, *links]):
                path = Path(folder, file)
                yield path.relative_to(root).as_posix(), path.lstat()


def _on_disk(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SourceError(f"can't read {path}: {error.strerror}", hint="make it readable for this user") from error


def _with_blobs(git: Git, repo: Path, root: Path, files: Mapping[str, File]) -> Mapping[str, File]:
    """The files with the ids that git would give them."""
    paths = (str(root / path) for path in files)
    ids = _ask_bytes(git, repo, "hash-object", "--stdin-paths", lines=paths).decode().split()
    return {path: File(file.data, blob) for (path, file), blob in zip(files.items(), ids, strict=True)}
