"""What readers of a channel that was away are told they missed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from broadcaster.domain.delivery import Shape
from broadcaster.domain.incident import Audience, Kind, Severity
from broadcaster.domain.plan import Reach, Unheard, missed

NOW = datetime(2026, 11, 22, 14, 5, tzinfo=UTC)
AGO = NOW - timedelta(minutes=5)


def reach(*areas: str, severity: Severity = Severity.SEVERE) -> Reach:
    return Reach(Kind.UPDATE, Audience.PUBLIC, severity, frozenset(areas), frozenset({"a-channel"}))


def told(word: Unheard, new: Reach) -> bool:
    return missed([word], new, NOW) == (word.released_at,)


@pytest.mark.parametrize(("shape", "heard_of"), [(Shape.POST, True), (Shape.LETTER, False)])
def test_a_letter_is_missed_only_by_readers_of_its_areas(shape: Shape, heard_of: bool) -> None:
    word = Unheard(AGO, reach("norra"), shape, waits=False)
    assert told(word, reach("sodra")) is heard_of
    assert told(word, reach("norra", "sodra"))


@pytest.mark.parametrize("waits", [True, False])
def test_what_will_yet_come_is_not_missed(waits: bool) -> None:
    milder = reach("norra", severity=Severity.MINOR)  # it takes the place of nothing that is graver
    assert told(Unheard(AGO, reach("norra"), Shape.POST, waits), milder) is not waits


def test_what_was_said_just_now_is_not_missed() -> None:
    assert not told(Unheard(NOW, reach("norra"), Shape.POST, waits=False), reach("norra"))
