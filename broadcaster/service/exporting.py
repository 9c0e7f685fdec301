"""What stands of an incident, for other hands and mouths: a sheet for the shop door, scripts for radio, desk and phone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from babel import Locale, UnknownLocaleError

from broadcaster.domain import scripts
from broadcaster.domain.addresses import incident_path, language_folder
from broadcaster.domain.aloud import Aloud, numerals
from broadcaster.domain.board import BoardIncident
from broadcaster.domain.scripts import Script
from broadcaster.domain.situation import Situation, Speaker
from broadcaster.domain.wording import Wording, power_cuts
from broadcaster.locale import phrases, translate
from broadcaster.service.commands import Operator, Refused, Role, Why
from broadcaster.service.desk import Configuration, Desk, permit
from broadcaster.service.finding import load_named
from broadcaster.service.notices import iso
from broadcaster.service.sheet import sheet
from broadcaster.store import Connection, boardwords

PLAIN, HTML = "text/plain", "text/html"
_RULE = "-" * 60
_NO_ROOM = "Not all words have room on one sheet: some are left to the page that its code leads to."


@dataclass(frozen=True, slots=True)
class _Made:
    """A text for people, its media type, the scripts in it by language, and what is to be known besides, in English."""

    content: str
    media_type: str = PLAIN
    scripts: tuple[tuple[str, Script], ...] = ()
    remarks: tuple[str, ...] = ()


def export(
    desk: Desk,
    operator: Operator,
    name: str,
    form: str,
    languages: Sequence[str],
    language: str,
) -> dict[str, Any]:
    """The newest standing word of an incident with all its facts, in the `form` that is asked for.

    Args:
        form: "notice" (one A4 page of HTML), "radio", "desk" or "phone" (plain text).
        languages: tags of the organisation's languages, in the order they are to stand; none: its first.
        language: in which remarks for the operator are said.

    Raises:
        Refused: there is no such incident, nothing of it is public, or no such form or language.
    """
    permit(operator, Role.VIEWER)
    configuration = desk.configuration
    if form not in FORMS:
        raise Refused(
            "There is no export as {form}. There are: {forms}",
            at="as",
            form=form[:40],
            forms=", ".join(FORMS),
        )
    tags = tuple(dict.fromkeys(languages)) or configuration.languages[:1]
    for tag in tags:
        if tag not in configuration.languages:
            raise Refused(
                "The organisation does not speak {language}. It speaks: {languages}",
                at="lang",
                language=tag[:40],
                languages=", ".join(configuration.languages),
            )

    def look(connection: Connection) -> BoardIncident:
        record = load_named(connection, name)
        if not any(update.said.revision for update in record.updates):
            raise Refused(
                "Nothing of {incident} is public yet, so there is nothing to hand on.",
                Why.CONFLICT,
                incident=record.name,
            )
        return boardwords.incident(record)

    incident: BoardIncident = desk.read(look)
    now = desk.clock()
    told = [_situation(configuration, incident, tag, now) for tag in tags]
    made = FORMS[form](told)
    first = told[0]
    return {
        "incident": incident.id,
        "update": first.newest.number,
        "as": form,
        "mode": str(incident.mode),
        "languages": list(tags),
        "at": iso(now),
        "valid_until": iso(first.promise),
        "media_type": made.media_type,
        "content": made.content,
        "scripts": [
            {
                "language": tag,
                "limit": script.limit or None,
                "seconds": script.seconds,
                "words": script.words,
                "twice": script.twice,
                "text": script.text,
            }
            for tag, script in made.scripts
        ],
        "remarks": [
            *_remarks(told, form, language),
            *(translate(phrases(language), remark) for remark in made.remarks),
        ],
    }


def _situation(
    configuration: Configuration, incident: BoardIncident, tag: str, now: datetime
) -> Situation[Wording]:
    settings = configuration.settings
    languages = configuration.languages
    known = power_cuts(map(configuration.spoken, languages))
    path = language_folder(languages, tag) + incident_path(incident.slug)
    return Situation(
        incident=incident,
        words=Wording(configuration.spoken(tag), configuration.zone, incident.updates[0].at, known),
        language=tag,
        at=now,
        speaker=Speaker(
            name=settings.organisation.name,
            phone=settings.organisation.phone,
            language=languages[0],
            areas={key: area.called(tag) for key, area in settings.areas.items()},
        ),
        link=f"{settings.public.url}/{path}",
    )


def _aloud(told: Situation[Wording]) -> Situation[Aloud]:
    words = told.words
    spelled = Aloud(
        words.phrases, words.zone, words.near, words.power_cuts, numerals(told.language)
    )
    return Situation(
        incident=told.incident,
        words=spelled,
        language=told.language,
        at=told.at,
        speaker=told.speaker,
        link=told.link,
    )


def _remarks(told: Sequence[Situation[Wording]], form: str, language: str) -> list[str]:
    """What whoever takes it must know: which words are in another language, and how the promise stands."""
    words = phrases(language)
    said = []
    first = told[0]
    if first.late:
        said.append(
            translate(
                words, "The promised time has passed: say a new word before you hand this on."
            )
        )
    for each in told:
        if not any(each.foreign()):
            continue
        sentence = (
            "Some words exist in another language than {language} only, and are left out."
            if form in ("radio", "phone")
            else "Some words exist in another language than {language} only, and stand so."
        )
        said.append(translate(words, sentence, language=_named(each.language, language)))
    return said


def _named(tag: str, language: str) -> str:
    """Say in `language` what a language is called: "engelska"; of one that nobody knows, its tag."""
    try:
        return Locale.parse(tag, sep="-").get_display_name(language.replace("-", "_")) or tag
    except (UnknownLocaleError, ValueError):
        return tag


# ------------------------------------------------------------------------------------------------------ the forms
def _notice(told: Sequence[Situation[Wording]]) -> _Made:
    made = sheet(told)
    return _Made(made.html, HTML, remarks=() if made.whole else (_NO_ROOM,))


def _radio(told: Sequence[Situation[Wording]]) -> _Made:
    made, blocks = [], []
    for each in told:
        for limit in scripts.LENGTHS:
            script = scripts.radio(_aloud(each), limit)
            made.append((each.language, script))
            blocks.append(f"{_timed(each, script)}\n\n{script.text}")
    return _Made(_joined(told, "RADIO", blocks), scripts=tuple(made))


def _timed(told: Situation[Wording], script: Script) -> str:
    """Say how long a script takes, and honestly when that is longer than it may."""
    _ = told.words.say
    values = {"seconds": script.seconds, "words": script.words, "pace": scripts.PACE}
    said = _("{seconds} s aloud ({words} words at {pace} a minute)", **values)
    if script.seconds > script.limit:
        return _("Longer than {limit} s:", limit=script.limit) + " " + said
    within = _("Within {limit} s:", limit=script.limit) + " " + said
    return within if script.twice else f"{within}. " + _("Read it twice.")


def _desk(told: Sequence[Situation[Wording]]) -> _Made:
    blocks = [
        "\n\n".join(
            "\n".join((part.heading, *(f"* {line}" for line in part.lines)))
            for part in scripts.desk(each)
        )
        for each in told
    ]
    return _Made(_joined(told, "DESK", blocks))


def _phone(told: Sequence[Situation[Wording]]) -> _Made:
    made = [(each.language, scripts.phone(_aloud(each))) for each in told]
    blocks = [
        f"{_recorded(each, script)}\n\n{script.text}"
        for each, (_tag, script) in zip(told, made, strict=True)
    ]
    return _Made(_joined(told, "PHONE", blocks), scripts=tuple(made))


def _recorded(told: Situation[Wording], script: Script) -> str:
    """Say when it must be recorded anew."""
    _ = told.words.say
    if told.late:
        when = _("Record nothing now: the promised time has passed. Say a new word first.")
    elif told.promise:
        when = _(
            "Record anew by {time}, whatever has happened.", time=told.words.moment(told.promise)
        )
    else:
        when = _("Record anew when something new is said.")
    length = _("{seconds} s aloud", seconds=script.seconds)
    return f"{when}\n{length}"


def _joined(told: Sequence[Situation[Wording]], form: str, blocks: Sequence[str]) -> str:
    """Put the texts below a line that says what this is, the word of the mode first."""
    first = told[0]
    _ = first.words.say
    names = {
        "RADIO": _("To be read on the radio"),
        "DESK": _("For the front desk"),
        "PHONE": _("For the answering machine"),
    }
    head = " · ".join(filter(None, (first.mode, names[form], first.speaker.name, first.name)))
    made = _("Made {moment}", moment=first.words.moment(first.at))
    return f"{head}\n{made}\n\n" + f"\n\n{_RULE}\n\n".join(blocks) + "\n"


FORMS: Mapping[str, Callable[[Sequence[Situation[Wording]]], _Made]] = {
    "notice": _notice,
    "radio": _radio,
    "desk": _desk,
    "phone": _phone,
}
