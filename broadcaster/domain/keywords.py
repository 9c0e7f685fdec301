"""What somebody means who texts us a word: START, STOP, a language, HELP, in any of our languages and however it is spelled."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum


class Meaning(StrEnum):
    """What a word asks for; `other` is everything we do not know."""

    STOP = "stop"
    START = "start"
    LANGUAGE = "language"
    HELP = "help"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Word:
    """What is asked for, and what was written behind it, folded."""

    meaning: Meaning
    rest: tuple[str, ...] = ()


_SPOKEN = {
    # English as the networks' own lists have it, Swedish, Norwegian of both kinds, Danish, Finnish, Northern Sámi; who wants
    # out is understood in some more.
    Meaning.STOP: "stop stopp stoppa stoppe stops sluta slutt slut avsluta avslutt end cancel quit unsubscribe"
    " avanmal avmeld avmelding avbryt lopeta seis bisset stopall arret abbestellen قف توقف الغاء стоп",
    Meaning.START: "start starta begynn borja subscribe join anmal pamelding aloita alggat unstop",
    Meaning.LANGUAGE: "sprak language lang malform kieli giella",
    Meaning.HELP: "hjalp hjelp help info apua veahkki",
}
_MEANT = {word: meaning for meaning, words in _SPOKEN.items() for word in words.split()}
_LANGUAGES = {
    "sv": "sv se svenska swedish svensk",
    "en": "en eng engelska english engelsk",
    "nb": "nb no norska norwegian norsk bokmal",
    "nn": "nn nynorsk",
    "fi": "fi finska finnish suomi",
    "se": "se samiska sami davvisamegiella",
    "ar": "ar arabiska arabic",
}
_SEPARATES = re.compile(r"[^\w]+")
_LONGEST = 1600  # letters of ten parts; what comes behind is nobody's word
_AND = frozenset({"och", "and", "og", "ja", "samt"})


def folded(text: str) -> str:
    """Letters as anybody can type them, in small: "Östra Ekbyn!" and "OSTRA EKBYN" are the same."""
    plain = unicodedata.normalize("NFKD", text.casefold().replace("ø", "o").replace("æ", "a"))
    kept = "".join(sign for sign in plain if not unicodedata.combining(sign))
    return " ".join(filter(None, _SEPARATES.split(kept)))


def understand(text: str) -> Word:
    """What a text asks for: its first word decides, whatever stands around it."""
    words = folded(text[:_LONGEST]).split()
    if not words:
        return Word(Meaning.HELP if "?" in text[:_LONGEST] else Meaning.OTHER)
    meaning = _MEANT.get(words[0], Meaning.OTHER)
    return Word(meaning, tuple(words[1:]) if meaning is not Meaning.OTHER else ())


def language_named(words: Sequence[str], spoken: Sequence[str]) -> str:
    """Which of the languages `spoken` (tags) the words name, "" for none."""
    for word in words:
        for tag in spoken:
            names = _LANGUAGES.get(tag.partition("-")[0].lower(), "").split()
            if word == folded(tag).replace(" ", "") or word in names:
                return tag
    return ""


def areas_named(
    words: Sequence[str], names: Mapping[str, Iterable[str]]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The areas that the words name, and those words that name none.

    Args:
        words: folded.
        names: what each area is called, by key: key, name, codes, as they are written. A single word of a name is enough
            where no other area has it.
    """
    known: dict[str, set[str]] = {}
    for key, called in names.items():
        for name in map(folded, called):
            known.setdefault(name, set()).add(key)
    parts: dict[str, set[str]] = {}
    for name, keys in known.items():
        for part in name.split():
            parts.setdefault(part, set()).update(keys)
    for part, keys in parts.items():
        known.setdefault(part, keys)
    longest = max((len(name.split()) for name in known), default=1)
    found: dict[str, None] = {}
    strange: list[str] = []
    at = 0
    while at < len(words):
        for length in range(min(longest, len(words) - at), 0, -1):
            keys = known.get(" ".join(words[at : at + length]), set())
            if len(keys) == 1:
                found |= dict.fromkeys(keys)
                at += length
                break
        else:
            if words[at] not in _AND:
                strange.append(words[at])
            at += 1
    return tuple(found), tuple(strange)
