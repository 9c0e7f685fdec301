"""What we say, in the languages we speak: the English sentence is the key, the catalogues hold the translations.

A catalogue is a folder `broadcaster/locale/<language>/` of `.po` files: one file per part of the program, so that each part
is translated beside its neighbours and not in one long file. English needs none. A new language is a new folder, and nothing
else. A variant, such as easy Swedish (`sv-simple`), says what it says otherwise, and all else as its language does.

Two kinds of people read us. Residents are spoken to in every language here. Operators are, in the languages that have the
parts named in `OPERATORS`; an organisation whose first language has them not speaks English to its operators, and never a
mixture.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from string import Formatter
from types import MappingProxyType

from babel.core import Locale, UnknownLocaleError
from babel.messages.pofile import read_po
from babel.numbers import format_decimal

SOURCE_LANGUAGE = "en"
OPERATORS = frozenset({"cli", "failures", "help", "service", "settings"})
"""The parts that operators alone read; every other one is for residents, and to be had in every language."""
OWN_NAME = "(what this language is called)"
"""The sentence by which a variant says its own name: "Lätt svenska". What a language is called, Unicode's CLDR knows."""

_ROOT = Path(__file__).parent
_SIGNS = " .,:;–-"
_NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Residents:
    """What is said to residents in one language: every sentence that has a translation at all.

    `foreign` are those that nobody has translated into it, each with the language in which it is said instead.
    """

    phrases: Mapping[str, str]
    foreign: Mapping[str, str]


def languages() -> tuple[str, ...]:
    """Return the tags of the languages and variants that can be spoken, the source language first."""
    return (SOURCE_LANGUAGE, *sorted(_folders(_ROOT)))


def operators_languages() -> tuple[str, ...]:
    """Return the tags of the languages in which operators are spoken to, the source language first."""
    return (SOURCE_LANGUAGE, *_operators(_ROOT))


def operators_language(language: str) -> str:
    """Return the language in which operators are spoken to where `language` was asked for: that one, or English.

    Raises:
        LookupError: nobody has translated into that language.
    """
    return SOURCE_LANGUAGE if phrases(language) is _NOTHING else language


def phrases(language: str) -> Mapping[str, str]:
    """Return what operators read in `language`: English sentence → translation, of every part.

    "sv-FI" and "sv-simple" are read as "sv". It is empty where they read English: see `OPERATORS`.

    Raises:
        LookupError: nobody has translated into that language; the message is a sentence for the operator.
    """
    _need(language)
    primary = primary_of(language)
    return _merged(_ROOT, primary) if primary in operators_languages()[1:] else _NOTHING


def catalogue(language: str, part: str) -> Mapping[str, str]:
    """Return one part of a language alone, such as "failures"; empty for the source language or a part it lacks.

    Raises:
        LookupError: nobody has translated into that language.
    """
    _need(language)
    return _part(_ROOT, primary_of(language), part)


def residents(language: str, first: str = SOURCE_LANGUAGE) -> Residents:
    """Return what residents read in `language`, of an organisation whose first language is `first`.

    A sentence is looked for in the variant, in the language, in the organisation's first, and is English where it is in
    none of them.

    Raises:
        LookupError: nobody has translated into that language.
    """
    _need(language)
    return _residents(_ROOT, language, first)


def missing(language: str) -> tuple[str, ...]:
    """Return what residents would not read in `language`: the sentences that neither it nor its own language has."""
    if primary_of(language) == SOURCE_LANGUAGE:
        return ()
    own = _own(_ROOT, language)
    return tuple(sentence for sentence in _sentences(_ROOT) if sentence not in own)


def primary_of(language: str) -> str:
    """Return "sv" of "sv-FI" or "sv-simple"."""
    return language.partition("-")[0].lower()


def number(language: str, value: float, pattern: str | None = None) -> str:
    """Say a number to operators as `language` writes it: "12 430", with the pattern "0.0" as "0,6"; else as English does."""
    try:
        locale = primary_of(operators_language(language))
    except LookupError:
        locale = SOURCE_LANGUAGE
    return str(format_decimal(value, format=pattern, locale=locale))


