"""Accept and release: two steps, normally one transaction. After the commit nothing of it can be lost."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Insert, Table, bindparam, insert, select, update as sql_update
from sqlalchemy.exc import IntegrityError

from broadcaster.domain.delivery import Shape, State
from broadcaster.domain.incident import Kind
from broadcaster.store import audit, dues, quorums, tables as t
from broadcaster.store.errors import Conflict
from broadcaster.store.intents import Acceptance, Accepted, NewDelivery, NewMessage
from broadcaster.store.releasing import meta, release, set_meta
from broadcaster.store.together import later
from broadcaster.store.writer import wake

Place = tuple[str, str, str, int]
STAFF_LOG = "S"
INCIDENT = "A"
STAFF_LOG_ID = 0  # of which there is one, outside the public numbering

# Built once: to build a statement takes longer than to run it, and every accepted word needs all of these.
_NEW: dict[Table, Insert] = {
    table: later(insert(table).inline()) for table in (t.message, t.delivery, t.step, t.audience)
}
_NEW_INCIDENT, _NEW_UPDATE = insert(t.incident), insert(t.update)
_IDS = {
    table: select(table.c.id)
    .where(table.c.update_id == bindparam("update_id"))
    .order_by(table.c.id)
    for table in (t.message, t.delivery)
}


def incident_name(incident_id: int, staff: bool) -> str:
    """Say "A7", or "S7" for the staff log."""
    return f"{STAFF_LOG if staff else INCIDENT}{incident_id}"


def next_incident_id(connection: Connection) -> int:
    """The id a new incident would get now."""
    return int(meta(connection, "next_incident") or 1)


def accept(connection: Connection, acceptance: Acceptance, now: datetime) -> Accepted:
    """Write update, messages, deliveries and audit row; release it unless it is held.

    Raises:
        Conflict: the incident has gone on since the acceptance was planned.
    """
    incident_id = _incident(connection, acceptance, now)
    update_id = _update(connection, incident_id, acceptance)
    message_ids = _messages(connection, update_id, acceptance.messages)
    delivery_ids = _deliveries(connection, incident_id, update_id, acceptance, message_ids)
    update = acceptance.update
    audit.note(
        connection,
        now,
        update.author,
        f"accept {update.kind}",
        update.name,
        hold=acceptance.hold,
        texts=fingerprint(acceptance.messages),
    )
    dues.plan(connection, incident_id, update_id, acceptance.follow_up, held=bool(acceptance.hold))
    revision = ""
    if not acceptance.hold:
        revision = release(connection, update_id, now)
    elif acceptance.release_at is not None:
        dues.plan(
            connection, incident_id, update_id, {"release": acceptance.release_at}, held=False
        )
        wake(connection)
    return Accepted(
        update_id=update_id,
        incident_id=incident_id,
        name=update.name,
        number=update.number,
        revision=revision,
        delivery_ids=delivery_ids,
    )


def _incident(connection: Connection, acceptance: Acceptance, now: datetime) -> int:
    update = acceptance.update
    if acceptance.incident_id is None:
        return _new_incident(connection, acceptance, now)
    moved = connection.execute(
        sql_update(t.incident)
        .where(
            t.incident.c.id == acceptance.incident_id, t.incident.c.last_number == update.number - 1
        )
        .values(last_number=update.number)
    )
    if moved.rowcount != 1:
        raise Conflict(f"{update.incident} has gone on meanwhile.")
    return acceptance.incident_id


def _new_incident(connection: Connection, acceptance: Acceptance, now: datetime) -> int:
    number = STAFF_LOG_ID if acceptance.staff_log else _take_number(connection, acceptance)
    try:
        connection.execute(
            _NEW_INCIDENT,
            {
                "id": number,
                "mode": acceptance.update.mode,
                "staff": acceptance.staff_log,
                "opened_at": now,
                "last_number": acceptance.update.number,
            },
        )
    except IntegrityError as error:
        raise Conflict("The staff log was opened meanwhile.") from error
    return number


def _take_number(connection: Connection, acceptance: Acceptance) -> int:
    # Two nodes that open an incident in the same moment: the second waits here and then meets the conflict.
    number = int(meta(connection, "next_incident", lock=True) or 1)
    if incident_name(number, staff=False) != acceptance.update.incident:
        raise Conflict("Another incident was opened meanwhile.")
    set_meta(connection, "next_incident", str(number + 1))
    return number


def _update(connection: Connection, incident_id: int, acceptance: Acceptance) -> int:
    said = acceptance.update
    row: dict[str, Any] = {
        name: getattr(said, name)
        for name in (
            *(
                "number",
                "kind",
                "audience",
                "severity",
                "mode",
                "headline",
                "since",
                "etr",
                "promise",
            ),
            *("affected", "cause", "instruction", "corrects", "author", "accepted_at", "not_after"),
        )
    }
    row |= {
        "incident_id": incident_id,
        "areas": list(said.areas),
        "ended": list(said.ended),
        "texts": dict(said.texts),
        "planned_start": said.planned.start if said.planned else None,
        "planned_end": said.planned.end if said.planned else None,
        "corrects_all": acceptance.corrects_all,
        "quiet": acceptance.quiet,
        "hold": acceptance.hold or None,
        "release_at": acceptance.release_at,
        "digest": acceptance.texts_digest,
        "quorum": quorums.written(acceptance.quorum) if acceptance.quorum else None,
    }
    key = connection.execute(_NEW_UPDATE, row).inserted_primary_key
    assert key is not None  # noqa: S101 - the table has one generated key
    return int(key[0])


def _messages(
    connection: Connection, update_id: int, messages: tuple[NewMessage, ...]
) -> dict[Place, int]:
    ids = _insert_all(
        connection, t.message, update_id, [_message_row(update_id, message) for message in messages]
    )
    return dict(zip((message.place for message in messages), ids, strict=True))


def digest_of(subject: str, body: str, payload: str) -> str:
    """What a text is known by: SHA-256 of all that is sent."""
    return hashlib.sha256(f"{subject}\0{body}\0{payload}".encode()).hexdigest()


def fingerprint(messages: Sequence[NewMessage]) -> str:
    """What the texts of an update are known by in the audit trail: nobody can say later that others were sent.

    Nor that they were sent elsewhere: each is named by its place.
    """
    each = (
        " ".join(map(str, (*each.place, digest_of(each.subject, each.body, each.payload))))
        for each in messages
    )
    return hashlib.sha256("\n".join(sorted(each)).encode()).hexdigest()


def _message_row(update_id: int, message: NewMessage) -> dict[str, Any]:
    return {
        "update_id": update_id,
        "channel": message.channel,
        "language": message.language,
        "variant": message.variant,
        "position": message.position,
        "body": message.body,
        "subject": message.subject,
        "payload": message.payload,
        "digest": digest_of(message.subject, message.body, message.payload),
    }


def _deliveries(
    connection: Connection,
    incident_id: int,
    update_id: int,
    acceptance: Acceptance,
    message_ids: dict[Place, int],
) -> tuple[int, ...]:
    planned, said = acceptance.deliveries, acceptance.update
    ids = _insert_all(
        connection,
        t.delivery,
        update_id,
        [
            delivery_row(update_id, incident_id, said.number, new.channel, new.shape)
            | {
                "priority": _priority(said.kind, new.shape),
                "life_safety": new.life_safety,
                "due_at": said.accepted_at,
                "not_after": said.not_after,
                "fallback": list(new.fallback),
            }
            for new in planned
        ],
    )
    by_id = list(zip(ids, planned, strict=True))
    steps = [row for delivery_id, new in by_id for row in _step_rows(delivery_id, new, message_ids)]
    if steps:
        connection.execute(_NEW[t.step], steps)
    audiences = [row for delivery_id, new in by_id for row in _audience_rows(delivery_id, new)]
    if audiences:
        connection.execute(_NEW[t.audience], audiences)
    return tuple(ids)


def _insert_all(
    connection: Connection, table: Table, update_id: int, rows: list[dict[str, Any]]
) -> list[int]:
    """All the rows of an update, which had none; the ids in the order of the rows."""
    if not rows:
        return []
    # Two statements in all: RETURNING would cost one a row on SQLite. Ids rise in the order of insertion on both.
    connection.execute(_NEW[table], rows)
    return list(connection.scalars(_IDS[table], {"update_id": update_id}))


def _step_rows(
    delivery_id: int, planned: NewDelivery, message_ids: dict[Place, int]
) -> list[dict[str, Any]]:
    return [
        {
            "delivery_id": delivery_id,
            "position": position,
            "kind": step.kind,
            "message_id": message_ids[step.message] if step.message else None,
            "target_step": step.target_step,
            "handle": "",
            "url": "",
            "key": new_key(),
            "attempts": 0,
        }
        for position, step in enumerate(planned.steps)
    ]


def _audience_rows(delivery_id: int, planned: NewDelivery) -> list[dict[str, Any]]:
    return [
        {
            "delivery_id": delivery_id,
            "variant": group.variant,
            "areas": list(group.areas) if group.areas is not None else None,
            "upto": 0,
            "members_of": planned.channel,
            "had": list(group.had),
            "had_not": list(group.had_not),
            "cursor": 0,
            "done": False,
        }
        for group in planned.audiences
    ]


def new_key() -> str:
    """A step's idempotency key: random, because ids come again after a restored backup, and stored before it is used."""
    return secrets.token_hex(16)


def delivery_row(
    update_id: int, incident_id: int, number: int, channel: str, shape: Shape
) -> dict[str, Any]:
    """The columns of a delivery that has not begun."""
    zeroes = dict.fromkeys(
        ("attempts", "total", "accepted", "confirmed", "failed", "uncertain", "skipped"), 0
    )
    return zeroes | {
        "update_id": update_id,
        "incident_id": incident_id,
        "number": number,
        "channel": channel,
        "shape": shape,
        "state": State.WAITING,
        "released": False,
        "stopped": False,
        "detail": "",
        "url": "",
        "expanded": False,
    }


def _priority(kind: Kind, shape: Shape) -> int:
    if kind in (Kind.RETRACTION, Kind.CORRECTION):
        return 0
    return 2 if shape is Shape.LETTER else 1
