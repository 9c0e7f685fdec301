"""Every sentence that a person may meet exists in every language we speak, with the same blanks to fill."""

from __future__ import annotations

import io
import string
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.extract import extract
from babel.messages.pofile import read_po

import broadcaster
import channels
from broadcaster.locale import languages, operators_languages, phrases, translate

LOCALE = Path(broadcaster.__file__).parent / "locale"
SOURCES = (Path(broadcaster.__file__).parent, Path(channels.__file__).parent)
METHODS = {".py": "python", ".j2": "jinja2.ext:babel_extract"}
TRANSLATED = [language for language in languages() if language != "en"]
TO_OPERATORS = [language for language in operators_languages() if language != "en"]
FILES = sorted(LOCALE.glob("*/*.po"))


def sentences() -> Iterator[tuple[str, str]]:
    """Every (place, sentence) that code or a template says through `_("…")`."""
    for root in SOURCES:
        for path in sorted(p for p in root.rglob("*") if p.suffix in METHODS):
            for line, sentence, _, _ in extract(
                METHODS[path.suffix], io.BytesIO(path.read_bytes()), keywords={"_": None}
            ):
                assert isinstance(sentence, str), f"{path}:{line} is not one plain sentence"
                yield f"{path.relative_to(root.parent)}:{line}", sentence


def placeholders(sentence: str) -> Counter[str]:
    return Counter(name for _, name, _, _ in string.Formatter().parse(sentence) if name is not None)


def catalogue(path: Path) -> Catalog:
    with path.open("rb") as file:
        return read_po(file, abort_invalid=True)


@pytest.mark.parametrize("language", TO_OPERATORS)
def test_every_sentence_in_code_and_templates_is_translated(language: str) -> None:
    known = phrases(language)
    missing = [f"{place}: {said!r}" for place, said in sentences() if said not in known]
    assert not missing, "\n".join(missing)


def test_sentences_are_found_in_code_and_in_templates() -> None:
    places = {place.split(":")[0].rpartition(".")[2] for place, _ in sentences()}
    assert places == {"py", "j2"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_translation_fills_the_same_blanks_as_its_sentence(path: Path) -> None:
    for message in catalogue(path):
        if message.id:
            assert placeholders(str(message.id)) == placeholders(str(message.string)), message.id


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_nothing_is_fuzzy_or_left_empty(path: Path) -> None:
    unfinished = [m.id for m in catalogue(path) if m.id and (m.fuzzy or not m.string)]
    assert unfinished == []


@pytest.mark.parametrize("language", TRANSLATED)
def test_no_two_files_translate_one_sentence_differently(language: str) -> None:
    seen: dict[str, str] = {}
    for path in sorted((LOCALE / language).glob("*.po")):
        for message in catalogue(path):
            if message.id:
                said = str(message.string)
                assert seen.setdefault(str(message.id), said) == said, f"{path.name}: {message.id}"


def test_english_needs_no_catalogue_and_comes_first() -> None:
    assert languages()[0] == "en"
    assert "sv" in languages()
    assert translate(phrases("en"), "Most have power by {time}", time="19:00") == (
        "Most have power by 19:00"
    )


def test_a_regional_tag_reads_the_catalogue_of_its_language() -> None:
    assert phrases("sv-FI") == phrases("sv")
    assert translate(phrases("sv-FI"), "Power cut") == "Strömavbrott"


def test_a_language_nobody_translated_is_refused_by_name() -> None:
    with pytest.raises(LookupError, match=r'"xx".*en, nb, nn, sv'):
        phrases("xx")


def test_a_value_with_braces_is_said_as_it_is() -> None:
    said = translate(phrases("sv"), "Most have power by {time}", time="{hour}")
    assert said == "De flesta har ström senast {hour}"
