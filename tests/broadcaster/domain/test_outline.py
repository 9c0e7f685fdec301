"""The outline of an area, from GeoJSON as map programs write it."""

from __future__ import annotations

from typing import Any

import pytest

from broadcaster.domain.outline import rings

SQUARE = [[18.1, 59.1], [18.2, 59.1], [18.2, 59.2], [18.1, 59.2], [18.1, 59.1]]
HOLE = [[18.12, 59.12], [18.13, 59.12], [18.13, 59.13], [18.12, 59.12]]
ISLAND = [[18.5, 59.5, 3.0], [18.6, 59.5, 3.0], [18.6, 59.6, 3.0], [18.5, 59.5, 3.0]]


def polygon(*lines: Any) -> dict[str, Any]:
    return {"type": "Polygon", "coordinates": list(lines)}


def test_longitude_comes_first_in_the_file_and_latitude_in_ours() -> None:
    (ring,) = rings(polygon(SQUARE))
    assert ring == ((59.1, 18.1), (59.1, 18.2), (59.2, 18.2), (59.2, 18.1), (59.1, 18.1))


def test_a_hole_counts_as_inside() -> None:
    assert rings(polygon(SQUARE, HOLE)) == rings(polygon(SQUARE))


def test_every_part_of_what_a_map_program_writes_is_found() -> None:
    islands = {"type": "MultiPolygon", "coordinates": [[SQUARE], [ISLAND]]}
    feature = {"type": "Feature", "properties": {"name": "Ö"}, "geometry": islands}
    collection = {"type": "FeatureCollection", "features": [feature]}
    geometries = {"type": "GeometryCollection", "geometries": [polygon(SQUARE), polygon(ISLAND)]}
    assert [len(ring) for ring in rings(islands)] == [5, 4]
    assert rings(islands) == rings(feature) == rings(collection) == rings(geometries)


def test_what_is_nearer_than_a_decimetre_is_one_place() -> None:
    near = [SQUARE[0], [18.10000001, 59.10000001], *SQUARE[1:]]
    assert rings(polygon(near)) == rings(polygon(SQUARE))


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "is not GeoJSON"),
        ([], "is not GeoJSON"),
        ({"type": "Polygon"}, "is not GeoJSON"),
        ({"type": "Polygon", "coordinates": ["abc"]}, "is not GeoJSON"),
        ({"type": "Feature", "geometry": None}, "is not GeoJSON"),
        ({"type": "FeatureCollection", "features": []}, "holds no polygon"),
        ({"type": "Point", "coordinates": [18.1, 59.1]}, "something else than a Polygon"),
        (polygon(SQUARE[:-1]), "is not closed"),
        (polygon([]), "is not closed"),
        (polygon([SQUARE[0], SQUARE[1], SQUARE[0]]), "fewer than three corners"),
        (polygon([[18.1], *SQUARE]), "not longitude and latitude"),
        (polygon([["a", "b"], *SQUARE]), "not longitude and latitude"),
        (polygon([[True, False], *SQUARE]), "not longitude and latitude"),
        (polygon([[674032.0, 6580822.0], *SQUARE]), "must be in degrees"),
        (polygon([[float("nan"), 1.0], *SQUARE]), "must be in degrees"),
    ],
)
def test_what_is_no_outline_is_refused_with_the_reason(content: object, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        rings(content)
