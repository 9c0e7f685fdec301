"""Numbers and times as they are read aloud: "klockan fjorton noll fem", "fyra hundra trettio".

A script for the radio is read by somebody who may see it for the first time, by a lamp: nothing in it is to be worked out
while reading. Swedish, English and both kinds of Norwegian have their words here; any other language keeps its figures.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from broadcaster.domain.incident import Planned
from broadcaster.domain.localtime import day_names
from broadcaster.domain.wording import Wording

_THOUSAND = 1_000
_MOST = 1_000_000
_NOON = 12


@dataclass(frozen=True, slots=True)
class Numerals:
    """The number words of a language. `ones` has zero to nineteen, `tens` twenty to ninety, `ordinals` first to twentieth.

    `joint` stands between a ten and a one, `hundreds` between the hundreds and what follows. `one_o_clock` is the hour
    that is called otherwise than the number. `day`, `clock` and `moment` are patterns, `parts` names the part of the day
    up to each hour, and `by_twelve` says that the afternoon counts from one again.
    """

    ones: tuple[str, ...]
    tens: tuple[str, ...]
    ordinals: tuple[str, ...]
    thirtieth: str
    joint: str
    hundred: str
    thousand: str
    hundreds: str
    one_o_clock: str
    nought: str
    day: str
    clock: str
    whole: str
    moment: str
    parts: tuple[tuple[int, str], ...]
    plus: str
    by_twelve: bool = False


def _words(said: str) -> tuple[str, ...]:
    return tuple(said.split())


_SV = Numerals(
    ones=_words(
        "noll ett två tre fyra fem sex sju åtta nio tio elva tolv tretton fjorton femton sexton sjutton arton nitton"
    ),
    tens=_words("tjugo trettio fyrtio femtio sextio sjuttio åttio nittio"),
    ordinals=_words(
        "första andra tredje fjärde femte sjätte sjunde åttonde nionde tionde elfte tolfte trettonde fjortonde femtonde "
        "sextonde sjuttonde artonde nittonde tjugonde"
    ),
    thirtieth="trettionde",
    joint="",
    hundred="hundra",
    thousand="tusen",
    hundreds=" ",
    one_o_clock="ett",
    nought="noll",
    day="{weekday} den {day} {month}",
    clock="klockan {hour} {minute}",
    whole="klockan {hour}",
    moment="{date} {clock}",
    parts=((6, "på natten"), (10, "på morgonen"), (12, "på förmiddagen")),
    plus="plus",
)
_NB = Numerals(
    ones=_words(
        "null en to tre fire fem seks sju åtte ni ti elleve tolv tretten fjorten femten seksten sytten atten nitten"
    ),
    tens=_words("tjue tretti førti femti seksti sytti åtti nitti"),
    ordinals=_words(
        "første andre tredje fjerde femte sjette sjuende åttende niende tiende ellevte tolvte trettende fjortende femtende "
        "sekstende syttende attende nittende tjuende"
    ),
    thirtieth="trettiende",
    joint="",
    hundred="hundre",
    thousand="tusen",
    hundreds=" og ",
    one_o_clock="ett",
    nought="null",
    day="{weekday} den {day} {month}",
    clock="klokka {hour} {minute}",
    whole="klokka {hour}",
    moment="{date} {clock}",
    parts=((6, "om natten"), (10, "om morgenen"), (12, "om formiddagen")),
    plus="pluss",
)
_NN = Numerals(
    ones=_words(
        "null ein to tre fire fem seks sju åtte ni ti elleve tolv tretten fjorten femten seksten sytten atten nitten"
    ),
    tens=_NB.tens,
    ordinals=_words(
        "første andre tredje fjerde femte sjette sjuande åttande niande tiande ellevte tolvte trettande fjortande femtande "
        "sekstande syttande attande nittande tjuande"
    ),
    thirtieth="trettiande",
    joint="",
    hundred="hundre",
    thousand="tusen",
    hundreds=" og ",
    one_o_clock="eitt",
    nought="null",
    day="{weekday} den {day} {month}",
    clock="klokka {hour} {minute}",
    whole="klokka {hour}",
    moment="{date} {clock}",
    parts=((6, "om natta"), (10, "om morgonen"), (12, "om føremiddagen")),
    plus="pluss",
)
_EN = Numerals(
    ones=_words(
        "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
        "eighteen nineteen"
    ),
    tens=_words("twenty thirty forty fifty sixty seventy eighty ninety"),
    ordinals=_words(
        "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth fifteenth "
        "sixteenth seventeenth eighteenth nineteenth twentieth"
    ),
    thirtieth="thirtieth",
    joint="-",
    hundred="hundred",
    thousand="thousand",
    hundreds=" and ",
    one_o_clock="one",
    nought="oh",
    day="{weekday} the {day} of {month}",
    clock="{hour} {minute}",
    whole="{hour} o'clock",
    moment="{date}, {clock}",
    parts=(
        (5, "at night"),
        (12, "in the morning"),
        (18, "in the afternoon"),
        (22, "in the evening"),
        (24, "at night"),
    ),
    plus="plus",
    by_twelve=True,
)
_SPOKEN: Mapping[str, Numerals] = {"sv": _SV, "nb": _NB, "nn": _NN, "en": _EN}


def numerals(language: str) -> Numerals | None:
    """Return the number words of `language` ("sv-FI" is read as "sv"); None where it keeps its figures."""
    return _SPOKEN.get(language.partition("-")[0].lower())


@dataclass(frozen=True)
class Aloud(Wording):
    """A wording whose times and numbers are spelled out; `numbers` None leaves them as figures."""

    numbers: Numerals | None = None

    def clock(self, when: datetime) -> str:
        """Say "klockan fjorton noll fem", in a repeated hour with its zone behind it."""
        written, spoken = super().clock(when), self.numbers
        if spoken is None:
            return written
        local = when.astimezone(self.zone)
        said = _clock(spoken, local.hour, local.minute)
        return " ".join((said, *written.split()[1:]))  # what stands behind the figures is the zone

    def time(self, when: datetime) -> str:
        """Say the clock, on another date than the text's own with weekday and date."""
        if self.numbers is None:
            return super().time(when)
        same = when.astimezone(self.zone).date() == self.near.astimezone(self.zone).date()
        return self.clock(when) if same else self.moment(when)

    def date(self, when: datetime) -> str:
        """Say "söndag den tjugoandra november"."""
        spoken = self.numbers
        if spoken is None:
            return super().date(when)
        weekday, day, month = day_names(when, zone=self.zone, phrases=self.phrases)
        return spoken.day.format(weekday=weekday, day=_ordinal(spoken, day), month=month)

    def moment(self, when: datetime) -> str:
        """Say "söndag den tjugoandra november klockan fjorton noll fem"."""
        if self.numbers is None:
            return super().moment(when)
        return self.numbers.moment.format(date=self.date(when), clock=self.clock(when))

    def planned_phrase(self, planned: Planned) -> str:
        """Say from when till when, the end without its date where that is the beginning's."""
        if self.numbers is None:
            return super().planned_phrase(planned)
        _ = self.say
        start, end = (each.astimezone(self.zone).date() for each in (planned.start, planned.end))
        until = self.clock(planned.end) if start == end else self.moment(planned.end)
        return _("{start} to {end}", start=self.moment(planned.start), end=until)

    def count(self, number: int) -> str:
        """Say "fyra hundra trettio"; a million and more stay figures."""
        if self.numbers is None or not 0 <= number < _MOST:
            return str(number)
        return _number(self.numbers, number)

    def phone(self, number: str) -> str:
        """Say the digits of a phone number one by one, with a pause where it is written apart."""
        if self.numbers is None:
            return number
        spoken = self.numbers
        names = {str(digit): spoken.ones[digit] for digit in range(10)}
        groups = re.findall(r"\+|[0-9]+", number)
        return ", ".join(
            spoken.plus if group == "+" else " ".join(names[digit] for digit in group)
            for group in groups
        )


