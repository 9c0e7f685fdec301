"""What the reason codes of MQTT 5.0 (OASIS, §2.4) mean for a message."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from broadcaster.channel import Failure, Permanent, Scope, Transient, Uncertain

NOBODY_LISTENS = 0x10
_NOT_AUTHORISED = 0x87


class Denied(Permanent):
    """The access list does not let us publish to a topic; to others perhaps."""


@dataclass(frozen=True, slots=True)
class Reason:
    """A reason code as it came: its number, the library's name for it, and the broker's own words."""

    code: int
    name: str
    words: str = ""

    @property
    def is_refusal(self) -> bool:
        """§2.4: from 0x80 on it failed."""
        return self.code >= 0x80

    @property
    def shown(self) -> str:
        """As a sentence names it."""
        return f"0x{self.code:02X} {self.name}"


# What somebody must mend before anything is let in (§3.2.2.2).
_CONNECTING = {
    0x84: "{host} does not speak MQTT 5: have the broker renewed, then resume the channel.",
    0x85: "{host} refuses our client identifier: set client_id to one it takes, then resume the channel.",
    0x86: "{host} refuses our user name or password: correct them in the configuration, then resume the channel.",
    0x87: "{host} does not let us in: see that it knows our user name and password, then resume the channel.",
    0x8C: "{host} wants another kind of authentication than a password: ask the broker's keeper, then resume the channel.",
    0x9D: "{host} has moved: write the broker's new address in the configuration, then resume the channel.",
}
# Also what ends a connection: a broker that is stopped or restarted, that another with our identifier took our place, or a
# ban, which brokers give for minutes to whoever comes too often.
_PASSING = {0x00, 0x80, 0x83, 0x88, 0x89, 0x8A, 0x8B, 0x8D, 0x8E, 0x97, 0x98, 0x9C, 0x9F}
# What is wrong with one message, and with every one (§3.4.2.1, §3.14.2.1). An access list is by topic: the sirens of one area
# must not stand still because of another.
_MESSAGE = {
    0x87: "{host} does not let us publish to {topic}: have that allowed in the broker's access list, then send it again.",
    0x90: "{host} does not take the topic {topic}.",
    0x95: "{host} takes no message that long. Probe the channel, then send a shorter text.",
    0x99: "{host} does not take the form of the message.",
}
_CHANNEL = {
    0x9A: "{host} retains no messages: have that allowed at the broker, then resume the channel.",
    0x9B: "{host} takes no messages of quality of service 1: have that allowed at the broker, then resume the channel.",
}


def refused_connection(reason: Reason, host: str) -> Failure:
    """What it means that the broker does not let us in; nothing was sent."""
    if reason.code in _PASSING:
        return Transient(
            f"{host} takes no connections for now ({reason.shown}): nothing was sent.",
            scope=Scope.CHANNEL,
            reply=reason.words,
        )
    sentence = _CONNECTING.get(reason.code, "").format(host=host)
    return Permanent(
        sentence
        or f"{host} refuses the connection ({reason.shown}): mend that, then resume the channel.",
        scope=Scope.CHANNEL,
        reply=reason.words,
    )


def refused_message(reason: Reason, host: str, topic: str) -> Failure:
    """What it means that the broker acknowledged a message with a refusal: it was not published."""
    known = _explained(reason, host, topic)
    if known is not None:
        return known
    return Transient(
        f"{host} does not take the message for now ({reason.shown}).", reply=reason.words
    )


def hung_up(reason: Reason, host: str, topic: str) -> Failure:
    """What it means that the broker ended the connection instead of acknowledging a message."""
    known = _explained(reason, host, topic)
    if known is not None:
        return known
    return Uncertain(
        f"{host} ended the connection before it had answered ({reason.shown}): the message may have arrived.",
        reply=reason.words,
    )


def _explained(reason: Reason, host: str, topic: str) -> Failure | None:
    """The failure for a reason that is about the message and will not pass."""
    for sentences, scope in ((_MESSAGE, Scope.MESSAGE), (_CHANNEL, Scope.CHANNEL)):
        if reason.code in sentences:
            kind = Denied if reason.code == _NOT_AUTHORISED else Permanent
            sentence = sentences[reason.code].format(host=host, topic=topic)
            return kind(sentence, scope=scope, reply=reason.words)
    return None


def denied(host: str, topics: Iterable[str]) -> str:
    """What is to be mended where the access list denies us topics."""
    return _MESSAGE[_NOT_AUTHORISED].format(host=host, topic=", ".join(topics))
