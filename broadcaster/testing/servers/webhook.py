"""A receiver of signed webhooks, by the Standard Webhooks specification (standardwebhooks.com).

Headers ``webhook-id``, ``webhook-timestamp`` (epoch seconds) and ``webhook-signature`` (``v1,`` and
base64 of HMAC-SHA256 over ``id.timestamp.body``; several, parted by spaces). Secrets are ``whsec_``
and base64 of 24 to 64 bytes.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections import Counter
from datetime import timedelta
from typing import Any

from broadcaster.testing.servers.exchange import Reply, Request, json_reply
from broadcaster.testing.servers.farend import FarEnd

TOLERANCE = timedelta(minutes=5)
WEBHOOK_SECRET = "whsec_" + base64.b64encode(b"a stand-in has no secrets").decode()


def signature(secret: str, message_id: str, timestamp: str, body: bytes) -> str:
    """The ``v1,…`` signature of one message. Raises ValueError for a secret that is none."""
    key = _key(secret)
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()


def _key(secret: str) -> bytes:
    try:
        return base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except binascii.Error as error:
        raise ValueError("a webhook secret is whsec_ and base64") from error


class WebhookReceiver(FarEnd):
    """Verifies, then keeps the ids seen, as a careful receiver does.

    Effects: ``webhook`` for an id seen the first time, ``repeat`` for the same id again (answered
    200, not acted on). What does not verify is answered 401 and kept in ``refused`` as a sentence.
    """

    name = "webhook"

    def __init__(
        self, *, secret: str = WEBHOOK_SECRET, tolerance: timedelta = TOLERANCE, **rest: Any
    ) -> None:
        super().__init__(**rest)
        self.tolerance = tolerance
        self.secret = secret
        _key(secret)
        self.seen: Counter[str] = Counter()
        self.refused: list[str] = []

    def answer(self, request: Request) -> Reply:
        """Verify, count the id, answer 200."""
        if request.method != "POST":
            return json_reply({"error": "POST only"}, 405)
        wrong = self._wrong(request)
        if wrong is not None:
            self.refused.append(wrong)
            return json_reply({"error": wrong}, 401)
        message_id = request.headers["webhook-id"]
        self.seen[message_id] += 1
        text = request.body.decode("utf-8", "replace")
        kind = "webhook" if self.seen[message_id] == 1 else "repeat"
        self.effect(
            kind, message_id, text, request.path, timestamp=request.headers["webhook-timestamp"]
        )
        return json_reply({"ok": True})

    def _wrong(self, request: Request) -> str | None:
        """Why the request is not believed, None when it is."""
        given = [request.headers.get(f"webhook-{x}", "") for x in ("id", "timestamp", "signature")]
        message_id, timestamp, signatures = given
        if not all(given):
            return "a webhook-id, webhook-timestamp or webhook-signature header is missing"
        if not timestamp.isascii() or not timestamp.isdigit():
            return "the timestamp is not in epoch seconds"
        if abs(self.clock().timestamp() - int(timestamp)) > self.tolerance.total_seconds():
            return "the timestamp is more than five minutes off"
        right = signature(self.secret, message_id, timestamp, request.body)
        if not any(hmac.compare_digest(right.encode(), s.encode()) for s in signatures.split(" ")):
            return "no signature matches"
        return None
