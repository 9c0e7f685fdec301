"""Who is written to: addresses as ciphertext, found by their digest, subscribed to areas.

A subscriber without any subscription has said no: the row stays, so that an old list does not bring him back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import itemgetter
from types import SimpleNamespace
from typing import Any

from sqlalchemy import (
    Connection,
    Table,
    bindparam,
    delete,
    func,
    insert,
    select,
    update as sql_update,
)
from sqlalchemy.dialects import postgresql, sqlite

from broadcaster.domain.choices import Choices
from broadcaster.store import audit, choosing, consents, gone, summing, tables as t
from broadcaster.store.expanding import members
from broadcaster.store.intents import NewAudience

_NEWEST = 2**62
_PAGE = 1_000
_NOTHING_CHOSEN = choosing.columns(Choices(areas=(), language=""))


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSubscriber:
    """One address to be written to about some areas; `address` is sealed, `digest` finds it.

    `choices` is what its owner chose elsewhere; it holds for one that is new here.
    """

    digest: bytes
    address: bytes
    language: str
    areas: frozenset[str]
    choices: Choices | None = None


@dataclass(frozen=True, slots=True)
class Taken:
    """What came of a batch: how many were new, how many known ones changed, and who had said no."""

    added: int
    changed: int
    declined: frozenset[bytes]


@dataclass(frozen=True, slots=True)
class Kept:
    """One subscriber as kept; `gone_at`: since when his address is no more, `by_himself`: whether he chose for himself."""

    id: int
    channel: str
    address: bytes
    language: str
    areas: tuple[str, ...]
    gone_at: datetime | None
    choices: Choices
    by_himself: bool


# ----------------------------------------------------------------------------------------------------------- taking an import
def begin_import(
    connection: Connection, now: datetime, actor: str, channel: str, source: str, legal_basis: str
) -> int:
    """Note where addresses come from and why they may be used. Returns the import's id."""
    key = connection.execute(
        insert(t.import_run).values(
            at=now,
            actor=actor,
            channel=channel,
            source=source,
            legal_basis=legal_basis,
            added=0,
            changed=0,
            refused=0,
        )
    ).inserted_primary_key
    assert key is not None  # noqa: S101 - the table has one generated key
    return int(key[0])


def end_import(
    connection: Connection, import_id: int, now: datetime, actor: str, counts: Mapping[str, int]
) -> None:
    """Note what came of an import."""
    connection.execute(
        sql_update(t.import_run).where(t.import_run.c.id == import_id).values(**counts)
    )
    audit.note(connection, now, actor, "import subscribers", str(import_id), **counts)


def take(
    connection: Connection,
    import_id: int,
    channel: str,
    key_id: str,
    rows: Sequence[NewSubscriber],
    *,
    again: bool,
) -> Taken:
    """Take a batch of at most some thousands, each address once. Known ones get what they lack and lose nothing.

    Args:
        again: also take who had said no, and write again to whose address is no more.
    """
    known = _known(connection, channel, rows)
    # Whoever chose for himself keeps what he chose: no register knows it better.
    chosen = consents.standing(connection, channel, [row.digest for row in rows])
    areas = _areas_of(connection, [found.id for found in known.values()])
    silent = {digest for digest, found in known.items() if not areas.get(found.id)}
    declined = frozenset() if again else frozenset(silent)
    wanted = [row for row in rows if row.digest not in declined]
    came = _add(
        connection, import_id, channel, key_id, [row for row in wanted if row.digest not in known]
    )
    added = [found for found in came.values() if found.import_id == import_id]
    ids = {digest: found.id for digest, found in (known | came).items()}
    respoken = [
        row
        for row in wanted
        if row.digest in known.keys() - chosen and known[row.digest].language != row.language
    ]
    _respeak(connection, [(ids[row.digest], row.language) for row in respoken])
    # A register that is imported each night names dead addresses too.
    dead = {digest for digest, found in known.items() if found.gone_at is not None}
    back = [ids[row.digest] for row in wanted if row.digest in dead] if again else []
    gone.forget(connection, back)
    _bring_back(connection, [*(ids[digest] for digest in silent - declined), *back], import_id)
    missing = [
        (ids[row.digest], area)
        for row in wanted
        if row.digest not in chosen
        for area in sorted(row.areas - areas.get(ids[row.digest], set()))
    ]
    _insert(
        connection,
        t.subscription,
        [{"subscriber_id": key, "channel": channel, "area": area} for key, area in missing],
    )
    old = {found.id for found in known.values()}
    changed = {ids[row.digest] for row in respoken} | {key for key, _ in missing if key in old}
    changed |= set(back)
    return Taken(len(added), len(changed), declined)


