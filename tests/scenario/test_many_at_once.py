"""Many operators speak about one incident in the same moment, over both databases."""

from __future__ import annotations

import os
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy import select

from broadcaster.domain.incident import Kind
from broadcaster.service.commands import Refused, Why
from broadcaster.store import tables as t
from broadcaster.testing.rig import Rig

pytestmark = [pytest.mark.scenario]
MANY = 50 if os.environ.get("SOAK") else 16


def at_once(rig: Rig, kinds: list[Kind], seen: int) -> Counter[tuple[Kind, str]]:
    """Each says a word of its kind upon the update that all have seen; a retraction needs none. What they were answered."""
    start = Barrier(len(kinds))

    def speak(number: int, kind: Kind) -> tuple[Kind, str]:
        fields: dict[str, Any] = {} if kind is Kind.RETRACTION else {"expected": seen}
        start.wait(30)
        try:
            rig.say(f"Ord {seen}.{number}.", kind, **fields)
        except Refused as refused:
            return kind, str(refused.why)
        return kind, "accepted"

    with ThreadPoolExecutor(len(kinds)) as operators:
        return Counter(operators.map(speak, range(len(kinds)), kinds))


def test_of_many_who_speak_upon_the_same_state_one_is_heard_and_a_retraction_always(
    store_url: str, tmp_path: Path
) -> None:
    rig = Rig(tmp_path, {"page": {"kind": "page"}}, url=store_url)
    try:
        rig.say("Strömmen är borta.")
        said = at_once(rig, [Kind.UPDATE] * MANY, 1)
        assert said == {(Kind.UPDATE, "accepted"): 1, (Kind.UPDATE, str(Why.STALE)): MANY - 1}
        said = at_once(rig, [Kind.UPDATE, Kind.CORRECTION] * (MANY // 2), 2)
        assert sum(count for (_, end), count in said.items() if end == "accepted") == 1
        assert sum(count for (_, end), count in said.items() if end == str(Why.STALE)) == MANY - 1
        said = at_once(rig, [Kind.RETRACTION] + [Kind.UPDATE] * (MANY - 1), 3)
        assert said[Kind.RETRACTION, "accepted"] == 1
        assert said[Kind.UPDATE, "accepted"] <= 1
        words = rig.store.read(
            lambda c: c.execute(
                select(t.update.c.number, t.update.c.rev_n).order_by(t.update.c.id)
            ).all()
        )
        told = rig.store.read(
            lambda c: c.scalars(
                select(t.audit.c.subject).where(t.audit.c.act == "release").order_by(t.audit.c.id)
            ).all()
        )
    finally:
        rig.stop()
    numbers = list(range(1, len(words) + 1))
    assert [tuple(row) for row in words] == [(number, number) for number in numbers]
    assert told == [f"1-{number}" for number in numbers]
