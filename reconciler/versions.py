"""Which versions of Kubernetes and Kueue are new enough, and how versions are read out of tags and git versions."""

import re
from collections.abc import Sequence

Version = tuple[int, int, int]

KUBERNETES_LEAST: Version = (1, 30, 0)
"""The first with ValidatingAdmissionPolicies that can be relied on."""
MUTATING_LEAST: Version = (1, 36, 0)
"""The first with MutatingAdmissionPolicies in v1."""
KUEUE_LEAST: Sequence[Version] = ((0, 17, 8), (0, 18, 4), (0, 19, 0))
"""The first good release of each minor version that has one. Before them one queue name in many namespaces shows other
projects' waiting jobs, and the deletion of a LocalQueue can hang Kueue's scheduler."""
_VERSION = re.compile(r"v?(\d+)\.(\d+)(?:\.(\d+))?(?![\d.])")


def parse_version(text: str) -> Version | None:
    """``v0.19.2``, ``1.36.3-gke.12``, ``0.17``: the three numbers. None for what is no version."""
    match = _VERSION.match(text)
    return (int(match[1]), int(match[2]), int(match[3] or 0)) if match else None


def image_version(image: str) -> Version | None:
    """The version in an image's tag: ``registry.example.org/kueue:v0.19.2@sha256:...``. None without such a tag."""
    _, colon, tag = image.partition("@")[0].rpartition("/")[2].partition(":")
    return parse_version(tag) if colon else None


def kueue_suffices(version: Version) -> bool:
    """Whether that release keeps projects' waiting jobs apart, and survives the deletion of a LocalQueue."""
    least = next((least for least in KUEUE_LEAST if least[:2] == version[:2]), max(KUEUE_LEAST))
    return version >= least


def shown_version(version: Version) -> str:
    """As people write it: ``0.19.2``."""
    return ".".join(map(str, version))


def kueue_needed() -> str:
    """The releases that suffice, in words."""
    *minors, latest = (shown_version(least) for least in KUEUE_LEAST)
    return f"{', '.join(minors)}, or {latest} and later"
