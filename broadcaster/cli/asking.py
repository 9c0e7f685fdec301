"""What is asked on a terminal: the questions of a report, the area's name, yes or no. Off a terminal nothing asks."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from broadcaster.cli.body import time_ahead
from broadcaster.cli.ending import Code, End
from broadcaster.cli.opening import Talk, now
from broadcaster.cli.options import Said
from broadcaster.cli.saying import Voice, note, shown

_TRIES = 3
"""After so many misses it is said how to say it later."""
_OPTION = re.compile(r"(?<!\S)--[a-z]")
_IN_BRACKETS = re.compile(r" \(--[a-z-]+\)")
_BETWEEN = re.compile(r"(?<=[.?!]) ")
"""Where one sentence ends and another begins."""
_LISTED = 12
"""How many areas are shown, with their numbers."""


def can_ask() -> bool:
    """Whether somebody sits at both ends of a question: it is written to stderr and answered on stdin."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def ask(voice: Voice, question: str) -> str:
    """Ask one question; the answer is returned without the white space around it.

    Raises:
        End: the operator broke off (code 4).
    """
    _ = voice.say
    sys.stderr.write(shown(question, sys.stderr) + " ")
    sys.stderr.flush()
    try:
        answer = sys.stdin.readline()
    except KeyboardInterrupt:
        answer = ""
    if not answer:
        sys.stderr.write("\n")
        raise End(Code.REFUSED, _("Broken off. Nothing was sent."))
    return answer.strip()


def ask_yes(voice: Voice, question: str) -> bool:
    """Ask for yes or no; anything but a clear yes is no."""
    _ = voice.say
    answer = ask(voice, _("{question} [y/N]", question=question)).casefold()
    return answer in {"y", "yes", _("y"), _("yes")}


def need_yes(voice: Voice, question: str, *, yes: bool) -> None:
    """Go on only with a yes, given now or by `--yes`.

    Raises:
        End: he says no, or there is nobody to ask (code 4).
    """
    _ = voice.say
    if yes:
        return
    if not can_ask():
        raise End(
            Code.REFUSED, _("{question} There is nobody to ask: add --yes.", question=question)
        )
    if not ask_yes(voice, question):
        raise End(Code.REFUSED, _("Nothing was changed."))


def need_area_name(talk: Talk, keys: list[str], again: str) -> None:
    """Have the name of an area typed, or of several: what goes to phones is not sent by a reflex.

    A miss is asked again as often as it takes: it is no reason to lose what was typed before.

    Args:
        keys: the areas that it concerns.
        again: the command that says it anew.

    Raises:
        End: nothing was typed (code 4).
    """
    _ = talk.voice.say
    names = ", ".join(talk.area_names(keys))
    one = _("Type the area's name to send, nothing to give up: {name}\n>", name=names)
    several = _(
        "Type the name of one of the areas to send, nothing to give up: {names}\n>", names=names
    )
    missed = 0
    while typed := ask(talk.voice, several if len(keys) > 1 else one):
        named = [part.strip() for part in typed.split(",") if part.strip()]
        if named and all(
            any(_is_called(part, area) for area in _among(talk, keys)) for part in named
        ):
            return
        note(_('"{typed}" is not the name.', typed=typed))
        missed += 1
        if missed == _TRIES:
            note(_("Nothing has been sent. To say it later:"))
            note(f"  {again}")
    raise End(Code.REFUSED, not_sent(talk.voice, again))


def not_sent(voice: Voice, again: str) -> str:
    """That nothing was sent, and how it is said without answering everything anew."""
    _ = voice.say
    return "\n".join((_("Nothing was sent. To say it later:"), f"  {again}"))


def _among(talk: Talk, keys: list[str]) -> list[Mapping[str, Any]]:
    known = {str(area["key"]): area for area in talk.organisation.get("areas", ())}
    return [known.get(key, {"key": key, "name": key}) for key in keys]


def _is_called(written: str, area: Mapping[str, Any]) -> bool:
    """Whether that is the area's key, one of its codes, or its name."""
    given = written.casefold()
    return given in {area["key"], area["name"].casefold(), *dict(area.get("codes") or {}).values()}


def ask_four(talk: Talk, said: Said) -> str:
    """Where, what, until when, next word: fills `said` where nothing was written; the text is returned."""
    areas = list(talk.organisation.get("areas", ()))
    if not said.area:
        said.area = _ask_where(talk.voice, areas)
    text = _ask_text(talk.voice)
    if said.etr is None:
        said.etr = _ask_etr(talk.voice)
    if said.next is None:
        said.next = _ask_next(talk, said)
    return text


