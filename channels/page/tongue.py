"""What languages are called and which way they are written, by the Unicode CLDR; and who reads which."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from babel import Locale, UnknownLocaleError

from broadcaster.domain.board import BoardUpdate
from broadcaster.domain.wording import Wording, is_easy, spoken

_OWN_NAME = "(what this language is called)"


@dataclass(frozen=True, slots=True)
class Tongue:
    """How one language is named by those who speak it, and which way it is written ("ltr", "rtl")."""

    tag: str
    name: str
    direction: str


def tongue(tag: str, phrases: Mapping[str, str]) -> Tongue:
    """Look the language `tag` up; a variant tells its own name in its `phrases`."""
    return Tongue(tag, phrases.get(_OWN_NAME) or name_of(tag, tag), direction_of(tag))


def direction_of(tag: str) -> str:
    """Return which way a language is written, "ltr" or "rtl"."""
    known = _known(tag)
    return known.text_direction if known else "ltr"


def direction_beside(language: str, tag: str) -> str:
    """Return which way the language `tag` is written where a page in `language` is written the other way, else ""."""
    direction = direction_of(tag)
    return "" if direction == direction_of(language) else direction


def name_of(tag: str, language: str) -> str:
    """Return what people who speak `language` call the language `tag`, whatever its variant: "svenska"."""
    known, speaking = _known(tag), _known(language)
    return (known.get_display_name(speaking) if known and speaking else None) or tag


def reads(language: str, other: str) -> bool:
    """Return whether who reads a page in `language` reads `other`, too: easy Swedish is Swedish."""
    return language.partition("-")[0] == other.partition("-")[0]


def not_own(
    words: Wording, update: BoardUpdate, language: str, default: str, *, newest: bool
) -> str:
    """Say that an operator's words are in another language so far, or not easy on a page in easy Swedish; else "".

    The former of the newest update only: earlier ones are translated no more, and `lang` marks them.
    """
    _ = words.say
    text, tag = spoken(update.texts, language, default)
    if not text or tag == language or update.struck:
        return ""
    if reads(language, tag):
        return _("The text is not in easy language.") if is_easy(language) else ""
    return _("So far only in {language}.", language=name_of(tag, language)) if newest else ""


@cache
def _known(tag: str) -> Locale | None:
    """The locale of a tag without its variant, which the CLDR knows nothing of."""
    for written in (tag, tag.partition("-")[0]):
        try:
            return Locale.parse(written, sep="-")
        except (UnknownLocaleError, ValueError):
            continue
    return None
