"""GatewayAPI, from its public documents (gatewayapi.com/docs/apis/rest).

The shape of its errors is documented; their numeric codes, but for a few, are not.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import uuid
from datetime import UTC, datetime
from typing import Any

from broadcaster.testing.servers.counting import to_gsm
from broadcaster.testing.servers.courier import Call
from broadcaster.testing.servers.dialects.spoken import (
    DELIVERED,
    FAILED,
    JSON,
    SENT,
    Account,
    Sms,
    e164,
)
from broadcaster.testing.servers.exchange import Reply, Request, json_reply


class GatewayApi:
    """GatewayAPI's REST: many recipients a call; callbacks carry a JWT (HS256) of the report."""

    name = "gatewayapi"

    def __init__(self) -> None:
        self._last = 1_000_000

    def speaks(self, path: str) -> bool:
        return path == "/rest/mtsms"

    def read(self, request: Request, account: Account) -> list[Sms] | Reply:
        given = request.basic()
        token = request.bearer() or (given[0] if given else request.parameters.get("token", ""))
        if not token or account.password not in (None, token):
            return _gateway_error(401, "0x0204", "Invalid API token")
        try:
            content = request.json()
        except ValueError:
            return _gateway_error(422, "0x0203", "Invalid JSON in the request body")
        rows = content if isinstance(content, list) else [content]
        messages: list[Sms] = []
        for row in rows:
            read = self._one(row)
            if isinstance(read, Reply):
                return read
            messages += read
        return messages

    def _one(self, row: dict[str, Any]) -> list[Sms] | Reply:
        text, recipients = row.get("message"), row.get("recipients")
        if not text or not recipients:
            return _gateway_error(400, "0x0101", "message and recipients are required")
        if len(recipients) > 10_000:
            return _gateway_error(400, "0x0102", "More than 10000 recipients")
        ucs2 = row.get("encoding") == "UCS2"
        messages = []
        for recipient in recipients:
            number = e164(recipient.get("msisdn"))
            if number is None:
                return self.refuse_number(str(recipient.get("msisdn")))
            own = _fill_tags(text, row.get("tags") or [], recipient.get("tagvalues") or [])
            self._last += 1
            messages.append(
                Sms(
                    id=str(self._last),
                    to=number,
                    text=own if ucs2 else to_gsm(own),
                    ucs2=ucs2,
                    sender=str(row.get("sender") or ""),
                    callback=row.get("callback_url") or "",
                    reference=row.get("userref") or "",
                    more={"validity": row.get("validity_period", "")},
                )
            )
        return messages

    def accept(self, messages: list[Sms]) -> Reply:
        parts = sum(sms.parts for sms in messages)
        usage = {
            "countries": {"SE": parts},
            "currency": "EUR",
            "total_cost": round(parts * 0.05, 2),
        }
        return json_reply({"ids": [int(sms.id) for sms in messages], "usage": usage})

    def refuse_number(self, number: str) -> Reply:
        return _gateway_error(400, "0x0104", "Invalid MSISDN: %1", number)

    def report(self, sms: Sms, state: str, account: Account) -> Call | None:
        word = {SENT: "ENROUTE", DELIVERED: "DELIVERED", FAILED: "UNDELIVERABLE"}[state]
        content = {
            "id": int(sms.id),
            "msisdn": int(sms.to[1:]),
            "time": int(datetime.now(UTC).timestamp()),
            "status": word,
            "userref": sms.reference or None,
            "country_code": "SE",
            "country_prefix": 46,
        }
        signed = ("X-Gwapi-Signature", jwt(account.callback_secret, content))
        return Call(sms.callback, "POST", json.dumps(content).encode(), (JSON, signed))


def jwt(secret: str, claims: dict[str, Any]) -> str:
    """A JSON Web Token signed with HMAC-SHA256 (RFC 7515, RFC 7519)."""
    head = _base64url(b'{"typ":"JWT","alg":"HS256"}')
    signed = f"{head}.{_base64url(json.dumps(claims, separators=(',', ':')).encode())}"
    digest = hmac.digest(secret.encode(), signed.encode(), hashlib.sha256)
    return f"{signed}.{_base64url(digest)}"


def _base64url(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def _fill_tags(text: str, tags: list[str], values: list[str]) -> str:
    for tag, value in zip(tags, values, strict=False):
        text = text.replace(tag, str(value))
    return text


def _gateway_error(status: int, code: str, message: str, *variables: str) -> Reply:
    body = {
        "code": code,
        "incident_uuid": str(uuid.uuid4()),
        "message": message,
        "variables": list(variables),
    }
    return json_reply(body, status)
