"""Others who change back what jobq took back: counted, bounded, and told.

A field that was taken back five times in a row is left to whoever wants it so much. Access is never left: what gives or
fences it, and whole objects, are taken back again and again, but at a bounded rate. Time is given, in seconds that only
grow.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from reconciler.compare import Comparison, parted
from reconciler.comparing.ownership import contested, without
from reconciler.comparing.takers import takers
from reconciler.kinds import Path
from reconciler.model import MANAGED_BY, MANAGER, PROJECT_LABEL, Body, Manifest, ObjectRef, Suspect
from reconciler.planned import Outcome, Result

MOST_IN_A_ROW = 5
PAUSE_SECONDS = 5.0
"""Between two take-backs of what is never left, once it is fought over."""
QUIET_SECONDS = 1800.0
"""So long without a take-back, and a fight is forgotten: jobq tries again."""

_NEVER_LEFT = frozenset({"Namespace", "RoleBinding", "NetworkPolicy"})
_LABELS = frozenset({f"f:{MANAGED_BY}", f"f:{PROJECT_LABEL}"})
_WHOLE: Path = ()
_DONE = frozenset({Result.CREATED, Result.CONFIGURED, Result.REPLACED, Result.DELETED})


@dataclass(frozen=True, slots=True)
class Bout:
    """How often something was taken back, when last (seconds), and from whom."""

    count: int
    last: float
    rivals: str


@dataclass(frozen=True, slots=True)
class Fight:
    """What is fought over, in words; ``left`` where jobq has stopped taking it."""

    ref: ObjectRef
    text: str
    left: bool


_Key = tuple[ObjectRef, Path]
"""Which object, and the leaf as managedFields writes it; ``()`` for the whole object."""


class Fights:
    """The memory of one watch. ``restrain`` goes between comparison and plan, ``record`` comes after each pass."""

    def __init__(self, pause: float = PAUSE_SECONDS, quiet: float = QUIET_SECONDS) -> None:
        self._pause = pause
        self._quiet = quiet
        self._bouts: dict[_Key, Bout] = {}
        self._tried: dict[ObjectRef, tuple[frozenset[Path], str]] = {}
        self.due: float | None = None
        """When what was postponed may be taken back."""

    def forget(self) -> None:
        """Another commit is in force: everything is to be had again."""
        self._bouts.clear()

    def restrain(self, comparison: Comparison, now: float) -> Comparison:
        """The comparison without the fields that are left to others, and without what has to wait."""
        self._bouts = {key: bout for key, bout in self._bouts.items() if now < bout.last + self._quiet}
        self._tried, self.due = {}, None
        settled, suspects = parted(map(self._reduced, comparison.suspects))
        return replace(
            comparison,
            equal=(*comparison.equal, *settled),
            suspects=[s for s in suspects if self._may(s, contested(*_pair(s)), now)],
            replaced=[s for s in comparison.replaced if self._may(s, frozenset({_WHOLE}), now)],
            missing=[m for m in comparison.missing if self._may_whole(m.ref, "somebody who deletes it", now)],
            surplus=[b for b in comparison.surplus if self._may_whole(ObjectRef.of(b), _managers(b), now)],
        )

    def record(self, outcomes: Sequence[Outcome], now: float) -> None:
        """Count what this pass has taken back."""
        for outcome in outcomes:
            paths, rivals = self._tried.get(outcome.change.ref, (frozenset[Path](), ""))
            for path in paths if outcome.result in _DONE else ():
                key = (outcome.change.ref, path)
                before = self._bouts.get(key)
                self._bouts[key] = Bout(before.count + 1 if before else 1, now, rivals)

    def found(self) -> Iterator[Fight]:
        """What is fought over now, by object."""
        for (ref, path), bout in sorted(self._bouts.items()):
            if bout.count >= MOST_IN_A_ROW:
                what = f"{'.'.join(_words(path))} of {ref}" if path else str(ref)
                left = _may_be_left(ref, path)
                end = (
                    f"left to them until the project file changes, or for {self._quiet / 60:.0f} min"
                    if left
                    else f"it is never left: taken back at most every {self._pause:g} s"
                )
                text = f"{what} is fought over: taken back {bout.count} times in a row from {bout.rivals}; {end}"
                yield Fight(ref, text, left)

    def _reduced(self, suspect: Suspect) -> Suspect:
        """The suspect without the fields that were given up."""
        ref = suspect.manifest.ref
        left = [
            path
            for (other, path), bout in self._bouts.items()
            if other == ref and bout.count >= MOST_IN_A_ROW and _may_be_left(ref, path)
        ]
        body = suspect.manifest.body
        for path in left:
            body = without(body, path)
        return replace(suspect, manifest=replace(suspect.manifest, body=body))

    def _may(self, suspect: Suspect, paths: frozenset[Path], now: float) -> bool:
        rivals = " and ".join(sorted({taker.client for taker in takers(*_pair(suspect)).values()}))
        return self._may_now(suspect.manifest.ref, paths, rivals or "somebody who removes it", now)

    def _may_whole(self, ref: ObjectRef, rivals: str, now: float) -> bool:
        return self._may_now(ref, frozenset({_WHOLE}), rivals, now)

    def _may_now(self, ref: ObjectRef, paths: frozenset[Path], rivals: str, now: float) -> bool:
        bouts = [bout for path in paths if (bout := self._bouts.get((ref, path))) and bout.count >= MOST_IN_A_ROW]
        due = max((bout.last + self._pause for bout in bouts), default=now)
        if due > now:
            self.due = min(due, self.due or due)
            return False
        self._tried[ref] = (paths, rivals)
        return True


def _pair(suspect: Suspect) -> tuple[Manifest, Body]:
    return suspect.manifest, suspect.live


def _may_be_left(ref: ObjectRef, path: Path) -> bool:
    return bool(path) and ref.kind not in _NEVER_LEFT and not _LABELS & set(path)


def _managers(live: Body) -> str:
    entries = live["metadata"].get("managedFields", ())
    others = dict.fromkeys(entry["manager"] for entry in entries if entry.get("manager") != MANAGER)
    return " and ".join(others) or "somebody"


def _words(path: Path) -> Iterator[str]:
    for step in path:
        yield step.removeprefix("f:")
