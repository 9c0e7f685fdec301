"""Who runs: each node's name, its configuration's digest, when it was last seen, and how far its boards are."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select, update as sql_update

from broadcaster.domain.incident import Revision
from broadcaster.store import tables as t
from broadcaster.store.putting import put


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One daemon. Differing values of `config_digest` among those seen lately are a degraded state."""

    name: str
    started_at: datetime
    seen_at: datetime
    config_digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """The newest revision that one board of one node shows, and since when."""

    node: str
    channel: str
    revision: Revision
    shown_at: datetime


def register(connection: Connection, name: str, config_digest: str, now: datetime) -> None:
    """Say that a node starts, under a name that stays the same over restarts."""
    put(
        connection,
        t.node,
        {"name": name},
        {"started_at": now, "seen_at": now, "config_digest": config_digest},
    )


def beat(connection: Connection, name: str, now: datetime) -> bool:
    """Say that a node is alive. False when it was never registered."""
    seen = connection.execute(sql_update(t.node).where(t.node.c.name == name).values(seen_at=now))
    return seen.rowcount == 1


def listing(connection: Connection) -> tuple[Node, ...]:
    """Every node that ever registered, by name."""
    rows = connection.execute(select(t.node).order_by(t.node.c.name)).mappings()
    return tuple(Node(**row) for row in rows)


def shown(
    connection: Connection, node: str, channel: str, revision: Revision, now: datetime
) -> None:
    """Say that a board shows `revision`; an older one than it is known to show changes nothing."""
    known = connection.execute(
        select(t.board_progress.c.rev_epoch, t.board_progress.c.rev_n).where(
            t.board_progress.c.node == node, t.board_progress.c.channel == channel
        )
    ).first()
    if known is None or Revision(*known) < revision:
        put(
            connection,
            t.board_progress,
            {"node": node, "channel": channel},
            {"rev_epoch": revision.epoch, "rev_n": revision.n, "shown_at": now},
        )


def progress(connection: Connection) -> tuple[Progress, ...]:
    """How far every board of every node is, by node and channel."""
    table = t.board_progress
    rows = connection.execute(select(table).order_by(table.c.node, table.c.channel))
    return tuple(
        Progress(
            node=row.node,
            channel=row.channel,
            revision=Revision(row.rev_epoch, row.rev_n),
            shown_at=row.shown_at,
        )
        for row in rows
    )
