"""Idempotency: asked twice, done once, answered alike."""

from __future__ import annotations

import dataclasses
from concurrent.futures import Future
from datetime import timedelta
from functools import partial
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy import Connection, func, select

from broadcaster.store import Conflict, Store, once, tables as t
from broadcaster.store.accepting import accept
from broadcaster.store.intents import Once
from broadcaster.testing.builders import an_acceptance, an_update
from broadcaster.testing.clock import NOON

ASKED = Once(token_id=1, method="POST", path="/api/v1/incidents", key="k1", body_digest="a" * 64)
ANSWER = {"incident": "A7", "deliveries": [{"channel": "sms"}]}


def remember(store: Store, asked: Once = ASKED) -> None:
    store.write(partial(once.remember, once=asked, status=201, answer=ANSWER, now=NOON)).result()


def recall(store: Store, asked: Once) -> Any:
    return store.read(partial(once.recall, once=asked))


def test_a_request_that_was_never_seen_has_no_answer(store: Store) -> None:
    assert recall(store, ASKED) is None


def test_the_same_request_gets_the_same_status_and_answer(store: Store) -> None:
    remember(store)
    assert recall(store, ASKED) == (201, ANSWER)


def test_the_same_key_with_another_body_is_refused(store: Store) -> None:
    remember(store)
    with pytest.raises(once.OtherBody, match="Nothing was done"):
        recall(store, dataclasses.replace(ASKED, body_digest="b" * 64))


@pytest.mark.parametrize(
    "other", [{"token_id": 2}, {"method": "PUT"}, {"path": "/api/v1/preview"}, {"key": "k2"}]
)
def test_keys_of_other_tokens_and_other_addresses_do_not_meet(
    store: Store, other: dict[str, Any]
) -> None:
    remember(store)
    assert recall(store, dataclasses.replace(ASKED, **other)) is None


def test_an_answer_is_kept_for_seven_days_and_then_forgotten(store: Store) -> None:
    remember(store)
    week = timedelta(days=7)
    assert store.write(partial(once.forget_old, now=NOON + week)).result() == 0
    assert (
        store.write(partial(once.forget_old, now=NOON + week + timedelta(seconds=1))).result() == 1
    )
    assert recall(store, ASKED) is None


def test_two_equal_requests_in_the_same_moment_leave_one_update(store: Store) -> None:
    together = Barrier(2)

    def work(connection: Connection) -> bool:
        if not store.is_sqlite:  # there writes run side by side
            together.wait(10)
        if once.recall(connection, ASKED) is not None:
            return False
        acceptance = an_acceptance(an_update("A1"))
        accept(connection, acceptance, NOON)
        once.remember(connection, ASKED, 201, ANSWER, NOON)
        return True

    asked: list[Future[bool]] = [store.write(work) for _ in range(2)]
    ended = [future.exception(20) or future.result() for future in asked]
    assert ended.count(True) == 1
    assert all(end is False or isinstance(end, Conflict) for end in ended if end is not True)
    assert store.read(lambda c: c.scalar(select(func.count()).select_from(t.update))) == 1
