"""What a project without a file becomes: held, closed to everybody, and otherwise as it is."""

from collections.abc import Collection, Iterator, Mapping
from datetime import date

from reconciler.comparing.homes import is_ours, project_namespaces
from reconciler.comparing.ownership import own_entry, owned, project_of
from reconciler.model import SYSTEM_NAMESPACE, Body, Manifest, ObjectRef, Origin


def archived(live: Mapping[ObjectRef, Body], declared: Collection[str], today: date) -> tuple[Manifest, ...]:
    """The desired state of every live project that no file declares: a pure function of what it owns now.

    Each object as owned; the queue held (a stricter stop policy stays), the catalogue entry archived on the day it
    first was, and no bindings. Planned twice, it changes nothing.
    """
    return tuple(_manifests(live, declared, today))


def _manifests(live: Mapping[ObjectRef, Body], declared: Collection[str], today: date) -> Iterator[Manifest]:
    homes = project_namespaces(live)
    gone = {namespace: project for namespace, project in homes.items() if project not in declared}
    for ref, body in live.items():
        project = gone.get(ref.name if ref.kind == "Namespace" else ref.namespace, "")
        if ref.namespace == SYSTEM_NAMESPACE and ref.name in gone.values():
            project = ref.name
        mine = project == project_of(body) and (ref.kind == "Namespace" or is_ours(body, homes))
        if project and mine and ref.kind != "RoleBinding" and own_entry(body) is not None:
            yield Manifest(ref, _at_rest(owned(body), today), project, Origin(f"projects.d/{project}.yaml"))


def _at_rest(body: Body, today: date) -> Body:
    match body["kind"]:
        case "LocalQueue":
            stop = body["spec"].get("stopPolicy")
            return body | {"spec": body["spec"] | {"stopPolicy": "HoldAndDrain" if stop == "HoldAndDrain" else "Hold"}}
        case "ConfigMap":
            since = body["data"].get("archivedOn", today.isoformat())
            return body | {"data": body["data"] | {"state": "archived", "archivedOn": since}}
        case _:
            return body
