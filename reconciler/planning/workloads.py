"""What runs, waits and lies in the namespaces that a plan touches."""

from collections.abc import Iterable, Iterator, Sequence

from reconciler.comparing.holdings import has_condition, storage_bytes
from reconciler.model import SUBMITTED_BY, Answers, Body
from reconciler.planned import Effect, EffectKind, Weight
from reconciler.planning.access import NO_ACCESS
from reconciler.wording import shortened


def jobs_that_go_on(access: Iterable[Effect], answers: Answers) -> Iterator[Effect]:
    """The running jobs of people who have no access any more: nobody but an admin or a colleague ends them."""
    for effect in access:
        namespace = effect.refs[0].namespace
        if f"-> {NO_ACCESS}" in effect.text and namespace in answers.jobs and namespace in answers.workloads:
            running = {uid for one in answers.workloads[namespace] if _runs(one) for uid in _owners(one)}
            names = sorted(
                job["metadata"]["name"]
                for job in answers.jobs[namespace]
                if job["metadata"]["uid"] in running
                and job["metadata"].get("annotations", {}).get(SUBMITTED_BY) in effect.people
            )
            if names:
                text = f"running jobs go on: {shortened(names)}"
                yield Effect(EffectKind.JOBS_GO_ON, effect.project, text, Weight.WARNING, effect.people)


def _owners(workload: Body) -> list[str]:
    return [owner["uid"] for owner in workload["metadata"].get("ownerReferences", ())]


def _runs(workload: Body) -> bool:
    return has_condition(workload, "Admitted") and not has_condition(workload, "Finished")


def counted_workloads(workloads: Iterable[Body]) -> dict[str, int]:
    """How many run and how many wait; finished and stopped ones are neither."""
    alive = [one for one in workloads if not has_condition(one, "Finished") and one.get("spec", {}).get("active", True)]
    running = sum(map(_runs, alive))
    return {word: count for word, count in (("running", running), ("waiting", len(alive) - running)) if count}


def counted_volumes(claims: Sequence[Body]) -> dict[str, int]:
    """How many volumes, and their bytes."""
    return {"volumes": len(claims), "storage": int(sum(map(storage_bytes, claims)))} if claims else {}
