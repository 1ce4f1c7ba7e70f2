"""The command line as people use it: members with a client certificate and a RoleBinding, jobs that really run."""

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from cli import main
from cli.job import sending
from cli.main import COMMANDS, Entry, Table
from reconciler.cluster import Body, Cluster, Resource
from reconciler.errors import ClusterError, Rejected, Unreachable
from reconciler.kinds import JOB, WORKLOAD
from tests.controlplane.plane import ROOT, Plane
from tests.run import PATIENCE_SECONDS, Run
from tests.stage import KIM, Stage, raise_project, raise_queue, real_node
from tests.terminal import on_terminal
from tests.world import eventually

DEFAULTS = json.dumps({"image": "example.org/train:1", "cpu": "1", "memory": "64Mi", "env": {"PRICE": "5$$"}})
HEAVY = ("kubernetes", "pydantic", "git", "deepdiff", "rich")


def jobq(*words: str, cwd: Path | None = None, **environ: str) -> Run:
    """Run a command that has no cluster."""
    clean = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "cli.main", *words]
    done = subprocess.run(command, cwd=cwd, env=clean | environ, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr
    return Run(done.returncode, done.stdout, done.stderr)


# ------------------------------------------------------------------------------------------------ without a cluster


def entries(table: Table, path: str = "") -> Iterator[tuple[str, Entry]]:
    for name, entry in table.entries.items():
        if entry.group:
            yield from entries(entry.group, f"{path}{name} ")
        else:
            yield f"{path}{name}", entry


@pytest.mark.parametrize(("path", "entry"), list(entries(COMMANDS)))
def test_every_command_loads(path: str, entry: Entry) -> None:
    """The table is strings: each must lead to a command, and its help has an example."""
    command = main.load(path.rsplit(maxsplit=1)[-1], entry)
    assert command.callback
    assert command.help
    assert command.epilog
    assert f"jobq {path}" in command.epilog.replace("projects", "project")


def test_help_and_version() -> None:
    """Researchers' commands first, administrators' apart."""
    run = jobq("--help")
    assert run.code == 0
    assert run.out.index("For researchers:") < run.out.index("submit") < run.out.index("For administrators:")
    assert jobq("--version").out.startswith("jobq ")
    assert jobq("projects", "--help").out == jobq("project", "--help").out.replace("jobq project", "jobq projects")


@pytest.mark.parametrize("words", [["--version"], ["project", "current"]])
def test_quick_commands_import_nothing_heavy(words: list[str]) -> None:
    script = (
        "import sys; sys.argv[1:] = %r\nfrom cli.main import main\n"
        "try: main()\nexcept SystemExit as end: code = end.code\n"
        "print(code, [name for name in %r if name in sys.modules], file=sys.stderr)"
    )
    environ = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "JOBQ_PROJECT": "vision",
        "HOME": "/nonexistent",
        "KUBECONFIG": "/no",
    }
    done = subprocess.run(
        [sys.executable, "-c", script % (words, HEAVY)], env=environ, capture_output=True, text=True, check=True
    )
    assert done.stderr.splitlines()[-1] == "0 []"


def test_completion_imports_no_command() -> None:
    script = (
        "import sys\nfrom cli.main import main\n"
        "try: main()\nexcept SystemExit: pass\nprint(*sys.modules, file=sys.stderr)"
    )
    environ = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "_JOBQ_COMPLETE": "complete_bash",
        "COMP_WORDS": "jobq su",
        "COMP_CWORD": "1",
    }
    done = subprocess.run([sys.executable, "-c", script], env=environ, capture_output=True, text=True, check=True)
    assert "submit" in done.stdout.split()
    assert not {"cli.job.submit", *HEAVY} & set(done.stderr.split())


