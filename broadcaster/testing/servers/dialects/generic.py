"""A plain gateway such as the generic preset describes: JSON or a form, an id in the answer."""

from __future__ import annotations

import json
import uuid

from broadcaster.testing.servers.counting import is_gsm
from broadcaster.testing.servers.courier import Call
from broadcaster.testing.servers.dialects.spoken import JSON, Account, Sms, e164
from broadcaster.testing.servers.exchange import Reply, Request, json_reply


class Generic:
    """Any JSON or form gateway: ``to``, ``text``, optional ``ref``, ``from``, ``callback``."""

    name = "generic"

    def speaks(self, path: str) -> bool:
        return path in ("/send", "/sms", "/messages")

    def read(self, request: Request, account: Account) -> list[Sms] | Reply:
        given = request.basic() or ("", request.bearer() or request.headers.get("x-api-key", ""))
        if not account.admits(*given):
            return json_reply({"error": "unauthorized"}, 401)
        try:
            fields = request.fields() if request.method == "POST" else dict(request.parameters)
        except ValueError:
            return json_reply({"error": "invalid JSON"}, 400)
        text, number = fields.get("text"), e164(fields.get("to"))
        if not isinstance(text, str) or not text:
            return json_reply({"error": "text is missing"}, 422)
        if number is None:
            return self.refuse_number(str(fields.get("to")))
        return [
            Sms(
                id="m" + uuid.uuid4().hex,
                to=number,
                text=text,
                ucs2=not is_gsm(text),
                sender=str(fields.get("from") or ""),
                callback=str(fields.get("callback") or ""),
                reference=str(fields.get("ref") or ""),
            )
        ]

    def accept(self, messages: list[Sms]) -> Reply:
        return json_reply({"id": messages[0].id, "parts": messages[0].parts}, 202)

    def refuse_number(self, number: str) -> Reply:
        return json_reply({"error": "invalid number", "to": number}, 422)

    def report(self, sms: Sms, state: str, account: Account) -> Call | None:
        content = {"id": sms.id, "ref": sms.reference, "to": sms.to, "status": state}
        return Call(sms.callback, "POST", json.dumps(content).encode(), (JSON,))
