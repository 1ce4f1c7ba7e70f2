"""What all demos are told with.

Every step shows the command as a person would type it, and what it really printed. Any step that ends otherwise than
it should ends the demo with exit code 1.
"""

import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.controlplane.plane import Plane

CHECKOUT = Path(__file__).resolve().parents[2]
JOBQ = Path(sys.executable).with_name("jobq")
PATIENCE_SECONDS = 60.0
GIT = ("git", "-c", "user.name=admin", "-c", "user.email=admin@example.org")


@dataclass(frozen=True, slots=True)
class Person:
    """Who types a command; the admin's kubeconfig is the control plane's own."""

    name: str
    groups: Sequence[str] = ()


ADMIN = Person("admin")


class Surprise(Exception):
    """A step did not end as it should."""


def say(text: str) -> None:
    """A line of the story, at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


class Story:
    """A control plane, a projects repository, and people who use them."""

    def __init__(self, plane: Plane, folder: Path) -> None:
        self.plane = plane
        self.repository = folder / "projects"
        self.homes = folder / "homes"
        self._step = 0

    def tell(self, text: str) -> None:
        """A numbered sentence: what happens next, and why."""
        self._step += 1
        heading = f"{self._step}. {text}"
        say(f"\n\033[1m{heading}\033[0m" if sys.stdout.isatty() else f"\n{heading}")

    def run(self, *words: str, by: Person = ADMIN, ends: int = 0, says: str = "") -> str:
        """Run a command and show what it prints, as it comes; its output. Raises: Surprise."""
        shown = " ".join(map(_shown, words))
        say(f"{by.name}$ {shown}")
        lines = []
        with self._start(words, by) as process:
            for line in process.stdout or ():
                say(f"  {line.rstrip()}")
                lines.append(line)
        output = "".join(lines)
        if process.returncode != ends or says not in output:
            wanted = f"exit code {ends}" + (f" and {says!r}" if says else "")
            raise Surprise(f"`{shown}` ended with exit code {process.returncode}; expected {wanted}")
        return output

    def soon(self, *words: str, by: Person = ADMIN, ends: int = 0, says: str = "") -> None:
        """Show a command that will end so in a moment: the API server's own memory of access lags behind its writes."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            with self._start(words, by) as process:
                output = process.communicate()[0]
            if process.returncode == ends and says in output:
                break
            time.sleep(0.1)
        self.run(*words, by=by, ends=ends, says=says)

    def quietly(self, *words: str, by: Person = ADMIN) -> None:
        """Run a command that must succeed, and show no more than it. Raises: Surprise."""
        say(f"{by.name}$ {' '.join(map(_shown, words))}")
        with self._start(words, by) as process:
            output = process.communicate()[0]
        must(process.returncode == 0, f"`{words[0]} {words[1]}` to succeed: {output}")

    @contextmanager
    def beside(self, *words: str, by: Person = ADMIN) -> Iterator["Beside"]:
        """Run a command beside the story, until it is ended as Ctrl-C ends it. Raises: Surprise."""
        say(f"{by.name}$ {' '.join(map(_shown, words))} &")
        with self._start(words, by) as process:
            beside = Beside(process)
            try:
                yield beside
            finally:
                process.send_signal(signal.SIGINT)
                code = process.wait(PATIENCE_SECONDS)
        beside.finish()
        must(code == 0, f"`{words[0]} {words[1]}` to end with exit code 0 when it is interrupted, not {code}")

    def _start(self, words: Sequence[str], by: Person) -> "subprocess.Popen[str]":
        programs = {"jobq": JOBQ, "kubectl": self.plane.kubectl}
        return subprocess.Popen(
            [str(programs.get(words[0], words[0])), *words[1:]],
            cwd=self.repository if by is ADMIN else self.home(by),
            env=self._environment(by),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def home(self, person: Person) -> Path:
        """The folder in which somebody works."""
        home = self.homes / person.name
        home.mkdir(parents=True, exist_ok=True)
        return home

    def _environment(self, person: Person) -> Mapping[str, str]:
        plane = self.plane
        kubeconfig = plane.kubeconfig if person is ADMIN else plane.member_kubeconfig(person.name, person.groups)
        kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        return {**kept, "HOME": str(self.home(person)), "KUBECONFIG": str(kubeconfig), "COLUMNS": "120"}

    def edit(self, path: str, before: str, after: str) -> None:
        """Change a file as an editor would, and show how."""
        file = self.repository / path
        file.write_text(file.read_text(encoding="utf-8").replace(before, after), encoding="utf-8")
        self.run("git", "diff", "--unified=0", "--", path)

    def commit(self, message: str) -> None:
        """Commit everything in the projects repository."""
        self.run("git", "add", "--all")
        self.run(*GIT, "commit", "--quiet", "--message", message)


class Beside:
    """A command that runs on while the story does; what it prints is shown as it comes."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self._lines: list[str] = []
        self._read = 0
        self._news = threading.Condition()
        self._reader = threading.Thread(target=self._listen, daemon=True)
        self._reader.start()

    def until(self, says: str) -> str:
        """Wait until it has said that since the last time; the line. Raises: Surprise."""
        with self._news:
            if not self._news.wait_for(lambda: self._found(says) is not None, PATIENCE_SECONDS):
                raise Surprise(f"expected {says!r} within {PATIENCE_SECONDS:.0f} s")
            place = self._found(says) or 0
            self._read = place + 1
            return self._lines[place]

    def finish(self) -> None:
        """Wait until all it said is shown."""
        self._reader.join(PATIENCE_SECONDS)

    def _found(self, says: str) -> int | None:
        return next((place for place in range(self._read, len(self._lines)) if says in self._lines[place]), None)

    def _listen(self) -> None:
        for line in self._process.stdout or ():
            say(f"  | {line.rstrip()}")
            with self._news:
                self._lines.append(line)
                self._news.notify()


def _shown(word: str) -> str:
    """A word as a person would type it; of several lines the first."""
    first, _, rest = word.partition("\n")
    return shlex.quote(f"{first} ..." if rest else first)


def must(holds: bool, what: str) -> None:  # noqa: FBT001 - an assertion
    """Raises: Surprise."""
    if not holds:
        raise Surprise(f"expected {what}")