WRONG = [
    (["subit"], 2, "there is no command 'subit'", "did you mean `jobq submit`?"),
    (["scancel", "x"], 2, "there is no command 'scancel'", "did you mean `jobq stop`?"),
    (["project", "use"], 2, "there is no command 'use'", "did you mean `jobq project select`?"),
    (["project", "lst"], 2, "there is no command 'lst'", "did you mean `jobq project list`?"),
    (["list", "--foo"], 2, "no such option: --foo", "`jobq list --help`"),
    (["submit", "--cpus", "2", "--", "x"], 2, "no such option: --cpus", "did you mean --cpu?"),
    (["submit", "--mem", "8Gi", "--", "x"], 2, "no such option: --mem", "did you mean --memory?"),
    (["list", "-o", "xml"], 2, "'xml' is not one of", "`jobq list --help`"),
    (["logs"], 2, "missing argument 'JOB'", "`jobq logs --help`"),
    (["submit"], 2, "no command to run", "-- python train.py"),
    (["submit", "--"], 2, "nothing stands after --", "-- python train.py"),
    (["submit", "train.py", "--lr", "a b"], 2, "there is no file 'train.py' here", "-- train.py --lr 'a b'"),
    (["submit", "x" * 5000], 2, "stands where options do", "goes after --"),
    (["submit", "python", "x"], 2, "'python' stands where options do", "-- python x"),
    (["submit", "train.py", "--dry-run", "--", "x"], 2, "there is no file", "-- train.py --dry-run -- x"),
    (["submit", "--name", "--", "python"], 2, "--name has no value", ""),
    (["submit", "-e", "--", "python"], 2, "'--' has no '='", ""),
    (["submit", "-g", "0.5", "--", "x"], 2, "--gpus: '0.5'", "write 1"),
    (["submit", "-c", "-4", "--", "x"], 2, "--cpu: '-4'", "2, 500m"),
    (["wait", "--timeout", "90", "x"], 2, "--timeout: '90' could be", "90m or 90s"),
    (["list"], 1, "no cluster is configured", "--kubeconfig"),
    (["list", "--kubeconfig", "/nowhere"], 1, "no kubeconfig file /nowhere", ""),
    (["project", "current"], 2, "no project is selected", "JOBQ_PROJECT"),
    (["project", "current", "-p", "Vision"], 2, "'Vision' (from --project) is no project's name", "a-z"),
    (["delete", "--all", "-y", "-p", ""], 2, "--project is empty", "leave it out"),
]


@pytest.mark.parametrize(("words", "code", "message", "hint"), WRONG)
def test_wrong_words(words: list[str], code: int, message: str, hint: str, tmp_path: Path) -> None:
    """One sentence and a hint on stderr, nothing on stdout, and the exit code of its kind."""
    run = jobq(*words, cwd=tmp_path)
    assert (run.code, run.out) == (code, "")
    assert run.err.startswith("error: ")
    assert message in run.err.splitlines()[0]
    assert hint in run.err


def test_mistyped_script(tmp_path: Path) -> None:
    """The nearest file of that folder is named; what looks like a path is no word of the image."""
    (tmp_path / "my train.py").touch()
    run = jobq("submit", "./my trian.py", cwd=tmp_path)
    assert (run.code, "no file './my trian.py'" in run.err, "did you mean 'my train.py'?" in run.err) == (2, True, True)
    assert "no file 'bin/run' here" in jobq("submit", "bin/run", cwd=tmp_path).err


def test_traceback_only_with_debug(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "cli.main", "list", "--debug"]
    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert "Traceback" in done.stderr
    assert done.returncode == 1


# ------------------------------------------------------------------------------------------------ projects


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def stage(plane: Plane, home: Path) -> Stage:
    """A project in which jobs only pretend."""
    members = [{"user": KIM, "role": "researcher"}, {"group": "oidc:guests", "role": "viewer"}]
    past = {"user": "old@example.org", "role": "researcher", "expires": "2020-01-01"}
    return raise_project(
        plane, home, members=[*members, past], defaults=DEFAULTS, tags='["eu-grant"]', displayName="Ours"
    )


def test_projects_list(stage: Stage) -> None:
    """Every project with the caller's role; the JSON has the documented keys."""
    rows = [line.split() for line in stage.jobq("projects", "list", "--tag", "eu-grant").out.splitlines()]
    assert rows[0] == ["PROJECT", "NAME", "QUEUE", "STATE", "ROLE", "TAGS"]
    assert [stage.project, "Ours", "fake-shared", "active", "researcher", "eu-grant"] in rows
    listed = stage.jobq("project", "list", "-o", "json", "--mine", user="lee@example.org", groups=["oidc:guests"]).json
    mine = next(one for one in listed["projects"] if one["project"] == stage.project)
    assert mine == {
        "project": stage.project,
        "displayName": "Ours",
        "description": "",
        "namespace": stage.project,
        "queue": "main",
        "clusterQueue": "fake-shared",
        "state": "active",
        "role": "viewer",
        "tags": ["eu-grant"],
    }


