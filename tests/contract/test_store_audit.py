"""The audit trail: what was done stays seen; edits, deletions, reordering and truncation show."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from sqlalchemy import Connection, text

from broadcaster.domain.delivery import Variant
from broadcaster.store import Store, audit
from broadcaster.store.accepting import fingerprint
from broadcaster.store.audit import Head
from broadcaster.store.intents import NewMessage
from broadcaster.testing.clock import NOON


def note(store: Store, *subjects: str) -> None:
    def work(connection: Connection) -> None:
        for subject in subjects:
            audit.note(connection, NOON, "Kim", "accept report", subject, hold="", n=1)

    store.write(work).result()


def seal(store: Store) -> int:
    return store.write(audit.seal).result()


def tamper(store: Store, statement: str, **values: int) -> None:
    """Do to the table what somebody with access to the database could."""
    store.write(lambda connection: connection.execute(text(statement), values).close()).result()


@pytest.mark.parametrize("place", [{"language": "en"}, {"channel": "sms"}], ids=str)
def test_two_texts_that_change_places_are_other_texts(place: dict[str, Any]) -> None:
    here = NewMessage(
        channel="hook", language="sv", variant=Variant.NEWS, position=0, body="Strömmen är borta."
    )
    there = replace(here, body="The power is out.", **place)
    swapped = replace(here, body=there.body), replace(there, body=here.body)
    assert fingerprint([here, there]) == fingerprint([there, here]) != fingerprint(swapped)


@pytest.fixture
def ids(store: Store) -> list[int]:
    """Five sealed rows: their ids."""
    note(store, *"abcde")
    assert seal(store) == 5
    return [row.id for row in store.read(audit.listing)]


def test_an_untouched_trail_verifies_also_when_sealed_bit_by_bit(store: Store) -> None:
    anchors = []
    for subject in "abc":
        note(store, subject, f"{subject}å")
        assert seal(store) == 2
        anchors.append(store.read(audit.head))
    assert seal(store) == 0
    assert store.read(partial(audit.verify, anchors=anchors)) == []


def test_an_empty_trail_verifies(store: Store) -> None:
    assert store.read(audit.head) == Head(1, 0, audit.GENESIS)
    assert store.read(audit.verify) == []


@pytest.mark.parametrize(
    "edit",
    [
        "UPDATE audit SET at = at + 1 WHERE id = :id",
        "UPDATE audit SET actor = 'Lo' WHERE id = :id",
        "UPDATE audit SET act = 'x' WHERE id = :id",
        "UPDATE audit SET subject = 'y' WHERE id = :id",
        "UPDATE audit SET detail = '{\"n\"\\:2}' WHERE id = :id",
    ],
)
def test_an_edited_row_is_named(store: Store, ids: list[int], edit: str) -> None:
    tamper(store, edit, id=ids[2])
    (sentence,) = store.read(audit.verify)
    assert f"Row {ids[2]} " in sentence


@pytest.mark.parametrize("which", [0, 2])
def test_a_deleted_row_shows_at_the_next(store: Store, ids: list[int], which: int) -> None:
    tamper(store, "DELETE FROM audit WHERE id = :id", id=ids[which])
    (sentence,) = store.read(audit.verify)
    assert f"Row {ids[which + 1]} " in sentence


def test_rows_that_changed_places_show(store: Store, ids: list[int]) -> None:
    for old, new in ((ids[1], 999), (ids[2], ids[1]), (999, ids[2])):
        tamper(store, "UPDATE audit SET id = :new WHERE id = :old", old=old, new=new)
    assert store.read(audit.verify)


def test_a_row_put_in_between_shows(store: Store, ids: list[int]) -> None:
    tamper(store, "DELETE FROM audit WHERE id = :id", id=ids[3])
    tamper(
        store,
        "INSERT INTO audit (id, at, actor, act, subject, detail)"
        " VALUES (:id, 0, 'Lo', 'x', 'y', '{}')",
        id=ids[3],
    )
    assert f"Row {ids[3]} of the audit trail was put in later." in store.read(audit.verify)


def test_a_trail_cut_short_shows_by_the_exported_head(store: Store, ids: list[int]) -> None:
    anchor = store.read(audit.head)
    tamper(store, "DELETE FROM audit WHERE id >= :id", id=ids[3])
    assert store.read(audit.verify) == []  # which is why heads are exported
    (sentence,) = store.read(partial(audit.verify, anchors=[anchor]))
    assert f"ends with row {ids[2]}, but row {ids[4]} was sealed" in sentence
    note(store, "f")
    seal(store)
    (sentence,) = store.read(partial(audit.verify, anchors=[anchor]))
    assert f"Row {ids[4]} of the audit trail was sealed before and is gone." in sentence


def test_a_trail_made_anew_shows_by_the_exported_head(store: Store, ids: list[int]) -> None:
    anchor = store.read(audit.head)
    tamper(store, "UPDATE audit SET seal = NULL, actor = 'Lo'")
    seal(store)
    assert store.read(audit.verify) == []
    (sentence,) = store.read(partial(audit.verify, anchors=[anchor]))
    assert f"Row {ids[4]} " in sentence


def test_heads_exported_before_a_restore_hold_up_to_what_the_backup_held(
    store: Store, ids: list[int]
) -> None:
    anchors = [store.read(audit.head)]
    note(store, "lost with the disk")
    seal(store)
    anchors.append(store.read(audit.head))

    def restore(connection: Connection) -> None:
        connection.execute(text("DELETE FROM audit WHERE id > :id"), {"id": ids[4]})
        connection.execute(text("UPDATE meta SET value = '2' WHERE name = 'epoch'"))
        audit.note(connection, NOON, "restore", audit.RESTORED, "", epoch=2, after=ids[4])

    store.write(restore).result()
    seal(store)
    anchors.append(store.read(audit.head))
    assert [anchor.epoch for anchor in anchors] == [1, 1, 2]
    assert store.read(partial(audit.verify, anchors=anchors)) == []
    tamper(store, "DELETE FROM audit WHERE id = :id", id=ids[4])
    assert len(store.read(partial(audit.verify, anchors=anchors))) == 2


def test_no_row_can_slip_in_before_the_newest_sealed_one(store: Store) -> None:
    noted, go_on = Event(), Event()

    def slow(connection: Connection) -> None:
        audit.note(connection, NOON, "Kim", "accept report", "slow")
        noted.set()
        assert store.is_sqlite or go_on.wait(20)

    waiting = store.write(slow)
    assert noted.wait(10)
    quick = store.write(lambda c: audit.note(c, NOON, "Kim", "accept report", "quick"))
    quick.result(10)
    if not store.is_sqlite:
        assert seal(store) == 0
        go_on.set()
    waiting.result(10)
    assert seal(store) == 2
    assert store.read(audit.verify) == []


def test_nodes_that_seal_at_the_same_time_seal_each_row_once(store: Store) -> None:
    note(store, *(str(number) for number in range(200)))
    futures = [store.write(audit.seal) for _ in range(8)]
    assert sum(future.result(20) for future in futures) == 200
    assert store.read(audit.verify) == []


def test_rows_are_listed_page_by_page_oldest_first(store: Store, ids: list[int]) -> None:
    page: Callable[..., tuple[audit.AuditRow, ...]] = partial(audit.listing, limit=2)
    first = store.read(page)
    assert [row.subject for row in first] == ["a", "b"]
    assert [row.subject for row in store.read(partial(page, after=first[-1].id))] == ["c", "d"]
    assert (first[0].at, first[0].actor, first[0].detail) == (NOON, "Kim", {"hold": "", "n": 1})


def test_a_trail_without_any_exported_head_says_so(store: Store, tmp_path: Path) -> None:
    anchors = audit.read_heads(tmp_path / "audit.head")
    assert store.read(partial(audit.verify, anchors=anchors)) == []
    note(store, "a")
    seal(store)
    (sentence,) = store.read(partial(audit.verify, anchors=anchors))
    assert "No exported head was found" in sentence


def test_an_exported_head_comes_back_and_a_line_cut_short_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "audit.head"
    heads = (Head(1, 5, "a" * 64), Head(1, 9, "b" * 64))
    for head in heads:
        audit.export_head(path, head)
    assert path.stat().st_mode & 0o777 == 0o600
    path.write_text(path.read_text() + '{"epoch": 1, "id"')
    assert audit.read_heads(path) == heads
    audit.export_head(path, Head(1, 12, "c" * 64))
    assert audit.read_heads(path)[:2] == heads
