"""SMS text is counted and cut as the network does it."""

from __future__ import annotations

import unicodedata

import gsm0338  # type: ignore[import-untyped]  # the reference has no types
import pytest
import smsutil  # type: ignore[import-untyped]  # the reference has no types
from hypothesis import example, given, settings, strategies as st

from broadcaster.domain.text import TextTooLong, measure_sms, plain, split_sms
from broadcaster.domain.text.gsm import BASIC, EXTENSION
from broadcaster.testing.outage import OUTAGE

RESTORED = OUTAGE["restored"].sms

gsm_text = st.text(st.sampled_from(sorted(BASIC | EXTENSION)), max_size=700)
mixed_text = st.text(
    st.one_of(
        st.sampled_from("abc åäöÅÄÖé€{}[]~^|\\\n–”…áčđŋšŧž日😀🇸🇪\u0301\u030a\u200d"),
        st.characters(exclude_categories=["Cs"]),
    ),
    max_size=400,
)


@pytest.mark.parametrize("name", OUTAGE)
def test_every_swedish_skeleton_fits_one_part_in_exactly_the_stated_units(name: str) -> None:
    measure, units = measure_sms(OUTAGE[name].sms), OUTAGE[name].units
    assert (measure.encoding, measure.units, measure.parts) == ("GSM-7", units, 1)
    assert measure.left == 160 - units
    assert measure.forcing == ()


def test_one_dash_makes_three_parts_and_is_named() -> None:
    measure = measure_sms(RESTORED.replace("Energi:", "Energi–"))
    assert (measure.encoding, measure.units, measure.parts) == ("UCS-2", 148, 3)
    assert measure.forcing == ("–",)


@pytest.mark.parametrize(
    ("text", "parts", "left"),
    [
        ("", 0, 160),
        ("x" * 160, 1, 0),
        ("x" * 161, 2, 145),
        ("x" * 306, 2, 0),
        ("x" * 307, 3, 152),
        ("€" * 80, 1, 0),
        # The shift of € would be the 153rd septet: it moves on whole.
        ("x" * 152 + "€" * 5, 2, 143),
        ("ŋ" * 70, 1, 0),
        ("ŋ" * 71, 2, 63),
        ("ŋ" * 134, 2, 0),
        ("😀" * 35, 1, 0),
        ("😀" * 36, 2, 61),  # 33 pairs in the first part: 66 units, not 67
    ],
)
def test_the_limits_hold_at_their_edges(text: str, parts: int, left: int) -> None:
    measure = measure_sms(text)
    assert (measure.parts, measure.left) == (parts, left)


def test_a_part_gives_up_a_unit_rather_than_cut_a_surrogate_pair() -> None:
    first, second = split_sms("😀" * 36)
    assert (first, second) == ("😀" * 33, "😀" * 3)


def test_letters_that_force_ucs2_are_named_once_in_order() -> None:
    assert measure_sms("Kárášjohka – Deanu – Unjárga").forcing == ("á", "š", "–")


def test_decomposed_swedish_letters_are_composed_before_counting() -> None:
    decomposed = unicodedata.normalize("NFD", RESTORED)
    assert decomposed != RESTORED
    assert measure_sms(decomposed) == measure_sms(RESTORED)
    assert split_sms(decomposed) == (RESTORED,)


def test_more_parts_than_the_header_can_count_are_refused() -> None:
    assert len(split_sms("x" * 153 * 255)) == 255
    with pytest.raises(TextTooLong) as caught:
        split_sms("x" * 153 * 255 + "x")
    assert (caught.value.limit, caught.value.used, caught.value.unit) == (255, 256, "SMS parts")


def test_the_alphabet_is_that_of_another_codec() -> None:
    codec = gsm0338.Codec()
    assert len(BASIC) == 127  # 128 positions less the escape
    for point in range(0x30000):
        letter = chr(point)
        try:
            octets = len(codec.encode(letter)[0])
        except UnicodeError:
            octets = 0
        # The codec takes the escape itself for a letter; a text cannot hold it.
        expected = 0 if letter == "\x1b" else octets
        assert (1 if letter in BASIC else 2 if letter in EXTENSION else 0) == expected, hex(point)


@settings(max_examples=1200, deadline=None)
@given(gsm_text)
@example("x" * 152 + "€")
def test_gsm7_parts_equal_those_of_smsutil(text: str) -> None:
    parts = smsutil.split(text).parts if text else []
    assert split_sms(text) == tuple(part.content for part in parts)
    assert measure_sms(text).units == sum(part.bytes for part in parts)


@settings(max_examples=1200, deadline=None)
@given(mixed_text)
@example("😀" * 36)
def test_any_parts_equal_those_of_smsutil(text: str) -> None:
    # smsutil does not compose, and takes the escape for a GSM-7 letter: compare where both are moot.
    text = unicodedata.normalize("NFC", text).replace("\x1b", "")
    reference = smsutil.split(text)
    parts = reference.parts if text else []
    measure = measure_sms(text)
    assert split_sms(text) == tuple(part.content for part in parts)
    assert measure.parts == len(parts)
    if text:
        assert measure.encoding == {"gsm0338": "GSM-7", "utf_16_be": "UCS-2"}[reference.encoding]


@settings(max_examples=800, deadline=None)
@given(mixed_text)
def test_parts_are_legal_join_to_the_text_and_are_as_few_as_can_be(text: str) -> None:
    composed = unicodedata.normalize("NFC", text)
    measure, parts = measure_sms(text), split_sms(text)
    assert "".join(parts) == composed
    assert len(parts) == measure.parts
    if measure.encoding == "UCS-2":
        octets = [len(part.encode("utf-16-be")) for part in parts]  # raises on half a pair
        room = 140 if len(parts) == 1 else 134
    else:
        octets = [len(part) + sum(part.count(letter) for letter in EXTENSION) for part in parts]
        room = 160 if len(parts) == 1 else 153
    assert all(used <= room for used in octets)
    # Each part was full: the first letter of the next would not have fitted.
    for used, following in zip(octets, parts[1:], strict=False):
        wide = 2 if measure.encoding == "UCS-2" else 1
        assert used + 2 * wide > room or (used + wide > room and following[0] not in EXTENSION)


@settings(max_examples=500, deadline=None)
@given(mixed_text)
def test_plain_text_never_costs_more_parts_and_says_what_changed(text: str) -> None:
    result = plain(text)
    again = plain(result.text)
    assert again.replacements == ()
    assert set(measure_sms(result.text).forcing) <= set(measure_sms(text).forcing)
    assert bool(result.replacements) == (result.text != unicodedata.normalize("NFC", text))


def test_plain_rewrites_signs_and_leaves_letters() -> None:
    result = plain("„Norra Ekbyn” – kl.\u00a019 … ’åäö’ → Kárášjohka •\u00ad😀 –")
    assert result.text == "\"Norra Ekbyn\" - kl. 19 ... 'åäö' -> Kárášjohka -😀 -"
    assert [(found.found, found.written, found.count) for found in result.replacements][:3] == [
        ("„", '"', 1),
        ("”", '"', 1),
        ("–", "-", 2),
    ]


@pytest.mark.parametrize(
    "text", ["åäöÅÄÖ", "👨‍👩‍👧‍👦", "🇸🇪🇳🇴🇫🇮", "čđŋšŧžáČĐŊŠŦŽÁ", "€", "rad\nrad", "é€{}[]~\\^|"]
)
def test_letters_emoji_and_newlines_survive_the_trip(text: str) -> None:
    assert "".join(split_sms(text)) == text
    assert plain(text).text == text