def _known(connection: Connection, channel: str, rows: Sequence[NewSubscriber]) -> dict[bytes, Any]:
    """Those who are there, by digest, and held: who leaves or is erased does so before this write or after it."""
    found = connection.execute(
        select(
            t.subscriber.c.digest,
            t.subscriber.c.id,
            t.subscriber.c.language,
            t.subscriber.c.import_id,
            t.subscriber.c.gone_at,
        )
        .where(
            t.subscriber.c.channel == channel,
            t.subscriber.c.digest.in_([row.digest for row in rows]),
        )
        .order_by(t.subscriber.c.id)
        .with_for_update()
    ).all()
    return {row.digest: row for row in found}


def _add(
    connection: Connection,
    import_id: int,
    channel: str,
    key_id: str,
    rows: Sequence[NewSubscriber],
) -> dict[bytes, Any]:
    """Add those who were not there. What comes back may have been added by another import meanwhile."""
    common = {"channel": channel, "key_id": key_id, "import_id": import_id}
    new = [
        common
        | {"address": row.address, "digest": row.digest, "language": row.language}
        | (choosing.columns(row.choices) if row.choices else _NOTHING_CHOSEN)
        for row in rows
    ]
    _insert(connection, t.subscriber, _numbered(connection, new))
    return _known(connection, channel, rows)


def _numbered(
    connection: Connection, rows: Sequence[Mapping[str, Any]]
) -> Sequence[Mapping[str, Any]]:
    """Numbered in their order, which an export keeps, and put in by digest: no two imports wait for each other."""
    if connection.dialect.name == "sqlite":
        return rows  # one writes at a time
    drawn = func.nextval(func.pg_get_serial_sequence(t.subscriber.name, "id"))
    places = func.generate_series(1, len(rows))
    ids = sorted(connection.scalars(select(drawn).select_from(places)))
    numbered = [{"id": key} | dict(row) for key, row in zip(ids, rows, strict=True)]
    return sorted(numbered, key=itemgetter("digest"))


def _areas_of(connection: Connection, ids: Sequence[int]) -> dict[int, set[str]]:
    areas: dict[int, set[str]] = {}
    for row in connection.execute(
        select(t.subscription.c.subscriber_id, t.subscription.c.area).where(
            t.subscription.c.subscriber_id.in_(ids)
        )
    ):
        areas.setdefault(row.subscriber_id, set()).add(row.area)
    return areas


def _insert(connection: Connection, table: Table, rows: Sequence[Mapping[str, object]]) -> None:
    """Insert what another import has not inserted meanwhile."""
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    if rows:
        connection.execute(dialect.insert(table).on_conflict_do_nothing(), list(rows))


def _respeak(connection: Connection, languages: Sequence[tuple[int, str]]) -> None:
    if languages:
        connection.execute(
            sql_update(t.subscriber)
            .where(t.subscriber.c.id == bindparam("which"))
            .values(language=bindparam("spoken")),
            [{"which": key, "spoken": language} for key, language in languages],
        )


def _bring_back(connection: Connection, ids: Sequence[int], import_id: int) -> None:
    """Who had said no, or was no more, is here by this import.

    A restored backup must not erase him for what he said before it, nor a letter that comes back late silence him.
    """
    if ids:
        connection.execute(
            sql_update(t.subscriber).where(t.subscriber.c.id.in_(ids)).values(import_id=import_id)
        )


# ------------------------------------------------------------------------------------------------- leaving and going
def remove(
    connection: Connection,
    channel: str,
    digest: bytes,
    areas: Sequence[str] | None,
    now: datetime,
    actor: str,
    by: str = consents.OPERATOR,
) -> int | None:
    """End the subscriptions of an address to these areas (None: all). How many, or None: there is no such address.

    With the last of them ends his consent, `by` himself or an operator.
    """
    key = _held(connection, channel, digest)
    if key is None:
        return None
    query = delete(t.subscription).where(t.subscription.c.subscriber_id == key)
    if areas is not None:
        query = query.where(t.subscription.c.area.in_(areas))
    ended = connection.execute(query).rowcount
    if not _areas_of(connection, [key]):
        consents.end(connection, channel, digest, now, by)
        choosing.silence(connection, channel, digest)
    audit.note(connection, now, actor, "remove subscriber", str(key), subscriptions=ended)
    return ended


