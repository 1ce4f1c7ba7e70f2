"""The names that jobq.toml's patterns give a project's Namespace and LocalQueue, and the names that none may have.

A Namespace's pattern holds ``{project}`` exactly once, so two projects never get one Namespace.
"""

from collections.abc import Iterator, Sequence

from reconciler.declaring.scalars import shown
from reconciler.model import Origin, Problem, Settings

_RESERVED_NAMES = ("default", "jobq-system", "kueue-system")
_RESERVED_PREFIXES = ("kube-", "openshift-", "istio-", "gke-")
_LONGEST = 63
"""Characters of a Namespace's name, and of a label's value, which a queue's name becomes."""


def namespace_of(project: str, settings: Settings) -> str:
    """The name of a project's Namespace."""
    return settings.namespace.replace("{project}", project)


def queue_of(project: str, settings: Settings) -> str:
    """The name of a project's LocalQueue."""
    namespace = namespace_of(project, settings)
    return settings.queue.replace("{project}", project).replace("{namespace}", namespace)


def pattern_problems(namespace: str, queue: str, places: Sequence[Origin]) -> Iterator[Problem]:
    """What is wrong with the patterns themselves, whatever the project; ``places``: the namespace's, the queue's."""
    if namespace.startswith(_RESERVED_PREFIXES):
        reason = f"every namespace would have a reserved name: {namespace}"
        yield Problem(places[0], reason, "let it begin in another way")
    if queue == "default":
        reason = "a LocalQueue named default would take in every job of the namespace, notebooks included"
        yield Problem(places[1], reason, 'write queue = "main"')


def name_problems(project: str, settings: Settings, place: Origin) -> Iterator[Problem]:
    """Why a project may not have its name."""
    if _is_reserved(project) or project in settings.reserved:
        yield Problem(place, f"the name {shown(project)} is reserved", "choose another name")
        return
    namespace, queue = namespace_of(project, settings), queue_of(project, settings)
    if namespace != project and (_is_reserved(namespace) or namespace in settings.reserved):
        yield Problem(place, f"its namespace would be {namespace}, a reserved name", "choose another name")
    if queue == "default":
        yield Problem(place, "its LocalQueue would be named default, which takes in every job", "choose another name")
    for what, name, pattern in (("namespace", namespace, settings.namespace), ("LocalQueue", queue, settings.queue)):
        if len(name) > _LONGEST:
            reason = f"its {what} would be {name}, {len(name)} characters long; at most {_LONGEST}"
            yield Problem(place, reason, f"choose a shorter name, or another pattern in jobq.toml than {pattern}")


def _is_reserved(name: str) -> bool:
    return name in _RESERVED_NAMES or name.startswith(_RESERVED_PREFIXES)
