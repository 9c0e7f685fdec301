"""What each page of the front door shows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import time
from typing import Any
from urllib.parse import urlsplit

from babel import Locale
from fastapi import Response
from markupsafe import Markup

from broadcaster.channel import CanEnrol, LetterAdapter, medium_of
from broadcaster.domain.choices import Choices, heard_from
from broadcaster.domain.incident import Severity
from broadcaster.inbound.following.fields import Filled, refill
from broadcaster.inbound.following.pages import Pages
from broadcaster.service.desk import Configuration
from broadcaster.service.residents import Mine, agreement

_BY_FORM = ("email", "sms")
_FIELDS = {"email": ("email", "email"), "sms": ("tel", "tel"), "": ("text", "off")}
"""Kind of field and what a browser may complete it with, by medium; "" for several."""


def channels(configuration: Configuration) -> tuple[str, ...]:
    """The channels that an address can be written in for; texts come by a word to a number where there is one."""
    residents = configuration.settings.residents
    if residents is None:
        return ()
    return tuple(
        name
        for name in residents.channels
        if (medium := _medium(configuration, name)) in _BY_FORM
        and not (medium == "sms" and residents.number)
    )


def enrolling(configuration: Configuration) -> tuple[str, str] | None:
    """The channel that browsers may subscribe to, and the public key that they do it with; None where there is none."""
    residents = configuration.settings.residents
    for name in residents.channels if residents is not None else ():
        adapter = configuration.adapters.get(name)
        if isinstance(adapter, LetterAdapter) and isinstance(adapter, CanEnrol):
            return name, adapter.enrolment_key()
    return None


def _medium(configuration: Configuration, name: str) -> str:
    adapter = configuration.adapters.get(name)
    return medium_of(adapter) if isinstance(adapter, LetterAdapter) else ""


def spoken(pages: Pages, language: str) -> Pages:
    """The same in the language that somebody has chosen."""
    return replace(pages, language=language) if language in pages.configuration.languages else pages


def _writing(pages: Pages) -> dict[str, Any]:
    """What the field for the address is called."""
    _, configuration = pages.say, pages.configuration
    names = channels(configuration)
    media = [_medium(configuration, name) for name in names]
    labels = {
        "email": _("Your e-mail address"),
        "sms": _("Your mobile number"),
        "": _("Your e-mail address or mobile number"),
    }
    one = media[0] if len(set(media)) == 1 else ""
    kind, complete = _FIELDS[one]
    way = {"email": _("By e-mail"), "sms": _("By SMS")}
    return {
        "ways": [(name, way[medium]) for name, medium in zip(names, media, strict=True)],
        "heading": way[one] if one else _("By e-mail or SMS"),
        "label": labels[one],
        "kind": kind,
        "complete": complete,
    }


def offered(pages: Pages) -> dict[str, Any]:
    """What every form lets one choose from."""
    _, settings = pages.say, pages.configuration.settings
    return {
        "areas": [(key, area.called(pages.language)) for key, area in settings.areas.items()],
        "severities": list(_severities(pages)),
        "languages": [
            (tag, Locale.parse(tag, sep="-").get_display_name() or tag)
            for tag in settings.organisation.languages
        ],
    }


def _severities(pages: Pages) -> Iterator[tuple[str, Markup]]:
    _ = pages.say
    yield Severity.MINOR, _("Everything, small things too")
    yield Severity.MODERATE, _("What most people notice")
    # And no more than that: severe words reach everybody.
    yield Severity.SEVERE, _("Only what is serious")


def agreed(pages: Pages) -> str:
    """The very sentence whose hash is kept as the proof."""
    return agreement(pages.configuration, pages.language)


def follow(pages: Pages, filled: Filled, seal: str, wrong: str = "") -> Response:
    """The form to subscribe, filled in as it was; `wrong` says what has to be put right."""
    _, settings = pages.say, pages.configuration.settings
    residents = settings.residents
    first = next(iter(settings.areas.values()))
    return pages.page(
        "follow",
        422 if wrong else 200,
        title=_("Have it sent to you"),
        number=residents.number if residents else "",
        start=f"START {first.name.upper()}",
        stop=_("STOP"),
        push=enrolling(pages.configuration) is not None,
        filled=filled,
        seal=seal,
        wrong=wrong,
        consent=agreed(pages),
        **_writing(pages),
        **offered(pages),
    )


def link(pages: Pages, filled: Filled, seal: str, wrong: str = "") -> Response:
    """The form that sends the manage link."""
    _ = pages.say
    return pages.page(
        "link",
        422 if wrong else 200,
        title=_("Change or leave"),
        path="link/",
        filled=filled,
        seal=seal,
        wrong=wrong,
        **_writing(pages),
    )


def _told(
    pages: Pages, title: Markup, *sentences: Markup, again: str = "", mine: str = ""
) -> Response:
    return pages.page("said", title=title, sentences=sentences, follow=again, mine=mine)


def asked(pages: Pages) -> Response:
    """The same for everyone, whether the address was known, unknown, asked already today or behind a fuse."""
    _ = pages.say
    return _told(
        pages,
        _("Look in your letters"),
        _("If the address is right, a letter from us is on its way to it."),
        _("Follow the link in it within 48 hours. Before that, nothing more comes."),
        _("Has nothing come after an hour? Look among unwanted mail, or try again tomorrow."),
    )


def sent(pages: Pages) -> Response:
    """The same for everyone."""
    _ = pages.say
    return _told(
        pages,
        _("Look in your letters"),
        _("If letters go to this address, one with your link is on its way to it."),
        _("Has nothing come after an hour? Look among unwanted mail, or try again tomorrow."),
    )


def waiting(pages: Pages, token: str, chosen: Choices) -> Response:
    """What was asked for, and the one button."""
    return pages.page(
        "confirm",
        title=pages.say("Is this right?"),
        token=token,
        facts=list(_facts(pages, chosen)),
        consent=agreed(pages),
    )


def _facts(pages: Pages, chosen: Choices) -> Iterator[tuple[Markup, object]]:
    _, settings, words = pages.say, pages.configuration.settings, pages.words()
    names = [
        settings.areas[key].called(pages.language) for key in chosen.areas if key in settings.areas
    ]
    yield _("Which places?"), words.listing(names) if names else "–"
    yield _("How much?"), dict(_severities(pages))[heard_from(chosen.least)]
    yield (
        _("In which language?"),
        Locale.parse(chosen.language, sep="-").get_display_name() or chosen.language,
    )
    if chosen.quiet is not None:
        quiet = chosen.quiet
        yield (
            _("Quiet hours"),
            _("{start} to {end}", start=_clock(quiet.start), end=_clock(quiet.end)),
        )
    if chosen.summary is not None:
        yield _("All of a day in one letter, at"), _clock(chosen.summary)


def _clock(wall: time) -> str:
    return f"{wall:%H:%M}"


def confirmed(pages: Pages, mark: str) -> Response:
    """It begins."""
    _ = pages.say
    return _told(
        pages,
        _("It has begun"),
        _("From now on we write to you when something happens."),
        _("Each letter has the address at its end where you change what you get, or leave."),
        mine=_at(pages, mark),
    )


def _at(pages: Pages, mark: str) -> str:
    return f"{urlsplit(pages.configuration.settings.follow_url).path}/mine/{mark}"


def mine(
    pages: Pages, mark: str, held: Mine, filled: Filled | None, wrong: str, kept: str
) -> Response:
    """Somebody's own page."""
    return pages.page(
        "mine",
        422 if wrong else 200,
        title=pages.say("Your letters"),
        mark=mark,
        address=held.address,
        since=pages.words().dated(held.since) if held.since else "",
        consent=agreed(pages),
        filled=filled or refill(held.choices),
        wrong=wrong,
        kept=kept,
        **offered(pages),
    )


def may_leave(pages: Pages, mark: str) -> Response:
    """What a GET of the way out shows: it changes nothing."""
    return pages.page("leave", title=pages.say("Do you want to leave?"), mark=mark)


def left(pages: Pages) -> Response:
    """The same for everyone, also for whom nobody knows."""
    _ = pages.say
    return _told(
        pages,
        _("You have left"),
        _("We send you nothing more about this."),
        again=_("Have it sent to you again"),
    )


def erased(pages: Pages) -> Response:
    """Nothing is held any more."""
    _ = pages.say
    return _told(
        pages,
        _("You are forgotten"),
        _("Your address and your choices are erased. Nothing more comes."),
    )
