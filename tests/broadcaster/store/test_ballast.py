"""A full disk stops no retraction and loses no outcome: room was kept back for both."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, insert, select

from broadcaster.store import Rank, Store, StoreFull, tables as t
from broadcaster.store.ballast import PART, Ballast
from broadcaster.testing import peers
from broadcaster.testing.builders import KEY


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder that is a file system of six mebibytes, two of them for the ballast."""
    with peers.small_disk(tmp_path / "small", mebibytes=6):
        yield tmp_path / "small"


def note(connection: Connection, name: str, value: str = "") -> None:
    connection.execute(insert(t.meta).values(name=name, value=value))


def noted(store: Store) -> set[str]:
    return set(store.read(lambda c: c.scalars(select(t.meta.c.name))))


def fill(folder: Path) -> Path:
    """Leave no byte free."""
    path = folder / "filling"
    with path.open("wb", buffering=0) as file:
        for size in (65_536, 512, 1):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                continue
    return path


def opened(folder: Path, **more: Any) -> Store:
    return Store(f"sqlite:///{folder}/broadcaster.db", KEY, ballast=True, **more)


def refused(store: Store, name: str, rank: Rank, size: int = 200_000) -> bool:
    error = store.write(partial(note, name=name, value="x" * size), rank).exception(10)
    assert error is None or isinstance(error, StoreFull)
    return error is not None


def says_full(store: Store) -> bool:
    return store.refusing is not None and isinstance(store.refusing.reason, StoreFull)


def test_on_a_full_disk_outcomes_and_retractions_are_kept_and_new_words_refused(
    small_disk: Path,
) -> None:
    with closing(opened(small_disk)) as store:
        filling = fill(small_disk)
        assert refused(store, "a new word", Rank.ACCEPT)
        assert not refused(store, "an outcome", Rank.OUTCOME)
        # There is room now, and it is not for everybody.
        assert refused(store, "a new word", Rank.ACCEPT, 10)
        assert refused(store, "a list of people", Rank.IMPORT, 10)
        assert says_full(store)
        number = 0
        while not refused(store, f"outcome {number}", Rank.OUTCOME):
            number += 1
        assert not refused(store, "a retraction", Rank.RETRACT)
        assert says_full(store)
        assert store.broken is None
        kept = {"an outcome", "a retraction", *(f"outcome {each}" for each in range(number))}
        assert noted(store) >= kept
        filling.unlink()
        assert not refused(store, "a new word", Rank.ACCEPT)
        assert not says_full(store)
        assert Ballast(small_disk / "broadcaster.db-ballast").whole


def test_who_shares_a_commit_with_a_retraction_does_not_keep_it_from_the_room(
    small_disk: Path,
) -> None:
    with closing(opened(small_disk)) as store:
        fill(small_disk)
        ranks = (Rank.ACCEPT, Rank.OUTCOME, Rank.RETRACT)
        writes = [
            store.write(partial(note, name=rank.name, value="x" * 100_000), rank) for rank in ranks
        ]
        errors = [write.exception(10) for write in writes]
        assert isinstance(errors[0], StoreFull)
        assert errors[1:] == [None, None]
        assert noted(store) >= {"OUTCOME", "RETRACT"}


def test_a_store_opened_on_a_full_disk_has_what_was_kept_back_before(small_disk: Path) -> None:
    opened(small_disk).close()
    fill(small_disk)
    with closing(opened(small_disk)) as store:
        assert refused(store, "a new word", Rank.ACCEPT)
        assert not refused(store, "a retraction", Rank.RETRACT)


def test_room_that_is_not_there_is_not_taken_and_what_was_held_stays(small_disk: Path) -> None:
    path = small_disk / "ballast"
    ballast = Ballast(path)
    assert ballast.whole
    assert ballast.give_up(everything=False)
    filling = fill(small_disk)
    assert not ballast.keep()
    assert path.stat().st_size == PART
    assert not ballast.give_up(everything=False)
    assert ballast.give_up(everything=True)
    assert not ballast.give_up(everything=True)
    filling.unlink()
    assert ballast.keep()
    assert ballast.whole


def test_room_that_is_there_again_is_seen_without_a_new_word(small_disk: Path) -> None:
    with closing(opened(small_disk)) as store:
        filling = fill(small_disk)
        assert refused(store, "a new word", Rank.ACCEPT)
        assert not refused(store, "an outcome", Rank.OUTCOME)
        filling.unlink()
        until, number = time.monotonic() + 10, 0
        while says_full(store) and time.monotonic() < until:
            assert not refused(store, f"outcome {number}", Rank.OUTCOME, 10)
            number += 1
            time.sleep(0.1)  # it is looked at once a second: only time can pass
        assert not says_full(store)
        assert Ballast(small_disk / "broadcaster.db-ballast").whole


def test_where_no_room_can_be_kept_at_all_words_are_accepted_without(tmp_path: Path) -> None:
    (tmp_path / "broadcaster.db-ballast").mkdir()  # whatever the reason
    with closing(opened(tmp_path)) as store:
        assert not refused(store, "a new word", Rank.ACCEPT)
