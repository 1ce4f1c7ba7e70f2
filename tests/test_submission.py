"""From options to a Job manifest."""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from cli.submission import amount, fits, manifest, naming, script
from cli.submission.manifest import Place
from cli.submission.mounts import Mount, volume
from cli.submission.request import Request, Said, check, from_defaults, resolve
from cli.submission.variables import from_pairs
from reconciler.declare import declare
from reconciler.errors import DeclarationInvalid, UsageError
from reconciler.model import File, JobOptions, Snapshot
from tests.repository import project

IMAGE = JobOptions(image="train:1")


def made(
    flags: JobOptions = IMAGE,
    project: JobOptions = JobOptions(),  # noqa: B008 - frozen
    *command: str,
    priorities: tuple[str, ...] = (),
) -> Request:
    said = Said.of(flags, JobOptions(), project, {})
    return resolve(said, script.command(command or ("true",)), priorities)


def job_of(request: Request, flavor: dict[str, Any] | None = None) -> dict[str, Any]:
    place = Place(namespace="vision", queue="main", submitted_by="kim@example.org", flavor=flavor or {}, provenance={})
    return manifest.job(request, "a-bcdfg", place)


def container_of(request: Request) -> dict[str, Any]:
    return job_of(request)["spec"]["template"]["spec"]["containers"][0]  # type: ignore[no-any-return] # JSON


def test_flags_over_defaults_over_assumptions() -> None:
    """The flag counts, else the project's default, else what jobq assumes."""
    project = JobOptions(image="project:1", cpu="3", memory="4Gi", env={"A": "1", "B": "2"})
    request = made(JobOptions(image="flag:1", env={"B": "3"}), project)
    assert (request.image, request.cpu, request.memory, request.gpus) == ("flag:1", "3", "4Gi", 0)
    assert request.env == {"A": "1", "B": "3"}
    assert request.ttl_seconds == 7 * 86400
    assert request.seconds is None


def test_requests_are_limits_for_memory_and_gpus() -> None:
    resources = container_of(made(JobOptions(image="i", cpu="0.5", memory="1.5Gi", gpus=2)))["resources"]
    assert resources == {
        "requests": {"cpu": "500m", "memory": "1536Mi", "nvidia.com/gpu": "2"},
        "limits": {"memory": "1536Mi", "nvidia.com/gpu": "2"},
    }


def test_labels_and_annotations() -> None:
    request = made(JobOptions(image="i", priority="high", time="1d12h", ttl="0s"))
    job = job_of(request)
    assert job["metadata"]["labels"] == {
        "kueue.x-k8s.io/queue-name": "main",
        "kueue.x-k8s.io/priority-class": "high",
        "kueue.x-k8s.io/max-exec-time-seconds": "129600",
    }
    assert job["metadata"]["annotations"] == {"jobq.io/submitted-by": "kim@example.org", "jobq.io/command": "true"}
    assert job["spec"]["ttlSecondsAfterFinished"] == 0
    assert job["spec"]["suspend"] is True
    assert job["spec"]["template"]["spec"]["serviceAccountName"] == "jobq-runner"


def expanded(text: str, known: dict[str, str]) -> str:
    """What a kubelet makes of a word: https://kubernetes.io/docs/tasks/inject-data-application/define-command-argument-container/."""
    return re.sub(r"\$\$|\$\(([^)]*)\)", lambda found: "$" if found[0] == "$$" else known.get(found[1], found[0]), text)


@pytest.mark.parametrize("word", ["$", "$$", "$$$", "$(HOME)", "$$(HOME)", "a$(", "", "\n", "ü", "$HOME", "5$$"])
def test_bytes_arrive_as_typed(word: str) -> None:
    """After the cluster's own substitution, command and variables are what was typed."""
    request = made(JobOptions(image="i", env={"V": word}), JobOptions(), "sh", word)
    container = container_of(request)
    assert expanded(container["command"][1], {"HOME": "/root"}) == word
    assert expanded(container["env"][0]["value"], {"HOME": "/root"}) == word


def test_recorded_command_line_is_pasteable_and_short() -> None:
    job = job_of(made(IMAGE, JobOptions(), "echo", "a  b", "$x", "y" * 100_000))
    line = job["metadata"]["annotations"]["jobq.io/command"]
    assert line.startswith("echo 'a  b' '$x' yyy")
    assert len(line) == manifest.RECORDED


