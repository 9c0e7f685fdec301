"""The fuses around what strangers may make us send: letters to confirm, answers to words by SMS, and what both cost.

Whoever meets a blown fuse reads what everybody reads, and nothing is sent. Leaving and being erased meet none.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import phonenumbers

from broadcaster.channel import LetterAdapter, medium_of
from broadcaster.service.desk import Desk
from broadcaster.settings.residents import FuseSettings
from broadcaster.store import Connection, spending
from broadcaster.store.spending import Limit, Window

BLOWN = {
    "confirmations": "More letters to confirm were asked for than confirmations_per_hour allows; none goes out before {time}. If nobody "
    "attacks us, set it higher in broadcaster.yaml and reload. Leaving goes on as ever.",
    "numbers": "Letters to confirm were asked for at telephone numbers in a row, as somebody does who earns by them; to such numbers none "
    "goes out before {time}. Leaving goes on as ever.",
    "words": "More words came by SMS than words_per_hour allows; none is answered before {time}. START and STOP are done all the same.",
    "spend_per_hour": "Answers and letters to confirm by SMS have cost as much as spend_per_hour allows; none goes out before {time}. If "
    "nobody attacks us, set it higher in broadcaster.yaml and reload. STOP is done all the same.",
    "spend_per_day": "Answers and letters to confirm by SMS have cost as much as spend_per_day allows; none goes out before {time}. If "
    "nobody attacks us, set it higher in broadcaster.yaml and reload. STOP is done all the same.",
}
"""What staff are told of each fuse that is blown."""
ANSWERS_AN_HOUR = 3
"""So many answers one address gets within an hour: two programs that answer each other come to an end."""
CHANGES_AN_HOUR = 30
"""So often somebody chooses anew within an hour; each time is kept in the audit trail for ever."""
_BLOCK, _ROW = 3, 1  # digits by which numbers of one block, and of one row, differ


def may_ask(desk: Desk, adapter: LetterAdapter, address: str, network: str) -> bool:
    """Whether a letter to confirm may go to this address, asked for from this network; it then counts."""
    settings, now = _settings(desk), desk.clock()
    if medium_of(adapter) == "sms" and not _is_allowed(desk, settings, address):
        return False
    limits = tuple(_of_asking(desk, settings, adapter, address, network, now))
    return desk.write(lambda connection: spending.take(connection, limits)) is None


def may_answer(
    desk: Desk, connection: Connection, channel: str, adapter: LetterAdapter, address: str
) -> bool:
    """Whether a word by SMS may be answered now; the answer then counts."""
    settings, now = _settings(desk), desk.clock()
    whose = desk.store.vault.digest(channel, address).hex()[:40]
    limits = (
        Limit(what=f"answer {whose}", most=ANSWERS_AN_HOUR, window=_hour(now)),
        Limit(
            what=f"words {channel}", most=settings.words_per_hour, fuse="words", window=_hour(now)
        ),
        *_money(settings, adapter, now),
    )
    return spending.take(connection, limits) is None


def may_change(desk: Desk, mark: str) -> bool:
    """Whether whoever has this mark, which is somebody's, may choose anew now; it then counts."""
    whose = desk.store.vault.proof("changes", mark)
    limit = Limit(what=f"changes {whose}", most=CHANGES_AN_HOUR, window=_hour(desk.clock()))
    return desk.write(lambda connection: spending.take(connection, [limit])) is None


def _settings(desk: Desk) -> FuseSettings:
    residents = desk.configuration.settings.residents
    return residents.fuses if residents is not None else FuseSettings()


def _is_allowed(desk: Desk, settings: FuseSettings, number: str) -> bool:
    """Whether a number is of a country that may be written into the form."""
    country = phonenumbers.region_code_for_number(phonenumbers.parse(number))
    own = desk.configuration.settings.organisation.country
    return country in {own, *settings.countries}


def _of_asking(
    desk: Desk,
    settings: FuseSettings,
    adapter: LetterAdapter,
    address: str,
    network: str,
    now: datetime,
) -> Iterator[Limit]:
    yield Limit(
        what="confirmations",
        most=settings.confirmations_per_hour,
        fuse="confirmations",
        window=_hour(now),
    )
    if network:
        # By a salt that changes each day; rows are let go of when their hour has ended.
        who = desk.store.vault.proof(f"network {now.astimezone(UTC):%Y-%m-%d}", network)
        yield Limit(what=f"network {who}", most=settings.network_per_hour, window=_hour(now))
    if medium_of(adapter) == "sms":
        for digits, most, span in (
            (_BLOCK, settings.block_per_hour, _hour(now)),
            (_ROW, settings.in_a_row_per_day, _day(now)),
        ):
            like = desk.store.vault.proof(f"numbers {digits}", address[:-digits])
            yield Limit(what=f"numbers {digits} {like}", most=most, fuse="numbers", window=span)
        yield from _money(settings, adapter, now)


def _money(settings: FuseSettings, adapter: LetterAdapter, now: datetime) -> Iterator[Limit]:
    """What one part costs, within the hour and the day; nothing where nobody said what it costs."""
    price = adapter.price()[0] if hasattr(adapter, "price") else 0.0
    cents = round(price * 100)
    if cents:
        for fuse, most, span in (
            ("spend_per_hour", settings.spend_per_hour, _hour(now)),
            ("spend_per_day", settings.spend_per_day, _day(now)),
        ):
            yield Limit(
                what=fuse, money=cents, most_money=round(most * 100), fuse=fuse, window=span
            )


def _hour(now: datetime) -> Window:
    start = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    return Window(f"{start:%Y-%m-%dT%H}", start + timedelta(hours=1))


def _day(now: datetime) -> Window:
    start = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return Window(f"{start:%Y-%m-%d}", start + timedelta(days=1))
