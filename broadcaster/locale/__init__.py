"""What we say, in the languages we speak: the English sentence is the key, the catalogues hold the translations.

A catalogue is every `broadcaster/locale/<language>/*.po` merged: one file per part of the program, so that each part is
translated beside its neighbours and not in one long file. English needs none.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType

from babel.core import UnknownLocaleError
from babel.messages.pofile import read_po
from babel.numbers import format_decimal

SOURCE_LANGUAGE = "en"
_ROOT = Path(__file__).parent


@cache
def languages() -> tuple[str, ...]:
    """Return the tags of the languages that can be spoken, the source language first."""
    folders = {path.parent.name for path in _ROOT.glob("*/*.po")} - {SOURCE_LANGUAGE}
    return (SOURCE_LANGUAGE, *sorted(folders))


@cache
def phrases(language: str) -> Mapping[str, str]:
    """Return the catalogue of `language` ("sv-FI" is read as "sv"): English sentence → translation.

    Raises:
        LookupError: nobody has translated into that language; the message is a sentence for the operator.
    """
    primary = language.partition("-")[0].lower()
    if primary not in languages():
        spoken = ", ".join(languages())
        raise LookupError(f'There are no phrases in "{language}". Choose among {spoken}.')
    merged: dict[str, str] = {}
    for path in sorted((_ROOT / primary).glob("*.po")):
        merged.update(_read(path))
    return MappingProxyType(merged)


@cache
def catalogue(language: str, part: str) -> Mapping[str, str]:
    """Return one part of a language alone, such as "failures"; empty for the source language or a part it lacks.

    Raises:
        LookupError: nobody has translated into that language.
    """
    phrases(language)
    path = _ROOT / language.partition("-")[0].lower() / f"{part}.po"
    return MappingProxyType(_read(path) if path.is_file() else {})


def _read(path: Path) -> dict[str, str]:
    with path.open("rb") as file:
        messages = read_po(file, abort_invalid=True)
    return {str(m.id): str(m.string) for m in messages if m.id and m.string and not m.fuzzy}


def number(language: str, value: float, pattern: str | None = None) -> str:
    """Say a number as `language` writes it, unknown ones as English does: "12 430", with the pattern "0.0" as "0,6"."""
    try:
        return str(format_decimal(value, format=pattern, locale=language.replace("-", "_")))
    except (UnknownLocaleError, ValueError):
        return str(format_decimal(value, format=pattern, locale=SOURCE_LANGUAGE))


def translate(phrases: Mapping[str, str], sentence: str, **values: object) -> str:
    """Say `sentence` in the language of `phrases`, its `{placeholders}` filled with `values`.

    Raises:
        KeyError: a placeholder has no value.
    """
    return phrases.get(sentence, sentence).format(**values)
