"""Hostile and odd strings as values of a project file: refused with a place, or text and nothing more."""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler import source
from reconciler.declare import declare
from reconciler.documents import writing, yaml
from reconciler.errors import DeclarationInvalid
from reconciler.model import Declaration, File, Manifest, Project, Settings, Snapshot
from reconciler.render import render
from tests.naughty import ALL_UNSEEN, ALL_VISIBLE
from tests.repository import Repository, scrubbed

TODAY = date(2027, 1, 31)
TOML = File(b'cluster = "demo"\n[labels."example.org/x"]\n[annotations."example.org/x"]\n', "5e771465")
HEAD = "apiVersion: jobq.io/v1alpha1\nkind: Project\nmetadata: {name: NAME}\nspec:\n  clusterQueue: gpu-shared\n"
TEMPLATES = source.templates(Snapshot("", {}), "project")
LINE, TEXT = "displayName", "description"


def escaped(text: str) -> str:
    """YAML in double quotes, with everything but plain ASCII behind an escape."""
    return '"' + "".join(c if c.isascii() and c.isalnum() else f"\\U{ord(c):08X}" for c in text) + '"'


def quoted(text: str) -> str:
    """YAML in double quotes, with the characters themselves where YAML lets them stand."""
    return json.dumps(text, ensure_ascii=False)


def single(text: str) -> str:
    """YAML in single quotes; a line break is doubled, as one alone is folded."""
    return "'" + text.replace("'", "''").replace("\n", "\n\n") + "'"


def block(text: str) -> str:
    """YAML as a literal block."""
    return "|2-\n" + "\n".join(f"    {line}" for line in text.split("\n"))


def plain(text: str) -> str:
    """No quotes at all."""
    return text


NOTATIONS: Mapping[str, Callable[[str], str]] = {f.__name__: f for f in (escaped, quoted, single, block, plain)}


def read(files: Mapping[str, str]) -> Declaration:
    """Project name -> text of its file. Lone surrogates are written as the bytes that they would be."""
    texts = {f"projects.d/{name}.yaml": text.encode("utf-8", "surrogatepass") for name, text in files.items()}
    return declare(Snapshot("c0ffee", {"jobq.toml": TOML} | {p: File(data, "b10b") for p, data in texts.items()}))


def with_value(written: str, field: str = TEXT, name: str = "NAME") -> str:
    return f"{HEAD.replace('NAME', name)}  {field}: {written}\n"


Verdict = DeclarationInvalid | tuple[Manifest, ...]


def judged(written: Sequence[str]) -> list[Verdict]:
    """What becomes of each file, which stands for itself: all that are accepted are rendered together."""
    verdicts: list[Verdict] = []
    projects: dict[str, Project] = {}
    for number, file in enumerate(written):
        name = f"p{number}"
        try:
            projects |= read({name: file.replace("NAME", name, 1)}).projects
            verdicts.append(())
        except DeclarationInvalid as invalid:
            verdicts.append(invalid)
    by_project: dict[str, list[Manifest]] = {}
    for manifest in render(Declaration("c0ffee", Settings(cluster="demo"), projects), TEMPLATES, TODAY):
        by_project.setdefault(manifest.project, []).append(manifest)
    return [tuple(by_project[f"p{n}"]) if verdict == () else verdict for n, verdict in enumerate(verdicts)]


