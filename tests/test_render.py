"""What templates may do and what they may not: the fence, the bounds, values and shapes."""

import time
import tracemalloc
from datetime import date

import pytest

from reconciler.declare import declare
from reconciler.errors import RenderError
from reconciler.model import Body, File, Manifest, Snapshot
from reconciler.render import Templates, render
from reconciler.rendering.words import in_force
from reconciler.source import templates
from tests.repository import project
from tests.world import TODAY

PATH = "templates/project/x.yaml.j2"
DECLARED = declare(
    Snapshot(
        "c0ffee",
        {
            "jobq.toml": File(b'cluster = "demo"\n', "5e"),
            "projects.d/vision.yaml": File(
                project(
                    "vision",
                    members=[
                        {"user": "kim", "role": "viewer", "expires": "2027-01-15"},
                        {"group": "oidc:v", "role": "viewer"},
                    ],
                ).encode(),
                "b1",
            ),
        },
    )
)
CONFIG_MAP = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: vision\n"


def rendered(text: str) -> tuple[Manifest, ...]:
    """What a template of that text gives for the project vision."""
    return render(DECLARED, {"x.yaml.j2": (PATH, text)}, TODAY)


def refused(text: str) -> str:
    with pytest.raises(RenderError) as error:
        rendered(text)
    return str(error.value).removeprefix(f"{PATH}:")


def value(expression: str) -> object:
    """What an expression becomes as the data of a ConfigMap."""
    return rendered(f"{CONFIG_MAP}data:\n  x: {expression}\n")[0].body["data"]["x"]


# ------------------------------------------------------------------------------------------------ the fence


def body(kind: str, version: str = "v1", name: str = "x", **more: str) -> str:
    meta = "".join(f"  {line}\n" for line in (f"name: {name}", *more.pop("meta", "").splitlines()))
    return f"apiVersion: {version}\nkind: {kind}\nmetadata:\n{meta}" + "".join(f"{k}: {v}\n" for k, v in more.items())


RBAC = "rbac.authorization.k8s.io/v1"
ROLE = "{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: jobq-project-%s}"
FENCED = {
    "a foreign kind": (body("Secret"), "v1 Secret is no kind a project may have"),
    "a foreign group": (body("Job", "batch/v1"), "batch/v1 Job is no kind a project may have"),
    "a cluster's kind": (body("ClusterRoleBinding", RBAC), "ClusterRoleBinding is no kind a project may have"),
    "another version": (body("LocalQueue", "kueue.x-k8s.io/v1beta1"), "v1beta1 LocalQueue is no kind"),
    "no object": ("a: b\n", "None None is no kind"),
    "no name": ("apiVersion: v1\nkind: ServiceAccount\nmetadata: {labels: {a: b}}\n", "metadata.name must be text"),
    "another namespace": (
        body("ServiceAccount", meta="namespace: kube-system"),
        "metadata.namespace must be vision: leave it out",
    ),
    "a namespace where there is none": (
        body("Namespace", name="vision", meta="namespace: vision"),
        "metadata.namespace must be absent: leave it out",
    ),
    "another's Namespace": (body("Namespace", name="speech"), "the Namespace of a project is named vision"),
    "another's entry": (body("ConfigMap", name="speech"), "the ConfigMap of a project is named vision"),
    "an entry with a dot": (body("ConfigMap", name="jobq.cluster"), "the ConfigMap of a project is named vision"),
    "our label": (
        body("ServiceAccount", meta="labels: {app.kubernetes.io/managed-by: helm}"),
        "the label app.kubernetes.io/managed-by is jobq's own: leave it out",
    ),
    "another's label": (
        body("ServiceAccount", meta="labels: {jobq.io/project: speech}"),
        "the label jobq.io/project is jobq's own: leave it out",
    ),
    "another role": (
        body("RoleBinding", RBAC, name="jobq:admin", roleRef="{kind: ClusterRole, name: admin}"),
        "roleRef 'admin' is none of the three project roles",
    ),
    "a Role of that name": (
        body("RoleBinding", RBAC, name="jobq:viewer", roleRef="{kind: Role, name: jobq-project-viewer}"),
        "roleRef 'jobq-project-viewer' is none of the three project roles",
    ),
    "another binding's name": (
        body("RoleBinding", RBAC, name="jobq:viewer", roleRef=ROLE % "maintainer"),
        "the binding of jobq-project-maintainer is named jobq:maintainer",
    ),
    "twice the same": (f"{CONFIG_MAP}---\n{CONFIG_MAP}", "ConfigMap jobq-system/vision comes from"),
}  # fmt: skip


