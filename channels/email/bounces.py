"""Letters that came back: the report of a mail server (RFC 3464), as the mail host hands it on, read for whose it is.

Whose letter it was is said by its return address, which was made for it alone (VERP); where that is lost, by the
Message-ID of the letter that the report holds. Both bear a mark that nobody else can make.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from email import message_from_bytes, message_from_string
from email.message import Message

from broadcaster.channel import Report
from channels.email.answers import NO_SUCH_ADDRESS
from channels.email.marks import Marks

_TO = ("To", "Delivered-To", "X-Original-To", "Envelope-To", "X-Delivered-To")
_STATUS_PARTS = ("message/delivery-status", "message/global-delivery-status")
_LETTER_PARTS = (
    "message/rfc822",
    "text/rfc822-headers",
    "message/global",
    "message/global-headers",
)
_STATUS = re.compile(r"\s*([245])\.(\d{1,3})\.(\d{1,3})")
_OUTCOMES = {"failed": "failed", "delivered": "confirmed"}
_RANK = ("failed", "confirmed", "pending")
_WHY = {
    "1": "The address does not exist.",
    "2.1": "The mailbox is closed.",
    "2.2": "The mailbox is full.",
    "2": "The mailbox takes no letter.",
    "3": "The mail server of the address does not take the letter.",
    "4": "The mail server of the address was not reached in time.",
    "7": "The mail server of the address refuses letters of this kind.",
}
"""By the second and third number of the status (RFC 3463 §3), or the second alone."""
_NO_WHY = "The letter came back undelivered."


class Bounces:
    """Reads the reports on letters of one channel. `template` is the return address as configured."""

    def __init__(self, template: str, marks: Marks) -> None:
        self._marks = marks
        before, _, after = template.partition("{key}")
        shape = rf"{re.escape(before)}(?P<mark>[a-z0-9._-]+){re.escape(after)}"
        self._address = re.compile(shape, re.IGNORECASE) if "{key}" in template else None

    def read(self, raw: bytes) -> tuple[Report, ...]:
        """What one mail says about one letter of ours; nothing for what machines answer by themselves.

        Raises:
            ValueError: it says nothing that can be understood, or not about which letter.
        """
        mail = message_from_bytes(raw)
        blocks = list(_blocks(mail))
        if not blocks:
            if _answers_by_itself(mail):
                return ()  # "I am on holiday": the letter has arrived
            raise ValueError("This mail is no report of a mail server on a letter that came back.")
        key = self._key(mail)
        if key is None:
            raise ValueError("The report does not say which letter of this channel came back.")
        outcome, detail, gone = min(map(_said, blocks), key=lambda said: _RANK.index(said[0]))
        return (Report(key=key, outcome=outcome, detail=detail, gone=gone),)

    def _key(self, mail: Message) -> str | None:
        for mark in self._candidates(mail):
            key = self._marks.key(mark)
            if key is not None:
                return key
        return None

    def _candidates(self, mail: Message) -> Iterator[str]:
        """What may be a mark of ours, the surest place first."""
        if self._address is not None:
            for name in _TO:
                for line in mail.get_all(name, ()):
                    yield from (found["mark"] for found in self._address.finditer(str(line)))
        for part in mail.walk():
            if part.get_content_type() in _LETTER_PARTS:
                yield from _ids(part)


def _ids(part: Message) -> Iterator[str]:
    """The marks in the Message-IDs of a letter that was sent back, whole or its head."""
    payload = part.get_payload()
    inner = payload[0] if isinstance(payload, list) and payload else None
    if not isinstance(inner, Message):
        inner = message_from_string(str(payload))
    found = re.fullmatch(
        r"\s*<([^<>@]+)\.[0-9a-f]{16}@[^<>@]+>\s*", str(inner.get("Message-ID", ""))
    )
    if found:
        yield found[1]


def _blocks(mail: Message) -> Iterator[Message]:
    """What a report says about each address: the blocks that name an action (RFC 3464 §2.3)."""
    for part in mail.walk():
        if part.get_content_type() not in _STATUS_PARTS:
            continue
        payload = part.get_payload()
        if isinstance(payload, list):
            blocks = payload
        else:
            decoded = part.get_payload(decode=True)
            text = (
                decoded.decode("utf-8", "replace") if isinstance(decoded, bytes) else str(payload)
            )
            blocks = [message_from_string(block) for block in re.split(r"\r?\n\r?\n", text)]
        yield from (block for block in blocks if isinstance(block, Message) and block["Action"])
        return


def _said(block: Message) -> tuple[str, str, bool]:
    """The outcome, why, and whether there is no such address; a letter that is late is on its way still."""
    action = str(block["Action"]).split(";")[0].strip().lower()
    outcome = _OUTCOMES.get(action, "pending")
    if outcome != "failed":
        return outcome, "", False
    found = _STATUS.match(str(block["Status"] or ""))
    if found is None:
        return outcome, _NO_WHY, False
    both = f"{found[2]}.{found[3]}"
    gone = found[1] == "5" and both in NO_SUCH_ADDRESS
    return outcome, _WHY.get(both) or _WHY.get(found[2], _NO_WHY), gone


def _answers_by_itself(mail: Message) -> bool:
    said = str(mail.get("Auto-Submitted", "no")).split(";")[0].strip().lower()
    return said.startswith("auto-replied")
