"""What a script says of itself: inline script metadata (https://packaging.python.org/specifications/inline-script-metadata/)."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reconciler.declaring.forms import JobFile
from reconciler.declaring.problems import validated
from reconciler.documents import toml
from reconciler.documents.document import Document, Path
from reconciler.model import JobOptions, Origin, Problem

_BLOCK = re.compile(r"(?m)^# /// (?P<type>[a-zA-Z0-9-]+)$\s(?P<content>(?:^#(?:| .*)$\s)+)^# ///$")
_OPEN = re.compile(r"(?m)^# /// script[ \t]*$")
_REQUIREMENT = re.compile(r"[A-Za-z0-9][^\n]*")
"""Not an option of pip, nor a path: PEP 508 wants a name first."""


@dataclass(frozen=True, slots=True)
class Metadata:
    """Options for the job, and what the script depends on; None where it doesn't say."""

    options: JobOptions
    dependencies: Sequence[str] | None


def read_metadata(text: str, path: str) -> tuple[Metadata, Sequence[Problem]]:
    """A script's metadata, and what is wrong with it at its lines. ``text`` has newlines alone at line ends."""
    blocks = [found for found in _BLOCK.finditer(text) if found["type"] == "script"]
    nothing = Metadata(JobOptions(), None)
    if not blocks:
        return nothing, _unclosed(text, path)
    if len(blocks) > 1:
        place = Origin(path, _line(text, blocks[1].start()), 1)
        return nothing, [Problem(place, "a second block `# /// script`", "one script has one")]
    block = blocks[0]
    document = toml.read(_toml(text, block).encode(), path)
    problems = [*document.problems]
    if problems or not isinstance(document.value, dict):
        return nothing, problems
    dependencies = _dependencies(document, problems)
    options = _options(document, problems)
    return Metadata(options, dependencies), problems


def _toml(text: str, block: re.Match[str]) -> str:
    """The block's TOML on the lines where it stands in the script."""
    lines = [line.removeprefix("#").removeprefix(" ") for line in block["content"].splitlines()]
    return "\n" * _line(text, block.start()) + "\n".join(lines) + "\n"


def _unclosed(text: str, path: str) -> Sequence[Problem]:
    """A block that begins and isn't one says nothing to anybody: surely not what was meant."""
    found = _OPEN.search(text)
    if found is None:
        return ()
    hint = "each of its lines begins with `# `, and the last one is `# ///`"
    return [Problem(Origin(path, _line(text, found.start()), 1), "the block `# /// script` isn't closed", hint)]


def _line(text: str, at: int) -> int:
    return text.count("\n", 0, at) + 1


def _dependencies(document: Document, problems: list[Problem]) -> Sequence[str] | None:
    said = document.value.get("dependencies")
    if said is None:
        return None
    if not isinstance(said, list):
        problems.append(Problem(document.place(("dependencies",)), "dependencies is not a list", 'write ["numpy"]'))
        return None
    for at, one in enumerate(said):
        if not (isinstance(one, str) and _REQUIREMENT.fullmatch(one)):
            place = document.place(("dependencies", at))
            problems.append(Problem(place, "this is no dependency", 'write a name and versions: "numpy>=2"'))
    return [str(one) for one in said]


def _options(document: Document, problems: list[Problem]) -> JobOptions:
    table = _below(document, ("tool", "jobq"))
    form = validated(JobFile, table, problems) if table.value is not None else None
    if form is None:
        return JobOptions()
    words = form.model_dump(by_alias=False)
    renamed = {"imagePullSecrets": "image_pull_secrets", "gpuResource": "gpu_resource"}
    return JobOptions(**{renamed.get(word, word): value for word, value in words.items()})


def _below(document: Document, path: Path) -> Document:
    """A part of a document as one of its own; its value is None where there is none."""
    value: Any = document.value
    for step in path:
        value = value.get(step) if isinstance(value, dict) else None
    return Document(value, _cut(document.places, path), _cut(document.keys, path))


def _cut(places: Mapping[Path, Origin], path: Path) -> dict[Path, Origin]:
    size = len(path)
    return {at[size:]: origin for at, origin in places.items() if at[:size] == path}
