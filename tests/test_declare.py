"""What project files and settings may say, and what is said of the rest: its place, and the way out."""

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.declare import declare
from reconciler.declaring.forms import schema
from reconciler.errors import DeclarationInvalid
from reconciler.model import Declaration, File, Problem, Project, Role, Snapshot, SubjectKind, WhenInactive
from tests.repository import Repository, said, scrubbed

SETTINGS = 'cluster = "demo"\n'
HEAD = "apiVersion: jobq.io/v1alpha1\nkind: Project\nmetadata: {name: vision}\nspec:\n  clusterQueue: gpu-shared\n"
"""Five lines; a case's own spec begins in the sixth."""
VISION = "projects.d/vision.yaml"


def declared(files: Mapping[str, str | bytes], settings: str = SETTINGS) -> Declaration:
    texts = {"jobq.toml": settings, **files}
    contents = {path: text if isinstance(text, bytes) else text.encode() for path, text in texts.items()}
    return declare(Snapshot("c0ffee", {path: File(data, "b10b") for path, data in contents.items()}))


def problems(files: Mapping[str, str | bytes], settings: str = SETTINGS) -> list[Problem]:
    with pytest.raises(DeclarationInvalid) as invalid:
        declared(files, settings)
    return list(invalid.value.problems)


def vision(spec: str, settings: str = SETTINGS) -> Project:
    return declared({VISION: f"{HEAD}{spec}\n"}, settings).projects["vision"]


# ------------------------------------------------------------------------------------------------ one value


