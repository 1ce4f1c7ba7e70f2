"""The table of checks: everything that `jobq doctor` looks at, in the order in which it is told."""

from collections.abc import Iterator

from reconciler.administration import diagnosis, queueing
from reconciler.administration.diagnosis import Diagnosis
from reconciler.administration.facts import ClusterFacts, Facts, Unknown

_REPOSITORY = (diagnosis.repository, diagnosis.templates)
_CLUSTER = (
    diagnosis.kubernetes,
    diagnosis.versions,
    diagnosis.installation,
    diagnosis.fences,
    diagnosis.rights,
    queueing.served,
    queueing.version,
    queueing.visibility,
    queueing.fair_sharing,
)
_BOTH = (queueing.managed, queueing.cluster_queues, queueing.default_priorities)


def diagnose(facts: Facts) -> tuple[Diagnosis, ...]:
    """Every finding: repository, cluster, and whether the two fit."""
    return tuple(_all(facts))


def _all(facts: Facts) -> Iterator[Diagnosis]:
    for check in _REPOSITORY:
        yield from check(facts)
    yield from diagnosis.connection(facts)
    seen = facts.cluster
    if isinstance(seen, Unknown) or isinstance(seen.user, Unknown):
        return
    yield from diagnosis.name(facts, seen)
    yield from _of_cluster(facts, seen)


def _of_cluster(facts: Facts, seen: ClusterFacts) -> Iterator[Diagnosis]:
    for check in _CLUSTER:
        yield from check(seen)
    for both in _BOTH:
        yield from both(facts, seen)
