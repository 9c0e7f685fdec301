"""What stands in an account's repository: the key of a post, its record, and how a receipt names it. Pure.

Sources: atproto.com/specs (TID, record keys, AT URI), lexicons app.bsky.feed.post and app.bsky.richtext.facet.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from broadcaster.channel import Message

COLLECTION = "app.bsky.feed.post"
_SORTABLE = "234567abcdefghijklmnopqrstuvwxyz"
_BEGIN = 1_672_531_200_000_000  # 2023-01-01 UTC in microseconds
_LINK = re.compile(r"https?://[^\W_][^\s<>\"]*")
_CLOSING = ".,;:!?'*_~”’»“…"
_ADDRESS = re.compile(
    rf"at://(did:[a-z]+:[A-Za-z0-9._:%-]+)/{re.escape(COLLECTION)}/([A-Za-z0-9._:~-]+)"
)


def record_key(key: str) -> str:
    """The record key (a TID) of the post with this `message.key`: the same over every retry.

    A TID holds a time of 53 bits and a clock's number of 10. Ours is drawn from a hash: 56 bits, as a time in 2023 to
    2025, since one in the future may be refused. Among a million posts two would share one with a chance of 1 in
    140,000; then the second is refused, for a post is never put over another (see `BlueskyAdapter.post`).
    """
    drawn = int.from_bytes(hashlib.sha256(key.encode()).digest()[:7])
    number = (_BEGIN + (drawn >> 10)) << 10 | (drawn & 0x3FF)
    return "".join(_SORTABLE[number >> shift & 31] for shift in range(60, -1, -5))


@dataclass(frozen=True, slots=True)
class Reference:
    """One record in one version (com.atproto.repo.strongRef): `uri` is at://did/collection/key, `cid` its hash."""

    uri: str
    cid: str

    @property
    def place(self) -> tuple[str, str]:
        """Repository (a DID) and key; raises ValueError when the address is not that of a post."""
        found = _ADDRESS.fullmatch(self.uri)
        if found is None:
            raise ValueError(self.uri)
        return found[1], found[2]

    def fields(self) -> dict[str, str]:
        """As a record holds it."""
        return {"uri": self.uri, "cid": self.cid}


@dataclass(frozen=True, slots=True)
class Handle:
    """What a receipt keeps of a post: the post, and where its thread begins. Who answers needs both."""

    post: Reference
    root: Reference

    @classmethod
    def read(cls, text: str) -> Self:
        """Read back what `str` wrote; raises ValueError for anything else."""
        words = text.split(" ")
        if len(words) not in {2, 4} or not all(words):
            raise ValueError(text)
        post = Reference(*words[:2])
        handle = cls(post, Reference(*words[2:]) if words[2:] else post)
        handle.post.place  # noqa: B018 - raises when it is no post's
        return handle

    def __str__(self) -> str:
        parts = (self.post,) if self.root == self.post else (self.post, self.root)
        return " ".join(f"{part.uri} {part.cid}" for part in parts)


def address_of(repository: str, key: str) -> str:
    """The address of the post under `key` in the repository of a DID."""
    return f"at://{repository}/{COLLECTION}/{key}"


@dataclass(frozen=True, slots=True)
class Found:
    """A post that is there."""

    reference: Reference
    text: str


def found_in(answer: Mapping[str, Any], key: str) -> Found | None:
    """The post in an answer of com.atproto.repo.getRecord, None where it is not the one under `key`."""
    uri, cid, record = (answer.get(name) for name in ("uri", "cid", "value"))
    text = record.get("text") if isinstance(record, dict) else None
    if not (isinstance(uri, str) and isinstance(cid, str) and isinstance(text, str)):
        return None
    found = Found(Reference(uri, cid), text)
    try:
        return found if found.reference.place[1] == key else None
    except ValueError:
        return None


def record_of(message: Message, above: Handle | None, made_at: datetime) -> dict[str, Any]:
    """The record of a post in answer to `above`. `made_at` is aware, by the clock of the one who posts."""
    record: dict[str, Any] = {
        "$type": COLLECTION,
        "text": message.body,
        "langs": [message.language],
        "createdAt": made_at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    }
    if facets := list(facets_of(message.body)):
        record["facets"] = facets
    if above is not None:
        record["reply"] = {"root": above.root.fields(), "parent": above.post.fields()}
    return record


def facets_of(text: str) -> Iterator[Mapping[str, Any]]:
    """What makes the links of `text` links; places are counted in bytes of UTF-8.

    Only addresses that name http or https and a host: with any other the server refuses the whole post. Nothing the
    operator writes mentions anybody or becomes a tag.
    """
    for found in _LINK.finditer(text):
        link = found[0].rstrip(_CLOSING)
        while link.endswith(")") and link.count(")") > link.count("("):
            link = link[:-1].rstrip(_CLOSING)
        begin = len(text[: found.start()].encode())
        yield {
            "index": {"byteStart": begin, "byteEnd": begin + len(link.encode())},
            "features": [{"$type": "app.bsky.richtext.facet#link", "uri": link}],
        }
