"""A fallback takes over what the first channel could not bring, with its own texts, once, and never what no longer holds."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Connection, select, update as sql_update

from broadcaster.domain.delivery import Shape, State, StepKind, Variant
from broadcaster.domain.incident import Kind
from broadcaster.store import (
    Rank,
    Store,
    audit,
    claiming,
    expanding,
    fallbacks,
    finishing,
    letters,
    tables as t,
    tallying,
)
from broadcaster.store.accepting import accept, incident_name, next_incident_id
from broadcaster.store.intents import Accepted, NewDelivery, NewStep
from broadcaster.store.tallying import LetterRow
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
POSTS, LETTERS = ("hook", "spare", "third"), ("sms", "sms2", "mail")
SHAPES = dict.fromkeys(POSTS, Shape.POST) | dict.fromkeys(LETTERS, Shape.LETTER)
MEDIA = dict.fromkeys(POSTS, "webhook") | dict.fromkeys(LETTERS, "sms_http") | {"mail": "email"}
SICK = {"hook": "its breaker is open", "sms": "its breaker is open"}


def telling(
    *planned: NewDelivery,
    after: Accepted | None = None,
    spare: Sequence[NewDelivery] = (),
    **said: Any,
) -> Callable[[Connection], Accepted]:
    """The write that accepts an update with texts for its channels and for those that may stand in."""

    def work(connection: Connection) -> Accepted:
        incident_id = after.incident_id if after else next_incident_id(connection)
        number = after.number + 1 if after else 1
        update = an_update(incident_name(incident_id, staff=False), number, now=NOW, **said)
        texts = messages_for(update, (*planned, post("spare", 2), letters_by("sms2"), *spare))
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
        media=MEDIA,
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


# ------------------------------------------------------------------------------------------------- one after another
def test_each_that_stands_in_has_the_next_in_line_behind_it(store: Store) -> None:
    tell(store, dataclasses.replace(hook(), fallback=("spare", "third")), spare=[post("third")])
    assert start(store) == [("hook", "spare")]
    assert start(store) == []
    worse = SICK | {"spare": "parked"}
    assert start(store, worse) == [("spare", "third")]
    assert start(store, worse | {"third": "parked"}) == []
    assert deliveries(store) == [
        *(("hook", "withdrawn"), ("spare", "withdrawn"), ("third", "waiting")),
    ]


def test_a_channel_that_is_sick_itself_takes_nothing_over(store: Store) -> None:
    tell(store, hook())
    assert start(store, SICK | {"spare": "parked"}) == []
    assert deliveries(store) == [("hook", "waiting")]


def test_what_stands_in_says_the_news_and_nothing_that_was_for_others(store: Store) -> None:
    place = ("spare", "sv", Variant.AMENDED, 0)
    amended = dataclasses.replace(
        post("spare"), steps=(NewStep(kind=StepKind.POST, message=place),)
    )
    tell(store, hook(), spare=[amended])
    start(store)
    (claimed,) = claim(store, "spare")
    assert [step.message.body for step in claimed.steps] == [
        *("A1-1 news 0 spare", "A1-1 news 1 spare"),
    ]


def test_who_took_over_from_whom_is_on_record(store: Store) -> None:
    tell(store, hook())
    start(store)
    rows = store.read(lambda c: c.execute(select(t.delivery).order_by(t.delivery.c.id)).all())
    assert [row.detail for row in rows] == [
        *("taken over by spare", "in place of hook: its breaker is open"),
    ]
    (noted,) = (row for row in store.read(audit.listing) if row.act == "fallback")
    assert (noted.actor, noted.subject, noted.detail) == ("engine", "1", {"to": "spare"})


# ---------------------------------------------------------------------------------------------------------- letters
def blast(store: Store, *came_to: str, channel: str = "sms", ended: bool = True) -> None:
    """Send letters; those beyond `came_to` were not pulled yet, and then the blast has not ended."""
    expand(store, channel)

    def send(connection: Connection) -> None:
        job = letters.claim_job(connection, channel, "norr", LATER, "first")
        assert job is not None
        outcomes = zip(job.subscribers, came_to, strict=ended)
        rows = [
            LetterRow(job.id, place, job.delivery_id, *one) for place, one in enumerate(outcomes)
        ]
        tallying.flush_rows(connection, rows, "first", LATER)
        if ended:
            letters.end_job(connection, job, None, LATER)
            assert finishing.finish(connection, channel, LATER)

    store.write(send).result()


def expand(store: Store, channel: str) -> None:
    (claimed,) = claim(store, channel)
    step = partial(expanding.expand, delivery_id=claimed.id, lease_token=claimed.lease_token)
    assert store.write(partial(step, now=NOW)).result()


def jobs(store: Store) -> list[list[int]]:
    """Whom each job writes to."""
    query = select(t.job.c.subscribers).order_by(t.job.c.id)
    return store.read(lambda c: list(c.scalars(query)))


def three(store: Store, channel: str = "sms") -> list[int]:
    return subscribe(store, channel, ["+46701740605", "+46701740606", "+46701740607"])


@pytest.mark.parametrize("life_safety", [True, False])
def test_the_letters_that_failed_go_out_by_the_other_gateway_those_in_doubt_where_life_depends_on_it(
    store: Store, life_safety: bool
) -> None:
    ids = three(store)
    tell(store, letters_by("sms", fallback=("sms2",), life_safety=life_safety))
    blast(store, "accepted", "failed", "uncertain")
    assert start(store, sick={}) == [("sms", "sms2")]
    expand(store, "sms2")
    assert jobs(store) == [ids, ids[1:] if life_safety else [ids[1]]]
    assert start(store, sick={}) == []


@pytest.mark.parametrize("life_safety", [True, False])
def test_letters_of_which_some_are_in_doubt_are_said_again_only_where_life_depends_on_it(
    store: Store, life_safety: bool
) -> None:
    three(store)
    tell(store, letters_by("sms", fallback=("sms2",), life_safety=life_safety))
    blast(store, "accepted", "accepted", "uncertain")
    assert bool(start(store, sick={})) is life_safety


def test_letters_that_all_arrived_have_no_fallback(store: Store) -> None:
    three(store)
    tell(store, letters_by("sms", fallback=("sms2",), life_safety=True))
    blast(store, *["accepted"] * 3)
    assert start(store, sick={}) == []


def test_letters_that_fail_by_the_last_gateway_too_go_round_no_more(store: Store) -> None:
    three(store)
    tell(store, letters_by("sms", fallback=("sms2",)))
    blast(store, *["failed"] * 3)
    start(store, sick={})
    blast(store, *["failed"] * 3, channel="sms2")
    assert start(store, sick={}) == []
    assert deliveries(store) == [("sms", "failed"), ("sms2", "failed")]


def test_a_gateway_that_writes_to_its_own_people_still_takes_over_the_letters_of_another(
    store: Store,
) -> None:
    ids, theirs = three(store), subscribe(store, "sms2", ["+46701740608"])
    tell(store, letters_by("sms", fallback=("sms2",)), letters_by("sms2"))
    blast(store, *["accepted"] * 1, channel="sms2")
    blast(store, "accepted", "failed", "accepted")
    assert start(store, sick={}) == [("sms", "sms2")]
    expand(store, "sms2")
    assert jobs(store) == [theirs, ids, [ids[1]]]


def test_a_blast_that_breaks_off_on_a_sick_channel_goes_on_by_the_other_for_those_who_lack_it(
    store: Store,
) -> None:
    ids = three(store)
    tell(store, letters_by("sms", fallback=("sms2",)))
    blast(store, "accepted", ended=False)
    assert start(store, sick={}) == []
    assert start(store) == [("sms", "sms2")]
    query = select(t.delivery.c.stopped).order_by(t.delivery.c.id)
    assert store.read(lambda c: list(c.scalars(query))) == [True, False]
    assert claim(store, "sms2") == ()  # until the first has told who has his letter
    gone = sql_update(t.job).values(lease_until=NOW)
    store.write(lambda c: c.execute(gone).close()).result()
    assert store.write(partial(finishing.finish, channel="sms", now=LATER)).result() == [1]
    expand(store, "sms2")
    assert jobs(store) == [ids, ids[1:]]


def test_a_post_that_is_under_way_on_a_sick_channel_is_not_said_by_another(store: Store) -> None:
    tell(store, hook())
    claim(store, "hook")
    assert start(store) == []
    assert deliveries(store) == [("hook", "sending")]


@pytest.mark.parametrize("first", ["hook", "sms"])
def test_letters_behind_a_post_go_to_their_own_people_whatever_stands_in_between(
    store: Store, first: str
) -> None:
    three(store)
    theirs = subscribe(store, "mail", ["kim@example.org"])
    everyone = letters_by("sms").audiences
    planned = (
        letters_by("sms") if first == "sms" else dataclasses.replace(hook(), audiences=everyone)
    )
    tell(
        store,
        dataclasses.replace(planned, fallback=("spare", "mail")),
        spare=[letters_by("mail")],
    )
    change(store, state=State.FAILED)
    assert start(store) == [(first, "spare")]
    change(store, state=State.FAILED)
    assert start(store) == [("spare", "mail")]
    expand(store, "mail")
    assert jobs(store) == [theirs]


@pytest.mark.parametrize("first", ["hook", "mail"])
def test_a_gateway_that_stands_in_for_a_gateway_writes_to_the_same_numbers_whatever_was_before_both(
    store: Store, first: str
) -> None:
    ids, _ = three(store), subscribe(store, "mail", ["kim@example.org"])
    everyone = letters_by("sms").audiences
    planned = (
        letters_by("mail") if first == "mail" else dataclasses.replace(hook(), audiences=everyone)
    )
    tell(
        store,
        dataclasses.replace(planned, fallback=("sms", "sms2")),
        spare=[letters_by("sms")],
    )
    change(store, state=State.FAILED)
    assert start(store, sick={}) == [(first, "sms")]
    blast(store, "accepted", "failed", "failed")
    assert start(store, sick={}) == [("sms", "sms2")]
    expand(store, "sms2")
    assert jobs(store) == [ids, ids[1:]]


def test_letters_that_stand_in_and_have_nobody_to_write_to_leave_it_to_the_next(
    store: Store,
) -> None:
    tell(
        store,
        dataclasses.replace(
            hook(), audiences=letters_by("sms").audiences, fallback=("sms", "spare")
        ),
        spare=[letters_by("sms")],
    )
    change(store, state=State.FAILED)
    assert start(store, sick={}) == [("hook", "sms")]
    expand(store, "sms")
    assert store.write(partial(finishing.finish, channel="sms", now=LATER)).result()
    assert deliveries(store) == [("hook", "failed"), ("sms", "expired")]
    query = select(t.delivery.c.detail).where(t.delivery.c.channel == "sms")
    assert store.read(lambda c: c.scalar(query)) == "nobody to write to"
    assert start(store, sick={}) == [("sms", "spare")]
    assert start(store, sick={}) == []


def test_a_post_planned_by_the_release_before_has_letters_behind_it_for_its_areas(
    store: Store,
) -> None:
    """That one wrote down nobody for a post: what its update says of areas is there."""
    ids = three(store)
    subscribe(store, "sms", ["+46701740609"], areas=("sodra-ekbyn",))
    tell(
        store,
        dataclasses.replace(hook(), fallback=("sms",)),
        spare=[letters_by("sms")],
        areas=("norra-ekbyn",),
    )
    change(store, state=State.FAILED)
    assert start(store, sick={}) == [("hook", "sms")]
    expand(store, "sms")
    assert jobs(store) == [ids]


# ------------------------------------------------------------------------------------------------ two writers at once
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
