"""Delivery reports: what they say, which letter they are about, and when a text of several parts has arrived.

A report names the number that the message centre's answer gave (SMPP 3.4, appendix B): often written in another base,
one for each part, late, early, repeated. What was answered lately is remembered here, with the last digits of the phone;
a report on what is no longer remembered is left to whoever stored the number.
"""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from channels.smpp.pdu import MESSAGE_STATE, RECEIPTED_ID, Delivered
from channels.smpp.settings import ReceiptIds

MOST: Final = 100_000
"""Parts that are remembered for each message centre: some 30 MB."""

_WORDS: Final = {"DELIVRD": "confirmed"} | dict.fromkeys(
    ("EXPIRED", "DELETED", "UNDELIV", "REJECTD"), "failed"
)
_STATES: Final = {2: "DELIVRD", 3: "EXPIRED", 4: "DELETED", 5: "UNDELIV", 8: "REJECTD"}
_ID = re.compile(rb"(?:^|\s)id:\s*([!-~]+)", re.IGNORECASE)
_STAT = re.compile(rb"(?:^|\s)stat:\s*([A-Za-z]+)", re.IGNORECASE)
_ERR = re.compile(rb"(?:^|\s)err:\s*([0-9A-Za-z]{1,10})", re.IGNORECASE)
_DIGITS: Final = 7


@dataclass(frozen=True, slots=True)
class Receipt:
    """One report: on which number of the message centre's, by whose phone, `outcome` as a `Report` has it, its words."""

    id: str
    phone: str
    outcome: str
    detail: str


def read(came: Delivered) -> Receipt | None:
    """What a report says; None when it names no number."""
    told = came.parameters.get(RECEIPTED_ID, b"").rstrip(b"\0") or _first(_ID, came.text)
    if not told:
        return None
    state = came.parameters.get(MESSAGE_STATE, b"")
    word = _first(_STAT, came.text).decode("ascii").upper()[:7]
    word = word or _STATES.get(state[0] if state else 0, "")
    error = _first(_ERR, came.text).decode("ascii")
    detail = " ".join(filter(None, (word, error and f"err {error}")))
    return Receipt(told.decode("latin-1")[:64], came.source, _WORDS.get(word, "pending"), detail)


def _first(pattern: re.Pattern[bytes], text: bytes) -> bytes:
    found = pattern.search(text[:1000])
    return found[1] if found else b""


# ------------------------------------------------------------------------------------------------------ either base
def plain(number: str) -> str:
    """A number as it is compared: letters in any case, zeros in front or not."""
    return number.strip().lower().lstrip("0")


def _from_decimal(number: str) -> str:
    return f"{int(number):x}" if number.isascii() and number.isdecimal() else ""


def _from_hexadecimal(number: str) -> str:
    try:
        return str(int(number, 16)) if number.isalnum() else ""
    except ValueError:
        return ""


_FORMS: Final[Mapping[str, Callable[[str], str]]] = {
    "same": plain,
    "decimal": _from_decimal,
    "hexadecimal": _from_hexadecimal,
}
"""How a report writes a number → how the answer wrote it; "" where it cannot have been written so."""


# ----------------------------------------------------------------------------------------------------- what was sent
@dataclass(slots=True)
class _Letter:
    key: str
    phone: str
    parts: int
    arrived: set[str] = field(default_factory=set)


class Sent:
    """What one message centre took lately. Used from several threads."""

    def __init__(self, ids: ReceiptIds) -> None:
        self._form: str = "" if ids == "auto" else ids
        self._known: OrderedDict[str, _Letter] = OrderedDict()
        self._lock = threading.Lock()

    def remember(self, key: str, phone: str, numbers: list[str]) -> None:
        """A letter was taken, its parts under these numbers."""
        letter = _Letter(key, phone[-_DIGITS:], len(numbers))
        with self._lock:
            self._known |= dict.fromkeys(map(plain, numbers), letter)
            while len(self._known) > MOST:
                self._known.popitem(last=False)

    def knows(self, receipt: Receipt) -> bool:
        """Whether it is remembered which letter a report is about."""
        with self._lock:
            return self._number(receipt) in self._known

    def judged(self, receipt: Receipt) -> tuple[str, str] | None:
        """The letter's key, and what the report makes of it: confirmed only when all parts are. None: not remembered."""
        with self._lock:
            number = self._number(receipt)
            letter = self._known.get(number)
            if letter is None:
                return None
            if receipt.outcome != "confirmed":
                return letter.key, receipt.outcome
            letter.arrived.add(number)
            return letter.key, "confirmed" if len(letter.arrived) == letter.parts else "pending"

    def written(self, number: str) -> str:
        """A report's number as the answer wrote it, as far as is known how this message centre writes."""
        with self._lock:
            return _FORMS[self._form or "same"](number) or plain(number)

    def _number(self, receipt: Receipt) -> str:
        if self._form:
            return _FORMS[self._form](receipt.id) or plain(receipt.id)
        # Two numbers may read alike in two bases: only one whose phone is the same too says which base it is.
        forms: dict[str, list[str]] = {}
        for form, write in _FORMS.items():
            forms.setdefault(write(receipt.id), []).append(form)
        phone = receipt.phone[-_DIGITS:]
        found = [
            (number, by)
            for number, by in forms.items()
            if (letter := self._known.get(number)) is not None and letter.phone == phone
        ]
        if len(found) != 1:
            return ""
        [(number, by)] = found
        if len(by) == 1:
            self._form = by[0]
        return number
