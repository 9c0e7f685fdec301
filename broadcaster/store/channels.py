"""What is remembered of a channel between calls: parked, paused, what its last probe said."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, and_, func, or_, select, update as sql_update

from broadcaster.domain.delivery import Shape, State
from broadcaster.domain.exchange import Probe, Remaining
from broadcaster.domain.incident import Kind
from broadcaster.store import audit, tables as t
from broadcaster.store.accepting import incident_name
from broadcaster.store.moving import stop_begun
from broadcaster.store.putting import put
from broadcaster.store.rowlocks import hold_deliveries
from broadcaster.store.writer import wake

_BLANK: Mapping[str, Any] = {"parked_because": "", "probe_sentence": "", "limits": {}}
# Beside the limits: it is told by the same probe and read by the same query. No adapter has a limit of this name.
_REMAINING = "broadcaster:remaining"
_STATES = select(t.channel_state)  # built once: every lane asks it whenever it looks for work


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelState:
    """`parked_because` is the sentence with which the far side refused the channel as a whole."""

    channel: str
    parked_at: datetime | None = None
    parked_because: str = ""
    paused_at: datetime | None = None
    resumed_at: datetime | None = None
    probed_at: datetime | None = None
    probe_good: bool | None = None
    probe_sentence: str = ""
    limits: Mapping[str, Any] = field(default_factory=dict)
    left: Sequence[Mapping[str, Any]] = ()
    """What remains, as it is kept: read only where it is asked for."""

    @property
    def open(self) -> bool:
        """Whether its deliveries may be claimed."""
        return self.parked_at is None and self.paused_at is None

    @property
    def outdone(self) -> bool:
        """Whether something was accepted since it was asked and was not good: it may be so still, nobody knows yet."""
        return self.probe_good is None and bool(self.probe_sentence)

    @property
    def remaining(self) -> tuple[Remaining, ...]:
        """What the last good probe said is left of what runs out; what another release wrote in another way is not told."""
        return tuple(read for one in self.left if (read := _read(one)) is not None)


def _read(one: Mapping[str, Any]) -> Remaining | None:
    try:
        ends_at = one["ends_at"]
        return Remaining(**{**one, "ends_at": ends_at and datetime.fromisoformat(ends_at)})
    except (KeyError, TypeError, ValueError):
        return None


def _written(one: Remaining) -> dict[str, Any]:
    return asdict(one) | {"ends_at": one.ends_at and one.ends_at.isoformat()}


def states(connection: Connection) -> dict[str, ChannelState]:
    """What is known of every channel that was ever parked, paused or probed."""
    return {row["channel"]: _state(row) for row in connection.execute(_STATES).mappings()}


def _state(row: Mapping[Any, Any]) -> ChannelState:
    limits = {name: limit for name, limit in row["limits"].items() if name != _REMAINING}
    return ChannelState(**{**row, "limits": limits, "left": row["limits"].get(_REMAINING, ())})


def state(connection: Connection, channel: str) -> ChannelState:
    """What is known of one channel."""
    return states(connection).get(channel, ChannelState(channel=channel))


def _set(connection: Connection, channel: str, **values: Any) -> None:
    once = {name: value for name, value in _BLANK.items() if name not in values}
    put(connection, t.channel_state, {"channel": channel}, values, once=once)


def park(connection: Connection, channel: str, now: datetime, because: str) -> bool:
    """Stop claiming for a channel the far side refuses as a whole. False when it was parked already."""
    # The row is there and held before it is looked at: of two nodes that park at once, one has parked.
    put(connection, t.channel_state, {"channel": channel}, {}, once=_BLANK)
    parked = select(t.channel_state.c.parked_at).where(t.channel_state.c.channel == channel)
    if connection.scalar(parked.with_for_update()) is not None:
        return False
    _set(connection, channel, parked_at=now, parked_because=because)
    audit.note(connection, now, "engine", "park channel", channel)
    wake(connection)
    return True


def resume(connection: Connection, channel: str, now: datetime, actor: str) -> None:
    """Arm a parked or paused channel again; what waited is due at once.

    Also one that goes on: what is remembered there of suppliers that refuse us is forgotten, on every node.
    """
    _set(connection, channel, parked_at=None, parked_because="", paused_at=None, resumed_at=now)
    _forget_probe(connection, channel, now)
    waiting = and_(
        t.delivery.c.channel == channel,
        t.delivery.c.state == State.WAITING,
        t.is_open(),
        t.delivery.c.released,
    )
    hold_deliveries(connection, waiting)
    connection.execute(sql_update(t.delivery).where(waiting).values(due_at=now))
    audit.note(connection, now, actor, "resume channel", channel)
    wake(connection)


def pause(connection: Connection, channel: str, now: datetime, actor: str) -> None:
    """Stop claiming for a channel because a person said so."""
    _set(connection, channel, paused_at=now)
    audit.note(connection, now, actor, "pause channel", channel)


def record_probe(connection: Connection, channel: str, now: datetime, probe: Probe) -> None:
    """Keep what a probe said; empty limits do not wipe known ones. What remains is as the last good probe said it."""
    values: dict[str, Any] = {
        "probed_at": now,
        "probe_good": probe.good,
        "probe_sentence": probe.sentence,
    }
    if probe.limits or probe.remaining or probe.good:
        known = state(connection, channel)
        told = probe.good or probe.remaining
        left = [_written(one) for one in probe.remaining] if told else known.left
        values["limits"] = dict(probe.limits or known.limits) | {_REMAINING: left}
    _set(connection, channel, **values)


def void_probe(connection: Connection, channel: str, now: datetime) -> None:
    """Something was accepted since a probe until `now` was not good. What it said stays until it is asked again."""
    mine = t.channel_state.c.channel == channel, t.channel_state.c.probed_at <= now
    connection.execute(
        sql_update(t.channel_state)
        .where(*mine, t.channel_state.c.probe_good.is_(False))
        .values(probed_at=None, probe_good=None)
    )


def _forget_probe(connection: Connection, channel: str, now: datetime) -> None:
    """Somebody says that it was mended, whatever it said when it was asked."""
    void_probe(connection, channel, now)
    mine = t.channel_state.c.channel == channel, t.channel_state.c.probe_good.is_(None)
    connection.execute(sql_update(t.channel_state).where(*mine).values(probe_sentence=""))


def queued(connection: Connection) -> dict[str, int]:
    """How many deliveries are still open on each channel, also on channels no longer configured.

    What waits for its time is not the channel's yet.
    """
    rows = connection.execute(
        select(t.delivery.c.channel, func.count())
        .where(t.is_open(), t.delivery.c.released)
        .group_by(t.delivery.c.channel)
    ).all()
    return {row[0]: row[1] for row in rows}


def waiting(
    connection: Connection, *, begun: bool = False, kinds: Collection[Kind] = tuple(Kind)
) -> dict[str, tuple[str, ...]]:
    """The updates ("A7-2") that wait on each channel, oldest first: what `reroute` hands over.

    Args:
        begun: those whose letters are under way as well: what `drop` gives up.
        kinds: only updates of these kinds.
    """
    under_way = and_(
        t.delivery.c.state == State.SENDING,
        t.delivery.c.shape == Shape.LETTER,
        ~t.delivery.c.stopped,
    )
    waits = t.delivery.c.state == State.WAITING
    rows = connection.execute(
        select(t.delivery.c.id, t.delivery.c.channel, t.delivery.c.incident_id)
        .add_columns(t.delivery.c.number, t.incident.c.staff)
        .join(t.incident, t.incident.c.id == t.delivery.c.incident_id)
        .join(t.update, t.update.c.id == t.delivery.c.update_id)
        .where(t.is_open(), t.delivery.c.released, or_(waits, under_way) if begun else waits)
        .where(t.update.c.kind.in_(kinds))
    ).all()
    found: dict[str, dict[str, None]] = {}
    # Sorted here: asked to, SQLite reads every delivery there ever was instead of those that are open.
    for row in sorted(rows, key=lambda row: int(row.id)):
        name = f"{incident_name(row.incident_id, row.staff)}-{row.number}"
        found.setdefault(row.channel, {})[name] = None
    return {channel: tuple(names) for channel, names in found.items()}


def drop(connection: Connection, channel: str, now: datetime, actor: str) -> int:
    """Withdraw what waits on a channel, and stop letters in the middle of it. Returns how many deliveries.

    What waits for its time stays, as in `rerouting`.
    """
    mine = and_(t.delivery.c.channel == channel, t.is_open(), t.delivery.c.released)
    hold_deliveries(connection, mine, t.delivery.c.state.in_([State.WAITING, State.SENDING]))
    detail = f"dropped by {actor}"
    dropped = stop_begun(connection, mine, stopped=True)
    dropped += connection.execute(
        sql_update(t.delivery)
        .where(mine, t.delivery.c.state == State.WAITING)
        .values(state=State.WITHDRAWN, ended_at=now, detail=detail)
    ).rowcount
    dropped += connection.execute(
        sql_update(t.delivery)
        .where(
            mine,
            t.delivery.c.state == State.SENDING,
            t.delivery.c.shape == Shape.LETTER,
            ~t.delivery.c.stopped,
        )
        .values(stopped=True, detail=detail)
    ).rowcount
    audit.note(connection, now, actor, "drop channel queue", channel, deliveries=dropped)
    wake(connection)
    return dropped
