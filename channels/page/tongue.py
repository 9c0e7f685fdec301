"""What languages are called and which way they are written, by the Unicode CLDR."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from babel import Locale, UnknownLocaleError

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


@cache
def _known(tag: str) -> Locale | None:
    """The locale of a tag without its variant, which the CLDR knows nothing of."""
    for written in (tag, tag.partition("-")[0]):
        try:
            return Locale.parse(written, sep="-")
        except (UnknownLocaleError, ValueError):
            continue
    return None
