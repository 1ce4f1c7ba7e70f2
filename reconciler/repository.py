"""The door to git: one command at a time, bounded, in the repository that was named.

Whatever GIT_* variables a hook was started with, and whatever keeps git from answering, is a SourceError with its fix:
an unreadable repository is never one without projects.
"""

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING

from reconciler.errors import SourceError

if TYPE_CHECKING:
    from git import Git as GitPython

SECONDS = 60
"""How long one command of git may take."""
_KEPT = re.compile(
    "GIT_(?:AUTHOR|COMMITTER|EDITOR|ASKPASS|SSH|SSL|HTTP|PROXY|ALLOW_PROTOCOL|EXEC_PATH|PYTHON|CEILING_DIRECTORIES"
    "|CONFIG_(?:GLOBAL|SYSTEM|NOSYSTEM|COUNT|KEY_|VALUE_))"
)
"""Who a user is, how remotes are reached, and which settings count (safe.directory): all but which repository."""
_FIXES = (
    (
        "dubious ownership",
        "it belongs to another user; if you trust it: git config --global --add safe.directory {repo}",
    ),
    ("not a git repository", "name one with --repo DIR (jobq validate DIR), or make one: git init"),
    ("must be run in a work tree", "name a folder with a work tree, or read a commit: jobq plan --ref HEAD"),
    ("did not complete", "see what git waits for: git -C {repo} status"),
    ("ambiguous", "write more characters of the id"),
    ("promisor remote", "fetch what is missing: git -C {repo} fetch --refetch"),
    ("could not fetch", "fetch what is missing: git -C {repo} fetch --refetch"),
    ("missing", "fetch what is missing (git -C {repo} fetch --refetch), or look for damage (git -C {repo} fsck)"),
    ("Permission denied", "make the repository readable for this user"),
    ("corrupt", "check it: git -C {repo} fsck"),
)


@dataclass(frozen=True, slots=True)
class Git:
    """Git in one folder."""

    repo: Path
    _git: "GitPython"

    def ask(self, *words: str) -> str:
        """Its answer to one command, as text without newlines around it. Raises: SourceError."""
        return self.ask_bytes(*words).decode("utf-8", "surrogateescape").strip("\n")

    def ask_bytes(self, *words: str, lines: Iterable[str] = ()) -> bytes:
        """Its answer to one command that is given these lines on its standard input. Raises: SourceError."""
        _, answer = self._run(words, lines, good={0})
        return answer

    def says_yes(self, *words: str) -> bool:
        """Whether a question is answered by exit 0; by 1 it is denied. Raises: SourceError at any other."""
        status, _ = self._run(words, (), good={0, 1})
        return status == 0

    def _run(self, words: Iterable[str], lines: Iterable[str], good: set[int]) -> tuple[int, bytes]:
        from git.exc import GitCommandNotFound  # noqa: PLC0415 - as in opened

        with TemporaryFile() as given:
            given.write("".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape"))
            given.seek(0)
            try:
                status, answer, said = self._git.execute(
                    [self._git.GIT_PYTHON_GIT_EXECUTABLE or "git", *words],
                    istream=given,
                    with_extended_output=True,
                    with_exceptions=False,
                    stdout_as_string=False,
                    strip_newline_in_stdout=False,
                    kill_after_timeout=None if os.name == "nt" else SECONDS,  # GitPython refuses it on Windows
                )
            except GitCommandNotFound as error:
                raise SourceError("git isn't installed, or not on PATH", hint="install git") from error
        if status not in good:
            raise failure(str(said), self.repo)
        assert isinstance(answer, bytes)  # noqa: S101 - by stdout_as_string
        return status, answer


def opened(repo: Path) -> Git:
    """Git in that folder. What a calling hook says of its own repository would lead git to another one: it goes.

    Raises: SourceError.
    """
    if not repo.is_dir():
        raise SourceError(f"there is no folder {repo}", hint="name the projects repository with --repo DIR")
    if not os.access(repo, os.X_OK):  # GitPython would take the current folder instead
        raise SourceError(f"{repo} may not be entered by this user", hint="make the repository readable for this user")
    for name in [name for name in os.environ if name.startswith("GIT_") and not _KEPT.match(name)]:
        del os.environ[name]
    try:
        from git import Git as GitPython  # noqa: PLC0415 - its import fails where git isn't installed
    except ImportError as error:
        raise SourceError("git isn't installed, or not on PATH", hint="install git") from error
    git = GitPython(str(repo))
    git.update_environment(GIT_TERMINAL_PROMPT="0", GIT_OPTIONAL_LOCKS="0", GIT_NO_REPLACE_OBJECTS="1", LC_ALL="C")
    return Git(repo, git)


def failure(said: str, repo: Path) -> SourceError:
    """What git's own words mean, with the fix."""
    lines = [line for line in said.strip().splitlines() if line and not line.startswith(("hint:", "warning:"))]
    reason = lines[0].removeprefix("fatal: ").removeprefix("error: ") if lines else "git failed without a word"
    reason = re.sub(r"://[^/@\s]*@", "://", reason)  # a remote's password
    fix = next((fix for word, fix in _FIXES if word in said), "ask git itself: git -C {repo} status")
    return SourceError(f"git can't read {repo}: {reason}", hint=fix.format(repo=repo))
