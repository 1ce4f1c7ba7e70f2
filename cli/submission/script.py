"""A script of the caller's machine that becomes a job: what runs it, and what is shipped for it.

Its files lie in a ConfigMap that its Job owns. Other kinds of scripts get their own way of running here.
"""

import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cli.submission.mounts import SHIPPED
from reconciler.errors import UsageError
from reconciler.model import JobOptions

if TYPE_CHECKING:
    from reconciler.declaring.metadata import Metadata
    from reconciler.model import Problem

MOST_BYTES = 2**20
"""What a ConfigMap holds: https://kubernetes.io/docs/concepts/configuration/configmap/."""
REQUIREMENTS = "requirements.txt"

_SHELLS = {".sh": "/bin/sh", ".bash": "bash"}
_PYTHON = """\
if command -v python3 >/dev/null 2>&1; then exec python3 "$@"; fi
if command -v python >/dev/null 2>&1; then exec python "$@"; fi
echo 'jobq: this image has neither python3 nor python: choose one that has, with --image' >&2
exit 127
"""
_WITH_DEPENDENCIES = """\
if command -v uv >/dev/null 2>&1; then
  [ -w "${HOME:-/nowhere}" ] || export UV_CACHE_DIR="${UV_CACHE_DIR:-$(mktemp -d)}"
  exec uv run --script "$@"
fi
for jobq_python in python3 python; do
  if "$jobq_python" -c 'import ensurepip, venv' >/dev/null 2>&1; then
    jobq_room=$(mktemp -d) &&
    "$jobq_python" -m venv "$jobq_room" &&
    "$jobq_room/bin/python" -m pip --quiet --disable-pip-version-check --no-cache-dir install -r REQUIREMENTS >&2 ||
      exit
    exec "$jobq_room/bin/python" "$@"
  fi
done
echo 'jobq: the script has dependencies, and this image has neither uv nor a Python with venv and pip:' \\
  'choose one that has, with --image' >&2
exit 127
""".replace("REQUIREMENTS", f"{SHIPPED}/{REQUIREMENTS}")


@dataclass(frozen=True, slots=True)
class Work:
    """What a job runs: the words that the process gets, those that people are shown, and files by name."""

    command: Sequence[str]
    shown: Sequence[str]
    files: Mapping[str, bytes] = field(default_factory=dict)
    options: JobOptions = field(default_factory=JobOptions)
    """What the script itself asks for."""
    notices: Sequence[str] = ()


def command(words: Sequence[str]) -> Work:
    """A command of the image."""
    return Work(tuple(words), tuple(words), notices=_quoted_whole(words))


def _quoted_whole(words: Sequence[str]) -> Sequence[str]:
    """``-- "python train.py"`` is the name of one program."""
    if len(words) > 1 or len(words[0].split()) < 2:  # noqa: PLR2004 - a blank in between
        return ()
    return ["it is one word, and so the name of one program: leave its quotes out, or use sh -c"]


def script(path: str, data: bytes, arguments: Sequence[str]) -> Work:
    """A local script with its arguments. Raises: UsageError: too large, no known interpreter, wrong metadata."""
    name = _file_name(path)
    _refuse_slurm(data, path)
    text, notices = _repaired(data, path)
    metadata = _metadata(text, path)
    dependencies = metadata.dependencies if metadata else None
    files = {name: text}
    if dependencies:
        files[REQUIREMENTS] = "\n".join([*dependencies, ""]).encode()
    size = sum(map(len, files.values()))
    if size > MOST_BYTES:
        raise UsageError(
            f"{path} has {size} bytes, and {MOST_BYTES} can be shipped",
            hint="put it into the image or on a volume, and name it after --",
        )
    runner = _runner(name, text, path, dependencies)
    where = f"{SHIPPED}/{name}"
    options = metadata.options if metadata else JobOptions()
    return Work((*runner, where, *arguments), (path, *arguments), files, options, notices)


def _file_name(path: str) -> str:
    """The file's own name, where a volume can have it."""
    name = posixpath.basename(path)
    return name if not name.startswith("..") and name.isprintable() else f"script{_suffix(name)}"


def _suffix(path: str) -> str:
    return posixpath.splitext(path)[1]


def _refuse_slurm(data: bytes, path: str) -> None:
    """Sent as it is, it would run without all that its directives ask for."""
    if data.startswith(b"#SBATCH") or b"\n#SBATCH" in data:
        raise UsageError(
            f"{path} has #SBATCH lines, which jobq can't read yet",
            hint="say what they ask for as options, and take them out of the script",
        )


def _repaired(data: bytes, path: str) -> tuple[bytes, Sequence[str]]:
    r"""Without Windows line ends, where they would break it: the kernel looks for an interpreter ``python3\r``."""
    breaks = data.startswith(b"#!") or _suffix(path) in _SHELLS
    if not (breaks and b"\r\n" in data):
        return data, ()
    return data.replace(b"\r\n", b"\n"), ["its Windows line ends are shipped as plain ones"]


def _metadata(data: bytes, path: str) -> "Metadata | None":
    if b"# /// script" not in data:
        return None
    from reconciler.declaring.metadata import read_metadata  # noqa: PLC0415 - pydantic, which few scripts need

    try:
        text = data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError:
        raise UsageError(f"{path}: not UTF-8, and so no script with metadata") from None
    found, problems = read_metadata(text, path)
    if problems:
        raise _wrong(problems, path)
    return found


def _wrong(problems: "Sequence[Problem]", path: str) -> UsageError:
    """All of them at once."""
    if len(problems) > 1:
        from reconciler.report import problems_text  # noqa: PLC0415 - as above

        in_order = sorted(problems, key=lambda problem: (problem.origin.line, problem.origin.column))
        return UsageError(f"{path} has {len(problems)} problems in its metadata\n{problems_text(in_order)}")
    return UsageError(f"{problems[0].origin}: {problems[0].reason}", hint=problems[0].hint)


def _is_python(data: bytes) -> bool:
    first = data.partition(b"\n")[0]
    return first.startswith(b"#!") and (b"python" in first or b"uv" in first)


def _runner(name: str, data: bytes, path: str, dependencies: Sequence[str] | None) -> Sequence[str]:
    """The words before the script's own path."""
    suffix = _suffix(name)
    if dependencies:
        if suffix != ".py" and not _is_python(data):
            raise UsageError(f"{path} has dependencies, and is no Python script", hint="name it .py")
        return ("/bin/sh", "-c", _WITH_DEPENDENCIES, "sh")
    if data.startswith(b"#!"):
        return ()
    if suffix == ".py":
        return ("/bin/sh", "-c", _PYTHON, "sh")
    if suffix in _SHELLS:
        return (_SHELLS[suffix],)
    raise UsageError(
        f"{path} doesn't say what runs it",
        hint="begin it with a line such as #!/usr/bin/env python3, or name it .py or .sh",
    )