def test_volumes() -> None:
    """One volume a claim; a flag's mount takes the place of the project's at that path."""
    project = JobOptions(volumes=["data:/data", "models:/models:ro"])
    pod = job_of(made(JobOptions(image="i", volumes=["mine.v2:/data", "data:/all"]), project))["spec"]["template"][
        "spec"
    ]
    claims = {one["name"]: one["persistentVolumeClaim"]["claimName"] for one in pod["volumes"]}
    mounts = [
        (claims[one["name"]], one["mountPath"], one.get("readOnly", False))
        for one in pod["containers"][0]["volumeMounts"]
    ]
    assert mounts == [("mine.v2", "/data", False), ("models", "/models", True), ("data", "/all", False)]
    assert len(claims) == 3


def test_defaults_of_a_catalogue_entry() -> None:
    """The project file's words; those that this jobq doesn't know are left alone."""
    found = from_defaults({"image": "i", "gpus": 1, "imagePullSecrets": ["registry"], "hologram": True})
    assert found == JobOptions(image="i", gpus=1, image_pull_secrets=["registry"])
    assert made(JobOptions(), found).pull_secrets == ("registry",)


@pytest.mark.parametrize(
    ("given", "allowed", "expected"),
    [(None, (), ""), ("high", (), "high"), (None, ("normal", "low"), "normal"), ("low", ("normal", "low"), "low")],
)
def test_priority(given: str | None, allowed: tuple[str, ...], expected: str) -> None:
    """A project with a list always gets a class of it: the first, where nobody names one."""
    assert made(JobOptions(image="i", priority=given), priorities=allowed).priority == expected


REFUSED = [
    (JobOptions(), "which image", "--image"),
    (JobOptions(image="i", cpu="-4"), "--cpu: '-4'", "2, 500m"),
    (JobOptions(image="i", cpu="9223372036854775807"), "--cpu: .* more than 2", "such as 64"),
    (JobOptions(image="i", cpu="0"), "--cpu: '0'", "1m"),
    (JobOptions(image="i", memory="500m"), "--memory: '500m'", "500Mi"),
    (JobOptions(image="i", memory="8GB"), "--memory: '8GB'", "8G"),
    (JobOptions(image="i", memory="8"), "--memory: '8' is 8 bytes", "write 8Gi or 8Mi"),
    (JobOptions(image="i", memory="64k"), "--memory: '64k' is 64000 bytes", "64Gi or 64Mi"),
    (JobOptions(image="i", shm="64"), "--shm: '64' is 64 bytes", "64Mi"),
    (JobOptions(image=""), "--image is empty", "variable"),
    (JobOptions(image="a b"), "--image: 'a b' is no image", ""),
    (JobOptions(image="i", priority=""), "--priority is empty", "leave it out"),
    (JobOptions(image="i", flavor=""), "--flavor is empty", "leave it out"),
    (JobOptions(image="i", workdir=""), "--workdir is empty", "leave it out"),
    (JobOptions(image="i", time=""), "--time is empty", "leave it out"),
    (JobOptions(image="i", time="1e3s"), "--time: '1e3s' is no duration", "4h"),
    (JobOptions(image="i", time="0"), "--time: '0' could be", "0m or 0s"),
    (JobOptions(image="i", time="90"), "--time: '90' could be", "90m or 90s"),
    (JobOptions(image="i", time="4:00"), "--time: '4:00' could be", "4h0m or 4m0s"),
    (JobOptions(image="i", time="0s"), "--time", "leave it out"),
    (JobOptions(image="i", time="-1h"), "--time: '-1h'", "4h"),
    (JobOptions(image="i", time="0.5h"), "--time: '0.5h'", "4h"),
    (JobOptions(image="i", time="99999d"), "--time: '99999d' is longer", ""),
    (JobOptions(image="i", ttl="7"), "--ttl: '7' could be", "7m or 7s"),
    (JobOptions(image="i", workdir="work"), "--workdir: 'work'", "/work"),
    (JobOptions(image="i", env={"a b": "1"}), "--env: 'a b'", "letters"),
    (JobOptions(image="i", env={"A": "x" * 140_000}), "variable A has 140002 bytes", "volume"),
    (JobOptions(image="i", volumes=["data"]), "--volume: 'data'", "PVC:/path"),
    (JobOptions(image="i", volumes=["data:rel"]), "--volume: 'rel'", "/rel"),
    (JobOptions(image="i", volumes=["data:/x:rx"]), "--volume: 'data:/x:rx'", "PVC:/path"),
]


@pytest.mark.parametrize(("flags", "message", "hint"), REFUSED)
def test_refusals(flags: JobOptions, message: str, hint: str) -> None:
    """Each names the flag and what was found, and hints at the nearest right form."""
    with pytest.raises(UsageError, match=message) as caught:
        made(flags)
    assert hint in caught.value.hint


def test_wrong_default_is_the_projects() -> None:
    with pytest.raises(UsageError, match=r"the project's default time: '90'"):
        made(IMAGE, JobOptions(time="90"))


