"""A long text becomes ordered parts or one shortened text, and nothing in it is maimed."""

from __future__ import annotations

import pytest
import regex
from hypothesis import given, settings, strategies as st

from broadcaster.domain.text import (
    GSM_ELLIPSIS,
    Measure,
    TextTooLong,
    grapheme_length,
    graphemes,
    mastodon_length,
    measure_sms,
    shorten,
    split_text,
    utf8_length,
    weighted_length,
)

LINK = "https://drift.ekbyn.se/a7"
NUMBER = regex.compile(r" \((\d+)/(\d+)\)$")
MEASURES: list[Measure] = [grapheme_length, weighted_length, mastodon_length, utf8_length]

words = st.sampled_from(
    [
        *(
            "Strömavbrott",
            "i",
            "Norra",
            "Ekbyn.",
            "sedan",
            "kl.",
            "14.05.",
            "Orsak",
            "okänd!",
            "500",
            "kr",
        ),
        *(
            "hushåll",
            "–",
            "👨‍👩‍👧",
            "🇸🇪",
            "e\u0301",
            "Kárášjohka",
            LINK,
            "ekbyn.se/b",
            "a" * 40,
            "1",
            "200",
        ),
    ]
)
texts = st.lists(st.tuples(words, st.sampled_from([" ", " ", " ", "\n", "\n\n"])), max_size=80).map(
    lambda pairs: "".join(word + gap for word, gap in pairs)
)


def bodies(parts: tuple[str, ...]) -> list[str]:
    return [NUMBER.sub("", part) for part in parts]


def test_a_text_that_fits_is_left_alone() -> None:
    assert split_text("Strömavbrott i Ekbyn.", 280, weighted_length) == ("Strömavbrott i Ekbyn.",)


def test_parts_end_with_sentences_and_carry_their_number() -> None:
    text = (
        "Strömmen är borta i Norra Ekbyn. Montör är på väg nu. Nästa besked kommer kl. 14.45 i dag."
    )
    assert split_text(text, 50, grapheme_length) == (
        "Strömmen är borta i Norra Ekbyn. (1/3)",
        "Montör är på väg nu. (2/3)",
        "Nästa besked kommer kl. 14.45 i dag. (3/3)",
    )


def test_a_number_stays_with_its_unit() -> None:
    for limit in range(22, 60):
        parts = split_text(
            "Vi räknar med 45 minuter till för 1 200 kunder från kl. 19.00 den 23 november i Ekbyn",
            limit,
            grapheme_length,
        )
        kept = " | ".join(bodies(parts))
        for whole in ("45 minuter", "1 200 kunder", "kl. 19.00", "den 23 november"):
            assert whole in kept, (limit, kept)


def test_a_number_leaves_its_unit_only_where_both_fit_nowhere() -> None:
    parts = split_text("45 minuter kvar", 14, grapheme_length)
    assert parts == ("45 (1/3)", "minuter (2/3)", "kvar (3/3)")


def test_the_tail_closes_the_last_part_whole() -> None:
    parts = split_text("Ström borta. " * 20, 60, grapheme_length, tail=f"Mer: {LINK}")
    assert bodies(parts)[-1].endswith(f"Mer: {LINK}")
    assert all(grapheme_length(part) <= 60 for part in parts)


def test_ten_parts_leave_room_for_two_digits() -> None:
    parts = split_text("ordet " * 40, 24, grapheme_length)
    assert len(parts) > 9
    assert parts[-1].endswith(f"({len(parts)}/{len(parts)})")
    assert all(grapheme_length(part) <= 24 for part in parts)


def test_a_link_that_fits_nowhere_is_refused_and_never_cut() -> None:
    with pytest.raises(TextTooLong) as caught:
        split_text(f"Läs mer på {LINK} nu", 20, grapheme_length, unit="letters")
    assert (caught.value.limit, caught.value.unit) == (20, "letters")
    assert "at most 20 fit" in str(caught.value)
    with pytest.raises(TextTooLong):
        shorten("Läs mer", 20, grapheme_length, link=LINK)


def test_a_word_longer_than_a_part_is_cut_between_letters_only() -> None:
    parts = split_text("👨‍👩‍👧" * 30, 100, utf8_length)
    assert "".join(bodies(parts)) == "👨‍👩‍👧" * 30
    assert all(body == "👨‍👩‍👧" * grapheme_length(body) for body in bodies(parts))


def test_sms_parts_can_be_the_measure() -> None:
    def parts_of(text: str) -> int:
        return measure_sms(text).parts

    messages = split_text("Strömmen är borta i Norra Ekbyn. " * 12, 1, parts_of, unit="parts")
    assert len(messages) > 1
    assert all(measure_sms(message).parts == 1 for message in messages)
    short = shorten(
        "Strömmen är borta i Norra Ekbyn. " * 12, 1, parts_of, link=LINK, ellipsis=GSM_ELLIPSIS
    )
    assert measure_sms(short).parts == 1
    assert short.endswith(f"... {LINK}")
    assert measure_sms(short).encoding == "GSM-7"


def test_shortening_cuts_after_a_word_and_keeps_the_link() -> None:
    text = f"Strömmen är borta i Norra Ekbyn, och montör är på väg. {LINK} Håll kylen stängd."
    assert (
        shorten(text, 60, grapheme_length, link=LINK) == f"Strömmen är borta i Norra Ekbyn… {LINK}"
    )
    assert shorten("Kort.", 60, grapheme_length, link=LINK) == f"Kort. {LINK}"
    assert shorten("Kort.", 60, grapheme_length) == "Kort."
    assert shorten("Strömavbrottet", 5, grapheme_length) == "Strö…"
    assert shorten(f"{LINK} {LINK} {LINK}", 60, grapheme_length, link=LINK) == LINK


@settings(max_examples=600, deadline=None)
@given(texts, st.integers(90, 300), st.sampled_from(MEASURES))
def test_parts_fit_lose_nothing_and_cut_no_link(text: str, limit: int, measure: Measure) -> None:
    parts = split_text(text, limit, measure)
    assert all(measure(part) <= limit for part in parts)
    assert " ".join(bodies(parts)).split() == text.split()
    if len(parts) > 1:
        numbers = [NUMBER.search(part) for part in parts]
        assert [found and found.group(1, 2) for found in numbers] == [
            (str(n), str(len(parts))) for n in range(1, len(parts) + 1)
        ]


@settings(max_examples=600, deadline=None)
@given(texts, st.integers(60, 300), st.sampled_from(MEASURES))
def test_a_shortened_text_fits_and_is_a_beginning_with_the_link(
    text: str, limit: int, measure: Measure
) -> None:
    short = shorten(text, limit, measure, link=LINK)
    assert measure(short) <= limit
    assert LINK in short
    start = " ".join(word for word in text.split() if word != LINK)
    if "…" in short:
        kept = " ".join(short.removesuffix(f"… {LINK}").split())
        assert start.startswith(kept)


@settings(max_examples=500, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=200))
def test_any_text_survives_or_is_refused(text: str) -> None:
    try:
        parts = split_text(text, 40, utf8_length)
    except TextTooLong:
        assert (
            any(utf8_length(letter) > 20 for letter in graphemes(text))
            or "." in text
            or ":" in text
        )
        return
    assert all(utf8_length(part) <= 40 for part in parts)
    gaps = str.maketrans("", "", " \t\n")
    joined = "".join(bodies(parts)) if len(parts) > 1 else parts[0] if parts else ""
    assert joined.translate(gaps) == text.translate(gaps)
