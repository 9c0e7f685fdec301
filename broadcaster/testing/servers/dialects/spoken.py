"""What every dialect of SMS gateway shares: a message, an account, a number."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Protocol

from broadcaster.testing.servers.counting import sms_parts
from broadcaster.testing.servers.courier import Call
from broadcaster.testing.servers.exchange import Reply, Request

FORM = ("Content-Type", "application/x-www-form-urlencoded")
JSON = ("Content-Type", "application/json")
SENT, DELIVERED, FAILED = "sent", "delivered", "failed"
NUMBER = re.compile(r"(?:\+|00)?([1-9]\d{4,14})")


@dataclass(frozen=True, slots=True)
class Account:
    """Who may send: user (or account sid) and password, key or token. A None accepts anyone.

    ``callback_secret`` signs callbacks where that is not the password (GatewayAPI).
    """

    user: str | None = None
    password: str | None = None
    callback_secret: str = ""

    def admits(self, user: str, password: str) -> bool:
        """Whether these are its credentials."""
        return self.user in (None, user) and self.password in (None, password)


@dataclass(slots=True)
class Sms:
    """One message a gateway took: ``to`` in E.164, ``text`` as the phone shows it."""

    id: str
    to: str
    text: str
    ucs2: bool
    sender: str = ""
    callback: str = ""
    reference: str = ""
    more: dict[str, Any] = field(default_factory=dict)

    @property
    def parts(self) -> int:
        """How many SMS it takes on the air."""
        return sms_parts(self.text, ucs2=self.ucs2)


def e164(number: object) -> str | None:
    """``number`` as ``+46…``, None when it is no international number."""
    match = NUMBER.fullmatch(str(number).strip())
    return f"+{match[1]}" if match else None


class Dialect(Protocol):
    """One gateway's way of speaking."""

    name: str

    def speaks(self, path: str) -> bool:
        """Whether a request to ``path`` is meant for it."""

    def read(self, request: Request, account: Account) -> list[Sms] | Reply:
        """The messages in a request, or the refusal it gets."""

    def accept(self, messages: list[Sms]) -> Reply:
        """The answer when they are taken."""

    def refuse_number(self, number: str) -> Reply:
        """The answer to a number that cannot be sent to."""

    def report(self, sms: Sms, state: str, account: Account) -> Call | None:
        """The delivery report of one state (sent, delivered, failed), None when it has none."""
