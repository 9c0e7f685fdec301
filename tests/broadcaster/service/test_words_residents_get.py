"""What every kind of channel says of planned work, of an end that is not everywhere, and of the end."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update as sql_update

from broadcaster.channel import Variant
from broadcaster.domain.delivery import State
from broadcaster.domain.incident import Kind, Mode, Planned
from broadcaster.domain.text import measure_sms
from broadcaster.service import notifying
from broadcaster.service.commands import Command
from broadcaster.service.previewing import preview
from broadcaster.service.saying import prepare
from broadcaster.store import boards, tables as t
from broadcaster.testing.rig import OPERATOR, UNHEARD, Rig
from channels.feed.items import Teller as FeedTeller
from channels.page.settings import PageSettings
from channels.page.site import pages

KEYS = ("consumer_key", "consumer_secret", "access_token", "access_token_secret")
KANNEL = {
    "name": "g1",
    "preset": "kannel",
    "url": "http://127.0.0.1:1",
    "username": "u",
    "password": "p",
    "sender": "Ekbyn",
}
CHANNELS: dict[str, dict[str, Any]] = {
    "social": {"kind": "mastodon", "url": "http://127.0.0.1:1", "token": "token"},
    "x": {"kind": "x", "url": "http://127.0.0.1:1"} | dict.fromkeys(KEYS, "t"),
    "sms": {"kind": "sms_http", "suppliers": [KANNEL]},
    "hook": UNHEARD,
}
POSTS = ("social", "x")
BOTH = ("norra-ekbyn", "sodra-ekbyn")
TOMORROW = (datetime.now(UTC) + timedelta(days=1)).replace(hour=7, minute=0, second=0)
WORK = Planned(TOMORROW, TOMORROW + timedelta(hours=4))


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Rig]:
    """A town with every kind of channel whose texts are rendered at once; its engine stands still."""
    rig = Rig(tmp_path, CHANNELS)
    yield rig
    rig.stop()


def said(town: Rig, kind: Kind, text: str = "", **fields: Any) -> dict[tuple[str, str, str], str]:
    """What is said by (channel, variant, language)."""
    given = {"texts": {"": text} if text else {}} | fields
    command = Command(kind=kind, incident=None if kind is Kind.REPORT else "A1", **given)
    texts = prepare(town.desk, OPERATOR, command).plan.texts
    return {
        (text.channel, str(text.variant), text.language): text.rendered.texts[0].body
        for text in texts
        if text.rendered
    }


def payload(town: Rig, kind: Kind, text: str = "", **fields: Any) -> Any:
    """The document a webhook gets in Swedish."""
    texts = {"": text} if text else {}
    command = Command(kind=kind, incident="A1", texts=texts, **fields)
    planned = prepare(town.desk, OPERATOR, command).plan
    (found,) = [one for one in planned.messages if (one.channel, one.language) == ("hook", "sv")]
    return json.loads(found.payload)


def posted(town: Rig) -> None:
    """Whatever was said may stand in every channel: its followers may have read it."""
    gone = sql_update(t.delivery).values(state=State.SENDING)
    town.store.write(lambda connection: connection.execute(gone).close()).result()


def cut_in_both(town: Rig) -> None:
    etr = datetime.now(UTC) + timedelta(hours=5)
    town.say(
        "Strömmen är borta.",
        area=BOTH,
        since=WORK.start - timedelta(days=2),
        etr=etr,
        cause="Åska.",
        instruction="Håll kylen stängd.",
    )


# --------------------------------------------------------------------------------------- the power is back in one area
@pytest.mark.parametrize("channel", POSTS)
def test_a_post_names_where_the_power_is_back_and_where_it_is_not(town: Rig, channel: str) -> None:
    cut_in_both(town)
    words = said(town, Kind.RESTORED, area=("norra-ekbyn",))[channel, "news", "sv"]
    assert "Strömmen är åter i Norra Ekbyn." in words
    assert "Fortfarande berört: Södra Ekbyn. Nästa besked senast" in words
    assert "Strömavbrott" not in words


def test_a_webhook_names_where_the_power_is_back(town: Rig) -> None:
    cut_in_both(town)
    words = said(town, Kind.RESTORED, area=("norra-ekbyn",))["hook", "news", "sv"]
    assert "Strömmen är åter i Norra Ekbyn" in words
    assert "Fortfarande berört: Södra Ekbyn" in words
    assert "Strömavbrott" not in words


def test_a_receiver_reads_where_it_goes_on_apart_from_when_the_next_word_comes(town: Rig) -> None:
    cut_in_both(town)
    document = payload(town, Kind.RESTORED, area=("norra-ekbyn",))
    assert document["still_affected"] == "Fortfarande berört: Södra Ekbyn"
    assert document["next_word"].startswith("Nästa besked senast ")
    assert payload(town, Kind.UPDATE, "Nu.")["still_affected"] == ""
    assert payload(town, Kind.RESTORED)["still_affected"] == ""


def test_only_who_has_power_again_is_written_to_and_told_nothing_else(town: Rig) -> None:
    cut_in_both(town)
    command = Command(kind=Kind.RESTORED, incident="A1", area=("norra-ekbyn",))
    prepared = prepare(town.desk, OPERATOR, command)
    (letters,) = [each for each in prepared.plan.deliveries if each.channel == "sms"]
    (group,) = letters.audiences
    assert (group.areas, group.variant) == (("norra-ekbyn",), Variant.ALL_CLEAR)
    words = said(town, Kind.RESTORED, area=("norra-ekbyn",))["sms", "all_clear", "sv"]
    assert (
        words
        == "DEMO. Ekbyns Energi: STRÖMMEN ÄR ÅTER Norra Ekbyn. http://127.0.0.1:9/incidents/a1"
    )


def test_the_operators_own_words_of_the_end_reach_who_has_power_again(town: Rig) -> None:
    cut_in_both(town)
    words = said(town, Kind.RESTORED, "Tack för tålamodet.", area=("norra-ekbyn",))
    assert "STRÖMMEN ÄR ÅTER Norra Ekbyn. Tack för tålamodet." in words["sms", "all_clear", "sv"]


def test_who_leaves_an_incident_by_an_update_is_still_told_so(town: Rig) -> None:
    cut_in_both(town)
    words = said(town, Kind.UPDATE, without_area=("norra-ekbyn",))["sms", "all_clear", "sv"]
    assert "BERÖRS INTE LÄNGRE Norra Ekbyn. http" in words


def test_who_stays_in_an_incident_reads_the_promise_that_an_update_for_the_others_moves(
    town: Rig,
) -> None:
    cut_in_both(town)
    command = Command(kind=Kind.UPDATE, incident="A1", without_area=("norra-ekbyn",))
    prepared = prepare(town.desk, OPERATOR, command)
    (letters,) = [each for each in prepared.plan.deliveries if each.channel == "sms"]
    assert [(group.areas, group.variant) for group in letters.audiences] == [
        (("sodra-ekbyn",), Variant.NEWS),
        (("norra-ekbyn",), Variant.ALL_CLEAR),
    ]
    words = said(town, Kind.UPDATE, without_area=("norra-ekbyn",))["sms", "news", "sv"]
    assert "Nästa besked senast" in words


# ------------------------------------------------------------------------------------------------------------ the end
@pytest.mark.parametrize("channel", [*POSTS, "sms"])
def test_the_end_repeats_no_cause_advice_estimate_or_beginning(town: Rig, channel: str) -> None:
    cut_in_both(town)
    words = said(town, Kind.RESTORED)[channel, "news", "sv"]
    assert "strömmen är åter" in words.lower()
    assert "Norra Ekbyn" in words
    assert "Södra Ekbyn" in words
    for gone in ("Åska", "kylen", "senast", "sedan", "Fortfarande"):
        assert gone not in words


def test_the_end_of_another_hazard_says_what_is_over_where(town: Rig) -> None:
    town.say("Vattnet är borta.", headline="Vattenläcka", area=BOTH)
    words = said(town, Kind.RESTORED, area=("norra-ekbyn",))
    assert "Avhjälpt: Vattenläcka · Norra Ekbyn." in words["social", "news", "sv"]


# ------------------------------------------------------------------------------------------------------- planned work
@pytest.mark.parametrize("channel", [*POSTS, "sms"])
@pytest.mark.parametrize(
    ("language", "called", "period"),
    [("sv", "planerat strömavbrott", "till"), ("en", "planned power cut", "to")],
)
def test_planned_work_is_called_so_with_start_and_end(
    town: Rig, channel: str, language: str, called: str, period: str
) -> None:
    words = said(
        town,
        Kind.REPORT,
        area=("norra-ekbyn",),
        planned=WORK,
        texts={"sv": "Vi byter en transformator.", "en": "We change a transformer."},
    )
    text = words[channel, "news", language]
    zone = town.desk.configuration.zone
    start, end = (f"{when.astimezone(zone):%H}" for when in (WORK.start, WORK.end))
    mark = "." if language == "sv" else ":"
    assert called in text.lower()
    assert f"{start}{mark}00 {period} {end}{mark}00" in text
    assert str(WORK.start.astimezone(zone).day) in text
    assert "sedan" not in text


def test_planned_work_fits_one_part_of_an_sms(town: Rig) -> None:
    words = said(
        town, Kind.REPORT, "Vi byter en transformator.", area=("norra-ekbyn",), planned=WORK
    )
    assert measure_sms(words["sms", "news", "sv"]).parts == 1


def test_an_update_of_planned_work_still_says_when_though_it_has_an_estimate(town: Rig) -> None:
    town.say("Vi byter en transformator.", planned=WORK, etr=WORK.end)
    words = said(town, Kind.UPDATE, "Ta med er en ficklampa.")["sms", "news", "sv"]
    start = WORK.start.astimezone(town.desk.configuration.zone)
    assert "PLANERAT STRÖMAVBROTT Norra Ekbyn" in words
    assert f" {start.day} " in words
    assert f"{start:%H}.00 till" in words
    assert "De flesta har ström" not in words


def test_planned_work_of_another_kind_says_that_it_is_planned(town: Rig) -> None:
    words = said(
        town,
        Kind.REPORT,
        "Vattnet stängs av.",
        headline="Vattenavstängning",
        area=("norra-ekbyn",),
        planned=WORK,
    )
    assert "Vattenavstängning · Norra Ekbyn planerat " in words["social", "news", "sv"]


def test_work_that_has_begun_goes_on_since_its_start(town: Rig) -> None:
    town.say("Vi byter en transformator.", planned=WORK)
    town.clock.shift = WORK.start - datetime.now(UTC) + timedelta(minutes=5)
    words = said(town, Kind.UPDATE, "Arbetet har börjat.")["social", "news", "sv"]
    began = WORK.start.astimezone(town.desk.configuration.zone)
    assert f"Strömavbrott i Norra Ekbyn sedan {began:%H.%M}." in words
    assert "Planerat" not in words


# ------------------------------------------------------------------------------------------- areas that are left out
@pytest.mark.parametrize("channel", [*POSTS, "hook"])
def test_a_post_names_the_area_that_an_update_leaves_out(town: Rig, channel: str) -> None:
    cut_in_both(town)
    words = said(town, Kind.UPDATE, "Felet har flyttat sig.", without_area=("sodra-ekbyn",))
    assert "Berörs inte längre: Södra Ekbyn" in words[channel, "news", "sv"]
    assert "Berörs inte längre" not in said(town, Kind.UPDATE, "Nu.")[channel, "news", "sv"]


def test_a_receiver_reads_which_area_is_left_out_apart_from_the_text(town: Rig) -> None:
    cut_in_both(town)
    document = payload(town, Kind.UPDATE, "Flyttat.", without_area=("sodra-ekbyn",))
    assert document["no_longer"] == "Berörs inte längre: Södra Ekbyn"
    assert document["etr"].startswith("De flesta har ström senast ")


def test_who_had_the_text_that_is_corrected_reads_that_his_area_is_left_out(town: Rig) -> None:
    cut_in_both(town)
    words = said(town, Kind.CORRECTION, "Felet är litet.", without_area=("sodra-ekbyn",))
    assert "Berörs inte längre: Södra Ekbyn." in words["sms", "correction", "sv"]


def spread_south(town: Rig) -> None:
    """An outage in the north, and an update that added the south."""
    town.say("Strömmen är borta.", area=("norra-ekbyn",), since=WORK.start - timedelta(days=2))
    town.say("Också i söder.", kind=Kind.UPDATE, incident="A1", area=("sodra-ekbyn",))


@pytest.mark.parametrize("channel", [*POSTS, "hook", "sms"])
def test_a_retraction_names_the_area_it_takes_back(town: Rig, channel: str) -> None:
    spread_south(town)
    posted(town)
    words = said(town, Kind.RETRACTION)[channel, "correction", "sv"]
    assert "Gäller inte: Södra Ekbyn" in words
    assert "Norra Ekbyn" in words


def test_page_and_feed_name_the_area_that_a_retraction_takes_back(town: Rig) -> None:
    spread_south(town)
    town.say("", kind=Kind.RETRACTION, incident="A1")
    shown = town.store.read(lambda c: boards.board(c, None, town.clock(), Mode.DEMO))
    context = town.desk.configuration.adapters["social"].context
    settings = PageSettings(kind="page")
    page = {file.path: file for file in pages(shown, context, settings)}["incidents/a1/index.html"]
    assert b"G\xc3\xa4ller inte: S\xc3\xb6dra Ekbyn" in page.body
    entry, *_ = FeedTeller(shown, context, "sv").channel("sodra-ekbyn", "", "").items
    assert "Återtagande" in entry.title
    assert "Gäller inte: Södra Ekbyn" in [paragraph.text for paragraph in entry.paragraphs]


def test_nobody_is_given_the_all_clear_by_a_retraction(town: Rig) -> None:
    spread_south(town)
    prepared = prepare(town.desk, OPERATOR, Command(kind=Kind.RETRACTION, incident="A1"))
    (letters,) = [each for each in prepared.plan.deliveries if each.channel == "sms"]
    assert [(group.variant, group.had) for group in letters.audiences] == [
        (Variant.CORRECTION, (2,))
    ]


def test_an_sms_says_what_was_wrong_before_what_stands(town: Rig) -> None:
    cut_in_both(town)
    town.say("Felet är hittat.", kind=Kind.UPDATE, incident="A1")
    words = said(town, Kind.RETRACTION)["sms", "correction", "sv"]
    opening, _, rest = words.partition("Vårt tidigare meddelande var fel och gäller inte. ")
    assert "Ekbyn." not in opening
    assert "senast" not in opening
    assert rest.startswith(
        "Strömavbrott i Norra Ekbyn och Södra Ekbyn. De flesta har ström senast "
    )


def test_an_sms_that_takes_back_a_correction_of_the_end_says_that_it_goes_on(town: Rig) -> None:
    town.say("Strömmen är borta.")
    town.say(kind=Kind.RESTORED)
    town.say("Norra Ekbyn är utan ström.", Kind.CORRECTION, area=("norra-ekbyn",))
    words = said(town, Kind.RETRACTION)["sms", "correction", "sv"]
    assert "var fel och gäller inte. Strömavbrott i Norra Ekbyn. Nästa besked" in words


ALL_TAKEN_BACK = {
    "sv": r"Allt sedan [\d.]+ återtas: Strömavbrott i Norra Ekbyn\b",
    "en": r"All since [\d:]+ retracted: Power cut in Norra Ekbyn\b",
}


@pytest.mark.parametrize("channel", [*POSTS, "hook", "sms"])
def test_what_takes_back_everything_names_it_and_never_as_what_stands(
    town: Rig, channel: str
) -> None:
    town.say("Strömmen är borta.")
    town.say("Felet är hittat.", kind=Kind.UPDATE, incident="A1")
    posted(town)
    told = said(town, Kind.RETRACTION, whole=True)
    words = {place[2]: text for place, text in told.items() if place[0] == channel}
    assert "sv" in words
    for language, text in words.items():
        assert re.search(ALL_TAKEN_BACK[language], text, re.IGNORECASE)
        assert len(re.findall("Strömavbrott|Power cut", text)) == 1


def test_an_sms_that_takes_back_everything_costs_one_part(town: Rig) -> None:
    town.say("Strömmen är borta.")
    told = said(town, Kind.RETRACTION, whole=True)
    for language in ("sv", "en"):
        measure = measure_sms(told["sms", "correction", language])
        assert (measure.encoding, measure.parts) == ("GSM-7", 1)


def test_an_sms_that_takes_back_the_only_word_names_it_by_its_time(town: Rig) -> None:
    town.say("Läckan är stor.", headline="Vattenläcka")
    words = said(town, Kind.RETRACTION)["sms", "correction", "sv"]
    assert re.search(r"ÅTERTAGANDE AV [\d.]+: Vattenläcka, Norra Ekbyn\. Vårt tidigare", words)


# ---------------------------------------------------------------------------------------- planned work that was wrong
def planned_work(town: Rig) -> str:
    """Planned work in the north; returns its start as it is written, "7.00" without the date."""
    town.say("Vi byter en transformator.", area=("norra-ekbyn",), planned=WORK)
    return f"{WORK.start.astimezone(town.desk.configuration.zone):%H}.00 till "


@pytest.mark.parametrize("channel", [*POSTS, "hook"])
def test_planned_work_that_is_retracted_is_still_called_planned(town: Rig, channel: str) -> None:
    planned_work(town)
    posted(town)
    words = said(town, Kind.RETRACTION)[channel, "correction", "sv"]
    assert "Planerat strömavbrott i Norra Ekbyn" in words
    whole = said(town, Kind.RETRACTION, whole=True)[channel, "correction", "sv"]
    assert whole.count("Planerat") == 1


def test_an_sms_that_corrects_planned_work_says_which_and_when(town: Rig) -> None:
    start = planned_work(town)
    words = said(town, Kind.CORRECTION, "Det gäller bara Storgatan.")["sms", "correction", "sv"]
    assert "Norra Ekbyn. Planerat strömavbrott " in words
    assert start in words
    assert words.index(start) < words.index("Det gäller bara Storgatan.")


def test_an_sms_that_retracts_a_new_time_says_the_work_and_the_time_that_stand(town: Rig) -> None:
    start = planned_work(town)
    later = Planned(WORK.start + timedelta(hours=1), WORK.end + timedelta(hours=1))
    town.say("Vi börjar senare.", kind=Kind.UPDATE, incident="A1", planned=later)
    words = said(town, Kind.RETRACTION)["sms", "correction", "sv"]
    assert "gäller inte. Planerat strömavbrott " in words
    assert words.count(start) == 1


# ------------------------------------------------------------------------------------------- what a preview remarks
@pytest.mark.parametrize(
    ("language", "remark"),
    [
        ("sv", '"ł" gör det till UCS-2, som tar 2 delar.'),
        ("en", '"ł" makes it UCS-2, which takes 2 parts.'),
    ],
)
def test_what_makes_an_sms_dear_is_said_in_the_language_asked_for(
    town: Rig, language: str, remark: str
) -> None:
    command = Command(kind=Kind.REPORT, texts={"": "ł"}, area=("norra-ekbyn",))
    shown = preview(town.desk, OPERATOR, command, language)
    remarks = [line["remarks"] for line in shown["channels"] if line["channel"] == "sms"]
    assert remark in remarks[0]


# ----------------------------------------------------------------------------------------------------- words to staff
def test_a_notice_to_staff_is_no_power_cut_and_links_to_no_page(tmp_path: Path) -> None:
    rig = Rig(tmp_path, CHANNELS | {"duty": CHANNELS["hook"] | {"audience": "staff"}})
    try:
        notifying.tell_staff(rig.desk, "The channel is paused.", "once")
        (body,) = rig.store.read(
            lambda connection: connection.execute(select(t.message.c.payload)).scalars().all()
        )
    finally:
        rig.stop()
    document = json.loads(body)
    assert document["label"] == document["headline"] == "Meddelande till personalen"
    assert document["link"] == document["data"]["url"] == ""
    assert "trömavbrott" not in body


def test_a_retracted_reopening_tells_every_reader_that_it_is_over(town: Rig) -> None:
    town.say("Strömmen är borta.")
    town.say(kind=Kind.RESTORED)
    town.say("Strömmen är borta igen.", Kind.UPDATE)
    posted(town)
    told = said(town, Kind.RETRACTION)
    swedish = {channel: text for (channel, _, language), text in told.items() if language == "sv"}
    assert set(swedish) >= {"sms", "hook", *POSTS}
    for channel, text in swedish.items():
        assert "strömmen är åter i norra ekbyn" in text.casefold(), channel
        assert "strömavbrott" not in text.casefold(), channel
        assert "sedan" not in text, channel
    assert "var fel och gäller inte. Strömmen är åter i Norra Ekbyn." in swedish["sms"]


def test_a_retraction_that_takes_an_estimate_away_says_so_to_who_had_it(town: Rig) -> None:
    town.say("Strömmen är borta.")
    town.say("Senast då.", Kind.UPDATE, etr=town.clock() + timedelta(hours=2))
    town.say("En montör är framme.", Kind.UPDATE)
    posted(town)
    told = said(town, Kind.RETRACTION, number=2)
    for channel in ("sms", "hook", *POSTS):
        text = told[channel, "correction", "sv"]
        assert "Bedömningen " in text, channel
        assert " gäller inte längre" in text, channel
