"""A Norwegian organisation from its configuration to its readers; areas, causes and advice in every language."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from broadcaster.domain.incident import Mode
from broadcaster.domain.listed import causes, english, instructions
from broadcaster.locale import residents
from broadcaster.registry import check_file
from broadcaster.store import boards
from broadcaster.testing.operators import CONFIGURATION, Daemonless

NORWEGIAN = (
    CONFIGURATION.replace("Ekbyns Energi, country: SE", 'Eikby Nett, country: "NO"')
    .replace("[sv, en]", "[nb, nn, en]")
    .replace("Europe/Stockholm", "Europe/Oslo")
    .replace(
        '{name: Norra Ekbyn, scb: "0139"}',
        '{name: Nordre Eikby, ssb: "0301", names: {en: North Eikby}}',
    )
    .replace("Södra Ekbyn", "Søndre Eikby")
    .replace(
        "  page: {kind: page}\n",
        "  page: {kind: page}\n  feed: {kind: feed}\n  cap: {kind: cap, sender: drift.eikby.example}\n"
        "  email:\n    kind: email\n    sender: drift@eikby.example\n    unsubscribe: mailto:slutt@eikby.example\n"
        "    suppliers: [{host: 127.0.0.1, port: 1, tls: none}]\n",
    )
    .replace("[page, hook, sms]", "[page, feed, cap, hook, sms, email]")
)
REPORT: dict[str, Any] = {
    "text": "Strømmen er borte.",
    "area": ["norra-ekbyn"],
    "cause": "dug-cable",
    "instruction": "Hold kjøleskap og fryser lukket",
    "etr": "2026-11-23T02:00:00+00:00",
    "next": "2026-11-22T18:00:00+00:00",
}


@pytest.fixture
def norway(tmp_path: Path) -> Iterator[Daemonless]:
    with Daemonless(tmp_path, NORWEGIAN) as town:
        yield town


def letters(preview: Any, channel: str) -> dict[str, str]:
    return {
        each["language"]: each["texts"][0]
        for each in preview["channels"]
        if each["channel"] == channel and each["texts"]
    }


def files(town: Daemonless, channel: str) -> dict[str, str]:
    """What a board would write now, by path."""
    shown = town.store.read(partial(boards.board, since=None, at=town.clock(), mode=Mode.DEMO))
    adapter: Any = town.desk.configuration.adapters[channel]
    return {file.path: file.body.decode() for file in adapter.files(shown)}


def accepted(town: Daemonless, path: str, **body: Any) -> Any:
    answer = town.ask("POST", path, body)
    assert answer.status == 201, answer.content
    return answer.json


def test_a_norwegian_configuration_is_checked_in_english(tmp_path: Path) -> None:
    path = tmp_path / "broadcaster.yaml"
    (tmp_path / "keep").mkdir()
    path.write_text(NORWEGIAN, encoding="utf-8")
    found = check_file(path, {})
    assert [error for error in found if not error.warning] == []
    path.write_text(NORWEGIAN.replace("[nb, nn, en]", "[nb, nn, nn]"), encoding="utf-8")
    (error,) = check_file(path, {})
    assert "names a language twice: keep one" in error.told("nb")


def test_residents_read_norwegian_by_letter(norway: Daemonless) -> None:
    preview = norway.ask("POST", "/api/v1/preview", REPORT).json
    sms, mail = letters(preview, "sms"), letters(preview, "email")
    assert "STRØMBRUDD Nordre Eikby" in sms["nb"]
    assert "Årsak: En kabel er gravd over." in sms["nb"]
    assert "De fleste har strøm senest man. 23. nov. kl. 03.00." in sms["nb"]
    assert "Neste oppdatering senest 19.00" in sms["nb"]
    assert "STRAUMBROT Nordre Eikby" in sms["nn"]
    assert "Dei fleste har straum seinast mån. 23. nov. kl. 03.00" in sms["nn"]
    assert "POWER CUT North Eikby" in sms["en"]
    assert "[nb] Strømmen er borte." in sms["en"]
    assert "Du får dette fordi adressen din er registrert hos Eikby Nett." in mail["nb"]
    assert "Hald kjøleskap og frysar lukka." in mail["nn"]


def test_residents_read_norwegian_on_page_feed_and_warning(norway: Daemonless) -> None:
    accepted(norway, "/api/v1/incidents", **REPORT)
    page, feed, cap = (files(norway, name) for name in ("page", "feed", "cap"))
    assert '<html lang="nb" dir="ltr">' in page["incidents/a1/index.html"]
    assert "Strømbrudd i Nordre Eikby" in page["incidents/a1/index.html"]
    assert "Ein kabel er graven over" in page["nn/incidents/a1/index.html"]
    assert "Power cut in North Eikby" in page["en/incidents/a1/index.html"]
    assert "So far only in Norwegian Bokmål." in page["en/incidents/a1/index.html"]
    assert "Driftsforstyrrelser og det vi vet om dem" in feed["feed.rss"]
    (warning,) = (body for path, body in cap.items() if path.endswith(".xml"))
    assert "<language>nb</language>" in warning
    assert "<language>nn</language>" in warning
    assert warning.count("Strømmen er borte.") == 1  # never in another language's name
    assert warning.count("<areaDesc>Nordre Eikby</areaDesc>") == 2
    assert warning.count("<areaDesc>North Eikby</areaDesc>") == 1


def test_a_retraction_without_words_says_so_in_every_language(norway: Daemonless) -> None:
    accepted(norway, "/api/v1/incidents", **REPORT)
    texts = norway.ask("POST", "/api/v1/preview", {"kind": "retraction", "incident": "A1"}).json[
        "text"
    ]
    assert texts == {
        "nb": "Den forrige meldingen vår var feil og gjelder ikke.",
        "nn": "Den førre meldinga vår var feil og gjeld ikkje.",
        "en": "Our earlier message was wrong and does not apply.",
    }
    holding = norway.ask("POST", "/api/v1/preview", {"kind": "holding", "incident": "A1"})
    assert holding.json["text"]["nn"] == "Ikkje noko nytt å melde. Arbeidet held fram."


@pytest.mark.parametrize("asked", ["", "nb, nn;q=0.9", "sv;q=0"])
def test_operators_are_answered_in_english(norway: Daemonless, asked: str) -> None:
    body = {"text": "x", "area": []}
    refused = norway.ask("POST", "/api/v1/incidents", body, accept_language=asked)
    assert refused.detail.startswith("Say where: --area KEY.")


def test_every_listed_cause_and_advice_stands_in_the_documentation() -> None:
    page = (Path(__file__).parents[3] / "docs" / "languages.md").read_text("utf-8")
    swedish = residents("sv").phrases
    for listed in (causes(english), instructions(english)):
        for name, sentence in listed.items():
            assert f"| `{name}` | {swedish[sentence]} |" in page


@pytest.mark.parametrize(
    "written",
    ["dug-cable", "A cable was dug into", "en kabel har grävts av.", "Ein kabel er graven over"],
)
def test_a_listed_cause_is_kept_as_one_however_it_was_written(
    norway: Daemonless, written: str
) -> None:
    preview = norway.ask("POST", "/api/v1/preview", {**REPORT, "cause": written}).json
    assert "Årsak: En kabel er gravd over." in letters(preview, "sms")["nb"]


def test_a_free_cause_is_marked_where_it_is_in_another_language(norway: Daemonless) -> None:
    preview = norway.ask("POST", "/api/v1/preview", {**REPORT, "cause": "Elg i trafoen"}).json
    sms = letters(preview, "sms")
    assert "Årsak: Elg i trafoen." in sms["nb"]
    assert "Cause: [nb] Elg i trafoen." in sms["en"]


def test_sami_letters_are_named_in_the_preview_with_what_they_cost(norway: Daemonless) -> None:
    texts = {"nb": "Strøm borte i Kárášjohka, Deatnu og Čáhcesuolu."}
    body = {"texts": texts, "area": ["norra-ekbyn"]}
    (line,) = (
        each
        for each in norway.ask("POST", "/api/v1/preview", body).json["channels"]
        if each["channel"] == "sms" and each["language"] == "nb"
    )
    assert line["encoding"] == "UCS-2"
    assert set("šČ") <= set(line["forcing"])
    assert any("UCS-2" in remark for remark in line["remarks"])
    assert line["parts"] > 1


def test_an_area_is_found_in_a_text_by_its_name_in_any_language(norway: Daemonless) -> None:
    body = {**REPORT, "area": ["sodra-ekbyn"], "texts": {"en": "No power in North Eikby."}}
    del body["text"]
    assert norway.ask("POST", "/api/v1/preview", body).json["names_also"] == ["norra-ekbyn"]


# ----------------------------------------------------------------------------------------------------- easy Swedish
@pytest.fixture
def sweden(tmp_path: Path) -> Iterator[Daemonless]:
    with Daemonless(tmp_path, CONFIGURATION.replace("[sv, en]", "[sv, sv-simple, en]")) as town:
        yield town


def test_who_reads_easy_swedish_gets_easy_words_or_ordinary_ones_unmarked(
    sweden: Daemonless,
) -> None:
    body: dict[str, Any] = {"area": ["norra-ekbyn"], "texts": {"sv": "En kabel har skadats."}}
    ordinary = sweden.ask("POST", "/api/v1/preview", body).json
    assert "En kabel har skadats." in letters(ordinary, "sms")["sv-simple"]
    assert "[sv]" not in letters(ordinary, "sms")["sv-simple"]
    assert "[sv] En kabel har skadats." in letters(ordinary, "sms")["en"]
    assert ordinary["no_text_in"] == ["en"]
    body["texts"] = {**body["texts"], "sv-simple": "En kabel är trasig."}
    easy = letters(sweden.ask("POST", "/api/v1/preview", body).json, "sms")
    assert "En kabel är trasig." in easy["sv-simple"]
    assert "En kabel har skadats." in easy["sv"]
    assert "Vi skriver mer senast klockan " in easy["sv-simple"]


def test_easy_swedish_that_had_words_is_behind_when_it_has_none(sweden: Daemonless) -> None:
    texts = {"sv": "En kabel har skadats.", "sv-simple": "En kabel är trasig."}
    accepted(sweden, "/api/v1/incidents", area=["norra-ekbyn"], texts=texts)
    body = {"kind": "update", "incident": "A1", "texts": {"sv": "Montör är framme."}}
    preview = sweden.ask("POST", "/api/v1/preview", body).json
    assert (preview["behind"], preview["no_text_in"]) == (["sv-simple"], ["en"])
