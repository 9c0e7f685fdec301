"""Who may speak: tokens are made, listed and revoked by administrators."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from broadcaster.service.commands import Operator, Refused, Role, Why
from broadcaster.service.desk import Desk, permit, permit_areas
from broadcaster.service.drafting import area_key
from broadcaster.service.everywhere import permit_everywhere
from broadcaster.service.notices import iso
from broadcaster.settings import Settings
from broadcaster.store import Connection, tokens
from broadcaster.store.tokens import NoSuchToken, TokenRecord

FIRST = "admin"
"""Whose the token of `init` is: everybody's, until everybody has one."""
ENDS_SOON = timedelta(days=14)
"""How long before the end of a token its bearer is told."""
_BEGINS = "bc_"
"""How the secret of every token begins."""


def issue(
    desk: Desk,
    operator: Operator,
    name: str,
    role: Role,
    areas: tuple[str, ...],
    expires: datetime | None,
) -> dict[str, Any]:
    """Make a token. `secret` is in this answer and nowhere else."""
    permit(operator, Role.ADMIN)
    now, settings = desk.clock(), desk.configuration.settings
    keys = tuple(dict.fromkeys(_area(area, settings) for area in areas))
    if not keys:
        permit_everywhere(operator)
    permit_areas(operator, keys)
    if expires is not None and expires <= now:
        raise Refused(
            "{option} {time} is in the past. No token was made.",
            at="expires",
            option="--expires",
            time=expires.astimezone(desk.configuration.zone).isoformat(timespec="minutes"),
        )
    secret, record = desk.write(
        lambda connection: tokens.issue(connection, now, name, role, keys, expires, operator.name)
    )
    return _line(record) | {"secret": secret}


def listing(desk: Desk, operator: Operator) -> dict[str, Any]:
    """Every token ever made, without its secret."""
    permit(operator, Role.ADMIN)
    return {"items": [_line(record) for record in desk.read(tokens.listing)]}


def first_in_use(connection: Connection, now: datetime) -> TokenRecord | None:
    """The token that `init` made, as long as it is good."""
    for record in tokens.listing(connection)[:1]:
        ended = record.revoked_at or (record.expires_at is not None and record.expires_at <= now)
        if record.name == FIRST and not ended:
            return record
    return None


def _area(written: str, settings: Settings) -> str:
    """As `area_key`; a token is no message, of which something might have been sent."""
    try:
        return area_key(written, settings)
    except Refused as error:
        sentence = error.sentence.replace("Nothing was sent.", "No token was made.")
        raise Refused(sentence, error.why, at=error.at, **error.values) from error


def revoke(desk: Desk, operator: Operator, named: str) -> dict[str, Any]:
    """End a token by its number or by the first letters of its secret; it opens nothing more within two seconds.

    Raises:
        Refused, NoSuchToken, LastAdmin: nothing was revoked.
    """
    permit(operator, Role.ADMIN)
    now = desk.clock()
    which = int(named) if named.isascii() and named.isdecimal() and len(named) < 16 else named
    if isinstance(which, str) and not which.startswith(_BEGINS):
        raise Refused(
            'No token is called "{token}" here. Write its number: broadcaster tokens list shows it.',
            Why.NOT_FOUND,
            at="token",
            token=named[:40],
        )

    def work(connection: Connection) -> TokenRecord:
        _refuse_foreign(connection, operator, which)
        return tokens.revoke(connection, which, now, operator.name)

    return _line(desk.write(work))


def _refuse_foreign(connection: Connection, operator: Operator, which: int | str) -> None:
    """Who may speak about some areas only ends tokens for those only."""
    if not operator.areas:
        return
    found = [
        record
        for record in tokens.listing(connection)
        if which == record.id or (isinstance(which, str) and which.startswith(record.prefix))
    ]
    if not found:
        none = "No token begins"  # as the store says it, so that it is retold alike
        raise NoSuchToken(f'{none} with "{str(which)[:11]}": see broadcaster tokens list.')
    for record in found:
        if not record.areas:
            raise Refused(
                "{name} may not revoke the token of {other}: it is for every area.",
                Why.FORBIDDEN,
                name=operator.name,
                other=record.name,
            )
        permit_areas(operator, record.areas)


def _line(record: TokenRecord) -> dict[str, Any]:
    return {
        "id": record.id,
        "prefix": record.prefix,
        "name": record.name,
        "role": str(record.role),
        "areas": list(record.areas),
        "created_at": iso(record.created_at),
        "expires_at": iso(record.expires_at),
        "revoked_at": iso(record.revoked_at),
        "used_at": iso(record.used_at),
    }
