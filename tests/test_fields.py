"""What projects may say of robots, networks, storage and labels, and settings of names and members; what is refused."""

import threading
from collections.abc import Mapping, Sequence
from datetime import date, timedelta

import pytest

from reconciler import cycle
from reconciler.declare import declare
from reconciler.errors import DeclarationInvalid
from reconciler.model import Body, Declaration, Egress, File, Problem, Project, Settings, Snapshot
from reconciler.planned import EffectKind
from reconciler.render import render
from reconciler.source import templates
from tests.fakes import FakeCluster
from tests.laws import TODAY, elsewhere
from tests.repository import project, said

PACKAGED = templates(Snapshot("", {}), "project")
SETTINGS = """\
cluster = "demo"
networkFrom = ["monitoring"]
openNetwork = ["speech"]
[networks]
monitoring = {"kubernetes.io/metadata.name" = "monitoring"}
ingress = {tier = "edge", zone = "a"}
[labels."example.org/cost-centre"]
pattern = "[0-9]{6}"
[annotations."example.org/contact"]
pattern = "[^ ]+@example.org"
"""
COST = "example.org/cost-centre"


def declared(settings: str, files: Mapping[str, Mapping[str, object]]) -> Declaration:
    texts = {"jobq.toml": settings} | {f"projects.d/{name}.yaml": project(name, **files[name]) for name in files}
    return declare(Snapshot("c0ffee", {path: File(text.encode(), "b10b") for path, text in texts.items()}))


def vision(settings: str = SETTINGS, **spec: object) -> Project:
    return declared(settings, {"vision": spec, "speech": {}}).projects["vision"]


def problems(settings: str, **files: Mapping[str, object]) -> list[Problem]:
    with pytest.raises(DeclarationInvalid) as invalid:
        declared(settings, files)
    return list(invalid.value.problems)


def manifests(settings: str, **files: Mapping[str, object]) -> dict[str, Body]:
    """By kind and name."""
    rendered = render(declared(settings, files), PACKAGED, TODAY)
    return {f"{manifest.ref.kind} {manifest.ref.name}": manifest.body for manifest in rendered}


def claim(**changed: object) -> dict[str, object]:
    return {"name": "data", "size": "2Ti", "class": "fast", "access": "ReadWriteMany"} | changed


# ------------------------------------------------------------------------------------------------ what is refused


