"""A plan where nobody can be asked: over a cluster as an earlier commit would leave it, or over an empty one."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any

from reconciler.archive import archived
from reconciler.compare import compare
from reconciler.comparing.ownership import leaves
from reconciler.kinds import BY_KIND, Kind
from reconciler.model import MANAGER, Answers, Body, Declaration, Manifest, ObjectRef, Observation
from reconciler.plan import make_plan
from reconciler.planned import Plan


def imagined_plan(
    declaration: Declaration, manifests: Sequence[Manifest], today: date, before: Iterable[Manifest]
) -> Plan:
    """What these manifests would change where exactly those of ``before`` are applied, and jobq is alone."""
    live = applied(before)
    comparison = compare((*manifests, *archived(live, declaration.projects, today)), live)
    answers = Answers(applied(suspect.manifest for suspect in comparison.suspects))
    return make_plan(declaration, comparison, answers, Observation(live, {}, {}))


def applied(manifests: Iterable[Manifest]) -> dict[ObjectRef, Body]:
    """The objects as they read right after our first apply of each, without what the server adds."""
    return {manifest.ref: as_applied(manifest.body) for manifest in manifests}


def as_applied(body: Body, uid: str = "") -> Body:
    """One such object."""
    kind = BY_KIND[body["apiVersion"].rpartition("/")[0], body["kind"]]
    entry = {
        "manager": MANAGER,
        "operation": "Apply",
        "apiVersion": body["apiVersion"],
        "fieldsType": "FieldsV1",
        "fieldsV1": fields(body, kind),
    }
    bookkeeping = {"uid": uid, "resourceVersion": "1", "managedFields": [entry]}
    return body | {"metadata": body["metadata"] | bookkeeping}


def fields(body: Mapping[str, Any], kind: Kind) -> dict[str, Any]:
    """FieldsV1 of an apply of that body."""
    tree: dict[str, Any] = {}
    for path, _ in leaves(dict(body), kind):
        node = tree
        for step in path:
            node = node.setdefault(step, {})
    return tree
