"""Projects as people choose them: read from a checkout where no cluster is, and what is said of those one can't use."""

import json
import sys
from pathlib import Path

import pytest

from tests.controlplane.plane import Plane
from tests.golden import same_as_kept
from tests.repository import Repository, project
from tests.stage import Stage, raise_project
from tests.terminal import on_terminal
from tests.test_cli import jobq, stranger


def test_checkout_without_a_cluster(repository: Repository) -> None:
    """The projects that the work tree declares, committed or not, from any folder of it."""
    repository.declare(project("vision"), project("speech", active=False))
    below = repository.root / "projects.d"
    run = jobq("project", "list", cwd=below)
    assert run.code == 0, run.err
    assert "declared here, in projects.d/" in run.err
    same_as_kept("projects/checkout.txt", run.out)
    listed = jobq("project", "list", "-o", "json", cwd=below).json["projects"]
    assert [one["role"] for one in listed] == [None, None]


def test_neither_cluster_nor_checkout(tmp_path: Path, repository: Repository) -> None:
    """Then the missing cluster is what is said; and a cluster that is named wrongly is never passed over."""
    for where in (tmp_path, repository.root):
        assert "no cluster is configured" in jobq("project", "list", cwd=where).err
    repository.declare(project("vision"))
    run = jobq("project", "list", "--kubeconfig", "/nowhere", cwd=repository.root)
    assert (run.code, run.out) == (1, "")


@pytest.fixture(scope="module")
def stage(plane: Plane, tmp_path_factory: pytest.TempPathFactory) -> Stage:
    return raise_project(plane, tmp_path_factory.mktemp("home"))


def test_project_of_others(plane: Plane, stage: Stage) -> None:
    """Who doesn't belong to a project is told so, and whom to ask: one error, not the server's words too."""
    lee = [{"user": "lee@example.org", "role": "maintainer"}]
    foreign = raise_project(plane, stage.home, members=lee)
    for words in (["list"], ["logs", "x"], ["stop", "x"]):
        run = stage.jobq(*words, "-p", foreign.project)
        assert (run.code, run.err.splitlines()) == (
            1,
            [
                f"error: you (kim@example.org) don't belong to project '{foreign.project}'",
                "hint: ask one of its maintainers: lee@example.org",
            ],
        )


def test_nothing_selected(plane: Plane, tmp_path: Path) -> None:
    """The ways to say one, and the names that there are to say."""
    person = stranger()
    members = [{"user": person, "role": "researcher"}]
    names = sorted(raise_project(plane, tmp_path, members=members).project for _ in range(2))
    one = Stage(plane, names[0], tmp_path)
    run = one.jobq("list", user=person, JOBQ_PROJECT="")
    assert (run.code, f"yours are {', '.join(names)}" in run.err) == (2, True)
    nobody = one.jobq("list", user=stranger(), JOBQ_PROJECT="")
    assert (nobody.code, "belong to none" in nobody.err) == (2, True)


def test_menu(plane: Plane, tmp_path: Path) -> None:
    """Names with what they are called, the paused one marked; the archived one isn't offered; Ctrl-D ends it."""
    person = stranger()
    members = [{"user": person, "role": "viewer"}]
    paused = raise_project(plane, tmp_path, members=members, displayName="Sea", state="paused")
    raise_project(plane, tmp_path, members=members, state="archived", archivedOn="2026-10-01")
    command = [sys.executable, "-m", "cli.main", "project", "select"]
    environ = {**paused.environment(person), "JOBQ_PROJECT": "", "XDG_CONFIG_HOME": str(tmp_path / "config")}
    text, code = on_terminal(command, f"{paused.project}\n", cwd=tmp_path, environ=environ)
    assert code == 0
    assert f"  1  {paused.project}  Sea (paused)\n" in text
    assert "  2  " not in text
    assert "jobs wait there until it is active again" in text
    assert json.loads((tmp_path / "config" / "jobq" / "projects.json").read_text()) == {plane.server: paused.project}
    text, code = on_terminal(command, "\x04", cwd=tmp_path, environ=environ)
    assert (code, "Traceback" in text) == (130, False), text


def test_help_of_the_group() -> None:
    same_as_kept("projects/help.txt", jobq("project", "--help", COLUMNS="80").out)
    same_as_kept("projects/select-help.txt", jobq("project", "select", "--help", COLUMNS="80").out)


def test_archived_project(plane: Plane, stage: Stage) -> None:
    """Its jobs can be listed; that it has none is no wonder."""
    archived = raise_project(plane, stage.home, state="archived", archivedOn="2026-10-01")
    run = stage.jobq("list", "-p", archived.project)
    assert (run.code, run.err) == (0, f"no jobs in {archived.project} (archived since 2026-10-01)\n")
