"""Repository and revision -> Snapshot: what git holds, never what happens to lie in the work tree, unless asked for."""

import os
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path

from reconciler.documents.document import MAX_BYTES
from reconciler.errors import SourceError
from reconciler.model import File, Origin, Problem, Snapshot
from reconciler.repository import Git, failure, opened

_ROOTS = ("jobq.toml", "projects.d", "templates")
_HERE = Path(__file__).resolve().parent.parent / "templates"
_KINDS = {"120000": "a symbolic link", "160000": "a submodule", "040000": "a folder"}


def read_commit(repo: Path, ref: str = "HEAD") -> Snapshot:
    """What a revision holds, read from git's objects: same commit, same bytes. Raises: SourceError."""
    git = opened(repo)
    commit = _commit(git, ref)
    listing = git.ask("ls-tree", "-r", "-z", "--full-tree", "-l", commit, "--", *_ROOTS)
    entries = [_entry(line) for line in listing.split("\0") if line]
    oddities = [problem for path, mode, _, size in entries if (problem := _oddity(path, _KINDS.get(mode, ""), size))]
    wanted = [(path, blob) for path, mode, blob, size in entries if not _oddity(path, _KINDS.get(mode, ""), size)]
    contents = _blobs(git, [blob for _, blob in wanted])
    files = {path: File(contents[blob], blob) for path, blob in wanted}
    return Snapshot(commit, files, tuple(oddities))


def read_work_tree(repo: Path) -> Snapshot:
    """What lies in the work tree now, staged or not, of what git could commit. Raises: SourceError."""
    root = Path(opened(repo).ask("rev-parse", "--show-toplevel"))
    git = opened(root)
    files: dict[str, File] = {}
    oddities = _ignored(git)
    for path, skipped in _in_work_tree(git).items():
        found = _lstat(root, path, sparse=skipped)
        if found is None:
            continue
        where, status = found
        problem = _oddity(where, _kind(status.st_mode), status.st_size)
        if problem is not None:
            oddities[where] = problem
        else:
            files[path] = File(_on_disk(root / path), "")
    return Snapshot("", _with_blobs(git, files), tuple(oddities.values()))


def uncommitted(repo: Path) -> list[str]:
    """Declared paths that differ from HEAD, and so are no part of a run over a commit. Raises: SourceError."""
    git = opened(repo)
    if git.ask("rev-parse", "--is-bare-repository") == "true":
        return []
    options = ("--porcelain", "-z", "--no-renames", "--untracked-files=all")
    status = git.ask(*_NO_PROGRAM, "status", *options, "--", *(f":(top){root}" for root in _ROOTS))
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


def _commit(git: Git, ref: str) -> str:
    """The full id of the commit that a revision names."""
    git.ask("rev-parse", "--git-dir")
    try:
        commit = _resolve(git, ref)
    except SourceError as error:
        if "ambiguous" in str(error) and "short" in str(error):
            raise
        raise (_headless(git) if ref == "HEAD" else _no_commit(git.repo, ref)) from error
    _refuse_namesakes(git, ref)
    return commit


def _resolve(git: Git, ref: str) -> str:
    return git.ask("rev-parse", "--verify", "--end-of-options", f"{ref}^{{commit}}")


def _no_commit(repo: Path, ref: str) -> SourceError:
    hint = "git branch -a and git tag list what there is; a tree or a file is no commit"
    return SourceError(f"{ref!r} is no commit in {repo}", hint=hint)


def _headless(git: Git) -> SourceError:
    """Why HEAD names no commit."""
    branches = git.ask("for-each-ref", "--count=3", "--format=%(refname:short)", "refs/heads").split()
    if not branches:
        return SourceError(f"{git.repo} has no commit yet", hint="commit first: git add . && git commit")
    try:
        head = git.ask("symbolic-ref", "--short", "HEAD")
    except SourceError:
        hint = f"check it: git -C {git.repo} fsck"
        return SourceError(f"HEAD of {git.repo} names a commit that isn't there", hint=hint)
    hint = f"there is {', '.join(branches)}: git -C {git.repo} symbolic-ref HEAD refs/heads/{branches[0]}"
    return SourceError(f"HEAD of {git.repo} names the branch {head}, which isn't there", hint=hint)


def _refuse_namesakes(git: Git, ref: str) -> None:
    """A branch and a tag of one name: git takes the tag, a reader may mean the branch."""
    names = [f"refs/heads/{ref}", f"refs/tags/{ref}"]
    found = git.ask("for-each-ref", "--format=%(refname)", *names).split()
    if found == names and len({_resolve(git, name) for name in names}) > 1:
        raise SourceError(f"{ref!r} is a branch and a tag in {git.repo}", hint=f"write {names[0]} or {names[1]}")


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


