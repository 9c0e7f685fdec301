"""Where a browser is reached: what its `PushSubscription` says, checked, as the text that is kept as its address."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric import ec

from broadcaster.httpclient import parse_json
from channels.webpush.base64url import decoded, encoded

_LONGEST = 2048
_LONGEST_ENDPOINT = 1024
_POINT, _AUTH = 65, 16


@dataclass(frozen=True, slots=True)
class Browser:
    """One subscription: where to post, and with what to seal. `ours` names the key of ours that it was made with."""

    endpoint: str = field(repr=False)
    reader: bytes = field(repr=False)
    auth: bytes = field(repr=False)
    ours: str

    @property
    def origin(self) -> str:
        """The push service, "https://push.example"."""
        parts = urlsplit(self.endpoint)
        return f"{parts.scheme}://{parts.netloc}"

    def require(self, ours: str) -> None:
        """Raise ValueError when it was made with another key: its service would refuse us."""
        if self.ours != ours:
            raise ValueError("was made with another key of ours: its owner subscribes anew")

    def written(self) -> str:
        """As it is kept: the same for the same browser, however it was written before."""
        kept = {
            "auth": encoded(self.auth),
            "endpoint": self.endpoint,
            "key": self.ours,
            "p256dh": encoded(self.reader),
        }
        return json.dumps(kept, separators=(",", ":"))


def named(public: str) -> str:
    """What a key of ours is called in what is kept."""
    return public[-12:]


def read(raw: str, services: Collection[str], ours: str) -> Browser:
    """Read what a browser gives (`PushSubscription.toJSON()`), or what `Browser.written` made of it.

    `ours` is the name of our key now, for what does not say with which it was made.

    Raises:
        ValueError: it is not one, or of a push service that is not configured.
    """
    if len(raw) > _LONGEST:
        raise ValueError("is too long for a browser's subscription")
    try:
        found = parse_json(raw.encode("utf-8", "replace"))
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise ValueError("is not what a browser gives when it subscribes")  # noqa: TRY004 - bad text, no wrong type
    keys = found["keys"] if isinstance(found.get("keys"), dict) else found
    endpoint, key = _text(found, "endpoint"), _text(found, "key") or ours
    if not is_listed(endpoint, services):
        raise ValueError("is of a push service that is not under services in the configuration")
    try:
        reader = _of_length(_text(keys, "p256dh"), _POINT)
        auth = _of_length(_text(keys, "auth"), _AUTH)
        ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), reader)
    except ValueError:
        raise ValueError("holds no keys that a notification can be sealed with") from None
    return Browser(endpoint, reader, auth, key[:12])


def _of_length(text: str, length: int) -> bytes:
    raw = decoded(text)
    if len(raw) != length:
        raise ValueError("has another length")
    return raw


def _text(found: dict[str, Any], name: str) -> str:
    value = found.get(name)
    return value if isinstance(value, str) else ""


def is_listed(endpoint: str, services: Collection[str]) -> bool:
    """Whether an endpoint, which a stranger chose, is at one of these hosts; plain http only where it is this machine."""
    try:
        parts = urlsplit(endpoint)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return False
    clean = endpoint.isascii() and endpoint.isprintable() and not set(endpoint) & set(' <>"\\^`{|}')
    if not clean or len(endpoint) > _LONGEST_ENDPOINT or "@" in parts.netloc or parts.fragment:
        return False
    if parts.scheme != "https" and not (parts.scheme == "http" and host in {"127.0.0.1", "::1"}):
        return False
    bare = f"[{host}]" if ":" in host else host
    place = bare if port in (None, 443) else f"{bare}:{port}"
    return any(
        place == service or (service.startswith("*.") and place.endswith(service[1:]))
        for service in services
    )
