"""What templates may say of a project: the words of its file, resolved."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date

from reconciler.amounts import canonical
from reconciler.model import (
    CATALOGUE_FORMAT,
    ROBOT,
    Claim,
    JobOptions,
    Limits,
    Member,
    Network,
    Project,
    Role,
    Settings,
)


def words_of(project: Project, settings: Settings, today: date) -> dict[str, object]:
    """The name of each word -> its value, of plain JSON."""
    members = in_force(project.members, today)
    return {
        "project": {
            "name": project.name,
            "namespace": project.namespace,
            "queue": project.queue,
            "clusterQueue": project.cluster_queue,
            "displayName": project.display_name,
            "description": project.description,
            "tags": list(project.tags),
            "active": project.active,
            "whenInactive": str(project.when_inactive),
            "state": "active" if project.active else "paused",
            "defaults": _defaults(project.defaults),
            "members": _entry_members(project, members),
            "priorities": list(project.priorities or ()),
            "limits": _limits(project.limits),
            "quota": _quota(project.limits),
            "container": _container(project.limits),
            "network": _network(project.network),
            "robot": str(project.robot or ""),
            "podSecurity": project.pod_security,
            "storage": [_claim(claim) for claim in project.storage],
            "labels": _pairs(project.labels),
            "annotations": _pairs(project.annotations),
            "source": project.source,
        },
        "bindings": [
            {"role": str(role), "members": subjects}
            for role in Role
            if (subjects := list(_subjects(project, members, role)))
        ],
        "settings": {
            "cluster": settings.cluster,
            "managedNamespaceLabel": list(settings.managed_namespace_label or ()),
        },
        "format": CATALOGUE_FORMAT,
    }


def in_force(members: Sequence[Member], today: date) -> tuple[Member, ...]:
    """The members whose access has not expired; ``expires`` is the last day of it."""
    return tuple(member for member in members if member.expires is None or today <= member.expires)


def _subjects(project: Project, members: Sequence[Member], role: Role) -> Iterator[dict[str, str]]:
    """Who is bound to a role: people and groups, then the robot."""
    for kind, name in dict.fromkeys((member.kind, member.name) for member in members if member.role is role):
        yield {"kind": str(kind), "name": name, "namespace": ""}
    if project.robot is role:
        yield {"kind": "ServiceAccount", "name": ROBOT, "namespace": project.namespace}


def _entry_members(project: Project, members: Sequence[Member]) -> list[dict[str, str]]:
    """Everybody with a role, as the catalogue tells it; the robot by the user name that the server knows it by."""
    told = [_as_declared(member) for member in members]
    if project.robot:
        robot = f"system:serviceaccount:{project.namespace}:{ROBOT}"
        told.append({"user": robot, "role": str(project.robot)})
    return told


def _as_declared(member: Member) -> dict[str, str]:
    words = {member.kind.lower(): member.name, "role": str(member.role)}
    words |= {"from": "jobq.toml"} if member.everywhere else {}
    return words if member.expires is None else words | {"expires": member.expires.isoformat()}


def _network(network: Network) -> dict[str, object]:
    admitted = [_pairs(labels) for labels in network.admitted or ()]
    return {"isolated": network.admitted is not None, "admitted": admitted, "egress": str(network.egress)}


def _claim(claim: Claim) -> dict[str, str]:
    size = canonical(claim.size)
    return {"name": claim.name, "size": size, "class": claim.storage_class, "access": claim.access}


def _pairs(values: Mapping[str, str]) -> list[dict[str, str]]:
    """A map as templates can loop over it."""
    return [{"key": key, "value": value} for key, value in sorted(values.items())]


def _limits(limits: Limits) -> dict[str, object]:
    """Only what is said, under the file's own words."""
    container = {"requests": limits.requests, "limits": limits.limits, "max": limits.largest}
    said = {
        "jobs": limits.jobs,
        "persistentVolumeClaims": limits.persistent_volume_claims,
        "storage": limits.storage,
        "container": {word: dict(amounts) for word, amounts in container.items() if amounts} or None,
    }
    return {word: value for word, value in said.items() if value is not None}


def _quota(limits: Limits) -> list[dict[str, str]]:
    """What a ResourceQuota counts: objects and storage."""
    hard = {
        "count/jobs.batch": limits.jobs,
        "persistentvolumeclaims": limits.persistent_volume_claims,
        "requests.storage": limits.storage and canonical(limits.storage),
    }
    return _pairs({name: str(amount) for name, amount in hard.items() if amount is not None})


def _container(limits: Limits) -> dict[str, list[dict[str, str]]]:
    """What a LimitRange says, with what the server would fill in: defaults from max, requests from defaults."""
    defaults = {**limits.largest, **limits.limits}
    amounts = {"max": limits.largest, "default": defaults, "defaultRequest": {**defaults, **limits.requests}}
    return {word: _pairs({name: canonical(text) for name, text in said.items()}) for word, said in amounts.items()}


def _defaults(options: JobOptions) -> dict[str, object]:
    """Only what is said, under the file's own words."""
    said = {
        "image": options.image,
        "cpu": options.cpu,
        "memory": options.memory,
        "gpus": options.gpus,
        "flavor": options.flavor,
        "priority": options.priority,
        "time": options.time,
        "ttl": options.ttl,
        "workdir": options.workdir,
        "env": dict(options.env) or None,
        "volumes": list(options.volumes) or None,
        "imagePullSecrets": list(options.image_pull_secrets) or None,
    }
    return {word: value for word, value in said.items() if value is not None}
