"""Residents read every language whole; operators read Swedish or English, and never a mixture."""

from __future__ import annotations

from pathlib import Path

import pytest
from babel.messages.extract import extract_from_file

import broadcaster
import channels
from broadcaster.locale import (
    OPERATORS,
    OWN_NAME,
    catalogue,
    languages,
    missing,
    number,
    operators_language,
    operators_languages,
    phrases,
    residents,
)
from broadcaster.settings.model import RETRACT_TEXT

CORE = Path(broadcaster.__file__).parent
LOCALE = CORE / "locale"
METHODS = {".py": "python", ".j2": "jinja2.ext:babel_extract"}
WHOLE = [tag for tag in languages() if "-" not in tag]
VARIANTS = [tag for tag in languages() if "-" in tag]


def said_to_residents() -> set[str]:
    """Every sentence that adapters, and the words of times and facts, say through `_("…")`."""
    told = [*Path(channels.__file__).parent.rglob("*"), *(CORE / "sms").rglob("*")]
    told += [CORE / "domain" / name for name in ("wording.py", "localtime.py", "listed.py")]
    return {
        str(sentence)
        for path in told
        if path.suffix in METHODS
        for _, sentence, _, _ in extract_from_file(METHODS[path.suffix], path, keywords={"_": None})
    }


def parts(language: str) -> set[str]:
    return {path.stem for path in (LOCALE / language).glob("*.po")}


def test_what_residents_read_stands_in_no_part_that_operators_alone_read() -> None:
    read = said_to_residents()
    known = {said for part in parts("sv") - OPERATORS for said in catalogue("sv", part)}
    assert len(read) > 100
    assert read - known == set()


def test_every_part_is_either_for_residents_or_for_operators() -> None:
    assert parts("sv") >= OPERATORS
    for language in set(languages()) - set(operators_languages()):
        assert not parts(language) & OPERATORS, f"{language}: either all of them, or none"


@pytest.mark.parametrize("language", WHOLE)
def test_residents_read_their_language_and_no_other(language: str) -> None:
    assert missing(language) == ()
    assert residents(language, "sv").foreign == {}
    assert RETRACT_TEXT[language]


@pytest.mark.parametrize("language", VARIANTS)
def test_a_variant_says_the_rest_as_its_language_does(language: str) -> None:
    own, whole = residents(language).phrases, residents(language.partition("-")[0]).phrases
    assert residents(language, "en").foreign == {}
    assert own[OWN_NAME]
    assert OWN_NAME not in whole
    assert {said for said in whole if own[said] == whole[said]}
    assert {said for said in whole if own[said] != whole[said]}


@pytest.mark.parametrize("language", ["nb", "nn"])
def test_operators_in_norway_read_english_without_a_norwegian_word(language: str) -> None:
    assert phrases(language) == {}
    assert operators_language(language) == "en"
    assert number(language, 1234.5) == number("en", 1234.5)


def test_operators_read_swedish_also_where_residents_read_easy_swedish() -> None:
    assert phrases("sv-simple") == phrases("sv")
    assert operators_language("sv-FI") == "sv-FI"


def test_easy_swedish_shortens_no_word() -> None:
    easy = residents("sv-simple").phrases
    months = "January February March April May June July August September October November December"
    long = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
    long += months.split()
    short = [word[:3] for word in long]
    assert [easy[word] for word in short] == [easy[word] for word in long]
    assert not [said for said in easy.values() if " kl. " in said or "t.ex." in said]


def test_easy_swedish_keeps_its_sentences_short() -> None:
    easy = residents("sv-simple").phrases
    own = {part: catalogue_of("sv-simple", part) for part in parts("sv-simple")}
    long = [
        sentence
        for said in {easy[key] for known in own.values() for key in known}
        for sentence in said.replace("?", ".").split(". ")
        if len(sentence.split()) > 14
    ]
    assert long == []


def catalogue_of(folder: str, part: str) -> dict[str, str]:
    from babel.messages.pofile import read_po

    with (LOCALE / folder / f"{part}.po").open("rb") as file:
        return {str(one.id): str(one.string) for one in read_po(file) if one.id}
