"""Two gateways behind one channel: hours of brown-out, reports that cease, a bill that was not paid; nobody is left out."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta

import pytest

from broadcaster.channel import Attempt, Letter, LetterOutcome, Receipt, Report
from broadcaster.daemon.watching import Watch
from broadcaster.domain.incident import Kind
from broadcaster.engine import letters
from broadcaster.engine.letters import LetterLane
from broadcaster.engine.suppliers import REFUSED_REST, TRIED_WITH, Why
from broadcaster.service import channel_acts
from broadcaster.telemetry import Metrics
from broadcaster.testing.rig import OPERATOR, Rig, numbers, sms, webhook
from broadcaster.testing.servers import SmsGateway, WebhookReceiver, answers, unavailable
from channels.sms_http import SmsHttpAdapter

MakeRig = Callable[..., Rig]
QUIET = {"next": "45m", "remind": "10m", "grace": "5m", "holding": False}
READERS = 40


def lane_of(engine: Rig) -> LetterLane:
    lane = engine.lane("sms")
    assert isinstance(lane, LetterLane)
    return lane


def changes(engine: Rig) -> list[str]:
    return [facts["supplier"] for event, _, facts in engine.events if event == "supplier"]


def words(engine: Rig, first: int, last: int, minutes: int) -> None:
    """An update every so many minutes, each out before the next."""
    for number in range(first, last + 1):
        kind = Kind.REPORT if number == 1 else Kind.UPDATE
        engine.say(f"Läget {number:03}.", kind)
        engine.accepted("sms", number)
        engine.pass_by(minutes=minutes)


def test_two_hours_of_brown_out_lose_nobody_change_hardly_and_the_first_comes_back(
    rig: MakeRig,
) -> None:
    with (
        SmsGateway(preset="kannel") as first,
        SmsGateway(preset="kannel") as second,
        WebhookReceiver() as staff,
    ):
        first.always(unavailable(), every=2, path="sendsms")
        engine: Rig = rig(
            {"sms": sms(first, second), "duty": webhook(staff, audience="staff")}, follow_up=QUIET
        )
        metrics = Metrics()
        watch = Watch(engine.desk, engine.engine, metrics, "n1", lambda _: 0, lambda: False)
        staff.clock = engine.clock
        engine.subscribe("sms", numbers(READERS))
        words(engine, 1, 24, minutes=5)
        assert changes(engine) == ["g2"]
        [state] = [state for state in watch.look() if state.what == "supplier"]
        assert (state.where, state.values["supplier"], state.values["first"]) == ("sms", "g2", "g1")
        said = state.sentence.format(**state.values)
        staff.wait_for(lambda far: any("g2" in text for text in far.texts("webhook")))
        items = channel_acts.listing(engine.desk, OPERATOR, {}, "en", remarks={"sms": said})[
            "items"
        ]
        assert ("sms", "good", said) in {
            (item["channel"], item["state"], item["because"]) for item in items
        }
        in_force = {"channel": "sms", "supplier": "g2"}
        sample = metrics.registry.get_sample_value
        assert sample("broadcaster_supplier_in_force", in_force) == 1
        first.heal()
        words(engine, 25, 40, minutes=5)
        assert changes(engine) == ["g2", "g1"]
        assert "supplier" not in {state.what for state in watch.look()}
        got = Counter((effect.to, effect.text) for effect in (*first.effects, *second.effects))
        assert set(got.values()) == {1}
        assert len(got) == 40 * READERS


def test_letters_that_a_gateway_in_brown_out_refuses_are_never_given_up(rig: MakeRig) -> None:
    with SmsGateway(preset="kannel") as only:
        only.always(unavailable(), every=2, path="sendsms")
        engine: Rig = rig({"sms": sms(only, attempts=2)}, follow_up=QUIET)
        engine.subscribe("sms", numbers(READERS))
        engine.say("Strömmen är borta.")
        engine.accepted("sms")
        assert sorted(effect.to for effect in only.effects) == numbers(READERS)
        assert engine.delivery("sms")["counts"]["failed"] == 0


def test_a_gateway_whose_bill_was_paid_is_used_again_without_a_word(rig: MakeRig) -> None:
    with SmsGateway(preset="kannel") as first, SmsGateway(preset="kannel") as second:
        first.always(answers(403, "Authorization failed for sendsms"))
        engine: Rig = rig({"sms": sms(first, second)}, follow_up=QUIET)
        engine.subscribe("sms", numbers(3))
        engine.say("Strömmen är borta.")
        engine.accepted("sms")
        refused_once = len(first.requests)
        engine.pass_by(minutes=30)
        engine.say("Ännu borta.", Kind.UPDATE)
        engine.accepted("sms", 2)
        assert len(first.requests) == refused_once
        first.heal()
        engine.pass_by(seconds=REFUSED_REST.total_seconds() - 30 * 60 + 60)
        engine.say("Tillbaka.", Kind.UPDATE)
        engine.accepted("sms", 3)
        assert {effect.to for effect in first.effects} == set(numbers(3))


def test_resume_tries_a_gateway_that_refused_us_at_once_though_the_channel_went_on(
    rig: MakeRig,
) -> None:
    with SmsGateway(preset="kannel") as first, SmsGateway(preset="kannel") as second:
        first.always(answers(403, "Authorization failed for sendsms"))
        engine: Rig = rig({"sms": sms(first, second)}, follow_up=QUIET)
        engine.subscribe("sms", numbers(3))
        engine.say("Strömmen är borta.")
        engine.accepted("sms")
        assert lane_of(engine).suppliers.current == "g2"
        first.heal()
        engine.resume("sms")
        engine.until(lambda: lane_of(engine).suppliers.current == "g1")
        engine.say("Ännu borta.", Kind.UPDATE)
        engine.accepted("sms", 2)
        assert [effect.to for effect in first.effects] == numbers(3)
        assert changes(engine) == ["g2", "g1"]
        first.always(answers(403, "Authorization failed for sendsms"))
        engine.say("Snart tillbaka.", Kind.UPDATE)
        engine.accepted("sms", 3)
        engine.say("Tillbaka.", Kind.UPDATE)
        engine.accepted("sms", 4)
        assert lane_of(engine).suppliers.current == "g2", "resumed once, it begins anew once"


def test_a_gateway_that_refused_us_carries_the_letters_soon_after_the_other_is_dead(
    rig: MakeRig,
) -> None:
    with SmsGateway(preset="kannel") as first, SmsGateway(preset="kannel") as second:
        first.always(answers(403, "Authorization failed for sendsms"))
        engine: Rig = rig({"sms": sms(first, second)}, follow_up=QUIET)
        engine.subscribe("sms", numbers(READERS))
        engine.say("Strömmen är borta.")
        engine.accepted("sms")
        first.heal()
        second.always(unavailable())
        engine.say("Ännu borta.", Kind.UPDATE)
        for _ in range(6):  # a minute at a time, less than its hour in all
            engine.pass_by(minutes=1)
            with contextlib.suppress(TimeoutError):
                engine.until(lambda: engine.delivery("sms", 2)["state"] == "accepted", seconds=2)
        engine.accepted("sms", 2)
        assert {effect.to for effect in first.effects} == set(numbers(READERS))


class Silent(SmsHttpAdapter):
    """Takes every letter; what becomes of them the test reports."""

    def __init__(self, built: SmsHttpAdapter) -> None:
        super().__init__(built.settings, built.context)
        self.keys: list[tuple[str, str]] = []

    def send(
        self, letters: Iterable[Letter], attempt: Attempt
    ) -> Iterator[tuple[Letter, LetterOutcome]]:
        for letter in letters:
            self.keys.append((attempt.supplier, letter.key))
            yield letter, LetterOutcome(receipt=Receipt())


def test_a_gateway_that_takes_all_and_no_longer_reports_any_is_left(
    rig: MakeRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    with SmsGateway(preset="kannel") as far:
        engine: Rig = rig({"sms": sms(far, far)}, swap={"sms": Silent}, follow_up=QUIET)
        engine.subscribe("sms", numbers(READERS))
        lane, adapter = lane_of(engine), engine.adapters["sms"]
        for number in range(1, 9):
            engine.say(f"Läget {number}.", Kind.REPORT if number == 1 else Kind.UPDATE)
            engine.accepted("sms", number)
            engine.clock_only(seconds=5)
            if number <= 3:
                for supplier, _ in adapter.keys[-READERS:]:
                    now = engine.clock()
                    reported(engine, supplier, now - timedelta(seconds=5))
            engine.pass_by(minutes=5)
            engine.until(lambda: not lane.busy)
        assert adapter.keys[0][0] == "g1"
        assert lane.suppliers.current == "g2"
        assert "report" in lane.suppliers.because("g1")
        # What it is tried with again is little: who brings nothing out must not get a town's letters.
        since = [supplier for supplier, _ in adapter.keys].index("g2")
        words_since = [key.split(".")[1] for _, key in adapter.keys[since:]]
        by_first = Counter(key.split(".")[1] for by, key in adapter.keys[since:] if by == "g1")
        assert all(by_first[word] <= TRIED_WITH for word in words_since), by_first


def reported(engine: Rig, supplier: str, taken_at: datetime) -> None:
    """As the engine says it when a report came: on its own loop."""

    async def say() -> None:
        lane_of(engine).reported(supplier, taken_at, engine.clock())

    engine.call(say())


class Held(Silent):
    """Does not end the run of its fourth word before the test lets it."""

    def __init__(self, built: SmsHttpAdapter) -> None:
        super().__init__(built)
        self.took_all, self.go_on = threading.Event(), threading.Event()

    def send(
        self, letters: Iterable[Letter], attempt: Attempt
    ) -> Iterator[tuple[Letter, LetterOutcome]]:
        yield from super().send(letters, attempt)
        if len(self.keys) == 4 * READERS:
            self.took_all.set()
            self.go_on.wait(30.0)


def test_reports_that_come_while_their_letters_are_still_going_out_are_no_lack(
    rig: MakeRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(letters, "RENEW", 30.0)  # what is under way is counted at its end
    with SmsGateway(preset="kannel") as far:
        engine: Rig = rig({"sms": sms(far, far)}, swap={"sms": Held}, follow_up=QUIET)
        engine.subscribe("sms", numbers(READERS))
        lane, adapter = lane_of(engine), engine.adapters["sms"]
        for number in range(1, 5):
            engine.say(f"Läget {number}.", Kind.REPORT if number == 1 else Kind.UPDATE)
            if number == 4:
                assert adapter.took_all.wait(30.0)
                for _ in range(READERS):
                    reported(engine, "g1", engine.clock())
                adapter.go_on.set()
            engine.accepted("sms", number)
            if number < 4:
                for _ in range(READERS):
                    reported(engine, "g1", engine.clock())
            engine.pass_by(minutes=5)
            engine.until(lambda: not lane.busy)
        engine.call(lane.turn())
        assert lane.suppliers.health("g1", engine.clock()) == 1.0


@pytest.mark.parametrize("by", [timedelta(minutes=10), timedelta(minutes=-10)], ids=str)
def test_a_gateway_that_is_at_work_while_the_clock_jumps_is_not_called_late(
    rig: MakeRig, monkeypatch: pytest.MonkeyPatch, by: timedelta
) -> None:
    monkeypatch.setattr(letters, "RENEW", 30.0)  # what is under way is not counted before the jump
    with SmsGateway(preset="kannel") as far:
        engine: Rig = rig({"sms": sms(far, far)}, swap={"sms": Held}, follow_up=QUIET)
        engine.subscribe("sms", numbers(READERS))
        lane, adapter = lane_of(engine), engine.adapters["sms"]
        for number in range(1, 4):
            engine.say(f"Läget {number}.", Kind.REPORT if number == 1 else Kind.UPDATE)
            engine.accepted("sms", number)
            for _ in range(READERS):
                reported(engine, "g1", engine.clock() - timedelta(seconds=5))
            engine.pass_by(minutes=5)
            engine.until(lambda: not lane.busy)
        engine.say("Läget 4.", Kind.UPDATE)
        assert adapter.took_all.wait(30.0)
        taken_at = engine.clock()
        engine.jump(seconds=by.total_seconds())
        engine.call(asyncio.sleep(0))  # the lanes know of it
        adapter.go_on.set()
        engine.accepted("sms", 4)
        for _ in range(READERS):
            reported(engine, "g1", taken_at)
        for _ in range(4):
            engine.pass_by(minutes=5)
            engine.call(lane.turn())
        assert lane.suppliers.health("g1", engine.clock()) == 1.0
        assert lane.suppliers.current == "g1"


def test_what_is_reported_reaches_the_gateway_that_took_the_letter(
    rig: MakeRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[str] = []
    monkeypatch.setattr(
        letters.LetterLane, "reported", lambda _, supplier, *__: heard.append(supplier)
    )
    with SmsGateway(preset="kannel") as far:
        engine: Rig = rig({"sms": sms(far)}, swap={"sms": Reports})
        engine.subscribe("sms", numbers(2))
        engine.say("Strömmen är borta.")
        engine.accepted("sms")
        engine.until(lambda: engine.delivery("sms")["counts"]["confirmed"] == 2)
        engine.until(lambda: len(heard) == 2)
        assert heard == ["g1", "g1"]


class Reports(Silent):
    """Tells of each letter twice that it was seen."""

    def collect(self, kept: tuple[str, ...], attempt: Attempt) -> tuple[object, ...]:
        from broadcaster.channel import InboundRequest

        told = [key for _, key in self.keys for _ in range(2)]
        self.keys = []
        return tuple(
            InboundRequest(
                method="report",
                path=f"{place}",
                query="",
                headers={},
                body=key.encode(),
                received_at=attempt.at,
            )
            for place, key in enumerate(told)
        )

    def receive(self, request: object) -> tuple[Report, ...]:
        return (Report(key=request.body.decode(), outcome="confirmed"),)  # type: ignore[attr-defined]  # as collected


def test_every_reason_has_a_name() -> None:
    assert {str(why) for why in Why} == {"first", "instead", "trial", "in_turn"}
