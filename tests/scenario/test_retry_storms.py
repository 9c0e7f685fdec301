"""A far end that is down is not hammered, neither while it is nor when it comes back, and a correction gets through.

Counted by the far end. The numbers are the issue's: ten failures, ten seconds, the channel's own rate.
"""

from __future__ import annotations

import os
import time
from datetime import datetime
from pathlib import Path

import pytest

from broadcaster.domain.delivery import State
from broadcaster.domain.incident import Kind
from broadcaster.engine.lane import Lane
from broadcaster.testing.rig import Rig, numbers, sms, webhook
from broadcaster.testing.servers import SmsGateway, WebhookReceiver, too_many, unavailable

pytestmark = [pytest.mark.scenario, pytest.mark.slow, pytest.mark.timeout(900)]
SOAK = bool(os.environ.get("SOAK"))
READERS = 10_000 if SOAK else 2_000
RATE = 500.0
MOST_FAILURES = 10
CORRECTED_WITHIN = 10.0


def test_a_gateway_that_is_down_sees_ten_letters_and_a_restart_keeps_to_the_rate(
    tmp_path: Path,
) -> None:
    block = {"preset": "kannel", "username": "u", "password": "p", "sender": "Ekbyn", "rate": RATE}
    with SmsGateway(preset="kannel") as far:
        channels = {"sms": sms() | {"suppliers": [block | {"url": f"{far.url}/cgi-bin/sendsms"}]}}
        far.always(unavailable(), path="sendsms")
        with Rig(tmp_path, channels) as rig:
            rig.subscribe("sms", numbers(READERS))
            rig.say("Koka vattnet.")
            lane = rig.lane("sms")
            rig.until(lambda: lane.breaker.opened_at is not None and not lane.busy)
            before = sum("sendsms" in request.path for request in far.requests if request.query)
        sent = [r for r in far.requests if "text=" in r.query]
        assert 1 <= len(sent) <= MOST_FAILURES, before
        # After the start everything is due at once.
        far.heal()
        with Rig(tmp_path, channels) as rig:
            rig.pass_by(seconds=60)
            rig.accepted("sms")
        times = sorted(e.at.timestamp() for e in far.effects)
        took = times[-1] - times[0]
        print(f"\n{READERS} due letters in {took:.2f} s at a rate of {RATE:g}")
    assert sorted(e.to for e in far.effects) == numbers(READERS)
    assert took >= (READERS - RATE / 10) / RATE - 0.05


def test_a_receiver_that_is_down_sees_no_more_than_ten_posts_of_hundreds_that_are_due(
    tmp_path: Path,
) -> None:
    incidents = 300 if SOAK else 60
    with WebhookReceiver() as far:
        far.always(unavailable(), method="POST")
        with Rig(tmp_path, {"hook": webhook(far)}) as rig:
            for number in range(incidents):
                rig.say(f"Koka vattnet {number}.", area=("norra-ekbyn",))
            lane = rig.lane("hook")
            rig.until(lambda: lane.breaker.opened_at is not None and not lane.busy)
        assert 1 <= far.arrived - probes(far) <= MOST_FAILURES
        tried = far.arrived - probes(far)
        with Rig(tmp_path, {"hook": webhook(far)}) as rig:
            # A restart forgets that it was down, and finds out as cheaply.
            lane = rig.lane("hook")
            rig.until(lambda: lane.breaker.opened_at is not None and not lane.busy)
            assert far.arrived - probes(far) - tried <= MOST_FAILURES
            far.heal()
            rig.pass_by(seconds=lane.breaker.rest + 1)
            for number in range(1, incidents + 1):
                rig.accepted("hook", 1, f"A{number}")
    assert len(far.texts("webhook")) == incidents
    assert far.texts("repeat") == []


def probes(far: WebhookReceiver) -> int:
    """How many requests only looked."""
    return sum(request.method == "HEAD" for request in far.requests)


