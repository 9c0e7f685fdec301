"""When an update was out is written down once, from what its deliveries say, on either database."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial
from threading import Barrier, Thread
from typing import Any

import pytest
from sqlalchemy import select, update as sql_update

from broadcaster.domain.delivery import State
from broadcaster.domain.incident import Audience, Kind
from broadcaster.domain.redundancy import Quorum
from broadcaster.store import Store, outcomes, quorums, tables as t
from broadcaster.store.intents import Accepted, NewDelivery
from broadcaster.testing.builders import KEY, board, letters, post, tell as tell_at
from broadcaster.testing.clock import NOON

HERE, NET = frozenset({"ekbyn.example"}), frozenset({"social.example"})
PHONES = frozenset({"mobile-net"})
WANTED = Quorum(2, 300.0, {"page": HERE, "feed": HERE, "mastodon": NET, "sms": PHONES})
SECOND = timedelta(seconds=1)
PLANNED = (board("page"), board("feed"), post("mastodon"), letters("sms"))


def tell(
    store: Store, *planned: NewDelivery, quorum: Quorum | None = WANTED, **said: Any
) -> Accepted:
    return tell_at(store, *(planned or PLANNED), rest={"quorum": quorum}, **said)


def came(store: Store, told: Accepted, channel: str, at: datetime | None, **values: Any) -> None:
    """A delivery stands as when its channel accepted it then."""
    state = {} if at is None else {"state": State.ACCEPTED, "accepted_at": at, "total": 1}
    mine = sql_update(t.delivery).where(
        t.delivery.c.update_id == told.update_id, t.delivery.c.channel == channel
    )
    store.write(lambda c: c.execute(mine.values(**(state | values))).close()).result()


def note(store: Store, now: datetime = NOON) -> list[str]:
    """Look and write down, as the engine does each second; names what was not known before."""
    found = store.read(lambda c: quorums.look(c, now))
    noted = store.write(lambda c: quorums.note(c, found)).result()
    return [f"A{one.incident_id}-{one.number}" for one in noted]


def out(store: Store, told: Accepted) -> tuple[datetime | None, int | None, int | None]:
    columns = (t.update.c.out_at, t.update.c.out_channels, t.update.c.out_ways)
    row = store.read(
        lambda c: c.execute(select(*columns).where(t.update.c.id == told.update_id)).one()
    )
    return row.out_at, row.out_channels, row.out_ways


def overdue(store: Store, **later: float) -> list[str]:
    found = store.read(lambda c: quorums.overdue(c, NOON + timedelta(**later)))
    return [f"A{one.incident_id}-{one.number}" for one in found]


def test_an_update_is_out_when_its_second_independent_channel_accepted_it(store: Store) -> None:
    told = tell(store)
    came(store, told, "page", NOON + SECOND)
    came(store, told, "feed", NOON + 2 * SECOND)
    assert note(store) == []
    came(store, told, "mastodon", NOON + 3 * SECOND)
    assert note(store) == ["A1-1"]
    assert out(store, told) == (NOON + 3 * SECOND, 3, 2)


def test_a_look_that_comes_hours_late_writes_down_the_same(store: Store) -> None:
    told = tell(store)
    for channel, after in (("sms", 9), ("page", 1), ("mastodon", 4), ("feed", 2)):
        came(store, told, channel, NOON + after * SECOND)
    assert note(store, NOON + timedelta(hours=2)) == ["A1-1"]
    assert out(store, told) == (NOON + 4 * SECOND, 3, 2)


def test_what_becomes_of_deliveries_later_changes_nothing(store: Store) -> None:
    told = tell(store)
    came(store, told, "page", NOON + SECOND)
    came(store, told, "sms", NOON + 5 * SECOND)
    note(store)
    came(store, told, "sms", NOON + 60 * SECOND)  # sent again
    came(store, told, "page", None, state=State.WITHDRAWN)
    assert note(store) == []
    assert out(store, told) == (NOON + 5 * SECOND, 2, 2)


def test_of_several_nodes_that_look_at_once_one_writes_it_down(
    store: Store, store_url: str
) -> None:
    told = tell(store)
    came(store, told, "page", NOON + SECOND)
    came(store, told, "sms", NOON + SECOND)
    both, noted = Barrier(2), list[str]()
    found = store.read(lambda c: quorums.look(c, NOON))

    def look() -> None:
        both.wait(30)
        for one in store.write(lambda c: quorums.note(c, found)).result():
            noted.append(f"A{one.incident_id}-{one.number}")

    nodes = [Thread(target=look) for _ in range(2)]
    for node in nodes:
        node.start()
    for node in nodes:
        node.join(60)
    assert noted == ["A1-1"]


def test_it_survives_a_restart_with_another_configuration(store: Store, store_url: str) -> None:
    told = tell(store)
    came(store, told, "page", NOON + SECOND)
    store.close()
    again = Store(store_url, KEY)
    try:
        came(again, told, "mastodon", NOON + 2 * SECOND)
        assert note(again) == ["A1-1"]  # by what was kept with it: nothing else is asked
        assert out(again, told) == (NOON + 2 * SECOND, 2, 2)
    finally:
        again.close()


def test_what_failed_after_all_and_what_goes_to_nobody_does_not_count(store: Store) -> None:
    told = tell(store)
    came(store, told, "page", NOON + SECOND)
    came(store, told, "mastodon", NOON + SECOND, state=State.FAILED)
    came(store, told, "sms", NOON + SECOND, state=State.BOUNCED)
    assert note(store) == []
    came(store, told, "mastodon", None, accepted_at=None)
    came(store, told, "sms", NOON + 2 * SECOND, total=0, expanded=True)
    assert note(store) == []  # one way is missing still, that of Mastodon
    came(store, told, "mastodon", NOON + 9 * SECOND)
    assert note(store) == ["A1-1"]


def test_where_nothing_is_counted_nothing_is_written_down(store: Store) -> None:
    told = tell(store, quorum=None)
    for channel in WANTED.domains:
        came(store, told, channel, NOON)
    assert note(store) == []
    assert out(store, told) == (None, None, None)
    assert overdue(store, hours=1) == []


def test_more_updates_than_fit_into_one_look_are_seen_one_look_after_the_other(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quorums, "MOST", 2)
    for hours in (2, 3, 4):
        tell(store, board("page"), not_after=NOON + timedelta(hours=hours))
    first = store.read(lambda c: quorums.look(c, NOON))
    rest = store.read(lambda c: quorums.look(c, NOON, first[-1]))
    assert [one.incident_id for one in (*first, *rest)] == [1, 2, 3]


def test_of_many_that_end_at_the_same_moment_none_is_passed_over(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quorums, "MOST", 2)
    for _ in range(5):
        tell(store, board("page"), not_after=NOON + timedelta(hours=2))
    seen: list[int] = []
    found = store.read(lambda c: quorums.look(c, NOON))
    while found:
        seen += [one.incident_id for one in found]
        found = store.read(partial(quorums.look, now=NOON, after=found[-1]))
    assert seen == [1, 2, 3, 4, 5]


def test_what_is_sent_again_long_after_its_time_is_out_when_it_is_taken(store: Store) -> None:
    told = tell(store)
    came(store, told, "page", NOON + SECOND)
    came(store, told, "sms", None, state=State.FAILED, total=1, failed=1)
    later = NOON + timedelta(hours=9)
    mine = select(t.delivery.c.id).where(t.delivery.c.channel == "sms")
    delivery = store.read(lambda c: c.scalars(mine).one())
    until = later + timedelta(hours=2)
    assert store.write(lambda c: outcomes.resend(c, delivery, later, until, "Eva")).result()
    assert note(store, later) == []
    came(store, told, "sms", later + SECOND)
    assert note(store, later + SECOND) == ["A1-1"]
    assert out(store, told) == (later + SECOND, 2, 2)


# ----------------------------------------------------------------------------------------------------------- too late
def test_what_is_not_out_in_time_is_told_until_it_is(store: Store) -> None:
    told = tell(store)
    came(store, told, "page", NOON + SECOND)
    assert overdue(store, minutes=5) == []
    assert overdue(store, minutes=5, seconds=1) == ["A1-1"]
    came(store, told, "sms", NOON + timedelta(minutes=6))
    assert overdue(store, minutes=6) == []
    note(store)
    assert overdue(store, minutes=6) == []


def test_it_is_told_no_longer_than_the_update_may_leave(store: Store) -> None:
    tell(store)
    assert overdue(store, minutes=119) == ["A1-1"]
    assert overdue(store, minutes=121) == []


def test_a_later_update_that_is_out_as_widely_ends_it_and_one_that_is_not_does_not(
    store: Store,
) -> None:
    first = tell(store)
    quiet = tell(store, board("page"), after=first)
    came(store, quiet, "page", NOON + SECOND)
    note(store)
    assert out(store, quiet) == (NOON + SECOND, 1, 1)
    assert overdue(store, minutes=6) == ["A1-1"]  # no phone has had a word
    third = tell(store, after=quiet)
    came(store, third, "page", NOON + SECOND)
    assert overdue(store, minutes=6) == ["A1-1", "A1-3"]  # however often something is said anew
    came(store, third, "sms", NOON + SECOND)
    note(store)
    assert overdue(store, minutes=6) == []


def test_what_is_corrected_is_waited_for_no_more_and_its_correction_is(store: Store) -> None:
    first = tell(store)
    tell(store, after=first, kind=Kind.CORRECTION, corrects=1)
    assert overdue(store, minutes=6) == ["A1-2"]


def test_what_only_staff_are_told_strikes_nothing(store: Store) -> None:
    first = tell(store)
    staff = {"kind": Kind.CORRECTION, "corrects": 1, "audience": Audience.STAFF}
    tell(store, post("duty"), after=first, quorum=None, **staff)
    assert overdue(store, minutes=6) == ["A1-1"]


def test_what_waits_for_its_time_is_not_late(store: Store) -> None:
    held = {"quorum": WANTED, "hold": "scheduled", "release_at": NOON + timedelta(hours=1)}
    tell_at(store, *PLANNED, rest=held)
    assert overdue(store, minutes=30) == []
