"""A store that cannot keep its promise is answered with a refusal, never with a yes (I1, T57)."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import structlog

from broadcaster.service import previewing
from broadcaster.store import StoreBroken, StoreBusy, StoreCorrupt, StoreFull
from broadcaster.testing.operators import Daemonless

REPORT = {"text": "Strömmen är borta.", "area": ["norra-ekbyn"]}


def test_a_full_disk_is_said_and_nothing_is_accepted(desk: Daemonless, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "broadcaster.db")) as database:
        pages = database.execute("PRAGMA page_count").fetchone()[0]
    # The writer's connection is in its hands: the limit of the file is set through a write.
    desk.store.write(lambda c: c.exec_driver_sql(f"PRAGMA max_page_count={pages + 2}")).result()
    statuses = set()
    for number in range(40):
        answer = desk.ask(
            "POST", "/api/v1/incidents", REPORT | {"text": f"{number} " * 2_000, "quiet": True}
        )
        statuses.add(answer.status)
        if answer.status != 201:
            break
    assert answer.status == 507
    assert "location" not in answer.headers
    assert "Inget sparades" in answer.detail
    accepted = desk.ask("GET", "/api/v1/incidents?limit=500").json["items"]
    assert len(accepted) == number
    desk.store.write(lambda c: c.exec_driver_sql("PRAGMA max_page_count=1000000")).result()
    assert desk.ask("POST", "/api/v1/incidents", REPORT).status == 201


def test_a_locked_store_is_said_with_when_to_come_again(desk: Daemonless, tmp_path: Path) -> None:
    other = sqlite3.connect(tmp_path / "broadcaster.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        answer = desk.ask("POST", "/api/v1/incidents", REPORT)
    finally:
        other.execute("ROLLBACK")
        other.close()
    assert answer.status == 503
    assert answer.headers["retry-after"] == "2"
    assert desk.ask("GET", "/api/v1/incidents").json["items"] == []
    assert desk.ask("POST", "/api/v1/incidents", REPORT).status == 201


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (StoreFull("The disk is full or cannot be written. Nothing was stored."), 507),
        (StoreBusy("Another program holds the database file."), 503),
        (StoreBroken("The disk refused to keep what was written."), 503),
        (StoreCorrupt("The database file is damaged."), 503),
    ],
)
def test_after_a_broken_promise_of_the_disk_nothing_more_is_accepted(
    desk: Daemonless, error: Any, status: int
) -> None:
    desk.store._writer.broken = error  # as the writer notes it when fsync fails
    answer = desk.ask("POST", "/api/v1/incidents", REPORT)
    assert answer.status == status
    desk.store._writer.broken = None
    assert desk.ask("GET", "/api/v1/incidents").json["items"] == []


def test_what_nobody_foresaw_tells_nothing_but_the_mark_it_has_in_the_log(
    desk: Daemonless, monkeypatch: pytest.MonkeyPatch
) -> None:
    def burst(*_: object) -> None:
        raise ZeroDivisionError("secret-of-the-inside")

    monkeypatch.setattr(previewing, "preview", burst)
    with structlog.testing.capture_logs() as logs:
        answer = desk.ask("POST", "/api/v1/preview", REPORT)
    assert answer.status == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert b"secret-of-the-inside" not in answer.content
    assert b"ZeroDivision" not in answer.content
    mark = answer.json["mark"]
    assert mark in answer.detail
    (logged,) = [line for line in logs if line.get("mark") == mark]
    assert isinstance(logged["exc_info"], ZeroDivisionError)


def test_readiness_names_what_is_degraded_and_nothing_more(desk: Daemonless) -> None:
    desk.ready = False
    desk.degraded = [{"what": "parked", "where": "sms", "sentence": "sms.example refuses us."}]
    answer = desk.ask("GET", "/readyz", token="")
    assert answer.status == 503
    assert answer.json == {"ready": False, "degraded": [{"what": "parked", "where": "sms"}]}
    assert desk.ask("GET", "/healthz", token="").json == {"status": "ok"}
