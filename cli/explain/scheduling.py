"""Why pods find no node, in the scheduler's words and then in ours."""

import re

from cli import parts
from cli.explain import words
from cli.explain.evidence import Evidence
from cli.fit import words as amounts
from cli.parts import Json

_NODES = re.compile(r"(\d+)/(\d+) nodes are available: (.*?)(?:\. |\.$|$)", re.DOTALL)
_NONE = re.compile(r"no nodes available", re.IGNORECASE)
_CLAIM = re.compile(r'persistentvolumeclaims? "([^"]+)" (not found|is being deleted)')
_UNBOUND = re.compile(r"unbound immediate PersistentVolumeClaims", re.IGNORECASE)
_LACKS = re.compile(r"(\d+) Insufficient ([^\s,]*[^\s,.])")
_AFFINITY = re.compile(r"(\d+) node\(s\) didn't match Pod's node affinity/selector")
_TAINT = re.compile(r"(\d+) node\(s\) had untolerated taints?(?:\(s\))?(?: \{([^:}]+):? ?([^}]*)\})?")


def selector_of(pod: Json) -> str:
    """``zone=moon``: what the pod wants of a node."""
    return ", ".join(f"{key}={value}" for key, value in parts.pairs(pod, "nodeSelector").items())


def message_of(pod: Json) -> str:
    """What the scheduler says of a pod without a node; ``""`` for none."""
    found = parts.condition(pod, "PodScheduled")
    return parts.text(found, "message") if parts.text(found, "status") == "False" else ""


def claim_trouble(evidence: Evidence, message: str) -> str:
    """What is wrong with a volume that a pod needs before it can have a node."""
    if found := _CLAIM.search(message):
        return f"the volume claim {found[1]} {'does not exist' if found[2] == 'not found' else found[2]}"
    if _UNBOUND.search(message):
        claims = words.listed(claims_of(evidence))
        return f"the volume claim {claims} has no volume yet" if claims else "a volume claim has no volume yet"
    return ""


def claims_of(evidence: Evidence) -> list[str]:
    """The claims that the job's pods mount."""
    found = [
        parts.text(volume, "persistentVolumeClaim", "claimName")
        for pods in evidence.pod_sets
        for volume in parts.items(pods.pod, "volumes")
    ]
    return [name for name in dict.fromkeys(found) if name]


def no_node(message: str, evidence: Evidence, body: Json) -> str:
    """``0 of 2 nodes have the label zone=moon``; the scheduler's own words where they say something else.

    What the job itself wants of a node counts, not what Kueue has added for the flavor.
    """
    sets = evidence.pod_sets
    pod, one = (sets[0].pod, sets[0].one) if sets else (parts.mapping(body, "spec"), {})
    counted = _NODES.search(message)
    if not counted:
        return "there are no nodes" if _NONE.search(message) else words.plain(message) or "nobody says why"
    total, why = counted[2], counted[3]
    selector = selector_of(pod)
    said = []
    if (wrong := _AFFINITY.search(why)) and wrong[1] == total and selector:
        label = "labels" if "," in selector else "label"
        return f"{counted[1]} of {total} nodes have the {label} {selector}"
    if wrong:
        said.append(f"{wrong[1]} of {total} nodes don't have {selector or 'what its affinity wants'}")
    for number, resource in _LACKS.findall(why):
        asked = parts.quantity(one.get(resource, "0"))
        free = f"{amounts.plainly(resource, asked)} free" if asked else f"enough {resource}"
        nobody = f"no single node has {free}" if number == total else f"{number} of {total} nodes don't have {free}"
        said.append(f"{nobody} (Insufficient {resource})")
    for number, taint, value in _TAINT.findall(why):
        name = f" {taint}{f'={value}' if value else ''}" if taint else ""
        said.append(f"{number} of {total} nodes have a taint{name} that it does not tolerate")
    return words.listed(said) if said else words.plain(f"0 of {total} nodes: {why}")
