"""The outline of an area, read from GeoJSON (RFC 7946)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Point = tuple[float, float]
"""Latitude and longitude in degrees (WGS 84), six decimals at most: a decimetre."""
Ring = tuple[Point, ...]
"""A closed line: at least four points, the last one the first again."""

_DECIMALS = 6
_INSIDE = {"FeatureCollection": "features", "GeometryCollection": "geometries"}


def rings(content: object) -> tuple[Ring, ...]:
    """Return the outer ring of every polygon in a GeoJSON object; holes are left out, so they count as inside.

    Raises:
        ValueError: there is none, or one is none; the message is the sentence of a configuration that says why.
    """
    found = tuple(_ring(line) for line in _outer(content))
    if not found:
        raise ValueError("holds no polygon")
    return found


def _outer(content: object) -> Iterator[Any]:
    if not isinstance(content, Mapping):
        raise ValueError("is not GeoJSON")  # noqa: TRY004 - what is wrong is the file, not the program
    kind = content.get("type")
    if kind in _INSIDE:
        for part in _listed(content.get(_INSIDE[kind])):
            yield from _outer(part)
    elif kind == "Feature":
        yield from _outer(content.get("geometry"))
    elif kind == "Polygon":
        yield from _listed(content.get("coordinates"))[:1]
    elif kind == "MultiPolygon":
        for polygon in _listed(content.get("coordinates")):
            yield from _listed(polygon)[:1]
    else:
        raise ValueError("holds something else than a Polygon or MultiPolygon")


def _listed(value: object) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError("is not GeoJSON")  # noqa: TRY004 - what is wrong is the file, not the program
    return value


def _ring(line: object) -> Ring:
    points = tuple(_point(place) for place in _listed(line))
    # What is nearer than a decimetre is one place.
    points = tuple(here for n, here in enumerate(points) if n == 0 or here != points[n - 1])
    if not points or points[0] != points[-1]:
        raise ValueError("has a polygon that is not closed: its last point must be its first")
    if len(points) < 4:
        raise ValueError("has a polygon with fewer than three corners")
    return points


def _point(place: object) -> Point:
    pair = _listed(place)[:2]  # a third number is the height
    if len(pair) < 2 or not all(type(part) in (int, float) for part in pair):
        raise ValueError("has a point that is not longitude and latitude")
    longitude, latitude = pair
    if not (-180 <= longitude <= 180 and -90 <= latitude <= 90):
        raise ValueError(
            "has a point outside -180…180, -90…90: it must be in degrees (WGS 84), longitude first"
        )
    return round(float(latitude), _DECIMALS), round(float(longitude), _DECIMALS)