def test_flags_are_checked_without_a_project() -> None:
    check(JobOptions(), {}, script.command(["true"]))
    with pytest.raises(UsageError, match="--cpu"):
        check(JobOptions(cpu="many"), {}, script.command(["true"]))


@pytest.mark.parametrize(
    ("words", "told"),
    [(["python train.py"], True), (["python", "train.py"], False), (["sh", "-c", "a b"], False), ([""], False)],
)
def test_command_that_was_quoted_whole(words: list[str], told: bool) -> None:  # noqa: FBT001 - a table's column
    assert bool(script.command(words).notices) is told


@pytest.mark.parametrize("word", ["x" * 140_000, "\udcff"])
def test_words_that_no_job_can_carry(word: str) -> None:
    with pytest.raises(UsageError, match="word 2 of the command"):
        made(IMAGE, JobOptions(), "echo", word)


@pytest.mark.parametrize(("text", "value"), [("0", (None, 0)), ("2", (None, 2)), ("a100:16", ("a100", 16))])
def test_gpus(text: str, value: tuple[str | None, int]) -> None:
    assert amount.gpus(text, "--gpus") == value


@pytest.mark.parametrize(
    ("text", "near"), [("-1", "1"), ("0.5", "1"), ("2.5", "2"), ("two", "1"), ("", "1"), ("²", "1"), ("9" * 20, "8")]
)
def test_wrong_gpus(text: str, near: str) -> None:
    with pytest.raises(UsageError, match="--gpus") as caught:
        amount.gpus(text, "--gpus")
    assert caught.value.hint == f"write {near}"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("4h", 14400), ("1d12h", 129600), ("1-12:00:00", 129600), ("4:00:00", 14400), ("1:30:00", 5400), ("1-00", 86400)],
)
def test_durations(text: str, seconds: int) -> None:
    assert amount.time_limit(text, "--time") == seconds


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        *(
            (text, None)
            for text in ("90", "0", "4:00", "-1h", "0.5h", "1e3s", "", "1h30", "30m1h", "1H", " 1h", "1w", "1:60:00")
        ),
        *(
            ("1:30:00", 5400),
            ("1-00", 86400),
            ("1-12:00:00", 129600),
            ("1d12h", 129600),
            ("90m", 5400),
            ("1s", 1),
            ("0s", 0),
        ),
    ],
)
@pytest.mark.parametrize("word", ["time", "ttl"])
def test_durations_are_read_alike(word: str, text: str, seconds: int | None) -> None:
    """As an option, in a script and in a project file: whole seconds, or a refusal; only a time to live may be zero."""
    block = f'# /// script\n# [tool.jobq]\n# {word} = "{text}"\n# ///\n'.encode()
    file = File(project("vision", defaults={word: text}).encode(), "b10b")
    snapshot = Snapshot("c0ffee", {"jobq.toml": File(b'cluster = "demo"\n', "b10b"), "projects.d/vision.yaml": file})
    flags = JobOptions(image="i", time=text) if word == "time" else JobOptions(image="i", ttl=text)
    places: dict[str, Callable[[], Request]] = {
        "option": lambda: made(flags),
        "script": lambda: made(replace(script.script("x.py", block, []).options, image="i")),
        "project": lambda: made(IMAGE, declare(snapshot).projects["vision"].defaults),
    }

    def read(make: Callable[[], Request]) -> int | None:
        try:
            request = make()
        except (UsageError, DeclarationInvalid):
            return None
        return request.seconds if word == "time" else request.ttl_seconds

    wanted = None if (word, seconds) == ("time", 0) else seconds
    assert {place: read(make) for place, make in places.items()} == dict.fromkeys(places, wanted)


def test_variables() -> None:
    assert from_pairs(["A=1", "B=", "A=2=3"]) == {"A": "2=3", "B": ""}


def test_read_only_volume() -> None:
    assert volume("models:/models:ro") == Mount("models", "/models", read_only=True)


@pytest.mark.parametrize(
    ("command", "name"),
    [
        (["python", "train.py"], "train"),
        (["python", "-u", "My_Model.v1.5.py"], "my-model-v1-5"),
        (["python", "-m", "exp.train", "--lr=1e-3"], "exp-train"),
        (["torchrun", "--nproc", "2", "src/Train_It.py", "other.py"], "train-it"),
        (["sh", "-c", "python x.py"], "sh"),
        (["/usr/bin/env"], "env"),
        (["./prepare.sh"], "prepare"),
        (["__.py"], "job"),
        (["python", "训练.py"], "job"),
        (["x" * 80], "x" * 46),
        (["a" * 45 + "-b"], "a" * 45),
        ([""], "job"),
    ],
)
def test_names_from_commands(command: list[str], name: str) -> None:
    """Always valid, and with room for the suffix."""
    assert naming.base_name(None, command) == name
    assert re.fullmatch("[a-z0-9]([-a-z0-9]*[a-z0-9])?", name)
    assert len(name) + 1 + naming.SUFFIX <= naming.LONGEST