def test_expired_member_has_no_role(stage: Stage) -> None:
    listed = stage.jobq("project", "list", "-o", "json", user="old@example.org").json
    assert next(one["role"] for one in listed["projects"] if one["project"] == stage.project) is None


def test_select_and_current(stage: Stage, tmp_path: Path) -> None:
    """Selecting writes the user's file for this cluster; --here writes the directory's, which comes first."""
    mine = Stage(stage.plane, stage.project, tmp_path)
    unset = {"JOBQ_PROJECT": ""}
    assert mine.jobq("project", "select", stage.project, **unset).code == 0
    assert mine.jobq("project", "current", **unset).out == f"{stage.project}\n"
    other = raise_project(stage.plane, tmp_path)
    assert mine.jobq("project", "select", other.project, "--here", **unset).code == 0
    assert (tmp_path / ".jobq-project").read_text() == f"{other.project}\n"
    run = mine.jobq("project", "current", **unset)
    assert run.out == f"{other.project}\n"
    assert f"from {tmp_path}/.jobq-project" in run.err
    assert f"overrides '{stage.project}'" in run.err
    again = mine.jobq("project", "select", stage.project, **unset)
    assert f"still says '{other.project}'" in again.err


def test_select_refuses(stage: Stage, plane: Plane, home: Path) -> None:
    """What isn't there, isn't yours or is archived can't be selected; without a terminal nobody is asked."""
    missing = stage.jobq("project", "select", stage.project[:-1])
    assert (missing.code, f"did you mean '{stage.project}'?" in missing.err) == (2, True)
    archived = raise_project(plane, home, state="archived", archivedOn="2026-10-01")
    assert "is archived since 2026-10-01" in stage.jobq("project", "select", archived.project).err
    foreign = raise_project(plane, home, members=[{"user": "lee@example.org", "role": "maintainer"}])
    assert "maintainers: lee@example.org" in stage.jobq("project", "select", foreign.project).err
    assert stage.jobq("project", "select").code == 2


def test_menu_on_a_terminal(stage: Stage, tmp_path: Path) -> None:
    """Without a name, the caller's own projects are offered; a wrong answer is asked again."""
    person = stranger()
    mine = raise_project(stage.plane, tmp_path, members=[{"user": person, "role": "viewer"}])
    text, code = typed(mine, ["project", "select"], "nope\n1\n", user=person, JOBQ_PROJECT="")
    assert code == 0
    assert f"  1  {mine.project}" in text
    assert "one of these numbers or names" in text
    assert f"{mine.project} is selected" in text


def stranger() -> str:
    """Somebody who belongs to nothing yet."""
    return f"{uuid.uuid4().hex[:8]}@example.org"


def typed(stage: Stage, words: list[str], keys: str, *, user: str = KIM, **environ: str) -> tuple[str, int]:
    """Run a command on a terminal of 80 columns, with these keys typed; what it shows, and its exit code."""
    environment = {**stage.environment(user), "COLUMNS": "80", **environ}
    return on_terminal([sys.executable, "-m", "cli.main", *words], keys, cwd=stage.home, environ=environment)


def test_only_project_is_taken(plane: Plane, tmp_path: Path) -> None:
    """Who belongs to one project needs to say nothing; who belongs to several must."""
    person = stranger()
    members = [{"user": person, "role": "researcher"}]
    first = raise_project(plane, tmp_path, members=members)
    assert first.jobq("project", "current", user=person, JOBQ_PROJECT="").out == f"{first.project}\n"
    assert first.jobq("list", user=person, JOBQ_PROJECT="").code == 0
    raise_project(plane, tmp_path, members=members)
    assert first.jobq("list", user=person, JOBQ_PROJECT="").code == 2


def test_catalogue_of_another_jobq(plane: Plane, tmp_path: Path) -> None:
    strange = raise_project(plane, tmp_path, format="2")
    try:
        run = strange.jobq("list")
        assert (run.code, "has format '2'" in run.err) == (1, True)
        others = strange.jobq("project", "list")
        assert (others.code, strange.project in others.out, "has format '2'" in others.err) == (0, False, True)
    finally:  # the catalogue is everybody's
        strange.admin.delete(Resource("", "v1", "configmaps", "ConfigMap"), strange.project, namespace="jobq-system")


