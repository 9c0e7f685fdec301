"""Who of an audience is told now, later or never, by what he chose; `domain.choices.told_at` decides.

Most readers chose nothing and are not even looked at: those who did stand in an index of their own, and of those only the ones
among the members that are just being gathered are read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import (
    Connection,
    Select,
    exists,
    literal_column,
    or_,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite

from broadcaster.domain.choices import OVERRIDES, gravest, told_at
from broadcaster.domain.delivery import Shape, Variant
from broadcaster.domain.incident import Audience, Kind, Severity
from broadcaster.store import dues, summing, tables as t
from broadcaster.store.choosing import choices_of

# A letter that may have arrived counts as had: who may have read the wrong text gets the correction.
HAD = ("accepted", "uncertain", "doubtful")


class Sieve:
    """What is asked of one audience while it is expanded, chunk by chunk.

    What is for everyone, for staff, severe, or what life depends on, goes to all: then nothing is asked at all.
    """

    def __init__(
        self, connection: Connection, delivery: Any, audience: Any, zone: ZoneInfo
    ) -> None:
        self._connection, self._delivery, self._audience = connection, delivery, audience
        self._zone = zone
        said = connection.execute(
            select(t.update.c.severity, t.update.c.kind, t.update.c.audience).where(
                t.update.c.id == delivery.update_id
            )
        ).one()
        self._severity = gravest(Severity(said.severity), self._told_wrong())
        ends = said.kind == Kind.RESTORED or audience.variant == Variant.ALL_CLEAR
        self._ends = bool(ends)
        for_everyone = audience.areas is None and not audience.had
        self._lets_all = bool(
            for_everyone
            or delivery.life_safety
            or said.audience == Audience.STAFF
            or self._severity.at_least(OVERRIDES)
        )
        self._next: int | None = -1  # the first who chose anything, of those not asked yet

    def _told_wrong(self) -> list[Severity]:
        if not self._audience.had:
            return []
        wrong = select(t.update.c.severity).where(
            t.update.c.incident_id == self._delivery.incident_id,
            t.update.c.number.in_(self._audience.had),
        )
        return [Severity(each) for each in self._connection.scalars(wrong)]

    def keep(self, ids: Sequence[int], after: int, now: datetime) -> list[int]:
        """Those of `ids`, all above `after`, who are told now. Of those who are told later it is written down."""
        if self._lets_all or not ids or not self._some(after, ids[-1]):
            return list(ids)
        choosing = self._choosing(after, ids[-1])
        mine = [row for row in choosing if row.id in set(ids)] if choosing else []
        if not mine:
            return list(ids)
        asked = [row.id for row in mine]
        told, read = self._told(asked) if self._ends else (frozenset[int](), frozenset[int]())
        waits = self._waits(asked)
        out, later = set[int](waits), dict[int, datetime]()
        for row in mine:
            rights = bool(self._audience.had) or row.id in told
            choices = choices_of((), row._asdict())
            if row.id in read:  # what he read of in a summary ends in one, however mild
                choices = replace(choices, least=Severity.MINOR)
            at = told_at(choices, self._severity, now, self._zone, rights=rights)
            if at is None:
                out.add(row.id)
            elif at > now and row.id not in waits:
                later[row.id] = at
        self._leave(later)
        return [each for each in ids if each not in out and each not in later]

    def _some(self, after: int, last: int) -> bool:
        """Whether anybody up to `last` chose anything: for as long as nobody comes, it is asked once."""
        if self._next is not None and self._next <= after:
            first = _chosen(self._audience.members_of).order_by(t.subscriber.c.id).limit(1)
            self._next = self._connection.scalar(
                first.with_only_columns(t.subscriber.c.id).where(t.subscriber.c.id > after)
            )
        return self._next is not None and self._next <= last

    def _choosing(self, after: int, last: int) -> Sequence[Any]:
        mine = t.subscriber
        query = _chosen(self._audience.members_of).where(mine.c.id > after, mine.c.id <= last)
        if self._audience.areas is not None:
            theirs = t.subscription
            query = query.where(
                exists().where(
                    theirs.c.subscriber_id == mine.c.id,
                    theirs.c.area.in_(self._audience.areas),
                )
            )
        # Held: nobody is erased before it is written down what he was not told.
        held = query.order_by(mine.c.id).with_for_update(read=True, key_share=True, of=mine)
        return self._connection.execute(held).all()

    def _told(self, ids: Sequence[int]) -> tuple[frozenset[int], frozenset[int]]:
        """Those who had, or may have had, a letter of this incident; and those who read of it in a summary."""
        earlier = t.delivery
        query = select(t.letter.c.subscriber_id).where(
            earlier.c.incident_id == self._delivery.incident_id,
            earlier.c.shape == Shape.LETTER,
            t.letter.c.delivery_id == earlier.c.id,
            t.letter.c.subscriber_id.in_(ids),
            t.letter.c.outcome.in_(HAD),
        )
        read = summing.who_read(self._connection, self._delivery.incident_id, ids)
        return frozenset(self._connection.scalars(query)), read

    def _waits(self, ids: Sequence[int]) -> frozenset[int]:
        """Those of whom it was written down before, told since or not: another channel that stands in tells them neither."""
        query = select(t.left_out.c.subscriber_id).where(
            t.left_out.c.update_id == self._delivery.update_id,
            t.left_out.c.subscriber_id.in_(ids),
        )
        return frozenset(self._connection.scalars(query))

    def _leave(self, later: dict[int, datetime]) -> None:
        if not later:
            return
        dialect = sqlite if self._connection.dialect.name == "sqlite" else postgresql
        self._connection.execute(
            dialect.insert(t.left_out).on_conflict_do_nothing(),
            [
                {"subscriber_id": who, "update_id": self._delivery.update_id, "due_at": at}
                for who, at in later.items()
            ],
        )
        dues.plan_summary(self._connection, min(later.values()))


def _chosen(channel: str) -> Select[Any]:
    """Subscribers of a channel who do not simply get everything at once, in the words of their index."""
    mine = t.subscriber
    chose = or_(
        mine.c.least > literal_column("0"),
        mine.c.quiet_from.is_not(None),
        mine.c.summary_at.is_not(None),
    )
    read = mine.c.least, mine.c.quiet_from, mine.c.quiet_to, mine.c.summary_at, mine.c.language
    return select(mine.c.id, *read).where(mine.c.channel == channel, chose)
