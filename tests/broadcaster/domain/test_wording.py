"""One fact reads the same in every message, page and feed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from broadcaster.domain.delivery import Variant
from broadcaster.domain.incident import Kind, Mode, Planned
from broadcaster.domain.markup import legible
from broadcaster.domain.wording import Wording, power_cuts, spoken
from broadcaster.locale import phrases

STOCKHOLM = ZoneInfo("Europe/Stockholm")
NOW = datetime(2026, 11, 22, 14, 5, tzinfo=UTC)  # 15.05 in Stockholm
SV = Wording(phrases("sv"), STOCKHOLM, NOW)
EN = Wording(phrases("en"), STOCKHOLM, NOW)
AT_14_40 = NOW - timedelta(minutes=25)
AT_17, AT_19 = NOW + timedelta(minutes=115), NOW + timedelta(minutes=235)


def test_a_changed_estimate_names_the_old_one() -> None:
    said = SV.etr_phrase(AT_19, AT_17, headline="")
    assert said == "Ny bedömning: senast 19.00, inte 17.00"


@pytest.mark.parametrize(
    ("etr", "before", "headline", "said"),
    [
        (AT_19, None, "", "Most have power by 19:00"),
        (AT_19, AT_19, "Power cut", "Most have power by 19:00"),
        (AT_19, None, "Water leak", "Expected to be resolved by 19:00"),
        (AT_19, AT_17, "Water leak", "Expected to be resolved by 19:00, not 17:00"),
        (None, AT_17, "", "The estimate 17:00 no longer holds"),
        (None, None, "", ""),
    ],
)
def test_an_estimate_is_said_as_it_stands(
    etr: datetime | None, before: datetime | None, headline: str, said: str
) -> None:
    assert EN.etr_phrase(etr, before, headline=headline) == said


def test_a_correction_is_named_by_the_time_of_what_it_corrects() -> None:
    assert SV.label(Kind.CORRECTION, headline="", corrects_at=AT_14_40) == "Rättelse av 14.40"
    assert SV.label(Kind.RETRACTION, headline="", corrects_at=AT_14_40) == "Återtagande av 14.40"
    assert SV.struck_label(Kind.CORRECTION, NOW) == "Rättat 15.05"
    assert SV.struck_label(Kind.RETRACTION, NOW) == "Återtaget 15.05"


def test_a_message_is_named_by_its_hazard_and_a_line_of_the_timeline_by_what_it_brings() -> None:
    assert SV.label(Kind.HOLDING, headline="") == "Strömavbrott"
    assert SV.label(Kind.UPDATE, headline="Vattenläcka") == "Vattenläcka"
    assert SV.tag(Kind.HOLDING, headline="") == "Inget nytt"
    assert SV.tag(Kind.REPORT, headline="") == "Första besked"
    assert SV.tag(Kind.UPDATE, headline="", new_etr=True) == "Ny bedömning"
    assert SV.tag(Kind.UPDATE, headline="") == "Nytt besked"


def test_power_comes_back_but_a_leak_is_resolved() -> None:
    assert SV.label(Kind.RESTORED, headline="Strömavbrott") == "Strömmen är åter"
    assert SV.label(Kind.RESTORED, headline="Vattenläcka") == "Avhjälpt"


def test_who_is_out_of_it_is_told_so() -> None:
    said = SV.label(Kind.UPDATE, headline="", variant=Variant.ALL_CLEAR)
    assert said == "Berörs inte längre"


def test_power_back_is_told_of_the_areas_that_have_it() -> None:
    assert SV.restored_title("", ["Sjövik"]) == "Strömmen är åter i Sjövik"
    assert SV.restored_title("", []) == "Strömmen är åter"
    assert EN.restored_title("", ["Sjövik"]) == "The power is back in Sjövik"
    assert SV.restored_title("Vattenläcka", ["Sjövik"]) == "Avhjälpt: Vattenläcka · Sjövik"
    said = SV.label(Kind.RESTORED, headline="", variant=Variant.ALL_CLEAR)
    assert said == "Strömmen är åter"


def test_who_is_still_affected_is_named_when_anybody_is() -> None:
    assert SV.still_affected(["Sjövik", "Västerby"]) == "Fortfarande berört: Sjövik och Västerby"
    assert EN.still_affected(["Sjövik"]) == "Still affected: Sjövik"
    assert SV.still_affected([]) == ""


def test_a_headline_says_what_and_where_once() -> None:
    assert SV.title("", ["Norra Ekbyn"]) == "Strömavbrott i Norra Ekbyn"
    assert SV.title("", ["Västerby", "Sjövik"]) == "Strömavbrott i Västerby och Sjövik"
    assert SV.title("", ["A", "B", "C", "D"]) == "Strömavbrott i A och 3 andra områden"
    assert SV.title("Vattenläcka i Sjövik", ["Sjövik"]) == "Vattenläcka i Sjövik"
    assert SV.title("Vattenläcka på Storgatan", ["Centrum"]) == "Vattenläcka på Storgatan · Centrum"
    assert SV.title("", []) == "Strömavbrott"


def test_drill_and_demo_have_a_word_of_their_own_and_live_has_none() -> None:
    assert [SV.mode_label(mode) for mode in Mode] == ["", "ÖVNING", "DEMO"]


def test_since_and_next_word_are_empty_when_not_known() -> None:
    assert SV.since_phrase(AT_14_40) == "sedan 14.40"
    assert SV.next_word_phrase(AT_17) == "Nästa besked senast 17.00"
    assert SV.since_phrase(None) == SV.next_word_phrase(None) == ""


def test_what_was_missed_is_named_by_its_times_or_counted() -> None:
    assert SV.missed([]) == ""
    assert SV.missed([AT_14_40, AT_17]) == "Tidigare besked som inte nådde hit: 14.40 och 17.00"
    many = SV.missed([AT_17, AT_14_40, AT_17, AT_17])
    assert many == "Tidigare besked som inte nådde hit: 4 stycken sedan 14.40"


def test_a_planned_cut_says_its_date_once() -> None:
    same_day = Planned(NOW + timedelta(days=1), NOW + timedelta(days=1, hours=2))
    assert SV.planned_phrase(same_day) == "måndag 23 november 15.05 till 17.05"
    night = Planned(NOW, NOW + timedelta(hours=12))
    assert EN.planned_phrase(night) == "Sunday 22 November 15:05 to Mon 23 Nov 03:05"


def test_work_is_planned_until_it_begins_and_then_goes_on_since_its_start() -> None:
    later = Planned(NOW + timedelta(days=1), NOW + timedelta(days=1, hours=2))
    begun = Planned(AT_14_40, AT_17)
    assert SV.to_come(later)
    assert not SV.to_come(begun)
    assert not SV.to_come(Planned(NOW, AT_17))
    assert not SV.to_come(None)
    assert SV.title("", ["Sjövik"], to_come=True) == "Planerat strömavbrott i Sjövik"
    assert EN.label(Kind.REPORT, headline="", to_come=True) == "Planned power cut"
    assert SV.when_phrase(None, later, headline="") == "måndag 23 november 15.05 till 17.05"
    said = SV.when_phrase(None, later, headline="Vattenavstängning")
    assert said == "planerat måndag 23 november 15.05 till 17.05"
    assert SV.when_phrase(None, begun, headline="") == "sedan 14.40"
    assert SV.when_phrase(AT_14_40, None, headline="") == "sedan 14.40"
    assert SV.when_phrase(None, None, headline="") == ""


def test_a_power_cut_named_in_one_language_is_one_in_every_other() -> None:
    known = power_cuts([phrases("sv"), phrases("en")])
    english = Wording(phrases("en"), STOCKHOLM, NOW, known)
    assert english.title("Strömavbrott", ["Sjövik"]) == "Power cut in Sjövik"
    assert EN.title("Strömavbrott", ["Sjövik"]) == "Strömavbrott · Sjövik"


def test_a_missing_language_falls_back_and_says_to_which() -> None:
    texts = {"sv": "Hej", "en": "Hello"}
    assert spoken(texts, "en", "sv") == ("Hello", "en")
    assert spoken(texts, "fi", "sv") == ("Hej", "sv")
    assert spoken({"fi": "Hei"}, "en", "sv") == ("Hei", "fi")
    assert spoken({}, "sv") == ("", "")


@pytest.mark.parametrize("broken", ["\x00", "\x1b", "\x7f", "\x85", "\ud800", "\ufffe", "\uffff"])
def test_a_character_that_would_break_a_document_is_replaced(broken: str) -> None:
    assert legible(f"a{broken}b") == "a\ufffdb"


def test_what_documents_can_carry_is_left_as_it_is() -> None:
    text = "Å–ä\tö\n👩‍🚒 \U0010fffd"
    assert legible(text) == text
