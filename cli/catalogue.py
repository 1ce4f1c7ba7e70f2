"""The catalogue: what every member may know of every project, without git. One ConfigMap each in ``jobq-system``."""

import difflib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from cli import console, known
from reconciler.cluster import Body, Cluster, Resource
from reconciler.errors import ClusterError, Forbidden, JobqError, NotFound, UsageError
from reconciler.kinds import CONFIG_MAP, SELF_SUBJECT_ACCESS_REVIEW, SELF_SUBJECT_REVIEW
from reconciler.model import CATALOGUE_FORMAT, SYSTEM_NAMESPACE, Role

_ASK = "ask the cluster's admins to let you read the ConfigMaps of jobq-system (`jobq bootstrap` sets it up)"
_RANKS = list(Role)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One project, as the catalogue tells it; a member is ``{"user"|"group": NAME, "role": ROLE, "expires": DAY}``."""

    name: str
    namespace: str
    queue: str
    cluster_queue: str
    display_name: str
    description: str
    state: str
    archived_on: str
    tags: Sequence[str]
    defaults: Mapping[str, Any]
    priorities: Sequence[str]
    members: Sequence[Mapping[str, str]]
    pod_security: str = ""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who the server takes us for."""

    name: str
    groups: frozenset[str]


def who_am_i(cluster: Cluster) -> Caller:
    """Ask the server, by a SelfSubjectReview. Raises: ClusterError."""
    review = {"apiVersion": SELF_SUBJECT_REVIEW.api_version, "kind": SELF_SUBJECT_REVIEW.kind}
    user = cluster.create(SELF_SUBJECT_REVIEW, review)["status"]["userInfo"]
    return Caller(user["username"], frozenset(user.get("groups", ())))


def may(cluster: Cluster, verb: str, resource: Resource, namespace: str = "") -> bool:
    """Whether the server lets the caller do that, in one namespace or in all. Raises: ClusterError."""
    plural, _, part = resource.plural.partition("/")
    asked = {"verb": verb, "group": resource.group, "resource": plural, "subresource": part, "namespace": namespace}
    kind = SELF_SUBJECT_ACCESS_REVIEW
    review = {"apiVersion": kind.api_version, "kind": kind.kind, "spec": {"resourceAttributes": asked}}
    return bool(cluster.create(kind, review)["status"]["allowed"])


def read_catalogue(cluster: Cluster) -> Sequence[Entry]:
    """All projects by name, in one LIST; one that can't be read is warned of. Raises: ClusterError."""
    try:
        listed = cluster.list(CONFIG_MAP, namespace=SYSTEM_NAMESPACE)
    except Forbidden as error:
        raise _unreadable(error) from error
    entries = parse_catalogue(listed.items, console.warn)
    known.remember_projects(cluster.address, (entry.name for entry in entries))
    return entries


def read_entry(cluster: Cluster, name: str) -> Entry:
    """One project, in one GET. Raises: UsageError with the nearest name where there is none of that name."""
    try:
        return parse_entry(cluster.get(CONFIG_MAP, name, namespace=SYSTEM_NAMESPACE))
    except Forbidden as error:
        raise _unreadable(error) from error
    except NotFound:
        raise unknown_project(name, read_catalogue(cluster)) from None


def parse_catalogue(items: Iterable[Body], warn: Callable[[str], None]) -> Sequence[Entry]:
    """The projects among the ConfigMaps of ``jobq-system``: a name with a dot is none, nor what has no format."""
    entries = []
    for body in sorted(items, key=lambda body: str(body["metadata"]["name"])):
        if "." in body["metadata"]["name"] or "format" not in body.get("data", {}):
            continue
        try:
            entries.append(parse_entry(body))
        except JobqError as error:  # the others are as good as ever
            warn(str(error))
    return entries


def parse_entry(body: Body) -> Entry:
    """A ConfigMap's data as an Entry. Raises: JobqError where another jobq wrote it, or somebody else."""
    name, data = body["metadata"]["name"], body.get("data", {})
    found = data.get("format")
    if found != CATALOGUE_FORMAT:
        raise JobqError(
            f"the catalogue entry of {name!r} has format {found!r}, and this jobq reads {CATALOGUE_FORMAT!r}",
            hint="use the jobq that the cluster's admins reconcile with",
        )
    try:
        return Entry(
            name=name,
            namespace=data["namespace"],
            queue=data["queue"],
            cluster_queue=data["clusterQueue"],
            display_name=data.get("displayName", ""),
            description=data.get("description", ""),
            state=data["state"],
            archived_on=data.get("archivedOn", ""),
            tags=json.loads(data.get("tags", "[]")),
            defaults=json.loads(data.get("defaults", "{}")),
            priorities=json.loads(data.get("priorities", "[]")),
            members=json.loads(data.get("members", "[]")),
            pod_security=data.get("podSecurity", ""),
        )
    except (KeyError, ValueError) as error:
        raise JobqError(
            f"the catalogue entry of {name!r} is broken: {error}",
            hint="the cluster's admins mend it by `jobq reconcile`",
        ) from error


def role_in(entry: Entry, caller: Caller, today: date) -> Role | None:
    """The caller's highest role that hasn't expired; None for no member."""
    roles = [Role(member["role"]) for member in entry.members if _means(member, caller) and _valid(member, today)]
    return max(roles, key=_RANKS.index, default=None)


def whom_to_ask(entry: Entry) -> str:
    """The hint for somebody who lacks access to a project."""
    names = [
        member.get("user") or member.get("group", "") for member in entry.members if member["role"] == "maintainer"
    ]
    return f"ask one of its maintainers: {', '.join(names)}" if names else "ask the cluster's admins"


def unknown_project(name: str, entries: Sequence[Entry]) -> UsageError:
    """The error for a name that no project has: names the nearest."""
    near = difflib.get_close_matches(name, [entry.name for entry in entries], n=1)
    hint = f"did you mean {near[0]!r}?" if near else "`jobq project list` lists those there are"
    return UsageError(f"there is no project {name!r} on this cluster", hint=hint)


def _means(member: Mapping[str, str], caller: Caller) -> bool:
    return member.get("user") == caller.name or member.get("group") in caller.groups


def _valid(member: Mapping[str, str], today: date) -> bool:
    return "expires" not in member or today <= date.fromisoformat(member["expires"])


def _unreadable(error: Forbidden) -> ClusterError:
    return Forbidden(str(error), hint=_ASK, code=error.code, reason=error.reason, causes=error.causes)
