"""Letters to one person: sent beside every blast, by the rules of all letters, and part of no update."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, select

from broadcaster.channel import Attempt, Letter, LetterOutcome, Report
from broadcaster.domain.delivery import State
from broadcaster.domain.incident import Kind
from broadcaster.store import personal, reports, tables as t
from broadcaster.testing.rig import Rig, numbers, sms
from broadcaster.testing.servers import SmsGateway, answers, hang, late, unavailable
from broadcaster.testing.servers.faults import performed_not_answered

MakeRig = Callable[..., Rig]
KIM, ROBIN = "+46701740605", "+46701740606"
RESIDENTS: dict[str, Any] = {
    "residents": {"channels": ["sms"]},
    "inbound": {"listen": "127.0.0.1:8", "url": "https://in.ekbyn.example"},
}


def answer(engine: Rig, body: str, to: str = KIM, what: str = "answer") -> int:
    now = engine.clock()
    work = partial(
        personal.queue,
        vault=engine.store.vault,
        channel="sms",
        what=what,
        address=to,
        subject="",
        body=body,
        language="sv",
        now=now,
        not_after=now + timedelta(hours=1),
    )
    return engine.store.write(work).result()


def row(engine: Rig, key: int) -> Any:
    mine = t.personal_letter
    return engine.store.read(lambda c: c.execute(select(mine).where(mine.c.id == key)).one())


def state(engine: Rig, key: int) -> str:
    return str(row(engine, key).state)


def wait_for(engine: Rig, key: int, *states: str) -> None:
    engine.until(lambda: state(engine, key) in states, lambda: str(row(engine, key)))


def probed(far: SmsGateway) -> None:
    """Wait until the channel was asked whether it would work, which is a request like any other."""
    far.wait_for(lambda far: far.arrived > 0)


def texts(far: SmsGateway, to: str) -> list[str]:
    return [effect.text for effect in far.effects if effect.to == to]


def test_an_answer_goes_out_as_it_was_written_and_belongs_to_no_update(rig: MakeRig) -> None:
    with SmsGateway(preset="kannel") as far:
        engine: Rig = rig({"sms": sms(far)})
        key = answer(engine, "Du får inga fler besked.")
        wait_for(engine, key, "accepted")
        assert texts(far, KIM) == ["Du får inga fler besked."]
        assert engine.deliveries() == []
        counted = ("personal", "sms", {"what": "answer", "outcome": "accepted"})
        engine.until(lambda: counted in engine.events)


def test_an_answer_waits_for_no_blast_however_slow_its_gateway(rig: MakeRig) -> None:
    with SmsGateway(preset="kannel") as far:
        far.always(late(0.2))
        engine: Rig = rig({"sms": sms(far)})
        engine.subscribe("sms", numbers(3000, start=1000))
        engine.say("Strömmen är borta.")
        far.wait_for(lambda far: len(far.effects) > 20)
        asked_at = engine.clock()
        wait_for(engine, answer(engine, "Du får inga fler besked."), "accepted")
        assert len(far.effects) < 3001, "the blast was still running"
        [effect] = [effect for effect in far.effects if effect.to == KIM]
        assert effect.at - asked_at < timedelta(seconds=60)
        far.heal()
        engine.accepted("sms")


def test_an_answer_waits_for_no_call_that_hangs_and_for_no_other_letter_of_its_kind(
    rig: MakeRig,
) -> None:
    with SmsGateway(preset="kannel") as far:
        engine: Rig = rig({"sms": sms(far)})
        engine.subscribe("sms", numbers(700, start=1000))
        far.next(hang(), path="sendsms")
        engine.say("Strömmen är borta.")
        far.wait_for(lambda far: len(far.effects) == 699)
        wait_for(engine, answer(engine, "Du får inga fler besked."), "accepted")
        assert engine.state("sms") == State.SENDING
        far.release()


def test_who_says_stop_is_answered_before_the_summaries_that_were_handed_in_before(
    rig: MakeRig,
) -> None:
    with SmsGateway(preset="kannel") as far:
        far.always(late(0.1))
        engine: Rig = rig({"sms": sms(far)})
        readers = numbers(100, start=1000)
        engine.subscribe("sms", readers)
        for reader in readers:
            answer(engine, "Läget", reader, "summary")
        far.wait_for(lambda far: len(far.effects) > 10)
        wait_for(engine, answer(engine, "Du får inga fler besked."), "accepted")
        assert len(far.effects) < 101, "summaries were still going out"
        far.heal()
        far.wait_for(lambda far: len(far.effects) == 101)
        assert sorted(effect.to for effect in far.effects) == sorted([*readers, KIM])


def test_a_correction_waits_for_no_answer(rig: MakeRig) -> None:
    with SmsGateway(preset="kannel") as far:
        engine: Rig = rig({"sms": sms(far)})
        engine.subscribe("sms", numbers(5, start=1000))
        engine.say("Koka vattnet.")
        engine.accepted("sms")
        far.next(hang(), path="sendsms")
        key = answer(engine, "Du får inga fler besked.")
        engine.until(lambda: state(engine, key) == "sending")
        far.wait_for(lambda far: far.arrived == 6)
        engine.say(kind=Kind.RETRACTION)
        engine.accepted("sms", 2)
        assert state(engine, key) == "sending"
        far.release()
        wait_for(engine, key, "accepted")


def test_what_a_gateway_does_not_take_now_goes_later_and_what_it_never_takes_fails(
    rig: MakeRig,
) -> None:
    with SmsGateway(preset="kannel") as far:
        engine: Rig = rig({"sms": sms(far)})
        probed(far)
        far.next(unavailable(), path="sendsms")
        first = answer(engine, "Svar")
        wait_for(engine, first, "accepted")
        assert row(engine, first).attempts == 2
        far.next(answers(400, "Invalid receiver number"), path="sendsms")
        second = answer(engine, "Svar", ROBIN)
        wait_for(engine, second, "failed")
        assert row(engine, second).detail
        assert texts(far, ROBIN) == []


@pytest.mark.parametrize(("what", "copies"), [("answer", 2), ("summary", 1)])
def test_a_letter_without_an_answer_goes_again_only_where_a_repeat_harms_nobody(
    rig: MakeRig, what: str, copies: int
) -> None:
    with SmsGateway(preset="kannel") as far:
        engine: Rig = rig({"sms": sms(far)})
        engine.subscribe("sms", [KIM])
        probed(far)
        far.next(performed_not_answered(), path="sendsms")
        key = answer(engine, "Svar", what=what)
        wait_for(engine, key, "accepted", "uncertain")
        assert state(engine, key) == ("accepted" if copies == 2 else "uncertain")
        assert len(texts(far, KIM)) == copies


def test_a_gateway_that_refuses_us_gets_no_more_answers_and_the_next_one_does(
    rig: MakeRig,
) -> None:
    with SmsGateway(preset="kannel") as bad, SmsGateway(preset="kannel") as good:
        bad.always(answers(403, "Authorization failed"), path="sendsms")
        engine: Rig = rig({"sms": sms(bad, good)})
        key = answer(engine, "Svar")
        wait_for(engine, key, "accepted")
        assert texts(good, KIM) == ["Svar"]
        assert not engine.is_parked("sms")


def test_in_a_channel_that_is_parked_or_paused_an_answer_waits(rig: MakeRig) -> None:
    with SmsGateway(preset="kannel") as far:
        engine: Rig = rig({"sms": sms(far)})
        probed(far)
        far.next(answers(403, "Authorization failed"), path="sendsms")
        key = answer(engine, "Svar")
        engine.until(lambda: engine.is_parked("sms"))
        wait_for(engine, key, "waiting")
        engine.resume("sms")
        wait_for(engine, key, "accepted")
        engine.pause("sms")
        other = answer(engine, "Svar", ROBIN)
        engine.wake()
        engine.call(engine.engine.probe())  # what was woken before it has had its turn
        assert state(engine, other) == "waiting"
        engine.resume("sms")
        wait_for(engine, other, "accepted")


def test_nothing_leaves_after_its_time(rig: MakeRig) -> None:
    with SmsGateway(preset="kannel") as far:
        engine: Rig = rig({"sms": sms(far)})
        engine.pause("sms")
        key = answer(engine, "Svar")
        engine.pass_by(hours=2)
        engine.resume("sms")
        wait_for(engine, key, "expired")
        assert far.effects == []


def test_a_summary_goes_to_nobody_who_has_left(rig: MakeRig) -> None:
    with SmsGateway(preset="kannel") as far:
        engine: Rig = rig({"sms": sms(far)})
        [left] = engine.subscribe("sms", [KIM])
        engine.subscribe("sms", [ROBIN])
        mine = t.subscription.c.subscriber_id == left
        engine.store.write(lambda c: c.execute(delete(t.subscription).where(mine))).result()
        wait_for(engine, answer(engine, "Läget", KIM, "summary"), "failed")
        wait_for(engine, answer(engine, "Läget", ROBIN, "summary"), "accepted")
        assert [effect.to for effect in far.effects] == [ROBIN]


def test_a_report_about_an_answer_does_not_wait_a_week_for_a_letter_of_an_update(
    rig: MakeRig,
) -> None:
    with SmsGateway(preset="kannel") as far:
        engine: Rig = rig({"sms": sms(far)})
        key = answer(engine, "Svar")
        wait_for(engine, key, "accepted")
        known, unknown = (
            ("sms", Report(key=name, outcome="confirmed")) for name in (f"p1-{key}", "1.77.1")
        )
        match = partial(reports.match, found=[known, unknown])
        assert engine.store.write(match).result() == [True, False]


@pytest.mark.real("postgresql")
def test_of_two_machines_one_sends_each_letter(tmp_path: Path, postgresql_url: str) -> None:
    with SmsGateway(preset="kannel") as far, ExitStack() as stack:
        machines = []
        for node in ("n1", "n2"):
            folder = tmp_path / node
            folder.mkdir()
            machine = Rig(folder, {"sms": sms(far)}, url=postgresql_url, node=node)
            machines.append(stack.enter_context(machine))
        readers = numbers(60, start=1000)
        for place, reader in enumerate(readers):
            answer(machines[place % 2], "Svar", reader)
        far.wait_for(lambda far: len(far.effects) >= 60)
        mine = select(t.personal_letter.c.state).distinct()
        engine: Rig = machines[0]
        engine.until(lambda: engine.store.read(lambda c: list(c.scalars(mine))) == ["accepted"])
        assert sorted(effect.to for effect in far.effects) == sorted(readers)


class Kept:
    """A letter adapter that keeps what it is given on the way."""

    def __init__(self, adapter: Any) -> None:
        self.adapter, self.letters, self.lock = adapter, list[Letter](), threading.Lock()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.adapter, name)

    def send(
        self, letters: Iterator[Letter], attempt: Attempt
    ) -> Iterable[tuple[Letter, LetterOutcome]]:
        def seen() -> Iterator[Letter]:
            for letter in letters:
                with self.lock:
                    self.letters.append(letter)
                yield letter

        result: Iterable[tuple[Letter, LetterOutcome]] = self.adapter.send(seen(), attempt)
        return result


@pytest.mark.parametrize("offered", [True, False])
def test_every_letter_of_a_channel_that_residents_choose_says_where_its_reader_leaves(
    rig: MakeRig, *, offered: bool
) -> None:
    with SmsGateway(preset="kannel") as far:
        kept: list[Kept] = []

        def keep(adapter: Any) -> Any:
            kept.append(Kept(adapter))
            return kept[0]

        further = RESIDENTS if offered else {}
        engine: Rig = rig({"sms": sms(far)}, swap={"sms": keep}, **further)
        [kim] = engine.subscribe("sms", [KIM])
        engine.say("Strömmen är borta.")
        engine.accepted("sms")
        wait_for(engine, answer(engine, "Läget", KIM, "summary"), "accepted")
        wait_for(engine, answer(engine, "Bekräfta", ROBIN, "confirm"), "accepted")
        update, summary, confirm = kept[0].letters
        mark = engine.store.vault.mark(kim, 1)
        mine = f"https://in.ekbyn.example/follow/mine/{mark}" if offered else ""
        assert (update.manage, summary.manage, confirm.manage) == (mine, mine, "")
        assert mark not in repr(update)
        assert summary.key == "p1-1"
