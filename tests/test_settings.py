"""Which project commands act on, and where that is said."""

import json
from pathlib import Path

import pytest

from cli import settings
from cli.settings import Choice
from reconciler.errors import UsageError

SERVER = "https://cluster.example.org:6443"


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "user_config_path", lambda name: tmp_path / "config" / name)


def chosen(
    folder: Path, *, flag: str = "", environ: dict[str, str] | None = None, server: str = SERVER
) -> list[Choice]:
    return list(settings.choices(flag, environ=environ or {}, folder=folder, server=server))


def test_nothing_said(tmp_path: Path) -> None:
    assert chosen(tmp_path) == []


def test_order_and_origins(tmp_path: Path) -> None:
    """Flag before environment before directory before the user's own choice, and each says where it stands."""
    settings.write_user_choice(SERVER, "user")
    path = settings.write_directory_choice(tmp_path, "folder")
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    found = chosen(below, flag="flag", environ={"JOBQ_PROJECT": "environ"})
    assert [choice.name for choice in found] == ["flag", "environ", "folder", "user"]
    origins = [choice.origin for choice in found]
    assert origins == ["--project", "JOBQ_PROJECT", str(path), f"`jobq project select` for {SERVER}"]


def test_nearest_directory_alone(tmp_path: Path) -> None:
    """Like .python-version: the nearest file says it."""
    below = tmp_path / "below"
    below.mkdir()
    settings.write_directory_choice(tmp_path, "above")
    settings.write_directory_choice(below, "near")
    assert [choice.name for choice in chosen(below)] == ["near"]


def test_choice_is_per_cluster(tmp_path: Path) -> None:
    """What is selected on one cluster says nothing on another, nor where there is none."""
    settings.write_user_choice(SERVER, "vision")
    settings.write_user_choice("https://other", "speech")
    assert [choice.name for choice in chosen(tmp_path)] == ["vision"]
    assert [choice.name for choice in chosen(tmp_path, server="https://other")] == ["speech"]
    assert chosen(tmp_path, server="") == []
    assert json.loads(settings.user_file().read_text()) == {SERVER: "vision", "https://other": "speech"}


def test_empty_variable_is_unset(tmp_path: Path) -> None:
    assert chosen(tmp_path, environ={"JOBQ_PROJECT": ""}) == []


@pytest.mark.parametrize(
    ("text", "name"), [("vision\n", "vision"), ("\ufeff# ours\r\n\r\n  vision  \r\n", "vision"), ("vision", "vision")]
)
def test_directory_file_as_people_write_it(tmp_path: Path, text: str, name: str) -> None:
    (tmp_path / ".jobq-project").write_bytes(text.encode())
    assert [choice.name for choice in chosen(tmp_path)] == [name]


@pytest.mark.parametrize("content", [b"", b"a\nb\n", b"Vision\n", b"vision/../x", b"\xff", b"-x", b"a" * 64])
def test_wrong_directory_file(tmp_path: Path, content: bytes) -> None:
    """A file that names no project is an error that names the file, never "nothing selected"."""
    (tmp_path / ".jobq-project").write_bytes(content)
    with pytest.raises(UsageError, match=r"\.jobq-project"):
        chosen(tmp_path)


@pytest.mark.parametrize("content", ["{", "[]", '{"a": 1}'])
def test_wrong_user_file(tmp_path: Path, content: str) -> None:
    settings.user_file().parent.mkdir(parents=True)
    settings.user_file().write_text(content)
    with pytest.raises(UsageError, match=r"projects\.json"):
        chosen(tmp_path)