def _clock(spoken: Numerals, hour: int, minute: int) -> str:
    """Say the time of day; the hours that the clock shows twice a day get the part of the day."""
    hour_said = (hour % _NOON or _NOON) if spoken.by_twelve else hour
    named = spoken.one_o_clock if hour_said == 1 else _number(spoken, hour_said)
    if hour_said == 0:  # "klockan noll noll trettio"
        named = f"{spoken.nought} {spoken.nought}"
    part = next((name for until, name in spoken.parts if hour < until), "")
    said = spoken.whole.format(hour=named)
    if minute:
        one = spoken.one_o_clock if minute == 1 else _number(spoken, minute)
        after = f"{spoken.nought} {one}" if minute < 10 else _number(spoken, minute)
        said = spoken.clock.format(hour=named, minute=after)
    return f"{said} {part}".rstrip()


def _number(spoken: Numerals, number: int) -> str:
    if number < 20:
        return spoken.ones[number]
    if number < 100:
        ten = spoken.tens[number // 10 - 2]
        return f"{ten}{spoken.joint}{spoken.ones[number % 10]}" if number % 10 else ten
    if number < _THOUSAND:
        said = f"{_factor(spoken, number // 100)} {spoken.hundred}"
        return f"{said}{spoken.hundreds}{_number(spoken, number % 100)}" if number % 100 else said
    said = f"{_factor(spoken, number // _THOUSAND)} {spoken.thousand}"
    rest = number % _THOUSAND
    between = spoken.hundreds if rest < 100 else " "
    return f"{said}{between}{_number(spoken, rest)}" if rest else said


def _factor(spoken: Numerals, number: int) -> str:
    """How many hundreds or thousands: one of them is neuter in Norwegian, as an hour is."""
    return spoken.one_o_clock if number == 1 else _number(spoken, number)


def _ordinal(spoken: Numerals, day: int) -> str:
    """Say the day of a month, 1 to 31."""
    if day <= 20:
        return spoken.ordinals[day - 1]
    if day == 30:
        return spoken.thirtieth
    return f"{spoken.tens[day // 10 - 2]}{spoken.joint}{spoken.ordinals[day % 10 - 1]}"
