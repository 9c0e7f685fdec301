"""Fallback deliveries: the text was rendered for the fallback channel when it was accepted; only the duty is new."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    exists,
    func,
    insert,
    or_,
    select,
    update as sql_update,
)

from broadcaster.domain.delivery import Shape, State, StepKind, Variant
from broadcaster.store import audit, tables as t
from broadcaster.store.accepting import delivery_row, new_key
from broadcaster.store.moving import stop_begun
from broadcaster.store.quorums import TAKEN_BACK
from broadcaster.store.writer import wake


def start(
    connection: Connection,
    sick: Mapping[str, str],
    shapes: Mapping[str, Shape],
    media: Mapping[str, str],
    now: datetime,
) -> list[tuple[str, str]]:
    """Hand over what failed, and what waits on a sick channel, to the next channel of its fallback list.

    `media` says of each channel what its addresses are: two of one medium write to the same telephones or mailboxes.

    Never from `uncertain`, unless life depends on it. What is handed over is withdrawn where it was: nobody gets the
    text from both.
    """
    d = t.delivery
    # Sent again, where it stood in for that: whom this one would write to may get it there just now.
    again = d.alias("again")
    sent_again = exists().where(
        again.c.id == d.c.fallback_for,
        again.c.shape == Shape.LETTER,
        again.c.state.in_([State.WAITING, State.SENDING]),
        ~again.c.stopped,
    )
    wanted = (
        t.may_be_taken_over,
        d.c.released,
        ~d.c.stopped,
        ~sent_again,
        d.c.not_after > now,
        or_(
            d.c.state.in_([State.FAILED, State.BOUNCED]),
            and_(d.c.state == State.ACCEPTED, d.c.shape == Shape.LETTER, d.c.failed > 0),
            # It stood in, and had nobody to write to: who lacks the word lacks it still.
            and_(d.c.state == State.EXPIRED, d.c.expanded, d.c.total == 0),
            and_(d.c.state == State.UNCERTAIN, d.c.life_safety),
            and_(
                d.c.state == State.ACCEPTED,
                d.c.shape == Shape.LETTER,
                d.c.uncertain > 0,
                d.c.life_safety,
            ),
            and_(d.c.state == State.WAITING, d.c.channel.in_(list(sick))),
            and_(
                d.c.state == State.SENDING,
                d.c.shape == Shape.LETTER,
                d.c.channel.in_(list(sick)),
            ),
        ),
    )
    # A retraction finds only the deliveries it can see: while one is accepted its incident is left to the next sweep.
    incidents = select(t.incident.c.id).where(
        t.incident.c.id.in_(select(d.c.incident_id).where(*wanted))
    )
    held = list(connection.scalars(incidents.with_for_update(skip_locked=True)))
    rows = connection.execute(
        select(d).where(*wanted, d.c.incident_id.in_(held)).with_for_update(skip_locked=True)
    ).all()
    done = []
    for row in rows:
        target = next(
            (
                name
                for name in row.fallback
                if name in shapes and name not in sick and not _heard(connection, row, name, media)
            ),
            None,
        )
        if target is None:
            continue
        _hand_over(
            connection, row, target, shapes[target], media, sick.get(row.channel, row.detail), now
        )
        done.append((row.channel, target))
    if done:
        wake(connection)
    return done


def _heard(connection: Connection, row: Any, target: str, media: Mapping[str, str]) -> bool:
    """Whether the readers of `target` have it by its own route; letters of one medium have addresses of their own.

    What was taken back before it began has brought it to nobody.
    """
    same_medium = row.shape == Shape.LETTER and media.get(row.channel) == media.get(target)
    d = t.delivery
    taken_back = and_(d.c.state == State.WITHDRAWN, d.c.detail == TAKEN_BACK)
    same = d.c.update_id == row.update_id, d.c.channel == target, ~taken_back
    return not same_medium and bool(connection.scalar(select(exists().where(*same))))


def carries(connection: Connection, update_id: int, channel: str) -> bool:
    """Whether there is a delivery of this update by this channel."""
    same = exists().where(t.delivery.c.update_id == update_id, t.delivery.c.channel == channel)
    return bool(connection.scalar(select(same)))


def _hand_over(
    connection: Connection,
    row: Any,
    target: str,
    shape: Shape,
    media: Mapping[str, str],
    why: str,
    now: datetime,
) -> None:
    left = list(row.fallback)[row.fallback.index(target) + 1 :]
    new = delivery_row(row.update_id, row.incident_id, row.number, target, shape) | {
        "priority": row.priority,
        "life_safety": row.life_safety,
        "released": True,
        "due_at": now,
        "not_after": row.not_after,
        "fallback": left,
        "fallback_for": row.id,
        "detail": f"in place of {row.channel}: {why}",
    }
    key = connection.execute(insert(t.delivery).values(**new)).inserted_primary_key
    assert key is not None  # noqa: S101 - the table has one generated key
    if shape is Shape.LETTER:
        add_audiences(connection, row, int(key[0]), target, media)
    else:
        add_steps(connection, row.update_id, int(key[0]), target)
    connection.execute(sql_update(t.delivery).where(t.delivery.c.id == row.id).values(fallback=[]))
    _end_here(connection, row, target, now)
    audit.note(connection, now, "engine", "fallback", f"{row.id}", to=target)


def idle(connection: Connection, delivery_id: int) -> Sequence[Any]:
    """What stands in for a delivery on a channel that is parked or paused, and has not begun."""
    d = t.delivery
    closed = exists().where(
        t.channel_state.c.channel == d.c.channel,
        or_(t.channel_state.c.parked_at.is_not(None), t.channel_state.c.paused_at.is_not(None)),
    )
    unbegun = d.c.state == State.WAITING, d.c.started_at.is_(None), d.c.total == 0
    query = select(d).where(in_place_of(delivery_id), *unbegun, closed)
    return connection.execute(query.order_by(d.c.id.desc())).all()


def in_place_of(delivery_id: int) -> ColumnElement[bool]:
    """Whether a delivery stands in for this one; its update is named for the index."""
    mine = t.delivery.alias("mine")
    update_id = select(mine.c.update_id).where(mine.c.id == delivery_id).scalar_subquery()
    return and_(t.delivery.c.update_id == update_id, t.delivery.c.fallback_for == delivery_id)


def take_back(connection: Connection, delivery_id: int, now: datetime, actor: str) -> None:
    """What is sent again needs nobody in its place: who has not begun is withdrawn, and takes over anew if it fails.

    It could not wait instead: begun before this one is through, it would write to the same readers.
    """
    d = t.delivery
    for row in idle(connection, delivery_id):
        kept = {"fallback": [row.channel, *row.fallback]}
        connection.execute(sql_update(d).where(d.c.id == delivery_id).values(kept))
        ended = {"ended_at": now, "fallback": [], "fallback_for": None}
        withdrawn = {"state": State.WITHDRAWN, "detail": TAKEN_BACK}
        connection.execute(sql_update(d).where(d.c.id == row.id).values(**withdrawn, **ended))
        audit.note(connection, now, actor, "take back", str(delivery_id), of=row.channel)


def add_steps(connection: Connection, update_id: int, delivery_id: int, channel: str) -> None:
    """Give a delivery that stands in for another its steps: one for every text rendered for its channel."""
    messages = connection.execute(
        select(t.message.c.id)
        .where(
            t.message.c.update_id == update_id,
            t.message.c.channel == channel,
            t.message.c.variant == Variant.NEWS,
        )
        .order_by(t.message.c.language, t.message.c.position)
    ).all()
    for position, message in enumerate(messages):
        connection.execute(
            insert(t.step).values(
                delivery_id=delivery_id,
                position=position,
                kind=StepKind.POST,
                message_id=message.id,
                handle="",
                url="",
                key=new_key(),
                attempts=0,
            )
        )


def _line(connection: Connection, row: Any) -> list[Any]:
    """A delivery, the one it stands in for, and so on to where the text was to go in the first place."""
    line = [row]
    while line[-1].fallback_for is not None:
        before = select(t.delivery).where(t.delivery.c.id == line[-1].fallback_for)
        line.append(connection.execute(before).one())
    return line


def add_audiences(
    connection: Connection, row: Any, delivery_id: int, target: str, media: Mapping[str, str]
) -> None:
    """The same addresses when both channels are of one medium, else this channel's subscribers of the same areas.

    Whoever has a letter of this update gets no second one, also where it comes back to the channel it began with.
    """
    line = _line(connection, row)
    members_of = _members_of(connection, line, target, media)
    groups = _groups(connection, line[-1]) or _of_its_areas(connection, row.update_id, target)
    for group in groups:
        kept = {name: group[name] for name in ("variant", "areas", "upto", "had")}
        kept |= {"had_not": [*group["had_not"], row.number], "cursor": 0, "done": False}
        connection.execute(
            insert(t.audience).values(delivery_id=delivery_id, members_of=members_of, **kept)
        )


def _members_of(
    connection: Connection, line: Sequence[Any], target: str, media: Mapping[str, str]
) -> str:
    """Whose subscribers: of the nearest in line that wrote to such addresses, be it the first or one in between."""
    for each in line:
        if each.shape == Shape.LETTER and media.get(each.channel) == media.get(target):
            query = select(t.audience.c.members_of).where(t.audience.c.delivery_id == each.id)
            return connection.scalar(query.limit(1)) or str(each.channel)
    return target


def _groups(connection: Connection, first: Any) -> Sequence[Mapping[str, Any]]:
    """Who is to have it. A post without letters behind it was planned for nobody: as another channel of its update."""
    planned = (
        select(t.audience)
        .join(t.delivery, t.delivery.c.id == t.audience.c.delivery_id)
        .where(t.delivery.c.update_id == first.update_id, t.delivery.c.fallback_for.is_(None))
    )
    rows = connection.execute(planned.order_by(t.audience.c.delivery_id, t.audience.c.id))
    groups = [dict(group) for group in rows.mappings()]
    mine = [group for group in groups if group["delivery_id"] == first.id]
    return mine or [group for group in groups if group["delivery_id"] == groups[0]["delivery_id"]]


def _of_its_areas(
    connection: Connection, update_id: int, target: str
) -> Sequence[Mapping[str, Any]]:
    """Who is to have an update whose posts were planned for nobody, before an upgrade: whom it is about.

    Nobody where it corrects or retracts: that is for those who had the wrong text.
    """
    update = connection.execute(select(t.update).where(t.update.c.id == update_id)).one()
    if update.corrects is not None or update.corrects_all:
        return []
    areas = {Variant.NEWS: update.areas or update.ended or None, Variant.ALL_CLEAR: update.ended}
    said = t.message.c.update_id == update_id, t.message.c.channel == target
    variants = set(connection.scalars(select(t.message.c.variant).where(*said)))
    upto = connection.scalar(select(func.coalesce(func.max(t.subscription.c.id), 0)))
    return [
        {"variant": variant, "areas": areas[variant], "upto": upto, "had": [], "had_not": []}
        for variant in areas
        if variant in variants
    ]


def _end_here(connection: Connection, row: Any, target: str, now: datetime) -> None:
    detail = f"taken over by {target}"
    stop_begun(connection, t.delivery.c.id == row.id, stopped=True)
    connection.execute(
        sql_update(t.delivery)
        .where(t.delivery.c.id == row.id, t.delivery.c.state == State.WAITING)
        .values(state=State.WITHDRAWN, ended_at=now, detail=detail)
    )
    connection.execute(
        sql_update(t.delivery)
        .where(t.delivery.c.id == row.id, t.delivery.c.state == State.SENDING)
        .values(stopped=True, detail=detail)
    )
