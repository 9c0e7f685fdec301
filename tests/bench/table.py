"""One table for every figure: what was measured, the limit of the same run it is a ratio to, and what was to be reached."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

MET, FLOOR, MISSED, TOLD = "target met", "floor met", "MISSED", "measured"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One figure.

    Args:
        group: what it belongs to, such as "accept, SQLite".
        what: the quantity in words.
        value: as measured, the median over rounds where there were several.
        unit: of `value`.
        of: the limit of the same run that it is judged by, 0 where it is judged by itself.
        limit: what that limit is, such as "C1" or "nginx".
        floor: what must be reached, of the ratio where there is a limit, else of the value; None: nothing was set.
        target: what is world class.
        more: whether more is better.
        note: what a reader must know beside it.
    """

    group: str
    what: str
    value: float
    unit: str
    of: float = 0.0
    limit: str = ""
    floor: float | None = None
    target: float | None = None
    more: bool = False
    note: str = ""

    @property
    def judged(self) -> float:
        """The ratio to the limit; without a limit the value itself."""
        return self.value / self.of if self.of else self.value

    @property
    def verdict(self) -> str:
        """In words: target met, floor met, missed; or only measured, where nothing was set."""
        if self.target is not None and self._reaches(self.target):
            return MET
        if self.floor is not None and self._reaches(self.floor):
            return FLOOR
        return TOLD if self.floor is None and self.target is None else MISSED

    def _reaches(self, mark: float) -> bool:
        return self.judged >= mark if self.more else self.judged <= mark

    def cells(self) -> list[str]:
        """The row as it is printed."""
        sign = "≥" if self.more else "≤"
        marks = ["" if mark is None else f"{sign} {number(mark)}" for mark in self._marks()]
        limit = f"{self.limit} = {number(self.of)}" if self.of else ""
        ratio = number(self.judged) if self.of else ""
        value = f"{number(self.value)} {self.unit}".strip()
        return [self.group, self.what, value, limit, ratio, *marks, self.verdict, self.note]

    def _marks(self) -> tuple[float | None, float | None]:
        return self.floor, self.target


HEAD = ("group", "what", "measured", "limit", "ratio", "floor", "target", "verdict", "note")


def number(value: float) -> str:
    """Three digits that count: 0.0123, 4.56, 789, 12,345."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def show(rows: Iterable[Row], machine: Sequence[str]) -> None:
    """Print the table, with the machine under it."""
    table = Table(*HEAD, show_lines=False, title="make bench")
    for row in rows:
        table.add_row(*row.cells())
    console = Console(width=200, soft_wrap=False)
    console.print(table)
    for line in machine:
        console.print(line, markup=False)


def markdown(rows: Iterable[Row]) -> str:
    """The table as docs/performance.md holds it."""
    lines = ["| " + " | ".join(HEAD) + " |", "|" + "---|" * len(HEAD)]
    lines += ["| " + " | ".join(row.cells()) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def save(path: Path, rows: Sequence[Row], machine: Sequence[str]) -> None:
    """Everything as JSON, with the ratio and the verdict of each row."""
    told = [asdict(row) | {"judged": row.judged, "verdict": row.verdict} for row in rows]
    path.write_text(json.dumps({"machine": list(machine), "rows": told}, indent=1), "utf-8")


def load(path: Path) -> list[Row]:
    """The rows of a saved table."""
    names = Row.__dataclass_fields__
    return [Row(**{key: row[key] for key in names}) for row in json.loads(path.read_text())["rows"]]
