"""The bench measures what it says: its far end, its seeded histories and subscribers, and its verdicts are true."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import lxml.etree
import pytest
import requests
from sqlalchemy import Connection, func, select, text

from broadcaster.domain.incident import Mode
from broadcaster.store import Store, boards, expanding, subscribers, tables as t
from broadcaster.store.intents import NewAudience
from broadcaster.testing.blank import blank
from broadcaster.testing.builders import KEY
from tests.bench import past, people
from tests.bench.growth import draw
from tests.bench.machine import percentile
from tests.bench.sinks import Noting
from tests.bench.table import FLOOR, MET, MISSED, TOLD, Row, load, markdown, save


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(blank(tmp_path / "broadcaster.db"), KEY)
    yield made
    made.close()


def _count(connection: Connection, statement: str) -> int:
    return int(connection.scalar(text(statement)) or 0)


def test_a_repeated_history_is_whole_and_reads_as_one_that_was_told(store: Store) -> None:
    past.tell(store, 900, still_open=4)
    with store._read_engine.connect() as connection:
        assert connection.execute(text("PRAGMA foreign_key_check")).all() == []
        assert _count(connection, "SELECT count(*) FROM incident_update") == 900 + 2 * 4
        assert _count(connection, "SELECT count(*) FROM step WHERE outcome <> 'accepted'") == 0
        assert _count(connection, "SELECT count(*) FROM delivery WHERE state <> 'accepted'") == 0
        revisions = connection.execute(
            select(func.count(), func.min(t.update.c.rev_n), func.max(t.update.c.rev_n))
        ).one()
    assert tuple(revisions) == (908, 1, 908)
    now = datetime.now(UTC)
    board = store.read(lambda connection: boards.board(connection, None, now, Mode.LIVE))
    assert len(board.open) == 4
    assert board.archive_pages == 7
    assert all(told.opened_at <= told.closed_at <= now for told in board.recent if told.closed_at)


def test_seeded_subscribers_are_whom_an_audience_finds_and_their_addresses_open(
    store: Store,
) -> None:
    people.subscribe(store, 1_200)
    audience = NewAudience(variant="news", areas=("norra-ekbyn",))  # type: ignore[arg-type] # as the store keeps it
    found = store.read(lambda c: subscribers.reached(c, "sms", audience, 1))
    assert found == {"sv": 1_200}
    kept = store.read(lambda c: subscribers.page(c, 0, None))
    numbers = {store.vault.open(one.channel, one.address) for one in kept}
    assert len(numbers) == len(kept) == 1_000
    assert all(len(number) == 12 and number.startswith("+4670") for number in numbers)
    assert expanding.CHUNK == 500  # what the bench calls a job


def test_the_far_end_notes_what_came_where_and_when() -> None:
    with Noting() as far:
        for number in (7, 8):
            requests.post(f"{far.url}/c1/in", json={"text": f"Nr {number}. Borta."}, timeout=5)
        requests.post(
            f"{far.url}/send", json={"to": "+46", "text": "Nr 7.", "ref": "1.2.3"}, timeout=5
        )
        came = far.arrivals()
        assert [key for key, _ in came["/c1/in"]] == ["7", "8"]
        assert came["/c1/in"][0][1] < came["/c1/in"][1][1]
        assert [key for key, _ in came["/send"]] == ["1.2.3"]
        assert (far.count(), far.arrivals()) == (3, {})


def test_a_figure_is_judged_by_its_ratio_in_the_direction_that_is_better() -> None:
    def verdict(value: float, of: float = 0.0, *, more: bool = False) -> str:
        return Row(
            group="g",
            what="w",
            value=value,
            unit="/s",
            of=of,
            floor=4,
            target=8 if more else 2,
            more=more,
        ).verdict

    assert [verdict(each, 10) for each in (20, 40, 41)] == [MET, FLOOR, MISSED]
    assert [verdict(each, more=True) for each in (8, 4, 3.9)] == [MET, FLOOR, MISSED]
    assert Row(group="g", what="w", value=1, unit="s").verdict == TOLD


def test_a_table_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    rows = [Row(group="g", what="w", value=1234.5, unit="ms", of=2.0, limit="C1", target=700)]
    save(tmp_path / "table.json", rows, ["a machine"])
    assert load(tmp_path / "table.json") == rows
    assert "| 1,234 ms | C1 = 2 | 617 |" in markdown(rows)


def test_a_percentile_is_a_value_that_was_measured() -> None:
    assert percentile([3.0, 1.0, 2.0], 0.99) == 3.0
    assert percentile(list(map(float, range(1, 201))), 0.99) == 199.0


def test_the_drawing_of_growth_holds_a_line_for_every_cost() -> None:
    costs = {"accept": {"300": 7.0, "99900": 9.0}, "claim": {"300": 0.7, "99900": 0.8}}
    drawn = draw({"history, SQLite": costs, "open incidents": {"page": {"10": 5.0, "500": 60.0}}})
    root = lxml.etree.fromstring(drawn.encode())
    points = root.findall(".//{http://www.w3.org/2000/svg}circle")
    assert len(points) == 6
    places = [(float(point.get("cx", "")), float(point.get("cy", ""))) for point in points]
    assert all(place[1] < after[1] for after, place in zip(places[0::2], places[1::2], strict=True))