def translate(phrases: Mapping[str, str], sentence: str, **values: object) -> str:
    """Say `sentence` in the language of `phrases`, its `{placeholders}` filled with `values`.

    Raises:
        KeyError: a placeholder has no value.
    """
    return phrases.get(sentence, sentence).format(**values)


# ----------------------------------------------------------------------------------------------------------- the folders
def _need(language: str) -> None:
    if primary_of(language) not in languages():
        spoken = ", ".join(languages())
        raise LookupError(f'There are no phrases in "{language}". Choose among {spoken}.')


def _chain(language: str) -> Iterator[str]:
    """The folders that may speak for a tag, the nearest first: "sv-simple", "sv"."""
    tag = language.lower()
    while tag:
        yield tag
        tag = tag.rpartition("-")[0]


@cache
def _folders(root: Path) -> frozenset[str]:
    return frozenset(path.parent.name for path in root.glob("*/*.po")) - {SOURCE_LANGUAGE}


@cache
def _operators(root: Path) -> tuple[str, ...]:
    return tuple(tag for tag in sorted(_folders(root)) if _parts(root, tag) >= OPERATORS)


def _parts(root: Path, folder: str) -> frozenset[str]:
    return frozenset(path.stem for path in (root / folder).glob("*.po"))


@cache
def _part(root: Path, folder: str, part: str) -> Mapping[str, str]:
    path = root / folder / f"{part}.po"
    return MappingProxyType(_read(path)) if path.is_file() else _NOTHING


@cache
def _merged(root: Path, folder: str) -> Mapping[str, str]:
    merged: dict[str, str] = {}
    for path in sorted((root / folder).glob("*.po")):
        merged.update(_part(root, folder, path.stem))
    return MappingProxyType(merged)


@cache
def _own(root: Path, language: str) -> Mapping[str, str]:
    """What residents read that was written in the language itself, a variant's words before its language's."""
    own = dict(_calendar(primary_of(language)))
    for folder in reversed(list(_chain(language))):
        for path in sorted((root / folder).glob("*.po")):
            if path.stem not in OPERATORS:
                own.update(_part(root, folder, path.stem))
    return own


@cache
def _calendar(language: str) -> Mapping[str, str]:
    """The names of days and months by the Unicode CLDR: a catalogue need not have them, and may say them otherwise."""
    try:
        told, english = Locale.parse(language), Locale.parse(SOURCE_LANGUAGE)
    except (UnknownLocaleError, ValueError):
        return _NOTHING
    named: dict[str, str] = {}
    for width in ("abbreviated", "wide"):  # the full name last: "May" is both
        for of in ("days", "months"):
            ours = getattr(english, of)["format"][width]
            theirs = getattr(told, of)["format"][width]
            named |= {ours[place]: theirs[place] for place in ours}
    return named


def _has_words(sentence: str) -> bool:
    """Whether there is anything to translate: "{hour}:{minute}" is written so where nobody writes it otherwise."""
    return any(text.strip(_SIGNS) for text, *_ in Formatter().parse(sentence))


@cache
def _sentences(root: Path) -> tuple[str, ...]:
    """All that residents may read, in English: what the languages have that are whole, for operators too.

    What a catalogue has beside that is said by nobody any more; it makes no other language less than whole.
    """
    whole = _operators(root) or sorted(_folders(root))
    found = {sentence for folder in whole for sentence in _own(root, folder)}
    return tuple(sorted(filter(_has_words, found - {OWN_NAME})))


@cache
def _residents(root: Path, language: str, first: str) -> Residents:
    own = _own(root, language)
    if primary_of(language) == SOURCE_LANGUAGE:
        return Residents(own, _NOTHING)
    lent = {} if primary_of(first) == SOURCE_LANGUAGE else _own(root, first)
    said, foreign = dict(own), dict[str, str]()
    for sentence in _sentences(root):
        if sentence not in own:
            foreign[sentence] = first if sentence in lent else SOURCE_LANGUAGE
            said[sentence] = lent.get(sentence, sentence)
    return Residents(MappingProxyType(said), MappingProxyType(foreign))


def _read(path: Path) -> dict[str, str]:
    with path.open("rb") as file:
        messages = read_po(file, abort_invalid=True)
    return {str(m.id): str(m.string) for m in messages if m.id and m.string and not m.fuzzy}
