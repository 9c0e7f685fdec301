"""Kannel's sendsms, from its User's Guide 1.4.5.

Chapters "Using the HTTP interface to send SMS messages" and "Delivery Reports". Refusals and filled
callbacks were compared with a running Kannel 1.4.5: it takes no posted form, passes on a number it
cannot judge, and cuts a text at ``max-messages`` while still answering 202.
"""

from __future__ import annotations

import re
import uuid
from datetime import UTC, datetime
from urllib.parse import parse_qsl, quote_plus

from broadcaster.testing.servers.counting import to_gsm
from broadcaster.testing.servers.courier import Call
from broadcaster.testing.servers.dialects.spoken import DELIVERED, FAILED, SENT, Account, Sms, e164
from broadcaster.testing.servers.exchange import Reply, Request, text_reply

_DENIED = "Number(s) has/have been denied by white- and/or black-lists."
_NUMBERS = re.compile(r"[0-9 +-]+")


class Kannel:
    """sendsms of a Kannel smsbox. 202 means queued; it names no id, so ours goes in ``dlr-url``."""

    name = "kannel"

    def speaks(self, path: str) -> bool:
        return path == "/cgi-bin/sendsms"

    def read(self, request: Request, account: Account) -> list[Sms] | Reply:
        if request.method != "GET":
            return text_reply("Invalid content-type", 400)
        # Latin-1 keeps the bytes: what they mean is said by charset, which stands among them.
        raw = dict(parse_qsl(request.query, keep_blank_values=True, encoding="latin-1"))
        user = raw.get("username", raw.get("user", ""))
        if not account.admits(user, raw.get("password", raw.get("pass", ""))):
            return text_reply("Authorization failed for sendsms", 403)
        refusal = self._refuse(raw)
        if refusal:
            return text_reply(refusal, 400)
        try:
            text, ucs2 = self._text(raw)
        except (LookupError, UnicodeDecodeError):
            return text_reply("Charset or body misformed, rejected", 400)
        mask = raw.get("dlr-mask", "")
        return [
            Sms(
                id=str(uuid.uuid4()),
                to=e164(number) or number,
                text=text,
                ucs2=ucs2,
                sender=raw["from"],
                callback=raw.get("dlr-url", ""),
                more={
                    "validity": raw.get("validity", ""),
                    "mask": int(mask) if mask.isdigit() else 0,
                },
            )
            for number in raw["to"].split()
        ]

    def _refuse(self, raw: dict[str, str]) -> str | None:
        """The first thing wrong with the fields, in smsbox's words and order."""
        checks = {
            "Missing receiver number, rejected": "to" not in raw,
            "Empty receiver number not allowed, rejected": not raw.get("to", "").strip(),
            _DENIED: not _NUMBERS.fullmatch(raw.get("to", "")),
            "DLR-URL field misformed, rejected": raw.get("dlr-url")
            and not raw["dlr-url"].startswith(("http://", "https://")),
            "Coding field misformed, rejected": raw.get("coding") not in (None, "0", "1", "2"),
            "Sender missing and no global set, rejected": not raw.get("from"),
        }
        return next((sentence for sentence, wrong in checks.items() if wrong), None)

    def _text(self, raw: dict[str, str]) -> tuple[str, bool]:
        ucs2 = raw.get("coding") == "2"
        charset = raw.get("charset") or ("UTF-16BE" if ucs2 else "UTF-8")
        text = raw.get("text", "").encode("latin-1").decode(charset)
        return (text if ucs2 else to_gsm(text)), ucs2

    def accept(self, messages: list[Sms]) -> Reply:
        return text_reply("0: Accepted for delivery", 202)

    def refuse_number(self, number: str) -> Reply:
        return text_reply(_DENIED, 400)

    def report(self, sms: Sms, state: str, account: Account) -> Call | None:
        bit = {DELIVERED: 1, FAILED: 2, SENT: 8}[state]
        if not sms.more["mask"] & bit:
            return None
        now = datetime.now(UTC)
        escapes = {
            "d": str(bit),
            "p": sms.to,
            "P": sms.sender,
            "I": str(uuid.uuid4()),
            "F": "" if bit == 8 else sms.id,
            "t": now.strftime("%Y-%m-%d %H:%M:%S"),
            "T": str(int(now.timestamp())),
            "A": "ACK/" if bit == 8 else "",
            "%": "%",
        }
        url = re.sub(
            "%([A-Za-z%])",
            lambda found: quote_plus(escapes.get(found[1], found[0]), safe=":%"),
            sms.callback,
        )
        return Call(url, "GET")
