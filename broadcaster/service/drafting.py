"""From a command to the update it becomes: what is left out is inherited, what cannot be true is refused. Pure."""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from broadcaster.domain.incident import Audience, Kind, Severity, Update
from broadcaster.domain.plan import lifetime
from broadcaster.domain.standing import newest_standing, tells_of_an_end, what_stands
from broadcaster.domain.text import BadText, clean
from broadcaster.service.commands import Command, Refused, Why
from broadcaster.service.own_words import HOLDING_SENTENCE, listed, our_own, retraction
from broadcaster.service.targeting import need_standing, nothing_stands, target_of
from broadcaster.service.timing import check_times, promise_of
from broadcaster.settings.model import Settings
from broadcaster.store.incidents import IncidentRecord, UpdateRecord

LONGEST_TEXT = 20_000
NEEDS_TEXT = frozenset({Kind.REPORT, Kind.CORRECTION, Kind.NOTICE})


# These have our own sentence in every language, so their texts do not tell what the operator writes in.
OUR_OWN_WORDS = frozenset({Kind.RETRACTION, Kind.HOLDING})


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """An update ready to be rendered, and the record it goes on from; `spoken` are its incident's languages so far."""

    update: Update
    target: UpdateRecord | None
    whole: bool
    base: Update | None
    spoken: frozenset[str] = frozenset()


def draft(
    command: Command,
    record: IncidentRecord | None,
    name: str,
    settings: Settings,
    now: datetime,
    author: str,
) -> Draft:
    """The update that `command` becomes on `record` (None: a new incident called `name`).

    Raises:
        Refused: it cannot be said; the sentence tells why and what to do.
    """
    target = target_of(command, record, now)
    audience = _audience(command, record, target)
    base = _base(command, record, target, audience)
    whole = command.whole or (command.kind is Kind.RETRACTION and base is None)
    called = base or (what_stands(record.updates, audience) if record and whole else None)
    said_at = command.at or now
    areas, ended = _areas(command, record, base, target, settings)
    if base is not None and not base.areas and command.kind is Kind.UPDATE:
        base = _begun_again(base, said_at)
    began = said_at if base is None and record and command.kind is Kind.UPDATE else None
    update = Update(
        incident=name,
        number=(record.last_number if record else 0) + 1,
        kind=command.kind,
        audience=audience,
        severity=command.severity or (base.severity if base else Severity.MODERATE),
        mode=settings.mode,
        areas=areas,
        ended=ended,
        texts=_texts(command, settings),
        headline=_line(command.headline, called.headline if called else "", "headline"),
        since=command.since or (base.since if base else began),
        etr=None if command.drop_etr else command.etr or (base.etr if base else None),
        planned=command.planned or (base.planned if base else None),
        affected=command.affected
        if command.affected is not None
        else (base.affected if base else None),
        cause=_fact(command.cause, base.cause if base else "", "cause"),
        instruction=_fact(command.instruction, base.instruction if base else "", "instruction"),
        corrects=None if command.whole or target is None else target.said.number,
        author=author,
        accepted_at=now,
        not_after=now,
    )
    check_times(command, update, now, said_at)
    promise = promise_of(command, update, settings, said_at, base, over=whole or not areas)
    update = replace(update, promise=promise, not_after=lifetime(said_at, promise, command.until))
    words = [known.said for known in record.updates] if record else []
    spoken = {tag for said in words if said.kind not in OUR_OWN_WORDS for tag in said.texts}
    return Draft(update=update, target=target, whole=whole, base=base, spoken=frozenset(spoken))


def digest(update: Update) -> str:
    """What finds the same report sent twice: kind, audience, areas and texts."""
    parts = [
        update.kind,
        update.audience,
        *sorted(update.areas),
        *(f"{key}={text}" for key, text in sorted(update.texts.items())),
    ]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


# -------------------------------------------------------------------------------------------- what it goes on from
def _audience(
    command: Command, record: IncidentRecord | None, target: UpdateRecord | None
) -> Audience:
    """A wrong text is put right before those who were told it: staff's words never become public by a correction."""
    if command.kind not in (Kind.CORRECTION, Kind.RETRACTION):
        return command.audience or _usual_audience(record)
    told = target.said.audience if target else _usual_audience(record)
    if command.audience not in (None, told):
        raise Refused(
            "What is corrected was told to others, and they are told what is right. Leave --audience out. "
            "Nothing was sent.",
            Why.CONFLICT,
            at="audience",
        )
    return told


