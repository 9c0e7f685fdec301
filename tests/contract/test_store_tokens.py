"""Tokens: who may speak, and who no longer may."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy import Connection, select

from broadcaster.domain.role import Role
from broadcaster.store import Store, tables as t, tokens
from broadcaster.store.tokens import Refusal, TokenRecord
from broadcaster.testing.clock import NOON

Issue = Callable[..., tuple[str, TokenRecord]]


@pytest.fixture
def issue(store: Store) -> Issue:
    """Make a token: a viewer's unless told otherwise."""

    def make(role: Role = Role.VIEWER, **told: Any) -> tuple[str, TokenRecord]:
        given: dict[str, Any] = {
            "name": "Kim",
            "areas": (),
            "expires_at": None,
            "actor": "init",
        } | told
        return store.write(partial(tokens.issue, now=NOON, role=role, **given)).result()

    return make


def find(store: Store, secret: str, after: timedelta = timedelta()) -> tokens.Found:
    return store.read(partial(tokens.find, secret=secret, now=NOON + after))


def revoke(store: Store, named: int | str) -> TokenRecord:
    return store.write(partial(tokens.revoke, id_or_prefix=named, now=NOON, actor="Kim")).result()


def test_a_secret_is_256_random_bits_and_opens_what_it_was_made_for(
    store: Store, issue: Issue
) -> None:
    secret, made = issue(Role.AUTHOR, areas=("norra-ekbyn",))
    assert re.fullmatch(r"bc_[A-Za-z0-9_-]{43}", secret)
    found = find(store, secret)
    assert found.good
    assert found.token == made
    assert (made.role, made.areas, made.name) == (Role.AUTHOR, ("norra-ekbyn",), "Kim")


def test_the_secret_is_nowhere_in_the_store(store: Store, issue: Issue) -> None:
    secret, _ = issue()
    rows = store.read(
        lambda c: [*c.execute(select(t.token)).all(), *c.execute(select(t.audit)).all()]
    )
    assert secret[:11] in repr(rows)
    assert secret[11:] not in repr(rows)


def test_unknown_expired_and_revoked_are_told_apart(store: Store, issue: Issue) -> None:
    expiring, _ = issue(expires_at=NOON + timedelta(hours=1))
    revoked, record = issue()
    revoke(store, record.id)
    hour = timedelta(hours=1)
    assert find(store, "bc_nobody").refusal is Refusal.UNKNOWN
    assert find(store, expiring, hour - timedelta(microseconds=1)).good
    assert find(store, expiring, hour).refusal is Refusal.EXPIRED
    assert find(store, revoked).refusal is Refusal.REVOKED


def test_use_is_noted_at_most_once_a_minute(store: Store, issue: Issue) -> None:
    _, made = issue()

    def touch(seconds: int) -> bool:
        now = NOON + timedelta(seconds=seconds)
        return store.write(partial(tokens.touch_used, token_id=made.id, now=now)).result()

    assert [touch(second) for second in (0, 59, 60, 61)] == [True, False, True, False]
    (kept,) = store.read(tokens.listing)
    assert kept.used_at == NOON + timedelta(seconds=60)


def test_a_token_is_revoked_by_its_first_letters(store: Store, issue: Issue) -> None:
    secret, _ = issue()
    issue()
    assert revoke(store, secret[:11]).revoked_at == NOON
    assert find(store, secret).refusal is Refusal.REVOKED


@pytest.mark.parametrize("named", ["bc_zzzzzzzz", "", "bc_", 999, "%%%%%%%%", "bc______"])
def test_what_names_no_token_revokes_none(store: Store, issue: Issue, named: int | str) -> None:
    secret, _ = issue()
    with pytest.raises(tokens.NoSuchToken):
        revoke(store, named)
    assert find(store, secret).good


def test_letters_that_two_tokens_begin_with_revoke_neither(store: Store, issue: Issue) -> None:
    made = [issue()[1] for _ in range(2)]

    def alike(connection: Connection) -> None:
        connection.execute(t.token.update().values(prefix="bc_samesame"))

    store.write(alike).result()
    with pytest.raises(tokens.NoSuchToken, match="More than one"):
        revoke(store, "bc_samesame")
    assert [record.revoked_at for record in store.read(tokens.listing)] == [None] * len(made)


def test_the_last_admin_stays_and_the_sentence_says_how_to_go_on(
    store: Store, issue: Issue
) -> None:
    secret, admin = issue(Role.ADMIN)
    issue(Role.AUTHOR)
    _, expired = issue(Role.ADMIN, expires_at=NOON)
    with pytest.raises(tokens.LastAdmin, match="broadcaster tokens add"):
        revoke(store, admin.id)
    assert find(store, secret).good
    assert revoke(store, expired.id).revoked_at == NOON


def test_two_admins_cannot_revoke_each_other_in_the_same_moment(store: Store, issue: Issue) -> None:
    records = [issue(Role.ADMIN)[1] for _ in range(2)]
    together = Barrier(2)

    def work(connection: Connection, named: int) -> TokenRecord:
        if not store.is_sqlite:
            together.wait(10)
        return tokens.revoke(connection, named, NOON, "Kim")

    ends = [store.write(partial(work, named=record.id)) for record in records]
    refused = [end.exception(20) for end in ends]
    assert sum(isinstance(error, tokens.LastAdmin) for error in refused) == 1
    assert sum(error is None for error in refused) == 1


def test_making_and_revoking_leave_a_trail_with_who_did_it(store: Store, issue: Issue) -> None:
    issue(Role.ADMIN)
    secret, record = issue()
    revoke(store, record.id)
    rows = store.read(lambda c: c.execute(select(t.audit).order_by(t.audit.c.id)).all())
    assert [(row.actor, row.act) for row in rows[-2:]] == [
        ("init", "add token"),
        ("Kim", "revoke token"),
    ]
    assert rows[-1].subject == secret[:11]
