"""The map of what is affected, with what lies around it: an inline SVG small enough for one bar of reception."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import cos, hypot, radians

from broadcaster.domain.board import BoardArea

Spot = tuple[float, float]
"""A place on the drawing: to the right, and down."""

WIDTH = 360
_LEAST, _MOST = 150, 300  # height
_ROUND_IT = 0.35  # of its size, on each side
_MARGIN = 12  # beyond the drawing, so that no edge of the paper is drawn as a border
_ROOM = 3_000  # characters of all paths together: some 1.4 kB compressed
_FINEST, _COARSER = 1.0, 1.5
_LETTER = 7.5  # how wide one is, at most, and its line
_LINE = 16


@dataclass(frozen=True, slots=True)
class Shape:
    """One area on the map: `path` draws it, `name` stands at `x`, `y`, or nowhere where there is no room for it."""

    path: str
    name: str
    x: int
    y: int


@dataclass(frozen=True, slots=True)
class Map:
    """A drawing `width` wide and `height` high: what is affected lies on what is around it."""

    width: int
    height: int
    around: tuple[Shape, ...]
    affected: tuple[Shape, ...]


def drawn(affected: Sequence[str], areas: Iterable[BoardArea]) -> Map | None:
    """Draw the areas with these keys among all `areas`; None when of none of them it is known where it is."""
    known = [area for area in areas if area.outline]
    here = [area for area in known if area.key in affected]
    if not here:
        return None
    view = _View.of([point for area in here for ring in area.outline for point in ring])
    placed = {area.key: list(view.lines(area)) for area in known}
    placed = {key: lines for key, lines in placed.items() if lines}
    paths = _small_enough(placed)
    for area in here:  # what is affected is never too small to be seen
        paths[area.key] = paths[area.key] or _dot(placed[area.key][0])
    taken: list[tuple[float, float, float, float]] = []
    # Names of what is affected find their room first.
    named = {
        area.key: _named(area.name, placed[area.key], paths[area.key], view, taken)
        for area in sorted(known, key=lambda area: area.key not in affected)
        if paths.get(area.key)
    }
    return Map(
        WIDTH,
        view.height,
        tuple(shape for key, shape in named.items() if key not in affected),
        tuple(shape for key, shape in named.items() if key in affected),
    )


@dataclass(frozen=True, slots=True)
class _View:
    """From degrees to places on the drawing, and what of them can be seen."""

    west: float
    north: float
    across: float  # how much narrower a degree of longitude is than one of latitude
    scale: float
    height: int

    @classmethod
    def of(cls, points: Sequence[tuple[float, float]]) -> _View:
        lats, lons = [lat for lat, _ in points], [lon for _, lon in points]
        south, north, west, east = min(lats), max(lats), min(lons), max(lons)
        across = max(cos(radians((south + north) / 2)), 0.05)
        wide, high = max((east - west) * across, 1e-4), max(north - south, 1e-4)
        grown = 1 + 2 * _ROUND_IT
        height = round(min(max(WIDTH * high / wide, _LEAST), _MOST))
        scale = min(WIDTH / (wide * grown), height / (high * grown))
        return cls(
            west=(west + east) / 2 - WIDTH / scale / across / 2,
            north=(south + north) / 2 + height / scale / 2,
            across=across,
            scale=scale,
            height=height,
        )

    def lines(self, area: BoardArea) -> Iterator[list[Spot]]:
        """An area's closed lines, its parts outside the drawing cut off."""
        for ring in area.outline:
            spots = [self._spot(lat, lon) for lat, lon in ring[:-1]]
            for axis, edge, keeps in (
                (0, -_MARGIN, 1),
                (0, WIDTH + _MARGIN, -1),
                (1, -_MARGIN, 1),
                (1, self.height + _MARGIN, -1),
            ):
                spots = _cut(spots, axis, edge, keeps)
            if len(spots) > 2:
                yield spots

    def _spot(self, lat: float, lon: float) -> Spot:
        return (lon - self.west) * self.across * self.scale, (self.north - lat) * self.scale


def _cut(spots: Sequence[Spot], axis: int, edge: float, keeps: int) -> list[Spot]:
    """Keep what of a closed line lies on one side of an edge (Sutherland and Hodgman 1974)."""
    kept: list[Spot] = []
    for before, here in zip([*spots[-1:], *spots[:-1]], spots, strict=True):
        was_in, is_in = (keeps * (spot[axis] - edge) >= 0 for spot in (before, here))
        if was_in != is_in:
            part = (edge - before[axis]) / (here[axis] - before[axis])
            kept.append(
                (
                    before[0] + part * (here[0] - before[0]),
                    before[1] + part * (here[1] - before[1]),
                )
            )
        if is_in:
            kept.append(here)
    return kept


