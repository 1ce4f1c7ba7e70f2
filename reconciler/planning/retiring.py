"""LocalQueues under a name that their project has no more: each stays, stopped as its project is, until it is empty.

Jobs name their queue by a label that nobody changes for them. Without that queue what waits would wait for ever. And
by its source Kueue (0.19) finds who may come next by way of the LocalQueue of the job that has ended: without it others
could wait longer than they must. That is read, not tried.
"""

from collections.abc import Iterator, Mapping

from reconciler.compare import Comparison
from reconciler.comparing.holdings import has_condition
from reconciler.comparing.ownership import owned, project_of
from reconciler.model import Answers, Body, Manifest, ObjectRef, Suspect
from reconciler.planned import Effect, EffectKind
from reconciler.planning.staying import with_staying
from reconciler.planning.workloads import counted_workloads


def _retiring(comparison: Comparison, answers: Answers) -> Iterator[tuple[Body, Manifest]]:
    """The LocalQueues that jobs are in, or may be (unknown is not empty), each with the one that is declared now."""
    for body in comparison.surplus:
        new = _declared(comparison, body["metadata"].get("namespace", "")) if body["kind"] == "LocalQueue" else None
        if new is not None and (new.ref.namespace not in answers.workloads or any(_inside(body, answers))):
            yield body, new


def with_retiring(comparison: Comparison, answers: Answers) -> tuple[Comparison, dict[ObjectRef, Body]]:
    """The comparison in which they stay, and what takes the server's place: it wasn't asked about them."""
    stay = [Suspect(_staying(body, new), body) for body, new in _retiring(comparison, answers)]
    return with_staying(comparison, stay)


def retiring_effects(comparison: Comparison, answers: Answers) -> Iterator[Effect]:
    """One for each; ``comparison`` is that from before ``with_retiring``."""
    for body, _ in _retiring(comparison, answers):
        text = "its LocalQueue has another name by now: the former one stays until no job is in it any more"
        counts: Mapping[str, int] = counted_workloads(_inside(body, answers))
        yield Effect(EffectKind.QUEUE_RENAMED, project_of(body), text, counts=counts, refs=[ObjectRef.of(body)])


def _inside(queue: Body, answers: Answers) -> Iterator[Body]:
    """The Workloads that name this queue and have not ended."""
    for workload in answers.workloads.get(queue["metadata"]["namespace"], ()):
        if workload["spec"].get("queueName") == queue["metadata"]["name"] and not has_condition(workload, "Finished"):
            yield workload


def _declared(comparison: Comparison, namespace: str) -> Manifest | None:
    """The LocalQueue that is wanted there."""
    wanted = (manifest for manifest in comparison.wanted if manifest.ref.kind == "LocalQueue")
    return next((manifest for manifest in wanted if manifest.ref.namespace == namespace), None)


def _staying(queue: Body, new: Manifest) -> Manifest:
    kept, spec = owned(queue), new.body["spec"]
    stop = {"stopPolicy": spec["stopPolicy"]} if "stopPolicy" in spec else {}
    return Manifest(ObjectRef.of(queue), kept | {"spec": kept["spec"] | stop}, new.project, new.origin)
