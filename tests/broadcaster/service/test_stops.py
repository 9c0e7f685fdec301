"""What waits on a channel that is stopped says so wherever it is shown: why, and what to type."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from broadcaster.domain.incident import Kind
from broadcaster.service import channel_acts, status
from broadcaster.service.commands import Command
from broadcaster.service.notices import iso
from broadcaster.service.previewing import preview
from broadcaster.store import channels
from broadcaster.testing.rig import OPERATOR, UNHEARD, Rig, numbers, sms
from broadcaster.testing.servers import SmsGateway, answers

BECAUSE = "The gateway wants money."
PARKED = {"state": "parked", "because": BECAUSE, "remedy": "broadcaster channels resume sms"}


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Rig]:
    """The engine stands still."""
    with SmsGateway() as far:
        rig = Rig(tmp_path, {"hook": UNHEARD, "sms": sms(far)})
        yield rig
        rig.stop()


def park(town: Rig) -> None:
    now = town.clock()
    town.store.write(lambda c: channels.park(c, "sms", now, BECAUSE)).result()


def stop_of(answer: dict[str, Any], channel: str) -> Any:
    return next(one for one in answer["deliveries"] if one["channel"] == channel)["stop"]


def test_what_waits_on_a_parked_channel_says_why_and_what_to_type(town: Rig) -> None:
    town.subscribe("sms", numbers(2))
    park(town)
    command = Command(kind=Kind.REPORT, texts={"": "Mörkt."}, area=("norra-ekbyn",))
    assert preview(town.desk, OPERATOR, command)["stopped"] == {"sms": PARKED}
    answer = town.say("Strömmen är borta.")
    assert answer["stopped"] == {"sms": PARKED}
    for told in (answer, status.show(town.desk, OPERATOR, "A1"), {"deliveries": town.deliveries()}):
        assert stop_of(told, "sms") == PARKED
        assert stop_of(told, "hook") is None
    town.resume("sms")
    assert stop_of(status.show(town.desk, OPERATOR, "A1"), "sms") is None
    assert preview(town.desk, OPERATOR, command)["stopped"] == {}


def test_why_a_channel_is_stopped_has_its_time(town: Rig) -> None:
    now = town.clock()
    town.store.write(lambda c: channels.park(c, "sms", now, BECAUSE)).result()
    items = channel_acts.listing(town.desk, OPERATOR, {}, "en")["items"]
    assert {one["channel"]: (one["because"], one["because_at"]) for one in items} == {
        "hook": ("", None),
        "sms": (BECAUSE, iso(now)),
    }


def test_a_list_names_the_channels_on_which_something_of_an_incident_waits(town: Rig) -> None:
    town.say("Strömmen är borta.", only=("hook",))
    town.say("Vattnet är borta.")
    park(town)
    found = status.listing(town.desk, OPERATOR, only_open=True, limit=10, cursor="")["items"]
    assert {one["incident"]: one["stopped"] for one in found} == {"A1": {}, "A2": {"sms": "parked"}}
    town.pause("hook")
    found = status.listing(town.desk, OPERATOR, only_open=True, limit=10, cursor="")["items"]
    waiting = {one["incident"]: one["stopped"] for one in found}
    assert waiting == {"A1": {"hook": "paused"}, "A2": {"hook": "paused", "sms": "parked"}}


def test_letters_that_stop_in_the_middle_say_that_their_channel_is_parked(tmp_path: Path) -> None:
    """The first gateway takes some and then refuses the channel as a whole: the delivery is under way, and stands."""
    with SmsGateway() as far:
        rig = Rig(tmp_path, {"sms": sms(far)})
        with rig:
            rig.subscribe("sms", numbers(3))
            far.always(answers(401), method="GET")
            rig.say("Strömmen är borta.")
            rig.until(lambda: rig.is_parked("sms"))
            rig.until(lambda: rig.delivery("sms")["stop"])
            stands = rig.delivery("sms")
            assert stands["stop"]["remedy"] == "broadcaster channels resume sms"
            shown = status.show(rig.desk, OPERATOR, "A1")
            assert any("sms" in str(one["values"]) for one in shown["advice"])


def test_what_was_dropped_in_the_middle_is_told_as_given_up(tmp_path: Path) -> None:
    with SmsGateway() as far:
        rig = Rig(tmp_path, {"sms": sms(far)})
        with rig:
            rig.subscribe("sms", numbers(3))
            far.always(answers(401), method="GET")
            rig.say("Strömmen är borta.")
            rig.until(lambda: rig.is_parked("sms"))
            assert rig.delivery("sms")["given_up"] is False
            channel_acts.drop(rig.desk, OPERATOR, "sms")
            rig.until(lambda: rig.delivery("sms")["ended_at"])
            assert rig.delivery("sms")["given_up"] is True