# ------------------------------------------------------------------------------------------------ jobs


def submitted(stage: Stage, *words: str) -> str:
    """The name of a new job."""
    run = stage.jobq("submit", "-o", "name", *words)
    assert run.code == 0, run.err
    return run.out.strip()


def until(stage: Stage, name: str, status: str) -> dict[str, Any]:
    """The job's row in ``list``, once it has that status."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        rows = {row["name"]: row for row in stage.jobq("list", "-o", "json").json["jobs"]}
        if rows[name]["status"] == status:
            return dict(rows[name])
        assert time.monotonic() < deadline, rows[name]
        time.sleep(0.2)


def test_submit_prints_one_line(stage: Stage) -> None:
    run = stage.jobq("submit", "--name", "hello", "--", "true")
    assert run.code == 0
    assert len(run.out.splitlines()) == 1
    assert run.out.startswith("hello-")
    assert "`jobq logs -f hello-" in run.out


def test_dry_runs(stage: Stage) -> None:
    """Client: the manifest alone, as YAML that kubectl takes; server: checked there. Neither makes a job."""
    before = len(stage.jobq("list", "-o", "name").out.splitlines())
    yaml = stage.jobq("submit", "--dry-run", "-o", "yaml", "--", "sh", "-c", "echo $HOME")
    applied = subprocess.run(
        [stage.plane.kubectl, "create", "--dry-run=server", "-o", "name", "-f", "-"],
        input=yaml.out,
        env=stage.environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert applied.stdout.startswith("job.batch/sh-")
    checked = stage.jobq("submit", "--dry-run=server", "-o", "json", "--", "true").json["objects"][0]
    assert checked["metadata"]["uid"]
    assert len(stage.jobq("list", "-o", "name").out.splitlines()) == before


def test_submit_refuses_before_sending(stage: Stage, plane: Plane, home: Path) -> None:
    """Projects that aren't there, aren't active or aren't yours, and classes that aren't there or aren't allowed."""
    archived = raise_project(plane, home, state="archived", archivedOn="2026-10-01", defaults=DEFAULTS)
    paused = raise_project(plane, home, state="paused", defaults=DEFAULTS)
    picky = raise_project(plane, home, defaults=DEFAULTS, priorities='["normal", "low"]')
    for words, code, message in [
        (["-p", archived.project], 1, "is archived since 2026-10-01"),
        (["-p", paused.project], 1, "is paused"),
        (["-p", "nowhere"], 2, "there is no project 'nowhere'"),
        (["--priority", "nix"], 2, "there is no priority class 'nix'"),
        (["-p", picky.project, "--priority", "high"], 2, "isn't allowed in this project"),
    ]:
        run = stage.jobq("submit", *words, "--", "true")
        assert (run.code, run.out, message in run.err) == (code, "", True), run.err
    viewer = stage.jobq("submit", "--", "true", user="lee@example.org", groups=["oidc:guests"])
    assert (viewer.code, "are a viewer of" in viewer.err) == (1, True)
    stranger = stage.jobq("submit", "--", "true", user="lee@example.org")
    assert stranger.err.count("don't belong to") == 1


def test_project_with_a_list_gets_its_first_class(plane: Plane, home: Path) -> None:
    picky = raise_project(plane, home, defaults=DEFAULTS, priorities='["normal", "low"]')
    job = picky.jobq("submit", "--dry-run", "-o", "json", "--", "true").json["objects"][0]
    assert job["metadata"]["labels"]["kueue.x-k8s.io/priority-class"] == "normal"


def test_list_and_wait(stage: Stage) -> None:
    """A job from its submission to its end, as ``list`` and ``wait`` tell it."""
    name = submitted(stage, "-g", "1", "--priority", "low", "--", "true")
    assert stage.jobq("wait", name).code == 0
    row = until(stage, name, "Succeeded")
    assert (row["submittedBy"], row["priority"], row["cpu"], row["memory"], row["gpus"]) == (KIM, "low", 1.0, 2**26, 1)
    table = stage.jobq("list").out.splitlines()
    assert table[0].split() == [
        *("NAME", "STATUS", "REASON", "POS", "PRIORITY", "CPU", "GPUS", "BY", "AGE", "RUNTIME"),
    ]
    assert table[1].split()[:6] == [name, "Succeeded", "low", "1", "1", KIM]
    assert stage.jobq("list", "-o", "name").out.splitlines()[0] == name


