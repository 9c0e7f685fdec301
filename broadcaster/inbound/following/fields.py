"""What a resident's form says, read strictly: bounded, no sign that no form sends, nothing that is not asked for."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import time
from urllib.parse import parse_qsl

from broadcaster.domain.choices import Choices, Quiet, heard_from
from broadcaster.domain.incident import Severity
from broadcaster.settings.model import Settings

LONGEST_BODY = 32 * 1024
MOST_FIELDS = 60
MOST_AREAS = 500
"""All of Sweden's 290 municipalities may be ticked, and more."""
LONGEST_ADDRESS = 254
_CLOCK = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")

NO_AREA = "Choose at least one place."
NO_ADDRESS = "Write your address."
HALF_QUIET = "Quiet hours need a beginning and an end, which differ."
NO_FORM = "The form cannot be read."


class BadForm(Exception):
    """It was not sent by our form; nothing of it is shown again."""


@dataclass(frozen=True, slots=True)
class Filled:
    """A form as it was filled in, for showing it again; nothing of it is checked."""

    values: Mapping[str, str]
    areas: tuple[str, ...] = ()

    def get(self, name: str) -> str:
        """What stands in a field, "" for nothing."""
        return self.values.get(name, "")


def read(body: bytes) -> Filled:
    """The fields of a form.

    Raises:
        BadForm: it is too large, has too many fields, or signs that no form has.
    """
    try:
        pairs = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=bool(body),
            errors="strict",
            max_num_fields=MOST_FIELDS + MOST_AREAS,
        )
    except (ValueError, UnicodeError):
        raise BadForm(NO_FORM) from None
    if len(body) > LONGEST_BODY or any(_CONTROL.search(each) for pair in pairs for each in pair):
        raise BadForm(NO_FORM)
    single = [(name, value.strip()) for name, value in pairs if name != "area"]
    if len(single) > MOST_FIELDS or len({name for name, _ in single}) < len(single):
        raise BadForm(NO_FORM)
    return Filled(dict(single), tuple(dict.fromkeys(v for name, v in pairs if name == "area")))


def choices(filled: Filled, settings: Settings) -> Choices | str:
    """What was chosen, or the sentence that says what is missing.

    Raises:
        BadForm: something was chosen that the form does not offer.
    """
    if not set(filled.areas) <= settings.areas.keys():
        raise BadForm(NO_FORM)
    language = filled.get("language") or settings.organisation.languages[0]
    least = filled.get("least") or Severity.MINOR
    if language not in settings.organisation.languages or least not in list(Severity):
        raise BadForm(NO_FORM)
    if not filled.areas:
        return NO_AREA
    begin, end, summary = (_clock(filled.get(name)) for name in ("from", "to", "summary"))
    if (begin is None) != (end is None) or (begin is not None and begin == end):
        return HALF_QUIET
    quiet = Quiet(begin, end) if begin is not None and end is not None else None
    return Choices(
        areas=filled.areas,
        language=language,
        least=Severity(least),
        quiet=quiet,
        summary=summary,
    )


def refill(chosen: Choices) -> Filled:
    """The form as it would be filled in to choose this."""
    values = {"language": chosen.language, "least": str(heard_from(chosen.least))}
    if chosen.quiet is not None:
        values |= {"from": f"{chosen.quiet.start:%H:%M}", "to": f"{chosen.quiet.end:%H:%M}"}
    if chosen.summary is not None:
        values["summary"] = f"{chosen.summary:%H:%M}"
    return Filled(values, chosen.areas)


def address(filled: Filled) -> str:
    """The address as it was written; "" where there is none.

    Raises:
        BadForm: it is longer than any address.
    """
    written = filled.get("address")
    if len(written) > LONGEST_ADDRESS:
        raise BadForm(NO_FORM)
    return written


def one_of(filled: Filled, name: str, offered: Sequence[str]) -> str:
    """Which of these was chosen; the only one need not be.

    Raises:
        BadForm: none of these.
    """
    chosen = filled.get(name) or (offered[0] if len(offered) == 1 else "")
    if chosen not in offered:
        raise BadForm(NO_FORM)
    return chosen


def _clock(written: str) -> time | None:
    if not written:
        return None
    found = _CLOCK.fullmatch(written)
    if found is None:
        raise BadForm(NO_FORM)
    return time(int(found[1]), int(found[2]))
