"""The addresses that gateways report to, and what proves that a report comes from the gateway that was asked.

Each letter has an address of its own: it names the supplier and the letter's key and carries a keyed BLAKE2b (RFC 7693)
over both, keyed by a secret that only we and the supplier have. Who does not know the address cannot make one up.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from typing import Any
from urllib.parse import parse_qsl, quote_plus

from broadcaster.channel import InboundRequest, RefusedRequest
from broadcaster.httpclient import parse_json

_PLAIN = re.compile(r"[A-Za-z0-9._-]+")


class Callbacks:
    """The report addresses of one supplier; without an inbound address or a secret there are none."""

    def __init__(
        self, inbound_url: str, channel: str, supplier: str, secrets: tuple[str, ...]
    ) -> None:
        self.wanted = bool(inbound_url and secrets)
        self.inbound_url = inbound_url
        self.begin = f"{inbound_url}?s={supplier}&k="
        secret = hashlib.sha256("\0".join((*secrets, channel, supplier)).encode()).digest()
        self._keyed = hashlib.blake2b(key=secret, digest_size=16)
        self._quoted = quote_plus(self.begin)

    def url(self, key: str) -> str:
        """The address for reports about the letter `key`; "" when none are wanted."""
        spelled = _spell(key)
        return f"{self.begin}{spelled}&t={self._token(spelled)}" if self.wanted else ""

    def quoted(self, key: str) -> str:
        """The same as a form's value; the parts that vary need no quoting."""
        spelled = _spell(key)
        return f"{self._quoted}{spelled}%26t%3D{self._token(spelled)}" if self.wanted else ""

    def key(self, request: InboundRequest) -> str:
        """The key of the letter that a request is about.

        Raises:
            RefusedRequest: the address is not one of ours.
        """
        query = dict(parse_qsl(request.query))
        spelled = query.get("k", "")
        expected = self._token(spelled).encode()
        if not self.wanted or not hmac.compare_digest(expected, query.get("t", "").encode()):
            raise RefusedRequest("This is not an address that we gave to a gateway.")
        return _read(spelled)

    def _token(self, spelled: str) -> str:
        token = self._keyed.copy()
        token.update(spelled.encode())
        return token.hexdigest()


def _spell(key: str) -> str:
    """Write a key without any sign that an address has to quote: Kannel reads % as an escape of its own."""
    if _PLAIN.fullmatch(key):
        return key
    return "~" + base64.urlsafe_b64encode(key.encode()).decode().rstrip("=")


def _read(spelled: str) -> str:
    if not spelled.startswith("~"):
        return spelled
    encoded = spelled[1:]
    return base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode()


def fields(request: InboundRequest) -> dict[str, Any]:
    """What a report says: its query and its body, a form or a JSON object, as names and values.

    Raises:
        ValueError: the body is neither.
    """
    found: dict[str, Any] = dict(parse_qsl(request.query, keep_blank_values=True))
    if "json" in request.headers.get("content-type", ""):
        content = parse_json(request.body)
        if not isinstance(content, dict):
            raise ValueError("The delivery report is JSON, but no object.")
        return found | content
    return found | form(request)


def form(request: InboundRequest) -> dict[str, str]:
    """The body as a form."""
    return dict(parse_qsl(request.body.decode("utf-8", "replace"), keep_blank_values=True))


def twilio_signed(secret: str, url: str, request: InboundRequest) -> bool:
    """Check X-Twilio-Signature: HMAC-SHA1 over the address as given and the sorted form (Twilio, "Security")."""
    posted = form(request)
    text = url + "".join(name + posted[name] for name in sorted(posted))
    expected = base64.b64encode(hmac.digest(secret.encode(), text.encode(), hashlib.sha1))
    return hmac.compare_digest(expected, request.headers.get("x-twilio-signature", "").encode())


def gatewayapi_signed(secret: str, request: InboundRequest) -> bool:
    """Check X-Gwapi-Signature: a JSON Web Token (RFC 7519, HS256) whose claims are the report itself."""
    try:
        head, claims, signature = request.headers.get("x-gwapi-signature", "").split(".")
        same = json.loads(_unpack(claims)) == json.loads(request.body)
        given = _unpack(signature)
    except (ValueError, RecursionError):
        return False
    # Which algorithm it is, is ours to say: what the token's head says of it is not read.
    expected = hmac.digest(secret.encode(), f"{head}.{claims}".encode(), "sha256")
    return same and hmac.compare_digest(expected, given)


def _unpack(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
