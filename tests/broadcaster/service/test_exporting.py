"""What is handed on says what stands on the page, in the languages asked for, and nothing that only staff know."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import segno
from lxml import html

from broadcaster.domain.incident import Audience, Kind
from broadcaster.service.commands import Operator, Refused, Role
from broadcaster.service.exporting import FORMS, export
from broadcaster.testing.rig import OPERATOR, UNHEARD, Rig

VIEWER = Operator(name="Kim", role=Role.VIEWER)
LATER = timedelta(hours=3)


def made(town: Rig, form: str, *languages: str, name: str = "A1") -> dict[str, Any]:
    return export(town.desk, VIEWER, name, form, languages, "sv")


def shown(town: Rig, *languages: str) -> Any:
    return html.fromstring(made(town, "notice", *languages)["content"])


def said(page: Any) -> str:
    return " ".join(page.text_content().split())


@pytest.fixture
def told(town: Rig) -> Rig:
    town.say("Strömmen är borta.", next=town.desk.clock() + timedelta(hours=1), cause="Avgrävd.")
    return town


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_of_the_newest_word_that_stands_and_begins_with_the_mode(
    told: Rig, form: str
) -> None:
    told.say("En montör är på plats.", Kind.UPDATE)
    told.say("", Kind.RETRACTION)
    answer = made(told, form)
    assert (answer["incident"], answer["as"], answer["mode"]) == ("A1", form, "demo")
    assert "montör" not in answer["content"]
    assert "Strömavbrott i Norra Ekbyn" in answer["content"]
    words = said(shown(told).body) if form == "notice" else answer["content"]
    assert words.startswith("DEMO")


def test_a_sheet_has_every_language_once_and_marks_words_of_another(told: Rig) -> None:
    page = shown(told, "sv", "en")
    titles = page.xpath("//*[@class='title']")
    assert [title.text for title in titles] == [
        "Strömavbrott i Norra Ekbyn",
        "Power cut in Norra Ekbyn",
    ]
    assert said(page).count("Avgrävd.") == 1
    alone = shown(told, "en")
    assert alone.xpath("//p[contains(., 'Avgrävd.')]/span/@lang") == ["sv"]


def test_a_sheet_leads_to_the_page_by_its_code_and_says_when_it_was_made(told: Rig) -> None:
    page = shown(told)
    url = told.desk.configuration.settings.public.url
    expected = segno.make(f"{url}/incidents/a1/", error="m", micro=False)
    drawn = html.fromstring(expected.svg_inline(border=1, light="#fff", omitsize=True))
    assert page.xpath("//svg/path/@d") == drawn.xpath("//path/@d")
    assert f"{url.partition('://')[2]}/incidents/a1" in said(page)
    assert "Utskrivet " in said(page)


def test_markup_in_an_operators_words_is_text_on_the_sheet(town: Rig) -> None:
    evil = "<script>alert(1)</script><img src=x onerror=alert(1)>"
    town.say(evil, next=town.desk.clock() + timedelta(hours=1), cause=evil, headline=evil)
    page = shown(town)
    assert page.xpath("//script | //img | //*[@onerror]") == []
    assert said(page).count("<script>alert(1)</script>") >= 2


def test_a_promise_that_was_broken_is_said_to_the_operator(told: Rig) -> None:
    assert made(told, "radio")["remarks"] == []
    told.clock.shift += LATER
    answer = made(told, "phone")
    assert "Den utlovade tiden har gått" in answer["remarks"][0]
    assert "Tala inte in något nu" in answer["content"]


def test_words_left_out_for_their_language_are_named_to_the_operator(told: Rig) -> None:
    answer = made(told, "radio", "en")
    assert "Avgrävd" not in answer["content"]
    assert answer["remarks"] == [
        "En del ord finns bara på ett annat språk än engelska och är utelämnade."
    ]


def test_scripts_say_how_long_they_take(told: Rig) -> None:
    scripts = made(told, "radio", "sv", "en")["scripts"]
    assert [(one["language"], one["limit"]) for one in scripts] == [
        ("sv", 30),
        ("sv", 60),
        ("en", 30),
        ("en", 60),
    ]
    assert all(0 < one["seconds"] <= one["limit"] for one in scripts)
    assert all(one["text"] in made(told, "radio", "sv", "en")["content"] for one in scripts)


def test_what_only_staff_know_is_not_handed_on(tmp_path: Path) -> None:
    town = Rig(tmp_path, {"hook": UNHEARD, "crew": UNHEARD | {"audience": "staff"}})
    try:
        soon = town.desk.clock() + timedelta(hours=1)
        town.say("Internt.", audience=Audience.STAFF, next=soon)
        with pytest.raises(Refused, match="Nothing of A1 is public yet"):
            made(town, "radio")
    finally:
        town.stop()


@pytest.mark.parametrize(
    ("form", "language", "sentence"),
    [
        ("poster", "sv", "There is no export as poster"),
        ("radio", "fi", "The organisation does not speak fi"),
    ],
)
def test_what_there_is_not_is_refused_by_name(
    told: Rig, form: str, language: str, sentence: str
) -> None:
    with pytest.raises(Refused, match=sentence):
        made(told, form, language)
    with pytest.raises(Refused, match="There is no incident A9"):
        export(told.desk, OPERATOR, "A9", "radio", (), "sv")
