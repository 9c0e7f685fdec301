"""What channels have in common that can fail, how many of them are independent, and when an update is out; pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import groupby

THIS_MACHINE = "this-machine"
"""The failure domain of whatever is called on a loopback address."""
EXACT_TO = 20
"""So many channels of different domains are counted exactly; of more, a number that is surely reached is told."""
# Under these, names are registered one level further down. Left out on purpose: lists of hosting companies' customers,
# since two customers of one company fail together.
_REGISTRIES = frozenset(["ac", "co", "com", "edu", "go", "gob", "gov", "ne", "net", "or", "org"])
_COUNTRIES = frozenset(
    [
        "ar",
        "au",
        "br",
        "cn",
        "hk",
        "id",
        "il",
        "in",
        "jp",
        "ke",
        "kr",
        "mx",
        "my",
        "nz",
        "ph",
        "sg",
        "th",
        "tr",
        "tw",
        "ua",
        "uk",
        "za",
    ]
)


# ------------------------------------------------------------------------------------------------------------- domains
@dataclass(frozen=True, slots=True)
class Way:
    """A channel with the failure domains it lives by: it needs all of `needs`, and one of `either`: none or several."""

    channel: str
    needs: frozenset[str]
    either: frozenset[str] = frozenset()

    @property
    def domains(self) -> frozenset[str]:
        """Everything whose failure it would feel."""
        return self.needs | self.either

    def stands_without(self, domain: str) -> bool:
        """Whether it goes on when this fails and nothing else does."""
        return domain not in self.needs


def way(channel: str, declared: Iterable[str], hosts: Iterable[str], suppliers: int = 1) -> Way:
    """What a channel lives by: what it declares and whoever is behind the hosts it calls.

    Args:
        declared: its `depends_on`; a name with a dot in it is read as a host.
        suppliers: how many gateways can stand in for one another. Where each has a host of an organisation of its
            own, one of these is enough; otherwise nobody knows which host is whose, and all are needed.
    """
    needs = {_named(one) for one in declared}
    behind = {organisation_behind(host) for host in hosts}
    if suppliers > 1 and len(behind) == suppliers:
        return Way(channel, frozenset(needs), frozenset(behind))
    return Way(channel, frozenset(needs | behind))


def _named(declared: str) -> str:
    name = declared.strip().casefold()
    return organisation_behind(name) if "." in name or ":" in name else name


def organisation_behind(host: str) -> str:
    """The name under which whoever runs a host registered it: "api.46elks.com" is "46elks.com".

    An address stands for itself; of this machine, it is `THIS_MACHINE`. No list of public suffixes is asked: the last
    two parts of a name are taken, three under "co.uk" and its like. Names that this takes for one and are not make us
    count too few ways, never too many; one company with two names is not seen, and is to be declared.
    """
    name = host.strip("[] ").rstrip(".").casefold()
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return _registered(name)
    return THIS_MACHINE if address.is_loopback else str(address)


def _registered(name: str) -> str:
    *_, last = labels = name.split(".")
    if last == "localhost":
        return THIS_MACHINE
    deeper = last in _COUNTRIES and labels[-2:-1] and labels[-2] in _REGISTRIES
    return ".".join(labels[-3 if deeper else -2 :])


@dataclass(frozen=True, slots=True)
class Loss:
    """What the failure of one domain does to some channels: which stop, which go on, how many independent ways are left."""

    domain: str
    stops: tuple[str, ...]
    left: tuple[str, ...]
    ways: int


def losses(ways: Sequence[Way]) -> list[Loss]:
    """What each domain's failure does that stops any channel, the worst first: after which nothing is left."""
    found = []
    for domain in sorted({name for one in ways for name in one.domains}):
        left = [one for one in ways if one.stands_without(domain)]
        stops = tuple(one.channel for one in ways if not one.stands_without(domain))
        if stops:
            count = independent(one.domains - {domain} for one in left)
            found.append(Loss(domain, stops, tuple(one.channel for one in left), count))
    return sorted(found, key=lambda loss: (loss.ways, len(loss.left), loss.domain))


# --------------------------------------------------------------------------------------------------- independent ways
def independent(ways: Iterable[frozenset[str]]) -> int:
    """How many of some channels, at most, are such that no two of them share a failure domain.

    Args:
        ways: the domains of each channel. One without any shares none with another.
    """
    least = _least(ways)
    alone = sum(not domains for domains in least)
    rest = [domains for domains in least if domains]
    return alone + (_most(rest) if len(rest) <= EXACT_TO else _surely(rest))


