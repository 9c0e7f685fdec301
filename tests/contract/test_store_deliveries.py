"""Deliveries: claimed in order, moved by the table of transitions only, stopped when their text no longer holds."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from functools import partial
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy import Connection, select, update as sql_update

from broadcaster.domain.delivery import TRANSITIONS, Outcome, State, StepKind
from broadcaster.domain.incident import Kind, Revision, Severity
from broadcaster.store import Store, claiming, deliveries, moving, tables as t, withdrawing
from broadcaster.store.claiming import Claim
from broadcaster.store.deliveries import LeaseLost
from broadcaster.store.intents import Accepted, NewDelivery, NewStep
from broadcaster.testing.builders import KEY, board, letters, post, tell as tell_at
from broadcaster.testing.meanwhile import under_way, wait_until_held_up

NOW = datetime.now(UTC)  # leases follow the clock of PostgreSQL, which no test can set
LATER = NOW + timedelta(minutes=5)
PAIRS = list(itertools.product(State, State))


def tell(store: Store, *planned: NewDelivery, **said: Any) -> Accepted:
    return tell_at(store, *planned, **({"now": NOW} | said))


def claim(
    store: Store, channel: str = "mastodon", now: datetime = NOW, node: str = "norr", **how: Any
) -> tuple[Claim, ...]:
    asked = partial(claiming.claim, channel=channel, node=node, now=now, **({"limit": 9} | how))
    return store.write(asked).result()


def names(claims: tuple[Claim, ...]) -> list[str]:
    return [f"{claim.incident}-{claim.number}" for claim in claims]


def states(store: Store, channel: str = "mastodon") -> list[str]:
    """The states of a channel's deliveries in the order they were accepted."""
    query = select(t.delivery.c.state).where(t.delivery.c.channel == channel)
    return store.read(lambda c: list(c.scalars(query.order_by(t.delivery.c.id))))


def change(store: Store, **values: Any) -> None:
    """Put every delivery where a test needs it."""
    store.write(lambda c: c.execute(sql_update(t.delivery).values(**values)).close()).result()


def carry_out(store: Store, claimed: Claim | None = None, handle: str = "h1") -> None:
    """What the engine writes around the calls of a delivery that succeeds; the one there is to claim if none is named."""
    (claimed,) = claim(store) if claimed is None else (claimed,)

    def work(connection: Connection) -> None:
        for step in claimed.steps:
            attempt = deliveries.begin_attempt(connection, claimed, step, "norr", NOW)
            assert attempt is not None
            deliveries.end_attempt(connection, attempt, NOW, Outcome.ACCEPTED, None, "")
            deliveries.end_step(connection, step.id, "accepted", f"{handle}.{step.position}")
        assert moving.end(connection, claimed.id, State.ACCEPTED, NOW, "")

    store.write(work).result()


# ------------------------------------------------------------------------------------- the table of transitions
@pytest.mark.parametrize(("before", "after"), PAIRS, ids=[f"{a}-{b}" for a, b in PAIRS])
def test_the_database_takes_a_transition_exactly_when_the_table_has_it(
    one_delivery: Store, before: State, after: State
) -> None:
    change(one_delivery, state=before)
    moved = one_delivery.write(partial(moving.move, delivery_id=1, target=after)).result()
    assert moved is (after in TRANSITIONS[before])
    assert states(one_delivery) == [after if moved else before]


