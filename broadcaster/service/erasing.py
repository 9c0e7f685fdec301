"""Forgetting an address for good: on the list, out of the store, out of what gateways sent us, and so out of restored backups."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from urllib.parse import quote

import phonenumbers

from broadcaster.service.desk import Configuration, Desk
from broadcaster.store import StoreError, erasures, inbox, subscribers


def list_erased(configuration: Configuration, digest: bytes, now: datetime) -> None:
    """Put an address on the list that is kept outside the backups and replayed when one is restored.

    Raises:
        StoreError: it could not be written down.
    """
    try:
        erasures.append(configuration.settings.erasures, [digest], now)
    except OSError as error:
        raise StoreError(
            "The list of erasures cannot be written. Nothing was erased. Free some space on its disk."
        ) from error


def erase(desk: Desk, channel: str, address: str, actor: str) -> bool:
    """Erase an address as its channel writes it. False when it was not there.

    Raises:
        StoreError: it could not be written down; he is still there, and it can be done again.
    """
    digest, now = desk.store.vault.digest(channel, address), desk.clock()
    # First the list: an erasure that is on it and not done is done at the next restore.
    list_erased(desk.configuration, digest, now)
    # Last he himself: if the machine fails before, his own page is still there, and he can press again.
    _erase_what_came(desk, address)
    gone: bool = desk.write(
        lambda connection: subscribers.erase(connection, channel, digest, now, actor)
    )
    return gone


def _erase_what_came(desk: Desk, address: str) -> None:
    """His messages and the reports about his letters are kept raw for a week, and hold his address as it is."""
    needles, after = written_as(address), 0
    while True:
        found, last = desk.read(partial(inbox.naming, needles=needles, after=after))
        if found:
            desk.write(partial(inbox.erase, ids=found))
        if last is None:
            return
        after = last


def written_as(address: str) -> tuple[bytes, ...]:
    """How gateways write an address, lower-case: as it is, as part of a link, a number also as it is dialled at home."""
    forms = {address, quote(address, safe=""), quote(address, safe="@")}
    if address.startswith("+"):
        try:
            at_home = str(phonenumbers.parse(address).national_number)
        except phonenumbers.NumberParseException:
            at_home = address[1:]
        forms = {address[1:], at_home}
    return tuple(form.lower().encode() for form in forms)
