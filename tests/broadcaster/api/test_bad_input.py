"""Bad input gets what happened, where and what to do, in the operator's language; nothing is lost and nothing half-done."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from broadcaster.testing.clock import NOON
from broadcaster.testing.operators import CONFIGURATION, Daemonless

REPORT = {"text": "Strömmen är borta.", "area": ["norra-ekbyn"]}


def at(**span: float) -> str:
    return (NOON + timedelta(**span)).isoformat()


# What is wrong → (what is sent, the field that is named, what the sentence says: what happened, and what to do).
BAD: dict[str, tuple[dict[str, Any], str, tuple[str, ...]]] = {
    "an unknown area": (
        {"area": ["nora-ekbyn"]},
        "area",
        ("nora-ekbyn", "Menade du norra-ekbyn?"),
    ),
    "a wholly unknown area": (
        {"area": ["kiruna"]},
        "area",
        ("Det finns norra-ekbyn, sodra-ekbyn.",),
    ),
    "no area": ({"area": []}, "area", ("Ange var: --area",)),
    "no area, but its name in the text": (
        {"area": [], "text": "Strömmen är borta i Norra Ekbyn."},
        "area",
        ("Texten nämner Norra Ekbyn", "--area norra-ekbyn", "Inget skickades."),
    ),
    "an unknown channel": ({"channel": ["rök"]}, "channel", ("rök", "Det finns page, hook")),
    "no text": ({"text": " \n"}, "text", ("Texten är tom.", "Säg i en mening")),
    "a text that SMS cannot carry": (
        {"text": "Strömmen är borta. " * 60},
        "text",
        ("sms: SMS:et behöver ", "högst 4 är tillåtna", "Korta texten"),
    ),
    "an estimate in the past": ({"etr": at(hours=-1)}, "etr", ("--etr", "skriv en kommande tid")),
    "a next word in the past": (
        {"next": at(hours=-1)},
        "next",
        ("--next", "skriv en kommande tid"),
    ),
    "an end in the past": ({"until": at(hours=-1)}, "until", ("--until", "skriv en kommande tid")),
    "a time to send that is past": ({"at": at(hours=-1)}, "at", ("--at", "skriv en kommande tid")),
    "an estimate before it goes out": (
        {"at": at(hours=2), "etr": at(hours=1)},
        "etr",
        ("--etr", "innan texten går ut (--at)"),
    ),
    "a beginning to come": (
        {"since": at(hours=1)},
        "since",
        ("--since", "eller --planned BÖRJAN/SLUT"),
    ),
    "an estimate before the start": (
        {
            "since": at(hours=3),
            "etr": at(hours=2),
            "planned": {"start": at(hours=3), "end": at(hours=4)},
        },
        "etr",
        ("före arbetets början (--planned)", "skriv en senare tid"),
    ),
    "work that ends before it begins": (
        {"planned": {"start": at(hours=3), "end": at(hours=2)}},
        "planned",
        ("--planned", "skriv BÖRJAN/SLUT"),
    ),
    "a promise after the estimate": (
        {"etr": at(hours=1), "next": at(hours=2)},
        "next",
        ("Nästa besked skulle komma efter", "utlova det senast då"),
    ),
    "a control character": (
        {"text": "Ström\x07men"},
        "text",
        ("Tecken 6", "U+0007", "Ta bort det"),
    ),
    "half a character": ({"text": "Str\ud800m"}, "text", ("Tecken 4", "U+D800", "Ta bort det")),
    "a control character in a cause": (
        {"cause": "a\x1bb"},
        "cause",
        ("--cause: Tecken 2", "Ta bort"),
    ),
    "a megabyte of text": ({"text": "x" * 1_000_000}, "text", ("1000000 tecken", "Korta den")),
    "an unknown language": ({"texts": {"fi": "Hei."}}, "text", ("fi", "det finns sv, en")),
}


@pytest.fixture(scope="module")
def quiet_desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemonless]:
    """A desk whose SMS carry at most what the example's do."""
    with Daemonless(tmp_path_factory.mktemp("quiet")) as running:
        yield running


@pytest.mark.parametrize("what", BAD)
def test_bad_input_is_refused_by_what_where_and_what_to_do(
    quiet_desk: Daemonless, what: str
) -> None:
    body, place, said = BAD[what]
    for path in ("incidents", "preview"):
        answer = quiet_desk.ask("POST", f"/api/v1/{path}", REPORT | body)
        if path == "preview" and what == "a text that SMS cannot carry":
            errors = [one["error"] for one in answer.json["channels"] if one["error"]]
            assert errors[0].startswith("SMS:et behöver ")
            continue
        assert answer.status == 422, answer.content
        assert answer.json["at"] == place
        for part in said:
            assert part in answer.detail
    assert quiet_desk.ask("GET", "/api/v1/incidents").json["items"] == []
    assert quiet_desk.ask("GET", "/api/v1/scheduled").json["items"] == []


def test_nothing_that_is_refused_leaves_a_number_used(quiet_desk: Daemonless) -> None:
    for body, _, _ in BAD.values():
        quiet_desk.ask("POST", "/api/v1/incidents", REPORT | body)
    assert quiet_desk.ask("POST", "/api/v1/preview", REPORT).json["name"] == "A1-1"


def test_every_channel_that_cannot_say_it_is_named(tmp_path: Path) -> None:
    keys = ("consumer_key", "consumer_secret", "access_token", "access_token_secret")
    x = ", ".join(f"{key}: tttttt" for key in keys)
    two = CONFIGURATION.replace(
        "  spare:", f'  x: {{kind: x, url: "http://127.0.0.1:1", {x}}}\n  spare:'
    ).replace("[page, hook, sms]", "[page, hook, sms, x]")
    with Daemonless(tmp_path, two) as desk:
        answer = desk.ask("POST", "/api/v1/incidents", REPORT | {"text": "Borta. " * 900})
        assert answer.detail.startswith("sms: SMS:et behöver ")
        assert "Det går inte heller att säga på x. Inget skickades." in answer.detail


def test_a_text_that_is_too_long_is_refused_in_the_language_asked_for(
    quiet_desk: Daemonless,
) -> None:
    long = REPORT | {"text": "Strömmen är borta. " * 60}
    answer = quiet_desk.ask("POST", "/api/v1/incidents", long, accept_language="en")
    assert answer.detail.startswith("sms: The SMS needs ")
    assert "SMS:et" not in answer.detail
    shown = quiet_desk.ask("POST", "/api/v1/preview", long, accept_language="en").json["channels"]
    errors = [one["error"] for one in shown if one["error"]]
    assert errors
    assert all(error.startswith("The SMS needs ") for error in errors)


@pytest.mark.parametrize("text", ["]]>", "<script>alert(1)</script>", "&lt;b&gt;", "{{ 7 * 7 }}"])
def test_signs_that_mean_something_elsewhere_go_out_as_they_are(
    quiet_desk: Daemonless, text: str
) -> None:
    shown = quiet_desk.ask("POST", "/api/v1/preview", REPORT | {"text": text}).json["channels"]
    texts = [one["texts"][0] for one in shown if one["texts"] and one["language"] == "sv"]
    assert len(texts) == 2
    assert all(text in one for one in texts)
