"""The audit trail as an operator reads it."""

from __future__ import annotations

from typing import Any

from broadcaster.service.commands import Operator, Role
from broadcaster.service.desk import Desk, permit
from broadcaster.service.notices import iso
from broadcaster.store import audit


def listing(desk: Desk, operator: Operator, after: int, limit: int) -> dict[str, Any]:
    """Acts with ids above `after`, oldest first; `next` goes on from there, null at the end."""
    permit(operator, Role.VIEWER)
    rows = desk.read(lambda connection: audit.listing(connection, after, limit))
    items = [
        {
            "id": row.id,
            "at": iso(row.at),
            "actor": row.actor,
            "act": row.act,
            "subject": row.subject,
            "detail": dict(row.detail),
            "seal": row.seal,
        }
        for row in rows
    ]
    return {"items": items, "next": rows[-1].id if len(rows) == limit else None}


def verify(desk: Desk, operator: Operator) -> dict[str, Any]:
    """Check the whole chain against itself and against the heads exported before."""
    permit(operator, Role.VIEWER)
    path = desk.configuration.settings.audit_head
    anchors = audit.read_heads(path) if path.exists() else ()
    problems = desk.read(lambda connection: audit.verify(connection, anchors))
    head = desk.read(audit.head)
    told = [desk.configuration.retell(problem) for problem in problems]
    return {"problems": told, "sealed": head.id, "head": head.seal}
