"""An update is out when enough independent ways have accepted it; the moment is a fact, and what lacks is told."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from broadcaster.domain.delivery import State
from broadcaster.domain.incident import Audience, Kind
from broadcaster.service import status
from broadcaster.service.resending import resend
from broadcaster.store import incidents, quorums
from broadcaster.testing.rig import OPERATOR, Rig, mastodon, numbers, sms, webhook
from broadcaster.testing.servers import MastodonServer, SmsGateway, WebhookReceiver, answers

MakeRig = Callable[..., Rig]
PUBLIC = {"url": "http://drift.ekbyn.example", "listen": "none"}


def blocks(far: WebhookReceiver, **more: Any) -> dict[str, dict[str, Any]]:
    """A page and a feed of one host, and a webhook on another; in tests that is this machine."""
    return {"page": {"kind": "page"}, "feed": {"kind": "feed"}, "hook": webhook(far), **more}


def make(rig: MakeRig, tmp: Any, channels: dict[str, dict[str, Any]], **more: Any) -> Rig:
    public = PUBLIC | {"directory": str(tmp / "public")}
    return rig(channels, public=public, allowed_hosts=["drift.ekbyn.example"], **more)


def out_of(engine: Rig, incident: str = "A1") -> dict[str, Any]:
    found = status.show(engine.desk, OPERATOR, incident)["out"]
    assert found is not None
    return dict(found)


def test_an_update_is_out_when_a_second_way_has_it_and_its_moment_stays(
    rig: MakeRig, tmp_path: Any
) -> None:
    with WebhookReceiver() as far:
        far.always(answers(503), method="POST")
        engine = make(rig, tmp_path, blocks(far))
        engine.say("Strömmen är borta.")
        engine.accepted("page")
        engine.accepted("feed")
        waits = out_of(engine)
        assert (waits["at"], waits["ways"], waits["needed"]) == (None, 1, 2)
        assert sorted(waits["accepted"]) == ["feed", "page"]
        assert waits["lacking"] == ["hook"]
        far.heal()
        engine.pass_by(minutes=2)
        engine.accepted("hook")
        out = out_of(engine)
        assert out["at"] == engine.delivery("hook")["accepted_at"]
        assert (out["channels"], out["ways"], out["lacking"]) == (3, 2, [])
        engine.note_out()
        engine.say("Nu kommer den.", Kind.UPDATE)
        engine.accepted("hook", 2)
        first = status.show(engine.desk, OPERATOR, "A1")
        engine.until(lambda: out_of(engine)["at"] and out_of(engine)["update"] == 2)
        assert out_of(engine)["at"] > out["at"]
        assert len(first["updates"]) == 2


def test_what_gets_it_after_it_was_out_is_counted_beside_the_first(
    rig: MakeRig, tmp_path: Any
) -> None:
    with WebhookReceiver() as far, MastodonServer() as late:
        late.always(answers(503), method="POST")
        engine = make(rig, tmp_path, blocks(far, social=mastodon(late)))
        engine.say("Strömmen är borta.")
        for channel in ("page", "feed", "hook"):
            engine.accepted(channel)
        engine.note_out()
        at_first = out_of(engine)
        assert (at_first["channels_now"], at_first["ways_now"]) == (3, 2)
        late.heal()
        engine.pass_by(minutes=2)
        engine.accepted("social")
        out = out_of(engine)
        assert {key: out[key] for key in ("at", "channels", "ways")} == {
            key: at_first[key] for key in ("at", "channels", "ways")
        }
        assert (out["channels_now"], out["ways_now"]) == (4, 2)


def test_a_list_says_the_same_as_the_incident(rig: MakeRig, tmp_path: Any) -> None:
    with WebhookReceiver() as far:
        engine = make(rig, tmp_path, blocks(far))
        engine.say("Strömmen är borta.")
        engine.accepted("hook")
        engine.accepted("page")
        engine.note_out()
        listed = status.listing(engine.desk, OPERATOR, only_open=True, limit=9, cursor="")
        assert listed["items"][0]["out"] == out_of(engine)


def test_a_failed_channel_leaves_it_not_out_and_what_stands_in_brings_it_out(
    rig: MakeRig, tmp_path: Any
) -> None:
    with WebhookReceiver() as far, MastodonServer() as second:
        far.always(answers(410), method="POST")
        channels = blocks(far, social=mastodon(second)) | {
            "hook": webhook(far, fallback=["social"])
        }
        engine = make(rig, tmp_path, channels)
        engine.say("Strömmen är borta.")
        engine.reached(State.FAILED, channel="hook")
        engine.accepted("page")
        engine.accepted("feed")
        assert out_of(engine)["lacking"] == ["hook"]
        engine.sweep()
        engine.accepted("social")
        assert out_of(engine)["at"] == engine.delivery("social")["accepted_at"]


def test_of_an_area_where_nobody_subscribes_no_more_is_asked_than_the_rest_can(
    rig: MakeRig, tmp_path: Any
) -> None:
    with SmsGateway() as gateway:
        channels = {"page": {"kind": "page"}, "sms": sms(gateway)}
        engine = make(rig, tmp_path, channels)
        engine.say("Ingen att skriva till.")
        engine.accepted("sms")
        engine.accepted("page")
        out = out_of(engine)
        assert (out["channels"], out["ways"], out["needed"], out["wanted"]) == (1, 1, 1, 2)
        engine.subscribe("sms", numbers(3))
        engine.say("Nu finns någon.", area=("norra-ekbyn",))
        engine.accepted("sms", incident="A2")
        engine.accepted("page", incident="A2")
        assert (out_of(engine, "A2")["ways"], out_of(engine, "A2")["needed"]) == (2, 2)


def test_a_quiet_update_is_out_where_it_goes_and_what_only_staff_hear_is_not_counted(
    rig: MakeRig, tmp_path: Any
) -> None:
    with WebhookReceiver() as far, WebhookReceiver() as staff:
        channels = blocks(far, ops=webhook(staff, audience="staff"))
        engine = make(rig, tmp_path, channels)
        engine.say("Bara på sidan.", quiet=True)
        engine.accepted("page")
        assert (out_of(engine)["needed"], out_of(engine)["ways"]) == (1, 1)
        engine.say("Bara för oss.", audience=Audience.STAFF, area=("sodra-ekbyn",))
        engine.accepted("ops", incident="A2")
        assert status.show(engine.desk, OPERATOR, "A2")["out"] is None


def test_what_is_scheduled_is_counted_from_when_it_goes_out(rig: MakeRig, tmp_path: Any) -> None:
    with WebhookReceiver() as far:
        far.always(answers(503), method="POST")
        engine = make(rig, tmp_path, blocks(far))
        engine.say("Senare.", at=engine.clock() + timedelta(minutes=20))
        assert status.show(engine.desk, OPERATOR, "A1")["out"] is None
        engine.pass_by(minutes=21)
        engine.accepted("page")
        engine.accepted("feed")
        released = datetime.fromisoformat(out_of(engine)["by"]) - timedelta(minutes=5)
        assert released > engine.clock() - timedelta(minutes=5)
        assert out_of(engine)["late"] is False
        engine.clock_only(minutes=5)
        assert out_of(engine)["late"] is True


def test_another_configuration_changes_nothing_about_what_was_accepted_before(
    rig: MakeRig, tmp_path: Any
) -> None:
    with WebhookReceiver() as far:
        engine = make(rig, tmp_path, blocks(far))
        engine.say("Strömmen är borta.")
        engine.accepted("page")
        engine.accepted("feed")
        engine.accepted("hook")
        before = out_of(engine)
        strict = engine.desk.configuration.settings.redundancy.model_copy(update={"out": 3})
        configured = engine.desk.configuration
        settings = configured.settings.model_copy(update={"redundancy": strict})
        engine.desk.configuration = type(configured)(
            settings, configured.adapters, configured.digest
        )
        assert out_of(engine) == before
        assert before["wanted"] == 2


def test_what_never_comes_out_keeps_nothing_else_from_being_written_down(
    rig: MakeRig, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quorums, "MOST", 1)
    with WebhookReceiver() as far, WebhookReceiver() as other:
        far.always(answers(503), method="POST")
        channels = blocks(far) | {"other": webhook(other)}
        engine = make(rig, tmp_path, channels)
        for text in ("Norr.", "Söder."):
            engine.say(text, only=("hook",))
        engine.say("Överallt.", only=("other",))
        engine.accepted("other", incident="A3")
        engine.accepted("page", incident="A3")

        def noted() -> bool:
            record = engine.store.read(lambda c: incidents.load(c, 3))
            return record is not None and record.updates[0].out_at is not None

        for _ in range(3):
            engine.note_out()
        assert noted()


def test_letters_that_wait_are_named_among_what_lacks(rig: MakeRig, tmp_path: Any) -> None:
    with SmsGateway() as gateway:
        engine = make(rig, tmp_path, {"page": {"kind": "page"}, "sms": sms(gateway)})
        engine.subscribe("sms", numbers(3))
        engine.pause("sms")
        engine.say("Strömmen är borta.")
        engine.accepted("page")
        assert out_of(engine)["lacking"] == ["sms"]


def test_who_stood_in_and_was_taken_back_is_not_waited_for(rig: MakeRig, tmp_path: Any) -> None:
    with WebhookReceiver() as far, WebhookReceiver() as other:
        far.always(answers(410), method="POST")
        channels = {"hook": webhook(far, fallback=["spare"]), "spare": webhook(other)}
        channels["spare"]["depends_on"] = ["another-network"]
        routes = [{"severity": "minor", "channels": ["hook"]}]
        engine = make(rig, tmp_path, channels, routes=routes)
        engine.pause("spare")
        engine.say("Strömmen är borta.")
        engine.reached(State.FAILED, channel="hook")
        needed = out_of(engine)["needed"]
        engine.sweep()
        engine.until(lambda: engine.state("spare") == "waiting")
        far.heal()
        resend(engine.desk, OPERATOR, engine.delivery("hook")["id"])
        engine.accepted("hook")
        assert engine.state("spare") == "withdrawn"
        assert (out_of(engine)["needed"], bool(out_of(engine)["at"])) == (needed, True)
