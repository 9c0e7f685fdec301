"""What the channel of kind feed has published, read without its lock."""

from __future__ import annotations

import time
from pathlib import Path

from broadcaster.bundle.manifest import Root, Shard, decode_shard, digest, shard_key
from broadcaster.channel import Revision, Transient
from broadcaster.httpclient import Deadline

_GLANCE = 0.05  # seconds between two looks for the feeds' new revision
_PATIENCE = 10.0


def wait_for(
    directory: Path, feed: str, hub: str, revision: Revision, deadline: Deadline
) -> tuple[str, ...]:
    """Return the names of the documents that name `hub`, such as "feed.atom", once `feed` shows `revision`.

    Raises:
        Transient: it does not in time, or no document of it names the hub.
    """
    until = time.monotonic() + min(_PATIENCE, deadline.left() / 3)
    while True:
        root = _root(directory, feed)
        if root and Revision.parse(root.revision) >= revision:
            names = _naming(directory, feed, root, hub)
            if names:
                return names
        if time.monotonic() >= until:
            raise Transient(_why(feed, root, revision), retry_after=1.0)
        time.sleep(_GLANCE)


def _why(feed: str, root: Root | None, revision: Revision) -> str:
    if root and Revision.parse(root.revision) >= revision:
        return f"No document of {feed} names this hub: write its address in hubs of that channel."
    return f"{feed} has not shown revision {revision} yet: the hub is told once it has."


def _root(directory: Path, feed: str) -> Root | None:
    try:
        return Root.decode((directory / ".manifest" / f"{feed}.json").read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        raise Transient(f"What {feed} has published could not be read.") from None


def _naming(directory: Path, feed: str, root: Root, hub: str) -> tuple[str, ...]:
    """Which documents at the root name the hub; every area and language has the same ones."""
    shard = _shard(directory, feed, root)
    found = (path for path, entry in shard.items() if ["hub", hub] in entry.get("links", []))
    return tuple(sorted(path for path in found if "/" not in path))


def _shard(directory: Path, feed: str, root: Root) -> Shard:
    key = shard_key("")
    sha256 = root.shards.get(key, "")
    try:
        body = (directory / ".manifest" / feed / f"{key}.{sha256}.json").read_bytes()
    except OSError:  # the feed has gone on meanwhile: another look
        return {}
    return decode_shard(body) if digest(body) == sha256 else {}
