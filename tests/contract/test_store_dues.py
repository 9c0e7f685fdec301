"""What is due is claimed by one node, as one act for each incident, and sleeps while its update is held."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest

from broadcaster.domain.delivery import State
from broadcaster.domain.incident import Kind
from broadcaster.store import Store, dues, incidents, outcomes, releasing
from broadcaster.store.dues import LEASE, Due
from broadcaster.store.intents import Accepted
from broadcaster.testing.builders import post, tell
from broadcaster.testing.clock import NOON
from broadcaster.testing.meanwhile import under_way

SOON, LATE = NOON + timedelta(minutes=30), NOON + timedelta(minutes=50)
FOLLOW_UP = {"remind": SOON, "due": NOON + timedelta(minutes=40), "grace": LATE}
EVENING = NOON + timedelta(hours=6)
HELD = {"hold": "scheduled", "release_at": EVENING}


def promise(store: Store, **how: Any) -> Accepted:
    return tell(store, post("hook"), rest={"follow_up": FOLLOW_UP} | how.pop("rest", {}), **how)


def claim(store: Store, now: datetime) -> tuple[Due, ...]:
    return store.write(partial(dues.claim, now=now)).result()


def whats(store: Store, now: datetime) -> list[str]:
    return [due.what for due in claim(store, now)]


def settle(store: Store, due: Due) -> None:
    store.write(partial(dues.settle, due=due, now=due.due_at, outcome="reminded")).result()


# ------------------------------------------------------------------------------------------------------ claim and settle
def test_nothing_is_due_before_its_time_and_the_next_time_is_known(store: Store) -> None:
    assert store.read(dues.next_due_at) is None
    promise(store)
    assert store.read(dues.next_due_at) == SOON
    assert whats(store, SOON - timedelta(seconds=1)) == []
    assert whats(store, SOON) == ["remind"]


def test_overdue_stages_of_one_incident_are_one_act_and_settled_together(store: Store) -> None:
    told = promise(store)
    (due,) = claim(store, LATE)
    assert (due.what, due.incident_id, due.due_at, len(due.ids)) == (
        *("grace", told.incident_id, LATE, 3),
    )
    settle(store, due)
    assert claim(store, EVENING) == ()
    assert store.read(dues.next_due_at) is None


def test_each_incident_is_an_act_of_its_own(store: Store) -> None:
    first, second = promise(store), promise(store)
    assert [due.incident_id for due in claim(store, SOON)] == [
        *(first.incident_id, second.incident_id),
    ]


def test_what_is_claimed_and_not_settled_can_be_claimed_again_when_its_lease_is_over(
    store: Store,
) -> None:
    promise(store)
    claim(store, SOON)
    assert claim(store, SOON + LEASE) == ()
    assert whats(store, SOON + LEASE + timedelta(seconds=1)) == ["remind"]


def test_two_nodes_never_act_on_the_same_duty(store: Store) -> None:
    promise(store)
    with under_way(store, partial(dues.claim, now=SOON)) as mine:
        assert claim(store, SOON) == ()
    assert [due.what for due in mine.result(10)] == ["remind"]


@pytest.mark.parametrize(
    ("kind", "left"), [(Kind.UPDATE, None), (Kind.RESTORED, None), (Kind.HOLDING, LATE)]
)
def test_the_next_word_answers_the_promise_and_brings_its_own(
    store: Store, kind: Kind, left: datetime | None
) -> None:
    told = promise(store)
    rest = {"follow_up": {"due": left}} if left else {}
    areas = () if kind is Kind.RESTORED else ("norra-ekbyn",)
    tell(store, post("hook"), after=told, kind=kind, areas=areas, rest=rest)
    assert store.read(dues.next_due_at) == left


def test_a_word_for_staff_answers_no_public_promise(store: Store) -> None:
    told = promise(store)
    tell(store, post("hook"), after=told, audience="staff")
    assert store.read(dues.next_due_at) == SOON


# ---------------------------------------------------------------------------------------------------- what is scheduled
def release(store: Store, update_id: int, now: datetime = EVENING) -> str:
    held = partial(releasing.release_held, update_id=update_id, now=now)
    return store.write(held).result()


def test_a_scheduled_update_is_released_at_its_time_and_then_its_promise_runs(store: Store) -> None:
    told = promise(store, rest=HELD, not_after=EVENING + timedelta(hours=2))
    (due,) = claim(store, EVENING)
    assert (due.what, due.update_id) == ("release", told.update_id)
    assert release(store, told.update_id) == "released 1.1"
    settle(store, due)
    assert release(store, told.update_id) == "released already"
    assert whats(store, EVENING) == ["grace"]


def test_what_is_scheduled_is_listed_soonest_first_until_it_is_out(store: Store) -> None:
    later = HELD | {"release_at": EVENING + timedelta(hours=1)}
    second, first = promise(store, rest=later), promise(store, rest=HELD)
    names = [update.id for _, update in store.read(incidents.scheduled)]
    assert names == [first.update_id, second.update_id]
    store.write(partial(releasing.release, update_id=first.update_id, now=EVENING)).result()
    assert [update.id for _, update in store.read(incidents.scheduled)] == [second.update_id]


def test_an_update_that_is_moved_leaves_at_the_new_time_and_lives_as_long(store: Store) -> None:
    told = promise(store, rest=HELD, not_after=EVENING + timedelta(hours=2))
    night = EVENING + timedelta(hours=3)
    move = partial(releasing.reschedule, update_id=told.update_id, at=night, now=NOON, actor="Kim")
    assert store.write(move).result()
    assert claim(store, EVENING) == ()
    assert release(store, told.update_id) == "moved to another time"
    (delivery,) = store.read(partial(outcomes.of_update, update_id=told.update_id))
    assert delivery.not_after == night + timedelta(hours=2)
    assert whats(store, night) == ["release"]
    assert release(store, told.update_id, night) == "released 1.1"
    assert not store.write(move).result()


def test_an_update_that_is_taken_back_goes_nowhere(store: Store) -> None:
    told = promise(store, rest=HELD)
    cancel = partial(releasing.cancel, update_id=told.update_id, now=NOON, actor="Kim")
    assert [store.write(cancel).result() for _ in range(2)] == [True, False]
    assert claim(store, EVENING) == ()
    assert release(store, told.update_id) == "cancelled"
    (delivery,) = store.read(partial(outcomes.of_update, update_id=told.update_id))
    assert (delivery.state, delivery.detail) == (State.WITHDRAWN, "cancelled by Kim")
    assert store.read(incidents.scheduled) == []
    incident = store.read(partial(incidents.load, incident_id=told.incident_id))
    assert incident is not None
    assert incident.closed_at == NOON


def test_an_update_whose_time_has_passed_is_never_released(store: Store) -> None:
    told = promise(store, rest=HELD, not_after=EVENING)
    assert release(store, told.update_id) == "too late: its time had passed"
    assert store.read(incidents.scheduled) == []


# ------------------------------------------------------------------------------------------------------ once a day
TOMORROW = SOON + timedelta(days=1)


def daily(
    store: Store, *times: datetime, now: datetime = NOON, apart: tuple[int, ...] = ()
) -> None:
    planned = partial(dues.plan_daily, incident_id=0, times=times, now=now, apart=apart)
    store.write(planned).result()


def test_what_is_done_once_a_day_is_planned_once_however_often_it_is_asked_for(
    store: Store,
) -> None:
    daily(store, SOON, TOMORROW)
    daily(store, SOON, TOMORROW)
    (due,) = claim(store, SOON)
    assert (due.what, due.due_at, len(due.ids)) == ("readiness", SOON, 1)
    daily(store, TOMORROW, now=SOON)  # a daemon that starts in the middle of it
    daily(store, TOMORROW, now=SOON, apart=due.ids)
    settle(store, due)
    assert claim(store, SOON) == ()
    (due,) = claim(store, TOMORROW)
    assert len(due.ids) == 1


def test_a_clock_that_is_set_back_does_not_bring_it_again(store: Store) -> None:
    daily(store, TOMORROW)
    daily(store, SOON, TOMORROW)
    assert claim(store, SOON) == ()
    assert whats(store, TOMORROW) == ["readiness"]


def test_it_moves_with_the_configuration_and_goes_with_it(store: Store) -> None:
    daily(store, SOON, TOMORROW)
    daily(store, LATE, LATE + timedelta(days=1))
    assert claim(store, SOON) == ()
    daily(store)
    assert store.read(dues.next_due_at) is None


def test_two_nodes_that_planned_it_at_the_same_moment_do_it_once(store: Store) -> None:
    twice = partial(dues.plan, incident_id=0, update_id=None, times={"readiness": SOON}, held=False)
    store.write(twice).result()
    store.write(twice).result()
    (due,) = claim(store, SOON)
    assert len(due.ids) == 2


def test_only_one_node_does_it(store: Store) -> None:
    daily(store, SOON, TOMORROW)
    with under_way(store, partial(dues.claim, now=SOON)) as mine:
        assert claim(store, SOON) == ()
    assert [due.what for due in mine.result(10)] == ["readiness"]
