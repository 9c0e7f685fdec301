"""Posts are counted as X and Mastodon count them."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from broadcaster.domain.text import grapheme_length, mastodon_length, weighted_length
from broadcaster.testing.outage import OUTAGE

VECTORS: list[tuple[str, int]] = json.loads(
    Path(__file__).with_name("x_vectors.json").read_text(encoding="utf-8")
)["vectors"]


def test_x_lengths_equal_those_of_the_platforms_own_library() -> None:
    assert len(VECTORS) > 2500
    wrong = [text for text, length in VECTORS if weighted_length(text) != length]
    assert wrong == []


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("åäöÅÄÖ", 6),
        ("Kárášjohka", 10),
        ("€", 2),
        ("“–”", 3),
        ("…", 2),
        ("👨‍👩‍👧‍👦", 2),
        ("🇸🇪", 2),
        ("a\nb", 3),
        ("a\u030a", 1),
        ("https://drift.ekbyn.se/" + "a" * 300, 23),
        ("el.se", 23),
        ("ekbyn.example/a7", 16),  # .example is no top-level domain: X shows plain letters
    ],
)
def test_x_weighs_letters_emoji_and_links(text: str, length: int) -> None:
    assert weighted_length(text) == length


@pytest.mark.parametrize("name", OUTAGE)
@pytest.mark.parametrize("measure", [grapheme_length, mastodon_length, weighted_length])
def test_an_sms_of_the_field_is_as_long_as_a_post(measure: Callable[[str], int], name: str) -> None:
    """Its letters are counted once everywhere, and its short address is a link to nobody."""
    assert measure(OUTAGE[name].sms) == OUTAGE[name].units


def test_joined_emoji_newer_than_the_platforms_library_still_weigh_two() -> None:
    # twitter-text 3.1.0 knows Emoji 11 and answers 8 here; the documented rule is 2 for every emoji.
    assert weighted_length("🧑‍🤝‍🧑") == 2


@settings(max_examples=1500, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs", "So", "Sk", "Cf", "Mn", "Me"]), max_size=80))
def test_without_links_and_emoji_the_x_length_is_the_sum_of_published_weights(text: str) -> None:
    text = unicodedata.normalize("NFC", text).replace(".", "")
    if any(letter in "©®™ℹ〰〽" for letter in text):
        return
    ranges = (range(4352), range(8192, 8206), range(8208, 8224), range(8242, 8248))
    light = sum(any(ord(letter) in weights for weights in ranges) for letter in text)
    assert weighted_length(text) == 2 * len(text) - light


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("a" * 476 + " http://" + "b" * 30 + ".com/example", 500),
        ("a" * 476 + "http://" + "b" * 30 + ".com/example", 476 + 49),  # no space: no link
        ("http://example.com/valid?" + "#foo?" * 1000, 25 + 5000),  # too long to be a link
        ("a" * 475 + " @alice@" + "b" * 30 + ".com", 482),
        ("@alice@" + "b" * 500 + ".com", 511),  # no such server: counted as written
        ("👩🏼‍🤝‍👩🏼" * 10, 10),
        ("Läs https://drift.ekbyn.se/a7.", 4 + 23 + 1),
        ("Läs https://drift.ekbyn.example/a7.", 35),  # .example is no top-level domain
        ("Läs drift.ekbyn.se/a7.", 22),  # no scheme
        ("https://ekbyn.se/avbrott_(norra) nu", 23 + 3),
        ("(https://ekbyn.se/a)", 25),
        ("https://ekbyn.se/läge?q=1!", 24),
        ("a\r\nb", 3),
        ("info@ekbyn.se", 13),
        ("https://ekbyn.se/a-@el@energi.nu", 23),  # a mention inside a link is part of it
        ("@el @energi@mastodon.nu: hej", 16),
    ],
)
def test_mastodon_counts_graphemes_and_shortens_links_and_mentions(text: str, length: int) -> None:
    # The first six are the cases by which Mastodon's own validator is specified.
    assert mastodon_length(text) == length


def test_the_length_of_a_link_is_the_instances_to_say() -> None:
    assert mastodon_length("se https://ekbyn.se/a7", per_url=40) == 43


@settings(max_examples=500, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="@:"), max_size=80))
def test_without_links_and_mentions_mastodon_counts_graphemes(text: str) -> None:
    assert mastodon_length(text) == grapheme_length(text)
