"""Incidents read back: which word stands, what was said twice, what is listed, where a wrong text has been."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

import pytest

from broadcaster.domain.delivery import State
from broadcaster.domain.incident import Audience, Kind
from broadcaster.domain.standing import newest_standing
from broadcaster.store import (
    Connection,
    Store,
    claiming,
    deliveries,
    incidents,
    moving,
    outcomes,
    sent,
    stopping,
)
from broadcaster.store.incidents import IncidentRecord
from broadcaster.store.intents import Accepted
from broadcaster.testing.builders import post, tell
from broadcaster.testing.clock import NOON

STAFF = {"staff_log": True}


def load(store: Store, told: Accepted) -> IncidentRecord:
    found = store.read(partial(incidents.load, incident_id=told.incident_id))
    assert found is not None
    return found


def standing(store: Store, told: Accepted, audience: Audience) -> int | None:
    newest = newest_standing(load(store, told).updates, audience)
    return newest.said.number if newest else None


def test_the_newest_word_stands_until_it_is_taken_back(store: Store) -> None:
    first = tell(store)
    second = tell(store, after=first)
    staff = tell(store, after=second, audience=Audience.STAFF)
    assert (standing(store, first, Audience.STAFF), standing(store, first, Audience.PUBLIC)) == (
        3,
        2,
    )
    tell(store, after=staff, kind=Kind.RETRACTION, corrects=2)
    assert standing(store, first, Audience.PUBLIC) == 1
    struck = load(store, first).numbered(2)
    assert struck is not None
    assert struck.struck_by == 4
    assert load(store, first).numbered(9) is None


@pytest.mark.parametrize("audience", list(Audience))
def test_what_first_took_a_word_back_is_named_also_after_the_clock_was_set_back(
    store: Store, audience: Audience
) -> None:
    first = tell(store, audience=audience)
    second = tell(store, after=first, kind=Kind.CORRECTION, corrects=1, audience=audience)
    earlier = NOON - timedelta(minutes=10)
    all_of_it = {"kind": Kind.RETRACTION, "audience": audience, "areas": ()}
    tell(store, after=second, now=earlier, rest={"corrects_all": True}, **all_of_it)
    words = load(store, first)
    assert [word.struck_by for word in words.updates] == [2, 3, None]


def test_an_incident_that_is_not_there_is_none(store: Store) -> None:
    assert store.read(partial(incidents.load, incident_id=7)) is None
    assert store.read(incidents.staff_log) is None


def test_the_staff_log_is_found_and_listed_nowhere(store: Store) -> None:
    told = tell(store, audience=Audience.STAFF, rest=STAFF)
    public = tell(store)
    found = store.read(incidents.staff_log)
    assert found is not None
    assert (found.id, found.staff) == (told.incident_id, True)
    pages = store.read(partial(incidents.page, before=None, limit=9, only_open=False))
    assert [record.name for record in pages] == [public.name.split("-")[0]]


def test_incidents_are_paged_newest_first_and_open_ones_alone_when_asked_for(store: Store) -> None:
    told = [tell(store) for _ in range(4)]
    tell(store, after=told[3], kind=Kind.RESTORED, areas=())
    page = partial(incidents.page, before=None, limit=2, only_open=False)
    assert [record.id for record in store.read(page)] == [4, 3]
    assert [record.id for record in store.read(partial(page, before=3))] == [2, 1]
    assert [record.id for record in store.read(partial(page, only_open=True))] == [3, 2]
    many = store.read(partial(incidents.load_many, ids=[2, 9, 1]))
    assert [record.id for record in many] == [2, 1]


@pytest.mark.parametrize("taken_back", [False, True])
def test_the_same_report_is_found_until_it_is_retracted(store: Store, taken_back: bool) -> None:
    told = tell(store, rest={"texts_digest": "same"})
    tell(store, rest={"texts_digest": "other"})
    if taken_back:
        tell(store, after=told, kind=Kind.RETRACTION, corrects=1)
    find = partial(incidents.find_same, digest="same")
    minutes = timedelta(minutes=10)
    # Ten minutes later; and by a clock that was set back since.
    assert store.read(partial(find, now=NOON + minutes, within=minutes)) is None
    assert store.read(partial(find, now=NOON - minutes, within=minutes)) is None
    found = store.read(partial(find, now=NOON, within=minutes))
    assert found == (None if taken_back else "A1-1")


def test_a_later_word_that_says_the_whole_situation_overtakes(store: Store) -> None:
    first = tell(store, post("hook"))
    second = tell(store, post("hook"), after=first)
    tell(store, post("hook"), after=second, areas=("södra-ekbyn",))

    def overtaken(connection: Connection, told: Accepted) -> int | None:
        row = outcomes.update_row(connection, told.update_id)
        (delivery,) = outcomes.of_update(connection, told.update_id)
        return stopping.overtaken_by(connection, row, delivery)

    by = [store.read(partial(overtaken, told=told)) for told in (first, second)]
    assert by == [2, None]


def test_a_word_that_does_not_go_by_a_channel_leaves_what_waits_there(store: Store) -> None:
    first = tell(store, post("hook"), post("mastodon"))
    quiet = tell(store, post("mastodon"), after=first)

    def stands(told: Accepted) -> dict[str, tuple[State, int | None]]:
        def look(connection: Connection) -> dict[str, tuple[State, int | None]]:
            row = outcomes.update_row(connection, told.update_id)
            return {
                one.channel: (one.state, stopping.overtaken_by(connection, row, one))
                for one in outcomes.of_update(connection, told.update_id)
            }

        return store.read(look)

    # Whoever follows the hook would hear neither of the two.
    assert stands(first) == {"hook": (State.WAITING, None), "mastodon": (State.SUPERSEDED, 2)}
    tell(store, post("mastodon"), after=quiet, kind=Kind.RESTORED)
    assert stands(first)["hook"] == (
        State.SUPERSEDED,
        3,
    )  # it is over: nobody is to hear that it goes on


# ------------------------------------------------------------------------------------------- where a text has been
def send(store: Store, channel: str) -> None:
    """Claim the head of a channel and have every step of it accepted."""
    take = partial(claiming.claim, channel=channel, node="norr", now=NOON, limit=1)
    (claimed,) = store.write(take).result()
    for step in claimed.steps:
        done = partial(deliveries.end_step, step_id=step.id, outcome="accepted")
        store.write(partial(done, handle=f"h{step.id}")).result()
    end = partial(moving.end, delivery_id=claimed.id, state=State.ACCEPTED, now=NOON, detail="")
    assert store.write(end).result()


def test_a_correction_follows_the_text_to_where_it_was_or_may_have_been(store: Store) -> None:
    told = tell(store, post("mastodon", 2), post("x"), post("hook"))
    send(store, "mastodon")
    take = partial(claiming.claim, channel="x", node="norr", now=NOON, limit=1)
    store.write(take).result()
    where = store.read(partial(sent.of_updates, incident_id=told.incident_id, numbers=[1]))
    assert where.channels == ("mastodon", "x", "hook")
    assert [len(where.posts(name)) for name in where.channels] == [2, 1, 0]
    assert {language for _, language in where.posts("mastodon")} == {"sv"}
    nowhere = store.read(partial(sent.of_updates, incident_id=told.incident_id, numbers=[]))
    assert nowhere.channels == ()


def test_deliveries_are_listed_by_update_and_by_incident_in_the_order_they_were_planned(
    store: Store,
) -> None:
    first = tell(store, post("x"), post("hook"))
    second = tell(store, post("mastodon"), after=first)
    tell(store, post("x"))
    of_update = store.read(partial(outcomes.of_update, update_id=first.update_id))
    assert [row.channel for row in of_update] == ["x", "hook"]
    of_incident = store.read(partial(outcomes.of_incident, incident_id=second.incident_id))
    assert [row.channel for row in of_incident] == ["x", "hook", "mastodon"]
    assert store.read(partial(outcomes.one, delivery_id=of_update[1].id)).channel == "hook"
    assert store.read(partial(outcomes.one, delivery_id=99)) is None
