"""What a subscriber chose, as it stands in a CSV file or in what he is told of himself."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import time

from broadcaster.domain.choices import Choices, Quiet
from broadcaster.domain.incident import Severity

COLUMNS = ("least", "quiet", "summary")


def spelt(choices: Choices) -> dict[str, str]:
    """By column: "moderate", "22:00-06:30", "18:00"; "" for what was not chosen."""
    quiet, summary, least = choices.quiet, choices.summary, choices.least
    return {
        "least": "" if least is Severity.MINOR else least.value,
        "quiet": "" if quiet is None else f"{quiet.start:%H:%M}-{quiet.end:%H:%M}",
        "summary": "" if summary is None else f"{summary:%H:%M}",
    }


def read(cells: Mapping[str, str], areas: tuple[str, ...], language: str) -> Choices:
    """What `spelt` was made from; a column that is not there, or empty, chose nothing. Raises ValueError, with the cell."""
    least, quiet, summary = (cells.get(column, "") for column in COLUMNS)
    start, _, end = quiet.partition("-")
    return Choices(
        areas=areas,
        language=language,
        least=_severity(least) if least else Severity.MINOR,
        quiet=Quiet(_wall(start, quiet), _wall(end, quiet)) if quiet else None,
        summary=_wall(summary, summary) if summary else None,
    )


def _severity(cell: str) -> Severity:
    if cell not in set(Severity):
        raise ValueError(cell)
    return Severity(cell)


def _wall(written: str, cell: str) -> time:
    hours, _, minutes = written.partition(":")
    sound = len(hours) == len(minutes) == 2 and (hours + minutes).isdecimal()
    if not (sound and (hours + minutes).isascii() and int(hours) < 24 and int(minutes) < 60):
        raise ValueError(cell)
    return time(int(hours), int(minutes))
