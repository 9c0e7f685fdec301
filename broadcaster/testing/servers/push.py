"""A push service and the browsers behind it: it opens what it gets as a browser would (RFC 8291), and shows it."""

from __future__ import annotations

import base64
import json
import os
import re
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from broadcaster.testing.servers.exchange import Reply, Request, text_reply
from broadcaster.testing.servers.farend import FarEnd

_VAPID = re.compile(r"vapid t=([\w-]+)\.([\w-]+)\.([\w-]+), k=([\w-]{87})")


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _raw(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


class PushService(FarEnd):
    """``far.browser()`` is what a browser gives when it subscribes here; ``gone`` are those that left since."""

    name = "push"

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self.gone: set[str] = set()
        self.titles: list[str] = []
        self._browsers: dict[str, tuple[ec.EllipticCurvePrivateKey, bytes]] = {}

    def browser(self, name: str) -> str:
        """Subscribe a browser; returns its ``PushSubscription`` as JSON."""
        key, auth = self._browsers.setdefault(
            name, (ec.generate_private_key(ec.SECP256R1()), os.urandom(16))
        )
        keys = {"p256dh": _text(_point(key)), "auth": _text(auth)}
        return json.dumps({"endpoint": f"{self.url}/wpush/{name}", "keys": keys})

    def answer(self, request: Request) -> Reply:
        name = request.path.rpartition("/")[2]
        if name in self.gone or name not in self._browsers:
            return text_reply("push subscription has unsubscribed or expired.", 410)
        wrong = _wrong(request)
        if wrong:
            return text_reply(wrong, 400)
        told = json.loads(_opened(request.body, *self._browsers[name]))["notification"]
        self.titles.append(told["title"])
        self.effect("notification", request.headers["topic"], told["body"], to=name, **told)
        return Reply(201, b"", (("Location", f"{self.url}/m/{request.headers['topic']}"),))


def _wrong(request: Request) -> str:
    found = _VAPID.fullmatch(request.headers.get("authorization", ""))
    if found is None:
        return "no VAPID header"
    claims = json.loads(_raw(found[2]))
    if not claims["aud"].startswith("http://127.0.0.1:") or "sub" not in claims:
        return "wrong claims"
    if not request.headers.get("ttl", "").isdecimal():
        return "no TTL"
    if request.headers.get("content-encoding") != "aes128gcm":
        return "not sealed"
    return ""


def _opened(content: bytes, key: ec.EllipticCurvePrivateKey, auth: bytes) -> bytes:
    salt, length = content[:16], content[20]
    sender, box = content[21 : 21 + length], content[21 + length :]
    shared = key.exchange(
        ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), sender)
    )
    secret = _derived(shared, auth, b"WebPush: info\0" + _point(key) + sender, 32)
    box_key = _derived(secret, salt, b"Content-Encoding: aes128gcm\0", 16)
    nonce = _derived(secret, salt, b"Content-Encoding: nonce\0", 12)
    return AESGCM(box_key).decrypt(nonce, box, None).rstrip(b"\0").removesuffix(b"\x02")


def _derived(secret: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    return HKDF(algorithm=SHA256(), length=length, salt=salt, info=info).derive(secret)


def _point(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
