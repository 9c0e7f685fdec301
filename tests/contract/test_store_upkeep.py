"""What the doctor is told, and what housekeeping lets go of: old answers and old requests, and nothing else ever."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from functools import partial
from typing import Any

from sqlalchemy import Connection, select

from broadcaster.domain.exchange import InboundRequest
from broadcaster.domain.incident import Kind
from broadcaster.domain.role import Role
from broadcaster.store import (
    Store,
    audit,
    channels,
    claiming,
    expanding,
    inbox,
    letters,
    nodes,
    once,
    tables as t,
    tallying,
    tokens,
    upkeep,
)
from broadcaster.store.intents import Once
from broadcaster.testing.builders import board, letters as letters_by, post, subscribe, tell
from broadcaster.testing.clock import NOON
from broadcaster.testing.meanwhile import under_way

WEEK, SECOND = timedelta(days=7), timedelta(seconds=1)
YEAR = timedelta(days=365)
ASKED = Once(token_id=1, method="POST", path="/api/v1/incidents", key="k1", body_digest="a" * 64)
REQUEST = InboundRequest(
    method="POST", path="/in/sms", query="", headers={}, body=b"", received_at=NOON
)


def facts(store: Store) -> upkeep.Facts:
    return store.read(upkeep.facts)


def forget(store: Store, *, at: Any) -> tuple[int, int]:
    """What the housekeeping of every hour does; how many answers and how many requests went."""

    def work(connection: Connection) -> tuple[int, int]:
        return once.forget_old(connection, at), inbox.forget_old(connection, at)

    return store.write(work).result()


def everything(store: Store) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table."""

    def read(connection: Connection) -> dict[str, list[tuple[Any, ...]]]:
        return {
            table.name: sorted((tuple(row) for row in connection.execute(select(table))), key=repr)
            for table in t.metadata.sorted_tables
        }

    return store.read(read)


# ------------------------------------------------------------------------------------------------- what the doctor is told
def test_a_new_store_says_what_it_is_and_that_it_was_never_backed_up(store: Store) -> None:
    found = facts(store)
    assert found.engine == ("SQLite" if store.is_sqlite else "PostgreSQL")
    assert found.version.replace(".", "").isdigit()
    assert found.size > 4096
    assert (found.backed_up_at, found.newest_at) == (None, None)


def test_the_newest_backup_and_the_newest_act_are_told_in_utc(store: Store) -> None:
    acts = [upkeep.BACKED_UP, upkeep.BACKED_UP, "resend"]
    for hours, act in enumerate(acts):
        at = NOON + timedelta(hours=hours)
        store.write(partial(audit.note, now=at, actor="Kim", act=act, subject="")).result()
    found = facts(store)
    assert found.backed_up_at == NOON + timedelta(hours=1)
    assert found.newest_at == NOON + timedelta(hours=2)
    assert found.newest_at.utcoffset() == timedelta(0)


# -------------------------------------------------------------------------------------------------- what is let go of
def remember(store: Store, key: str, at: Any) -> None:
    asked = dataclasses.replace(ASKED, key=key)
    store.write(partial(once.remember, once=asked, status=201, answer={}, now=at)).result()


def keep(store: Store, at: Any) -> int:
    request = dataclasses.replace(REQUEST, received_at=at)
    return store.write(partial(inbox.keep, channel="sms", request=request)).result()


def test_answers_and_requests_are_let_go_of_after_seven_days_and_no_sooner(store: Store) -> None:
    for day in range(3):
        remember(store, f"k{day}", NOON + timedelta(days=day))
        keep(store, NOON + timedelta(days=day))
    assert forget(store, at=NOON + WEEK) == (0, 0)
    assert forget(store, at=NOON + WEEK + SECOND) == (1, 1)
    assert forget(store, at=NOON + WEEK + SECOND) == (0, 0)
    assert forget(store, at=NOON + WEEK + timedelta(days=3)) == (2, 2)


def test_a_receipt_nobody_could_match_goes_with_its_week_whatever_became_of_it(
    store: Store,
) -> None:
    understood, unreadable, unmatched, waiting = (keep(store, NOON) for _ in range(4))
    store.write(partial(inbox.done, inbound_id=understood)).result()
    store.write(partial(inbox.unreadable, inbound_id=unreadable, why="no id")).result()
    late = partial(inbox.unmatched, now=NOON + WEEK - SECOND)
    assert not store.write(partial(late, inbound_id=unmatched)).result()
    again = partial(inbox.unmatched, inbound_id=waiting, now=NOON + timedelta(days=1))
    assert store.write(again).result()
    assert forget(store, at=NOON + WEEK) == (0, 0)
    assert forget(store, at=NOON + WEEK + SECOND) == (0, 4)


def test_housekeeping_a_year_later_touches_nothing_that_is_open_or_public(store: Store) -> None:
    subscribe(store, "sms", ["+46701740605", "+46701740606"])
    first = tell(store, board("page"), post("hook"), letters_by("sms"))
    tell(store, post("hook"), after=first, kind=Kind.HOLDING, rest={"follow_up": {"due": NOON}})
    tell(store, post("hook"), rest={"hold": "scheduled", "release_at": NOON + YEAR})
    begin_letters(store)
    store.write(partial(nodes.beat, name="norr", now=NOON)).result()
    store.write(partial(channels.park, channel="hook", now=NOON, because="refused")).result()
    make = partial(tokens.issue, now=NOON, name="Kim", role=Role.ADMIN, areas=())
    store.write(partial(make, expires_at=None, actor="Eva")).result()
    before = everything(store)
    remember(store, "old", NOON)
    keep(store, NOON)
    assert forget(store, at=NOON + YEAR) == (1, 1)
    assert everything(store) == before


def begin_letters(store: Store) -> None:
    """A blast in its middle: one letter is through, one is not."""

    def work(connection: Connection) -> None:
        at = claiming.database_now(connection, NOON)
        (claimed,) = claiming.claim(connection, channel="sms", node="norr", now=NOON, limit=1)
        assert expanding.expand(connection, claimed.id, claimed.lease_token, at)
        job = letters.claim_job(connection, "sms", "norr", NOON, "first")
        assert job is not None
        row = tallying.LetterRow(job.id, 0, job.delivery_id, job.subscribers[0], "accepted", "h1")
        tallying.flush_rows(connection, [row], "first", NOON)

    store.write(work).result()


def test_what_comes_in_while_it_is_tidied_up_is_kept(store: Store) -> None:
    keep(store, NOON)
    remember(store, "old", NOON)
    later = NOON + WEEK + SECOND
    with under_way(store, partial(once.forget_old, now=later)):
        inbound_id = keep(store, later)
        remember(store, "new", later)
    assert forget(store, at=later) == (0, 1)
    assert [row.id for row in store.read(partial(inbox.waiting, now=later))] == [inbound_id]
    asked = dataclasses.replace(ASKED, key="new")
    assert store.read(partial(once.recall, once=asked)) == (201, {})


def test_two_nodes_that_tidy_up_at_once_let_go_of_everything_once(store: Store) -> None:
    for number in range(5):
        keep(store, NOON)
        remember(store, f"k{number}", NOON)
    later = NOON + WEEK + SECOND

    def both(connection: Connection) -> tuple[int, int]:
        return once.forget_old(connection, later), inbox.forget_old(connection, later)

    counts = [future.result(10) for future in [store.write(both) for _ in range(2)]]
    assert [sum(went) for went in zip(*counts, strict=True)] == [5, 5]
