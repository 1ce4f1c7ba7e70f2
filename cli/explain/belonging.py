"""Which pods and events are a job's own: evidence may hold those of its neighbours. Pure."""

import re
from collections.abc import Mapping

from cli import parts
from cli.parts import Json


def is_pod_of(job: Json, pod: Json) -> bool:
    """Whether nothing says that the pod is another job's."""
    uid, owners = parts.text(job, "metadata", "uid"), parts.items(pod, "metadata", "ownerReferences")
    if parts.text(job, "kind") != "Job" or not uid or not owners:
        return True
    return uid in {parts.text(one, "uid") for one in owners}


def is_event_about(event: Json, there: Mapping[str, str], pod_name: re.Pattern[str]) -> bool:
    """Whether it is about one of the objects that are there (name -> uid), or a pod called so that has gone."""
    about = parts.mapping(event, "involvedObject")
    name, uid = parts.text(about, "name"), parts.text(about, "uid")
    if name in there:
        return not uid or not there[name] or uid == there[name]
    return parts.text(about, "kind") == "Pod" and bool(pod_name.fullmatch(name))


def pod_names(job: Json, kind: str, name: str) -> re.Pattern[str]:
    """How a job's pods are called: those of other kinds than Job have more in their names."""
    indexed = parts.text(job, "spec", "completionMode") == "Indexed"
    middle = ".*" if kind != "Job" else r"\d+-" if indexed else ""
    return re.compile(rf"{re.escape(name)}-{middle}[a-z0-9]{{5}}")