REFUSED: dict[str, tuple[Mapping[str, object], list[str]]] = {
    "a maintaining robot": (
        {"robot": "maintainer"},
        ["7:10 spec.robot is 'maintainer'; allowed: viewer or researcher"],
    ),
    "another word for a network": (
        {"network": "isolatd"},
        ["7:12 spec.network is 'isolatd'; allowed: isolated or open (did you mean isolated?)"],
    ),
    "a number for a network": ({"network": 3}, ["7:12 spec.network is 3; allowed: isolated or open"]),
    "an unknown network": (
        {"network": {"from": ["monitorin", "nowhere"]}},
        [
            "7:22 there is no network and no project monitorin (did you mean monitoring?)",
            "7:35 there is no network and no project nowhere (networks stand in jobq.toml under [networks])",
        ],
    ),
    "a misspelt field of a network": (
        {"network": {"form": ["ingress"]}},
        ["7:13 unknown field spec.network.form (did you mean from?)"],
    ),
    "another egress": (
        {"network": {"egress": "closed"}},
        ["7:23 spec.network.egress is 'closed'; allowed: open, internal or none"],
    ),
    "open, not allowed": (
        {"network": "open"},
        ['7:12 vision may not have an open network (an admin adds it to jobq.toml: openNetwork = ["vision"])'],
    ),
    "a claim without access": (
        {"storage": [{"name": "data", "size": "2Ti"}]},
        ["7:13 spec.storage.0.access is missing"],
    ),
    "another access": (
        {"storage": [claim(access="ReadWriteMuch")]},
        [
            (
                "7:72 spec.storage.0.access is 'ReadWriteMuch'; allowed: ReadWriteOnce, ReadOnlyMany, ReadWriteMany "
                "or ReadWriteOncePod (did you mean ReadWriteOnce?)"
            )
        ],
    ),
    "a claim that is no name": (
        {"storage": [claim(name="Data")]},
        ["7:22 spec.storage.0.name: 'Data' is no name: lower-case letters, digits and '-', at most 63"],
    ),
    "a claim of nothing": (
        {"storage": [claim(size="0")]},
        ["7:38 spec.storage.0.size: '0' is no whole number of bytes above zero; write 512Mi or 8Gi"],
    ),
    "two claims of a name": (
        {"storage": [claim(), claim()]},
        ["7:99 there are two claims data"],
    ),
    "more storage than the limit": (
        {"storage": [claim(), claim(name="more")], "limits": {"storage": "3Ti"}},
        ["7:115 the claims up to more are more than limits.storage (3Ti)"],
    ),
    "more claims than the limit": (
        {"storage": [claim(), claim(name="more")], "limits": {"persistentVolumeClaims": 1}},
        ["7:12 2 claims are more than limits.persistentVolumeClaims (1)"],
    ),
    "a label that isn't named": (
        {"labels": {"example.org/cost-center": "104233"}},
        ["7:12 spec.labels may not have example.org/cost-center (did you mean example.org/cost-centre?)"],
    ),
    "a label of Kubernetes": (
        {"labels": {"pod-security.kubernetes.io/enforce": "privileged"}},
        [
            "7:12 spec.labels may not have pod-security.kubernetes.io/enforce (it is jobq's or Kubernetes' own)",
        ],
    ),
    "a label that nobody allows": (
        {"labels": {"x": "y"}},
        ['7:12 spec.labels may not have x (an admin allows it in jobq.toml: [labels."x"])'],
    ),
    "a label of another value": (
        {"labels": {COST: "10423x"}},
        [f"7:39 {COST} is '10423x', which jobq.toml doesn't allow (it must match [0-9]{{6}})"],
    ),
    "no value of a label": (
        {"labels": {COST: "a b"}},
        [f"7:39 spec.labels.{COST}: 'a b' is no label's value: letters, digits, '-', '_', '.'"],
    ),
    "an annotation of another value": (
        {"annotations": {"example.org/contact": "kim"}},
        ["7:40 example.org/contact is 'kim', which jobq.toml doesn't allow (it must match [^ ]+@example.org)"],
    ),
    "an own quota": ({"quota": {"cpu": "4"}}, ["7:3 unknown field spec.quota"]),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    """A field that says too much or the wrong thing is a problem at its place, with the way out."""
    spec, expected = REFUSED[name]
    found = said(problems(SETTINGS, vision={"clusterQueue": "gpu-shared", **spec}))
    assert [line.partition(" (allowed: apiVersion")[0].partition(" (allowed: cluster")[0] for line in found] == expected


PATTERNS = {
    'namespace = "team"': "2:13 namespace: 'team' must have {project} in it once, such as team-{project}",
    'namespace = "{project}-{project}"': (
        "2:13 namespace: '{project}-{project}' must have {project} in it once, such as team-{project}"
    ),
    'namespace = "Team-{project}"': (
        "2:13 namespace: 'Team-{project}' is no name: lower-case letters, digits, '-', and {project}"
    ),
    'namespace = "{project}{name}"': (
        "2:13 namespace: '{project}{name}' is no name: lower-case letters, digits, '-', and {project}"
    ),
    'namespace = "kube-{project}"': (
        "2:13 every namespace would have a reserved name: kube-{project} (let it begin in another way)"
    ),
    'queue = "{name}"': (
        "2:9 queue: '{name}' is no name: lower-case letters, digits, '-', and {project} or {namespace}"
    ),
    'queue = "default"': (
        "2:9 a LocalQueue named default would take in every job of the namespace, notebooks included "
        '(write queue = "main")'
    ),
    'labels."jobq.io/project" = {}': (
        "2:28 labels.jobq.io/project: 'jobq.io/project' belongs to jobq or Kubernetes; project files can't set it"
    ),
    'annotations."scheduler.alpha.kubernetes.io/node-selector" = {}': (
        "2:61 annotations.scheduler.alpha.kubernetes.io/node-selector: 'scheduler.alpha.kubernetes.io/node-selector' "
        "belongs to jobq or Kubernetes; project files can't set it"
    ),
    'labels."example.org/x" = {pattern = "["}': (
        "2:37 labels.example.org/x.pattern: '[' is no regular expression: unterminated character set at position 0"
    ),
    'managedNamespaceLabel = "example.org/q=1"\nlabels."example.org/q" = {}': (
        "3:26 example.org/q is the managedNamespaceLabel: project files can't set it"
    ),
    "networks = {everywhere = {}}": "2:26 networks.everywhere is empty (leave it out, or write at least one)",
    'members = [{group = "oidc:{namespace}", role = "viewer"}]': (
        "2:12 oidc:{namespace} has a { in it (the only word in braces is {project})"
    ),
    'members = [{group = "oidc:x", role = "owner"}]': (
        "2:38 members.0.role is 'owner'; allowed: viewer, researcher or maintainer"
    ),
}


@pytest.mark.parametrize("line", PATTERNS)
def test_settings_refused(line: str) -> None:
    """A setting that can't be meant is one problem of jobq.toml, and none of the projects'."""
    found = problems(f'cluster = "demo"\n{line}\n', vision={"labels": {"example.org/x": "y"}, "network": "open"})
    place = found[0].origin.path
    assert (len(found), place, said(found)[0]) == (1, "jobq.toml", PATTERNS[line])


def test_required() -> None:
    """A label that the settings require is missed in each project that lacks it, at its place."""
    settings = SETTINGS.replace('pattern = "[0-9]{6}"', 'pattern = "[0-9]{6}"\nrequired = true')
    found = problems(settings, vision={"clusterQueue": "q", "labels": {}}, speech={"labels": {COST: "104233"}})
    hint = f'write it: labels: {{{COST}: "..."}}, matching [0-9]{{6}}'
    assert said(found) == [f"7:11 spec.labels lacks {COST}, which jobq.toml requires ({hint})"]


# ------------------------------------------------------------------------------------------------ names


def test_names_by_patterns() -> None:
    """Namespace and queue have the names that the patterns give, in everything that a project becomes."""
    settings = 'cluster = "demo"\nnamespace = "team-{project}"\nqueue = "{namespace}-user-queue"\n'
    found = manifests(settings, vision={"robot": "viewer", "network": {"from": ["speech"]}}, speech={})
    entry = found["ConfigMap vision"]["data"]
    assert (entry["namespace"], entry["queue"]) == ("team-vision", "team-vision-user-queue")
    namespace = found["Namespace team-vision"]["metadata"]
    assert namespace["labels"]["jobq.io/project"] == "vision"
    assert namespace["annotations"]["jobq.io/queue"] == "team-vision-user-queue"
    assert found["LocalQueue team-vision-user-queue"]["metadata"]["namespace"] == "team-vision"
    assert found["RoleBinding jobq:viewer"]["subjects"] == [
        {"kind": "ServiceAccount", "name": "jobq-robot", "namespace": "team-vision"}
    ]
    rendered = render(declared(settings, {"vision": {"network": {"from": ["speech"]}}, "speech": {}}), PACKAGED, TODAY)
    [policy] = [m.body for m in rendered if (m.ref.kind, m.project) == ("NetworkPolicy", "vision")]
    names = [
        peer["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"]
        for peer in policy["spec"]["ingress"][0]["from"]
    ]
    assert names == ["team-vision", "team-speech"]


LONG = "v" * 60


@pytest.mark.parametrize(
    ("patterns", "name", "reason"),
    [
        ('namespace = "team-{project}"', LONG, f"its namespace would be team-{LONG}, 65 characters long; at most 63"),
        (
            'queue = "{namespace}-queue"',
            LONG,
            f"its LocalQueue would be {LONG}-queue, 66 characters long; at most 63",
        ),
        ('namespace = "{project}-system"', "kueue", "its namespace would be kueue-system, a reserved name"),
        ('namespace = "t-{project}"\nreserved = ["t-a"]', "a", "its namespace would be t-a, a reserved name"),
        ('namespace = "{project}-x"\nreserved = ["a"]', "a", "the name 'a' is reserved"),
        ('namespace = "x-{project}"\nqueue = "{project}ult"', "defa", "its LocalQueue would be named default, which"),
    ],
)
def test_names_that_no_project_gets(patterns: str, name: str, reason: str) -> None:
    """A name that a pattern makes invalid or reserved is a problem of the project whose it is."""
    found = problems(f'cluster = "demo"\n{patterns}\n', **{name: {}, "speech": {}})
    assert [(p.origin.path, p.origin.line, p.reason.startswith(reason)) for p in found] == [
        (f"projects.d/{name}.yaml", 4, True)
    ]


# ------------------------------------------------------------------------------------------------ networks


def test_networks_resolved() -> None:
    """Settings' networks come first, then those that a project names: networks, else projects."""
    monitoring = {"kubernetes.io/metadata.name": "monitoring"}
    speech = {"kubernetes.io/metadata.name": "speech"}
    assert vision().network.admitted == (monitoring,)
    named = vision(network={"from": ["ingress", "speech", "vision", "monitoring"], "egress": "none"}).network
    assert named.admitted == (monitoring, {"tier": "edge", "zone": "a"}, speech)
    assert named.egress is Egress.NONE
    assert declared(SETTINGS, {"speech": {"network": "open"}}).projects["speech"].network.admitted is None


def peers(rule: list[Body]) -> list[Mapping[str, str]]:
    return [peer["namespaceSelector"]["matchLabels"] for peer in rule]


def test_egress() -> None:
    """None leaves the own namespace and DNS; internal adds whom the project admits; open says nothing of egress."""
    own, dns = {"kubernetes.io/metadata.name": "vision"}, {"kubernetes.io/metadata.name": "kube-system"}
    monitoring = {"kubernetes.io/metadata.name": "monitoring"}
    found = {
        word: manifests(SETTINGS, vision={"network": {"egress": word}})["NetworkPolicy jobq"]["spec"]
        for word in ("open", "internal", "none")
    }
    assert (found["open"]["policyTypes"], "egress" in found["open"]) == (["Ingress"], False)
    assert peers(found["none"]["egress"][0]["to"]) == [own]
    assert peers(found["internal"]["egress"][0]["to"]) == [own, monitoring]
    for word in ("internal", "none"):
        rule = found[word]["egress"][1]
        assert found[word]["policyTypes"] == ["Ingress", "Egress"]
        assert peers(rule["to"]) == [dns]
        assert rule["to"][0]["podSelector"] == {"matchLabels": {"k8s-app": "kube-dns"}}
        assert rule["ports"] == [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}]
        assert found[word]["ingress"] == found["open"]["ingress"]


