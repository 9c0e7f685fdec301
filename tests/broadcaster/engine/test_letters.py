"""Letters: a blast in jobs, stopped in the middle, by the second gateway, reported late, early and twice."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from broadcaster.channel import (
    Attempt,
    Letter,
    LetterOutcome,
    Receipt,
    Report,
    Transient,
    Uncertain,
)
from broadcaster.domain.delivery import State
from broadcaster.domain.incident import Kind
from broadcaster.store import reports
from broadcaster.testing.rig import Rig, numbers, sms, webhook
from broadcaster.testing.servers import (
    SmsGateway,
    WebhookReceiver,
    answers,
    hang,
    late,
    unavailable,
)
from channels.sms_http import SmsHttpAdapter

MakeRig = Callable[..., Rig]


def counts(engine: Rig, number: int = 1, channel: str = "sms") -> dict[str, int]:
    found: dict[str, int] = engine.delivery(channel, number)["counts"]
    return found


def test_each_subscriber_gets_the_text_once(rig: MakeRig) -> None:
    with SmsGateway(preset="kannel") as far:
        engine: Rig = rig({"sms": sms(far)})
        engine.subscribe("sms", numbers(700))
        engine.say("Strömmen är borta.")
        engine.accepted("sms")
        assert sorted(effect.to for effect in far.effects) == sorted(numbers(700))
        assert counts(engine) == {
            "total": 700,
            "accepted": 700,
            "confirmed": 0,
            "failed": 0,
            "bounced": 0,
            "uncertain": 0,
            "skipped": 0,
        }


def test_a_letter_without_an_answer_holds_up_no_other_job(rig: MakeRig) -> None:
    with SmsGateway(preset="kannel") as far:
        engine: Rig = rig({"sms": sms(far)})
        engine.subscribe("sms", numbers(1300))
        far.next(hang(), path="sendsms")
        engine.say("Strömmen är borta.")
        far.wait_for(lambda far: len(far.effects) == 1299)
        far.release()
        engine.reached(State.ACCEPTED, channel="sms")
        assert counts(engine)["accepted"] + counts(engine)["uncertain"] == 1300


def test_a_channel_that_is_paused_in_the_middle_of_a_blast_begins_no_further_job(
    rig: MakeRig,
) -> None:
    with SmsGateway(preset="kannel") as far:
        far.always(late(0.05), every=4)
        engine: Rig = rig({"sms": sms(far)})
        engine.subscribe("sms", numbers(3000))
        engine.say("Strömmen är borta.")
        far.wait_for(lambda far: len(far.effects) > 100)
        engine.pause("sms")
        engine.until(lambda: not engine.lane("sms").busy)
        sent = len(far.effects)
        assert sent <= 1500  # the one that was sent, and one that was made ready behind it
        engine.resume("sms")
        engine.accepted("sms")
        assert sorted(effect.to for effect in far.effects) == sorted(numbers(3000))


def test_a_retraction_in_the_middle_of_a_blast_stops_it_and_goes_to_those_who_had_it(
    rig: MakeRig,
) -> None:
    with SmsGateway(preset="kannel") as far:
        far.always(late(0.05), every=4)
        engine: Rig = rig({"sms": sms(far)})
        engine.subscribe("sms", numbers(3000))
        engine.say("Koka vattnet.")
        far.wait_for(lambda far: len(far.effects) > 600)
        engine.say(kind=Kind.RETRACTION)
        retracted_at = engine.clock()
        engine.accepted("sms", 2)
        wrong = [effect for effect in far.effects if "Koka" in effect.text]
        right = [effect for effect in far.effects if "Koka" not in effect.text]
        assert len(wrong) < 3000
        assert max(effect.at for effect in wrong) < retracted_at + timedelta(seconds=2)
        assert min(effect.at for effect in right) < retracted_at + timedelta(seconds=10)
        assert {effect.to for effect in right} == {effect.to for effect in wrong}
        assert len(right) == len({effect.to for effect in right})
        had = counts(engine, 1)
        assert had["accepted"] + had["uncertain"] + had["skipped"] == had["total"] == 3000


def test_a_correction_goes_to_those_who_had_the_wrong_text_and_as_news_to_the_rest(
    rig: MakeRig,
) -> None:
    with SmsGateway(preset="kannel") as far:
        engine: Rig = rig({"sms": sms(far)})
        engine.subscribe("sms", numbers(3), "norra-ekbyn")
        engine.subscribe("sms", numbers(2, start=50), "sodra-ekbyn")
        engine.say("Koka vattnet.")
        engine.accepted("sms")
        engine.say("Bara södra.", Kind.CORRECTION, area=("sodra-ekbyn",))
        engine.accepted("sms", 2)
        later = [effect for effect in far.effects if "Bara" in effect.text]
        corrected = {effect.to for effect in later if "RÄTTELSE" in effect.text.upper()}
        assert corrected == set(numbers(3))
        assert {effect.to for effect in later} - corrected == set(numbers(2, start=50))


def test_a_correction_starts_within_ten_seconds_though_the_gateway_hangs(rig: MakeRig) -> None:
    with SmsGateway(preset="kannel") as far:
        far.always(hang(), method="GET", path="sendsms")
        engine: Rig = rig({"sms": sms(far)})
        engine.subscribe("sms", numbers(5))
        engine.say("Koka vattnet.")
        far.wait_for(lambda far: sum("Koka" in r.query for r in far.requests) == 5)
        far.heal()
        engine.say("Fel, koka inte.", Kind.CORRECTION)
        # `wait_for` gives it the ten seconds that I7 does.
        far.wait_for(lambda far: far.effects != [], seconds=10)
        engine.accepted("sms", 2)
        # Whose letter hangs may have had it: all five get the correction.
        assert {effect.to for effect in far.effects} == set(numbers(5))
        far.release()


def test_who_was_erased_meanwhile_gets_nothing(rig: MakeRig) -> None:
    with SmsGateway(preset="kannel") as far:
        engine: Rig = rig({"sms": sms(far)})
        ids = engine.subscribe("sms", numbers(4))
        engine.pause("sms")
        engine.say("Strömmen är borta.")
        engine.erase(ids[1])
        engine.resume("sms")
        engine.accepted("sms")
        assert {effect.to for effect in far.effects} == {
            number for at, number in enumerate(numbers(4)) if at != 1
        }


def test_the_second_gateway_takes_over_when_the_first_refuses_us(rig: MakeRig) -> None:
    with SmsGateway(preset="kannel") as first, SmsGateway(preset="kannel") as second:
        first.always(answers(403, "Authorization failed for sendsms"))
        engine: Rig = rig({"sms": sms(first, second)})
        engine.subscribe("sms", numbers(40))
        engine.say("Strömmen är borta.")
        engine.accepted("sms")
        assert not first.effects
        assert {effect.to for effect in second.effects} == set(numbers(40))
        assert not engine.is_parked("sms")


@pytest.mark.parametrize("subscribers", [3, 60])
def test_the_second_gateway_takes_over_when_the_first_does_not_answer(
    rig: MakeRig, subscribers: int
) -> None:
    with SmsGateway(preset="kannel") as first, SmsGateway(preset="kannel") as second:
        first.always(unavailable())
        engine: Rig = rig({"sms": sms(first, second)})
        engine.subscribe("sms", numbers(subscribers))
        engine.say("Strömmen är borta.")
        engine.accepted("sms")
        assert sorted(effect.to for effect in second.effects) == numbers(subscribers)
        assert counts(engine)["accepted"] == subscribers


def test_a_channel_whose_only_gateway_refuses_us_is_parked_and_sends_all_when_resumed(
    rig: MakeRig,
) -> None:
    with SmsGateway(preset="kannel") as far:
        far.always(answers(403, "Authorization failed for sendsms"))
        engine: Rig = rig({"sms": sms(far)})
        engine.subscribe("sms", numbers(20))
        engine.say("Strömmen är borta.")
        engine.until(lambda: engine.is_parked("sms"))
        far.heal()
        engine.resume("sms")
        engine.accepted("sms")
        assert sorted(effect.to for effect in far.effects) == numbers(20)


def test_letters_that_are_refused_to_the_end_count_as_failed(rig: MakeRig) -> None:
    with SmsGateway(preset="kannel") as far:
        far.always(unavailable())
        engine: Rig = rig({"sms": sms(far, attempts=2)})
        engine.subscribe("sms", numbers(4))
        engine.say("Strömmen är borta.")
        engine.reached(State.FAILED, channel="sms")
        assert counts(engine)["failed"] == 4


def test_a_letter_delivery_on_a_parked_channel_ends_when_its_time_is_over(rig: MakeRig) -> None:
    with SmsGateway(preset="kannel") as far:
        far.always(answers(403, "Authorization failed for sendsms"))
        engine: Rig = rig({"sms": sms(far)})
        engine.subscribe("sms", numbers(4))
        engine.say("Strömmen är borta.")
        engine.until(lambda: engine.is_parked("sms"))
        engine.pass_by(hours=13)
        engine.sweep()
        engine.reached(State.EXPIRED, channel="sms")
        assert counts(engine)["skipped"] == 4


def test_the_fallback_takes_over_from_a_parked_letter_channel(rig: MakeRig) -> None:
    with SmsGateway(preset="kannel") as far, WebhookReceiver() as other:
        far.always(answers(403, "Authorization failed for sendsms"))
        engine: Rig = rig({"sms": sms(far, fallback=["hook"]), "hook": webhook(other)})
        engine.subscribe("sms", numbers(4))
        engine.say("Strömmen är borta.")
        engine.until(lambda: engine.is_parked("sms"))
        engine.sweep()
        engine.accepted("hook")
        assert len(other.texts("webhook")) == 1


def test_a_held_database_costs_no_outcome_and_parks_nothing(
    rig: MakeRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("broadcaster.store.database._BUSY_MS", 300)
    with SmsGateway(preset="kannel") as far:
        far.always(late(0.02))
        engine: Rig = rig({"sms": sms(far)})
        engine.subscribe("sms", numbers(1500))
        engine.say("Strömmen är borta.")
        far.wait_for(lambda far: len(far.effects) > 150)
        foreign = sqlite3.connect(engine.loaded.settings.store.url.get_secret_value()[10:])
        foreign.execute("BEGIN IMMEDIATE")
        # Held for longer than a write waits: it is refused, and has to be tried again.
        engine.until(lambda: engine.store.refusing is not None)
        foreign.rollback()
        foreign.close()
        engine.accepted("sms")
        assert sorted(effect.to for effect in far.effects) == numbers(1500)
        assert counts(engine)["accepted"] == 1500
        assert not engine.is_parked("sms")


class Script(SmsHttpAdapter):
    """Accepts every letter with a handle, or does what the test says."""

    hanging: threading.Event | None = None
    lost: frozenset[str] = frozenset()
    keys: list[str]

    def send(
        self, letters: Iterator[Letter], attempt: Attempt
    ) -> Iterable[tuple[Letter, LetterOutcome]]:
        for letter in letters:
            self.keys.append(letter.key)
            if self.hanging is not None:
                self.hanging.wait(60)
            if letter.address in self.lost:
                yield letter, LetterOutcome(failure=Uncertain("Who knows?"))
            else:
                yield letter, LetterOutcome(receipt=Receipt(handle=f"h{letter.key}"))


def script(engine: MakeRig, far: SmsGateway, **how: object) -> tuple[Rig, Script]:
    made: list[Script] = []

    def make(built: object) -> Script:
        adapter = Script(built.settings, built.context)  # type: ignore[attr-defined]  # the rig's own class
        adapter.keys = []
        for name, thing in how.items():
            setattr(adapter, name, thing)
        made.append(adapter)
        return adapter

    return engine({"sms": sms(far)}, swap={"sms": make}), made[0]


def report(engine: Rig, **said: Any) -> bool:
    matched = engine.store.write(lambda c: reports.match(c, [("sms", Report(**said))])).result()
    return matched == [True]


def test_reports_only_add_knowledge_early_late_repeated_or_out_of_order(rig: MakeRig) -> None:
    with SmsGateway(preset="kannel") as far:
        engine, adapter = script(rig, far)
        engine.subscribe("sms", numbers(2))
        engine.say("Strömmen är borta.")
        assert not report(engine, key="1.99.0", outcome="confirmed")
        engine.accepted("sms")
        first, second = adapter.keys
        assert report(engine, key=first, outcome="confirmed")
        assert report(engine, key=first, outcome="confirmed")
        assert report(engine, key=first, outcome="pending")
        assert report(engine, key=first, outcome="failed")
        assert counts(engine)["confirmed"] == 1
        assert report(engine, handle=f"h{second}", outcome="failed")
        assert report(engine, handle=f"h{second}", outcome="confirmed")
        assert counts(engine)["confirmed"] == 2


def test_a_report_settles_what_nobody_knew(rig: MakeRig) -> None:
    with SmsGateway(preset="kannel") as far:
        engine, adapter = script(rig, far, lost=frozenset(numbers(1)))
        engine.subscribe("sms", numbers(1))
        engine.say("Strömmen är borta.")
        engine.reached(State.UNCERTAIN, channel="sms")
        assert report(engine, key=adapter.keys[0], outcome="confirmed")
        assert counts(engine)["uncertain"] == 0
        assert counts(engine)["accepted"] == counts(engine)["confirmed"] == 1
        assert engine.state("sms") == State.ACCEPTED


def test_a_blast_whose_adapter_hangs_for_good_is_over_when_its_time_is(rig: MakeRig) -> None:
    let_go = threading.Event()
    with SmsGateway(preset="kannel") as far:
        engine, adapter = script(rig, far, hanging=let_go)
        engine.subscribe("sms", numbers(3))
        engine.say("Strömmen är borta.")
        try:
            engine.until(lambda: adapter.keys != [])
            engine.pass_by(hours=13)
            engine.reached(State.UNCERTAIN, State.EXPIRED, channel="sms")
            assert counts(engine)["uncertain"] == 3 or counts(engine)["skipped"] == 2
        finally:
            let_go.set()


class EndsEarly(SmsHttpAdapter):
    """At its first call it ends after two letters, as when its connections are closed under it."""

    calls = 0

    def send(
        self, letters: Iterable[Letter], attempt: Attempt
    ) -> Iterator[tuple[Letter, LetterOutcome]]:
        self.calls += 1
        for sent, letter in enumerate(letters, start=1):
            yield letter, LetterOutcome(receipt=Receipt(handle=letter.key))
            if self.calls == 1 and sent == 2:
                return


def test_letters_that_an_adapter_never_took_are_offered_again(rig: MakeRig) -> None:
    with SmsGateway(preset="kannel") as far:
        early = {"sms": lambda built: EndsEarly(built.settings, built.context)}
        engine: Rig = rig({"sms": sms(far, attempts=3)}, swap=early)
        engine.subscribe("sms", numbers(5))
        engine.say("Strömmen är borta.")
        engine.accepted("sms")
        assert counts(engine)["accepted"] == 5


class NotNow(SmsHttpAdapter):
    """Takes no letter; at its second call it waits with the first of them."""

    def __init__(self, built: SmsHttpAdapter) -> None:
        super().__init__(built.settings, built.context)
        self.calls, self.waiting, self.go_on = 0, threading.Event(), threading.Event()

    def send(
        self, letters: Iterable[Letter], attempt: Attempt
    ) -> Iterator[tuple[Letter, LetterOutcome]]:
        self.calls += 1
        for letter in letters:
            if self.calls == 2:
                self.waiting.set()
                self.go_on.wait(60)
            yield letter, LetterOutcome(failure=Transient("Not now."))


def test_a_last_try_that_fails_is_the_last_also_when_the_daemon_ends_in_it(rig: MakeRig) -> None:
    with SmsGateway(preset="kannel") as far:
        engine: Rig = rig({"sms": sms(far, attempts=2)}, swap={"sms": NotNow})
        engine.subscribe("sms", numbers(2))
        engine.say("Strömmen är borta.")
        adapter = engine.adapters["sms"]
        try:
            assert adapter.waiting.wait(20)
            with ThreadPoolExecutor(1) as pool:
                stopped = pool.submit(engine.call, engine.engine.stop())
                engine.until(lambda: engine.lane("sms")._stopping)
                adapter.go_on.set()
                stopped.result(20)
        finally:
            adapter.go_on.set()
        assert counts(engine)["failed"] == 2
        engine.stop()
        again: Rig = rig({"sms": sms(far, attempts=2)}, swap={"sms": NotNow})
        again.reached(State.FAILED, channel="sms")
        assert again.adapters["sms"].calls == 0
