"""What of a feed is older than its newest entries: full pages that keep their members, and what was struck long after.

An entry's place is how many there are up to it, which is counted in an index; no page is read but those that change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Select, and_, bindparam, desc, func, or_, select

from broadcaster.domain.board import BoardIncident, BoardUpdate, Entry, FeedArchive, FeedPage
from broadcaster.domain.incident import Kind, Revision
from broadcaster.store import tables as t

Incidents = Callable[[Sequence[int]], tuple[BoardIncident, ...]]
"""Gives the incidents of these keys, in their order."""


def _statements(columns: Any, rows: Select[Any]) -> tuple[Select[Any], Select[Any], Select[Any]]:
    """How many rows there are up to a revision; the rows newest first, some of them; and all of them."""
    upto = or_(
        columns.rev_epoch < bindparam("epoch"),
        and_(columns.rev_epoch == bindparam("epoch"), columns.rev_n <= bindparam("n")),
    )
    counted = rows.with_only_columns(func.count(), maintain_column_froms=True).where(upto)
    ordered = rows.order_by(desc(columns.rev_epoch), desc(columns.rev_n))
    some = ordered.limit(bindparam("most")).offset(bindparam("newer"))
    return counted, some, ordered


_ALL = _statements(
    t.update.c,
    select(t.update.c.incident_id, t.update.c.number).where(t.update.c.rev_epoch.is_not(None)),
)
_touched = select(t.update_area.c.update_id).where(t.update_area.c.area == bindparam("area"))
_OF_AREA_COUNTED, _, _ = _statements(t.update_area.c, _touched)
_, _OF_AREA_SOME, _OF_AREA_ROWS = _statements(
    t.update_area.c,
    select(t.update.c.incident_id, t.update.c.number)
    .join(t.update_area, t.update_area.c.update_id == t.update.c.id)
    .where(t.update_area.c.area == bindparam("area")),
)
_OF_AREA = (_OF_AREA_COUNTED, _OF_AREA_SOME, _OF_AREA_ROWS)
_EVER = Revision(2**31 - 1, 0)


def archives(
    connection: Connection,
    incidents: Incidents,
    places: Mapping[str, Sequence[Any]],
    changed: Sequence[BoardIncident],
    since: Revision | None,
    length: int,
) -> Mapping[str, FeedArchive]:
    """Return the archive of each feed that has one. `places` are the rows of the `length` newest entries of each feed.

    `length` entries make a page; `changed` are the incidents that changed after `since`.
    """
    struck = [] if since is None else list(_struck_after(since, changed))
    found = {}
    for key, newest in places.items():
        if len(newest) == length:  # else not one page is full
            feed = _Feed(connection, incidents, key, length)
            pages = feed.count(_EVER) // length
            again = tuple(_again(key, newest, incidents))[:length]
            found[key] = FeedArchive(pages, tuple(feed.pages(pages, since, struck)), again)
    return found


def entries(incidents: Incidents, rows: Sequence[Any]) -> Iterator[Entry]:
    """Tell rows of incident and number as entries."""
    for row, incident in zip(rows, incidents([row.incident_id for row in rows]), strict=True):
        update = next(update for update in incident.updates if update.number == row.number)
        yield Entry(incident.line, update)


class _Feed:
    """The entries of one area, "" for all."""

    def __init__(self, connection: Connection, incidents: Incidents, key: str, length: int) -> None:
        self._connection = connection
        self._incidents = incidents
        self._key = key
        self._length = length
        self._counted, self._some, self._all = _OF_AREA if key else _ALL
        self._area = {"area": key} if key else {}

    def count(self, upto: Revision) -> int:
        return (
            self._connection.scalar(self._counted, {**self._area, "epoch": upto.epoch, "n": upto.n})
            or 0
        )

    def pages(
        self, full: int, since: Revision | None, struck: Sequence[BoardUpdate]
    ) -> Iterator[FeedPage]:
        """Yield the pages that became full after `since`, and those that hold a struck entry; all when it is None."""
        if since is None:
            rows = self._connection.execute(self._all, self._area).all()[::-1]
            for number in range(1, full + 1):
                yield self._page(number, rows[(number - 1) * self._length : number * self._length])
            return
        numbers = set(range(self.count(since) // self._length + 1, full + 1))
        for update in struck:
            place = self.count(update.revision)
            # Counted, for it keeps its place where it no longer names an area that it took over from a retracted word.
            if place > self.count(replace(update.revision, n=update.revision.n - 1)):
                numbers.add(-(-place // self._length))
        there = self.count(_EVER)
        for number in sorted(number for number in numbers if number <= full):
            part = {"most": self._length, "newer": there - number * self._length}
            rows = self._connection.execute(self._some, {**self._area, **part}).all()
            yield self._page(number, rows[::-1])

    def _page(self, number: int, oldest_first: Sequence[Any]) -> FeedPage:
        return FeedPage(number, tuple(entries(self._incidents, oldest_first[::-1])))


def _again(key: str, newest: Sequence[Any], incidents: Incidents) -> Iterator[Entry]:
    """Entries older than the newest that one of the newest has struck."""
    shown = {(row.incident_id, row.number) for row in newest}
    for row, incident in zip(newest, incidents([row.incident_id for row in newest]), strict=True):
        for update in incident.updates:
            is_struck = update.struck is not None and update.struck.by == row.number
            is_here = not key or key in (*update.areas, *update.ended)
            if is_struck and is_here and (row.incident_id, update.number) not in shown:
                yield Entry(incident.line, update)


def _struck_after(since: Revision, changed: Sequence[BoardIncident]) -> Iterator[BoardUpdate]:
    """What was said before `since` and reads otherwise after it."""
    for incident in changed:
        new = {update.number: update for update in incident.updates if update.revision > since}
        has_retraction = any(update.kind is Kind.RETRACTION for update in new.values())
        for update in incident.updates:
            # A retraction also takes from words that stand what they took over from the retracted one.
            less = has_retraction and not update.struck and update.changed_at > update.at
            if less or (update.struck is not None and update.struck.by in new):
                yield update
