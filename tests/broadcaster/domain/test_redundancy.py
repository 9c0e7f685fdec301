"""How many ways are independent, and when an update is out: against a reference that tries everything."""

from __future__ import annotations

from datetime import timedelta
from itertools import combinations

import pytest
from hypothesis import given, strategies as st

from broadcaster.domain.redundancy import (
    EXACT_TO,
    THIS_MACHINE,
    Arrival,
    Quorum,
    Way,
    independent,
    organisation_behind,
    reached,
    way,
)
from broadcaster.testing.clock import NOON

DOMAINS = st.frozensets(st.sampled_from("abcdefg"), max_size=3)
CHANNELS = ("page", "feed", "sms", "mastodon", "x")


def by_trying_all(ways: list[frozenset[str]]) -> int:
    for size in range(len(ways), 0, -1):
        for some in combinations(ways, size):
            if all(one.isdisjoint(other) for one, other in combinations(some, 2)):
                return size
    return 0


@given(st.lists(DOMAINS, max_size=9))
def test_the_count_is_the_best_that_any_choice_of_channels_has(ways: list[frozenset[str]]) -> None:
    assert independent(ways) == by_trying_all(ways)


@given(st.lists(DOMAINS, max_size=9), st.permutations(range(9)))
def test_the_count_does_not_depend_on_the_order(
    ways: list[frozenset[str]], order: list[int]
) -> None:
    shuffled = [ways[place] for place in order if place < len(ways)]
    assert independent(shuffled) == independent(ways)


@given(st.lists(st.frozensets(st.integers(0, 60).map(str), min_size=2, max_size=2), max_size=80))
def test_of_many_channels_never_more_ways_are_told_than_there_are(
    ways: list[frozenset[str]],
) -> None:
    domains = frozenset[str]().union(*ways)
    assert independent(ways) <= len(domains) // 2
    assert bool(independent(ways)) == bool(ways)


def test_many_channels_are_counted_in_no_time_and_surely_reached() -> None:
    pairs = [frozenset({f"d{n}", f"d{n + 1}"}) for n in range(4 * EXACT_TO)]
    assert independent(pairs) == 2 * EXACT_TO


def test_ten_channels_through_one_machine_are_one_way() -> None:
    assert independent([frozenset({THIS_MACHINE, f"company{n}.example"}) for n in range(10)]) == 1


@pytest.mark.parametrize(
    ("host", "behind"),
    [
        ("api.46elks.com", "46elks.com"),
        ("46elks.com", "46elks.com"),
        ("sms.ekbyn.example.", "ekbyn.example"),
        ("API.Twilio.COM", "twilio.com"),
        ("gateway.council.gov.uk", "council.gov.uk"),
        ("api.example.co.uk", "example.co.uk"),
        ("co.uk", "co.uk"),
        ("a.co.se", "co.se"),
        ("bucket.s3.eu-north-1.amazonaws.com", "amazonaws.com"),
        ("localhost", THIS_MACHINE),
        ("kannel.localhost", THIS_MACHINE),
        ("127.0.0.1", THIS_MACHINE),
        ("127.9.0.1", THIS_MACHINE),
        ("[::1]", THIS_MACHINE),
        ("10.0.0.7", "10.0.0.7"),
        ("[2001:DB8::7]", "2001:db8::7"),
        ("gateway", "gateway"),
    ],
)
def test_a_host_counts_as_the_organisation_that_registered_it(host: str, behind: str) -> None:
    assert organisation_behind(host) == behind


def test_what_is_declared_and_what_is_called_are_one_list() -> None:
    found = way("mastodon", ["Internet", "social.example"], ["www.social.example"])
    assert found == Way("mastodon", frozenset({"internet", "social.example"}))


def test_gateways_of_two_companies_stand_in_for_one_another() -> None:
    sms = way("sms", ["mobile-net"], ["127.0.0.1", "api.46elks.com"], suppliers=2)
    assert sms.stands_without("46elks.com")
    assert sms.stands_without(THIS_MACHINE)
    assert not sms.stands_without("mobile-net")
    assert sms.domains == {"mobile-net", THIS_MACHINE, "46elks.com"}


@pytest.mark.parametrize(
    ("hosts", "suppliers"),
    [(["a.gateway.example", "b.gateway.example"], 2), (["a.example", "b.example", "c.example"], 2)],
    ids=["of one company", "nobody knows whose"],
)
def test_gateways_that_are_not_each_their_own_are_all_needed(
    hosts: list[str], suppliers: int
) -> None:
    sms = way("sms", [], hosts, suppliers)
    assert not any(sms.stands_without(domain) for domain in sms.domains)


