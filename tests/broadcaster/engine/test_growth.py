"""What is done at every word costs the same however long the history is: no statement reads a table that grows."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event

from broadcaster.domain.incident import Kind
from broadcaster.service import status
from broadcaster.testing.rig import OPERATOR, Rig, mastodon, numbers, sms, webhook
from broadcaster.testing.servers import MastodonServer, SmsGateway, WebhookReceiver

SMALL = {"channel_state", "node", "board_progress", "meta"}  # a row a channel or node
OPEN = {  # indexes of what is open now only
    "ix_incident_open",
    "ix_delivery_open",
    "ix_delivery_fallback",
    "ix_due_open",
    "ix_job_open",
    "ix_audit_unsealed",
    "ix_inbound_open",
    "ix_incident_update_hold",
}
_SCAN = re.compile(r"SCAN (\w+)(?: USING (?:COVERING )?INDEX (\w+))?")


@pytest.fixture
def statements() -> Iterator[Mapping[str, Any]]:
    """Every statement of the test, with the values it was first run with."""
    seen: dict[str, Any] = {}

    def note(_: Any, __: Any, statement: str, values: Any, ___: Any, many: bool) -> None:
        # Many rows that are to say their ids are inserted one by one.
        seen.setdefault(statement, values[0] if many and isinstance(values, list) else values)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(Engine, "before_cursor_execute", note)


def reads_all(database: sqlite3.Connection, statement: str, values: Any) -> list[str]:
    """The tables that grow of which SQLite would read every row; one that is read from its end stops at once."""
    if not statement.lstrip().upper().startswith(("SELECT", "UPDATE", "DELETE", "INSERT")):
        return []
    plan = [row[3] for row in database.execute(f"EXPLAIN QUERY PLAN {statement}", values)]
    found = [scan for line in plan if (scan := _SCAN.fullmatch(line))]
    newest = re.search(r"ORDER BY \w+\.id DESC\s+LIMIT", statement) is not None
    return [
        scan[0]
        for scan in found
        if scan[1] not in SMALL and scan[2] not in OPEN and not (newest and "audit" in scan[1])
    ]


@pytest.mark.slow
def test_no_statement_of_a_words_way_reads_a_table_that_grows(
    tmp_path: Path, statements: dict[str, Any]
) -> None:
    with WebhookReceiver() as hook, MastodonServer() as social, SmsGateway() as gateway:
        channels = {
            "hook": webhook(hook),
            "social": mastodon(social),
            "sms": sms(gateway),
            "page": {"kind": "page"},
            "feed": {"kind": "feed"},
        }
        with Rig(tmp_path, channels) as engine:
            engine.subscribe("sms", numbers(30))
            engine.say("Annat är borta.")
            for channel in engine.adapters:
                engine.accepted(channel, 1)
            statements.clear()  # those of the start, once, with the first that the boards show
            words: list[tuple[str, Kind]] = [
                ("Borta.", Kind.REPORT),
                ("Fler är borta.", Kind.UPDATE),
                ("Färre är borta.", Kind.CORRECTION),
                ("", Kind.RETRACTION),
                ("", Kind.HOLDING),
                ("Åter.", Kind.RESTORED),
            ]
            for number, (text, kind) in enumerate(words, start=1):
                engine.say(text, kind, incident=None if kind is Kind.REPORT else "A2")
                for channel in engine.adapters:
                    engine.accepted(channel, number, "A2")
            engine.sweep()
            status.listing(engine.desk, OPERATOR, only_open=True, limit=50, cursor="")
            status.all_deliveries(engine.desk, OPERATOR, "A2", "en")
        with sqlite3.connect(tmp_path / "broadcaster.db") as database:
            slow = {
                " ".join(statement.split())[:200]: tables
                for statement, values in statements.items()
                if (tables := reads_all(database, statement, values))
            }
    database.close()
    assert len(statements) > 100
    assert slow == {}
