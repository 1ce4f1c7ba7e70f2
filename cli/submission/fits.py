"""Whether a job can ever fit the project's queue; where that can't be told, nothing is refused."""

from collections.abc import Sequence

from cli import parts
from cli.fit import judge, limits, requests, words
from cli.fit.cohort import Tree
from cli.fit.judge import Choice, Never, Queue
from reconciler.cluster import Body
from reconciler.errors import UsageError

_FORCE = "--force sends it all the same"


def queue_of(
    cluster_queue: Body | None, flavors: Sequence[Body] | None, queues: Sequence[Body], cohorts: Sequence[Body] | None
) -> Queue | None:
    """The queue in its cohorts, as far as they can be read; None where it can't be itself."""
    if cluster_queue is None:
        return None
    return judge.queue_of(cluster_queue, flavors or (), Tree(queues, cohorts or (), whole=cohorts is not None))


def check(job: Body, queue: Queue) -> None:
    """Raises: UsageError for a job that could never start, with the largest size that could."""
    pod_sets = requests.of_job(job)
    if missing := judge.uncovered(queue, pod_sets):
        raise UsageError(
            f"the queue {queue.name} has no {missing[0]} at all: the job would wait for ever",
            hint=f"{_instead(missing[0], queue)}; {_FORCE}",
        )
    if (choice := judge.unsuited(queue, pod_sets)) is not None:
        raise UsageError(
            f"no flavor of the queue {queue.name} takes the job: {_mismatches(choice)}",
            hint=f"choose another; {_FORCE}",
        )
    if (never := judge.never(queue, pod_sets)) is not None:
        raise UsageError(_too_much(never, queue), hint=f"{_way_out(never)}; {_FORCE}")


def check_limits(job: Body, limit_ranges: Sequence[Body]) -> None:
    """Raises: UsageError for a job that the project's limits keep from starting, with the amount that they take."""
    found = limits.beyond(parts.mapping(job, "spec", "template", "spec"), limit_ranges)
    if found is None:
        return
    asked, border = (words.plainly(found.resource, amount) for amount in (found.asked, found.border))
    size = words.option(found.resource, found.border)
    way_out = f"the {'largest' if found.at == 'most' else 'smallest'} that it takes is {size}" if size else "change it"
    raise UsageError(
        f"the job would wait for ever: it asks for {asked}, "
        f"and the project takes at {found.at} {border} in a {found.noun}",
        hint=f"{way_out}; {_FORCE}",
    )


def _instead(missing: str, queue: Queue) -> str:
    """What GPUs are called in this queue, or all that it has."""
    gpus = [resource for resource in queue.resources if resource.endswith("/gpu")]
    if missing.endswith("/gpu") and gpus:
        return f"GPUs are --gpu-resource {gpus[0]} here"
    return f"it has {', '.join(queue.resources) or 'nothing'}"


def _mismatches(choice: Choice) -> str:
    return "; ".join(f"{one.flavor} {one.mismatch}" for one in choice.tries)


def _too_much(never: Never, queue: Queue) -> str:
    asked, most = (words.plainly(never.resource, amount) for amount in (never.asked, never.most))
    return f"the job would wait for ever: it needs {asked}, and {queue.name} can give {most} at most in {never.flavor}"


def _way_out(never: Never) -> str:
    """The largest sizes that fit, as options say them: a smaller pod, or fewer at once."""
    together = never.pods.fewest > 1
    each = words.whole(never.resource, never.each)
    option = words.option(never.resource, each) if each else ""
    fitting = [f"{option}{' for each' if together else ''}"] if option else []
    fitting += [f"--nodes {never.at_once}"] if together and never.at_once else []
    return f"the largest that fits is {', or '.join(fitting)}" if fitting else "ask for less"
