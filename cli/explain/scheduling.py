"""Why pods find no node, in the scheduler's words and then in ours."""

import re

from cli import parts
from cli.explain import words
from cli.explain.evidence import Evidence
from cli.fit import requests
from cli.fit import words as amounts
from cli.fit.requests import PodSet
from cli.parts import Json

_POD_SET = "kueue.x-k8s.io/podset"
_NODES = re.compile(r"(\d+)/(\d+) nodes are available: (.*?)(?:\. |\.$|$)", re.DOTALL)
_NONE = re.compile(r"no nodes available", re.IGNORECASE)
_CLAIM = re.compile(r'persistentvolumeclaims? "([^"]+)" (not found|is being deleted)')
_UNBOUND = re.compile(r"unbound immediate PersistentVolumeClaims", re.IGNORECASE)
_ONE = re.compile(r"(\d+) (.*)", re.DOTALL)
_EACH = re.compile(r", (?=\d+ )")
_LACKS = re.compile(r"Insufficient (\S+)")
_AFFINITY = "node(s) didn't match Pod's node affinity/selector"
_TAINT = re.compile(r"node\(s\) had (?:untolerated )?taints?(?:\(s\))?(?: \{([^:}]+):? ?([^}]*)\})?")
_IN_OTHER_WORDS = {
    "Too many pods": "have no place for more pods",
    "node(s) were unschedulable": "are closed to new pods",
    "node(s) had volume node affinity conflict": "can't reach its volume",
    "node(s) didn't match PersistentVolume's node affinity": "can't reach its volume",
    "node(s) had no available volume zone": "can't reach its volume",
    "node(s) didn't find available persistent volumes to bind": "have no volume for its claim",
}
"""What is said of some nodes -> how that goes on after ``2 of 5 nodes``."""


def selector_of(pod: Json) -> str:
    """``zone=moon``: what the pod wants of a node."""
    return ", ".join(f"{key}={value}" for key, value in parts.pairs(pod, "nodeSelector").items())


def message_of(pod: Json) -> str:
    """What the scheduler says of a pod without a node; ``""`` for none."""
    found = parts.condition(pod, "PodScheduled")
    gated = parts.text(found, "reason") == "SchedulingGated"  # the scheduler hasn't looked at it
    return parts.text(found, "message") if parts.text(found, "status") == "False" and not gated else ""


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
    pods = pod_set_of(evidence, body)
    counted = _NODES.search(message)
    if not counted:
        return "there are no nodes" if _NONE.search(message) else words.plain(message) or "nobody says why"
    total, why = counted[2], counted[3]
    selector = selector_of(pods.pod)
    if why == f"{total} {_AFFINITY}" and selector:
        label = "labels" if "," in selector else "label"
        return f"{counted[1]} of {total} nodes have the {label} {selector}"
    each = [found.groups() for found in map(_ONE.fullmatch, _EACH.split(why)) if found]
    if not each:
        return words.plain(f"0 of {total} nodes: {why}")
    said = sorted(each, key=lambda one: (one[1] != _AFFINITY, "Insufficient" not in one[1], "taint" not in one[1]))
    given = flavors_of(evidence, pods.name)
    return words.listed([_of_some(number, total, reason, pods, given) for number, reason in said])


def flavors_of(evidence: Evidence, pod_set: str) -> str:
    """The flavors that pods were admitted with: Kueue lets them run on no other nodes."""
    assigned = parts.items(evidence.workload, "status", "admission", "podSetAssignments")
    own = [parts.pairs(one, "flavors") for one in assigned if parts.text(one, "name") == pod_set]
    return words.listed(sorted({flavor for one in own for flavor in one.values()}))


def _of_some(number: str, total: str, reason: str, pods: PodSet, given: str) -> str:
    """``2 of 5 nodes don't have 1 CPU free (Insufficient cpu)``."""
    some = f"{number} of {total} nodes"
    if reason == _AFFINITY:
        own = selector_of(pods.pod) or ("what its affinity wants" if parts.mapping(pods.pod, "affinity") else "")
        return (
            f"{some} don't have {own or 'what its affinity wants'}"
            if own or not given
            else f"{some} are not of its flavor {given}"
        )
    if lacks := _LACKS.fullmatch(reason):
        asked = pods.one.get(lacks[1])
        free = f"{amounts.plainly(lacks[1], asked)} free" if asked else f"enough {lacks[1]}"
        return f"{f'no single node has {free}' if number == total else f'{some} don{chr(39)}t have {free}'} ({reason})"
    if taint := _TAINT.fullmatch(reason):
        key, value = taint[1], taint[2]
        name = f" {key}{f'={value}' if value else ''}" if key else ""
        return f"{some} have a taint{name} that it does not tolerate"
    return f"{some} {_IN_OTHER_WORDS.get(reason) or reason.removeprefix('node(s) ')}"


def pod_set_of(evidence: Evidence, pod: Json) -> PodSet:
    """What the job has said of such a pod: Kueue labels it with the name of its pod set."""
    sets = {one.name: one for one in evidence.pod_sets}
    name = parts.pairs(pod, "metadata", "labels").get(_POD_SET, "")
    if found := sets.get(name) or (next(iter(sets.values())) if len(sets) == 1 else None):
        return found
    spec = parts.mapping(pod, "spec")
    if spec or not sets:
        return PodSet(name, 1, 1, requests.of_pod(spec), spec)
    return next(iter(sets.values()))