REFUSED = {
    # nearly the right type
    "active: no": "6:11 spec.active is 'no'; allowed: true, false (write true or false, without quotes)",
    "active: off": "6:11 spec.active is 'off'; allowed: true, false",
    'active: "false"': "6:11 spec.active is 'false'; allowed: true, false",
    "active: 0": "6:11 spec.active is 0; allowed: true, false",
    'limits: {jobs: "12"}': "6:18 spec.limits.jobs is '12', not a whole number (write digits alone, without quotes)",
    "limits: {jobs: 12.0}": "6:18 spec.limits.jobs is 12.0, not a whole number",
    "limits: {jobs: true}": "6:18 spec.limits.jobs is true, not a whole number",
    "limits: {jobs: 012}": '6:18 012 is read differently by different readers (write 12 or "012")',
    "limits: {jobs: 1e9}": "6:18 1e9 is a number to some readers and text to others",
    "limits: {jobs: -1}": "6:18 spec.limits.jobs is -1",
    "limits: {jobs: 0o9}": "6:18 0o9 is a number to some readers and text to others",
    "limits: {jobs: .inf}": "6:18 .inf is no number that can be kept",
    "displayName: 123": '6:16 spec.displayName is 123, not text (write it in quotes: "123")',
    "displayName: null": "6:16 spec.displayName is null, not text",
    "displayName: true": '6:16 spec.displayName is true, not text (write it in quotes: "true")',
    "tags: vision": "6:9 spec.tags is 'vision', not a list (write [vision])",
    "members: kim": "6:12 spec.members is 'kim', not a list (write [kim])",
    "defaults: none": "6:13 spec.defaults is 'none', not a map",
    "defaults: {env: {N: 1}}": '6:23 spec.defaults.env.N is 1, not text (write it in quotes: "1")',
    "defaults: {env: {B: true}}": '6:23 spec.defaults.env.B is true, not text (write it in quotes: "true")',
    f"limits: {{jobs: {'1' * 300}}}": "6:18 the number 11111111111111111111... (300 characters) is above 2^53",
    # words
    "network: closed": "6:12 spec.network is 'closed'; allowed: isolated or open",
    "podSecurity: Baseline": "6:16 spec.podSecurity is 'Baseline'; allowed: baseline, restricted or privileged"
    " (did you mean baseline?)",
    "whenInactive: drian": "6:17 spec.whenInactive is 'drian'; allowed: hold or drain (did you mean drain?)",
    "Tags: [a]": "6:3 unknown field spec.Tags (did you mean tags?)",
    "cluster_queue: x": "6:3 unknown field spec.cluster_queue (did you mean clusterQueue?)",
    "x: =": "6:3 unknown field spec.x (allowed: clusterQueue, displayName, description, tags",
    "defaults: {mem: 1Gi}": "6:14 unknown field spec.defaults.mem (",
    'tags: ["a b"]': "6:10 spec.tags.0: 'a b' is no tag",
    r'displayName: "a\nb"': r"6:16 spec.displayName: 'a\nb' is no single line",
    "priorities: []": "6:15 spec.priorities is empty (leave it out, or write at least one)",
    "defaults: {priority: high}\n  priorities: [low]": "6:24 spec.defaults.priority is high, which spec.priorities",
    "network: open": "6:12 vision may not have an open network",
    # members
    "members: [{role: viewer}]": "6:13 spec.members.0: a member has exactly one of user and group",
    "members: [{user: a, group: b, role: viewer}]": "6:13 spec.members.0: a member has exactly one of user and group",
    "members: [{user: a}]": "6:13 spec.members.0.role is missing",
    "members: [{user: a, role: viewr}]": "6:29 spec.members.0.role is 'viewr'; allowed: viewer, researcher or"
    " maintainer (did you mean viewer?)",
    'members: [{user: "system:masters", role: viewer}]': "6:20 spec.members.0.user: 'system:masters' belongs to",
    'members: [{user: "kim ", role: viewer}]': "6:20 spec.members.0.user: 'kim ' has a blank at its end",
    'members: [{group: " kim", role: viewer}]': "6:21 spec.members.0.group: ' kim' has a blank at its start",
    'members: [{user: "a b", role: viewer}]': "6:20 spec.members.0.user: 'a b' has a blank inside",
    'members: [{user: "", role: viewer}]': "6:20 spec.members.0.user is ''",
    "members: [{user: a, role: viewer}, {user: a, role: maintainer}]": "6:38 a is a member already, at"
    " projects.d/vision.yaml:6:13 (keep one of the two)",
    # dates
    "members: [{user: a, role: viewer, expires: 2027-02-30}]": "6:46 there is no day 2027-02-30",
    'members: [{user: a, role: viewer, expires: "2027-02-30"}]': "6:46 spec.members.0.expires: there is no day",
    "members:\n  - user: a\n    role: viewer\n    expires: 2027-03-31T10:00:00": "9:14 2027-03-31T10:00:00 has a time"
    " of day (write 2027-03-31,",
    "members: [{user: a, role: viewer, expires: soon}]": "6:46 spec.members.0.expires: 'soon' is no date",
    "members: [{user: a, role: viewer, expires: 20270331}]": "6:46 spec.members.0.expires: 20270331 is no date",
    # amounts
    "defaults: {memory: 500m}": "6:22 spec.defaults.memory: '500m' is a thousandth of a byte; write 500Mi",
    "limits: {container: {max: {memory: 512m}}}": "6:38 spec.limits.container.max.memory: '512m' is a thousandth of"
    " a byte; write 512Mi",
    "defaults: {memory: 8GB}": "6:22 spec.defaults.memory: '8GB' has no unit of Kubernetes; write 8G",
    'defaults: {memory: "8"}': "6:22 spec.defaults.memory: '8' is 8 bytes; write 8Gi or 8Mi",
    "defaults: {memory: 8gi}": "6:22 spec.defaults.memory: '8gi' has no unit of Kubernetes; write 8Gi",
    'defaults: {memory: "0"}': "6:22 spec.defaults.memory: '0' is no whole number of bytes above zero",
    'limits: {storage: "-1"}': "6:21 spec.limits.storage: '-1' is no amount",
    "defaults: {cpu: -2}": "6:19 spec.defaults.cpu: '-2' is no amount",
    "defaults: {cpu: yes}": "6:19 spec.defaults.cpu: 'yes' is no amount",
    "defaults: {cpu: true}": '6:19 spec.defaults.cpu is true, not text (write it in quotes: "true")',
    'defaults: {cpu: "-4"}': "6:19 spec.defaults.cpu: '-4' is no amount",
    'defaults: {cpu: "0"}': "6:19 spec.defaults.cpu: '0' is no CPU at all",
    'defaults: {cpu: "0.0001"}': "6:19 spec.defaults.cpu: '0.0001' is finer than a thousandth of a core",
    'defaults: {cpu: "9223372036854775807"}': "6:19 spec.defaults.cpu: '9223372036854775807' is more than 2^53",
    "defaults: {gpus: -1}": "6:20 spec.defaults.gpus is -1",
    "defaults: {gpus: 0.5}": "6:20 spec.defaults.gpus is 0.5, not a whole number",
    'limits: {container: {requests: {cpu: "2"}, limits: {cpu: "1"}}}': "6:40 requests.cpu is 2, more than limits.cpu",
    # durations
    'defaults: {time: "90"}': "6:20 spec.defaults.time: '90' could be minutes or seconds; write 90m or 90s",
    "defaults: {time: 90}": "6:20 spec.defaults.time: '90' could be minutes or seconds; write 90m or 90s",
    'defaults: {time: "4:00"}': "6:20 spec.defaults.time: '4:00' could be hours or minutes; write 4h0m or 4m0s",
    "defaults: {time: 0s}": "6:20 spec.defaults.time: 0 leaves no time at all",
    "defaults: {time: -1h}": "6:20 spec.defaults.time: '-1h' is no duration",
    "defaults: {time: 0.5h}": "6:20 spec.defaults.time: '0.5h' is no duration",
    "defaults: {time: 1e3s}": "6:20 spec.defaults.time: '1e3s' is no duration",
    'defaults: {ttl: "60"}': "6:19 spec.defaults.ttl: '60' could be minutes or seconds",
    # the shell's and the container's words
    'defaults: {volumes: ["data"]}': "6:24 spec.defaults.volumes.0: 'data' is no ",
    "defaults: {workdir: work}": "6:23 spec.defaults.workdir: 'work' is no ",
    "defaults: {env: {1A: x}}": "6:24 spec.defaults.env.1A: '1A' is no variable name",
    # what breaks readers
    r'description: "\ud800"': "6:19 not YAML: found invalid Unicode character escape code",
    r'description: "\0"': "6:16 U+0000 NULL is hidden behind an escape",
    "x: !!binary aGk=": "6:6 tag:yaml.org,2002:binary is a tag",
    "? [a]": "6:5 a key must be text",
    "clusterQueue: again": "6:3 the key clusterQueue is said twice; first in line 5 (keep one)",
    "tags: &a [x]": "6:9 &a is an anchor",
    "  # \u200b": "6:7 U+200B ZERO WIDTH SPACE can't be seen here",
    "description: \ue0000\ue002": "6:16 U+E000 private use can't be seen here",
}


