"""How far a list goes: over some projects, each asked alone, or over all at once, as an administrator may."""

from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from cli import clock, console
from cli.catalogue import Caller, Entry, may, read_catalogue, role_in
from cli.connection import AT_ONCE
from cli.job.positions import Queue, local, shared
from reconciler.cluster import Body, Cluster, Resource
from reconciler.kinds import JOB, WORKLOAD
from reconciler.wording import shortened

_PLACES = Resource("visibility.kueue.x-k8s.io", "v1beta2", "clusterqueues/pendingworkloads", "PendingWorkloadsSummary")


@dataclass(frozen=True, slots=True)
class Reach:
    """Projects; ``whole`` where all namespaces can be asked at once, ``shared`` where whole ClusterQueues can."""

    entries: Sequence[Entry]
    whole: bool = False
    shared: bool = False

    @property
    def namespaces(self) -> Sequence[str]:
        """What to ask: each alone, or ``""`` for all."""
        return [""] if self.whole else [entry.namespace for entry in self.entries]

    def own(self, bodies: Sequence[Body]) -> Sequence[Body]:
        """What of an answer lies in a project."""
        known = {entry.namespace for entry in self.entries}
        return [body for body in bodies if body["metadata"]["namespace"] in known]

    def queues(self, namespaces: Collection[str]) -> Sequence[Queue]:
        """Where the places of the jobs in these namespaces are told, in as few requests as may be."""
        entries = [entry for entry in self.entries if entry.namespace in namespaces]
        if not self.shared:
            return [local(entry.namespace, entry.queue) for entry in entries]
        named = dict.fromkeys(entry.cluster_queue for entry in entries)
        return [shared(name, {one.namespace for one in entries if one.cluster_queue == name}) for name in named]


def everywhere(cluster: Cluster, caller: Caller, verb: str) -> Reach:
    """All projects where the caller may do that (``list``, ``watch``) in all namespaces, else the caller's own.

    One that can't be read, though its catalogue entry names the caller, is left out with a warning.
    Raises: ClusterError.
    """
    questions = (verb, JOB), (verb, WORKLOAD), ("get", _PLACES)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        allowed = [pool.submit(may, cluster, *question) for question in questions]
        entries = read_catalogue(cluster)
        jobs, workloads, places = (one.result() for one in allowed)
        if jobs and workloads:
            return Reach(entries, whole=True, shared=places)
        own = [entry for entry in entries if role_in(entry, caller, clock.today())]
        readable = list(pool.map(lambda entry: may(cluster, verb, WORKLOAD, entry.namespace), own))
    if refused := [entry.name for entry, is_readable in zip(own, readable, strict=True) if not is_readable]:
        console.warn(f"left out, for you can't read them: {shortened(refused)}")
    return Reach([entry for entry in own if entry.name not in refused], shared=places)
