"""What is remembered of a channel: parked by the far side, paused by a person, probed; armed again by one command."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial

from broadcaster.domain.exchange import Probe, Remaining
from broadcaster.store import Store, audit, channels, claiming, deliveries, outcomes
from broadcaster.testing.builders import post, tell
from broadcaster.testing.meanwhile import under_way, wait_until_held_up

LATER = datetime.now(UTC)  # what is due follows the clock of PostgreSQL, which no test can set
NOW = LATER - timedelta(minutes=10)


def state(store: Store, channel: str = "hook") -> channels.ChannelState:
    return store.read(partial(channels.state, channel=channel))


def park(store: Store, because: str = "its token is refused") -> bool:
    parked = partial(channels.park, channel="hook", now=NOW, because=because)
    return store.write(parked).result()


def resume(store: Store) -> None:
    store.write(partial(channels.resume, channel="hook", now=LATER, actor="Kim")).result()


def probe(store: Store, said: Probe) -> None:
    store.write(partial(channels.record_probe, channel="hook", now=NOW, probe=said)).result()


def test_a_channel_nobody_ever_touched_is_open(store: Store) -> None:
    assert state(store) == channels.ChannelState(channel="hook")
    assert state(store).open
    assert store.read(channels.states) == {}


def test_a_channel_is_parked_once_with_the_sentence_of_the_far_side(store: Store) -> None:
    assert [park(store), park(store, "another reason")] == [True, False]
    found = state(store)
    assert (found.parked_at, found.parked_because, found.open) == (
        *(NOW, "its token is refused", False),
    )
    assert state(store, "sms").open


def test_a_pause_and_a_parking_are_both_ended_by_one_command(store: Store) -> None:
    park(store)
    store.write(partial(channels.pause, channel="hook", now=NOW, actor="Kim")).result()
    assert state(store).paused_at == NOW
    resume(store)
    assert state(store) == channels.ChannelState(channel="hook", resumed_at=LATER)
    noted = [(row.actor, row.act, row.subject) for row in store.read(audit.listing)]
    assert noted == [
        ("engine", "park channel", "hook"),
        ("Kim", "pause channel", "hook"),
        ("Kim", "resume channel", "hook"),
    ]


def test_what_waited_is_due_at_once_when_its_channel_is_armed_again(store: Store) -> None:
    tell(store, post("hook"), post("sms"), now=NOW)
    (claimed,) = claim(store, "hook")
    tomorrow = LATER + timedelta(days=1)

    back = partial(deliveries.put_back, claim=claimed, now=NOW, due_at=tomorrow, detail="busy")
    assert store.write(back).result()
    assert claim(store, "hook") == ()
    resume(store)
    assert len(claim(store, "hook")) == 1
    assert store.read(partial(outcomes.one, delivery_id=2)).due_at == NOW


def claim(store: Store, channel: str) -> tuple[claiming.Claim, ...]:
    take = partial(claiming.claim, channel=channel, node="norr", now=LATER, limit=9)
    return store.write(take).result()


def test_a_probe_that_learns_no_limits_leaves_those_that_are_known(store: Store) -> None:
    probe(store, Probe(good=True, sentence="It answers.", limits={"characters": 500}))
    probe(store, Probe(good=False, sentence="The secret is refused."))
    found = state(store)
    assert (found.probed_at, found.probe_good, found.probe_sentence) == (
        *(NOW, False, "The secret is refused."),
    )
    assert found.limits == {"characters": 500}
    assert found.open


def test_what_is_known_of_all_channels_is_read_at_once(store: Store) -> None:
    park(store)
    probe(store, Probe(good=False, sentence="no"))
    store.write(partial(channels.pause, channel="sms", now=NOW, actor="Kim")).result()
    found = store.read(channels.states)
    assert {name: one.open for name, one in found.items()} == {"hook": False, "sms": False}
    assert found["hook"].parked_at == NOW


def test_of_two_nodes_that_park_a_channel_at_once_one_has_parked_it(store: Store) -> None:
    park_it = partial(channels.park, channel="hook", now=NOW)
    with under_way(store, partial(park_it, because="its token is refused")) as mine:
        theirs = store.write(partial(park_it, because="another reason"))
        wait_until_held_up(store, theirs)
    assert [mine.result(10), theirs.result(10)] == [True, False]
    assert state(store).parked_because == "its token is refused"
    assert [row.act for row in store.read(audit.listing)] == ["park channel"]


LEFT = (
    Remaining(what="credit", of="46elks", amount=40.5, unit="SEK", least=200),
    Remaining(what="token", of="social.example", ends_at=LATER),
)


def test_what_is_left_of_what_runs_out_is_kept_beside_the_limits(store: Store) -> None:
    probe(store, Probe(good=True, sentence="It answers.", limits={"characters": 500}))
    probe(store, Probe(good=True, sentence="It answers.", remaining=LEFT))
    assert (state(store).remaining, state(store).limits) == (LEFT, {"characters": 500})
    probe(store, Probe(good=False, sentence="It does not answer."))
    probe(store, Probe(good=False, sentence="It does not answer.", limits={"characters": 400}))
    assert (state(store).remaining, state(store).limits) == (LEFT, {"characters": 400})


def test_what_a_good_probe_tells_of_no_more_is_forgotten(store: Store) -> None:
    probe(store, Probe(good=True, sentence="It answers.", limits={"a": 1}, remaining=LEFT))
    probe(store, Probe(good=True, sentence="It answers.", remaining=LEFT[1:]))
    assert state(store).remaining == LEFT[1:]
    probe(store, Probe(good=True, sentence="It answers."))
    assert (state(store).remaining, state(store).limits) == ((), {"a": 1})


def test_a_limit_that_is_called_as_ours_is_a_limit_like_any_other(store: Store) -> None:
    limits = {"remaining": 42, "broadcaster:remaining": 7}
    probe(store, Probe(good=True, sentence="It answers.", limits=limits))
    assert (state(store).remaining, state(store).limits["remaining"]) == ((), 42)
    probe(store, Probe(good=True, sentence="It answers.", limits=limits, remaining=LEFT))
    assert (state(store).remaining, state(store).limits["remaining"]) == (LEFT, 42)
    probe(store, Probe(good=False, sentence="It does not answer.", limits=limits))
    assert state(store).remaining == LEFT


def test_what_is_kept_in_a_way_that_we_do_not_know_is_not_told() -> None:
    kept = ({"what": "credit"}, {"what": "token", "of": "x", "ends_at": "soon"})
    assert channels.ChannelState(channel="sms", left=kept).remaining == ()