@pytest.fixture(
    scope="module",
    params=["sqlite", pytest.param("postgresql", marks=pytest.mark.real("postgresql"))],
)
def one_delivery(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A store with one delivery, shared by all pairs."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path_factory.mktemp('store')}/broadcaster.db"
    else:
        url = request.getfixturevalue("postgresql").database()
    store = Store(url, KEY)
    tell(store, post("mastodon"))
    yield store
    store.close()


def test_a_lease_that_was_lost_moves_nothing(store: Store) -> None:
    tell(store, post("mastodon"))
    claim(store)
    move = partial(moving.move, delivery_id=1, target=State.WAITING, token="another's")
    assert not store.write(move).result()
    assert states(store) == ["sending"]


# --------------------------------------------------------------------------------------------------- in order
def test_a_delivery_goes_from_accepted_to_accepted_by_the_far_side(store: Store) -> None:
    told = tell(store, post("mastodon", texts=3))
    (claimed,) = claim(store)
    assert (claimed.state, claimed.update_id, names((claimed,))) == (
        State.SENDING,
        told.update_id,
        ["A1-1"],
    )
    assert [step.message.body for step in claimed.steps] == [
        f"A1-1 news {position} mastodon" for position in range(3)
    ]
    assert len({step.message.key for step in claimed.steps}) == 3
    carry_out(store, claimed)
    assert states(store) == ["accepted"]
    attempts = store.read(lambda c: c.execute(select(t.attempt)).all())
    assert [(row.outcome, row.node) for row in attempts] == [("accepted", "norr")] * 3


def test_what_is_claimed_is_not_claimed_again(store: Store) -> None:
    tell(store, post("mastodon"))
    assert names(claim(store)) == ["A1-1"]
    assert claim(store, node="syd") == ()


def test_two_nodes_never_claim_the_same_delivery(store: Store) -> None:
    for _ in range(20):
        tell(store, post("mastodon"))
    start = Barrier(4)

    def grab(connection: Connection, node: str) -> tuple[Claim, ...]:
        if not store.is_sqlite:
            start.wait(20)
        return claiming.claim(connection, channel="mastodon", node=node, now=NOW, limit=8)

    futures = [store.write(partial(grab, node=str(number))) for number in range(4)]
    taken = [claimed.id for future in futures for claimed in future.result(30)]
    assert len(taken) == len(set(taken))
    assert len(taken) + len(claim(store, limit=20)) == 20


@pytest.mark.parametrize(
    ("state", "goes"),
    [
        ("waiting", ["A1-1"]),
        ("sending", []),
        ("uncertain", ["A1-2"]),
        ("failed", ["A1-2"]),
        ("accepted", ["A1-2"]),
        ("expired", ["A1-2"]),
    ],
)
def test_an_update_goes_out_only_when_none_before_it_is_under_way(
    store: Store, state: str, goes: list[str]
) -> None:
    first = tell(store, post("mastodon"), severity=Severity.SEVERE)
    tell(store, post("mastodon"), after=first)  # milder: it does not supersede
    far = NOW + timedelta(hours=1)

    def put(connection: Connection) -> None:
        row = sql_update(t.delivery).where(t.delivery.c.id == 1)
        connection.execute(row.values(state=state))
        if state == "uncertain":
            connection.execute(row.values(due_at=far))

    store.write(put).result()
    assert names(claim(store)) == goes


def one_in_doubt_before_another(store: Store, *, due_at: datetime, **more: Any) -> None:
    first = tell(store, post("mastodon"), severity=Severity.SEVERE)
    tell(store, post("mastodon"), after=first)
    doubtful = sql_update(t.delivery).where(t.delivery.c.id == 1)
    values = {"state": State.UNCERTAIN, "due_at": due_at} | more
    store.write(lambda c: c.execute(doubtful.values(**values)).close()).result()


def due(store: Store) -> list[datetime]:
    return store.read(
        lambda c: list(c.scalars(select(t.delivery.c.due_at).order_by(t.delivery.c.id)))
    )


@pytest.mark.parametrize(("wished", "moved"), [(False, True), (True, False)])
def test_a_post_in_doubt_is_looked_for_before_a_later_word_is_tried_again(
    store: Store, wished: bool, moved: bool
) -> None:
    now = datetime.now(UTC)
    far, later = now + timedelta(hours=1), now + timedelta(minutes=5)
    one_in_doubt_before_another(store, due_at=far, wished=wished)
    (second,) = claim(store, now=now)
    back = partial(deliveries.put_back, claim=second, now=now, due_at=later, detail="503")
    store.write(back).result()
    assert due(store) == [later if moved else far, later]


def test_what_no_look_can_settle_is_not_looked_for_when_a_later_word_is_tried_again(
    store: Store,
) -> None:
    now = datetime.now(UTC)
    far, later = now + timedelta(hours=1), now + timedelta(minutes=5)
    one_in_doubt_before_another(store, due_at=far, not_after=far)
    (second,) = claim(store, now=now)
    back = partial(deliveries.put_back, claim=second, now=now, due_at=later, detail="503")
    store.write(back).result()
    assert due(store) == [far, later]


@pytest.mark.parametrize(("waited", "goes"), [(timedelta(), []), (2 * claiming.DOUBT, ["A1-2"])])
def test_a_word_waits_seconds_and_no_longer_for_a_look_that_is_near(
    store: Store, waited: timedelta, goes: list[str]
) -> None:
    now = datetime.now(UTC)
    one_in_doubt_before_another(store, due_at=now + timedelta(seconds=5))
    second = sql_update(t.delivery).where(t.delivery.c.id == 2).values(due_at=now - waited)
    store.write(lambda c: c.execute(second).close()).result()
    assert names(claim(store, now=now)) == goes


@pytest.mark.parametrize(("looked_for", "goes"), [(timedelta(), []), (3 * claiming.LOOK, ["A1-2"])])
def test_a_correction_waits_seconds_and_no_longer_for_a_look_at_what_may_have_gone(
    store: Store, looked_for: timedelta, goes: list[str]
) -> None:
    first = tell(store, post("mastodon"), severity=Severity.SEVERE)
    tell(store, post("mastodon"), after=first)
    now = datetime.now(UTC)  # leases and what is due follow the clock of PostgreSQL

    def put(connection: Connection) -> None:
        row = sql_update(t.delivery)
        looking = {
            "state": State.UNCERTAIN,
            "due_at": now - looked_for,
            "lease_until": now + timedelta(hours=1),
        }
        connection.execute(row.where(t.delivery.c.id == 1).values(**looking))
        connection.execute(row.where(t.delivery.c.id == 2).values(priority=0))

    store.write(put).result()
    assert names(claim(store, now=now)) == goes


def test_a_correction_waits_for_no_look_where_one_call_only_may_be_made(store: Store) -> None:
    first = tell(store, post("mastodon"), severity=Severity.SEVERE)
    tell(store, post("mastodon"), after=first, kind=Kind.RETRACTION, corrects=1)
    looking = sql_update(t.delivery).where(t.delivery.c.id == 1)
    values = {"state": State.UNCERTAIN, "due_at": datetime.now(UTC), "stopped": False}
    store.write(lambda c: c.execute(looking.values(**values)).close()).result()
    assert names(claim(store, now=datetime.now(UTC), limit=1, look_first=False)) == ["A1-2"]


def test_what_is_sent_again_to_those_who_lack_it_holds_up_no_later_word(store: Store) -> None:
    first = tell(store, letters("sms"), severity=Severity.SEVERE)
    tell(store, letters("sms"), after=first)
    again = sql_update(t.delivery).where(t.delivery.c.id == 1)
    values = {"state": State.SENDING, "accepted_at": NOW, "lease_until": LATER}
    store.write(lambda c: c.execute(again.values(**values)).close()).result()
    assert names(claim(store, "sms")) == ["A1-2"]


def test_other_incidents_and_other_channels_are_not_held_up(store: Store) -> None:
    first = tell(store, post("mastodon"), post("x"), severity=Severity.SEVERE)
    tell(store, post("mastodon"), post("x"), after=first)
    tell(store, post("mastodon"))
    assert names(claim(store)) == ["A1-1", "A2-1"]
    (on_x,) = claim(store, "x")
    carry_out(store, on_x)
    assert names(claim(store, "x")) == ["A1-2"]
    assert claim(store) == ()


def test_corrections_and_retractions_are_claimed_first(store: Store) -> None:
    first = tell(store, post("mastodon"))
    carry_out(store)
    tell(store, post("mastodon"))
    tell(store, post("mastodon"), after=first, kind=Kind.RETRACTION, corrects=1)
    assert names(claim(store, urgent_only=True)) == ["A1-2"]
    assert names(claim(store)) == ["A2-1"]


def test_what_is_not_due_or_not_released_waits(store: Store) -> None:
    tell(store, post("mastodon"), rest={"hold": "scheduled"})
    assert claim(store) == ()
    tell(store, post("mastodon"))
    change(store, due_at=NOW + timedelta(hours=1))
    assert claim(store) == ()
    due_at = store.read(partial(deliveries.next_due_at, channel="mastodon"))
    assert due_at == NOW + timedelta(hours=1)


def test_nothing_is_claimed_after_its_time_and_it_ends_as_expired(store: Store) -> None:
    tell(store, post("mastodon"), not_after=NOW + timedelta(minutes=1))
    late = NOW + timedelta(minutes=1)
    assert claim(store, now=late) == ()
    assert store.write(partial(deliveries.expire, now=late)).result() == 1
    assert states(store) == ["expired"]


def test_what_waits_past_its_time_is_ended_by_the_sweep(store: Store) -> None:
    for planned in (post("mastodon"), board("page")):
        tell(store, planned, not_after=NOW + timedelta(minutes=1))
    change(store, due_at=LATER)
    assert store.write(partial(deliveries.expire, now=NOW)).result() == 0
    assert store.write(partial(deliveries.expire, now=LATER)).result() == 2
    assert states(store) == ["expired"]


# --------------------------------------------------------------------------------------------- threads and targets
def test_a_post_answers_the_newest_post_of_its_incident_that_stands(store: Store) -> None:
    first = tell(store, post("mastodon"))
    carry_out(store, handle="first")
    tell(store, post("mastodon"))  # another incident
    carry_out(store, handle="other")
    second = tell(store, post("mastodon"), after=first)
    (claimed,) = claim(store)
    assert claimed.steps[0].message.in_reply_to == "first.0"
    carry_out(store, claimed, handle="second")
    tell(store, post("mastodon"), after=second)
    assert claim(store)[0].steps[0].message.in_reply_to == "second.0"


def test_what_is_withdrawn_is_the_post_as_it_was_made_and_no_answer_to_it(store: Store) -> None:
    first = tell(store, post("mastodon"))
    carry_out(store, handle="first")
    (step_id,) = store.read(lambda c: list(c.scalars(select(t.step.c.id))))
    take_away = NewDelivery(
        channel="mastodon",
        shape=post("x").shape,
        life_safety=False,
        steps=(NewStep(kind=StepKind.WITHDRAW, target_step=step_id), *post("mastodon").steps),
    )
    tell(store, take_away, after=first, kind=Kind.RETRACTION, corrects=1)
    (claimed,) = claim(store)
    withdraw, say = claimed.steps
    assert (withdraw.kind, withdraw.message.target, withdraw.skip) == (
        StepKind.WITHDRAW,
        "first.0",
        False,
    )
    assert say.message.body == "A1-2 news 0 mastodon"
    store.write(
        partial(deliveries.end_step, step_id=withdraw.id, outcome="accepted", handle="first.0")
    ).result()
    store.write(partial(withdrawing.note_taken, step_id=withdraw.id)).result()
    assert states(store) == ["withdrawn", "sending"]


def test_there_is_nothing_to_withdraw_where_nothing_was_posted(store: Store) -> None:
    first = tell(store, post("mastodon"))
    (step_id,) = store.read(lambda c: list(c.scalars(select(t.step.c.id))))
    take_away = NewDelivery(
        channel="mastodon",
        shape=post("x").shape,
        life_safety=False,
        steps=(NewStep(kind=StepKind.WITHDRAW, target_step=step_id),),
    )
    tell(store, take_away, after=first, kind=Kind.RETRACTION, corrects=1)
    (claimed,) = claim(store)
    assert (names((claimed,)), claimed.steps[0].skip) == (["A1-2"], True)


# ------------------------------------------------------------------------------------------------ after a crash
def test_after_a_start_a_post_in_doubt_is_looked_for_before_a_correction_goes_behind_it(
    store: Store,
) -> None:
    first = tell(store, post("mastodon"))
    (claimed,) = claim(store)
    store.write(
        lambda c: deliveries.put_back(c, claimed, NOW, NOW, "it may have gone", State.UNCERTAIN)
    ).result()
    tell(store, post("mastodon"), after=first)
    start = datetime.now(UTC)
    change(store, due_at=start - timedelta(minutes=1), priority=0)  # it was dead for so long
    store.write(partial(deliveries.take_back_own, node="norr", now=start)).result()
    assert names(claim(store, now=start)) == ["A1-1"]


def test_what_a_dead_node_was_doing_is_taken_up_again_and_known_to_be_uncertain(
    store: Store,
) -> None:
    tell(store, post("mastodon", texts=2))
    (claimed,) = claim(store)
    store.write(
        partial(
            deliveries.begin_attempt, claim=claimed, step=claimed.steps[0], node="norr", now=NOW
        )
    ).result()
    assert store.write(partial(deliveries.take_back_own, node="norr", now=NOW)).result() == 1
    (again,) = claim(store)
    assert [step.uncertain for step in again.steps] == [True, False]
    assert [step.message.key for step in again.steps] == [
        step.message.key for step in claimed.steps
    ]


def test_a_step_that_was_done_before_the_crash_is_not_done_again(store: Store) -> None:
    tell(store, post("mastodon", texts=2))
    (claimed,) = claim(store)
    store.write(
        partial(deliveries.end_step, step_id=claimed.steps[0].id, outcome="accepted", handle="h")
    ).result()
    store.write(partial(deliveries.take_back_own, node="norr", now=NOW)).result()
    (again,) = claim(store)
    assert [step.position for step in again.steps] == [1]
    assert again.steps[0].message.in_reply_to == "h"


def test_a_node_takes_back_nothing_of_another_that_lives(store: Store) -> None:
    tell(store, post("mastodon"))
    claim(store, node="syd")
    assert store.write(partial(deliveries.take_back_own, node="norr", now=NOW)).result() == 0
    assert store.write(partial(deliveries.take_back_orphans, now=NOW)).result() == 0
    assert states(store) == ["sending"]


def test_what_a_node_held_whose_lease_ran_out_waits_again(store: Store) -> None:
    tell(store, post("mastodon"))
    (lost,) = claim(store, node="syd")
    change(store, lease_until=NOW - timedelta(seconds=1))
    assert store.write(partial(deliveries.take_back_orphans, now=NOW)).result() == 1
    (again,) = claim(store)
    assert again.id == lost.id
    begin = partial(deliveries.begin_attempt, step=lost.steps[0], node="syd", now=NOW)
    assert store.write(partial(begin, claim=lost)).result() is None
    assert store.write(partial(begin, claim=again)).result() is not None


# ------------------------------------------------------------------------------------- what no longer holds
def test_what_still_waits_is_superseded_by_the_next_word(store: Store) -> None:
    first = tell(store, post("mastodon"), board("page"))
    tell(store, post("mastodon"), board("page"), after=first)
    assert states(store) == ["superseded", "waiting"]
    assert states(store, "page") == ["waiting", "waiting"]  # a board shows both at once


@pytest.mark.parametrize(
    "said",
    [
        {"severity": Severity.MINOR},
        {"areas": ("södra-ekbyn",)},
        {"kind": Kind.HOLDING},
    ],
)
def test_the_next_word_supersedes_nothing_that_says_more(
    store: Store, said: dict[str, Any]
) -> None:
    first = tell(store, post("mastodon"))
    tell(store, post("mastodon"), after=first, **said)
    assert states(store) == ["waiting", "waiting"]


def test_what_waits_of_a_retracted_update_is_withdrawn_and_never_sent(store: Store) -> None:
    first = tell(store, post("mastodon"), letters("sms"))
    second = tell(store, post("mastodon"), after=first, severity=Severity.MINOR)
    tell(store, post("mastodon"), after=second, kind=Kind.RETRACTION, corrects=1)
    assert states(store) == ["withdrawn", "waiting", "waiting"]
    assert states(store, "sms") == ["withdrawn"]
    assert names(claim(store)) == ["A1-2"]


def test_retracting_all_withdraws_all(store: Store) -> None:
    first = tell(store, post("mastodon"))
    second = tell(store, post("mastodon"), after=first, severity=Severity.MINOR)
    tell(
        store,
        post("mastodon"),
        after=second,
        kind=Kind.RETRACTION,
        rest={"corrects_all": True},
    )
    assert states(store) == ["withdrawn", "withdrawn", "waiting"]


def test_a_text_corrected_while_it_is_tried_is_not_tried_again(store: Store) -> None:
    first = tell(store, post("mastodon"))
    (claimed,) = claim(store)
    tell(store, post("mastodon"), after=first, kind=Kind.CORRECTION, corrects=1)
    begin = partial(deliveries.begin_attempt, claim=claimed, step=claimed.steps[0], node="norr")
    assert store.write(partial(begin, now=NOW)).result() is None
    back = partial(deliveries.put_back, claim=claimed, now=NOW, due_at=NOW, detail="time-out")
    assert store.write(back).result()
    assert states(store) == ["withdrawn", "waiting"]
    assert names(claim(store)) == ["A1-2"]


def test_a_retracted_text_whose_fate_is_uncertain_is_not_posted_again(store: Store) -> None:
    first = tell(store, post("mastodon"))
    (claimed,) = claim(store)
    put_back = partial(deliveries.put_back, now=NOW, due_at=NOW, detail="time-out")
    store.write(partial(put_back, claim=claimed, state=State.UNCERTAIN)).result()
    tell(store, post("mastodon"), after=first, kind=Kind.RETRACTION, corrects=1)
    _, looked_up = claim(store)
    assert looked_up.state is State.UNCERTAIN
    store.write(partial(put_back, claim=looked_up)).result()  # it was not found there
    assert states(store) == ["withdrawn", "sending"]


def test_a_node_that_lost_its_lease_does_not_take_it_from_the_next(store: Store) -> None:
    tell(store, post("mastodon"))
    change(store, state=State.UNCERTAIN)
    (lost,) = claim(store, node="syd")
    change(store, lease_until=NOW - timedelta(seconds=1))
    (held,) = claim(store, node="norr")
    back = partial(deliveries.put_back, now=NOW, due_at=LATER, detail="", state=State.UNCERTAIN)
    assert not store.write(partial(back, claim=lost)).result()
    assert store.write(partial(back, claim=held)).result()


# ------------------------------------------------------------------------------------------------------- boards
def test_what_a_node_writes_of_a_delivery_that_another_has_is_not_kept(store: Store) -> None:
    tell(store, post("mastodon"))
    (mine,) = claim(store)

    def note(connection: Connection) -> None:
        deliveries.end_step(connection, mine.steps[0].id, "accepted", "h1")
        deliveries.require_lease(connection, mine)

    change(store, lease_token="another's")
    with pytest.raises(LeaseLost):
        store.write(note).result()
    assert outcome(store) is None
    change(store, lease_token=mine.lease_token)
    store.write(note).result()
    assert outcome(store) == "accepted"


def outcome(store: Store) -> str | None:
    return store.read(lambda c: c.scalar(select(t.step.c.outcome)))


def test_a_lease_that_another_takes_in_this_moment_is_lost(store: Store) -> None:
    tell(store, post("mastodon"))
    (mine,) = claim(store)
    taken = sql_update(t.delivery).values(lease_token="another's")
    with under_way(store, lambda c: c.execute(taken).close()):
        asked = store.write(partial(deliveries.require_lease, claim=mine))
        wait_until_held_up(store, asked)
    assert isinstance(asked.exception(10), LeaseLost)


def test_a_board_that_shows_a_revision_has_shown_every_update_up_to_it(store: Store) -> None:
    told = tell(store, board("page"))
    for _ in range(3):
        told = tell(store, board("page"), after=told)
    shown = partial(
        deliveries.accept_boards,
        channel="page",
        revision=Revision(1, 3),
        now=NOW,
        detail="",
        url="u",
    )
    assert len(store.write(shown).result()) == 3
    assert states(store, "page") == ["accepted"] * 3 + ["waiting"]
    assert len(store.write(shown).result()) == 0
