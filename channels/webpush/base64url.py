"""Base64url without padding (RFC 7515 §2), as every part of web push writes bytes."""

from __future__ import annotations

import base64
import re

_TEXT = re.compile(r"[A-Za-z0-9_-]*={0,2}")


def encoded(raw: bytes) -> str:
    """Bytes as text."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def decoded(text: str) -> bytes:
    """Text as bytes; some browsers put padding behind it. Raises ValueError."""
    if not _TEXT.fullmatch(text):
        raise ValueError("is not base64url")
    bare = text.rstrip("=")
    return base64.urlsafe_b64decode(bare + "=" * (-len(bare) % 4))