def test_list_mine_and_everywhere(stage: Stage) -> None:
    name = submitted(stage, "--", "true")
    assert stage.jobq("list", "--mine", user="lee@example.org", groups=["oidc:guests"]).out == ""
    wide = stage.jobq("list", "-A").out.splitlines()
    assert wide[0].split()[0] == "PROJECT"
    assert any(line.split()[:2] == [stage.project, name] for line in wide)


def test_names_of_jobs(stage: Stage) -> None:
    """A whole name, a unique beginning of one of mine, or the latest of mine."""
    pick = f"pick-{uuid.uuid4().hex[:4]}"
    first, second = (submitted(stage, "--name", f"{pick}-{part}", "--", "true") for part in "ab")
    assert stage.jobq("wait", f"{pick}-a").code == 0
    assert first in stage.jobq("wait", f"{pick}-a").err
    ambiguous = stage.jobq("wait", pick)
    assert (ambiguous.code, f"{first}, {second}" in ambiguous.err) == (2, True)
    assert stage.jobq("wait", "nowhere", first).code == 102
    others = stage.jobq("wait", f"{pick}-a", user="lee@example.org", groups=["oidc:guests"])
    assert (others.code, f"did you mean {first}?" in others.err) == (102, True)
    assert "you have no jobs" in stage.jobq("logs", "@latest", user="lee@example.org", groups=["oidc:guests"]).err


def test_wide_table_is_cut_on_a_terminal_only(stage: Stage) -> None:
    name = submitted(stage, "--name", "x" * 46, "--", "true")
    assert name in stage.jobq("list", COLUMNS="40").out
    shown, _ = typed(stage, ["list"], "", COLUMNS="60")
    assert name not in shown
    assert "…" in shown
    assert all(len(line) <= 60 for line in plain(shown).splitlines())
    assert "\x1b[" in shown
    assert "\x1b[3" not in typed(stage, ["list"], "", NO_COLOR="1")[0]
    assert "\x1b[3" not in typed(stage, ["list", "--no-color"], "")[0]


def plain(text: str) -> str:
    """Without colours."""
    return "".join(part.partition("m")[2] if number else part for number, part in enumerate(text.split("\x1b[")))


