"""What all demos are told with.

Every step shows the command as a person would type it, and what it really printed. Any step that ends otherwise than
it should ends the demo with exit code 1.
"""

import os
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.controlplane.plane import Plane

CHECKOUT = Path(__file__).resolve().parents[2]
JOBQ = Path(sys.executable).with_name("jobq")
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
        programs = {"jobq": JOBQ, "kubectl": self.plane.kubectl}
        command = [str(programs.get(words[0], words[0])), *words[1:]]
        lines = []
        with subprocess.Popen(
            command,
            cwd=self.repository if by is ADMIN else self._home(by),
            env=self._environment(by),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            for line in process.stdout or ():
                say(f"  {line.rstrip()}")
                lines.append(line)
        output = "".join(lines)
        if process.returncode != ends or says not in output:
            wanted = f"exit code {ends}" + (f" and {says!r}" if says else "")
            raise Surprise(f"`{shown}` ended with exit code {process.returncode}; expected {wanted}")
        return output

    def _home(self, person: Person) -> Path:
        home = self.homes / person.name
        home.mkdir(parents=True, exist_ok=True)
        return home

    def _environment(self, person: Person) -> Mapping[str, str]:
        plane = self.plane
        kubeconfig = plane.kubeconfig if person is ADMIN else plane.member_kubeconfig(person.name, person.groups)
        kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        return {**kept, "HOME": str(self._home(person)), "KUBECONFIG": str(kubeconfig), "COLUMNS": "120"}

    def edit(self, path: str, before: str, after: str) -> None:
        """Change a file as an editor would, and show how."""
        file = self.repository / path
        file.write_text(file.read_text(encoding="utf-8").replace(before, after), encoding="utf-8")
        self.run("git", "diff", "--unified=0", "--", path)

    def commit(self, message: str) -> None:
        """Commit everything in the projects repository."""
        self.run("git", "add", "--all")
        self.run(*GIT, "commit", "--quiet", "--message", message)


def _shown(word: str) -> str:
    """A word as a person would type it; of several lines the first."""
    first, _, rest = word.partition("\n")
    return shlex.quote(f"{first} ..." if rest else first)


def must(holds: bool, what: str) -> None:  # noqa: FBT001 - an assertion
    """Raises: Surprise."""
    if not holds:
        raise Surprise(f"expected {what}")
