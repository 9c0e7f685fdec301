"""Whoever was told that it began is told that it is over, however grave it was by then."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from broadcaster.store import tables as t
from broadcaster.testing.operators import CONFIGURATION, Daemonless

ROUTES = """
  - {severity: minor, channels: [page, hook]}
  - {severity: severe, channels: [sms]}
"""
REPORT = {"text": "Strömmen är borta.", "area": ["norra-ekbyn", "sodra-ekbyn"]}


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Daemonless]:
    written = CONFIGURATION.replace(
        "\n  - {severity: minor, channels: [page, hook, sms]}\n", ROUTES
    )
    assert written != CONFIGURATION
    with Daemonless(tmp_path, written) as made:
        yield made


def channels(answer: Any) -> set[str]:
    assert answer.status == 201, answer.content
    return {row["channel"] for row in answer.json["deliveries"]}


def go_on(desk: Daemonless, **said: Any) -> set[str]:
    return channels(desk.ask("POST", "/api/v1/incidents/A1/updates", said))


def test_an_outage_that_became_less_grave_ends_on_every_channel_that_told_of_it(
    desk: Daemonless,
) -> None:
    assert "sms" in channels(desk.ask("POST", "/api/v1/incidents", REPORT | {"severity": "severe"}))
    assert "sms" not in go_on(desk, kind="update", severity="moderate", text="De flesta har ström.")
    before = {"kind": "restored", "incident": "A1", "text": "Strömmen är åter."}
    preview = desk.ask("POST", "/api/v1/preview", before)
    assert "sms" in str(preview.json)
    assert go_on(desk, kind="restored", area=["norra-ekbyn"]) == {"page", "hook", "sms"}
    assert go_on(desk, kind="restored") == {"page", "hook", "sms"}


def test_who_was_told_of_another_place_only_hears_nothing_of_an_end(desk: Daemonless) -> None:
    desk.ask("POST", "/api/v1/incidents", REPORT | {"area": ["norra-ekbyn"], "severity": "severe"})
    go_on(desk, kind="update", severity="moderate", without_area=[], area=["sodra-ekbyn"])
    assert go_on(desk, kind="restored", area=["norra-ekbyn"]) == {"page", "hook", "sms"}
    assert go_on(desk, kind="restored", area=["sodra-ekbyn"]) == {"page", "hook"}


@pytest.mark.parametrize(
    ("more", "carried"),
    [({"channel": ["hook"]}, {"page", "hook"}), ({"quiet": True}, {"page"})],
)
def test_an_operator_may_still_say_an_end_by_fewer_channels(
    desk: Daemonless, more: dict[str, Any], carried: set[str]
) -> None:
    desk.ask("POST", "/api/v1/incidents", REPORT | {"severity": "severe"})
    go_on(desk, kind="update", severity="moderate", text="De flesta har ström.")
    assert go_on(desk, kind="restored", **more) == carried


def test_what_never_went_by_a_channel_does_not_end_there(desk: Daemonless) -> None:
    desk.ask("POST", "/api/v1/incidents", REPORT)
    assert go_on(desk, kind="restored") == {"page", "hook"}


def written_to(desk: Daemonless, number: int) -> list[str]:
    """The areas whose readers a word goes to by SMS."""
    query = (
        select(t.audience.c.areas)
        .join(t.delivery, t.delivery.c.id == t.audience.c.delivery_id)
        .where(t.delivery.c.number == number, t.delivery.c.channel == "sms")
    )
    return [area for areas in desk.store.read(lambda c: c.scalars(query).all()) for area in areas]


def test_a_place_that_an_update_leaves_hears_that_it_is_over_there(desk: Daemonless) -> None:
    desk.ask("POST", "/api/v1/incidents", REPORT | {"severity": "severe"})
    go_on(desk, kind="update", severity="moderate", without_area=["norra-ekbyn"])
    go_on(desk, kind="restored")
    assert (written_to(desk, 2), written_to(desk, 3)) == (["norra-ekbyn"], ["sodra-ekbyn"])


def test_an_end_is_written_only_where_the_channel_told_of_it(desk: Daemonless) -> None:
    desk.ask("POST", "/api/v1/incidents", REPORT | {"area": ["norra-ekbyn"], "severity": "severe"})
    go_on(desk, kind="update", severity="moderate", area=["sodra-ekbyn"])
    go_on(desk, kind="restored")
    assert written_to(desk, 3) == ["norra-ekbyn"]


def test_whose_outage_is_over_is_not_told_so_of_the_next(desk: Daemonless) -> None:
    desk.ask("POST", "/api/v1/incidents", REPORT | {"severity": "severe"})
    go_on(desk, kind="restored")
    assert "sms" not in go_on(desk, kind="update", severity="minor", text="En stund till.")
    assert go_on(desk, kind="restored") == {"page", "hook"}


def test_what_was_given_up_before_it_went_told_nobody(desk: Daemonless) -> None:
    desk.ask("POST", "/api/v1/incidents", REPORT | {"severity": "severe"})
    assert desk.ask("POST", "/api/v1/channels/sms/drop").status == 200
    go_on(desk, kind="update", severity="moderate", text="De flesta har ström.")
    assert go_on(desk, kind="restored") == {"page", "hook"}
