"""Kannel's sendsms, from its User's Guide 1.4.5.

Chapters "Using the HTTP interface to send SMS messages" and "Delivery Reports". Refusals are those
the smsbox writes.
"""

from __future__ import annotations

import re
import uuid
from datetime import UTC, datetime
from urllib.parse import parse_qsl, quote

from broadcaster.testing.servers.counting import to_gsm
from broadcaster.testing.servers.courier import Call
from broadcaster.testing.servers.dialects.spoken import DELIVERED, FAILED, SENT, Account, Sms, e164
from broadcaster.testing.servers.exchange import Reply, Request, text_reply


class Kannel:
    """sendsms of a Kannel smsbox. 202 means queued; it names no id, so ours goes in ``dlr-url``."""

    name = "kannel"

    def speaks(self, path: str) -> bool:
        return path == "/cgi-bin/sendsms"

    def read(self, request: Request, account: Account) -> list[Sms] | Reply:
        # Latin-1 keeps the bytes: what they mean is said by charset, which stands among them.
        raw = dict(parse_qsl(request.query, keep_blank_values=True, encoding="latin-1"))
        if request.method == "POST":
            body = request.body.decode("latin-1")
            raw |= dict(parse_qsl(body, keep_blank_values=True, encoding="latin-1"))
        user = raw.get("username", raw.get("user", ""))
        if not account.admits(user, raw.get("password", raw.get("pass", ""))):
            return text_reply("Authorization failed for sendsms", 403)
        if "to" not in raw:
            return text_reply("Missing receiver number, rejected", 400)
        text, ucs2 = self._text(raw)
        numbers = [e164(number) for number in raw["to"].split()]
        if not numbers or None in numbers:
            return self.refuse_number(raw["to"])
        if not raw.get("from"):
            return text_reply("Sender missing and no global set, rejected", 400)
        return [
            Sms(
                id=str(uuid.uuid4()),
                to=number or "",
                text=text,
                ucs2=ucs2,
                sender=raw["from"],
                callback=raw.get("dlr-url", ""),
                more={"validity": raw.get("validity", ""), "mask": int(raw.get("dlr-mask") or 0)},
            )
            for number in numbers
        ]

    def _text(self, raw: dict[str, str]) -> tuple[str, bool]:
        ucs2 = raw.get("coding") == "2"
        charset = raw.get("charset") or ("UTF-16BE" if ucs2 else "UTF-8")
        text = raw.get("text", "").encode("latin-1").decode(charset, "replace")
        return (text if ucs2 else to_gsm(text)), ucs2

    def accept(self, messages: list[Sms]) -> Reply:
        return text_reply("0: Accepted for delivery", 202)

    def refuse_number(self, number: str) -> Reply:
        return text_reply("Garbage 'to' field, rejected.", 400)

    def report(self, sms: Sms, state: str, account: Account) -> Call | None:
        bit = {DELIVERED: 1, FAILED: 2, SENT: 8}[state]
        if not sms.more["mask"] & bit:
            return None
        now = datetime.now(UTC)
        escapes = {
            "d": str(bit),
            "p": sms.to,
            "P": sms.sender,
            "I": sms.id,
            "F": sms.id,
            "t": now.strftime("%Y-%m-%d %H:%M"),
            "T": str(int(now.timestamp())),
            "A": "ACK/" if bit == 8 else "",
            "%": "%",
        }
        url = re.sub(
            "%([A-Za-z%])",
            lambda found: quote(escapes.get(found[1], found[0]), safe="%"),
            sms.callback,
        )
        return Call(url, "GET")
