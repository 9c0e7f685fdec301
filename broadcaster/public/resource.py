"""What one public address answers with, ready in memory."""

import hashlib
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

Headers = tuple[tuple[str, str], ...]

_FIXED: Headers = (
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("permissions-policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
    ("vary", "Accept-Encoding"),
    ("server", "broadcaster"),
)


@dataclass(frozen=True, slots=True)
class Copy:
    """One encoding of one body; `etag` is strong and its own."""

    body: bytes
    etag: str
    encoding: str | None = None


@dataclass(frozen=True, slots=True)
class Face:
    """One body in all its encodings. `modified`: Unix seconds of its last change."""

    identity: Copy
    compressed: Mapping[str, Copy]
    policy: str
    modified: int


@dataclass(frozen=True, slots=True)
class Resource:
    """One address: its face, and the one it shows once `after` (Unix seconds) has passed.

    `links` is what stands in the header `Link`, "" for none.
    """

    entry: object
    media_type: str
    immutable: bool
    face: Face
    overdue: Face | None = None
    after: float = 0.0
    links: str = ""

    def at(self, now: float) -> Face:
        """Return what to show at `now` (Unix seconds)."""
        return self.overdue if self.overdue and now >= self.after else self.face


# In the first tag of what other sites may show. An operator's words stand further down, and their quotes are escaped.
_FRAMED = b' data-framed="anywhere"'
_FIRST_TAG = 400
_ANYWHERE = "frame-ancestors *"


def policy(body: bytes) -> str:
    """Return the Content-Security-Policy of a page: only its own `<style>` may style it, and no other site show it.

    Any site may show what says so in its first tag: the small pages and badges made for that.
    """
    hashes = [
        f"'sha256-{b64encode(hashlib.sha256(style).digest()).decode()}'"
        for style in dict.fromkeys(_styles(body))
    ]
    styles = " ".join(hashes) or "'none'"
    ancestors = _ANYWHERE if _FRAMED in body[:_FIRST_TAG] else "frame-ancestors 'none'"
    return (
        f"default-src 'none'; style-src {styles}; img-src 'self' data:; "
        f"form-action 'self'; {ancestors}; base-uri 'none'"
    )


def _styles(body: bytes) -> list[bytes]:
    """Return what stands in its `<style>` elements. To search by a pattern was a third of what reading a revision cost."""
    opened = body.split(b"<style")[1:]
    return [each.partition(b">")[2].partition(b"</style>")[0] for each in opened]


@lru_cache(maxsize=256)  # a style sheet changes with a template, not with an update
def fixed_headers(media_type: str, content_policy: str, https: bool) -> Headers:
    """Return the headers that every answer of this kind carries, errors included."""
    # Feeds and open records are for everyone's programs; pages are not for other sites' scripts.
    shared = (
        media_type.partition(";")[0].endswith(("json", "xml", "calendar"))
        and "svg" not in media_type
    )
    elsewhere = shared or _ANYWHERE in content_policy
    headers: Headers = (
        ("content-security-policy", content_policy),
        ("cross-origin-resource-policy", "cross-origin" if elsewhere else "same-origin"),
        *_FIXED,
    )
    if shared:
        headers += (("access-control-allow-origin", "*"),)
    if https:
        headers += (("strict-transport-security", "max-age=31536000"),)
    return headers
