"""Whether, when and from what a copy is renewed: it never goes backwards, waits for other machines, and can be resumed."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import datetime

from broadcaster.channel import Revision, Transient
from broadcaster.httpclient import Deadline
from channels.mirror.far import Found, Place
from channels.mirror.manifest import JOURNAL, NAME, Journal, Manifest, Seal, signature_name
from channels.mirror.snapshot import Moved, Snapshot, wait_for
from channels.mirror.work import Known, Source, Standing, Work

LEASE = 15.0
"""Seconds that another machine's journal may stand unchanged, by our own clock, until its copying counts as dead."""


class Copier:
    """Copies for one channel. `called` is how sentences name the far side."""

    def __init__(self, source: Source, seal: Seal, called: str) -> None:
        self.known = Known(source, seal, called)
        self._other: tuple[bytes, float] = (b"", 0.0)

    def standing(self, place: Place) -> Standing:
        """Read what stands there. One that is not signed by us counts as none: nobody else may hold a copy back."""
        found = place.read(NAME)
        if found is None:
            return Standing(None, None)
        signature = place.read(signature_name(found.body))
        if signature is None or not self.known.seal.knows(found.body, signature.body):
            return Standing(None, found)
        try:
            return Standing(Manifest.decode(found.body), found)
        except ValueError:
            return Standing(None, found)

    def show(
        self, place: Place, revision: Revision, at: datetime, deadline: Deadline
    ) -> tuple[Manifest, int]:
        """Copy until at least `revision` stands; return the manifest then, and how many files were written.

        Raises:
            Transient: boards have not shown it yet, another machine copies, or time was not enough (the next call goes on).
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
            if standing.manifest and standing.manifest.revision > snapshot.revision:
                return standing.manifest, 0
            if found is None and standing.manifest and self._is(standing.manifest, snapshot):
                return standing.manifest, 0
            work = Work(self.known, place, standing, snapshot, journal, at, deadline)
            try:
                return work.run(found)
            except Moved:
                before, journal, found = snapshot, work.journal, work.written

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
            journal: Journal | None = Journal.decode(found.body)
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
