"""Whether, when and from what a copy is renewed: it never goes backwards, waits for other machines, and can be resumed."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import datetime

from broadcaster.bundle.manifest import parse_revision
from broadcaster.bundle.signed import NAME, Manifest, signature_name
from broadcaster.channel import Mode, Permanent, Revision, Scope, Transient
from broadcaster.httpclient import Deadline
from channels.mirror.far import Found, Place
from channels.mirror.journal import JOURNAL, Journal, Seal
from channels.mirror.known import NO_DAMAGE, Damage, Known, Source, Standing
from channels.mirror.snapshot import Moved, Snapshot, wait_for
from channels.mirror.work import Work

LEASE = 15.0
"""Seconds that another machine's journal may stand unchanged, by our own clock, until its copying counts as dead."""


class Copier:
    """Copies for one channel. `called` is how sentences name the far side."""

    def __init__(self, source: Source, seal: Seal, called: str) -> None:
        self.known = Known(source, seal, called)
        self._other: tuple[bytes, float] = (b"", 0.0)
        self._ahead: Revision | None = None

    def standing(self, place: Place) -> Standing:
        """Read what stands there. One that is not signed by us counts as none: nobody else may hold a copy back.

        Raises:
            Permanent: it was published in another mode; scope `channel`.
        """
        found = place.read(NAME)
        if found is None:
            return Standing(None, None)
        try:
            manifest = Manifest.decode(found.body)
        except ValueError:
            return Standing(None, found)
        signature = place.read(signature_name(found.body))
        ours = signature is not None and self.known.seal.knows(found.body, signature.body)
        mode = self.known.source.mode
        # A drill with a key of its own must not write over the real copy either; no forger holds a live word back so.
        if manifest.mode != mode and (
            ours or (mode is not Mode.LIVE and manifest.mode == Mode.LIVE)
        ):
            raise Permanent(
                f"{self.known.called} holds what was published in mode {manifest.mode}, and this is {mode}: name another "
                "place, or empty this one to take it over, then resume the channel.",
                scope=Scope.CHANNEL,
            )
        return Standing(manifest if ours else None, found)

    def show(
        self,
        place: Place,
        revision: Revision,
        at: datetime,
        deadline: Deadline,
        damage: Damage = NO_DAMAGE,
    ) -> tuple[Manifest, int]:
        """Copy until at least `revision` stands and `damage` is mended; return the manifest then, and how many files were written.

        Raises:
            Transient: boards have not shown it yet, another machine copies, or time was not enough (the next call goes on).
            Permanent: what stands there was published from another store, or in another mode; scope `channel`.
        """
        standing = self.standing(place)
        found = place.read(JOURNAL)
        journal = self._turn(found)
        before: Snapshot | None = None
        while True:
            snapshot = wait_for(
                self.known.source.directory, self.known.source.boards, revision, deadline
            )
            if snapshot == before:
                raise Transient(
                    f"A file in {self.known.source.directory} is not what its manifest says: it is written anew when the "
                    "daemon starts.",
                    retry_after=5.0,
                )
            if standing.manifest and ahead(standing.manifest, snapshot):
                raise self._newer(standing.manifest, revision)
            whole = found is None and not damage
            if whole and standing.manifest and self._is(standing.manifest, snapshot):
                return standing.manifest, 0
            work = Work(self.known, place, standing, snapshot, journal, at, deadline, damage)
            try:
                return work.run(found)
            except Moved:
                before, journal, found = snapshot, work.journal, work.written

    def _newer(self, manifest: Manifest, revision: Revision) -> Transient | Permanent:
        """What it means that a newer one stands there than our boards show, while our store was at `revision`.

        Another machine with our store may have gone on since that was read; then the store has it by the next call. Once
        it has not, what stands there is no revision of this store.
        """
        there = max(map(Revision.parse, (str(manifest.revision), *manifest.boards.values())))
        seen, self._ahead = self._ahead, there
        called = self.known.called
        if seen is None or revision >= seen:
            return Transient(
                f"{called} holds revision {there}, newer than ours, {revision}: another machine of ours may be ahead.",
                retry_after=1.0,
            )
        return Permanent(
            f"{called} holds revision {there}, newer than ours, {revision}, so another store wrote it, or this one lost "
            "words: name another place, or empty this one to take it over, then resume the channel.",
            scope=Scope.CHANNEL,
        )

    def _is(self, manifest: Manifest, snapshot: Snapshot) -> bool:
        same = (manifest.boards, manifest.shards) == (snapshot.boards, snapshot.shards)
        return same and manifest.made == (self.known.source.made(self.known.seal) or "")

    def _turn(self, found: Found | None) -> Journal | None:
        """The journal to go on with, None when none stands; raises Transient while another machine copies.

        Whether it still copies is seen by its journal changing, not by a time in it: clocks of machines differ.
        """
        if found is None:
            return Journal(by=self.known.by)
        try:
            journal: Journal | None = Journal.decode(found.body, self.known.seal)
        except ValueError:
            journal = None
        if journal and journal.by == self.known.by:
            return journal
        body, since = self._other
        if body != found.body:
            self._other = (found.body, time.monotonic())
        if body != found.body or time.monotonic() - since < LEASE:
            raise Transient(f"Another machine copies to {self.known.called}.", retry_after=2.0)
        return replace(journal, by=self.known.by) if journal else None


def ahead(manifest: Manifest, snapshot: Snapshot) -> bool:
    """Whether what stands there is newer than what our boards show, as a whole or in one of them."""
    return manifest.revision > snapshot.revision or any(
        parse_revision(manifest.boards[board]) > parse_revision(shown)
        for board, shown in snapshot.boards.items()
        if board in manifest.boards
    )
