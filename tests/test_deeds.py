"""What members do to jobs, and what they are told of them: on the real control plane, with the project's roles."""

import json
import subprocess
import sys
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from reconciler.kinds import JOB
from tests.controlplane.plane import Plane
from tests.proxy import proxied, rewritten, to
from tests.run import finish
from tests.stage import KIM, Stage, raise_project, raise_queue, real_node
from tests.terminal import on_terminal
from tests.world import eventually

LEE = "lee@example.org"
COUNTED = "counted@example.org"
"""Nobody else acts as this person, while other tests do as others."""
DEFAULTS = json.dumps({"image": "example.org/train:1", "cpu": "1", "memory": "64Mi"})
PATIENT = ("sh", "-c", "trap exit TERM; echo up; sleep 120 & wait")
"""It ends when it is asked to."""
pytestmark = pytest.mark.xdist_group("deeds")


@pytest.fixture(scope="module")
def node(plane: Plane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A node of this module's own."""
    with real_node(plane, tmp_path_factory.mktemp("node")) as name:
        yield name


@pytest.fixture(scope="module")
def stage(plane: Plane, node: str, tmp_path_factory: pytest.TempPathFactory) -> Stage:
    """A project whose jobs run there, and whose queue has 2 cores."""
    return another(plane, tmp_path_factory.mktemp("home"), raise_queue(plane, node, cpu="2"))


def another(plane: Plane, home: Path, queue: str, **entry: str) -> Stage:
    members = [{"user": user, "role": "researcher"} for user in (KIM, LEE, COUNTED)]
    return raise_project(plane, home, members=members, queue=queue, defaults=DEFAULTS, **entry)


def submitted(stage: Stage, *words: str, user: str = KIM) -> str:
    run = stage.jobq("submit", "-o", "name", *words, user=user)
    assert run.code == 0, run.err
    return run.out.strip()


def row_of(stage: Stage, name: str) -> dict[str, Any]:
    rows = {row["name"]: row for row in stage.jobq("list", "-o", "json").json["jobs"]}
    return dict(rows.get(name, {"status": "gone"}))


def until(stage: Stage, name: str, status: str) -> dict[str, Any]:
    """The job's row, once it has that status."""
    found: dict[str, Any] = {}

    def has() -> bool:
        found.clear()
        found.update(row_of(stage, name))
        return bool(found["status"] == status)

    assert eventually(has), found
    return found


def workload_of(stage: Stage, name: str) -> dict[str, Any]:
    found = json.loads(kubectl(stage, "get", "workloads", "-o", "json"))["items"]
    return next(one for one in found if one["metadata"]["ownerReferences"][0]["name"] == name)


def kubectl(stage: Stage, *words: str) -> str:
    """As the member."""
    command = [str(stage.plane.kubectl), f"--namespace={stage.project}", *words]
    done = subprocess.run(command, env=stage.environment(), capture_output=True, text=True, check=True)
    return done.stdout


def gone(stage: Stage, *names: str) -> None:
    for name in names:
        stage.admin.delete(JOB, name, namespace=stage.project)


def typed(stage: Stage, words: list[str], keys: str) -> tuple[str, int]:
    environment = {**stage.environment(), "COLUMNS": "100", "LINES": "24"}
    return on_terminal([sys.executable, "-m", "cli.main", *words], keys, cwd=stage.home, environ=environment)


# ------------------------------------------------------------------------------------------------ one job's life


def test_stopped_and_resumed(stage: Stage) -> None:
    """Its pods end and their logs go; it stays listed; resumed, it runs from the beginning. kubectl sees the same."""
    name = submitted(stage, "--", *PATIENT)
    until(stage, name, "Running")
    run = stage.jobq("stop", "-p", stage.project, name[:-2])
    again = f"`jobq resume -p {stage.project} {name}` starts it again from the beginning"
    assert (run.code, run.out) == (0, f"{name} is stopped; {again}\n"), run.err
    until(stage, name, "Stopped")
    assert workload_of(stage, name)["spec"]["active"] is False
    assert not kubectl(stage, "get", "pods", "-o", "name", "-l", f"batch.kubernetes.io/job-name={name}")
    assert "stopped already" in stage.jobq("stop", name).out
    assert f"`jobq resume {name}` starts it again" in stage.jobq("shell", name).err
    assert again in stage.jobq("forward", "-p", stage.project, name, "80").err
    assert f"`jobq list -p {stage.project}` shows" in stage.jobq("logs", "-p", stage.project, "nowhere").err
    assert stage.jobq("wait", name).code == 103
    resumed = stage.jobq("resume", name)
    assert (resumed.code, "waits for its turn again" in resumed.out) == (0, True)
    until(stage, name, "Running")
    told = stage.jobq("status", name, "-o", "json").json
    assert told["evictions"] == [{"reason": "Deactivated", "count": 1}]
    assert told["pods"][0]["state"] == "Running"
    assert "neither held nor stopped" in stage.jobq("resume", name).out
    gone(stage, name)


def test_held_until_resumed(stage: Stage) -> None:
    name = submitted(stage, "--hold", "--", "true")
    until(stage, name, "Held")
    assert stage.jobq("resume", name).code == 0
    until(stage, name, "Succeeded")
    told = stage.jobq("status", name, "-o", "json").json
    assert told["image"]
    assert stage.jobq("status", name[:-2], "-o", "json").json == told
    again = stage.jobq("resume", name)
    assert (again.code, "has ended" in again.err, "jobq submit -- true" in again.err) == (1, True, True)
    assert "has ended already: Succeeded" in stage.jobq("stop", name).out


def test_not_after_its_time_limit(stage: Stage) -> None:
    """Kueue would stop it again at once: refused, with the command that helps."""
    name = submitted(stage, "-t", "1s", "--", *PATIENT)
    until(stage, name, "TimedOut")
    run = stage.jobq("resume", name)
    assert (run.code, "used up its time limit" in run.err, "jobq submit -t DURATION -- sh -c" in run.err) == (
        4,
        True,
        True,
    )
    told = stage.jobq("status", name, "-o", "json").json
    assert (told["timeLimitSeconds"], told["reason"]) == (1, "time limit")


def test_deleted_by_whole_names_only(stage: Stage) -> None:
    """Nobody is there to be asked: a beginning isn't enough, nor a name without --yes."""
    name = submitted(stage, "--hold", "--name", "short", "--", "true")
    for words, message in [(["short", "-y"], "whole name"), ([name], "nobody is there to be asked")]:
        run = stage.jobq("delete", *words)
        assert (run.code, message in run.err, row_of(stage, name)["status"]) == (2, True, "Held"), run.err
    run = stage.jobq("delete", name, "-y")
    assert (run.code, run.out) == (0, f"{name} is deleted\n")
    assert eventually(lambda: row_of(stage, name)["status"] == "gone")


def test_several_and_none(stage: Stage) -> None:
    """One that isn't there doesn't keep the others; the exit code says that a part failed."""
    name = submitted(stage, "--hold", "--", "true")
    run = stage.jobq("stop", "nowhere", name)
    assert (run.code, f"{name} is stopped" in run.out, "no job 'nowhere'" in run.err) == (5, True, True)
    assert stage.jobq("stop", "nowhere").code == 1
    assert "name is empty" in stage.jobq("stop", "").err
    assert stage.jobq("stop", "a/b").code == 1
    for words in (["stop"], ["delete", "--all", name], ["stop", name, "--status", "held"]):
        assert stage.jobq(*words).code == 2
    gone(stage, name)


def test_all_of_mine(stage: Stage) -> None:
    """--all means mine, --status narrows it, --everyone widens it; without a terminal it wants --yes."""
    mine = submitted(stage, "--hold", "--name", "mine", "--", "true")
    theirs = submitted(stage, "--hold", "--name", "theirs", "--", "true", user=LEE)
    unasked = stage.jobq("delete", "--all", "--everyone", "--status", "HELD,Failed", "-p", stage.project)
    assert unasked.code == 2
    assert f"jobq delete -p {stage.project} --all --status failed,held --everyone --yes\n" in unasked.err
    assert stage.jobq("stop", "--all", "--status", "running", "-y").out == ""
    assert stage.jobq("stop", "theirs").code == 1
    stopped = stage.jobq("stop", "--all", "--status", "held", "-y").out
    assert (mine in stopped, theirs in stopped) == (True, False)
    deleted = stage.jobq("delete", "--all", "--status", "held,stopped", "--everyone", "-y").out
    assert (mine in deleted, theirs in deleted) == (True, True)


def test_asks_on_a_terminal(stage: Stage) -> None:
    name = submitted(stage, "--hold", "--", "true")
    shown, code = typed(stage, ["delete", name], "n\n")
    assert (code, f"delete {name}, with all logs?" in shown, "nothing was deleted" in shown) == (1, True, True)
    shown, code = typed(stage, ["delete", name[:-1]], "y\n")
    assert (code, f"{name} is deleted" in shown) == (0, True)


# ------------------------------------------------------------------------------------------------ priorities


def test_first_class_for_a_waiting_and_a_running_job(stage: Stage) -> None:
    running = submitted(stage, "-c", "2", "--", *PATIENT)
    until(stage, running, "Running")
    waiting = submitted(stage, "--", "true")
    until(stage, waiting, "Queued")
    bumped = stage.jobq("bump", waiting, "--priority", "high")
    assert (bumped.code, bumped.out) == (0, f"{waiting} has high now\n")
    assert eventually(lambda: workload_of(stage, waiting)["spec"].get("priority") == 10000)
    assert row_of(stage, waiting)["priority"] == "high"
    refused = stage.jobq("bump", running, "--priority", "high")
    assert refused.code == 1
    assert "a running job can't get its first one" in refused.err
    assert f"`jobq stop {running} && jobq bump {running} --priority high && jobq resume {running}`" in refused.err
    assert "webhook" not in refused.err
    gone(stage, running, waiting)


def test_classes_that_are_not_there_or_not_allowed(stage: Stage, tmp_path: Path) -> None:
    """Checked before anything is written."""
    picky = another(stage.plane, tmp_path, "fake-shared", priorities='["normal", "low"]')
    name = submitted(picky, "--hold", "--", "true")
    for wanted, message in (("nix", "isn't allowed"), ("high", "isn't allowed")):
        run = picky.jobq("bump", name, "--priority", wanted)
        assert (run.code, message in run.err, "normal, low" in run.err) == (2, True, True), run.err
    assert "there is no priority class 'nix'" in stage.jobq("bump", "x", "--priority", "nix").err
    assert picky.jobq("bump", name, "--priority", "low").out == f"{name} has low now, before normal\n"


# ------------------------------------------------------------------------------------------------ status and queue


def test_status_has_a_line_for_the_shell(stage: Stage) -> None:
    """The command line comes out as it went in, for a shell to take again."""
    words = ["printf", "%s|", "a  b", "", "*", "`id`", "line\nbreak", "ü", "$$", "$(HOME)", "--", "--flag"]
    name = submitted(stage, "--hold", "--", *words)
    told = stage.jobq("status", name, "-o", "json").json
    echoed = subprocess.run(["sh", "-c", told["command"]], capture_output=True, text=True, check=True).stdout
    assert echoed == "|".join([*words[2:], ""])
    text = stage.jobq("status", name).out
    assert text.startswith(f"{name}\n  status       Held\n")
    gone(stage, name)


def test_queue_and_places(stage: Stage, tmp_path: Path) -> None:
    """Who uses how much, and who waits where: list, queue and kubectl agree; so they do where Kueue mixes projects."""
    other = another(stage.plane, stage.home, cluster_queue(stage))
    theirs = submitted(other, "--", *PATIENT)
    until(other, theirs, "Running")
    ours = submitted(stage, "--", *PATIENT)
    until(stage, ours, "Running")
    first = submitted(stage, "--priority", "high", "--", "true")
    until(stage, first, "Queued")
    second = submitted(stage, "--priority", "low", "--", "true")
    until(stage, second, "Queued")
    assert eventually(lambda: [row_of(stage, name).get("position") for name in (first, second)] == [1, 2])
    told = stage.jobq("queue", "-o", "json").json
    cpu = next(one for one in told["usage"] if one["resource"] == "cpu")
    assert (cpu["nominal"], cpu["ours"], cpu["others"], cpu["borrowed"]) == (2, 1, 1, 0)
    assert (told["waiting"], [one["name"] for one in told["pending"]]) == (2, [first, second])
    assert (row_of(stage, first)["code"], row_of(stage, first)["reason"]) == ("WaitingForQuota", "waits for cpu")
    start = stage.plane.mark()
    why = stage.jobq("status", second, "-o", "json", user=COUNTED).json["why"]
    asked = Counter(one.resource for one in stage.plane.requests(start, user=COUNTED, user_agent="jobq/"))
    own = ("selfsubjectreviews", "configmaps", "jobs", "workloads", "pods")
    queues = ("localqueues", "clusterqueues", "localqueues/pendingworkloads")
    assert asked == dict.fromkeys((*own, *queues), 1), "what holds it up is asked for by name"
    assert why.items() <= stage.jobq("why", second, "-o", "json").json.items()
    assert why["sentence"] in stage.jobq("status", second).out
    text = stage.jobq("queue")
    assert "[##########==========]" in text.out
    assert theirs not in text.out + text.err
    suspended = kubectl(stage, "get", "jobs", "-o", "jsonpath={.items[?(@.spec.suspend==true)].metadata.name}").split()
    queued = stage.jobq("list", "--status", "queued", "-o", "name").out.split()
    assert sorted(queued) == sorted({first, second} & set(suspended)) == sorted([first, second])
    with proxied(stage.kubeconfig(), stage.plane.directory / "pki", tmp_path / "proxy") as proxy:
        proxy.spoil(to("/pendingworkloads$"), rewritten(mixed), times=100)
        commands = [
            ["list", "-o", "json"],
            ["queue", "-o", "json"],
            ["why", second, "-o", "json", "--save", "mixed.json"],
            ["list", "-o", "wide"],
            ["queue"],
            ["status", second],
        ]
        running = [stage.start(*words, KUBECONFIG=str(proxy.kubeconfig)) for words in commands]
        listed, queue, explained, *texts = [finish(*one) for one in zip(running, commands, strict=True)]
    for rows in (listed.json["jobs"], queue.json["pending"]):
        places = {row["name"]: (row["position"], row["positionOverall"]) for row in rows}
        assert (places[first], places[second]) == ((1, 2), (2, 4))
    assert explained.json["position"] == {"project": 2, "overall": 4}
    assert "2 in the project, 4 among all" in texts[-1].out
    said = [*map(str, (listed, queue, explained, *texts)), (stage.home / "mixed.json").read_text()]
    assert not [one for one in said if "secret-plan" in one]
    gone(stage, ours, first, second)
    gone(other, theirs)


def mixed(answer: dict[str, Any]) -> dict[str, Any]:
    """As older releases of Kueue answer: with the jobs of another project's queue of that name, counted with ours."""
    (ours, *rest) = answer["items"]
    labels = {"kueue.x-k8s.io/job-uid": "secret-plan-uid"}
    theirs = {**ours, "metadata": {"name": "job-secret-plan-0a1b2", "namespace": "secret-plan", "labels": labels}}
    items = [theirs, ours, {**theirs, "priority": 7}, *rest]
    counted = [{"positionInLocalQueue": at, "positionInClusterQueue": at} for at in range(len(items))]
    return {**answer, "items": [item | at for item, at in zip(items, counted, strict=True)]}


def cluster_queue(stage: Stage) -> str:
    return kubectl(stage, "get", "localqueue", "main", "-o", "jsonpath={.spec.clusterQueue}")


def test_paused_project_still_counts(stage: Stage) -> None:
    """Under Hold the queue itself says that nothing waits, and has no places: the Workloads tell."""
    held = another(stage.plane, stage.home, cluster_queue(stage))
    admin = ["--kubeconfig", str(stage.plane.kubeconfig), "-n", held.project]
    patch = ["patch", "localqueue", "main", "--type=merge", "-p", '{"spec":{"stopPolicy":"Hold"}}']
    subprocess.run([str(stage.plane.kubectl), *admin, *patch], check=True, capture_output=True)
    name = submitted(held, "--", "true")
    assert eventually(lambda: row_of(held, name).get("reason") == "project paused")
    told = held.jobq("queue", "-o", "json").json
    assert (told["waiting"], told["state"]) == (1, "the project is paused")
    assert told["positionsUnknown"]
    assert "aren't known" in held.jobq("queue").err


# ------------------------------------------------------------------------------------------------ arrays


def test_array_admitted_in_part(stage: Stage, node: str) -> None:
    """With 1 of 4 cores free 1 of 4 tasks runs at a time, for good; stop and resume asks again, and what is done stays.

    A job that takes the freed cores shows that they were to be had.
    """
    wide = another(stage.plane, stage.home, raise_queue(stage.plane, node, cpu="4"))
    first = submitted(wide, "-c", "3", "--", *PATIENT)
    until(wide, first, "Running")
    task = f'[ "$JOBQ_ARRAY_INDEX" = 0 ] && exit; {PATIENT[-1]}'
    name = submitted(wide, "--array", "0-7%4", "--", "sh", "-c", task)
    assert eventually(lambda: row_of(wide, name).get("reason") == "1 of 8 done, 1 of 4 at a time"), row_of(wide, name)
    gone(wide, first)
    second = submitted(wide, "-c", "3", "--", *PATIENT)
    until(wide, second, "Running")
    assert row_of(wide, name)["reason"] == "1 of 8 done, 1 of 4 at a time"
    told = wide.jobq("status", name).out
    assert f"1 of 4: that was free when it was admitted; `jobq stop {name} && jobq resume {name}` asks again" in told
    why = wide.jobq("why", name, "-o", "json").json
    assert why["code"] == "RunningReduced"
    assert why["sentence"] == (
        "Running, 1 index at a time instead of 4: only that much was free when it was admitted, and Kueue never raises "
        "it. 1 of 8 are done."
    )
    assert why["action"].startswith(f"To ask for 4 at a time again: `jobq stop {name}`, then `jobq resume {name}` ")
    gone(wide, second)
    assert wide.jobq("stop", name).code == 0
    until(wide, name, "Stopped")
    assert wide.jobq("resume", name).code == 0
    assert eventually(lambda: row_of(wide, name).get("reason") == "1 of 8 done"), row_of(wide, name)
    array: dict[str, Any] = {}

    def all_four() -> bool:
        array.update(wide.jobq("status", name, "-o", "json").json["array"])
        return bool(array["running"] == 4)

    assert eventually(all_four), array
    assert (array["indexes"], array["done"], array["failed"]) == (8, 1, 0)
    assert wide.jobq("why", name, "-o", "json").json["code"] == "Running"
    gone(wide, name)


# ------------------------------------------------------------------------------------------------ list --watch


def test_changes_as_lines(stage: Stage) -> None:
    """Elsewhere than on a terminal each change is a line, from the first to the deletion; Ctrl-C ends it."""
    with watching(stage, "list", "-w", "-o", "json") as lines:
        name = submitted(stage, "--hold", "--", "true")
        assert eventually(lambda: statuses(lines(), name)[-1:] == ["Held"])
        gone(stage, name)
        assert eventually(lambda: any(one["name"] == name and one.get("deleted") for one in lines()))


def statuses(lines: list[dict[str, Any]], name: str) -> list[str]:
    return [one["status"] for one in lines if one["name"] == name]


class watching:  # noqa: N801 - used like a function
    """A command that goes on, and the JSON lines it has printed so far."""

    def __init__(self, stage: Stage, *words: str) -> None:
        self.file = stage.home / f"lines-{uuid.uuid4().hex}"
        with self.file.open("w") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "cli.main", *words],
                cwd=stage.home,
                env=stage.environment(),
                stdin=subprocess.DEVNULL,
                stdout=out,
            )

    def __enter__(self) -> Callable[[], list[dict[str, Any]]]:
        return lambda: [json.loads(line) for line in self.file.read_text().splitlines()]

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait(30)
