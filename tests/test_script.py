"""Scripts that are shipped: what runs them, and what they say of themselves."""

import inspect
from pathlib import Path
from typing import Any

import pytest

from cli.job.submit import submit
from cli.job.typed import work_of
from cli.submission import naming, script
from cli.submission.mounts import keys_of
from reconciler.declaring.forms import DefaultsFile, JobFile
from reconciler.errors import UsageError
from reconciler.model import JobOptions

BLOCK = b"""\
#!/usr/bin/env python3
# /// script
# requires-python = ">=3.11"
# dependencies = ["numpy>=2", "rich"]
#
# [tool.jobq]
# image = "example.org/train:2"
# gpus = 2
# time = "4h"
# env = {HF_HOME = "/data"}
# volumes = ["data:/data:ro"]
# gpuResource = "amd.com/gpu"
# array = "0-3"
# [tool.other]
# anything = 2026-01-01
# ///
print("hello")
"""


def test_metadata() -> None:
    """The block's words are options; its dependencies change how the script is run, and are shipped beside it."""
    work = script.script("exp/train.py", BLOCK, ["--lr", "1"])
    assert work.options == JobOptions(
        image="example.org/train:2",
        gpus=2,
        time="4h",
        env={"HF_HOME": "/data"},
        volumes=["data:/data:ro"],
        gpu_resource="amd.com/gpu",
        array="0-3",
        secrets=[],
        image_pull_secrets=[],
    )
    assert work.files == {"train.py": BLOCK, "requirements.txt": b"numpy>=2\nrich\n"}
    assert work.command[:2] == ("/bin/sh", "-c")
    assert work.command[-3:] == ("/jobq/train.py", "--lr", "1")
    assert work.shown == ("exp/train.py", "--lr", "1")


WRONG = [
    (b"# gpus = two\n", "x.py:4:", "not TOML"),
    (b"# gpu = 2\n", "x.py:4:", "unknown field gpu"),
    (b"# cpu = -4\n", "x.py:4:", "'-4' is no amount"),
    (b'# time = "90"\n', "x.py:4:", "could be minutes or seconds"),
    (b'# ttl = "7"\n', "x.py:4:", "could be minutes or seconds"),
    (b'# time = "4:00"\n', "x.py:4:", "could be hours or minutes"),
    (b'# memory = "500m"\n', "x.py:4:", "500Mi"),
    (b"# gpus = -1\n", "x.py:4:", "gpus"),
    (b"# env = {N = 1}\n", "x.py:4:", "not text"),
    (b'# [tool.jobq.labels]\n# "kubernetes.io/x" = "1"\n', "x.py:5:", "belongs to jobq or Kubernetes"),
    (b'# name = "Bad Name"\n', "x.py:4:", "name"),
]


@pytest.mark.parametrize(("line", "place", "message"), WRONG)
def test_wrong_metadata(line: bytes, place: str, message: str) -> None:
    """Read like a project file, and told with the script's own line."""
    block = b"import os\n# /// script\n# [tool.jobq]\n" + line + b"# ///\n"
    with pytest.raises(UsageError) as caught:
        script.script("x.py", block, [])
    assert str(caught.value).startswith(place)
    assert message in f"{caught.value} {caught.value.hint}"


def test_all_wrong_metadata_at_once() -> None:
    block = b'# /// script\n# [tool.jobq]\n# cpu = "four"\n# gpu = 2\n# memory = "500m"\n# ///\n'
    with pytest.raises(UsageError) as caught:
        script.script("x.py", block, [])
    first, *places = str(caught.value).splitlines()
    assert first == "x.py has 3 problems in its metadata"
    assert [place[:7] for place in places] == ["x.py:3:", "x.py:4:", "x.py:5:"]


BROKEN = [
    (b"# /// script\n# [tool.jobq]\n", "isn't closed"),
    (b"# /// script\n# x = 1\n# ///\n#\n\n# /// script\n# y = 1\n# ///\n", "a second block"),
    (b'# /// script\n# dependencies = "numpy"\n# ///\n', "is not a list"),
    (b'# /// script\n# dependencies = ["--index-url=http://x"]\n# ///\n', "is no dependency"),
    (b"# /// script\n# tool = 3\n# ///\n\xff", "not UTF-8"),
]


