"""Who chose when and of what he is told is left out of what he did not choose, and what he waits for is written down."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Connection, event, select, update as sql_update

from broadcaster.domain.delivery import Variant
from broadcaster.domain.incident import Audience, Kind, Severity
from broadcaster.store import (
    Store,
    claiming,
    dues,
    expanding,
    letters,
    subscribers,
    summing,
    tables as t,
    tallying,
)
from broadcaster.store.intents import Accepted, NewAudience
from broadcaster.store.tallying import LetterRow
from broadcaster.testing import builders

NOW = datetime.now(UTC)  # leases follow the clock of PostgreSQL, which no test can set
ZONE = ZoneInfo("Europe/Stockholm")
NORRA = ("norra-ekbyn",)
NEWS = NewAudience(variant=Variant.NEWS, areas=NORRA)
HOUR = timedelta(hours=1)


def minute(at: datetime) -> int:
    local = at.astimezone(ZONE)
    return local.hour * 60 + local.minute


QUIET_NOW = {"quiet_from": minute(NOW - HOUR), "quiet_to": minute(NOW + HOUR)}
QUIET_LATER = {"quiet_from": minute(NOW + HOUR), "quiet_to": minute(NOW + 2 * HOUR)}
SUMMARY = {"summary_at": minute(NOW + 3 * HOUR)}
SEVERE_ONLY = {"least": Severity.SEVERE.rank}


def subscriber(store: Store, number: int, **chosen: int) -> int:
    [key] = builders.subscribe(store, "sms", [f"+4670{number:07}"])
    if chosen:
        mine = t.subscriber.c.id == key
        change = sql_update(t.subscriber).where(mine).values(**chosen)
        store.write(lambda c: c.execute(change)).result()
    return key


def tell(store: Store, *audiences: NewAudience, **said: Any) -> Accepted:
    given: dict[str, Any] = {"now": NOW, "severity": Severity.MODERATE} | said
    return builders.tell(store, builders.letters("sms", *(audiences or (NEWS,))), **given)


def told(store: Store) -> list[int]:
    """Expand what is claimed next; those who get a letter of it."""
    head = partial(claiming.claim, channel="sms", node="norr", now=NOW, limit=1)
    [claim] = store.write(head).result()

    def work(connection: Connection) -> bool:
        return expanding.expand(connection, claim.id, claim.lease_token, NOW, zone=ZONE)

    assert store.write(work).result()
    jobs = select(t.job.c.subscribers).where(t.job.c.delivery_id == claim.id)
    return [key for some in store.read(lambda c: c.scalars(jobs).all()) for key in some]


def send(store: Store) -> None:
    """Let every letter of the next job be accepted."""

    def work(connection: Connection) -> None:
        job = letters.claim_job(connection, "sms", "norr", NOW, "g1")
        assert job is not None
        rows = [
            LetterRow(job.id, place, job.delivery_id, who, "accepted")
            for place, who in enumerate(job.subscribers)
        ]
        tallying.flush_rows(connection, rows, "g1", NOW)
        letters.end_job(connection, job, None, NOW)
        connection.execute(sql_update(t.delivery).values(state="accepted"))

    store.write(work).result()


def left_out(store: Store) -> list[tuple[int, int]]:
    """(subscriber, whole minutes from now) of whoever waits."""
    waits = select(t.left_out).where(t.left_out.c.due_at.is_not(None))
    rows = store.read(lambda c: c.execute(waits.order_by(t.left_out.c.due_at)).all())
    return [(row.subscriber_id, round((row.due_at - NOW).total_seconds() / 60)) for row in rows]


def _run(change: Any, connection: Connection) -> None:
    connection.execute(change)


def test_what_is_milder_than_somebody_wants_is_no_news_to_him(store: Store) -> None:
    plain, picky = subscriber(store, 1), subscriber(store, 2, **SEVERE_ONLY)
    tell(store)
    assert told(store) == [plain]
    assert left_out(store) == []
    assert picky not in [who for who, _ in left_out(store)]


def test_who_has_quiet_hours_or_wants_a_summary_waits_and_that_is_written_down(
    store: Store,
) -> None:
    plain, awake = subscriber(store, 1), subscriber(store, 2, **QUIET_LATER)
    asleep, daily = subscriber(store, 3, **QUIET_NOW), subscriber(store, 4, **SUMMARY)
    tell(store)
    assert told(store) == [plain, awake]
    [(first, soon), (second, late)] = left_out(store)
    assert (first, second) == (asleep, daily)
    assert 58 <= soon <= 60
    assert 178 <= late <= 180


def test_one_row_says_when_the_first_summary_is_due(store: Store) -> None:
    subscriber(store, 1, **SUMMARY)
    tell(store)
    told(store)
    [due] = store.read(lambda c: c.execute(select(t.due).where(t.due.c.what == "summary")).all())
    subscriber(store, 2, **QUIET_NOW)
    tell(store)
    told(store)
    [sooner] = store.read(lambda c: c.execute(select(t.due).where(t.due.c.what == "summary")).all())
    assert sooner.due_at < due.due_at
    later = sooner.due_at + timedelta(seconds=1)
    found = store.write(lambda c: dues.claim(c, later)).result()
    assert [each.what for each in found if each.what == dues.SUMMARY] == ["summary"]


def test_those_left_out_count_as_nobody_who_was_to_be_told(store: Store) -> None:
    subscriber(store, 1)
    subscriber(store, 2, **QUIET_NOW)
    tell(store)
    told(store)
    row = store.read(lambda c: c.execute(select(t.delivery)).one())
    assert (row.total, row.skipped) == (1, 0)


@pytest.mark.parametrize(
    "said",
    [
        {"severity": Severity.SEVERE},
        {"audience": Audience.STAFF},
        {"audiences": NewAudience(variant=Variant.NEWS, areas=None)},
    ],
    ids=["severe", "staff", "for everyone"],
)
def test_what_is_for_all_reaches_all(store: Store, said: dict[str, Any]) -> None:
    chosen: Sequence[dict[str, int]] = ({}, SEVERE_ONLY, QUIET_NOW, SUMMARY)
    everybody = [subscriber(store, number, **each) for number, each in enumerate(chosen)]
    rest = {name: each for name, each in said.items() if name != "audiences"}
    tell(store, said.get("audiences", NEWS), **rest)
    assert told(store) == everybody


def test_who_was_told_something_wrong_is_put_right_when_quiet_is_over_and_no_summary_later(
    store: Store,
) -> None:
    plain, daily, asleep = (subscriber(store, number) for number in range(3))
    first = tell(store)
    assert told(store) == [plain, daily, asleep]
    send(store)
    for who, chosen in ((daily, SUMMARY | SEVERE_ONLY), (asleep, QUIET_NOW)):
        change = sql_update(t.subscriber).where(t.subscriber.c.id == who).values(**chosen)
        store.write(partial(_run, change)).result()
    had = NewAudience(variant=Variant.CORRECTION, areas=None, had=(1,))
    tell(store, had, after=first, kind=Kind.CORRECTION, corrects=1)
    assert told(store) == [plain, daily]
    assert [who for who, _ in left_out(store)] == [asleep]


def test_a_mild_retraction_of_what_woke_people_wakes_them_again(store: Store) -> None:
    asleep = subscriber(store, 1, **QUIET_NOW)
    first = tell(store, severity=Severity.SEVERE)
    assert told(store) == [asleep]
    send(store)
    had = NewAudience(variant=Variant.CORRECTION, areas=None, had=(1,))
    tell(store, had, after=first, kind=Kind.RETRACTION, corrects=1, severity=Severity.MINOR)
    assert told(store) == [asleep]


def test_whoever_had_a_letter_of_it_hears_at_once_that_it_is_over(store: Store) -> None:
    told_before = subscriber(store, 1)
    first = tell(store)
    told(store)
    send(store)
    change = sql_update(t.subscriber).values(**SUMMARY)
    store.write(lambda c: c.execute(change)).result()
    new = subscriber(store, 2, **SUMMARY)
    tell(store, after=first, kind=Kind.RESTORED)
    assert told(store) == [told_before]
    assert [who for who, _ in left_out(store)] == [new]


@pytest.fixture
def summed(store: Store) -> tuple[Accepted, int]:
    """A word, and somebody who has read it in a summary only."""
    daily = subscriber(store, 1, **(SUMMARY | {"least": Severity.MODERATE.rank}))
    first = tell(store)
    assert told(store) == []
    take = partial(summing.take_due, now=NOW + 4 * HOUR, most=10, zone=ZONE)
    [[waiting], _] = store.write(take).result()
    assert waiting.subscriber_id == daily
    store.write(partial(_run, sql_update(t.delivery).values(state="accepted"))).result()
    return first, daily


def test_who_read_it_in_a_summary_is_told_that_it_was_wrong(
    store: Store, summed: tuple[Accepted, int]
) -> None:
    first, daily = summed
    never = subscriber(store, 2)
    had = NewAudience(variant=Variant.CORRECTION, areas=None, had=(1,))
    assert store.read(lambda c: subscribers.reached(c, "sms", had, first.incident_id)) == {"sv": 1}
    rest = NewAudience(variant=Variant.NEWS, areas=NORRA, had_not=(1,))
    tell(store, had, rest, after=first, kind=Kind.CORRECTION, corrects=1, severity=Severity.MINOR)
    assert told(store) == [daily, never], "the one put right, the other told; nobody both"


def test_who_read_it_in_a_summary_reads_in_the_next_that_it_is_over_however_mild(
    store: Store, summed: tuple[Accepted, int]
) -> None:
    first, daily = summed
    tell(store, after=first, kind=Kind.RESTORED, severity=Severity.MINOR)
    assert told(store) == []
    [(who, at)] = left_out(store)
    assert who == daily
    assert 178 <= at <= 180


def test_who_is_erased_leaves_nothing_behind(store: Store) -> None:
    subscriber(store, 1, **QUIET_NOW)
    tell(store)
    told(store)
    store.write(lambda c: c.execute(t.subscription.delete())).result()
    store.write(lambda c: c.execute(t.subscriber.delete())).result()
    assert left_out(store) == []


def test_readers_who_chose_nothing_cost_one_look_however_many_they_are(store: Store) -> None:
    builders.subscribe(store, "sms", [f"+4670{number:07}" for number in range(2600)])
    tell(store)
    asked: list[str] = []

    def note(*executed: Any) -> None:
        asked.append(str(executed[2]))

    engine = store.write(lambda c: c.engine).result()
    event.listen(engine, "before_cursor_execute", note)
    assert len(told(store)) == 2600
    event.remove(engine, "before_cursor_execute", note)
    assert sum("quiet_from" in each for each in asked) == 1
