"""Accept and release: what is promised in the moment an operator is told yes."""

from __future__ import annotations

from concurrent.futures import Future
from datetime import timedelta
from functools import partial
from threading import Barrier, Event, Thread

import pytest
from sqlalchemy import Connection, Table, func, select

from broadcaster.domain.incident import Audience, Kind, Revision
from broadcaster.store import Conflict, Rank, Store, incidents, tables as t
from broadcaster.store.accepting import accept
from broadcaster.store.intents import Accepted
from broadcaster.store.releasing import release
from broadcaster.testing.builders import an_acceptance, an_update, board, letters, post, tell
from broadcaster.testing.clock import NOON

LATER = NOON + timedelta(minutes=5)


def revisions(store: Store) -> list[Revision]:
    """Every public revision given, in the order the updates were accepted."""
    query = select(t.update.c.rev_epoch, t.update.c.rev_n).order_by(t.update.c.id)
    rows = store.read(lambda c: c.execute(query).all())
    return [Revision(*row) for row in rows if row.rev_n is not None]


def test_an_accepted_update_reads_back_as_it_was_said(store: Store) -> None:
    told = tell(
        store,
        board("page"),
        texts={"sv": "Strömmen är borta.", "en": "The power is out."},
        since=NOON - timedelta(minutes=7),
        etr=LATER,
        affected=340,
        cause="ett träd",
        instruction="Spara på vattnet.",
    )
    record = store.read(partial(incidents.load, incident_id=told.incident_id))
    assert record is not None
    (kept,) = record.updates
    assert (told.name, told.revision, record.name) == ("A1-1", "1.1", "A1")
    assert kept.said == an_update(
        texts={"sv": "Strömmen är borta.", "en": "The power is out."},
        since=NOON - timedelta(minutes=7),
        etr=LATER,
        affected=340,
        cause="ett träd",
        instruction="Spara på vattnet.",
        released_at=NOON,
        revision=Revision(1, 1),
    )


def test_a_write_that_fails_leaves_nothing_of_the_update(store: Store) -> None:
    def work(connection: Connection) -> Accepted:
        accept(connection, an_acceptance(an_update(), board("page"), post("mastodon")), NOON)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        store.write(work).result()
    for table in (t.incident, t.update, t.message, t.delivery, t.step, t.audit, t.due):
        rows = store.read(partial(_count, table=table))
        assert (table.name, rows) == (table.name, 0)
    assert tell(store, board("page")).name == "A1-1"


def _count(connection: Connection, table: Table) -> int:
    return int(connection.scalar(select(func.count()).select_from(table)) or 0)


def test_public_revisions_have_no_gap_when_eight_operators_speak_at_once(store: Store) -> None:
    said = [tell(store, board("page")) for _ in range(8)]
    start = Barrier(8)

    def speak(connection: Connection, first: Accepted, number: int) -> Accepted:
        if not store.is_sqlite:
            start.wait(20)
        update = an_update(first.name.partition("-")[0], number)
        acceptance = an_acceptance(update, board("page"), incident_id=first.incident_id)
        return accept(connection, acceptance, NOON)

    futures = [store.write(partial(speak, first=first, number=2)) for first in said]
    released = [Revision.parse(future.result(30).revision) for future in futures]
    assert sorted(released) == [Revision(1, n) for n in range(9, 17)]
    assert sorted(revisions(store)) == [Revision(1, n) for n in range(1, 17)]


def test_a_failed_release_leaves_no_gap_in_the_revisions(store: Store) -> None:
    tell(store, board("page"))

    def fail(connection: Connection) -> None:
        accept(connection, an_acceptance(an_update("A2"), board("page")), NOON)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        store.write(fail).result()
    assert tell(store, board("page")).revision == "1.2"


