"""Subscribers counted, exported, removed, erased. Who may do so sees addresses; nobody else does."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from functools import partial
from typing import Any

from broadcaster.channel import LetterAdapter
from broadcaster.service import erasing
from broadcaster.service.choosing import spelt
from broadcaster.service.commands import Operator, Refused, Role, Why
from broadcaster.service.desk import Configuration, Desk, permit, permit_areas
from broadcaster.service.drafting import area_key
from broadcaster.service.everywhere import permit_everywhere
from broadcaster.store import audit, consents, gone, subscribers

_NUMBER = re.compile(r"\+[0-9]+")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def count(desk: Desk, operator: Operator, areas: tuple[str, ...]) -> dict[str, Any]:
    """How many subscribers each channel has in each area (in these areas, when some are named).

    Also, of each channel, whose address is no more, and how many chose for themselves.
    """
    permit(operator, Role.VIEWER)
    settings = desk.configuration.settings
    keys = tuple(area_key(area, settings) for area in areas) or None
    found, no_more, chose = desk.read(
        lambda connection: (
            subscribers.count(connection, keys),
            gone.count(connection),
            consents.count(connection),
        )
    )
    return {
        "items": [
            {"channel": channel, "area": area, "count": number} for channel, area, number in found
        ],
        "gone": no_more,
        "by_themselves": chose,
    }


def remove(
    desk: Desk, operator: Operator, channel: str, address: str, area: str | None
) -> dict[str, Any]:
    """Send an address nothing more (about one area, or at all). An import does not bring it back."""
    permit(operator, Role.ADMIN)
    configuration = desk.configuration
    areas = (area_key(area, configuration.settings),) if area else operator.areas or None
    permit_areas(operator, areas or ())
    digest = desk.store.vault.digest(channel, _read(configuration, channel, address))
    now = desk.clock()
    if areas is None:
        # So that a backup from before does not write to him again.
        erasing.list_erased(configuration, digest, now)
    ended = desk.write(
        lambda connection: subscribers.remove(
            connection, channel, digest, areas, now, operator.name
        )
    )
    if ended is None:
        raise Refused(
            "That address is not a subscriber of {channel}.", Why.NOT_FOUND, channel=channel
        )
    return {"channel": channel, "subscriptions": ended}


def erase(desk: Desk, operator: Operator, channel: str, address: str) -> dict[str, Any]:
    """Forget an address for good, in restored backups too.

    Raises:
        StoreError: it could not be written down; nothing was erased.
    """
    permit(operator, Role.ADMIN)
    permit_everywhere(operator)
    configuration = desk.configuration
    found = _read(configuration, channel, address)
    return {"channel": channel, "erased": int(erasing.erase(desk, channel, found, operator.name))}


def export(desk: Desk, operator: Operator) -> Iterator[str]:
    """Every subscriber as lines of CSV, what he chose and whether he came by himself ("yes") among it.

    `gone` is since when the address is no more, or nothing. Times are local, in ISO 8601 with offset. It is read in pages, so that any number fits.

    Signs that a spreadsheet would take for a formula are put behind an apostrophe; an import takes it away again.
    """
    permit(operator, Role.ADMIN)
    now = desk.clock()
    desk.write(
        lambda connection: audit.note(connection, now, operator.name, "export subscribers", "")
    )
    return _lines(desk, operator.areas or None)


def _lines(desk: Desk, areas: tuple[str, ...] | None) -> Iterator[str]:
    zone = desk.configuration.zone
    yield "address,area,language,channel,gone,least,quiet,summary,by_himself\r\n"
    after = 0
    while found := desk.read(partial(subscribers.page, after=after, areas=areas)):
        written = io.StringIO()
        rows = csv.writer(written)
        for one in found:
            if one.areas:
                address = desk.store.vault.open(one.channel, one.address)
                gone_at = one.gone_at and one.gone_at.astimezone(zone).isoformat(timespec="seconds")
                rows.writerow(
                    (
                        _inert(address),
                        "|".join(one.areas),
                        one.language,
                        one.channel,
                        gone_at or "",
                        *spelt(one.choices).values(),
                        "yes" if one.by_himself else "",
                    )
                )
        after = found[-1].id
        yield written.getvalue()


def _inert(cell: str) -> str:
    """A cell that no spreadsheet takes for a formula; a telephone number is only a number."""
    return f"'{cell}" if cell.startswith(_FORMULA) and not _NUMBER.fullmatch(cell) else cell


def letter_channel(configuration: Configuration, name: str) -> LetterAdapter:
    """The channel of this name that sends letters; refuses any other."""
    adapter = configuration.adapters.get(name)
    if not isinstance(adapter, LetterAdapter):
        letters = [
            key for key, one in configuration.adapters.items() if isinstance(one, LetterAdapter)
        ]
        raise Refused(
            '"{channel}" is no channel with subscribers. There are: {channels}.',
            at="channel",
            channel=name[:80],
            channels=", ".join(letters) or "–",
        )
    return adapter


def _read(configuration: Configuration, channel: str, written: str) -> str:
    """An address as its channel keeps it."""
    adapter = letter_channel(configuration, channel)
    try:
        return adapter.address(written)
    except ValueError as error:
        raise Refused("The address {reason}.", at="address", reason=str(error)) from None
