"""What residents text us is heard: STOP before everything else, then START, a language, HELP; each answered by one short text.

STOP meets no fuse. Of the rest no more is answered than the fuses let through: who is not answered is still heard.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, timedelta

import structlog

from broadcaster.channel import Incoming, LetterAdapter
from broadcaster.domain.choices import Choices
from broadcaster.domain.keywords import (
    Meaning,
    Word,
    areas_named,
    language_named,
    understand,
)
from broadcaster.domain.text import measure_sms, plain
from broadcaster.domain.wording import Wording
from broadcaster.locale import translate
from broadcaster.service import fuses, residents
from broadcaster.service.commands import Refused
from broadcaster.service.consenting import agreement
from broadcaster.service.desk import Desk
from broadcaster.store import Connection, StoreError, personal, spending
from broadcaster.store.spending import Limit, Window

ANSWER_WITHIN = timedelta(hours=1)
"""Whoever texted has turned to something else by then."""
_DAY = timedelta(days=1)
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Heard:
    """One text: from which number (as the channel writes it, "" where it is none), and what it means."""

    incoming: Incoming
    address: str
    word: Word


def hearing(desk: Desk) -> Callable[[str, Sequence[Incoming], int], Sequence[bool]]:
    """What the engine hands everything to that came in as words, by channel; see `hear`."""
    return lambda channel, texts, most: hear(desk, channel, texts, most)


def hear(desk: Desk, channel: str, texts: Sequence[Incoming], most: int) -> Sequence[bool]:
    """Do what these texts ask for: every STOP, and `most` others. Heard twice, it is done once and answered once.

    Where residents may not subscribe by this channel, only STOP is heard, of whoever was taken from a list.

    Args:
        texts: in the order in which they came.

    Returns:
        Of each whether it is done; the others are to be heard again.

    Raises:
        StoreError: it could not be written down: all of it is heard again.
    """
    adapter = desk.configuration.adapters.get(channel)
    if not isinstance(adapter, LetterAdapter):
        return [True] * len(texts)
    heard = [_Heard(text, _number(adapter, text.address), understand(text.text)) for text in texts]
    overtaken = _overtaken(desk, heard)
    if not _is_offered(desk, channel):
        overtaken = {id(one) for one in heard if not _is_stop(one)}
    # To a short code or a name nothing can be sent, and nothing of theirs can be ended.
    others = [
        one for one in heard if one.address and not _is_stop(one) and id(one) not in overtaken
    ]
    later = {id(one) for one in others[max(0, most) :]}
    now = [one for one in heard if id(one) not in later]
    for one in sorted(now, key=lambda one: not _is_stop(one)):
        if one.address and id(one) not in overtaken:
            _safely(desk, channel, adapter, one)
    if now:
        _count(desk, channel, now)
    return [id(one) not in later for one in heard]


def _is_offered(desk: Desk, channel: str) -> bool:
    allowed = desk.configuration.settings.residents
    return allowed is not None and channel in allowed.channels


def _is_stop(one: _Heard) -> bool:
    return one.word.meaning is Meaning.STOP


def _overtaken(desk: Desk, heard: Sequence[_Heard]) -> set[int]:
    """What somebody wrote before he ended all of it: STOP is done first, and what came before it must not undo it."""
    found: set[int] = set()
    ended: set[str] = set()
    for one in reversed(heard):
        if _is_stop(one) and not _places_to_end(desk, one):
            ended.add(one.address)
        elif not _is_stop(one) and one.address in ended:
            found.add(id(one))
    return found


def _safely(desk: Desk, channel: str, adapter: LetterAdapter, one: _Heard) -> None:
    try:
        _one(desk, channel, adapter, one)
    except StoreError:
        raise
    except Exception as error:  # noqa: BLE001 - one text must hold up no other, and its words are a stranger's
        log.error("a text is not understood", channel=channel, reason=type(error).__name__)


def _number(adapter: LetterAdapter, written: str) -> str:
    """The number as it is kept; "" for a short code, a name, or what is no number."""
    try:
        return adapter.address(written)
    except ValueError:
        return ""


def _one(desk: Desk, channel: str, adapter: LetterAdapter, one: _Heard) -> None:
    if one.word.meaning is Meaning.STOP:
        _stop(desk, channel, adapter, one)
    elif _is_new(desk, channel, one):
        say = {
            Meaning.START: _start,
            Meaning.LANGUAGE: _language,
            Meaning.HELP: _help,
            Meaning.OTHER: _help_once_a_day,
        }[one.word.meaning]
        say(desk, channel, adapter, one)


def _is_new(desk: Desk, channel: str, one: _Heard) -> bool:
    """Whether it was not heard before: gateways say a thing again when our answer is late."""
    handle, now = one.incoming.handle, desk.clock()
    if not handle:
        return True
    name = desk.store.vault.proof(f"heard {channel}", handle)
    once = Limit(what=f"heard {name}", window=Window("", now + _DAY), most=1)
    return desk.write(lambda connection: spending.take(connection, [once])) is None


def _count(desk: Desk, channel: str, heard: Sequence[_Heard]) -> None:
    """How many there were of each kind in a day: all that is kept of what people write."""
    start = desk.clock().astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    window = Window(f"{start:%Y-%m-%d}", start + timedelta(days=8))
    limits = [
        Limit(what=f"texts {channel} {meaning}", window=window, amount=count)
        for meaning, count in Counter(one.word.meaning for one in heard).items()
    ]
    desk.write(lambda connection: spending.take(connection, limits))


# ------------------------------------------------------------------------------------------------------ what is asked for
def _stop(desk: Desk, channel: str, adapter: LetterAdapter, one: _Heard) -> None:
    """Honoured first and whatever follows; only then is it looked whether the answer may go."""
    before = residents.of_address(desk, channel, one.address)
    areas = _places_to_end(desk, one)
    for area in areas or (None,):
        residents.leave_address(desk, channel, one.address, area)
    if before is None or not before.choices.areas:
        return  # nobody who gets nothing is told that he gets nothing: that would be the first letter
    language = _spoken(desk, before)
    if areas and set(before.choices.areas) - set(areas):
        _answer(desk, channel, adapter, one, language, [
            ("{organisation}: No more about {areas}. To end all: STOP", {"areas": _listed(desk, areas, language)}),
            ("{organisation}: No more about that. To end all: STOP", {}),
        ])  # fmt: skip
        return
    again = "{organisation}: You get no more messages from us. START and a place begins again."
    _answer(desk, channel, adapter, one, language, [
        *([(again, {})] if _is_offered(desk, channel) else []),
        ("You get no more messages from us.", {}),
    ])  # fmt: skip


def _places_to_end(desk: Desk, one: _Heard) -> tuple[str, ...]:
    """The areas that a STOP ends; () for all of it, also where anything stands behind it that is no area."""
    areas, strange = areas_named(one.word.rest, _names(desk))
    return () if strange else areas


def _start(desk: Desk, channel: str, adapter: LetterAdapter, one: _Heard) -> None:
    mine = residents.of_address(desk, channel, one.address)
    language = _spoken(desk, mine)
    areas, _ = areas_named(one.word.rest, _names(desk))
    if not areas:
        _which(desk, channel, adapter, one, language)
        return
    wanted = Choices(areas=areas, language=language)
    chosen = replace(mine.choices, areas=areas, language=language) if mine else wanted
    try:
        words = agreement(desk.configuration, language)
        mark = residents.subscribe(desk, channel, one.address, chosen, "keyword", words)
    except Refused:
        _which(desk, channel, adapter, one, language)
        return
    link = f"{desk.configuration.settings.follow_url}/mine/{mark}"
    here = {"areas": _listed(desk, areas, language), "link": link}
    _answer(desk, channel, adapter, one, language, [
        ("{organisation}: You now get SMS about {areas}. Change: {link} End: STOP", here),
        ("{organisation}: You now get SMS about {areas}. End: STOP", here),
        ("{organisation}: You now get SMS. End: STOP", {}),
    ])  # fmt: skip


def _spoken(desk: Desk, mine: residents.Mine | None) -> str:
    """The language somebody chose, if we speak it still; else our first."""
    spoken = desk.configuration.languages
    return mine.choices.language if mine and mine.choices.language in spoken else spoken[0]


def _which(desk: Desk, channel: str, adapter: LetterAdapter, one: _Heard, language: str) -> None:
    """START without a place that we know: which there are, as many as one part holds."""
    names = [area.called(language) for area in desk.configuration.settings.areas.values()]
    follow = desk.configuration.settings.follow_url
    some = [
        (
            "{organisation}: Which place? Answer START and its name: {areas}",
            {"areas": ", ".join(names[:count]) + ("" if count == len(names) else " …")},
        )
        for count in range(len(names), 0, -1)
    ]
    _answer(desk, channel, adapter, one, language, [
        *some,
        ("Which place? Answer START and its name. All of them: {link}", {"link": f"{follow}/"}),
    ])  # fmt: skip


def _language(desk: Desk, channel: str, adapter: LetterAdapter, one: _Heard) -> None:
    spoken = desk.configuration.languages
    language = language_named(one.word.rest, spoken)
    mine = residents.of_address(desk, channel, one.address)
    if not language:
        _answer(desk, channel, adapter, one, _spoken(desk, mine), [
            ("{organisation}: Which language? Answer LANGUAGE and one of {tags}", {"tags": ", ".join(spoken).upper()}),
        ])  # fmt: skip
        return
    if mine is not None and mine.choices.areas:
        residents.change(desk, mine.mark, replace(mine.choices, language=language))
    _answer(desk, channel, adapter, one, language, [
        ("{organisation}: We write to you in English from now on.", {}),
    ])  # fmt: skip


def _help(desk: Desk, channel: str, adapter: LetterAdapter, one: _Heard) -> None:
    language = _spoken(desk, residents.of_address(desk, channel, one.address))
    settings = desk.configuration.settings
    where = {"phone": settings.organisation.phone, "link": f"{settings.public.url}/"}
    _answer(desk, channel, adapter, one, language, [
        *([("{organisation}: START and a place begins, STOP ends. The situation now: {link} Ring: {phone}", where)]
          if where["phone"] else []),
        ("{organisation}: START and a place begins, STOP ends. The situation now: {link}", where),
        ("START and a place begins, STOP ends.", {}),
    ])  # fmt: skip


def _help_once_a_day(desk: Desk, channel: str, adapter: LetterAdapter, one: _Heard) -> None:
    """Whoever writes anything else gets HELP once a day: he may think that somebody reads it."""
    now = desk.clock()
    whose = desk.store.vault.digest(channel, one.address).hex()[:40]
    once = Limit(what=f"help {whose}", window=Window(f"{now:%Y-%m-%d}", now + _DAY), most=1)
    if desk.write(lambda connection: spending.take(connection, [once])) is None:
        _help(desk, channel, adapter, one)


# ---------------------------------------------------------------------------------------------------------- the answer
_Sentence = tuple[str, dict[str, str]]


def _answer(
    desk: Desk,
    channel: str,
    adapter: LetterAdapter,
    one: _Heard,
    language: str,
    sentences: Sequence[_Sentence],
) -> None:
    """The first of these that fits into one part, if the fuses let it go; to people's numbers only, never to our own."""
    if one.address == _own(desk, adapter):
        return
    body, now = _fitting(desk, language, sentences), desk.clock()

    def work(connection: Connection) -> None:
        if fuses.may_answer(desk, connection, channel, adapter, one.address):
            personal.queue(
                connection,
                desk.store.vault,
                channel=channel,
                what="answer",
                address=one.address,
                subject="",
                body=body,
                language=language,
                now=now,
                not_after=now + ANSWER_WITHIN,
            )

    desk.write(work)