# -------------------------------------------------------------------------------------------------------------- quorum
MOMENTS = st.none() | st.integers(0, 6).map(lambda seconds: NOON + timedelta(seconds=seconds))
ARRIVALS = st.lists(
    st.builds(
        Arrival,
        channel=st.sampled_from((*CHANNELS, "unknown")),
        accepted_at=MOMENTS,
        stands_in=st.booleans(),
        nobody=st.booleans(),
    ),
    max_size=7,
    unique_by=lambda one: one.channel,
)
QUORUMS = st.builds(
    Quorum,
    out=st.integers(1, 4),
    within=st.just(300.0),
    domains=st.fixed_dictionaries(dict.fromkeys(CHANNELS, DOMAINS)),
)


def is_out(quorum: Quorum, arrivals: list[Arrival], second: int) -> bool:
    """As of the end of a second, from scratch."""
    now = NOON + timedelta(seconds=second)
    known = [one for one in arrivals if one.channel in quorum.domains]
    there = [one for one in known if one.accepted_at is not None and one.accepted_at <= now]
    empty = {one.channel for one in there if one.nobody}
    could = {one.channel for one in known if not one.stands_in} - empty
    have = {one.channel for one in there} - empty
    needed = min(quorum.out, by_trying_all([quorum.domains[name] for name in could]))
    return bool(have) and by_trying_all([quorum.domains[name] for name in have]) >= needed


@given(QUORUMS, ARRIVALS)
def test_an_update_is_out_from_the_first_moment_in_which_enough_ways_have_it(
    quorum: Quorum, arrivals: list[Arrival]
) -> None:
    first = next((second for second in range(7) if is_out(quorum, arrivals, second)), None)
    expected = None if first is None else NOON + timedelta(seconds=first)
    assert reached(quorum, arrivals).at == expected


@given(QUORUMS, ARRIVALS, st.permutations(range(7)))
def test_in_which_order_deliveries_are_read_and_what_comes_later_change_nothing(
    quorum: Quorum, arrivals: list[Arrival], order: list[int]
) -> None:
    known = reached(quorum, arrivals)
    assert reached(quorum, [arrivals[n] for n in order if n < len(arrivals)]) == known
    if known.at is not None:
        later = [
            one
            if one.accepted_at and one.accepted_at <= known.at
            else Arrival(one.channel, NOON + timedelta(days=1), one.stands_in, one.nobody)
            for one in arrivals
        ]
        assert reached(quorum, later) == known


def quorum(out: int = 2) -> Quorum:
    here, net = frozenset({"ekbyn.example"}), frozenset({"mobile-net"})
    return Quorum(out, 300.0, {"page": here, "feed": here, "sms": net, "spare": net})


def arrival(channel: str, second: int | None, **more: bool) -> Arrival:
    return Arrival(channel, None if second is None else NOON + timedelta(seconds=second), **more)


def test_page_and_feed_are_one_way_and_the_phones_another() -> None:
    only_boards = [arrival("page", 1), arrival("feed", 1), arrival("sms", None)]
    waits = reached(quorum(), only_boards)
    assert (waits.at, waits.channels, waits.ways, waits.needed) == (None, ("feed", "page"), 1, 2)
    out = reached(quorum(), [*only_boards[:2], arrival("sms", 9)])
    assert (out.at, out.channels, out.ways) == (
        NOON + timedelta(seconds=9),
        ("feed", "page", "sms"),
        2,
    )


def test_no_more_is_asked_of_an_update_than_its_channels_can() -> None:
    out = reached(quorum(out=3), [arrival("page", 2), arrival("feed", 5)])
    assert (out.at, out.ways, out.needed) == (NOON + timedelta(seconds=2), 1, 1)


def test_a_channel_with_nobody_to_write_to_is_neither_counted_nor_waited_for() -> None:
    out = reached(quorum(), [arrival("page", 2), arrival("sms", 4, nobody=True)])
    assert (out.at, out.channels, out.needed) == (NOON + timedelta(seconds=4), ("page",), 1)


def test_what_stands_in_counts_and_raises_no_demand() -> None:
    taken_over = [arrival("page", 1), arrival("sms", None), arrival("spare", 7, stands_in=True)]
    assert reached(quorum(), taken_over).at == NOON + timedelta(seconds=7)
    alone = [arrival("page", 1), arrival("spare", None, stands_in=True)]
    assert reached(quorum(), alone).at == NOON + timedelta(seconds=1)


def test_nothing_is_out_by_nobody() -> None:
    nobody = reached(quorum(), [arrival("sms", 1, nobody=True)])
    assert (nobody.at, nobody.needed) == (None, 0)
