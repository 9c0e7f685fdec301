"""The judge itself is judged: on doctored histories it must report exactly what is wrong."""

from __future__ import annotations

from dataclasses import replace

from broadcaster.testing.crashing import Told
from broadcaster.testing.verdict import (
    Arrived,
    after_taken_back,
    duplicates,
    lost,
    not_followed,
    out_of_order,
)

TOLD = [
    Told("i1u1", "A1", 1, "report", "severe", "", 100.0),
    Told("i1u2", "A1", 2, "update", "moderate", "", 110.0),
    Told("i1u3", "A1", 3, "retraction", "moderate", "i1u2", 120.0),
]
READERS = ["+46701740605", "+46701740606"]
GOOD = [
    Arrived(label, to, at)
    for label, at in (("i1u1", 101.0), ("i1u2", 111.0), ("i1u3", 121.0))
    for to in READERS
]


def test_a_clean_history_is_clean() -> None:
    assert lost(TOLD, GOOD, READERS) == []
    assert not_followed(TOLD, GOOD) == []
    assert duplicates(GOOD) == {}
    assert out_of_order(TOLD, GOOD) == []
    assert after_taken_back(TOLD, GOOD) == []


def test_a_lost_text_is_reported() -> None:
    assert lost(TOLD, GOOD[1:], READERS) == ["i1u1 never came to 1 of 2, 0 were flagged"]
    assert lost(TOLD, GOOD[1:], READERS, {"i1u1": 1}) == []
    assert len(lost(TOLD, [], READERS)) == 1  # what was taken back, and taking back, need not come


def test_a_retraction_that_missed_a_reader_of_the_wrong_text_is_reported() -> None:
    assert not_followed(TOLD, GOOD[:-1]) == ["i1u3 never came to 1 of 2 who had i1u2"]


def test_a_duplicate_is_reported() -> None:
    assert duplicates([*GOOD, GOOD[0], GOOD[0], GOOD[1]]) == {"i1u1": 3}


def test_a_text_after_a_later_one_is_reported_and_a_repeat_of_an_early_one_is_not() -> None:
    swapped = [GOOD[2], GOOD[0], *GOOD[3:]]
    assert out_of_order(TOLD, swapped) == [f"i1u1 came to {READERS[0]} after a later one"]
    assert out_of_order(TOLD, [*GOOD, GOOD[0]]) == []


def test_a_wrong_text_after_its_retraction_is_reported() -> None:
    late = replace(GOOD[2], at=123.0)
    assert after_taken_back(TOLD, [*GOOD, late]) == ["i1u2 came 3.0 s after it was taken back"]
    assert after_taken_back(TOLD, [replace(late, at=121.5)]) == []
