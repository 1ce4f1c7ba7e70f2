"""What keeps accidents from the cluster: pure checks before the first write, each refusal with its way out."""

from collections.abc import Mapping

from reconciler.model import Body, Declaration, Plan, Refusal, Settings, Verdict

CLUSTER_NOTE = "jobq.cluster"
"""The ConfigMap in jobq-system that says which cluster this is; `jobq bootstrap` writes it."""
ROLES_VERSION = 1
"""The version of the project roles that this jobq needs."""


def check_cluster(settings: Settings, notes: Mapping[str, Body]) -> Verdict:
    """Whether this is the cluster that jobq.toml names: asked before anything else is."""
    note = notes.get(CLUSTER_NOTE)
    if note is None:
        text = f"this cluster doesn't say which one it is: jobq-system/{CLUSTER_NOTE} is missing"
        return Verdict((Refusal(text, f"if it is {settings.cluster}, an admin runs: jobq bootstrap --apply"),))
    data = note.get("data", {})
    if data.get("name") != settings.cluster:
        text = f"this is cluster {data.get('name', '?')}, but jobq.toml is for {settings.cluster}"
        return Verdict((Refusal(text, "choose the right one with --context or KUBECONFIG"),))
    if int(data.get("roles", "0")) < ROLES_VERSION:
        text = f"the project roles here are version {data.get('roles', '0')}; this jobq needs {ROLES_VERSION}"
        return Verdict((Refusal(text, "an admin runs: jobq bootstrap --apply"),))
    return Verdict()


def check_declaration(declaration: Declaration) -> Verdict:
    """Whether there is any project at all: an empty folder is an accident, never the wish to archive everybody."""
    if declaration.projects:
        return Verdict()
    text = "no project file at all in projects.d/: every project would be archived"
    return Verdict((Refusal(text, "is this the right repository and commit? one file is enough to go on"),))


def check(plan: Plan) -> Verdict:
    """What may be written of this plan."""
    return Verdict(plan.refusals)
