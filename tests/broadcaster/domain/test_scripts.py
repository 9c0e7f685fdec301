"""What is read aloud: the answer first, what matters twice, within the time that a station gives."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from broadcaster.domain.aloud import Aloud, numerals
from broadcaster.domain.board import BoardIncident
from broadcaster.domain.incident import Kind, Mode
from broadcaster.domain.scripts import LENGTHS, PACE, desk, phone, radio
from broadcaster.domain.situation import Situation, Speaker
from broadcaster.domain.wording import Wording, power_cuts
from broadcaster.locale import phrases
from broadcaster.testing import boards
from broadcaster.testing.boards import minutes

TITLE = "Strömavbrott i Norra Ekbyn."
UNTIL = "De flesta har ström senast klockan nitton."
NEXT = "Nästa besked senast klockan femton femtio."


def aloud(
    incident: BoardIncident, language: str = "sv", at: datetime | None = None, number: str = ""
) -> Situation[Aloud]:
    zone, known = ZoneInfo("Europe/Stockholm"), power_cuts([phrases("sv"), phrases("en")])
    near = incident.updates[0].at
    return Situation(
        incident=incident,
        words=Aloud(phrases(language), zone, near, known, numerals(language)),
        language=language,
        at=at or minutes(15),
        speaker=Speaker(
            name="Ekbyns Energi",
            phone=number,
            language="sv",
            areas={area.key: area.name for area in boards.AREAS},
        ),
        link="https://drift.ekbyn.example/incidents/a7/",
    )


def written(incident: BoardIncident, at: datetime | None = None) -> Situation[Wording]:
    spelled = aloud(incident, at=at, number="0123-456 78")
    words = Wording(spelled.words.phrases, spelled.words.zone, spelled.words.near)
    return Situation(
        incident=incident,
        words=words,
        language="sv",
        at=spelled.at,
        speaker=spelled.speaker,
        link=spelled.link,
    )


def sheet(incident: BoardIncident, at: datetime | None = None) -> dict[str, str]:
    return {part.heading: "\n".join(part.lines) for part in desk(written(incident, at))}


@pytest.mark.parametrize("limit", LENGTHS)
@pytest.mark.parametrize("language", ["sv", "en"])
def test_what_matters_is_said_twice_and_within_the_time(limit: int, language: str) -> None:
    made = radio(aloud(boards.power_cut(), language), limit)
    lines = made.text.splitlines()
    repeated = lines[lines.index("Jag upprepar:" if language == "sv" else "I repeat:") + 1 :]
    assert made.twice
    assert made.seconds <= limit
    assert all(line in lines[: -len(repeated) - 1] for line in repeated)
    if language == "sv":
        assert repeated == [TITLE, UNTIL, NEXT]


def test_its_seconds_are_its_words_at_the_stated_pace() -> None:
    made = radio(aloud(boards.power_cut()), 60)
    assert made.words == len(made.text.split())
    assert (made.seconds - 1) * PACE < made.words * 60 <= made.seconds * PACE


def test_a_longer_time_tells_more_and_what_to_do_before_why() -> None:
    cut = replace(boards.power_cut(), instruction="Håll kylen stängd.")
    short, long = (radio(aloud(cut), limit).text for limit in LENGTHS)
    assert "Håll kylen stängd." in short
    assert "jordkabel" not in short
    assert "jordkabel" in long


def test_no_figure_of_ours_is_left_to_be_worked_out_before_the_microphone() -> None:
    bare = replace(boards.power_cut(), cause="", instruction="")
    silent = replace(bare, updates=(replace(bare.updates[0], texts={}), *bare.updates[1:]))
    for language in ("sv", "en"):
        for limit in LENGTHS:
            told = radio(aloud(silent, language, number="0123-456 78"), limit).text
            assert not any(letter.isdigit() for letter in told), told
    assert "fyra hundra trettio hushåll" in radio(aloud(silent), 60).text


def test_what_is_too_long_even_once_says_so_and_is_not_cut() -> None:
    long = replace(boards.power_cut(), headline="Vattenläcka " + "och brott " * 80)
    made = radio(aloud(long), 30)
    assert made.seconds > made.limit == 30
    assert not made.twice
    assert made.text.count("och brott " * 79) == 1


def test_words_in_another_language_are_not_read_as_if_translated() -> None:
    made = radio(aloud(boards.power_cut(), "en"), 60)
    assert "jordkabel" not in made.text
    assert "kabeln" not in made.text
    assert "kabeln" in radio(aloud(boards.power_cut(), "sv"), 60).text


def test_a_drill_is_one_at_its_beginning_and_at_its_end() -> None:
    drill = replace(boards.power_cut(), mode=Mode.DRILL)
    for text in (radio(aloud(drill), 30).text, phone(aloud(drill)).text):
        lines = text.splitlines()
        assert lines[0] == lines[-1] == "ÖVNING. Inget av detta har hänt."


def test_a_word_that_was_struck_is_not_told() -> None:
    told = aloud(boards.states()["corrected"].open[0])
    assert any(update.struck for update in told.incident.updates)
    assert "Östra Ekbyn" not in radio(told, 60).text


def test_a_correction_says_at_once_what_it_puts_right() -> None:
    cut = boards.power_cut()
    right = replace(cut.updates[0], kind=Kind.CORRECTION, corrects=2, corrects_at=minutes(-25))
    told = aloud(replace(cut, updates=(right, *cut.updates[1:])))
    lines = radio(told, 30).text.splitlines()
    said = "Detta rättar det vi sade klockan fjorton fyrtio."
    assert said in lines
    assert lines.index(said) < lines.index(TITLE)


def test_what_was_retracted_is_not_told_as_if_it_had_been() -> None:
    told = boards.states()["retracted"].changed[0]
    wrong = "Det vi sade om detta var fel och gäller inte: Strömavbrott i Norra Ekbyn."
    text = radio(aloud(told), 30).text
    assert text.count("Strömavbrott i Norra Ekbyn") == text.count(wrong) == 2
    assert f"Gäller det mig? {wrong}" in sheet(told)["NÄR NÅGON FRÅGAR"]
    assert "Var:" not in sheet(told)["DET HÄR VET VI"]


def test_a_broken_promise_is_owned() -> None:
    told = aloud(boards.power_cut(), at=minutes(46))
    for text in (radio(told, 30).text, phone(told).text):
        assert "Vi lovade nästa besked senast klockan femton femtio. Det har inte kommit." in text
        assert NEXT not in text


def test_what_is_over_is_said_to_be() -> None:
    told = aloud(boards.restored_cut(), at=boards.RESTORED_AT, number="0123")
    made = radio(told, 30)
    assert "Strömmen är åter i Norra Ekbyn." in made.text
    assert "Är något fortfarande fel hos dig, ring noll ett två tre." in made.text
    assert "besked senast" not in made.text
    assert "hur länge" not in made.text


def test_without_an_estimate_it_says_that_we_do_not_know() -> None:
    told = aloud(replace(boards.power_cut(), etr=None))
    assert "Vi vet inte än hur länge det varar." in radio(told, 30).text
    assert "Hur länge det varar." in sheet(told.incident)["DET HÄR VET VI INTE"]


def test_planned_work_is_told_with_its_time() -> None:
    told = aloud(boards.planned_cut())
    text = radio(told, 60).text
    assert text.count("Planerat strömavbrott i Sjövik.") == 2
    assert text.count("klockan tre på natten") == 2
    assert "Vi vet inte än" not in text


def test_the_answering_machine_says_when_it_was_recorded_and_when_the_next_word_comes() -> None:
    text = phone(aloud(boards.power_cut())).text
    assert "Detta talades in söndag den tjugoandra november klockan femton tjugo." in text
    assert NEXT in text


def test_the_front_desk_is_told_what_we_know_what_not_and_when_the_next_word_comes() -> None:
    told = sheet(boards.power_cut())
    assert "De flesta har ström senast 19.00." in told["DET HÄR VET VI"]
    assert "Gissa inte" in told["DET HÄR VET VI INTE"]
    assert "Hur länge? De flesta har ström senast 19.00." in told["NÄR NÅGON FRÅGAR"]
    assert told["NÄSTA BESKED"].startswith("Nästa besked senast 15.50.")
    assert told["VEM MAN RINGER, VAR MAN LÄSER"].splitlines() == [
        "0123-456 78",
        "https://drift.ekbyn.example/incidents/a7/",
    ]


def test_the_front_desk_is_not_told_to_guess_after_a_broken_promise() -> None:
    told = sheet(boards.power_cut(), minutes(46))["NÄSTA BESKED"]
    assert told.startswith("Vi lovade nästa besked senast 15.50. Det har inte kommit.")
    assert "fråga den som leder" in told
