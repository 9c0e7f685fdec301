"""Who may speak: access tokens. The secret is shown once; the store holds its SHA-256 and its first letters."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Connection, or_, select, update as sql_update

from broadcaster.domain.role import Role
from broadcaster.store import audit, tables as t
from broadcaster.store.errors import StoreError

_MARK = "bc_"
_PREFIX_LENGTH = len(_MARK) + 8
_COARSE = timedelta(minutes=1)


class Refusal(StrEnum):
    """Why a secret is not accepted."""

    UNKNOWN = "unknown"
    EXPIRED = "expired"
    REVOKED = "revoked"


class NoSuchToken(StoreError):
    """No token, or more than one, answers to what was asked for."""


class LastAdmin(StoreError):
    """Without this token nobody could administer any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRecord:
    """A token without its secret. `name` is a person's; no `areas` means every area."""

    id: int
    name: str
    role: Role
    areas: tuple[str, ...]
    prefix: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    used_at: datetime | None


@dataclass(frozen=True, slots=True)
class Found:
    """What a secret stands for: a token, and why it is refused if it is."""

    token: TokenRecord | None
    refusal: Refusal | None

    @property
    def good(self) -> bool:
        """Whether the bearer may go on."""
        return self.refusal is None


def issue(
    connection: Connection,
    now: datetime,
    name: str,
    role: Role,
    areas: Sequence[str],
    expires_at: datetime | None,
    actor: str,
) -> tuple[str, TokenRecord]:
    """Make a token. Returns its secret, 256 random bits that are kept nowhere, and its record."""
    secret = _MARK + secrets.token_urlsafe(32)
    added = connection.execute(
        t.token.insert()
        .values(
            name=name,
            role=role,
            areas=list(areas),
            digest=_digest(secret),
            prefix=secret[:_PREFIX_LENGTH],
            created_at=now,
            expires_at=expires_at,
        )
        .returning(t.token)
    ).one()
    audit.note(connection, now, actor, "add token", added.prefix, role=role, areas=list(areas))
    return secret, _record(added)


def find(connection: Connection, secret: str, now: datetime) -> Found:
    """The token of this secret. Looked up by digest, so that timing tells nothing about the secret."""
    row = connection.execute(select(t.token).where(t.token.c.digest == _digest(secret))).first()
    if row is None:
        return Found(None, Refusal.UNKNOWN)
    token = _record(row)
    if token.revoked_at is not None:
        return Found(token, Refusal.REVOKED)
    if token.expires_at is not None and token.expires_at <= now:
        return Found(token, Refusal.EXPIRED)
    return Found(token, None)


def touch_used(connection: Connection, token_id: int, now: datetime) -> bool:
    """Note that a token was used; at most once a minute, False when it was noted within the last."""
    noted = connection.execute(
        sql_update(t.token)
        .where(
            t.token.c.id == token_id,
            or_(t.token.c.used_at.is_(None), t.token.c.used_at <= now - _COARSE),
        )
        .values(used_at=now)
    )
    return noted.rowcount == 1


def revoke(
    connection: Connection, id_or_prefix: int | str, now: datetime, actor: str
) -> TokenRecord:
    """End a token at once, by its id or by the first letters of its secret; again changes nothing.

    Raises:
        NoSuchToken: nothing, or more than one token, answers to it.
        LastAdmin: it is the only token left that may administer.
    """
    # Every admin row is locked first: two admins must not revoke each other in the same moment.
    admins = connection.execute(_working(now).order_by(t.token.c.id).with_for_update()).all()
    token = _named(connection, id_or_prefix)
    if token.revoked_at is not None:
        return token
    if [row.id for row in admins] == [token.id]:
        raise LastAdmin(
            f"{token.prefix}… ({token.name}) is the last token of an admin: nobody could make another. "
            "Nothing was revoked. Add one first: broadcaster tokens add NAME --role admin"
        )
    row = connection.execute(
        sql_update(t.token)
        .where(t.token.c.id == token.id)
        .values(revoked_at=now)
        .returning(t.token)
    ).one()
    audit.note(connection, now, actor, "revoke token", token.prefix)
    return _record(row)


def listing(connection: Connection) -> tuple[TokenRecord, ...]:
    """Every token ever made, oldest first."""
    rows = connection.execute(select(t.token).order_by(t.token.c.id)).all()
    return tuple(_record(row) for row in rows)


def _working(now: datetime) -> Any:
    return select(t.token.c.id).where(
        t.token.c.role == Role.ADMIN,
        t.token.c.revoked_at.is_(None),
        or_(t.token.c.expires_at.is_(None), t.token.c.expires_at > now),
    )


def _named(connection: Connection, id_or_prefix: int | str) -> TokenRecord:
    # An empty or two-letter prefix would name whoever is alone; a whole secret names its token too.
    mark: ColumnElement[bool]
    if isinstance(id_or_prefix, int):
        mark = t.token.c.id == id_or_prefix
    elif len(id_or_prefix) >= len(_MARK) + 4:
        mark = t.token.c.prefix.startswith(id_or_prefix[:_PREFIX_LENGTH], autoescape=True)
    else:
        raise NoSuchToken(
            f'"{id_or_prefix}" is too short: write at least seven letters of the token.'
        )
    rows = connection.execute(select(t.token).where(mark).limit(2)).all()
    if len(rows) != 1:
        several = "More than one token begins" if rows else "No token begins"
        raise NoSuchToken(
            f'{several} with "{str(id_or_prefix)[:_PREFIX_LENGTH]}": see broadcaster tokens list.'
        )
    return _record(rows[0])


def _digest(secret: str) -> str:
    # Plain SHA-256 is enough: the secret is 256 random bits, not a word that could be guessed.
    return hashlib.sha256(secret.encode()).hexdigest()


def _record(row: Any) -> TokenRecord:
    return TokenRecord(
        id=row.id,
        name=row.name,
        role=Role(row.role),
        areas=tuple(row.areas),
        prefix=row.prefix,
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        used_at=row.used_at,
    )