def skeleton(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Everything of a manifest but its leaves."""
    match value:
        case dict():
            return {key: skeleton(inner) for key, inner in value.items()}
        case list():
            return [skeleton(inner) for inner in value]
        case _:
            return type(value).__name__


def shape(manifests: Sequence[Manifest]) -> list[tuple[str, str, object]]:
    """Kinds, names and keys, with the project's own name left out."""
    return [(m.ref.kind, m.ref.name.replace(m.project, "NAME"), skeleton(m.body)) for m in manifests]


def catalogue(manifests: Sequence[Manifest]) -> Manifest:
    [entry] = [manifest for manifest in manifests if manifest.ref.kind == "ConfigMap"]
    return entry


def usual(file: str) -> list[tuple[str, str, object]]:
    [verdict] = judged([file])
    assert isinstance(verdict, tuple)
    return shape(verdict)


PLAIN_SHAPE = {field: usual(with_value("plain", field)) for field in (TEXT, LINE)}


def check_inert(manifests: Sequence[Manifest], field: str, text: str) -> None:
    """The value is where it belongs, whole, survives writing and reading, and nothing else is different."""
    assert shape(manifests) == PLAIN_SHAPE[field]
    body = catalogue(manifests).body
    assert body["data"][field] == text
    again = yaml.read(writing.dump([body]).encode(), "written.yaml")
    assert (again.value, list(again.problems)) == (body, [])


def check_told(found: DeclarationInvalid, text: str) -> None:
    """Every problem has a place inside the file, and words that can be printed as they are."""
    lines = text.count("\n") + text.count("\r") + 1
    for problem in found.problems:
        assert problem.origin.path.startswith("projects.d/")
        assert 1 <= problem.origin.line <= lines or "more problems in this file" in problem.reason
        assert problem.reason.isprintable(), ascii(problem.reason)
        assert problem.hint.isprintable(), ascii(problem.hint)


def test_enough_of_them() -> None:
    """The families are many and big, and what is visible is never called unseen."""
    assert len({*ALL_VISIBLE, *ALL_UNSEEN}) >= 460
    assert not set(ALL_VISIBLE) & set(ALL_UNSEEN)


@pytest.mark.parametrize("notation", ["escaped", "quoted"])
@pytest.mark.parametrize("field", [TEXT, LINE])
def test_visible_text_is_a_value(notation: str, field: str) -> None:
    """Quoted text arrives byte-equal in the catalogue, whatever it looks like, and changes no manifest's shape."""
    written = [with_value(NOTATIONS[notation](text), field) for text in ALL_VISIBLE]
    for text, file, verdict in zip(ALL_VISIBLE, written, judged(written), strict=True):
        if field == LINE and (len(text) > 256 or "\n" in text):
            assert isinstance(verdict, DeclarationInvalid)
            check_told(verdict, file)
        else:
            assert isinstance(verdict, tuple), (text, verdict)
            check_inert(verdict, field, text)


def test_a_block_keeps_its_lines() -> None:
    """A literal block arrives as it stands, but for empty lines at its ends."""
    texts = [text for text in ALL_VISIBLE if text.strip("\n") == text and text.strip()]
    for text, verdict in zip(texts, judged([with_value(block(text)) for text in texts]), strict=True):
        assert isinstance(verdict, tuple), (text, verdict)
        check_inert(verdict, TEXT, text)


@pytest.mark.parametrize("notation", ["escaped", "quoted", "single", "block"])
@pytest.mark.parametrize("field", [TEXT, LINE])
def test_what_nobody_sees_is_refused(notation: str, field: str) -> None:
    """A hidden character is a problem with its place, written as itself or behind an escape."""
    written = [with_value(NOTATIONS[notation](text), field) for text in ALL_UNSEEN]
    written = [file for file in written if "\r\n" not in file]  # there it is the end of a line
    for file, verdict in zip(written, judged(written), strict=True):
        assert isinstance(verdict, DeclarationInvalid), ascii(file)
        check_told(verdict, file)


@pytest.mark.parametrize("notation", ["single", "block", "plain"])
@pytest.mark.parametrize("field", [TEXT, LINE])
def test_refused_or_inert(notation: str, field: str) -> None:
    """However a string is written into a file, it is refused with a place, or what was read of it is inert."""
    texts = [*ALL_VISIBLE, *ALL_UNSEEN]
    if notation == "plain":  # more lines are more of the file, and the file may say what it likes
        texts = [text for text in texts if not re.search("[\r\n]", text)]
    written = [with_value(NOTATIONS[notation](text), field) for text in texts]
    for file, verdict in zip(written, judged(written), strict=True):
        if isinstance(verdict, DeclarationInvalid):
            check_told(verdict, file)
        else:
            check_inert(verdict, field, catalogue(verdict).body["data"][field])


ELSEWHERE: Mapping[str, Callable[[str], str]] = {
    "a tag": lambda written: f"  tags: [{written}]\n",
    "a variable": lambda written: f"  defaults: {{env: {{A: {written}}}}}\n",
    "an image": lambda written: f"  defaults: {{image: {written}}}\n",
    "a folder": lambda written: f"  defaults: {{workdir: {written}}}\n",
    "a volume": lambda written: f"  defaults: {{volumes: [{written}]}}\n",
    "a user": lambda written: f"  members: [{{user: {written}, role: viewer}}]\n",
    "a group": lambda written: f"  members: [{{group: {written}, role: viewer}}]\n",
    "a label": lambda written: f"  labels: {{example.org/x: {written}}}\n",
    "an annotation": lambda written: f"  annotations: {{example.org/x: {written}}}\n",
    "a storage class": lambda written: (
        f"  storage: [{{name: x, size: 1Gi, access: ReadWriteOnce, class: {written}}}]\n"
    ),
    "a network": lambda written: f"  network: {{from: [{written}]}}\n",
    "a priority": lambda written: f"  priorities: [{written}]\n",
}
GOOD = {"a folder": "/plain", "a volume": "plain:/plain", "a network": "p0"}


@pytest.mark.parametrize("place", ELSEWHERE)
def test_everywhere_else(place: str) -> None:
    """In every other field of text, too, a string is refused with a place or changes nothing but leaves."""
    as_usual = usual(HEAD + ELSEWHERE[place](escaped(GOOD.get(place, "plain"))))
    texts = (*ALL_VISIBLE, *ALL_UNSEEN)
    written = [HEAD + ELSEWHERE[place](escaped(text)) for text in texts]
    for text, file, verdict in zip(texts, written, judged(written), strict=True):
        if isinstance(verdict, DeclarationInvalid):
            check_told(verdict, file)
        else:
            assert text in ALL_VISIBLE
            assert shape(verdict) == as_usual


def test_as_a_key() -> None:
    """As the name of a field, every string is refused at its place: none is taken for a field that exists."""
    texts = (*ALL_VISIBLE, *ALL_UNSEEN)
    written = [f"{HEAD}  {escaped(text)}: x\n" for text in texts]
    for text, file, verdict in zip(texts, written, judged(written), strict=True):
        assert isinstance(verdict, DeclarationInvalid), ascii(text)
        check_told(verdict, file)
        assert {problem.origin.line for problem in verdict.problems} == {6}


def test_as_a_setting() -> None:
    """In jobq.toml a hidden character is a problem with its place; other text is judged as text."""
    for text in (*ALL_VISIBLE, *ALL_UNSEEN):
        toml = f'cluster = "demo"\nexpectedBindings = [{escaped(text)}]\n'.encode()
        snapshot = Snapshot("c", {"jobq.toml": File(toml, "b")})
        if text in ALL_VISIBLE:
            assert declare(snapshot).settings.expected_bindings == (text,)
            continue
        with pytest.raises(DeclarationInvalid, match="1 problem") as invalid:
            declare(snapshot)
        assert str(invalid.value.problems[0].origin).startswith("jobq.toml:2:")


# ------------------------------------------------------------------------------------------------ the command


def jobq(*words: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    command = [str(Path(sys.executable).with_name("jobq")), *words]
    return subprocess.run(command, cwd=folder, env=scrubbed(), capture_output=True, text=True, check=False, timeout=120)


def files(texts: Iterator[str]) -> dict[str, str | bytes]:
    named = ((f"p{number}", text) for number, text in enumerate(texts))
    return {
        f"projects.d/{name}.yaml": with_value(escaped(text), name=name).encode("utf-8", "surrogatepass")
        for name, text in named
    }


def test_validate_takes_them_all(repository: Repository) -> None:
    """A repository with every visible string in a project of its own has no problems."""
    repository.commit({"jobq.toml": 'cluster = "demo"\n', **files(iter(ALL_VISIBLE))})
    done = jobq("validate", folder=repository.root)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{len(ALL_VISIBLE)} projects, no problems\n"


def test_validate_refuses_them_all(repository: Repository) -> None:
    """A repository with every hidden string in a project of its own has a problem in each file, and no traceback."""
    repository.commit({"jobq.toml": 'cluster = "demo"\n', **files(iter(ALL_UNSEEN))})
    done = jobq("validate", folder=repository.root)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    told = set(re.findall(r"projects\.d/p\d+\.yaml:6:\d+", done.stdout + done.stderr))
    assert len({place.split(":")[0] for place in told}) == len(ALL_UNSEEN)
    assert all(line.isprintable() for line in (done.stdout + done.stderr).splitlines())


# ------------------------------------------------------------------------------------------------ laws


ANY_TEXT = st.text(st.characters(codec="utf-8"), max_size=200) | st.text(
    "\ue000\ue001\ue002019{}%\"'\\ \n:#-&*!|>\u200d\ufeff\u2028", max_size=40
)


@settings(max_examples=50)
@given(st.lists(ANY_TEXT, min_size=1, max_size=10), st.sampled_from(["escaped", "quoted", "single", "block"]))
def test_no_value_changes_a_shape(texts: list[str], notation: str) -> None:
    """Any text whatever, in any notation, is refused with a place or inert."""
    written = [with_value(NOTATIONS[notation](text)) for text in texts]
    for text, file, verdict in zip(texts, written, judged(written), strict=True):
        if isinstance(verdict, DeclarationInvalid):
            check_told(verdict, file)
            continue
        value = catalogue(verdict).body["data"][TEXT]
        assert notation not in {"escaped", "quoted"} or value == text
        check_inert(verdict, TEXT, value)


@settings(max_examples=20)
@given(st.permutations("abcd"), st.lists(st.sampled_from(ALL_VISIBLE), min_size=4, max_size=4))
def test_the_order_of_files_means_nothing(order: list[str], texts: list[str]) -> None:
    """One declaration on one day renders to the same bytes, in whatever order its files were read."""
    written = {name: with_value(escaped(text), name=name) for name, text in zip("abcd", texts, strict=True)}
    first = render(read(written), TEMPLATES, TODAY)
    second = render(read({name: written[name] for name in order}), TEMPLATES, TODAY)
    assert second == first
    assert [list(m.body) for m in second] == [list(m.body) for m in first]
