"""Who had a wrong text, or may have had it, gets the correction, whichever way it came; nobody else is written to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import pytest
from sqlalchemy import delete, select, update as sql_update

from broadcaster.channel import Attempt, Letter, LetterOutcome, Receipt, Uncertain
from broadcaster.domain.delivery import State
from broadcaster.domain.incident import Kind, Severity
from broadcaster.registry import Adapter
from broadcaster.store import tables as t
from broadcaster.testing.rig import Rig, numbers, sms
from broadcaster.testing.servers import SmsGateway, answers
from channels.sms_http import SmsHttpAdapter

MakeRig = Callable[..., Rig]


class Doubtful(SmsHttpAdapter):
    """Never hears what became of the text about water; accepts every other."""

    def send(
        self, letters: Iterable[Letter], attempt: Attempt
    ) -> Iterator[tuple[Letter, LetterOutcome]]:
        for letter in letters:
            if "Koka" in letter.body:
                yield letter, LetterOutcome(failure=Uncertain("No answer."))
            else:
                yield letter, LetterOutcome(receipt=Receipt(handle=letter.key))


def doubtful(built: Adapter) -> Adapter:
    return Doubtful(built.settings, built.context)


def ended(engine: Rig, number: int = 1) -> None:
    still_open = ("", State.WAITING, State.SENDING)
    engine.until(lambda: engine.state("sms", number) not in still_open)


def test_who_may_have_had_it_gets_the_correction_also_where_life_depends_on_it(
    rig: MakeRig,
) -> None:
    with SmsGateway(preset="kannel") as far:
        engine: Rig = rig({"sms": sms(far)}, swap={"sms": doubtful})
        engine.subscribe("sms", numbers(2))
        engine.say("Koka vattnet.", severity=Severity.EXTREME)
        tried = select(t.job).where(t.job.c.attempts == 2)
        engine.until(lambda: engine.store.read(lambda c: c.execute(tried).first()))
        engine.pause("sms")  # it is tried again, and would be until its time is over
        engine.say(kind=Kind.RETRACTION)
        ended(engine)
        engine.resume("sms")
        ended(engine, 2)
        assert engine.delivery("sms", 2)["counts"]["accepted"] == 2


class HalfDoubtful(SmsHttpAdapter):
    """Accepts the letter to one number and never hears what became of the others."""

    def send(
        self, letters: Iterable[Letter], attempt: Attempt
    ) -> Iterator[tuple[Letter, LetterOutcome]]:
        for letter in letters:
            heard = letter.address == numbers(1)[0]
            yield (
                letter,
                LetterOutcome(receipt=Receipt(handle=letter.key))
                if heard
                else LetterOutcome(failure=Uncertain("No answer.")),
            )


@pytest.mark.parametrize(
    ("severity", "written"), [(Severity.EXTREME, numbers(3)[1:]), (Severity.SEVERE, [])]
)
def test_another_gateway_takes_over_a_doubt_only_where_life_depends_on_it(
    rig: MakeRig, severity: Severity, written: list[str]
) -> None:
    with SmsGateway(preset="kannel") as first, SmsGateway(preset="kannel") as second:
        engine: Rig = rig(
            {"sms": sms(first, attempts=2, fallback=["spare"]), "spare": sms(second)},
            swap={"sms": lambda built: HalfDoubtful(built.settings, built.context)},
            routes=[{"severity": "minor", "channels": ["sms"]}],
        )
        engine.subscribe("sms", numbers(3))
        engine.say("Lämna husen.", severity=severity)
        engine.accepted("sms")
        assert engine.delivery("sms", 1)["counts"]["uncertain"] == 2
        engine.sweep()
        engine.until(lambda: engine.state("spare") in ("", State.ACCEPTED))
        assert sorted(effect.to for effect in second.effects) == written


def test_who_had_it_by_a_channel_that_stood_in_gets_the_correction(rig: MakeRig) -> None:
    with SmsGateway(preset="kannel") as first, SmsGateway(preset="kannel") as reserve:
        first.always(answers(400, "no"), path="sendsms")
        engine: Rig = rig({"sms": sms(first, fallback=["reserve"]), "reserve": sms(reserve)})
        engine.subscribe("sms", numbers(2))
        engine.say("Koka vattnet.")
        engine.reached(State.FAILED, channel="sms")
        engine.sweep()
        engine.accepted("reserve")
        first.heal()
        engine.say(kind=Kind.RETRACTION)
        engine.accepted("sms", 2)
        assert {effect.to for effect in first.effects} == set(numbers(2))


def test_letters_stopped_before_anybody_was_looked_up_are_not_said_to_be_accepted(
    rig: MakeRig,
) -> None:
    with SmsGateway(preset="kannel") as far:
        engine: Rig = rig({"sms": sms(far)})
        engine.subscribe("sms", numbers(2))
        engine.pause("sms")
        engine.say("Koka vattnet.")
        claimed = {"state": State.SENDING, "stopped": True}
        engine.store.write(
            lambda c: c.execute(sql_update(t.delivery).values(claimed)).close()
        ).result()
        engine.wake()
        ended(engine)
        assert engine.state("sms") == State.WITHDRAWN
        assert not far.effects


def test_who_has_ended_every_subscription_since_is_not_written_to(rig: MakeRig) -> None:
    with SmsGateway(preset="kannel") as far:
        engine: Rig = rig({"sms": sms(far)})
        ids = engine.subscribe("sms", numbers(3))
        far.next(answers(503), answers(503), answers(503), path="sendsms")
        engine.say("Koka vattnet.")
        engine.until(lambda: engine.store.read(lambda c: c.execute(select(t.letter)).first()))
        stop = delete(t.subscription).where(t.subscription.c.subscriber_id == ids[0])
        engine.store.write(lambda c: c.execute(stop).close()).result()
        engine.accepted("sms")
        assert {effect.to for effect in far.effects} == set(numbers(3)[1:])