@pytest.mark.parametrize("spec", REFUSED)
def test_refused(spec: str) -> None:
    """A value that isn't right is one problem: its place, what was found, what is allowed, the nearest right word."""
    found = said(problems({VISION: f"{HEAD}  {spec}\n"}))
    assert found[0].startswith(REFUSED[spec])
    assert len(found) == 1 or "private use" in found[0]


ACCEPTED: dict[str, tuple[str, object]] = {
    'members: [{user: a, role: viewer, expires: "2027-03-31"}]': ("members", date(2027, 3, 31)),
    "members: [{user: a, role: viewer, expires: 2027-03-31}]": ("members", date(2027, 3, 31)),
    "defaults: {time: 1-00}": ("time", "1-00"),
    "defaults:\n    time: 1:30:00": ("time", "1:30:00"),
    "defaults: {time: 1d12h}": ("time", "1d12h"),
    "defaults: {ttl: 0s}": ("ttl", "0s"),
    'defaults: {cpu: "0.5"}': ("cpu", "0.5"),
    "defaults: {cpu: 2}": ("cpu", "2"),
    "defaults: {cpu: 0.5}": ("cpu", "0.5"),
    "defaults: {env: {A: no}}": ("env", {"A": "no"}),
}


@pytest.mark.parametrize("spec", ACCEPTED)
def test_accepted(spec: str) -> None:
    """What is accepted has exactly one meaning."""
    word, meaning = ACCEPTED[spec]
    project = vision(f"  {spec}")
    found = project.members[0].expires if word == "members" else getattr(project.defaults, word)
    assert found == meaning


def test_resolved() -> None:
    """A project has everything resolved: what the file doesn't say is filled in."""
    project = vision("  members: [{group: 'oidc:v', role: researcher}]\n", 'cluster = "demo"\nqueue = "jobs"\n')
    assert (project.name, project.namespace, project.queue, project.cluster_queue) == (
        "vision",
        "vision",
        "jobs",
        "gpu-shared",
    )
    assert (project.active, project.when_inactive, project.tags) == (True, WhenInactive.HOLD, ())
    assert [(m.kind, m.name, m.role, m.expires) for m in project.members] == [
        (SubjectKind.GROUP, "oidc:v", Role.RESEARCHER, None)
    ]
    assert project.source == "projects.d/vision.yaml@b10b"
    assert str(project.place("spec.clusterQueue")) == "projects.d/vision.yaml:5:17"
    assert str(project.place("spec.members")) == "projects.d/vision.yaml:6:12"


