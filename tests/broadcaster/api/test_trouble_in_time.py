"""An accept is answered within five seconds, whatever the store waits for and whatever is queued before it (F09)."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from broadcaster.testing.operators import Daemonless

REPORT = {"text": "Strömmen är borta.", "area": ["norra-ekbyn"]}


@pytest.mark.parametrize("kind", ["report", "retraction"])
def test_behind_an_outcome_that_waits_for_the_database_the_answer_comes_in_time(
    desk: Daemonless, tmp_path: Path, kind: str
) -> None:
    path, body = "/api/v1/incidents", REPORT
    if kind == "retraction":
        name = desk.ask("POST", path, REPORT).json["incident"]
        path, body = f"{path}/{name}/updates", {"kind": "retraction", "text": "Fel plats."}
    before = desk.ask("GET", "/api/v1/incidents").json["items"]
    with closing(sqlite3.connect(tmp_path / "broadcaster.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        desk.store.write(lambda _: None)
        began = time.monotonic()
        answer = desk.ask("POST", path, body)
        took = time.monotonic() - began
        other.execute("ROLLBACK")
    assert answer.status == 503
    assert answer.headers["retry-after"] == "2"
    assert "Inget sparades" in answer.detail
    assert took < 5
    desk.store.write(lambda _: None).result(10)  # nothing that was queued is left
    assert desk.ask("GET", "/api/v1/incidents").json["items"] == before
    assert desk.ask("POST", path, body).status == 201
