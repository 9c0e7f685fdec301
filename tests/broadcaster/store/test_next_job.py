"""What is done for every job of a blast costs the same however many jobs are still to be done."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from broadcaster.store import Store, claiming, expanding, finishing, letters
from broadcaster.testing import builders
from broadcaster.testing.builders import KEY

NOW = datetime(2026, 11, 23, 14, 5, tzinfo=UTC)
Work = Callable[[Connection], Any]
DONE_FOR_EVERY_JOB: dict[str, Work] = {
    "claim": partial(letters.claim_job, channel="sms", node="norr", now=NOW, supplier="first"),
    "look for an end": partial(finishing.finish, channel="sms", now=NOW),
}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(f"sqlite:///{tmp_path}/broadcaster.db", KEY)
    yield opened
    opened.close()


def blast(store: Store) -> None:
    """Accept an update and turn its audience into jobs."""
    builders.tell(store, builders.letters("sms"), now=NOW)
    claim = partial(claiming.claim, channel="sms", node="norr", now=NOW, limit=1)
    (claimed,) = store.write(claim).result()
    expand = partial(expanding.expand, delivery_id=claimed.id, lease_token=claimed.lease_token)
    assert store.write(partial(expand, now=NOW, chunks=500)).result()


def steps(work: Work, connection: Connection) -> int:
    """How many steps of its machine SQLite takes for `work`: no clock, so no other load counts."""
    driver: Any = connection.connection.driver_connection
    taken = 0

    def step() -> None:
        nonlocal taken
        taken += 1

    driver.set_progress_handler(step, 1)
    work(connection)
    driver.set_progress_handler(None, 1)
    return taken


@pytest.mark.parametrize("what", DONE_FOR_EVERY_JOB)
def test_a_job_costs_the_same_however_many_are_still_to_be_done(
    store: Store, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    monkeypatch.setattr(expanding, "CHUNK", 1)
    builders.subscribe(store, "sms", [f"+4670{number:07}" for number in range(200)])
    cost = partial(steps, DONE_FOR_EVERY_JOB[what])
    blast(store)
    many = store.write(cost).result()
    store.write(
        lambda connection: connection.exec_driver_sql(
            "UPDATE job SET state = 'done' WHERE id > 10"
        ).close()
    ).result()
    few = store.write(cost).result()
    assert 0 < many < 1.5 * few  # an index that is deeper by a page, at most
