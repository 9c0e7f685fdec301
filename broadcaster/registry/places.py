"""The table of places, read from the file that the configuration names."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from broadcaster.domain.places import Table, read_table
from broadcaster.settings.model import Settings

_LARGEST = 2_000_000  # bytes


def table_of(settings: Settings) -> Table:
    """Read which area each place lies in; what cannot be read is said in the table's `wrong`, and nothing is raised."""
    if settings.places is None:
        return Table()
    areas = {**settings.codes, **{key: key for key in settings.areas}}
    try:
        stamp = settings.places.stat().st_mtime_ns
        return _read(settings.places, stamp, tuple(areas.items()))
    except OSError as error:
        return Table((), ((1, f"cannot be read ({error.strerror})"),))
    except ValueError as error:
        return Table((), ((1, str(error)),))


@lru_cache(maxsize=1)  # every channel's surroundings ask for it
def _read(path: Path, _stamp: int, areas: tuple[tuple[str, str], ...]) -> Table:
    return read_table(_text(path), dict(areas))


def _text(path: Path) -> str:
    with path.open("rb") as stream:
        raw = stream.read(_LARGEST + 1)
    if len(raw) > _LARGEST:
        raise ValueError("is larger than 2 MB")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError("is not UTF-8: save the file as UTF-8") from None
