"""What goes between the daemon and an adapter in a process of its own: frames with JSON in them, over a socket pair.

A frame is a length (4 bytes, big-endian) and as many bytes: the call's number, a word, a line break, JSON. What crosses
the adapter API is dataclasses of plain values, and pydantic checks each as it is written and again as it is read, so
that nothing an adapter returns is believed to be what it should be. No pickle: who can write one can run code here.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

from pydantic import ConfigDict, TypeAdapter

from broadcaster.channel import (
    Attempt,
    Board,
    ChannelContext,
    Failure,
    InboundReply,
    InboundRequest,
    Letter,
    LetterOutcome,
    Message,
    Notice,
    Outcome,
    Permanent,
    Probe,
    Receipt,
    Rendered,
    Report,
    Revision,
    Scope,
    Shape,
    Transient,
    Uncertain,
)

LONGEST = 32 * 2**20
"""Bytes a frame from the adapter may have: what it returns is never larger."""
CALLED_OFF, GIVEN_UP = "called-off", "given-up"
"""What is told of a call under way: see `broadcaster.httpclient.calling_off`."""
_LENGTH = struct.Struct("!I")


# --------------------------------------------------------------------------------------------------- what is carried
@dataclass(frozen=True, slots=True)
class Opening:
    """What the process is told first. `written` is the channel's block as it stands in the file, `resolved` with its secrets."""

    kind: str
    written: dict[str, Any]
    resolved: dict[str, Any]
    base: str
    context: ChannelContext


@dataclass(frozen=True, slots=True)
class Found:
    """What a channel's adapter is, as its own process found: `keys` are the settings every channel has.

    `literal` are the places of secrets written out in the block, `secrets` every secret value it holds.
    """

    shape: Shape
    abilities: tuple[str, ...]
    repeatable: bool
    medium: str
    suppliers: tuple[str, ...]
    hosts: tuple[str, ...]
    secrets: tuple[str, ...] = field(repr=False)
    literal: tuple[tuple[str | int, ...], ...]
    keys: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Wrong:
    """The block cannot be used as it is written: each place below the channel's, and a sentence that says why."""

    found: tuple[tuple[tuple[str | int, ...], str], ...]


@dataclass(frozen=True, slots=True)
class Failed:
    """A `Failure`, or what else an adapter raised, as plain values; `status` is a refused request's."""

    sentence: str
    outcome: Outcome = Outcome.PERMANENT
    scope: Scope = Scope.MESSAGE
    retry_after: float | None = None
    reply: str = ""
    status: int = 0
    gone: bool = False


@dataclass(frozen=True, slots=True)
class Answered:
    """One letter's outcome, by its key."""

    key: str
    receipt: Receipt | None
    failed: Failed | None


@dataclass(frozen=True, slots=True)
class Crossing:
    """What one method takes and gives."""

    takes: Any
    gives: Any


CALLS: Final[Mapping[str, Crossing]] = {
    "render": Crossing(tuple[Notice, dict[str, Any]], Rendered),
    "address": Crossing(tuple[str], str),
    "standing": Crossing(tuple[()], Revision | None),
    "show": Crossing(tuple[Board, Attempt], Receipt),
    "post": Crossing(tuple[Message, Attempt], Receipt),
    "amend": Crossing(tuple[Message, Attempt], Receipt),
    "withdraw": Crossing(tuple[Message, Attempt], Receipt),
    "find": Crossing(tuple[Message, Attempt], Receipt | None),
    "confirm": Crossing(tuple[Receipt, Attempt, Message | None], bool),
    "probe": Crossing(tuple[Attempt], Probe),
    "verify": Crossing(tuple[InboundRequest], InboundReply),
    "receive": Crossing(tuple[InboundRequest], tuple[Report, ...]),
    "collect": Crossing(tuple[tuple[str, ...], Attempt], tuple[InboundRequest, ...]),
}
"""Every method that is one call and one answer; `send` is a conversation."""


@cache
def _form(kind: Any) -> TypeAdapter[Any]:
    # Bytes are carried in base64: a body is not always text. A tuple around it: a dataclass takes no settings itself.
    config = ConfigDict(strict=True, ser_json_bytes="base64", val_json_bytes="base64")
    return TypeAdapter(tuple[kind], config=config)