# ------------------------------------------------------------------------------------------------ members


EVERYWHERE = """\
cluster = "demo"
[[members]]
group = "oidc:support"
role = "viewer"
[[members]]
group = "oidc:lead-{project}"
role = "maintainer"
"""


def test_members_of_every_project() -> None:
    """They are bound like its own, under the project's name, and the catalogue says where they come from."""
    found = manifests(EVERYWHERE, vision={"members": [{"user": "kim@example.org", "role": "viewer"}]})
    subjects = [(one["kind"], one["name"]) for one in found["RoleBinding jobq:viewer"]["subjects"]]
    assert subjects == [("User", "kim@example.org"), ("Group", "oidc:support")]
    assert [one["name"] for one in found["RoleBinding jobq:maintainer"]["subjects"]] == ["oidc:lead-vision"]
    told = found["ConfigMap vision"]["data"]["members"]
    assert '{"from":"jobq.toml","group":"oidc:support","role":"viewer"}' in told
    assert '{"role":"viewer","user":"kim@example.org"}' in told


@pytest.mark.parametrize(
    ("own", "warned"),
    [
        ({"role": "viewer"}, True),
        ({"role": "viewer", "expires": "2027-03-31"}, True),
        ({"role": "researcher"}, False),
    ],
)
def test_own_member_who_is_everywhere(own: Mapping[str, object], warned: bool) -> None:  # noqa: FBT001 - a table
    """Said twice, somebody is bound once to each role; who gains nothing by the project's own line is told."""
    spec = {"members": [{"group": "oidc:support", **own}]}
    declaration = declared(EVERYWHERE, {"vision": spec})
    reason = "oidc:support is viewer of every project already, by jobq.toml:2:3"
    assert [problem.reason for problem in declaration.warnings] == ([reason] if warned else [])
    found = manifests(EVERYWHERE, vision=spec)
    assert [one["name"] for one in found["RoleBinding jobq:viewer"]["subjects"]] == ["oidc:support"]


