"""A job's place in its queue."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Position:
    """Where a Workload stands, from 1: in its project, and among all who share the ClusterQueue (None: unknown)."""

    here: int
    overall: int | None
