"""What residents are asked before they are written to: the sentence they agree to, and the letter that asks them."""

from __future__ import annotations

import base64
import hashlib
import secrets
from dataclasses import dataclass, replace

from broadcaster.channel import LetterAdapter, medium_of
from broadcaster.domain.choices import Choices, heard_from
from broadcaster.domain.wording import Wording
from broadcaster.locale import translate
from broadcaster.service.commands import Refused
from broadcaster.service.desk import Configuration, Desk
from broadcaster.service.subscribers import letter_channel


@dataclass(frozen=True, slots=True)
class Written:
    """A letter to one person, in words; a text message has no subject."""

    subject: str
    body: str


def agreement(configuration: Configuration, language: str) -> str:
    """The one sentence that a resident agrees to, as it has to be shown beside the button; its hash is what is kept."""
    return translate(
        configuration.spoken(language),
        "I want {organisation} to write to me about what I chose here, until I say no.",
        organisation=configuration.settings.organisation.name,
    )


def hashed(words: str) -> str:
    """What is kept of a sentence that was agreed to: its SHA-256 in hexadecimal."""
    return hashlib.sha256(words.encode()).hexdigest()


def new_token() -> str:
    """128 random bits as 26 letters and digits, which no program takes for the end of a sentence."""
    return base64.b32encode(secrets.token_bytes(16)).decode().rstrip("=").lower()


def residents_channel(configuration: Configuration, name: str) -> LetterAdapter:
    """The channel of this name, if residents may subscribe to it by themselves."""
    residents = configuration.settings.residents
    if residents is None or name not in residents.channels:
        raise Refused('Nobody can subscribe to "{channel}".', at="channel", channel=name[:80])
    return letter_channel(configuration, name)


def read_address(adapter: LetterAdapter, written: str) -> str:
    """The address as it is kept."""
    try:
        return adapter.address(written)
    except ValueError as error:
        raise Refused("The address {reason}.", at="address", reason=str(error)) from None


def sound(configuration: Configuration, choices: Choices) -> Choices:
    """The same choices, each area once and as the configuration orders them, and no severity that would promise too much.

    Raises:
        Refused: there is no such area or language, or no area is chosen.
    """
    known = configuration.settings.areas
    for area in choices.areas:
        if area not in known:
            raise Refused('There is no area "{area}".', at="area", area=area[:80])
    if not choices.areas:
        raise Refused("Choose at least one area.", at="area")
    if choices.language not in configuration.languages:
        raise Refused(
            'There is no language "{language}".', at="language", language=choices.language[:20]
        )
    quiet = choices.quiet
    if quiet is not None and quiet.start == quiet.end:
        quiet = None
    areas = tuple(area for area in known if area in choices.areas)
    return replace(choices, areas=areas, quiet=quiet, least=heard_from(choices.least))


def asks_to_confirm(desk: Desk, adapter: LetterAdapter, choices: Choices, token: str) -> Written:
    """The letter that asks whether it is wanted. Nothing in it was written by whoever asked."""
    configuration = desk.configuration
    organisation = configuration.settings.organisation.name
    link = f"{configuration.settings.follow_url}/confirm/{token}"
    return _written(
        desk,
        adapter,
        choices.language,
        short="{organisation}: Do you want our messages? Say yes here: {link} If you did not ask, do nothing.",
        subject="{organisation}: do you want our messages?",
        paragraphs=(
            "Somebody, you we hope, asked {organisation} to write to this address about: {areas}.",
            "If you want that, open this page and say yes, within 48 hours:\n{link}",
            "If it was not you, do nothing: nothing happens, and we forget the address.",
        ),
        organisation=organisation,
        areas=", ".join(
            configuration.settings.areas[area].called(choices.language) for area in choices.areas
        ),
        link=link,
    )


def leads_to_choices(desk: Desk, adapter: LetterAdapter, language: str, mark: str) -> Written:
    """The letter with the address of somebody's own page."""
    settings = desk.configuration.settings
    return _written(
        desk,
        adapter,
        language,
        short="{organisation}: Change or end your messages: {link} This page is yours alone.",
        subject="{organisation}: your messages",
        paragraphs=(
            "Here you change what {organisation} writes to you about, or end it:\n{link}",
            "The page is yours alone: who has its address can do what you can.",
            "If you did not ask for this letter, do nothing: nothing is changed.",
        ),
        organisation=settings.organisation.name,
        link=f"{settings.follow_url}/mine/{mark}",
    )


def _written(
    desk: Desk,
    adapter: LetterAdapter,
    language: str,
    *,
    short: str,
    subject: str,
    paragraphs: tuple[str, ...],
    **values: str,
) -> Written:
    """As a letter with a subject, or short where each part costs; in drill and demo the word for it stands first."""
    configuration = desk.configuration
    words = Wording(configuration.spoken(language), configuration.zone, desk.clock())
    mode = words.mode_label(configuration.settings.mode)
    first = f"{mode} " if mode else ""
    if medium_of(adapter) == "sms":
        return Written("", first + words.say(short, **values))
    body = "\n\n".join(words.say(paragraph, **values) for paragraph in paragraphs)
    return Written(
        first + words.say(subject, **values), f"{mode}\n\n{body}\n" if mode else f"{body}\n"
    )
