"""46elks, from its public documents (46elks.se/docs: "Send an SMS", "SMS Delivery Reports", "Account").

The sentences of its refusals are not in the documents.
"""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from urllib.parse import urlencode

from broadcaster.testing.servers.counting import is_gsm
from broadcaster.testing.servers.courier import Call
from broadcaster.testing.servers.dialects.spoken import DELIVERED, FORM, SENT, Account, Sms, e164
from broadcaster.testing.servers.exchange import Reply, Request, json_reply, text_reply

_ME = "/a1/me"
_LEFT = 10_000_000  # in 1/10000 of the account's currency


class FortySixElks:
    """46elks. Reports have no signature; an own id goes into the callback's query string."""

    name = "46elks"

    def speaks(self, path: str) -> bool:
        return path.lower() in {"/a1/sms", _ME}

    def read(self, request: Request, account: Account) -> list[Sms] | Reply:
        given = request.basic()
        if given is None or not account.admits(*given):
            return text_reply("API access requires Basic HTTP authentication.", 401)
        if request.path.lower() == _ME:
            return json_reply({"balance": _LEFT, "currency": "SEK", "displayname": "Ekbyn"})
        fields = request.form()
        for key in ("from", "to", "message"):
            if not fields.get(key):
                return text_reply(f"Missing key {key}", 400)
        number = e164(fields["to"])
        if number is None or not fields["to"].startswith("+"):
            return self.refuse_number(fields["to"])
        return [
            Sms(
                id="s" + uuid.uuid4().hex,
                to=number,
                text=fields["message"],
                ucs2=not is_gsm(fields["message"]),
                sender=fields["from"],
                callback=fields.get("whendelivered", ""),
            )
        ]

    def accept(self, messages: list[Sms]) -> Reply:
        sms = messages[0]
        return json_reply(
            {
                "id": sms.id,
                "status": "created",
                "from": sms.sender,
                "to": sms.to,
                "message": sms.text,
                "direction": "outgoing",
                "created": datetime.now(UTC).isoformat(timespec="microseconds"),
                "parts": sms.parts,
                "cost": 5200 * sms.parts,  # in 1/10000 of the account's currency
            }
        )

    def refuse_number(self, number: str) -> Reply:
        return text_reply(f"Invalid to number: {number}", 400)

    def report(self, sms: Sms, state: str, account: Account) -> Call | None:
        if state == SENT:
            return None
        fields = {"id": sms.id, "status": state}
        if state == DELIVERED:
            fields["delivered"] = datetime.now(UTC).isoformat(timespec="microseconds")
        return Call(sms.callback, "POST", urlencode(fields).encode(), (FORM,))
