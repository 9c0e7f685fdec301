"""The six kinds of message of SMPP 3.4 that are needed here, as bytes (Short Message Peer to Peer Protocol 3.4, §4).

Written out and not taken from a library: the one there is cuts what is too long without a word, stops at a parameter it
does not know, and its reading has no limit.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

NACK: Final = 0x80000000
SUBMIT: Final = 0x00000004
DELIVER: Final = 0x00000005
UNBIND: Final = 0x00000006
BIND_TRANSCEIVER: Final = 0x00000009
ENQUIRE: Final = 0x00000015
ALERT: Final = 0x00000102
ANSWER: Final = 0x80000000
"""Added to a request's command for its answer."""

LONGEST: Final = 64 * 1024
"""Bytes; a text has at most 140, its parameters not many more."""
INVALID_COMMAND: Final = 0x03
RECEIPTED_ID, MESSAGE_STATE, PAYLOAD = 0x001E, 0x0427, 0x0424

_HEADER: Final = struct.Struct("!IIII")
_TLV: Final = struct.Struct("!HH")


@dataclass(frozen=True, slots=True)
class Pdu:
    """One message: what it is, its status (0: well), its number, and what it holds."""

    command: int
    status: int
    sequence: int
    body: bytes = field(default=b"", repr=False)


def written(command: int, sequence: int, body: bytes = b"", status: int = 0) -> bytes:
    """One message as bytes."""
    return _HEADER.pack(_HEADER.size + len(body), command, status, sequence) + body


class Stream:
    """Bytes as they come, cut into messages."""

    def __init__(self) -> None:
        self._there = bytearray()

    def feed(self, some: bytes) -> Iterator[Pdu]:
        """The messages that are whole now. Raises ValueError for what is none."""
        self._there += some
        while len(self._there) >= 4:
            length = int.from_bytes(self._there[:4])
            if not _HEADER.size <= length <= LONGEST:
                raise ValueError(f"A message of {length} bytes.")
            if len(self._there) < length:
                return
            _, command, status, sequence = _HEADER.unpack_from(self._there)
            body = bytes(self._there[_HEADER.size : length])
            del self._there[:length]
            yield Pdu(command, status, sequence, body)


def bind_body(system_id: str, password: str, system_type: str) -> bytes:
    """Who we are, for both directions."""
    return b"".join(map(_text, (system_id, password, system_type))) + b"\x34\x00\x00" + _text("")


@dataclass(frozen=True, slots=True)
class Number:
    """An address as SMPP writes it: type of number, numbering plan, digits or letters."""

    ton: int
    npi: int
    digits: str

    def written(self) -> bytes:
        """Its three fields."""
        return bytes((self.ton, self.npi)) + _text(self.digits)


def number(written: str) -> Number:
    """+46… is international, few digits a short number, anything else a name; "" leaves it to the message centre."""
    if not written:
        return Number(0, 0, "")
    if written.startswith("+"):
        return Number(1, 1, written[1:])
    return Number(3, 0, written) if written.isdigit() else Number(5, 0, written)


def submit_body(
    source: bytes, to: str, content: bytes, *, headed: bool, coding: int, seconds: int, report: bool
) -> bytes:
    """One part for one phone. `source` is a `Number` written, `headed` says that content begins with a user data header."""
    return b"".join(
        (
            b"\x00",  # service type: the usual
            source,
            number(to).written(),
            b"\x40" if headed else b"\x00",
            b"\x00\x00\x00",  # protocol, priority, at once
            _text(validity(seconds)),
            b"\x01" if report else b"\x00",
            bytes((0, coding, 0, len(content))),
            content,
        )
    )


def validity(seconds: int) -> str:
    """A span as SMPP writes it (§7.1.1): YYMMDDhhmmss000R, at most 30 days."""
    minutes, second = divmod(max(1, min(seconds, 30 * 86400)), 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    return f"0000{days:02d}{hour:02d}{minute:02d}{second:02d}000R"


@dataclass(frozen=True, slots=True)
class Delivered:
    """What a message centre hands us: a delivery report (`is_report`), or a text that somebody sent.

    `coding` is its data_coding, `headed` says that a user data header stands before the text.
    """

    source: str
    is_report: bool
    text: bytes
    parameters: Mapping[int, bytes]
    coding: int = 0
    headed: bool = False


def delivered(body: bytes) -> Delivered:
    """Read a deliver_sm. Raises ValueError when it cannot be."""
    fields = _Fields(body)
    fields.text()
    fields.octets(2)
    source = fields.text()
    fields.octets(2)
    fields.text()
    kind = fields.octets(3)[0]
    fields.text()
    fields.text()
    *_, coding, _default, length = fields.octets(5)
    text = fields.octets(length)
    parameters = dict(fields.parameters())
    # Bits 2 to 5 say what it is (§5.2.12): 1 is the message centre's own report, 8 one on the way.
    is_report = kind & 0b0011_1100 in (0b0100, 0b10_0000)
    whole = text or parameters.get(PAYLOAD, b"")
    return Delivered(source, is_report, whole, parameters, coding, bool(kind & 0b0100_0000))


def message_id(body: bytes) -> str:
    """The number that an accepted part was given; "" when there is none."""
    try:
        return _Fields(body).text()
    except ValueError:
        return ""


class _Fields:
    def __init__(self, body: bytes) -> None:
        self._body, self._at = body, 0

    def text(self) -> str:
        """Letters up to the zero that ends them."""
        end = self._body.find(b"\0", self._at)
        if end < 0:
            raise ValueError("A text in it has no end.")
        said = self._body[self._at : end]
        self._at = end + 1
        return said.decode("latin-1")

    def octets(self, count: int) -> bytes:
        found = self._body[self._at : self._at + count]
        if len(found) < count:
            raise ValueError("It ends too early.")
        self._at += count
        return found

    def parameters(self) -> Iterator[tuple[int, bytes]]:
        while self._at < len(self._body):
            tag, length = _TLV.unpack(self.octets(_TLV.size))
            yield tag, self.octets(length)


def _text(said: str) -> bytes:
    return said.encode("ascii") + b"\0"
