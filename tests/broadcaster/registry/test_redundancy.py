"""What a configuration tells about the independence of its channels, and the doubt where there are too few ways."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from broadcaster.domain.incident import Severity
from broadcaster.domain.redundancy import THIS_MACHINE, Way
from broadcaster.registry import Adapter, levels, thin, usable, ways
from broadcaster.settings import ConfigError, Loaded

ENVIRON = {"KEY": "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE=", "TOKEN": "canary-7f3a"}
Found = Callable[..., list[ConfigError]]
Built = Callable[..., tuple[Loaded, dict[str, Adapter]]]
WANTED = "redundancy: {minimum: 3}"
SPLIT = "[{severity: minor, channels: [page]}, {severity: severe, channels: [wire]}, {areas: [norra-ekbyn], severity: minor, channels: [phone]}]"


@pytest.fixture
def built(configured: Callable[..., Path]) -> Built:
    def of_file(**parts: str) -> tuple[Loaded, dict[str, Adapter]]:
        loaded, adapters, _ = usable(configured(**parts), ENVIRON)
        return loaded, adapters

    return of_file


def test_a_board_lives_by_the_host_that_residents_ask_and_others_by_whom_they_call(
    built: Built,
) -> None:
    loaded, adapters = built(
        wire="{kind: sample_wire, host: api.sms.example, depends_on: [Mobile-net]}",
        more="redundancy: {out: 2}",
    )
    known = ways(loaded.settings, adapters)
    assert known["page"] == Way("page", frozenset({"drift.example"}))
    assert known["wire"] == Way("wire", frozenset({"mobile-net", "sms.example"}))
    assert known["phone"] == Way("phone", frozenset())


def test_what_staff_alone_read_is_no_way_to_residents(built: Built) -> None:
    loaded, adapters = built()
    assert "wire" in adapters
    assert set(ways(loaded.settings, adapters)) == {"page", "phone"}


def test_what_only_helps_another_channels_readers_is_no_way_and_misses_no_route(
    built: Built, found: Found
) -> None:
    parts = {"page": "{kind: sample_board}", "wire": "{kind: sample_aside, audience: public}"}
    loaded, adapters = built(phone="{kind: sample_phone}", **parts)
    assert set(ways(loaded.settings, adapters)) == {"page", "phone"}
    doubts = found(phone="{kind: sample_phone}", **parts)
    assert [doubt for doubt in doubts if doubt.path == "channels.wire"] == []
    doubts = found(phone="{kind: sample_phone}", wire="{kind: sample_wire}")
    assert [doubt.path for doubt in doubts if doubt.path.startswith("channels.")] == [
        "channels.wire"
    ]


def test_loopback_is_this_machine(built: Built) -> None:
    loaded, adapters = built(wire="{kind: sample_wire}")
    assert ways(loaded.settings, adapters)["wire"].needs == {THIS_MACHINE}


def test_an_adapter_that_breaks_over_the_question_holds_up_nothing(built: Built) -> None:
    loaded, adapters = built(wire="{kind: sample_wire, depends_on: [internet]}")

    def breaks() -> Any:
        raise RuntimeError("a defect")

    adapters["wire"].hosts = breaks  # type: ignore[method-assign]  # as a plugin may be written
    assert ways(loaded.settings, adapters)["wire"].needs == {"internet"}


def test_levels_are_told_where_the_channels_change_and_as_areas_are_routed(built: Built) -> None:
    loaded, adapters = built(wire="{kind: sample_wire}", routes=SPLIT)
    known = ways(loaded.settings, adapters)
    [mild, severe] = levels(loaded.settings, known, "norra-ekbyn")
    assert (mild.severity, mild.channels) == (Severity.MINOR, ("page", "phone"))
    assert (severe.severity, severe.channels) == (Severity.SEVERE, ("page", "wire", "phone"))


def test_where_nothing_is_said_about_redundancy_nobody_is_warned(found: Found) -> None:
    assert found(phone="{kind: sample_wire, audience: staff}", routes="[{channels: [page]}]") == []
    assert found(more="redundancy: {out: 3}") == []  # two ways there are, as is the usual minimum


def test_each_severity_with_too_few_ways_is_a_doubt(found: Found) -> None:
    doubts = [
        one
        for one in found(wire="{kind: sample_wire}", routes=SPLIT, more=WANTED)
        if one.path == "routes"
    ]
    assert [doubt.warning for doubt in doubts] == [True]
    assert doubts[0].sentence.startswith(
        "minor updates go by 2 of the 3 independent ways wanted (page, phone): add a channel"
    )


@pytest.mark.parametrize("mode", ["demo", "drill"])
def test_stand_ins_are_not_counted(built: Built, mode: str) -> None:
    loaded, adapters = built(more=WANTED)
    assert thin(loaded.settings, adapters)
    elsewhere = loaded.settings.model_copy(update={"mode": mode})
    assert thin(elsewhere, adapters) == []