@pytest.mark.parametrize(("text", "message"), BROKEN)
def test_broken_blocks(text: bytes, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        script.script("x.py", text, [])


RUNNERS = [
    ("x.py", b"#!/usr/bin/env python3\n", []),
    ("x.xyz", b"#!/bin/ksh\n", []),
    ("x.sh", b"echo\n", ["/bin/sh"]),
    ("x.bash", b"echo\n", ["bash"]),
]


@pytest.mark.parametrize(("path", "data", "runner"), RUNNERS)
def test_interpreters(path: str, data: bytes, runner: list[str]) -> None:
    """Its first line says what runs it, else its name."""
    assert list(script.script(path, data, ["a"]).command) == [*runner, f"/jobq/{path}", "a"]


@pytest.mark.parametrize("path", ["x", "x.jl", "a.out", ".bashrc"])
def test_unknown_interpreter(path: str) -> None:
    with pytest.raises(UsageError, match="doesn't say what runs it") as caught:
        script.script(path, b"\x7fELF", [])
    assert "#!/usr/bin/env python3" in caught.value.hint


def test_slurm_scripts_are_not_run_without_their_directives() -> None:
    with pytest.raises(UsageError, match="can't read yet"):
        script.script("x.sh", b"#!/bin/bash\n#SBATCH --gpus=2\nsrun x\n", [])


def test_dependencies_are_pythons() -> None:
    block = b'# /// script\n# dependencies = ["numpy"]\n# ///\n'
    uv = b"#!/usr/bin/env -S uv run --script\n"
    assert script.script("x", uv + block, []).files["requirements.txt"] == b"numpy\n"
    with pytest.raises(UsageError, match="is no Python script"):
        script.script("x.sh", block, [])


def test_windows_line_ends() -> None:
    """Where they would break the script they go, and that is told; elsewhere bytes are kept."""
    repaired = script.script("x.sh", b"#!/bin/sh\r\necho\r\n", [])
    assert repaired.files == {"x.sh": b"#!/bin/sh\necho\n"}
    assert repaired.notices
    assert script.script("x.py", b"print()\r\n", []).files == {"x.py": b"print()\r\n"}


def test_sizes() -> None:
    """Exactly 1 MiB can be shipped, dependencies included."""
    head = b"#!/bin/sh\n"
    assert script.script("x.sh", head + b"#" * (2**20 - len(head)), []).files
    with pytest.raises(UsageError, match="1048577 bytes, and 1048576") as caught:
        script.script("x.sh", head + b"#" * (2**20 + 1 - len(head)), [])
    assert "volume" in caught.value.hint


@pytest.mark.parametrize(
    ("path", "file", "name"),
    [
        ("My_Model.v1.5.py", "My_Model.v1.5.py", "my-model-v1-5"),
        ("__.py", "__.py", "job"),
        ("训练.py", "训练.py", "job"),
        ("dir/..x.py", "script.py", "x"),
        ("x" * 80 + ".py", "x" * 80 + ".py", "x" * 46),
    ],
)
def test_file_names(path: str, file: str, name: str) -> None:
    """The file keeps its name; the job's is made valid, and a ConfigMap's key too."""
    work = script.script(path, b"#!/bin/sh\n", [])
    assert list(work.files) == [file]
    assert naming.base_name(None, work.shown) == name
    key = keys_of(work.files)[file]
    assert key.isascii()


@pytest.mark.parametrize(
    ("text", "warns"),
    [
        ('import time\nparser.add_argument("-t", "--time")\n', False),
        ("@click.option('--time/--no-time')\n", False),
        ("case $1 in --time) shift;; esac\n", False),
        ("case $1 in --time=*) shift;; esac\n", False),
        ("import time\n", True),
        ('parser.add_argument("--time-out")\n', True),
        ('parser.add_argument("--no--time")\n', True),
        ('"""Run it by: jobq submit --time 4h train.py"""\n', True),
    ],
)
def test_options_of_both(tmp_path: Path, text: str, *, warns: bool) -> None:
    """An option of jobq behind a script is warned of, unless the script reads one of that name."""
    path = tmp_path / "train.py"
    path.write_text(text)
    told = ["--time=4h goes to the script: jobq's own options stand before its name"]
    assert list(work_of([str(path), "--time=4h", "--lr", "1"], {"--time"}).notices) == (told if warns else [])


def test_one_list_of_words() -> None:
    """Project defaults, script metadata and the flags of submit have the same words."""
    camel = {"image_pull_secrets": "imagePullSecrets", "gpu_resource": "gpuResource"}
    words = {camel.get(word, word) for word in JobOptions.__dataclass_fields__}

    def said(form: Any) -> set[str]:  # noqa: ANN401 - a pydantic model
        return {field.alias or name for name, field in form.model_fields.items()}

    assert said(JobFile) == words
    assert said(DefaultsFile) < words
    one = {"volumes": "volume", "secrets": "secret", "labels": "label"}
    flags = {one.get(word, word) for word in JobOptions.__dataclass_fields__ if word != "image_pull_secrets"}
    assert flags < set(inspect.signature(submit).parameters)