def test_whoever_reads_a_revision_reads_every_one_before_it(store: Store) -> None:
    """Commit order is revision order: a board that shows 1.7 never learns of 1.6 later."""
    stop, torn = Event(), []

    def look(connection: Connection) -> list[int]:
        return sorted(connection.scalars(select(t.update.c.rev_n)))

    def watch() -> None:
        while not stop.is_set():
            seen = store.read(look)
            if seen != list(range(1, len(seen) + 1)):
                torn.append(seen)

    watcher = Thread(target=watch)
    watcher.start()
    try:
        first = [tell(store, board("page")) for _ in range(4)]
        futures: list[Future[Accepted]] = []
        for number in range(2, 8):
            for told in first:
                update = an_update(told.name.partition("-")[0], number)
                acceptance = an_acceptance(update, incident_id=told.incident_id)
                futures.append(
                    store.write(partial(accept, acceptance=acceptance, now=NOON), Rank.ACCEPT)
                )
            for future in futures[-4:]:
                future.result(30)
    finally:
        stop.set()
        watcher.join()
    assert torn == []


def test_an_update_planned_on_an_outdated_reading_is_a_conflict(store: Store) -> None:
    first = tell(store, board("page"))
    tell(store, board("page"), after=first)
    with pytest.raises(Conflict, match="A1 has gone on meanwhile"):
        tell(store, board("page"), after=first)


def test_an_incident_whose_name_was_taken_meanwhile_is_a_conflict(store: Store) -> None:
    tell(store, board("page"))
    acceptance = an_acceptance(an_update("A1"), board("page"))
    with pytest.raises(Conflict):
        store.write(partial(accept, acceptance=acceptance, now=NOON)).result()


def test_two_nodes_that_open_an_incident_at_once_meet_a_conflict(store: Store) -> None:
    together = Barrier(2)

    def work(connection: Connection) -> Accepted:
        if not store.is_sqlite:
            together.wait(20)
        return accept(connection, an_acceptance(an_update("A1"), board("page")), NOON)

    ends = [store.write(work) for _ in range(2)]
    errors = [end.exception(30) for end in ends]
    assert sorted(type(error).__name__ for error in errors) == ["Conflict", "NoneType"]


def test_what_is_held_is_kept_and_neither_public_nor_due_until_it_is_released(
    store: Store,
) -> None:
    told = tell(store, board("page"), post("mastodon"), rest={"hold": "scheduled"})
    assert (told.revision, revisions(store)) == ("", [])
    flags = select(t.delivery.c.released).distinct()
    assert store.read(lambda c: list(c.scalars(flags))) == [False]
    revision = store.write(partial(release, update_id=told.update_id, now=LATER)).result()
    assert (revision, revisions(store)) == ("1.1", [Revision(1, 1)])
    assert store.read(lambda c: list(c.scalars(flags))) == [True]


def test_what_is_for_staff_has_no_public_revision(store: Store) -> None:
    told = tell(store, post("teams"), audience=Audience.STAFF)
    assert (told.revision, revisions(store)) == ("", [])


def test_release_wakes_the_engine_after_the_commit(store: Store) -> None:
    woken = Event()
    store.on_wake(woken.set)
    if store._listener:  # what is notified before it listens is rightly not heard
        assert store._listener.listening.wait(10)
    tell(store, board("page"))
    assert woken.wait(10)


def test_an_incident_closes_and_opens_again_by_what_is_said(store: Store) -> None:
    def closed() -> bool:
        record = store.read(partial(incidents.load, incident_id=1))
        return record is not None and record.closed_at is not None

    told = tell(store, board("page"))
    seen = [closed()]
    for kind, areas in (
        (Kind.RESTORED, ("norra-ekbyn",)),
        (Kind.RESTORED, ()),
        (Kind.UPDATE, ("norra-ekbyn",)),
    ):
        told = tell(store, board("page"), after=told, kind=kind, areas=areas)
        seen.append(closed())
    assert seen == [False, False, True, False]


def test_accepting_writes_one_audience_however_many_subscribe(store: Store) -> None:
    tell(store, letters("sms"))
    assert store.read(partial(_count, table=t.audience)) == 1
    assert store.read(partial(_count, table=t.job)) == 0
