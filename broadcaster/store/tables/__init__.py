"""Every table of the store. The store is the outbox: what is to be done is a row, what came of it is a row.

Times are whole microseconds since 1970 UTC (`UtcTime`), so that both databases sort and compare them alike.
"""

from broadcaster.store.tables.base import Id, UtcTime, metadata, microseconds
from broadcaster.store.tables.outbox import (
    attempt,
    audience,
    delivery,
    has_handle,
    incident,
    is_open,
    job,
    job_is_open,
    letter,
    may_be_taken_over,
    message,
    meta,
    step,
    update,
    update_area,
)
from broadcaster.store.tables.people import (
    audit,
    board_progress,
    channel_state,
    due,
    idempotency,
    import_run,
    inbound,
    node,
    subscriber,
    subscription,
    token,
)

__all__ = [
    "Id",
    "UtcTime",
    "attempt",
    "audience",
    "audit",
    "board_progress",
    "channel_state",
    "delivery",
    "due",
    "has_handle",
    "idempotency",
    "import_run",
    "inbound",
    "incident",
    "is_open",
    "job",
    "job_is_open",
    "letter",
    "may_be_taken_over",
    "message",
    "meta",
    "metadata",
    "microseconds",
    "node",
    "step",
    "subscriber",
    "subscription",
    "token",
    "update",
    "update_area",
]