# ------------------------------------------------------------------------------------------------ one file


FILES: dict[str, tuple[str | bytes, list[str]]] = {
    "empty": ("", ["1:1 the file is empty (write `key: value` lines)"]),
    "a list": ("[]", ["1:1 a mapping is expected here, found a list (write `key: value` lines)"]),
    "no spec": (HEAD.partition("spec")[0], ["1:1 spec is missing"]),
    "no queue": (HEAD.replace("  clusterQueue: gpu-shared", "  tags: []"), ["5:3 spec.clusterQueue is missing"]),
    "a misspelt queue": (
        HEAD.replace("clusterQueue", "clusterQeue"),
        ["5:3 unknown field spec.clusterQeue (did you mean clusterQueue?)"],
    ),
    "another kind": (
        HEAD.replace("Project", "Projct"),
        ["2:7 kind is 'Projct'; allowed: Project (did you mean Project?)"],
    ),
    "another version": (HEAD.replace("v1alpha1", "v1"), ["1:13 apiVersion is 'jobq.io/v1'; allowed: jobq.io/v1alpha1"]),
    "a number for a name": (
        HEAD.replace("vision", "123"),
        ['3:18 metadata.name is 123, not text (write it in quotes: "123")'],
    ),
    "no name": (HEAD.replace("vision", "null"), ["3:18 metadata.name is null, not text"]),
    "another name": (
        HEAD.replace("vision", "speech"),
        ["3:18 the name 'speech' is not the file's (rename the file to"],
    ),
    "two documents": (HEAD + "---\na: b\n", ["6:1 a second document starts here (one file holds one document)"]),
    "10,000 brackets": ("[" * 10_000, ["1:101 nested more than 100 deep"]),
    "no UTF-8": (b"\xff\xfe", ["1:1 byte 0xff at offset 0 isn't UTF-8"]),
    "a tab": (HEAD.replace("  cluster", "\tcluster"), ["5:1 a tab indents here (indent with spaces)"]),
    "returns alone": (HEAD.replace("\n", "\r"), ["1:29 U+000D CARRIAGE RETURN without a line feed after it"]),
    "too big": ("x" * 300_000, ["0:0 300,000 bytes; a declared file has at most 262,144"]),
}


@pytest.mark.parametrize("name", FILES)
def test_file(name: str) -> None:
    """A file that isn't one is as many problems as it has mistakes, each with its place."""
    text, expected = FILES[name]
    found = said(problems({VISION: text}))
    assert len(found) == len(expected)
    assert all(one.startswith(start) for one, start in zip(found, expected, strict=True))


@pytest.mark.parametrize("text", ["\ufeff" + HEAD, HEAD.replace("\n", "\r\n"), HEAD.removesuffix("\n")])
def test_the_same_file(text: str) -> None:
    """A byte order mark, Windows line ends and a missing last newline mean nothing."""
    project = declared({VISION: text}).projects["vision"]
    assert (project.cluster_queue, project.name) == ("gpu-shared", "vision")


def test_all_at_once() -> None:
    """All problems of all files are told in one run, in order of file, line and column."""
    found = problems(
        {
            VISION: f"{HEAD}  active: no\n  tags: vision\n",
            "projects.d/a.yaml": "[",
            "projects.d/good.yaml": HEAD.replace("vision", "good"),
        },
        'cluster = "Demo"\n',
    )
    places = [str(problem.origin) for problem in found]
    assert places == [
        "jobq.toml:1:11",
        "projects.d/a.yaml:1:2",
        "projects.d/vision.yaml:6:11",
        "projects.d/vision.yaml:7:9",
    ]
    assert found == sorted(found)


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("projects.d/vision.yml", "rename it to projects.d/vision.yaml, or move it out of projects.d/"),
        ("projects.d/vision.YAML", "rename it to projects.d/vision.yaml, or move it out of projects.d/"),
        ("projects.d/team/vision.yaml", "rename it to projects.d/vision.yaml, or move it out of projects.d/"),
        ("projects.d/notes.txt", "move it out of projects.d/"),
        ("projects.d/.gitkeep", "move it out of projects.d/"),
    ],
)
def test_what_may_not_lie_there(path: str, hint: str) -> None:
    """A renamed extension or a subfolder must not archive a project: it is a problem, with the way out."""
    found = problems({path: HEAD})
    assert [(str(problem.origin), problem.hint) for problem in found] == [(path, hint)]