def write(kind: Any, value: Any) -> bytes:
    """`value` as JSON. Raises pydantic's PydanticSerializationError, a ValueError, when it is no `kind`."""
    return _form(kind).dump_json((value,), warnings="error")


def read(kind: Any, payload: bytes) -> Any:
    """What `write` wrote. Raises pydantic's ValidationError, a ValueError, when it is no `kind`."""
    return _form(kind).validate_json(payload)[0]


class Mistyped(Exception):
    """An adapter gave what its method does not promise; the message says what."""


def write_given(kind: Any, value: Any) -> bytes:
    """What an adapter returned, as JSON. Raises Mistyped when it is no `kind`."""
    try:
        payload = write(kind, value)
        read(kind, payload)  # None is written as null whatever is promised
    except ValueError as error:
        raise Mistyped(f"it returned {type(value).__name__}") from error
    return payload


# ------------------------------------------------------------------------------------------------------- failures
_KINDS: Final = {kind.outcome: kind for kind in (Transient, Permanent, Uncertain)}


def failed(failure: Failure) -> Failed:
    """A failure as plain values; what an adapter put into it is made text."""
    retry_after = failure.retry_after
    return Failed(
        sentence=str(failure.sentence),
        outcome=failure.outcome,
        scope=failure.scope,
        retry_after=None if retry_after is None else float(retry_after),
        reply=str(failure.reply),
        gone=bool(failure.gone),
    )


def failure(told: Failed) -> Failure:
    """The failure again."""
    return _KINDS[told.outcome](
        told.sentence,
        scope=told.scope,
        retry_after=told.retry_after,
        reply=told.reply,
        gone=told.gone,
    )


def answered(letter: Letter, outcome: LetterOutcome) -> Answered:
    """What one letter came to, as plain values."""
    told = None if outcome.failure is None else failed(outcome.failure)
    return Answered(letter.key, outcome.receipt, told)


def outcome(told: Answered) -> LetterOutcome:
    """The outcome again. Raises ValueError when it is not exactly one of the two."""
    if (told.receipt is None) == (told.failed is None):
        raise ValueError("a letter's outcome is a receipt or a failure")
    return LetterOutcome(told.receipt, failure(told.failed) if told.failed else None)


# --------------------------------------------------------------------------------------------------------- frames
@dataclass(frozen=True, slots=True)
class Frame:
    """One message: which call it belongs to, what it says, and its JSON."""

    number: int
    word: str
    payload: bytes


class Line:
    """One end of the socket pair. Many threads may say something, one listens."""

    def __init__(self, end: socket.socket) -> None:
        self._end, self._saying = end, threading.Lock()
        self._heard = bytearray()

    def say(self, number: int, word: str, payload: bytes = b"") -> None:
        """Send one frame. Raises OSError when the other end is gone or does not read."""
        body = f"{number} {word}\n".encode() + payload
        with self._saying:
            self._end.sendall(_LENGTH.pack(len(body)) + body)

    def listen(self, flags: int = 0) -> bool:
        """Take what has come. False: the other end has closed. Raises BlockingIOError with MSG_DONTWAIT."""
        some = self._end.recv(1 << 18, flags)
        self._heard += some
        return bool(some)

    def take(self, longest: int | None = None) -> Frame | None:
        """The next whole frame that was heard, or None. Raises ValueError for one that is too long or is none."""
        if len(self._heard) < _LENGTH.size:
            return None
        (length,) = _LENGTH.unpack_from(self._heard)
        if longest is not None and length > longest:
            raise ValueError(f"a frame of {length} bytes")
        if len(self._heard) < _LENGTH.size + length:
            return None
        body = bytes(self._heard[_LENGTH.size : _LENGTH.size + length])
        del self._heard[: _LENGTH.size + length]
        head, _, payload = body.partition(b"\n")
        number, word = head.decode("ascii").split(" ")
        return Frame(int(number), word, payload)

    def hang_up(self) -> None:
        """Say that nothing more comes; the other end reads to its end."""
        with contextlib.suppress(OSError):
            self._end.shutdown(socket.SHUT_WR)