def erase(connection: Connection, channel: str, digest: bytes, now: datetime, actor: str) -> bool:
    """Delete an address for good. False when it was not there. SQLite overwrites it (secure_delete), also in its log.

    With it goes what its owner asked for and what was written to him alone; that he once agreed stays, by the digest.
    """
    key = _held(connection, channel, digest)
    asked = choosing.forget(connection, channel, digest, now)
    if key is not None:
        connection.execute(delete(t.subscription).where(t.subscription.c.subscriber_id == key))
        connection.execute(delete(t.subscriber).where(t.subscriber.c.id == key))
    audit.note(connection, now, actor, "erase subscriber", str(key or ""))
    connection.info["checkpoint"] = True
    return key is not None or asked > 0


def _held(connection: Connection, channel: str, digest: bytes) -> int | None:
    """The id of a subscriber, whom no import can change until this is committed; None: there is no such."""
    key: int | None = connection.scalar(
        select(t.subscriber.c.id)
        .where(t.subscriber.c.channel == channel, t.subscriber.c.digest == digest)
        .with_for_update()
    )
    return key


# ------------------------------------------------------------------------------------------------------------ reading
def reached(
    connection: Connection, channel: str, group: NewAudience, incident_id: int
) -> dict[str, int]:
    """How many addresses an audience would have if it were released now, by their language."""
    audience = SimpleNamespace(
        members_of=channel,
        areas=list(group.areas) if group.areas is not None else None,
        upto=_NEWEST,
        had=list(group.had),
        had_not=list(group.had_not),
    )
    delivery = SimpleNamespace(incident_id=incident_id, fallback_for=None)
    summed = summing.anybody_read(connection, incident_id)
    ids = members(delivery, audience, 0, summed=summed).order_by(None)
    rows = connection.execute(
        select(t.subscriber.c.language, func.count())
        .where(t.subscriber.c.id.in_(ids), t.subscriber.c.gone_at.is_(None))
        .group_by(t.subscriber.c.language)
    ).all()
    return {row[0]: int(row[1]) for row in rows}


def count(connection: Connection, areas: Iterable[str] | None = None) -> list[tuple[str, str, int]]:
    """(channel, area, how many), by channel and area; only of `areas` when they are named."""
    query = (
        select(t.subscription.c.channel, t.subscription.c.area, func.count())
        .group_by(t.subscription.c.channel, t.subscription.c.area)
        .order_by(t.subscription.c.channel, t.subscription.c.area)
    )
    if areas is not None:
        query = query.where(t.subscription.c.area.in_(list(areas)))
    return [(row[0], row[1], int(row[2])) for row in connection.execute(query)]


def without_readers(connection: Connection, channel: str, areas: Iterable[str]) -> list[str]:
    """Those of the areas in which nobody who can be written to subscribes to the channel; one look into an index each."""
    query = (
        select(t.subscriber.c.id)
        .join(t.subscription, t.subscription.c.subscriber_id == t.subscriber.c.id)
        .where(
            t.subscription.c.channel == channel,
            t.subscription.c.area == bindparam("of_area"),
            t.subscriber.c.gone_at.is_(None),
        )
        .limit(1)
    )
    return [area for area in areas if connection.scalar(query, {"of_area": area}) is None]


def page(connection: Connection, after: int, areas: Iterable[str] | None) -> list[Kept]:
    """The next thousand subscribers with ids above `after`, with their areas among `areas` (None: all); [] at the end."""
    allowed = None if areas is None else list(areas)
    rows = connection.execute(
        select(t.subscriber)
        .where(t.subscriber.c.id > after)
        .order_by(t.subscriber.c.id)
        .limit(_PAGE)
    ).all()
    found = _areas_of(connection, [row.id for row in rows])
    chose = {
        (channel, digest)
        for channel in {row.channel for row in rows}
        for digest in consents.standing(connection, channel, [row.digest for row in rows])
    }
    return [
        Kept(
            row.id,
            row.channel,
            row.address,
            row.language,
            mine,
            row.gone_at,
            choosing.choices_of(mine, row._asdict()),
            (row.channel, row.digest) in chose,
        )
        for row in rows
        for mine in [_among(found.get(row.id, set()), allowed)]
    ]


def _among(areas: set[str], allowed: Sequence[str] | None) -> tuple[str, ...]:
    return tuple(sorted(areas if allowed is None else areas & set(allowed)))
