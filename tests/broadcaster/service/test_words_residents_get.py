"""What every kind of channel says of planned work, of an end that is not everywhere, and of the end."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from broadcaster.channel import Variant
from broadcaster.domain.incident import Kind, Planned
from broadcaster.domain.text import measure_sms
from broadcaster.service.commands import Command
from broadcaster.service.saying import prepare
from broadcaster.testing.rig import OPERATOR, Rig

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
    "hook": {
        "kind": "webhook",
        "url": "http://127.0.0.1:1/",
        "secret": "whsec_YSBzdGFuZC1pbiBoYXMgbm8gc2VjcmV0cw==",
    },
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
