"""What a resident does with his own subscription, named by its mark or, where his message proves it, by his address."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Any, TypeVar
from urllib.parse import urlsplit

from broadcaster.domain.choices import Choices
from broadcaster.service import erasing
from broadcaster.service.choosing import spelt
from broadcaster.service.consenting import agreement, hashed, read_address, sound
from broadcaster.service.desk import Desk
from broadcaster.service.notices import iso
from broadcaster.service.subscribers import letter_channel
from broadcaster.store import Connection, choosing, consents, subscribers
from broadcaster.store.addresses import marked
from broadcaster.store.choosing import ACTOR, Chosen

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mine:
    """One's own subscription, to be shown to oneself. Without areas: one has said no.

    `address` is masked ("a…@example.org", "+46…05"). `since` (aware UTC) is when one agreed, or when the list came by which
    one was taken (`by_himself` is then False); None where it is not known. `mark` is what names it in addresses.
    """

    channel: str
    address: str
    choices: Choices
    since: datetime | None
    by_himself: bool
    mark: str = field(repr=False)


def mine(desk: Desk, mark: str) -> Mine | None:
    """The subscription of a mark; None when there is none such, or no more."""
    one = _of_mark(desk, mark)
    return None if one is None else _shown(desk, one)


def of_address(desk: Desk, channel: str, address: str) -> Mine | None:
    """The subscription of an address whose owner has proved that it is his: he wrote from it."""
    one = _of_address(desk, channel, address)
    return None if one is None else _shown(desk, one)


def change(desk: Desk, mark: str, choices: Choices) -> bool:
    """Choose anew: exactly these areas. Who was taken from a list, or had said no, agrees by it. False: no such mark.

    Raises:
        Refused: there is no such area or language, or no area is chosen (that is `leave`).
    """
    configuration, now = desk.configuration, desk.clock()
    choices = sound(configuration, choices)
    one = _of_mark(desk, mark)
    if one is None:
        return False
    if one.by_himself and one.gone_at is None and _same(one.choices, choices):
        return True
    words = hashed(agreement(configuration, choices.language))

    def work(connection: Connection) -> bool:
        if not choosing.change(connection, one, choices):
            return False
        consents.give(
            connection, one.channel, one.digest, asked_at=now, now=now, by="link", words=words
        )
        choosing.note(connection, now, "choose anew", one.id, areas=len(choices.areas))
        return True

    changed: bool = desk.write(work)
    return changed


def _same(one: Choices, other: Choices) -> bool:
    return replace(one, areas=()) == replace(other, areas=()) and set(one.areas) == set(other.areas)


def leave(desk: Desk, mark: str, area: str | None = None) -> bool:
    """Get nothing more, or nothing more about one area. False: there is no such mark. Said twice, it holds once.

    Raises:
        StoreError: it could not be written down.
    """
    one = _of_mark(desk, mark)
    if one is not None:
        _leave(desk, one, area)
    return one is not None


def leave_address(desk: Desk, channel: str, address: str, area: str | None = None) -> bool:
    """As `leave`, for the address from which it was asked. False: it is no subscriber."""
    one = _of_address(desk, channel, address)
    if one is not None:
        _leave(desk, one, area)
    return one is not None


def _leave(desk: Desk, one: Chosen, area: str | None) -> None:
    if not one.choices.areas:
        return  # he has left: whoever presses for hours on end fills neither the list nor the trail
    now = desk.clock()
    still = choosing.without(one.choices, tuple(desk.configuration.settings.areas))
    if area is not None and set(still.areas) <= {area}:
        area = None  # nothing is left: what is for everyone must not come for the sake of an area that is no more
    if area is None:
        # So that a backup from before does not write to him again.
        erasing.list_erased(desk.configuration, one.digest, now)
    desk.write(
        lambda connection: subscribers.remove(
            connection,
            one.channel,
            one.digest,
            None if area is None else (area,),
            now,
            ACTOR,
            consents.LEFT,
        )
    )


def forget(desk: Desk, mark: str) -> bool:
    """Erase everything but the proof that he once agreed, in restored backups too. False: there is no such mark.

    Raises:
        StoreError: it could not be written down; nothing was erased.
    """
    one = _of_mark(desk, mark)
    if one is None:
        return False
    erasing.erase(desk, one.channel, desk.store.vault.open(one.channel, one.address), ACTOR)
    return True


def told(desk: Desk, mark: str) -> dict[str, Any] | None:
    """Everything that is held about a person, as JSON; None: there is no such mark. Times are local, in ISO 8601."""
    one = _of_mark(desk, mark)
    if one is None:
        return None
    reads: tuple[Callable[[Connection], Any], ...] = (
        partial(consents.of, channel=one.channel, digest=one.digest),
        partial(choosing.letters, one=one),
        partial(choosing.personal_letters, one=one),
        partial(choosing.asked, one=one),
    )
    proof, letters, personal, asked = desk.read(lambda c: [read(c) for read in reads])
    when = partial(_local, desk)
    return {
        "channel": one.channel,
        "address": desk.store.vault.open(one.channel, one.address),
        "choices": _choices(one.choices),
        "since": when(one.since),
        "gone_at": when(one.gone_at),
        "list": {"source": one.origin, "legal_basis": one.legal_basis} if one.origin else None,
        "consents": [
            {
                "asked_at": when(row.asked_at),
                "given_at": when(row.given_at),
                "given_by": row.given_by,
                "words_sha256": row.words,
                "ended_at": when(row.ended_at),
                "ended_by": row.ended_by,
            }
            for row in proof
        ],
        "asked": [
            {
                "asked_at": when(row.asked_at),
                "expires_at": when(row.expires_at),
                "used_at": when(row.used_at),
                "choices": _choices(choosing.from_json(row.choices)),
            }
            for row in asked
        ],
        "letters": letters,
        "personal_letters": [
            {"what": row.what, "state": row.state, "asked_at": when(row.asked_at)}
            for row in personal
        ],
    }


# ------------------------------------------------------------------------------------------------------- who it is
def _of_mark(desk: Desk, mark: str) -> Chosen | None:
    subscriber_id = marked(mark)
    if subscriber_id is None:
        return None
    one: Chosen | None = desk.read(lambda connection: choosing.by_id(connection, subscriber_id))
    whole = one is not None and desk.store.vault.is_marked(mark, one.id, one.import_id)
    return one if whole else None


def _of_address(desk: Desk, channel: str, written: str) -> Chosen | None:
    address = read_address(letter_channel(desk.configuration, channel), written)
    digest = desk.store.vault.digest(channel, address)
    one: Chosen | None = desk.read(lambda c: choosing.by_digest(c, channel, digest))
    return one


def _shown(desk: Desk, one: Chosen) -> Mine:
    vault = desk.store.vault
    return Mine(
        channel=one.channel,
        address=masked(vault.open(one.channel, one.address)),
        choices=choosing.without(one.choices, tuple(desk.configuration.settings.areas)),
        since=one.since,
        by_himself=one.by_himself,
        mark=vault.mark(one.id, one.import_id),
    )


def masked(address: str) -> str:
    """As much of an address as its owner needs to know it again: "a…@example.org", "+46…05", the host of a browser's."""
    if "://" in address:
        return f"{urlsplit(address).hostname or ''}…"
    name, at, host = address.rpartition("@")
    if at:
        return f"{name[:1]}…@{host}"
    return f"{address[:3]}…{address[-2:]}"


# ----------------------------------------------------------------------------------------------------------- as JSON
def _choices(choices: Choices) -> dict[str, Any]:
    chosen = {"areas": list(choices.areas), "language": choices.language}
    return chosen | spelt(choices) | {"least": choices.least.value}


def _local(desk: Desk, when: datetime | None) -> str | None:
    return iso(when and when.astimezone(desk.configuration.zone))