def test_companions() -> None:
    """README.md and schema.json may lie beside the projects."""
    files = {"projects.d/README.md": "# Projects", "projects.d/schema.json": "{}", VISION: HEAD}
    assert declared(files).projects.keys() == {"vision"}


@pytest.mark.parametrize(
    "name", ["default", "jobq-system", "kueue-system", "kube-x", "openshift-x", "istio-x", "gke-x", "infra"]
)
def test_reserved(name: str) -> None:
    """Names of the platform, and those that the settings reserve, are no projects'."""
    text = HEAD.replace("vision", name)
    found = said(problems({f"projects.d/{name}.yaml": text}, f'{SETTINGS}reserved = ["infra"]\n'))
    assert found == [f"3:18 the name {name!r} is reserved (choose another name)"]


MISTAKES = """\
apiVersion: jobq.io/v1alpha1
kind: Project
metadata: {name: vision}
spec:
  clusterQueue: gpu-shared
  active: no
  tags: vision
  whenInactive: drian
  Members: []
  members:
    - {user: "kim ", role: viewer}
    - {user: lee, role: viewer, expires: 2027-02-30}
  defaults:
    time: 90
    memory: 500m
  limits: {jobs: 1e9, storage: &x 1Ti}
  network: closed
"""


def test_ten_mistakes(repository: Repository) -> None:
    """A file with ten mistakes is ten problems of the command, each at its place; other files are judged, too."""
    repository.commit({"jobq.toml": SETTINGS, VISION: MISTAKES, "projects.d/b.yaml": HEAD.replace("vision", "B")})
    command = [str(Path(sys.executable).with_name("jobq")), "validate", "-o", "json", str(repository.root)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=scrubbed(), timeout=60)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    places = re.findall(r"projects\.d/(\w+)\.yaml[^0-9]+(\d+)[^0-9]+(\d+)", done.stdout)
    at = [f"{line}:{column}" for file, line, column in places if file == "vision"]
    expected = ["6:11", "7:9", "8:17", "9:3", "11:14", "12:42", "14:11", "15:13", "16:18", "16:32", "17:12"]
    assert at == expected
    assert [file for file, _, _ in places].count("b") == 1


def test_a_file_of_nothing_but_mistakes() -> None:
    """Of one file no more problems are told than people can read; the others are told as ever."""
    many = HEAD + "".join(f"  x{number}: 1\n" for number in range(10_000))
    found = problems({VISION: many, "projects.d/a.yaml": "["})
    assert [problem.origin.path for problem in found].count(VISION) == 51
    assert "9,950 more problems in this file" in {problem.reason for problem in found}
    assert [problem.origin.path for problem in found].count("projects.d/a.yaml") == 1


@pytest.mark.parametrize("value", ["\u0662", "\u0661h", "\uff12", "\u00bd", "\u2167"])
@pytest.mark.parametrize("word", ["cpu", "memory", "time", "ttl"])
def test_digits_are_ascii(word: str, value: str) -> None:
    """An amount in digits of another script is refused: Kubernetes would refuse it later."""
    [problem] = problems({VISION: f"{HEAD}  defaults: {{{word}: '{value}'}}\n"})
    assert problem.reason.startswith(f"spec.defaults.{word}: ")


# ------------------------------------------------------------------------------------------------ warnings


def warned(*members: str) -> list[str]:
    return said(list(declared({VISION: HEAD + "  members:\n" + "".join(f"  - {m}\n" for m in members)}).warnings))


def test_two_spellings() -> None:
    """Two members who differ only in case are two people to Kubernetes: a warning with both places."""
    found = warned("{user: kim@example.org, role: viewer}", "{user: Kim@example.org, role: maintainer}")
    assert found[0].startswith(
        "8:5 Kim@example.org is a member already, at projects.d/vision.yaml:7:5, as kim@example.org"
    )
    assert len(found) == 1