def _usual_audience(record: IncidentRecord | None) -> Audience:
    """Whom an operator speaks to who does not say: the public, but of what only staff know, staff."""
    staff_only = record is not None and all(
        update.said.audience is Audience.STAFF for update in record.updates
    )
    return Audience.STAFF if staff_only else Audience.PUBLIC


def _base(
    command: Command, record: IncidentRecord | None, target: UpdateRecord | None, audience: Audience
) -> Update | None:
    """What is inherited: what stands, of a retraction what stands without what is retracted.

    What the public is told never inherits from what only staff were told. Where what is left says only that there is no
    news, nothing is left.
    """
    if record is None or (command.whole and command.kind is Kind.RETRACTION):
        return None
    retracted = target if command.kind is Kind.RETRACTION else None
    without = retracted.said.number if retracted else None
    left = (word for word in record.updates if word is not retracted)
    if retracted and newest_standing(left, audience, news=True) is None:
        return None
    return what_stands(record.updates, audience, without=without)


def _begun_again(over: Update, at: datetime) -> Update:
    """What goes on from an outage that was over: what it is called and how grave it is; nothing of when, why, how many."""
    return replace(over, since=at, etr=None, planned=None, affected=None, cause="", instruction="")


Areas = tuple[tuple[str, ...], tuple[str, ...]]


def _areas(
    command: Command,
    record: IncidentRecord | None,
    base: Update | None,
    target: UpdateRecord | None,
    settings: Settings,
) -> Areas:
    """The areas concerned after the update, and those it ends."""
    named = tuple(dict.fromkeys(area_key(area, settings) for area in command.area))
    without = tuple(dict.fromkeys(area_key(area, settings) for area in command.without_area))
    before = base.areas if base else ()
    _need_said(command)
    if command.kind is Kind.RETRACTION:
        gone = () if base else tuple(area for area in _ever(record) if area in settings.areas)
        return before, gone
    told_over = _told_over(record, target)
    if base is not None and not before:
        _need_within(without, before, record, settings)
        return _areas_of_what_is_over(command, base, told_over, named, settings)
    if command.kind is Kind.RESTORED:
        if base is None:
            raise nothing_stands(record)
        ended = named or before
        _need_within(ended, before, record, settings)
        return tuple(area for area in before if area not in ended), ended
    _need_within(without, before, record, settings)
    kept = tuple(area for area in before if area not in without)
    areas = tuple(dict.fromkeys((*kept, *named)))
    if not areas or command.kind is Kind.HOLDING:
        need_standing(record)
    if not areas:
        raise _without_any(record) if without else _nowhere(command, settings)
    still_over = (area for area in told_over if area not in areas)
    return areas, tuple(dict.fromkeys((*without, *still_over)))


def _need_said(command: Command) -> None:
    """Refuse areas that this kind of word passes over: whoever names them believes that it is only there."""
    if command.kind is Kind.RETRACTION and (command.area or command.without_area):
        raise Refused(
            "A retraction takes the whole word back and has no area. Where it no longer is: broadcaster update "
            "{incident} --without-area AREA. Where it is over: broadcaster restored {incident} --area AREA. "
            "Nothing was sent.",
            at="area" if command.area else "without_area",
            incident=command.incident or "ID",
        )
    if command.kind is Kind.RESTORED and command.without_area:
        raise Refused(
            "Where it is over is named with --area. Nothing was sent.",
            at="without_area",
        )


def _areas_of_what_is_over(
    command: Command,
    base: Update,
    told_over: tuple[str, ...],
    named: tuple[str, ...],
    settings: Settings,
) -> Areas:
    """A restored incident is opened again where it was by an update, or by a correction that names where."""
    if command.kind is Kind.CORRECTION:
        return named, () if named else tuple(dict.fromkeys((*told_over, *base.ended)))
    if command.kind is Kind.UPDATE:
        if not named and not base.ended:
            raise _nowhere(command, settings)
        return named or base.ended, ()
    raise Refused(
        "{incident} is over already. To open it again: broadcaster update {incident}. Nothing was sent.",
        Why.CONFLICT,
        incident=base.incident,
    )


def _told_over(record: IncidentRecord | None, target: UpdateRecord | None) -> tuple[str, ...]:
    """Where it is over by the word that is corrected: what was wrong of that word is not that it is over."""
    if record is None or target is None or not tells_of_an_end(record.updates, target):
        return ()
    return target.said.ended


def _without_any(record: IncidentRecord | None) -> Refused:
    return Refused(
        "No area is left then. If it is over: broadcaster restored {incident}. Nothing was sent.",
        Why.CONFLICT,
        at="without_area",
        incident=record.name if record else "",
    )


