"""What somebody means who texts a word: however it is spelled, and never more than he said."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from broadcaster.domain.keywords import Meaning, areas_named, language_named, understand

NAMES = {
    "norra-ekbyn": ("norra-ekbyn", "Norra Ekbyn", "0139"),
    "sodra-ekbyn": ("sodra-ekbyn", "Södra Ekbyn"),
    "sjovik": ("sjovik", "Sjövik"),
    "ostra": ("ostra", "Östra ÅÄ"),
}


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("STOP", Meaning.STOP),
        ("stopp!", Meaning.STOP),
        ("  Slutt. ", Meaning.STOP),
        ("Avanmäl mig", Meaning.STOP),
        ("\u200bSTOP", Meaning.STOP),
        ('"stop"', Meaning.STOP),
        ("Start Ekbyn", Meaning.START),
        ("börja", Meaning.START),
        ("Språk en", Meaning.LANGUAGE),
        ("SPRAK EN", Meaning.LANGUAGE),
        ("hjälp", Meaning.HELP),
        ("Hjelp!", Meaning.HELP),
        ("?", Meaning.HELP),
        ("Please do not stop", Meaning.OTHER),
        ("stoppur", Meaning.OTHER),
        ("", Meaning.OTHER),
        ("👍", Meaning.OTHER),
    ],
)
def test_the_first_word_decides(text: str, meaning: Meaning) -> None:
    assert understand(text).meaning is meaning


@given(st.text(max_size=3000))
def test_anything_is_understood_as_something(text: str) -> None:
    word = understand(text)
    areas, strange = areas_named(word.rest, NAMES)
    assert set(areas) <= NAMES.keys()
    assert len(areas) + len(strange) <= len(word.rest)


@given(st.sampled_from(["stop", "stopp", "slutt", "end", "avsluta"]), st.text(max_size=20))
def test_stop_holds_whatever_stands_behind_it(word: str, behind: str) -> None:
    assert understand(f"{word} {behind}").meaning is Meaning.STOP
    assert understand(f" {word.upper()}. {behind}").meaning is Meaning.STOP


@pytest.mark.parametrize(
    ("words", "areas", "strange"),
    [
        ("norra ekbyn", ("norra-ekbyn",), ()),
        ("ekbyn", (), ("ekbyn",)),  # two have it
        ("norra sodra", ("norra-ekbyn", "sodra-ekbyn"), ()),
        ("sjovik och 0139", ("sjovik", "norra-ekbyn"), ()),
        ("ostra aa", ("ostra",), ()),
        ("malmo sjovik", ("sjovik",), ("malmo",)),
    ],
)
def test_places_are_found_by_any_of_their_names(
    words: str, areas: tuple[str, ...], strange: tuple[str, ...]
) -> None:
    assert areas_named(words.split(), NAMES) == (areas, strange)


def test_a_language_is_named_by_its_tag_or_its_name() -> None:
    spoken = ("sv", "en", "nb")
    assert [language_named([word], spoken) for word in ("en", "engelska", "norsk", "sv", "fi")] == [
        "en", "en", "nb", "sv", "",
    ]  # fmt: skip
