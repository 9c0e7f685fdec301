"""Says in the operator's language what adapters, engine and store wrote down in English, its values filled in.

They write plain English, for log and JSON, and know no catalogue. Here the sentence is found again among those of
`<language>/failures.po` and said in that language with the values it held, which may be sentences themselves. Only that
file is searched: a name or a text that happens to read like a word of another catalogue must stay what it is. What is
wrong with a configuration stands in `settings.po` and is asked for as that part.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from string import Formatter

from broadcaster.locale import catalogue, phrases, translate

LONGEST = 4_000
"""Characters of a sentence that is looked at; a longer one is none of ours."""
_LOOKS = 48  # how many pieces of one sentence are looked up: three gateways and a fallback need 45
_JOINTS = 8  # how many sentences one detail may be made of
_END = ". "


def retell(language: str, sentence: str, *, part: str = "failures") -> str:
    """Say an English sentence in `language` ("sv-FI" is read as "sv"); one that is not recognised stays as it is.

    Raises:
        LookupError: nobody has translated into that language.
    """
    known = _known(language, part)
    if len(sentence) > LONGEST:
        return sentence
    return _Retelling(known).say(sentence) or sentence


def tell(language: str, sentence: str, **values: object) -> str:
    """Say a sentence of ours in `language`, its `{placeholders}` filled with `values`; those that are text are retold.

    Raises:
        LookupError: nobody has translated into that language.
        KeyError: a placeholder has no value.
    """
    told = {
        name: retell(language, value) if isinstance(value, str) else value
        for name, value in values.items()
    }
    return translate(phrases(language), sentence, **told)


@dataclass(frozen=True, slots=True)
class _Template:
    """A sentence with blanks: the text around them, one piece more than there are names, and its translation."""

    pieces: tuple[str, ...]
    names: tuple[str, ...]
    said: str

    def values(self, sentence: str) -> dict[str, str] | None:
        """What stands in the blanks, or None when the sentence was not made from this one.

        Every piece is looked for once, from left to right: linear, where a regular expression might not be.
        """
        first, *middle, last = self.pieces
        if not (sentence.startswith(first) and sentence.endswith(last)):
            return None
        at, end, found = len(first), len(sentence) - len(last), []
        least = _least(first)
        for piece in middle:
            cut = sentence.find(piece, at + least, end)
            if cut < 0:
                return None
            found.append(sentence[at:cut])
            at, least = cut + len(piece), _least(piece)
        if at + least > end:
            return None
        found.append(sentence[at:end])
        return self._named(found)

    def _named(self, found: list[str]) -> dict[str, str] | None:
        if not self.pieces[0] and _END in found[0]:
            return None  # what a sentence begins with is a name, not the sentence before it
        values: dict[str, str] = {}
        for name, value in zip(self.names, found, strict=True):
            if values.setdefault(name, value) != value:
                return None
        return values


def _least(before: str) -> int:
    """How long a value after these words must be: only between quotation marks can it be nothing."""
    return 0 if before.endswith('"') else 1


@dataclass(frozen=True, slots=True)
class _Known:
    """What can be recognised: `whole` sentences, and those with blanks, the one with most text first."""

    whole: Mapping[str, str]
    templates: tuple[_Template, ...]


@cache
def _known(language: str, part: str) -> _Known:
    whole: dict[str, str] = {}
    templates: list[_Template] = []
    for sentence, said in catalogue(language, part).items():
        pieces, names = _cut(sentence)
        if names:
            templates.append(_Template(pieces, names, said))
        else:
            whole[pieces[0]] = said.format()
    templates.sort(key=lambda template: sum(map(len, template.pieces)), reverse=True)
    return _Known(whole, tuple(templates))


def _cut(sentence: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The text around the blanks of a sentence, and their names; "{{" and "}}" are braces to be read."""
    pieces, names = [""], []
    for text, name, _, _ in Formatter().parse(sentence):
        pieces[-1] += text
        if name is not None:
            names.append(name)
            pieces.append("")
    return tuple(pieces), tuple(names)


class _Retelling:
    """The retelling of one sentence, which ends after so many looks."""

    def __init__(self, known: _Known) -> None:
        self._known = known
        self._left = _LOOKS
        # The same words are part of many parts: each is looked up once.
        self.say = cache(self._say)
        self._one = cache(self._look)

    def _say(self, text: str, *, strict: bool = False) -> str | None:
        """The text in the other language, None when it is not recognised as a whole.

        `strict`: a value that holds the end of a sentence has to be recognised too, or it is the text between two blanks
        that belong to different sentences. A platform's own words are such a value, so the second look is not strict.
        """
        whole = self._known.whole.get(text)
        if whole is not None or " " not in text or self._left <= 0:
            return whole
        said = self._one(text, strict=True) or self._several(text, strict=strict)
        return said or (None if strict else self._one(text, strict=False))

    def _look(self, text: str, *, strict: bool) -> str | None:
        self._left -= 1
        if self._left < 0:
            return None
        for template in self._known.templates:
            values = template.values(text)
            told = None if values is None else self._tell(values, strict=strict)
            said = text if told is None else template.said.format(**told)
            # "{channel}: {because}" fits much, and says nothing new of what it does not know.
            if said != text:
                return said
        return None

    def _tell(self, values: Mapping[str, str], *, strict: bool) -> dict[str, str] | None:
        told: dict[str, str] = {}
        for name, value in values.items():
            said = self.say(value, strict=strict)
            if said is None and strict and _END in value:
                return None
            told[name] = value if said is None else said
        return told

    def _several(self, text: str, *, strict: bool) -> str | None:
        """The text as sentences in a row, each of them recognised."""
        for joint in reversed(list(_joints(text))):
            first, rest = text[: joint + 1], text[joint + 2 :]
            said = self._known.whole.get(first) or self._one(first, strict=True)
            if said is not None and (more := self.say(rest, strict=strict)) is not None:
                return f"{said} {more}"
        return None


def _joints(text: str) -> Iterator[int]:
    at = -1
    for _ in range(_JOINTS):
        at = text.find(_END, at + 1)
        if at < 0:
            return
        yield at
