"""A repository, watched: says when the commit that a revision names has become another, whatever way git has for it."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import watchfiles

from reconciler.errors import JobqError

POLL_SECONDS = 10.0
_GRACE_SECONDS = 1.0
"""How much later than the poll an event may come and still count as one."""
_STEP_MILLISECONDS = 50


@dataclass(frozen=True, slots=True)
class Places:
    """Where files change when a commit comes: git's folders with all below, and folders of links that are swapped."""

    deep: Sequence[Path]
    flat: Sequence[Path] = ()


@dataclass(frozen=True, slots=True)
class Repository:
    """How the repository is asked; all raise SourceError where it can't be read."""

    commit: Callable[[], str]
    places: Callable[[], Places]
    fetch: Callable[[], None] | None = None


@dataclass(frozen=True, slots=True)
class Rhythm:
    """Seconds between looks where no event comes, and between fetches."""

    poll: float = POLL_SECONDS
    fetch: float = 30.0


@dataclass(frozen=True, slots=True)
class Ears:
    """Who is told what, from whatever thread."""

    commit: Callable[[str], None]
    """Another commit."""
    mode: Callable[[str], None]
    """How commits are noticed, where that is not at once; once."""
    trouble: Callable[[JobqError], None]
    """The repository can't be read, or fetched, for now; once per reason."""


class Lookout:
    """Looks after each event of the file system, and at an interval in any case."""

    def __init__(self, repository: Repository, rhythm: Rhythm, ears: Ears) -> None:
        self._repository = repository
        self._rhythm = rhythm
        self._ears = ears
        self._stop = threading.Event()
        self._stirred = threading.Event()
        self._threads: list[threading.Thread] = []
        self._files: _Files | None = None
        self._said: dict[str, str] = {}
        self.commit = ""
        self.looked = 0.0
        """The time.time() of the last successful look; 0: never."""

    def start(self) -> str:
        """Look once and begin to watch; the commit. Raises: SourceError, and nothing was begun."""
        self.commit = self._repository.commit()
        self.looked = time.time()
        self._rewatch()
        self._begin("look", self._look_on)
        if self._repository.fetch is not None:
            self._begin("fetch", self._fetch_on)
        return self.commit

    def close(self) -> None:
        """End, and wait for all threads."""
        self._stop.set()
        self._stirred.set()
        for thread in self._threads:
            thread.join()
        if self._files is not None:
            self._files.close()

    def _begin(self, name: str, work: Callable[[], None]) -> None:
        thread = threading.Thread(target=work, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _look_on(self) -> None:
        while not self._stop.is_set():
            stirred = self._stirred.wait(self._rhythm.poll)
            self._stirred.clear()
            if self._stop.is_set():
                return
            self._look(stirred=stirred)

    def _look(self, *, stirred: bool) -> None:
        try:
            commit = self._repository.commit()
            self._rewatch()
        except JobqError as error:
            self._trouble("look", error)
            return
        self.looked = time.time()
        self._said.pop("look", None)
        if commit == self.commit:
            return
        self.commit = commit
        self._ears.commit(commit)
        if not stirred and not self._stirred.wait(_GRACE_SECONDS):
            self._mode("the repository's file system sends no events")

    def _rewatch(self) -> None:
        """Watch where the repository is now: the link that leads to it may have been swapped."""
        places = self._repository.places()
        if self._files is None or self._files.places != places:
            if self._files is not None:
                self._files.close()
            self._files = _Files(places, self._stirred, lambda error: self._mode(f"files can't be watched ({error})"))

    def _fetch_on(self) -> None:
        assert self._repository.fetch is not None  # noqa: S101 - asked before
        while not self._stop.is_set():
            try:
                self._repository.fetch()
                self._said.pop("fetch", None)
                self._stirred.set()
            except JobqError as error:
                self._trouble("fetch", error)
            self._stop.wait(self._rhythm.fetch)

    def _mode(self, why: str) -> None:
        if "mode" not in self._said:
            self._said["mode"] = why
            self._ears.mode(f"{why}: new commits are noticed every {self._rhythm.poll:g} s")

    def _trouble(self, what: str, error: JobqError) -> None:
        if self._said.get(what) != str(error):
            self._said[what] = str(error)
            self._ears.trouble(error)


class _Files:
    """The file system's events below some places, in threads of their own."""

    def __init__(self, places: Places, stirred: threading.Event, failed: Callable[[Exception], None]) -> None:
        self.places = places
        self._stop = threading.Event()
        self._stirred = stirred
        self._failed = failed
        watched = ((places.deep, True), (places.flat, False))
        self._threads = [
            threading.Thread(target=self._watch, args=(paths, deep), name="files", daemon=True)
            for paths, deep in watched
            if paths
        ]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _watch(self, paths: Sequence[Path], deep: bool) -> None:  # noqa: FBT001 - a thread's argument
        try:
            for _ in watchfiles.watch(
                *paths,
                watch_filter=None,  # the library's own would leave out .git
                debounce=4 * _STEP_MILLISECONDS,
                step=_STEP_MILLISECONDS,
                rust_timeout=1000,
                stop_event=self._stop,
                recursive=deep,
                raise_interrupt=False,
                ignore_permission_denied=True,
            ):
                self._stirred.set()
        except (OSError, RuntimeError) as error:  # a limit of the system, a folder that went
            self._failed(error)
