"""How far corrections and retractions have come, and how long they took, as JSON."""

from __future__ import annotations

from typing import Any

from broadcaster.domain.incident import Kind
from broadcaster.store import Connection, correcting
from broadcaster.store.correcting import Correcting, Took
from broadcaster.store.incidents import IncidentRecord, UpdateRecord


def all_took(connection: Connection, record: IncidentRecord) -> dict[int, list[Took]]:
    """What each correction or retraction of an incident that went out came to, by its number."""
    return {
        update.said.number: correcting.took(connection, _correcting(record, update))
        for update in record.updates
        if update.said.kind in (Kind.CORRECTION, Kind.RETRACTION)
        and update.said.released_at is not None
    }


def _correcting(record: IncidentRecord, update: UpdateRecord) -> Correcting:
    said = update.said
    return Correcting(
        update.id, record.id, said.number, said.corrects, update.corrects_all, said.accepted_at
    )


def corrected(found: list[Took] | None) -> dict[str, Any] | None:
    """On how many of the channels that had the wrong text it is put right; None where none had it."""
    if not found:
        return None
    there = [one for one in found if one.seconds is not None]
    slowest = max(there, key=lambda one: one.seconds or 0.0, default=None)
    return {
        "channels": len(found),
        "corrected": len(there),
        "slowest": slowest.channel if slowest else "",
        "seconds": slowest.seconds if slowest else None,
        "lacking": [one.channel for one in found if one.seconds is None],
    }