def ask_what_lacks(talk: Talk, said: Said, preview: Mapping[str, Any]) -> bool:
    """Ask whether areas that the text names are meant too, and for the text in the languages that have none.

    `said` gets what is answered; whether that was anything is returned.
    """
    voice, _ = talk.voice, talk.voice.say
    areas, texts = list(preview.get("names_also") or ()), []
    named = ", ".join(talk.area_names(areas))
    if areas and not ask_yes(voice, _("Your text names {areas}. Send it there too?", areas=named)):
        areas = []
    for tag in preview.get("no_text_in") or ():
        question = _(
            "The same in {language} (empty: your words stand there untranslated)?",
            language=voice.language_name(tag),
        )
        if text := ask(voice, question):
            texts.append(f"{tag}={text}")
    said.area = [*(said.area or ()), *areas]
    said.texts = [*(said.texts or ()), *texts]
    return bool(areas or texts)


def ask_again(talk: Talk, said: Said, text: str, refusal: End) -> str | None:
    """Ask anew only what was refused; the text to go on with is returned, None where no question would help."""
    at = str(refusal.problem.get("at") or "")
    if refusal.code is not Code.REFUSED or at not in ("area", "text", "etr", "next"):
        return None
    note(_plain(refusal.sentence, at))
    if at == "area":
        said.area = _ask_where(talk.voice, list(talk.organisation.get("areas", ())))
    elif at == "etr":
        said.etr = _ask_etr(talk.voice)
    elif at == "next":
        said.next = _ask_next(talk, said)
    else:
        said.texts = None  # they say the same in other languages: each is asked for anew
        return _ask_text(talk.voice)
    return text


def _plain(sentence: str, option: str) -> str:
    """A refusal without the names of options: who answers a question has written none, and cannot."""
    sentence = _IN_BRACKETS.sub("", sentence.removeprefix(f"--{option}").lstrip(": "))
    return " ".join(part for part in _BETWEEN.split(sentence) if not _OPTION.search(part))


def _ask_text(voice: Voice) -> str:
    _ = voice.say
    text = ""
    while not text:
        text = ask(voice, _("What has happened, in one sentence?"))
    return text


def _ask_etr(voice: Voice) -> str | None:
    _ = voice.say
    return _ask_time(voice, _("Until when (19:00 or 2h; empty: not known)?"), "etr")


def _ask_where(voice: Voice, areas: list[Mapping[str, Any]]) -> list[str]:
    _ = voice.say
    shown = ", ".join(
        f"{number} {area['name']} ({area['key']})"
        for number, area in enumerate(areas[:_LISTED], start=1)
    )
    more = " …" if len(areas) > _LISTED else ""
    note(_("Areas: {areas}{more}", areas=shown, more=more))
    while True:
        written = ask(voice, _("Where (name, key or number, several with a comma between)?"))
        named = [part.strip() for part in written.split(",") if part.strip()]
        keys = [_area_key(part, areas) for part in named]
        unknown = [part for part, key in zip(named, keys, strict=True) if key is None]
        if keys and not unknown:
            return [key for key in keys if key is not None]
        for part in unknown:
            note(_no_area(voice, part, areas))


def _no_area(voice: Voice, written: str, areas: list[Mapping[str, Any]]) -> str:
    """That there is no such area, and the name that is most like it."""
    _ = voice.say
    names = {
        str(word).casefold(): str(area["name"])
        for area in areas
        for word in (area["name"], area["key"])
    }
    near = get_close_matches(written.casefold(), names, n=1)
    if not near:
        return _('There is no area "{area}".', area=written[:80])
    return _(
        'There is no area "{area}". Did you mean {near}?', area=written[:80], near=names[near[0]]
    )


def _area_key(written: str, areas: list[Mapping[str, Any]]) -> str | None:
    """The key of an area written as key, code, name or number of the list, or as the beginning of exactly one name or key.

    A code that is another's number in the list means neither.
    """
    given = written.casefold()
    called = {str(area["key"]) for area in areas if _is_called(written, area)}
    listed = {str(number): str(area["key"]) for number, area in enumerate(areas[:_LISTED], 1)}
    called |= {listed[given]} if given in listed else set()
    if called:
        return called.pop() if len(called) == 1 else None
    begun = [
        str(area["key"])
        for area in areas
        if area["key"].startswith(given) or area["name"].casefold().startswith(given)
    ]
    return begun[0] if len(begun) == 1 else None


def _ask_next(talk: Talk, said: Said) -> str | None:
    _ = talk.voice.say
    rule = talk.organisation.get("follow_up")
    if rule is None:
        question = _("When comes the next word (45m or 15:30)?")
        while True:
            written = _ask_time(talk.voice, question, "next")
            if written or said.audience == "staff":  # residents are owed one
                return written
    minutes = round(float(rule["next"]) / 60)
    question = _("When comes the next word (empty: in {minutes} min)?", minutes=minutes)
    return _ask_time(talk.voice, question, "next")


def _ask_time(voice: Voice, question: str, option: str) -> str | None:
    """A time as written, asked again until it can be read; None for no answer."""
    while True:
        written = ask(voice, question)
        try:
            if written:
                time_ahead(option, written, voice=voice, now=now())
        except End as end:
            note(_plain(end.sentence, option))
        else:
            return written or None