def test_double_behind_a_spelling() -> None:
    """A member written twice is a problem, also where another spelling stands between; an accent has one spelling."""
    members = "".join(f"  - {{user: {name}, role: viewer}}\n" for name in ("kim", "Kim", "Kim"))
    found = problems({VISION: f"{HEAD}  members:\n{members}"})
    assert [(problem.origin.line, problem.warning) for problem in found] == [(8, True), (9, False)]
    assert len(warned("{user: jos\u00e9, role: viewer}", "{user: jose\u0301, role: viewer}")) == 1


def test_one_without_the_prefix() -> None:
    """A member whose prefix nobody else has is a warning."""
    rest = [f"{{user: 'oidc:{name}', role: viewer}}" for name in "abc"]
    found = warned(*rest, "{user: kim, role: viewer}")
    assert len(found) == 1
    assert found[0].startswith("10:5 kim: no other user is written without a prefix")
    assert warned(*rest) == []


# ------------------------------------------------------------------------------------------------ settings


TOML = {
    "": "1:1 cluster is missing",
    "cluster = 1": '1:11 cluster is 1, not text (write it in quotes: "1")',
    "cluster": "1:1 not TOML: expected '=' after a key",
    'cluster = "Demo"': "1:11 cluster: 'Demo' is no name",
    'cluster = "demo"\nqueue = "default"': "2:9 a LocalQueue named default would take in every job of the namespace",
    'cluster = "demo"\nclustr = 1': "2:1 unknown field clustr (did you mean cluster?)",
    'cluster = "demo"\ncatalogue_readers = []': "2:1 unknown field catalogue_readers (did you mean catalogueReaders?)",
    'cluster = "demo"\nmanagedNamespaceLabel = "x"': "2:25 managedNamespaceLabel: 'x' is no label; write key=value",
    'cluster = "demo"\nnetworkFrom = ["ingress"]': "2:15 there is no network ingress",
    'cluster = "demo"\n[guard]\ndisrupted = "10"': "3:13 guard.disrupted: '10' is neither a number nor a share",
    'cluster = "demo"\n[guard]\ndisrupted = "200%"': "3:13 guard.disrupted: '200%' is neither a number nor a share",
    'cluster = "demo"\n[guard]\ndisrupted = -1': "3:13 guard.disrupted: -1 is below zero",
    'cluster = "demo"\n[[kinds]]\ngroup = "x"': "2:3 kinds.0.resource is missing",
    'cluster = "demo"\ncluster = "x"': "2:",
    'cluster = "demo"\n[guard]\ndisrupted = true': "3:13 guard.disrupted: true is neither a number nor a share",
    'cluster = "demo"\n[guard]\ndisrupted = 1.5': "3:13 guard.disrupted: 1.5 is neither a number nor a share",
    'cluster = "demo"\nqueue = 2027-03-31': "2:9 queue is 2027-03-31, not text",
    'cluster = "demo"\nreserved = "a"': "2:12 reserved is 'a', not a list (write [a])",
    'cluster = "demo"\nreserved = ["A"]': "2:13 reserved.0: 'A' is no name",
    'cluster = "demo"\nmanagedNamespaceLabel = "x=a b"': "2:25 managedNamespaceLabel: 'x=a b' is no label",
    'cluster = "demo"\n[networks]\nx = {"a b" = "c"}': "3:14 networks.x.'a b': 'a b' is no label's key",
    'cluster = "demo"\n[networks]\nx = {a = "b c"}': "3:10 networks.x.a: 'b c' is no label's value",
    'cluster = "demo"\nqueue = 012': "2:10 not TOML: ",
    'cluster = "demo"\nx = 9007199254740993': "2:5 the number 9007199254740993 is above 2^53",
    'cluster = "demo"\nqueue = "\\u200b"': "2:9 U+200B ZERO WIDTH SPACE is hidden behind an escape",
}


@pytest.mark.parametrize("text", TOML)
def test_settings(text: str) -> None:
    """jobq.toml is read as strictly as project files, with places."""
    found = problems({VISION: HEAD}, text)
    assert {problem.origin.path for problem in found} == {"jobq.toml"}
    assert said(found)[0].startswith(TOML[text])
    assert len(found) == 1


