"""The addresses that gateways report to, and what proves that a report comes from the gateway that was asked.

Each letter has an address of its own: it names the supplier and the letter's key and carries a keyed BLAKE2b (RFC 7693)
over both, keyed by a secret that only we and the supplier have. Who does not know the address cannot make one up. One
that was made with a secret of before stays good for as long as that is configured. A report carries no time and no
number of its own that could be checked; one that is sent again changes nothing, since reports only add knowledge.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qsl, quote_plus

from broadcaster.channel import InboundRequest, RefusedRequest
from broadcaster.httpclient import parse_json

_PLAIN = re.compile(r"[A-Za-z0-9._-]+")


class Callbacks:
    """The report addresses of one supplier; without an inbound address or a secret there are none.

    `secrets`: addresses are made with the first and good with any.
    """

    def __init__(
        self, inbound_url: str, channel: str, supplier: str, secrets: tuple[str, ...]
    ) -> None:
        self.wanted = bool(inbound_url and secrets)
        self.inbound_url = inbound_url
        self.begin = f"{inbound_url}?s={supplier}&k="
        self._keyed = [_keyed(secret, channel, supplier) for secret in secrets]
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
        given = query.get("t", "").encode()
        good = [
            hmac.compare_digest(self._token(spelled, keyed).encode(), given)
            for keyed in self._keyed
        ]
        if not self.wanted or not any(good):
            raise RefusedRequest("This is not an address that we gave to a gateway.")
        return _read(spelled)

    def given(self, request: InboundRequest) -> str:
        """The address that a request came to, as it was given away; only for one whose key is good."""
        query = dict(parse_qsl(request.query))
        return f"{self.begin}{query['k']}&t={query['t']}"

    def _token(self, spelled: str, keyed: hashlib.blake2b | None = None) -> str:
        token = (keyed or self._keyed[0]).copy()
        token.update(spelled.encode())
        return token.hexdigest()


def _keyed(secret: str, channel: str, supplier: str) -> hashlib.blake2b:
    key = hashlib.sha256(f"{secret}\0{channel}\0{supplier}".encode()).digest()
    return hashlib.blake2b(key=key, digest_size=16)


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


def twilio_signed(secrets: Iterable[str], url: str, request: InboundRequest) -> bool:
    """Check X-Twilio-Signature: HMAC-SHA1 over the address as given and the sorted form (Twilio, "Security")."""
    posted = form(request)
    text = url + "".join(name + posted[name] for name in sorted(posted))
    given = request.headers.get("x-twilio-signature", "").encode()
    signatures = (hmac.digest(secret.encode(), text.encode(), hashlib.sha1) for secret in secrets)
    return any(hmac.compare_digest(base64.b64encode(each), given) for each in signatures)


def gatewayapi_signed(secrets: Iterable[str], request: InboundRequest) -> bool:
    """Check X-Gwapi-Signature: a JSON Web Token (RFC 7519, HS256) whose claims are the report itself."""
    try:
        head, claims, signature = request.headers.get("x-gwapi-signature", "").split(".")
        same = parse_json(_unpack(claims)) == parse_json(request.body)
        given = _unpack(signature)
    except ValueError:
        return False
    # Which algorithm it is, is ours to say: what the token's head says of it is not read.
    signed = f"{head}.{claims}".encode()
    signatures = (hmac.digest(secret.encode(), signed, "sha256") for secret in secrets)
    return same and any(hmac.compare_digest(each, given) for each in signatures)


def _unpack(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
