"""The last fuse: whatever goes wrong, nobody's telephone rings for the same words over and over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, select

from broadcaster.channel import (
    Attempt,
    Letter,
    LetterOutcome,
    Message,
    Receipt,
    Transient,
    Uncertain,
)
from broadcaster.domain.delivery import Scope, State
from broadcaster.domain.incident import Kind, Severity
from broadcaster.store import often, tables as t
from broadcaster.testing.rig import UNHEARD, Rig, numbers, sms
from broadcaster.testing.servers import Reports, SmsGateway, When, performed_not_answered
from channels.sms_http import SmsHttpAdapter
from channels.webhook import WebhookAdapter

MakeRig = Callable[..., Rig]


def times(*ends: SmsGateway) -> Counter[str]:
    """How often each number got it."""
    return Counter(effect.to for far in ends for effect in far.effects)


def quiet(engine: Rig) -> None:
    """Wait until no letter is on its way and none may go before time has passed."""

    def is_quiet(connection: Connection) -> bool:
        jobs = connection.execute(select(t.job)).all()
        return bool(jobs) and all(
            job.state == "done" or (job.state == "waiting" and job.due_at > engine.clock())
            for job in jobs
        )

    breaker = engine.lane("sms").breaker
    engine.until(
        lambda: not breaker.allows(engine.clock()) or engine.store.read(is_quiet),
    )


@pytest.mark.parametrize("readers", [3, 40])
@pytest.mark.parametrize("gateways", [1, 2])
def test_gateways_that_send_and_never_answer_bring_nobody_the_same_more_than_six_times_an_hour(
    rig: MakeRig, readers: int, gateways: int
) -> None:
    with ExitStack() as stack:
        ends = [stack.enter_context(SmsGateway(preset="kannel")) for _ in range(gateways)]
        for far in ends:
            far.always(performed_not_answered())
        engine = rig({"sms": sms(*ends, deadline="2s")})
        engine.subscribe("sms", numbers(readers))
        engine.say("Koka vattnet.", severity=Severity.EXTREME)
        for _ in range(59):
            quiet(engine)
            engine.pass_by(minutes=1)
        quiet(engine)
        came = times(*ends)
        assert sorted(came) == numbers(readers)
        assert 3 <= max(came.values()) <= 6
        # Nothing is given up for it: who has no answer yet is written to again, as long as it is in time.
        engine.pass_by(minutes=30)
        quiet(engine)
        assert max((times(*ends) - came).values()) <= 2
        assert (times(*ends) - came).total() >= 1


class Unanswered(WebhookAdapter):
    """A chat room that shows every post and never says so, and that nobody can look into."""

    repeatable = False

    def __init__(self, built: WebhookAdapter) -> None:
        super().__init__(built.settings, built.context)
        self.shown: list[str] = []

    def post(self, message: Message, attempt: Attempt) -> Receipt:
        self.shown.append(message.body)
        raise Uncertain("No answer.")


def test_a_place_that_shows_and_never_answers_has_the_same_post_six_times_an_hour_and_the_correction_at_once(
    rig: MakeRig,
) -> None:
    engine = rig({"room": UNHEARD}, swap={"room": Unanswered})
    room = engine.adapters["room"]
    engine.say("Koka vattnet.", severity=Severity.EXTREME)

    def rests() -> bool:
        row = engine.store.read(lambda c: c.execute(select(t.delivery)).first())
        return row is not None and row.state == State.WAITING and row.due_at > engine.clock()

    for _ in range(59):
        engine.until(rests)
        engine.pass_by(minutes=1)
    engine.until(rests)
    assert len(room.shown) == 6
    engine.say("Vattnet kan drickas.", Kind.CORRECTION)
    engine.until(lambda: len(room.shown) > 6)


class Hesitates(Unanswered):
    """A chat room that refuses four times, shows the next without an answer, and is well from then on."""

    def post(self, message: Message, attempt: Attempt) -> Receipt:
        if attempt.number <= 4:
            raise Transient("503")
        self.shown.append(message.body)
        if attempt.number == 5:
            raise Uncertain("No answer.")
        return Receipt(handle="well")


def test_a_post_in_doubt_for_the_first_time_goes_again_at_once_however_often_it_was_refused_before(
    rig: MakeRig,
) -> None:
    engine = rig({"room": UNHEARD}, swap={"room": Hesitates})
    engine.say("Koka vattnet.", severity=Severity.EXTREME)
    engine.until(lambda: engine.lane("room").breaker.opened_at)
    engine.pass_by(seconds=6)  # it rests for five
    engine.accepted("room")
    assert len(engine.adapters["room"].shown) == 2


class OneSilent(SmsHttpAdapter):
    """A gateway that takes every letter but those to one telephone, of which it never says anything."""

    silent = numbers(1)[0]

    def __init__(self, built: SmsHttpAdapter) -> None:
        super().__init__(built.settings, built.context)
        self.sent = Counter[str]()

    def send(
        self, letters: Iterable[Letter], attempt: Attempt
    ) -> Iterator[tuple[Letter, LetterOutcome]]:
        for letter in letters:
            self.sent[letter.address] += 1
            if letter.address == self.silent:
                yield letter, LetterOutcome(failure=Uncertain("No answer.", scope=Scope.ADDRESS))
            else:
                yield letter, LetterOutcome(receipt=Receipt(handle=letter.key))


def rests(engine: Rig) -> bool:
    """Whether a letter waits for minutes before it may go again."""
    jobs = engine.store.read(lambda c: c.execute(select(t.job)).all())
    later = engine.clock() + timedelta(minutes=1)
    return any(job.state == "waiting" and job.due_at > later for job in jobs)


@pytest.mark.parametrize(
    "kind", [Kind.UPDATE, Kind.CORRECTION, Kind.RETRACTION, Kind.RESTORED, Kind.HOLDING]
)
def test_one_telephone_in_doubt_holds_the_next_word_back_from_nobody(
    rig: MakeRig, kind: Kind
) -> None:
    with SmsGateway(preset="kannel") as far:
        engine = rig({"sms": sms(far)}, swap={"sms": OneSilent})
        engine.subscribe("sms", numbers(40))
        engine.say("Koka vattnet.", severity=Severity.EXTREME)
        engine.until(lambda: rests(engine))
        assert engine.delivery("sms")["counts"]["accepted"] == 39
        engine.say("" if kind is Kind.HOLDING else "Så här är det nu.", kind)
        engine.until(lambda: engine.delivery("sms", 2)["counts"]["accepted"] == 39)
        first = engine.delivery("sms")
        assert first["state"] in (State.ACCEPTED, State.WITHDRAWN)
        assert first["counts"]["uncertain"] == 1, "whether it came nobody knows still"


def test_where_others_had_it_a_telephone_in_doubt_is_tried_six_times_and_keeps_the_update_under_way_for_no_hour(
    rig: MakeRig,
) -> None:
    with SmsGateway(preset="kannel") as far:
        late = {"next": "12h", "remind": "10m", "grace": "5m"}  # no word comes behind it
        engine = rig({"sms": sms(far)}, swap={"sms": OneSilent}, follow_up=late)
        engine.subscribe("sms", numbers(40))
        engine.say("Koka vattnet.", severity=Severity.EXTREME)
        for _ in range(30):
            quiet(engine)
            engine.pass_by(minutes=1)
        quiet(engine)
        assert engine.state("sms") == State.SENDING
        for _ in range(30):
            quiet(engine)
            engine.pass_by(minutes=1)
        engine.accepted("sms")
        counts = engine.delivery("sms")["counts"]
        assert (counts["accepted"], counts["uncertain"]) == (39, 1)
        assert engine.adapters["sms"].sent[OneSilent.silent] == 6


def test_who_had_enough_letters_within_the_hour_gets_no_more_news_but_is_told_what_was_wrong(
    rig: MakeRig,
) -> None:
    """North is spoken to again and again, by whatever does it; south is not."""
    north, south = numbers(2), numbers(2, 50)
    with SmsGateway(preset="kannel") as far:
        engine = rig({"sms": sms(far)}, most_per_hour=3)
        engine.subscribe("sms", north)
        engine.subscribe("sms", south, "sodra-ekbyn")

        def say(number: int, **fields: Any) -> dict[str, Any]:
            engine.say(f"Läge {number}.", **fields)
            engine.accepted("sms", incident=f"A{number}")
            counts: dict[str, Any] = engine.delivery("sms", incident=f"A{number}")["counts"]
            return counts

        for number in (1, 2, 3):
            assert say(number)["accepted"] == 2
        both = say(4, area=("norra-ekbyn", "sodra-ekbyn"))
        assert (both["accepted"], both["skipped"]) == (2, 2)
        [because] = engine.store.read(
            lambda c: c.scalars(
                select(t.letter.c.detail).where(t.letter.c.outcome == "skipped").distinct()
            ).all()
        )
        assert because == often.REASON
        engine.say("Läge 5.")
        engine.reached(State.EXPIRED, channel="sms", incident="A5")
        assert engine.delivery("sms", incident="A5")["detail"] == often.LEFT_OUT
        assert say(6, severity=Severity.EXTREME)["accepted"] == 2, "life depends on it"
        engine.say("Läge 1 var fel.", Kind.CORRECTION, incident="A1")
        engine.accepted("sms", 2)
        assert engine.delivery("sms", 2)["counts"]["accepted"] == 2
        assert times(far) == Counter(dict.fromkeys(north, 5) | dict.fromkeys(south, 1))
        engine.pass_by(minutes=61)
        assert say(7)["accepted"] == 2


def test_a_letter_of_which_nobody_ever_reports_is_not_sent_again(rig: MakeRig) -> None:
    """R15: what was accepted was sent; that no delivery report comes says nothing else."""
    with SmsGateway(preset="kannel", reports=Reports(When.HELD)) as far:
        engine = rig({"sms": sms(far)})
        engine.subscribe("sms", numbers(60))
        engine.say("Koka vattnet.", severity=Severity.EXTREME)
        engine.accepted("sms")
        for hours in (1, 1, 10, 100):
            engine.pass_by(hours=hours)
            engine.sweep()
        # What comes last shows that the channel has gone on: nothing else was to be sent.
        engine.say("Strömmen är borta i söder.")
        engine.accepted("sms", incident="A2")
        assert engine.state("sms") == State.ACCEPTED
        # Between the two the clock may say that there is nothing new: that is a letter of its own.
        got = Counter(effect.to for effect in far.effects if "Koka vattnet" in effect.text)
        assert got == Counter(dict.fromkeys(numbers(60), 1))
