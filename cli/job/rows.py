"""Jobs as rows of a table."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from cli.console import Column
from cli.explain.overview import Overview, age
from cli.fit.words import cores, size

_COLUMNS = (
    Column("NAME", whole=True),
    Column("STATUS"),
    Column("REASON"),
    Column("POS", right=True),
    Column("PRIORITY"),
    Column("CPU", right=True),
    Column("GPUS", right=True),
    Column("BY"),
    Column("AGE", right=True),
    Column("RUNTIME", right=True),
)
_WIDE = (Column("MEMORY", right=True), Column("OVERALL", right=True), Column("KIND"))


@dataclass(frozen=True, slots=True)
class Form:
    """Which columns there are: ``wide`` has more, ``everywhere`` has the project in front."""

    wide: bool = False
    everywhere: bool = False

    @property
    def columns(self) -> Sequence[Column]:
        """Their titles."""
        return [*([Column("PROJECT")] if self.everywhere else []), *_COLUMNS, *(_WIDE if self.wide else ())]

    def cells(self, row: Overview, now: datetime, status: str = "") -> list[str]:
        """One row; ``status`` instead of its own."""
        cells = [
            row.name,
            status or row.status,
            row.reason,
            str(row.position.here) if row.position else "",
            row.priority,
            cores(row.cpu),
            f"{row.gpus:f}" if row.gpus else "",
            row.by,
            age(now - row.created),
            age(row.runtime(now)),
        ]
        overall = row.position.overall if row.position else None
        more = [size(row.memory), "" if overall is None else str(overall), row.kind] if self.wide else []
        return [*([row.namespace] if self.everywhere else []), *cells, *more]


def without_empty(
    columns: Sequence[Column], rows: Sequence[Sequence[str]]
) -> tuple[Sequence[Column], Sequence[Sequence[str]]]:
    """For a person, whose terminal is narrow: only the columns that say anything, so that names have room."""
    kept = [place for place in range(len(columns)) if any(row[place] for row in rows)]
    return [columns[place] for place in kept], [[row[place] for place in kept] for row in rows]


def amount_of(resource: str, value: Decimal) -> str:
    """An amount in the way that suits its resource."""
    if resource in {"memory", "ephemeral-storage"}:
        return size(value) or "0"
    return cores(value)
