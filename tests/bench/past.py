"""A long history in seconds: some days are told through the store itself, then repeated by SQL, ids and times moved on.

Every table that grows with history holds its rows as they are after everything went out: incidents, updates, areas,
messages, deliveries, steps, attempts, dues.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Table,
    func,
    insert,
    literal,
    select,
    text,
    type_coerce,
    update,
)

from broadcaster.domain.delivery import State
from broadcaster.domain.incident import Kind
from broadcaster.store import Store, tables as t
from broadcaster.store.accepting import accept, incident_name, next_incident_id
from broadcaster.store.releasing import set_meta
from broadcaster.testing.builders import an_acceptance, an_update, board, post

BEGAN = datetime(2024, 1, 1, tzinfo=UTC)
INCIDENTS = 100
"""In the days that are repeated; each has three updates: a report, another estimate, a restoration."""
EACH = 3
_SPAN = timedelta(hours=20)  # 100,000 updates end before today
_GROWING = (
    *(t.incident, t.update, t.update_area, t.message, t.delivery, t.step, t.attempt, t.due),
)
# Which table's ids a column holds; ids of its own where it is the key.
_POINTS_AT: Mapping[str, Table] = {
    "incident_id": t.incident,
    "update_id": t.update,
    "message_id": t.message,
    "delivery_id": t.delivery,
    "fallback_for": t.delivery,
    "step_id": t.step,
    "target_step": t.step,
}


def tell(
    store: Store, updates: int, *, still_open: int = 0, posts: tuple[str, ...] = ("hook",)
) -> None:
    """Fill an empty store with so many updates, in three for each incident; `still_open` further incidents go on.

    Public boards `page` and `feed` and the channels `posts` carried each of them.
    """

    def begin(connection: Connection) -> None:
        for number in range(INCIDENTS):
            _incident(connection, number, posts, BEGAN + number * _SPAN / INCIDENTS, over=True)
        _settle(connection)

    store.write(begin).result()
    wanted, blocks = max(1, updates // (INCIDENTS * EACH)), 1
    while blocks < wanted:
        copied = min(blocks, wanted - blocks)
        store.write(partial(_repeat, blocks=copied, after=blocks)).result()
        blocks += copied
    store.write(_finish).result()
    if still_open:
        now = datetime.now(UTC)
        store.write(lambda connection: _open(connection, still_open, posts, now)).result()


def _open(connection: Connection, count: int, posts: tuple[str, ...], now: datetime) -> None:
    for number in range(count):
        at = now - timedelta(hours=3) + number * timedelta(hours=2) / count
        _incident(connection, number, posts, at, over=False)
    _settle(connection)


def _incident(
    connection: Connection, number: int, posts: tuple[str, ...], now: datetime, *, over: bool
) -> None:
    incident_id = next_incident_id(connection)
    where = (f"area-{random.Random(number).randrange(40)}",)
    words: list[dict[str, Any]] = [{}, {"etr": now + timedelta(hours=2)}]
    if over:
        words.append({"kind": Kind.RESTORED, "areas": (), "ended": where})
    for count, said in enumerate(words, 1):
        at = now + count * timedelta(minutes=5)
        name = incident_name(incident_id, False)
        told = an_update(name, count, now=at, **({"areas": where} | said))
        planned = [board("page"), board("feed"), *(post(channel) for channel in posts)]
        rest: dict[str, Any] = {"incident_id": incident_id if count > 1 else None}
        if told.areas:
            promise = at + timedelta(hours=6)
            rest["follow_up"] = {"remind": promise, "due": promise, "grace": promise}
        accept(connection, an_acceptance(told, *planned, **rest), at)


def _settle(connection: Connection) -> None:
    """Everything went out as soon as it was said, and no promise of it is open."""
    columns = t.delivery.c
    done = dict.fromkeys(("started_at", "accepted_at", "ended_at"), columns.due_at)
    connection.execute(
        update(t.delivery)
        .where(columns.state.in_([State.WAITING, State.SUPERSEDED]))
        .values(state=State.ACCEPTED, attempts=1, **done)
    )
    tried = type_coerce(columns.due_at, BigInteger)
    told = (
        select(t.step.c.delivery_id, t.step.c.id, literal("n1"), literal(""), tried, tried)
        .add_columns(literal("accepted"), literal(""))
        .join(t.delivery, columns.id == t.step.c.delivery_id)
        .where(t.step.c.outcome.is_(None))
    )
    names = ("delivery_id", "step_id", "node", "supplier", "started_at", "ended_at")
    connection.execute(insert(t.attempt).from_select([*names, "outcome", "detail"], told))
    connection.execute(
        update(t.step)
        .where(t.step.c.outcome.is_(None))
        .values(outcome="accepted", attempts=1, handle="handle", first_tried_at=BEGAN)
    )
    over = t.due.c.due_at < datetime.now(UTC) - timedelta(days=1)
    connection.execute(update(t.due).where(over).values(done_at=t.due.c.due_at, outcome="done"))


# ------------------------------------------------------------------------------------------------------- said again
def _repeat(connection: Connection, *, blocks: int, after: int) -> None:
    """Copy the first `blocks` blocks of days behind the `after` that are there."""
    tops = {table: _top(connection, table) for table in _GROWING if "id" in table.c}
    revisions = int(connection.scalar(select(func.max(t.update.c.rev_n))) or 0)
    moved = {
        "rev_n": revisions,
        "public_order": int(connection.scalar(select(func.max(t.incident.c.public_order))) or 0),
    }
    first = {table: top // after * blocks for table, top in tops.items()}
    for table in _GROWING:
        columns = [_moved(column, tops, moved, after) for column in table.c]
        told = select(*columns)
        if "id" in table.c:
            told = told.where(table.c.id <= first[table])
        else:
            told = told.where(table.c.update_id <= first[t.update])
        connection.execute(insert(table).from_select([column.name for column in table.c], told))


def _top(connection: Connection, table: Table) -> int:
    return int(connection.scalar(select(func.max(table.c.id))) or 0)


def _moved(
    column: Column[Any], tops: Mapping[Table, int], moved: Mapping[str, int], after: int
) -> Any:
    if column.name == "id":
        return column + tops[column.table]
    if column.name in _POINTS_AT:
        return column + tops[_POINTS_AT[column.name]]
    if column.name in moved:
        return column + moved[column.name]
    if isinstance(column.type, t.UtcTime):
        shift = int(_SPAN.total_seconds() * 1_000_000) * after
        return type_coerce(column, BigInteger) + literal(shift, BigInteger)
    return column


def _finish(connection: Connection) -> None:
    set_meta(connection, "revision", str(connection.scalar(select(func.max(t.update.c.rev_n)))))
    top = _top(connection, t.incident)
    set_meta(connection, "next_incident", str(top + 1))
    if connection.dialect.name == "postgresql":
        for table in (each for each in _GROWING if "id" in each.c):
            sequence = func.pg_get_serial_sequence(table.name, "id")
            connection.execute(select(func.setval(sequence, _top(connection, table) + 1)))
        connection.execute(text("ANALYZE"))
