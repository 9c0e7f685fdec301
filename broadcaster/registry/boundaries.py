"""Where the municipalities and counties of Sweden are, by their official codes; see `docs/boundaries.md`."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import accumulate
from pathlib import Path
from typing import Any

from broadcaster.domain.outline import Ring

_SHIPPED = Path(__file__).parent / "sweden.json.gz"
_UNIT = 10_000  # of a degree: some ten metres


@cache
def outline_of_code(code: str) -> tuple[Ring, ...]:
    """Return the outline of a municipality ("0127") or county ("01"), its largest part first; () when it is unknown."""
    found = _shipped().get(code)
    return tuple(_ring(line) for line in found["rings"]) if found else ()


def names() -> Mapping[str, str]:
    """Return the official names by code."""
    return {code: known["name"] for code, known in _shipped().items()}


@cache
def _shipped() -> Mapping[str, Any]:
    known: dict[str, Any] = json.loads(gzip.decompress(_SHIPPED.read_bytes()))
    return known


def _ring(line: Sequence[int]) -> Ring:
    return tuple(zip(_degrees(line[::2]), _degrees(line[1::2]), strict=True))


def _degrees(steps: Sequence[int]) -> Iterator[float]:
    """A first place in units, then each step to the next."""
    return (place / _UNIT for place in accumulate(steps))