@pytest.mark.parametrize("name", FENCED)
def test_fence(name: str) -> None:
    """A template can't leave its project's room: kind, namespace, labels, role and names are judged after rendering."""
    text, reason = FENCED[name]
    assert reason in refused(text)


def test_filled_in() -> None:
    """Namespace and our labels are put on every object; what a template says beside them stays."""
    found = rendered(body("ServiceAccount", meta="labels: {team: blue}"))[0].body["metadata"]
    assert found["namespace"] == "vision"
    assert found["labels"] == {"team": "blue", "app.kubernetes.io/managed-by": "jobq", "jobq.io/project": "vision"}


# ------------------------------------------------------------------------------------------------ bounds


DIGITS = "[1, 2, 3, 4, 5, 6, 7, 8, 9, 0]"
NESTED = "".join(f"{{% for {name} in {DIGITS} %}}" for name in "abcdef") + "x" + "{% endfor %}" * 6
BOMBS = {
    "{{ '%1000000000d' % 1 }}": "% is for numbers",
    "{{ 'x'.center(10**9) }}": "Call is not for jobq's templates",
    "{{ 'a' * 10**10 }}": "** is for numbers",
    "{{ 'a' * 1000000000 }}": "* is for numbers",
    "{{ [1] * 1000000000 }}": "* is for numbers",
    "{{ 9**9**9 }}": "** is for numbers",
    "{% for i in range(99999) %}{% for j in range(99999) %}x{% endfor %}{% endfor %}": "Call is not for",
    "{{ range(1000000000) | list | length }}": "Call is not for",
    "{{ lipsum(n=10000) }}": "Call is not for",
    "{{ '{:>1000000000}'.format(1) }}": "Call is not for",
    "{{ 'x' | indent(1000000000) }}": "No filter named 'indent'",
    "{{ 'x' | center(1000000000) }}": "No filter named 'center'",
    "{{ 'a' | replace('a', 'bbbb') }}": "No filter named 'replace'",
    "{{ 'a' ~ 'b' }}": "Concat is not for",
    NESTED: "takes more than 100000 steps",
    "{% for x in 'ab' recursive %}{{ loop('ab') }}{% endfor %}": "Call is not for",
}


@pytest.mark.parametrize("text", BOMBS)
def test_bombs(text: str) -> None:
    """What would burn the machine is ended at once, in little memory, with the template and its line."""
    began = time.monotonic()
    tracemalloc.start()
    said = refused(f"{CONFIG_MAP}data:\n  x: {text}\n")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert said.startswith("6:1: ")
    assert BOMBS[text] in said
    assert time.monotonic() - began < 20
    assert peak < 50_000_000


BANNED = {
    "{% set x %}a{% endset %}": "AssignBlock",
    "{% macro m() %}{% endmacro %}": "Macro",
    "{% call x() %}{% endcall %}": "CallBlock",
    "{% filter upper %}a{% endfilter %}": "FilterBlock",
    "{% include 'namespace.yaml.j2' %}": "Include",
    "{% extends 'x' %}": "Extends",
    "{% import 'x' as x %}": "Import",
    "{% from 'x' import y %}": "FromImport",
    "{{ project.name.upper() }}": "Call",
}


@pytest.mark.parametrize("text", BANNED)
def test_banned(text: str) -> None:
    """What would see values as text, read other files or call anything is refused with its line."""
    assert refused(f"\n\n{text}\n") == f"3:1: {BANNED[text]} is not for jobq's templates"


WRONG = {
    "{{ nothing }}": "'nothing' is undefined",
    "{{ project.nothing }}": "has no attribute 'nothing'",
    "{{ project }}": "an expression gives dict, not text, a number or true/false",
    "{{ project.tags }}": "an expression gives list, not text",
    "{{ none }}": "an expression gives NoneType, not text",
    "{{ project.__class__ }}": "access to attribute '__class__'",
    "{{ ''.__class__.__mro__ }}": "access to attribute '__class__'",
    "{{ 1 / 0 }}": "division by zero",
    "{{ project.name": "unexpected end of template",
    "{% if %}": "Expected an expression",
    "{{ 'a' | nofilter }}": "No filter named 'nofilter'",
    "{{ 'a' + 'b' }}": "+ is for numbers; text is written side by side",
}


