"""Twilio, from its public documents.

twilio.com/docs: "Messages resource", "Track outbound message status", "Validating signatures",
"Error and warning dictionary" (20003, 21211, 21602, 21603, 21604, 21617, 30003).
"""

from __future__ import annotations

import base64
import hmac
import re
import uuid
from datetime import UTC, datetime
from email.utils import format_datetime
from urllib.parse import urlencode

from broadcaster.testing.servers.counting import is_gsm
from broadcaster.testing.servers.courier import Call
from broadcaster.testing.servers.dialects.spoken import (
    DELIVERED,
    FAILED,
    FORM,
    SENT,
    Account,
    Sms,
    e164,
)
from broadcaster.testing.servers.exchange import Reply, Request, json_reply


class Twilio:
    """Twilio's Messages resource; callbacks carry a true ``X-Twilio-Signature``."""

    name = "twilio"
    _path = re.compile(r"/2010-04-01/Accounts/([^/]+)/Messages\.json")

    def speaks(self, path: str) -> bool:
        return self._path.fullmatch(path) is not None

    def read(self, request: Request, account: Account) -> list[Sms] | Reply:
        given = request.basic()
        if given is None or not account.admits(*given):
            return _twilio_error(401, 20003, "Authenticate")
        fields = request.form()
        body = fields.get("Body", "")
        refusal = self._refuse(fields, body)
        if refusal is not None:
            return refusal
        return [
            Sms(
                id="SM" + uuid.uuid4().hex,
                to=e164(fields["To"]) or "",
                text=body,
                ucs2=not is_gsm(body),
                sender=fields.get("From", ""),
                callback=fields.get("StatusCallback", ""),
                more={
                    "account": given[0],
                    "token": given[1],
                    "validity": fields.get("ValidityPeriod", ""),
                },
            )
        ]

    def _refuse(self, fields: dict[str, str], body: str) -> Reply | None:
        if not fields.get("To"):
            return _twilio_error(400, 21604, "A 'To' phone number is required.")
        if e164(fields["To"]) is None:
            return self.refuse_number(fields["To"])
        if not fields.get("From") and not fields.get("MessagingServiceSid"):
            return _twilio_error(400, 21603, "A 'From' phone number is required.")
        if not body:
            return _twilio_error(400, 21602, "Message body is required.")
        if len(body) > 1600:
            sentence = "The concatenated message body exceeds the 1600 character limit."
            return _twilio_error(400, 21617, sentence)
        return None

    def accept(self, messages: list[Sms]) -> Reply:
        sms = messages[0]
        account = sms.more["account"]
        now = format_datetime(datetime.now(UTC))
        return json_reply(
            {
                "sid": sms.id,
                "account_sid": account,
                "api_version": "2010-04-01",
                "body": sms.text,
                "date_created": now,
                "date_updated": now,
                "date_sent": None,
                "direction": "outbound-api",
                "error_code": None,
                "error_message": None,
                "from": sms.sender,
                "messaging_service_sid": None,
                "num_media": "0",
                "num_segments": str(sms.parts),
                "price": None,
                "price_unit": "USD",
                "status": "queued",
                "to": sms.to,
                "uri": f"/2010-04-01/Accounts/{account}/Messages/{sms.id}.json",
            },
            201,
        )

    def refuse_number(self, number: str) -> Reply:
        return _twilio_error(400, 21211, f"The 'To' number {number} is not a valid phone number.")

    def report(self, sms: Sms, state: str, account: Account) -> Call | None:
        word = {SENT: "sent", DELIVERED: "delivered", FAILED: "undelivered"}[state]
        fields = {
            "AccountSid": sms.more["account"],
            "ApiVersion": "2010-04-01",
            "From": sms.sender,
            "MessageSid": sms.id,
            "MessageStatus": word,
            "SmsSid": sms.id,
            "SmsStatus": word,
            "To": sms.to,
        }
        if state == FAILED:
            fields["ErrorCode"] = "30003"
        signed = twilio_signature(sms.more["token"], sms.callback, fields)
        headers = (FORM, ("X-Twilio-Signature", signed))
        return Call(sms.callback, "POST", urlencode(fields).encode(), headers)


def twilio_signature(token: str, url: str, fields: dict[str, str]) -> str:
    """Base64 of HMAC-SHA1, keyed by the auth token, over the URL and the sorted form fields."""
    signed = url + "".join(name + fields[name] for name in sorted(fields))
    return base64.b64encode(hmac.digest(token.encode(), signed.encode(), "sha1")).decode()


def _twilio_error(status: int, code: int, message: str) -> Reply:
    more = f"https://www.twilio.com/docs/errors/{code}"
    body = {"code": code, "message": message, "more_info": more, "status": status}
    return json_reply(body, status)
