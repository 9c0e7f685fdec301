"""What is said with a human voice: at the radio, at the front desk, by the answering machine.

Short sentences, the answer first. Every script is made from one `Situation`; nothing here is worded by an operator but his
own words, and those that exist in another language only are never read out as if they were translated.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from broadcaster.domain.aloud import Aloud
from broadcaster.domain.situation import Own, Situation
from broadcaster.domain.text.sentence import as_sentence
from broadcaster.domain.wording import Wording

PACE = 130
"""Words a minute that a calm reader reads aloud."""
LENGTHS = (30, 60)
"""Seconds a radio station gives."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """A text to be read aloud; `seconds` is how long it takes at `PACE`, `limit` how long it may (0: as long as it is).

    `twice` says whether what matters most is said again at its end; a text that is too long leaves that out first.
    """

    text: str
    words: int
    seconds: int
    limit: int = 0
    twice: bool = False


@dataclass(frozen=True, slots=True)
class _Line:
    """A sentence and how early it gets its place: 0 always, then by number."""

    rank: int
    text: str


def script(lines: Sequence[str], *, limit: int = 0, twice: bool = False) -> Script:
    """Measure a text of these lines."""
    text = "\n".join(lines)
    return Script(text=text, words=_count(lines), seconds=_seconds(lines), limit=limit, twice=twice)


def _sentence(line: str) -> str:
    """End a line as a sentence; what leads to the next one has its colon already."""
    return line if line.endswith(":") else as_sentence(line)


def _count(lines: Sequence[str]) -> int:
    return sum(len(line.split()) for line in lines)


def _seconds(lines: Sequence[str]) -> int:
    return math.ceil(_count(lines) * 60 / PACE)


# ------------------------------------------------------------------------------------------------------- the radio
def radio(told: Situation[Aloud], limit: int) -> Script:
    """Return what is read within `limit` seconds: what matters first and again at the end, the rest as far as it fits."""
    again = [_sentence(line) for line in _what_matters(told)]
    _ = told.words.say
    twice = [_("I repeat:"), *again, *_warned(told)]
    lines = list(_of_the_radio(told))
    must = [line for line in lines if line.rank == 0]
    has_room = _seconds([*_texts(must), *twice]) <= limit
    ending = twice if has_room else _warned(told)
    chosen = set(map(id, must))
    for line in sorted(lines, key=lambda line: line.rank):
        held = [each for each in lines if id(each) in chosen or each is line]
        if _seconds([*_texts(held), *ending]) <= limit:
            chosen.add(id(line))
    said = [line for line in lines if id(line) in chosen]
    return script([*_texts(said), *ending], limit=limit, twice=has_room)


def _texts(lines: Sequence[_Line]) -> list[str]:
    return [_sentence(line.text) for line in lines if line.text]


def _warned(told: Situation[Aloud]) -> list[str]:
    """The words before and after a drill: whoever begins to listen at the end must hear them too."""
    _ = told.words.say
    return [_("{mode}. Nothing of this has happened.", mode=told.mode)] if told.mode else []


def _what_matters(told: Situation[Aloud]) -> list[str]:
    """What, where, until when and when the next word comes; of planned work, from when till when."""
    planned = told.since if told.to_come else ""
    return [line for line in (told.title, planned, _until(told), told.next_word) if line]


def _until(told: Situation[Wording] | Situation[Aloud]) -> str:
    """The estimate, or honestly that there is none; "" where nobody waits for one."""
    _ = told.words.say
    if told.over or told.to_come:
        return told.until
    return told.until or _("We do not know yet how long it will last")


def _of_the_radio(told: Situation[Aloud]) -> Iterator[_Line]:
    _ = told.words.say
    for warning in _warned(told):
        yield _Line(0, warning)
    yield _Line(0, _("A message from {name}.", name=told.speaker.name))
    yield _Line(0, _as_of(told))
    yield _Line(0, told.puts_right)
    yield _Line(0, told.title)
    yield _Line(0 if told.to_come else 2, told.since)
    yield _Line(2, told.spared)
    yield _Line(5, _everywhere(told))
    yield _Line(5, _households(told))
    yield _Line(0, _until(told))
    yield _Line(6, _read(told.cause))
    yield _Line(7, _read(told.text))
    yield _Line(1, _read(told.instruction))
    yield _Line(0, told.next_word)
    yield _Line(3, _ring(told))
    yield _Line(4, _look_up(told))


def _as_of(told: Situation[Wording] | Situation[Aloud]) -> str:
    _ = told.words.say
    return _("As of {moment}:", moment=told.words.moment(told.newest.at))


def _read(own: Own | None) -> str:
    return own.text if own and not own.foreign else ""


def _everywhere(told: Situation[Aloud]) -> str:
    """All the areas where the title only counts them."""
    _ = told.words.say
    names = told.words.listing(told.where)
    return "" if names in told.title else _("Affected: {place}", place=names)


def _households(told: Situation[Aloud]) -> str:
    _ = told.words.say
    number = told.incident.affected
    if number is None or told.over:
        return ""
    return _("It concerns about {number} households.", number=told.words.count(number))


def _ring(told: Situation[Aloud]) -> str:
    _ = told.words.say
    if not told.speaker.phone:
        return ""
    number = told.words.phone(told.speaker.phone)
    if told.over:
        return _("If something is still wrong where you are, ring {phone}.", phone=number)
    return _("Questions? Ring {phone}.", phone=number)


def _look_up(told: Situation[Aloud]) -> str:
    """Where to read on: the host alone can be remembered."""
    _ = told.words.say
    host = told.link.partition("://")[2].partition("/")[0]
    return _("Read more at {address}.", address=host)


# --------------------------------------------------------------------------------------------- the answering machine
def phone(told: Situation[Aloud]) -> Script:
    """Return what is recorded for the answering machine."""
    _ = told.words.say
    lines = [
        *_warned(told),
        _("This is {name}.", name=told.speaker.name),
        _("This was recorded {moment}.", moment=told.words.moment(told.at)),
        told.puts_right,
        told.title,
        told.since,
        told.spared,
        _until(told),
        _read(told.cause),
        _read(told.instruction),
        told.next_word,
        _("Thank you for calling. You need not leave a message.") if not told.over else "",
        *_warned(told),
    ]
    return script([_sentence(line) for line in lines if line])


# ---------------------------------------------------------------------------------------------------- the front desk
@dataclass(frozen=True, slots=True)
class Part:
    """One heading of the front desk's sheet and what stands below it."""

    heading: str
    lines: tuple[str, ...]


