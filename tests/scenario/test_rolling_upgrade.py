"""Two versions of the program over one PostgreSQL: the older one stops by itself and says so, the newer one carries on."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from broadcaster.store import StoreTooNew, schema
from broadcaster.testing.history import LABEL
from broadcaster.testing.rig import Rig, webhook
from broadcaster.testing.servers import WebhookReceiver, hang

pytestmark = [
    pytest.mark.scenario,
    pytest.mark.real("postgresql"),
    pytest.mark.timeout(120),
]
NEWER = "9999"


def migrate(url: str) -> None:
    """What the start of a newer version does, as far as the older one can know it."""
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(
            text("UPDATE alembic_version SET version_num = :newer"), {"newer": NEWER}
        )
    engine.dispose()


def machine(folder: Path, name: str, url: str, hook: WebhookReceiver) -> Rig:
    place = folder / name
    place.mkdir()
    return Rig(place, {"hook": webhook(hook)}, url=url, node=name)


def test_an_older_machine_stops_when_a_newer_one_has_migrated_and_says_what_to_do(
    tmp_path: Path, postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with WebhookReceiver() as hook, machine(tmp_path, "older", postgresql_url, hook) as older:
        older.say("Läge i1u1.")
        older.accepted("hook")
        hook.next(hang().after_effect())
        older.say("Läge i2u1.")
        hook.wait_for(2)
        migrate(postgresql_url)
        with pytest.raises(StoreTooNew, match=r"schema 9999.*Nothing was stored.*Upgrade this"):
            older.say("Läge i3u1.")
        hook.release()
        assert isinstance(older.store.broken, StoreTooNew)
        with pytest.raises(StoreTooNew, match="newer version"):
            machine(tmp_path, "older-again", postgresql_url, hook)

        monkeypatch.setattr(schema, "bring_up_to_date", lambda _: NEWER)
        with machine(tmp_path, "newer", postgresql_url, hook) as newer:
            before = len(older.events)
            for number in (4, 5):
                told = newer.say(f"Läge i{number}u1.")
                newer.accepted("hook", incident=told["incident"])
            # That it reaches no store it may tell at any time; it does nothing else.
            assert {event for event, *_ in older.events[before:]} <= {"store"}
    came = Counter(found for text in hook.texts("webhook") for found in set(LABEL.findall(text)))
    assert came == {"i1u1": 1, "i2u1": 1, "i4u1": 1, "i5u1": 1}
