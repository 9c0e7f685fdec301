"""Residents who subscribe by themselves: ask, say yes, choose, leave, take what is held of them, be forgotten.

Whoever knows an address learns nothing here about whom it belongs to: `ask` and `send_mark` write the same rows and take as
long whether it is known or not. What one may do with a subscription goes by its mark, which only its own letters carry.
"""

from __future__ import annotations

from broadcaster.channel import LetterAdapter
from broadcaster.domain.choices import Choices
from broadcaster.service.consenting import (
    agreement,
    asks_to_confirm,
    hashed,
    leads_to_choices,
    new_token,
    read_address,
    residents_channel,
    sound,
)
from broadcaster.service.desk import Desk
from broadcaster.service.mine import (
    Mine,
    change,
    forget,
    leave,
    leave_address,
    mine,
    of_address,
    told,
)
from broadcaster.store import Connection, asking, choosing, consents, personal
from broadcaster.store.asking import Asked

__all__ = [
    "Mine",
    "agreement",
    "ask",
    "change",
    "confirm",
    "forget",
    "leave",
    "leave_address",
    "mine",
    "of_address",
    "send_mark",
    "subscribe",
    "told",
    "waiting",
]


def ask(desk: Desk, channel: str, written: str, choices: Choices) -> None:
    """Ask the owner of an address, by a letter, whether letters are wanted there; once a day at most.

    Raises:
        Refused: the form itself is wrong: no such channel, area or language, or no address of that kind.
    """
    configuration, now = desk.configuration, desk.clock()
    adapter = residents_channel(configuration, channel)
    choices = sound(configuration, choices)
    address, vault, token = read_address(adapter, written), desk.store.vault, new_token()
    letter = asks_to_confirm(desk, adapter, choices, token)
    asked = Asked(
        channel=channel,
        address=vault.seal(channel, address),
        key_id=vault.key_id,
        digest=vault.digest(channel, address),
        choices=choices,
        asked_at=now,
    )

    def work(connection: Connection) -> None:
        fresh = asking.ask(connection, asked, hashed(token))
        queued = personal.queue(
            connection,
            vault,
            channel=channel,
            what="confirm",
            address=address,
            subject=letter.subject,
            body=letter.body,
            language=choices.language,
            now=now,
            not_after=now + asking.ONCE,
        )
        asking.unsend(connection, queued, really=not fresh)

    desk.write(work)


def waiting(desk: Desk, token: str) -> Choices | None:
    """What a token would confirm, to be shown before the button; None when it is not good, or no longer."""
    now = desk.clock()
    asked = desk.read(lambda connection: asking.waiting(connection, hashed(token), now))
    return None if asked is None else _standing(desk, asked)


def confirm(desk: Desk, token: str) -> str | None:
    """Say yes by a token, which is then used up. Returns the mark; None when the token is not good, or no longer.

    To be called for a POST only: programs that look at links in letters must confirm nothing.
    """
    now, configuration = desk.clock(), desk.configuration

    def work(connection: Connection) -> tuple[int, int] | None:
        asked = asking.use(connection, hashed(token), now)
        choices = None if asked is None else _standing(desk, asked)
        if asked is None or choices is None:
            return None
        words = hashed(agreement(configuration, choices.language))
        return _take(connection, asked, choices, "link", words, desk)

    taken = desk.write(work)
    return None if taken is None else desk.store.vault.mark(*taken)


def _standing(desk: Desk, asked: Asked) -> Choices | None:
    """What was asked for, as far as the configuration still has it; None when nothing of it is left."""
    configuration = desk.configuration
    choices = choosing.without(asked.choices, tuple(configuration.settings.areas))
    spoken = choices.language in configuration.languages
    open_to_all = configuration.settings.residents
    offered = open_to_all is not None and asked.channel in open_to_all.channels
    return choices if choices.areas and spoken and offered else None


def subscribe(
    desk: Desk, channel: str, address: str, choices: Choices, given_by: str, words: str
) -> str:
    """Take who has proved already that the address is his: a number that sent START, a browser that asked. No letter goes.

    Who is there gets the areas he lacks and loses none; language, severity, quiet hours and summary are as given now.

    Args:
        given_by: "keyword" or "browser".
        words: the sentence he agreed to; only its hash is kept.

    Returns:
        The mark.

    Raises:
        Refused: as by `ask`.
    """
    configuration, now, vault = desk.configuration, desk.clock(), desk.store.vault
    adapter = residents_channel(configuration, channel)
    choices = sound(configuration, choices)
    address = read_address(adapter, address)
    asked = Asked(
        channel=channel,
        address=vault.seal(channel, address),
        key_id=vault.key_id,
        digest=vault.digest(channel, address),
        choices=choices,
        asked_at=now,
    )
    agreed = hashed(words)
    taken = desk.write(lambda connection: _take(connection, asked, choices, given_by, agreed, desk))
    return vault.mark(*taken)


def _take(
    connection: Connection, asked: Asked, choices: Choices, given_by: str, words: str, desk: Desk
) -> tuple[int, int]:
    now = desk.clock()
    subscriber_id, import_id = choosing.subscribe(
        connection,
        channel=asked.channel,
        address=asked.address,
        key_id=asked.key_id,
        digest=asked.digest,
        choices=choices,
    )
    consents.give(
        connection,
        asked.channel,
        asked.digest,
        asked_at=asked.asked_at,
        now=now,
        by=given_by,
        words=words,
    )
    choosing.note(connection, now, "subscribe", subscriber_id, areas=len(choices.areas))
    return subscriber_id, import_id


def send_mark(desk: Desk, channel: str, written: str) -> None:
    """Send the owner of an address the link to his own page, if he is a subscriber; once a day at most.

    Raises:
        Refused: there is no such channel for residents, or no address of that kind.
    """
    configuration, now, vault = desk.configuration, desk.clock(), desk.store.vault
    adapter = residents_channel(configuration, channel)
    address = read_address(adapter, written)
    digest = vault.digest(channel, address)
    written_for = _in_each_language(desk, adapter)

    def work(connection: Connection) -> None:
        asking.alone(connection, digest)
        one = choosing.named(connection, channel, digest)
        again = asking.went_within(connection, channel, digest, "manage", now)
        language = configuration.languages[0]
        if one is not None and one.language in written_for:
            language = one.language
        mark = vault.mark(0, 0) if one is None else vault.mark(one.id, one.import_id)
        queued = personal.queue(
            connection,
            vault,
            channel=channel,
            what="manage",
            address=address,
            subject=written_for[language][0],
            body=written_for[language][1].replace(_MARK, mark),
            language=language,
            now=now,
            not_after=now + asking.ONCE,
        )
        asking.unsend(connection, queued, really=one is None or again)

    desk.write(work)


_MARK = "\N{OBJECT REPLACEMENT CHARACTER}"
"""Where the mark is put once it is known."""


def _in_each_language(desk: Desk, adapter: LetterAdapter) -> dict[str, tuple[str, str]]:
    """The letter with the link, before it is known who it is for: made for everybody, so that it takes as long for nobody."""
    letters = {}
    for language in desk.configuration.languages:
        written = leads_to_choices(desk, adapter, language, _MARK)
        letters[language] = written.subject, written.body
    return letters