# ------------------------------------------------------------------------------------------------------ few characters
def _small_enough(placed: dict[str, list[list[Spot]]]) -> dict[str, str]:
    """Draw each area, the coarser the more there is to draw."""
    tolerance = _FINEST
    while True:
        paths = {
            key: "".join(_path(_simplified(line, tolerance)) for line in lines)
            for key, lines in placed.items()
        }
        if sum(map(len, paths.values())) <= _ROOM or tolerance > WIDTH:
            return paths
        tolerance *= _COARSER


def _simplified(line: Sequence[Spot], tolerance: float) -> list[Spot]:
    """Leave out every corner of a closed line that is nearer than `tolerance` to the line without it."""
    far = max(range(len(line)), key=lambda n: _apart(line[n], line[0], line[0]))
    if not far:
        return []
    closed = [*line, line[0]]
    half, rest = closed[: far + 1], closed[far:]
    return [*_thinned(half, tolerance)[:-1], *_thinned(rest, tolerance)[:-1]]


def _thinned(line: Sequence[Spot], tolerance: float) -> list[Spot]:
    """As Douglas and Peucker (1973) do, without recursion: an outline may have thirty thousand corners."""
    kept, todo = {0, len(line) - 1}, [(0, len(line) - 1)]
    while todo:
        first, last = todo.pop()
        between = range(first + 1, last)
        if not between:
            continue
        most = max(between, key=lambda n: _apart(line[n], line[first], line[last]))
        if _apart(line[most], line[first], line[last]) > tolerance:
            kept.add(most)
            todo += [(first, most), (most, last)]
    return [line[n] for n in sorted(kept)]


def _apart(spot: Spot, start: Spot, end: Spot) -> float:
    """How far a spot is from the straight line between two."""
    wide, high = end[0] - start[0], end[1] - start[1]
    length = hypot(wide, high)
    if not length:
        return hypot(spot[0] - start[0], spot[1] - start[1])
    return abs(high * (spot[0] - start[0]) - wide * (spot[1] - start[1])) / length


def _path(line: Sequence[Spot]) -> str:
    """A closed line in whole numbers, each corner told from the one before; "" for what is smaller than that."""
    spots = [(round(x), round(y)) for x, y in line]
    spots = [here for n, here in enumerate(spots) if here != spots[n - 1]]
    if len(spots) < 3:
        return ""
    steps = (
        (here[0] - before[0], here[1] - before[1]) for before, here in itertools.pairwise(spots)
    )
    told = " ".join(f"{right} {down}" for right, down in steps).replace(" -", "-")
    return f"M{spots[0][0]} {spots[0][1]}l{told}z"


def _dot(line: Sequence[Spot]) -> str:
    return f"M{round(line[0][0]) - 2} {round(line[0][1]) - 2}h4v4h-4z"


# --------------------------------------------------------------------------------------------------------------- names
def _named(
    name: str,
    lines: list[list[Spot]],
    path: str,
    view: _View,
    taken: list[tuple[float, float, float, float]],
) -> Shape:
    """Put a name in the middle of its area's largest part, or nowhere: beyond the edge, or on another name."""
    x, y = _middle(max(lines, key=_size))
    half = len(name) * _LETTER / 2
    box = (x - half, y - _LINE, x + half, y + _LINE / 2)
    inside = box[0] >= 0 and box[2] <= WIDTH and box[1] >= 0 and box[3] <= view.height
    free = all(
        box[2] < left or right < box[0] or box[3] < top or bottom < box[1]
        for left, top, right, bottom in taken
    )
    if not (inside and free):
        return Shape(path, "", 0, 0)
    taken.append(box)
    return Shape(path, name, round(x), round(y))


def _crossed(line: Sequence[Spot], of: Callable[[Spot, Spot, float], float]) -> float:
    pairs = zip(line, [*line[1:], line[0]], strict=True)
    return sum(of(one, two, one[0] * two[1] - two[0] * one[1]) for one, two in pairs)


def _size(line: Sequence[Spot]) -> float:
    return abs(_crossed(line, lambda _one, _two, cross: cross)) / 2


def _middle(line: Sequence[Spot]) -> Spot:
    """The centre of gravity of what a line encloses."""
    twice = _crossed(line, lambda _one, _two, cross: cross)
    if not twice:
        return line[0]
    return (
        _crossed(line, lambda one, two, cross: (one[0] + two[0]) * cross) / (3 * twice),
        _crossed(line, lambda one, two, cross: (one[1] + two[1]) * cross) / (3 * twice),
    )
