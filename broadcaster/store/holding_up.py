"""What holds a delivery up while nothing of it is under way: the next try of its letters, or an earlier word."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, select

from broadcaster.domain.delivery import Shape, State
from broadcaster.store import tables as t
from broadcaster.store.accepting import incident_name


@dataclass(frozen=True, slots=True)
class HeldUp:
    """Of letters between two tries when the next is and what the last met; of what waits for an earlier word which that is."""

    due_at: datetime | None = None
    because: str = ""
    behind: str = ""


def held_up(connection: Connection, rows: Iterable[Any]) -> dict[int, HeldUp]:
    """By delivery what holds it up, of those of one incident that something does."""
    rows = list(rows)
    return dict((*_between_tries(connection, rows), *_behind(connection, rows)))


def _between_tries(connection: Connection, rows: Sequence[Any]) -> Iterator[tuple[int, HeldUp]]:
    job, letter = t.job, t.letter
    for row in rows:
        if row.shape != Shape.LETTER or row.state != State.SENDING or row.stopped:
            continue
        mine = (job.c.delivery_id == row.id, t.job_is_open)
        if connection.execute(select(job.c.id).where(*mine, job.c.state == "sending")).first():
            continue
        due_at = connection.scalar(select(func.min(job.c.due_at)).where(*mine))
        if due_at is None:
            continue
        tried = select(job.c.id).where(*mine, job.c.attempts > 0).order_by(job.c.due_at).limit(1)
        said = connection.scalar(
            select(letter.c.detail)
            .where(letter.c.job_id == tried.scalar_subquery(), letter.c.outcome == "transient")
            .order_by(letter.c.at.desc())
            .limit(1)
        )
        yield row.id, HeldUp(due_at=due_at, because=said or "")


def _behind(connection: Connection, rows: Sequence[Any]) -> Iterator[tuple[int, HeldUp]]:
    """As `claiming` holds it up: an earlier word of its incident by its channel that is not out yet. Boards show the newest."""
    waiting = [row for row in rows if row.shape != Shape.BOARD and row.state == State.WAITING]
    if not waiting:
        return
    d = t.delivery
    found = connection.execute(
        select(d.c.channel, d.c.number, d.c.incident_id, t.incident.c.staff)
        .join(t.incident, t.incident.c.id == d.c.incident_id)
        .where(
            d.c.incident_id == waiting[0].incident_id,
            d.c.channel.in_({row.channel for row in waiting}),
            d.c.released,
            d.c.state.in_([State.WAITING, State.SENDING]),
            d.c.accepted_at.is_(None),
        )
        .order_by(d.c.number.desc())
    ).all()
    oldest = {each.channel: each for each in found}
    for row in waiting:
        first = oldest.get(row.channel)
        if first is not None and first.number < row.number:
            name = f"{incident_name(first.incident_id, first.staff)}-{first.number}"
            yield row.id, HeldUp(behind=name)
