"""Whether the files that stand at the far side still are those that were written: some may be lost, damaged or left over.

Nothing is fetched for it but lists of names, sizes and hashes, as far as a place has these. It goes on where it stopped, so
that it never takes longer than the probe it is part of, and a new word never waits for it.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

from broadcaster.bundle.manifest import digest
from broadcaster.bundle.signed import NAME, PUBLIC_KEY, Manifest, shard_name, signature_name
from broadcaster.httpclient import Deadline
from channels.mirror.far import Place, Print
from channels.mirror.journal import JOURNAL
from channels.mirror.known import NO_DAMAGE, Damage, Known, Standing, files_of
from channels.mirror.snapshot import Moved, Snapshot

EVERY = 3600.0
"""Seconds from one comparison of all files to the next."""
_GROUP = 64  # shards that are compared at a time
_SHARE = 0.5  # of the deadline: what one group may take longer
_SHARD = re.compile(r"([0-9a-f]{3})\.([0-9a-f]{64})\.json")
_SIGNATURE = re.compile(r"[0-9a-f]{64}\.sig")


class Comparer:
    """Compares for one channel, from its first probe on and every hour."""

    def __init__(self, known: Known) -> None:
        self._known = known
        self._left: list[str] | None = None
        self._ended: float | None = None

    def is_due(self) -> bool:
        """Whether a round is under way, or the last one is an hour ago."""
        since = None if self._ended is None else time.monotonic() - self._ended
        return self._left is not None or since is None or since >= EVERY

    def look(self, place: Place, standing: Standing, deadline: Deadline) -> Damage:
        """Compare as much as half of the time allows. Nothing is found while something is being copied or is to be.

        Raises:
            Transient: the place cannot be asked now, or was too slow.
            Permanent: it does not list its files.
        """
        manifest, snapshot = standing.manifest, self._known.source.now()
        if manifest is None or snapshot is None or manifest.shards != snapshot.shards:
            return NO_DAMAGE
        if self._left is None:
            self._left = [
                f"{board}/{key}" for board in snapshot.roots for key in manifest.shards[board]
            ]
        if place.read(JOURNAL) is not None:
            return NO_DAMAGE
        left = list(self._left)
        try:
            found = self._portion(place, manifest, snapshot, left, deadline)
            if not left:
                found |= self._whole(place, standing, manifest, snapshot)
        except Moved:
            return NO_DAMAGE
        after = place.read(NAME)
        if (
            after is None
            or standing.found is None
            or after.body != standing.found.body
            or place.read(JOURNAL)
        ):
            return NO_DAMAGE  # something was copied meanwhile: what was seen is neither the old nor the new
        self._left = left or None
        if not left:
            self._ended = time.monotonic()
        return found

    def _portion(
        self,
        place: Place,
        manifest: Manifest,
        snapshot: Snapshot,
        left: list[str],
        deadline: Deadline,
    ) -> Damage:
        """Compare the files of shards while there is time, and take these from `left`."""
        found = NO_DAMAGE
        while left:
            group = left[:_GROUP]
            of = dict(self._wanted(snapshot, group))
            lost = place.differing({name: known for name, (known, _) in of.items()})
            found |= Damage(frozenset(lost), frozenset(of[name][1] for name in lost))
            del left[:_GROUP]
            if deadline.left() < deadline.seconds * _SHARE:
                break
        return found

    def _wanted(
        self, snapshot: Snapshot, group: list[str]
    ) -> Iterator[tuple[str, tuple[Print, str]]]:
        """The files of some shards and these themselves, each with its shard; raises Moved."""
        for shard in group:
            board, _, key = shard.partition("/")
            sha256 = snapshot.shards[board].get(key)
            if sha256 is None:
                continue  # gone since this round began
            body = snapshot.shard_body(board, key)
            yield shard_name(board, key, sha256), (Print.of(body), shard)
            for name, (wanted, _) in files_of(
                self._known.source, snapshot.shard(board, key)
            ).items():
                yield name, (Print.of(snapshot.body(name, wanted)), shard)

    def _whole(
        self, place: Place, standing: Standing, manifest: Manifest, snapshot: Snapshot
    ) -> Damage:
        """The files that are of no shard, and those that nothing speaks of."""
        lost = set()
        for name in self._known.source.stamp.pages:
            page = place.read(name) if name in manifest.front else None
            if name in manifest.front and (
                page is None or digest(page.body) != manifest.front[name]
            ):
                lost.add(name)
        pem = place.read(PUBLIC_KEY)
        if pem is None or pem.body != self._known.seal.pem:
            lost.add(PUBLIC_KEY)
        old = {
            (board, match[1], match[2])
            for board in snapshot.roots
            for match in map(_SHARD.fullmatch, place.names(f".manifest/{board}"))
            if match and manifest.shards[board].get(match[1]) != match[2]
        }
        signature = signature_name(standing.found.body if standing.found else b"")
        signatures = {
            f"mirror/{name}" for name in place.names("mirror") if _SIGNATURE.fullmatch(name)
        }
        return Damage(
            frozenset(lost), old=frozenset(old), signatures=frozenset(signatures - {signature})
        )
