"""What a mail server's answer means (RFC 5321 §4.2, RFC 3463), by what it was asked."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from broadcaster.channel import Failure, Permanent, Scope, Transient, Uncertain
from broadcaster.httpclient import Redaction, printable

_ENHANCED = re.compile(r"\s*([245])\.(\d{1,3})\.(\d{1,3})\b")
_ADDRESS = re.compile(r"[^\s<>@]+@[^\s<>@]+")
_WANTS_LOGIN = frozenset({530, 534, 535, 538})
_TOO_LARGE = "3.4"
NO_SUCH_ADDRESS = frozenset({"1.1", "1.2", "1.3", "1.6", "1.10"})
"""What 5.x.x says of an address that is no more (RFC 3463 §3.2, RFC 7505); 1.7 and 1.8 are about the sender's."""
# What a relay answers to everybody while it cannot look up any domain: of a letter that came back it is true.
_OF_DOMAINS = "1.2"
# Most servers judge client and sender only when the first recipient is named, and answer that one.
_US = re.compile(r"\b(sender|relay(?:ing)?|client host|helo command)\b", re.IGNORECASE)


class Asked(StrEnum):
    """What a mail server was asked when it answered."""

    GREETING = "greeting"
    LOGIN = "login"
    SENDER = "sender"
    RECIPIENT = "recipient"
    LETTER = "letter"


class Unwanted(Permanent):
    """A recipient was refused in words about us: that is us, or this recipient alone; what befalls others tells.

    As it is, it says that the server wants no letters from us; `of_address` says that it takes none for this address.
    """

    def __init__(self, sentence: str, of_address: Permanent) -> None:
        super().__init__(sentence, scope=Scope.CHANNEL)
        self.of_address = of_address


@dataclass(frozen=True)
class Reading:
    """Turns the answers of one mail server into failures whose words hold no address and no secret."""

    host: str
    redaction: Redaction

    def failure(self, asked: Asked, code: int, text: str) -> Failure:
        """What a refusal means. `code` is the reply's; -1 for what is no reply at all."""
        found = _ENHANCED.match(text)
        about = f"{found[2]}.{found[3]}" if found else ""
        name = f"{code} {found[0].strip()}" if found else f"{code}"
        failure = self._failure(asked, code, about, name, text)
        failure.reply = self.words(f"{code} {text}")
        return failure

    def words(self, text: str) -> str:
        """The beginning of what was said, for the log: one line, without addresses and secrets."""
        return printable(_ADDRESS.sub("…", self.redaction.text(text))[:2000], 300)

    def _failure(self, asked: Asked, code: int, about: str, name: str, text: str) -> Failure:
        if not 400 <= code <= 599:
            return self.strange(handed=asked is Asked.LETTER)
        if asked in (Asked.GREETING, Asked.LOGIN):
            return self._closed(asked, code, name)
        if asked is Asked.RECIPIENT and (found := _US.search(text)):
            asked = Asked.SENDER if found[0].lower() == "sender" else Asked.GREETING
            unwanted = self._unwanted(asked, code, name)
            if code < 500:
                unwanted.scope = Scope.MESSAGE
                return unwanted
            return Unwanted(unwanted.sentence, self._no_such_address(name))
        if code < 500:
            return self._wait(asked, about, name)
        return self._refused(asked, code, about, name)

    def _refused(self, asked: Asked, code: int, about: str, name: str) -> Failure:
        if asked is Asked.LETTER or about == _TOO_LARGE or code == 552:
            return Permanent(f"{self.host} does not take this message ({name}).")
        if asked is Asked.RECIPIENT and code not in _WANTS_LOGIN:
            gone = about in NO_SUCH_ADDRESS and about != _OF_DOMAINS
            return self._no_such_address(name, gone=gone)
        return self._unwanted(asked, code, name)

    def _no_such_address(self, name: str, *, gone: bool = False) -> Permanent:
        sentence = f"{self.host} refuses this address ({name})."
        return Permanent(sentence, scope=Scope.ADDRESS, gone=gone)

    def _closed(self, asked: Asked, code: int, name: str) -> Failure:
        """Nothing goes: neither this letter nor any other."""
        if code < 500:
            sentence = f"{self.host} asks us to wait ({name})."
            return Transient(sentence, scope=Scope.CHANNEL)
        if asked is Asked.LOGIN:
            sentence = (
                f"{self.host} refuses our credentials ({name}): renew them, write them in the configuration, "
                "then resume the channel."
            )
        else:
            sentence = f"{self.host} takes no letters from us ({name}): ask whoever runs it, then resume the channel."
        return Permanent(sentence, scope=Scope.CHANNEL)

    def _wait(self, asked: Asked, about: str, name: str) -> Failure:
        if asked is Asked.RECIPIENT and about.startswith(("1.", "2.")):
            sentence = f"{self.host} does not take letters for this address now ({name})."
            return Transient(sentence, scope=Scope.ADDRESS)
        return Transient(f"{self.host} asks us to wait ({name}).")

    def _unwanted(self, asked: Asked, code: int, name: str) -> Failure:
        """It does not want letters from us, or not from this sender: no letter will go."""
        kind = Permanent if code >= 500 else Transient
        if asked is Asked.SENDER and code not in _WANTS_LOGIN:
            sentence = (
                f"{self.host} does not let us write as the configured sender ({name}): correct sender or bounces, "
                "or have it allowed, then resume the channel."
            )
            return kind(sentence, scope=Scope.CHANNEL)
        sentence = (
            f"{self.host} passes no letters on for us ({name}): write username and password, or have this machine "
            "allowed, then resume the channel."
        )
        return kind(sentence, scope=Scope.CHANNEL)

    def strange(self, *, handed: bool) -> Failure:
        """What was answered is no answer of SMTP, or of no use here."""
        if handed:
            return Uncertain(f"{self.host} did not say whether it took the letter.")
        return Transient(f"{self.host} does not answer as a mail server does: nothing was sent.")

    def broken(self, *, handed: bool, late: bool) -> Failure:
        """The connection broke, or the time was over, while an answer was awaited."""
        if handed:
            return Uncertain(f"{self.host} did not say whether it took the letter.")
        if late:
            return Transient(f"{self.host} does not answer in time: nothing was sent.")
        return Transient(f"{self.host} closed the connection: nothing was sent.")