def _blobs(git: Git, ids: Iterable[str]) -> Mapping[str, bytes]:
    """All contents by one `git cat-file`: a line of id, type and size, the bytes, a newline."""
    wanted = list(dict.fromkeys(ids))
    answer = git.ask_bytes("cat-file", "--batch", lines=wanted)
    found: dict[str, bytes] = {}
    at = 0
    for blob in wanted:
        end = answer.index(b"\n", at)
        words = answer[at:end].split()
        if words[-1] == b"missing":
            raise failure(f"object {blob} is missing, or damaged", git.repo)
        size = int(words[2])
        found[blob] = answer[end + 1 : end + 1 + size]
        at = end + size + 2
    return found


# ------------------------------------------------------------------------------------------------ the work tree


_NO_PROGRAM = ("-c", "core.fsmonitor=false")
"""Reading starts no program that a repository's settings name."""


def _listed(git: Git, *which: str) -> list[str]:
    listing = git.ask(*_NO_PROGRAM, "ls-files", "-z", *which, "--exclude-standard", "--", *_ROOTS)
    return [path for path in listing.split("\0") if path]


def _in_work_tree(git: Git) -> Mapping[str, bool]:
    """Every path that is tracked, or could be -> whether a sparse checkout leaves it out (``S`` in git's listing)."""
    tagged = sorted(_listed(git, "-t", "--cached", "--others"), key=lambda line: line[2:])
    return {line[2:].rstrip("/"): line.startswith("S") for line in tagged}


def _ignored(git: Git) -> dict[str, Problem]:
    """A warning of every declared-looking file that no commit will hold."""
    paths = [path for path in _listed(git, "--others", "--ignored") if path.endswith((".yaml", ".toml", ".j2"))]
    reason = "git ignores this file, so no commit will hold it"
    return {path: Problem(Origin(path), reason, f"see git check-ignore -v {path}", warning=True) for path in paths}


def _lstat(root: Path, path: str, *, sparse: bool) -> tuple[str, os.stat_result] | None:
    """What lies there, or the link in the path that leads elsewhere; None where it was deleted. Raises: SourceError."""
    parts = path.split("/")
    try:
        for length in range(1, len(parts) + 1):
            where = "/".join(parts[:length])
            status = (root / where).lstat()
            if stat.S_ISLNK(status.st_mode):
                break
    except (FileNotFoundError, NotADirectoryError) as error:
        if sparse:
            hint = f"git -C {root} sparse-checkout disable, or read a commit"
            raise SourceError(f"a sparse checkout leaves out {path}", hint=hint) from error
        return None
    except OSError as error:
        raise _unreadable(root / path, error) from error
    return where, status


def _kind(mode: int) -> str:
    if stat.S_ISREG(mode):
        return ""
    return {stat.S_IFLNK: _KINDS["120000"], stat.S_IFDIR: _KINDS["160000"]}.get(stat.S_IFMT(mode), "a device or pipe")


def _unreadable(path: Path, error: OSError) -> SourceError:
    return SourceError(f"can't read {path}: {error.strerror}", hint="make it readable for this user")


def _on_disk(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise _unreadable(path, error) from error


def _with_blobs(git: Git, files: Mapping[str, File]) -> Mapping[str, File]:
    """The files with the ids that git would give them."""
    paths = (str(git.repo / path) for path in files)
    ids = git.ask_bytes("hash-object", "--stdin-paths", lines=paths).decode().split()
    return {path: File(file.data, blob) for (path, file), blob in zip(files.items(), ids, strict=True)}


# ------------------------------------------------------------------------------------------------ watched


def commit_of(repo: Path, ref: str) -> str:
    """The full id of the commit that a revision names now, by one question to git. Raises: SourceError."""
    git = opened(repo)
    try:
        return _resolve(git, ref)
    except SourceError:
        return _commit(git, ref)  # says why


def git_folders(repo: Path) -> tuple[Path, ...]:
    """Where git keeps its files: the folder that all work trees share, and this one's own. Raises: SourceError."""
    answer = opened(repo).ask("rev-parse", "--path-format=absolute", "--git-common-dir", "--git-dir")
    return tuple(dict.fromkeys(Path(line).resolve() for line in answer.splitlines()))


def upstream_of(repo: Path, ref: str) -> str:
    """The remote's branch that a branch follows, as ``origin/main``; ``""`` without one. Raises: SourceError."""
    git = opened(repo)
    branch = ref if ref.startswith("refs/") else f"refs/heads/{ref}"
    if ref == "HEAD":
        branch = git.ask("symbolic-ref", "HEAD") if git.says_yes("symbolic-ref", "--quiet", "HEAD") else ""
    return git.ask("for-each-ref", "--format=%(upstream:short)", branch) if branch else ""


def fetch(repo: Path) -> None:
    """Bring the remotes' branches up to date; no process is left behind. Raises: SourceError."""
    git = opened(repo)
    if not git.ask("remote"):
        raise SourceError(f"{repo} has no remote to fetch from", hint="git remote add origin URL, or leave out --fetch")
    git.ask("-c", "gc.auto=0", "-c", "maintenance.auto=false", "fetch", "--quiet", "--all", "--prune")
