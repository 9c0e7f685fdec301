"""What `most_per_hour` leaves out is news alone: nobody keeps a worse text as the last word, and staff hear every alarm."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from broadcaster.domain.delivery import State
from broadcaster.domain.incident import Kind, Severity
from broadcaster.service.notifying import tell_staff
from broadcaster.store import often
from broadcaster.testing.rig import Rig, numbers, sms
from broadcaster.testing.servers import SmsGateway

MakeRig = Callable[..., Rig]


@pytest.fixture
def far() -> Iterator[SmsGateway]:
    with SmsGateway(preset="kannel") as gateway:
        yield gateway


def had_enough(rig: MakeRig, far: SmsGateway, **settings: Any) -> Rig:
    """Two readers who had three letters, of A1, A2 and A3: as many as they may get."""
    engine = rig({"sms": sms(far)}, most_per_hour=3, **settings)
    engine.subscribe("sms", numbers(2))
    for number in (1, 2, 3):
        engine.say(f"Läge {number}.")
        engine.accepted("sms", incident=f"A{number}")
    return engine


def counts(engine: Rig, incident: str, number: int = 1) -> tuple[int, int]:
    """How many letters of an update were accepted and left out, once it has gone."""
    engine.until(
        lambda: engine.delivery("sms", number, incident)["state"] in ("accepted", "expired")
    )
    found = engine.delivery("sms", number, incident)["counts"]
    return found["accepted"], found["skipped"]


def test_staff_hear_every_alarm_however_many_there_are(rig: MakeRig, far: SmsGateway) -> None:
    engine = rig({"duty": sms(far, audience="staff"), "page": {"kind": "page"}}, most_per_hour=3)
    engine.subscribe("duty", numbers(2))
    for number in range(1, 6):
        name = tell_staff(engine.desk, f"Trouble {number}.", f"trouble {number}")
        engine.accepted("duty", int(name.rpartition("-")[2]), incident="S0")
    assert len(far.effects) == 10


def test_who_heard_of_it_hears_that_it_is_over(rig: MakeRig, far: SmsGateway) -> None:
    engine = had_enough(rig, far)
    engine.say("Strömmen är tillbaka.", Kind.RESTORED, incident="A1")
    assert counts(engine, "A1", 2) == (2, 0)


def test_of_what_nobody_heard_nobody_needs_to_hear_that_it_is_over(
    rig: MakeRig, far: SmsGateway
) -> None:
    """Else a monitor that flaps would ring without end: only the outages would be left out."""
    engine = had_enough(rig, far)
    engine.say("Läge 4.")
    assert counts(engine, "A4") == (0, 2)
    engine.say("Läge 4 är över.", Kind.RESTORED, incident="A4")
    assert counts(engine, "A4", 2) == (0, 2)


def test_what_follows_a_letter_that_life_depended_on_is_told_and_what_follows_that_is_news(
    rig: MakeRig, far: SmsGateway
) -> None:
    engine = had_enough(rig, far)
    engine.say("Koka vattnet.", Kind.UPDATE, incident="A1", severity=Severity.EXTREME)
    assert counts(engine, "A1", 2) == (2, 0)
    engine.say("Lugnare igen.", Kind.UPDATE, incident="A1", severity=Severity.SEVERE)
    assert counts(engine, "A1", 3) == (2, 0)
    engine.say("Ännu lugnare.", Kind.UPDATE, incident="A1", severity=Severity.SEVERE)
    assert counts(engine, "A1", 4) == (0, 2)


def test_letters_of_a_clock_that_was_ahead_are_of_no_hour_that_has_been(
    rig: MakeRig, far: SmsGateway
) -> None:
    engine = rig({"sms": sms(far)}, most_per_hour=3)
    engine.subscribe("sms", numbers(2))
    engine.jump(days=2)
    for number in (1, 2, 3):
        engine.say(f"Läge {number}.")
        engine.accepted("sms", incident=f"A{number}")
    engine.jump(days=-2)
    engine.pass_by(hours=5)
    engine.say("Läge 4.")
    assert counts(engine, "A4") == (2, 0)


def test_status_says_why_people_were_left_out(rig: MakeRig, far: SmsGateway) -> None:
    engine = had_enough(rig, far)
    engine.subscribe("sms", numbers(2, 50), "sodra-ekbyn")
    engine.say("Läge 4.", area=("norra-ekbyn", "sodra-ekbyn"))
    assert counts(engine, "A4") == (2, 2)
    engine.say("Läge 5.")
    assert counts(engine, "A5") == (0, 2)
    assert engine.state("sms", incident="A5") == State.EXPIRED
    for incident in ("A4", "A5"):
        assert engine.delivery("sms", incident=incident)["detail"] == often.LEFT_OUT