def test_closed_stderr_is_quiet(tmp_path: Path) -> None:
    """Not even the complaint can be written: still no traceback."""
    shell = f"exec 2>&1; {sys.executable} -m cli.main subit; echo $? > code"
    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(["sh", "-c", shell], env=environ, cwd=tmp_path, stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.close()
    assert (tmp_path / "code").read_text() == "141\n"


def test_closed_pipe_is_quiet(stage: Stage) -> None:
    submitted(stage, "--", "true")
    shell = f"{sys.executable} -m cli.main list | true"
    done = subprocess.run(["sh", "-c", shell], env=stage.environment(), capture_output=True, text=True, check=False)
    assert done.stderr == ""


# ------------------------------------------------------------------------------------------------ jobs that really run


@pytest.fixture(scope="module")
def real(plane: Plane, home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A project whose jobs run on a node of this module's own: 4 cores, 2 GPUs."""
    with real_node(plane, tmp_path_factory.mktemp("node")) as node:
        yield raise_project(plane, home, queue=raise_queue(plane, node), defaults=DEFAULTS)


ECHO = "import sys; sys.stdout.buffer.write('|'.join(sys.argv[1:]).encode() + b'\\n')"
PATIENT = "trap exit TERM; echo up; sleep 60 & wait"
"""A shell that ends when it is asked to."""


def test_arguments_arrive_exactly_as_typed(real: Stage) -> None:
    """Blanks, nothing, stars, newlines, dollars and further dashes reach the process byte for byte."""
    words = [
        "a  b",
        "",
        "*",
        "`id`",
        "line\nbreak",
        "ü",
        "--lr",
        "-1e-3",
        "--",
        "--flag",
        "$$",
        "$(HOME)",
        "$HOME",
        "5$",
    ]
    run = real.jobq("submit", "-F", "--", "python3", "-c", ECHO, *words)
    assert (run.code, run.out) == (0, "|".join(words) + "\n")


def test_variables_arrive_exactly_as_typed(real: Stage) -> None:
    run = real.jobq(
        "submit", "-F", "-e", "P=$(HOME)/x", "-e", "Q=$P=", "--", "sh", "-c", 'printf "%s\\n" "$PRICE|$P|$Q"'
    )
    assert (run.code, run.out) == (0, "5$$|$(HOME)/x|$P=\n")


def test_follow_ends_with_the_job_and_its_code(real: Stage) -> None:
    """Only the log is on stdout; the talk says how it ended; the exit code is the job's fate."""
    run = real.jobq("submit", "-F", "--", "sh", "-c", "echo one; sleep 1; echo two; exit 3")
    assert (run.code, run.out) == (100, "one\ntwo\n")
    assert "Failed: exit code 3" in run.err
    name = run.err.split()[0]
    assert real.jobq("logs", name, "--tail", "1").out == "two\n"
    stamped = real.jobq("logs", "--timestamps", name).out.splitlines()[0]
    assert stamped.endswith("Z one")
    assert real.jobq("wait", name).code == 100


def started_to_watch(stage: Stage, *words: str) -> subprocess.Popen[str]:
    """Such a command, which has begun to watch what is in the project."""
    since = stage.plane.mark()
    process = stage.start(*words)

    def watches() -> bool:
        time.sleep(0.2)
        asked = stage.plane.requests(since, user_agent="jobq/")
        return any((one.verb, one.namespace) == ("watch", stage.project) for one in asked)

    assert eventually(watches)
    return process


def test_logs_wait_for_the_start_and_say_why(real: Stage) -> None:
    """A job that waits for room is followed from its queue to its end."""
    first = submitted(real, "-g", "2", "--", "sleep", "60")
    until(real, first, "Running")
    second = submitted(real, "-g", "1", "--", "echo", "done")
    early = real.jobq("logs", second)
    assert (early.code, "has printed nothing yet. Waiting for quota: needs 1 nvidia.com/gpu" in early.err) == (1, True)
    assert "`jobq why" in early.err
    following = real.start("logs", "-f", second)
    assert following.stderr
    assert any("Waiting for quota: needs 1 nvidia.com/gpu" in line for line in following.stderr)
    real.admin.delete(JOB, first, namespace=real.project)
    out, err = following.communicate(timeout=PATIENCE_SECONDS)
    assert (following.returncode, out) == (0, "done\n")
    assert f"{second}: Succeeded" in err


def test_wait_for_several(real: Stage) -> None:
    """The exit code is the highest of theirs; all are waited for."""
    good, bad = submitted(real, "--", "sleep", "1"), submitted(real, "--", "sh", "-c", "sleep 2; exit 1")
    run = real.jobq("wait", good, bad, good)
    assert run.code == 100
    assert f"{good}: Succeeded" in run.err
    assert f"{bad}: Failed" in run.err
    assert run.err.endswith(f"`jobq why {bad}` says why\n")


def test_wait_gives_up(real: Stage) -> None:
    name = submitted(real, "--", "sleep", "30")
    run = real.jobq("wait", "--timeout", "1s", name)
    assert (run.code, "still" in run.err) == (101, True)
    real.admin.delete(JOB, name, namespace=real.project)


def test_deleted_while_waiting(real: Stage) -> None:
    name = submitted(real, "--", "sleep", "30")
    until(real, name, "Running")
    waiting = started_to_watch(real, "wait", name)
    real.admin.delete(JOB, name, namespace=real.project)
    _, err = waiting.communicate(timeout=PATIENCE_SECONDS)
    assert (waiting.returncode, f"{name}: deleted" in err) == (103, True)
    assert real.jobq("wait", name).code == 102


def test_stopped_while_waiting(real: Stage) -> None:
    """Deactivated in Kueue: the job is still there, and stopped once its pods are gone."""
    name = submitted(real, "--", "sh", "-c", PATIENT)
    until(real, name, "Running")
    waiting = started_to_watch(real, "wait", name)
    deactivate(real, name)
    _, err = waiting.communicate(timeout=PATIENCE_SECONDS)
    assert (waiting.returncode, f"{name}: Stopped" in err) == (103, True)
    gone = real.jobq("logs", name)
    assert (gone.code, "its pods are gone" in gone.err) == (1, True)


def deactivate(stage: Stage, name: str) -> None:
    found = stage.admin.list(WORKLOAD, namespace=stage.project).items
    one = next(body["metadata"]["name"] for body in found if body["metadata"]["name"].startswith(f"job-{name}-"))
    with stage.plane.api() as api:
        path = f"/apis/kueue.x-k8s.io/v1beta2/namespaces/{stage.project}/workloads/{one}"
        api.call("PATCH", path, {"spec": {"active": False}}, {"Content-Type": "application/merge-patch+json"})


def test_job_that_is_gone_at_once(real: Stage) -> None:
    """With a time to live of zero, the end is still seen: the deletion carries the last state."""
    assert real.jobq("submit", "--wait", "--ttl", "0s", "--", "true").code == 0
    assert real.jobq("submit", "--wait", "--ttl", "0s", "--", "false").code == 100


def test_time_limit(real: Stage) -> None:
    run = real.jobq("submit", "--wait", "-t", "2s", "--", "sh", "-c", PATIENT)
    assert run.code == 100
    assert "it ran longer than its time limit of 2 s" in run.err


def test_interrupted_follower_leaves_the_job(real: Stage) -> None:
    process = real.start("submit", "-F", "--", "sh", "-c", "echo up; sleep 60")
    assert process.stdout
    assert process.stdout.readline() == "up\n"
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 130
    name = err.split()[0]
    assert f"{name} goes on" in err
    assert f"`jobq delete {name}` ends it" in err
    assert until(real, name, "Running")
    real.admin.delete(JOB, name, namespace=real.project)


def test_command_that_is_no_program(real: Stage) -> None:
    run = real.jobq("submit", "--wait", "--", "no-such-program")
    assert run.code == 100
    assert "its command no-such-program could not be started" in run.err


# ------------------------------------------------------------------------------------------------ requests and outages


def test_requests(plane: Plane, home: Path) -> None:
    """Listing projects and submitting take the fewest requests: reads side by side, then one write."""
    person = stranger()
    own = raise_project(plane, home, members=[{"user": person, "role": "researcher"}], defaults=DEFAULTS)
    for words, expected in [
        (["project", "list"], ["create selfsubjectreviews", "list configmaps"]),
        (
            ["list"],
            [
                *("create selfsubjectreviews", "get configmaps", "get localqueues/pendingworkloads"),
                *("list jobs", "list workloads"),
            ],
        ),
        (
            ["submit", "--", "true"],
            [
                "create jobs",
                "create selfsubjectreviews",
                "get configmaps",
                "list clusterqueues",
                "list cohorts",
                "list limitranges",
                "list persistentvolumeclaims",
                "list resourceflavors",
                "list workloadpriorityclasses",
            ],
        ),
    ]:
        start = plane.mark()
        assert own.jobq(*words, user=person).code == 0
        made = plane.requests(start, user=person, user_agent="jobq/")
        assert sorted(f"{one.verb} {one.resource}" for one in made) == expected


class Down:
    """A cluster whose answer to a POST is an error."""

    def __init__(self, error: ClusterError) -> None:
        self.error = error

    def create(self, *_: object, **__: object) -> Body:
        """Fail."""
        raise self.error


@pytest.mark.parametrize(
    ("error", "hint"),
    [
        (Unreachable("no answer within 15 s"), "whether a-bcdfg was made is unknown: `jobq list -p vision` shows it"),
        (Rejected('failed calling webhook "mjob.kb.io"', code=500), "Kueue doesn't answer: nothing was made"),
        (Rejected("exceeded quota", code=403), ""),
    ],
)
def test_unanswered_submission_says_what_is_known(error: ClusterError, hint: str) -> None:
    objects = sending.Objects({"metadata": {"name": "a-bcdfg"}})
    with pytest.raises(type(error)) as caught:
        sending.send(cast("Cluster", Down(error)), lambda: objects, "vision")
    assert hint in caught.value.hint
