"""What the laws range over: random projects, texts and days."""

from collections.abc import Mapping
from datetime import date, timedelta
from zlib import crc32

from hypothesis import strategies as st

from reconciler.declare import declare
from reconciler.model import Declaration, File, Snapshot
from tests.repository import project

TODAY = date(2027, 1, 15)
NAMES = ["vision", "speech", "a", "b-2"]
PEOPLE = ["kim@example.org", "lee@example.org", "oidc:ada"]

days = st.integers(-3, 3).map(lambda days: TODAY + timedelta(days=days))
members = st.lists(
    st.builds(
        lambda kind, name, role, expires: {kind: name, "role": role} | ({"expires": expires} if expires else {}),
        st.sampled_from(["user", "group"]),
        st.sampled_from(PEOPLE),
        st.sampled_from(["viewer", "researcher", "maintainer"]),
        st.none() | days.map(date.isoformat),
    ),
    max_size=4,
    unique_by=lambda member: member.get("user", "group:" + member.get("group", "")),
)
tricky = st.sampled_from(
    ["", "no", "1e3", "- a", "a: b", "{}", "[]", "'", '"', "#", "&a", "*a", "!x", "|", "> x", "%", "@", "`", "---",
     "...", "{{ x }}", "{% x %}", "null", "~", "0x1", "2027-01-01", "é ü 训练", "\\", "a\tb", "${HOME}", "  x  ", "="]
)  # fmt: skip
texts = tricky | st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S", "Zs"]), max_size=20)
networks = st.fixed_dictionaries(
    {},
    optional={
        "from": st.lists(st.sampled_from(["ingress", "vision"]), max_size=3),
        "egress": st.sampled_from(["open", "internal", "none"]),
    },
)
claims = st.lists(
    st.fixed_dictionaries(
        {
            "name": st.sampled_from(["data", "models"]),
            "size": st.sampled_from(["1Ti", "1024Gi", "1.5Ti"]),
            "access": st.sampled_from(["ReadWriteOnce", "ReadWriteMany"]),
        },
        optional={"class": st.sampled_from(["fast", "slow"])},
    ),
    max_size=2,
    unique_by=lambda claim: claim["name"],
)
specs = st.fixed_dictionaries(
    {"clusterQueue": st.sampled_from(["gpu-shared", "fake-shared"]), "members": members},
    optional={
        "displayName": st.sampled_from(["", "Vision group", "a: b", "{{ x }}", "训练"]),
        "tags": st.lists(st.sampled_from(["eu", "a-b", "x"]), max_size=2),
        "active": st.booleans(),
        "whenInactive": st.sampled_from(["hold", "drain"]),
        "limits": st.sampled_from([{"jobs": 5}, {"storage": "3.5Ti", "container": {"max": {"cpu": "2"}}}]),
        "network": st.sampled_from(["isolated", "open"]) | networks,
        "robot": st.sampled_from(["viewer", "researcher"]),
        "storage": claims,
        "labels": st.sampled_from([{}, {"example.org/cost-centre": "104233"}]),
        "annotations": st.sampled_from([{}, {"example.org/contact": "a: {b}"}]),
        "defaults": st.sampled_from([{}, {"cpu": "1", "memory": "1.5Gi"}, {"env": {"A": "no"}}]),
    },
)
repositories = st.dictionaries(st.sampled_from(NAMES), specs, min_size=1).map(
    lambda files: {"vision": {"clusterQueue": "gpu-shared"}} | files  # networks name it
)
"""What project files say, by project."""


SETTINGS = """
[networks]
ingress = {"kubernetes.io/metadata.name" = "ingress-nginx", tier = "edge"}
[labels."example.org/cost-centre"]
pattern = "[0-9]{6}"
[annotations."example.org/contact"]
"""
EVERYWHERE = """
[[members]]
group = "oidc:support-{project}"
role = "viewer"
"""


def elsewhere(files: Mapping[str, Mapping[str, object]]) -> Declaration:
    """The same with names by patterns, and a member of every project."""
    patterns = 'namespace = "lab-{project}"\nqueue = "{namespace}-user-queue"\n'
    return declared(files, patterns=patterns, more=EVERYWHERE)


def declared(
    files: Mapping[str, Mapping[str, object]], disrupted: object = 1000, patterns: str = "", more: str = ""
) -> Declaration:
    """The declaration of a repository with exactly these projects; so many of them may be disrupted."""
    names = ", ".join(f'"{name}"' for name in NAMES)
    settings = (
        f'cluster = "demo"\n{patterns}openNetwork = [{names}]\n[guard]\ndisrupted = {disrupted}\n{SETTINGS}{more}'
    )
    texts = {f"projects.d/{name}.yaml": project(name, **spec) for name, spec in files.items()}
    contents = {path: File(text.encode(), f"{crc32(text.encode()):x}") for path, text in texts.items()}
    return declare(Snapshot("c0ffee", {"jobq.toml": File(settings.encode(), "5e77"), **contents}))


declarations = st.sampled_from([declared, elsewhere])
"""Both ways in which a repository may be named."""