@pytest.mark.parametrize("given", ["3d-net", "a", "x" * 46])
def test_given_names_are_taken(given: str) -> None:
    assert naming.base_name(given, ["true"]) == given


@pytest.mark.parametrize(
    ("given", "near"),
    [("", "leave it out"), ("a.b", "a-b"), ("-x", "x"), ("Train", "train"), ("x" * 47, "x" * 46), ("ü", "job")],
)
def test_given_names_are_refused(given: str, near: str) -> None:
    with pytest.raises(UsageError, match="--name") as caught:
        naming.base_name(given, ["true"])
    assert near in caught.value.hint


def test_placement() -> None:
    """A flavor's node labels become the selector, and its taints are tolerated; without flavor Kueue chooses."""
    taint = {"key": "dedicated", "value": "gpu", "effect": "NoSchedule"}
    flavor = {"spec": {"nodeLabels": {"gpu": "a100"}, "nodeTaints": [taint]}}
    assert manifest.placement(flavor) == {
        "nodeSelector": {"gpu": "a100"},
        "tolerations": [{"operator": "Equal", **taint}],
    }
    assert manifest.placement({}) == {}


QUEUE: dict[str, Any] = {
    "metadata": {"name": "shared"},
    "spec": {
        "resourceGroups": [
            {
                "coveredResources": ["cpu", "memory", "nvidia.com/gpu"],
                "flavors": [
                    {
                        "name": flavor,
                        "resources": [
                            {"name": "cpu", "nominalQuota": "8"},
                            {"name": "memory", "nominalQuota": "16Gi"},
                            {"name": "nvidia.com/gpu", "nominalQuota": gpus},
                        ],
                    }
                    for flavor, gpus in (("a100", "4"), ("l4", "2"))
                ],
            }
        ]
    },
}
FLAVORS = [
    {"metadata": {"name": name}, "spec": {"nodeLabels": {"gpu": name}, "nodeTaints": []}} for name in ("a100", "l4")
]
NEVER: list[tuple[JobOptions, str, str, str]] = [
    (JobOptions(gpus=9), "", "needs 9 GPUs, and shared can give 4 GPUs at most in a100", "--gpus 4"),
    (JobOptions(gpus=3), "l4", "needs 3 GPUs, and shared can give 2 GPUs at most in l4", "--gpus 2"),
    (JobOptions(gpus=3, nodes=2), "", "needs 6 GPUs", "--gpus 2 for each, or --nodes 1"),
    (JobOptions(gpus=1, nodes=5), "", "needs 5 GPUs", "is --nodes 4"),
    (JobOptions(gpus=5, array="0-9"), "", "needs 5 GPUs", "--gpus 4"),
    (JobOptions(cpu="9"), "", "needs 9 CPUs", "--cpu 8"),
    (JobOptions(memory="100Gi"), "", "needs 100Gi memory", "--memory 16Gi"),
    (JobOptions(gpus=1, gpu_resource="amd.com/gpu"), "", "has no amd.com/gpu at all", "--gpu-resource nvidia.com/gpu"),
    (JobOptions(), "h100", "no flavor of the queue shared takes the job", "choose another"),
]


def judged(flags: JobOptions, flavor: str, queue: dict[str, Any] | None) -> None:
    body = {"spec": {"nodeLabels": {"gpu": flavor}}} if flavor else None
    fitted = fits.queue_of(queue, FLAVORS, [QUEUE], ())
    if fitted:
        fits.check(job_of(made(replace(flags, image="i")), body), fitted)


@pytest.mark.parametrize(("flags", "flavor", "message", "way_out"), NEVER)
def test_never_fits(flags: JobOptions, flavor: str, message: str, way_out: str) -> None:
    """Refused with the largest size that fits; a flavor that is asked for is judged alone, an array by its task."""
    with pytest.raises(UsageError) as caught:
        judged(flags, flavor, QUEUE)
    assert message in str(caught.value)
    assert way_out in caught.value.hint
    assert "--force" in caught.value.hint


@pytest.mark.parametrize(
    "flags", [JobOptions(gpus=4), JobOptions(gpus=1, nodes=4), JobOptions(gpus=4, array="0-99"), JobOptions(cpu="8")]
)
def test_fits(flags: JobOptions) -> None:
    """The largest fits; and where the queue can't be read, nothing is refused."""
    judged(flags, "", QUEUE)
    judged(JobOptions(gpus=99), "", None)
