"""A namespace that is being deleted: that it is, and what keeps it, in words. Nobody forces it: finalizers stay.

The namespace controller says in conditions what keeps it, some five seconds after the deletion began:
https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/namespace-v1/#NamespaceStatus
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from reconciler.model import Body

_GROUP_VERSION = re.compile(r"\b([a-z0-9][-a-z0-9]*(?:\.[a-z0-9][-a-z0-9]*)+)/(v\d+(?:(?:alpha|beta)\d+)?)\b")
_KUBERNETES = "kubernetes"
"""The finalizer of every Namespace: it goes once the contents are gone."""


@dataclass(frozen=True, slots=True)
class Blocker:
    """One thing that keeps a namespace from going, and what an admin can do about it."""

    text: str
    way_out: str


def is_ending(namespace: Body) -> bool:
    """Whether its deletion has begun: nothing new can be created there any more."""
    return "deletionTimestamp" in namespace["metadata"]


def blockers(namespace: Body) -> tuple[Blocker, ...]:
    """Why a namespace that is being deleted isn't gone yet; empty where the server doesn't say anything (yet)."""
    return (*_conditions(namespace), *_own_finalizers(namespace))


def why_ending(namespace: Body) -> str:
    """The same as one sentence, for a plan."""
    found = "; ".join(blocker.text for blocker in blockers(namespace))
    return found or "its contents are being deleted"


def way_out_of(namespace: Body) -> str:
    """What an admin can do; waiting helps where the server names no blocker."""
    found = "; ".join(dict.fromkeys(blocker.way_out for blocker in blockers(namespace)))
    return found or f"wait until it is gone: kubectl get namespace {namespace['metadata']['name']}"


def _conditions(namespace: Body) -> Iterator[Blocker]:
    name = namespace["metadata"]["name"]
    for condition in namespace.get("status", {}).get("conditions", ()):
        if condition.get("status") != "True":
            continue
        message = condition.get("message", "")
        match condition.get("type"):
            case "NamespaceDeletionDiscoveryFailure":
                yield _undiscovered(message)
            case "NamespaceContentRemaining":
                yield Blocker(f"it still holds something: {message}", f"kubectl -n {name} get {_kinds(message)}")
            case "NamespaceFinalizersRemaining":
                way_out = "whoever put the finalizer there must take it off: is that controller running?"
                yield Blocker(f"finalizers keep what it holds: {message}", way_out)
            case str(other):
                yield Blocker(f"{other}: {message}", f"kubectl describe namespace {name}")


def _undiscovered(message: str) -> Blocker:
    """An aggregated API that is down: the namespace may hold objects of it, so it stays."""
    groups = list(dict.fromkeys(_GROUP_VERSION.findall(message)))
    named = ", ".join(dict.fromkeys(group for group, _ in groups)) or "some API groups"
    services = " ".join(f"{version}.{group}" for group, version in groups)
    text = f"the server of {named} doesn't answer, so what is left can't be listed: {message}"
    return Blocker(text, f"bring that server back, or delete its APIService: kubectl get apiservice {services}")


def _kinds(message: str) -> str:
    """``pods. has 2 resource instances, jobs.batch has 1 ...`` as kubectl takes kinds."""
    found = re.findall(r"([a-z0-9][-a-z0-9.]*?)\.? has \d+", message)
    return ",".join(dict.fromkeys(found)) or "all"


def _own_finalizers(namespace: Body) -> Iterator[Blocker]:
    name = namespace["metadata"]["name"]
    found = [*namespace["metadata"].get("finalizers", ()), *namespace.get("spec", {}).get("finalizers", ())]
    if others := [finalizer for finalizer in found if finalizer != _KUBERNETES]:
        text = f"the namespace itself has the finalizer {', '.join(others)}"
        yield Blocker(text, f"whoever put it there must take it off: kubectl get namespace {name} -o yaml")