@pytest.mark.parametrize("text", WRONG)
def test_wrong(text: str) -> None:
    """A mistake in a template is told with its line and in words."""
    said = refused(f"{CONFIG_MAP}data:\n  y: z\n  x: {text}\n")
    assert said.startswith("7:1: ")
    assert WRONG[text] in said


SHAPES = {
    "data:\n  x: 1\n  x: 2\n": "7:3: the key x is said twice",
    "data: {x: 2027-01-01}\n": "5:11: 2027-01-01 is a date to some readers",
    "data: &a {x: y}\n": "5:7: &a is an anchor",
    "data:\n\tx: y\n": "6:1: a tab indents here",
    "data: {x: [}\n": "5:12: not YAML",
    'data: {"{{ project.name }}": a, "vision": b}\n': " two keys of one map become the same",
}


@pytest.mark.parametrize("text", SHAPES)
def test_shapes(text: str) -> None:
    """What a template writes itself is read as strictly as a project file."""
    assert refused(f"{CONFIG_MAP}{text}").startswith(SHAPES[text])


# ------------------------------------------------------------------------------------------------ values


VALUES: dict[str, object] = {
    "{{ project.name }}": "vision",
    '"{{ project.name }}"': "vision",
    "a-{{ project.name }}-b": "a-vision-b",
    "{{ 1 }}": 1,
    '"{{ 1 }}"': "1",
    "{{ project.active }}": True,
    '"{{ project.active }}"': "true",
    "x{{ project.active }}": "xtrue",
    "{{ 2 * 3 }}": 6,
    "{{ project.name | upper }}": "VISION",
    "{{ ['a', 'b'] | join('-') }}": "a-b",
    "{{ {'b': 1, 'a': [2]} | json }}": '{"a":[2],"b":1}',
    "{% for a in [1, 2] %}{{ a }}{% endfor %}": "12",
    "{{ 'a: b' }}": "a: b",
    "{{ '- a' }}": "- a",
    "{{ '# a' }}": "# a",
    "{{ 'no' }}": "no",
    "{{ '012' }}": "012",
    "{{ '\ue0000\ue002' }}": "\ue0000\ue002",
}


@pytest.mark.parametrize("expression", VALUES)
def test_values(expression: str) -> None:
    """One placeholder alone keeps its type, in quotes or among other text it is text; nothing of it is read as YAML."""
    assert value(expression) == VALUES[expression]


def test_pruned() -> None:
    """Empty maps and lists are left out: some kinds would get a new version from every apply of them."""
    text = f"{CONFIG_MAP}  annotations: {{}}\ndata:\n  a: b\n  c: {{}}\n  d: []\n"
    found = rendered(text)[0].body
    assert found["data"] == {"a": "b"}
    assert "annotations" not in found["metadata"]


def test_expiry_is_part_of_rendering() -> None:
    """A member is bound through the last day, and no longer."""
    packaged: Templates = templates(Snapshot("", {}), "project")

    def people(today: date) -> list[str]:
        bodies = [manifest.body for manifest in render(DECLARED, packaged, today)]
        binding: Body = next(one for one in bodies if one["kind"] == "RoleBinding")
        return [subject["name"] for subject in binding["subjects"]]

    assert people(date(2027, 1, 15)) == ["kim", "oidc:v"]
    assert people(date(2027, 1, 16)) == ["oidc:v"]
    assert [m.name for m in in_force(DECLARED.projects["vision"].members, date(2027, 1, 16))] == ["oidc:v"]


def test_access_comes_last() -> None:
    """Within a project the Namespace comes first and bindings last."""
    packaged: Templates = templates(Snapshot("", {}), "project")
    kinds = [manifest.ref.kind for manifest in render(DECLARED, packaged, TODAY)]
    assert kinds[0] == "Namespace"
    assert kinds[-1] == "RoleBinding"
    assert kinds.index("LocalQueue") < kinds.index("RoleBinding")
