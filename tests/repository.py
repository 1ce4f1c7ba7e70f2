"""Real git repositories of projects, made where a test wants them."""

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from reconciler.model import Problem

_IDENTITY = ("-c", "user.name=Test", "-c", "user.email=test@example.org", "-c", "commit.gpgsign=false")


def scrubbed() -> dict[str, str]:
    """The environment without what a calling git, a user's kubeconfig or a user's git settings would say."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("GIT_", "KUBE", "JOBQ_"))}
    return kept | {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "NO_COLOR": "1"}


def project(name: str, **spec: object) -> str:
    """A project file; JSON inside, which is YAML too."""
    spec.setdefault("clusterQueue", "gpu-shared")
    return f"apiVersion: jobq.io/v1alpha1\nkind: Project\nmetadata:\n  name: {name}\nspec:\n" + "".join(
        f"  {word}: {json.dumps(value, ensure_ascii=False)}\n" for word, value in spec.items()
    )


@dataclass(frozen=True, slots=True)
class Repository:
    """A git repository with a work tree at ``root``."""

    root: Path

    @classmethod
    def new(cls, root: Path, *options: str) -> "Repository":
        """An empty one on branch main; ``options`` are those of `git init`."""
        root.mkdir(parents=True, exist_ok=True)
        made = cls(root)
        made.git("init", "--quiet", "--initial-branch=main", *options)
        return made

    def git(self, *words: str) -> str:
        """What git answers, without the last newline."""
        command = ["git", *_IDENTITY, "-C", str(self.root), *words]
        done = subprocess.run(command, check=True, capture_output=True, text=True, env=scrubbed())
        return done.stdout.removesuffix("\n")

    def write(self, files: Mapping[str, str | bytes]) -> None:
        """Path -> content, in the work tree."""
        for name, content in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())

    def commit(self, files: Mapping[str, str | bytes] | None = None) -> str:
        """Write these files, commit all that lies there, and give the commit's id."""
        self.write(files or {})
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", "change")
        return self.git("rev-parse", "HEAD")

    def declare(self, *projects: str, cluster: str = "demo", settings: str = "") -> str:
        """Commit exactly these project files, beside a jobq.toml; the commit's id."""
        folder = self.root / "projects.d"
        for path in folder.glob("*"):
            path.unlink()
        named = {f"projects.d/{text.split('name: ', 1)[1].split(chr(10), 1)[0]}.yaml": text for text in projects}
        return self.commit({"jobq.toml": f'cluster = "{cluster}"\n{settings}', **named})


def said(found: Sequence[Problem]) -> list[str]:
    """Each problem as ``line:column reason (hint)``."""
    return [f"{p.origin.line}:{p.origin.column} {p.reason}{f' ({p.hint})' if p.hint else ''}" for p in found]
