"""What a message centre's refusals mean (SMPP 3.4 §5.1.3). Each says that the part was not taken."""

from __future__ import annotations

from typing import Final

from broadcaster.channel import Failure, Permanent, Scope, Transient

PAUSE: Final = 2.0
"""Seconds: what is refused because there is too much of it names no time."""

_TOO_MUCH: Final = frozenset({0x14, 0x58})  # its queue is full; we are throttled
_ADDRESS: Final = frozenset({0x0B})
# The sender, or how numbers are written, or what this account may do: true of every letter.
_CHANNEL: Final = frozenset({0x0A, 0x48, 0x49, 0x50, 0x51, 0x15, 0x53, 0x0E, 0x0F})
_UNBOUND: Final = frozenset({0x04, 0x05, 0x0D})
# Not as it should be, and the same the next time: lengths, flags, times, replacing, an application's lasting no.
_MESSAGE: Final = frozenset(
    {0x01, 0x02, 0x03, 0x06, 0x07, 0x13, 0x33, 0x34, 0x40, 0x42, 0x43, 0x44, 0x54, 0x61, 0x62, 0x63}
    | {0x65, 0x66, 0xC0, 0xC1, 0xC2, 0xC3, 0xC4}
)
_CREDENTIALS: Final = frozenset({0x0E, 0x0F, 0x53})


def refused(status: int, host: str) -> Failure:
    """A part was refused with `status`."""
    reply = f"status 0x{status:08x}"
    if status in _ADDRESS:
        sentence = "The message centre does not take this number."
        return Permanent(sentence, scope=Scope.ADDRESS, reply=reply)
    if status in _TOO_MUCH:
        sentence = f"{host} takes no more just now (0x{status:02x})."
        return Transient(sentence, retry_after=PAUSE, reply=reply)
    if status in _CHANNEL:
        sentence = f"{host} does not take our texts (0x{status:02x}): correct the sender, or ask the operator, then resume the channel."
        return Permanent(sentence, scope=Scope.CHANNEL, reply=reply)
    if status in _UNBOUND:
        sentence = f"{host} does not know our connection any more (0x{status:02x})."
        return Transient(sentence, scope=Scope.CHANNEL, reply=reply)
    if status in _MESSAGE:
        sentence = f"{host} does not take this text (0x{status:02x})."
        return Permanent(sentence, reply=reply)
    # Its own errors, and those that each operator numbers as he likes: told apart by nobody, so tried again.
    return Transient(f"{host} did not take the text (0x{status:02x}).", reply=reply)


def not_bound(status: int, host: str) -> Failure:
    """We asked to be connected and were refused."""
    reply = f"status 0x{status:08x}"
    if status in _CREDENTIALS:
        sentence = f"{host} refuses our credentials (0x{status:02x}): correct system_id, password or system_type, then resume the channel."
        return Permanent(sentence, scope=Scope.CHANNEL, reply=reply)
    # Too many connections, among others: one of ours that broke may still stand there.
    sentence = f"{host} lets us not in now (0x{status:02x}): nothing was sent."
    return Transient(sentence, scope=Scope.CHANNEL, reply=reply)
