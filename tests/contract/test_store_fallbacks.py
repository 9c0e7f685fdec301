"""A fallback takes over what the first channel could not bring, with its own texts, once, and never what no longer holds."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Connection, select, update as sql_update

from broadcaster.domain.delivery import Shape, State
from broadcaster.domain.incident import Kind
from broadcaster.store import (
    Rank,
    Store,
    claiming,
    expanding,
    fallbacks,
    finishing,
    letters,
    tables as t,
)
from broadcaster.store.accepting import accept, incident_name, next_incident_id
from broadcaster.store.intents import Accepted, NewDelivery
from broadcaster.store.letters import LetterRow
from broadcaster.testing.builders import (
    an_acceptance,
    an_update,
    letters as letters_by,
    messages_for,
    post,
    subscribe,
)
from broadcaster.testing.meanwhile import under_way, wait_until_held_up

LATER = datetime.now(UTC)  # what is due follows the clock of PostgreSQL, which no test can set
NOW = LATER - timedelta(minutes=1)
SHAPES = {"hook": Shape.POST, "spare": Shape.POST, "sms": Shape.LETTER, "sms2": Shape.LETTER}
KINDS = {"hook": "webhook", "spare": "webhook", "sms": "sms_http", "sms2": "sms_http"}
SICK = {"hook": "its breaker is open", "sms": "its breaker is open"}


def telling(
    *planned: NewDelivery, after: Accepted | None = None, **said: Any
) -> Callable[[Connection], Accepted]:
    """The write that accepts an update with texts for its channels and for those that may stand in."""

    def work(connection: Connection) -> Accepted:
        incident_id = after.incident_id if after else next_incident_id(connection)
        number = after.number + 1 if after else 1
        update = an_update(incident_name(incident_id, staff=False), number, now=NOW, **said)
        texts = messages_for(update, (*planned, post("spare", 2), letters_by("sms2")))
        acceptance = an_acceptance(
            update, *planned, incident_id=after.incident_id if after else None, messages=texts
        )
        return accept(connection, acceptance, NOW)

    return work


def tell(store: Store, *planned: NewDelivery, **how: Any) -> Accepted:
    return store.write(telling(*planned, **how), Rank.ACCEPT).result()


def hook(**how: Any) -> NewDelivery:
    return dataclasses.replace(post("hook", **how), fallback=("nix", "spare"))


def starting(sick: dict[str, str] | None = None) -> Callable[[Connection], list[tuple[str, str]]]:
    """The write of the sweep."""
    return partial(
        fallbacks.start,
        sick=SICK if sick is None else sick,
        shapes=SHAPES,
        kinds=KINDS,
        now=LATER,
    )


def start(store: Store, sick: dict[str, str] | None = None) -> list[tuple[str, str]]:
    return store.write(starting(sick)).result()


def change(store: Store, **values: Any) -> None:
    """Put every delivery where a test needs it."""
    store.write(lambda c: c.execute(sql_update(t.delivery).values(**values)).close()).result()


def deliveries(store: Store) -> list[tuple[str, str]]:
    query = select(t.delivery.c.channel, t.delivery.c.state).order_by(t.delivery.c.id)
    return [(row.channel, row.state) for row in store.read(lambda c: c.execute(query).all())]


def claim(store: Store, channel: str) -> tuple[claiming.Claim, ...]:
    take = partial(claiming.claim, channel=channel, node="norr", now=LATER, limit=9)
    return store.write(take).result()


def test_what_waits_on_a_sick_channel_goes_out_by_the_next_that_is_there(store: Store) -> None:
    tell(store, hook(life_safety=True))
    assert start(store, sick={}) == []
    assert start(store) == [("hook", "spare")]
    assert deliveries(store) == [("hook", "withdrawn"), ("spare", "waiting")]
    (claimed,) = claim(store, "spare")
    assert [step.message.body for step in claimed.steps] == [
        *("A1-1 news 0 spare", "A1-1 news 1 spare"),
    ]
    assert claimed.life_safety
    assert start(store) == []


def test_what_failed_is_taken_over_and_stays_failed_where_it_was(store: Store) -> None:
    tell(store, hook())
    change(store, state=State.FAILED, detail="refused")
    assert start(store, sick={}) == [("hook", "spare")]
    assert deliveries(store) == [("hook", "failed"), ("spare", "waiting")]


@pytest.mark.parametrize("life_safety", [True, False])
def test_what_may_have_gone_is_said_again_only_where_life_depends_on_it(
    store: Store, life_safety: bool
) -> None:
    tell(store, hook(life_safety=life_safety))
    change(store, state=State.UNCERTAIN)
    assert bool(start(store)) is life_safety


@pytest.mark.parametrize(
    "values",
    [{"released": False}, {"stopped": True}, {"not_after": LATER}, {"fallback": []}],
    ids=["held", "retracted", "too late", "handed on"],
)
def test_what_must_not_go_out_goes_out_by_no_other_channel(
    store: Store, values: dict[str, Any]
) -> None:
    tell(store, hook())
    change(store, **values)
    assert start(store) == []


def test_a_channel_that_has_the_update_by_its_own_route_does_not_say_it_twice(store: Store) -> None:
    tell(store, hook(), post("spare"))
    assert start(store) == []
    assert deliveries(store) == [("hook", "waiting"), ("spare", "waiting")]


def test_the_letters_that_failed_go_out_by_the_other_gateway_and_no_others(store: Store) -> None:
    ids = subscribe(store, "sms", ["+46701740605", "+46701740606", "+46701740607"])
    tell(store, letters_by("sms", fallback=("sms2",)))
    expand(store, "sms")

    def send(connection: Connection) -> None:
        job = letters.claim_job(connection, "sms", "norr", LATER, "first")
        assert job is not None
        outcomes = zip(job.subscribers, ("accepted", "failed", "uncertain"), strict=True)
        rows = [
            LetterRow(job.id, place, job.delivery_id, *one) for place, one in enumerate(outcomes)
        ]
        letters.flush_rows(connection, rows, "first", LATER)
        letters.end_job(connection, job, None, LATER)
        assert finishing.finish(connection, "sms", LATER)

    store.write(send).result()
    assert start(store, sick={}) == [("sms", "sms2")]
    expand(store, "sms2")
    jobs = store.read(lambda c: list(c.scalars(select(t.job.c.subscribers).order_by(t.job.c.id))))
    assert jobs == [ids, [ids[1]]]


def expand(store: Store, channel: str) -> None:
    (claimed,) = claim(store, channel)
    step = partial(expanding.expand, delivery_id=claimed.id, lease_token=claimed.lease_token)
    assert store.write(partial(step, now=NOW)).result()


def test_two_nodes_that_sweep_at_once_start_one_fallback(store: Store) -> None:
    tell(store, hook())
    with under_way(store, starting()) as mine:
        assert start(store) == []
    assert mine.result(10) == [("hook", "spare")]
    assert len(deliveries(store)) == 2


def test_what_was_retracted_is_taken_over_by_nobody(store: Store) -> None:
    told = tell(store, hook())
    change(store, state=State.FAILED)
    tell(store, after=told, kind=Kind.RETRACTION, corrects=1)
    assert start(store) == []


def test_a_fallback_that_is_started_while_the_text_is_retracted_goes_nowhere(store: Store) -> None:
    told = tell(store, hook())
    with under_way(store, starting()):
        retraction = telling(after=told, kind=Kind.RETRACTION, corrects=1)
        taken_back = store.write(retraction, Rank.RETRACT)
        wait_until_held_up(store, taken_back)
    taken_back.result(10)
    assert deliveries(store) == [("hook", "withdrawn"), ("spare", "withdrawn")]


def test_no_fallback_is_started_while_the_text_is_being_retracted(store: Store) -> None:
    told = tell(store, hook())
    with under_way(store, telling(after=told, kind=Kind.RETRACTION, corrects=1)):
        assert start(store) == []  # waits for nobody
    assert deliveries(store) == [("hook", "withdrawn")]


def test_a_fallback_that_is_started_while_the_next_word_is_accepted_does_not_go_out_after_it(
    store: Store,
) -> None:
    told = tell(store, hook())
    with under_way(store, starting()):
        next_word = store.write(telling(hook(), after=told), Rank.ACCEPT)
        wait_until_held_up(store, next_word)
    next_word.result(10)
    assert deliveries(store) == [
        *(("hook", "withdrawn"), ("spare", "superseded"), ("hook", "waiting")),
    ]


def test_a_sweep_hands_over_the_rest_while_one_incident_is_being_retracted(store: Store) -> None:
    told = tell(store, hook())
    tell(store, hook())
    with under_way(store, telling(after=told, kind=Kind.RETRACTION, corrects=1)):
        assert start(store) == [("hook", "spare")]
    states = [("hook", "withdrawn"), ("hook", "withdrawn"), ("spare", "waiting")]
    assert deliveries(store) == states
