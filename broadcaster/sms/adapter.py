"""The half of an adapter that all channels of SMS share: arranging the text and reading numbers. It calls nobody."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import phonenumbers
from phonenumbers import PhoneNumberType
from pydantic import Field

from broadcaster.channel import ChannelSettings, Kind, LetterAdapter, Notice, Rendered, Text
from broadcaster.domain.localtime import say
from broadcaster.domain.text import SmsMeasure, measure_sms, plain
from broadcaster.sms.wording import compose

_MOBILE = frozenset({PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE})
_E164 = re.compile(r"\+[1-9][0-9]{6,14}")


def is_international(number: str) -> bool:
    """Whether a number is written as E.164 wants it (+46701740605): no other may leave."""
    return _E164.fullmatch(number) is not None


class SmsSettings(ChannelSettings):
    """The keys that every channel of SMS has."""

    max_parts: int = Field(
        4, ge=1, le=10, description="A text that needs more parts than these is refused."
    )
    plain: bool = Field(
        False,
        description="Write dashes, quotes and other signs with the letters every phone has, so that they do not cost extra.",
    )


class SmsAdapter(LetterAdapter):
    """Renders one text and reads numbers; whoever subclasses it names suppliers and sends."""

    medium = "sms"
    settings: SmsSettings

    def price(self) -> tuple[float, str]:
        """What one part costs, and in which currency ("SEK"), for previews; 0 when nobody said."""
        return 0.0, ""

    # ------------------------------------------------------------------------------------------------------- the text
    def render(self, notice: Notice, limits: Mapping[str, Any]) -> Rendered:
        """Arrange the notice as one text; remarks are English: whoever shows them says them in the language asked for."""
        body = self._compose(notice)
        written = plain(body)
        remarks: list[str] = []
        if self.settings.plain:
            body = written.text
            remarks += [
                f'"{each.found}" is written "{each.written}".' for each in written.replacements
            ]
        measure = measure_sms(body)
        dear = tuple(self._dear_letters(measure, measure_sms(written.text)))
        self._refuse_long(measure, dear)
        remarks += dear
        price, currency = self.price()
        return Rendered(
            texts=(Text(body=body),),
            unit="units",
            used=measure.units,
            limit=_room(measure, self.settings.max_parts),
            encoding=measure.encoding,
            parts=measure.parts,
            forcing=measure.forcing,
            cost_per_address=round(price * measure.parts, 6),
            currency=currency if price else "",
            remarks=tuple(remarks),
        )

    def _compose(self, notice: Notice) -> str:
        """The text; of a retraction that would be too long, what can be left out: it must never be held up by its length."""
        phrases = self.context.phrases.get(notice.language, {})
        body = compose(notice, phrases)
        if notice.kind is Kind.RETRACTION and measure_sms(body).parts > self.settings.max_parts:
            body = compose(replace(notice, no_longer="", planned="", cause=""), phrases)
        return body

    def _refuse_long(self, measure: SmsMeasure, dear: tuple[str, ...]) -> None:
        """A refusal is English: whoever answers the operator says it in the language that was asked for.

        It names `dear` letters too: one long dash may be all that is too long.
        """
        most = self.settings.max_parts
        if measure.parts > most:
            over = max(1, measure.units - _room(measure, most))
            refusal = f"The SMS needs {measure.parts} parts and at most {most} are allowed: shorten it by {over} letters."
            raise ValueError(" ".join((refusal, *dear)))

    def _dear_letters(self, measure: SmsMeasure, without: SmsMeasure) -> Iterator[str]:
        """Say which letters make the text dearer, and what would make it cheaper."""
        if not measure.forcing:
            return
        letters = " ".join(f'"{letter}"' for letter in measure.forcing)
        yield f"{letters} makes it UCS-2, which takes {measure.parts} parts."
        if without.parts < measure.parts:
            yield f"With plain signs (--plain) it takes {without.parts}."

    def _say(self, sentence: str, **values: object) -> str:
        languages = self.context.organisation.languages
        return say(self.context.phrases.get(languages[0], {}), sentence, **values)

    # ---------------------------------------------------------------------------------------------------- the address
    def address(self, raw: str) -> str:
        """Read a number as people of the organisation's country write it; see `LetterAdapter.address`."""
        _, country = self._say, self.context.organisation.country
        try:
            number = phonenumbers.parse(raw, country)
        except phonenumbers.NumberParseException:
            raise ValueError(_("is not a telephone number")) from None
        if not phonenumbers.is_valid_number(number):
            raise ValueError(_("is not a number that exists"))
        if phonenumbers.number_type(number) not in _MOBILE:
            raise ValueError(_("is not a mobile number"))
        return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def _room(measure: SmsMeasure, parts: int) -> int:
    return measure.limit_single if parts == 1 else parts * measure.per_part_limit
