"""``make demo``: a commit becomes projects on a real control plane, and a member's job runs in one of them.

Every step shows the command as a person would type it, and what it really printed. Any step that ends otherwise than
it should ends the demo with exit code 1.
"""

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.controlplane.plane import Plane, start

CHECKOUT = Path(__file__).resolve().parent.parent
JOBQ = Path(sys.executable).with_name("jobq")
TRAINING = """import time
for step in range(1, 6):
    print(f"step {step} of 5: loss {1 / step:.3f}", flush=True)
    time.sleep(0.4)
"""
GIT = ("git", "-c", "user.name=admin", "-c", "user.email=admin@example.org")


@dataclass(frozen=True, slots=True)
class Person:
    """Who types a command; the admin's kubeconfig is the control plane's own."""

    name: str
    groups: Sequence[str] = ()


ADMIN = Person("admin")
ANN = Person("ann@example.org", ("oidc:vision",))
BOB = Person("bob@example.org", ("oidc:speech",))


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


def main() -> int:
    """The exit code: 0 when every step ended as it should."""
    began = time.monotonic()
    try:
        with tempfile.TemporaryDirectory(prefix="jobq-demo-") as folder, start() as plane:
            _told(Story(plane, Path(folder)))
    except Surprise as surprise:
        sys.stderr.write(f"\nerror: {surprise}" + "\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("\ninterrupted: the control plane is stopped" + "\n")
        return 130
    say(f"\nThe control plane is stopped; all of it took {time.monotonic() - began:.0f} s.")
    return 0


def _told(story: Story) -> None:
    story.tell("A projects repository: three groups share one ClusterQueue.")
    story.repository.mkdir()
    story.run("git", "init", "--quiet", "--initial-branch=main")
    shutil.copytree(CHECKOUT / "projects.d", story.repository / "projects.d")
    shutil.copy(CHECKOUT / "jobq.toml", story.repository)
    story.run("cat", "projects.d/vision.yaml")
    story.commit("Three projects")

    story.tell("Once per cluster, an admin installs the roles and says which cluster this is.")
    story.run("jobq", "bootstrap", "--apply", says="objects applied")

    story.tell("The plan: what it means for people first, then every object. Nothing is written yet.")
    story.run("jobq", "plan", says="to create")

    story.tell("Reconcile applies it. CI does this on every merge.")
    story.run("jobq", "reconcile", says="created")

    story.tell("Ann, of the vision group, has a client certificate and the project's role, nothing else.")
    story.run("jobq", "projects", "list", by=ANN, says="vision")
    story.run("jobq", "project", "select", "vision", by=ANN)

    story.tell("She submits a job: no queue, no namespace, no YAML. Kueue admits it, it runs, its output arrives.")
    output = story.run("jobq", "submit", "--follow", "--", "python3", "-c", TRAINING, by=ANN, says="step 5 of 5")
    _must(sum(line.startswith("step ") for line in output.splitlines()) == 5, "five lines of output")
    story.run("jobq", "list", by=ANN, says="Succeeded")

    story.tell("Bob is in the speech group: vision's jobs are none of his business.")
    story.run("jobq", "submit", "-p", "vision", "--", "python3", "-c", "1", by=BOB, ends=1, says="error:")

    story.run("kubectl", "auth", "can-i", "create", "jobs", "--namespace", "vision", by=BOB, ends=1, says="no")

    story.tell("Reconciling again: in sync, and not one write.")
    before = story.plane.mark()
    story.run("jobq", "reconcile", says="in sync")
    requests = [request for request in story.plane.requests(since=before) if "jobq/" in request.user_agent]
    writes = [request for request in requests if request.verb not in {"get", "list", "watch"}]
    _must(not writes, "no write in the audit log")
    say(f"  the audit log counts {len(requests)} requests, {len(writes)} of them writes")

    story.tell("A pause is one line in a file: speech holds its queue, and its people can still look and stop.")
    story.edit("projects.d/speech.yaml", "spec:\n", "spec:\n  active: false\n")
    story.commit("Pause speech")
    story.run("jobq", "reconcile", says="pauses project speech")
    story.run("jobq", "submit", "-p", "speech", "--", "python3", "-c", "1", by=BOB, ends=1, says="paused")

    story.tell("A removed file archives its project: access ends, namespace and data stay.")
    story.run("git", "rm", "--quiet", "projects.d/teaching.yaml")
    story.commit("Archive teaching")
    story.run("jobq", "reconcile", says="archives project teaching")

    story.tell("Removing everything by accident is refused; so is bringing an archived project back without approval.")
    story.run("git", "rm", "--quiet", "projects.d/vision.yaml", "projects.d/speech.yaml")
    story.commit("An accident")
    story.run("jobq", "reconcile", ends=4, says="no project file at all")
    story.run("git", "checkout", "--quiet", "HEAD~2", "--", "projects.d")
    story.commit("Undo it, and bring teaching back")
    output = story.run("jobq", "reconcile", ends=4, says="way out")
    digest = output.rpartition("--approved ")[2].split()[0]
    story.run("jobq", "reconcile", "--approved", digest, says="restores project teaching")


def _must(holds: bool, what: str) -> None:  # noqa: FBT001 - an assertion
    if not holds:
        raise Surprise(f"expected {what}")


if __name__ == "__main__":
    sys.exit(main())
