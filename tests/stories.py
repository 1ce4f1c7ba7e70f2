"""Short stories on a cluster in memory: what was applied before, what somebody did there, and what is planned now."""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from reconciler import cycle
from reconciler.model import Settings, Snapshot
from reconciler.planned import Report
from reconciler.source import templates
from reconciler.terms import Kinship, Relation, Terms
from tests.fakes import FakeCluster
from tests.laws import declared
from tests.world import TODAY

PACKAGED = templates(Snapshot("", {}), "project")
Files = Mapping[str, Mapping[str, object]]
KIM = {"user": "kim@example.org", "role": "maintainer"}
LEE = {"user": "lee@example.org", "role": "viewer", "expires": "2027-01-16"}
GROUP = {"group": "oidc:vision", "role": "researcher"}
BOTH: Files = {"vision": {"members": [KIM, GROUP]}, "speech": {"members": [LEE]}}
TEN: Files = {f"p{number}": {"members": [GROUP]} for number in range(10)}


@dataclass(frozen=True, slots=True)
class Story:
    """What was applied before, and what is planned or applied now."""

    now: Files
    before: Sequence[Files] = ()
    applied: bool = False
    days: int = 0
    disrupted: object = 1
    patterns: str = ""
    """Names that the settings give by now."""
    deed: Callable[[FakeCluster], None] = lambda _: None
    """What others do on the cluster before the last run."""


def told(story: Story) -> Report:
    """The report of its last run; all before went through, whatever they disrupted."""
    cluster = FakeCluster(Settings(cluster="demo"))
    for files in story.before:
        declaration = declared(files, 1000)
        plan = cycle.plan_pass(cluster, cycle.Run(declaration, PACKAGED, TODAY)).plan
        stop = threading.Event()
        cycle.reconcile_pass(
            cluster, cycle.Run(declaration, PACKAGED, TODAY, terms=Terms(approved=plan.disruption)), stop
        )
    story.deed(cluster)
    today = TODAY + timedelta(days=story.days)
    declaration = declared(story.now, story.disrupted, story.patterns)
    if story.before and (story.now != story.before[-1] or story.patterns):
        declaration = replace(declaration, commit="decaf")
    if story.applied:
        return cycle.reconcile_pass(
            cluster, cycle.Run(declaration, PACKAGED, today, lineage=descends), threading.Event()
        )
    return cycle.plan_pass(cluster, cycle.Run(declaration, PACKAGED, today, lineage=descends))


def descends(_last: str) -> Kinship:
    """A commit that comes after whatever was applied."""
    return Kinship(Relation.FOLLOWS)