def _nowhere(command: Command, settings: Settings) -> Refused:
    keys = areas_named(command.texts, settings)
    if keys:
        return Refused(
            "The text names {named}: say so with {options}. Nobody is told when no area is named. Nothing was sent.",
            at="area",
            named=", ".join(settings.areas[key].name for key in keys),
            options=" ".join(f"--area {key}" for key in keys),
        )
    return Refused(
        "Say where: --area KEY. Nobody is told when no area is named. Nothing was sent.", at="area"
    )


def _ever(record: IncidentRecord | None) -> tuple[str, ...]:
    return (
        tuple(dict.fromkeys(area for update in record.updates for area in update.said.areas))
        if record
        else ()
    )


def _need_within(
    areas: tuple[str, ...],
    before: tuple[str, ...],
    record: IncidentRecord | None,
    settings: Settings,
) -> None:
    outside = [area for area in areas if area not in before]
    if outside:
        names = {key: area.name for key, area in settings.areas.items()}
        raise Refused(
            "{incident} does not concern {area} now; it concerns {areas}. Nothing was sent.",
            Why.CONFLICT,
            at="area",
            incident=record.name if record else "",
            area=", ".join(names.get(key, key) for key in outside),
            areas=", ".join(names.get(key, key) for key in before) or "–",
        )


def areas_named(texts: Mapping[str, str], settings: Settings) -> list[str]:
    """The keys of the areas whose names, in any language, stand in some texts, in the order of the configuration."""
    left = " ".join(texts.values()).casefold()
    found = set()
    names = [
        (name.casefold(), key)
        for key, area in settings.areas.items()
        for name in (area.name, *area.names.values())
    ]
    # The longest first: "Norra Ekbyn" does not name Ekbyn.
    for name, key in sorted(names, key=lambda each: -len(each[0])):
        left, count = re.subn(rf"(?<!\w){re.escape(name)}s?(?!\w)", " ", left)
        if count:
            found.add(key)
    return [key for key in settings.areas if key in found]


def area_key(written: str, settings: Settings) -> str:
    """The key of an area written as key or official code; refuses an unknown one, naming the nearest."""
    key = written.strip()
    if key in settings.areas:
        return key
    if key in settings.codes:
        return settings.codes[key]
    near = difflib.get_close_matches(key.casefold(), settings.areas, n=1)
    if near:
        raise Refused(
            'There is no area "{area}". Did you mean {near}? Nothing was sent.',
            Why.INVALID,
            at="area",
            area=key[:80],
            near=near[0],
        )
    raise Refused(
        'There is no area "{area}". There are {areas}. Nothing was sent.',
        Why.INVALID,
        at="area",
        area=key[:80],
        areas=", ".join(list(settings.areas)[:12]),
    )


# ------------------------------------------------------------------------------------------------------ what it says
def _texts(command: Command, settings: Settings) -> Mapping[str, str]:
    known = settings.organisation.languages
    texts: dict[str, str] = {}
    for tag, text in command.texts.items():
        language = tag or known[0]
        if language not in known:
            raise Refused(
                'There is no language "{language}" here; there are {languages}.',
                at="text",
                language=language[:20],
                languages=", ".join(known),
            )
        cleaned = _clean(text, "text")
        if cleaned:
            texts[language] = cleaned
    if texts:
        return texts
    if command.kind is Kind.RETRACTION:
        return retraction(settings)
    if command.kind is Kind.HOLDING:
        return our_own(HOLDING_SENTENCE, known)
    if command.kind in NEEDS_TEXT or (command.kind is Kind.UPDATE and not _changes_facts(command)):
        raise Refused(
            "The text is empty. Say in one sentence what has happened. Nothing was sent.", at="text"
        )
    return {}


def _changes_facts(command: Command) -> bool:
    facts = (
        command.etr,
        command.next,
        command.affected,
        command.cause,
        command.instruction,
        command.severity,
    )
    return any(fact is not None for fact in facts) or bool(
        command.area or command.without_area or command.drop_etr
    )


def _line(given: str | None, before: str, at: str) -> str:
    return before if given is None else _clean(given, at)


def _fact(given: str | None, before: str, at: str) -> str:
    return before if given is None else listed(at, _clean(given, at))


def _clean(text: str, at: str) -> str:
    try:
        return clean(text, limit=LONGEST_TEXT).strip()
    except BadText as error:
        sentence = "{reason} Nothing was sent."
        if at != "text":
            sentence = "{option}: {reason} Nothing was sent."
        raise Refused(sentence, at=at, option=f"--{at}", reason=str(error)) from error
