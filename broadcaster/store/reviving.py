"""What a restored backup must forget and what it must know, so that nothing goes out twice and no name is used twice.

* The epoch goes up: public revisions of the time that was lost and those to come cannot be confused.
* Incident ids go on after the last one used in public. Where the store that is replaced can still be read, that is known;
  where it cannot, 1,000 ids are left out.
* Whatever waited, was under way or uncertain is withdrawn: it may have gone since the backup was made. Boards alone go on,
  because they show what stands and showing it again does no harm.
* What was to be said at a time is cancelled, also the beginning and end of planned work. Promises that stand are watched on.
* What residents asked for and had not confirmed is asked for anew, and no letter to one person goes: its token was perhaps
  used since, and so is good no more. Nor is anything read again that came in: it may be the START of who was erased since,
  and holds his number as he wrote it.
* Who was erased since is erased again; what tokens were revoked stays revoked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, exists, func, select, update as sql_update

from broadcaster.domain.delivery import Shape, State
from broadcaster.store import audit, tables as t
from broadcaster.store.accepting import incident_name
from broadcaster.store.erasures import Erasure, replay
from broadcaster.store.putting import put
from broadcaster.store.releasing import cancel

LEFT_OUT = 1_000
_FOR_STAFF = ("remind", "due")
_BY_ITSELF = ("open", "close")
_BECAUSE = "a backup was restored"


@dataclass(frozen=True, slots=True)
class Used:
    """What the replaced store had used: the highest epoch, the next incident id, digests of revoked tokens.

    `certain` says that it was read from the store itself; otherwise it may have used more.
    """

    epoch: int = 0
    next_incident: int = 1
    revoked: tuple[str, ...] = ()
    certain: bool = False


@dataclass(frozen=True, slots=True)
class Revived:
    """What restoring did, in numbers; `cancelled` names the updates that waited for their time.

    `planned` names the incidents of planned work that was to open or close by itself.
    """

    epoch: int
    next_incident: int
    withdrawn: int
    erased: int
    cancelled: tuple[str, ...]
    planned: tuple[str, ...]


def used_by(connection: Connection) -> Used:
    """What a store that can be read has used."""
    facts = {row.name: row.value for row in connection.execute(select(t.meta))}
    revoked = connection.scalars(select(t.token.c.digest).where(t.token.c.revoked_at.is_not(None)))
    return Used(
        int(facts.get("epoch", 1)), int(facts.get("next_incident", 1)), tuple(revoked), certain=True
    )


def revive(
    connection: Connection, used: Used, erasures: Sequence[Erasure], now: datetime
) -> Revived:
    """Make a store that was just read from a backup fit to go on, in one transaction."""
    # Before anything is noted here: heads exported after the backup are of rows that the new ones take the place of.
    last = connection.scalar(select(func.max(t.audit.c.id))) or 0
    own = used_by(connection)
    epoch = max(own.epoch, used.epoch) + 1
    next_incident = max(own.next_incident, used.next_incident)
    if not used.certain:
        next_incident += LEFT_OUT
    put(connection, t.meta, {"name": "epoch"}, {"value": str(epoch)})
    put(connection, t.meta, {"name": "next_incident"}, {"value": str(next_incident)})
    planned = _planned(connection)
    revived = Revived(
        epoch,
        next_incident,
        _withdraw(connection, now),
        replay(connection, erasures),
        _cancel(connection, now),
        planned,
    )
    for table in (t.opt_in, t.personal_letter, t.inbound):
        connection.execute(delete(table))
    connection.execute(
        sql_update(t.token)
        .where(t.token.c.digest.in_(used.revoked), t.token.c.revoked_at.is_(None))
        .values(revoked_at=now)
    )
    audit.note(
        connection,
        now,
        "restore",
        audit.RESTORED,
        "",
        epoch=epoch,
        after=last,
        withdrawn=revived.withdrawn,
        erased=revived.erased,
    )
    return revived


def _withdraw(connection: Connection, now: datetime) -> int:
    """Withdraw what is open. Not by the table of transitions: that is for one history, and this one is broken off."""
    still_open = (
        t.is_open(),
        t.delivery.c.shape != Shape.BOARD,
    )
    letters = select(t.delivery.c.id).where(*still_open)
    connection.execute(
        sql_update(t.job).where(t.job.c.delivery_id.in_(letters)).values(state="done")
    )
    # What somebody was to be told in a summary he may have been told since.
    connection.execute(delete(t.left_out).where(t.left_out.c.due_at.is_not(None)))
    return connection.execute(
        sql_update(t.delivery)
        .where(*still_open)
        .values(
            state=State.WITHDRAWN,
            ended_at=now,
            detail=_BECAUSE,
            fallback=[],
            lease_node=None,
            lease_token=None,
            lease_until=None,
        )
    ).rowcount


def _planned(connection: Connection) -> tuple[str, ...]:
    """Planned work that was said and is to open or close by itself still; what waits for its time is cancelled by name."""
    rows = connection.execute(
        select(t.incident.c.id, t.incident.c.staff)
        .where(t.incident.c.id.in_(select(t.due.c.incident_id).where(*_opens_or_closes())))
        .order_by(t.incident.c.id)
    ).all()
    return tuple(incident_name(row.id, row.staff) for row in rows)


def left_to_operators(connection: Connection, incident_id: int) -> bool:
    """Whether a restore keeps planned work of an incident from opening or closing by itself, and nobody planned it anew."""
    mine = t.due.c.incident_id == incident_id
    broken_off = mine & t.due.c.what.in_(_BY_ITSELF) & (t.due.c.outcome == _BECAUSE)
    anew = exists().where(mine, *_opens_or_closes())
    return bool(connection.scalar(select(exists().where(broken_off) & ~anew)))


def _opens_or_closes() -> tuple[Any, ...]:
    return (
        t.due.c.what.in_(_BY_ITSELF),
        t.due.c.done_at.is_(None),
        t.due.c.cancelled_at.is_(None),
        t.due.c.outcome != "held",
    )


def _cancel(connection: Connection, now: datetime) -> tuple[str, ...]:
    """Cancel what was to be said at a time. Staff is still told of a promise that is due: nobody has kept it here.

    The public is not: the incident may have ended since the backup, and a holding message would be untrue.
    """
    held = connection.execute(
        select(t.update.c.id, t.update.c.incident_id, t.update.c.number, t.incident.c.staff)
        .join(t.incident, t.incident.c.id == t.update.c.incident_id)
        .where(t.update.c.hold.is_not(None), t.update.c.cancelled_at.is_(None))
        .order_by(t.update.c.id)
    ).all()
    for row in held:
        cancel(connection, row.id, now, "restore")
    connection.execute(
        sql_update(t.due)
        .where(
            t.due.c.what.not_in(_FOR_STAFF),
            t.due.c.done_at.is_(None),
            t.due.c.cancelled_at.is_(None),
        )
        .values(cancelled_at=now, outcome=_BECAUSE)
    )
    return tuple(f"{incident_name(row.incident_id, row.staff)}-{row.number}" for row in held)