def test_no_settings() -> None:
    """Without jobq.toml nothing is known of the cluster: a problem, never a default."""
    with pytest.raises(DeclarationInvalid) as invalid:
        declare(Snapshot("c", {VISION: File(HEAD.encode(), "b")}))
    assert [problem.reason for problem in invalid.value.problems] == ["there is no jobq.toml"]


def test_schema() -> None:
    """The schema that editors use is the one that the models give."""
    path = Path(__file__).parents[1] / "projects.d" / "schema.json"
    assert path.read_text(encoding="utf-8") == schema(), "make schema writes it anew"


def allows(schema: Mapping[str, Any], value: object, defs: Mapping[str, Any]) -> bool:  # noqa: PLR0911 - a table of rules
    """Whether a JSON schema allows a value, for the words of JSON schema that ours is made of."""
    if "$ref" in schema:
        return allows(defs[schema["$ref"].rpartition("/")[2]], value, defs)
    if "anyOf" in schema:
        return any(allows(choice, value, defs) for choice in schema["anyOf"])
    if "oneOf" in schema:
        return sum(allows(choice, value, defs) for choice in schema["oneOf"]) == 1
    kinds = {"string": str, "integer": int, "boolean": bool, "object": dict, "array": list, "null": type(None)}
    if type(value) is not kinds[schema["type"]] or value not in schema.get("enum", [value]):
        return False
    if "const" in schema and value != schema["const"]:
        return False
    match value:
        case dict():
            fields, others = schema.get("properties", {}), schema.get("additionalProperties", True)
            return (
                value.keys() >= set(schema.get("required", ()))
                and all(allows(fields[key], inner, defs) for key, inner in value.items() if key in fields)
                and all(others and allows(others, inner, defs) for key, inner in value.items() if key not in fields)
            )
        case list():
            return len(value) >= schema.get("minItems", 0) and all(allows(schema["items"], v, defs) for v in value)
        case str():
            return bool(schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value)))
        case int():
            return bool(schema.get("minimum", value) <= value <= schema.get("maximum", value))
        case _:
            return True


FIELDS = [
    "clusterQueue",
    "displayName",
    "tags",
    "active",
    "whenInactive",
    "members",
    "defaults",
    "priorities",
    "limits",
]
INNER = ["user", "group", "role", "cpu", "memory", "gpus", "env", "time", "jobs", "storage", "container", "requests"]
ODD: st.SearchStrategy[Any] = st.recursive(
    st.sampled_from([None, True, False, 0, 1, -1, 2**31, "", "a", "1", "2Gi", "1h", "viewer", "hold", "x" * 300]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(INNER), inner, max_size=3),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from(FIELDS), ODD, max_size=3), st.booleans())
def test_what_the_schema_refuses_is_refused(spec: dict[str, Any], whole: bool) -> None:  # noqa: FBT001 - generated
    """What an editor marks as wrong by the schema, declare refuses: the schema never claims more than is true."""
    body = {"apiVersion": "jobq.io/v1alpha1", "kind": "Project", "metadata": {"name": "vision"}}
    value = {**body, "spec": {**({"clusterQueue": "a"} if whole else {}), **spec}}
    rules = json.loads(schema())
    try:
        declared({VISION: json.dumps(value)})
    except DeclarationInvalid:
        return
    assert allows(rules, value, rules["$defs"])


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"clusterQueue": 5},
        {"clusterQueue": "a", "active": "no"},
        {"clusterQueue": "a", "tags": "vision"},
        {"clusterQueue": "a", "priorities": []},
        {"clusterQueue": "a", "network": "closed"},
        {"clusterQueue": "a", "limits": {"jobs": -1}},
        {"clusterQueue": "a", "members": [{"user": "kim"}]},
        {"clusterQueue": "a", "members": [{"user": "", "role": "viewer"}]},
        {"clusterQueue": "a", "defaults": {"env": {"A": 1}}},
        {"clusterQueue": "a", "displayName": "x" * 257},
        {"clusterQueue": "a", "unknown": 1},
    ],
)
def test_the_schema_refuses(spec: dict[str, Any]) -> None:
    """Types, words, bounds and unknown fields are refused by the schema and by declare alike."""
    value = {"apiVersion": "jobq.io/v1alpha1", "kind": "Project", "metadata": {"name": "vision"}, "spec": spec}
    rules = json.loads(schema())
    assert not allows(rules, value, rules["$defs"])
    assert len(problems({VISION: json.dumps(value)})) == 1