def planned(cluster: FakeCluster, today: date, **spec: object) -> list[tuple[EffectKind, str, Sequence[str]]]:
    """What a reconcile does to people's access, in a repository with a member of every project."""
    declaration = elsewhere({"vision": {"clusterQueue": "gpu-shared", **spec}})
    report = cycle.reconcile_pass(cluster, cycle.Run(declaration, PACKAGED, today), threading.Event())
    assert report.applied
    return [(effect.kind, effect.text, effect.people) for effect in report.plan.effects if effect.people]


def test_access_of_members_of_every_project() -> None:
    """A plan says where such access comes from; an own role that expires leaves it, and is no loss."""
    cluster = FakeCluster(Settings(cluster="demo"))
    support = {"group": "oidc:support-vision", "role": "researcher", "expires": TODAY.isoformat()}
    who = ["group oidc:support-vision"]
    by_settings = "no access -> viewer, as in every project by jobq.toml"
    assert planned(cluster, TODAY) == [(EffectKind.GAINED, by_settings, who)]
    assert planned(cluster, TODAY, members=[support]) == [(EffectKind.GAINED, "viewer -> researcher", who)]
    until = f"researcher -> viewer: it expired after {TODAY.isoformat()}"
    assert planned(cluster, TODAY + timedelta(days=1), members=[support]) == [(EffectKind.EXPIRED, until, who)]


