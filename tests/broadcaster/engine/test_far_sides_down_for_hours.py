"""A far side is down for hours: what waits for it waits until its time is over, and goes out once when it is well again."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from broadcaster.daemon.watching import Watch
from broadcaster.domain.delivery import State
from broadcaster.engine.fallback import PATIENCE
from broadcaster.engine.lane import Lane
from broadcaster.engine.pacing import LONGEST_PAUSE, pause
from broadcaster.telemetry import Metrics
from broadcaster.testing.rig import Rig, numbers, sms, webhook
from broadcaster.testing.servers import FarEnd, SmsGateway, WebhookReceiver, unavailable

MakeRig = Callable[..., Rig]
READERS = 12
QUIET = {"next": "45m", "remind": "10m", "grace": "5m", "holding": False}
OUTAGE = timedelta(minutes=30)
ATTEMPTS = 8  # of an outage of 30 minutes they would be used up after ten


def outlast(engine: Rig, monkeypatch: pytest.MonkeyPatch, channel: str, *fars: FarEnd) -> None:
    """Let the outage pass, pause by pause, each as long as it is on average; after each something is tried and fails."""
    monkeypatch.setattr(Lane, "chance", staticmethod(lambda: 0.5))
    lane, end = engine.lane(channel), engine.clock() + OUTAGE

    def tried() -> int:
        return sum(far.arrived for far in fars)

    while engine.clock() < end:
        before = tried()
        engine.pass_by(seconds=LONGEST_PAUSE / 2 + 1)
        engine.until(
            lambda before=before: tried() > before and not lane.busy,  # type: ignore[misc]  # bound now
            lambda: f"given up: {engine.delivery(channel)}",
            10.0,
        )


def test_while_every_gateway_is_down_letters_wait_the_rest_is_out_and_staff_are_told(
    rig: MakeRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        SmsGateway(preset="kannel") as first,
        SmsGateway(preset="kannel") as second,
        WebhookReceiver() as hook,
        WebhookReceiver() as staff,
    ):
        for far in (first, second):
            far.always(unavailable(), path="sendsms")
        engine: Rig = rig(
            {
                "sms": sms(first, second, attempts=ATTEMPTS),
                "hook": webhook(hook),
                "page": {"kind": "page"},
                "feed": {"kind": "feed"},
                "duty": webhook(staff, audience="staff"),
            },
            follow_up=QUIET,
        )
        watch = Watch(engine.desk, engine.engine, Metrics(), "n1", lambda _: 0, lambda: False)
        engine.subscribe("sms", numbers(READERS))
        engine.say("Strömmen är borta.")
        for name in ("hook", "page", "feed"):
            engine.accepted(name)
        lane = engine.lane("sms")
        engine.until(lambda: lane.breaker.opened_at is not None and not lane.busy)
        engine.clock_only(seconds=PATIENCE.total_seconds() + 1)
        assert ("resting", "sms") in {(state.what, state.where) for state in watch.look()}
        staff.wait_for(lambda far: any("sms" in text for text in far.texts("webhook")))
        outlast(engine, monkeypatch, "sms", first, second)
        assert engine.delivery("sms")["counts"]["failed"] == 0, engine.delivery("sms")
        second.heal()
        engine.pass_by(minutes=5)
        engine.accepted("sms")
        assert sorted(effect.to for effect in second.effects) == numbers(READERS)
        assert first.effects == []


def test_a_post_waits_for_a_far_side_that_is_down_until_its_time_is_over(
    rig: MakeRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    with WebhookReceiver() as far:
        far.always(unavailable(retry_after=60), method="POST")
        engine: Rig = rig({"hook": webhook(far, attempts=ATTEMPTS)}, follow_up=QUIET)
        engine.say("Strömmen är borta.")
        far.wait_for(1)
        outlast(engine, monkeypatch, "hook", far)
        assert engine.state("hook") == State.WAITING, engine.delivery("hook")
        far.heal()
        far.clock = engine.clock
        engine.pass_by(minutes=5)
        engine.accepted("hook")


def test_a_message_that_the_far_side_has_an_error_over_is_given_up_after_so_many_tries(
    rig: MakeRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Lane, "chance", staticmethod(lambda: 0.0))
    with WebhookReceiver() as far:
        far.always(unavailable(), method="POST")
        engine: Rig = rig({"hook": webhook(far, attempts=3)}, follow_up=QUIET)
        engine.say("Strömmen är borta.")
        engine.reached(State.FAILED, channel="hook")
        assert len(far.requests) >= 3


def test_after_thousands_of_tries_the_pause_is_still_the_longest_one() -> None:
    assert pause(5000, 1.0) == pause(20, 1.0) == pytest.approx(LONGEST_PAUSE, abs=1)