@pytest.mark.parametrize("kind", ["sms", "hook"])
def test_a_correction_is_tried_within_ten_seconds_though_the_breaker_is_open(
    tmp_path: Path, kind: str
) -> None:
    with SmsGateway(preset="kannel") as phones, WebhookReceiver() as hook:
        far = phones if kind == "sms" else hook
        with Rig(tmp_path, {"sms": sms(phones), "hook": webhook(hook)}) as rig:
            rig.subscribe("sms", numbers(30))
            rig.say("Koka vattnet.")
            rig.accepted(kind)
            far.always(unavailable(), path="sendsms" if kind == "sms" else "/in")
            rig.say("Koka vattnet länge.", Kind.UPDATE)
            lane = rig.lane(kind)
            rig.until(lambda: lane.breaker.opened_at is not None and not lane.busy)
            far.heal()
            rig.say("Det är fel.", Kind.CORRECTION, number=1)
            told = time.time()
            rig.reached(State.ACCEPTED, State.CONFIRMED, State.SENDING, channel=kind, number=3)
            far.wait_for(lambda far: any("fel" in text for text in far.texts()))
        came = min(e.at.timestamp() for e in far.effects if "fel" in e.text) - told
        print(f"\n{kind}: the correction came {came:.2f} s after it was accepted")
    assert came <= CORRECTED_WITHIN


def test_a_correction_waits_for_no_pause_that_we_make_ourselves_before_an_earlier_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Lane, "chance", staticmethod(lambda: 0.99))  # the longest pauses
    with WebhookReceiver() as far, Rig(tmp_path, {"hook": webhook(far)}) as rig:
        rig.say("Koka vattnet.")
        rig.accepted("hook")
        far.always(unavailable(), method="POST")
        rig.say("Koka vattnet länge.", Kind.UPDATE)
        lane = rig.lane("hook")
        rig.until(lambda: lane.breaker.opened_at is not None and not lane.busy)
        pause = datetime.fromisoformat(rig.delivery("hook", 2)["due_at"]) - rig.clock()
        assert pause.total_seconds() > CORRECTED_WITHIN  # or this would prove nothing
        rig.say("Det är fel.", Kind.CORRECTION, number=1)
        tried = far.arrived
        far.wait_for(lambda far: far.arrived > tried)
        rig.until(lambda: not lane.busy)
        # It failed once more, and waits for minutes no more than before.
        far.heal()
        healed = time.time()
        rig.accepted("hook", 3)
    came = min(e.at.timestamp() for e in far.effects if "fel" in e.text) - healed
    print(f"\nthe correction came {came:.2f} s after the far side was well")
    assert came <= CORRECTED_WITHIN


def test_a_correction_does_not_make_us_forget_that_the_far_side_asked_us_to_wait(
    tmp_path: Path,
) -> None:
    with WebhookReceiver() as far, Rig(tmp_path, {"hook": webhook(far)}) as rig:
        rig.say("Koka vattnet.")
        rig.accepted("hook")
        far.next(too_many(60), method="POST")
        rig.say("Koka vattnet länge.", Kind.UPDATE)
        rig.until(lambda: "wait" in rig.delivery("hook", 2)["detail"])
        due, seen = rig.delivery("hook", 2)["due_at"], far.arrived
        rig.say("Det är fel.", Kind.CORRECTION, number=1)
        rig.sweep()
        assert (rig.delivery("hook", 2)["due_at"], far.arrived) == (due, seen)
        rig.pass_by(seconds=61)
        rig.accepted("hook", 3)
    assert ["länge" in text for text in far.texts("webhook")][1:] == [True, False]


def test_a_word_outlasts_minutes_of_a_far_side_that_is_down_also_when_a_correction_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Lane, "chance", staticmethod(lambda: 0.5))  # pauses as they are on average
    with WebhookReceiver() as far, Rig(tmp_path, {"hook": webhook(far, attempts=9)}) as rig:
        rig.say("Koka vattnet.")
        rig.accepted("hook")
        far.always(unavailable(), method="POST")
        rig.say("Koka vattnet till torsdag.", Kind.UPDATE)
        lane = rig.lane("hook")
        rig.until(lambda: lane.breaker.opened_at is not None and not lane.busy)
        rig.say("Ettan gällde fel by.", Kind.CORRECTION, number=1)
        for _ in range(12):
            tried = far.arrived
            rig.pass_by(seconds=6)
            far.wait_for(lambda far, tried=tried: far.arrived > tried)  # type: ignore[misc]  # bound now
            rig.until(lambda: not lane.busy)
        assert rig.state("hook", 2) == State.WAITING, rig.delivery("hook", 2)
