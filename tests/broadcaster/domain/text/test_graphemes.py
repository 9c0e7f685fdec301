"""Letters are counted and cut as a reader sees them."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import example, given, settings, strategies as st
from uniseg.graphemecluster import grapheme_clusters  # type: ignore[import-untyped]  # the reference has no types

from broadcaster.domain.text import cut_graphemes, grapheme_length, graphemes, utf8_length

# uniseg carries Unicode 16 and `regex` a newer one: compare on letters that Python 3.11 (Unicode 14)
# knows, whose properties have settled. Viramas are compared in real conjuncts only: after anything but a
# consonant `regex` joins one to the next consonant, which UAX 29 (GB9c) does not.
settled = st.characters(exclude_categories=["Cs", "Cn", "Co"]).filter(
    lambda letter: unicodedata.combining(letter) != 9
)
tricky = st.sampled_from(
    [
        *"aåäö\r\n\t \u0301\u030a\u200d\ufe0f\u20e31#👨👩👧❤🏽🚒🏳🌈🏴\U000e0067\U000e007f🇸🇪🇳가각각कषनिกำ\u0600"
    ]
)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("åäö", 3),
        ("a\u030aa\u0308o\u0308", 3),
        ("👨‍👩‍👧‍👦", 1),
        ("🇸🇪🇳🇴", 2),
        ("👩🏽‍🚒!", 2),
        ("rad\r\nrad", 7),
        ("Kárášjohka €", 12),
        ("", 0),
    ],
)
def test_a_reader_and_we_count_alike(text: str, count: int) -> None:
    assert grapheme_length(text) == count


def test_a_cut_never_halves_a_letter() -> None:
    assert cut_graphemes("å🇸🇪👨‍👩‍👧x", 3) == "å🇸🇪👨‍👩‍👧"
    assert cut_graphemes("å", 0) == ""
    assert cut_graphemes("å", -1) == ""
    assert cut_graphemes("å", 9) == "å"


def test_bytes_are_counted_as_utf8() -> None:
    assert [utf8_length(text) for text in ("a", "å", "€", "🇸🇪")] == [1, 2, 3, 8]


@settings(max_examples=600, deadline=None)
@given(st.text(st.one_of(tricky, tricky, settled), max_size=40))
@example("🇸🇪🇸")
@example("क्षनि")
def test_clusters_equal_those_of_uniseg(text: str) -> None:
    assert graphemes(text) == list(grapheme_clusters(text))
    assert grapheme_length(text) == len(graphemes(text))
