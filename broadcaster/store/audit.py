"""The audit trail: a row for every act, chained by a sealer so that nothing can be changed or lost unseen."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from broadcaster.store.tables import audit


def note(connection: Connection, now: datetime, actor: str, act: str, subject: str, **detail: Any) -> None:
    """Add one row. `subject` and `detail` hold opaque ids and numbers, never an address or a text."""
    connection.execute(
        audit.insert().values(at=now, actor=actor, act=act, subject=subject, detail=detail, seal=None)
    )
