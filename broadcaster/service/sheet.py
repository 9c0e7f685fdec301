"""The sheet for the shop door: one A4 page, black on white, as large as what it must say allows.

A sheet that runs over to a second page loses it at the first printer. So what it says is measured before it is set: the
letters get smaller in steps that can still be read from a step away, and what is too long even so is left to the page that
the QR code leads to.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial

import jinja2
import segno
from babel import Locale, UnknownLocaleError
from markupsafe import Markup, escape

from broadcaster.domain.markup import legible
from broadcaster.domain.situation import Own, Situation
from broadcaster.domain.wording import Wording
from broadcaster.service.commands import Refused

_WIDTH, _HEIGHT = 527.0, 535.0
"""Points that the words have: A4 without its margins, its head and its foot."""
_BETWEEN = 23.0
"""Points between two languages."""
_SCALES = (1.5, 1.35, 1.2, 1.1, 1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.42, 0.36)
_SMALLEST = 9.0
"""Points; nobody reads smaller letters on a door."""
_LEGIBLE = 0.6
"""What is left out is left out before letters get smaller than this."""
_SIZES = {"right": 15, "title": 36, "since": 17, "spared": 17, "until": 25, "next": 25, "plain": 15}
"""Points of each kind of line at full scale."""
_LETTER, _BOLD = 0.62, 0.7
"""The width of a letter by its height: of the widest sans serif there is, so that what is set is never more than measured."""
_HEAVY = frozenset({"title", "right", "until", "next"})
_LEFT_OUT: tuple[frozenset[str], ...] = (
    frozenset(),
    frozenset({"text"}),
    frozenset({"text", "cause"}),
    frozenset({"text", "cause", "instruction"}),
)


@dataclass(frozen=True, slots=True)
class _Line:
    """Words of one `kind`, which says how large they are; `label` stands before them, `language` is set where it is another."""

    kind: str
    text: str
    label: str = ""
    language: str = ""

    def height(self, scale: float) -> float:
        """Points it takes, its margin included."""
        size = max(_SMALLEST, _SIZES[self.kind] * scale)
        letter = _BOLD if self.kind in _HEAVY else _LETTER
        each = max(1, int(_WIDTH / (size * letter)))
        paragraphs = self.text.split("\n")
        paragraphs[0] = f"{self.label} {paragraphs[0]}"
        lines = sum(max(1, math.ceil(_letters(part) * 1.08 / each)) for part in paragraphs)
        return (lines * 1.3 + 0.5) * size


@dataclass(frozen=True, slots=True)
class _Block:
    """What stands there in one language."""

    language: str
    direction: str
    lines: tuple[_Line, ...]


@dataclass(frozen=True, slots=True)
class Sheet:
    """The page as HTML; `whole` says that nothing was left out for want of room."""

    html: str
    whole: bool


def sheet(told: Sequence[Situation[Wording]]) -> Sheet:
    """Return the sheet in every language of `told` one below the other; at least one.

    Raises:
        Refused: not even the shortest words of so many languages fit on it.
    """
    scale, left, blocks = _set(told)
    first = told[0]
    html = _template().render(
        _=partial(_say, first.words.phrases),
        blocks=blocks,
        first=first,
        language=first.language,
        made=first.words.dated(first.at),
        modes=list(dict.fromkeys(each.mode for each in told if each.mode)),
        newer=[(each.language, _newer(each)) for each in told],
        qr=_code(first.link),
        shown=first.link.partition("://")[2].rstrip("/"),
        sizes=_sizes(scale),
        stood=first.words.dated(first.newest.at),
    )
    return Sheet(legible(html), whole=not any(getattr(first, name) for name in left))


def _set(told: Sequence[Situation[Wording]]) -> tuple[float, frozenset[str], list[_Block]]:
    """The scale at which it fits, what is left out, and what stands there.

    First the letters get smaller, then the words fewer, then the letters smaller still.
    """
    small = [scale for scale in _SCALES if scale < _LEGIBLE]
    tries = [(s, left) for left in _LEFT_OUT for s in _SCALES if s >= _LEGIBLE]
    tries += [(s, left) for s in small for left in _LEFT_OUT[-1:]]
    for scale, left in tries:
        blocks = _blocks(told, left)
        if _height(blocks, scale) <= _HEIGHT:
            return scale, left, blocks
    raise Refused(
        "So much does not fit on one sheet: ask for fewer languages, one sheet for each.", at="lang"
    )


def _sizes(scale: float) -> dict[str, str]:
    """Points of each kind of line."""
    return {kind: f"{max(_SMALLEST, size * scale):g}" for kind, size in _SIZES.items()}


def _height(blocks: Sequence[_Block], scale: float) -> float:
    """Points that they take, with what parts one language from the next."""
    lines = sum(line.height(scale) for block in blocks for line in block.lines)
    return lines + _BETWEEN * (len(blocks) - 1)


def _blocks(told: Sequence[Situation[Wording]], left: frozenset[str]) -> list[_Block]:
    """What stands there in each language; words that are in one of them only stand there and not again."""
    spoken = {each.language for each in told}
    return [
        _Block(
            each.language,
            _direction(each.language),
            tuple(line for line in _lines(each, left) if line.text and line.language not in spoken),
        )
        for each in told
    ]


def _lines(told: Situation[Wording], left: frozenset[str]) -> Iterator[_Line]:
    _ = told.words.say
    yield _Line("right", told.puts_right)
    yield _Line("title", told.title)
    yield _Line("since", told.since)
    yield _Line("spared", told.spared)
    until = told.until
    if not until and not told.over and not told.to_come:
        until = _("We do not know yet how long it will last")
    yield _Line("until", until)
    yield _Line("next", told.next_word)
    listed = told.words.listing(told.where)
    if listed not in told.title and len(listed) < 600:
        yield _Line("plain", listed, _("Where:"))
    for name, label in (
        ("instruction", _("What to do:")),
        ("cause", _("Why:")),
        ("text", ""),
    ):
        own: Own | None = getattr(told, name)
        if own and name not in left:
            yield _Line("plain", own.text, label, own.language if own.foreign else "")


def _newer(told: Situation[Wording]) -> str:
    _ = told.words.say
    return _("Newer word:")


def _letters(text: str) -> int:
    """How many letters wide a text is: those of the East take two places."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


def _direction(tag: str) -> str:
    """Return "rtl" for a language that is written so."""
    try:
        return str(Locale.parse(tag.partition("-")[0]).text_direction)
    except (UnknownLocaleError, ValueError):
        return "ltr"


def _code(link: str) -> Markup:
    """Return the QR code of an address as inline SVG, in black whatever the theme."""
    made = segno.make(link, error="m", micro=False)
    # S704: what segno draws is numbers, and holds nothing of the address as text.
    return Markup(made.svg_inline(scale=1, border=1, light="#fff", omitsize=True))  # noqa: S704 - see above


@cache
def _template() -> jinja2.Template:
    """Not a sandbox: the template is the file beside this one; what people write reaches it as a value only, escaped."""
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("broadcaster.service"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return made.get_template("sheet.html.j2")


def _say(phrases: Mapping[str, str], sentence: str, **values: object) -> Markup:
    return escape(phrases.get(sentence, sentence)).format(**values)
