"""What still reaches people if something fails, as the API says it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from broadcaster.domain.redundancy import THIS_MACHINE
from broadcaster.service.commands import Refused
from broadcaster.service.coverage import coverage
from broadcaster.testing.rig import OPERATOR, UNHEARD, Rig

CHANNELS: dict[str, dict[str, Any]] = {
    "page": {"kind": "page", "depends_on": ["own-network"]},
    "feed": {"kind": "feed", "depends_on": ["own-network"]},
    "hook": UNHEARD | {"url": "http://hook.example/", "depends_on": ["internet"]},
    "far": UNHEARD | {"url": "http://api.far.example/", "depends_on": ["internet"]},
    "ops": UNHEARD | {"audience": "staff"},
}
ROUTES = [
    {"severity": "minor", "channels": ["page", "feed"]},
    {"severity": "severe", "channels": ["hook", "ops"]},
    {"severity": "severe", "areas": ["sodra-ekbyn"], "channels": ["far"]},
]


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Rig]:
    hosts = ["hook.example", "api.far.example"]
    rig = Rig(tmp_path, CHANNELS, routes=ROUTES, allowed_hosts=hosts)
    yield rig
    rig.stop()


def level(town: Rig, area: str, severity: str) -> dict[str, Any]:
    [found] = coverage(town.desk, OPERATOR, area)["areas"]
    [one] = [one for one in found["levels"] if one["severity"] == severity]
    return dict(one)


def test_the_domain_that_takes_everything_with_it_is_named_first(town: Rig) -> None:
    mild = level(town, "norra-ekbyn", "minor")
    assert (mild["channels"], mild["ways"]) == (["page", "feed"], 1)
    assert mild["single_points"] == ["own-network", THIS_MACHINE]
    assert coverage(town.desk, OPERATOR)["single_points"] == ["own-network", THIS_MACHINE]


def test_each_failure_says_what_stops_and_what_is_left(town: Rig) -> None:
    severe = level(town, "sodra-ekbyn", "severe")
    assert severe["ways"] == 2
    assert severe["single_points"] == []
    worst, *_ = severe["failures"]
    assert worst == {
        "domain": "internet",
        "stops": ["hook", "far"],
        "left": ["page", "feed"],
        "ways_left": 1,
    }
    one = next(each for each in severe["failures"] if each["domain"] == "far.example")
    assert (one["stops"], one["left"], one["ways_left"]) == (["far"], ["page", "feed", "hook"], 2)


def test_areas_have_the_channels_that_routes_give_them_and_no_channel_of_staff(town: Rig) -> None:
    assert level(town, "norra-ekbyn", "severe")["channels"] == ["page", "feed", "hook"]
    named = {one["channel"] for one in coverage(town.desk, OPERATOR)["channels"]}
    assert named == {"page", "feed", "hook", "far"}


def test_an_area_that_is_not_there_is_refused(town: Rig) -> None:
    with pytest.raises(Refused):
        coverage(town.desk, OPERATOR, "ostra-ekbyn")


def test_whatever_stops_a_channel_is_told_and_what_is_left_stands(town: Rig) -> None:
    """The table against what it is made of."""
    for area in coverage(town.desk, OPERATOR)["areas"]:
        for one in area["levels"]:
            for loss in one["failures"]:
                assert {*loss["stops"], *loss["left"]} == {*one["channels"]}
                assert loss["stops"]
                needs = town.desk.configuration.ways
                assert all(loss["domain"] not in needs[name].needs for name in loss["left"])
