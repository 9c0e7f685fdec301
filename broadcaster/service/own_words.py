"""Sentences of ours in the place of an operator's: in every language that has them, and in no other's name."""

from __future__ import annotations

from collections.abc import Iterable

from broadcaster.domain.listed import causes, english, instructions, recognised
from broadcaster.locale import SOURCE_LANGUAGE, languages, residents
from broadcaster.settings.model import Settings

HOLDING_SENTENCE = "No new information. The work goes on."


def our_own(sentence: str, known: Iterable[str]) -> dict[str, str]:
    """A sentence of ours in each of the languages `known` that have it; where none has, in English."""
    said = {tag: residents(tag) for tag in known}
    found = {
        tag: one.phrases.get(sentence, sentence)
        for tag, one in said.items()
        if sentence not in one.foreign
    }
    return found or {SOURCE_LANGUAGE: sentence}


def retraction(settings: Settings) -> dict[str, str]:
    """What a retraction says without words of its operator; where nobody wrote it in any of the languages, in English."""
    known = settings.organisation.languages
    said = {tag: settings.retract_sentence(tag) for tag in known}
    written = {tag: text for tag, text in said.items() if text}
    return written or {SOURCE_LANGUAGE: settings.retract_sentence(SOURCE_LANGUAGE)}


def listed(fact: str, written: str) -> str:
    """A `written` cause or instruction (`fact`) as it is kept: one that is listed, in any language, as the English sentence."""
    known = causes(english) if fact == "cause" else instructions(english)
    return recognised(written, known, (residents(tag).phrases for tag in languages()))
