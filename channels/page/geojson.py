"""The areas as a file for other programs: GeoJSON (RFC 7946)."""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

from broadcaster.bundle import File
from broadcaster.domain.board import BoardArea
from broadcaster.domain.outline import Ring

PATH = "areas/areas.geojson"


def areas_file(areas: Iterable[BoardArea]) -> File:
    """Tell every area with key, name and official codes; one without an outline has no geometry, and is told all the same."""
    told = {"type": "FeatureCollection", "features": [_feature(area) for area in areas]}
    body = json.dumps(told, ensure_ascii=False, separators=(",", ":"))
    return File(PATH, body.encode("utf-8", "replace"), "application/geo+json")


def _feature(area: BoardArea) -> dict[str, Any]:
    geometry = None
    if area.outline:
        polygons = [[_line(ring)] for ring in area.outline]
        geometry = {"type": "MultiPolygon", "coordinates": polygons}
    about = {"key": area.key, "name": area.name, "codes": dict(area.codes)}
    return {"type": "Feature", "id": area.key, "properties": about, "geometry": geometry}


def _line(ring: Ring) -> list[list[float]]:
    """Longitude first, and counterclockwise, as the RFC wants an outer ring."""
    turned = sum((b[1] - a[1]) * (b[0] + a[0]) for a, b in pairwise(ring))
    points = ring if turned < 0 else ring[::-1]
    return [[longitude, latitude] for latitude, longitude in points]
