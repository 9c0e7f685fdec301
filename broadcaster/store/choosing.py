"""Subscribers who choose for themselves: taken, changed, gone by their own word; and what is kept of one of them."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, time
from typing import Any

from sqlalchemy import Connection, and_, delete, func, insert, select, update as sql_update
from sqlalchemy.dialects import postgresql, sqlite

from broadcaster.domain.choices import Choices, Quiet
from broadcaster.domain.delivery import Shape
from broadcaster.domain.incident import Severity
from broadcaster.store import audit, consents, tables as t

ACTOR = "resident"
_SEVERITIES = tuple(Severity)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """One subscriber as kept, with what he chose.

    `since` is when his consent was given, or when the list came from which he was taken, `origin` and `legal_basis` those
    of the list, "" for who came by himself. `gone_at`: since when his address is no more.
    """

    id: int
    import_id: int
    channel: str
    address: bytes
    digest: bytes
    choices: Choices
    since: datetime | None
    by_himself: bool
    origin: str
    legal_basis: str
    gone_at: datetime | None


# -------------------------------------------------------------------------------------------------------- how it is kept
def to_json(choices: Choices) -> dict[str, Any]:
    """Choices as JSON: times are minutes of the local day."""
    return {"areas": list(choices.areas), "language": choices.language} | columns(choices)


def from_json(kept: Mapping[str, Any]) -> Choices:
    """What `to_json` was made from."""
    return choices_of(tuple(kept["areas"]), kept)


def columns(choices: Choices) -> dict[str, Any]:
    """Choices as the columns of `subscriber`, but for areas and language."""
    quiet = choices.quiet
    return {
        "least": choices.least.rank,
        "quiet_from": None if quiet is None else _minutes(quiet.start),
        "quiet_to": None if quiet is None else _minutes(quiet.end),
        "summary_at": None if choices.summary is None else _minutes(choices.summary),
    }


def choices_of(areas: tuple[str, ...], kept: Mapping[str, Any]) -> Choices:
    """What the columns of `subscriber` say: here, and nowhere else, they are read."""
    quiet = None
    if kept["quiet_from"] is not None and kept["quiet_to"] is not None:
        quiet = Quiet(_wall(kept["quiet_from"]), _wall(kept["quiet_to"]))
    return Choices(
        areas=areas,
        language=kept["language"],
        least=_SEVERITIES[kept["least"]],
        quiet=quiet,
        summary=None if kept["summary_at"] is None else _wall(kept["summary_at"]),
    )


def _minutes(wall: time) -> int:
    return wall.hour * 60 + wall.minute


def _wall(minutes: int) -> time:
    return time(minutes // 60, minutes % 60)


# ------------------------------------------------------------------------------------------------------- coming by oneself
def subscribe(
    connection: Connection,
    *,
    channel: str,
    address: bytes,
    key_id: str,
    digest: bytes,
    choices: Choices,
) -> tuple[int, int]:
    """Take who asks for it himself. Returns his id and that of his import: what his mark is made from.

    Who is there gets the areas he lacks and loses none; the rest is as he says now. Whoever is no more, or had said no, is
    back: he asks for it.
    """
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    fresh = {
        "channel": channel,
        "address": address,
        "key_id": key_id,
        "digest": digest,
        "language": choices.language,
        # No import: a number that was never drawn before and will not be again, also after a backup was restored, when ids
        # begin anew where they were. So no two people ever have the same mark.
        "import_id": -1 - secrets.randbits(62),
    }
    mine = t.subscriber.c.channel == channel, t.subscriber.c.digest == digest
    row = None
    while row is None:  # who is erased between the two is taken anew
        connection.execute(dialect.insert(t.subscriber).on_conflict_do_nothing(), fresh)
        row = connection.execute(
            select(t.subscriber.c.id, t.subscriber.c.import_id).where(*mine).with_for_update()
        ).first()
    _keep(connection, row.id, channel, choices, adding=True)
    return row.id, row.import_id


def change(connection: Connection, one: Chosen, choices: Choices) -> bool:
    """Give a subscriber exactly what he chooses now. False when he is there no more."""
    if _held(connection, one) is None:
        return False
    _keep(connection, one.id, one.channel, choices, adding=False)
    return True


def _held(connection: Connection, one: Chosen) -> int | None:
    """His id, held until this is committed; None: he was erased meanwhile, or is another by now."""
    key: int | None = connection.scalar(
        select(t.subscriber.c.id)
        .where(t.subscriber.c.id == one.id, t.subscriber.c.digest == one.digest)
        .with_for_update()
    )
    return key


def _keep(
    connection: Connection, subscriber_id: int, channel: str, choices: Choices, *, adding: bool
) -> None:
    own = t.subscription.c
    if not adding:
        away = own.subscriber_id == subscriber_id, own.area.not_in(choices.areas)
        connection.execute(delete(t.subscription).where(*away))
    has = set(connection.scalars(select(own.area).where(own.subscriber_id == subscriber_id)))
    new = [area for area in choices.areas if area not in has]
    if new:
        member = {"subscriber_id": subscriber_id, "channel": channel}
        connection.execute(insert(t.subscription), [member | {"area": area} for area in new])
    connection.execute(
        sql_update(t.subscriber)
        .where(t.subscriber.c.id == subscriber_id)
        .values(language=choices.language, gone_at=None, **columns(choices))
    )


def silence(connection: Connection, channel: str, digest: bytes) -> None:
    """Who has left gets no summary that was to come, nor one of what he was left out of."""
    person = select(t.subscriber.c.id).where(
        t.subscriber.c.channel == channel, t.subscriber.c.digest == digest
    )
    connection.execute(delete(t.left_out).where(t.left_out.c.subscriber_id.in_(person)))
    letter = t.personal_letter.c
    mine = and_(letter.channel == channel, letter.digest == digest)
    waits = and_(letter.what == "summary", letter.state == "waiting")
    connection.execute(delete(t.personal_letter).where(mine, waits))


def forget(connection: Connection, channel: str, digest: bytes, now: datetime) -> int:
    """Delete whatever an address asked for and was written personally. The proof of consent ends and stays.

    Returns how many rows held the address.
    """
    gone = 0
    for table in (t.opt_in, t.personal_letter):
        mine = table.c.channel == channel, table.c.digest == digest
        gone += connection.execute(delete(table).where(*mine)).rowcount
    consents.end(connection, channel, digest, now, consents.ERASED)
    return gone


# ------------------------------------------------------------------------------------------------------------- reading
def by_id(connection: Connection, subscriber_id: int) -> Chosen | None:
    """The subscriber of an id."""
    return _one(connection, t.subscriber.c.id == subscriber_id)


def by_digest(connection: Connection, channel: str, digest: bytes) -> Chosen | None:
    """The subscriber of an address."""
    mine = t.subscriber.c.channel == channel, t.subscriber.c.digest == digest
    return _one(connection, and_(*mine))


def named(connection: Connection, channel: str, digest: bytes) -> Any:
    """What the mark of an address is made from, and its language: a row with id, import_id and language, or None.

    One look, however it ends: who asks whether an address is known learns nothing by how long it takes.
    """
    return connection.execute(
        select(t.subscriber.c.id, t.subscriber.c.import_id, t.subscriber.c.language).where(
            t.subscriber.c.channel == channel, t.subscriber.c.digest == digest
        )
    ).first()


def _one(connection: Connection, which: Any) -> Chosen | None:
    row = connection.execute(
        select(
            t.subscriber,
            t.import_run.c.at.label("imported_at"),
            t.import_run.c.source,
            t.import_run.c.legal_basis,
        )
        .outerjoin(t.import_run, t.import_run.c.id == t.subscriber.c.import_id)
        .where(which)
    ).first()
    if row is None:
        return None
    own = t.subscription.c
    areas = connection.scalars(
        select(own.area).where(own.subscriber_id == row.id).order_by(own.id)
    ).all()
    proof = [one for one in consents.of(connection, row.channel, row.digest) if not one.ended_at]
    return Chosen(
        id=row.id,
        import_id=row.import_id,
        channel=row.channel,
        address=row.address,
        digest=row.digest,
        choices=choices_of(tuple(areas), row._asdict()),
        since=proof[0].given_at if proof else row.imported_at,
        by_himself=bool(proof),
        origin=row.source or "",
        legal_basis=row.legal_basis or "",
        gone_at=row.gone_at,
    )


def letters(connection: Connection, one: Chosen) -> dict[str, int]:
    """How many letters a subscriber was written, by what came of them; found by the deliveries, which are few."""
    by_letter = select(t.delivery.c.id).where(t.delivery.c.shape == Shape.LETTER)
    query = (
        select(t.letter.c.outcome, func.count())
        .where(t.letter.c.delivery_id.in_(by_letter), t.letter.c.subscriber_id == one.id)
        .group_by(t.letter.c.outcome)
    )
    return {row[0]: int(row[1]) for row in connection.execute(query)}


def personal_letters(connection: Connection, one: Chosen) -> Sequence[Any]:
    """The letters for him alone that are kept: rows with what, state and asked_at, oldest first."""
    letter = t.personal_letter.c
    return connection.execute(
        select(letter.what, letter.state, letter.asked_at)
        .where(letter.channel == one.channel, letter.digest == one.digest)
        .order_by(letter.id)
    ).all()


def asked(connection: Connection, one: Chosen) -> Sequence[Any]:
    """What was asked for his address and is kept still: rows with asked_at, expires_at, used_at and choices."""
    row = t.opt_in.c
    return connection.execute(
        select(row.asked_at, row.expires_at, row.used_at, row.choices)
        .where(row.channel == one.channel, row.digest == one.digest)
        .order_by(row.id)
    ).all()


def without(choices: Choices, known: Sequence[str]) -> Choices:
    """The same choices, but for areas that are no more."""
    return replace(choices, areas=tuple(area for area in choices.areas if area in known))


def note(
    connection: Connection, now: datetime, act: str, subscriber_id: int, **counts: int
) -> None:
    """Put an act of a resident into the audit trail, by his opaque id."""
    audit.note(connection, now, ACTOR, act, str(subscriber_id), **counts)