# ------------------------------------------------------------------------------------------------ the rest


def test_rendered() -> None:
    """Robot, storage, labels and annotations as objects: nothing is in them that nobody said."""
    spec = {
        "robot": "researcher",
        "storage": [claim(), {"name": "scratch", "size": "1.5Gi", "access": "ReadWriteOnce"}],
        "labels": {COST: "104233"},
        "annotations": {"example.org/contact": "kim@example.org"},
    }
    found = manifests(SETTINGS, vision=spec)
    assert found["ServiceAccount jobq-robot"]["automountServiceAccountToken"] is False
    assert found["PersistentVolumeClaim data"]["spec"] == {
        "accessModes": ["ReadWriteMany"],
        "storageClassName": "fast",
        "resources": {"requests": {"storage": "2Ti"}},
    }
    assert found["PersistentVolumeClaim scratch"]["spec"] == {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "1536Mi"}},
    }
    assert found["Namespace vision"]["metadata"]["labels"][COST] == "104233"
    assert found["Namespace vision"]["metadata"]["annotations"]["example.org/contact"] == "kim@example.org"
    without = manifests(SETTINGS, vision={})
    assert not {"ServiceAccount jobq-robot", "PersistentVolumeClaim data"} & without.keys()
    robot = '{"role":"researcher","user":"system:serviceaccount:vision:jobq-robot"}'
    assert robot in found["ConfigMap vision"]["data"]["members"]