def _own(desk: Desk, adapter: LetterAdapter) -> str:
    allowed = desk.configuration.settings.residents
    return _number(adapter, allowed.number) if allowed and allowed.number else ""


def _fitting(desk: Desk, language: str, sentences: Sequence[_Sentence]) -> str:
    """What fits into one part, in letters every phone has; the last is cut where even that does not fit."""
    organisation = desk.configuration.settings.organisation.name
    spoken = desk.configuration.spoken(language)
    mode = _mode(desk, language)
    body = ""
    for sentence, values in sentences:
        said = translate(spoken, sentence, organisation=organisation, **values)
        body = plain(f"{mode}{said}").text
        if measure_sms(body).parts == 1:
            return body
    while measure_sms(body).parts > 1:
        body = body[:-1]
    return body


def _mode(desk: Desk, language: str) -> str:
    configuration = desk.configuration
    word = Wording(configuration.spoken(language), configuration.zone, desk.clock()).mode_label(
        configuration.settings.mode
    )
    return f"{word}: " if word else ""


def _listed(desk: Desk, areas: Sequence[str], language: str) -> str:
    known = desk.configuration.settings.areas
    return ", ".join(known[area].called(language) for area in areas if area in known)


def _names(desk: Desk) -> dict[str, tuple[str, ...]]:
    return {
        key: tuple(filter(None, (key, area.name, *area.names.values(), area.scb, area.ssb)))
        for key, area in desk.configuration.settings.areas.items()
    }
