"""What waits on a channel goes over to another one whole, once, with the texts that were written for that one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Connection, select, update as sql_update

from broadcaster.domain.delivery import Shape, State, Variant
from broadcaster.domain.incident import Kind
from broadcaster.store import (
    Rank,
    Store,
    audit,
    channels,
    claiming,
    expanding,
    finishing,
    letters,
    moving,
    releasing,
    rerouting,
    tables as t,
    tallying,
)
from broadcaster.store.accepting import accept, incident_name, next_incident_id
from broadcaster.store.claiming import Claim
from broadcaster.store.intents import Accepted, NewAudience, NewDelivery
from broadcaster.store.rerouting import NotRendered
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
NOW = LATER - timedelta(minutes=10)
SPARE = post("spare", 2)
MEDIA = {
    "hook": "webhook",
    "spare": "webhook",
    "sms": "sms_http",
    "sms2": "sms_http",
    "mail": "smtp",
}


def telling(
    *planned: NewDelivery,
    spare: Sequence[NewDelivery] = (SPARE,),
    after: Accepted | None = None,
    rest: dict[str, Any] | None = None,
    **said: Any,
) -> Callable[[Connection], Accepted]:
    """The write that accepts an update which goes out by `planned`, with texts for `spare` as well."""

    def work(connection: Connection) -> Accepted:
        incident_id = after.incident_id if after else next_incident_id(connection)
        number = after.number + 1 if after else 1
        staff = bool((rest or {}).get("staff_log"))
        update = an_update(incident_name(incident_id, staff), number, now=NOW, **said)
        texts = messages_for(update, (*planned, *spare))
        more = {"incident_id": incident_id if after else None, "messages": texts} | (rest or {})
        return accept(connection, an_acceptance(update, *planned, **more), NOW)

    return work


def tell(store: Store, *planned: NewDelivery, **how: Any) -> Accepted:
    return store.write(telling(*planned, **how), Rank.ACCEPT).result()


def rerouting_to(target: str, shape: Shape = Shape.POST, channel: str = "hook") -> Any:
    """The write that hands over."""
    hand_over = partial(rerouting.reroute, channel=channel, target=target, shape=shape)
    return partial(hand_over, media=MEDIA, now=LATER, actor="Kim")


def reroute(store: Store, target: str = "spare", **how: Any) -> int:
    handed: int = store.write(rerouting_to(target, **how)).result()
    return handed


def claim(store: Store, channel: str, limit: int = 9) -> tuple[Claim, ...]:
    take = partial(claiming.claim, channel=channel, node="norr", now=LATER, limit=limit)
    return store.write(take).result()


def deliveries(store: Store) -> list[tuple[str, str]]:
    query = select(t.delivery.c.channel, t.delivery.c.state).order_by(t.delivery.c.id)
    return [(row.channel, row.state) for row in store.read(lambda c: c.execute(query).all())]


def rows(store: Store, channel: str) -> list[Any]:
    query = select(t.delivery).where(t.delivery.c.channel == channel).order_by(t.delivery.c.id)
    return list(store.read(lambda c: c.execute(query).all()))


def bring_to(store: Store, delivery_id: int, *states: State) -> None:
    for state in states:
        end = partial(moving.end, delivery_id=delivery_id, state=state, now=NOW, detail="")
        assert store.write(end).result()


# ----------------------------------------------------------------------------------------------------------- posts
def test_what_waits_goes_over_with_the_texts_written_for_the_other_channel(store: Store) -> None:
    tell(store, post("hook"))
    assert reroute(store) == 1
    assert deliveries(store) == [("hook", "withdrawn"), ("spare", "waiting")]
    assert claim(store, "hook") == ()
    (claimed,) = claim(store, "spare")
    assert [step.message.body for step in claimed.steps] == [
        *("A1-1 news 0 spare", "A1-1 news 1 spare"),
    ]
    assert len({step.message.key for step in claimed.steps}) == 2


def test_the_duty_stays_the_same_and_both_sides_say_what_became_of_it(store: Store) -> None:
    tell(store, post("hook", life_safety=True), kind=Kind.CORRECTION, corrects=1)
    reroute(store)
    (here,), (there,) = rows(store, "hook"), rows(store, "spare")
    kept = ("update_id", "incident_id", "number", "priority", "life_safety", "not_after")
    assert [getattr(there, name) for name in kept] == [getattr(here, name) for name in kept]
    assert (here.detail, here.ended_at) == ("taken over by spare", LATER)
    assert (there.detail, there.due_at, there.attempts) == ("in place of hook", LATER, 0)
    (noted,) = (row for row in store.read(audit.listing) if row.act == "reroute channel")
    assert (noted.actor, noted.subject, noted.detail) == (
        *("Kim", "hook", {"to": "spare", "deliveries": 1}),
    )


def test_the_whole_queue_goes_over_in_its_order(store: Store) -> None:
    first = tell(store, post("hook"))
    tell(store, post("hook"))
    tell(store, post("hook"), after=first, kind=Kind.HOLDING)
    assert reroute(store) == len(rows(store, "hook"))
    names = []
    while claimed := claim(store, "spare", limit=1):
        names.append(f"{claimed[0].incident}-{claimed[0].number}")
        bring_to(store, claimed[0].id, State.ACCEPTED)
    assert names.index("A1-1") < names.index("A1-2")
    assert sorted(names) == ["A1-1", "A1-2", "A2-1"]


def test_what_is_under_way_or_ended_stays_where_it_is(store: Store) -> None:
    for _ in range(3):
        tell(store, post("hook"))
    claim(store, "hook", limit=2)
    bring_to(store, rows(store, "hook")[0].id, State.ACCEPTED)
    assert reroute(store) == 1
    assert deliveries(store) == [
        *(("hook", "accepted"), ("hook", "sending"), ("hook", "withdrawn"), ("spare", "waiting")),
    ]


def test_nothing_goes_over_when_one_text_is_lacking_and_every_one_of_them_is_named(
    store: Store,
) -> None:
    tell(store, post("hook"))
    tell(store, post("hook"), spare=())
    tell(store, post("hook"), spare=(), rest={"staff_log": True}, audience="staff")
    with pytest.raises(NotRendered) as refused:
        reroute(store)
    assert refused.value.names == ("A2-1", "S0-1")
    assert deliveries(store) == [("hook", "waiting")] * 3


def test_what_the_other_channel_carries_is_not_sent_by_it_twice(store: Store) -> None:
    tell(store, post("hook"), SPARE)
    assert reroute(store) == 1
    assert deliveries(store) == [("hook", "withdrawn"), ("spare", "waiting")]


def test_what_was_handed_over_can_be_handed_back(store: Store) -> None:
    tell(store, post("hook"))
    reroute(store)
    assert reroute(store, "hook", channel="spare") == 1
    assert [state for _, state in deliveries(store)] == ["withdrawn", "withdrawn", "waiting"]
    assert [one.number for one in claim(store, "hook")] == [1]


def test_what_was_posted_and_taken_away_there_is_not_posted_again(store: Store) -> None:
    tell(store, post("hook"), SPARE)
    (claimed,) = claim(store, "spare")
    bring_to(store, claimed.id, State.ACCEPTED, State.WITHDRAWN)
    assert reroute(store) == 1
    assert len(rows(store, "spare")) == 1


def test_what_waits_for_its_time_stays_where_it_will_go_out(store: Store) -> None:
    held = {"hold": "scheduled", "release_at": LATER}
    told = tell(store, post("hook"), rest=held)
    tell(store, post("hook"))
    assert store.read(channels.queued) == {"hook": 1}
    assert store.read(channels.waiting) == {"hook": ("A2-1",)}
    assert reroute(store) == 1
    drop = partial(channels.drop, channel="hook", now=LATER, actor="Kim")
    assert store.write(drop).result() == 0
    store.write(partial(releasing.release, update_id=told.update_id, now=LATER)).result()
    assert [(one.incident, one.number) for one in claim(store, "hook")] == [("A1", 1)]


def test_a_channel_on_which_nothing_waits_hands_over_nothing(store: Store) -> None:
    tell(store, post("mastodon"))
    assert reroute(store) == 0
    assert deliveries(store) == [("mastodon", "waiting")]


# --------------------------------------------------------------------------------------------------------- letters
def expand(store: Store, channel: str) -> None:
    (claimed,) = claim(store, channel, limit=1)
    step = partial(expanding.expand, delivery_id=claimed.id, lease_token=claimed.lease_token)
    assert store.write(partial(step, now=NOW)).result()


def written_to(store: Store, channel: str) -> list[int]:
    """Whom the jobs of a channel write to."""
    query = (
        select(t.job.c.subscribers)
        .join(t.delivery, t.delivery.c.id == t.job.c.delivery_id)
        .where(t.delivery.c.channel == channel)
        .order_by(t.job.c.id)
    )
    return [key for job in store.read(lambda c: list(c.scalars(query))) for key in job]


def test_a_channel_of_the_same_kind_writes_to_the_same_people(store: Store) -> None:
    ours = subscribe(store, "sms", ["+46701740605", "+46701740606"])
    subscribe(store, "sms2", ["+46701740607"])
    tell(store, letters_by("sms"), spare=[letters_by("sms2")])
    assert reroute(store, "sms2", shape=Shape.LETTER, channel="sms") == 1
    expand(store, "sms2")
    assert written_to(store, "sms2") == ours


def test_a_channel_of_another_kind_writes_to_its_own_people_there(store: Store) -> None:
    subscribe(store, "sms", ["+46701740605"])
    theirs = subscribe(store, "mail", ["kim@example.org"])
    subscribe(store, "mail", ["alex@example.org"], areas=("södra-ekbyn",))
    tell(store, letters_by("sms"), spare=[letters_by("mail")])
    assert reroute(store, "mail", shape=Shape.LETTER, channel="sms") == 1
    expand(store, "mail")
    assert written_to(store, "mail") == theirs


def send_the_first_and_break_off(store: Store) -> None:
    """One letter of the blast by "sms" is accepted; then its delivery waits again."""
    expand(store, "sms")

    def break_off(connection: Connection) -> None:
        job = letters.claim_job(connection, "sms", "norr", LATER, "first")
        assert job is not None
        outcome = [LetterRow(job.id, 0, job.delivery_id, job.subscribers[0], "accepted")]
        tallying.flush_rows(connection, outcome, "first", LATER)
        assert moving.move(connection, job.delivery_id, State.WAITING)

    store.write(break_off).result()


def end_what_was_begun(store: Store) -> None:
    """As the lane, or the sweep for a channel that is gone, does when the letters on their way are accounted for."""

    def end(connection: Connection) -> None:
        connection.execute(sql_update(t.job).values(lease_until=None))
        assert finishing.finish(connection, "sms", NOW)

    store.write(end).result()


def test_who_had_his_letter_before_the_channel_broke_gets_no_second(store: Store) -> None:
    had, lacks = subscribe(store, "sms", ["+46701740605", "+46701740606"])
    tell(store, letters_by("sms"), spare=[letters_by("sms2")])
    send_the_first_and_break_off(store)
    assert reroute(store, "sms2", shape=Shape.LETTER, channel="sms") == 1
    assert claim(store, "sms2") == ()  # whom it writes to is known when the first has ended
    end_what_was_begun(store)
    expand(store, "sms2")
    assert had not in written_to(store, "sms2")
    assert written_to(store, "sms2") == [lacks]


def test_who_had_his_letter_gets_no_second_when_it_comes_back_by_another_kind(store: Store) -> None:
    had, lacks = subscribe(store, "sms", ["+46701740605", "+46701740606"])
    tell(store, letters_by("sms"), spare=[letters_by("mail")])
    send_the_first_and_break_off(store)
    assert reroute(store, "mail", shape=Shape.LETTER, channel="sms") == 1
    assert reroute(store, "sms", shape=Shape.LETTER, channel="mail") == 1
    assert claim(store, "sms") == ()
    end_what_was_begun(store)
    expand(store, "sms")
    assert written_to(store, "sms") == [had, lacks, lacks]


def test_a_correction_keeps_its_groups_when_another_channel_sends_it(store: Store) -> None:
    correct_by_sms(store)
    reroute(store, "sms2", shape=Shape.LETTER, channel="sms")
    (there,) = rows(store, "sms2")
    query = select(t.audience).where(t.audience.c.delivery_id == there.id).order_by(t.audience.c.id)
    copied = store.read(lambda c: c.execute(query).all())
    assert [(row.variant, row.areas, row.had, row.had_not) for row in copied] == [
        ("correction", None, [1], [2]),
        ("news", ["norra-ekbyn"], [], [1, 2]),
    ]


def test_a_correction_by_another_kind_of_channel_is_news_to_those_who_had_no_wrong_text_there(
    store: Store,
) -> None:
    (theirs,) = subscribe(store, "mail", ["kim@example.org"])
    subscribe(store, "mail", ["alex@example.org"], areas=("södra-ekbyn",))
    correct_by_sms(store)
    assert reroute(store, "mail", shape=Shape.LETTER, channel="sms") == 1
    expand(store, "mail")
    jobs = store.read(lambda c: c.execute(select(t.job.c.variant, t.job.c.subscribers)).all())
    assert [tuple(job) for job in jobs] == [("news", [theirs])]


def test_a_post_that_is_handed_to_letters_of_another_channel_reaches_whom_that_one_is_for(
    store: Store,
) -> None:
    (theirs,) = subscribe(store, "mail", ["kim@example.org"])
    subscribe(store, "mail", ["alex@example.org"], areas=("södra-ekbyn",))
    tell(store, post("hook"), letters_by("sms"), spare=[letters_by("mail")])
    assert reroute(store, "mail", shape=Shape.LETTER, channel="hook") == 1
    expand(store, "mail")
    assert written_to(store, "mail") == [theirs]


def correct_by_sms(store: Store) -> None:
    """A report that went by "sms", and its correction that waits there; both are rendered for all letter channels."""
    groups = (
        NewAudience(variant=Variant.CORRECTION, areas=None, had=(1,)),
        NewAudience(variant=Variant.NEWS, areas=("norra-ekbyn",), had_not=(1,)),
    )
    first = tell(store, letters_by("sms"))
    spare = [letters_by("sms2", *groups), letters_by("mail", *groups)]
    how: dict[str, Any] = {"kind": Kind.CORRECTION, "corrects": 1}
    tell(store, letters_by("sms", *groups), spare=spare, after=first, **how)


def test_the_corrected_are_written_to_before_the_rest_wherever_the_database_keeps_their_row(
    store: Store,
) -> None:
    correct_by_sms(store)
    behind_the_others(store, Variant.CORRECTION)
    reroute(store, "sms2", shape=Shape.LETTER, channel="sms")
    (there,) = rows(store, "sms2")
    query = select(t.audience.c.variant).where(t.audience.c.delivery_id == there.id)
    copied = store.read(lambda c: list(c.scalars(query.order_by(t.audience.c.id))))
    assert copied == ["correction", "news"]


def behind_the_others(store: Store, variant: Variant) -> None:
    """Bring the row of a group, and its place in the index, behind those that came after it (on PostgreSQL)."""
    there_and_back = [row.id for row in rows(store, "sms")]
    group = sql_update(t.audience).where(t.audience.c.variant == variant)

    def work(connection: Connection) -> None:
        for delivery_id in there_and_back:
            connection.execute(group.values(delivery_id=delivery_id))

    store.write(work).result()


# ------------------------------------------------------------------------------------------------ the queue given up
def test_a_removed_channel_shows_what_waits_on_it_until_it_is_given_up(store: Store) -> None:
    tell(store, post("gone"), post("hook"))
    tell(store, post("gone"))
    claim(store, "gone", limit=1)
    assert store.read(channels.queued) == {"gone": 2, "hook": 1}
    drop = partial(channels.drop, channel="gone", now=LATER, actor="Kim")
    assert [store.write(drop).result() for _ in range(2)] == [1, 0]
    assert store.read(channels.queued) == {"gone": 1, "hook": 1}
    assert sorted(deliveries(store)) == [
        *(("gone", "sending"), ("gone", "withdrawn"), ("hook", "waiting")),
    ]
    acts = [(row.act, row.detail) for row in store.read(audit.listing) if "drop" in row.act]
    assert acts == [("drop channel queue", {"deliveries": count}) for count in (1, 0)]


# ------------------------------------------------------------------------------------------------ two writers at once
def test_what_is_claimed_while_it_is_handed_over_goes_out_once(store: Store) -> None:
    tell(store, post("hook"))
    tell(store, post("hook"))
    take = partial(claiming.claim, channel="hook", node="norr", now=LATER, limit=1)
    with under_way(store, take) as taken:
        handed = store.write(rerouting_to("spare"))
        wait_until_held_up(store, handed)
    (claimed,) = taken.result(10)
    assert handed.result(10) == 1
    (there,) = rows(store, "spare")
    assert {there.update_id, claimed.update_id} == {1, 2}


def test_what_is_being_handed_over_is_not_claimed(store: Store) -> None:
    tell(store, post("hook"))
    with under_way(store, rerouting_to("spare")):
        assert claim(store, "hook") == ()
    assert [one.channel for one in claim(store, "spare")] == ["spare"]


def test_two_operators_who_hand_over_at_once_hand_it_over_once(store: Store) -> None:
    tell(store, post("hook"))
    with under_way(store, rerouting_to("spare")):
        second = store.write(rerouting_to("spare"))
        wait_until_held_up(store, second)
    assert second.result(10) == 0
    assert deliveries(store) == [("hook", "withdrawn"), ("spare", "waiting")]


def test_what_is_retracted_while_it_is_handed_over_goes_nowhere(store: Store) -> None:
    told = tell(store, post("hook"))
    with under_way(store, rerouting_to("spare")):
        retraction = telling(after=told, kind=Kind.RETRACTION, corrects=1)
        taken_back = store.write(retraction, Rank.RETRACT)
        wait_until_held_up(store, taken_back)
    taken_back.result(10)
    assert deliveries(store) == [("hook", "withdrawn"), ("spare", "withdrawn")]


def test_what_is_handed_over_while_it_is_retracted_goes_nowhere(store: Store) -> None:
    told = tell(store, post("hook"))
    with under_way(store, telling(after=told, kind=Kind.RETRACTION, corrects=1)):
        handed = store.write(rerouting_to("spare"))
        wait_until_held_up(store, handed)
    assert handed.result(10) == 0
    assert deliveries(store) == [("hook", "withdrawn")]
