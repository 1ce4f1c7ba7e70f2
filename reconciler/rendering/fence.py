"""The fence around a project: its templates name known kinds, stay in its room, and bind the roles of projects only."""

from reconciler.errors import RenderError
from reconciler.kinds import BY_KIND, Kind
from reconciler.model import (
    MANAGED_BY,
    MANAGER,
    PROJECT_LABEL,
    ROBOT,
    SYSTEM_NAMESPACE,
    Body,
    Manifest,
    ObjectRef,
    Origin,
    Project,
    Role,
)

_SAID = {
    "LocalQueue": "spec.clusterQueue",
    "RoleBinding": "spec.members",
    "ResourceQuota": "spec.limits",
    "LimitRange": "spec.limits.container",
    "NetworkPolicy": "spec.network",
}
"""Kind -> the field of the project file that it comes from, where there is one."""


def fenced(body: Body, project: Project, origin: Origin) -> Manifest:
    """The manifest, with namespace and labels in place. Raises: RenderError where the template leaves its room."""
    kind = _kind(body, origin)
    metadata = body.get("metadata")
    if not isinstance(metadata, dict) or not isinstance(metadata.get("name"), str):
        raise RenderError("metadata.name must be text", origin=origin)
    home = SYSTEM_NAMESPACE if kind.system else project.namespace if kind.resource.namespaced else ""
    if metadata.get("namespace", home) != home:
        raise RenderError(f"metadata.namespace must be {home or 'absent'}: leave it out", origin=origin)
    own_name = {"Namespace": project.namespace, "ConfigMap": project.name}.get(kind.resource.kind)
    if own_name and metadata["name"] != own_name:
        raise RenderError(f"the {kind.resource.kind} of a project is named {own_name}", origin=origin)
    if home:
        metadata["namespace"] = home
    labels = metadata.setdefault("labels", {})
    for key, value in ((MANAGED_BY, MANAGER), (PROJECT_LABEL, project.name)):
        if labels.setdefault(key, value) != value:
            raise RenderError(f"the label {key} is jobq's own: leave it out", origin=origin)
    if kind.resource.kind == "RoleBinding":
        _fence_binding(body, origin)
    ref = ObjectRef(kind.resource.group, kind.resource.kind, home, metadata["name"])
    return Manifest(ref, body, project.name, project.place(_said(ref, project)))


def _said(ref: ObjectRef, project: Project) -> str:
    """The field of the project file that an object comes from; ``""`` where all of it is meant."""
    if ref.kind == "PersistentVolumeClaim":
        places = {claim.name: f"spec.storage.{at}" for at, claim in enumerate(project.storage)}
        return places.get(ref.name, "")
    return "spec.robot" if (ref.kind, ref.name) == ("ServiceAccount", ROBOT) else _SAID.get(ref.kind, "")


def _kind(body: Body, origin: Origin) -> Kind:
    said = (body.get("apiVersion"), body.get("kind"))
    for kind in BY_KIND.values():
        if said == (kind.resource.api_version, kind.resource.kind):
            return kind
    allowed = ", ".join(kind.resource.kind for kind in BY_KIND.values())
    raise RenderError(f"{said[0]} {said[1]} is no kind a project may have ({allowed})", origin=origin)


def _fence_binding(body: Body, origin: Origin) -> None:
    role = body.get("roleRef", {})
    name = role.get("name", "")
    if role.get("kind") != "ClusterRole" or name not in {f"jobq-project-{role}" for role in Role}:
        raise RenderError(f"roleRef {name!r} is none of the three project roles", origin=origin)
    if body["metadata"]["name"] != f"jobq:{name.removeprefix('jobq-project-')}":
        raise RenderError(f"the binding of {name} is named jobq:{name.removeprefix('jobq-project-')}", origin=origin)
