"""What must not go out: staff's words to the public, a struck text by another way, one text twice, a plan begun twice."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from broadcaster.domain.delivery import State
from broadcaster.domain.incident import Audience, Kind, Planned
from broadcaster.service import follow_up, saying, scheduling
from broadcaster.service.commands import Command, Operator, Refused, Role, Why
from broadcaster.store import channels, dues
from broadcaster.store.dues import Due
from broadcaster.testing.rig import OPERATOR, Rig, webhook
from broadcaster.testing.servers import FarEnd, WebhookReceiver, answers

MakeRig = Callable[..., Rig]
SOUTH = Operator(name="Sven", role=Role.AUTHOR, areas=("sodra-ekbyn",))


def texts(far: FarEnd) -> list[str]:
    return [json.loads(text)["text"] for text in far.texts("webhook")]


def all_through(engine: Rig) -> None:
    ended = {State.ACCEPTED, State.CONFIRMED, State.WITHDRAWN}
    engine.until(lambda: all(row["state"] in ended for row in engine.deliveries()))


def claimed(engine: Rig) -> tuple[Due, ...]:
    return engine.store.write(lambda c: dues.claim(c, engine.clock())).result()


# ---------------------------------------------------------------------------------------------------- staff's words
def test_a_correction_of_what_only_staff_were_told_is_told_to_staff_only(rig: MakeRig) -> None:
    with WebhookReceiver() as public, WebhookReceiver() as staff:
        engine: Rig = rig({"public": webhook(public), "staff": webhook(staff, audience="staff")})
        engine.say("Strömmen är borta.")
        engine.accepted("public")
        engine.say("Kabeln är kapad.", Kind.UPDATE, audience=Audience.STAFF)
        engine.accepted("staff", 2)
        engine.say("Ingen kabel är kapad.", Kind.CORRECTION)
        engine.accepted("staff", 3)
        all_through(engine)
        assert texts(staff) == ["Kabeln är kapad.", "Ingen kabel är kapad."]
        assert texts(public) == ["Strömmen är borta."]


def test_what_the_public_was_told_is_not_corrected_behind_its_back(rig: MakeRig) -> None:
    with WebhookReceiver() as public, WebhookReceiver() as staff:
        engine: Rig = rig({"public": webhook(public), "staff": webhook(staff, audience="staff")})
        engine.say("Strömmen är borta.")
        with pytest.raises(Refused) as refused:
            engine.say("Vi själva.", Kind.CORRECTION, number=1, audience=Audience.STAFF)
        assert refused.value.why is Why.CONFLICT


def test_staff_channels_do_not_fall_back_on_public_ones(rig: MakeRig) -> None:
    with WebhookReceiver() as public, WebhookReceiver() as staff:
        staff.always(answers(400, "no"), method="POST")
        engine: Rig = rig(
            {
                "staff": webhook(staff, audience="staff", fallback=["public"]),
                "public": webhook(public),
            },
            routes=[{"severity": "minor", "channels": ["public"]}],
        )
        engine.say("Kabeln är kapad.", audience=Audience.STAFF)
        engine.reached(State.FAILED, channel="staff")
        engine.sweep()
        assert [row["channel"] for row in engine.deliveries()] == ["staff"]


# --------------------------------------------------------------------------------------------------------- fallbacks
def test_a_retracted_text_is_not_taken_over_by_another_channel(rig: MakeRig) -> None:
    with WebhookReceiver() as first, WebhookReceiver() as second:
        first.next(answers(400, "no"), method="POST")
        engine: Rig = rig({"first": webhook(first, fallback=["second"]), "second": webhook(second)})
        parked = "Its token was revoked."
        engine.store.write(lambda c: channels.park(c, "second", engine.clock(), parked)).result()
        engine.wake()
        engine.until(lambda: engine.lane("second").parked)
        engine.say("Koka vattnet.")
        engine.reached(State.FAILED, channel="first")
        engine.say(kind=Kind.RETRACTION)
        engine.resume("second")
        engine.until(lambda: not engine.lane("second").parked)
        engine.sweep()
        assert engine.delivery("second") == {}
        assert texts(second) == []


def test_a_channel_that_carries_it_already_is_no_fallback(rig: MakeRig) -> None:
    with WebhookReceiver() as first, WebhookReceiver() as second:
        first.always(answers(400, "no"), method="POST")
        engine: Rig = rig(
            {"first": webhook(first, fallback=["second"]), "second": webhook(second)},
            routes=[{"severity": "minor", "channels": ["first", "second"]}],
        )
        engine.say("Koka vattnet.")
        engine.reached(State.FAILED, channel="first")
        engine.accepted("second")
        engine.sweep()
        assert [row["channel"] for row in engine.deliveries()] == ["first", "second"]


# ------------------------------------------------------------------------------------------------------ what waited
def test_retracting_an_incident_takes_back_what_was_scheduled_for_it(rig: MakeRig) -> None:
    with WebhookReceiver() as far:
        engine: Rig = rig({"hook": webhook(far)})
        engine.say("Strömmen är borta.")
        later = engine.clock() + timedelta(minutes=20)
        engine.say("Strömmen är fortfarande borta.", Kind.UPDATE, at=later)
        engine.say(kind=Kind.RETRACTION, whole=True)
        engine.accepted("hook", 3)
        assert engine.state("hook", 2) == State.WITHDRAWN


def test_restoring_an_incident_takes_back_what_was_scheduled_for_it(rig: MakeRig) -> None:
    with WebhookReceiver() as far:
        engine: Rig = rig({"hook": webhook(far)})
        engine.say("Strömmen är borta.")
        later = engine.clock() + timedelta(minutes=20)
        engine.say("Strömmen är fortfarande borta.", Kind.UPDATE, at=later)
        engine.say("Strömmen är åter.", Kind.RESTORED)
        engine.accepted("hook", 3)
        assert engine.state("hook", 2) == State.WITHDRAWN


def test_what_is_moved_while_its_time_comes_goes_out_at_its_new_time_only(tmp_path: Path) -> None:
    with WebhookReceiver() as far:
        engine = Rig(tmp_path, {"hook": webhook(far)})  # not started: the test claims what is due
        now = engine.clock()
        engine.say("Strömmen är borta.", at=now + timedelta(minutes=5))
        release = follow_up.acts(engine.desk)["release"]
        engine.clock.shift += timedelta(minutes=6)
        (due,) = claimed(engine)
        scheduling.change(engine.desk, OPERATOR, "A1-1", now + timedelta(minutes=10))
        assert release(due) == "moved to another time"
        engine.store.write(lambda c: dues.settle(c, due, engine.clock(), "moved")).result()
        engine.clock.shift += timedelta(minutes=5)
        (again,) = claimed(engine)
        assert release(again).startswith("released")
        engine.stop()


# ----------------------------------------------------------------------------------------------------- said once more
def test_the_same_words_may_be_said_again_after_they_were_retracted_and_to_others(
    tmp_path: Path,
) -> None:
    with WebhookReceiver() as far, WebhookReceiver() as staff:
        channels = {"hook": webhook(far), "staff": webhook(staff, audience="staff")}
        engine = Rig(tmp_path, channels)
        engine.say("Strömmen är borta.", audience=Audience.STAFF)
        engine.say("Strömmen är borta.")
        with pytest.raises(Refused):
            engine.say("Strömmen är borta.")
        engine.say(kind=Kind.RETRACTION, incident="A2")
        assert engine.say("Strömmen är borta.")["incident"] == "A3"
        engine.stop()


# --------------------------------------------------------------------------------------------------- planned work
def test_planned_work_begins_once_though_the_daemon_died_before_it_had_noted_so(
    tmp_path: Path,
) -> None:
    with WebhookReceiver() as far:
        engine = Rig(tmp_path, {"hook": webhook(far)})  # not started: the test claims what is due
        now = engine.clock()
        plan = Planned(now + timedelta(hours=1), now + timedelta(hours=3))
        engine.say("Planerat arbete.", planned=plan)
        begin = follow_up.acts(engine.desk)["open"]
        engine.clock.shift += timedelta(hours=1, minutes=1)
        (due,) = claimed(engine)
        begin(due)
        engine.clock.shift += timedelta(seconds=40)
        (again,) = claimed(engine)
        assert begin(again) == "said already"
        engine.stop()


def test_planned_work_that_began_and_ended_unseen_is_told_as_ended_only(tmp_path: Path) -> None:
    with WebhookReceiver() as far:
        engine = Rig(tmp_path, {"hook": webhook(far)})
        now = engine.clock()
        plan = Planned(now + timedelta(hours=1), now + timedelta(hours=3))
        engine.say("Planerat arbete.", planned=plan)
        engine.clock.shift += timedelta(hours=4)
        (due,) = claimed(engine)
        assert due.what == "close"
        assert len(due.ids) == 2
        engine.stop()


# --------------------------------------------------------------------------------------------------------- its areas
@pytest.mark.parametrize("kind", [Kind.CORRECTION, Kind.UPDATE])
def test_who_may_speak_about_the_south_neither_corrects_nor_reopens_what_is_over_in_the_north(
    tmp_path: Path, kind: Kind
) -> None:
    with WebhookReceiver() as far:
        engine = Rig(tmp_path, {"hook": webhook(far)})
        engine.say("Strömmen är borta.")
        engine.say("Strömmen är åter.", Kind.RESTORED)
        command = Command(
            kind=kind, incident="A1", texts={"": "Nu i söder."}, area=("sodra-ekbyn",)
        )
        with pytest.raises(Refused) as refused:
            saying.say(engine.desk, SOUTH, command)
        assert refused.value.why is Why.FORBIDDEN
        engine.stop()


def test_who_may_speak_about_the_south_goes_on_where_only_the_north_is_over(
    tmp_path: Path,
) -> None:
    with WebhookReceiver() as far:
        engine = Rig(tmp_path, {"hook": webhook(far)})
        engine.say("Strömmen är borta.", area=("norra-ekbyn", "sodra-ekbyn"))
        engine.say("Åter i norr.", Kind.RESTORED, area=("norra-ekbyn",))
        command = Command(kind=Kind.UPDATE, incident="A1", texts={"": "Ännu borta i söder."})
        assert saying.say(engine.desk, SOUTH, command)["areas"] == ["sodra-ekbyn"]
        engine.stop()
