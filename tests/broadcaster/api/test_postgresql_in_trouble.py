"""Whatever PostgreSQL says while something is accepted, the operator hears whether it was stored, and when to come again."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import text

from broadcaster.store import Store
from broadcaster.testing.builders import KEY
from broadcaster.testing.operators import Daemonless
from broadcaster.testing.peers import PostgresServer

pytestmark = pytest.mark.real("postgresql")
KILL = "PERFORM pg_terminate_backend(pg_backend_pid())"


@pytest.fixture(scope="module")
def desk(
    postgresql: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Daemonless]:
    """As the desk of the other tests, over PostgreSQL."""
    running = Daemonless(tmp_path_factory.mktemp("desk"))
    running.store.close()
    url = postgresql.database()
    running.store = running.desk.store = Store(url, KEY)
    with running:
        yield running
    postgresql.drop(url)


@pytest.fixture
def trouble(desk: Daemonless, request: pytest.FixtureRequest) -> Iterator[None]:
    """An update that is being stored meets it: a statement, or at COMMIT."""
    statement, at_commit = request.param
    made = "CONSTRAINT TRIGGER trouble AFTER" if at_commit else "TRIGGER trouble BEFORE"
    deferred = "DEFERRABLE INITIALLY DEFERRED" if at_commit else ""
    run(
        desk,
        f"CREATE FUNCTION trouble() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {statement}; RETURN NEW; END $$",
    )
    run(
        desk,
        f"CREATE {made} INSERT ON incident_update {deferred} FOR EACH ROW EXECUTE FUNCTION trouble()",
    )
    yield
    run(desk, "DROP FUNCTION trouble CASCADE")


def run(desk: Daemonless, statement: str) -> None:
    desk.store.write(lambda c: c.execute(text(statement)).close()).result(20)


def refused(state: str, *, at_commit: bool = False) -> tuple[str, bool]:
    return f"RAISE SQLSTATE '{state}'", at_commit


@pytest.mark.parametrize(
    ("trouble", "status", "told"),
    [
        pytest.param(refused("57014"), 503, "Inget sparades", id="statement time-out"),
        pytest.param(refused("55P03"), 503, "Inget sparades", id="lock time-out"),
        pytest.param(refused("40P01"), 503, "Inget sparades", id="deadlock, five times"),
        pytest.param(refused("40001"), 503, "Inget sparades", id="serialization, five times"),
        pytest.param(refused("57P01"), 503, "Inget sparades", id="shutting down"),
        pytest.param(refused("57P03"), 503, "Inget sparades", id="starting"),
        pytest.param(refused("53300"), 503, "Inget sparades", id="too many connections"),
        pytest.param(refused("53200"), 503, "Inget sparades", id="out of memory"),
        pytest.param(refused("53100"), 507, "Inget sparades", id="disk full"),
        pytest.param(refused("25006"), 503, "Inget sparades", id="read only"),
        pytest.param(refused("25P03"), 503, "Inget sparades", id="idle too long"),
        pytest.param(refused("58030"), 503, "Inget sparades", id="its disk fails"),
        pytest.param(refused("XX000"), 503, "Inget sparades", id="internal error"),
        pytest.param((KILL, False), 503, "Inget sparades", id="connection lost"),
        pytest.param(
            refused("40001", at_commit=True), 503, "Inget sparades", id="refused at COMMIT"
        ),
        pytest.param((KILL, True), 503, "det kan ha blivit sparat", id="connection lost at COMMIT"),
    ],
    indirect=["trouble"],
)
def test_trouble_of_postgresql_is_never_an_unexpected_error(
    desk: Daemonless, trouble: None, status: int, told: str
) -> None:
    report = {"text": "Strömmen är borta.", "area": ["norra-ekbyn"], "quiet": True}
    answer = desk.ask("POST", "/api/v1/incidents", report)
    assert (answer.status, told in answer.detail) == (status, True), answer.detail
    assert ("retry-after" in answer.headers) is (status == 503)
    assert desk.ask("GET", "/api/v1/incidents").json["items"] == []