def desk(told: Situation[Wording]) -> Iterator[Part]:
    """Yield what whoever meets people needs: what we know, what not, what to say, when and whom to ask."""
    _ = told.words.say
    yield Part(_("WHAT WE KNOW"), tuple(_known(told)))
    yield Part(_("WHAT WE DO NOT KNOW"), tuple(_unknown(told)))
    yield Part(_("WHEN YOU ARE ASKED"), tuple(_answers(told)))
    yield Part(_("THE NEXT WORD"), tuple(_next(told)))
    yield Part(_("WHOM TO RING, WHERE TO READ"), tuple(_whom(told)))


def _known(told: Situation[Wording]) -> Iterator[str]:
    _ = told.words.say
    for line in (_as_of(told), told.puts_right, told.title, told.since, told.spared, told.until):
        if line:
            yield _sentence(line)
    if told.where and not told.incident.retracted:
        yield _("Where: {place}", place=told.words.listing(told.where))
    if told.incident.affected is not None and not told.over:
        number = f"{told.incident.affected:,}".replace(",", _(","))
        yield _("Households: about {number}", number=number)
    if told.cause:
        yield _("Why: {text}", text=_marked(told.cause))
    if told.instruction:
        yield _("What to do: {text}", text=_marked(told.instruction))
    if told.text:
        yield _("Our latest words: {text}", text=_marked(told.text))


def _unknown(told: Situation[Wording]) -> Iterator[str]:
    _ = told.words.say
    if told.over:
        yield _("Nothing that people need from us now.")
        return
    if told.incident.etr is None and not told.to_come:
        yield _("How long it will last.")
    if not told.incident.cause:
        yield _("Why it happened.")
    if told.incident.affected is None:
        yield _("How many are affected.")
    yield _("Whatever does not stand on this sheet. Do not guess: say that we do not know yet.")


def _answers(told: Situation[Wording]) -> Iterator[str]:
    _ = told.words.say
    mine, places = _("Does it concern me?"), told.words.listing(told.where)
    if told.incident.retracted:
        yield f"{mine} {_sentence(told.title)}"
    elif told.over:
        yield f"{mine} " + _("It concerned {place}, and is over.", place=places)
    else:
        yield f"{mine} " + _("It concerns {place}.", place=places)
    yield _("And elsewhere?") + " " + _("That stands on the page named below.")
    if told.over:
        if told.speaker.phone:
            phone = told.speaker.phone
            yield (
                _("It does not work where I am!")
                + " "
                + _("Then we want to know. Ring {phone}.", phone=phone)
            )
        return
    yield _("How long?") + " " + _sentence(told.since if told.to_come else _until(told))
    if told.cause:
        yield _("Why?") + " " + _marked(told.cause)
    else:
        yield _("Why?") + " " + _("We do not know yet. We say so when we do.")
    if told.instruction:
        yield _("What shall I do?") + " " + _marked(told.instruction)
    if told.next_word:
        yield _("When do you say more?") + " " + _sentence(told.next_word)


def _next(told: Situation[Wording]) -> Iterator[str]:
    _ = told.words.say
    if told.late:
        yield _sentence(told.next_word)
        yield _("Say so as it is, and ask whoever is in charge before you say anything else.")
    elif told.promise:
        yield _sentence(told.next_word)
        yield _("Take a new sheet then. This one is old after that.")
    else:
        yield _("No further word is promised.")


def _whom(told: Situation[Wording]) -> Iterator[str]:
    if told.speaker.phone:
        yield told.speaker.phone
    yield told.link


def _marked(own: Own) -> str:
    """An operator's words, with their language before them where it is another."""
    return f"({own.language}) {own.text}" if own.foreign else own.text
