"""Nothing enters that could break a feed, a terminal or what a reader believes to read."""

from __future__ import annotations

import unicodedata
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings, strategies as st

from broadcaster.domain.text import BadText, clean

letters = st.one_of(st.characters(), st.sampled_from("åäö\r\n\t\ud800\x00\u202e\ufeff"))


@pytest.mark.parametrize(
    "text",
    [
        "åäö ÅÄÖ é €",
        "👨‍👩‍👧‍👦 🇸🇪 👩🏽‍🚒",
        "čđŋšŧž Kárášjohka",
        "rad ett\nrad\ttvå",
        "שלום \u200fمرحبا",
        "]]> <b>&amp;",
        "",
    ],
)
def test_what_people_write_comes_through_unchanged(text: str) -> None:
    assert clean(text) == text


def test_letters_are_composed_and_line_ends_made_one_kind() -> None:
    assert clean("\ufeffa\u030a\r\nb\rc\u2028d") == "å\nb\nc\nd"


@pytest.mark.parametrize(
    ("text", "position", "says"),
    [
        ("ab\ud83d", 2, "Character 3 of the text (U+D83D) is half a character. Remove it."),
        ("\udc00", 0, "is half a character"),
        ("a\x00b", 1, "(U+0000) is a control character"),
        ("a\x1b[31m", 1, "is a control character"),
        ("a\x85", 1, "is a control character"),
        ("a\x7f", 1, "is a control character"),
        ("på\u202egnitsen", 2, "changes the reading direction"),
        ("\u2066x\u2069", 0, "changes the reading direction"),
        ("x\ufffe", 1, "is not a character"),
        ("\U0001ffff", 0, "is not a character"),
        ("\r\n\x00", 2, "is a control character"),
    ],
)
def test_what_must_not_reach_a_reader_is_refused_with_its_place(
    text: str, position: int, says: str
) -> None:
    with pytest.raises(BadText) as caught:
        clean(text)
    assert caught.value.position == position
    assert says in caught.value.reason


def test_a_megabyte_is_refused_with_the_limit() -> None:
    with pytest.raises(BadText, match="1000000 characters and at most 20000"):
        clean("x" * 1_000_000)
    assert clean("x" * 20_000) == "x" * 20_000


@settings(max_examples=1500, deadline=None)
@given(st.text(letters, max_size=60))
def test_clean_text_is_stable_and_legal_in_xml(text: str) -> None:
    try:
        cleaned = clean(text)
    except BadText as bad:
        refused = text[bad.position]
    else:
        assert clean(cleaned) == cleaned
        element = ET.Element("text")
        element.text = cleaned
        assert (ET.fromstring(ET.tostring(element)).text or "") == cleaned  # noqa: S314 -- our own text
        return
    assert unicodedata.category(refused) in {"Cs", "Cc", "Cf", "Cn"}
