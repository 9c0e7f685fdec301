"""Whoever was not told because it was quiet, or wants all at once, gets one letter that says how it stands then."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import Connection, func, select, update as sql_update

from broadcaster.domain.incident import Kind, Severity
from broadcaster.domain.text import measure_sms
from broadcaster.service import summaries
from broadcaster.store import incidents as incident_store, personal, summing, tables as t
from broadcaster.testing.rig import Rig, numbers, sms
from broadcaster.testing.servers import SmsGateway

MakeRig = Callable[..., Rig]
KIM, ROBIN = "+46701740605", "+46701740606"


def minute(engine: Rig, **after: float) -> int:
    local = (engine.clock() + timedelta(**after)).astimezone(engine.desk.configuration.zone)
    return local.hour * 60 + local.minute


def quiet(engine: Rig, address: str, **chosen: int | None) -> int:
    """A subscriber for whom it is quiet for another twenty minutes, or who chose something else."""
    [key] = engine.subscribe("sms", [address])
    hours = {"quiet_from": minute(engine, hours=-1), "quiet_to": minute(engine, minutes=20)}
    change = sql_update(t.subscriber).where(t.subscriber.c.id == key).values(chosen or hours)
    engine.store.write(lambda c: c.execute(change)).result()
    return key


def say(engine: Rig, text: str, **fields: Any) -> None:
    engine.say(text, **({"severity": Severity.MODERATE} | fields))


def waiting(engine: Rig) -> int:
    count = select(func.count()).select_from(t.left_out).where(t.left_out.c.due_at.is_not(None))
    return int(engine.store.read(lambda c: c.scalar(count)) or 0)


def texts(far: SmsGateway, to: str) -> list[str]:
    return [effect.text for effect in far.effects if effect.to == to]


def test_who_slept_is_told_in_the_morning_how_it_stands_then_and_once(rig: MakeRig) -> None:
    with SmsGateway(preset="kannel") as far:
        engine: Rig = rig({"sms": sms(far)})
        engine.until_noon()
        quiet(engine, KIM)
        engine.subscribe("sms", [ROBIN])
        say(engine, "Kabelfel vid bron.")
        engine.accepted("sms")
        say(engine, "Vi gräver.", kind=Kind.UPDATE)
        engine.accepted("sms", 2)
        assert [len(texts(far, to)) for to in (KIM, ROBIN)] == [0, 2]
        assert waiting(engine) == 2
        engine.pass_by(minutes=21)
        far.wait_for(lambda far: bool(texts(far, KIM)))
        [text] = texts(far, KIM)
        assert "pågår" not in text, "of one there is nothing to count"
        assert "Vi gräver." in text
        assert "Kabelfel" not in text
        assert "/incidents/a1" in text
        assert measure_sms(text).parts <= 2
        assert waiting(engine) == 0
        engine.pass_by(minutes=1)
        say(engine, "Kabeln är hel.", kind=Kind.UPDATE)
        engine.accepted("sms", 3)
        assert len(texts(far, KIM)) == 2, "awake he is told as it is said"


def test_what_is_severe_wakes_him_and_what_was_over_long_ago_is_not_worth_a_letter(
    rig: MakeRig,
) -> None:
    with SmsGateway(preset="kannel") as far:
        engine: Rig = rig({"sms": sms(far)})
        engine.until_noon()
        quiet(engine, KIM)
        say(engine, "Koka vattnet.", severity=Severity.SEVERE)
        engine.accepted("sms")
        assert len(texts(far, KIM)) == 1
        say(engine, "Strömavbrott.", headline="Gatlyset")
        engine.until(lambda: waiting(engine) == 1)
        closed = sql_update(t.incident).values(closed_at=engine.clock() - timedelta(hours=49))
        engine.store.write(lambda c: c.execute(closed)).result()
        engine.pass_by(minutes=21)
        engine.until(lambda: waiting(engine) == 0)
        rows = engine.store.read(lambda c: c.execute(select(t.personal_letter)).all())
        assert rows == []


def test_who_wants_all_of_a_day_at_once_reads_also_what_was_over_early_that_day(
    rig: MakeRig,
) -> None:
    with SmsGateway(preset="kannel") as far:
        engine: Rig = rig({"sms": sms(far)})
        engine.until_noon()
        quiet(engine, KIM, summary_at=minute(engine, minutes=20))
        say(engine, "Kabelfel.")
        engine.until(lambda: waiting(engine) == 1)
        closed = sql_update(t.incident).values(closed_at=engine.clock() - timedelta(hours=22))
        engine.store.write(lambda c: c.execute(closed)).result()
        engine.pass_by(minutes=21)
        far.wait_for(lambda far: bool(texts(far, KIM)))
        engine.until(lambda: waiting(engine) == 0)


def test_a_summary_that_was_held_up_until_night_waits_for_the_morning(rig: MakeRig) -> None:
    with SmsGateway(preset="kannel") as far:
        engine: Rig = rig({"sms": sms(far)})
        engine.until_noon()
        key = quiet(engine, KIM, summary_at=minute(engine, minutes=20))
        engine.subscribe("sms", [ROBIN])
        say(engine, "Kabelfel.")
        engine.until(lambda: waiting(engine) == 1)
        hours = {"quiet_from": minute(engine, minutes=10), "quiet_to": minute(engine, minutes=40)}
        mine = t.subscriber.c.id == key
        change = sql_update(t.subscriber).where(mine).values(**hours)
        engine.store.write(lambda c: c.execute(change)).result()
        before = engine.store.read(lambda c: c.scalar(select(t.left_out.c.due_at)))
        engine.pass_by(minutes=21)
        engine.until(
            lambda: engine.store.read(lambda c: c.scalar(select(t.left_out.c.due_at))) != before
        )
        assert waiting(engine) == 1
        assert texts(far, KIM) == []
        engine.pass_by(minutes=20)
        far.wait_for(lambda far: bool(texts(far, KIM)))


def test_what_is_over_is_one_line_after_what_goes_on(rig: MakeRig) -> None:
    with SmsGateway(preset="kannel") as far:
        engine: Rig = rig({"sms": sms(far)})
        engine.until_noon()
        quiet(engine, KIM)
        say(engine, "Kabelfel.")
        engine.accepted("sms")
        engine.say("", kind=Kind.RESTORED)
        engine.accepted("sms", 2)
        say(engine, "Rörbrott i Norra.", headline="Vattenläcka")
        engine.accepted("sms", incident="A2")
        assert waiting(engine) == 3
        engine.pass_by(minutes=21)
        far.wait_for(lambda far: bool(texts(far, KIM)))
        [text] = texts(far, KIM)
        assert "1 pågår, 1 över" in text
        assert "Rörbrott i Norra." in text


def test_who_leaves_or_is_erased_before_the_morning_gets_nothing(rig: MakeRig) -> None:
    with SmsGateway(preset="kannel") as far:
        engine: Rig = rig({"sms": sms(far)})
        erased, stays = quiet(engine, KIM), quiet(engine, ROBIN)
        assert erased != stays
        say(engine, "Kabelfel.")
        engine.until(lambda: waiting(engine) == 2)
        engine.erase(erased)
        engine.pass_by(minutes=21)
        far.wait_for(lambda far: bool(texts(far, ROBIN)))
        assert texts(far, KIM) == []


def test_a_crash_between_two_pages_sends_nobody_two_and_nobody_nothing(
    rig: MakeRig, monkeypatch: Any
) -> None:
    monkeypatch.setattr(summaries, "PAGE", 2)
    monkeypatch.setattr(summaries, "PAGES", 1)
    with SmsGateway(preset="kannel") as far:
        engine: Rig = rig({"sms": sms(far)})
        everybody = [address for address in numbers(7) if quiet(engine, address)]
        say(engine, "Kabelfel.")
        engine.until(lambda: waiting(engine) == 7)
        engine.clock_only(minutes=21)
        broken: list[int] = []

        def page(connection: Connection) -> None:
            found, taken = summing.take_due(
                connection, engine.clock(), 2, engine.desk.configuration.zone
            )
            broken.append(taken)
            personal.queue(
                connection,
                engine.store.vault,
                channel="sms",
                what="summary",
                address=engine.store.vault.open("sms", found[0].address),
                subject="",
                body="half a page",
                language="sv",
                now=engine.clock(),
                not_after=engine.clock() + timedelta(hours=1),
            )
            raise RuntimeError("the machine fails here")

        failed = engine.store.write(page)
        assert isinstance(failed.exception(), RuntimeError)
        assert broken == [2]
        assert waiting(engine) == 7
        engine.wake()
        far.wait_for(lambda far: len(far.effects) >= 7)
        engine.until(lambda: waiting(engine) == 0)
        assert sorted(effect.to for effect in far.effects) == sorted(everybody)
        assert not any("half a page" in effect.text for effect in far.effects)


def composing(engine: Rig, *incidents: int) -> Any:
    """The letter of somebody who waits for these, by e-mail."""
    records = engine.store.read(partial(incident_store.load_many, ids=incidents))
    now: datetime = engine.clock()
    made = summaries.Composing(
        engine.desk.configuration, {record.id: record for record in records}, now
    )
    return made._compose(incidents, "en", "email")


def test_by_e_mail_every_incident_is_told_in_full_and_dated_by_the_day_it_is_read(
    rig: MakeRig,
) -> None:
    with SmsGateway(preset="kannel") as far:
        engine: Rig = rig({"sms": sms(far)})
        engine.until_noon()
        say(engine, "Kabelfel vid bron.", since=engine.clock() - timedelta(minutes=5))
        say(engine, "Rörbrott.", headline="Vattenläcka")
        engine.say("", kind=Kind.RESTORED, incident="A2")
        engine.clock_only(hours=20)
        lately = engine.clock() - timedelta(hours=1)
        closed = t.incident.c.closed_at.is_not(None)
        change = sql_update(t.incident).where(closed).values(closed_at=lately)
        engine.store.write(lambda c: c.execute(change)).result()
        letter = composing(engine, 2, 1)
        assert letter.subject.startswith("DEMO · ")
        assert letter.subject.endswith("and 1 more")
        first, going_on, over = letter.body.strip().split("\n\n")
        assert first.startswith("DEMO · How it stands ")
        assert "Norra Ekbyn" in going_on.splitlines()[0]
        assert "[sv] Kabelfel vid bron." in going_on
        assert "12.05" in going_on or "12:05" in going_on
        assert "since 12" not in going_on.lower(), "another day's time names its day"
        assert "Next word" not in going_on, "what was promised for yesterday is no next word"
        assert len(over.splitlines()) == 2
        assert over.splitlines()[1].endswith("/en/incidents/a2/")
