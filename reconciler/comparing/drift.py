"""What only the cluster changed: of a comparison with what was applied last, all that git, time or a new jobq explain.

A value that we still own is the one of our last apply: if it differs from what is wanted now, somebody declared that.
Where a field of ours is no longer ours, somebody took it, or removed it.
"""

from collections.abc import Iterator
from dataclasses import replace

from reconciler.compare import Comparison
from reconciler.comparing.ownership import own_entry
from reconciler.comparing.takers import lost_leaves


def drifted(comparison: Comparison) -> Comparison:
    """The objects of projects that were applied and that somebody has since changed, removed, or made in our name."""
    applied = set(_applied(comparison))
    return replace(
        comparison,
        suspects=[suspect for suspect in comparison.suspects if lost_leaves(suspect.manifest, suspect.live)],
        replaced=[suspect for suspect in comparison.replaced if lost_leaves(suspect.manifest, suspect.live)],
        missing=[manifest for manifest in comparison.missing if manifest.project in applied],
        surplus=[body for body in comparison.surplus if own_entry(body) is None],
    )


def _applied(comparison: Comparison) -> Iterator[str]:
    """The projects of which anything is there: any other was never applied, for whatever reason."""
    yield from (manifest.project for manifest in comparison.equal)
    yield from (suspect.manifest.project for suspect in comparison.differing)
