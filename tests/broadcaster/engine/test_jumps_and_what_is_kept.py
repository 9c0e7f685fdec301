"""The wall clock jumps: answers are kept as long as they would have been, tokens end at their time and none is lost."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial

import pytest
from sqlalchemy import func, select

from broadcaster.domain.incident import Kind
from broadcaster.domain.role import Role
from broadcaster.service.commands import Command
from broadcaster.service.once_only import say_once
from broadcaster.store import once, tables as t, tokens
from broadcaster.store.intents import Once
from broadcaster.store.tokens import Refusal
from broadcaster.testing.rig import OPERATOR, Rig

MakeRig = Callable[..., Rig]
HOUR, MONTHS = timedelta(hours=1), timedelta(days=270)


def token(engine: Rig, lasts: timedelta | None = None) -> tuple[str, int]:
    """A token's secret and id."""
    now = engine.clock()
    ends = now + lasts if lasts else None
    issue = partial(
        tokens.issue,
        now=now,
        name="Eva",
        role=Role.ADMIN,
        areas=(),
        expires_at=ends,
        actor="test",
    )
    secret, record = engine.store.write(issue).result()
    return secret, record.id


def request(token_id: int) -> Once:
    return Once(
        token_id=token_id,
        method="POST",
        path="/api/v1/incidents",
        key="the-key",
        body_digest="digest",
    )


def jump(engine: Rig, by: timedelta) -> None:
    """Set the clock, and let the housekeeping run that forgets what is old."""
    engine.jump(seconds=by.total_seconds())
    engine.sweep()
    engine.call(engine.engine._forget())


@pytest.mark.parametrize("by", [MONTHS, -MONTHS, HOUR, -HOUR], ids=str)
def test_a_request_that_comes_again_after_a_jump_gets_its_answer_and_says_nothing_twice(
    rig: MakeRig, by: timedelta
) -> None:
    engine: Rig = rig({"page": {"kind": "page"}})
    _, token_id = token(engine)
    asked = request(token_id)
    command = Command(
        kind=Kind.REPORT, texts={"": "Strömmen är borta."}, area=("norra-ekbyn",), once=asked
    )
    first = say_once(engine.desk, OPERATOR, command)
    jump(engine, by)
    jump(engine, -by)
    jump(engine, by)
    assert say_once(engine.desk, OPERATOR, command)["incident"] == first["incident"]
    reports = select(func.count()).where(t.update.c.kind == Kind.REPORT)
    assert engine.store.read(lambda c: c.scalar(reports)) == 1


def test_after_a_jump_an_answer_is_forgotten_when_its_seven_days_are_over(rig: MakeRig) -> None:
    engine: Rig = rig({"page": {"kind": "page"}})
    _, token_id = token(engine)
    asked = request(token_id)
    keep = partial(once.remember, once=asked, status=201, answer={}, now=engine.clock())
    engine.store.write(keep).result()
    jump(engine, -MONTHS)
    for days, kept in ((6, True), (2, False)):
        engine.clock_only(days=days)
        engine.call(engine.engine._forget())
        assert (engine.store.read(partial(once.recall, once=asked)) is not None) is kept


def test_a_token_ends_at_its_time_of_day_and_a_clock_that_was_wrong_takes_none_away(
    rig: MakeRig,
) -> None:
    engine: Rig = rig({"page": {"kind": "page"}})
    lasting, _ = token(engine, 2 * HOUR)
    revoked, revoked_id = token(engine, 2 * HOUR)
    token(engine)  # the last that may administer is not revoked
    engine.store.write(
        partial(tokens.revoke, id_or_prefix=revoked_id, now=engine.clock(), actor="Eva")
    ).result()

    def refusals() -> list[Refusal | None]:
        now = engine.clock()
        return [
            engine.store.read(partial(tokens.find, secret=secret, now=now)).refusal
            for secret in (lasting, revoked)
        ]

    assert refusals() == [None, Refusal.REVOKED]
    jump(engine, MONTHS)
    assert refusals() == [Refusal.EXPIRED, Refusal.REVOKED]
    jump(engine, -MONTHS)
    assert refusals() == [None, Refusal.REVOKED]
    jump(engine, -MONTHS)
    assert refusals() == [None, Refusal.REVOKED]
    jump(engine, MONTHS + 3 * HOUR)
    assert refusals() == [Refusal.EXPIRED, Refusal.REVOKED]
