"""Over a way to PostgreSQL that is too slow to be heard in time, a word is refused in time and nothing of it is stored."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from broadcaster.api import guard
from broadcaster.cli import wire
from broadcaster.store import Store, postgres
from broadcaster.testing.builders import KEY
from broadcaster.testing.faultproxy import FaultProxy, slow
from broadcaster.testing.operators import Daemonless

REPORT = {"text": "Strömmen är borta.", "area": ["norra-ekbyn"], "quiet": True}


def test_the_answer_comes_before_the_command_line_stops_waiting() -> None:
    assert guard.LOOKED_UP + postgres.ANSWERED < wire.ANSWER


@pytest.mark.real("postgresql")
def test_a_word_over_a_slow_way_is_refused_and_can_be_said_again(
    postgresql_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Daemonless(tmp_path)
    desk.store.close()
    with FaultProxy(int(make_url(postgresql_url).port or 0)) as link:
        far = str(make_url(postgresql_url).set(port=link.port))
        desk.store = desk.desk.store = Store(far, KEY)
        with desk:
            assert desk.ask("GET", "/api/v1/incidents").json["items"] == []
            monkeypatch.setattr(guard, "LOOKED_UP", 0.5)
            link.trouble = slow(0.2)
            answer = desk.ask("POST", "/api/v1/incidents", REPORT)
            link.trouble = None
            assert (answer.status, "Inget sparades" in answer.detail) == (503, True), answer.detail
            assert answer.headers["retry-after"] == "2"
            monkeypatch.undo()
            assert desk.ask("GET", "/api/v1/incidents").json["items"] == []
            assert desk.ask("POST", "/api/v1/incidents", REPORT).status == 201