def _least(ways: Iterable[frozenset[str]]) -> list[frozenset[str]]:
    """Without each that has all the domains of another: wherever it is counted, that other may be instead."""
    least: list[frozenset[str]] = []
    for domains in sorted(ways, key=len):
        if not domains or not any(one and one <= domains for one in least):
            least.append(domains)
    return least


def _most(ways: Sequence[frozenset[str]]) -> int:
    if not ways:
        return 0
    first, *others = ways
    apart = [other for other in others if first.isdisjoint(other)]
    taken = 1 + _most(apart)
    # Who shares with one other at most may always be taken: without it, at most that one would be won.
    return taken if len(others) - len(apart) <= 1 else max(taken, _most(others))


def _surely(ways: Sequence[frozenset[str]]) -> int:
    """A number that is reached: one after the other, first those that share with the fewest."""
    shared = {one: sum(not one.isdisjoint(other) for other in ways) for one in ways}
    taken: set[str] = set()
    count = 0
    for one in sorted(ways, key=lambda each: (shared[each], len(each), sorted(each))):
        if taken.isdisjoint(one):
            taken |= one
            count += 1
    return count


# -------------------------------------------------------------------------------------------------------------- quorum
@dataclass(frozen=True, slots=True)
class Quorum:
    """What makes an update out, as it was when the update was accepted.

    `out` is the number of independent ways wanted, `within` the seconds after its release in which it is to be out.
    `domains` are the failure domains of each channel that may carry it.
    """

    out: int
    within: float
    domains: Mapping[str, frozenset[str]]


@dataclass(frozen=True, slots=True)
class Arrival:
    """What is known of one delivery: when its channel accepted it, None when it has not, or failed after all.

    `stands_in`: it was not planned and took over from another. `nobody`: it has letters to nobody.
    """

    channel: str
    accepted_at: datetime | None
    stands_in: bool = False
    nobody: bool = False


@dataclass(frozen=True, slots=True)
class Reached:
    """How far an update is: `at` is when it became out, `channels` those that had it then; now, where it is not out.

    `ways` of these are independent, `needed` would do. That is fewer than wanted where its channels have no more.
    `lacking` are the channels that do not have it, in the order of the configuration.
    """

    at: datetime | None
    channels: tuple[str, ...]
    ways: int
    needed: int
    lacking: tuple[str, ...] = ()


def reached(quorum: Quorum, arrivals: Iterable[Arrival]) -> Reached:
    """When an update became out, by the order in which its channels accepted it: whoever asks later learns the same.

    A channel on which nobody is to be written to brings it nowhere, and is not waited for either.
    """
    known = [one for one in arrivals if one.channel in quorum.domains]
    could = {one.channel for one in known if not one.stands_in}
    have: dict[str, None] = {}
    accepted = sorted(
        ((one.accepted_at, one) for one in known if one.accepted_at is not None),
        key=lambda pair: (pair[0], pair[1].channel),
    )
    for at, together in groupby(accepted, key=lambda pair: pair[0]):
        for _, one in together:
            if one.nobody:
                could.discard(one.channel)
            else:
                have[one.channel] = None
        so_far = _so_far(quorum, have, could, known)
        if have and so_far.ways >= so_far.needed:
            return replace(so_far, at=at)
    return _so_far(quorum, have, could, known)


def have_it(quorum: Quorum, arrivals: Iterable[Arrival]) -> tuple[int, int]:
    """How many channels have an update by now, and how many of them are independent, also after it was out."""
    have = {
        one.channel
        for one in arrivals
        if one.channel in quorum.domains and one.accepted_at is not None and not one.nobody
    }
    return len(have), _count(quorum, have)


def _so_far(
    quorum: Quorum, have: Iterable[str], could: Iterable[str], known: Iterable[Arrival]
) -> Reached:
    channels = tuple(have)
    awaited = {one.channel for one in known if not one.nobody}.difference(channels)
    return Reached(
        at=None,
        channels=channels,
        ways=_count(quorum, channels),
        needed=min(quorum.out, _count(quorum, could)),
        lacking=tuple(name for name in quorum.domains if name in awaited),
    )


def _count(quorum: Quorum, channels: Iterable[str]) -> int:
    return independent(quorum.domains[channel] for channel in channels)
