"""What the operator reads: sentences, times and numbers in the language of the organisation."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from shutil import get_terminal_size
from textwrap import wrap
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

_MODES = {"live": "LIVE", "drill": "DRILL", "demo": "DEMO"}

_ISO = re.compile(
    r"\b20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(?::[0-9]{2})?[+-][0-9]{2}:[0-9]{2}"
)

# What a far side or a text may hold that would steer the terminal or hide what is written.
_STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


@dataclass(frozen=True)
class Voice:
    """One language and the zone that times are said in (None before the organisation is known)."""

    language: str = "en"
    zone: ZoneInfo | None = None

    @cached_property
    def phrases(self) -> Mapping[str, str]:
        """The catalogue; English is spoken where operators have none in a language."""
        if self.language.partition("-")[0].lower() == "en":
            return {}
        from broadcaster.locale import phrases

        try:
            return phrases(self.language)
        except LookupError:
            return {}

    def say(self, sentence: str, **values: object) -> str:
        """Say the English `sentence` with its blanks filled."""
        return self.phrases.get(sentence, sentence).format(**values)

    def known(self, words: str) -> str:
        """Words from elsewhere (the system's name of an error, a part of the daemon) said in this language, if known."""
        return self.phrases.get(words, words)

    def retell(self, sentence: str) -> str:
        """Say what the store or a daemon's part said in English."""
        if not self.phrases:
            return sentence
        from broadcaster.locale.retelling import retell

        return retell(self.language, sentence)

    def mode(self, mode: str) -> str:
        """The first word of every answer: LIVE, DRILL or DEMO."""
        _ = self.say
        words = {"live": _("LIVE"), "drill": _("DRILL"), "demo": _("DEMO")}
        return words.get(mode, _MODES.get(mode, mode.upper()))

    def quoted(self, text: str) -> str:
        """Somebody's own words between this language's marks."""
        _ = self.say
        return _("“{text}”", text=text)

    def moment(self, when: str, *, near: datetime | None = None) -> str:
        """Say an ISO time with weekday and date: "söndag 22 november 14.57"."""
        from broadcaster.domain.localtime import say_moment

        return say_moment(
            datetime.fromisoformat(when), near=near, zone=self.known_zone(), phrases=self.phrases
        )

    def clock(self, when: str, *, near: datetime) -> str:
        """Say an ISO time as short as it stays true: "14.57", on another date "mån 23 nov 03.00"."""
        from broadcaster.domain.localtime import say_time

        return say_time(
            datetime.fromisoformat(when), near=near, zone=self.known_zone(), phrases=self.phrases
        )

    def second(self, when: str) -> str:
        """Say an ISO time to the second: "14.12.06"."""
        local = datetime.fromisoformat(when).astimezone(self.known_zone())
        _ = self.say
        return _("{clock}:{second}", clock=self.clock(when, near=local), second=f"{local:%S}")

    def local_times(self, sentence: str, near: datetime) -> str:
        """A sentence of the daemon with the machine's times (2026-11-22T18:21+01:00) said as people do."""
        return _ISO.sub(lambda found: self.moment(found[0], near=near), sentence)

    def number(self, value: float, pattern: str | None = None) -> str:
        """Say a number: "12 430", with the pattern "0.0" as "0,6"."""
        from broadcaster.locale import number

        return number(self.language, value, pattern)

    def money(self, amount: float, currency: str) -> str:
        """Say a sum without its smallest coins: "6 200 kr"; sums below 10 with them."""
        from babel.numbers import format_currency

        whole = amount >= 10
        locale = self._locale
        if whole:
            said = format_currency(
                round(amount), currency, "#,##0 ¤", locale, currency_digits=False
            )
        else:
            said = format_currency(amount, currency, "#,##0.00 ¤", locale)
        return str(said)

    def seconds(self, elapsed: float) -> str:
        """Say how long something took: "0,6 s", "2 min 5 s"."""
        if elapsed < 60:
            return f"{self.number(elapsed, '0.0')} s"
        minutes, seconds = divmod(round(elapsed), 60)
        if minutes < 60:
            return f"{minutes} min {seconds} s"
        return f"{minutes // 60} h {minutes % 60} min"

    def language_name(self, tag: str) -> str:
        """Say what a language is called: "engelska"; a variant as it calls itself; of one that nobody knows, its tag."""
        from babel.core import Locale, UnknownLocaleError

        from broadcaster.locale import OWN_NAME, residents

        with suppress(LookupError):
            return residents(tag).phrases[OWN_NAME]
        try:
            known = Locale.parse(tag.replace("-", "_"))
            return known.get_display_name(self._locale) or tag
        except (UnknownLocaleError, ValueError):
            return tag

    @property
    def _locale(self) -> str:
        """The locale of this voice: English where operators are spoken to in English."""
        return self.language.partition("-")[0].lower() if self.phrases else "en"

    def known_zone(self) -> ZoneInfo:
        """The zone of the organisation; UTC before it is known."""
        from zoneinfo import ZoneInfo

        return self.zone or ZoneInfo("UTC")


def own_language(environ: Mapping[str, str] | None = None) -> str:
    """The language of $LC_ALL, $LC_MESSAGES or $LANG ("sv_SE.UTF-8" is "sv"); "en" for none and for C."""
    environ = os.environ if environ is None else environ
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        tag = re.split("[_.@]", environ.get(name, ""))[0]
        if tag:
            return "en" if tag in ("C", "POSIX") else tag
    return "en"


def inert(text: str) -> str:
    """The text with everything that steers a terminal made visible as "?"."""
    return _STEERING.sub("?", text)


def out(text: str = "") -> None:
    """Write a line of the answer."""
    _write(text, sys.stdout)


def note(text: str) -> None:
    """Write a line beside the answer: errors, remarks, questions of a pipe."""
    _write(text, sys.stderr)


def out_json(answer: object) -> None:
    """Write an answer as JSON."""
    sys.stdout.write(json.dumps(answer, ensure_ascii=False, indent=2) + "\n")


def shown(text: str, stream: TextIO) -> str:
    """A text as it is written to a stream: inert, and on a terminal with no word broken in two."""
    lines = inert(text).split("\n")
    if stream.isatty():
        lines = [folded for line in lines for folded in _folded(line)]
    return "\n".join(lines)


def _write(text: str, stream: TextIO) -> None:
    stream.write(shown(text, stream) + "\n")
    stream.flush()


def _folded(line: str) -> list[str]:
    """A line in pieces no wider than the terminal; those that go on keep its indentation.

    A command on a line of its own stays whole: it is there to be pasted, and a break would become part of its text.
    """
    columns = get_terminal_size().columns
    if len(line) <= columns or line.lstrip().startswith("broadcaster "):
        return [line]
    indent = line[: len(line) - len(line.lstrip())]
    return wrap(
        line,
        columns,
        subsequent_indent=indent,
        replace_whitespace=False,
        break_long_words=False,
        break_on_hyphens=False,
    )


def first_line(mode: str, *parts: Any) -> str:
    """The head of an answer: "LIVE · A7 · Strömavbrott"; empty parts are left out."""
    return " · ".join([mode, *(str(part) for part in parts if part)])
