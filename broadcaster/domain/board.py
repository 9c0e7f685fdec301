"""The public record as boards show it: plain values, newest revision, built by the store and never by an adapter.

Times are aware UTC. A board adapter gets the whole of what stands now and what changed since the revision it shows;
it never has to read history, so its cost does not grow with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import takewhile

from broadcaster.domain.incident import Kind, Mode, Planned, Revision, Severity
from broadcaster.domain.outline import Ring


@dataclass(frozen=True, slots=True)
class BoardArea:
    """An area as configured: `codes` are its official codes by register, such as {"scb": "0127"}; `outline` is where it is.

    `names` are what it is called in languages in which that is not `name`.
    """

    key: str
    name: str
    codes: Mapping[str, str] = field(default_factory=dict)
    outline: tuple[Ring, ...] = ()
    names: Mapping[str, str] = field(default_factory=dict)

    def called(self, language: str) -> str:
        """Return its name in a language, of a variant that of its language."""
        return self.names.get(language) or self.names.get(language.partition("-")[0]) or self.name


@dataclass(frozen=True, slots=True)
class Struck:
    """That an update was corrected or retracted (`kind`), when, and by which number."""

    kind: Kind
    at: datetime
    by: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardUpdate:
    """One released public update. `at` is its release, `changed_at` moves when it is struck."""

    number: int
    kind: Kind
    at: datetime
    changed_at: datetime
    revision: Revision
    areas: tuple[str, ...]
    ended: tuple[str, ...] = ()
    texts: Mapping[str, str]
    since: datetime | None = None
    etr: datetime | None = None
    etr_before: datetime | None = None
    promise: datetime | None = None
    planned: Planned | None = None
    affected: int | None = None
    cause: str = ""
    instruction: str = ""
    corrects: int | None = None
    corrects_at: datetime | None = None
    struck: Struck | None = None


@dataclass(frozen=True, slots=True)
class EtrChange:
    """One line of the ETR ledger: said at `at`, by update `number`, `etr` (None: withdrawn)."""

    at: datetime
    etr: datetime | None
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardIncident:
    """An incident with its standing facts and every public update, newest first.

    `areas` are those concerned now (empty once restored), `areas_ever` all it ever concerned, in the order first named,
    and `areas_stated` those of them that are named by a word that stands: all of them when nothing stands any more.
    `retracted` says that no statement of it stands; then `planned` is what was planned. `etr_history` begins anew with
    what opened again.
    """

    id: str
    mode: Mode
    severity: Severity
    headline: str
    areas: tuple[str, ...]
    areas_ever: tuple[str, ...]
    areas_stated: tuple[str, ...] = ()
    opened_at: datetime
    since: datetime | None = None
    closed_at: datetime | None = None
    retracted: bool = False
    etr: datetime | None = None
    etr_history: tuple[EtrChange, ...] = ()
    promise: datetime | None = None
    planned: Planned | None = None
    affected: int | None = None
    cause: str = ""
    instruction: str = ""
    updates: tuple[BoardUpdate, ...]

    @property
    def slug(self) -> str:
        """Its part of a public address, "a7"."""
        return self.id.lower()

    @property
    def is_open(self) -> bool:
        """Whether residents are still concerned."""
        return self.closed_at is None

    @property
    def line(self) -> IncidentLine:
        """It in one line: of its areas those that are named by a word that stands."""
        return IncidentLine(
            id=self.id,
            headline=self.headline,
            severity=self.severity,
            mode=self.mode,
            areas_ever=self.areas_stated or self.areas_ever,
            opened_at=self.opened_at,
            closed_at=self.closed_at,
            retracted=self.retracted,
            planned=self.planned,
            cause=self.cause,
            texts=next((each.texts for each in reversed(self.updates) if each.struck is None), {}),
        )

    @property
    def may_have_been_over(self) -> bool:
        """Whether it is over, or may have been and opened again."""
        ending = (Kind.RESTORED, Kind.CORRECTION, Kind.RETRACTION)
        return not self.is_open or any(
            update.kind in ending or not update.areas for update in self.updates
        )

    @property
    def updates_since_opened(self) -> tuple[BoardUpdate, ...]:
        """What was said since it was last over, newest first: all of it where it never was."""
        return tuple(takewhile(lambda update: update.areas or update.struck, self.updates))


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentLine:
    """One line about an incident for lists and archive pages.

    `cause` and `texts` (by language, of the first update that stands) are for who looks a word up.
    """

    id: str
    headline: str
    severity: Severity
    mode: Mode
    areas_ever: tuple[str, ...]
    opened_at: datetime
    closed_at: datetime | None
    retracted: bool
    planned: Planned | None = None
    cause: str = ""
    texts: Mapping[str, str] = field(default_factory=dict)

    @property
    def slug(self) -> str:
        """Its part of a public address, "a7"."""
        return self.id.lower()


@dataclass(frozen=True, slots=True)
class Entry:
    """One feed entry: an update within its incident."""

    incident: IncidentLine
    update: BoardUpdate


@dataclass(frozen=True, slots=True)
class ArchivePage:
    """One page of the archive. Pages are numbered from 1, oldest first, so a full page never changes its members."""

    number: int
    full: bool
    lines: tuple[IncidentLine, ...]


@dataclass(frozen=True, slots=True)
class FeedPage:
    """One full page of a feed's archive, newest first. Numbered from 1, oldest first: it never changes its members."""

    number: int
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class FeedArchive:
    """What of a feed is older than its newest entries.

    `pages` is how many full pages there are, `changed` those that became full after `since`, or of which an entry was
    struck then. `again` are older entries that one of the newest has struck: who reads no archive learns of it by them.
    """

    pages: int = 0
    changed: tuple[FeedPage, ...] = ()
    again: tuple[Entry, ...] = ()


@dataclass(frozen=True, slots=True)
class ArchiveVolume:
    """Some pages of the archive, which share an index. Numbered from 1, oldest first, as its members are for ever.

    `lines` are those that are over, oldest first; `full` says that it is complete and all of them are.
    """

    number: int
    full: bool
    lines: tuple[IncidentLine, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """The public record at `revision`.

    `changed` holds whole every incident that changed after `since` (all that are open or recent when `since` is None:
    then everything must be written). `feeds` maps an area's key, or "" for all areas, to its newest entries, newest
    first; only areas touched after `since` are in it, "" always is. `archive` holds the archive pages touched after
    `since`; `archive_pages` is how many there are. `feed_archives` has the archive of each feed in `feeds` that has one.
    `volumes` holds those that began after `since`, or of which something is over, or no longer is; `volumes_begin` says when
    the first incident of each was opened, and is empty when `volumes` is.
    """

    revision: Revision
    since: Revision | None
    at: datetime
    mode: Mode
    open: tuple[BoardIncident, ...]
    recent: tuple[IncidentLine, ...]
    changed: tuple[BoardIncident, ...]
    feeds: Mapping[str, tuple[Entry, ...]]
    archive: tuple[ArchivePage, ...]
    archive_pages: int
    feed_archives: Mapping[str, FeedArchive] = field(default_factory=dict)
    volumes: tuple[ArchiveVolume, ...] = ()
    volumes_begin: tuple[datetime, ...] = ()
