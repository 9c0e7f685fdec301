"""One try to make a far side show what the boards have published.

The order there: the journal says what will be touched → files, those deep in folders first → shards → the front pages →
signature → **the manifest: the switch** → what is gone is dropped → the journal is dropped.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import groupby

from broadcaster.bundle.manifest import Entry, Shard, decode_shard, digest, shard_key
from broadcaster.bundle.signed import NAME, PUBLIC_KEY, Manifest, shard_name, signature_name
from broadcaster.channel import Transient
from broadcaster.httpclient import Deadline
from channels.mirror.far import Found, Place, Taken, Thing
from channels.mirror.journal import JOURNAL, Journal
from channels.mirror.known import Damage, Known, Standing, files_of
from channels.mirror.snapshot import Moved, Snapshot

_BEAT = 2.0
_BATCH = 32
_KEPT_BACK = 0.15  # of the deadline, for ending in order what cannot be finished


@dataclass(frozen=True, slots=True)
class _Piece:
    """One file to be written: its name, hash and type, and the shard ("board/key") it belongs to."""

    name: str
    sha256: str
    entry: Entry
    shard: str


class Work:
    """One try to make the far side show one snapshot."""

    def __init__(
        self,
        known: Known,
        place: Place,
        standing: Standing,
        snapshot: Snapshot,
        journal: Journal | None,
        at: datetime,
        deadline: Deadline,
        damage: Damage,
    ) -> None:
        self._known = known
        self._place = place
        self._standing = standing
        self._snapshot = snapshot
        self._at = at
        self._deadline = deadline
        self._damage = damage
        # Without a journal that can be read nothing is known of what stands there.
        self._stands = standing.manifest.shards if standing.manifest and journal else {}
        self.journal = journal or Journal(by=known.by)
        self.written: Found | None = None
        self._beaten = time.monotonic()

    def run(self, found: Found | None) -> tuple[Manifest, int]:
        """Do it; `found` is the journal as it stood."""
        self.written = found
        plan = self._plan()
        if plan or self.journal.touched or self.journal.drop:
            self._beat()
        self._write_files(plan)
        self._write_shards()
        manifest = self._switch(self._write_front())
        self._clear(signature_name(manifest.encode()))
        return manifest, len(plan)

    # ---------------------------------------------------------------------------------------------------- what to do
    def _plan(self) -> list[_Piece]:
        # All of a shard is written anew of which a file is lost, also by whoever goes on should this be cut off.
        touched = {**self.journal.touched, **dict.fromkeys(self._damage.shards, "")}
        drop = {key: set(names) for key, names in self.journal.drop.items()}
        plan: list[_Piece] = []
        for board, root in self._snapshot.roots.items():
            for key, sha256 in root.shards.items():
                name = f"{board}/{key}"
                there = touched.get(name, self._stands.get(board, {}).get(key, ""))
                if there == sha256:
                    continue
                new = files_of(self._known.source, self._snapshot.shard(board, key))
                old = files_of(self._known.source, self._far_shard(board, key, there))
                plan += [
                    _Piece(one, new[one][0], new[one][1], name)
                    for one in new
                    if one not in old or old[one][0] != new[one][0]
                ]
                touched[name] = ""
                # Cut off before the switch, no manifest would ever tell that these were written.
                drop.setdefault(name, set()).update({*new, shard_name(board, key, sha256)})
        for board, key, sha256 in self._outdated():
            held = drop.setdefault(f"{board}/{key}", set())
            held.update(files_of(self._known.source, self._far_shard(board, key, sha256)))
            held.add(shard_name(board, key, sha256))
        for board, key, sha256 in self._damage.old:
            # Anybody may have written it: of what it names nothing is ours but what we remember.
            held = drop.setdefault(f"{board}/{key}", set())
            held.update(files_of(self._known.source, self._known.shards.get(sha256, {})))
            held.add(shard_name(board, key, sha256))
        signatures = drop.setdefault("mirror/", set())
        signatures.update(self._damage.signatures)
        if self._standing.found:
            signatures.add(signature_name(self._standing.found.body))
        self.journal = replace(
            self.journal,
            touched=touched,
            drop={key: tuple(sorted(names)) for key, names in drop.items()},
        )
        return sorted(plan, key=lambda piece: (-piece.name.count("/"), piece.name))

    def _outdated(self) -> Iterator[tuple[str, str, str]]:
        """Board, key and hash of every shard that the manifest there vouches for and is none of the snapshot's."""
        manifest = self._standing.manifest
        for board, shards in (manifest.shards if manifest else {}).items():
            for key, sha256 in shards.items():
                if self._snapshot.shards.get(board, {}).get(key) != sha256:
                    yield board, key, sha256

    def _far_shard(self, board: str, key: str, sha256: str) -> Shard:
        """What a shard that we signed holds; nothing when it cannot be had, so that all of it is written."""
        if not sha256:
            return {}
        if sha256 not in self._known.shards:
            found = self._place.read(shard_name(board, key, sha256))
            if found is None or digest(found.body) != sha256:
                return {}
            self._known.remember(sha256, decode_shard(found.body))
        return self._known.shards[sha256]

    # -------------------------------------------------------------------------------------------------------- writing
    def _write_files(self, plan: Sequence[_Piece]) -> None:
        waiting: dict[str, int] = {}
        for piece in plan:
            waiting[piece.shard] = waiting.get(piece.shard, 0) + 1
        done = 0
        for batch in _batches(plan):
            if self._deadline.left() < self._deadline.seconds * _KEPT_BACK:
                self._beat()
                raise Transient(
                    f"{done} of {len(plan)} files are copied to {self._known.called}: the rest follows.",
                    retry_after=0.0,
                )
            self._place.write([self._thing(piece) for piece in batch])
            done += len(batch)
            for piece in batch:
                waiting[piece.shard] -= 1
            self._mark(name for name, count in list(waiting.items()) if count == 0)
            waiting = {name: count for name, count in waiting.items() if count}
            if time.monotonic() - self._beaten > _BEAT:
                self._beat()
        self._mark(name for name, sha256 in list(self.journal.touched.items()) if not sha256)

    def _thing(self, piece: _Piece) -> Thing:
        body = self._snapshot.body(piece.name, piece.sha256)
        return Thing(
            piece.name, body, piece.entry["media_type"], piece.entry.get("immutable", False)
        )

    def _mark(self, shards: Iterator[str]) -> None:
        """Note that all files of these shards stand as the snapshot has them."""
        touched = dict(self.journal.touched)
        for name in shards:
            board, _, key = name.partition("/")
            sha256 = self._snapshot.shards.get(board, {}).get(key)
            if sha256 is None:
                touched.pop(name)
            else:
                touched[name] = sha256
        self.journal = replace(self.journal, touched=touched)

    def _beat(self) -> None:
        """Write the journal, in the place of the one we wrote before; raises Transient when it is another's by now."""
        self.journal = replace(self.journal, beat=self.journal.beat + 1)
        body = self.journal.encode(self._known.seal)
        try:
            self._see_that(JOURNAL, self.written)
            self._place.swap(Thing(JOURNAL, body), self.written)
        except Taken:
            raise self._overtaken() from None
        self.written = self._place.read(JOURNAL)
        if self.written is None or self.written.body != body:
            raise self._overtaken()
        self._beaten = time.monotonic()

    def _see_that(self, name: str, before: Found | None) -> None:
        """Raise `Taken` when another file stands there than we know: not every place can be asked to see to it."""
        found = self._place.read(name)
        if (found and found.body) != (before and before.body):
            raise Taken(name)

    def _overtaken(self) -> Transient:
        return Transient(
            f"Another machine has begun to copy to {self._known.called} meanwhile.",
            retry_after=2.0,
        )

    def _write_shards(self) -> None:
        things = []
        for name, sha256 in self.journal.touched.items():
            board, _, key = name.partition("/")
            if self._snapshot.shards.get(board, {}).get(key) == sha256:
                body = self._snapshot.shard_body(board, key)
                self._known.remember(sha256, decode_shard(body))
                things.append(Thing(shard_name(board, key, sha256), body, lasting=True))
        self._place.write(things)

    def _switch(self, front: Mapping[str, str]) -> Manifest:
        seal, source = self._known.seal, self._known.source
        manifest = Manifest(
            mode=source.mode,
            of=source.of,
            revision=self._snapshot.revision,
            copied_at=self._at.isoformat(timespec="seconds"),
            made=source.made(seal) or "",
            front=front,
            boards=self._snapshot.boards,
            shards=self._snapshot.shards,
        )
        body = manifest.encode()
        signed = [Thing(signature_name(body), seal.sign(body), "application/octet-stream", True)]
        if self._standing.manifest is None or PUBLIC_KEY in self._damage.lost:
            signed.append(Thing(PUBLIC_KEY, seal.pem, "application/x-pem-file"))
        self._place.write(signed)
        try:
            if self.written:
                self._see_that(JOURNAL, self.written)
            self._see_that(NAME, self._standing.found)
            self._place.swap(Thing(NAME, body), self._standing.found)
        except Taken:
            raise self._overtaken() from None
        return manifest

    def _write_front(self) -> Mapping[str, str]:
        """Write the front pages, last of all files; return the hashes of what stands at the root, and of these."""
        front, stamped, stamp = {}, [], self._known.source.stamp
        for board in self._snapshot.roots:
            for path in ("", *stamp.pages):
                for name, entry in self._snapshot.shard(board, shard_key(path)).items():
                    if name in stamp.pages and name not in front:
                        body = stamp.put(name, self._snapshot.body(name, entry["sha256"]), self._at)
                        stamped.append(Thing(name, body, entry["media_type"]))
                        front[name] = digest(body)
                    elif "/" not in name:
                        front.setdefault(name, entry["sha256"])
        self._place.write(stamped)
        return front

    def _clear(self, signature: str) -> None:
        """Drop what nothing stands for any more, then the journal. If a board went on meanwhile, the next call does it."""
        try:
            gone = [name for key in self.journal.drop for name in self._gone(key)]
        except Moved:
            return
        self._place.drop([name for name in gone if name != signature])
        if self.written:
            self._place.drop([JOURNAL])

    def _gone(self, name: str) -> list[str]:
        """What of the names that were to go is in no board of the snapshot."""
        _, _, key = name.partition("/")
        wanted: set[str] = set()
        for board, root in self._snapshot.roots.items():
            wanted.update(files_of(self._known.source, self._snapshot.shard(board, key)))
            if key in root.shards:
                wanted.add(shard_name(board, key, root.shards[key]))
        return [one for one in self.journal.drop[name] if one not in wanted]


def _batches(plan: Sequence[_Piece]) -> Iterator[list[_Piece]]:
    """What may be written at once: files of one depth only, so that whatever links to a file comes after it."""
    for _, same in groupby(plan, key=lambda piece: piece.name.count("/")):
        held = list(same)
        yield from (held[at : at + _BATCH] for at in range(0, len(held), _BATCH))
